/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xio.c: one extent, its columns on the members; see xio.h.
 *
 *	read:	wanted data columns --> all good? --> copy out, done
 *				   \
 *				    some are bad: read all the other columns,
 *				    recover, verify --> rewrite the bad ones
 *				    in place --> copy out, done
 *
 * A column is bad when its member is missing or being rebuilt, when the read
 * failed, or when its checksum is not the one in the index.  Only the last two
 * are rewritten after a read; a member that is rebuilt gets its columns from
 * the rebuild (which is xio_scrub over all extents).
 *
 * Members that fail are reported to member.c, which takes them out before
 * anything is acknowledged.  Runs on the pool's loop.
 */
#include "raw/xio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raw/crc.h"
#include "raw/ec.h"
#include "raw/member.h"
#include "raw/pool_int.h"

static uint64_t
column_bytes(const struct xio *x, unsigned c)
{
	return (uint64_t)geom_column_sectors(&x->geom, c) * RAW_SECTOR;
}

static unsigned
column_member(const struct xio *x, unsigned c)
{
	return geom_member(&x->geom, x->ext->addr, c);
}

static void
xio_setup(struct xio *x, struct pool *p, struct raw_extent *ext)
{
	void (*done)(struct xio *) = x->done;
	void *arg = x->arg;

	memset(x, 0, sizeof(*x));
	x->done = done;
	x->arg = arg;
	x->pool = p;
	x->ext = ext;
	geom_init(&x->geom, p->k, p->m, ext->bytes);
}

static void
finish(struct xio *x, int rc)
{
	free(x->scratch);
	x->scratch = NULL;
	x->rc = rc;
	x->done(x);
}

/* Nothing had to be asked of any device: done must not run inside submit. */
static void
step_later(struct xio *x, void (*run)(struct loop_task *))
{
	x->task = (struct loop_task){.run = run};
	loop_defer(x->pool->loop, &x->task);
}

static void
column_submit(struct xio *x, unsigned c, enum rdev_op op,
    void (*done)(struct rdev_req *))
{
	struct xio_column *col = &x->col[c];
	struct pool *p = x->pool;

	col->x = x;
	col->iov = (struct iovec){col->mem, column_bytes(x, c)};
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
	rdev_submit(pool_dev(p, column_member(x, c)), &col->req);
}

/* --- writing ----------------------------------------------------------------- */

static void
write_end(struct xio *x)
{
	unsigned lost = (unsigned)__builtin_popcount(x->bad);

	if (x->geom.w - lost >= x->geom.d) {
		finish(x, 0);
		return;
	}
	err_set(&x->err, -EIO,
	    "%u of the %u fragments of an extent at %llu could not be written",
	    lost, x->geom.w, (unsigned long long)x->ext->addr);
	finish(x, -EIO);
}

static void
write_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;
	unsigned c = (unsigned)(col - x->col);

	if (r->rc < 0) {
		x->bad |= 1u << c;
		member_failed(x->pool, column_member(x, c), "write", r->off,
		    r->rc);
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
    const uint8_t *payload)
{
	uint8_t *columns[RAW_MAX_MEMBERS];
	struct geom *g = &x->geom;

	xio_setup(x, p, ext);
	if (g->m > 0) {
		size_t n = (size_t)g->m * g->rows * RAW_SECTOR;

		x->scratch = aligned_alloc(RAW_SECTOR, n);
		if (!x->scratch)
			return -ENOMEM;
	}
	for (unsigned c = 0; c < g->w; c++) {
		if (c < g->m)
			columns[c] =
			    x->scratch + (size_t)c * g->rows * RAW_SECTOR;
		else /* only read: ISA-L's prototypes lack the const */
			columns[c] = (uint8_t *)(uintptr_t)payload +
			    (size_t)geom_data_start(g, c - g->m) * RAW_SECTOR;
		x->col[c].mem = columns[c];
	}
	ec_encode(p->ec, g, columns);
	ext->ncrc = (uint8_t)g->w;
	for (unsigned c = 0; c < g->w; c++)
		ext->crc[c] = crc32c(0, columns[c], column_bytes(x, c));
	for (unsigned c = 0; c < g->w; c++) {
		if (pool_dev(p, column_member(x, c)))
			column_submit(x, c, RDEV_WRITE, write_done);
		else
			x->bad |= 1u << c;
	}
	if (x->pending == 0)
		step_later(x, write_nothing);
	return 0;
}

/* --- reading ----------------------------------------------------------------- */

/* The bytes of column c that are wanted, from scratch to where they go. */
static void
copy_out(struct xio *x)
{
	const struct geom *g = &x->geom;
	uint64_t end = (uint64_t)x->off + x->len;

	for (unsigned j = 0; j < g->d && x->dst; j++) {
		const struct xio_column *col = &x->col[g->m + j];
		uint64_t from = (uint64_t)geom_data_start(g, j) * RAW_SECTOR;
		uint64_t to = from + column_bytes(x, g->m + j);
		uint64_t a = from > x->off ? from : x->off;
		uint64_t b = to < end ? to : end;

		if (a < b && col->own)
			memcpy(x->dst + (a - x->off), col->mem + (a - from),
			    b - a);
	}
}

static void
read_good(struct xio *x)
{
	copy_out(x);
	finish(x, 0);
}

static void
repair_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;
	unsigned c = (unsigned)(col - x->col);

	if (r->rc < 0)
		member_failed(x->pool, column_member(x, c), "rewrite", r->off,
		    r->rc);
	else
		x->pool->member[column_member(x, c)].repaired++;
	if (--x->pending == 0)
		read_good(x);
}

/* Everything is there again: put back what was damaged. */
static void
repair(struct xio *x)
{
	struct pool *p = x->pool;

	for (unsigned c = 0; c < x->geom.w && !p->read_only; c++) {
		if (!(x->bad & (1u << c)) || !pool_dev(p, column_member(x, c)))
			continue;
		if (!x->col[c].tried && !x->scrub)
			continue;
		column_submit(x, c, RDEV_WRITE, repair_done);
	}
	if (x->pending == 0)
		read_good(x);
}

/* Too few columns are good: say which members are to blame. */
static void
read_failed(struct xio *x)
{
	char who[200] = "";
	size_t n = 0;

	for (unsigned c = 0; c < x->geom.w && n < sizeof(who) - 1; c++) {
		const struct rdev *d =
		    x->pool->member[column_member(x, c)].dev;

		if (!(x->bad & (1u << c)))
			continue;
		n += (size_t)snprintf(who + n, sizeof(who) - n, "%s%s",
		    n ? ", " : "", d ? d->path : "a missing member");
	}
	err_set(&x->err, -EIO,
	    "%d of %u fragments are lost or damaged, at most %u may be (%s); "
	    "data address %llu",
	    __builtin_popcount(x->bad), x->geom.w, x->geom.m, who,
	    (unsigned long long)x->ext->addr);
	finish(x, -EIO);
}

static void
recover(struct xio *x)
{
	uint8_t *columns[RAW_MAX_MEMBERS];

	if ((unsigned)__builtin_popcount(x->bad) > x->geom.m) {
		read_failed(x);
		return;
	}
	for (unsigned c = 0; c < x->geom.w; c++)
		columns[c] = x->col[c].mem;
	must(ec_recover(x->pool->ec, &x->geom, columns, x->bad) == 0);
	for (unsigned c = 0; c < x->geom.w; c++)
		if ((x->bad & (1u << c)) &&
		    crc32c(0, columns[c], column_bytes(x, c)) !=
			x->ext->crc[c]) {
			read_failed(x);
			return;
		}
	repair(x);
}

/* All that was asked for is here: is it what was written? */
static void
verify(struct xio *x)
{
	for (unsigned c = 0; c < x->geom.w; c++) {
		struct xio_column *col = &x->col[c];

		if (!col->tried || col->good || (x->bad & (1u << c)))
			continue;
		if (crc32c(0, col->mem, column_bytes(x, c)) ==
		    x->ext->crc[c]) {
			col->good = true;
			continue;
		}
		x->bad |= 1u << c;
		member_damaged(x->pool, column_member(x, c), col->req.off);
	}
}

static void read_more(struct xio *x);

static void
read_end(struct xio *x)
{
	verify(x);
	if (x->bad == 0)
		read_good(x);
	else if (!x->all)
		read_more(x);
	else
		recover(x);
}

static void
read_nothing(struct loop_task *t)
{
	read_end(container_of(t, struct xio, task));
}

static void
read_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;
	unsigned c = (unsigned)(col - x->col);

	if (r->rc < 0) {
		x->bad |= 1u << c;
		member_unreadable(
		    x->pool, column_member(x, c), r->off, r->rc);
	}
	if (--x->pending == 0)
		read_end(x);
}

/* Ask for column c; without a member that can give it, it is bad. */
static void
read_column(struct xio *x, unsigned c)
{
	if (!pool_readable(x->pool, column_member(x, c))) {
		x->bad |= 1u << c;
		return;
	}
	x->col[c].tried = true;
	column_submit(x, c, RDEV_READ, read_done);
}

/*
 * Some column is bad: read all others.  Memory for them is one block; what was
 * read to its place already stays there.
 */
static void
read_more(struct xio *x)
{
	size_t each = (size_t)x->geom.rows * RAW_SECTOR;
	uint8_t *more;

	x->all = true;
	more = aligned_alloc(RAW_SECTOR, each * x->geom.w);
	if (!more) {
		err_errno(&x->err, -ENOMEM, "recover an extent");
		finish(x, -ENOMEM);
		return;
	}
	for (unsigned c = 0; c < x->geom.w; c++) {
		struct xio_column *col = &x->col[c];

		/* Scratch goes: move what it has. */
		if (!col->mem || col->own) {
			uint8_t *at = more + each * c;

			if (col->good)
				memcpy(at, col->mem, column_bytes(x, c));
			col->mem = at;
			col->own = true;
		}
	}
	free(x->scratch);
	x->scratch = more;
	for (unsigned c = 0; c < x->geom.w; c++)
		if (!x->col[c].tried && !(x->bad & (1u << c)))
			read_column(x, c);
	if (x->pending == 0)
		step_later(x, read_nothing);
}

/* Column c can be read to its place in dst directly. */
static bool
fits_directly(const struct xio *x, unsigned c, size_t dst_room)
{
	uint64_t from =
	    (uint64_t)geom_data_start(&x->geom, c - x->geom.m) * RAW_SECTOR;

	return from >= x->off &&
	    (uintptr_t)(x->dst + (from - x->off)) % RAW_SECTOR == 0 &&
	    from + column_bytes(x, c) - x->off <= dst_room;
}

int
xio_read(struct xio *x, struct pool *p, struct raw_extent *ext, uint32_t off,
    uint32_t len, uint8_t *dst, size_t dst_room)
{
	struct geom *g = &x->geom;
	unsigned first, last;
	size_t each;

	xio_setup(x, p, ext);
	must(len > 0 && off + (uint64_t)len <= ext->bytes);
	x->off = off;
	x->len = len;
	x->dst = dst;
	each = (size_t)g->rows * RAW_SECTOR;
	first = geom_data_column(g, off / RAW_SECTOR);
	last = geom_data_column(g, (off + len - 1) / RAW_SECTOR);
	for (unsigned j = first; j <= last; j++) {
		struct xio_column *col = &x->col[g->m + j];

		if (fits_directly(x, g->m + j, dst_room)) {
			col->mem = dst +
			    ((uint64_t)geom_data_start(g, j) * RAW_SECTOR - off);
			continue;
		}
		if (!x->scratch)
			x->scratch = aligned_alloc(
			    RAW_SECTOR, each * (last - first + 1));
		if (!x->scratch)
			return -ENOMEM;
		col->mem = x->scratch + each * (j - first);
		col->own = true;
	}
	for (unsigned j = first; j <= last; j++)
		read_column(x, g->m + j);
	if (x->pending == 0)
		step_later(x, read_nothing);
	return 0;
}

int
xio_scrub(struct xio *x, struct pool *p, struct raw_extent *ext)
{
	size_t each;

	xio_setup(x, p, ext);
	x->scrub = x->all = true;
	each = (size_t)x->geom.rows * RAW_SECTOR;
	x->scratch = aligned_alloc(RAW_SECTOR, each * x->geom.w);
	if (!x->scratch)
		return -ENOMEM;
	for (unsigned c = 0; c < x->geom.w; c++) {
		x->col[c].mem = x->scratch + each * c;
		x->col[c].own = true;
		read_column(x, c);
	}
	if (x->pending == 0)
		step_later(x, read_nothing);
	return 0;
}
