/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c: reads of the layout, for readers, for read-ahead, for uploads of
 * blocks that are valid in part; and of the journal, for what is in it only
 * (spill.c), which goes over what the store has.
 *
 * Each fetch reads into a slot of its own.  When it arrives it is merged
 * under what is valid by then (M3): the entry takes the slot over where that
 * is cheaper, else the missing sectors are copied.  Then those who wait for
 * the entry look again (they are not told what arrived: they ask the bitmap).
 *
 * A fetch that fails fails those who need a sector of it (not those who need only
 * what is in the journal, if it was the store that failed).  If the reason may
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
	f->asking_store = true;
	layout_submit(c->layout, &f->lr);
}

static void fetch_back_done(struct journal_read *jr);

/* What the store has of it is here: over that goes what the journal has. */
static void
fetch_back(struct fetch *f)
{
	struct cache *c = f->c;
	uint8_t *data = f->slot->buf.data + (size_t)f->from * SECTOR;

	/* What comes from the journal alone has its zeros (spill_find), and
	 * the rest is overwritten, or valid and so not taken from here. */
	if (f->lr.was_zero)
		memset(data, 0, (size_t)(f->to - f->from) * SECTOR);
	else if (f->store)
		spill_clear(c, f);
	f->lr.was_zero = false;
	f->back.urgent = !f->fill;
	f->back.done = fetch_back_done;
	if (f->back.n > 0) {
		stat_inc(c->stats, STAT_CACHE_REREADS);
		journal_read(c->journal, &f->back);
	} else {
		loop_defer(c->loop, &f->task);
	}
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
	spill_arrived(c, e);
}

bool
fetch_has_failed(struct cache *c, struct entry *e, unsigned from, unsigned to)
{
	const struct fetch *f = c->fetch_failed;

	if (!f || f->e != e)
		return false;
	if (from < f->from)
		from = f->from;
	if (to > f->to)
		to = f->to;
	if (from >= to || bits_all(entry_valid(e), from, to))
		return false;
	/* It wanted more than that, from a store that does not answer: what is
	 * in the journal is asked for once more, alone. */
	return !f->store || e->lost || spill_needs_store(c, e, from, to);
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

	free(f->back.piece);
	f->back.piece = NULL;
	list_del(&f->all);
	c->nfetches--;
	slot_unref(f->slot);
	f->next_free = c->fetch_free;
	c->fetch_free = f;
	cache_check_drained(c);
}

static void
fetch_over(struct fetch *f)
{
	struct cache *c = f->c;
	struct entry *e = f->e;
	int rc = f->lr.rc;

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
		wb_filled(c, e, rc, &f->lr.err);
	else if (e->nfetch == 0)
		wb_unblock(c, e);
	entry_idle(c, e);
	fetch_end(f);
}

static void
fetch_done(struct layout_req *lr)
{
	struct fetch *f = container_of(lr, struct fetch, lr);

	f->asking_store = false;
	if (lr->rc < 0 && lr->rc != -ECANCELED && fetch_try_again(f))
		return;
	if (lr->rc == 0 && f->mixed)
		fetch_back(f);
	else
		fetch_over(f);
}

static void
fetch_back_done(struct journal_read *jr)
{
	struct fetch *f = container_of(jr, struct fetch, back);

	f->lr.rc = jr->rc;
	if (jr->rc < 0) {
		err_copy(&f->lr.err, &jr->err);
		if (jr->rc != -ENOMEM) {
			spill_lost(f->c, f->e, &jr->err);
			f->lr.rc = -EIO; /* it stays so */
		}
	}
	fetch_over(f);
}

static void
fetch_back_zeros(struct loop_task *t)
{
	fetch_over(container_of(t, struct fetch, task));
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
		f->task.run = fetch_back_zeros;
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
fetch_slot(struct cache *c, bool whole)
{
	struct slot *s;

	while (!(s = arena_get(&c->arena, whole)))
		if (!evict_memory(c))
			return NULL;
	return s;
}

/* Room, a slot and a struct; NULL: *rc says why not. */
static struct fetch *
fetch_new(struct cache *c, struct entry *e, unsigned from, unsigned to,
    enum fetch_why why, int *rc)
{
	const unsigned per_page = ARENA_PAGE / SECTOR;
	uint32_t npages = (to + per_page - 1) / per_page - from / per_page;
	struct fetch *f;

	/* Read-ahead goes without; those who are waited for may exceed the
	 * limit for a moment rather than wait for each other. */
	*rc = -ENOSPC;
	if (!evict_room(c, npages) && why == FETCH_AHEAD)
		return NULL;
	*rc = -ENOMEM;
	f = fetch_alloc(c);
	if (!f)
		return NULL;
	f->slot = fetch_slot(c, from == 0 && to == c->nsectors);
	if (!f->slot)
		goto fail;
	slot_hold(f->slot, from * SECTOR, (to - from) * SECTOR);
	f->e = e;
	f->from = from;
	f->to = to;
	f->store = true;
	f->back.piece = NULL;
	f->mixed = spill_has(c, e, from, to);
	if (!f->mixed)
		return f;
	f->store = spill_needs_store(c, e, from, to);
	if (spill_find(c, f) == 0)
		return f;
	slot_unref(f->slot);
fail:
	f->next_free = c->fetch_free;
	c->fetch_free = f;
	return NULL;
}

int
fetch_need(struct cache *c, struct entry *e, unsigned from, unsigned to,
    enum fetch_why why)
{
	static const enum store_prio prio[] = {
	    STORE_PRIO_READ, STORE_PRIO_READAHEAD, STORE_PRIO_WRITE};
	const unsigned per_page = ARENA_PAGE / SECTOR;
	struct fetch *f;
	int rc;

	must(e->state != WB_SENDING);
	trim(e, &from, &to);
	if (from >= to)
		return 0;
	if (!c->info.part_reads && spill_needs_store(c, e, from, to)) {
		from = bits_next(entry_valid(e), 0, c->nsectors, false);
		to = bits_end_clear(entry_valid(e), from, c->nsectors);
	}
	if (spill_needs_store(c, e, from, to)) {
		from -= from % per_page;
		to = (to + per_page - 1) / per_page * per_page;
	}
	entry_take(c, e);
	e->hold++; /* room is not made from what is here of it */
	f = fetch_new(c, e, from, to, why, &rc);
	e->hold--;
	if (!f)
		return rc;
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
	if (f->store)
		fetch_submit(f);
	else
		fetch_back(f);
	return 0;
}

void
fetch_cancel_all(struct cache *c)
{
	list_for_each_safe(l, &c->fetches)
	{
		struct fetch *f = list_entry(l, struct fetch, all);

		f->canceled = true;
		if (f->asking_store)
			layout_cancel(&f->lr);
		if (!loop_timer_armed(&f->retry))
			continue;
		/* Between two tries: it has ended already. */
		loop_timer_cancel(&f->retry);
		fetch_over(f);
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
