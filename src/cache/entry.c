/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.c: the entries, by block number.
 *
 * Entries live in one reservation of memory, which costs what was ever used of
 * it, and are found by a hash table of chains of indices.  Their number is fixed,
 * and some are kept for reads that somebody waits for; an entry is got by
 * taking a free one, or by evicting a clean one, never by malloc.
 *
 * An entry is on a replacement queue while it is clean and nothing is being
 * done to it (entry_idle puts it there, entry_take takes it off); so what the
 * rest of the cache holds in its hands is never evicted (E3).
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/must.h"
#include "cache/internal.h"

static void *
reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t
heads_bytes(const struct cache *c)
{
	return ((size_t)c->heads_mask + 1) * sizeof(c->heads[0]);
}

int
entry_open(struct cache *c, struct err *e)
{
	uint32_t n = 1;

	while (n < c->entries_max)
		n *= 2;
	c->heads_mask = n - 1;
	c->entries = reserve((size_t)c->entries_max * c->entry_stride);
	c->heads = reserve(heads_bytes(c));
	if (!c->entries || !c->heads)
		return err_set(e, -ENOMEM,
		    "cache: no address space for %u entries; choose a smaller "
		    "cache",
		    c->entries_max);
	return 0;
}

void
entry_fini(struct cache *c)
{
	if (c->entries)
		munmap(c->entries, (size_t)c->entries_max * c->entry_stride);
	if (c->heads)
		munmap(c->heads, heads_bytes(c));
	c->entries = NULL;
	c->heads = NULL;
}

struct entry *
entry_nth(const struct cache *c, uint32_t i)
{
	return (struct entry *)(c->entries + (size_t)i * c->entry_stride);
}

static uint32_t
entry_index(const struct cache *c, const struct entry *e)
{
	return (uint32_t)(((const uint8_t *)e - c->entries) / c->entry_stride);
}

static uint32_t *
head_of(const struct cache *c, uint64_t block)
{
	/* Neighbours go to neighbouring heads, which saves cache misses when
	 * reading in order; a multiple of the high half keeps those apart
	 * that are a power of two distant. */
	uint64_t h = block + (block >> 16) * 0x9e3779b97f4a7c15u;

	return &c->heads[h & c->heads_mask];
}

struct entry *
entry_find(struct cache *c, uint64_t block)
{
	for (uint32_t i = *head_of(c, block); i;) {
		struct entry *e = entry_nth(c, i - 1);

		if (e->block == block)
			return e;
		i = e->hnext;
	}
	return NULL;
}

uint64_t
entry_memory(const struct cache *c)
{
	return arena_bytes(&c->arena) + c->runs_bytes +
	    (uint64_t)c->entries_ever * c->entry_stride;
}

struct entry *
entry_new(struct cache *c, uint64_t block, bool urgent)
{
	uint32_t *head = head_of(c, block);
	uint32_t max = c->entries_max - (urgent ? 0 : c->entries_spare);
	struct entry *e;

	while (c->entries_live >= max)
		if (!evict_one(c))
			return NULL;
	if (c->entry_free) {
		e = entry_nth(c, c->entry_free - 1);
		c->entry_free = e->hnext;
	} else {
		must(c->entries_ever < c->entries_max);
		e = entry_nth(c, c->entries_ever++);
	}
	memset(e, 0, c->entry_stride);
	c->entries_live++;
	e->live = true;
	e->block = block;
	e->home = evict_home(c, block);
	e->last_end = UINT32_MAX;
	list_init(&e->qlink);
	list_init(&e->wlink);
	list_init(&e->slink);
	list_init(&e->fetches);
	list_init(&e->waiters);
	e->hnext = *head;
	*head = entry_index(c, e) + 1;
	return e;
}

bool
entry_busy(const struct entry *e)
{
	return e->nfetch > 0 || e->hold || !list_empty(&e->waiters) ||
	    e->state == WB_FILLING || e->state == WB_SENDING;
}

void
entry_free(struct cache *c, struct entry *e)
{
	uint32_t *p = head_of(c, e->block);
	uint32_t i = entry_index(c, e) + 1;

	must(e->live && e->state == WB_CLEAN && e->nfetch == 0);
	must(list_empty(&e->waiters));
	entry_take(c, e);
	while (*p != i) {
		must(*p != 0);
		p = &entry_nth(c, *p - 1)->hnext;
	}
	*p = e->hnext;
	slot_unref(e->slot);
	e->slot = NULL;
	e->live = false;
	e->hnext = c->entry_free;
	c->entry_free = i;
	c->entries_live--;
}

void
entry_take(struct cache *c, struct entry *e)
{
	if (list_linked(&e->qlink))
		evict_dequeue(c, e);
}

/* Does e know more than one would without it? */
static bool
says_something(struct cache *c, struct entry *e)
{
	if (e->slot)
		return true;
	return !bits_none(entry_valid(e), 0, c->nsectors) &&
	    !entry_block_is_zero(c, e->block);
}

void
entry_idle(struct cache *c, struct entry *e)
{
	if (e->state != WB_CLEAN || entry_busy(e))
		return;
	if (!says_something(c, e))
		entry_free(c, e);
	else if (!list_linked(&e->qlink))
		evict_enqueue(c, e);
}

void
entry_set_valid(struct cache *c, struct entry *e, unsigned from, unsigned to)
{
	if (e->full)
		return;
	bits_set(entry_valid(e), from, to);
	e->full = bits_all(entry_valid(e), 0, c->nsectors);
}

bool
entry_block_is_zero(struct cache *c, uint64_t block)
{
	return layout_present(c->layout, block) == PRESENT_NO ||
	    ranges_has(&c->erases, block) || erase_in_flight(c, block);
}
