/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight.c: requests to members, with limits of time; see flight.h.
 *
 *	submit --> up --> the device answers: done
 *		     \--> late (hedge, suspect, out): given up, done with an
 *			  error; the flight stays until the device answers
 *
 * A tick looks at the oldest requests, every TICK_NS while there are any:
 *
 *	older than	what
 *	hedge limit	a read is given up; see below
 *	2 s		the member is suspect: reads go around it
 *	as silent.c has it	the member is out
 *
 * Time counts as far as we ran ourselves: a process that was stopped, or a
 * machine that slept, finds everything old that was under way, and nothing of it
 * is the fault of a device.  So a turn counts for STEP_NS at most.
 *
 * The hedge limit is 4 times the p99 of its peers (the median of them), at
 * least 10 ms; and a read is only hedged while most peers are not as far behind
 * themselves: a load that all disks feel must not be doubled.
 *
 * A request for which there is no memory, here or in the device, waits until
 * there is: that is no fault of the member.  So does, for a minute, a write to an
 * image file that cannot grow, where the pool cannot do without the member.
 *
 * A flight owns what the device sees: request, vector, a reference to the
 * memory.  So whoever sent it may go as soon as done was called.  Data that is
 * written from a caller's own memory is the exception (mem NULL): a device that
 * is out may later read what is there then, and what it writes of it nobody
 * will ever believe.
 *
 * Runs on the pool's loop.
 */
#include "raw/flight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "raw/member.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"
#include "raw/silent.h"

#define TICK_NS (5 * NS_PER_MS)
#define STEP_NS (10 * TICK_NS)
#define FEW_READS 32 /* fewer in a window say nothing */

struct flight {
	struct rdev_req req; /* the device's */
	struct iovec iov;
	struct list link; /* in flights.up or .given_up */
	struct pool *pool; /* NULL: it is gone */
	unsigned column;
	struct rdev_req *up; /* NULL: nobody waits any more */
	struct buf *mem;
	bool patient;
	bool giving_up; /* the task will end up */
	bool landed;	/* the device has answered meanwhile */
	/* Times as ran_ns: it first found no room; it is not sent before. */
	int64_t full_ns, not_before_ns;
	int64_t start_ns; /* of the pool's ran_ns */
	struct loop_task task;
};

void
flights_init(struct flights *f)
{
	memset(f, 0, sizeof(*f));
	list_init(&f->unsent);
	list_init(&f->up);
	list_init(&f->given_up);
}

static struct flights *
flights_of(const struct flight *f)
{
	return &f->pool->member[f->column].flights;
}

static void
flight_free(struct flight *f)
{
	list_del(&f->link);
	buf_unref(f->mem);
	free(f);
}

/* The time as far as we ran. */
static int64_t
ran(struct pool *p)
{
	int64_t now = loop_now(p->loop), step = now - p->looked_ns;

	p->looked_ns = now;
	p->ran_ns += step < STEP_NS ? step : STEP_NS;
	return p->ran_ns;
}

/* --- giving up ------------------------------------------------------------- */

static void
tell_late(struct loop_task *t)
{
	struct flight *f = container_of(t, struct flight, task);
	struct rdev_req *up = f->up;

	f->up = NULL;
	f->giving_up = false;
	if (f->landed)
		flight_free(f);
	up->done(up);
}

/* up ends with rc, soon. */
static void
give_up(struct flight *f, int rc)
{
	must(f->up && !f->giving_up);
	list_del(&f->link);
	list_push_back(&flights_of(f)->given_up, &f->link);
	f->giving_up = true;
	f->up->rc = rc;
	f->task = (struct loop_task){.run = tell_late};
	loop_defer(f->pool->loop, &f->task);
}

static void
tell_unsent(struct loop_task *t)
{
	struct rdev_req *r = container_of(t, struct rdev_req, task);

	r->rc = -EIO;
	r->done(r);
}

void
flight_give_up(struct pool *p, unsigned column)
{
	struct flights *fs = &p->member[column].flights;
	struct list *next;

	/* The next device of that column is none of their business. */
	for (struct list *l = p->starved.next; l != &p->starved; l = next) {
		struct flight *f = list_entry(l, struct flight, link);

		next = l->next;
		if (f->column == column) {
			f->landed = true;
			give_up(f, -EIO);
		}
	}
	while (!list_empty(&fs->up))
		give_up(list_entry(fs->up.next, struct flight, link), -EIO);
	while (!list_empty(&fs->unsent)) {
		struct list *l = list_pop_front(&fs->unsent);
		struct rdev_req *r = list_entry(l, struct rdev_req, link);

		buf_unref(r->priv);
		r->task = (struct loop_task){.run = tell_unsent};
		loop_defer(p->loop, &r->task);
	}
}

/* --- the device answers ------------------------------------------------------- */

static void
count_read(struct flights *fs, int64_t took)
{
	fs->reads.count++;
	if (took > 0 && (uint64_t)took > fs->reads.max_ns)
		fs->reads.max_ns = (uint64_t)took;
	fs->reads.bucket[stat_bucket(took)]++;
}

static void
answered(struct flight *f)
{
	struct flights *fs = flights_of(f);
	int64_t took = ran(f->pool) - f->start_ns;

	if (f->start_ns > fs->heard_ns)
		fs->heard_ns = f->start_ns;
	if (f->req.op == RDEV_READ && f->req.rc == 0)
		count_read(fs, took);
	/* One for which there was no memory has never been there. */
	if ((f->req.op == RDEV_WRITE || f->req.op == RDEV_FLUSH) &&
	    f->req.rc < 0 && f->req.rc != -ENOMEM)
		fs->late_rc = f->req.rc;
}

/* It is sent again, some time. */
static void
starve(struct flight *f)
{
	list_del(&f->link);
	list_push_back(&f->pool->starved, &f->link);
}

/* The file system that an image file is on is full, and nobody can stand in. */
static bool
waits_for_room(struct flight *f)
{
	struct pool *p = f->pool;
	int64_t now = ran(p);

	if (f->req.op != RDEV_WRITE || !member_no_space(f->req.rc) ||
	    !p->opened || p->read_only || silent_is_spare(p, f->column))
		return false;
	if (f->full_ns == 0)
		f->full_ns = now;
	f->not_before_ns = now + FLIGHT_ROOM_EACH_NS;
	return now - f->full_ns < FLIGHT_ROOM_NS;
}

static void
landed(struct rdev_req *r)
{
	struct flight *f = container_of(r, struct flight, req);
	struct rdev_req *up = f->up;
	struct pool *p = f->pool;
	unsigned column = f->column;

	if (!p) {
		if (f->giving_up)
			f->landed = true;
		else
			flight_free(f);
		return;
	}
	/* The device has not seen it: later, when there is memory. */
	if (r->rc == -ENOMEM && up && !f->giving_up) {
		starve(f);
		return;
	}
	if (up && !f->giving_up && waits_for_room(f)) {
		member_room(p, column, false);
		starve(f);
		return;
	}
	if (f->full_ns > 0 && r->rc == 0)
		member_room(p, column, true);
	answered(f);
	if (f->giving_up) {
		f->landed = true;
	} else {
		if (up)
			up->rc = r->rc;
		else
			flights_of(f)->late++;
		flight_free(f);
		if (up) {
			up->done(up);
			return;
		}
	}
	if (flight_none(p, column))
		member_idle(p, column);
}

static void
launch(struct flight *f)
{
	struct pool *p = f->pool;
	struct member *m = &p->member[f->column];

	f->start_ns = ran(p);
	list_push_back(&m->flights.up, &f->link);
	rdev_submit(m->dev, &f->req);
}

/* The next tick; without memory for its timer, on the next turn. */
static void
arm_tick(struct pool *p)
{
	if (!loop_timer_armed(&p->tick) &&
	    loop_timer_set(
		p->loop, &p->tick, loop_now(p->loop) + TICK_NS) < 0)
		loop_defer(p->loop, &p->tick_task);
}

/* False: there is no memory. */
static bool
send(struct pool *p, unsigned column, struct rdev_req *r, struct buf *mem,
    bool patient)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return false;
	f->pool = p;
	f->column = column;
	f->up = r;
	f->mem = mem ? buf_ref(mem) : NULL;
	f->patient = patient;
	f->req = (struct rdev_req){.op = r->op, .off = r->off, .len = r->len,
	    .niov = r->niov, .done = landed};
	if (r->niov > 0) {
		f->iov = r->iov[0];
		f->req.iov = &f->iov;
	}
	launch(f);
	return true;
}

void
flight_submit(struct pool *p, unsigned column, struct rdev_req *r,
    struct buf *mem, bool patient)
{
	must(pool_dev(p, column) && r->niov <= 1);
	arm_tick(p);
	if (send(p, column, r, mem, patient))
		return;
	r->priv = mem ? buf_ref(mem) : NULL;
	r->patient = patient;
	list_push_back(&p->member[column].flights.unsent, &r->link);
}

bool
flight_none(const struct pool *p, unsigned column)
{
	const struct flights *fs = &p->member[column].flights;

	return list_empty(&fs->unsent) && list_empty(&fs->up) &&
	    list_empty(&fs->given_up);
}

bool
flight_any(const struct pool *p)
{
	if (!list_empty(&p->starved))
		return true;
	for (unsigned c = 0; c < p->n; c++) {
		const struct flights *fs = &p->member[c].flights;

		if (!list_empty(&fs->unsent) || !list_empty(&fs->up))
			return true;
		list_for_each(l, &fs->given_up)
			if (list_entry(l, struct flight, link)->giving_up)
				return true;
	}
	return false;
}

void
flight_orphan(struct pool *p, unsigned column)
{
	struct flights *fs = &p->member[column].flights;

	must(list_empty(&fs->unsent) && list_empty(&fs->up));
	while (!list_empty(&fs->given_up)) {
		struct list *l = list_pop_front(&fs->given_up);

		list_entry(l, struct flight, link)->pool = NULL;
	}
}

/* --- the time ---------------------------------------------------------------- */

static int64_t
oldest_age(const struct list *l, int64_t now)
{
	if (list_empty(l))
		return 0;
	return now - list_entry(l->next, struct flight, link)->start_ns;
}

int64_t
flight_longest(const struct pool *p, unsigned column)
{
	const struct flights *fs = &p->member[column].flights;
	int64_t a = 0, b = 0, now = p->ran_ns;

	/* A discard may take its time. */
	list_for_each(l, &fs->up) {
		const struct flight *f = list_entry(l, struct flight, link);

		if (f->req.op != RDEV_DISCARD) {
			a = now - f->start_ns;
			break;
		}
	}
	/* Given up in any order. */
	list_for_each(l, &fs->given_up) {
		const struct flight *f = list_entry(l, struct flight, link);

		if (!f->landed && now - f->start_ns > b)
			b = now - f->start_ns;
	}
	return a > b ? a : b;
}

int64_t
flight_unwritten(const struct pool *p, unsigned column)
{
	list_for_each(l, &p->member[column].flights.up) {
		const struct flight *f = list_entry(l, struct flight, link);

		if (f->req.op == RDEV_WRITE || f->req.op == RDEV_FLUSH)
			return p->ran_ns - f->start_ns;
	}
	return 0;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The median of the other members' p99; 0: not known. */
static uint64_t
peers_p99(const struct pool *p, unsigned column)
{
	uint64_t v[RAW_MAX_MEMBERS];
	unsigned n = 0;

	for (unsigned c = 0; c < p->n; c++)
		if (c != column && pool_dev(p, c) &&
		    p->member[c].flights.p99_ns > 0)
			v[n++] = p->member[c].flights.p99_ns;
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(v[0]), compare);
	return v[n / 2];
}

static int64_t
hedge_limit(const struct pool *p, unsigned column)
{
	int64_t limit = (int64_t)(4 * peers_p99(p, column));

	if (limit == 0)
		return FLIGHT_HEDGE_UNKNOWN_NS;
	return limit < FLIGHT_HEDGE_LEAST_NS ? FLIGHT_HEDGE_LEAST_NS : limit;
}

/* Most of the others are not half as far behind. */
static bool
peers_are_better(
    const struct pool *p, unsigned column, int64_t age, int64_t now)
{
	unsigned better = 0, n = 0;

	for (unsigned c = 0; c < p->n; c++) {
		if (c == column || !pool_readable(p, c))
			continue;
		n++;
		better +=
		    oldest_age(&p->member[c].flights.up, now) < age / 2;
	}
	return n > 0 && 2 * better > n;
}

/* Reads that are later than limit are not waited for. */
static void
give_up_reads(struct pool *p, unsigned column, int64_t limit, int64_t now)
{
	struct flights *fs = &p->member[column].flights;
	struct list *next;

	for (struct list *l = fs->up.next; l != &fs->up; l = next) {
		struct flight *f = list_entry(l, struct flight, link);
		int64_t age = now - f->start_ns;

		next = l->next;
		if (age <= limit)
			return;
		if (f->req.op != RDEV_READ || f->patient)
			continue;
		if (!fs->suspect && !peers_are_better(p, column, age, now))
			return;
		if (!fs->suspect)
			fs->hedged++;
		give_up(f, FLIGHT_LATE);
	}
}

static void
look_at(struct pool *p, unsigned column, int64_t now)
{
	struct flights *fs = &p->member[column].flights;
	int64_t age = flight_longest(p, column);

	if (silent_look(p, column)) {
		fs->timeouts++;
		return;
	}
	if (!fs->suspect && age >= FLIGHT_SUSPECT_NS) {
		fs->suspect = true;
		fs->timeouts++;
		member_suspect(p, column, age);
	} else if (fs->suspect && age < FLIGHT_SUSPECT_NS) {
		fs->suspect = false;
		member_answers(p, column);
	}
	/* With no parity there is nothing to read instead. */
	if (p->m > 0)
		give_up_reads(p, column,
		    fs->suspect ? 0 : hedge_limit(p, column), now);
}

/* The end of a window: who has been slow next to the others? */
static void
window_end(struct pool *p)
{
	for (unsigned c = 0; c < p->n; c++) {
		struct flights *fs = &p->member[c].flights;

		fs->p99_ns = fs->reads.count < FEW_READS
		    ? 0
		    : stat_quantile(&fs->reads, 0.99);
		memset(&fs->reads, 0, sizeof(fs->reads));
	}
	for (unsigned c = 0; c < p->n; c++) {
		struct flights *fs = &p->member[c].flights;
		uint64_t peers = peers_p99(p, c);
		bool slow = peers > 0 && fs->p99_ns > 10 * peers;

		fs->slow_windows = slow ? fs->slow_windows + 1 : 0;
		if (fs->slow != (fs->slow_windows >= FLIGHT_SLOW_WINDOWS) &&
		    (slow || fs->p99_ns > 0)) {
			fs->slow = !fs->slow;
			member_slow(p, c, fs->p99_ns, peers);
		}
	}
}

static void
feed_starved(struct pool *p, int64_t now)
{
	struct list all;

	list_init(&all);
	list_splice_back(&all, &p->starved);
	while (!list_empty(&all)) {
		struct list *l = list_pop_front(&all);
		struct flight *f = list_entry(l, struct flight, link);

		if (f->not_before_ns > now && !p->read_only)
			list_push_back(&p->starved, &f->link);
		else
			launch(f);
	}
}

/* What there was no memory for; it is no fault of a member. */
static void
send_unsent(struct pool *p, unsigned column)
{
	struct list *unsent = &p->member[column].flights.unsent;

	while (!list_empty(unsent)) {
		struct rdev_req *r =
		    list_entry(unsent->next, struct rdev_req, link);
		struct buf *mem = r->priv;

		if (!send(p, column, r, mem, r->patient))
			return;
		list_del(&r->link);
		buf_unref(mem);
	}
}

static void
look(struct pool *p)
{
	int64_t now = loop_now(p->loop), us = ran(p);
	bool busy = flight_any(p);

	feed_starved(p, us);
	for (unsigned c = 0; c < p->n; c++) {
		send_unsent(p, c);
		if (pool_dev(p, c))
			look_at(p, c, us);
		busy = busy || (pool_dev(p, c) && !flight_none(p, c));
	}
	if (now - p->window_ns >= FLIGHT_WINDOW_NS) {
		window_end(p);
		p->window_ns = now;
	}
	if (busy)
		arm_tick(p);
}

static void
tick(struct loop_timer *t)
{
	look(container_of(t, struct pool, tick));
}

static void
tick_now(struct loop_task *t)
{
	look(container_of(t, struct pool, tick_task));
}

void
flight_init(struct pool *p)
{
	list_init(&p->starved);
	p->tick.fire = tick;
	p->tick_task.run = tick_now;
	p->window_ns = p->looked_ns = loop_now(p->loop);
	for (unsigned c = 0; c < RAW_MAX_MEMBERS; c++)
		flights_init(&p->member[c].flights);
}

void
flight_fini(struct pool *p)
{
	loop_timer_cancel(&p->tick);
	loop_cancel(p->loop, &p->tick_task);
}
