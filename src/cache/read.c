/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c: READ of a range of one block.
 *
 * A hit is one look-up in the hash table: the answer is a pointer into the
 * entry's slot and a reference that pins it; nothing is copied.  Blocks that
 * are known to be zero are answered from one area of zeros.  A miss waits on
 * the entry, and runs read_step again whenever something has arrived for it.
 *
 * How much a miss fetches: the pages it needs, where the layout can read
 * parts; all that is missing of the block when the reader goes on from where
 * it was, asks for a quarter of the block or more, or has missed in this block
 * several times.
 */
#include "config.h"

#include <errno.h>

#include "base/must.h"
#include "cache/internal.h"

#define MISSES_THEN_WHOLE 4

static void
answer_zeros(struct cache *c, struct cache_req *r)
{
	stat_inc(c->stats, STAT_CACHE_ABSENT);
	r->data = c->arena.zeros;
	r->buf = NULL;
	cache_finish(r, 0);
}

/* The block was used: tell the replacement.  waited: it was fetched for this
 * read, so this is not yet a second use. */
static void
note_use(struct cache *c, struct entry *e, const struct cache_req *r,
    bool waited)
{
	if (e->home == Q_AHEAD) {
		bool queued = list_linked(&e->qlink);

		stat_inc(c->stats, STAT_CACHE_READAHEAD_USEFUL);
		if (queued)
			evict_dequeue(c, e);
		e->home = Q_SMALL;
		if (queued)
			evict_enqueue(c, e);
	} else if (!waited && r->off != e->last_end && e->freq < 3) {
		e->freq++;
	}
	e->last_end = r->off + (uint32_t)r->len;
}

static void
answer(struct cache *c, struct cache_req *r, struct entry *e)
{
	bool waited = r->phase > 0;

	note_use(c, e, r, waited);
	if (waited)
		stat_inc(c->stats, STAT_CACHE_MISSES);
	else
		stat_inc(c->stats, STAT_CACHE_HITS);
	if (e->slot) {
		r->buf = buf_ref(&e->slot->buf);
		r->data = e->slot->buf.data + r->off;
	} else {
		r->buf = NULL;
		r->data = c->arena.zeros;
	}
	cache_finish(r, 0);
}

/* All that is missing; but a read that can do without the store does not
 * depend on it. */
static void
widen(struct cache *c, struct entry *e, unsigned *from, unsigned *to)
{
	if (spill_has(c, e, *from, *to) &&
	    !spill_needs_store(c, e, *from, *to)) {
		spill_widen(c, e, from, to);
		return;
	}
	*from = 0;
	*to = c->nsectors;
}

static void
miss(struct cache *c, struct cache_req *r, struct entry *e, unsigned from,
    unsigned to)
{
	int rc;

	if (fetch_has_failed(c, e, from, to)) {
		cache_finish_err(
		    r, c->fetch_failed->lr.rc, &c->fetch_failed->lr.err);
		return;
	}
	if (r->phase == 0) {
		if (e->nmiss < UINT8_MAX)
			e->nmiss++;
		r->phase = 1;
	}
	if (r->len * 4 >= c->info.block_size ||
	    e->nmiss > MISSES_THEN_WHOLE ||
	    r->off == e->last_end || r->nwait) {
		widen(c, e, &from, &to);
	}
	list_push_back(&e->waiters, &r->link);
	rc = fetch_need(c, e, from, to, FETCH_READ);
	if (rc < 0) {
		list_del(&r->link);
		cache_finish(r, rc);
		entry_idle(c, e);
	}
}

void
read_step(struct cache *c, struct cache_req *r)
{
	struct entry *e = entry_find(c, r->block);
	unsigned from = r->off / SECTOR;
	unsigned to = (r->off + (unsigned)r->len + SECTOR - 1) / SECTOR;

	if (e && (e->full || bits_all(entry_valid(e), from, to))) {
		answer(c, r, e);
		return;
	}
	if (!e) {
		if (entry_block_is_zero(c, r->block)) {
			answer_zeros(c, r);
			return;
		}
		e = entry_new(c, r->block, true);
		if (!e) {
			cache_finish(r, -ENOMEM);
			return;
		}
	}
	miss(c, r, e, from, to);
}
