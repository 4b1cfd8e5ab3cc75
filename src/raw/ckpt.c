/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ckpt.c: checkpoints.
 *
 *	ckpt_start	no further record is sealed
 *	ckpt_frozen	no commit flies: the index is exactly what the log says
 *			up to this seq.  The changed pages are encoded to
 *			memory, and commits go on.
 *	pages		are written, some at a time, like any object
 *	root		names every page; written last to first where it takes
 *			several extents
 *	flush		everything that the superblock will name is durable
 *	superblocks	name the root, and where the log goes on
 *	end		the places of the pages before are free; the log behind
 *			is not needed (I4)
 *
 * Until the superblocks are written the old root is what counts, and nothing
 * that it names has been touched.  So a checkpoint that fails, for whatever
 * reason, only leaves the log longer; the next one is tried after RETRY_NS.
 *
 * Runs on the pool's loop.
 */
#include "raw/ckpt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "raw/alloc.h"
#include "raw/crc.h"
#include "raw/index.h"
#include "raw/log.h"
#include "raw/pool_int.h"
#include "raw/rebuild.h"
#include "raw/xio.h"

#define PAGES_AT_ONCE 16
#define RETRY_NS NS_PER_S

struct ckpt_page {
	uint64_t id;
	char *first_key;
	uint8_t *bytes; /* of a changed page; NULL: ref is good */
	struct raw_ref ref, old;
	struct xio xio;
	struct ckpt *ckpt;
};

struct ckpt {
	struct pool *pool;
	struct ckpt_wait *waiters; /* for this one */
	struct ckpt_wait *next;	   /* for another one after it */
	bool in_doubt; /* the superblocks may name it, or not */
	uint64_t seq, pos, objects, epoch;
	uint32_t prev_crc;
	struct ckpt_page *page;
	size_t npages, next_page;
	unsigned pending;
	int rc;
	uint64_t taken; /* sectors */
	struct index_dropped *dropped;
	size_t ndropped;
	/* The root, in extents of at most RAW_EXTENT_MAX. */
	uint8_t *root;
	size_t root_len;
	struct raw_ref *root_ref;
	size_t nroot, root_left;
	struct xio xio;
	struct pool_req sync;
	struct super_update update;
};

/* Sectors that the whole index takes at most, if it grows a little more.  A
 * page of 20 KiB is already a large one. */
static uint64_t
index_space(const struct pool *p)
{
	uint64_t pages = index_npages(p->index) + 4;

	return pages * geom_space(p->k, p->m, 20u << 10) +
	    2 * geom_space(p->k, p->m, 64u << 10);
}

/*
 * The index has a zone of its own, at the end of the data space, where two
 * copies of it find room: the one that counts, and the one that is being
 * written.  Elsewhere free space may be in pieces as small as the smallest
 * object, and no page would fit.  The zone is as large as the index will need
 * when the pool is full, judging by what is there now; 1/16 of the pool is the
 * most that is guessed.
 */
static void
set_zone(struct pool *p)
{
	uint64_t total = alloc_total(p->alloc);
	uint64_t used = total - alloc_nfree(p->alloc), one = index_space(p);
	uint64_t least = 2 * one + one / 2, guess;

	if (used < total / 64)
		used = total / 64 + 1;
	guess = (uint64_t)((double)least * (double)total / (double)used);
	if (guess > total / 16)
		guess = total / 16;
	alloc_set_zone(p->alloc, guess > least ? guess : least);
	p->zone_pages = index_npages(p->index) + 1;
}

bool
ckpt_has_room(struct pool *p)
{
	uint64_t taken = p->ckpt ? p->ckpt->taken : 0;

	/* It grows by a page at a time. */
	if (p->zone_pages != index_npages(p->index) + 1)
		set_zone(p);
	/* What a checkpoint under way has taken has served its purpose. */
	return alloc_zone_free(p->alloc) + taken >= index_space(p);
}

static void
ckpt_free(struct ckpt *c)
{
	for (size_t i = 0; i < c->npages; i++) {
		free(c->page[i].first_key);
		free(c->page[i].bytes);
	}
	free(c->page);
	free(c->dropped);
	free(c->root);
	free(c->root_ref);
	free(c);
}

static void
release_ref(struct pool *p, const struct raw_ref *ref)
{
	if (ref->ext.bytes > 0)
		alloc_release(p->alloc, ref->ext.addr,
		    geom_space(p->k, p->m, ref->ext.bytes));
}

/* The same of what the last checkpoint named: it may be read right now. */
static void
retire_ref(struct pool *p, const struct raw_ref *ref)
{
	/* Not noted for lack of memory, it stays allocated until the next
	 * opening. */
	if (ref->ext.bytes > 0)
		(void)log_freed(p, ref->ext.addr,
		    geom_space(p->k, p->m, ref->ext.bytes), p->durable_seq);
}

/* --- the end ------------------------------------------------------------------ */

static void
run_waiters(struct ckpt_wait *w, int rc)
{
	while (w) {
		struct ckpt_wait *next = w->next;

		w->done(w, rc);
		w = next;
	}
}

/* Give back what was taken for a checkpoint that did not come about. */
static void
undo(struct ckpt *c)
{
	for (size_t i = 0; i < c->npages; i++)
		if (c->page[i].bytes)
			release_ref(c->pool, &c->page[i].ref);
	for (size_t i = 0; i < c->nroot; i++)
		release_ref(c->pool, &c->root_ref[i]);
	/* Not kept for lack of memory, they stay allocated until the next
	 * opening. */
	(void)index_put_dropped(c->pool->index, c->dropped, c->ndropped);
	index_dirty_all(c->pool->index);
}

/* It did not come about: what wants one for the sake of the log waits. */
static void
retry_later(struct pool *p)
{
	p->ckpt_failed = true;
	(void)loop_timer_set(
	    p->loop, &p->ckpt_timer, loop_now(p->loop) + RETRY_NS);
}

static void
ckpt_end(struct ckpt *c, int rc)
{
	struct pool *p = c->pool;
	struct ckpt_wait *waiters = c->waiters, *next = c->next;

	if (rc < 0) {
		log_warn("checkpoint of store %s failed: %s; the log stays "
			 "until the next one",
		    p->super.name, strerror(-rc));
		if (!c->in_doubt)
			undo(c);
	}
	p->ckpt = NULL;
	p->ckpt_failed = false;
	if (rc < 0 && !p->read_only)
		retry_later(p);
	ckpt_free(c);
	rebuild_saved(p, rc);
	run_waiters(waiters, rc);
	while (next) {
		struct ckpt_wait *w = next;

		next = w->next;
		ckpt_start(p, w);
	}
	log_kick(p);
}

/* The superblocks name the new root on all members. */
static void
supers_written(struct super_update *u, int rc)
{
	struct ckpt *c = u->arg;
	struct pool *p = c->pool;
	struct index *ix = p->index;

	if (rc < 0) {
		/* Which root the members have is not known: keep both. */
		c->in_doubt = true;
		ckpt_end(c, rc);
		return;
	}
	for (size_t i = 0; i < c->npages; i++)
		if (c->page[i].bytes)
			retire_ref(p, &c->page[i].old);
	for (size_t i = 0; i < c->ndropped; i++)
		retire_ref(p, &c->dropped[i].ref);
	for (size_t i = 0; i < p->nroots; i++)
		retire_ref(p, &p->roots[i]);
	log_release(p);
	free(p->roots);
	p->roots = c->root_ref;
	p->nroots = c->nroot;
	c->root_ref = NULL;
	p->tail = c->pos;
	for (size_t i = 0; i < c->npages; i++)
		if (c->page[i].bytes)
			index_written(ix, c->page[i].id, c->page[i].first_key,
			    &c->page[i].ref);
	ckpt_end(c, 0);
}

static void
synced(struct pool_req *r)
{
	struct ckpt *c = r->arg;
	struct pool *p = c->pool;

	if (r->rc < 0) {
		ckpt_end(c, r->rc);
		return;
	}
	p->super.root_seq = c->seq;
	p->super.log_pos = c->pos;
	p->super.log_crc = c->prev_crc;
	p->super.objects = c->objects;
	p->super.log_epoch = c->epoch;
	rebuild_save(p);
	memset(&p->super.root, 0, sizeof(p->super.root));
	if (c->nroot > 0)
		p->super.root = c->root_ref[0];
	c->update = (struct super_update){.done = supers_written, .arg = c};
	member_update_supers(p, &c->update);
}

static void
sync_all(struct ckpt *c)
{
	struct pool *p = c->pool;

	/* These writes are no commit; let the flush know of them. */
	p->unflushed++;
	rebuild_mark(p);
	c->sync = (struct pool_req){
	    .op = POOL_SYNC, .done = synced, .arg = c, .pool = p};
	p->requests++;
	log_sync(p, &c->sync);
}

/* --- the root --------------------------------------------------------------- */

static int
take_space(struct ckpt *c, struct raw_ref *ref, const uint8_t *payload,
    uint32_t bytes)
{
	struct pool *p = c->pool;
	uint32_t n = geom_space(p->k, p->m, bytes);
	uint64_t addr;
	int rc = alloc_take_index(p->alloc, n, &addr);

	if (rc < 0)
		return rc;
	c->taken += n;
	memset(ref, 0, sizeof(*ref));
	ref->ext.addr = addr;
	ref->ext.bytes = bytes;
	ref->crc = crc32c(0, payload, bytes);
	return 0;
}

static void write_root(struct ckpt *c);

static void
root_written(struct xio *x)
{
	struct ckpt *c = x->arg;

	if (x->rc < 0)
		ckpt_end(c, x->rc);
	else
		write_root(c);
}

/* Each part names the one behind it: so from the last to the first. */
static void
write_root(struct ckpt *c)
{
	struct pool *p = c->pool;
	uint8_t *part;
	size_t i, len;
	int rc;

	if (c->root_left == 0) {
		sync_all(c);
		return;
	}
	i = --c->root_left;
	part = c->root + i * RAW_EXTENT_MAX;
	len = c->root_len - i * RAW_EXTENT_MAX;
	len = len > RAW_EXTENT_MAX ? RAW_EXTENT_MAX : len;
	if (i + 1 < c->nroot)
		raw_ref_encode(&c->root_ref[i + 1], part + 8);
	rc = take_space(c, &c->root_ref[i], part, (uint32_t)len);
	c->xio.done = root_written;
	c->xio.arg = c;
	if (rc == 0) {
		c->root_ref[i].seq = c->seq;
		rc = xio_write(&c->xio, p, &c->root_ref[i].ext, part, NULL);
	}
	if (rc < 0)
		ckpt_end(c, rc);
}

/* One page in the root: its first key and where it is. */
static size_t
root_entry(const struct ckpt_page *pg, uint8_t *out)
{
	uint8_t ref[RAW_REF_BYTES];
	size_t n = strlen(pg->first_key), r = 32 + 4u * pg->ref.ext.ncrc;

	if (out) {
		raw_ref_encode(&pg->ref, ref);
		put_le16(out, (uint16_t)n);
		memcpy(out + 2, pg->first_key, n);
		out[2 + n] = pg->ref.ext.ncrc;
		memcpy(out + 3 + n, ref, r);
	}
	return 3 + n + r;
}

static int
make_root(struct ckpt *c)
{
	size_t parts = 1, at = RAW_ROOT_HEADER, pages = 0, bytes;

	if (c->npages == 0)
		return 0;
	for (size_t i = 0; i < c->npages; i++) {
		size_t n = root_entry(&c->page[i], NULL);

		if (at + n > parts * RAW_EXTENT_MAX)
			at = parts++ * RAW_EXTENT_MAX + RAW_ROOT_HEADER;
		at += n;
	}
	bytes = (at + RAW_SECTOR - 1) & ~(size_t)(RAW_SECTOR - 1);
	c->root = aligned_alloc(RAW_SECTOR, bytes);
	c->root_ref = calloc(parts, sizeof(*c->root_ref));
	if (!c->root || !c->root_ref)
		return -ENOMEM;
	memset(c->root, 0, bytes);
	c->root_len = at;
	at = RAW_ROOT_HEADER;
	parts = 1;
	for (size_t i = 0; i < c->npages; i++) {
		size_t n = root_entry(&c->page[i], NULL);
		uint8_t *part;

		if (at + n > parts * RAW_EXTENT_MAX) {
			at = parts++ * RAW_EXTENT_MAX + RAW_ROOT_HEADER;
			pages = 0;
		}
		root_entry(&c->page[i], c->root + at);
		at += n;
		part = c->root + (parts - 1) * RAW_EXTENT_MAX;
		put_le32(part, RAW_ROOT_MAGIC);
		put_le32(part + 4, (uint32_t)++pages);
	}
	c->nroot = c->root_left = parts;
	return 0;
}

/* --- the pages -------------------------------------------------------------- */

static void write_pages(struct ckpt *c);

static void
page_written(struct xio *x)
{
	struct ckpt_page *pg = x->arg;
	struct ckpt *c = pg->ckpt;

	if (x->rc < 0)
		c->rc = x->rc;
	c->pending--;
	write_pages(c);
}

static void
write_page(struct ckpt *c, struct ckpt_page *pg)
{
	struct pool *p = c->pool;
	uint32_t bytes = get_le32(pg->bytes + 8) + INDEX_PAGE_HEADER;
	int rc = bytes > RAW_EXTENT_MAX
	    ? -E2BIG /* no opening would read it */
	    : take_space(c, &pg->ref, pg->bytes, bytes);

	if (rc < 0) {
		memset(&pg->ref, 0, sizeof(pg->ref));
		c->rc = rc;
		return;
	}
	pg->ref.seq = c->seq;
	pg->ckpt = c;
	pg->xio.done = page_written;
	pg->xio.arg = pg;
	rc = xio_write(&pg->xio, p, &pg->ref.ext, pg->bytes, NULL);
	if (rc < 0)
		c->rc = rc;
	else
		c->pending++;
}

static void
write_pages(struct ckpt *c)
{
	while (c->rc == 0 && c->pending < PAGES_AT_ONCE &&
	    c->next_page < c->npages) {
		struct ckpt_page *pg = &c->page[c->next_page++];

		if (pg->bytes)
			write_page(c, pg);
	}
	if (c->pending > 0)
		return;
	if (c->rc == 0)
		c->rc = make_root(c);
	if (c->rc < 0)
		ckpt_end(c, c->rc);
	else
		write_root(c);
}

static void
begin_pages(struct loop_task *t)
{
	struct pool *p = container_of(t, struct pool, ckpt_task);

	write_pages(p->ckpt);
}

/* --- the beginning ----------------------------------------------------------- */

static int
snapshot(struct ckpt *c)
{
	struct index *ix = c->pool->index;
	size_t n = index_npages(ix);

	c->page = calloc(n + 1, sizeof(*c->page));
	if (!c->page)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct index_page *page = index_page(ix, i);
		struct ckpt_page *pg = &c->page[i];
		size_t bytes = index_page_bytes(page);

		c->npages = i + 1;
		pg->id = index_page_id(page);
		pg->ref = pg->old = *index_page_ref(page);
		pg->first_key = strdup(index_page_first_key(page));
		if (!pg->first_key)
			return -ENOMEM;
		if (!index_page_dirty(page))
			continue;
		bytes = (bytes + RAW_SECTOR - 1) & ~(size_t)(RAW_SECTOR - 1);
		pg->bytes = aligned_alloc(RAW_SECTOR, bytes);
		memset(&pg->ref, 0, sizeof(pg->ref));
		if (!pg->bytes || index_page_reserve_ref(ix, page) < 0)
			return -ENOMEM;
		memset(pg->bytes, 0, bytes);
		index_page_encode(page, pg->bytes);
	}
	c->dropped = index_take_dropped(ix, &c->ndropped);
	/* From here on an edit makes a page dirty anew. */
	for (size_t i = 0; i < n; i++)
		index_page_clean(index_page(ix, i));
	return 0;
}

void
ckpt_frozen(struct pool *p)
{
	struct ckpt *c = p->ckpt;
	int rc;

	must(c && p->frozen);
	p->frozen = false;
	c->seq = p->written_seq;
	c->pos = p->pos;
	c->prev_crc = p->prev_crc;
	c->epoch = p->super.epoch;
	c->objects = index_count(p->index);
	rc = snapshot(c);
	if (rc < 0) {
		ckpt_end(c, rc);
		return;
	}
	p->ckpt_task.run = begin_pages;
	loop_defer(p->loop, &p->ckpt_task);
}

void
ckpt_start(struct pool *p, struct ckpt_wait *w)
{
	struct ckpt *c = p->ckpt;

	if (c) {
		if (w) {
			w->next = c->next;
			c->next = w;
		}
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c || p->read_only) {
		free(c);
		if (!p->read_only)
			retry_later(p);
		if (w)
			w->done(w, p->read_only ? -EROFS : -ENOMEM);
		return;
	}
	c->pool = p;
	set_zone(p);
	if (w)
		w->next = NULL;
	c->waiters = w;
	p->ckpt = c;
	p->frozen = true;
	log_kick(p);
}
