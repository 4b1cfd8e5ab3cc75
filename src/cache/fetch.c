/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c: reads of the layout, for readers, for read-ahead, for uploads of
 * blocks that are valid in part.
 *
 * Each fetch reads into a slot of its own.  When it arrives it is merged
 * under what is valid by then (M3): the entry takes the slot over where that
 * is cheaper, else the missing sectors are copied.  Then those who wait for
 * the entry look again (they are not told what arrived: they ask the bitmap).
 *
 * A fetch that fails fails those who need a sector of it.  If the reason may
 * pass and somebody waits, it is tried again until error_deadline; a block that
 * does not decode only twice, since what is damaged in the store stays so.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "cache/internal.h"

static void
fetch_submit(struct fetch *f)
{
	struct cache *c = f->c;

	f->lr.op = LAYOUT_READ;
	f->lr.block = f->e->block;
	f->lr.off = f->from * SECTOR;
	f->lr.len = (f->to - f->from) * SECTOR;
	f->lr.data = &f->slot->buf;
	f->lr.data_off = f->lr.off;
	layout_submit(c->layout, &f->lr);
}

/* Copy those sectors of [first, end) that are (are not) valid from one slot,
 * or from zeros, to another. */
static void
copy_sectors(struct entry *e, struct slot *to, const struct slot *from,
    unsigned first, unsigned end, bool valid)
{
	for (unsigned i = first; i < end;) {
		unsigned a = bits_next(entry_valid(e), i, end, valid);
		unsigned b = bits_next(entry_valid(e), a, end, !valid);

		if (a < b) {
			slot_hold(to, a * SECTOR, (b - a) * SECTOR);
			if (from)
				memcpy(to->buf.data + (size_t)a * SECTOR,
				    from->buf.data + (size_t)a * SECTOR,
				    (size_t)(b - a) * SECTOR);
			else
				memset(to->buf.data + (size_t)a * SECTOR, 0,
				    (size_t)(b - a) * SECTOR);
		}
		i = b;
	}
}

static void
fetch_merge(struct fetch *f)
{
	struct cache *c = f->c;
	struct entry *e = f->e;
	bool whole = f->from == 0 && f->to == c->nsectors;
	struct slot *old = e->slot;

	if (e->full)
		return;
	if (f->lr.was_zero) {
		/* What is not valid is zero already (M1). */
	} else if (!old ||
	    (whole && bits_count(entry_valid(e), 0, f->to) < f->to / 2)) {
		/* Outside [from, to) the new slot is all zeros, and so are
		 * the valid sectors of an entry without a slot. */
		if (old)
			copy_sectors(e, f->slot, old, 0, c->nsectors, true);
		else
			copy_sectors(
			    e, f->slot, NULL, f->from, f->to, true);
		e->slot = f->slot;
		f->slot = old;
	} else {
		copy_sectors(e, old, f->slot, f->from, f->to, false);
	}
	entry_set_valid(c, e, f->from, f->to);
}

/* Everybody who waits for e looks again. */
static void
wake_waiters(struct cache *c, struct entry *e, const struct fetch *failed)
{
	struct list woken;

	list_init(&woken);
	list_splice_back(&woken, &e->waiters);
	c->fetch_failed = failed;
	for (struct list *l; (l = list_pop_front(&woken));) {
		struct cache_req *r = list_entry(l, struct cache_req, link);

		if (r->op == CACHE_READ)
			read_step(c, r);
		else
			write_resume(c, r);
	}
	c->fetch_failed = NULL;
}

static void
fetch_retry(struct loop_timer *t)
{
	fetch_submit(container_of(t, struct fetch, retry));
}

static bool
fetch_try_again(struct fetch *f)
{
	struct cache *c = f->c;
	int64_t now = loop_now(c->loop);

	if (f->fill || list_empty(&f->e->waiters) || c->closing)
		return false;
	if (f->lr.rc == -EBADMSG && f->ntries >= 2)
		return false;
	if (!store_rc_transient(f->lr.rc) ||
	    now - f->start_ns >= c->params.error_deadline_ns)
		return false;
	f->ntries++;
	return loop_timer_set(c->loop, &f->retry,
		   now +
		       wb_backoff(f->ntries, 200 * NS_PER_MS, 5 * NS_PER_S)) ==
	    0;
}

static void
fetch_end(struct fetch *f)
{
	struct cache *c = f->c;

	list_del(&f->all);
	c->nfetches--;
	slot_unref(f->slot);
	f->next_free = c->fetch_free;
	c->fetch_free = f;
	cache_check_drained(c);
}

static void
fetch_done(struct layout_req *lr)
{
	struct fetch *f = container_of(lr, struct fetch, lr);
	struct cache *c = f->c;
	struct entry *e = f->e;
	int rc = lr->rc;

	if (rc < 0 && rc != -ECANCELED) {
		if (fetch_try_again(f))
			return;
	}
	list_del(&f->link);
	if (f->ahead)
		c->nahead--;
	if (rc == 0)
		fetch_merge(f);
	e->hold++;
	e->nfetch--;
	/* One that we cancelled says nothing about the block. */
	wake_waiters(c, e, rc < 0 && !f->canceled ? f : NULL);
	e->hold--;
	if (f->fill)
		wb_filled(c, e, rc, &lr->err);
	else if (e->nfetch == 0)
		wb_unblock(c, e);
	entry_idle(c, e);
	fetch_end(f);
}

static struct fetch *
fetch_alloc(struct cache *c)
{
	struct fetch *f = c->fetch_free;

	if (f) {
		c->fetch_free = f->next_free;
	} else {
		f = calloc(1, sizeof(*f));
		if (!f)
			return NULL;
		f->c = c;
		f->lr.done = fetch_done;
		f->retry.fire = fetch_retry;
	}
	f->canceled = false;
	f->ntries = 0;
	return f;
}

/* Cut what is on its way off both ends of [*from, *to). */
static void
trim(struct entry *e, unsigned *from, unsigned *to)
{
	for (bool again = true; again;) {
		again = false;
		*from = bits_next(entry_valid(e), *from, *to, false);
		*to = bits_end_clear(entry_valid(e), *from, *to);
		list_for_each(l, &e->fetches)
		{
			struct fetch *f = list_entry(l, struct fetch, link);

			if (*from >= *to || f->canceled)
				continue;
			if (f->from <= *from && *from < f->to) {
				*from = f->to;
				again = true;
			}
			if (f->from < *to && *to <= f->to) {
				*to = f->from;
				again = true;
			}
		}
		if (*from >= *to)
			return;
	}
}

static struct slot *
fetch_slot(struct cache *c, uint32_t npages)
{
	struct slot *s;

	while (!(s = arena_get(&c->arena, npages == c->npages)))
		if (!evict_one(c))
			return NULL;
	return s;
}

int
fetch_need(struct cache *c, struct entry *e, unsigned from, unsigned to,
    enum fetch_why why)
{
	static const enum store_prio prio[] = {
	    STORE_PRIO_READ, STORE_PRIO_READAHEAD, STORE_PRIO_WRITE};
	const unsigned per_page = ARENA_PAGE / SECTOR;
	struct fetch *f;
	uint32_t npages;

	must(e->state != WB_SENDING);
	trim(e, &from, &to);
	if (from >= to)
		return 0;
	if (!c->info.part_reads) {
		from = bits_next(entry_valid(e), 0, c->nsectors, false);
		to = bits_end_clear(entry_valid(e), from, c->nsectors);
	}
	from -= from % per_page;
	to = (to + per_page - 1) / per_page * per_page;
	npages = (to - from) / per_page;

	entry_take(c, e);
	/* Read-ahead goes without; those who are waited for may exceed the
	 * limit for a moment rather than wait for each other. */
	if (!evict_room(c, npages) && why == FETCH_AHEAD)
		return -ENOSPC;
	f = fetch_alloc(c);
	if (!f)
		return -ENOMEM;
	f->slot = fetch_slot(c, npages);
	if (!f->slot) {
		f->next_free = c->fetch_free;
		c->fetch_free = f;
		return -ENOMEM;
	}
	slot_hold(f->slot, from * SECTOR, (to - from) * SECTOR);
	f->e = e;
	f->from = from;
	f->to = to;
	f->fill = why == FETCH_FILL;
	f->ahead = why == FETCH_AHEAD;
	f->start_ns = loop_now(c->loop);
	f->lr.prio = prio[why];
	e->nfetch++;
	list_push_back(&e->fetches, &f->link);
	list_push_back(&c->fetches, &f->all);
	c->nfetches++;
	if (f->ahead)
		c->nahead++;
	fetch_submit(f);
	return 0;
}

void
fetch_cancel_all(struct cache *c)
{
	list_for_each_safe(l, &c->fetches)
	{
		struct fetch *f = list_entry(l, struct fetch, all);

		f->canceled = true;
		if (!loop_timer_armed(&f->retry)) {
			layout_cancel(&f->lr);
			continue;
		}
		/* Between two tries: it has ended already. */
		loop_timer_cancel(&f->retry);
		fetch_done(&f->lr);
	}
}

void
fetch_fini(struct cache *c)
{
	must(c->nfetches == 0);
	while (c->fetch_free) {
		struct fetch *f = c->fetch_free;

		c->fetch_free = f->next_free;
		free(f);
	}
}
