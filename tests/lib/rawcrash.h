/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RAWCRASH_H
#define TESTS_RAWCRASH_H

#include "lib/rawlab.h"

/*
 * Power cuts at every moment of a recorded run.
 *
 * crash_begin records; crash_write and crash_sync are requests of which the
 * history takes note; crash_end stops when all are answered.  Then every commit
 * has its number, and what the pool may hold after a cut is known exactly: the
 * result of the commits up to some s, which is not less than what a SYNC had
 * answered before (G1, G2, G3).
 *
 * crash_check builds the disks of one moment, opens the pool, and requires that;
 * then again after a second cut while it opened or behind that (I3), and with
 * up to m members gone.
 */
#define CRASH_MAXOPS 256
#define CRASH_MAXITEMS 12
#define CRASH_MAXDOUBT 512

struct crash_op {
	struct lab_op *op; /* until it is answered */
	uint64_t seq;
	unsigned done; /* event */
	bool sync;
	uint64_t covers; /* of a sync */
	unsigned n, key[CRASH_MAXITEMS];
	struct lab_object obj[CRASH_MAXITEMS];
};

struct crash {
	struct lab *lab;
	struct simrec *rec;
	struct lab_object base[LAB_NKEYS]; /* when it began */
	struct crash_op op[CRASH_MAXOPS];
	unsigned nops, events;
	uint64_t done_seq; /* the highest that was answered so far */
	const char *where; /* for messages */

	/* How thorough. */
	unsigned subsets, tears; /* random ones, for each moment */
	bool tear_all;		 /* every cut of every write */
	unsigned skip; /* of so many states and one, one is looked at */
	bool recrash;
	bool lying;   /* a device lied: what was synced may be lost */
	uint32_t gone; /* members that are not given when it is opened */
	unsigned spoilt; /* members that count as lost though they are there */
	uint64_t *seen;
	unsigned nseen, room;
	/* Counts. */
	uint64_t states, torn, opened, degraded, refused;
};

void crash_begin(struct crash *c, struct lab *lab,
    const struct lab_object *base);
/* Returns at once; wait: until it is answered. */
struct crash_op *crash_write(struct crash *c, enum pool_op kind,
    const unsigned *key, const struct lab_object *obj, unsigned n, bool wait);
struct crash_op *crash_sync(struct crash *c, bool wait);
void crash_wait(struct crash *c, struct crash_op *o);
/* Waits for all, abandons the pool. */
void crash_end(struct crash *c);
/* The state after the commits up to s. */
void crash_state(
    const struct crash *c, uint64_t s, struct lab_object model[LAB_NKEYS]);
/* What had to survive at moment e. */
uint64_t crash_synced(const struct crash *c, unsigned e);

/* One state of the disks.  Leaves the pool closed; *s: what it recovered to. */
void crash_check(struct crash *c, unsigned e, const struct sim_fate *fate,
    unsigned ndoubt, uint64_t *s);
/* Every state that is to be looked at, for the moments from..to. */
void crash_check_all(struct crash *c, unsigned from, unsigned to);
void crash_free(struct crash *c); /* its recording, not c */

#endif
