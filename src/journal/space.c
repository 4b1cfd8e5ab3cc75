/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.c: segments as a ring, who needs them, and failure.
 *
 *	tail ... durable_tail ... head
 *
 * Segments are given back in order, oldest first: what is needed is always the
 * newest part of what was written, so that applying it again, in order, comes
 * to the same whatever the store has of it already.  One is overwritten only
 * when a superblock that begins behind it is durable (J5).
 *
 * The superblock is written by a small machine of its own, one change at a
 * time; changes that come meanwhile are written together with the next.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/must.h"
#include "journal/internal.h"

#define VOID_TRIES 5
#define VOID_PAUSE_NS (200 * 1000000ll)

struct seg *
space_seg(const struct journal *j, uint64_t number)
{
	return &j->seg[number % j->super.nsegs];
}

bool
space_next(struct journal *j)
{
	struct seg *s;

	must(!j->open_seg);
	if (j->head + 1 >= j->durable_tail + j->super.nsegs)
		return false;
	j->head++;
	j->head_at = 0;
	j->open_seg = true;
	s = space_seg(j, j->head);
	s->first_op = j->next_op;
	s->first_seq = j->next_seq;
	s->refs = 0;
	s->nplaces = 0;
	return true;
}

/* Bytes that can be appended for certain: at the end of a segment a piece may
 * be left over. */
uint64_t
space_left(const struct journal *j)
{
	const uint64_t lost = 2 * (JOURNAL_PIECE + JOURNAL_PAGE);
	uint64_t nfree =
	    j->durable_tail + j->super.nsegs - j->head - 1;
	uint64_t n = nfree * (j->super.seg_size - lost);
	uint64_t at = j->head_at;

	if (j->open)
		at += JOURNAL_PAGE + j->open->cap;
	if (j->open_seg && at + lost < j->super.seg_size)
		n += j->super.seg_size - at - lost;
	return n;
}

void
space_room(struct journal *j)
{
	if (!j->starved)
		return;
	j->starved = false;
	if (j->user.room)
		j->user.room(j->user.arg);
}

/* --- references ----------------------------------------------------------------- */

/* The last that begins at or before op. */
uint64_t
space_find(const struct journal *j, uint64_t op)
{
	uint64_t lo = j->want_tail, hi = j->head;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo + 1) / 2;

		if (space_seg(j, mid)->first_op <= op)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

void
journal_ref(struct journal *j, uint64_t op)
{
	space_seg(j, space_find(j, op))->refs++;
}

void
journal_unref(struct journal *j, uint64_t op)
{
	struct seg *s = space_seg(j, space_find(j, op));

	must(s->refs > 0);
	s->refs--;
}

uint64_t
journal_trimmable(const struct journal *j, uint64_t min_op)
{
	uint64_t n = j->want_tail;

	if (j->applying || j->failed || !j->started)
		return 0;
	/* All operations of segment n are below the first of the next. */
	while (n < j->head && space_seg(j, n)->refs == 0 &&
	    space_seg(j, n + 1)->first_op <= min_op)
		n++;
	return n > j->want_tail ? n : 0;
}

void
journal_trim(struct journal *j, uint64_t segment)
{
	must(segment >= j->want_tail && segment <= j->head);
	j->want_tail = segment;
	super_kick(j);
}

double
journal_fill(const struct journal *j)
{
	return (double)(j->head + 1 - j->durable_tail) / j->super.nsegs;
}

uint64_t
journal_pressing(const struct journal *j)
{
	uint64_t used = j->head + 1 - j->want_tail, half = j->super.nsegs / 2;

	if (used <= half)
		return 0;
	return space_seg(j, j->want_tail + (used - half))->first_op;
}

/* --- the superblock's way to the disk ----------------------------------------------- */

static void super_step(struct journal *j);

/* The mark could not be written: a few times more, then it is known that it
 * cannot. */
static void
void_again(struct journal *j, int rc)
{
	j->super.flags &= ~(uint32_t)JOURNAL_VOID;
	if (++j->void_tries < VOID_TRIES &&
	    loop_timer_set(j->loop, &j->void_timer,
		loop_now(j->loop) + VOID_PAUSE_NS) == 0)
		return;
	j->voiding = false;
	j->void_rc = rc;
	loop_defer(j->loop, &j->failed_task);
}

void
space_void_fire(struct loop_timer *t)
{
	super_kick(container_of(t, struct journal, void_timer));
}

static void
super_done(struct rdev_req *r)
{
	struct journal *j = r->arg;

	j->nreq--;
	if (r->rc < 0) {
		bool for_void = (j->super.flags & JOURNAL_VOID) != 0;

		j->super_step = SUPER_IDLE;
		if (for_void && j->voiding) {
			void_again(j, r->rc);
		} else {
			journal_fail(j, r->rc, "superblock of the journal");
			super_kick(j);
		}
		return;
	}
	super_step(j);
}

static void
super_io(struct journal *j, enum super_step step, enum rdev_op op,
    uint64_t off)
{
	j->super_step = step;
	j->super_iov.iov_base = j->super_page;
	j->super_iov.iov_len = JOURNAL_PAGE;
	j->super_req = (struct rdev_req){.op = op, .off = off,
	    .iov = op == RDEV_WRITE ? &j->super_iov : NULL,
	    .niov = op == RDEV_WRITE, .done = super_done, .arg = j};
	j->nreq++;
	rdev_submit(j->dev, &j->super_req);
}

/* What was begun is durable. */
static void
super_is_durable(struct journal *j)
{
	j->durable_tail = j->super.tail_seg;
	if ((j->super.flags & JOURNAL_VOID) && j->voiding) {
		j->voiding = false;
		j->void_rc = 0;
		loop_defer(j->loop, &j->failed_task);
	}
	space_room(j);
}

static void
super_step(struct journal *j)
{
	switch (j->super_step) {
	case SUPER_FIRST:
		super_io(j, SUPER_FLUSH, RDEV_FLUSH, 0);
		break;
	case SUPER_FLUSH:
		super_is_durable(j);
		j->super.copy = !j->super.copy;
		super_io(j, SUPER_SECOND, RDEV_WRITE,
		    j->super.copy * JOURNAL_PAGE);
		break;
	case SUPER_SECOND:
		/* The next change writes the first copy: until then this one
		 * has to be safe. */
		super_io(j, SUPER_FLUSH_SECOND, RDEV_FLUSH, 0);
		break;
	case SUPER_FLUSH_SECOND:
		j->super_step = SUPER_IDLE;
		super_kick(j);
		break;
	case SUPER_IDLE:
		break;
	}
}

/* Epochs whose records are all before the tail are forgotten. */
static void
drop_epochs(struct journal_super *s)
{
	unsigned n = 0;

	while (n + 1 < s->nepochs && s->epoch[n + 1].first_seg <= s->tail_seg &&
	    s->epoch[n + 1].first_seq <= s->tail_seq)
		n++;
	s->nepochs -= n;
	memmove(s->epoch, s->epoch + n, s->nepochs * sizeof(s->epoch[0]));
}

void
super_kick(struct journal *j)
{
	struct journal_super *s = &j->super;
	bool to_void = j->voiding && !(s->flags & JOURNAL_VOID);

	if (j->super_step != SUPER_IDLE)
		return;
	if (!to_void && (j->failed || j->want_tail == s->tail_seg))
		return;
	s->tail_seg = j->want_tail;
	s->tail_seq = space_seg(j, j->want_tail)->first_seq;
	s->next_op = space_seg(j, j->want_tail)->first_op;
	if (to_void)
		s->flags |= JOURNAL_VOID;
	drop_epochs(s);
	s->serial++;
	journal_super_encode(s, j->super_page);
	/* The newest one stays until this is durable (look.c). */
	s->copy = !s->copy;
	super_io(j, SUPER_FIRST, RDEV_WRITE, s->copy * JOURNAL_PAGE);
}

/* --- failure ------------------------------------------------------------------------------ */

void
journal_fail(struct journal *j, int rc, const char *what)
{
	if (j->failed)
		return;
	j->failed = true;
	err_errno(&j->err, rc, "%s: %s", j->dev->path, what);
	j->void_rc = -EINPROGRESS;
	flush_fail_all(j);
	loop_defer(j->loop, &j->failed_task);
}

bool
journal_has_failed(const struct journal *j)
{
	return j->failed;
}

void
journal_void(struct journal *j)
{
	must(j->failed);
	if (j->voiding || j->void_rc != -EINPROGRESS)
		return;
	j->voiding = true;
	super_kick(j);
}

int
journal_void_state(const struct journal *j)
{
	return j->void_rc;
}

const struct err *
journal_error(const struct journal *j)
{
	return &j->err;
}
