/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_POOL_INT_H
#define RAW_POOL_INT_H

/*
 * Inside of a pool, shared by the files that make it up:
 *
 *   pool.c     create, open, close, dispatch
 *   xio.c      one extent: write its columns, read and verify them
 *   write.c    PUT, DELETE, BATCH
 *   read.c     GET
 *   log.c      records, flush, durability, when freed space is free
 *   ckpt.c     checkpoints
 *   recover.c  superblocks at opening, replay of the log
 *   member.c   members that fail; superblock updates
 */
#include "base/strbuf.h"
#include "raw/member.h"
#include "raw/pool.h"
#include "raw/rdev.h"

struct alloc;
struct ec;
struct index;
struct pool_write;

struct member {
	struct rdev *dev; /* NULL: missing */
	uint64_t read_errors, write_errors, checksum_errors, repaired;
	/* One device may have many requests of ours in flight when it fails;
	 * each failure is reported, the first one acts. */
	bool failed;
	int64_t hour_ns; /* when the counting of hour_errors began */
	unsigned hour_errors;
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

/* Objects at the end of the log that are not whole (replay.c); only while a
 * pool is opened. */
struct recover_tail {
	struct recover_damaged {
		char *key;
		uint64_t seq;
		bool lost; /* not only damaged */
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
	bool stopped;	/* it was not opened so: something has failed */
	struct err why;
	uint64_t replayed, dropped; /* commits, when it was opened */
	struct recover_tail recover_tail;

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
	uint8_t *record; /* memory of the record in flight */
	size_t record_cap;
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
	bool ckpt_failed;  /* the last one */
	struct loop_task ckpt_task;
	struct loop_timer ckpt_timer;
	/* Extents of the root that the superblocks name. */
	struct raw_ref *roots;
	size_t nroots;

	unsigned scrubbing; /* scrubs under way */
	unsigned requests; /* under way, of all kinds */
	/* Membership is being changed: nothing is acknowledged (I5). */
	bool gate;
	bool epoch_stale;  /* another member failed meanwhile */
	struct list gated; /* of pool_req */
	struct super_update epoch_update;

	/* Superblock updates: a queue, the first is under way. */
	struct super_update *updates;
	unsigned super_step, super_pending;
	struct loop_task super_task;
	uint8_t *super_bytes; /* n * RAW_NCOPIES sectors */
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
/* No more writes, for this reason. */
void pool_stop_writes(struct pool *p, const struct err *why);

#endif
