/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logread.c: the log at opening; see logread.h.
 *
 *	chain	in windows of one record's greatest length, from one member,
 *		and from the next one where a record is not good there: a record
 *		is lost only if it is lost everywhere
 *	behind	all members side by side, in steps of STEP
 *
 * How far behind the end one has to look: when record N was written its flush
 * had begun at most I2's bound later, and had ended before as much again was
 * written, because no more may be unflushed; the next record then says that N
 * is durable.  So it lies within BEHIND of N, and if there is none, N was not
 * durable.  Any record of this life that is found moves the limit on, so that a
 * trail with gaps is followed to its end.
 *
 * The chain is walked more than once.  A place is noted for each window, so that
 * a walk need not begin at the root.
 */
#include "raw/logread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "raw/log.h"
#include "raw/pool_int.h"

#define WINDOW RAW_RECORD_MAX
#define WINDOW_SECTORS (WINDOW / RAW_SECTOR)
#define STEP (2u << 20)
/* Twice what may be unflushed, and the records that were on their way. */
#define BEHIND_SECTORS ((2ull * LOG_UNFLUSHED_MAX + 4 * WINDOW) / RAW_SECTOR)

/* --- windows ---------------------------------------------------------------- */

static int
window_new(struct logread *c)
{
	struct buf *b = buf_new(WINDOW);

	if (!b)
		return -ENOMEM;
	buf_unref(c->window);
	c->window = b;
	return 0;
}

/* A member that does not answer is out of it. */
static void
note_failure(struct pool *p, unsigned member, const struct err *e)
{
	log_warn("log: %s", err_text(e));
	if (e->rc == -ETIMEDOUT)
		p->member[member].failed = p->member[member].failed_early =
		    true;
}

/* Fill the window with the ring from pos on. */
static int
fill(struct logread *c, unsigned member, uint64_t pos)
{
	struct pool *p = c->p;
	struct rdev *d = pool_dev(p, member);
	uint64_t ring = p->super.log_sectors, at = pos % ring;
	uint64_t n = WINDOW_SECTORS, first = ring - at < n ? ring - at : n;
	struct err e = ERR_INIT;
	int rc = 0;

	c->window_pos = UINT64_MAX;
	/* A member that did not answer in time may still write to it. */
	if (!buf_writable(c->window) && window_new(c) < 0)
		rc = err_errno(&e, -ENOMEM, "read the log");
	if (rc == 0)
		rc = rdev_wait_read(d, (RAW_LOG_START + at) * RAW_SECTOR,
		    c->window, 0, first * RAW_SECTOR, &e);
	if (rc == 0 && first < n)
		rc = rdev_wait_read(d, (uint64_t)RAW_LOG_START * RAW_SECTOR,
		    c->window, first * RAW_SECTOR, (n - first) * RAW_SECTOR,
		    &e);
	if (rc < 0) {
		note_failure(p, member, &e);
		return rc;
	}
	c->window_pos = pos;
	return 0;
}

static bool
in_window(const struct logread *c, uint64_t pos)
{
	return c->window_pos != UINT64_MAX && pos >= c->window_pos &&
	    pos < c->window_pos + WINDOW_SECTORS;
}

/* --- the chain --------------------------------------------------------------- */

static bool
is_ours(const struct pool *p, const struct raw_record *r, uint64_t pos)
{
	return r->pos == pos &&
	    memcmp(r->pool_uuid, p->super.pool_uuid, 16) == 0;
}

/* Is there a good record of this pool at this place of the window? */
static bool
record_at(const struct logread *c, uint64_t pos, struct raw_record *r,
    const uint8_t **bytes)
{
	size_t skip = (size_t)(pos - c->window_pos) * RAW_SECTOR;

	*bytes = c->window->data + skip;
	return raw_record_decode(r, *bytes, WINDOW - skip, NULL) == 0 &&
	    is_ours(c->p, r, pos);
}

static bool
continues(const struct logread_place *c, const struct raw_record *r)
{
	return r->seq == c->seq && r->prev_crc == c->prev_crc;
}

/* Without memory a later walk only has more to read. */
static void
note_place(struct logread *c)
{
	size_t n = c->nplaces;

	if (n > 0 && c->places[n - 1].seq >= c->at.seq)
		return;
	if (n == c->room) {
		size_t room = n ? 2 * n : 64;
		struct logread_place *more =
		    realloc(c->places, room * sizeof(*more));

		if (!more)
			return;
		c->places = more;
		c->room = room;
	}
	c->places[c->nplaces++] = c->at;
}

int
logread_next(struct logread *c, struct raw_record *r, const uint8_t **bytes)
{
	bool seen = false;

	if (in_window(c, c->at.pos) && record_at(c, c->at.pos, r, bytes) &&
	    continues(&c->at, r))
		goto found;
	for (unsigned m = 0; m < c->p->n; m++) {
		if (!pool_dev(c->p, m) || fill(c, m, c->at.pos) < 0)
			continue;
		seen = true;
		if (record_at(c, c->at.pos, r, bytes) &&
		    continues(&c->at, r)) {
			note_place(c);
			goto found;
		}
	}
	return seen ? 0 : -EIO;
found:
	c->at.pos += r->sectors;
	c->at.seq++;
	c->at.prev_crc = r->crc;
	if (r->durable_seq > c->durable)
		c->durable = r->durable_seq;
	return 1;
}

void
logread_rewind(struct logread *c, uint64_t seq)
{
	size_t n = c->nplaces;

	while (n > 0 && c->places[n - 1].seq > seq)
		n--;
	if (n > 0)
		c->at = c->places[n - 1];
	else
		c->at = (struct logread_place){.pos = c->p->super.log_pos,
		    .seq = c->p->super.root_seq + 1,
		    .prev_crc = c->p->super.log_crc};
	c->window_pos = UINT64_MAX;
}

int
logread_init(struct logread *c, struct pool *p)
{
	*c = (struct logread){.p = p, .durable = p->super.root_seq};
	logread_rewind(c, 0);
	return window_new(c);
}

void
logread_fini(struct logread *c)
{
	buf_unref(c->window);
	free(c->places);
}

/* --- behind its end ---------------------------------------------------------- */

/* What all members have at one place, as far as they can be read. */
struct behind {
	struct logread *c;
	uint64_t pos, end; /* what is looked at next, and where to stop */
	struct {
		bool good; /* its ring could be read so far */
		struct buf *mem; /* STEP */
		struct rdev_wait *wait;
	} member[RAW_MAX_MEMBERS];
};

/* A record that is good in itself, and of this life: a member that was away may
 * have some of another one. */
static void
testify(struct behind *b, const struct raw_record *r)
{
	struct logread *c = b->c;
	uint64_t ring_end = c->p->super.log_pos + c->p->super.log_sectors;
	uint64_t far = r->pos + r->sectors + BEHIND_SECTORS;

	if (r->seq <= c->at.seq || r->epoch < c->p->super.log_epoch)
		return;
	if (r->durable_seq > c->durable)
		c->durable = r->durable_seq;
	far = far < ring_end ? far : ring_end;
	b->end = b->end > far ? b->end : far;
}

/* Look at what member m has in n sectors from b->pos on.  False: it cannot be
 * read. */
static bool
look_at(struct behind *b, unsigned m, uint64_t n)
{
	struct logread *c = b->c;
	const uint8_t *in = b->member[m].mem->data, *bytes;
	struct raw_record r;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t pos = b->pos + i;

		if (raw_record_peek(&r, in + i * RAW_SECTOR,
			(n - i) * RAW_SECTOR) < 0 ||
		    !is_ours(c->p, &r, pos))
			continue;
		if (i + r.sectors <= n) {
			if (raw_record_decode(&r, in + i * RAW_SECTOR,
				(n - i) * RAW_SECTOR, NULL) == 0)
				testify(b, &r);
			continue;
		}
		/* It goes on behind what was read. */
		if (fill(c, m, pos) < 0)
			return false;
		if (record_at(c, pos, &r, &bytes))
			testify(b, &r);
	}
	return true;
}

static void
ask(struct behind *b, unsigned m, uint64_t n)
{
	struct pool *p = b->c->p;
	uint64_t at = b->pos % p->super.log_sectors;
	struct err e = ERR_INIT;

	b->member[m].wait = rdev_read_begin(pool_dev(p, m),
	    (RAW_LOG_START + at) * RAW_SECTOR, b->member[m].mem, 0,
	    n * RAW_SECTOR);
	if (b->member[m].wait)
		return;
	err_errno(&e, -ENOMEM, "%s", pool_dev(p, m)->path);
	note_failure(p, m, &e);
	b->member[m].good = false;
}

static void
hear(struct behind *b, unsigned m, uint64_t n)
{
	struct err e = ERR_INIT;

	if (rdev_read_end(b->member[m].wait, &e) < 0) {
		note_failure(b->c->p, m, &e);
		b->member[m].good = false;
		return;
	}
	b->member[m].good = look_at(b, m, n);
}

int
logread_behind(struct logread *c)
{
	struct pool *p = c->p;
	uint64_t ring = p->super.log_sectors, ring_end = p->super.log_pos + ring;
	struct behind b = {
	    .c = c, .pos = c->at.pos, .end = c->at.pos + BEHIND_SECTORS};
	bool seen = false;

	b.end = b.end < ring_end ? b.end : ring_end;
	for (unsigned m = 0; m < p->n; m++) {
		if (!pool_dev(p, m))
			continue;
		b.member[m].mem = buf_new(STEP);
		b.member[m].good = b.member[m].mem != NULL;
	}
	while (b.pos < b.end) {
		uint64_t n = STEP / RAW_SECTOR, left = b.end - b.pos;
		uint64_t lap = ring - b.pos % ring;

		n = n < left ? n : left;
		n = n < lap ? n : lap;
		for (unsigned m = 0; m < p->n; m++)
			if (b.member[m].good)
				ask(&b, m, n);
		for (unsigned m = 0; m < p->n; m++)
			if (b.member[m].good)
				hear(&b, m, n);
		b.pos += n;
	}
	for (unsigned m = 0; m < p->n; m++) {
		seen = seen || b.member[m].good;
		buf_unref(b.member[m].mem);
	}
	c->window_pos = UINT64_MAX;
	return seen ? 0 : -EIO;
}
