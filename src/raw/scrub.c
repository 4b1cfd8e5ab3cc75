/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrub.c: read and mend everything; see scrub.h.
 *
 * A walk over the index in order of keys, some extents at a time.  An object
 * may be overwritten or deleted under the walk: its extents are pinned while
 * they are read, and what is written later is whole anyway.  Then the pages of
 * the index, which are extents as well.  Runs on the pool's loop.
 */
#include "config.h"

#include "raw/scrub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raw/alloc.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/read.h"
#include "raw/xio.h"

#define AT_ONCE 8

struct scrub {
	struct pool *pool;
	struct scrub_ops ops;
	struct scrub_result result;
	struct index_walk walk;
	struct raw_extent *ext; /* of the object under work */
	struct raw_object obj;
	unsigned next_ext;
	size_t next_page; /* of the index, after all objects */
	size_t next_root;
	bool objects_done, stopped;
	uint64_t total, repaired_before;
	char lost[RAW_KEY_MAX + 1]; /* the last that was */
	unsigned pending;
	struct loop_task step;
};

/* One extent being read. */
struct probe {
	struct xio xio;
	struct scrub *scrub;
	struct raw_extent ext;
	struct pin pin;
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
	s->pool->scrubbing--;
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
	s->result.bytes += (uint64_t)x->geom.total * RAW_SECTOR;
	s->ops.progress(s->ops.arg, s->result.bytes, s->total);
	pin_fini(s->pool, &pb->pin);
	free(pb);
	s->pending--;
	loop_defer(s->pool->loop, &s->step);
}

static int
begin(struct scrub *s, const struct raw_extent *ext, const char *key)
{
	struct probe *pb = calloc(1, sizeof(*pb));
	int rc;

	if (!pb)
		return -ENOMEM;
	pb->scrub = s;
	pb->ext = *ext;
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

/* ... and of the index. */
static int
next_index_extent(struct scrub *s, struct raw_extent *out)
{
	struct pool *p = s->pool;

	if (s->next_root < p->nroots) {
		*out = p->roots[s->next_root++].ext;
		return 1;
	}
	while (s->next_page < index_npages(p->index)) {
		const struct raw_ref *r =
		    index_page_ref(index_page(p->index, s->next_page++));

		if (r->ext.bytes > 0) {
			*out = r->ext;
			return 1;
		}
	}
	return 0;
}

static void
step(struct loop_task *t)
{
	struct scrub *s = container_of(t, struct scrub, step);
	struct pool *p = s->pool;

	while (s->pending < AT_ONCE && !s->stopped) {
		const char *key = "(the index)";
		struct raw_extent ext;
		int rc = 0;

		if (!s->objects_done) {
			rc = next_object_extent(s, &ext);
			key = s->walk.key;
			s->objects_done = rc <= 0;
		}
		/* A checkpoint replaces pages: they are not looked at then. */
		if (s->objects_done && !p->ckpt) {
			rc = next_index_extent(s, &ext);
			key = "(the index)";
		}
		if (rc <= 0)
			break;
		if (begin(s, &ext, key) < 0)
			break; /* no memory: one that ends goes on */
	}
	if (s->pending == 0)
		end(s);
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
	index_walk_init(&s->walk, p->index, NULL);
	s->step.run = step;
	loop_defer(p->loop, &s->step);
	return s;
}
