/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c: GET.
 *
 * The index says where the object's extents are; those that have some of the
 * range are read side by side, each verified by xio.c.  The object may be
 * overwritten meanwhile: a pin keeps the old extents until the read has ended,
 * so a GET returns one version, whole (G4).  Runs on the pool's loop.
 */
#include "raw/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raw/index.h"
#include "raw/log.h"
#include "raw/move.h"
#include "raw/xio.h"

struct pool_read {
	struct pool_req *req;
	struct pool *pool;
	struct pin pin;
	struct raw_object obj;
	struct raw_extent one, *ext; /* ext: &one, or allocated */
	uint8_t *tail; /* metadata is read here */
	unsigned pending;
	int rc;
	struct xio *xio; /* xio_array */
	unsigned nxio;
};

void
pin_init(struct pool *p, struct pin *pin)
{
	pin->stamp = p->stamp;
	list_push_back(&p->pins, &pin->link);
}

void
pin_fini(struct pool *p, struct pin *pin)
{
	bool oldest = p->pins.next == &pin->link;

	list_del(&pin->link);
	if (oldest && !list_empty(&p->freed))
		log_release(p);
}

static void
read_free(struct pool_read *rd)
{
	if (rd->ext != &rd->one)
		free(rd->ext);
	free(rd->xio);
	free(rd->tail);
	free(rd);
}

static void
read_end(struct pool_read *rd)
{
	struct pool_req *r = rd->req;
	struct pool *p = rd->pool;
	int rc = rd->rc;

	if (rc == 0 && rd->obj.meta_code == RAW_META_TAIL) {
		memcpy(r->meta, rd->tail, rd->obj.meta_len);
		r->meta_len = rd->obj.meta_len;
	}
	if (rc < 0)
		err_wrap(&r->err, rc, "object %s", r->items[0].key);
	pin_fini(p, &rd->pin);
	read_free(rd);
	pool_finish(p, r, rc);
}

static void
extent_done(struct xio *x)
{
	struct pool_read *rd = x->arg;

	if (x->rc < 0 && rd->rc == 0) {
		rd->rc = x->rc;
		rd->req->err = x->err;
	}
	if (x->misplaced)
		(void)move_object(
		    rd->pool, rd->req->items[0].key, rd->obj.seq);
	if (--rd->pending == 0)
		read_end(rd);
}

static void
nothing_to_read(struct loop_task *t)
{
	struct pool_req *r = container_of(t, struct pool_req, task);
	struct pool_read *rd = r->priv;

	if (--rd->pending == 0)
		read_end(rd);
}

static int
find_object(struct pool_read *rd, const char *key)
{
	struct index *ix = rd->pool->index;
	int rc = index_get(ix, key, &rd->obj, &rd->one, 1);

	rd->ext = &rd->one;
	if (rc != -E2BIG)
		return rc;
	rd->ext = calloc(rd->obj.nextents, sizeof(*rd->ext));
	if (!rd->ext) {
		rd->ext = &rd->one;
		return -ENOMEM;
	}
	return index_get(ix, key, &rd->obj, rd->ext, rd->obj.nextents);
}

/* The extent that begins at payload byte `at`: what of [from, to) it has goes
 * to dst. */
static int
read_extent(struct pool_read *rd, struct raw_extent *ext, uint64_t at,
    uint64_t from, uint64_t to, uint8_t *dst)
{
	uint64_t a = from > at ? from : at;
	uint64_t b = to < at + ext->bytes ? to : at + ext->bytes;
	struct xio *x = xio_nth(rd->pool, rd->xio, rd->nxio);
	int rc;

	if (a >= b)
		return 0;
	x->done = extent_done;
	x->arg = rd;
	rc = xio_read(x, rd->pool, ext, (uint32_t)(a - at), (uint32_t)(b - a),
	    dst + (a - from));
	if (rc < 0)
		return rc;
	rd->nxio++;
	rd->pending++;
	return 0;
}

static int
read_extents(struct pool_read *rd)
{
	struct pool_req *r = rd->req;
	struct raw_object *o = &rd->obj;
	uint64_t to = r->len ? r->off + r->len : o->size, at = 0;
	bool tail = o->meta_code == RAW_META_TAIL;
	int rc = 0;

	/* Twice: an extent may hold both data and metadata. */
	rd->xio = xio_array(rd->pool, (tail ? 2u : 1u) * o->nextents + 1u);
	if (tail)
		rd->tail = malloc(o->meta_len);
	if (!rd->xio || (tail && !rd->tail))
		return -ENOMEM;
	for (unsigned i = 0; i < o->nextents && rc == 0; i++) {
		struct raw_extent *x = &rd->ext[i];

		if (!r->head && to > r->off)
			rc = read_extent(
			    rd, x, at, r->off, to, r->dst);
		if (rc == 0 && tail)
			rc = read_extent(rd, x, at, o->size,
			    o->size + o->meta_len, rd->tail);
		at += x->bytes;
	}
	return rc;
}

static int
check_range(const struct pool_req *r, const struct raw_object *o)
{
	uint64_t len = r->len ? r->len : o->size;

	if (r->head)
		return 0;
	if (r->off > o->size || (r->len && r->len > o->size - r->off))
		return -ERANGE;
	return len > r->dst_cap ? -EMSGSIZE : 0;
}

void
read_submit(struct pool *p, struct pool_req *r)
{
	static const char block[] =
	    "content-type\0application/x-s3backer-block";
	struct pool_read *rd = calloc(1, sizeof(*rd));

	r->task.run = nothing_to_read;
	r->priv = rd;
	if (!rd) {
		pool_fail_later(p, r, -ENOMEM);
		return;
	}
	rd->req = r;
	rd->pool = p;
	pin_init(p, &rd->pin);
	rd->pending = 1;
	rd->rc = find_object(rd, r->items[0].key);
	r->size = rd->obj.size;
	r->seq = rd->obj.seq;
	r->sum = rd->obj.sum;
	r->meta_len = 0;
	if (rd->rc == 0 && rd->obj.meta_code == RAW_META_BLOCK) {
		memcpy(r->meta, block, sizeof(block));
		r->meta_len = sizeof(block);
	}
	if (rd->rc == 0)
		rd->rc = check_range(r, &rd->obj);
	if (rd->rc == 0)
		rd->rc = read_extents(rd);
	loop_defer(p->loop, &r->task);
}
