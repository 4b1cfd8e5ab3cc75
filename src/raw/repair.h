/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_REPAIR_H
#define RAW_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

/*
 * Members of an open pool leave, come back, are replaced and rebuilt;
 * docs/raw.md, "Membership", has the states and the rules.  All of it on the
 * pool's loop, while the pool serves.
 *
 * What is rebuilt goes on by itself: also after the pool was closed, or has
 * crashed, and is opened again for writing.  A member that was missing and is
 * among the devices of an opening is brought back without being asked for, as is
 * one that was silent and has answered; one that was faulted or taken offline is
 * not.
 */
struct pool;
struct rdev;

/* A change of the membership, under way.  One at a time; more wait. */
struct pool_change {
	/* By the caller; borrowed until done. */
	void (*done)(struct pool_change *c); /* once, never inside the call */
	void *arg;
	/*
	 * The answer: 0, or with a sentence in err:
	 *  -EBUSY     it would leave too few members; or the device that the
	 *             member had still has not answered everything
	 *  -EALREADY  the member is in that state already
	 *  -EINVAL    the device is no member of this pool (online), is one
	 *             (replace), or was replaced
	 *  -ESTALE    it has had a life of its own since it left (online):
	 *             force gives that up
	 *  -ENOSPC    it is smaller than a member must be
	 *  -EROFS     the pool takes no writes
	 *  -EIO -ENOMEM ...
	 */
	int rc;
	struct err err;
	unsigned column; /* of the member that it is about */

	/* private */
	struct pool *pool;
	struct pool_change *next;
	void (*begin)(struct pool_change *c);
	struct rdev *dev;
	bool force;
	void *priv;
};

/*
 * The member that name means: the path of its device, its column as a number,
 * or its UUID in hexadecimal; a path that no member has means the one that is
 * not here, if exactly one is not.  -ENOENT with a sentence.
 */
int pool_member_find(const struct pool *p, const char *name, unsigned *column,
    struct err *e);

/* Make durable what it has, then take it out; its device is closed.  It stays
 * out until it is asked back.  force: also if the pool then takes no more
 * writes (never so that it could not be read). */
void pool_member_offline(
    struct pool *p, struct pool_change *c, unsigned column, bool force);

/*
 * Bring back the member that is on d: done when it takes part in writing again;
 * what it has missed is rebuilt then.  Takes d: if it is refused it is closed,
 * unchanged.  force: see -ESTALE.
 */
void pool_member_online(
    struct pool *p, struct pool_change *c, struct rdev *d, bool force);

/*
 * The same of one that is out for being silent, whose device is still open
 * here: now, and not when its time has come.  Refused, with a sentence, and c
 * is not under way: -EBUSY, it has not answered everything; -EALREADY, it is
 * being brought back.
 */
int pool_member_recall(struct pool *p, struct pool_change *c, unsigned column,
    struct err *e);

/*
 * Device d becomes the member of that column; the one that was it, here or not,
 * is none any more.  What is on d is lost: the caller has looked.  force: even
 * if it is another member of this pool, and if no writes are taken until it is
 * rebuilt.  Takes d, as online.
 */
void pool_member_replace(struct pool *p, struct pool_change *c,
    unsigned column, struct rdev *d, bool force);

/* How fast to rebuild.  Foreground goes first: while there is any, rebuilding
 * has `share` percent of the time. */
struct pool_rebuild_limits {
	uint64_t max_bytes_per_s; /* raw, read and written; 0: no limit */
	unsigned share;		  /* 1 to 100; 0: the usual 20 */
};
void pool_rebuild_limit(struct pool *p, const struct pool_rebuild_limits *l);

/* Somebody who waits until nothing is rebuilt any more: rc 0, or why it has
 * stopped (a further member was lost, the pool takes no writes).  On a later
 * turn.  pool_rebuild_unwait: no more interest. */
struct pool_rebuild_wait {
	void (*done)(struct pool_rebuild_wait *w, int rc);
	void *arg;
	struct pool_rebuild_wait *next; /* private */
};
void pool_rebuild_wait(struct pool *p, struct pool_rebuild_wait *w);
void pool_rebuild_unwait(struct pool *p, struct pool_rebuild_wait *w);

/* What has happened to members, the newest last: also in the program's log. */
#define POOL_EVENTS 64
struct pool_event {
	int64_t wall_ns;
	int column;       /* -1: the whole pool */
	char device[128]; /* the member's path then: its column may have
	                     another one now; the end of a longer one */
	char text[200];
};
/* At most max of the newest; how many. */
unsigned pool_get_events(
    const struct pool *p, struct pool_event *out, unsigned max);

#endif
