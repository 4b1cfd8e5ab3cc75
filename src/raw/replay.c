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
	uint8_t *window;
	uint64_t window_pos; /* UINT64_MAX: nothing is there */
	unsigned window_member;
};

/* Fill the window with the ring from pos on. */
static int
fill(struct cursor *c, unsigned member, uint64_t pos, struct err *e)
{
	struct pool *p = c->p;
	struct rdev *d = p->member[member].dev;
	uint64_t ring = p->super.log_sectors, at = pos % ring;
	uint64_t n = WINDOW / RAW_SECTOR, first = ring - at < n ? ring - at : n;
	int rc;

	c->window_pos = UINT64_MAX;
	rc = rdev_wait(d, RDEV_READ, (RAW_LOG_START + at) * RAW_SECTOR,
	    c->window, first * RAW_SECTOR, e);
	if (rc == 0 && first < n)
		rc = rdev_wait(d, RDEV_READ,
		    (uint64_t)RAW_LOG_START * RAW_SECTOR,
		    c->window + first * RAW_SECTOR, (n - first) * RAW_SECTOR,
		    e);
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

	*bytes = c->window + skip;
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
 * bytes are in the window; 0: the chain ends here.
 */
static int
next_record(struct cursor *c, struct raw_record *r, const uint8_t **bytes)
{
	if (c->window_pos != UINT64_MAX && c->pos >= c->window_pos &&
	    c->pos < c->window_pos + WINDOW / RAW_SECTOR &&
	    record_at(c, c->pos, r, bytes) && continues(c, r))
		goto found;
	for (unsigned m = 0; m < c->p->n; m++) {
		struct err e = ERR_INIT;

		if (!c->p->member[m].dev)
			continue;
		if (fill(c, m, c->pos, &e) < 0) {
			log_warn("log: %s", err_text(&e));
			continue;
		}
		if (record_at(c, c->pos, r, bytes) && continues(c, r))
			goto found;
	}
	return 0;
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

/*
 * Behind the end of the chain: does any record that is good in itself know that
 * the missing one was durable?  All that is left of the ring is looked at.
 */
static void
look_behind(struct cursor *c)
{
	struct pool *p = c->p;
	uint64_t end = p->super.log_pos + p->super.log_sectors;

	for (unsigned m = 0; m < p->n; m++) {
		uint64_t pos = c->pos;

		while (p->member[m].dev && pos < end) {
			uint64_t stop = pos + WINDOW / RAW_SECTOR / 2;

			if (fill(c, m, pos, NULL) < 0)
				break;
			for (; pos < stop && pos < end; pos++) {
				struct raw_record r;
				const uint8_t *bytes;

				if (record_at(c, pos, &r, &bytes) &&
				    r.seq > c->seq &&
				    r.durable_seq > c->durable)
					c->durable = r.durable_seq;
			}
		}
	}
}

/* --- what a record says ------------------------------------------------------ */

struct wait {
	struct xio xio;
	bool done;
};

static void
wait_done(struct xio *x)
{
	struct wait *w = x->arg;

	w->done = true;
}

/* All data of an object can be read. */
static int
verify_object(struct pool *p, const struct raw_object *o)
{
	int rc = 0;

	for (unsigned i = 0; i < o->nextents && rc == 0; i++) {
		struct wait *w = calloc(1, sizeof(*w));

		if (!w)
			return -ENOMEM;
		w->xio.done = wait_done;
		w->xio.arg = w;
		rc = recover_fits(p, &o->ext[i]) ? 0 : -EBADMSG;
		if (rc == 0)
			rc = xio_scrub(&w->xio, p, &o->ext[i]);
		if (rc == 0)
			rc = loop_run_until(p->loop, &w->done);
		if (rc == 0)
			rc = w->xio.rc;
		free(w);
	}
	return rc;
}

/* Walk over the items of a record: check their data, or apply them. */
static int
record_items(struct pool *p, const struct raw_record *r, const uint8_t *bytes,
    bool apply, struct err *e)
{
	struct raw_extent *ext = calloc(RAW_MAX_EXTENTS, sizeof(*ext));
	struct raw_item_reader rd;
	struct raw_item it;
	int rc;

	if (!ext)
		return err_errno(e, -ENOMEM, "log");
	raw_item_reader_init(&rd, r, bytes, p->k, p->m);
	while ((rc = raw_item_next(&rd, &it, ext, RAW_MAX_EXTENTS, e)) == 1) {
		if (!apply && it.kind == RAW_ITEM_PUT)
			rc = verify_object(p, &it.object);
		else if (apply && it.kind == RAW_ITEM_PUT)
			rc = index_put(p->index, it.key, &it.object);
		else if (apply)
			rc = index_delete(p->index, it.key);
		if (rc < 0 && rc != -ENOENT)
			break;
	}
	free(ext);
	return rc;
}

static int
replay(struct cursor *c, uint64_t end_seq, uint64_t durable, struct err *e)
{
	struct pool *p = c->p;
	struct raw_record r;
	const uint8_t *bytes;
	uint64_t pos = c->pos, seq = c->seq;
	uint32_t crc = c->prev_crc;
	int rc = 0;

	while (c->seq < end_seq && next_record(c, &r, &bytes) == 1) {
		if (r.seq > durable)
			rc = record_items(p, &r, bytes, false, e);
		if (rc == -EIO || rc == -EBADMSG) {
			/* Its data did not arrive: here the log ends. */
			log_warn("pool %s: commits %llu to %llu at the end of "
				 "the log are not whole, as after a power cut; "
				 "they were not synced, and are dropped",
			    p->super.name, (unsigned long long)r.seq,
			    (unsigned long long)end_seq - 1);
			p->dropped = end_seq - r.seq;
			c->pos = pos;
			c->seq = seq;
			c->prev_crc = crc;
			return 0;
		}
		if (rc == 0)
			rc = record_items(p, &r, bytes, true, e);
		if (rc < 0)
			return err_wrap(e, rc, "log record %llu",
			    (unsigned long long)r.seq);
		pos = c->pos;
		seq = c->seq;
		crc = c->prev_crc;
		p->replayed++;
	}
	return 0;
}

int
recover_log(struct pool *p, struct err *e)
{
	struct cursor c = {.p = p};
	struct raw_record r;
	const uint8_t *bytes;
	uint64_t end_seq;
	int rc = 0;

	c.window = aligned_alloc(RAW_SECTOR, WINDOW);
	if (!c.window)
		return err_errno(e, -ENOMEM, "read the log");
	c.durable = p->super.root_seq;
	rewind_to_root(&c);
	if (!(p->super.flags & RAW_FLAG_CLEAN)) {
		while (next_record(&c, &r, &bytes) == 1)
			continue;
		look_behind(&c);
	}
	end_seq = c.seq;
	if (c.durable >= end_seq) {
		rc = err_set(e, -EBADMSG,
		    "pool \"%s\": commit %llu is damaged on all members though "
		    "it was synced (%llu is known to be durable). Nothing was "
		    "changed. Bring back missing members, or mount read-only: "
		    "it has the state before that commit",
		    p->super.name, (unsigned long long)end_seq,
		    (unsigned long long)c.durable);
		if (!p->read_only)
			goto out;
		log_error("%s", err_text(e));
		rc = 0;
	}
	rewind_to_root(&c);
	rc = replay(&c, end_seq, c.durable, e);
	p->pos = c.pos;
	p->next_seq = c.seq;
	p->prev_crc = c.prev_crc;
	p->written_seq = p->durable_seq = p->flush_seq = c.seq - 1;
out:
	free(c.window);
	return rc;
}
