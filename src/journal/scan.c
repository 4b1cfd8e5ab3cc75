/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.c: reading a journal from its tail, record by record, and the verdict
 * on where it ends.
 *
 * A record counts if its page and its bytes are whole and it is of this volume,
 * of the epoch that its sequence number belongs to, and next in order.  Where
 * none such is found
 *
 *	a later epoch began with that number: go on there;
 *	an earlier run has seen it whole (a later epoch says so), or a record
 *	behind it says that it was flushed, or is of an epoch that the
 *	superblock does not know: damage;
 *	else writing ended here: what is behind was never acknowledged.
 *
 * A segment is read as a whole, so the cost is one pass at the speed of the
 * disk, and memory for one segment.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "journal/internal.h"

#define READ_PIECE (4u << 20)
#define MIN(a, b) ((a) < (b) ? (a) : (b))

struct reader {
	struct scan *sc;
	uint8_t *seg; /* a segment */
	uint64_t seg_number;
	bool have;
	struct seal *seal; /* of the epoch that is being read */
	unsigned epoch;	   /* index */
	struct journal_record r;
	uint8_t *plain; /* a payload, opened */
	uint8_t *page;	/* authenticated header */
};

bool
scan_record(const uint8_t *p, size_t n, const uint8_t uuid[16],
    const struct journal_epoch *ep, uint64_t seq, struct journal_record *r)
{
	return n >= JOURNAL_PAGE && journal_record_decode(r, p) == 0 &&
	    memcmp(r->uuid, uuid, 16) == 0 && r->epoch == ep->number &&
	    r->nonce == ep->nonce && r->seq == seq &&
	    r->payload <= n - JOURNAL_PAGE &&
	    journal_payload_ok(r, p + JOURNAL_PAGE);
}

static int
read_seg(struct reader *rd, uint64_t number, struct err *e)
{
	const struct journal_super *s = rd->sc->super;

	if (rd->have && rd->seg_number == number)
		return 0;
	rd->have = false;
	for (uint32_t at = 0; at < s->seg_size; at += READ_PIECE) {
		int rc = rdev_wait(rd->sc->dev, RDEV_READ,
		    seg_at(s, number) + at, rd->seg + at,
		    MIN(READ_PIECE, s->seg_size), e);

		if (rc < 0)
			return rc;
	}
	rd->have = true;
	rd->seg_number = number;
	return 0;
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
	    r->seq > sc->end_seq && r->flushed >= sc->end_seq) {
		snprintf(sc->what, sizeof(sc->what),
		    "record %llu in segment %llu at byte %u is unreadable, and "
		    "record %llu says that it had been flushed",
		    (unsigned long long)sc->end_seq,
		    (unsigned long long)sc->end_seg, sc->end_at,
		    (unsigned long long)r->seq);
		return true;
	}
	if (r->epoch > ep->number && r->seq >= sc->end_seq) {
		snprintf(sc->what, sizeof(sc->what),
		    "there are records of a later run (epoch %llu) than the "
		    "superblock knows of (%llu)", (unsigned long long)r->epoch,
		    (unsigned long long)ep->number);
		return true;
	}
	return false;
}

/* Is there anything behind the end that must not be there? */
static int
look_behind(struct reader *rd, struct err *e)
{
	struct scan *sc = rd->sc;
	const struct journal_super *s = sc->super;
	uint64_t seen = 0, n = sc->end_seg;
	uint32_t at = sc->end_at;

	for (; n < s->tail_seg + s->nsegs && seen < JOURNAL_EVIDENCE;
	     n++, at = 0) {
		int rc = read_seg(rd, n, e);

		if (rc < 0)
			return rc;
		for (; at + JOURNAL_PAGE <= s->seg_size; at += JOURNAL_PAGE)
			if (looks_at(rd, rd->seg + at)) {
				sc->damaged = true;
				return 0;
			}
		seen += s->seg_size;
	}
	return 0;
}

/* --- in order --------------------------------------------------------------------- */

/* Later epochs begin where this one is known to have ended. */
static bool
next_epoch(struct reader *rd)
{
	struct scan *sc = rd->sc;
	const struct journal_super *s = sc->super;

	if (rd->epoch + 1 >= s->nepochs ||
	    s->epoch[rd->epoch + 1].first_seq != sc->end_seq)
		return false;
	rd->epoch++;
	seal_free(rd->seal);
	rd->seal = NULL;
	/* Not back: the tail may be behind where it began. */
	if (s->epoch[rd->epoch].first_seg > sc->end_seg ||
	    (s->epoch[rd->epoch].first_seg == sc->end_seg && sc->end_at == 0)) {
		sc->end_seg = s->epoch[rd->epoch].first_seg;
		sc->end_at = 0;
	}
	return true;
}

/* The record at the end, if there is one: 1, 0, or an error. */
static int
one_record(struct reader *rd, struct err *e)
{
	struct scan *sc = rd->sc;
	const struct journal_super *s = sc->super;
	const uint8_t *p = rd->seg + sc->end_at;
	const uint8_t *payload = p + JOURNAL_PAGE;
	int rc;

	if (!scan_record(p, s->seg_size - sc->end_at, s->uuid,
		&s->epoch[rd->epoch], sc->end_seq, &rd->r))
		return 0;
	if (rd->r.encrypted != ((s->flags & JOURNAL_ENCRYPTED) != 0))
		return 0;
	if (rd->r.encrypted && sc->secret) {
		rc = open_payload(rd, payload);
		if (rc == -EBADMSG) {
			/* Every byte is as it was written: somebody else
			 * wrote it. */
			sc->damaged = true;
			snprintf(sc->what, sizeof(sc->what),
			    "record %llu is not authentic",
			    (unsigned long long)sc->end_seq);
			return 0;
		}
		if (rc < 0)
			return err_errno(e, rc, "journal %s", sc->dev->path);
		payload = rd->plain;
	}
	if (sc->record) {
		rc = sc->record(sc, &rd->r, payload, e);
		if (rc < 0)
			return rc;
	}
	if (rd->r.flushed > sc->flushed)
		sc->flushed = rd->r.flushed;
	sc->records++;
	sc->end_seq++;
	sc->end_at += JOURNAL_PAGE + rd->r.payload;
	if (rd->r.kind == JOURNAL_SEAL ||
	    sc->end_at + JOURNAL_PAGE > s->seg_size) {
		sc->end_seg++;
		sc->end_at = 0;
	}
	return 1;
}

static int
run(struct reader *rd, struct err *e)
{
	struct scan *sc = rd->sc;
	const struct journal_super *s = sc->super;
	uint64_t begun = UINT64_MAX;
	int rc = 1;

	sc->end_seg = s->tail_seg;
	sc->end_seq = s->tail_seq;
	while (rd->epoch + 1 < s->nepochs &&
	    s->epoch[rd->epoch + 1].first_seq < sc->end_seq)
		rd->epoch++;
	while (rc == 1) {
		while (next_epoch(rd))
			;
		if (sc->end_seg >= s->tail_seg + s->nsegs)
			break; /* a full ring ends here, too */
		rc = read_seg(rd, sc->end_seg, e);
		if (rc < 0)
			return rc;
		if (sc->end_seg != begun && sc->segment)
			sc->segment(sc, sc->end_seg, sc->end_seq);
		begun = sc->end_seg;
		rc = one_record(rd, e);
	}
	if (rc < 0 || sc->damaged || sc->again)
		return rc < 0 ? rc : 0;
	if (rd->epoch + 1 < s->nepochs) {
		sc->damaged = true;
		snprintf(sc->what, sizeof(sc->what),
		    "record %llu in segment %llu at byte %u is unreadable, and "
		    "an earlier start has read it",
		    (unsigned long long)sc->end_seq,
		    (unsigned long long)sc->end_seg, sc->end_at);
		return 0;
	}
	return look_behind(rd, e);
}

int
scan_run(struct scan *sc, struct err *e)
{
	struct reader rd = {.sc = sc};
	void *seg = NULL;
	int rc = -ENOMEM;

	sc->records = 0;
	sc->flushed = 0;
	sc->end_at = 0;
	sc->damaged = false;
	sc->what[0] = '\0';
	rd.page = malloc(JOURNAL_PAGE);
	rd.plain = sc->secret ? malloc(JOURNAL_PAYLOAD_MAX) : NULL;
	if (rd.page && (rd.plain || !sc->secret) &&
	    posix_memalign(&seg, JOURNAL_PAGE, sc->super->seg_size) == 0) {
		rd.seg = seg;
		rc = run(&rd, e);
	} else {
		err_errno(e, rc, "journal %s", sc->dev->path);
	}
	seal_free(rd.seal);
	free(rd.page);
	free(rd.plain);
	free(seg);
	return rc;
}
