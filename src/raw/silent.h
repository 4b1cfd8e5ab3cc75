/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_SILENT_H
#define RAW_SILENT_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "raw/repair.h"

/*
 * Members that do not answer: when they go, and when they are back;
 * docs/raw.md, "Silence".
 */
struct pool;

#define SILENT_WRITE_NS (1500 * NS_PER_MS) /* a write or flush, if ... */
#define SILENT_NS (10 * NS_PER_S)	   /* anything */
#define SILENT_LAST_NS (60 * NS_PER_S) /* of one that is needed */
#define SILENT_RETURNS 3	       /* in a day; then no longer early */
#define SILENT_SETTLE_NS NS_PER_S /* 10, 100 times that for the next ones */

/* Of one member; inside struct member. */
struct silence {
	struct pool *pool;
	bool waits; /* out for being silent; it will be brought back */
	/* As flight.c counts time: the others were asked because of this one,
	 * at asked_ns; this one was asked because of others. */
	bool asked;
	int64_t asked_ns, told_ns;
	int64_t held_ns; /* ... it was not put out, as others were silent too */
	unsigned times; /* since day_ns it was put out so */
	int64_t day_ns, since_ns;
	struct loop_timer timer;
	struct pool_change change; /* its return */
};

void silent_init(struct pool *p);
/* The pool reads and writes as before without it. */
bool silent_is_spare(const struct pool *p, unsigned column);
/* By flight.c, of a member that is in use: true if it was put out just now. */
bool silent_look(struct pool *p, unsigned column);
/* One that is out has nothing under way any more: true if it was silent, and is
 * kept open to be brought back. */
bool silent_answered(struct pool *p, unsigned column);
/* It is not brought back by itself any more: this one; all, the pool ends. */
void silent_forget(struct pool *p, unsigned column);
void silent_stop(struct pool *p);

#endif
