/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_MEMBER_H
#define RAW_MEMBER_H

#include <stdint.h>

#include "base/err.h"

/*
 * Members that fail, and updates of the superblock.
 *
 * A member that does not take a write or a flush is out at once: what it has is
 * not known any more.  The others are told durably, in a new epoch, before
 * anything further is acknowledged (I5).  One that cannot be read here and
 * there, or gives wrong bytes, is counted and repaired; it is out after
 * MEMBER_MAX_ERRORS in an hour.
 */
struct pool;

#define MEMBER_MAX_ERRORS 50
#define MEMBER_SAID_ERRORS 5 /* of them are logged */

/* A write or flush failed: out.  what: "write", "flush". */
void member_failed(struct pool *p, unsigned column, const char *what,
    uint64_t off, int rc);
void member_unreadable(struct pool *p, unsigned column, uint64_t off, int rc);
void member_damaged(struct pool *p, unsigned column, uint64_t off);

/*
 * Write p->super to all members that are online: A copies, flush, B copies,
 * flush; done runs on a later turn.  One at a time; while one is under way a
 * further one waits for it.  Members that fail meanwhile are taken out, and it
 * begins again.  rc: -EIO when no member is left.
 */
struct super_update {
	void (*done)(struct super_update *u, int rc);
	void *arg;
	/* private */
	struct super_update *next;
};
void member_update_supers(struct pool *p, struct super_update *u);

#endif
