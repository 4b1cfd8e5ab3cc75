/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segread.c: segments on their way to memory; see segread.h.
 *
 * A segment begins with a record, and each record says how long it is: so its
 * headers can be read one after the other, without what is between.  That takes
 * a read for each, which waits for the one before; but several segments are
 * walked at a time (SIDES).  Where records are short a read takes more than a
 * header, and twice as much each time, up to READ_MAX, until a long one comes.
 *
 *	   64K                            64K       128K
 *	[h.......|.......] h............. [h..h...] [h...h..h..h..h..h...]
 *
 * A walk believes any page that is a record in itself.  Where it goes wrong (at
 * the end of what was written, among records of another time) it has read what
 * nobody wants; who looks at the records asks for what is missing
 * (segread_need).
 *
 * Memory: a segment for each side, of which what was read costs something.
 */
#include "config.h"

#include "journal/segread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "journal/internal.h"

#define READ_MAX (4u << 20)
#define READ_FIRST (64u << 10)
#define PIECES (JOURNAL_SEG_MAX / READ_MAX)
#define MEMORY (128u << 20)
#define SIDES_MAX 8u
#define MIN(a, b) ((a) < (b) ? (a) : (b))

struct side { /* a segment in memory, or on its way there */
	struct segread *r;
	uint8_t *mem;
	uint64_t number;
	bool begun;
	unsigned nflying;
	bool idle;
	int rc;
	uint32_t at;	/* of the header that is wanted next */
	uint32_t chunk; /* to be read for it, if records are short */
	uint64_t have[JOURNAL_SEG_MAX / JOURNAL_PAGE / 64]; /* pages */
	struct journal_record rec;
	struct piece {
		struct rdev_req req;
		struct iovec iov;
		struct side *s;
	} piece[PIECES];
};

struct segread {
	struct rdev *dev;
	const struct journal_super *super;
	bool whole;
	/* Read at the beginning of a segment; and what is behind the header of
	 * a record that is as long is left out. */
	uint32_t first;
	unsigned nsides;
	struct side *cur;
	struct side side[];
};

static bool
has(const struct side *s, uint32_t at, uint32_t n)
{
	for (uint32_t p = at / JOURNAL_PAGE; p * JOURNAL_PAGE < at + n; p++)
		if (!(s->have[p / 64] >> p % 64 & 1))
			return false;
	return true;
}

static void piece_done(struct rdev_req *q);

static void
submit(struct side *s, struct piece *p, uint32_t at, uint32_t n)
{
	p->s = s;
	p->iov = (struct iovec){s->mem + at, n};
	p->req = (struct rdev_req){.op = RDEV_READ,
	    .off = seg_at(s->r->super, s->number) + at, .len = n,
	    .iov = &p->iov, .niov = 1, .done = piece_done};
	s->nflying++;
	s->idle = false;
	rdev_submit(s->r->dev, &p->req);
}

/* Read all of [at, end). */
static void
submit_range(struct side *s, uint32_t at, uint32_t end)
{
	for (unsigned i = 0; at < end; i++) {
		uint32_t n = MIN(READ_MAX, end - at);

		must(i < PIECES);
		submit(s, &s->piece[i], at, n);
		at += n;
	}
}

/* From header to header, as far as there is something to walk on. */
static void
walk(struct side *s)
{
	const uint32_t end = s->r->super->seg_size;
	uint32_t n = 0; /* bytes of the last record */

	while (s->at + JOURNAL_PAGE <= end && has(s, s->at, JOURNAL_PAGE)) {
		if (journal_record_decode(&s->rec, s->mem + s->at) < 0 ||
		    s->rec.kind == JOURNAL_SEAL)
			return;
		n = JOURNAL_PAGE + s->rec.payload;
		s->at += n;
	}
	if (s->at + JOURNAL_PAGE > end)
		return;
	if (n >= s->r->first) {
		s->chunk = s->r->first;
		n = JOURNAL_PAGE;
	} else {
		n = MIN(s->chunk, end - s->at);
		s->chunk = MIN(READ_MAX, 2 * s->chunk);
	}
	submit(s, &s->piece[0], s->at, n);
}

static void
piece_done(struct rdev_req *q)
{
	struct piece *p = container_of(q, struct piece, req);
	struct side *s = p->s;
	uint32_t at = (uint32_t)((uint8_t *)p->iov.iov_base - s->mem);

	if (q->rc < 0)
		s->rc = q->rc;
	else
		for (uint32_t i = 0; i < q->len / JOURNAL_PAGE; i++) {
			uint32_t page = at / JOURNAL_PAGE + i;

			s->have[page / 64] |= 1ull << page % 64;
		}
	s->nflying--;
	if (s->rc == 0 && s->nflying == 0 && !s->r->whole)
		walk(s);
	s->idle = s->nflying == 0;
}

static void
begin(struct side *s, uint64_t number)
{
	must(s->nflying == 0);
	s->number = number;
	s->begun = true;
	s->rc = 0;
	s->at = 0;
	s->chunk = s->r->first;
	memset(s->have, 0, sizeof(s->have));
	if (s->r->whole)
		submit_range(s, 0, s->r->super->seg_size);
	else
		submit(s, &s->piece[0], 0, s->r->first);
}

static int
wait_for(struct side *s)
{
	int rc = s->nflying ? loop_run_until(s->r->dev->loop, &s->idle) : 0;

	return rc < 0 ? rc : s->rc;
}

static struct side *
side_of(struct segread *r, uint64_t number)
{
	return &r->side[number % r->nsides];
}

int
segread_go(struct segread *r, uint64_t number, struct err *e)
{
	const uint64_t end = r->super->tail_seg + r->super->nsegs;
	struct side *s = side_of(r, number);
	int rc;

	if (s == r->cur && s->number == number)
		return 0;
	r->cur = NULL;
	if (!s->begun || s->number != number) {
		(void)wait_for(s);
		begin(s, number);
	}
	for (uint64_t n = number + 1; n < end && n < number + r->nsides; n++) {
		struct side *next = side_of(r, n);

		if ((!next->begun || next->number != n) && next->nflying == 0)
			begin(next, n);
	}
	rc = wait_for(s);
	if (rc < 0) {
		s->begun = false;
		return err_errno(e, rc, "read %s", r->dev->path);
	}
	r->cur = s;
	return 0;
}

const uint8_t *
segread_mem(const struct segread *r)
{
	return r->cur->mem;
}

bool
segread_has(const struct segread *r, uint32_t at, uint32_t n)
{
	return has(r->cur, at, n);
}

int
segread_need(struct segread *r, uint32_t at, uint32_t n, struct err *e)
{
	int rc;

	if (has(r->cur, at, n))
		return 0;
	/* The walk of this segment is over: it does not begin anew. */
	r->cur->at = r->super->seg_size;
	submit_range(r->cur, at, at + n);
	rc = wait_for(r->cur);
	return rc < 0 ? err_errno(e, rc, "read %s", r->dev->path) : 0;
}

int
segread_new(struct rdev *d, const struct journal_super *s, bool whole,
    struct segread **out, struct err *e)
{
	unsigned n = MIN(SIDES_MAX, MEMORY / s->seg_size);
	struct segread *r = calloc(1, sizeof(*r) + n * sizeof(r->side[0]));

	if (!r)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	r->dev = d;
	r->super = s;
	r->whole = whole;
	r->first = MIN(READ_FIRST, s->seg_size / 64);
	r->nsides = n;
	for (unsigned i = 0; i < n; i++) {
		void *mem;

		r->side[i].r = r;
		if (posix_memalign(&mem, JOURNAL_PAGE, s->seg_size) != 0) {
			segread_free(r);
			return err_errno(e, -ENOMEM, "journal %s", d->path);
		}
		r->side[i].mem = mem;
	}
	*out = r;
	return 0;
}

void
segread_free(struct segread *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->nsides; i++) {
		(void)wait_for(&r->side[i]);
		free(r->side[i].mem);
	}
	free(r);
}
