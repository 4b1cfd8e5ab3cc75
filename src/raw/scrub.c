/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrub.c: read and mend everything; see scrub.h.
 *
 * A walk over the index in order of keys, some extents at a time.  An object
 * may be overwritten or deleted under the walk: its extents are pinned while
 * they are read, and what is written later is whole anyway.  Then the pages of
 * the index, which are extents as well, in order of their first keys; while a
 * checkpoint replaces them, or there is no memory, it waits.  Runs on the pool's
 * loop.
 */
#include "config.h"

#include "raw/scrub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/index.h"
#include "raw/move.h"
#include "raw/pool_int.h"
#include "raw/read.h"
#include "raw/xio.h"

#define AT_ONCE 8
#define WAIT_NS (10 * NS_PER_MS)

struct scrub {
	struct pool *pool;
	struct scrub_ops ops;
	struct scrub_result result;
	struct index_walk walk;
	struct raw_extent *ext; /* of the object under work */
	struct raw_object obj;
	unsigned next_ext;
	/* The index, after all objects: by key, as pages come and go. */
	char page_key[RAW_KEY_MAX + 1]; /* the last page that was begun */
	bool pages_begun;
	size_t next_root;
	bool objects_done, stopped;
	uint64_t total, repaired_before, moved_before, unmoved_before;
	char lost[RAW_KEY_MAX + 1]; /* the last that was */
	unsigned pending;
	struct loop_task step;
	struct loop_timer timer;
};

/* One extent being read. */
struct probe {
	struct xio xio;
	struct scrub *scrub;
	struct raw_extent ext;
	struct pin pin;
	uint64_t seq; /* of the object; 0: the index */
	char key[RAW_KEY_MAX + 1];
};

static uint64_t
repaired(const struct pool *p)
{
	uint64_t n = 0;

	for (unsigned c = 0; c < p->n; c++)
		n += p->member[c].repaired;
	return n;
}

static void
end(struct scrub *s)
{
	struct scrub_ops ops = s->ops;
	struct scrub_result r = s->result;

	r.repaired = repaired(s->pool) - s->repaired_before;
	r.moved = s->pool->moved - s->moved_before;
	r.unmended += s->pool->unmoved - s->unmoved_before;
	s->pool->scrubbing--;
	loop_timer_cancel(&s->timer);
	loop_cancel(s->pool->loop, &s->step);
	free(s->ext);
	free(s);
	ops.done(ops.arg, &r);
}

static void
probed(struct xio *x)
{
	struct probe *pb = x->arg;
	struct scrub *s = pb->scrub;

	/* Of an object with several extents only the first is told. */
	if (x->rc < 0 && strcmp(s->lost, pb->key) != 0) {
		s->result.lost++;
		s->ops.lost(s->ops.arg, pb->key, &x->err);
		strcpy(s->lost, pb->key);
	}
	if (x->misplaced &&
	    (pb->seq ? move_object(s->pool, pb->key, pb->seq)
		     : move_index(s->pool)))
		x->unmended &= ~x->misplaced;
	s->result.unmended += (unsigned)__builtin_popcount(x->unmended);
	s->result.bytes += (uint64_t)x->geom.total * RAW_SECTOR;
	s->ops.progress(s->ops.arg, s->result.bytes, s->total);
	pin_fini(s->pool, &pb->pin);
	free(pb);
	s->pending--;
	loop_defer(s->pool->loop, &s->step);
}

static int
begin(struct scrub *s, const struct raw_extent *ext, const char *key,
    uint64_t seq)
{
	struct probe *pb = calloc(1, sizeof(*pb));
	int rc;

	if (!pb)
		return -ENOMEM;
	pb->scrub = s;
	pb->ext = *ext;
	pb->seq = seq;
	strcpy(pb->key, key);
	pb->xio.done = probed;
	pb->xio.arg = pb;
	pin_init(s->pool, &pb->pin);
	rc = xio_scrub(&pb->xio, s->pool, &pb->ext);
	if (rc < 0) {
		pin_fini(s->pool, &pb->pin);
		free(pb);
		return rc;
	}
	s->pending++;
	return 0;
}

/* The next extent of an object.  1: there is one; 0: no more objects. */
static int
next_object_extent(struct scrub *s, struct raw_extent *out)
{
	/* Nothing pins the extents that are left of an object: they are only
	 * its own as long as the index says so. */
	if (s->next_ext < s->obj.nextents &&
	    !index_has(s->pool->index, s->walk.key, s->obj.seq))
		s->next_ext = s->obj.nextents;
	while (s->next_ext >= s->obj.nextents) {
		int rc = index_walk_next(
		    &s->walk, &s->obj, s->ext, RAW_MAX_EXTENTS);

		if (rc <= 0)
			return rc;
		s->next_ext = 0;
		s->result.objects++;
	}
	*out = s->ext[s->next_ext++];
	return 1;
}

/* ... and of the index: the next one is begun.  1: it is being read; 0: no more;
 * -ENOMEM. */
static int
begin_page(struct scrub *s)
{
	struct pool *p = s->pool;
	const struct index_page *pg = NULL;
	const struct raw_extent *ext = NULL;
	size_t i;
	int rc;

	if (s->next_root < p->nroots) {
		rc = begin(s, &p->roots[s->next_root].ext, "(the index)", 0);
		s->next_root += rc == 0;
		return rc < 0 ? rc : 1;
	}
	i = s->pages_begun ? index_page_behind(p->index, s->page_key) : 0;
	for (; i < index_npages(p->index) && !ext; i++) {
		pg = index_page(p->index, i);
		if (index_page_ref(pg)->ext.bytes > 0)
			ext = &index_page_ref(pg)->ext;
	}
	if (!ext)
		return 0;
	rc = begin(s, ext, "(the index)", 0);
	if (rc < 0)
		return rc;
	strcpy(s->page_key, index_page_first_key(pg));
	s->pages_begun = true;
	return 1;
}

/* One more extent.  1: it is being read; 0: that was all; -EAGAIN: not now. */
static int
one_more(struct scrub *s)
{
	struct raw_extent ext;
	int rc;

	if (!s->objects_done) {
		rc = next_object_extent(s, &ext);
		s->objects_done = rc <= 0;
		if (rc > 0 && begin(s, &ext, s->walk.key, s->obj.seq) < 0) {
			s->next_ext--;
			return -EAGAIN;
		}
		if (rc > 0)
			return 1;
	}
	/* A checkpoint replaces pages: they are not looked at then. */
	if (s->pool->ckpt)
		return -EAGAIN;
	rc = begin_page(s);
	return rc < 0 ? -EAGAIN : rc;
}

static void
step(struct loop_task *t)
{
	struct scrub *s = container_of(t, struct scrub, step);
	struct loop *l = s->pool->loop;
	int rc = 1;

	while (s->pending < AT_ONCE && !s->stopped && rc > 0)
		rc = one_more(s);
	/* One that ends goes on. */
	if (s->pending > 0)
		return;
	if (rc == 0 && !s->stopped && !move_idle(s->pool))
		rc = -EAGAIN;
	if (rc != -EAGAIN || s->stopped)
		end(s);
	else if (loop_timer_set(l, &s->timer, loop_now(l) + WAIT_NS) < 0)
		loop_defer(l, &s->step);
}

static void
waited(struct loop_timer *t)
{
	struct scrub *s = container_of(t, struct scrub, timer);

	loop_defer(s->pool->loop, &s->step);
}

void
scrub_stop(struct scrub *s)
{
	s->stopped = true;
}

struct scrub *
scrub_start(struct pool *p, const struct scrub_ops *ops)
{
	struct scrub *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ext = calloc(RAW_MAX_EXTENTS, sizeof(*s->ext));
	if (!s->ext) {
		free(s);
		return NULL;
	}
	p->scrubbing++;
	s->pool = p;
	s->ops = *ops;
	s->total = (alloc_total(p->alloc) - alloc_nfree(p->alloc)) * RAW_SECTOR;
	s->repaired_before = repaired(p);
	s->moved_before = p->moved;
	s->unmoved_before = p->unmoved;
	index_walk_init(&s->walk, p->index, NULL);
	s->step.run = step;
	s->timer.fire = waited;
	loop_defer(p->loop, &s->step);
	return s;
}
