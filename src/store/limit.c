/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit: a window of requests in flight, and queues by urgency before it.
 *
 *	submit -> queue[prio] -> (a slot is free for prio) -> below -> answer
 *
 * Who may start is decided by counts alone (L2): a request of class p starts
 * if fewer than cap(p) of the classes p and below it in urgency are in flight,
 * and fewer than slots in all.  The queues are tried from the most urgent one;
 * a class that may not start does not hold up the next one.
 *
 * The window is the number of slots, between SLOTS_MIN and max.  It shrinks by
 * half on SlowDown and grows by one for each window's worth of successes: the
 * additive increase and multiplicative decrease by which many clients of one
 * server find their shares.  Answers to requests that were sent before the
 * last decrease say nothing new, hence the pause of a second.
 *
 * Slots are not all: what is in flight queues in the server, too.  How many
 * writes may be there while somebody reads is yield.c's.
 *
 * A request that waits here waits in memory only; it can be cancelled at once.
 */
#include "config.h"

#include "store/limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/stat.h"
#include "store/filter.h"
#include "store/yield.h"

#define LIMIT_DEFAULT 256
#define SLOTS_MIN 2
#define SLOWDOWN_PAUSE_NS NS_PER_S

struct limit {
	struct filter f;
	unsigned max;
	int64_t try_ns;
	struct stat_set *stats; /* or NULL */

	unsigned slots;	 /* the window */
	unsigned good;	 /* successes since the window last changed */
	int64_t slow_ns; /* when it was last halved */
	uint64_t slowdowns;
	unsigned inflight; /* the sum of running */
	unsigned running[STORE_NPRIO];
	unsigned queued[STORE_NPRIO];
	struct list queue[STORE_NPRIO]; /* of filter_req.link */
	bool read_last; /* what began last is a read */
	bool yields;
	struct yield yield;
};

struct limit_req {
	struct filter_req q;
	bool queued;
	enum store_prio prio;
	int64_t began_ns;
};

static struct limit *
limit_of(struct store *s)
{
	return container_of(s, struct limit, f.store);
}

static unsigned
at_least_one(unsigned n)
{
	return n > 0 ? n : 1;
}

/* Those that yield to reads (L6).  Read-ahead is for a reader, too. */
static unsigned
others(const struct limit *l)
{
	return l->running[STORE_PRIO_WRITE] + l->running[STORE_PRIO_BACKGROUND];
}

/* L6 */
static bool
limit_must_yield(const struct limit *l, enum store_prio p)
{
	return l->yields && (p == STORE_PRIO_WRITE ||
	    p == STORE_PRIO_BACKGROUND) &&
	    others(l) >= yield_max(&l->yield, loop_now(l->f.store.loop),
		l->running[STORE_PRIO_READAHEAD]);
}

/* Where an eighth is none reads leave a slot to a write that waits; where there
 * is but one slot they have it in turns. */
static bool
limit_is_writes_turn(const struct limit *l)
{
	if (l->slots >= 8 || l->queued[STORE_PRIO_WRITE] == 0)
		return false;
	return l->slots > 1 ? l->running[STORE_PRIO_READ] >= l->slots - 1
			    : l->read_last;
}

/* L1, L2 */
static bool
limit_may_start(const struct limit *l, enum store_prio p)
{
	unsigned lower = 0;

	if (l->inflight >= l->slots || limit_must_yield(l, p))
		return false;
	if (p == STORE_PRIO_READ)
		return l->running[p] < l->slots - l->slots / 8 &&
		    !limit_is_writes_turn(l);
	for (unsigned i = p; i < STORE_NPRIO; i++)
		lower += l->running[i];
	switch (p) {
	case STORE_PRIO_WRITE:
		return lower < at_least_one(l->slots - l->slots / 4);
	case STORE_PRIO_READAHEAD:
		return lower < at_least_one(l->slots / 2);
	default:
		return lower < at_least_one(l->slots / 4);
	}
}

static void
limit_show(struct limit *l)
{
	unsigned queued = 0;

	if (l->stats == NULL)
		return;
	for (unsigned p = 0; p < STORE_NPRIO; p++)
		queued += l->queued[p];
	stat_put(l->stats, STAT_STORE_WAITING, queued);
	stat_put(l->stats, STAT_STORE_SLOTS, l->slots);
}

/* L4 */
static void
limit_learn(struct limit *l, int rc)
{
	int64_t now = loop_now(l->f.store.loop);

	if (rc == -EAGAIN) {
		if (now - l->slow_ns < SLOWDOWN_PAUSE_NS)
			return;
		l->slow_ns = now;
		l->slowdowns++;
		l->good = 0;
		l->slots /= 2;
		if (l->slots < SLOTS_MIN)
			l->slots = l->max < SLOTS_MIN ? l->max : SLOTS_MIN;
		return;
	}
	if ((rc < 0 && rc != -ENOENT && rc != -EEXIST) || l->slots == l->max)
		return;
	if (++l->good >= l->slots) {
		l->good = 0;
		l->slots++;
	}
}

/* L5: bytes take time */
static uint64_t
req_bytes(const struct store_req *r)
{
	uint64_t n = 0;

	switch (r->op) {
	case STORE_GET:
		return r->range_len != 0 ? r->range_len : r->body->cap;
	case STORE_PUT:
		return r->body->len;
	case STORE_BATCH:
		for (unsigned i = 0; i < r->nitems; i++)
			if (r->items[i].op == STORE_PUT)
				n += r->items[i].body->len;
		return n;
	default:
		return 0;
	}
}

static void
limit_start(struct limit *l, struct limit_req *lr)
{
	struct store_req *down = &lr->q.down;
	int64_t now = loop_now(l->f.store.loop), due;

	lr->queued = false;
	l->queued[lr->prio]--;
	if (l->stats != NULL)
		stat_time(l->stats, HIST_STORE_QUEUE,
		    now - lr->q.up->start_ns);
	lr->q.up->start_ns = now;
	if (down->deadline_ns != 0 && down->deadline_ns <= now) {
		err_set(&lr->q.up->err, -ETIMEDOUT,
		    "%s: %s %s: waited too long for one of %u slots",
		    l->f.store.url, store_op_name(down->op),
		    down->key != NULL ? down->key : "", l->slots);
		filter_req_end_later(&l->f, &lr->q, -ETIMEDOUT);
		return;
	}
	if (l->try_ns != 0) {
		due = now + l->try_ns +
		    (int64_t)(req_bytes(down) >> 20) * NS_PER_S;
		if (down->deadline_ns == 0 || down->deadline_ns > due)
			down->deadline_ns = due;
	}
	lr->began_ns = now;
	if (lr->prio == STORE_PRIO_READ)
		yield_read_begins(&l->yield, now, others(l),
		    l->running[STORE_PRIO_READAHEAD]);
	l->inflight++;
	l->running[lr->prio]++;
	l->read_last = lr->prio == STORE_PRIO_READ;
	store_submit(l->f.store.below, down);
}

static void
limit_pump(struct limit *l)
{
	for (unsigned p = 0; p < STORE_NPRIO; p++)
		while (l->queued[p] != 0 && limit_may_start(l, p)) {
			struct list *e = list_pop_front(&l->queue[p]);

			limit_start(l,
			    list_entry(e, struct limit_req, q.link));
		}
}

static void
limit_done(struct store_req *down)
{
	struct limit_req *lr = container_of(down, struct limit_req, q.down);
	struct limit *l = limit_of(lr->q.up->store);

	l->inflight--;
	l->running[lr->prio]--;
	if (lr->prio == STORE_PRIO_READ)
		yield_read_ended(&l->yield, loop_now(l->f.store.loop),
		    down->rc == 0 ? lr->began_ns : 0, others(l));
	limit_learn(l, down->rc);
	limit_pump(l);
	limit_show(l);
	filter_req_answer(&l->f, &lr->q);
}

static void
limit_submit(struct store *s, struct store_req *r)
{
	struct limit *l = limit_of(s);
	struct filter_req *q = filter_req_get(&l->f, r, limit_done);
	struct limit_req *lr;

	if (q == NULL)
		return;
	lr = container_of(q, struct limit_req, q);
	lr->prio = r->prio;
	lr->queued = true;
	l->queued[lr->prio]++;
	/* An empty queue and a free slot: no detour, and L3 holds. */
	if (l->queued[lr->prio] == 1 && limit_may_start(l, lr->prio))
		limit_start(l, lr);
	else
		list_push_back(&l->queue[lr->prio], &lr->q.link);
	limit_show(l);
}

static void
limit_cancel(struct store *s, struct store_req *r)
{
	struct limit *l = limit_of(s);
	struct limit_req *lr = container_of(r->priv, struct limit_req, q);

	if (!lr->queued) {
		store_cancel(&lr->q.down);
		return;
	}
	l->queued[lr->prio]--;
	limit_show(l);
	filter_req_end_later(&l->f, &lr->q, -ECANCELED);
}

static void
limit_free(struct store *s)
{
	struct limit *l = limit_of(s);

	must(l->inflight == 0);
	filter_fini(&l->f);
	free(l);
}

static const struct store_ops limit_ops = {
	.name = "limit",
	.submit = limit_submit,
	.cancel = limit_cancel,
	.free = limit_free,
};

int
limit_store_new(struct store *below, const struct limit_config *c,
    struct store **out, struct err *e)
{
	struct limit *l = calloc(1, sizeof(*l));
	unsigned max = c->max;

	if (l == NULL || filter_init(&l->f, &limit_ops, below,
	    sizeof(struct limit_req)) < 0) {
		free(l);
		store_free(below);
		return err_errno(e, -ENOMEM, "limit requests in flight");
	}
	if (max == 0)
		max = below->info.max_inflight;
	if (max == 0)
		max = LIMIT_DEFAULT;
	l->max = l->slots = max;
	l->try_ns = c->try_ns;
	l->stats = c->stats;
	l->yields = c->yields;
	yield_init(&l->yield, max);
	l->slow_ns = loop_now(below->loop) - SLOWDOWN_PAUSE_NS;
	for (unsigned p = 0; p < STORE_NPRIO; p++)
		list_init(&l->queue[p]);
	l->f.store.info.max_inflight = max;
	limit_show(l);
	*out = &l->f.store;
	return 0;
}

void
limit_store_state(const struct store *s, struct limit_state *st)
{
	const struct limit *l =
	    container_of((struct store *)s, struct limit, f.store);

	must(s->ops == &limit_ops);
	st->max = l->max;
	st->slots = l->slots;
	st->inflight = l->inflight;
	st->slowdowns = l->slowdowns;
	memcpy(st->queued, l->queued, sizeof(st->queued));
}
