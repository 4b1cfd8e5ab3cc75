/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_POOL_INT_H
#define RAW_POOL_INT_H

/*
 * Inside of a pool, shared by the files that make it up:
 *
 *   pool.c     create, dispatch
 *   life.c     open, close
 *   xio.c      one extent: write its columns, read and verify them
 *   write.c    PUT, DELETE, BATCH
 *   read.c     GET
 *   log.c      records, flush, durability, when freed space is free
 *   ckpt.c     checkpoints
 *   recover.c  opening: superblocks, index, space
 *   replay.c   opening: the log; logread.c reads it, tail.c its last commits
 *   member.c   members that fail
 *   super.c    superblock updates
 *   flight.c   requests to members: late and hedged reads
 *   silent.c   members that do not answer: when they go, when they are back
 *   quorum.c   which devices are members, and are they enough
 *   repair.c   members that leave, come back, are replaced
 *   rebuild.c  what such a member misses
 *   move.c     objects leave bad sectors
 *   discard.c  free space goes back to the devices
 *   status.c   what it says about itself
 */
#include "base/strbuf.h"
#include "raw/flight.h"
#include "raw/member.h"
#include "raw/pool.h"
#include "raw/rdev.h"
#include "raw/repair.h"
#include "raw/silent.h"

struct alloc;
struct discard;
struct ec;
struct index;
struct mover;
struct pool_write;
struct rebuild;

struct member {
	struct rdev *dev; /* NULL: missing */
	char *path;	  /* of the last device that it had here, or NULL */
	/* Opening: it missed something, and is rebuilt when it serves. */
	struct rdev *returning;
	uint64_t read_errors, write_errors, checksum_errors, repaired;
	uint64_t discarded;
	/* One device may have many requests of ours in flight when it fails;
	 * each failure is reported, the first one acts.  dev stays until all
	 * of them have come home. */
	bool failed;
	int failed_rc; /* why, if it was an error of the device; else 0 */
	bool failed_early; /* ... before the others could be told */
	struct loop_task close_task;
	int64_t hour_ns; /* when the counting of hour_errors began */
	unsigned hour_errors, row_errors, bad_rewrites;
	bool erring;
	bool full; /* writes to it wait for room on its file system */
	struct flights flights;
	struct silence silence;
};

/* A superblock under way to one member. */
struct super_write {
	struct rdev_req req;
	struct iovec iov;
	struct pool *pool;
	unsigned column;
};

/* Space that a commit has freed, until it may be used again (I1). */
struct freed {
	struct list link;
	uint64_t seq;	/* when this commit is durable */
	uint64_t stamp; /* and no read that began before is left */
	uint64_t addr;
	uint32_t n;
};

/* A read under way keeps what was freed after it began. */
struct pin {
	struct list link;
	uint64_t stamp;
};

/* Puts and deletes that go out in one record. */
struct batch {
	uint64_t seq;
	struct strbuf items; /* encoded */
	uint32_t nitems;
	uint64_t bytes; /* written for it, data and record */
	struct list writes; /* of struct pool_write */
};

/* A record or a flush under way to one member. */
struct log_write {
	struct rdev_req req;
	struct iovec iov;
	struct pool *pool;
	unsigned column;
};

struct ckpt;

/* Objects at the end of the log that are not whole (tail.c); only while a
 * pool is opened. */
struct recover_tail {
	struct recover_damaged {
		char *key;
		uint64_t seq;
		bool lost;   /* not only damaged */
		bool unread; /* ... but may be there, if it could be read */
	} *d;
	size_t n, room, nlost;
};

struct pool {
	struct loop *loop;
	struct raw_super super; /* as it is on the members */
	unsigned k, m, n;
	struct member member[RAW_MAX_MEMBERS];
	struct ec *ec;
	struct alloc *alloc;
	struct index *index;
	bool read_only;
	bool reading_only; /* it was opened so */
	bool opened;	   /* its devices are its own */
	bool in_service;   /* what happens to members is told to the others */
	bool write_at_risk; /* takes writes with no redundancy left */
	bool stopped;	/* it was not opened so: something has failed */
	struct err why;
	uint64_t replayed, dropped; /* commits, when it was opened */
	struct recover_tail recover_tail;
	bool uneven; /* at opening: not all superblocks are the best one */

	/* Log. */
	uint64_t next_seq;    /* of the open batch */
	uint64_t pos;	      /* where the next record goes */
	uint64_t tail;	      /* what lies before is not needed */
	uint32_t prev_crc;
	uint64_t written_seq; /* records up to here are written */
	uint64_t durable_seq; /* and flushed */
	uint64_t unflushed;   /* bytes written since the last flush began */
	uint64_t marked_seq;  /* durable_seq in the last record */
	struct batch open, flying;
	bool batch_flying;
	uint64_t known_durable; /* at opening: as far as all then online had it */
	struct buf *record; /* memory of the record in flight */
	unsigned record_pending;
	struct log_write log_write[RAW_MAX_MEMBERS][2];
	struct loop_task kick;
	struct list syncs;    /* of pool_req, for the next flush */
	struct list flushing; /* ... for the one under way */
	bool flush_flying;
	unsigned flush_pending;
	uint64_t flush_seq; /* it makes durable up to here */
	struct log_write flush_write[RAW_MAX_MEMBERS];
	struct loop_task flush_task;
	struct loop_timer idle; /* for the marker of durable_seq */

	struct list freed; /* of struct freed, by seq */
	struct list pins;  /* of struct pin, by stamp */
	uint64_t stamp;
	uint64_t freed_sectors;
	struct list waiting; /* of pool_write, for space or a record */

	struct ckpt *ckpt; /* NULL: none is running */
	size_t zone_pages; /* of the index and one, when its zone was set */
	bool frozen;	   /* no record is sealed */
	bool ckpt_failed;  /* the last one; its timer tries again, soon */
	struct loop_task ckpt_task;
	struct loop_timer ckpt_timer;
	/* Extents of the root that the superblocks name. */
	struct raw_ref *roots;
	size_t nroots;

	struct mover *mover; /* NULL: nothing was bad so far */
	uint64_t moved, unmoved; /* objects on bad places */

	unsigned scrubbing; /* scrubs under way */
	unsigned requests; /* under way, of all kinds */
	/* Membership is being changed: nothing is acknowledged (I5). */
	bool gate;
	bool epoch_stale;  /* another member failed meanwhile */
	struct list gated; /* of pool_req */
	struct super_update epoch_update;
	unsigned epoch_online; /* members with everything, as durably known */
	uint64_t top_epoch;    /* at opening: of all devices */

	struct discard *discard; /* NULL: it is off */

	/* Time-outs: see flight.c. */
	int64_t window_ns;
	/* The time that has passed while we ran, as of looked_ns. */
	int64_t ran_ns, looked_ns;
	struct loop_timer tick;
	struct loop_task tick_task; /* ... its timer could not be set */
	struct list starved; /* of flight: there was no memory */

	/* Changes asked for (repair.c), the first is under way; and what
	 * members miss. */
	struct pool_change *changes;
	struct loop_task change_task;
	struct rebuild *rebuild; /* NULL: nothing to do */
	struct pool_rebuild_limits limits;
	struct pool_rebuild_wait *rebuild_waiters;
	struct loop_task rebuild_told;
	int rebuild_rc;
	uint64_t rebuild_lost; /* objects, of the last one */
	int64_t asked_ns;      /* the last request from outside */

	struct pool_event event[POOL_EVENTS];
	uint64_t nevents;

	/* Superblock updates: a queue, the first is under way. */
	struct super_update *updates;
	unsigned super_step, super_pending;
	struct loop_task super_task;
	struct buf *super_bytes; /* n * RAW_NCOPIES sectors */
	struct super_write super_write[RAW_MAX_MEMBERS][RAW_NCOPIES];
};

unsigned pool_online(const struct pool *p);
/* ... those of them that have everything. */
unsigned pool_whole_members(const struct pool *p);
/* The member of a column can be used. */
struct rdev *pool_dev(const struct pool *p, unsigned column);
/* ... for reading: not while it is rebuilt. */
bool pool_readable(const struct pool *p, unsigned column);
/* Answer a request, now or when the gate opens. */
void pool_finish(struct pool *p, struct pool_req *r, int rc);
/* The same on a later turn, with a sentence for rc if r has none. */
void pool_fail_later(struct pool *p, struct pool_req *r, int rc);
/* No redundancy is left, and so no writes are taken for now. */
bool pool_at_risk(const struct pool *p);
/* No more writes, for this reason. */
void pool_stop_writes(struct pool *p, const struct err *why);

#endif
