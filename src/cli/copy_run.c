/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy: a number of slots, each with a chunk on its way:
 *
 *   idle --feed--> reading --+--> writing --> idle
 *                            |       ^
 *                            v       |
 *                          comparing-+--> idle (it is the same)
 *
 * The feeder walks the source from its beginning.  A hole of the source that
 * covers whole chunks becomes one zeroing of the destination, or nothing where
 * that is blank.  Slots are fed in ascending order, so the lowest offset that
 * is not done is always in flight; ends that have one order rely on it.
 *
 * When a chunk fails, or somebody asks to stop, nothing more is fed and the
 * copy ends with the last request in flight.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "cli/copy_end.h"
#include "cli/copy_run.h"
#include "cli/progress.h"

#define CHUNK_MIN (128U * 1024)
#define MEMORY_MAX (128U * 1024 * 1024)
#define JOBS_DEFAULT 64
#define TICK_NS (NS_PER_S / 10)

struct copy;

struct slot {
	struct copy_chunk c;	   /* read, then written */
	struct copy_chunk there;   /* what the destination has */
	struct copy *copy;
	struct list link; /* idle */
	uint64_t len;	  /* as was asked for */
};

struct copy {
	const struct copy_params *p;
	struct copy_end *src, *dst;
	struct loop *loop;
	uint64_t chunk;

	struct slot *slots;
	unsigned nslots, busy;
	struct list idle;

	uint64_t pos;	   /* the feeder has seen the source up to here */
	uint64_t data_end; /* no hole before this */
	bool eof, padded;
	bool done;
	struct loop_timer tick;

	struct copy_result *result;
	uint64_t moved; /* bytes of data dealt with, for progress */
	int rc;
	struct err err;
};

static void feed(struct copy *cp);

static void
copy_failed(struct copy *cp, int rc, const struct err *e)
{
	if (cp->rc != 0)
		return;
	cp->rc = rc;
	err_copy(&cp->err, e);
}

static void
slot_end(struct slot *s)
{
	struct copy *cp = s->copy;

	list_push_back(&cp->idle, &s->link);
	cp->busy--;
	feed(cp);
}

/* --- the steps of a chunk, named for what has just finished ------------------- */

static void
write_done(struct copy_chunk *c)
{
	struct slot *s = container_of(c, struct slot, c);
	struct copy *cp = s->copy;

	if (c->rc < 0)
		copy_failed(cp, c->rc, &c->err);
	else if (c->zero && c->off < cp->result->size)
		cp->result->holes += c->len;
	else if (c->zero)
		; /* padding */
	else
		cp->result->written += c->len;
	slot_end(s);
}

static void
slot_write(struct slot *s)
{
	struct copy *cp = s->copy;

	if (s->c.zero && cp->dst->blank) {
		cp->result->holes += s->c.len;
		slot_end(s);
		return;
	}
	s->c.done = write_done;
	cp->dst->ops->write(cp->dst, &s->c);
}

static bool
is_same(const struct copy_chunk *a, const struct copy_chunk *b)
{
	if (a->zero && b->zero)
		return true;
	if (a->zero)
		return mem_is_zero(b->data->data, a->len);
	if (b->zero)
		return mem_is_zero(a->data->data, a->len);
	return memcmp(a->data->data, b->data->data, a->len) == 0;
}

static void
compare_read_done(struct copy_chunk *there)
{
	struct slot *s = container_of(there, struct slot, there);
	struct copy *cp = s->copy;

	/* What cannot be read there is written anew. */
	if (there->rc == 0 && is_same(&s->c, there)) {
		cp->result->same += s->c.len;
		slot_end(s);
		return;
	}
	slot_write(s);
}

static void
read_done(struct copy_chunk *c)
{
	struct slot *s = container_of(c, struct slot, c);
	struct copy *cp = s->copy;

	if (c->rc < 0) {
		copy_failed(cp, c->rc, &c->err);
		slot_end(s);
		return;
	}
	if (c->len < s->len)
		cp->eof = true;
	if (c->len > 0 && c->off + c->len > cp->result->size)
		cp->result->size = c->off + c->len;
	cp->moved += c->len;
	if (c->len == 0 || cp->rc != 0) {
		slot_end(s);
		return;
	}
	if (c->off > cp->dst->room || c->len > cp->dst->room - c->off) {
		cp->rc = err_set(&cp->err, -ENOSPC,
		    "%s has more than the %" PRIu64 " bytes of %s",
		    cp->src->name, cp->dst->room, cp->dst->name);
		slot_end(s);
		return;
	}
	/* The last piece of a chunk may be less than a block: not compared. */
	if (cp->p->compare && !cp->dst->in_order && c->len == cp->chunk &&
	    c->off + c->len <= cp->dst->size) {
		s->there.off = c->off;
		s->there.len = c->len;
		s->there.done = compare_read_done;
		cp->dst->ops->read(cp->dst, &s->there);
		return;
	}
	slot_write(s);
}

/* --- the feeder ------------------------------------------------------------------ */

/* The hole [pos, pos + len): zeros at the destination. */
static void
feed_zero(struct copy *cp, struct slot *s, uint64_t len)
{
	s->c.off = cp->pos;
	s->c.len = s->len = len;
	s->c.zero = true;
	s->c.done = write_done;
	cp->pos += len;
	if (cp->dst->ops->zero != NULL)
		cp->dst->ops->zero(cp->dst, &s->c);
	else
		cp->dst->ops->write(cp->dst, &s->c);
}

static void
feed_data(struct copy *cp, struct slot *s)
{
	uint64_t left = cp->src->size - cp->pos;

	s->c.off = cp->pos;
	s->c.len = s->len = left < cp->chunk ? left : cp->chunk;
	s->c.zero = false;
	s->c.done = read_done;
	cp->pos += s->len;
	cp->src->ops->read(cp->src, &s->c);
}

/* Bytes from pos on that are a hole of whole chunks (or reach the end). */
static uint64_t
hole_at(struct copy *cp)
{
	struct copy_end *src = cp->src;
	uint64_t data;

	if (src->ops->next_data == NULL || cp->pos < cp->data_end)
		return 0;
	data = src->ops->next_data(src, cp->pos);
	if (data >= src->size)
		return src->size - cp->pos;
	cp->data_end = src->ops->next_hole(src, data);
	return data - cp->pos - (data - cp->pos) % cp->chunk;
}

/* Behind the end of the source: what was in the destination before. */
static bool
feed_padding(struct copy *cp)
{
	struct copy_end *dst = cp->dst;
	uint64_t size = cp->result->size, from;
	struct slot *s;

	if (cp->padded || cp->busy > 0 || !dst->pad || dst->blank)
		return false;
	cp->padded = true;
	from = (size + dst->block - 1) / dst->block * dst->block;
	if (from >= dst->room)
		return false;
	s = list_entry(list_pop_front(&cp->idle), struct slot, link);
	cp->busy++;
	cp->pos = from;
	feed_zero(cp, s, dst->room - from);
	return true;
}

static void
feed_one(struct copy *cp)
{
	struct slot *s;
	uint64_t hole = hole_at(cp);

	if (hole > 0 && cp->dst->blank && !cp->dst->in_order) {
		cp->result->holes += hole;
		cp->pos += hole;
		return;
	}
	s = list_entry(list_pop_front(&cp->idle), struct slot, link);
	cp->busy++;
	if (hole > cp->chunk && cp->dst->in_order)
		hole = cp->chunk;
	if (hole > 0)
		feed_zero(cp, s, hole);
	else
		feed_data(cp, s);
}

static void
feed(struct copy *cp)
{
	while (cp->rc == 0 && !cp->eof && cp->pos < cp->src->size &&
	    !list_empty(&cp->idle))
		feed_one(cp);
	if (cp->rc == 0 && (cp->eof || cp->pos >= cp->src->size) &&
	    feed_padding(cp))
		return;
	if (cp->busy == 0)
		cp->done = true;
}

/* --- setting up --------------------------------------------------------------------- */

static void
show(struct copy *cp)
{
	uint64_t total = cp->src->data;

	if (cp->src->size == COPY_SIZE_UNKNOWN)
		total = 0;
	else if (total < cp->moved)
		total = cp->moved;
	progress_set(cp->p->progress, cp->moved, total);
}

static void
tick(struct loop_timer *t)
{
	struct copy *cp = container_of(t, struct copy, tick);

	show(cp);
	if (cp->rc == 0 && cp->p->stop != NULL && cp->p->stop())
		cp->rc = err_set(&cp->err, -ECANCELED, "stopped");
	if (!cp->done)
		loop_timer_set(cp->loop, t, loop_now(cp->loop) + TICK_NS);
}

static void
slots_free(struct copy *cp)
{
	for (unsigned i = 0; i < cp->nslots; i++) {
		buf_unref(cp->slots[i].c.data);
		buf_unref(cp->slots[i].there.data);
	}
	free(cp->slots);
}

static int
slots_new(struct copy *cp)
{
	bool compare = cp->p->compare;
	unsigned fit = (unsigned)(MEMORY_MAX / cp->chunk / (compare ? 2 : 1));

	cp->nslots = cp->p->jobs == 0 ? JOBS_DEFAULT : cp->p->jobs;
	if (cp->nslots > fit)
		cp->nslots = fit < 2 ? 2 : fit;
	cp->slots = calloc(cp->nslots, sizeof(*cp->slots));
	if (cp->slots == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < cp->nslots; i++) {
		struct slot *s = &cp->slots[i];

		s->copy = cp;
		s->c.data = buf_new(cp->chunk);
		if (compare)
			s->there.data = buf_new(cp->chunk);
		if (s->c.data == NULL || (compare && s->there.data == NULL))
			return -ENOMEM;
		list_push_back(&cp->idle, &s->link);
	}
	return 0;
}

static uint64_t
chunk_size(const struct copy_end *a, const struct copy_end *b)
{
	uint64_t n = CHUNK_MIN;

	/* Block sizes are powers of two. */
	if (n < a->block)
		n = a->block;
	return n < b->block ? b->block : n;
}

int
copy_run(const struct copy_params *p, struct copy_result *r, struct err *e)
{
	struct copy cp = {.p = p,
	    .src = p->src,
	    .dst = p->dst,
	    .loop = p->src->loop,
	    .chunk = chunk_size(p->src, p->dst),
	    .result = r,
	    .tick.fire = tick};
	int rc;

	*r = (struct copy_result){0};
	if (p->src->size != COPY_SIZE_UNKNOWN) {
		r->size = p->src->size;
		if (r->size > p->dst->room)
			return err_set(e, -ENOSPC,
			    "%s has %" PRIu64 " bytes, and %s has room for %"
			    PRIu64, p->src->name, r->size, p->dst->name,
			    p->dst->room);
	}
	list_init(&cp.idle);
	rc = slots_new(&cp);
	if (rc == 0)
		rc = loop_timer_set(cp.loop, &cp.tick, loop_now(cp.loop));
	if (rc < 0) {
		slots_free(&cp);
		return err_set(e, rc, "no memory for %u chunks of %" PRIu64,
		    cp.nslots, cp.chunk);
	}
	feed(&cp);
	rc = loop_run_until(cp.loop, &cp.done);
	loop_timer_cancel(&cp.tick);
	must(rc < 0 || cp.busy == 0);
	show(&cp);
	if (rc < 0)
		return err_errno(e, rc, "wait for the copy");
	slots_free(&cp);
	if (cp.rc < 0) {
		err_copy(e, &cp.err);
		return cp.rc;
	}
	return p->dst->ops->finish(p->dst, r->size, e);
}
