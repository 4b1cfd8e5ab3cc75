/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/*
 * Ctrl-C, SIGTERM and SIGHUP in a tool.  A signal ends the process at once,
 * but for a stretch of work that can be stopped cleanly: there the first one
 * only asks for it, and the second ends the process.  Either way no half-drawn
 * bar stays on the terminal, and one sentence says how to go on.
 */

/* advice: "the same command goes on"; borrowed for ever. */
void interrupt_install(const char *advice);

/* A stretch that must not be stopped, and is short: signals wait until it ends.
 * Not while deferred. */
void interrupt_block(bool yes);

/* From now on (or no longer) interrupted() is asked now and then. */
void interrupt_defer(bool yes);

/* Somebody asked to stop. */
bool interrupted(void);

#endif
