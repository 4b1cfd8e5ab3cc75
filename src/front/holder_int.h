/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_HOLDER_INT_H
#define FRONT_HOLDER_INT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "front/holder.h"
#include "front/kept.h"
#include "front/successor.h"
#include "front/wire.h"

/* What holder.c (the child), holder_upgrade.c (the other program) and
 * holder_new.c (its beginning) share. */

#define HELLO_NS (10 * NS_PER_S) /* to start, and to say hello */
#define TRY_NS (60 * NS_PER_S)	 /* to open the volume, in a takeover */

enum holder_state {
	STARTING,
	OFFERED,
	SERVING,
	PAUSING,
	CALLING,
	DRAINING,
	TRYING,
	RECALLING,
	FOLLOWING,
	OVER
};

struct holder {
	/* Configuration. */
	struct holder_params p;
	struct hold_start start; /* for the child */
	sigset_t old_mask;

	/* State. */
	enum holder_state state;
	struct kept kept;
	int device;	   /* -1: not mounted yet, or no more */
	int64_t due_ns;	   /* PAUSING, CALLING, TRYING; 0: none */
	int64_t served_ns; /* since when; 0: not yet */
	unsigned failures; /* in a row */
	bool settled;
	int status;	   /* OVER */
	int signo;	   /* we were told to end by it; 0: we were not */

	/* The child. */
	pid_t child; /* 0: none */
	int sock;
	bool drained, ended;
	char why[512]; /* it has failed, by its own words */

	/* An upgrade: the new program, and who has asked for it. */
	struct successor next;
	int client;

	int signals, door;
	struct wire_msg msg;
};

/* holder.c */
void holder_shut(int *fd);
void holder_over(struct holder *h, int status);
void holder_let_serve(struct holder *h); /* the child may read the device */
int holder_exit_status(int wstatus);
void holder_describe(char *text, size_t size, int wstatus);

/* holder_upgrade.c */
void holder_answer(struct holder *h, enum wire_type type, const char *text);
void holder_knocked(struct holder *h); /* at the door */
void holder_asked(struct holder *h);   /* by pail upgrade */
void holder_drained(struct holder *h); /* the child is gone, all is written */
void holder_listen_next(struct holder *h);
void holder_next_gone(struct holder *h, int wstatus);
void holder_listen_up(struct holder *h);
void holder_too_late(struct holder *h); /* CALLING, TRYING */

#endif
