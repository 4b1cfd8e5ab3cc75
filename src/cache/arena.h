/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_ARENA_H
#define CACHE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "cache/bits.h"
#include "loop/loop.h"
#include "loop/work.h"

/*
 * The memory of the cache: slots of one block of address space each, which
 * cost only the pages of theirs that were held.
 *
 * A slot is a struct buf (its first member) with data of one block.  It is
 * shared by buf_ref and given back by the last buf_unref, on any thread;
 * everything else happens on the loop.
 */
#define ARENA_PAGE 4096u
#define SECTOR 512u

struct arena;

struct slot {
	struct buf buf; /* first: a slot is cast from its buf */
	struct arena *arena;
	struct slot *next;     /* in a list of free slots */
	struct loop_task task; /* comes home from another thread */
	struct list link;      /* present: on reserve.present */
	bool present;	       /* costs all of its pages, held or not */
	uint32_t npages;       /* that it costs */
	uint64_t held[];       /* one bit per page */
};

/* reserve.c */
#define RESERVE_BATCH 32u
struct reserve {
	struct work_pool *pool;
	unsigned max;	    /* free ones; 0: none are made */
	uint64_t pages_max; /* of the arena, beyond which none are made */
	void (*filled)(struct arena *a);
	struct slot *ready; /* free, all pages there, all zeros */
	unsigned nready;
	struct list present; /* slots in use, the first taken first */
	bool filling;	    /* batch is being touched */
	bool failed;
	struct work work;
	struct slot *batch[RESERVE_BATCH];
	unsigned nbatch;
};

struct arena {
	struct loop *loop;
	uint32_t block_size;
	uint32_t nslots;
	/* Called on the loop when memory has come free. */
	void (*freed)(struct arena *a);

	uint8_t *mem;	      /* nslots * block_size of address space */
	uint8_t *zeros;	      /* a block, at least ARENA_ZEROS; read-only */
	uint8_t *slots;	      /* the structs, slot_stride apart */
	uint32_t slot_stride;
	uint32_t nused_ever;  /* slots that were in use at some time */
	uint32_t nlive;	      /* in use now */
	struct slot *cold;    /* free, without pages, all zeros */
	struct slot *warm;    /* free, all pages held, contents undefined */
	uint32_t nwarm, warm_max;
	uint64_t pages;	      /* that all slots cost, free ones too */
	struct reserve reserve;
};
#define ARENA_ZEROS (1u << 20)

int arena_open(struct arena *a, struct loop *l, uint32_t block_size,
    uint32_t nslots, void (*freed)(struct arena *a), struct err *e);
void arena_fini(struct arena *a); /* no slot is in use */

/* Bytes of memory that the slots cost, page tables included. */
uint64_t arena_bytes(const struct arena *a);

/*
 * A slot with one reference and buf.len of one block; NULL: none left.  whole:
 * the caller fills all of it before it is read, so the contents are undefined
 * and every page is held.  Otherwise it is all zeros and holds no page.
 */
struct slot *arena_get(struct arena *a, bool whole);
/* Give back pages that are there for nobody; false if there are none. */
bool arena_trim(struct arena *a);

/*
 * From now on slots of so many bytes are touched ahead, on threads of pool, while
 * the arena costs less than half of `memory`.  filled is called after each time.
 */
void reserve_open(struct arena *a, struct work_pool *pool, uint64_t bytes,
    uint64_t memory, void (*filled)(struct arena *a));
/* No more of that; the arena may be freed when reserve.filling is false. */
void reserve_close(struct arena *a);
/* A slot as of arena_get(a, false), all pages of which are paid for and touched;
 * NULL: there is none. */
struct slot *arena_get_ready(struct arena *a);

/* Between arena.c and reserve.c. */
struct slot *reserve_take(struct arena *a);
void reserve_fill(struct arena *a);    /* if it may */
void reserve_home(struct slot *s);     /* it is free again */
bool reserve_trim(struct arena *a);    /* give back a free one's pages */
bool reserve_shed(struct arena *a);    /* those of present ones, not held */
struct slot *arena_free_slot(struct arena *a); /* cold or new; or NULL */
void arena_cool(struct arena *a, struct slot *s); /* free, without pages */
void arena_give_back(uint8_t *p, size_t n);

/* Pages of [off, off + len) that would cost more than now; hold them (before they are
 * written to). */
unsigned slot_unheld(const struct slot *s, uint32_t off, uint32_t len);
void slot_hold(struct slot *s, uint32_t off, uint32_t len);

static inline void
slot_unref(struct slot *s)
{
	if (s)
		buf_unref(&s->buf);
}

static inline bool
slot_pinned(const struct slot *s)
{
	return !buf_writable(&s->buf);
}

#endif
