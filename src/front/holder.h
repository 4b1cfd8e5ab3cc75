/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_HOLDER_H
#define FRONT_HOLDER_H

#include <limits.h>
#include <stdbool.h>

#include "front/hold.h"

/*
 * The holder: a small process that keeps a mount alive while those that serve
 * it come and go.  docs/restart.md has the promises (T1 ...) and the states.
 *
 * It is made before the process has threads, loop or store: what it forks to
 * serve is as the program was when its options had been read.  It has no loop
 * and no threads, and allocates nothing once it runs.
 */
struct err;
struct holder;

/* What a process is given that was started to take over from an old holder. */
struct takeover {
	int sock;     /* to the old holder; -1: there is none */
	int std_err;  /* what is to be standard error once all is well */
	char dir[PATH_MAX];
	char secret[1024]; /* the password; "" if there is none */
};

/*
 * Was this process started by an old holder?  Then 1, and *t is filled in, and
 * the environment forgets it; else 0.  -EPROTO: by one that is not understood.
 */
int takeover_begin(struct takeover *t, struct err *e);
/* It cannot be done: tell the old holder why.  Nothing if there is none. */
void takeover_failed(struct takeover *t, const char *why);

struct holder_params {
	const char *what;   /* the URL, for messages */
	const char *dir;    /* of the mount */
	const char *secret; /* for a successor: the password, or "" */
	char *const *argv;  /* starts a successor: as this one was started */
	uint64_t ledger;    /* bytes of it (ledger.h) */
	bool foreground;    /* somebody waits for this very process to end */
	struct takeover *takeover; /* or NULL: a new mount */
	int64_t pause_ns; /* after a second failure; 0: 100 ms */
	/* In the holder: the mount is there for the first time. */
	void (*settled)(void *arg);
	/* In the holder: the serving process was killed before that, and could
	 * not say so itself. */
	void (*failed)(void *arg, const char *sentence);
	void *arg;
};

/* All strings are borrowed for ever.  With takeover: waits until the old holder
 * gives its mount away. */
int holder_new(
    const struct holder_params *p, struct holder **out, struct err *e);

/*
 * Like fork: returns in each process that is to serve, with what it begins
 * with, and once in the holder, when all is over, with the exit status.
 */
enum holder_role { HOLDER_SERVE, HOLDER_OVER };
enum holder_role holder_run(
    struct holder *h, const struct hold_start **start, int *status);
void holder_free(struct holder *h); /* in either; accepts NULL */

#endif
