/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LIMIT_H
#define STORE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A filter: at most so many requests in flight, the most urgent first, and
 * fewer when the store says that it is busy.
 *
 *  L1. At most max requests are in flight below.
 *  L2. Requests of a less urgent class leave slots for the more urgent ones:
 *      writes take at most 3/4 of all, read-ahead and background together 1/2,
 *      background 1/4 (each at least one).  Reads leave 1/8 to writes, and of
 *      less than 8 slots one to a write that waits, so that neither starves the
 *      other; of one slot both have it in turns.
 *  L3. Within a class the order is that of arrival.
 *  L4. An answer -EAGAIN (SlowDown) halves the number of slots, at most once
 *      in a second; each full round of successes gives one back.
 *  L5. A request's time begins when it gets its slot: its start_ns is then,
 *      and its deadline is no later than try_ns (and a second for each MiB)
 *      after.  One whose deadline passes in the queue ends with -ETIMEDOUT
 *      when its turn comes.
 *  L6. If asked to: while reads are in flight there are only as many writes and
 *      background requests as do not make reads much longer than a few of them
 *      do (Y1 to Y3 in yield.h).
 */
struct err;
struct stat_set;
struct store;

struct limit_config {
	unsigned max;	/* 0: 256, or what below's info says */
	int64_t try_ns; /* 0: no limit */
	struct stat_set *stats; /* borrowed; or NULL */
	bool yields;	/* L6 */
};

struct limit_state { /* for stats and tests */
	unsigned max, slots, inflight;
	unsigned queued[4];
	uint64_t slowdowns; /* times the slots were halved */
};

/* Takes below, also on failure. */
int limit_store_new(struct store *below, const struct limit_config *c,
    struct store **out, struct err *e);
void limit_store_state(const struct store *s, struct limit_state *st);

#endif
