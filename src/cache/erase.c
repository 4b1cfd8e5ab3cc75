/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erase.c: zeroed whole blocks on their way to the store.
 *
 * c->erases holds those that wait, as ranges.  A piece of a range that is due
 * is taken out and sent as one LAYOUT_ERASE; blocks which the layout knows to
 * be absent are left out.  A piece that fails stays in its slot, in flight as
 * far as everybody else is concerned, and is tried again: so the blocks in it
 * that were written meanwhile keep waiting, and no order is lost.
 */
#include "config.h"

#include "cache/internal.h"

#include <errno.h>

#include "base/clock.h"
#include "base/must.h"

static void erase_done(struct layout_req *lr);

void
erase_init(struct cache *c)
{
	for (int i = 0; i < ERASES_MAX; i++) {
		c->erase[i].c = c;
		c->erase[i].lr.done = erase_done;
	}
}

static bool
overlaps(const struct cache *c, uint64_t first, uint64_t end)
{
	if (c->nerasing == 0)
		return false;
	for (int i = 0; i < ERASES_MAX; i++) {
		const struct erase *x = &c->erase[i];

		if (x->busy && x->r.first < end && first < x->r.end)
			return true;
	}
	return false;
}

bool
erase_in_flight(const struct cache *c, uint64_t block)
{
	return overlaps(c, block, block + 1);
}

uint64_t
erase_min_seq(const struct cache *c)
{
	uint64_t min = ranges_min_seq(&c->erases);

	for (int i = 0; i < ERASES_MAX; i++)
		if (c->erase[i].busy && c->erase[i].r.seq < min)
			min = c->erase[i].r.seq;
	return min;
}

static void
erase_submit(struct erase *x)
{
	struct cache *c = x->c;

	x->sent = true;
	c->nerase_sent++;
	x->lr.op = LAYOUT_ERASE;
	x->lr.prio = STORE_PRIO_WRITE;
	x->lr.block = x->r.first;
	x->lr.nblocks = x->r.end - x->r.first;
	layout_submit(c->layout, &x->lr);
}

static void
erase_done(struct layout_req *lr)
{
	struct erase *x = container_of(lr, struct erase, lr);
	struct cache *c = x->c;
	int64_t now = loop_now(c->loop);

	x->sent = false;
	c->nerase_sent--;
	if (lr->rc == 0) {
		if (x->ntries > 0)
			c->nerase_failing--;
		x->ntries = 0;
		x->busy = false;
		c->nerasing--;
		c->unsynced = true;
		wb_note_success(c);
		wb_unblock_range(c, x->r.first, x->r.end);
		jnl_left(c);
		barrier_check(c);
		write_admit(c);
	} else {
		if (x->ntries++ == 0) {
			c->nerase_failing++;
			x->failing_ns = now;
		}
		x->retry_ns = now +
		    wb_backoff(x->ntries, 250 * NS_PER_MS, 60 * NS_PER_S);
		wb_note_failure(c, lr->rc, &lr->err);
		barrier_failed(c, x->r.seq, x->failing_ns, lr->rc, &lr->err);
	}
	wb_kick(c);
	cache_check_drained(c);
}

static struct erase *
free_slot(struct cache *c)
{
	for (int i = 0; i < ERASES_MAX; i++)
		if (!c->erase[i].busy)
			return &c->erase[i];
	return NULL;
}

/* Send one piece of the i'th range, or find that nothing of it is there (then
 * the range is gone).  False: it has to wait. */
static bool
send_piece(struct cache *c, size_t i)
{
	struct range *r = &c->erases.v[i];
	uint64_t first = layout_next_present(c->layout, r->first);
	uint64_t end = first + ERASE_BLOCKS;
	struct erase *x;

	if (first >= r->end) {
		if (overlaps(c, r->first, r->end))
			return false;
		ranges_remove(&c->erases, r->first, r->end);
		barrier_check(c);
		jnl_left(c);
		return true;
	}
	if (end > r->end)
		end = r->end;
	/* The absent ones in front may be in flight: wait for that, too. */
	if (overlaps(c, r->first, end))
		return false;
	x = free_slot(c);
	if (!x)
		return false;
	x->busy = true;
	x->r = *r;
	x->r.first = first;
	x->r.end = end;
	c->nerasing++;
	if (end == r->end)
		ranges_remove(&c->erases, r->first, end);
	else
		r->first = end;
	erase_submit(x);
	return true;
}

static int64_t
due_ns(const struct cache *c, const struct range *r)
{
	if (!list_empty(&c->flushes) && r->seq <= c->flush_seq)
		return 0;
	if (c->erases.n > RANGES_MAX / 2 || r->seq < jnl_pressing(c))
		return 0;
	return r->since_ns + due_delay(c);
}

int64_t
erase_pump(struct cache *c)
{
	int64_t now = loop_now(c->loop), next = INT64_MAX, due;

	for (int i = 0; i < ERASES_MAX && c->nerase_sent < c->nerasing; i++) {
		struct erase *x = &c->erase[i];

		if (!x->busy || x->sent)
			continue;
		if (x->retry_ns <= now)
			erase_submit(x);
		else if (x->retry_ns < next)
			next = x->retry_ns;
	}
	if (now < c->pause_ns)
		return c->erases.n && c->pause_ns < next ? c->pause_ns : next;
	for (size_t i = 0; i < c->erases.n;) {
		size_t n = c->erases.n;

		due = due_ns(c, &c->erases.v[i]);
		if (due > now) {
			if (due < next)
				next = due;
			i++;
		} else if (!send_piece(c, i)) {
			/* One in flight ends, and kicks. */
			if (c->nerasing == ERASES_MAX)
				break;
			i++;
		} else if (c->erases.n == n) {
			continue; /* the next piece of the same range */
		}
	}
	return next;
}

void
erase_flush(struct cache *c)
{
	for (int i = 0; i < ERASES_MAX; i++)
		c->erase[i].retry_ns = 0;
}

void
erase_cancel_all(struct cache *c)
{
	for (int i = 0; i < ERASES_MAX; i++)
		if (c->erase[i].busy && c->erase[i].sent)
			layout_cancel(&c->erase[i].lr);
}
