/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xio_read.c: read, scrub and rebuild one extent; see xio.h.
 *
 *	ask for the columns that are wanted
 *	    --> all good: copy out, done
 *	    --> not: ask for so many others that there are d good ones
 *	        --> recover the rest --> rewrite what is damaged, read that
 *	            back --> done
 *	        --> there are no more others: ask those that were avoided (late,
 *	            suspect, being rebuilt), and wait for them
 *	            --> still too few: -EBADMSG if they have wrong bytes, -EIO
 *	                if one could not be read, with the names of the members
 *
 * Every byte is verified by the checksum in the index, so it does not matter
 * whom it comes from: even a member that is being rebuilt is asked when nobody
 * else has it.
 *
 * A read that is late may still come, long after the extent has been dealt with:
 * so nothing is read into a caller's memory.  What is read lies in bufs that
 * the flight keeps, and is copied out of there (a copy of what is in the CPU's
 * cache, from verifying it).  A column that was given up gets new memory before
 * anything is put there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/crc.h"
#include "raw/ec.h"
#include "raw/flight.h"
#include "raw/member.h"
#include "raw/move.h"
#include "raw/pool_int.h"
#include "raw/xio.h"

static void step(struct xio *x);

static unsigned
count(const struct xio *x, enum xio_state s)
{
	unsigned n = 0;

	for (unsigned c = 0; c < x->geom.w; c++)
		n += x->col[c].state == s;
	return n;
}

/* --- the end ---------------------------------------------------------------- */

/* The bytes that are asked for, to where they go. */
static void
copy_out(struct xio *x)
{
	const struct geom *g = &x->geom;
	uint64_t end = (uint64_t)x->off + x->len;

	for (unsigned j = 0; j < g->d && x->dst; j++) {
		const struct xio_column *col = &x->col[g->m + j];
		uint64_t from = (uint64_t)geom_data_start(g, j) * RAW_SECTOR;
		uint64_t to = from + xio_column_bytes(x, g->m + j);
		uint64_t a = from > x->off ? from : x->off;
		uint64_t b = to < end ? to : end;

		if (a < b)
			memcpy(x->dst + (a - x->off), col->mem + (a - from),
			    b - a);
	}
}

/* Too few columns are good: say which members are to blame. */
static void
read_failed(struct xio *x)
{
	unsigned lost = x->geom.w - count(x, XIO_GOOD);
	bool wrong = false, unread = false;
	char who[200] = "";
	size_t n = 0;
	int rc;

	for (unsigned c = 0; c < x->geom.w && n < sizeof(who) - 1; c++) {
		const char *path = x->pool->member[xio_member(x, c)].path;

		if (x->col[c].state == XIO_GOOD && !x->col[c].recovered)
			continue;
		if (x->col[c].state == XIO_BAD && x->col[c].req.rc == 0)
			wrong = true;
		else
			unread = true;
		n += (size_t)snprintf(who + n, sizeof(who) - n, "%s%s",
		    n ? ", " : "", path ? path : "a missing member");
	}
	/* Another attempt may help unless all that is lost is wrong bytes. */
	rc = wrong && !unread ? -EBADMSG : -EIO;
	err_set(&x->err, rc,
	    "%u of %u fragments are lost or damaged, at most %u may be (%s); "
	    "data address %llu",
	    lost, x->geom.w, x->geom.m, who,
	    (unsigned long long)x->ext->addr);
	xio_finish(x, rc);
}

/* --- rewriting ----------------------------------------------------------------- */

/* A column that cannot be where it is; its member goes on without it. */
static void
bad_place(struct xio *x, unsigned c)
{
	struct pool *p = x->pool;

	if (x->mode == XIO_REBUILD || !pool_dev(p, xio_member(x, c)))
		return;
	x->misplaced |= 1u << c;
	move_bad_place(
	    p, x->ext->addr + c, geom_column_sectors(&x->geom, c));
}

static void
read_back_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;
	unsigned c = (unsigned)(col - x->col);

	if (r->rc == 0 &&
	    crc32c(0, col->mem, xio_column_bytes(x, c)) == x->ext->crc[c])
		x->pool->member[xio_member(x, c)].repaired++;
	else
		x->unmended |= 1u << c;
	if (r->rc < 0 && r->rc != FLIGHT_LATE)
		member_unreadable(x->pool, xio_member(x, c), r->off, r->rc);
	else if (r->rc == 0 && (x->unmended & (1u << c)))
		member_lies(x->pool, xio_member(x, c), r->off);
	if (x->unmended & (1u << c) && r->rc != FLIGHT_LATE)
		bad_place(x, c);
	if (--x->pending == 0)
		xio_finish(x, 0);
}

/* What was damaged is written: is it there?  (Of a member that is rebuilt, scrub
 * will ask.)  The bytes have been copied out: their memory can be used. */
static void
read_back(struct xio *x)
{
	copy_out(x);
	for (unsigned c = 0; c < x->geom.w && x->mode != XIO_REBUILD; c++)
		if ((x->rewritten & (1u << c)) &&
		    pool_dev(x->pool, xio_member(x, c)))
			xio_submit(
			    x, c, RDEV_READ, x->scratch, read_back_done);
	if (x->pending == 0)
		xio_finish(x, 0);
}

static void
rewrite_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;
	unsigned c = (unsigned)(col - x->col);

	if (r->rc < 0) {
		x->rewritten &= ~(1u << c);
		x->unmended |= 1u << c;
		member_not_rewritten(
		    x->pool, xio_member(x, c), r->off, r->rc);
		if (!member_no_space(r->rc))
			bad_place(x, c);
	} else {
		x->pool->unflushed++; /* the next SYNC is for it, too */
	}
	if (--x->pending == 0)
		read_back(x);
}

/* Everything that is needed is there: put back what is damaged. */
static void
repair(struct xio *x, uint32_t damaged)
{
	struct pool *p = x->pool;

	for (unsigned c = 0; c < x->geom.w && !p->read_only; c++) {
		if (!(damaged & (1u << c)) || !pool_dev(p, xio_member(x, c)))
			continue;
		/* That was tried. */
		if (x->mode != XIO_REBUILD &&
		    alloc_is_bad(p->alloc, x->ext->addr + c)) {
			x->unmended |= 1u << c;
			x->misplaced |= 1u << c;
			continue;
		}
		x->rewritten |= 1u << c;
		xio_submit(x, c, RDEV_WRITE, x->scratch, rewrite_done);
	}
	if (x->pending > 0)
		return;
	copy_out(x);
	xio_finish(x, 0);
}

/* --- recovering ------------------------------------------------------------------ */

/* Memory for all columns, which nobody else writes to; what is good moves
 * there. */
static int
all_memory(struct xio *x)
{
	size_t each = (size_t)x->geom.rows * RAW_SECTOR;
	struct buf *more;

	if (x->all_mem && !x->tainted)
		return 0;
	more = buf_new(each * x->geom.w);
	if (!more)
		return -ENOMEM;
	for (unsigned c = 0; c < x->geom.w; c++) {
		struct xio_column *col = &x->col[c];

		if (col->state == XIO_GOOD)
			memcpy(more->data + each * c, col->mem,
			    xio_column_bytes(x, c));
		col->mem = more->data + each * c;
	}
	buf_unref(x->scratch);
	x->scratch = more;
	x->all_mem = true;
	x->tainted = false;
	return 0;
}

/* Columns that are not good from those that are. */
static void
recover(struct xio *x)
{
	uint8_t *columns[RAW_MAX_MEMBERS];
	uint32_t lost = 0, damaged = 0;

	if (all_memory(x) < 0) {
		err_errno(&x->err, -ENOMEM, "recover an extent");
		xio_finish(x, -ENOMEM);
		return;
	}
	for (unsigned c = 0; c < x->geom.w; c++) {
		columns[c] = x->col[c].mem;
		if (x->col[c].state != XIO_GOOD)
			lost |= 1u << c;
		if (x->col[c].state == XIO_BAD)
			damaged |= 1u << c;
	}
	if (x->mode == XIO_REBUILD)
		damaged |= x->targets;
	must(ec_recover(x->pool->ec, &x->geom, columns, lost) == 0);
	for (unsigned c = 0; c < x->geom.w; c++) {
		if (!(lost & (1u << c)))
			continue;
		x->col[c].recovered = true;
		if (crc32c(0, columns[c], xio_column_bytes(x, c)) !=
		    x->ext->crc[c]) {
			read_failed(x);
			return;
		}
		x->col[c].state = XIO_GOOD;
	}
	repair(x, damaged & lost);
}

/* --- asking ----------------------------------------------------------------------- */

static void
verify(struct xio *x, unsigned c)
{
	struct xio_column *col = &x->col[c];
	unsigned mb = xio_member(x, c);
	/* What a member had that is rebuilt was not promised; what lies on a
	 * bad place was counted when that was found. */
	bool promised = pool_readable(x->pool, mb) &&
	    !alloc_is_bad(x->pool->alloc, x->ext->addr + c);

	if (col->req.rc == 0 &&
	    crc32c(0, col->mem, xio_column_bytes(x, c)) == x->ext->crc[c]) {
		col->state = XIO_GOOD;
		member_read_well(x->pool, mb);
		return;
	}
	if (col->req.rc == FLIGHT_LATE) {
		col->state = XIO_LATE;
		x->tainted = true;
		return;
	}
	col->state = XIO_BAD;
	if (!promised)
		return;
	if (col->req.rc < 0)
		member_unreadable(x->pool, mb, col->req.off, col->req.rc);
	else
		member_damaged(x->pool, mb, col->req.off);
}

static void
read_done(struct rdev_req *r)
{
	struct xio_column *col = r->arg;
	struct xio *x = col->x;

	verify(x, (unsigned)(col - x->col));
	if (--x->pending == 0)
		step(x);
}

static void
ask(struct xio *x, unsigned c, bool patient)
{
	x->col[c].state = XIO_ASKED;
	x->col[c].patient = patient;
	xio_submit(x, c, RDEV_READ, x->scratch, read_done);
}

/* Its member has it, and answers. */
static bool
is_easy(const struct xio *x, unsigned c)
{
	unsigned mb = xio_member(x, c);

	return pool_readable(x->pool, mb) &&
	    !x->pool->member[mb].flights.suspect;
}

/*
 * Ask for n more columns, data first; all that are easy, or, when these are
 * exhausted, those that were avoided.  How many were asked for.
 */
static unsigned
ask_more(struct xio *x, unsigned n, bool easy)
{
	const struct geom *g = &x->geom;
	unsigned asked = 0;

	for (unsigned i = 0; i < g->w && asked < n; i++) {
		unsigned c = (g->m + i) % g->w;
		const struct xio_column *col = &x->col[c];

		if (!pool_dev(x->pool, xio_member(x, c)))
			continue;
		if (easy ? col->state != XIO_UNREAD || !is_easy(x, c)
			 : col->patient ||
				(col->state != XIO_UNREAD &&
				    col->state != XIO_LATE))
			continue;
		ask(x, c, !easy);
		asked++;
	}
	return asked;
}

static bool
have_targets(const struct xio *x)
{
	for (unsigned c = 0; c < x->geom.w; c++)
		if ((x->targets & (1u << c)) && x->col[c].state != XIO_GOOD)
			return false;
	return true;
}

/* All that was asked for has come, in one way or the other. */
static void
step(struct xio *x)
{
	unsigned good = count(x, XIO_GOOD), bad = count(x, XIO_BAD), more;
	bool all = good >= x->geom.d; /* all the others follow from them */

	if (have_targets(x) && (all ? bad == 0 : x->mode != XIO_SCRUB)) {
		copy_out(x);
		xio_finish(x, 0);
		return;
	}
	if (all) {
		recover(x);
		return;
	}
	if (all_memory(x) < 0) {
		err_errno(&x->err, -ENOMEM, "recover an extent");
		xio_finish(x, -ENOMEM);
		return;
	}
	more = ask_more(x, x->geom.d - good, true);
	if (more == 0)
		more = ask_more(x, x->geom.w, false);
	if (more == 0)
		read_failed(x);
}

static void
step_now(struct loop_task *t)
{
	step(container_of(t, struct xio, task));
}

/* Column c at first: from its member, or not. */
static void
ask_first(struct xio *x, unsigned c)
{
	if (is_easy(x, c))
		ask(x, c, false);
	else
		x->col[c].state = XIO_LATE;
}

static int
begin(struct xio *x, unsigned first, unsigned n)
{
	size_t each = (size_t)x->geom.rows * RAW_SECTOR;

	x->scratch = buf_new(each * n);
	if (!x->scratch)
		return -ENOMEM;
	for (unsigned c = first; c < first + n; c++)
		x->col[c].mem = x->scratch->data + each * (c - first);
	x->all_mem = n == x->geom.w;
	return 0;
}

int
xio_read(struct xio *x, struct pool *p, struct raw_extent *ext, uint32_t off,
    uint32_t len, uint8_t *dst)
{
	struct geom *g = &x->geom;
	unsigned first, last;

	xio_setup(x, p, ext, XIO_READ);
	must(len > 0 && off + (uint64_t)len <= ext->bytes);
	x->off = off;
	x->len = len;
	x->dst = dst;
	first = g->m + geom_data_column(g, off / RAW_SECTOR);
	last = g->m + geom_data_column(g, (off + len - 1) / RAW_SECTOR);
	if (begin(x, first, last - first + 1) < 0)
		return -ENOMEM;
	for (unsigned c = first; c <= last; c++) {
		x->targets |= 1u << c;
		ask_first(x, c);
	}
	if (x->pending == 0)
		xio_later(x, step_now);
	return 0;
}

int
xio_scrub(struct xio *x, struct pool *p, struct raw_extent *ext)
{
	xio_setup(x, p, ext, XIO_SCRUB);
	if (begin(x, 0, x->geom.w) < 0)
		return -ENOMEM;
	for (unsigned c = 0; c < x->geom.w; c++)
		ask_first(x, c);
	if (x->pending == 0)
		xio_later(x, step_now);
	return 0;
}

int
xio_rebuild(struct xio *x, struct pool *p, struct raw_extent *ext,
    uint32_t members, uint32_t blank)
{
	xio_setup(x, p, ext, XIO_REBUILD);
	for (unsigned c = 0; c < x->geom.w; c++)
		if (members & (1u << xio_member(x, c)))
			x->targets |= 1u << c;
	if (x->targets == 0)
		return 1;
	if (begin(x, 0, x->geom.w) < 0)
		return -ENOMEM;
	for (unsigned c = 0; c < x->geom.w; c++) {
		unsigned mb = xio_member(x, c);

		if (!(x->targets & (1u << c)))
			continue;
		if (!(blank & (1u << mb)) && pool_dev(p, mb))
			ask(x, c, true);
		else
			x->col[c].state = XIO_BAD;
	}
	if (x->pending == 0)
		xio_later(x, step_now);
	return 0;
}
