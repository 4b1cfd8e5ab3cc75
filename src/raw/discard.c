/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discard.c: free space is given back to the devices.
 *
 * Space is free when the commit that freed it is durable and nobody reads it
 * any more (log.c); from then on, a run of it at a time is taken from the
 * allocator, discarded on all members that want it, and given back.  So nobody
 * can be given it meanwhile, and no write can be overtaken by a discard.
 *
 * Only runs that are long on every member, only where something has been freed
 * since, and only while there is space to spare.  Nothing is ever read from
 * discarded space, so what it holds does not matter.  A device that cannot
 * discard is not asked again; that is no failure of it.
 *
 * Runs on the pool's loop.
 */
#include "raw/discard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/flight.h"
#include "raw/pool_int.h"
#include "raw/write.h"

#define EVERY_NS (50 * NS_PER_MS)	  /* one run in so long, at most */
#define LOOK_NS NS_PER_S		  /* when there was none */
#define LEAST ((1u << 20) / RAW_SECTOR) /* sectors, of each member */

struct discard {
	struct pool *pool;
	enum pool_discard how;
	struct loop_timer timer;
	bool stopped;
	unsigned pending;
	uint64_t addr; /* the run under way */
	uint32_t run;
	uint32_t refused; /* by column */
	struct discard_one {
		struct rdev_req req;
		struct discard *discard;
		unsigned column;
	} one[RAW_MAX_MEMBERS];
};

static void
next_in(struct discard *d, int64_t ns)
{
	struct loop *l = d->pool->loop;

	if (!d->stopped)
		loop_timer_set(l, &d->timer, loop_now(l) + ns);
}

static bool
wanted(const struct discard *d, unsigned column)
{
	const struct rdev *dev = pool_dev(d->pool, column);

	return dev && !(d->refused & (1u << column)) &&
	    (d->how == POOL_DISCARD_ON || dev->wants_discard);
}

static void
end(struct discard *d)
{
	alloc_return(d->pool->alloc, d->addr, d->run);
	d->run = 0;
	write_retry(d->pool);
	next_in(d, EVERY_NS);
}

static void
discarded(struct rdev_req *r)
{
	struct discard_one *o = r->arg;
	struct discard *d = o->discard;

	if (r->rc == 0) {
		d->pool->member[o->column].discarded += r->len;
	} else if (pool_dev(d->pool, o->column)) {
		d->refused |= 1u << o->column;
		log_info("%s: does not discard: %s",
		    d->pool->member[o->column].path, strerror(-r->rc));
	}
	if (--d->pending == 0)
		end(d);
}

/* What column c has of the run: sectors [*from, *to) of its data. */
static void
share(const struct discard *d, unsigned c, uint64_t *from, uint64_t *to)
{
	uint64_t n = d->pool->n, last = d->addr + d->run;

	/* The first with s * n + c >= addr, and >= addr + run. */
	*from = d->addr > c ? (d->addr - c + n - 1) / n : 0;
	*to = last > c ? (last - c + n - 1) / n : 0;
}

static void
begin(struct discard *d)
{
	struct pool *p = d->pool;

	d->pending = 1;
	for (unsigned c = 0; c < p->n; c++) {
		struct discard_one *o = &d->one[c];
		uint64_t from, to;

		share(d, c, &from, &to);
		if (!wanted(d, c) || from == to)
			continue;
		o->discard = d;
		o->column = c;
		o->req = (struct rdev_req){.op = RDEV_DISCARD,
		    .off = (RAW_LOG_START + p->super.log_sectors + from) *
			RAW_SECTOR,
		    .len = (to - from) * RAW_SECTOR,
		    .done = discarded,
		    .arg = o};
		d->pending++;
		flight_submit(p, c, &o->req, NULL, false);
	}
	if (--d->pending == 0)
		end(d);
}

static void
look(struct loop_timer *t)
{
	struct discard *d = container_of(t, struct discard, timer);
	struct pool *p = d->pool;
	bool any = false;

	for (unsigned c = 0; c < p->n; c++)
		any = any || wanted(d, c);
	if (p->read_only || d->stopped)
		return;
	/* What little is left is for those who wait for it. */
	if (any && alloc_nfree(p->alloc) > alloc_total(p->alloc) / 8 &&
	    alloc_take_stale(p->alloc, LEAST * p->n, &d->addr, &d->run))
		begin(d);
	else
		next_in(d, LOOK_NS);
}

int
discard_init(struct pool *p, enum pool_discard how)
{
	if (how == POOL_DISCARD_OFF)
		return 0;
	p->discard = calloc(1, sizeof(*p->discard));
	if (!p->discard)
		return -ENOMEM;
	p->discard->pool = p;
	p->discard->how = how;
	p->discard->timer.fire = look;
	next_in(p->discard, LOOK_NS);
	return 0;
}

void
discard_stop(struct pool *p)
{
	if (!p->discard)
		return;
	p->discard->stopped = true;
	loop_timer_cancel(&p->discard->timer);
}

bool
discard_idle(const struct pool *p)
{
	return !p->discard || p->discard->run == 0;
}

void
discard_fini(struct pool *p)
{
	if (!p->discard)
		return;
	must(discard_idle(p));
	discard_stop(p);
	free(p->discard);
	p->discard = NULL;
}
