/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of records in shared memory; see ledger.h.
 *
 *	    tail                     head
 *	     v                        v
 *	| .. | rec | rec | rec | rec | .....  | pad |
 *
 * A record is a header and its data, never across the ring's end: what is left
 * there is a PAD.  Positions count bytes since the beginning and never go back;
 * place = position mod size.  A record holds its own position, so what was left
 * by an earlier turn of the ring is not taken for one.
 *
 * Being killed.  A record is in the ledger when head, one aligned store, is
 * moved behind it: all of its bytes were stored before.  The data is there
 * before the answer to the kernel is sent; so what was acknowledged is in the
 * ledger, and what is in the ledger without having been acknowledged is sent by
 * the kernel again.
 *
 * Pages that are there already, and in the processor's cache, matter: noting
 * 4 KiB takes 0.3 us in them, and 3.5 us in new ones.  So a ring that has run
 * empty begins at its start; and one of which little is in use goes back there
 * early, after a long PAD.  Pages are given back only when nothing was written
 * for a while (ledger_trim).
 *
 * The gap.  With a store that refuses, no flush succeeds and the ring fills.
 * Those who write must not wait for ever because of something that is only for
 * the case of a crash.  So the ledger gives up: it says GAP, and forgets.  The
 * first flush that succeeds after that closes the gap: while it runs, all that
 * is acknowledged is noted again.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "front/kept.h"
#include "front/ledger.h"

#define MAGIC 0x4345524cu /* "LREC" */
#define KEEP_PAGES (16u << 20) /* bytes that are never given back */
#define REUSE (4u << 20) /* begin again here rather than touch new pages */

enum { AT_MAGIC = 0, AT_KIND = 4, AT_OFF = 8, AT_LEN = 16, AT_POS = 24 };

struct ledger {
	struct kept *kept;
	struct ledger_place p; /* ours; the kept page follows */
	uint8_t *ring;
	uint64_t high; /* the ring's pages beyond are not there */
	uint64_t jumped_at, jumped; /* a long pad: where, how long */
	bool closing;  /* GAP, and a flush is under way since `closing_mark` */
	uint64_t closing_mark;
};

static void
in_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t
round_up(uint64_t n)
{
	return (n + LEDGER_ALIGN - 1) & ~(uint64_t)(LEDGER_ALIGN - 1);
}

/* --- reading ------------------------------------------------------------------ */

int
ledger_decode(const uint8_t *ring, const struct ledger_place *p, uint64_t at,
    struct ledger_rec *r)
{
	if (at >= p->head)
		return at == p->head ? 0 : -EBADMSG;
	uint64_t place = at % p->size;
	uint64_t left = p->size - place; /* to the ring's end */
	const uint8_t *h = ring + place;

	if (left > p->head - at)
		left = p->head - at;
	if (left < LEDGER_HEADER || get_le32(h + AT_MAGIC) != MAGIC ||
	    get_le64(h + AT_POS) != at)
		return -EBADMSG;
	uint32_t kind = get_le32(h + AT_KIND);
	uint64_t room = left - LEDGER_HEADER, body;

	r->off = get_le64(h + AT_OFF);
	r->len = get_le64(h + AT_LEN);
	r->data = NULL;
	if (kind == LEDGER_DATA) {
		r->data = h + LEDGER_HEADER;
		body = r->len;
	} else if (kind == LEDGER_ZERO) {
		body = 0;
	} else if (kind == LEDGER_PAD) {
		body = r->len;
	} else {
		return -EBADMSG;
	}
	if (body > room || round_up(body) > room)
		return -EBADMSG;
	r->kind = (enum ledger_kind)kind;
	r->next = at + LEDGER_HEADER + round_up(body);
	return 1;
}

int
ledger_replay(
    const struct ledger *l, ledger_fn *fn, void *arg, struct err *e)
{
	struct ledger_rec r;
	uint64_t at = l->p.tail;
	int rc;

	while ((rc = ledger_decode(l->ring, &l->p, at, &r)) == 1) {
		if (r.kind != LEDGER_PAD && (rc = fn(arg, &r, e)) < 0)
			return rc;
		at = r.next;
	}
	return rc == 0 ? 0 :
			 err_set(e, rc,
			     "the memory of what was not flushed is damaged "
			     "at %" PRIu64 " of %" PRIu64 " to %" PRIu64,
			     at, l->p.tail, l->p.head);
}

/* --- opening --------------------------------------------------------------------- */

int
ledger_open(struct kept *k, struct ledger **out, struct err *e)
{
	struct ledger_place p;
	int rc = kept_get_ledger(k, &p, e);

	*out = NULL;
	if (rc < 0 || p.size == 0)
		return rc;
	struct ledger *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return err_errno(e, -ENOMEM, "the ledger");
	void *m = mmap(NULL, p.size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    k->fd, KEPT_PAGE);

	if (m == MAP_FAILED) {
		rc = err_errno(e, -errno, "map the ledger of %" PRIu64
		    " bytes", p.size);
		free(l);
		return rc;
	}
	l->kept = k;
	l->p = p;
	l->ring = m;
	l->high = p.size; /* who knows */
	*out = l;
	return 0;
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	munmap(l->ring, l->p.size);
	free(l);
}

void
ledger_start(struct kept *k, struct ledger *l)
{
	if (l != NULL) {
		l->p.tail = l->p.head;
		kept_set_tail(k, l->p.tail);
		in_order();
		l->p.state = LEDGER_WHOLE;
	}
	kept_set_ledger_state(k, LEDGER_WHOLE);
}

/* --- noting ------------------------------------------------------------------------ */

/* Tail first: to who looks in between the ledger is empty. */
static void
begin_at_start(struct ledger *l)
{
	uint64_t used = l->p.head % l->p.size;

	l->p.tail = l->p.head = l->p.head - used + l->p.size;
	kept_set_tail(l->kept, l->p.tail);
	in_order();
	kept_set_head(l->kept, l->p.head);
}

static void
put_header(struct ledger *l, enum ledger_kind kind, uint64_t off,
    uint64_t len)
{
	uint8_t *h = l->ring + l->p.head % l->p.size;

	put_le32(h + AT_MAGIC, MAGIC);
	put_le32(h + AT_KIND, kind);
	put_le64(h + AT_OFF, off);
	put_le64(h + AT_LEN, len);
	put_le64(h + AT_POS, l->p.head);
}

static void
move_head(struct ledger *l, uint64_t by)
{
	l->p.head += by;
	in_order();
	kept_set_head(l->kept, l->p.head);
}

static void
pad(struct ledger *l, uint64_t bytes)
{
	put_header(l, LEDGER_PAD, 0, bytes - LEDGER_HEADER);
	move_head(l, bytes);
}

/* The beginning is free, and enough of it that we shall not be back there
 * before its notes have gone. */
static bool
should_jump(const struct ledger *l, uint64_t place, uint64_t need)
{
	uint64_t used = l->p.head - l->p.tail;

	return place >= REUSE && used < place &&
	    place - used >= REUSE / 2 + need;
}

/* Room for so many bytes in one piece, after a pad if need be. */
static bool
make_room(struct ledger *l, uint64_t need)
{
	if (l->p.tail == l->p.head && l->p.head % l->p.size != 0)
		begin_at_start(l);
	uint64_t place = l->p.head % l->p.size;
	uint64_t left = l->p.size - place;
	uint64_t free_bytes = l->p.size - (l->p.head - l->p.tail);

	if (should_jump(l, place, need)) {
		l->jumped_at = l->p.head;
		l->jumped = left;
		pad(l, left);
		return true;
	}
	if (need <= left)
		return need <= free_bytes;
	if (left + need > free_bytes)
		return false;
	pad(l, left);
	return true;
}

bool
ledger_add(struct ledger *l, uint64_t off, uint64_t len, const void *data)
{
	uint64_t body = data != NULL ? len : 0;
	uint64_t need = LEDGER_HEADER + round_up(body);

	if (l->p.state == LEDGER_GAP && !l->closing)
		return true; /* as if it were */
	if (need > l->p.size || !make_room(l, need))
		return false;
	uint64_t place = l->p.head % l->p.size;

	put_header(l, data != NULL ? LEDGER_DATA : LEDGER_ZERO, off, len);
	if (data != NULL)
		memcpy(l->ring + place + LEDGER_HEADER, data, len);
	if (place + need > l->high)
		l->high = place + need;
	move_head(l, need);
	return true;
}

uint64_t
ledger_used(const struct ledger *l)
{
	uint64_t used = l->p.head - l->p.tail;

	return l->p.tail <= l->jumped_at && l->jumped_at < l->p.head ?
	    used - l->jumped :
	    used;
}

uint64_t
ledger_head(const struct ledger *l)
{
	return l->p.head;
}

bool
ledger_wants_flush(const struct ledger *l)
{
	return (l->p.state == LEDGER_GAP && !l->closing) ||
	    ledger_used(l) > l->p.size / 2;
}

uint64_t
ledger_mark(struct ledger *l)
{
	if (l->p.state == LEDGER_GAP && !l->closing) {
		/* A mark that no flush from before the gap can have. */
		bool room = make_room(l, LEDGER_HEADER);

		must(room); /* it is empty */
		put_header(l, LEDGER_PAD, 0, 0);
		move_head(l, LEDGER_HEADER);
		l->closing = true;
		l->closing_mark = l->p.head;
	}
	return l->p.head;
}

void
ledger_release(struct ledger *l, uint64_t pos)
{
	must(pos <= l->p.head);
	if (pos <= l->p.tail)
		return;
	l->p.tail = pos;
	kept_set_tail(l->kept, pos);
}

void
ledger_flushed(struct ledger *l, uint64_t mark)
{
	ledger_release(l, mark);
	if (l->closing && mark >= l->closing_mark) {
		/* It began when all was noted again. */
		l->closing = false;
		in_order();
		l->p.state = LEDGER_WHOLE;
		kept_set_ledger_state(l->kept, LEDGER_WHOLE);
	}
}

bool
ledger_trim(struct ledger *l)
{
	if (l->p.tail != l->p.head || l->high <= KEEP_PAGES)
		return false;
	uint8_t *from = l->ring + KEEP_PAGES;
	size_t n = l->p.size - KEEP_PAGES;

	/* Pages that are locked in memory cannot go. */
	munlock(from, n);
	bool gone = madvise(from, n, MADV_REMOVE) == 0;

	/* Where that is not permitted it was not locked before. */
	(void)mlock2(from, n, MLOCK_ONFAULT);
	if (gone)
		l->high = KEEP_PAGES;
	return gone;
}

void
ledger_give_up(struct ledger *l)
{
	l->closing = false;
	l->p.state = LEDGER_GAP;
	kept_set_ledger_state(l->kept, LEDGER_GAP);
	in_order();
	l->p.tail = l->p.head;
	kept_set_tail(l->kept, l->p.tail);
}

bool
ledger_has_gap(const struct ledger *l)
{
	return l->p.state == LEDGER_GAP;
}

void
ledger_set_journal(struct ledger *l, bool used)
{
	kept_set_journal(l->kept, used);
}
