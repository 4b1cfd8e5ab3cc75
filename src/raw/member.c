/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c: members that fail, and updates of the superblock; see member.h.
 *
 *	write or flush fails --> FAULTED in memory, the gate is shut
 *	    --> superblocks with the next epoch on all others, both halves
 *	    --> the gate opens: what completed meanwhile is acknowledged
 *
 * With too few members left the pool takes no more writes.  Runs on the pool's
 * loop.
 */
#include "raw/member.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"

/* Columns that a write must reach: one of the parities may be missing where
 * there are two or more (docs/raw.md, "Membership"). */
static unsigned
least_online(const struct pool *p)
{
	return p->k + (p->m >= 2 ? 1 : 0);
}

static void
epoch_written(struct super_update *u, int rc)
{
	struct pool *p = u->arg;
	struct list ready;

	must(p->gate);
	if (rc < 0 && !p->read_only) {
		struct err e = ERR_INIT;

		err_errno(&e, rc, "no member took the new membership");
		pool_stop_writes(p, &e);
	}
	/* Another member failed while this was written: once more. */
	if (p->epoch_stale) {
		p->epoch_stale = false;
		p->super.epoch++;
		member_update_supers(p, u);
		return;
	}
	p->gate = false;
	list_init(&ready);
	list_splice_back(&ready, &p->gated);
	while (!list_empty(&ready)) {
		struct list *l = list_pop_front(&ready);
		struct pool_req *r = list_entry(l, struct pool_req, link);

		pool_finish(p, r, r->rc);
	}
}

static void
take_out(struct pool *p, unsigned column)
{
	p->member[column].failed = true;
	p->super.member[column].state = RAW_MEMBER_FAULTED;
	p->super.member[column].whole_seq = p->durable_seq;
	if (pool_online(p) < least_online(p) && !p->read_only) {
		struct err e = ERR_INIT;

		err_set(&e, -EROFS,
		    "only %u of %u members are left, %u are needed to write",
		    pool_online(p), p->n, least_online(p));
		pool_stop_writes(p, &e);
	}
	if (p->gate) {
		p->epoch_stale = true;
		return;
	}
	p->gate = true;
	p->super.epoch++;
	p->epoch_update =
	    (struct super_update){.done = epoch_written, .arg = p};
	member_update_supers(p, &p->epoch_update);
}

void
member_failed(
    struct pool *p, unsigned column, const char *what, uint64_t off, int rc)
{
	struct member *m = &p->member[column];

	m->write_errors++;
	if (m->failed)
		return;
	log_error("%s: %s at %llu failed: %s; the member is taken out of the "
		  "pool.",
	    m->dev->path, what, (unsigned long long)off, strerror(-rc));
	take_out(p, column);
}

/* Errors of the last hour: the first ones are said, and the member goes when
 * they are too many. */
static bool
count_error(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];
	int64_t now = loop_now(p->loop);

	if (m->hour_errors == 0 || now - m->hour_ns > 3600 * NS_PER_S) {
		m->hour_ns = now;
		m->hour_errors = 0;
	}
	m->hour_errors++;
	if (m->hour_errors == MEMBER_SAID_ERRORS + 1)
		log_warn("%s: further errors of this hour are counted, not "
			 "logged",
		    m->dev->path);
	return m->hour_errors <= MEMBER_SAID_ERRORS;
}

static void
too_many(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];

	if (m->hour_errors <= MEMBER_MAX_ERRORS || m->failed || p->read_only ||
	    p->scrubbing || pool_online(p) <= least_online(p))
		return;
	log_error("%s: more than %d errors in an hour; the member is taken out "
		  "of the pool.",
	    m->dev->path, MEMBER_MAX_ERRORS);
	take_out(p, column);
}

void
member_unreadable(struct pool *p, unsigned column, uint64_t off, int rc)
{
	struct member *m = &p->member[column];

	m->read_errors++;
	if (count_error(p, column))
		log_warn("%s: read at %llu failed: %s; the other members are "
			 "read",
		    m->dev->path, (unsigned long long)off, strerror(-rc));
	too_many(p, column);
}

void
member_damaged(struct pool *p, unsigned column, uint64_t off)
{
	struct member *m = &p->member[column];

	m->checksum_errors++;
	if (count_error(p, column))
		log_warn("%s: wrong bytes at %llu (checksum); the other "
			 "members are read",
		    m->dev->path, (unsigned long long)off);
	too_many(p, column);
}

/* --- superblocks ----------------------------------------------------------- */

static void update_step(struct pool *p);

static void
step_done(struct rdev_req *r)
{
	struct super_write *w = r->arg;
	struct pool *p = w->pool;
	unsigned column = w->column;

	if (r->rc < 0)
		member_failed(p, column,
		    r->op == RDEV_FLUSH ? "flush" : "superblock write", r->off,
		    r->rc);
	if (--p->super_pending == 0)
		update_step(p);
}

/* To every member that is online, one request. */
static void
to_all(struct pool *p, enum rdev_op op, enum raw_copy copy)
{
	p->super_pending = 1; /* ours: not zero before all are submitted */
	for (unsigned c = 0; c < p->n; c++) {
		struct super_write *w = &p->super_write[c][copy];
		struct rdev *d = pool_dev(p, c);

		if (!d)
			continue;
		w->pool = p;
		w->column = c;
		w->iov = (struct iovec){
		    p->super_bytes + RAW_SECTOR * (c * RAW_NCOPIES + copy),
		    RAW_SECTOR};
		w->req = (struct rdev_req){.op = op,
		    .done = step_done,
		    .arg = w,
		    .off = op == RDEV_FLUSH ? 0
					    : raw_copy_offset(copy, p->super.end),
		    .iov = op == RDEV_FLUSH ? NULL : &w->iov,
		    .niov = op == RDEV_FLUSH ? 0 : 1};
		p->super_pending++;
		rdev_submit(d, &w->req);
	}
	p->super_pending--;
}

static void
encode_all(struct pool *p)
{
	p->super.generation++;
	for (unsigned c = 0; c < p->n; c++)
		for (unsigned i = 0; i < RAW_NCOPIES; i++) {
			struct raw_super s = p->super;

			s.column = (uint8_t)c;
			s.copy = (uint8_t)i;
			memcpy(s.member_uuid, s.member[c].uuid, 16);
			raw_super_encode(&s,
			    p->super_bytes + RAW_SECTOR * (c * RAW_NCOPIES + i));
		}
}

static void
update_end(struct pool *p)
{
	struct super_update *u = p->updates;
	int rc = pool_online(p) > 0 ? 0 : -EIO;

	p->updates = u->next;
	p->super_step = 0;
	if (p->updates)
		loop_defer(p->loop, &p->super_task);
	u->done(u, rc);
}

/* The steps of an update, in order; each begins when the last has ended on all
 * members.  A0 and A1, flush, B0 and B1, flush. */
static void
update_step(struct pool *p)
{
	static const struct {
		enum rdev_op op;
		enum raw_copy copy;
	} steps[] = {{RDEV_WRITE, RAW_COPY_A0}, {RDEV_WRITE, RAW_COPY_A1},
	    {RDEV_FLUSH, RAW_COPY_A0}, {RDEV_WRITE, RAW_COPY_B0},
	    {RDEV_WRITE, RAW_COPY_B1}, {RDEV_FLUSH, RAW_COPY_B0}};
	unsigned nsteps = sizeof(steps) / sizeof(steps[0]);

	if (p->super_step == 0)
		encode_all(p);
	while (p->super_step < nsteps) {
		unsigned i = p->super_step++;

		to_all(p, steps[i].op, steps[i].copy);
		if (p->super_pending > 0)
			return;
	}
	update_end(p);
}

static void
update_begin(struct loop_task *t)
{
	update_step(container_of(t, struct pool, super_task));
}

void
member_update_supers(struct pool *p, struct super_update *u)
{
	struct super_update **at = &p->updates;

	u->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = u;
	if (p->updates != u)
		return;
	p->super_task.run = update_begin;
	loop_defer(p->loop, &p->super_task);
}
