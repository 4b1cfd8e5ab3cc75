/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_SUCCESSOR_H
#define FRONT_SUCCESSOR_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * The other program of an upgrade, seen from either side: what an old holder
 * starts, and what a new one was started by.  Nothing here allocates but
 * takeover_begin's caller.
 */
struct successor {
	pid_t pid; /* 0: none */
	int sock;  /* to it */
	bool killed;
	int up;	   /* to the old holder, while we are the new one; -1 */
};

void successor_init(struct successor *s);

/*
 * Start the program in that open file, with argv and our environment, to take
 * over the mount on dir; its standard error is std_err for now.  0 or -errno.
 */
int successor_start(struct successor *s, int program, int std_err,
    char *const *argv, const sigset_t *mask, const char *dir,
    const char *secret);
void successor_kill(struct successor *s);
/* It was waited for. */
void successor_gone(struct successor *s);
/* In a child that has nothing to do with it. */
void successor_shut(struct successor *s);

#endif
