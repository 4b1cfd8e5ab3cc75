/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_HOLD_H
#define FRONT_HOLD_H

#include <stdbool.h>

#include "layout/lease_owner.h"

/*
 * The serving process's end of the connection to its holder (holder.h).
 *
 * All on the loop.  A holder that is gone does no harm: messages to it go
 * nowhere, and the mount is served on as one that nobody holds.
 */
struct err;
struct hold;
struct kept;
struct loop;

/* What a process begins with that a holder has started. */
struct hold_start {
	int sock;
	struct kept *kept; /* borrowed: lives as long as the process */
	int device;	   /* to go on with; -1: mount */
	bool resume;	   /* device is there, the lease is ours */
	struct lease_owner owner; /* of the lease */
	int holder_pid;
	char name[64]; /* the socket for pail upgrade */
};

struct hold_events {
	void (*go)(void *arg);	      /* after hold_ready: serve */
	void (*hand_over)(void *arg); /* write everything, then end */
	void (*alone)(void *arg);     /* the holder is gone */
	void *arg;
};

/* Takes sock, also by a failure. */
int hold_open(struct loop *l, int sock, const struct hold_events *ev,
    struct hold **out, struct err *e);
void hold_close(struct hold *h); /* accepts NULL, as all below */

void hold_mounted(struct hold *h, int device);
void hold_ready(struct hold *h);
void hold_refuse(struct hold *h, const char *why); /* to hand_over */
void hold_drained(struct hold *h);

/* The mount is over: the holder closes its device, before this returns (it is
 * waited for, for at most a second). */
void hold_drop(struct hold *h);
/* In order; nobody shall go on. */
void hold_ended(struct hold *h);

/* Without a loop, before hold_open: why there will be none. */
void hold_say_failed(int sock, const char *why);

#endif
