/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c: the log at opening; recover.c says when.
 *
 *	chain	to its end, and what is behind it: what is known to be durable
 *		(logread.c)
 *	tail	behind that the data is looked at: up to where commits count
 *		(tail.c)
 *	replay	up to there the index takes them in
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
#include "raw/logread.h"
#include "raw/pool_int.h"
#include "raw/tail.h"
#include "raw/xio.h"

/* What an opening does with items: looks at their data, or applies them. */
struct items {
	struct pool *p;
	struct raw_extent *ext; /* RAW_MAX_EXTENTS */
	struct tail *tail;	/* NULL: apply */
};

static int
one_item(struct items *s, const struct raw_item *it, uint64_t seq)
{
	int rc;

	if (s->tail)
		return tail_item(s->tail, it, seq);
	if (it->kind == RAW_ITEM_PUT)
		return index_put(s->p->index, it->key, &it->object);
	rc = index_delete(s->p->index, it->key);
	return rc == -ENOENT ? 0 : rc;
}

/* Walk over the items of a record. */
static int
record_items(struct items *s, const struct raw_record *r, const uint8_t *bytes,
    struct err *e)
{
	struct raw_item_reader rd;
	struct raw_item it;
	int rc;

	raw_item_reader_init(&rd, r, bytes, s->p->k, s->p->m);
	while ((rc = raw_item_next(
		    &rd, &it, s->ext, RAW_MAX_EXTENTS, e)) == 1) {
		rc = one_item(s, &it, r->seq);
		if (rc < 0)
			return err_errno(e, rc, "log");
	}
	return rc;
}

static int
log_unreadable(const struct logread *c, struct err *e)
{
	return err_set(e, -EIO,
	    "store \"%s\": the log cannot be read on any member at commit %llu. "
	    "Nothing was changed; see to the devices, or bring back missing "
	    "members",
	    c->p->super.name, (unsigned long long)c->at.seq);
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
			    "store \"%s\": object %s, put by commit %llu, cannot "
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
verify_tail(struct logread *c, struct items *s, uint64_t end_seq,
    uint64_t durable, uint64_t *good, struct err *e)
{
	struct tail tail;
	struct raw_record r;
	const uint8_t *bytes;
	int rc = 0, end;

	tail_init(&tail, c->p, durable);
	s->tail = &tail;
	logread_rewind(c, durable + 1);
	while (rc == 0 && c->at.seq < end_seq) {
		if (logread_next(c, &r, &bytes) != 1) {
			rc = log_unreadable(c, e);
			break;
		}
		if (r.seq <= durable)
			continue;
		rc = record_items(s, &r, bytes, e);
		if (rc == 0)
			rc = tail_commit(&tail, r.seq);
		if (rc < 0)
			err_wrap(e, rc, "log record %llu",
			    (unsigned long long)r.seq);
	}
	end = tail_end(&tail, rc);
	s->tail = NULL;
	*good = tail.good;
	if (rc == 0 && end < 0)
		err_errno(e, end, "log");
	if (end < 0)
		return end;
	return tail_judge(c->p, *good, end_seq, e);
}

static int
replay(struct logread *c, struct items *s, uint64_t good, struct err *e)
{
	struct raw_record r;
	const uint8_t *bytes;

	logread_rewind(c, 0);
	while (c->at.seq <= good) {
		int rc;

		if (logread_next(c, &r, &bytes) != 1)
			return log_unreadable(c, e);
		rc = record_items(s, &r, bytes, e);
		if (rc < 0)
			return err_wrap(e, rc, "log record %llu",
			    (unsigned long long)r.seq);
		c->p->replayed++;
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
		rc = recover_wait(p, w,
		    xio_rebuild(&w->xio, p, &o->ext[i], members, 0));
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

		if (t->d[i].lost || index_get(p->index, t->d[i].key, &o, ext,
					RAW_MAX_EXTENTS) < 0 ||
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
	struct items s = {.p = p};
	struct logread c;
	struct raw_record r;
	const uint8_t *bytes;
	uint64_t end_seq, good;
	int rc = logread_init(&c, p);

	s.ext = calloc(RAW_MAX_EXTENTS, sizeof(*s.ext));
	if (rc < 0 || !s.ext) {
		rc = err_errno(e, -ENOMEM, "read the log");
		goto out;
	}
	if (!(p->super.flags & RAW_FLAG_CLEAN)) {
		while ((rc = logread_next(&c, &r, &bytes)) == 1)
			continue;
		if (rc == 0)
			rc = logread_behind(&c);
		if (rc < 0) {
			rc = log_unreadable(&c, e);
			goto out;
		}
	}
	end_seq = c.at.seq;
	if (c.durable >= end_seq) {
		rc = err_set(e, -EBADMSG,
		    "store \"%s\": commit %llu is damaged on all members though "
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
	rc = verify_tail(&c, &s, end_seq, c.durable, &good, e);
	if (rc == 0)
		rc = replay(&c, &s, good, e);
	if (rc == 0 && good + 1 < end_seq) {
		p->dropped = end_seq - 1 - good;
		log_warn("store %s: commits %llu to %llu at the end of the log "
			 "are not whole, as after a power cut; they were not "
			 "synced, and are dropped",
		    p->super.name, (unsigned long long)good + 1,
		    (unsigned long long)end_seq - 1);
	}
	p->pos = c.at.pos;
	p->next_seq = c.at.seq;
	p->prev_crc = c.at.prev_crc;
	p->known_durable = c.durable;
	p->written_seq = p->durable_seq = p->flush_seq = c.at.seq - 1;
out:
	free(s.ext);
	logread_fini(&c);
	return rc;
}
