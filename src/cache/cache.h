/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "journal/journal.h"
#include "loop/loop.h"

/*
 * The block cache: block states, write-back, read-ahead, and the barrier.
 *
 *  C1. A read sees every write that was acknowledged before it was submitted.
 *  C2. A partial write never waits for a GET (unless it begins or ends inside
 *      a sector of 512 bytes that is not here).
 *  C3. Never two uploads of one block in flight; an upload is not aborted by a
 *      new write; what was written meanwhile goes out with the next one.
 *  C4. FLUSH completes with 0 only when every write and zeroing that was
 *      acknowledged before it was submitted is durable: in the journal where
 *      there is one, else in the store.  DRAIN: in the store; uploads in
 *      flight are waited for.
 *  C5. A write whose upload failed stays here, dirty, and is tried again; each
 *      FLUSH fails until it is safe.
 *  C6. Memory stays within the configured size: clean data is dropped,
 *      writers are slowed smoothly, and then wait.
 *  C7. A reader that somebody waits for goes before write-back, write-back
 *      before read-ahead.
 *
 * Everything runs on the loop of the layout's store.
 */
struct buf;
struct cache;
struct layout;
struct stat_set;

enum cache_op {
	CACHE_READ,
	CACHE_WRITE,
	CACHE_LOGGED, /* a WRITE of an earlier run, whose bytes the journal has */
	CACHE_ZERO, /* the range reads as zeros; whole blocks are erased */
	CACHE_FLUSH,
	CACHE_DRAIN
};

/* READ, WRITE, LOGGED: a range of one block.  ZERO: may cover many blocks. */
struct cache_req {
	/* By the caller; borrowed until done. */
	enum cache_op op;
	uint64_t block;
	uint32_t off; /* bytes, any alignment */
	uint64_t len;
	const void *src; /* WRITE: len bytes, borrowed until done */
	uint64_t stream; /* READ: who reads (file handle), for read-ahead */
	bool cont;	 /* READ: a further part of what the reader asked
			  * for, not a decision of its own */
	/* LOGGED: this operation of the journal, which is durable in it; ZERO:
	 * the same, or 0: a new one.  In order, before cache_replayed.  LOGGED in
	 * whole sectors. */
	uint64_t replay;
	void (*done)(struct cache_req *r); /* once, never inside submit */
	void *arg;

	/* The answer. */
	int rc;
	struct err err;
	/* READ: len bytes at data, which stay as they are until
	 * cache_req_fini; buf holds them (NULL: static zeros). */
	const uint8_t *data;
	struct buf *buf;

	/* private */
	struct cache *cache;
	struct loop_task task;
	struct list link;
	struct journal_wait logged; /* FLUSH */
	uint64_t seq;
	int64_t start_ns;
	uint64_t nwait;
	uint8_t phase;
	bool admitted;
};

void cache_submit(struct cache *c, struct cache_req *r);
void cache_req_fini(struct cache_req *r); /* drops buf */

/* With a journal dirty data that it has flushed may leave memory: dirty_max is
 * for what is in memory, and the journal's size bounds all of it. */
struct cache_params {
	uint64_t size;	    /* bytes of block data in memory; 0: 256 MiB */
	uint64_t dirty_max; /* bytes of it; 0: three quarters of size */
	/* A dirty block waits at most so long for more, if nothing presses; < 0:
	 * a minute with a journal, else 5 s. */
	int64_t write_delay_ns;
	unsigned uploads;   /* at once; 0: 64 */
	unsigned readahead; /* bytes ahead at most, per stream; 0: adaptive
			     * up to a quarter of size; 1: none */
	int64_t error_deadline_ns; /* with uploads failing for so long, writes
				    * that would have to wait fail (-EIO);
				    * for lack of space at once (-ENOSPC) */
	struct journal *journal; /* borrowed, outlives the cache; or NULL */
};
void cache_params_init(struct cache_params *p);

/* l and stats are borrowed and outlive the cache; loop is that of l's store. */
int cache_open(struct layout *l, struct loop *loop,
    const struct cache_params *p, struct stat_set *stats, struct cache **out,
    struct err *e);

struct cache_status {
	uint64_t dirty_bytes, clean_bytes, memory_bytes;
	uint64_t spilled_bytes; /* of the dirty ones: in the journal only */
	uint64_t dirty_blocks, uploading_blocks;
	int64_t oldest_dirty_ns; /* age; 0: nothing is dirty */
	uint64_t upload_bytes_per_s; /* when it was last measured; 0: never */
	int rc;			 /* of the last upload that failed, if data of
				  * it is not safe yet; else 0 */
	struct err err;
};
void cache_get_status(const struct cache *c, struct cache_status *s);

/* The static zeros that data points to where buf is NULL: *len bytes, at least
 * a block and at least 1 MiB, so that neighbours can be sent as one. */
const uint8_t *cache_zeros(const struct cache *c, size_t *len);

/* How many blocks the READs may be of that are in flight or hold their data;
 * beyond that they may fail with -ENOMEM. */
uint64_t cache_max_reading(const struct cache *c);

/* The first block >= from that holds data (does not), what is dirty counted
 * in; the number of blocks if there is none. */
uint64_t cache_seek(struct cache *c, uint64_t from, bool data);
/* Dirty blocks that have no object yet. */
uint64_t cache_count_fresh(const struct cache *c);

/* All operations that the journal had when it was opened have been applied
 * (replay): from now on new ones follow.  Until then nothing is uploaded, but to
 * make room. */
void cache_replayed(struct cache *c);

/*
 * Is there a journal that works?  Then *next is the number that the next
 * operation will have, and those below *written would outlive this process: they
 * have been written to the journal, flushed or not.
 */
bool cache_logged(const struct cache *c, uint64_t *next, uint64_t *written);
/* failed is called when that is no longer so, before anything else happens to
 * the journal or the store; once.  NULL: nobody wants to know any more. */
void cache_watch_journal(struct cache *c, void (*failed)(void *arg), void *arg);

/* Drop the data of every block that is not dirty (a fresh look at the
 * store). */
void cache_drop_clean(struct cache *c);

/* No request in flight.  Dirty data is given up: flush first.  Accepts NULL. */
void cache_free(struct cache *c);

#endif
