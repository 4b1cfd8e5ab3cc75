/* SPDX-License-Identifier: Apache-2.0 */
/*
 * super.c: updates of the superblock; see member.h.
 *
 *	A0 and A1 to all members, flush, B0 and B1, flush
 *
 * so that at any moment one half is whole on every member.  A member that fails
 * meanwhile is taken out, which asks for another update.  Runs on the pool's
 * loop.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "raw/flight.h"
#include "raw/member.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"

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

		if (!pool_dev(p, c))
			continue;
		w->pool = p;
		w->column = c;
		w->iov = (struct iovec){
		    p->super_bytes->data +
			RAW_SECTOR * (c * RAW_NCOPIES + copy),
		    RAW_SECTOR};
		w->req = (struct rdev_req){.op = op,
		    .done = step_done,
		    .arg = w,
		    .off = op == RDEV_FLUSH ? 0
					    : raw_copy_offset(copy, p->super.end),
		    .iov = op == RDEV_FLUSH ? NULL : &w->iov,
		    .niov = op == RDEV_FLUSH ? 0 : 1};
		p->super_pending++;
		flight_submit(p, c, &w->req, p->super_bytes, false);
	}
	p->super_pending--;
}

static void
encode_all(struct pool *p)
{
	/* A member that was given up may still be writing the last ones: then
	 * into other memory, if there is any. */
	if (!buf_writable(p->super_bytes)) {
		struct buf *b = buf_new(p->super_bytes->cap);

		if (b) {
			buf_unref(p->super_bytes);
			p->super_bytes = b;
		}
	}
	p->super.generation++;
	for (unsigned c = 0; c < p->n; c++)
		for (unsigned i = 0; i < RAW_NCOPIES; i++) {
			struct raw_super s = p->super;

			s.column = (uint8_t)c;
			s.copy = (uint8_t)i;
			memcpy(s.member_uuid, s.member[c].uuid, 16);
			raw_super_encode(&s,
			    p->super_bytes->data +
				RAW_SECTOR * (c * RAW_NCOPIES + i));
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
