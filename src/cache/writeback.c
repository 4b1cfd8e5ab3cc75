/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writeback.c: from dirty to uploaded.
 *
 * The states of an entry, and which function makes which transition, are in
 * docs/cache.md; all moves go through wb_move, which knows the lists.
 *
 * An upload sends a snapshot: a reference to the entry's slot, and the dirty
 * bits, which move from the entry to the upload.  A write that comes meanwhile
 * finds the slot pinned, copies it, and makes the entry dirty again (C3).  If
 * the upload fails its bits go back to the entry, which so is dirty with the
 * older number (F1) and waits for its next try.
 *
 * wb_pump sends what is due (due.c) and arms one timer for what will be.  With
 * nothing dirty no timer is armed.
 */
#include "config.h"

#include "cache/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

#define PER_PAGE (ARENA_PAGE / SECTOR)
#define FILLS_UNHURRIED 8 /* at once, while nothing presses */

void
wb_move(struct cache *c, struct entry *e, enum wb_state to, struct list *on)
{
	list_del(&e->wlink);
	e->state = (uint8_t)to;
	if (on)
		list_push_back(on, &e->wlink);
	(void)c;
}

void
wb_kick(struct cache *c)
{
	if (!c->closing)
		loop_defer(c->loop, &c->pump);
}

static void
wake_for(struct cache *c, int64_t due_ns)
{
	if (loop_timer_armed(&c->wb_timer) && c->wb_timer.due_ns <= due_ns)
		return;
	if (loop_timer_set(c->loop, &c->wb_timer, due_ns) < 0)
		wb_kick(c); /* no memory for a timer: sooner, then */
}

int64_t
wb_backoff(unsigned ntries, int64_t first_ns, int64_t max_ns)
{
	unsigned shift = ntries > 1 ? ntries - 1 : 0;

	if (shift > 20 || first_ns << shift > max_ns)
		return max_ns;
	return first_ns << shift;
}

/* --- becoming dirty -------------------------------------------------------- */

static bool
all_dirty(struct cache *c, struct entry *e)
{
	return e->ndirty == c->npages &&
	    bits_all(entry_dirty(c, e), 0, c->nsectors);
}

static struct entry *
first_of(struct list *l)
{
	return list_empty(l) ? NULL
			     : list_entry(l->next, struct entry, wlink);
}

static void
wake_for_oldest(struct cache *c)
{
	struct entry *e = first_of(&c->dirty);
	int64_t at = e ? due_at(c, e) : INT64_MAX;

	if (at <= loop_now(c->loop))
		wb_kick(c);
	else if (at < INT64_MAX)
		wake_for(c, at);
}

void
wb_mark(struct cache *c, struct entry *e, unsigned from, unsigned to,
    uint64_t seq)
{
	uint64_t *dirty = entry_dirty(c, e);
	bool was_full = all_dirty(c, e);
	unsigned n = 0;

	for (unsigned p = from / PER_PAGE; p * PER_PAGE < to; p++)
		n += bits_none(dirty, p * PER_PAGE, (p + 1) * PER_PAGE);
	bits_set(dirty, from, to);
	c->dirty_pages += n;
	if (e->ndirty == 0) {
		e->seq = seq;
		e->since_ns = loop_now(c->loop);
		c->ndirty++;
		barrier_thing_new(c, e->seq);
		if (e->state == WB_CLEAN) {
			wb_move(c, e, WB_DIRTY, &c->dirty);
			e->fresh = layout_present(c->layout, e->block) ==
			    PRESENT_NO;
			c->nfresh += e->fresh;
		}
	} else {
		stat_inc(c->stats, STAT_CACHE_COALESCED);
	}
	e->ndirty += n;
	due_wrote(c, e, !was_full && all_dirty(c, e));
	wake_for_oldest(c);
}

/* e is no longer dirty. */
static void
clear_dirty(struct cache *c, struct entry *e)
{
	if (c->left == e)
		c->left = NULL;
	memset(entry_dirty(c, e), 0, c->nwords * sizeof(uint64_t));
	e->ndirty = 0;
	c->ndirty--;
	list_del(&e->slink);
}

/* The store has the block now, or need not have it. */
static void
wb_settled(struct cache *c, struct entry *e)
{
	c->nfresh -= e->fresh;
	e->fresh = false;
	e->ntries = 0;
	if (!e->failing)
		return;
	e->failing = false;
	c->nfailing--;
}

uint64_t
wb_forget(struct cache *c, struct entry *e)
{
	must(e->state == WB_DIRTY || e->state == WB_BLOCKED ||
	    e->state == WB_FAILED);
	c->dirty_pages -= e->ndirty;
	clear_dirty(c, e);
	spill_forget(c, e);
	wb_settled(c, e);
	wb_move(c, e, WB_CLEAN, NULL);
	barrier_thing_gone(c, e->seq);
	write_admit(c);
	return e->seq;
}

/* --- failures ---------------------------------------------------------------- */

/* To be seen in the status, until all is well again. */
static void
note_error(struct cache *c, int rc, const struct err *e)
{
	if (c->fail_rc == 0 && !c->closing)
		log_warn("write-back: %s; the data is kept, and it is tried "
			 "again",
		    err_text(e));
	c->fail_rc = rc;
	err_copy(&c->fail_err, e);
}

void
wb_note_failure(struct cache *c, int rc, const struct err *e)
{
	int64_t now = loop_now(c->loop);

	note_error(c, rc, e);
	if (c->failing_ns == 0)
		c->failing_ns = now;
	/* Those that were in flight together fail together: one failure. */
	if (now >= c->pause_ns)
		c->nfail_row++;
	c->window = c->window > 1 ? c->window / 2 : 1;
	c->pause_ns = now +
	    wb_backoff(c->nfail_row, 200 * NS_PER_MS, 15 * NS_PER_S);
	if (!list_empty(&c->writers))
		pace_arm(c);
}

void
wb_note_success(struct cache *c)
{
	c->nfail_row = 0;
	c->pause_ns = 0;
	c->failing_ns = 0;
	c->window *= 2;
	if (c->window > c->params.uploads)
		c->window = c->params.uploads;
	if (c->fail_rc != 0 && c->nfailing == 0 && c->nerase_failing == 0) {
		log_info("write-back: works again");
		c->fail_rc = 0;
		err_clear(&c->fail_err);
	}
}

static void
wb_fail(struct cache *c, struct entry *e, int rc, const struct err *err)
{
	int64_t now = loop_now(c->loop);

	if (!e->failing) {
		e->failing = true;
		e->failing_ns = now;
		c->nfailing++;
	}
	e->ntries++;
	e->retry_ns = now +
	    wb_backoff(e->ntries, 250 * NS_PER_MS, 60 * NS_PER_S);
	wb_move(c, e, WB_FAILED, &c->failed);
	if (e->lost) /* nothing is wrong with the store */
		note_error(c, rc, err);
	else
		wb_note_failure(c, rc, err);
	barrier_failed(c, e->seq, e->failing_ns, rc, err);
	write_admit(c); /* one may have waited for this block alone */
	wb_kick(c);
}

/* --- uploads -------------------------------------------------------------------- */

/* Where a dirty entry waits for its turn. */
static struct list *
queue_for(struct cache *c, struct entry *e)
{
	bool awaited = !list_empty(&c->flushes) && e->seq <= c->flush_seq;

	return awaited ? &c->ready : &c->dirty;
}

/* The bits that failed go back to the entry: two dirty things become one. */
static void
wb_take_back(struct cache *c, struct upload *up)
{
	struct entry *e = up->e;
	uint64_t *dirty = entry_dirty(c, e);
	uint32_t n = 0;

	if (e->ndirty)
		barrier_thing_gone(c, e->seq);
	else
		c->ndirty++;
	for (uint32_t w = 0; w < c->nwords; w++)
		dirty[w] |= up->sent[w];
	for (uint32_t p = 0; p < c->npages; p++)
		n += !bits_none(dirty, p * PER_PAGE, (p + 1) * PER_PAGE);
	c->dirty_pages -= up->npages + e->ndirty;
	c->dirty_pages += n;
	e->ndirty = n;
	e->seq = up->seq;
	e->since_ns = up->since_ns;
}

static void
wb_sent(struct layout_req *lr)
{
	struct upload *up = container_of(lr, struct upload, lr);
	struct cache *c = up->c;
	struct entry *e = up->e;
	int rc = lr->rc;

	must(e->state == WB_SENDING && e->up == up);
	e->up = NULL;
	c->nsending--;
	slot_unref(up->slot);
	if (rc == 0) {
		c->dirty_pages -= up->npages;
		c->unsynced = true;
		wb_settled(c, e);
		spill_uploaded(c, e, up->upto);
		wb_note_success(c);
		pace_uploaded(c, up->npages);
		barrier_thing_gone(c, up->seq);
		jnl_uploaded(c, e->block, up->upto);
		if (e->ndirty)
			wb_move(c, e, WB_DIRTY, queue_for(c, e));
		else
			wb_move(c, e, WB_CLEAN, NULL);
	} else {
		wb_take_back(c, up);
		spill_arrived(c, e);
		wb_fail(c, e, rc, &lr->err);
	}
	up->next_free = c->upload_free;
	c->upload_free = up;
	entry_idle(c, e);
	write_admit(c);
	wb_kick(c);
	cache_check_drained(c);
}

static void
wb_send(struct cache *c, struct entry *e)
{
	struct upload *up = c->upload_free;

	must(up && e->full && e->ndirty > 0 && e->nspilled == 0);
	e->filled = false;
	c->upload_free = up->next_free;
	memcpy(up->sent, entry_dirty(c, e), c->nwords * sizeof(uint64_t));
	up->e = e;
	up->seq = e->seq;
	up->upto = c->seq;
	up->since_ns = e->since_ns;
	up->npages = e->ndirty;
	e->sent_ns = loop_now(c->loop);
	up->slot = NULL;
	clear_dirty(c, e);
	e->up = up;
	wb_move(c, e, WB_SENDING, &c->busy);
	if (c->nsending++ == 0)
		pace_begin(c);
	stat_inc(c->stats, STAT_CACHE_WRITEBACKS);
	up->lr.prio = STORE_PRIO_WRITE;
	up->lr.block = e->block;
	if (e->slot) {
		buf_ref(&e->slot->buf);
		up->slot = e->slot;
		up->lr.op = LAYOUT_WRITE;
		up->lr.data = &up->slot->buf;
	} else {
		up->lr.op = LAYOUT_ERASE;
		up->lr.nblocks = 1;
		up->lr.data = NULL;
	}
	layout_submit(c->layout, &up->lr);
}

/* --- filling what is valid in part ---------------------------------------------- */

/* False: not now, there is no room. */
static bool
wb_fill(struct cache *c, struct entry *e)
{
	int rc;

	if (c->nfilling > 0 && !evict_room(c, c->npages))
		return false;
	stat_inc(c->stats, STAT_CACHE_MERGES);
	c->nfilling++;
	wb_move(c, e, WB_FILLING, &c->busy);
	rc = fetch_need(c, e, 0, c->nsectors, FETCH_FILL);
	if (rc < 0) {
		struct err err;

		err_errno(&err, rc, "upload of block %llu",
		    (unsigned long long)e->block);
		wb_filled(c, e, rc, &err);
	}
	return true;
}

void
wb_filled(struct cache *c, struct entry *e, int rc, const struct err *err)
{
	must(e->state == WB_FILLING);
	c->nfilling--;
	if (rc < 0) {
		wb_fail(c, e, rc, err);
		return;
	}
	must(e->full);
	e->filled = true;
	wb_move(c, e, WB_DIRTY, NULL);
	list_push_front(&c->ready, &e->wlink);
	wb_kick(c);
}

/* --- whose turn it is -------------------------------------------------------------- */

void
wb_unblock(struct cache *c, struct entry *e)
{
	if (e->state != WB_BLOCKED || e->nfetch > 0 ||
	    erase_in_flight(c, e->block))
		return;
	wb_move(c, e, WB_DIRTY, NULL);
	list_push_front(&c->ready, &e->wlink);
	wb_kick(c);
}

void
wb_unblock_range(struct cache *c, uint64_t first, uint64_t end)
{
	list_for_each_safe(l, &c->blocked)
	{
		struct entry *e = list_entry(l, struct entry, wlink);

		if (e->block >= first && e->block < end)
			wb_unblock(c, e);
	}
}

/* How many fetches for uploads may be in flight: few while nothing presses, as
 * they are in the way of those who read; more, the more is dirty. */
static unsigned
fills_max(const struct cache *c, bool awaited)
{
	uint64_t dirty = dirty_resident(c), over, n;

	if (awaited || !list_empty(&c->writers) ||
	    dirty >= c->dirty_slow || jnl_pressing(c) > 0)
		return c->window;
	over = dirty > c->dirty_high ? dirty - c->dirty_high : 0;
	n = FILLS_UNHURRIED + c->window * over / (c->dirty_max / 4 + 1);
	return n < c->window ? (unsigned)n : c->window;
}

/* False: e cannot be begun, and nor can those behind it. */
static bool
wb_start(struct cache *c, struct entry *e, bool awaited)
{

	if (e->nfetch > 0 || erase_in_flight(c, e->block)) {
		wb_move(c, e, WB_BLOCKED, &c->blocked);
		return true;
	}
	if (e->full) {
		if (c->nsending >= c->window)
			return false;
		wb_send(c, e);
		return true;
	}
	if (c->nfilling >= fills_max(c, awaited))
		return false;
	return wb_fill(c, e);
}

/* Send what is due; when the next will be. */
static int64_t
pump_dirty(struct cache *c, int64_t now)
{
	for (;;) {
		struct entry *e = first_of(&c->ready);
		bool awaited = e != NULL;
		int64_t at;

		if (!e) {
			e = first_of(&c->dirty);
			if (!e)
				return INT64_MAX;
			at = due_at(c, e);
			if (now < at)
				return at;
		}
		/* If not, one of those in flight ends, and kicks. */
		if (!wb_start(c, e, awaited))
			return INT64_MAX;
	}
}

/* Those that failed and whose time has come; when the next will be. */
static int64_t
wb_retry(struct cache *c, int64_t now)
{
	int64_t next = INT64_MAX;

	list_for_each_safe(l, &c->failed)
	{
		struct entry *e = list_entry(l, struct entry, wlink);

		if (e->retry_ns <= now)
			wb_move(c, e, WB_DIRTY, &c->ready);
		else if (e->retry_ns < next)
			next = e->retry_ns;
	}
	return next;
}

static void
wb_pump(struct loop_task *t)
{
	struct cache *c = container_of(t, struct cache, pump);
	int64_t now = loop_now(c->loop), next, n;

	if (c->closing || (c->replaying && list_empty(&c->writers)))
		return;
	next = wb_retry(c, now);
	if (now < c->pause_ns)
		n = c->pause_ns;
	else
		n = pump_dirty(c, now);
	if (n < next && (!list_empty(&c->dirty) || !list_empty(&c->ready)))
		next = n;
	n = erase_pump(c);
	if (n < next)
		next = n;
	if (next < INT64_MAX)
		wake_for(c, next > now ? next : now + 1);
}

static void
wb_fire(struct loop_timer *t)
{
	wb_kick(container_of(t, struct cache, wb_timer));
}

void
wb_flush(struct cache *c)
{
	c->pause_ns = 0;
	list_splice_back(&c->ready, &c->dirty);
	list_for_each_safe(l, &c->failed)
		wb_move(c, list_entry(l, struct entry, wlink), WB_DIRTY,
		    &c->ready);
	erase_flush(c);
	wb_kick(c);
}

/* --- opening and closing ------------------------------------------------------------ */

int
wb_open(struct cache *c, struct err *e)
{
	unsigned n = c->params.uploads;

	list_init(&c->dirty);
	list_init(&c->ready);
	list_init(&c->blocked);
	list_init(&c->busy);
	list_init(&c->failed);
	c->window = n;
	c->pump.run = wb_pump;
	c->wb_timer.fire = wb_fire;
	c->uploads = calloc(n, sizeof(c->uploads[0]));
	c->upload_bits = calloc((size_t)n * c->nwords, sizeof(uint64_t));
	if (!c->uploads || !c->upload_bits)
		return err_set(e, -ENOMEM, "cache: no memory");
	for (unsigned i = 0; i < n; i++) {
		struct upload *up = &c->uploads[i];

		up->c = c;
		up->lr.done = wb_sent;
		up->sent = c->upload_bits + (size_t)i * c->nwords;
		up->next_free = c->upload_free;
		c->upload_free = up;
	}
	return 0;
}

void
wb_cancel_all(struct cache *c)
{
	loop_timer_cancel(&c->wb_timer);
	list_for_each(l, &c->busy)
	{
		struct entry *e = list_entry(l, struct entry, wlink);

		if (e->up)
			layout_cancel(&e->up->lr);
	}
}

void
wb_fini(struct cache *c)
{
	free(c->uploads);
	free(c->upload_bits);
	c->uploads = NULL;
	c->upload_bits = NULL;
}
