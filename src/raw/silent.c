/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silent.c: members that do not answer; see docs/raw.md, "Silence".
 *
 *	a write is not answered --> the others are asked something --> they
 *	    answer, and can do without it: out, as MISSING (member.c)
 *	it answers everything, without an error --> a while --> online
 *	    (repair.c), what it has missed is rebuilt
 *
 * What a member was silent in was never acknowledged without it, so all that was
 * durable before is whole on it: it only lacks what was committed later.  A
 * device that has answered everything does nothing of its past any more, so
 * there is nothing of that which could reach it after its return.
 *
 * That somebody is silent is known of members that are asked.  So the others
 * are, every ASK_NS while one is silent: if they say nothing either it is the
 * machine, or what they all hang on, and to put out one after the other would
 * not help anybody.  They go together or not at all.
 *
 * If power goes while it is out it is MISSING, and is brought back by the next
 * opening, or left out there if it is still not there.  What fails on the way
 * back leaves it as it was: out.
 *
 * Runs on the pool's loop.
 */
#include "raw/silent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "raw/flight.h"
#include "raw/format.h"
#include "raw/member.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"

#define ASK_FROM_NS (500 * NS_PER_MS) /* so long a write takes at times */
#define ASK_NS (250 * NS_PER_MS)
#define HEARD_NS (750 * NS_PER_MS) /* whoever answered what is newer is there */
#define HELD_NS NS_PER_S
#define DAY_NS (24 * 3600 * NS_PER_S)

void
silent_init(struct pool *p)
{
	for (unsigned c = 0; c < RAW_MAX_MEMBERS; c++)
		p->member[c].silence = (struct silence){.pool = p};
}

/* --- asking the others ------------------------------------------------------- */

struct question {
	struct rdev_req req;
	struct iovec iov;
	struct pool *pool;
	unsigned column;
};

static void
told(struct rdev_req *r)
{
	struct question *q = r->arg;

	/* That it was not told in time is seen elsewhere. */
	if (r->rc < 0 && r->rc != FLIGHT_LATE)
		member_unreadable(q->pool, q->column, r->off, r->rc);
	free(q);
}

/* Read a superblock, whatever it says.  False: there is no memory. */
static bool
ask(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];
	struct question *q;
	struct buf *b;

	/* It still has the last one. */
	if (m->silence.told_ns > m->flights.heard_ns)
		return true;
	q = calloc(1, sizeof(*q));
	b = q ? buf_new(RAW_SECTOR) : NULL;
	if (!b) {
		free(q);
		return false;
	}
	m->silence.told_ns = p->ran_ns;
	q->pool = p;
	q->column = column;
	q->iov = (struct iovec){b->data, RAW_SECTOR};
	q->req = (struct rdev_req){.op = RDEV_READ,
	    .off = raw_copy_offset(RAW_COPY_A0, p->super.end),
	    .iov = &q->iov,
	    .niov = 1,
	    .done = told,
	    .arg = q};
	flight_submit(p, column, &q->req, b, false);
	buf_unref(b);
	return true;
}

static void
ask_others(struct pool *p, unsigned column)
{
	struct silence *s = &p->member[column].silence;

	if (s->asked && p->ran_ns - s->asked_ns < ASK_NS)
		return;
	for (unsigned c = 0; c < p->n; c++)
		if (c != column && pool_dev(p, c) && !ask(p, c))
			return;
	s->asked = true;
	s->asked_ns = p->ran_ns;
}

/* Members that have answered nothing new, and this one. */
static uint32_t
quiet(const struct pool *p, unsigned column)
{
	uint32_t set = 1u << column;

	for (unsigned c = 0; c < p->n; c++)
		if (pool_dev(p, c) && flight_longest(p, c) > 0 &&
		    p->ran_ns - p->member[c].flights.heard_ns > HEARD_NS)
			set |= 1u << c;
	return set;
}

/* Without all of these the pool reads and writes as before, and no others could
 * open it behind our back. */
static bool
can_do_without(const struct pool *p, uint32_t set)
{
	unsigned whole = 0, taking = 0;

	for (unsigned c = 0; c < p->n; c++) {
		if (set & (1u << c) || !pool_dev(p, c))
			continue;
		whole += pool_readable(p, c);
		taking += pool_readable(p, c) ||
		    p->super.member[c].state == RAW_MEMBER_REBUILDING;
	}
	if (whole < p->k || 2 * whole < p->epoch_online)
		return false;
	return p->m < 2 || taking > p->k || p->write_at_risk ||
	    pool_at_risk(p);
}

bool
silent_is_spare(const struct pool *p, unsigned column)
{
	return can_do_without(p, 1u << column);
}

/* --- out ---------------------------------------------------------------------- */

/* How often it was silent today. */
static unsigned
times_today(struct pool *p, struct silence *s)
{
	int64_t now = loop_now(p->loop);

	if (s->times == 0 || now - s->day_ns > DAY_NS) {
		s->day_ns = now;
		s->times = 0;
	}
	return s->times;
}

static void
put_out(struct pool *p, unsigned column, int64_t age)
{
	struct member *m = &p->member[column];
	struct silence *s = &m->silence;
	bool back = times_today(p, s) < SILENT_RETURNS;

	s->times++;
	s->since_ns = loop_now(p->loop);
	s->asked = false;
	m->failed_rc = -ETIMEDOUT;
	m->flights.late_rc = 0;
	member_event(p, (int)column, MEMBER_BAD,
	    "no answer for %.1f s; the member is taken out of the store%s",
	    (double)age / 1e9,
	    back ? " until it answers"
		 : ", once too often today: it stays out until it is asked back "
		   "(pail store online)");
	member_take_out(
	    p, column, back ? RAW_MEMBER_MISSING : RAW_MEMBER_FAULTED, true);
	/* If it could not be taken out, nor can it be brought back. */
	s->waits = p->in_service &&
	    p->super.member[column].state == RAW_MEMBER_MISSING;
}

bool
silent_look(struct pool *p, unsigned column)
{
	int64_t age = flight_longest(p, column);
	int64_t wait = flight_unwritten(p, column);
	struct silence *s = &p->member[column].silence;
	int64_t limit;
	bool spare, early;

	if (wait >= ASK_FROM_NS && p->m > 0)
		ask_others(p, column);
	else
		s->asked = false;
	if (age < SILENT_WRITE_NS)
		return false;
	spare = can_do_without(p, quiet(p, column));
	if (!spare)
		s->held_ns = p->ran_ns;
	early = wait >= SILENT_WRITE_NS && s->asked && p->in_service &&
	    !p->read_only && times_today(p, s) < SILENT_RETURNS;
	limit = spare && early ? 0 : spare ? SILENT_NS : SILENT_LAST_NS;
	/* Where all were silent, they do not answer all in the same moment. */
	if (age < limit ||
	    (limit < SILENT_LAST_NS && s->held_ns > 0 &&
		p->ran_ns - s->held_ns < HELD_NS))
		return false;
	put_out(p, column, age);
	return true;
}

/* --- back ---------------------------------------------------------------------- */

static void
came_back(struct pool_change *c)
{
	struct silence *s = c->arg;
	struct member *m = container_of(s, struct member, silence);

	if (c->rc == 0)
		return;
	s->waits = false;
	member_event(s->pool, (int)(m - s->pool->member), MEMBER_WARN,
	    "cannot be brought back: %s; it stays out until it is asked back "
	    "(pail store online), or the store is opened anew",
	    err_text(&c->err));
}

static void
come_back(struct loop_timer *t)
{
	struct silence *s = container_of(t, struct silence, timer);
	struct member *m = container_of(s, struct member, silence);
	struct rdev *d = m->dev;

	must(d && m->failed);
	m->dev = NULL;
	s->change = (struct pool_change){.done = came_back, .arg = s};
	pool_member_online(s->pool, &s->change, d, false);
}

bool
silent_answered(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];
	struct silence *s = &m->silence;
	int64_t now = loop_now(p->loop), in = SILENT_SETTLE_NS;

	if (!s->waits || p->read_only)
		return false;
	if (m->flights.late_rc < 0) {
		s->waits = false;
		member_event(p, (int)column, MEMBER_BAD,
		    "has answered at last, with an error: %s; it stays out "
		    "until it is asked back (pail store online)",
		    strerror(-m->flights.late_rc));
		member_restate(p, column, RAW_MEMBER_FAULTED);
		return false;
	}
	for (unsigned i = 1; i < s->times; i++)
		in *= 10;
	if (loop_timer_armed(&s->timer))
		return true;
	s->timer.fire = come_back;
	if (loop_timer_set(p->loop, &s->timer, now + in) < 0) {
		s->waits = false;
		return false;
	}
	member_event(p, (int)column, MEMBER_GOOD,
	    "has answered, %.1f s after it was taken out; it is brought back in "
	    "%lld s",
	    (double)(now - s->since_ns) / 1e9, (long long)(in / NS_PER_S));
	return true;
}

void
silent_forget(struct pool *p, unsigned column)
{
	struct silence *s = &p->member[column].silence;

	loop_timer_cancel(&s->timer);
	s->waits = false;
}

void
silent_stop(struct pool *p)
{
	for (unsigned c = 0; c < p->n; c++)
		silent_forget(p, c);
}
