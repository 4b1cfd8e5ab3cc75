/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict.c: room for new data: which clean entries to drop.
 *
 * S3-FIFO (docs/cache.md, Replacement).  Three queues, youngest first: SMALL
 * for what is new, MAIN for what was used again, AHEAD for what was read ahead
 * and not used yet.  Entries that left SMALL are remembered by number in a
 * table of ghosts; one that comes back within about as many evictions as the
 * cache has blocks goes to MAIN at once when it is read; to write to it again
 * is no use of it, and a writer brings back hundreds of blocks a second, which
 * would drive out what is read.
 *
 * Cost: constant per eviction, amortised: an entry of MAIN is passed over at
 * most three times per use.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/must.h"
#include "cache/internal.h"

#define AHEAD_STALE_NS (5 * NS_PER_S)
#define PINNED_TRIES 16

int
evict_open(struct cache *c, struct err *e)
{
	uint64_t nblocks = c->params.size / c->info.block_size;
	uint32_t n = 64;

	while (n < nblocks && n < (1u << 20))
		n *= 2;
	for (int i = 0; i < NQUEUE; i++)
		list_init(&c->q[i]);
	c->ghosts_mask = n - 1;
	c->ghosts = calloc(n, sizeof(c->ghosts[0]));
	if (!c->ghosts)
		return err_set(e, -ENOMEM, "cache: no memory");
	return 0;
}

void
evict_fini(struct cache *c)
{
	free(c->ghosts);
	c->ghosts = NULL;
}

static struct ghost *
ghost_of(struct cache *c, uint64_t block)
{
	return &c->ghosts[(block * 0x9e3779b97f4a7c15u >> 32) &
	    c->ghosts_mask];
}

enum queue
evict_home(struct cache *c, uint64_t block)
{
	const struct ghost *g = ghost_of(c, block);

	if (g->when && g->block == block &&
	    c->nevicted - g->when <= c->ghosts_mask)
		return Q_MAIN;
	return Q_SMALL;
}

void
evict_enqueue(struct cache *c, struct entry *e)
{
	must(e->home != Q_NONE && e->state == WB_CLEAN);
	/* An entry without pages counts as one, for its overhead. */
	e->qpages = e->slot ? e->slot->npages : 1;
	c->qpages[e->home] += e->qpages;
	list_push_front(&c->q[e->home], &e->qlink);
	if (e->home == Q_AHEAD)
		e->since_ns = loop_now(c->loop);
}

void
evict_dequeue(struct cache *c, struct entry *e)
{
	list_del(&e->qlink);
	c->qpages[e->home] -= e->qpages;
}

static struct entry *
oldest(struct cache *c, enum queue q)
{
	if (list_empty(&c->q[q]))
		return NULL;
	return list_entry(c->q[q].prev, struct entry, qlink);
}

static void
drop(struct cache *c, struct entry *e)
{
	c->nevicted++;
	stat_inc(c->stats, STAT_CACHE_EVICTIONS);
	if (e->home == Q_SMALL) {
		struct ghost *g = ghost_of(c, e->block);

		g->block = e->block;
		g->when = c->nevicted;
	} else if (e->home == Q_AHEAD) {
		stat_inc(c->stats, STAT_CACHE_READAHEAD_WASTED);
	}
	entry_free(c, e);
}

static void
move(struct cache *c, struct entry *e, enum queue to)
{
	evict_dequeue(c, e);
	e->home = to;
	evict_enqueue(c, e);
}

/* The next one to go; NULL: there is none. */
static struct entry *
victim(struct cache *c)
{
	for (;;) {
		struct entry *a = oldest(c, Q_AHEAD);
		struct entry *s = oldest(c, Q_SMALL);
		struct entry *m = oldest(c, Q_MAIN);

		if (a &&
		    ((!s && !m) || c->qpages[Q_AHEAD] > c->room_pages / 4 ||
			loop_now(c->loop) - a->since_ns > AHEAD_STALE_NS))
			return a;
		if (s && (!m || c->qpages[Q_SMALL] > c->room_pages / 10)) {
			if (s->freq == 0)
				return s;
			s->freq = 0;
			move(c, s, Q_MAIN);
			continue;
		}
		if (!m)
			return NULL;
		if (m->freq == 0)
			return m;
		m->freq--;
		move(c, m, Q_MAIN);
	}
}

bool
evict_one(struct cache *c)
{
	for (int i = 0; i < PINNED_TRIES; i++) {
		struct entry *e = victim(c);

		if (!e)
			return false;
		if (!e->slot || !slot_pinned(e->slot)) {
			drop(c, e);
			return true;
		}
		/* A reply is being sent from it: nothing would come free. */
		move(c, e, e->home);
	}
	return false;
}

bool
evict_memory(struct cache *c)
{
	return evict_one(c) || spill_one(c);
}

bool
evict_room(struct cache *c, uint64_t npages)
{
	/* A whole block takes a warm slot, which is paid for already. */
	bool whole = npages == c->npages;

	for (;;) {
		uint64_t need = whole && c->arena.warm ? 0 : npages;

		if (entry_memory(c) + need * ARENA_PAGE <= c->params.size)
			return true;
		if (!whole && arena_trim(&c->arena))
			continue;
		if (!evict_memory(c) && !arena_trim(&c->arena))
			return false;
	}
}
