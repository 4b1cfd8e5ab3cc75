/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c: reading a journal from its tail, record by record, and the verdict
 * on where it ends.
 *
 * A record counts if its page is whole, it is of this volume, of the epoch that
 * its sequence number belongs to, and next in order; and if its bytes are whole,
 * or are known to have been flushed: since a record behind it says so, or an
 * earlier run has seen it.  The bytes of those are not looked at here (unless
 * everything is to be verified): who reads them verifies them (reread.c).  So
 * what is verified is what was written after the last flush that is known, which
 * is little, and what was read anyway.
 *
 * Where no such record is found
 *
 *	a later epoch began with that number: go on there;
 *	an earlier run has seen it whole (a later epoch says so), or a record
 *	behind it says that it was flushed, or is of an epoch that the
 *	superblock does not know: damage;
 *	else writing ended here: what is behind was never acknowledged.
 *
 * A record that does not count yet waits (pending), with those behind it, until
 * one says that it was flushed, or the headers end; then its bytes are read.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "journal/internal.h"
#include "journal/segread.h"

struct pending {
	struct pending *next;
	struct scan_place at;
	bool whole; /* its bytes are */
	uint8_t page[JOURNAL_PAGE];
};

struct reader {
	struct scan *sc;
	struct segread *segs;
	const uint8_t *seg; /* the current one's memory */
	/* Where the headers have been followed to. */
	struct scan_place at;
	uint64_t flushed; /* records up to this one were */
	struct pending *first, **last;
	uint64_t begun;	   /* the segment of the last record that counted */
	struct seal *seal; /* of the epoch that is being read */
	unsigned epoch;	   /* index */
	struct journal_record r;
	uint8_t *plain; /* a payload, opened */
	uint8_t *page;	/* authenticated header */
};

/* One record at p, in front of n bytes of its segment: it is the one with this
 * sequence number in this epoch. */
static bool
is_next(struct reader *rd, const uint8_t *p, size_t n)
{
	const struct journal_super *s = rd->sc->super;
	const struct journal_epoch *ep = &s->epoch[rd->epoch];
	struct journal_record *r = &rd->r;

	return n >= JOURNAL_PAGE && journal_record_decode(r, p) == 0 &&
	    memcmp(r->uuid, s->uuid, 16) == 0 && r->epoch == ep->number &&
	    r->nonce == ep->nonce && r->seq == rd->at.seq &&
	    r->payload <= n - JOURNAL_PAGE &&
	    r->encrypted == ((s->flags & JOURNAL_ENCRYPTED) != 0);
}

static int
go(struct reader *rd, uint64_t number, struct err *e)
{
	int rc = segread_go(rd->segs, number, e);

	rd->seg = rc == 0 ? segread_mem(rd->segs) : NULL;
	return rc;
}

/* Decrypt and authenticate rd->r into rd->plain. */
static int
open_payload(struct reader *rd, const uint8_t *payload)
{
	const struct journal_super *s = rd->sc->super;
	const struct journal_epoch *ep = &s->epoch[rd->epoch];
	uint32_t n = journal_record_bytes(&rd->r);
	size_t naad;
	int rc;

	if (!rd->seal) {
		rc = seal_new(rd->sc->secret, s->salt, ep->number, ep->nonce,
		    &rd->seal);
		if (rc < 0)
			return rc;
	}
	memcpy(rd->plain, payload, n);
	naad = journal_record_aad(&rd->r, rd->page);
	return seal_open(rd->seal, rd->r.seq, rd->page, naad, rd->plain,
	    n, rd->r.tag);
}

/* --- damage ------------------------------------------------------------------- */

static bool
looks_at(struct reader *rd, const uint8_t *p)
{
	const struct journal_super *s = rd->sc->super;
	const struct journal_epoch *ep = &s->epoch[s->nepochs - 1];
	struct scan *sc = rd->sc;
	struct journal_record *r = &rd->r;

	if (journal_record_decode(r, p) < 0 ||
	    memcmp(r->uuid, s->uuid, 16) != 0)
		return false;
	if (r->epoch == ep->number && r->nonce == ep->nonce &&
	    r->seq > sc->end.seq && r->flushed >= sc->end.seq) {
		snprintf(sc->what, sizeof(sc->what),
		    "record %llu in segment %llu at byte %u is unreadable, and "
		    "record %llu says that it had been flushed",
		    (unsigned long long)sc->end.seq,
		    (unsigned long long)sc->end.seg, sc->end.byte,
		    (unsigned long long)r->seq);
		return true;
	}
	if (r->epoch > ep->number && r->seq >= sc->end.seq) {
		snprintf(sc->what, sizeof(sc->what),
		    "there are records of a later run (epoch %llu) than the "
		    "superblock knows of (%llu)", (unsigned long long)r->epoch,
		    (unsigned long long)ep->number);
		return true;
	}
	return false;
}

/* Is there anything behind the last header that must not be there? */
static int
look_behind(struct reader *rd, struct err *e)
{
	const struct journal_super *s = rd->sc->super;
	uint64_t seen = 0, n = rd->at.seg;
	uint32_t at = rd->at.byte;

	for (; n < s->tail_seg + s->nsegs && seen < JOURNAL_EVIDENCE;
	     n++, at = 0) {
		int rc = go(rd, n, e);

		if (rc == 0)
			rc = segread_need(rd->segs, at, s->seg_size - at, e);
		if (rc < 0)
			return rc;
		for (; at + JOURNAL_PAGE <= s->seg_size; at += JOURNAL_PAGE)
			if (looks_at(rd, rd->seg + at)) {
				rd->sc->damaged = true;
				return 0;
			}
		seen += s->seg_size;
	}
	return 0;
}

/* --- what counts ------------------------------------------------------------------ */

/* The record r at that place does. */
static int
count(struct reader *rd, const struct journal_record *r,
    const struct scan_place *at, struct err *e)
{
	struct scan *sc = rd->sc;

	if (at->seg != rd->begun)
		sc->segment(sc, at);
	rd->begun = at->seg;
	sc->records++;
	sc->end = *at;
	sc->end.seq++;
	sc->end.byte += JOURNAL_PAGE + r->payload;
	if (r->kind == JOURNAL_SEAL ||
	    sc->end.byte + JOURNAL_PAGE > sc->super->seg_size) {
		sc->end.seg++;
		sc->end.byte = 0;
	}
	return sc->record(sc, r, at, e);
}

static int
wait_in_line(struct reader *rd, const uint8_t *page, bool whole, struct err *e)
{
	struct pending *p = malloc(sizeof(*p));

	if (!p)
		return err_errno(e, -ENOMEM, "journal %s", rd->sc->dev->path);
	p->next = NULL;
	p->at = rd->at;
	p->whole = whole;
	memcpy(p->page, page, sizeof(p->page));
	*rd->last = p;
	rd->last = &p->next;
	return 0;
}

static void
drop_first(struct reader *rd)
{
	struct pending *p = rd->first;

	rd->first = p->next;
	if (!rd->first)
		rd->last = &rd->first;
	free(p);
}

/* Of those that wait, the first ones whose bytes are whole or were flushed. */
static int
count_waiting(struct reader *rd, struct err *e)
{
	int rc = 0;

	while (rc == 0 && rd->first &&
	    (rd->first->whole || rd->first->at.seq <= rd->flushed)) {
		must(journal_record_decode(&rd->r, rd->first->page) == 0);
		rc = count(rd, &rd->r, &rd->first->at, e);
		drop_first(rd);
	}
	return rc;
}

/* The headers have ended: what nobody says was flushed is read. */
static int
verify_rest(struct reader *rd, struct err *e)
{
	struct scan *sc = rd->sc;
	void *mem;
	int rc = 0;

	if (!rd->first)
		return 0;
	if (posix_memalign(&mem, JOURNAL_PAGE, JOURNAL_PAYLOAD_MAX) != 0)
		return err_errno(e, -ENOMEM, "journal %s", sc->dev->path);
	while (rc == 0 && rd->first) {
		struct pending *p = rd->first;

		must(journal_record_decode(&rd->r, p->page) == 0);
		if (!p->whole && rd->r.payload > 0)
			rc = rdev_wait(sc->dev, RDEV_READ,
			    seg_at(sc->super, p->at.seg) + p->at.byte +
				JOURNAL_PAGE, mem, rd->r.payload, e);
		if (rc == 0 && !p->whole && !journal_payload_ok(&rd->r, mem)) {
			sc->end = p->at; /* writing ended here */
			break;
		}
		if (rc == 0)
			rc = count(rd, &rd->r, &p->at, e);
		drop_first(rd);
	}
	free(mem);
	return rc;
}

/* --- in order --------------------------------------------------------------------- */

/* Later epochs begin where this one is known to have ended. */
static bool
next_epoch(struct reader *rd)
{
	const struct journal_super *s = rd->sc->super;

	if (rd->epoch + 1 >= s->nepochs ||
	    s->epoch[rd->epoch + 1].first_seq != rd->at.seq)
		return false;
	rd->epoch++;
	seal_free(rd->seal);
	rd->seal = NULL;
	/* Not back: the tail may be behind where it began. */
	if (s->epoch[rd->epoch].first_seg > rd->at.seg ||
	    (s->epoch[rd->epoch].first_seg == rd->at.seg &&
		rd->at.byte == 0)) {
		rd->at.seg = s->epoch[rd->epoch].first_seg;
		rd->at.byte = 0;
	}
	return true;
}

/* Its bytes are here and as they were written: 1, 0, or an error. */
static int
verify(struct reader *rd, const uint8_t *payload, struct err *e)
{
	struct scan *sc = rd->sc;
	int rc;

	if (!journal_payload_ok(&rd->r, payload))
		return 0;
	if (!rd->r.encrypted || !sc->secret)
		return 1;
	rc = open_payload(rd, payload);
	if (rc == -EBADMSG) {
		/* Every byte is as it was written: somebody else wrote it. */
		sc->damaged = true;
		snprintf(sc->what, sizeof(sc->what),
		    "record %llu is not authentic",
		    (unsigned long long)rd->at.seq);
		return 0;
	}
	if (rc < 0)
		return err_errno(e, rc, "journal %s", sc->dev->path);
	return 1;
}

/* The record where the headers have been followed to, if there is one: 1, 0, or
 * an error. */
static int
one_record(struct reader *rd, struct err *e)
{
	const struct journal_super *s = rd->sc->super;
	const uint32_t at = rd->at.byte, body = at + JOURNAL_PAGE;
	const uint8_t *p = rd->seg + at;
	bool whole = false;
	int rc = segread_need(rd->segs, at, JOURNAL_PAGE, e);

	if (rc < 0)
		return rc;
	if (!is_next(rd, p, s->seg_size - at))
		return 0;
	if (rd->sc->whole)
		rc = segread_need(rd->segs, body, rd->r.payload, e);
	if (rc == 0 && segread_has(rd->segs, body, rd->r.payload)) {
		rc = verify(rd, rd->seg + body, e);
		if (rc == 0)
			return 0;
		whole = true;
	}
	if (rc < 0)
		return rc;
	if (rd->r.flushed > rd->flushed)
		rd->flushed = rd->r.flushed;
	if (!rd->first && (whole || rd->at.seq <= rd->flushed))
		rc = count(rd, &rd->r, &rd->at, e);
	else
		rc = wait_in_line(rd, p, whole, e);
	if (rc < 0)
		return rc;
	rd->at.seq++;
	rd->at.byte += JOURNAL_PAGE + rd->r.payload;
	if (rd->r.kind == JOURNAL_SEAL ||
	    rd->at.byte + JOURNAL_PAGE > s->seg_size) {
		rd->at.seg++;
		rd->at.byte = 0;
	}
	rc = count_waiting(rd, e);
	return rc < 0 ? rc : 1;
}

/* From header to header. */
static int
follow(struct reader *rd, struct err *e)
{
	const struct journal_super *s = rd->sc->super;
	int rc = 1;

	while (rc == 1) {
		while (next_epoch(rd))
			;
		if (rd->at.seg >= s->tail_seg + s->nsegs)
			return 0; /* a full ring ends here, too */
		rc = go(rd, rd->at.seg, e);
		if (rc == 0)
			rc = one_record(rd, e);
	}
	return rc;
}

static int
run(struct reader *rd, struct err *e)
{
	struct scan *sc = rd->sc;
	const struct journal_super *s = sc->super;
	int rc;

	rd->at = (struct scan_place){s->tail_seg, s->tail_seq, 0};
	sc->end = rd->at;
	/* What is of an earlier epoch was seen by the one who began the next,
	 * and is durable since then. */
	rd->flushed = s->epoch[s->nepochs - 1].first_seq - 1;
	while (rd->epoch + 1 < s->nepochs &&
	    s->epoch[rd->epoch + 1].first_seq < rd->at.seq)
		rd->epoch++;
	rc = follow(rd, e);
	if (rc == 0)
		rc = verify_rest(rd, e);
	if (rc < 0)
		return rc;
	if (!rd->first) /* all that was followed counts */
		sc->end = rd->at;
	if (sc->damaged)
		return 0;
	if (rd->epoch + 1 < s->nepochs) {
		sc->damaged = true;
		snprintf(sc->what, sizeof(sc->what),
		    "record %llu in segment %llu at byte %u is unreadable, and "
		    "an earlier start has read it",
		    (unsigned long long)sc->end.seq,
		    (unsigned long long)sc->end.seg, sc->end.byte);
		return 0;
	}
	return look_behind(rd, e);
}

static int
reader_init(struct reader *rd, struct scan *sc, struct err *e)
{
	memset(rd, 0, sizeof(*rd));
	rd->sc = sc;
	rd->last = &rd->first;
	rd->begun = UINT64_MAX;
	rd->page = malloc(JOURNAL_PAGE);
	rd->plain = sc->secret ? malloc(JOURNAL_PAYLOAD_MAX) : NULL;
	if (!rd->page || (sc->secret && !rd->plain))
		return err_errno(e, -ENOMEM, "journal %s", sc->dev->path);
	return segread_new(sc->dev, sc->super, sc->whole, &rd->segs, e);
}

static void
reader_fini(struct reader *rd)
{
	while (rd->first)
		drop_first(rd);
	segread_free(rd->segs);
	seal_free(rd->seal);
	free(rd->page);
	free(rd->plain);
}

int
scan_run(struct scan *sc, struct err *e)
{
	struct reader *rd = malloc(sizeof(*rd));
	int rc;

	sc->records = 0;
	sc->damaged = false;
	sc->what[0] = '\0';
	if (!rd)
		return err_errno(e, -ENOMEM, "journal %s", sc->dev->path);
	rc = reader_init(rd, sc, e);
	if (rc == 0)
		rc = run(rd, e);
	reader_fini(rd);
	free(rd);
	return rc;
}
