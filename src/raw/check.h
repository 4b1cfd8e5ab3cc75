/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_CHECK_H
#define RAW_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "raw/geom.h"
#include "raw/scrub.h"

/*
 * Check: look at every structure of a pool and change nothing.  Opening it has
 * followed the log, read the index and seen that no two things share a place;
 * this looks at every copy of the superblock, then reads every fragment, parity
 * too.
 */
struct pool;

struct check_result {
	struct check_member {
		unsigned copies_damaged; /* superblocks, of RAW_NCOPIES */
		unsigned copies_old; /* a crash came between two updates */
		uint64_t fragments_damaged; /* wrong bytes */
		uint64_t fragments_unreadable;
	} member[RAW_MAX_MEMBERS];
	unsigned missing;	 /* members */
	uint64_t objects, bytes; /* raw, all members */
	uint64_t pages;		 /* of the index */
	uint64_t replayed;	 /* commits behind the checkpoint */
	uint64_t dropped;	 /* commits that a crash had torn */
	uint64_t lost;		 /* objects */
};

/* Of a pool that was opened read-only.  Runs its loop until it is done;
 * progress and lost of ops are called, done is not.  -EIO, -ENOMEM. */
int pool_check(struct pool *p, const struct scrub_ops *ops,
    struct check_result *r, struct err *e);

/* Nothing is damaged, lost or missing. */
bool check_is_clean(const struct pool *p, const struct check_result *r);

#endif
