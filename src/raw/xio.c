/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xio.c: one extent, its columns on the members: writing, and what reading
 * (xio_read.c) shares with it; see xio.h.
 *
 * Members that fail are reported to member.c, which takes them out before
 * anything is acknowledged.  Runs on the pool's loop.
 */
#include "raw/xio.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "raw/crc.h"
#include "raw/ec.h"
#include "raw/flight.h"
#include "raw/member.h"
#include "raw/pool_int.h"

uint64_t
xio_column_bytes(const struct xio *x, unsigned c)
{
	return (uint64_t)geom_column_sectors(&x->geom, c) * RAW_SECTOR;
}

unsigned
xio_member(const struct xio *x, unsigned c)
{
	return geom_member(&x->geom, x->ext->addr, c);
}

static size_t
xio_size(const struct pool *p)
{
	return offsetof(struct xio, col) + p->n * sizeof(struct xio_column);
}

struct xio *
xio_array(const struct pool *p, size_t n)
{
	return malloc(n * xio_size(p));
}

struct xio *
xio_nth(const struct pool *p, struct xio *array, size_t i)
{
	return (struct xio *)((char *)array + i * xio_size(p));
}

void
xio_setup(struct xio *x, struct pool *p, struct raw_extent *ext,
    enum xio_mode mode)
{
	void (*done)(struct xio *) = x->done;
	void *arg = x->arg;

	/* There are many columns that no extent of this pool has. */
	memset(x, 0, xio_size(p));
	x->done = done;
	x->arg = arg;
	x->pool = p;
	x->ext = ext;
	x->mode = mode;
	geom_init(&x->geom, p->k, p->m, ext->bytes);
}

void
xio_finish(struct xio *x, int rc)
{
	buf_unref(x->scratch);
	buf_unref(x->hold);
	x->scratch = x->hold = NULL;
	x->rc = rc;
	x->done(x);
}

void
xio_later(struct xio *x, void (*run)(struct loop_task *))
{
	x->task = (struct loop_task){.run = run};
	loop_defer(x->pool->loop, &x->task);
}

void
xio_submit(struct xio *x, unsigned c, enum rdev_op op, struct buf *mem,
    void (*done)(struct rdev_req *))
{
	struct xio_column *col = &x->col[c];
	struct pool *p = x->pool;

	col->x = x;
	col->iov = (struct iovec){col->mem, xio_column_bytes(x, c)};
	col->req = (struct rdev_req){
	    .op = op,
	    .off = (RAW_LOG_START + p->super.log_sectors +
		       geom_member_sector(&x->geom, x->ext->addr, c)) *
		RAW_SECTOR,
	    .iov = &col->iov,
	    .niov = 1,
	    .done = done,
	    .arg = col,
	};
	x->pending++;
	flight_submit(p, xio_member(x, c), &col->req, mem, col->patient);
}

/* --- writing ----------------------------------------------------------------- */

static void
write_end(struct xio *x)
{
	unsigned lost = (unsigned)__builtin_popcount(x->bad);
	const char *path = NULL;
	int rc = 0;

	if (x->geom.w - lost >= x->geom.d) {
		xio_finish(x, 0);
		return;
	}
	for (unsigned c = 0; c < x->geom.w; c++)
		if (x->bad & (1u << c) && (rc == 0 || x->col[c].req.rc < 0)) {
			rc = x->col[c].req.rc;
			path = x->pool->member[xio_member(x, c)].path;
		}
	err_set(&x->err, member_no_space(rc) ? -ENOSPC : -EIO,
	    "%u of the %u fragments of an extent at %llu could not be written "
	    "(%s: %s)",
	    lost, x->geom.w, (unsigned long long)x->ext->addr,
	    path ? path : "a member", rc < 0 ? strerror(-rc) : "missing");
	xio_finish(x, x->err.rc);
}

static void
write_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;
	unsigned c = (unsigned)(col - x->col);

	if (r->rc < 0) {
		x->bad |= 1u << c;
		member_failed(
		    x->pool, xio_member(x, c), "write", r->off, r->rc);
	}
	if (--x->pending == 0)
		write_end(x);
}

static void
write_nothing(struct loop_task *t)
{
	write_end(container_of(t, struct xio, task));
}

int
xio_write(struct xio *x, struct pool *p, struct raw_extent *ext,
    const uint8_t *payload, struct buf *hold)
{
	uint8_t *columns[RAW_MAX_MEMBERS];
	struct geom *g = &x->geom;

	xio_setup(x, p, ext, XIO_WRITE);
	if (g->m > 0) {
		x->scratch = buf_new((size_t)g->m * g->rows * RAW_SECTOR);
		if (!x->scratch)
			return -ENOMEM;
	}
	x->hold = hold ? buf_ref(hold) : NULL;
	for (unsigned c = 0; c < g->w; c++) {
		if (c < g->m)
			columns[c] = x->scratch->data +
			    (size_t)c * g->rows * RAW_SECTOR;
		else /* only read: ISA-L's prototypes lack the const */
			columns[c] = (uint8_t *)(uintptr_t)payload +
			    (size_t)geom_data_start(g, c - g->m) * RAW_SECTOR;
		x->col[c].mem = columns[c];
	}
	ec_encode(p->ec, g, columns);
	ext->ncrc = (uint8_t)g->w;
	for (unsigned c = 0; c < g->w; c++)
		ext->crc[c] = crc32c(0, columns[c], xio_column_bytes(x, c));
	for (unsigned c = 0; c < g->w; c++) {
		if (pool_dev(p, xio_member(x, c)))
			xio_submit(x, c, RDEV_WRITE,
			    c < g->m ? x->scratch : x->hold, write_done);
		else
			x->bad |= 1u << c;
	}
	if (x->pending == 0)
		xio_later(x, write_nothing);
	return 0;
}
