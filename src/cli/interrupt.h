/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/*
 * Ctrl-C (and SIGTERM, SIGHUP) in a tool that works for long: the first asks
 * it to stop, cleanly, with the lease given up; the second stops the process
 * where it is.  Both leave a terminal without a half-drawn bar.
 */

/* advice: how to go on later, said when stopped; borrowed for ever. */
void interrupt_install(const char *advice);

/* Somebody asked to stop. */
bool interrupted(void);

/* Say that it was stopped, and the advice.  Once. */
void interrupt_say(void);

#endif
