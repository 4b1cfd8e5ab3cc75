/* SPDX-License-Identifier: Apache-2.0 */
/*
 * due.c: which dirty block is uploaded when (docs/cache.md, When a dirty block
 * is due).
 *
 * An upload costs a request and the whole block, whatever little of it is new;
 * so a block that may get more waits, for as long as it is safe and there is
 * room.  One that a sequential writer has filled gets no more, and goes at once,
 * which is what uses the way to the store.
 *
 * Safe is what the journal has.  With one a block waits for a minute, and what
 * presses is the room in the journal and for knowing what is in it; memory only
 * where dirty data cannot leave it (spill.c).  Without one a block waits for seconds,
 * and memory presses.
 *
 * What presses makes due the oldest first: it holds the oldest segment of the
 * journal, and has had the most time.  So under pressure blocks wait for as long
 * as half of the journal lasts, however fast it is written.
 *
 * Who waits to write makes everything due where nothing else explains it: after
 * WRITERS_NS with a journal, since mostly they wait for its disk, and uploads
 * would not help.
 */
#include "config.h"

#include "base/clock.h"
#include "cache/internal.h"

#define DELAY_NS (5 * NS_PER_S)
#define DELAY_LOGGED_NS (60 * NS_PER_S)
#define WRITERS_NS (200 * NS_PER_MS)

int64_t
due_delay(const struct cache *c)
{
	int64_t set = c->params.write_delay_ns;

	if (jnl_active(c))
		return set < 0 ? DELAY_LOGGED_NS : set;
	return set < 0 ? DELAY_NS : set;
}

/* When those that wait to write make all of it due. */
static int64_t
writers_at(const struct cache *c)
{
	const struct cache_req *r;

	if (list_empty(&c->writers))
		return INT64_MAX;
	if (!jnl_active(c) || c->replaying)
		return 0;
	r = list_entry(c->writers.next, struct cache_req, link);
	return r->start_ns + WRITERS_NS;
}

/* There is too little room for what may yet come. */
static bool
presses(const struct cache *c)
{
	if (!jnl_active(c))
		return dirty_resident(c) > c->dirty_high;
	/* What a flush of the journal is about to let go does not count. */
	return (dirty_resident(c) > c->dirty_slow && !c->spill_flushing) ||
	    c->ndirty > c->entries_max / 2 || spill_is_half(c);
}

int64_t
due_at(const struct cache *c, const struct entry *e)
{
	int64_t at = e->since_ns + due_delay(c), writers = writers_at(c);

	if (presses(c) || e->seq < jnl_pressing(c))
		return 0;
	return at < writers ? at : writers;
}

void
due_wrote(struct cache *c, struct entry *e, bool filled)
{
	struct entry *old = c->left;

	if (old && old != e) { /* the writer has gone on */
		c->left = NULL;
		if (old->state == WB_DIRTY) {
			wb_move(c, old, WB_DIRTY, &c->ready);
			wb_kick(c);
		}
	}
	/* One that was sent not long ago is hot, and waits its time. */
	if (filled &&
	    (e->sent_ns == 0 ||
		loop_now(c->loop) - e->sent_ns >= due_delay(c)))
		c->left = e;
}
