/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c: WRITE to a range of one block, ZERO of a range of many, and the
 * queue of those who wait for room.
 *
 * A write is copied into the block's slot and acknowledged; it waits for the
 * store only when it begins or ends inside a sector that is not here (C2), and
 * then on the entry, as a read would.  When there is no room (too much is
 * dirty, or all memory is in use) it waits in c->writers, in order of arrival;
 * who comes later waits behind, so nobody starves.  A step that cannot be done
 * has changed nothing and is simply run again.
 *
 * ZERO has three phases: the end of its first block and the beginning of its
 * last one are zero writes; the whole blocks between go to the erase set, and
 * their entries are dropped.  Blocks that are busy (a fetch or an upload in
 * flight) keep their entry: all zeros, all dirty, sent as an erase of one block
 * in its turn (E1, E2).
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/must.h"
#include "cache/internal.h"

enum step { STEP_DONE, STEP_ROOM, STEP_WAITS, STEP_ENDED };

static enum step
end_with(struct cache_req *r, int rc)
{
	cache_finish(r, rc);
	return STEP_ENDED;
}

/* Sectors at the ends of [off, off + len) that would be written in part and
 * are not here: fetch them, and wait. */
static enum step
need_edges(struct cache *c, struct cache_req *r, struct entry *e, uint32_t off,
    uint32_t len)
{
	const struct fetch *lost = c->fetch_failed;
	uint32_t end = off + len;
	unsigned edge[2] = {off / SECTOR, end / SECTOR};
	bool part[2] = {off % SECTOR != 0, end % SECTOR != 0};
	bool waits = false;

	for (int i = 0; i < 2; i++) {
		unsigned s = edge[i];
		int rc;

		if (!part[i] || bits_all(entry_valid(e), s, s + 1))
			continue;
		if (fetch_has_failed(c, e, s, s + 1)) {
			cache_finish_err(r, lost->lr.rc, &lost->lr.err);
			return STEP_ENDED;
		}
		rc = fetch_need(c, e, s, s + 1, FETCH_READ);
		if (rc < 0)
			return end_with(r, rc);
		waits = true;
	}
	if (!waits)
		return STEP_DONE;
	list_push_back(&e->waiters, &r->link);
	return STEP_WAITS;
}

/* Pages of [off, off + len) without a dirty sector. */
static unsigned
not_dirty(struct cache *c, struct entry *e, uint32_t off, uint32_t len)
{
	const unsigned per_page = ARENA_PAGE / SECTOR;
	unsigned n = 0;

	for (unsigned p = off / ARENA_PAGE; p * ARENA_PAGE < off + len; p++)
		n += bits_none(
		    entry_dirty(c, e), p * per_page, (p + 1) * per_page);
	return n;
}

/* So much may become dirty, in memory. */
static bool
has_dirty_room(struct cache *c, struct entry *e, uint32_t off, uint32_t len)
{
	unsigned n = not_dirty(c, e, off, len);

	if (e->nspilled) /* what is dirty may not be here */
		n = len / ARENA_PAGE + 2;
	while (dirty_resident(c) + n > c->dirty_max)
		if (!spill_one(c))
			return false;
	return spill_has_room(c);
}

/* The pages of a slot but those that lie wholly in [off, off + len). */
static void
copy_pages(struct slot *to, const struct slot *from, uint32_t npages,
    uint32_t off, uint32_t len)
{
	for (uint32_t p = 0; p < npages; p++) {
		uint32_t at;

		p = bits_next(from->held, p, npages, true);
		if (p == npages)
			return;
		at = p * ARENA_PAGE;
		if (at >= off && at + ARENA_PAGE <= off + len)
			continue;
		slot_hold(to, at, ARENA_PAGE);
		memcpy(to->buf.data + at, from->buf.data + at, ARENA_PAGE);
	}
}

/* Give e a slot of its own, with the pages of [off, off + len) held. */
static bool
own_slot(struct cache *c, struct entry *e, uint32_t off, uint32_t len)
{
	bool whole = len == c->info.block_size;
	struct slot *old = e->slot, *s;
	unsigned need;

	if (old && !slot_pinned(old)) {
		need = slot_unheld(old, off, len);
		if (need > 0 && !evict_room(c, need))
			return false;
		slot_hold(old, off, len);
		return true;
	}
	need = (off + len + ARENA_PAGE - 1) / ARENA_PAGE - off / ARENA_PAGE;
	if (old && !whole)
		need += old->npages;
	if (need > c->npages)
		need = c->npages;
	if (!evict_room(c, need))
		return false;
	while (!(s = arena_get(&c->arena, whole)))
		if (!evict_memory(c))
			return false;
	if (old && !whole) {
		copy_pages(s, old, c->npages, off, len);
	}
	slot_hold(s, off, len);
	slot_unref(old);
	e->slot = s;
	return true;
}

/* Zeros need pages only where there are some already (M1). */
static bool
zero_slot(struct cache *c, struct entry *e, uint32_t off, uint32_t len)
{
	uint32_t end = off + len;

	if (!e->slot)
		return true;
	if (slot_pinned(e->slot) && !own_slot(c, e, off, len))
		return false;
	for (uint32_t p = off / ARENA_PAGE; p * ARENA_PAGE < end; p++) {
		uint32_t a = p * ARENA_PAGE, b = a + ARENA_PAGE;

		if (bits_none(e->slot->held, p, p + 1))
			continue;
		a = a < off ? off : a;
		b = b > end ? end : b;
		memset(e->slot->buf.data + a, 0, b - a);
	}
	return true;
}

/* A range of the erase set may fall in two. */
static enum step
reserve_range(struct cache *c, struct cache_req *r)
{
	int rc = ranges_reserve(&c->erases, 1);

	if (rc == -ENOSPC)
		return STEP_ROOM;
	return rc < 0 ? end_with(r, rc) : STEP_DONE;
}

/* An upload of the block does what the erase would have done; its number (F1). */
static uint64_t
replace_erase(struct cache *c, uint64_t block)
{
	uint64_t seq = ranges_at(&c->erases, block)->seq;

	ranges_remove(&c->erases, block, block + 1);
	barrier_check(c);
	return seq;
}

static enum step
write_into(struct cache *c, struct cache_req *r, struct entry *e, uint32_t off,
    uint32_t len, const void *src)
{
	unsigned from = off / SECTOR, to = (off + len + SECTOR - 1) / SECTOR;
	bool erased = e->state == WB_CLEAN && ranges_has(&c->erases, e->block);
	bool blank = c->journal && e->state == WB_CLEAN &&
	    entry_block_is_zero(c, e->block);
	enum spill_what what = src ? SPILL_WRITE : SPILL_ZERO;
	uint64_t seq, inherit = UINT64_MAX;
	enum step st = need_edges(c, r, e, off, len);

	if (st != STEP_DONE)
		return st;
	if (!src && e->full && !e->slot)
		return STEP_DONE; /* it reads as zeros already */
	if (!has_dirty_room(c, e, off, len))
		return STEP_ROOM;
	if (!jnl_room(c, r, (uint64_t)(to - from) * SECTOR))
		return STEP_ROOM;
	st = erased ? reserve_range(c, r) : STEP_DONE;
	if (st != STEP_DONE)
		return st;
	if (src && !r->admitted && !pace_admit(c, len))
		return STEP_ROOM;
	r->admitted = true;
	if (!(src ? own_slot(c, e, off, len) : zero_slot(c, e, off, len)))
		return STEP_ROOM;
	if (src)
		memcpy(e->slot->buf.data + off, src, len);
	entry_set_valid(c, e, from, to);
	if (erased)
		inherit = replace_erase(c, e->block);
	/* Zeros that begin or end inside a sector: what else is in it goes
	 * along. */
	if (src || (e->slot && (off % SECTOR != 0 || len % SECTOR != 0))) {
		src = e->slot->buf.data + from * SECTOR;
		what = SPILL_WRITE;
	}
	seq = jnl_op(c, r, e->block * c->info.block_size + from * SECTOR,
	    (uint64_t)(to - from) * SECTOR, src);
	wb_mark(c, e, from, to, seq < inherit ? seq : inherit);
	e->blank |= blank;
	spill_wrote(c, e, from, to, seq, what);
	return STEP_DONE;
}

/* What the journal has of an earlier run becomes dirty, without being read. */
static enum step
log_into(struct cache *c, struct cache_req *r, struct entry *e)
{
	unsigned from = r->off / SECTOR, to = from + (unsigned)r->len / SECTOR;
	bool erased = e->state == WB_CLEAN && ranges_has(&c->erases, e->block);
	bool blank =
	    e->state == WB_CLEAN && entry_block_is_zero(c, e->block);
	uint64_t seq, inherit = UINT64_MAX;
	enum step st;

	if (!spill_has_room(c))
		return STEP_ROOM;
	st = erased ? reserve_range(c, r) : STEP_DONE;
	if (st != STEP_DONE)
		return st;
	if (!spill_reserve(c, e))
		return end_with(r, -ENOMEM);
	e->blank |= blank;
	spill_leave(c, e, from, to);
	if (erased)
		inherit = replace_erase(c, e->block);
	seq = jnl_op(c, r, 0, r->len, NULL);
	wb_mark(c, e, from, to, seq < inherit ? seq : inherit);
	spill_wrote(c, e, from, to, seq, SPILL_LOGGED);
	return STEP_DONE;
}

/* src: NULL writes zeros. */
static enum step
write_part(struct cache *c, struct cache_req *r, uint64_t block, uint32_t off,
    uint32_t len, const void *src)
{
	struct entry *e = entry_find(c, block);
	enum step st;

	if (!e) {
		e = entry_new(c, block, false);
		if (!e)
			return STEP_ROOM;
		/* Writing again is no use of what was there (evict.c). */
		e->home = Q_SMALL;
		if (entry_block_is_zero(c, block))
			entry_set_valid(c, e, 0, c->nsectors);
	} else if (r->op == CACHE_LOGGED && entry_busy(e)) {
		return STEP_ROOM; /* P3; it is being uploaded */
	}
	entry_take(c, e);
	e->hold++;
	st = r->op == CACHE_LOGGED ? log_into(c, r, e)
				   : write_into(c, r, e, off, len, src);
	e->hold--;
	entry_idle(c, e);
	return st;
}

/* Call fn for each entry of a block in [first, end); fn may free it. */
static void
each_entry(struct cache *c, uint64_t first, uint64_t end,
    void (*fn)(struct cache *c, struct entry *e, void *arg), void *arg)
{
	if (end - first <= c->entries_live) {
		for (uint64_t b = first; b < end; b++) {
			struct entry *e = entry_find(c, b);

			if (e)
				fn(c, e, arg);
		}
		return;
	}
	for (uint32_t i = 0; i < c->entries_ever; i++) {
		struct entry *e = entry_nth(c, i);

		if (e->live && e->block >= first && e->block < end)
			fn(c, e, arg);
	}
}

static void
count_busy(struct cache *c, struct entry *e, void *arg)
{
	(void)c;
	*(size_t *)arg += entry_busy(e);
}

static void
drop_idle(struct cache *c, struct entry *e, void *arg)
{
	uint64_t *seq = arg, old;

	if (entry_busy(e))
		return;
	if (e->state != WB_CLEAN) {
		old = wb_forget(c, e);
		if (old < *seq)
			*seq = old;
	}
	entry_free(c, e);
}

static void
zero_busy(struct cache *c, struct entry *e, void *arg)
{
	(void)arg;
	slot_unref(e->slot);
	e->slot = NULL;
	entry_set_valid(c, e, 0, c->nsectors);
	ranges_remove(&c->erases, e->block, e->block + 1);
	wb_mark(c, e, 0, c->nsectors, c->seq);
	spill_wrote(c, e, 0, c->nsectors, c->seq, SPILL_ZERO);
}

/* Zero the whole blocks [first, end). */
static enum step
zero_whole(struct cache *c, struct cache_req *r, uint64_t first, uint64_t end)
{
	const uint32_t bs = c->info.block_size;
	size_t nbusy = 0;
	uint64_t seq;
	int rc;

	if (!jnl_room(c, r, 0))
		return STEP_ROOM;
	each_entry(c, first, end, count_busy, &nbusy);
	rc = ranges_reserve(&c->erases, 1 + nbusy);
	if (rc == -ENOSPC)
		return STEP_ROOM;
	if (rc < 0)
		return end_with(r, rc);
	seq = jnl_op(c, r, first * bs, (end - first) * bs, NULL);
	each_entry(c, first, end, drop_idle, &seq);
	ranges_add(&c->erases, first, end, seq, loop_now(c->loop));
	/* What is left there is busy. */
	each_entry(c, first, end, zero_busy, NULL);
	wb_kick(c);
	return STEP_DONE;
}

static enum step
zero_step(struct cache *c, struct cache_req *r)
{
	const uint32_t bs = c->info.block_size;
	uint64_t start = r->block * bs + r->off, end = start + r->len;
	uint64_t first = (start + bs - 1) / bs, last = end / bs;
	enum step st = STEP_DONE;

	if (first > last) /* inside one block */
		return write_part(
		    c, r, r->block, r->off, (uint32_t)r->len, NULL);
	for (; r->phase < 3; r->phase++) {
		if (r->phase == 0 && start < first * bs)
			st = write_part(c, r, first - 1, r->off,
			    (uint32_t)(first * bs - start), NULL);
		else if (r->phase == 1 && first < last)
			st = zero_whole(c, r, first, last);
		else if (r->phase == 2 && last * bs < end)
			st = write_part(c, r, last, 0,
			    (uint32_t)(end - last * bs), NULL);
		if (st != STEP_DONE)
			return st;
	}
	return STEP_DONE;
}

/* False: it needs room, and nothing has been done. */
static bool
write_try(struct cache *c, struct cache_req *r)
{
	enum step st;

	if (r->op == CACHE_ZERO)
		st = zero_step(c, r);
	else
		st = write_part(
		    c, r, r->block, r->off, (uint32_t)r->len, r->src);
	if (st == STEP_DONE)
		cache_finish(r, 0);
	return st != STEP_ROOM;
}

static void
fail_hopeless(struct cache *c, struct cache_req *r)
{
	int rc = c->fail_rc == -ENOSPC ? -ENOSPC : -EIO;
	struct err e;

	err_copy(&e, &c->fail_err);
	err_wrap(&e, rc, "no room for more writes, as uploads fail");
	cache_finish_err(r, rc, &e);
}

static void
wait_for_room(struct cache *c, struct cache_req *r)
{
	if (pace_hopeless(c)) {
		fail_hopeless(c, r);
		return;
	}
	r->start_ns = loop_now(c->loop);
	list_push_back(&c->writers, &r->link);
	wb_kick(c);
	pace_arm(c);
}

void
write_begin(struct cache *c, struct cache_req *r)
{
	if (!list_empty(&c->writers) || !write_try(c, r))
		wait_for_room(c, r);
}

void
write_resume(struct cache *c, struct cache_req *r)
{
	if (!write_try(c, r))
		wait_for_room(c, r);
}

void
write_admit(struct cache *c)
{
	if (!list_empty(&c->writers) && !c->closing)
		loop_defer(c->loop, &c->admit);
}

void
write_admit_run(struct loop_task *t)
{
	struct cache *c = container_of(t, struct cache, admit);
	struct list *l;

	while ((l = list_pop_front(&c->writers))) {
		struct cache_req *r = list_entry(l, struct cache_req, link);

		if (write_try(c, r)) {
			stat_add(c->stats, STAT_CACHE_THROTTLED_NS,
			    (uint64_t)(loop_now(c->loop) - r->start_ns));
			continue;
		}
		if (pace_hopeless(c)) {
			fail_hopeless(c, r);
			continue;
		}
		list_push_front(&c->writers, l);
		pace_arm(c);
		break;
	}
}
