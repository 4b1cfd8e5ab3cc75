/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_LOGREAD_H
#define RAW_LOGREAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * The log as an opening reads it: the chain of its records from the root on, and
 * what may lie behind its end.  Members that fail are passed over, with a line in
 * the log of the program.
 *
 * Waits by running the pool's loop.
 */
struct buf;
struct pool;
struct raw_record;

/* A place in the chain, to go on from. */
struct logread_place {
	uint64_t pos, seq;
	uint32_t prev_crc;
};

struct logread {
	struct pool *p;
	struct logread_place at; /* of the record that comes next */
	uint64_t durable; /* the highest seq that a record calls durable */
	/* private */
	struct buf *window;
	uint64_t window_pos; /* UINT64_MAX: nothing is there */
	struct logread_place *places; /* some of those gone by, ascending */
	size_t nplaces, room;
};

/* At the first record behind the root.  -ENOMEM. */
int logread_init(struct logread *c, struct pool *p);
void logread_fini(struct logread *c);
/* Back to that record of the chain, or to one before it. */
void logread_rewind(struct logread *c, uint64_t seq);
/*
 * The next record of the chain, from whatever member has it; its bytes are valid
 * until the next call.  1: there is one; 0: the chain ends here; -EIO: no member
 * could be read, so nobody knows (what is durable is on every member).
 */
int logread_next(
    struct logread *c, struct raw_record *r, const uint8_t **bytes);
/*
 * At the end of the chain: does any record that is good in itself know that the
 * missing one was durable?  Then c->durable says so.  -EIO: that can be read on
 * no member.
 */
int logread_behind(struct logread *c);

#endif
