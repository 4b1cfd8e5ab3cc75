/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c: streams and read-ahead.
 *
 * Only reads that begin a block are looked at: who reads in order makes one of
 * those for each block, and the others need no look-up.  A stream is known by
 * its reader and by the block that would come next; a few blocks of tolerance
 * take in requests that overtook each other.  A second decision of the reader
 * (not a further part of the same request) to go on makes it a sequential one.
 *
 * The window starts at twice what the reader asks for at once and doubles when
 * the reader has to wait, at most once per half window; so it reaches what
 * bandwidth times latency demands within a few round trips, and stays there.
 *
 * Read-ahead is sent from a task, after the reads that wait, so those are first
 * in every queue below (C7).
 */
#include "config.h"

#include "cache/internal.h"

#include <string.h>

#include "base/must.h"

#define NEAR 4	      /* blocks that requests may overtake each other */
#define WINDOW_MIN 4  /* blocks */
#define AHEAD_MAX 192 /* fetches in flight, all streams together */

static uint64_t
window_max(const struct cache *c)
{
	uint64_t bytes = c->params.readahead;
	uint64_t n;

	if (bytes == 0)
		bytes = c->params.size / 4;
	n = bytes / c->info.block_size;
	return n > AHEAD_MAX ? AHEAD_MAX : n;
}

static struct stream *
stream_find(struct cache *c, uint64_t id, uint64_t block)
{
	for (int i = 0; i < NSTREAM; i++) {
		struct stream *s = &c->streams[i];

		if (s->used && s->id == id && block + NEAR >= s->next &&
		    block <= s->next + NEAR)
			return s;
	}
	return NULL;
}

static void
stream_start(struct cache *c, uint64_t id, uint64_t block)
{
	struct stream *s = &c->streams[0];

	for (int i = 1; i < NSTREAM; i++)
		if (c->streams[i].used < s->used)
			s = &c->streams[i];
	memset(s, 0, sizeof(*s));
	s->id = id;
	s->next = block + 1;
	s->span = 1;
	s->used = ++c->stream_clock;
}

/* The reader goes on; waits: it has to wait for this block. */
static void
stream_grow(struct cache *c, struct stream *s, bool waits)
{
	uint64_t max = window_max(c), window = s->window;

	if (window < 2 * (uint64_t)s->span)
		window = 2 * (uint64_t)s->span;
	if (window < WINDOW_MIN)
		window = WINDOW_MIN;
	if (s->window && waits && s->next >= s->grow_at) {
		window *= 2;
		s->grow_at = s->next + window / 4;
	}
	s->window = window < max ? window : max;
}

/* Is the block's beginning here, so that its reader does not wait? */
static bool
is_here(struct cache *c, uint64_t block)
{
	struct entry *e = entry_find(c, block);

	return e ? bits_all(entry_valid(e), 0, 1)
		 : entry_block_is_zero(c, block);
}

bool
ahead_read(struct cache *c, const struct cache_req *r)
{
	struct stream *s;

	if (c->params.readahead == 1)
		return false;
	s = stream_find(c, r->stream, r->block);
	if (!s) {
		stream_start(c, r->stream, r->block);
		return false;
	}
	s->used = ++c->stream_clock;
	if (r->block + 1 > s->next)
		s->next = r->block + 1;
	if (!r->cont || s->window)
		stream_grow(c, s, !is_here(c, r->block));
	s->span = r->cont ? s->span + 1 : 1;
	if (s->window)
		loop_defer(c->loop, &c->ahead);
	return s->window > 0;
}

/* Fetch a block ahead of time.  False: not now. */
static bool
fetch_ahead(struct cache *c, uint64_t block)
{
	struct entry *e = entry_find(c, block);
	int rc;

	if (e && (e->full || e->nfetch || e->state != WB_CLEAN))
		return true;
	if (!e) {
		if (entry_block_is_zero(c, block))
			return true;
		e = entry_new(c, block, false);
		if (!e)
			return false;
		e->home = Q_AHEAD;
	}
	rc = fetch_need(c, e, 0, c->nsectors, FETCH_AHEAD);
	if (rc == 0)
		stat_inc(c->stats, STAT_CACHE_READAHEAD);
	entry_idle(c, e);
	return rc == 0;
}

/* False: there is no room for more. */
static bool
stream_run(struct cache *c, struct stream *s)
{
	uint64_t end = s->next + s->window;

	if (end > c->info.nblocks)
		end = c->info.nblocks;
	if (s->upto < s->next)
		s->upto = s->next;
	while (s->upto < end) {
		uint64_t held = c->qpages[Q_AHEAD] +
		    (uint64_t)c->nahead * c->npages;

		s->upto = layout_next_present(c->layout, s->upto);
		if (s->upto >= end)
			break;
		if (c->nahead >= AHEAD_MAX ||
		    held + c->npages > c->room_pages / 4)
			return false;
		if (!fetch_ahead(c, s->upto))
			return false;
		s->upto++;
	}
	return true;
}

void
ahead_run(struct loop_task *t)
{
	struct cache *c = container_of(t, struct cache, ahead);

	if (c->closing)
		return;
	for (int i = 0; i < NSTREAM; i++)
		if (c->streams[i].used && c->streams[i].window &&
		    !stream_run(c, &c->streams[i]))
			return;
}
