/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c: operations to records, and group commit.
 *
 * An operation is copied into the open record.  That goes out when it is full,
 * when somebody flushes, or after a moment (LINGER).  Several are in flight at
 * a time and complete in any order; written_seq is the end of those without a
 * gap.  One flush is in flight at a time, and covers what was written when it
 * was submitted; all who wait for no more than that are answered by it, and
 * those who have come meanwhile share the next one.  What nobody waits for is
 * flushed when it is much, or has waited for JOURNAL_AGE (J10).
 *
 * Where all that was written is flushed and nothing is in flight, a record that
 * somebody waits for goes out as a durable write: one way to the disk in place
 * of two.  Those who come meanwhile gather in the next one.
 *
 * Any error of a write or flush ends the journal for good (journal_fail): what
 * the disk has of the rest is not known any more.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "journal/internal.h"
#include "raw/crc.h"

#define RECS_MIN 4u
#define FLYING_MAX 4u /* writes at once, of records that are not full */
#define FULL_ENOUGH (512u << 10) /* a record of so many bytes goes out */

/* --- memory ------------------------------------------------------------------ */

/* A record lies in one segment. */
static uint32_t
payload_max(const struct journal *j)
{
	return j->super.seg_size < JOURNAL_PAYLOAD_MAX
	    ? j->super.seg_size - JOURNAL_PAGE
	    : JOURNAL_PAYLOAD_MAX;
}

static struct rec *
rec_new(struct journal *j)
{
	struct rec *r = calloc(1, sizeof(*r));
	void *mem;

	if (!r)
		return NULL;
	if (posix_memalign(&mem, JOURNAL_PAGE,
		JOURNAL_PAGE + payload_max(j)) != 0) {
		free(r);
		return NULL;
	}
	r->mem = mem;
	r->j = j;
	list_init(&r->link);
	j->nall++;
	return r;
}

static void
rec_put(struct journal *j, struct rec *r)
{
	list_push_front(&j->free, &r->link);
	j->nfree++;
}

/* n records can be begun. */
static bool
recs_reserve(struct journal *j, unsigned n)
{
	while (j->nfree < n && j->nall < j->max) {
		struct rec *r = rec_new(j);

		if (!r)
			return false;
		rec_put(j, r);
	}
	return j->nfree >= n;
}

/* --- sending a record ----------------------------------------------------------- */

/* Somebody waits for the open record: it goes out, unless so many are on their
 * way that it had better gather more. */
static void
submit_awaited(struct journal *j)
{
	const struct journal_wait *last;

	if (!j->open || list_empty(&j->waits) || j->direct ||
	    j->nflying >= FLYING_MAX)
		return;
	last = list_entry(j->waits.prev, struct journal_wait, link);
	if (last->seq >= j->open->r.seq)
		append_submit(j);
}

static bool
can_be_durable(const struct journal *j, const struct rec *r)
{
	if (!j->dev->durable_writes || list_empty(&j->waits) ||
	    !list_empty(&j->inflight) || j->flushing ||
	    j->flushed_seq + 1 != r->r.seq)
		return false;
	return list_entry(j->waits.prev, struct journal_wait, link)->seq >=
	    r->r.seq;
}

static void wake_waits(struct journal *j);
static void age_begin(struct journal *j);

static void
rec_written(struct rdev_req *req)
{
	struct rec *r = container_of(req, struct rec, req);
	struct journal *j = r->j;

	j->nreq--;
	j->nflying--;
	if (r->durable)
		j->direct = false;
	if (req->rc < 0)
		journal_fail(j, req->rc, "write to the journal");
	else if (r->durable && !j->failed) {
		/* All before it was flushed when it was sent. */
		j->flushed_seq = r->r.seq;
		j->nflushes++;
	}
	r->written = true;
	while (!list_empty(&j->inflight)) {
		struct rec *first =
		    list_entry(j->inflight.next, struct rec, link);

		if (!first->written)
			break;
		if (!j->failed) {
			j->written_seq = first->r.seq;
			if (first->end_op > 0)
				j->written_op = first->end_op;
		}
		list_del(&first->link);
		rec_put(j, first);
	}
	wake_waits(j);
	submit_awaited(j);
	age_begin(j);
	flush_kick(j);
	space_room(j);
}

static int
encrypt(struct journal *j, struct rec *r)
{
	size_t naad;

	r->r.encrypted = true;
	naad = journal_record_aad(&r->r, r->mem);
	return seal_close(j->seal, r->r.seq, r->mem, naad,
	    r->mem + JOURNAL_PAGE, r->len, r->r.tag);
}

static void
rec_submit(struct rec *r)
{
	struct journal *j = r->j;
	uint32_t pad = (JOURNAL_PAGE - r->len % JOURNAL_PAGE) % JOURNAL_PAGE;
	int rc = 0;

	memset(r->mem + JOURNAL_PAGE + r->len, 0, pad);
	r->r.payload = r->len + pad;
	r->r.flushed = j->flushed_seq;
	if (j->encrypted)
		rc = encrypt(j, r);
	for (unsigned i = 0; i < r->r.nextents; i++) {
		struct journal_extent *x = &r->r.x[i];

		if (x->kind == JOURNAL_WRITE)
			x->crc = crc32c(
			    0, r->mem + JOURNAL_PAGE + x->at, x->len);
	}
	journal_record_encode(&r->r, r->mem);
	r->written = false;
	r->durable = can_be_durable(j, r);
	j->direct |= r->durable;
	list_push_back(&j->inflight, &r->link);
	j->head_at += JOURNAL_PAGE + r->r.payload;
	j->nrecords++;
	j->nbytes += JOURNAL_PAGE + r->r.payload;
	if (!r->durable)
		j->unflushed += JOURNAL_PAGE + r->r.payload;
	r->iov.iov_base = r->mem;
	r->iov.iov_len = JOURNAL_PAGE + r->r.payload;
	r->req = (struct rdev_req){.op = RDEV_WRITE, .off = r->at,
	    .iov = &r->iov, .niov = 1, .durable = r->durable,
	    .done = rec_written};
	j->nreq++;
	j->nflying++;
	rdev_submit(j->dev, &r->req);
	if (rc < 0)
		journal_fail(j, rc, "encryption for the journal");
}

void
append_submit(struct journal *j)
{
	struct rec *r = j->open;

	loop_timer_cancel(&j->linger);
	j->open = NULL;
	if (r)
		rec_submit(r);
	flush_kick(j);
}

static void
linger_over(struct loop_timer *t)
{
	append_submit(container_of(t, struct journal, linger));
}

/* --- filling one --------------------------------------------------------------------- */

static struct rec *
rec_begin(struct journal *j, uint16_t kind)
{
	struct list *l = list_pop_front(&j->free);
	struct rec *r;

	must(l);
	j->nfree--;
	r = list_entry(l, struct rec, link);
	memcpy(r->r.uuid, j->super.uuid, 16);
	r->r.epoch = j->super.epoch[j->super.nepochs - 1].number;
	r->r.nonce = j->super.epoch[j->super.nepochs - 1].nonce;
	r->r.seq = j->next_seq++;
	r->r.kind = kind;
	r->r.nextents = 0;
	r->r.encrypted = false;
	memset(r->r.tag, 0, sizeof(r->r.tag));
	r->at = seg_at(&j->super, j->head) + j->head_at;
	reread_note(j, j->head, j->head_at, j->next_op);
	r->len = 0;
	r->end_op = 0;
	r->cap = j->super.seg_size - j->head_at - JOURNAL_PAGE;
	if (r->cap > payload_max(j))
		r->cap = payload_max(j);
	return r;
}

/* An open record in which a piece fits.  journal_has_room has said that this
 * goes well. */
static void
need_open(struct journal *j, uint32_t bytes)
{
	if (j->open && (j->open->r.nextents == JOURNAL_EXTENTS ||
			   j->open->len + bytes > j->open->cap))
		append_submit(j);
	if (j->open)
		return;
	if (j->open_seg &&
	    j->head_at + JOURNAL_PAGE + JOURNAL_PIECE > j->super.seg_size) {
		if (j->head_at + JOURNAL_PAGE <= j->super.seg_size)
			rec_submit(rec_begin(j, JOURNAL_SEAL));
		j->open_seg = false;
	}
	if (!j->open_seg)
		must(space_next(j));
	j->open = rec_begin(j, JOURNAL_DATA_RECORD);
	if (!loop_timer_armed(&j->linger) &&
	    loop_timer_set(j->loop, &j->linger,
		loop_now(j->loop) + JOURNAL_LINGER_NS) < 0)
		flush_kick(j); /* without a timer it waits for a flush */
}

static void
add_extent(struct journal *j, enum journal_kind kind, uint64_t op,
    uint64_t off, uint64_t len, const void *data)
{
	struct journal_extent *x;
	struct rec *r;

	need_open(j, data ? (uint32_t)len : 0);
	r = j->open;
	x = &r->r.x[r->r.nextents++];
	*x = (struct journal_extent){
	    .off = off, .len = len, .op = op, .kind = kind, .at = r->len};
	if (kind != JOURNAL_SETTLED)
		r->end_op = op + 1;
	if (data) {
		memcpy(r->mem + JOURNAL_PAGE + r->len, data, len);
		r->len += (uint32_t)len;
	}
}

/* The most records that so many bytes can need: full ones, and at each end of
 * a segment a short one and a seal. */
static uint64_t
recs_for(const struct journal *j, uint64_t bytes)
{
	return bytes / (JOURNAL_PAYLOAD_MAX / 2) +
	    2 * (bytes / (j->super.seg_size / 2)) + 4;
}

bool
journal_has_room(struct journal *j, uint64_t bytes)
{
	uint64_t n = recs_for(j, bytes);
	uint64_t room = bytes + n * 2 * JOURNAL_PAGE;
	bool fits = j->open && bytes <= JOURNAL_PIECE &&
	    j->open->r.nextents < JOURNAL_EXTENTS &&
	    j->open->len + bytes <= j->open->cap;

	if (fits || (recs_reserve(j, (unsigned)n) && space_left(j) >= room))
		return true;
	j->starved = true;
	return false;
}

uint64_t
journal_written_op(const struct journal *j)
{
	return j->written_op;
}

uint64_t
journal_count_ops(uint64_t len, bool data)
{
	return data ? (len + JOURNAL_PIECE - 1) / JOURNAL_PIECE : 1;
}

void
journal_append(struct journal *j, uint64_t op, uint64_t off, uint64_t len,
    const void *data)
{
	const uint8_t *p = data;

	must(j->started && op == j->next_op);
	must(off % 512 == 0 && len % 512 == 0 && len > 0);
	if (!data) {
		add_extent(j, JOURNAL_ZERO, op, off, len, NULL);
		j->next_op++;
	}
	while (data && len > 0) {
		uint64_t n = len < JOURNAL_PIECE ? len : JOURNAL_PIECE;

		add_extent(j, JOURNAL_WRITE, j->next_op, off, n, p);
		j->next_op++;
		p += n;
		off += n;
		len -= n;
	}
	if (j->open && j->open->len >= FULL_ENOUGH)
		append_submit(j);
}

void
journal_settled(struct journal *j, uint64_t off, uint64_t op)
{
	/* Only saves work after a crash: where there is no room, it is not
	 * said. */
	if (!j->started || j->failed || !journal_has_room(j, 0))
		return;
	add_extent(j, JOURNAL_SETTLED, op, off, 0, NULL);
}

/* --- group commit ------------------------------------------------------------------- */

static void
wake_run(struct loop_task *t)
{
	struct journal *j = container_of(t, struct journal, wake);
	struct list now, *l;

	list_init(&now);
	list_splice_back(&now, &j->woken);
	while ((l = list_pop_front(&now))) {
		struct journal_wait *w = list_entry(l, struct journal_wait, link);

		w->done(w, w->seq <= j->flushed_seq ? 0 : -EIO);
	}
}

/* Those that are over: durable, or it has failed. */
static void
wake_waits(struct journal *j)
{
	while (!list_empty(&j->waits)) {
		struct journal_wait *w =
		    list_entry(j->waits.next, struct journal_wait, link);

		if (w->seq > j->flushed_seq && !j->failed)
			break;
		list_del(&w->link);
		list_push_back(&j->woken, &w->link);
	}
	if (!list_empty(&j->woken))
		loop_defer(j->loop, &j->wake);
}

static void
flush_done(struct rdev_req *r)
{
	struct journal *j = r->arg;

	j->nreq--;
	j->flushing = false;
	j->nflushes++;
	if (r->rc < 0) {
		journal_fail(j, r->rc, "flush of the journal");
		return;
	}
	if (!j->failed)
		j->flushed_seq = j->flushing_seq;
	wake_waits(j);
	age_begin(j);
	flush_kick(j);
}

static void
age_over(struct loop_timer *t)
{
	struct journal *j = container_of(t, struct journal, age);

	j->aged = true;
	flush_kick(j);
}

/* Something is written and not flushed: see that it is, some time. */
static void
age_begin(struct journal *j)
{
	if (j->failed || j->written_seq <= j->flushed_seq ||
	    loop_timer_armed(&j->age))
		return;
	if (loop_timer_set(
		j->loop, &j->age, loop_now(j->loop) + JOURNAL_AGE_NS) < 0)
		j->aged = true; /* no memory for a timer: sooner, then */
}

void
flush_kick(struct journal *j)
{
	bool due;

	if (j->written_seq <= j->flushed_seq)
		j->aged = false;
	due = j->aged || j->unflushed >= JOURNAL_WINDOW;
	if (j->flushing || j->failed || (!due && list_empty(&j->waits)) ||
	    j->written_seq <= j->flushed_seq)
		return;
	/* It would be too early for the first of them. */
	if (!due &&
	    list_entry(j->waits.next, struct journal_wait, link)->seq >
		j->written_seq)
		return;
	j->flushing = true;
	j->flushing_seq = j->written_seq;
	j->unflushed = 0;
	j->aged = false;
	j->flush_req = (struct rdev_req){
	    .op = RDEV_FLUSH, .done = flush_done, .arg = j};
	j->nreq++;
	rdev_submit(j->dev, &j->flush_req);
}

void
journal_flush(struct journal *j, struct journal_wait *w)
{
	w->seq = j->next_seq - 1;
	list_init(&w->link);
	list_push_back(&j->waits, &w->link);
	submit_awaited(j);
	wake_waits(j);
	flush_kick(j);
}

void
flush_fail_all(struct journal *j)
{
	wake_waits(j);
}

/* --- opening and closing ---------------------------------------------------------------- */

int
append_open(struct journal *j, struct err *e)
{
	list_init(&j->inflight);
	list_init(&j->free);
	list_init(&j->waits);
	list_init(&j->woken);
	j->wake.run = wake_run;
	j->linger.fire = linger_over;
	j->age.fire = age_over;
	j->max = 3 * RECS_MIN + (unsigned)recs_for(j, j->super.block_size);
	if (!recs_reserve(j, RECS_MIN))
		return err_errno(e, -ENOMEM, "journal %s", j->dev->path);
	return 0;
}

void
append_fini(struct journal *j)
{
	struct list *l;

	loop_timer_cancel(&j->linger);
	loop_timer_cancel(&j->age);
	if (j->open)
		rec_put(j, j->open);
	j->open = NULL;
	while ((l = list_pop_front(&j->free))) {
		struct rec *r = list_entry(l, struct rec, link);

		free(r->mem);
		free(r);
	}
}
