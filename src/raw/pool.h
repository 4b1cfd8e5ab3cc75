/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_POOL_H
#define RAW_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"
#include "raw/format.h"

/*
 * A pool: the raw-device store itself.  docs/raw.md has its promises (G1-G8)
 * and how they are kept.  Everything runs on one loop; the opening functions
 * run it until they are done.
 */
struct buf;
struct pool;
struct rdev;

enum pool_op { POOL_PUT, POOL_GET, POOL_DELETE, POOL_BATCH, POOL_SYNC };

struct pool_item { /* of a BATCH; also the one of PUT and DELETE */
	bool del;
	const char *key;
	const uint8_t *data; /* PUT: aligned to RAW_SECTOR */
	uint64_t size;
	const uint8_t *meta; /* pairs, each string ended by NUL; or NULL */
	uint16_t meta_len;
};

struct pool_req {
	/* By the caller; borrowed until done. */
	enum pool_op op;
	struct pool_item *items; /* PUT, DELETE: one; BATCH: nitems */
	unsigned nitems;
	bool if_absent; /* PUT: -EEXIST if the key is there */
	/* PUT: not 0: -ESTALE unless the key is there, put by this commit, and
	 * nobody is writing it. */
	uint64_t if_seq;
	/* GET: of items[0].key; the range, which lies in the object (len 0:
	 * all of it); the bytes go to dst, which has room for dst_cap. */
	uint64_t off, len;
	uint8_t *dst;
	size_t dst_cap;
	bool head; /* GET: size, seq and metadata only */
	void (*done)(struct pool_req *r); /* once, never inside submit */
	void *arg;

	/*
	 * The answer: 0, -ENOENT, -EEXIST, -ENOSPC (G7), -EMSGSIZE (GET: larger
	 * than dst_cap; BATCH: more than one log record holds), -ERANGE, -EIO
	 * (verified data cannot be had, G4), -EROFS (too few members; -ENOSPC if
	 * they are on file systems that are full), -ENOMEM.
	 */
	int rc;
	struct err err;
	uint64_t size, seq; /* GET; PUT: the commit */
	uint32_t sum;	    /* as seq; raw_object_sum */
	uint8_t meta[RAW_META_MAX];
	uint16_t meta_len;

	/* private */
	struct pool *pool;
	struct list link;
	struct loop_task task;
	void *priv;
};

void pool_submit(struct pool *p, struct pool_req *r);

struct pool_create_params {
	unsigned k, m;
	const char *name; /* at most RAW_NAME_MAX bytes */
	uint64_t log_bytes; /* 0: by size */
};

/* Write a new, empty pool over the devices, k + m of them, by column.  What
 * was on them is lost: the caller has looked. */
int pool_create(struct rdev *const *devs, unsigned n,
    const struct pool_create_params *p, struct err *e);

enum pool_discard {
	POOL_DISCARD_AUTO, /* block devices, and image files with holes */
	POOL_DISCARD_OFF,
	POOL_DISCARD_ON
};

struct pool_open_params {
	bool read_only;	      /* writes nothing at all */
	/* Go on with fewer members than is safe: others may have newer data,
	 * which is given up; and take writes with no redundancy left. */
	bool force_degraded;
	enum pool_discard discard; /* of space that is free */
};

/*
 * Open the pool that the devices belong to, in any order; members may be
 * missing as the profile allows.  Takes the devices when it succeeds (a missing
 * one's is closed).  On failure they stay the caller's, unchanged (G6).
 */
int pool_open(struct loop *l, struct rdev **devs, unsigned n,
    const struct pool_open_params *p, struct pool **out, struct err *e);

/* Make all durable, write a checkpoint, close.  p is gone in any case. */
int pool_close(struct pool *p, struct err *e);
/* Close as a power cut would: nothing is written. */
void pool_abandon(struct pool *p);

/* Is there an object of this key?  Its extents are not filled in. */
bool pool_find(struct pool *p, const char *key, struct raw_object *o);
/* Keys in order, for LIST.  1: *o is filled in (without its extents) and key
 * is overwritten with the next greater key; 0: no more. */
int pool_next(struct pool *p, char key[RAW_KEY_MAX + 1], struct raw_object *o);

/* How the pool is, from best to worst. */
enum pool_health {
	POOL_WHOLE,	 /* any m members may be lost */
	POOL_REBUILDING, /* not yet, but what is missing is being rebuilt */
	POOL_DEGRADED,	 /* fewer than m may be lost, and nothing changes that */
	POOL_AT_RISK,	 /* none may be lost; with m >= 2 no writes are taken */
	POOL_FAILED	 /* too few members are left to read everything */
};
const char *pool_health_word(enum pool_health h); /* "whole", "degraded" ... */

struct pool_status {
	unsigned k, m;
	uint8_t uuid[16];
	char name[RAW_NAME_MAX + 1];
	uint64_t epoch, seq, durable_seq, objects;
	uint64_t data_bytes;  /* raw space for data, all members */
	uint64_t free_bytes;  /* raw */
	uint64_t usable_bytes; /* what objects can have of it, about */
	size_t index_bytes;   /* memory */
	bool read_only;
	char why[ERR_TEXT_MAX]; /* it is read-only, or "" */
	enum pool_health health;
	unsigned online;     /* members that have everything */
	unsigned rebuilding; /* ... that get what they miss */

	struct { /* of all members that are rebuilt, in one pass */
		bool active;
		uint64_t objects_done, objects_total;
		uint64_t bytes_done, bytes_total; /* raw, of what was looked at */
		uint64_t bytes_written; /* to the members */
		uint64_t bytes_per_s;	/* of bytes_done, lately */
		uint64_t lost; /* objects that could not be rebuilt */
	} rebuild;

	struct pool_member_status {
		char path[256]; /* the last that it had here, or "" */
		bool here;	/* its device is in use */
		uint8_t uuid[16];
		enum raw_member_state state;
		bool silent;  /* out for that; comes back when it answers */
		bool suspect; /* does not answer, or errs often */
		bool slow;    /* next to the others */
		uint64_t bytes, read_errors, write_errors, checksum_errors,
		    repaired, timeouts,
		    hedged; /* reads that did not wait for it */
		uint64_t discarded_bytes;
		uint64_t read_p99_ns; /* lately; 0: too few */
		unsigned inflight;
	} member[RAW_MAX_MEMBERS];
};
void pool_get_status(const struct pool *p, struct pool_status *s);

#endif
