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
 * A segment is read as a whole, in pieces that are under way together, and the
 * next one while this one is looked at: so the cost is one pass at the speed of
 * the disk, and memory for two segments.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "journal/internal.h"

#define READ_PIECE (4u << 20)
#define PIECES (JOURNAL_SEG_MAX / READ_PIECE)
#define MIN(a, b) ((a) < (b) ? (a) : (b))

struct side { /* a segment in memory, or on its way there */
	uint8_t *mem;
	uint64_t number;
	bool have; /* or soon will */
	unsigned nflying;
	bool idle;
	int rc;
	struct piece {
		struct rdev_req req;
		struct iovec iov;
	} piece[PIECES];
};

struct reader {
	struct scan *sc;
	uint8_t *seg; /* that of side[cur] */
	struct side side[2];
	unsigned cur;
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

static void
piece_done(struct rdev_req *r)
{
	struct side *s = r->arg;

	if (r->rc < 0)
		s->rc = r->rc;
	s->idle = --s->nflying == 0;
}

static void
begin(struct reader *rd, struct side *s, uint64_t number)
{
	const struct journal_super *sb = rd->sc->super;
	uint32_t len = MIN(READ_PIECE, sb->seg_size);

	must(s->nflying == 0);
	s->number = number;
	s->have = true;
	s->nflying = sb->seg_size / len;
	s->idle = false;
	s->rc = 0;
	for (uint32_t i = 0; i < sb->seg_size / len; i++) {
		struct piece *p = &s->piece[i];

		p->iov = (struct iovec){s->mem + i * len, len};
		p->req = (struct rdev_req){.op = RDEV_READ,
		    .off = seg_at(sb, number) + i * len, .len = len,
		    .iov = &p->iov, .niov = 1, .done = piece_done, .arg = s};
		rdev_submit(rd->sc->dev, &p->req);
	}
}

static int
wait_for(struct reader *rd, struct side *s)
{
	int rc = s->nflying ? loop_run_until(rd->sc->dev->loop, &s->idle) : 0;

	return rc < 0 ? rc : s->rc;
}

/* rd->seg is that segment, and the one behind it is on its way. */
static int
read_seg(struct reader *rd, uint64_t number, struct err *e)
{
	const struct journal_super *sb = rd->sc->super;
	struct side *next = &rd->side[!rd->cur];
	int rc;

	if (rd->seg && rd->side[rd->cur].number == number)
		return 0;
	if (!next->have || next->number != number) {
		(void)wait_for(rd, next);
		begin(rd, next, number);
	}
	rc = wait_for(rd, next);
	if (rc < 0) {
		next->have = false;
		return err_errno(e, rc, "read %s", rd->sc->dev->path);
	}
	rd->cur = !rd->cur;
	rd->seg = next->mem;
	if (number + 1 < sb->tail_seg + sb->nsegs)
		begin(rd, &rd->side[!rd->cur], number + 1);
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

static int
reader_init(struct reader *rd, struct scan *sc)
{
	memset(rd, 0, sizeof(*rd));
	rd->sc = sc;
	rd->page = malloc(JOURNAL_PAGE);
	rd->plain = sc->secret ? malloc(JOURNAL_PAYLOAD_MAX) : NULL;
	if (!rd->page || (sc->secret && !rd->plain))
		return -ENOMEM;
	for (int i = 0; i < 2; i++) {
		void *mem;

		if (posix_memalign(&mem, JOURNAL_PAGE, sc->super->seg_size))
			return -ENOMEM;
		rd->side[i].mem = mem;
	}
	return 0;
}

static void
reader_fini(struct reader *rd)
{
	for (int i = 0; i < 2; i++) {
		(void)wait_for(rd, &rd->side[i]);
		free(rd->side[i].mem);
	}
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
	sc->flushed = 0;
	sc->end_at = 0;
	sc->damaged = false;
	sc->what[0] = '\0';
	if (!rd)
		return err_errno(e, -ENOMEM, "journal %s", sc->dev->path);
	rc = reader_init(rd, sc);
	if (rc == 0)
		rc = run(rd, e);
	else
		err_errno(e, rc, "journal %s", sc->dev->path);
	reader_fini(rd);
	free(rd);
	return rc;
}
