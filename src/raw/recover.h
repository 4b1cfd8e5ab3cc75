/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_RECOVER_H
#define RAW_RECOVER_H

#include <stdbool.h>

/*
 * Opening a pool: which devices are members, what the index says, and what the
 * log adds.  recover.c has the order of things.  All of it reads only (G6),
 * runs the loop until it is done, and reports in sentences.
 */
#include "raw/xio.h"

struct err;
struct pool;
struct raw_extent;
struct rdev;

/* Read the superblocks of devs; fill in p->super and the members' devices
 * (`returning` for those that have to be brought up to date first).  Devices
 * that are not used are left in devs; the others are set to NULL there. */
int recover_members(struct pool *p, struct rdev **devs, unsigned n,
    bool force_degraded, struct err *e);
/* Root and leaf pages into p->index, and p->roots. */
int recover_index(struct pool *p, struct err *e);
/*
 * Apply the log to the index.  Sets the pool's place in the log behind the last
 * good record.  A torn end is dropped, with a line in the log of the program;
 * damage to what was durable is -EBADMSG: then nothing may be written.
 */
int recover_log(struct pool *p, struct err *e);
/*
 * Objects of the last commits that can be read, but not from all members that
 * are here: written again where they are damaged.  To be called when the pool
 * may write, before the verdict is made durable: afterwards nothing tells these
 * objects from others, and they could not bear the loss of m members (G1).
 */
int recover_mend(struct pool *p, struct err *e);
void recover_tail_fini(struct pool *p);
/* Mark what the index and the roots use.  -EBADMSG: two use the same. */
int recover_space(struct pool *p, struct err *e);

/* Run the loop until an xio has ended. */
struct recover_wait {
	struct xio xio;
	bool done;
};
struct recover_wait *recover_wait_new(void); /* for free(); NULL: no memory */
/* rc: of what began w->xio; then it has not begun, and this is returned. */
int recover_wait(struct pool *p, struct recover_wait *w, int rc);

/* An extent lies within the data space. */
bool recover_fits(const struct pool *p, const struct raw_extent *x);

#endif
