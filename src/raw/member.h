/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_MEMBER_H
#define RAW_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "raw/format.h"

/*
 * Members that fail, and updates of the superblock.
 *
 * A member that does not take a write or a flush is out at once: what it has is
 * not known any more.  So is one that rewrites wrongly, and one that does not
 * answer (silent.h).  The others are told durably, in a new epoch, before anything further is
 * acknowledged (I5).  One that cannot be read here and there, or gives wrong
 * bytes, is counted and repaired; it is suspect, and out at three times that,
 * after MEMBER_HOUR_ERRORS in an hour or MEMBER_ROW_ERRORS in a row.
 */
struct pool;

#define MEMBER_HOUR_ERRORS 50
#define MEMBER_ROW_ERRORS 10
#define MEMBER_BAD_REWRITES 16
#define MEMBER_SAID_ERRORS 5 /* of an hour's are logged */

/* A write or flush failed: out.  what: "write", "flush". */
void member_failed(struct pool *p, unsigned column, const char *what,
    uint64_t off, int rc);
/* By flight.c: a write to one that is needed waits for room there; it has found
 * some. */
void member_room(struct pool *p, unsigned column, bool room);
/* The error says that the file system an image file is on is full. */
bool member_no_space(int rc);
void member_unreadable(struct pool *p, unsigned column, uint64_t off, int rc);
void member_damaged(struct pool *p, unsigned column, uint64_t off);
/* A fragment was read and is good: no errors in a row any more. */
void member_read_well(struct pool *p, unsigned column);
/* What was just written reads back otherwise. */
void member_lies(struct pool *p, unsigned column, uint64_t off);
/* What is damaged on it could not be rewritten. */
void member_not_rewritten(
    struct pool *p, unsigned column, uint64_t off, int rc);
/* By flight.c: nothing came for so long; it answers again; its latency. */
void member_suspect(struct pool *p, unsigned column, int64_t age_ns);
void member_answers(struct pool *p, unsigned column);
void member_slow(
    struct pool *p, unsigned column, uint64_t p99_ns, uint64_t peers_ns);
/* The last request to one that is out has come home: its device is closed, or
 * it was only silent. */
void member_idle(struct pool *p, unsigned column);

/* Everything can be read without it. */
bool member_is_spare(const struct pool *p, unsigned column);
/*
 * Out, with this state; the epoch grows, and the gate is shut until all others
 * know it.  whole: what was durable is whole on it (it left in good order).
 */
void member_take_out(struct pool *p, unsigned column,
    enum raw_member_state state, bool whole);

/* One that is out: from now on it is so for another reason. */
void member_restate(
    struct pool *p, unsigned column, enum raw_member_state state);

/* A line in the log, and in the events of the pool (column -1: of all). */
enum member_tone { MEMBER_GOOD, MEMBER_WARN, MEMBER_BAD };
__attribute__((format(printf, 4, 5))) void member_event(struct pool *p,
    int column, enum member_tone tone, const char *fmt, ...);

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
