/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: commits.
 *
 *	write.c        log_add: items into the open batch, data is under way
 *	log_kick       the open batch is sealed: one record, to all members
 *	record_done    \ both: the batch is applied to the index, and its
 *	log_data_done  / requests are answered
 *	flush_done     durable: SYNCs are answered, freed space is free
 *
 * One batch flies at a time and what comes meanwhile makes up the next one, so
 * the more comes, the more goes into a record.  Data and record are written
 * side by side; a record whose data did not arrive is found at recovery by the
 * checksums in it.  So a flush covers both, and there is one flush for any
 * number of waiters.
 *
 * A record is never taken back.  If its data could not be written to enough
 * members, or memory is short when it is to be applied, the pool takes no more
 * writes: the next opening replays the log.
 *
 * Runs on the pool's loop.
 */
#include "raw/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/flight.h"
#include "raw/member.h"
#include "raw/pool_int.h"
#include "raw/write.h"

#define MARK_DELAY (100 * NS_PER_MS)

/* So much data makes a batch, if none is under way: while it is written the
 * next one is encoded. */
#define BATCH_ENOUGH (2u << 20)

static void flush_start(struct pool *p);
static void try_send(struct pool *p);

/* --- the open batch -------------------------------------------------------- */

/* Bytes that a write may need in a record, before its extents are known: as
 * many as there could be if free space came in pieces of 64 KiB. */
static size_t
write_bound(const struct pool *p, const struct pool_write *w)
{
	size_t n = 0;

	for (unsigned i = 0; i < w->nitems; i++) {
		const struct pool_item *it = &w->req->items[i];
		size_t extents =
		    it->del ? 0 : (it->size + RAW_META_MAX) / 65536 + 1;

		n += 64 + strlen(it->key) + extents * (8 + 4 * (size_t)p->n);
	}
	return n;
}

bool
log_has_room(const struct pool *p, const struct pool_write *w)
{
	return RAW_RECORD_HEADER + p->open.items.len + write_bound(p, w) <=
	    RAW_RECORD_MAX;
}

bool
log_could_fit(const struct pool *p, const struct pool_write *w)
{
	return RAW_RECORD_HEADER + write_bound(p, w) <= RAW_RECORD_MAX;
}

int
log_add(struct pool *p, struct pool_write *w)
{
	struct batch *b = &p->open;
	size_t before = b->items.len;
	int rc;

	if (b->nitems == 0)
		b->seq = p->next_seq;
	for (unsigned i = 0; i < w->nitems; i++) {
		const struct pool_item *it = &w->req->items[i];

		w->item[i].obj.seq = b->seq;
		raw_item_encode(
		    &b->items, it->key, it->del ? NULL : &w->item[i].obj);
	}
	if (b->items.failed || b->items.len > RAW_RECORD_MAX - RAW_RECORD_HEADER) {
		rc = b->items.failed ? -ENOMEM : -ENOSPC;
		b->items.failed = false;
		b->items.len = before;
		return rc;
	}
	b->nitems += w->nitems;
	b->bytes += w->bytes;
	list_push_back(&b->writes, &w->link);
	if (b->bytes >= BATCH_ENOUGH)
		try_send(p);
	log_kick(p);
	return 0;
}

static uint64_t
ring_used(const struct pool *p)
{
	return p->pos - p->tail;
}

/* --- applying ------------------------------------------------------------- */

static void
answer(struct pool *p, struct list *writes, int rc)
{
	while (!list_empty(writes)) {
		struct list *l = list_pop_front(writes);

		write_finish(p, list_entry(l, struct pool_write, link), rc);
	}
}

/* Record and data are written: the index takes it in, the callers hear it. */
static void
batch_apply(struct pool *p)
{
	struct batch *b = &p->flying;
	struct err e = ERR_INIT;
	struct list done;
	int rc = 0;

	list_for_each(l, &b->writes) {
		struct pool_write *w = list_entry(l, struct pool_write, link);

		if (rc == 0 && w->rc < 0) {
			rc = w->rc;
			e = w->err;
		}
		if (rc == 0) {
			rc = write_apply(p, w, b->seq);
			if (rc < 0)
				err_errno(&e, rc, "commit %llu",
				    (unsigned long long)b->seq);
		}
	}
	if (rc < 0 && !p->read_only)
		pool_stop_writes(p, &e);
	if (p->read_only)
		rc = rc < 0 ? rc : -EROFS;
	else
		p->written_seq = b->seq;
	/* Counted only now: what a flush begins with is all complete. */
	p->unflushed += b->bytes;
	p->batch_flying = false;
	strbuf_clear(&b->items);
	b->nitems = 0;
	list_init(&done);
	list_splice_back(&done, &b->writes);
	/* Those who are answered will write more: that is the batch after. */
	try_send(p);
	answer(p, &done, rc);
	write_retry(p); /* a PUT if absent knows now */
	log_kick(p);
}

static void
batch_check(struct pool *p)
{
	if (!p->batch_flying || p->record_pending > 0)
		return;
	list_for_each(l, &p->flying.writes)
		if (list_entry(l, struct pool_write, link)->data_pending > 0)
			return;
	batch_apply(p);
}

void
log_data_done(struct pool *p, struct pool_write *w)
{
	must(w->data_pending > 0);
	if (--w->data_pending > 0)
		return;
	if (w->given_up)
		write_give_up(p, w);
	else
		batch_check(p);
}

/* --- the record ------------------------------------------------------------ */

static void
record_done(struct rdev_req *r)
{
	struct log_write *w = r->arg;
	struct pool *p = w->pool;

	if (r->rc < 0)
		member_failed(p, w->column, "log write", r->off, r->rc);
	if (--p->record_pending == 0)
		batch_check(p);
}

/* A record may go around the ring's end: then it is two writes. */
static void
record_write(struct pool *p, uint32_t sectors)
{
	uint64_t ring = p->super.log_sectors, at = p->pos % ring;
	uint32_t first = ring - at < sectors ? (uint32_t)(ring - at) : sectors;

	p->record_pending = 1;
	for (unsigned c = 0; c < p->n; c++) {
		bool use = pool_dev(p, c) != NULL;

		for (unsigned part = 0; use && part < 2; part++) {
			struct log_write *w = &p->log_write[c][part];
			uint32_t n = part ? sectors - first : first;

			if (n == 0)
				continue;
			w->pool = p;
			w->column = c;
			w->iov = (struct iovec){
			    p->record->data + (part ? first : 0) * RAW_SECTOR,
			    (size_t)n * RAW_SECTOR};
			w->req = (struct rdev_req){.op = RDEV_WRITE,
			    .off = (RAW_LOG_START + (part ? 0 : at)) *
				RAW_SECTOR,
			    .iov = &w->iov,
			    .niov = 1,
			    .done = record_done,
			    .arg = w};
			p->record_pending++;
			flight_submit(p, c, &w->req, p->record, false);
		}
	}
	p->record_pending--;
}

/* Seal what is open (which may be nothing: a mark) and send it out. */
static int
record_send(struct pool *p)
{
	struct strbuf *items = &p->open.items;
	struct batch keep;
	struct raw_record r = {
	    .epoch = p->super.epoch,
	    .seq = p->next_seq,
	    .pos = p->pos,
	    .durable_seq = p->durable_seq,
	    .prev_crc = p->prev_crc,
	    .nitems = p->open.nitems,
	    .bytes = (uint32_t)(RAW_RECORD_HEADER + items->len),
	};
	size_t bytes;

	r.sectors = (r.bytes + RAW_SECTOR - 1) / RAW_SECTOR;
	bytes = (size_t)r.sectors * RAW_SECTOR;
	/* A member that was given up may still be writing the last one. */
	if (!p->record || bytes > p->record->cap || !buf_writable(p->record)) {
		struct buf *b = buf_new(bytes);

		if (!b)
			return -ENOMEM;
		buf_unref(p->record);
		p->record = b;
	}
	memcpy(r.pool_uuid, p->super.pool_uuid, 16);
	memset(p->record->data + r.bytes, 0, bytes - r.bytes);
	if (items->len > 0)
		memcpy(p->record->data + RAW_RECORD_HEADER, items->s,
		    items->len);
	raw_record_seal(&r, p->record->data);
	/* The open batch becomes the flying one and the other way round. */
	keep = p->flying;
	p->flying.items = p->open.items;
	p->flying.nitems = p->open.nitems;
	p->flying.bytes = p->open.bytes;
	p->flying.seq = r.seq;
	list_splice_back(&p->flying.writes, &p->open.writes);
	p->open.items = keep.items;
	p->open.nitems = 0;
	p->open.bytes = 0;
	strbuf_clear(&p->open.items);
	p->batch_flying = true;
	p->marked_seq = p->durable_seq;
	record_write(p, r.sectors);
	p->pos += r.sectors;
	p->next_seq++;
	p->prev_crc = r.crc;
	p->flying.bytes += bytes;
	return 0;
}

/* Everything that has to wait has a reason here, and somebody who ends it by
 * another log_kick. */
static bool
may_send(struct pool *p)
{
	uint32_t most = RAW_RECORD_MAX / RAW_SECTOR;

	if (p->batch_flying || p->frozen || p->gate)
		return false;
	if (p->unflushed > LOG_UNFLUSHED_MAX) {
		flush_start(p);
		return false;
	}
	/* One that failed is tried again by its timer. */
	if (ring_used(p) > p->super.log_sectors / 2 && !p->ckpt_failed)
		ckpt_start(p, NULL);
	return ring_used(p) + most <= p->super.log_sectors;
}

/* Writes have ended: what is not sealed fails, once its data has come home. */
static void
drop_open(struct pool *p)
{
	struct list all;

	list_init(&all);
	list_splice_back(&all, &p->open.writes);
	p->open.nitems = 0;
	p->open.bytes = 0;
	strbuf_clear(&p->open.items);
	while (!list_empty(&all)) {
		struct list *l = list_pop_front(&all);
		struct pool_write *w = list_entry(l, struct pool_write, link);

		w->rc = -EROFS;
		w->given_up = true;
		if (w->data_pending == 0)
			write_give_up(p, w);
	}
}

/* Send the open batch, if there is one and it may. */
static void
try_send(struct pool *p)
{
	struct err e = ERR_INIT;
	int rc;

	if (p->read_only || p->open.nitems == 0 || !may_send(p))
		return;
	rc = record_send(p);
	if (rc == 0)
		return;
	err_errno(&e, rc, "no memory for a log record");
	pool_stop_writes(p, &e);
	log_kick(p);
}

static void
kick_run(struct loop_task *t)
{
	struct pool *p = container_of(t, struct pool, kick);
	uint64_t seq = p->next_seq;

	if (p->frozen && log_quiet(p))
		ckpt_frozen(p);
	if (p->read_only) {
		drop_open(p);
		return;
	}
	try_send(p);
	if (p->next_seq != seq)
		write_retry(p); /* there is room in the next record */
	if (p->record_pending == 0)
		batch_check(p);
}

void
log_kick(struct pool *p)
{
	p->kick.run = kick_run;
	loop_defer(p->loop, &p->kick);
}

bool
log_quiet(const struct pool *p)
{
	return !p->batch_flying;
}

/* --- flush ----------------------------------------------------------------- */

static void
mark(struct loop_timer *t)
{
	struct pool *p = container_of(t, struct pool, idle);

	/* Say in the log how far it is durable, while nothing else does, so
	 * that damage there cannot be taken for a torn end. */
	if (p->marked_seq < p->durable_seq && p->open.nitems == 0 &&
	    !p->read_only && may_send(p))
		(void)record_send(p);
	if (p->record_pending == 0)
		batch_check(p);
}

static void
flush_end(struct pool *p)
{
	struct list done;

	list_init(&done);
	list_splice_back(&done, &p->flushing);
	p->flush_flying = false;
	if (!p->read_only) {
		p->durable_seq = p->flush_seq;
		/* A write that waits for space may begin the next flush in
		 * here: those who wait for that one are not ours. */
		log_release(p);
	}
	while (!list_empty(&done)) {
		struct list *l = list_pop_front(&done);
		struct pool_req *r = list_entry(l, struct pool_req, link);

		if (p->read_only)
			r->err = p->why;
		pool_finish(p, r, p->read_only ? -EROFS : 0);
	}
	if (!list_empty(&p->syncs))
		flush_start(p);
	else if (p->marked_seq < p->durable_seq)
		loop_timer_set(
		    p->loop, &p->idle, loop_now(p->loop) + MARK_DELAY);
	log_kick(p);
}

static void
flush_done(struct rdev_req *r)
{
	struct log_write *w = r->arg;
	struct pool *p = w->pool;

	if (r->rc < 0)
		member_failed(p, w->column, "flush", 0, r->rc);
	if (--p->flush_pending == 0)
		flush_end(p);
}

static void
flush_nothing(struct loop_task *t)
{
	flush_end(container_of(t, struct pool, flush_task));
}

static void
flush_start(struct pool *p)
{
	if (p->flush_flying)
		return;
	p->flush_flying = true;
	p->idle.fire = mark;
	loop_timer_cancel(&p->idle);
	p->flush_seq = p->written_seq;
	list_splice_back(&p->flushing, &p->syncs);
	p->flush_pending = 1;
	for (unsigned c = 0; c < p->n && p->unflushed > 0; c++) {
		struct log_write *w = &p->flush_write[c];

		if (!pool_dev(p, c))
			continue;
		w->pool = p;
		w->column = c;
		w->req = (struct rdev_req){
		    .op = RDEV_FLUSH, .done = flush_done, .arg = w};
		p->flush_pending++;
		flight_submit(p, c, &w->req, NULL, false);
	}
	p->unflushed = 0;
	if (--p->flush_pending == 0) {
		p->flush_task = (struct loop_task){.run = flush_nothing};
		loop_defer(p->loop, &p->flush_task);
	}
}

void
log_flush(struct pool *p)
{
	flush_start(p);
}

void
log_sync(struct pool *p, struct pool_req *r)
{
	list_push_back(&p->syncs, &r->link);
	flush_start(p);
}

/* --- freed space ------------------------------------------------------------ */

int
log_freed(struct pool *p, uint64_t addr, uint32_t n, uint64_t seq)
{
	struct freed *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->seq = seq;
	f->stamp = ++p->stamp;
	f->addr = addr;
	f->n = n;
	p->freed_sectors += n;
	list_push_back(&p->freed, &f->link);
	return 0;
}

void
log_release(struct pool *p)
{
	uint64_t oldest = UINT64_MAX;

	if (!list_empty(&p->pins))
		oldest = list_entry(p->pins.next, struct pin, link)->stamp;
	while (!list_empty(&p->freed)) {
		struct freed *f =
		    list_entry(p->freed.next, struct freed, link);

		if (f->seq > p->durable_seq || f->stamp > oldest)
			break;
		list_del(&f->link);
		alloc_release(p->alloc, f->addr, f->n);
		p->freed_sectors -= f->n;
		free(f);
	}
	write_retry(p);
}
