/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c: PUT, DELETE and BATCH.
 *
 *	submit --> admit: space is taken for every item --> data goes out, the
 *	items go into the open batch --> (log.c: record and data are written)
 *	--> apply: the index takes them in, old extents are freed --> finish
 *
 * A write that finds no space waits if a flush would free some; else it fails
 * with -ENOSPC, before anything was written (G7).  Runs on the pool's loop.
 */
#include "raw/write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/discard.h"
#include "raw/index.h"
#include "raw/log.h"
#include "raw/pool_int.h"

static const char block_meta[] =
    "content-type\0application/x-s3backer-block"; /* and its own NUL */

/* --- preparing ------------------------------------------------------------- */

static void
item_free(struct write_item *it)
{
	free(it->obj.ext);
	buf_unref(it->copy);
	free(it->xio);
}

static void
write_free(struct pool_write *w)
{
	for (unsigned i = 0; i < w->nitems; i++)
		item_free(&w->item[i]);
	free(w);
}

static void
set_meta(struct raw_object *o, const struct pool_item *it)
{
	if (it->meta_len == 0) {
		o->meta_code = RAW_META_NONE;
	} else if (it->meta_len == sizeof(block_meta) &&
	    memcmp(it->meta, block_meta, sizeof(block_meta)) == 0) {
		o->meta_code = RAW_META_BLOCK;
	} else {
		o->meta_code = RAW_META_TAIL;
		o->meta_len = it->meta_len;
	}
}

/* The payload as it goes out: the caller's memory if it can be, else a copy. */
static int
make_payload(struct write_item *w, const struct pool_item *it)
{
	uint64_t bytes = it->size + w->obj.meta_len;
	uint64_t padded = (bytes + RAW_SECTOR - 1) & ~(uint64_t)(RAW_SECTOR - 1);

	if (bytes == it->size && padded == bytes &&
	    (uintptr_t)it->data % RAW_SECTOR == 0)
		return 0;
	w->copy = buf_new(padded);
	if (!w->copy)
		return -ENOMEM;
	if (it->size > 0)
		memcpy(w->copy->data, it->data, it->size);
	if (w->obj.meta_len > 0)
		memcpy(w->copy->data + it->size, it->meta, it->meta_len);
	memset(w->copy->data + bytes, 0, padded - bytes);
	return 0;
}

static void
release_extents(struct pool *p, struct raw_object *o)
{
	for (unsigned i = 0; i < o->nextents; i++)
		alloc_release(p->alloc, o->ext[i].addr,
		    geom_space(p->k, p->m, o->ext[i].bytes));
	o->nextents = 0;
}

/*
 * Take space for an object: extents as long as possible, shorter ones where
 * free space is in pieces.
 */
static int
take_extents(struct pool *p, struct raw_object *o, uint64_t bytes)
{
	uint64_t most = RAW_EXTENT_MAX, room = 0;

	while (bytes > 0) {
		uint32_t n = (uint32_t)(bytes < most ? bytes : most);
		struct raw_extent *x;
		uint64_t addr;

		if (o->nextents == room) {
			room = room ? 2 * room : 1;
			if (room > RAW_MAX_EXTENTS)
				return -ENOSPC;
			x = realloc(o->ext, room * sizeof(*x));
			if (!x)
				return -ENOMEM;
			o->ext = x;
		}
		if (alloc_take(p->alloc, geom_space(p->k, p->m, n), &addr) < 0) {
			/* Halve, in whole rows; one sector is the end. */
			most = n <= RAW_SECTOR ? 0 : n / 2;
			most = most / RAW_SECTOR * RAW_SECTOR;
			if (most == 0 && n > RAW_SECTOR)
				most = RAW_SECTOR;
			if (most == 0)
				return -ENOSPC;
			continue;
		}
		x = &o->ext[o->nextents++];
		memset(x, 0, sizeof(*x));
		x->addr = addr;
		x->bytes = n;
		bytes -= n;
	}
	return 0;
}

/* Space, memory: all that can fail, before anything is written. */
static int
prepare_item(
    struct pool *p, struct write_item *w, const struct pool_item *it)
{
	int rc;

	w->obj.size = it->size;
	set_meta(&w->obj, it);
	rc = take_extents(p, &w->obj, it->size + w->obj.meta_len);
	if (rc == 0 && w->obj.nextents > 0)
		rc = make_payload(w, it);
	if (rc == 0 && w->obj.nextents > 0) {
		w->xio = xio_array(p, w->obj.nextents);
		rc = w->xio ? 0 : -ENOMEM;
	}
	return rc;
}

static int
prepare(struct pool *p, struct pool_write *w)
{
	bool room = ckpt_has_room(p);
	int rc = 0;

	for (unsigned i = 0; i < w->nitems && rc == 0; i++)
		if (!w->req->items[i].del)
			rc = room ? prepare_item(p, &w->item[i],
					&w->req->items[i])
				  : -ENOSPC;
	if (rc == 0)
		return 0;
	for (unsigned i = 0; i < w->nitems; i++) {
		release_extents(p, &w->item[i].obj);
		item_free(&w->item[i]);
		memset(&w->item[i], 0, sizeof(w->item[i]));
	}
	return rc;
}

/* --- data ------------------------------------------------------------------ */

static void
data_done(struct xio *x)
{
	struct pool_write *w = x->arg;

	if (x->rc < 0 && w->rc == 0) {
		w->rc = x->rc;
		w->err = x->err;
	}
	log_data_done(w->pool, w);
}

/*
 * Send out the data.  One more is pending than there are extents, until the
 * items are in the batch.  If memory runs out half way the write has failed,
 * and what was sent is waited for.
 */
static int
send_data(struct pool *p, struct pool_write *w)
{
	for (unsigned i = 0; i < w->nitems; i++) {
		struct write_item *it = &w->item[i];
		const struct pool_item *pi = &w->req->items[i];
		const uint8_t *payload = it->copy ? it->copy->data : pi->data;

		for (unsigned n = 0; n < it->obj.nextents; n++) {
			struct raw_extent *x = &it->obj.ext[n];
			struct xio *xio = xio_nth(p, it->xio, n);

			xio->done = data_done;
			xio->arg = w;
			if (xio_write(xio, p, x, payload, it->copy) < 0)
				return -ENOMEM;
			w->data_pending++;
			w->bytes += (uint64_t)geom_space(p->k, p->m, x->bytes) *
			    RAW_SECTOR;
			payload += x->bytes;
		}
	}
	return 0;
}

static bool
exists(struct pool *p, const char *key)
{
	struct raw_object o;

	return index_get(p->index, key, &o, NULL, 0) == 0;
}

/* A write of the key is in a batch that is not applied yet. */
static bool
under_way(const struct batch *b, const char *key)
{
	list_for_each(l, &b->writes) {
		const struct pool_write *w =
		    list_entry(l, struct pool_write, link);

		for (unsigned i = 0; i < w->nitems; i++)
			if (strcmp(w->req->items[i].key, key) == 0)
				return true;
	}
	return false;
}

/* Of several PUTs if absent one wins: the others wait until it is known how the
 * first one ends. */
static int
check_absent(struct pool *p, const char *key)
{
	if (exists(p, key))
		return -EEXIST;
	if (under_way(&p->open, key) || under_way(&p->flying, key))
		return -EAGAIN;
	return 0;
}

static int
check_same(struct pool *p, const char *key, uint64_t seq)
{
	struct raw_object o;

	if (index_get(p->index, key, &o, NULL, 0) == -ENOENT || o.seq != seq ||
	    under_way(&p->open, key) || under_way(&p->flying, key))
		return -ESTALE;
	return 0;
}

/* What was freed first is only not durable yet; else a read of it is under way,
 * and its end says so (pin_fini). */
static bool
flush_frees(const struct pool *p)
{
	return !list_empty(&p->freed) &&
	    list_entry(p->freed.next, struct freed, link)->seq >
	    p->durable_seq;
}

/* 0: on its way; -EAGAIN: it has to wait; else it has failed. */
static int
admit(struct pool *p, struct pool_write *w)
{
	int rc = 0;

	if (p->read_only)
		return -EROFS;
	if (w->req->op == POOL_PUT && w->req->if_absent)
		rc = check_absent(p, w->req->items[0].key);
	if (w->req->if_seq)
		rc = check_same(p, w->req->items[0].key, w->req->if_seq);
	if (rc < 0)
		return rc;
	if (!log_has_room(p, w))
		return -EAGAIN;
	rc = prepare(p, w);
	/* What is being discarded comes back by itself. */
	if (rc == -ENOSPC && !discard_idle(p))
		return -EAGAIN;
	if (rc == -ENOSPC && p->freed_sectors > 0) {
		if (flush_frees(p))
			log_flush(p);
		return -EAGAIN;
	}
	if (rc < 0)
		return rc;
	w->data_pending = 1;
	rc = send_data(p, w);
	if (rc == 0)
		rc = log_add(p, w);
	if (rc < 0) {
		/* No record names it: what was sent is waited for, then the
		 * space is free again. */
		w->rc = rc;
		w->given_up = true;
	}
	log_data_done(p, w);
	return 0;
}

void
write_give_up(struct pool *p, struct pool_write *w)
{
	for (unsigned i = 0; i < w->nitems; i++)
		release_extents(p, &w->item[i].obj);
	if (w->err.rc < 0)
		w->req->err = w->err;
	pool_fail_later(p, w->req, w->rc);
	write_free(w);
}

void
write_retry(struct pool *p)
{
	while (!list_empty(&p->waiting)) {
		struct pool_write *w =
		    list_entry(p->waiting.next, struct pool_write, link);
		int rc;

		list_del(&w->link);
		rc = admit(p, w);
		if (rc == -EAGAIN) {
			list_push_front(&p->waiting, &w->link);
			return;
		}
		if (rc < 0) {
			pool_fail_later(p, w->req, rc);
			write_free(w);
		}
	}
}

void
write_submit(struct pool *p, struct pool_req *r)
{
	struct pool_write *w;
	int rc;

	if (r->op == POOL_DELETE && !exists(p, r->items[0].key)) {
		pool_fail_later(p, r, 0);
		return;
	}
	w = calloc(1, sizeof(*w) + r->nitems * sizeof(w->item[0]));
	if (!w) {
		pool_fail_later(p, r, -ENOMEM);
		return;
	}
	w->req = r;
	w->pool = p;
	w->nitems = r->nitems;
	list_init(&w->link);
	if (!log_could_fit(p, w)) {
		write_free(w);
		err_set(&r->err, -EMSGSIZE,
		    "store \"%s\": a batch of %u items with so many bytes does "
		    "not fit into one log record; write it in smaller ones",
		    p->super.name, r->nitems);
		pool_fail_later(p, r, -EMSGSIZE);
		return;
	}
	if (!list_empty(&p->waiting)) {
		list_push_back(&p->waiting, &w->link);
		return;
	}
	rc = admit(p, w);
	if (rc == -EAGAIN) {
		list_push_back(&p->waiting, &w->link);
	} else if (rc < 0) {
		pool_fail_later(p, r, rc);
		write_free(w);
	}
}

/* --- applying ----------------------------------------------------------------- */

/* The extents of what key names now are free from this commit on. */
static int
free_old(struct pool *p, const char *key)
{
	struct raw_extent few[4], *ext = few;
	struct raw_object o;
	int rc = index_get(p->index, key, &o, few, 4);

	if (rc == -E2BIG) {
		ext = malloc(o.nextents * sizeof(*ext));
		if (!ext)
			return -ENOMEM;
		rc = index_get(p->index, key, &o, ext, o.nextents);
	}
	for (unsigned i = 0; rc == 0 && i < o.nextents; i++)
		rc = log_freed(p, ext[i].addr,
		    geom_space(p->k, p->m, ext[i].bytes), p->flying.seq);
	if (ext != few)
		free(ext);
	return rc == -ENOENT ? 0 : rc;
}

int
write_apply(struct pool *p, struct pool_write *w, uint64_t seq)
{
	for (unsigned i = 0; i < w->nitems; i++) {
		const struct pool_item *it = &w->req->items[i];
		int rc = free_old(p, it->key);

		if (rc == 0 && it->del)
			rc = index_delete(p->index, it->key);
		else if (rc == 0)
			rc = index_put(p->index, it->key, &w->item[i].obj);
		if (!it->del)
			w->req->sum = raw_object_sum(&w->item[i].obj);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	w->req->seq = seq;
	return 0;
}

void
write_finish(struct pool *p, struct pool_write *w, int rc)
{
	struct pool_req *r = w->req;

	if (rc < 0)
		r->err = w->err.rc < 0 ? w->err : p->why;
	write_free(w);
	pool_finish(p, r, rc);
}
