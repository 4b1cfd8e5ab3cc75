/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c: byte ranges to blocks and back.
 *
 * A request becomes an op: one cache request per block that it touches (one
 * for a whole ZERO or FLUSH), all submitted at once, so a read over many blocks
 * has all of its misses in flight together.  The op ends when the last part
 * has; the first error is the request's.  A READ's op lives until
 * volume_req_fini, since its parts hold the memory that iov points to; iov is
 * one piece per block, but runs of zeros become one.
 *
 * READs together hold at most as many blocks as the cache can have in hand at
 * once (a quarter of it), and wait here in order beyond that; so those that
 * are half done never wait for memory that the other halves hold.
 *
 * Ops are kept for reuse by size, so steady traffic allocates nothing.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "volume/internal.h"

struct op {
	struct volume *v;
	struct volume_req *r;
	struct op *next; /* free ones of a class */
	struct list link; /* of v->reads, while it waits */
	bool reading;	  /* its parts count in v->nreading */
	unsigned cls;	 /* OP_CLASSES: not kept */
	unsigned nparts;
	bool syncing; /* fua: the data is written, the barrier is on its way */
	struct iovec *iov;
	struct cache_req part[];
};

/* --- memory ---------------------------------------------------------------- */

static struct op *
op_get(struct volume *v, uint64_t nparts)
{
	unsigned cls = 0;
	uint64_t cap;
	struct op *op;

	while (cls < OP_CLASSES && (uint64_t)1 << cls < nparts)
		cls++;
	if (cls < OP_CLASSES && v->free_ops[cls]) {
		op = v->free_ops[cls];
		v->free_ops[cls] = op->next;
		v->nfree[cls]--;
	} else {
		cap = cls < OP_CLASSES ? (uint64_t)1 << cls : nparts;
		op = calloc(1, sizeof(*op) +
			cap * (sizeof(op->part[0]) + sizeof(op->iov[0])));
		if (!op)
			return NULL;
		op->v = v;
		op->cls = cls;
		op->iov = (struct iovec *)&op->part[cap];
	}
	op->nparts = (unsigned)nparts;
	op->syncing = false;
	op->reading = false;
	return op;
}

static void
op_put(struct op *op)
{
	struct volume *v = op->v;

	if (op->cls == OP_CLASSES || v->nfree[op->cls] >= OP_KEEP) {
		free(op);
		return;
	}
	op->next = v->free_ops[op->cls];
	v->free_ops[op->cls] = op;
	v->nfree[op->cls]++;
}

static void
op_start(struct op *op)
{
	for (unsigned i = 0; i < op->nparts; i++)
		cache_submit(op->v->cache, &op->part[i]);
}

/* Start the READs that there is room for. */
static void
read_next(struct volume *v)
{
	while (!list_empty(&v->reads)) {
		struct op *op = list_entry(v->reads.next, struct op, link);

		if (v->nreading + op->nparts > v->max_reading)
			return;
		list_del(&op->link);
		op->reading = true;
		v->nreading += op->nparts;
		op_start(op);
	}
}

void
volume_req_fini(struct volume_req *r)
{
	struct op *op = r->priv;

	r->priv = NULL;
	r->iov = NULL;
	r->niov = 0;
	if (!op)
		return;
	for (unsigned i = 0; i < op->nparts; i++)
		cache_req_fini(&op->part[i]);
	if (op->reading) {
		op->v->nreading -= op->nparts;
		read_next(op->v);
	}
	op_put(op);
}

/* --- requests that end in submit --------------------------------------------- */

static void
run_early(struct loop_task *t)
{
	struct volume *v = container_of(t, struct volume, early_task);
	struct list now, *l;

	list_init(&now);
	list_splice_back(&now, &v->early);
	while ((l = list_pop_front(&now))) {
		struct volume_req *r = list_entry(l, struct volume_req, link);

		v->inflight--;
		r->done(r);
	}
}

static void
end_early(struct volume_req *r)
{
	struct volume *v = r->volume;

	list_push_back(&v->early, &r->link);
	loop_defer(v->loop, &v->early_task);
}

/* --- parts come back ------------------------------------------------------------ */

/* The answer of a READ: its parts in order, runs of zeros as one. */
static void
op_assemble(struct op *op)
{
	size_t max, last = 0;
	const uint8_t *zeros = cache_zeros(op->v->cache, &max);
	struct volume_req *r = op->r;
	unsigned n = 0;

	for (unsigned i = 0; i < op->nparts; i++) {
		const struct cache_req *p = &op->part[i];

		if (!p->buf && n > 0 && op->iov[n - 1].iov_base == zeros &&
		    last + p->len <= max) {
			op->iov[n - 1].iov_len += p->len;
			last += p->len;
			continue;
		}
		op->iov[n].iov_base = (void *)(uintptr_t)p->data;
		op->iov[n++].iov_len = p->len;
		last = p->buf ? max : p->len;
	}
	r->iov = op->iov;
	r->niov = n;
}

static void
op_end(struct op *op)
{
	struct volume_req *r = op->r;

	op->v->inflight--;
	if (r->op == VOLUME_READ && r->rc == 0)
		op_assemble(op);
	else
		volume_req_fini(r);
	r->done(r);
}

static void part_done(struct cache_req *p);

static void
op_sync(struct op *op)
{
	struct cache_req *p = &op->part[0];

	op->syncing = true;
	op->r->pending = 1;
	p->op = CACHE_FLUSH;
	cache_submit(op->v->cache, p);
}

static const char *
verb(enum volume_op op)
{
	static const char *const s[] = {
	    "read", "write", "zero", "flush", "drain"};

	return s[op];
}

static bool
is_barrier(enum volume_op op)
{
	return op == VOLUME_FLUSH || op == VOLUME_DRAIN;
}

static void
part_done(struct cache_req *p)
{
	struct op *op = p->arg;
	struct volume_req *r = op->r;

	if (p->rc < 0 && r->rc == 0) {
		r->rc = p->rc;
		err_copy(&r->err, &p->err);
		if (is_barrier(r->op))
			err_wrap(&r->err, r->rc, "flush");
		else
			err_wrap(&r->err, r->rc,
			    "%s of %" PRIu64 " bytes at %" PRIu64, verb(r->op),
			    r->len, r->off);
	}
	if (--r->pending > 0)
		return;
	if (r->fua && r->rc == 0 && !op->syncing &&
	    (r->op == VOLUME_WRITE || r->op == VOLUME_ZERO))
		op_sync(op);
	else
		op_end(op);
}

/* --- requests go out --------------------------------------------------------------- */

static void
part_init(struct op *op, unsigned i, enum cache_op what)
{
	struct cache_req *p = &op->part[i];

	p->op = what;
	p->arg = op;
	p->done = part_done;
	p->src = NULL;
	p->replay = 0;
	p->stream = op->r->stream;
	p->cont = i > 0;
}

static void
op_split(struct op *op)
{
	struct volume_req *r = op->r;
	const uint32_t bs = op->v->info.block_size;
	uint64_t off = r->off, end = off + r->len;

	for (unsigned i = 0; i < op->nparts; i++) {
		struct cache_req *p = &op->part[i];
		uint64_t stop = (off / bs + 1) * bs;

		if (stop > end)
			stop = end;
		part_init(op, i,
		    r->op == VOLUME_READ ? CACHE_READ : CACHE_WRITE);
		p->block = off / bs;
		p->off = (uint32_t)(off % bs);
		p->len = stop - off;
		if (r->op == VOLUME_WRITE)
			p->src = (const uint8_t *)r->src + (off - r->off);
		off = stop;
	}
	must(off == end);
}

/* How many parts; 0: none, and r->rc says what it comes to. */
static uint64_t
count_parts(struct volume *v, struct volume_req *r)
{
	const uint32_t bs = v->info.block_size;
	uint64_t n;

	if (is_barrier(r->op))
		return 1;
	if (r->off > v->info.size || r->len > v->info.size - r->off) {
		r->rc = err_set(&r->err, -EINVAL,
		    "%s of %" PRIu64 " bytes at %" PRIu64
		    ": the volume ends at %" PRIu64,
		    verb(r->op), r->len, r->off, v->info.size);
		return 0;
	}
	if (r->len == 0)
		return 0;
	if (r->op == VOLUME_ZERO)
		return 1;
	n = (r->off + r->len - 1) / bs - r->off / bs + 1;
	if (r->op == VOLUME_READ && n > v->max_reading) {
		r->rc = err_set(&r->err, -EINVAL,
		    "read of %" PRIu64 " bytes at %" PRIu64
		    ": more than a quarter of the cache; choose a larger one",
		    r->len, r->off);
		return 0;
	}
	return n;
}

void
volume_submit(struct volume *v, struct volume_req *r)
{
	uint64_t nparts;
	struct op *op;

	r->volume = v;
	r->priv = NULL;
	r->iov = NULL;
	r->niov = 0;
	r->rc = 0;
	err_clear(&r->err);
	list_init(&r->link);
	v->inflight++;

	nparts = count_parts(v, r);
	if (nparts == 0) {
		end_early(r);
		return;
	}
	op = op_get(v, nparts);
	if (!op) {
		r->rc = err_set(&r->err, -ENOMEM,
		    "%s of %" PRIu64 " bytes at %" PRIu64 ": no memory",
		    verb(r->op), r->len, r->off);
		end_early(r);
		return;
	}
	op->r = r;
	r->priv = op;
	r->pending = (unsigned)nparts;
	if (is_barrier(r->op)) {
		part_init(op, 0,
		    r->op == VOLUME_DRAIN ? CACHE_DRAIN : CACHE_FLUSH);
	} else if (r->op == VOLUME_ZERO) {
		part_init(op, 0, CACHE_ZERO);
		op->part[0].block = r->off / v->info.block_size;
		op->part[0].off = (uint32_t)(r->off % v->info.block_size);
		op->part[0].len = r->len;
	} else {
		op_split(op);
	}
	if (r->op == VOLUME_READ) {
		list_push_back(&v->reads, &op->link);
		read_next(v);
	} else {
		op_start(op);
	}
}

void
volume_io_init(struct volume *v)
{
	list_init(&v->early);
	list_init(&v->reads);
	v->early_task.run = run_early;
}

void
volume_io_fini(struct volume *v)
{
	must(v->inflight == 0);
	for (unsigned i = 0; i < OP_CLASSES; i++)
		while (v->free_ops[i]) {
			struct op *op = v->free_ops[i];

			v->free_ops[i] = op->next;
			free(op);
		}
}
