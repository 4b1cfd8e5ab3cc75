/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reread.c: reading operations back while the journal is in use.
 *
 * For each record there is a place in memory, 8 bytes: where in its segment it
 * begins, and its first operation.  So an operation is found by two searches:
 * its segment, and its record in it; what else is known of it is in the record.
 * Places are reserved for as many records as the segments can hold (memory that
 * is not used costs nothing), so noting one cannot fail.
 *
 * A read goes through its pieces record by record.  The header says where their
 * extents are, and what their CRCs are; then the part of the payload that has
 * them is read, from the first to the last.  A short record, and one that is
 * encrypted, is read whole at once: the authentication code covers all of it.
 * Nothing is handed out that is not of the record with the right epoch and
 * sequence number and does not have its extent's CRC (J9).
 *
 * At most READS_MAX are served at a time, since each may need the memory of a
 * whole record.  Cost: one or two reads of the disk per record.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "journal/internal.h"
#include "raw/crc.h"

#define READS_MAX 16u
#define SHORT (64u << 10) /* read at once */
#define PAGE_DOWN(x) ((x) / JOURNAL_PAGE * JOURNAL_PAGE)
#define PAGE_UP(x) PAGE_DOWN((x) + JOURNAL_PAGE - 1)

struct reread { /* one record's turn */
	struct rdev_req req;
	struct iovec iov;
	struct journal_read *r;
	uint64_t at;	/* of the record, in the file */
	uint64_t seq;
	struct journal_record rec;
	size_t end;	/* pieces [r->next, end) are in it */
	uint32_t from, to; /* of the payload: what they need, in pages */
};

static void serve(struct loop_task *t);

/* --- places ----------------------------------------------------------------- */

int
reread_open(struct journal *j, struct err *e)
{
	list_init(&j->rereads);
	j->reread_task.run = serve;
	j->places_max = j->super.seg_size / JOURNAL_PAGE;
	j->places = calloc(
	    (size_t)j->super.nsegs * j->places_max, sizeof(j->places[0]));
	return j->places ? 0 : err_errno(e, -ENOMEM, "journal %s", j->dev->path);
}

void
reread_fini(struct journal *j)
{
	must(j->nrereading == 0);
	free(j->places);
	j->places = NULL;
}

static struct place *
place_nth(const struct journal *j, uint64_t number, uint32_t i)
{
	return &j->places[number % j->super.nsegs * j->places_max + i];
}

void
reread_note(struct journal *j, uint64_t number, uint32_t at, uint64_t op)
{
	struct seg *s = space_seg(j, number);

	must(s->nplaces < j->places_max);
	*place_nth(j, number, s->nplaces++) = (struct place){
	    .op = (uint32_t)(op - s->first_op), .page = at / JOURNAL_PAGE};
}

/* The record of the segment that has op: the last that begins at or before it
 * (one without operations has the number of the next). */
static uint32_t
find_place(const struct journal *j, uint64_t number, uint64_t op)
{
	const struct seg *s = space_seg(j, number);
	uint32_t lo = 0, hi = s->nplaces - 1;

	must(s->nplaces > 0);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo + 1) / 2;

		if (s->first_op + place_nth(j, number, mid)->op <= op)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

uint64_t
journal_flushed_op(const struct journal *j)
{
	uint64_t seq = j->flushed_seq + 1, lo = j->want_tail, hi = j->head;

	if (seq >= j->next_seq)
		return j->next_op - 1;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo + 1) / 2;

		if (space_seg(j, mid)->first_seq <= seq)
			lo = mid;
		else
			hi = mid - 1;
	}
	/* What was given back need not have been flushed: the store has it. */
	if (seq < space_seg(j, lo)->first_seq)
		return space_seg(j, lo)->first_op - 1;
	seq -= space_seg(j, lo)->first_seq;
	must(seq < space_seg(j, lo)->nplaces);
	return space_seg(j, lo)->first_op +
	    place_nth(j, lo, (uint32_t)seq)->op - 1;
}

/* --- one record after the other ------------------------------------------------ */

static void next_record(struct reread *x);

static void
finish(struct reread *x, int rc)
{
	struct journal_read *r = x->r;
	struct journal *j = r->j;

	r->rc = rc;
	free(r->mem);
	free(x);
	j->nrereading--;
	if (!list_empty(&j->rereads))
		loop_defer(j->loop, &j->reread_task);
	r->done(r);
}

static void
fail(struct reread *x, int rc, const char *what)
{
	struct journal_read *r = x->r;

	err_errno(&r->err, rc, "%s: record %llu at byte %llu, to be read back: %s",
	    r->j->dev->path, (unsigned long long)x->seq,
	    (unsigned long long)x->at, what);
	finish(x, rc);
}

/* Memory for n bytes, what is in it is not kept. */
static int
need_mem(struct journal_read *r, size_t n)
{
	void *mem;

	if (n <= r->cap)
		return 0;
	free(r->mem);
	r->mem = NULL;
	r->cap = 0;
	if (posix_memalign(&mem, JOURNAL_PAGE, n) != 0)
		return -ENOMEM;
	r->mem = mem;
	r->cap = n;
	return 0;
}

static void
submit(struct reread *x, uint64_t off, uint32_t n,
    void (*done)(struct rdev_req *))
{
	struct journal_read *r = x->r;

	if (need_mem(r, n) < 0) {
		fail(x, -ENOMEM, "no memory");
		return;
	}
	x->iov.iov_base = r->mem;
	x->iov.iov_len = n;
	x->req = (struct rdev_req){.op = RDEV_READ, .off = off,
	    .iov = &x->iov, .niov = 1, .done = done};
	r->j->nreq++;
	rdev_submit(r->j->dev, &x->req);
}

static const struct journal_extent *
extent_of(const struct journal_record *rec, const struct journal_piece *p)
{
	for (unsigned i = 0; i < rec->nextents; i++) {
		const struct journal_extent *x = &rec->x[i];

		if (x->kind == JOURNAL_WRITE && x->op == p->op)
			return p->off >= x->off &&
			    p->off + p->len <= x->off + x->len ? x : NULL;
	}
	return NULL;
}

/* data: of the payload, from x->from on, verified. */
static void
hand_out(struct reread *x, const uint8_t *data)
{
	struct journal_read *r = x->r;

	for (; r->next < x->end; r->next++) {
		const struct journal_piece *p = &r->piece[r->next];
		const struct journal_extent *ext = extent_of(&x->rec, p);

		memcpy(p->to, data + ext->at - x->from + (p->off - ext->off),
		    p->len);
	}
	next_record(x);
}

static int
decrypt(struct reread *x, uint8_t *payload)
{
	struct journal *j = x->r->j;
	const struct journal_super *s = &j->super;
	struct seal *seal;
	uint8_t *page;
	int rc;

	page = malloc(JOURNAL_PAGE);
	if (!page)
		return -ENOMEM;
	rc = seal_new(j->secret, s->salt, x->rec.epoch, x->rec.nonce, &seal);
	if (rc == 0) {
		size_t naad = journal_record_aad(&x->rec, page);

		rc = seal_open(seal, x->seq, page, naad, payload,
		    journal_record_bytes(&x->rec), x->rec.tag);
		seal_free(seal);
	}
	free(page);
	return rc;
}

/* The bytes [x->from, x->to) of the payload are here. */
static void
got_payload(struct reread *x, uint8_t *data)
{
	struct journal_read *r = x->r;
	int rc;

	for (size_t i = r->next; i < x->end; i++) {
		const struct journal_extent *ext =
		    extent_of(&x->rec, &r->piece[i]);

		if (crc32c(0, data + ext->at - x->from, ext->len) !=
		    ext->crc) {
			fail(x, -EBADMSG, "its bytes are damaged");
			return;
		}
	}
	if (x->rec.encrypted) {
		rc = decrypt(x, data);
		if (rc < 0) {
			fail(x, rc, rc == -EBADMSG ? "it is not authentic"
						   : "decryption");
			return;
		}
	}
	hand_out(x, data);
}

static void
payload_read(struct rdev_req *req)
{
	struct reread *x = container_of(req, struct reread, req);

	x->r->j->nreq--;
	if (req->rc < 0)
		fail(x, req->rc, "read error");
	else
		got_payload(x, x->r->mem);
}

/* Is it the record that was written there? */
static bool
is_ours(const struct reread *x)
{
	const struct journal_super *s = &x->r->j->super;
	const struct journal_record *rec = &x->rec;
	unsigned i = s->nepochs;

	while (--i > 0 && s->epoch[i].first_seq > x->seq)
		;
	return memcmp(rec->uuid, s->uuid, 16) == 0 && rec->seq == x->seq &&
	    rec->epoch == s->epoch[i].number &&
	    rec->nonce == s->epoch[i].nonce &&
	    rec->encrypted == x->r->j->encrypted;
}

/* Which pieces are in it, and what part of the payload they need. */
static bool
find_extents(struct reread *x)
{
	struct journal_read *r = x->r;
	const struct journal_record *rec = &x->rec;
	uint32_t from = UINT32_MAX, to = 0;

	for (x->end = r->next; x->end < r->n; x->end++) {
		const struct journal_extent *ext =
		    extent_of(rec, &r->piece[x->end]);

		if (!ext)
			break;
		if (ext->at < from)
			from = ext->at;
		if (ext->at + ext->len > to)
			to = ext->at + (uint32_t)ext->len;
	}
	x->from = rec->encrypted ? 0 : PAGE_DOWN(from);
	x->to = rec->encrypted ? rec->payload : PAGE_UP(to);
	return x->end > r->next;
}

static void
header_read(struct rdev_req *req)
{
	struct reread *x = container_of(req, struct reread, req);
	struct journal_read *r = x->r;
	size_t have = x->iov.iov_len;

	r->j->nreq--;
	if (req->rc < 0) {
		fail(x, req->rc, "read error");
	} else if (journal_record_decode(&x->rec, r->mem) < 0 || !is_ours(x)) {
		fail(x, -EBADMSG, "it is not there any more, or damaged");
	} else if (!find_extents(x)) {
		fail(x, -EBADMSG, "the operation is not in it");
	} else if (JOURNAL_PAGE + (size_t)x->rec.payload <= have) {
		x->from = 0;
		got_payload(x, r->mem + JOURNAL_PAGE);
	} else {
		submit(x, x->at + JOURNAL_PAGE + x->from, x->to - x->from,
		    payload_read);
	}
}

/* How much of a record is read with its header: all of it, if that is known to
 * be little. */
static uint32_t
first_bytes(const struct journal *j, uint64_t number, uint32_t i)
{
	uint32_t n;

	if (i + 1 >= space_seg(j, number)->nplaces)
		return JOURNAL_PAGE;
	n = (place_nth(j, number, i + 1)->page - place_nth(j, number, i)->page) *
	    JOURNAL_PAGE;
	return n <= SHORT || j->encrypted ? n : JOURNAL_PAGE;
}

static void
next_record(struct reread *x)
{
	struct journal_read *r = x->r;
	struct journal *j = r->j;
	uint64_t op, number;
	uint32_t i;

	if (r->next == r->n) {
		finish(x, 0);
		return;
	}
	op = r->piece[r->next].op;
	number = space_find(j, op);
	i = find_place(j, number, op);
	x->seq = space_seg(j, number)->first_seq + i;
	x->at = seg_at(&j->super, number) +
	    (uint64_t)place_nth(j, number, i)->page * JOURNAL_PAGE;
	submit(x, x->at, first_bytes(j, number, i), header_read);
}

/* --- whose turn it is -------------------------------------------------------------- */

static void
serve(struct loop_task *t)
{
	struct journal *j = container_of(t, struct journal, reread_task);
	struct list *l;

	while (j->nrereading < READS_MAX && (l = list_pop_front(&j->rereads))) {
		struct journal_read *r =
		    list_entry(l, struct journal_read, link);
		struct reread *x = calloc(1, sizeof(*x));

		if (!x) {
			r->rc = err_errno(&r->err, -ENOMEM, "%s: reading back",
			    j->dev->path);
			r->done(r);
			continue;
		}
		x->r = r;
		j->nrereading++;
		next_record(x);
	}
}

void
journal_read(struct journal *j, struct journal_read *r)
{
	must(r->n > 0);
	r->j = j;
	r->rc = 0;
	err_clear(&r->err);
	r->next = 0;
	r->mem = NULL;
	r->cap = 0;
	list_init(&r->link);
	if (r->urgent)
		list_push_front(&j->rereads, &r->link);
	else
		list_push_back(&j->rereads, &r->link);
	loop_defer(j->loop, &j->reread_task);
}
