/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.c: how fast writers may go when much is dirty.
 *
 * Up to three quarters of dirty_max they go as they like.  Above, each admitted write
 * moves the time at which the next one may go on by its length divided by
 *
 *	rate * (1 - x) / (x - 3/4),	x = dirty / dirty_max
 *
 * where rate is what uploads have achieved lately.  So writers feel the store
 * gradually (a journal that fills up counts like dirty data), settle where they are as fast as it is (x = 7/8), and never run
 * into the wall at x = 1 all at once.
 *
 * One timer wakes the first of the writers that wait; it also ends their
 * waiting when uploads have been failing for error_deadline, or fail for lack of
 * space.
 */
#include "config.h"

#include <errno.h>

#include "base/clock.h"
#include "base/must.h"
#include "cache/internal.h"

#define RATE_WINDOW_NS (100 * NS_PER_MS)
/* Taken for the rate until one was measured. */
#define RATE_UNKNOWN 16384.0 /* pages/s: 64 MiB/s */
#define CREDIT_NS (2 * NS_PER_MS) /* what a late timer does not lose */
#define COST_MAX_NS (NS_PER_S / 2)

void
pace_begin(struct cache *c)
{
	c->rate_since_ns = loop_now(c->loop);
	c->rate_pages = 0;
}

void
pace_uploaded(struct cache *c, uint64_t npages)
{
	int64_t dt = loop_now(c->loop) - c->rate_since_ns;
	double now;

	c->rate_pages += npages;
	if (dt < RATE_WINDOW_NS)
		return;
	now = (double)c->rate_pages * (double)NS_PER_S / (double)dt;
	c->rate = c->rate > 0 ? 0.7 * c->rate + 0.3 * now : now;
	pace_begin(c);
}

static double
allowed_rate(const struct cache *c)
{
	double x = (double)dirty_resident(c) / (double)c->dirty_max;
	double log = jnl_fill(c);
	double rate = c->rate > 0 ? c->rate : RATE_UNKNOWN;
	double f;

	if (x < log)
		x = log;
	f = (1.0 - x) / (x - 0.75);
	return rate * (f < 0.02 ? 0.02 : f > 100 ? 100 : f);
}

bool
pace_admit(struct cache *c, uint64_t bytes)
{
	int64_t now = loop_now(c->loop), from = now - CREDIT_NS;
	double cost;

	if (dirty_resident(c) <= c->dirty_slow && jnl_fill(c) <= 0.75)
		return true;
	if (c->admit_ns > now)
		return false;
	cost = (double)bytes / ARENA_PAGE / allowed_rate(c) *
	    (double)NS_PER_S;
	if (cost > (double)COST_MAX_NS)
		cost = (double)COST_MAX_NS;
	if (from < c->admit_ns)
		from = c->admit_ns;
	c->admit_ns = from + (int64_t)cost;
	return true;
}

/* A store that is full does not become empty by waiting: it is those who write
 * that can delete, and who waits here holds them up (a discard waits behind
 * their write). */
bool
pace_hopeless(const struct cache *c)
{
	if (c->failing_ns > 0 && c->fail_rc == -ENOSPC)
		return true;
	return c->failing_ns > 0 &&
	    loop_now(c->loop) - c->failing_ns >= c->params.error_deadline_ns;
}

void
pace_arm(struct cache *c)
{
	int64_t now = loop_now(c->loop), due = INT64_MAX;

	if (c->admit_ns > now)
		due = c->admit_ns;
	if (c->failing_ns > 0 &&
	    c->failing_ns + c->params.error_deadline_ns < due)
		due = c->failing_ns + c->params.error_deadline_ns;
	if (pace_hopeless(c))
		due = now;
	/* Otherwise they wait for an upload, which wakes them. */
	if (due == INT64_MAX)
		return;
	if (loop_timer_armed(&c->pace_timer) && c->pace_timer.due_ns <= due)
		return;
	if (loop_timer_set(c->loop, &c->pace_timer, due) < 0)
		write_admit(c); /* no memory for a timer: ask at once */
}

void
pace_fire(struct loop_timer *t)
{
	write_admit(container_of(t, struct cache, pace_timer));
}
