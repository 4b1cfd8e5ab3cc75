/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_ARENA_H
#define CACHE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cache/bits.h"
#include "loop/loop.h"

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
	uint32_t npages;       /* held */
	uint64_t held[];       /* one bit per page */
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
	uint64_t pages;	      /* held, in live and in warm slots */
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
/* Give the pages of warm slots back; false if there are none. */
bool arena_trim(struct arena *a);

/* Pages of [off, off + len) that are not held yet; hold them (before they are
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
