/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_QUORUM_H
#define RAW_QUORUM_H

#include <stdbool.h>

/*
 * Which devices are members, and are they enough: docs/raw.md, "Membership".
 * A pure function of the superblocks, so that it can be tried with all of them.
 */
struct err;
struct raw_super;

enum quorum_role {
	QUORUM_CURRENT,	   /* has everything */
	QUORUM_REBUILDING, /* has the log, and of the data some */
	QUORUM_STALE,	   /* was away: what it has is old */
	QUORUM_REPLACED	   /* is no member any more */
};

struct quorum_device {
	const char *path;
	const struct raw_super *super; /* the best copy on it */
	/* The answer. */
	enum quorum_role role;
	unsigned column; /* unless QUORUM_REPLACED */
};

/*
 * devs are of one pool, and none is a copy of another.  *best: whose superblock
 * says how things are.  Errors, with a sentence:
 *  -ESTALE  they have had two lives, one without the other
 *  -ENODEV  too few members
 */
int quorum_decide(struct quorum_device *devs, unsigned n, bool read_only,
    bool force, unsigned *best, struct err *e);

/* An epoch that no opening without force comes to (see quorum.c). */
#define QUORUM_FORCED_EPOCHS 65536

/* The superblock on a device that comes back to a pool which is in use, whose
 * superblock is pool: has it had a life of its own since it left? */
bool quorum_diverged(
    const struct raw_super *pool, const struct raw_super *device);

#endif
