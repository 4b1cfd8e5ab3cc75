/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.c: DRAIN, and FLUSH where no journal makes it durable (docs/cache.md,
 * The barrier).
 *
 * One that waits, here called a FLUSH, counts the dirty entries and the uploads in flight that there are
 * when it is submitted (nwait), and waits until all of them are gone
 * (barrier_thing_gone) and no erase with a number as low as its own is left.
 * What takes over from an older thing with that one's number is counted again
 * (barrier_thing_new).  Then one LAYOUT_SYNC ends it and all that were ready
 * with it; if there is a journal that has failed, the journal's mark (jnl.c).
 *
 * Cost: each thing that goes looks at each FLUSH that waits.
 */
#include "config.h"

#include "cache/internal.h"

#include <errno.h>

#include "base/must.h"

static void
flush_end(
    struct cache *c, struct cache_req *r, int rc, const struct err *e)
{
	list_del(&r->link);
	stat_inc(c->stats, STAT_CACHE_FLUSHES);
	cache_finish_err(r, rc, e);
}

/* What it covers is durable in the store, or rc says why not. */
static void
synced(struct cache *c, struct cache_req *r, int rc, const struct err *e)
{
	if (rc == 0 && r->op == CACHE_FLUSH && jnl_waits_for_mark(c, r))
		return;
	flush_end(c, r, rc, e);
}

void
barrier_check(struct cache *c)
{
	if (!list_empty(&c->flushes) && !c->closing)
		loop_defer(c->loop, &c->barrier);
}

void
barrier_begin(struct cache *c, struct cache_req *r)
{
	if (r->op == CACHE_FLUSH && jnl_active(c)) {
		jnl_flush(c, r);
		return;
	}
	r->seq = c->seq;
	r->nwait = c->ndirty + c->nsending;
	c->flush_seq = r->seq;
	list_push_back(&c->flushes, &r->link);
	wb_flush(c);
	barrier_check(c);
}

void
barrier_thing_new(struct cache *c, uint64_t seq)
{
	jnl_ref(c, seq);
	list_for_each(l, &c->flushes)
	{
		struct cache_req *r = list_entry(l, struct cache_req, link);

		if (r->seq >= seq)
			r->nwait++;
	}
}

void
barrier_thing_gone(struct cache *c, uint64_t seq)
{
	jnl_unref(c, seq);
	list_for_each(l, &c->flushes)
	{
		struct cache_req *r = list_entry(l, struct cache_req, link);

		if (r->seq < seq)
			continue;
		must(r->nwait > 0);
		if (--r->nwait == 0)
			barrier_check(c);
	}
}

void
barrier_failed(struct cache *c, uint64_t seq, int64_t since_ns, int rc,
    const struct err *e)
{
	/* While nothing at all succeeds, few are tried, and each for long: it
	 * counts since when that is so, not how often this one had its turn. */
	if (c->failing_ns > 0 && c->failing_ns < since_ns)
		since_ns = c->failing_ns;
	/* What may pass is given time (F2); a block that does not decode (its
	 * rest was fetched for the upload) has been looked at again below. */
	if (store_rc_transient(rc) && rc != -EBADMSG &&
	    loop_now(c->loop) - since_ns < c->params.error_deadline_ns)
		return;
	list_for_each_safe(l, &c->flushes)
	{
		struct cache_req *r = list_entry(l, struct cache_req, link);

		if (r->seq >= seq)
			flush_end(c, r, rc, e);
	}
}

static void
sync_done(struct layout_req *lr)
{
	struct cache *c = container_of(lr, struct cache, sync);
	struct list *l;

	c->syncing = false;
	if (lr->rc < 0)
		c->unsynced = true;
	jnl_sync_ended(c, lr->rc == 0);
	while ((l = list_pop_front(&c->synced)))
		synced(c, list_entry(l, struct cache_req, link), lr->rc,
		    &lr->err);
	barrier_check(c);
	cache_check_drained(c);
}

void
barrier_sync(struct cache *c)
{
	must(!c->syncing);
	jnl_sync_begins(c);
	c->unsynced = false;
	c->syncing = true;
	c->sync.op = LAYOUT_SYNC;
	c->sync.prio = STORE_PRIO_WRITE;
	c->sync.done = sync_done;
	layout_submit(c->layout, &c->sync);
}

void
barrier_run(struct loop_task *t)
{
	struct cache *c = container_of(t, struct cache, barrier);
	uint64_t erase_seq = erase_min_seq(c);

	if (c->closing)
		return;
	list_for_each_safe(l, &c->flushes)
	{
		struct cache_req *r = list_entry(l, struct cache_req, link);

		if (r->nwait > 0 || erase_seq <= r->seq)
			continue;
		if (c->unsynced) {
			/* One that began before does not cover all. */
			if (c->syncing)
				return;
			barrier_sync(c);
		}
		if (c->syncing) {
			list_del(l);
			list_push_back(&c->synced, l);
		} else {
			synced(c, r, 0, NULL);
		}
	}
}
