/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_CONTROL_H
#define FRONT_CONTROL_H

#include <stdbool.h>

/*
 * How a mount ended: for those who wait for it.
 *
 * After the unmount there is no file left in which to look, yet data may still
 * be on its way and may fail.  So whoever wants to know connects to the
 * process's socket (in the abstract name space; its name is in the status
 * file) before, and reads until the end: "0\n", or the errno and the
 * sentence, or nothing if the process died.
 */
struct control;
struct err;
struct loop;

int control_open(struct loop *l, struct control **out, struct err *e);
const char *control_name(const struct control *c);
/*
 * The mount point is gone, the writing goes on: from now on a process that
 * wants to mount the same URL finds us (control_find_ending), so that it can
 * wait instead of being refused.
 */
void control_announce_end(struct control *c, const char *url);
/* Tell all that wait, and free.  rc: 0 or negative.  Accepts NULL. */
void control_close(struct control *c, int rc, const char *sentence);

/* The other side.  Blocks in wait only. */
int control_connect(const char *name, int *fd, struct err *e);
/* How it ended; closes fd.  -EPIPE: the process ended without a word. */
int control_wait(int fd, struct err *e);

/* A process on this machine that has announced its end for this URL: true, its
 * socket's name (CONTROL_NAME_MAX bytes) and its pid. */
#define CONTROL_NAME_MAX 64
bool control_find_ending(const char *url, char *name, int *pid);
/* The same in a text as /proc/net/unix has it (changed while it is read). */
bool control_find_in(char *table, const char *url, char *name, int *pid);

#endif
