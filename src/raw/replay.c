/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c: the log at opening; recover.c says when.
 *
 * The log is read in windows of one record's greatest length, from one member,
 * and from the next one where a record is not good there: a record is lost only
 * if it is lost everywhere.
 *
 * Runs on the opening thread; the pool is not in use yet.
 */
#include "raw/recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/xio.h"

#define WINDOW RAW_RECORD_MAX

/* The place in the chain, and what was read around it on one member. */
struct cursor {
	struct pool *p;
	uint64_t pos, seq; /* of the record that comes next */
	uint32_t prev_crc;
	uint64_t durable; /* the highest seq that a record calls durable */
	struct buf *window;
	uint64_t window_pos; /* UINT64_MAX: nothing is there */
	unsigned window_member;
	struct raw_extent *ext; /* RAW_MAX_EXTENTS, for items */
};

/* Fill the window with the ring from pos on. */
static int
fill(struct cursor *c, unsigned member, uint64_t pos, struct err *e)
{
	struct pool *p = c->p;
	struct rdev *d = pool_dev(p, member);
	uint64_t ring = p->super.log_sectors, at = pos % ring;
	uint64_t n = WINDOW / RAW_SECTOR, first = ring - at < n ? ring - at : n;
	int rc;

	c->window_pos = UINT64_MAX;
	/* A member that did not answer in time may still write to it. */
	if (!buf_writable(c->window)) {
		struct buf *b = buf_new(WINDOW);

		if (!b)
			return err_errno(e, -ENOMEM, "read the log");
		buf_unref(c->window);
		c->window = b;
	}
	rc = rdev_wait_read(d, (RAW_LOG_START + at) * RAW_SECTOR, c->window, 0,
	    first * RAW_SECTOR, e);
	if (rc == 0 && first < n)
		rc = rdev_wait_read(d, (uint64_t)RAW_LOG_START * RAW_SECTOR,
		    c->window, first * RAW_SECTOR, (n - first) * RAW_SECTOR, e);
	if (rc == -ETIMEDOUT)
		p->member[member].failed = p->member[member].failed_early =
		    true;
	if (rc < 0)
		return rc;
	c->window_pos = pos;
	c->window_member = member;
	return 0;
}

/* Is there a good record of this pool at this place of the window? */
static bool
record_at(const struct cursor *c, uint64_t pos, struct raw_record *r,
    const uint8_t **bytes)
{
	size_t skip = (size_t)(pos - c->window_pos) * RAW_SECTOR;

	*bytes = c->window->data + skip;
	return raw_record_decode(r, *bytes, WINDOW - skip, NULL) == 0 &&
	       r->pos == pos &&
	       memcmp(r->pool_uuid, c->p->super.pool_uuid, 16) == 0;
}

static bool
continues(const struct cursor *c, const struct raw_record *r)
{
	return r->seq == c->seq && r->prev_crc == c->prev_crc;
}

/*
 * The next record of the chain, from whatever member has it.  1: found, its
 * bytes are in the window; 0: the chain ends here; -EIO: no member could be
 * read, so nobody knows (what is durable is on every member).
 */
static int
next_record(struct cursor *c, struct raw_record *r, const uint8_t **bytes)
{
	bool seen = false;

	if (c->window_pos != UINT64_MAX && c->pos >= c->window_pos &&
	    c->pos < c->window_pos + WINDOW / RAW_SECTOR &&
	    record_at(c, c->pos, r, bytes) && continues(c, r))
		goto found;
	for (unsigned m = 0; m < c->p->n; m++) {
		struct err e = ERR_INIT;

		if (!pool_dev(c->p, m))
			continue;
		if (fill(c, m, c->pos, &e) < 0) {
			log_warn("log: %s", err_text(&e));
			continue;
		}
		seen = true;
		if (record_at(c, c->pos, r, bytes) && continues(c, r))
			goto found;
	}
	return seen ? 0 : -EIO;
found:
	c->pos += r->sectors;
	c->seq++;
	c->prev_crc = r->crc;
	if (r->durable_seq > c->durable)
		c->durable = r->durable_seq;
	return 1;
}

static void
rewind_to_root(struct cursor *c)
{
	c->pos = c->p->super.log_pos;
	c->seq = c->p->super.root_seq + 1;
	c->prev_crc = c->p->super.log_crc;
	c->window_pos = UINT64_MAX;
}

/* Is there a record in the window at pos, as far as its header says? */
static bool
looks_like(const struct cursor *c, uint64_t pos, struct raw_record *r)
{
	size_t skip = (size_t)(pos - c->window_pos) * RAW_SECTOR;

	return raw_record_peek(r, c->window->data + skip, WINDOW - skip) == 0 &&
	       r->pos == pos &&
	       memcmp(r->pool_uuid, c->p->super.pool_uuid, 16) == 0;
}

/*
 * Behind the end of the chain: does any record that is good in itself know that
 * the missing one was durable?  All that is left of the ring is looked at.
 * -EIO: it could be read on no member.
 */
static int
look_behind(struct cursor *c)
{
	bool seen = false;
	struct pool *p = c->p;
	uint64_t end = p->super.log_pos + p->super.log_sectors;
	uint64_t room = WINDOW / RAW_SECTOR;

	for (unsigned m = 0; m < p->n; m++) {
		uint64_t pos = c->pos;

		c->window_pos = UINT64_MAX;
		for (; pool_dev(p, m) && pos < end; pos++) {
			struct raw_record r;
			const uint8_t *bytes;

			if ((c->window_pos == UINT64_MAX ||
				pos >= c->window_pos + room) &&
			    fill(c, m, pos, NULL) < 0)
				break;
			if (!looks_like(c, pos, &r))
				continue;
			/* It may go on behind the window. */
			if (pos + r.sectors > c->window_pos + room &&
			    fill(c, m, pos, NULL) < 0)
				break;
			/* A member that was away may have some of another
			 * life. */
			if (record_at(c, pos, &r, &bytes) && r.seq > c->seq &&
			    r.epoch >= p->super.log_epoch &&
			    r.durable_seq > c->durable)
				c->durable = r.durable_seq;
		}
		seen = seen || pos == end;
	}
	c->window_pos = UINT64_MAX;
	return seen ? 0 : -EIO;
}

/* --- what a record says ------------------------------------------------------
 */

/* Every member that is here has its part of an extent. */
static bool
is_whole(const struct xio *x)
{
	for (unsigned c = 0; c < x->geom.w; c++)
		if (pool_dev(x->pool, xio_member(x, c)) &&
		    (x->col[c].state != XIO_GOOD || x->col[c].recovered))
			return false;
	return true;
}

/* An extent could not be read: would it help if the devices that failed to give
 * their part had not failed? */
static bool
may_be_there(const struct xio *x)
{
	unsigned unread = 0, good = 0;

	for (unsigned c = 0; c < x->geom.w; c++) {
		const struct xio_column *col = &x->col[c];

		good += col->state == XIO_GOOD;
		/* A member that is not here is lost: what was synced is on
		 * the others. */
		if (!x->pool->member[xio_member(x, c)].dev)
			continue;
		unread += col->state == XIO_LATE ||
			  (col->state == XIO_BAD && col->req.rc < 0);
	}
	return unread > 0 && good + unread >= x->geom.d;
}

/* All data of an object can be read.  *whole: from all members that are here,
 * too.  -EBADMSG: it is not there; -EIO: that cannot be said now. */
static int
verify_object(struct pool *p, const struct raw_object *o, bool *whole)
{
	int rc = 0;

	*whole = true;
	for (unsigned i = 0; i < o->nextents && rc == 0; i++) {
		struct recover_wait *w = recover_wait_new();

		if (!w)
			return -ENOMEM;
		rc = recover_fits(p, &o->ext[i]) ? 0 : -EBADMSG;
		if (rc == 0)
			rc = recover_wait(
			    p, w, xio_scrub(&w->xio, p, &o->ext[i]));
		if (rc == -EIO && !may_be_there(&w->xio))
			rc = -EBADMSG;
		*whole = *whole && rc == 0 && is_whole(&w->xio);
		free(w);
	}
	return rc;
}

/* What of the tail is not whole, by key; why: what verify_object said. */
static int
tail_note(struct pool *p, const struct raw_item *it, uint64_t seq, int why)
{
	struct recover_tail *t = &p->recover_tail;
	struct recover_damaged *d;

	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 16;

		d = realloc(t->d, room * sizeof(*d));
		if (!d)
			return -ENOMEM;
		t->d = d;
		t->room = room;
	}
	d = &t->d[t->n];
	d->key = strdup(it->key);
	if (!d->key)
		return -ENOMEM;
	d->seq = seq;
	d->lost = why < 0;
	d->unread = why == -EIO;
	t->n++;
	t->nlost += d->lost;
	return 0;
}

/* An item of this key has come behind it: that it is lost does not matter from
 * then on.  What is only damaged stays noted, as the later item may not count.
 */
static void
tail_replaced(struct pool *p, const char *key)
{
	struct recover_tail *t = &p->recover_tail;

	for (size_t i = 0; i < t->n && t->nlost > 0; i++)
		if (t->d[i].lost && strcmp(t->d[i].key, key) == 0) {
			t->nlost--;
			free(t->d[i].key);
			t->d[i--] = t->d[--t->n];
		}
}

void
recover_tail_fini(struct pool *p)
{
	struct recover_tail *t = &p->recover_tail;

	while (t->n > 0)
		free(t->d[--t->n].key);
	free(t->d);
	memset(t, 0, sizeof(*t));
}

static int
verify_item(struct pool *p, const struct raw_item *it, uint64_t seq)
{
	bool whole;
	int rc;

	tail_replaced(p, it->key);
	if (it->kind != RAW_ITEM_PUT)
		return 0;
	rc = verify_object(p, &it->object, &whole);
	if (rc == -EIO || rc == -EBADMSG)
		return tail_note(p, it, seq, rc);
	if (rc == 0 && !whole)
		return tail_note(p, it, seq, 0);
	return rc;
}

/* Walk over the items of a record: check their data, or apply them. */
static int
record_items(struct cursor *c, const struct raw_record *r, const uint8_t *bytes,
    bool apply, struct err *e)
{
	struct pool *p = c->p;
	struct raw_item_reader rd;
	struct raw_item it;
	int rc;

	raw_item_reader_init(&rd, r, bytes, p->k, p->m);
	while (
	    (rc = raw_item_next(&rd, &it, c->ext, RAW_MAX_EXTENTS, e)) == 1) {
		if (!apply)
			rc = verify_item(p, &it, r->seq);
		else if (it.kind == RAW_ITEM_PUT)
			rc = index_put(p->index, it.key, &it.object);
		else
			rc = index_delete(p->index, it.key);
		if (rc == -ENOMEM)
			err_errno(e, rc, "log");
		if (rc < 0 && rc != -ENOENT)
			break;
	}
	return rc;
}

static int
log_unreadable(const struct cursor *c, struct err *e)
{
	return err_set(e, -EIO,
	    "store \"%s\": the log cannot be read on any member at commit "
	    "%llu. "
	    "Nothing was changed; see to the devices, or bring back missing "
	    "members",
	    c->p->super.name, (unsigned long long)c->seq);
}

/* Commits are to be dropped.  Not because of something that could not be read:
 * it may have been synced. */
static int
tail_judge(struct pool *p, uint64_t good, uint64_t end_seq, struct err *e)
{
	const struct recover_tail *t = &p->recover_tail;

	if (good + 1 >= end_seq || p->reading_only)
		return 0;
	for (size_t i = 0; i < t->n; i++)
		if (t->d[i].lost && t->d[i].unread)
			return err_set(e, -EIO,
			    "store \"%s\": object %s, put by commit %llu, "
			    "cannot "
			    "be read, and may have been synced. Nothing was "
			    "changed; see to the devices, or mount read-only: "
			    "that shows the state before it",
			    p->super.name, t->d[i].key,
			    (unsigned long long)t->d[i].seq);
	return 0;
}

/*
 * The last commit after which everything can be read that the commits behind
 * `durable` have put and none of them has replaced.
 *
 * Data that was replaced need not be there: its place may have been free, and
 * written to again, by what was durable without any record that says so.
 */
static int
verify_tail(struct cursor *c, uint64_t end_seq, uint64_t durable,
    uint64_t *good, struct err *e)
{
	struct raw_record r;
	const uint8_t *bytes;
	int rc = 0;

	*good = durable;
	rewind_to_root(c);
	while (c->seq < end_seq) {
		if (next_record(c, &r, &bytes) != 1)
			return log_unreadable(c, e);
		if (r.seq <= durable)
			continue;
		rc = record_items(c, &r, bytes, false, e);
		if (rc < 0)
			return err_wrap(e, rc, "log record %llu",
			    (unsigned long long)r.seq);
		if (c->p->recover_tail.nlost == 0)
			*good = r.seq;
	}
	return tail_judge(c->p, *good, end_seq, e);
}

static int
replay(struct cursor *c, uint64_t good, struct err *e)
{
	struct pool *p = c->p;
	struct raw_record r;
	const uint8_t *bytes;

	rewind_to_root(c);
	while (c->seq <= good) {
		int rc;

		if (next_record(c, &r, &bytes) != 1)
			return log_unreadable(c, e);
		rc = record_items(c, &r, bytes, true, e);
		if (rc < 0)
			return err_wrap(e, rc, "log record %llu",
			    (unsigned long long)r.seq);
		p->replayed++;
	}
	return 0;
}

/* Every column of it on every member that is here, one that is being rebuilt
 * too: the rebuild may have passed it. */
static int
mend_object(struct pool *p, const struct raw_object *o)
{
	uint32_t members = (uint32_t)((1ull << p->n) - 1);
	int rc = 0;

	for (unsigned i = 0; i < o->nextents && rc == 0; i++) {
		struct recover_wait *w = recover_wait_new();

		if (!w)
			return -ENOMEM;
		rc = recover_wait(
		    p, w, xio_rebuild(&w->xio, p, &o->ext[i], members, 0));
		free(w);
	}
	return rc;
}

int
recover_mend(struct pool *p, struct err *e)
{
	struct recover_tail *t = &p->recover_tail;
	struct raw_extent *ext = calloc(RAW_MAX_EXTENTS, sizeof(*ext));
	int rc = ext ? 0 : -ENOMEM;

	for (size_t i = 0; i < t->n && rc == 0; i++) {
		struct raw_object o;

		if (t->d[i].lost ||
		    index_get(p->index, t->d[i].key, &o, ext, RAW_MAX_EXTENTS) <
			0 ||
		    o.seq != t->d[i].seq)
			continue;
		rc = mend_object(p, &o);
	}
	free(ext);
	recover_tail_fini(p);
	if (rc < 0)
		return err_errno(e, rc, "mend the last commits");
	return 0;
}

int
recover_log(struct pool *p, struct err *e)
{
	struct cursor c = {.p = p};
	struct raw_record r;
	const uint8_t *bytes;
	uint64_t end_seq, good;
	int rc = 0;

	c.window = buf_new(WINDOW);
	c.ext = calloc(RAW_MAX_EXTENTS, sizeof(*c.ext));
	if (!c.window || !c.ext) {
		rc = err_errno(e, -ENOMEM, "read the log");
		goto out;
	}
	c.durable = p->super.root_seq;
	rewind_to_root(&c);
	if (!(p->super.flags & RAW_FLAG_CLEAN)) {
		while ((rc = next_record(&c, &r, &bytes)) == 1)
			continue;
		if (rc == 0)
			rc = look_behind(&c);
		if (rc < 0) {
			rc = log_unreadable(&c, e);
			goto out;
		}
	}
	end_seq = c.seq;
	if (c.durable >= end_seq) {
		rc = err_set(e, -EBADMSG,
		    "store \"%s\": commit %llu is damaged on all members "
		    "though "
		    "it was synced (%llu is known to be durable). Nothing was "
		    "changed. Bring back missing members, or mount read-only: "
		    "it has the state before that commit",
		    p->super.name, (unsigned long long)end_seq,
		    (unsigned long long)c.durable);
		if (!p->reading_only)
			goto out;
		log_error("%s", err_text(e));
		rc = 0;
	}
	/* A read-only opening has taken what it could get. */
	if (c.durable >= end_seq)
		c.durable = end_seq - 1;
	rc = verify_tail(&c, end_seq, c.durable, &good, e);
	if (rc == 0)
		rc = replay(&c, good, e);
	if (rc == 0 && good + 1 < end_seq) {
		p->dropped = end_seq - 1 - good;
		log_warn("store %s: commits %llu to %llu at the end of the log "
			 "are not whole, as after a power cut; they were not "
			 "synced, and are dropped",
		    p->super.name, (unsigned long long)good + 1,
		    (unsigned long long)end_seq - 1);
	}
	p->pos = c.pos;
	p->next_seq = c.seq;
	p->prev_crc = c.prev_crc;
	p->known_durable = c.durable;
	p->written_seq = p->durable_seq = p->flush_seq = c.seq - 1;
out:
	buf_unref(c.window);
	free(c.ext);
	return rc;
}
