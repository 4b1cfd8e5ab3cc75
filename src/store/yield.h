/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_YIELD_H
#define STORE_YIELD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many writes may be in flight while somebody reads.  Pure: the caller
 * tells what happens, and when.
 *
 *  Y1. While nobody reads, or a while after, as many as there are.
 *  Y2. While somebody reads, at least YIELD_MIN, and half as many as there are
 *	reads in flight, read-ahead included: so readers slow writers down but
 *	never stop them.
 *  Y3. Between the two as many as make a read at most 2/5 longer than it is
 *	beside YIELD_MIN writes; what is too much is tried less and less often.
 */
#define YIELD_MIN 1
#define YIELD_ROUND 32

struct yield {
	unsigned max;	   /* while somebody reads */
	unsigned grow;	   /* times so many after a good round */
	unsigned before;   /* max, before the last step up was tried; or 0 */
	bool doubt;	   /* the last round was too long, without a step */
	unsigned patience; /* rounds between two steps up, ... */
	unsigned wait;	   /* ... that are left */
	unsigned slots;	   /* the most there can be */
	int64_t base_ns;   /* a read beside few writes; 0: not known */
	int64_t last_ns;   /* when the last read ended; 0: none has */
	int64_t since_ns;  /* a read that began before says nothing */
	unsigned n;	   /* reads of the round, ... */
	int64_t took_ns[YIELD_ROUND]; /* ... the shortest first */
	unsigned reading;  /* in flight */
};

void yield_init(struct yield *y, unsigned slots);
/* A read begins or has ended; others: writes in flight; ahead: read-ahead. */
void yield_read_begins(struct yield *y, int64_t now_ns, unsigned others,
    unsigned ahead);
void yield_read_ended(struct yield *y, int64_t now_ns, int64_t began_ns,
    unsigned others);
/* How many writes may be in flight. */
unsigned yield_max(const struct yield *y, int64_t now_ns, unsigned ahead);

#endif
