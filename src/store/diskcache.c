/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diskcache: a local file of objects; see diskcache.h and docs/diskcache.md.
 *
 *	GET	in the file, and trusted	answered from there
 *		in the file			read there first; then asked of
 *						the store unless it has this tag
 *		else				asked of the store, and kept
 *	PUT	what the file has is forgotten before; kept when it is done
 *	DELETE	forgotten before
 *	LIST	a tag that is the one in the file makes it trusted, another one
 *		forgotten
 *
 * What is written to the file is known by tag and key, so that a slot is never
 * taken for another object or another version of it.  When a write of a key
 * begins, and when it ends, versions that are on their way here or into the file
 * are dropped when they arrive: they may be older (K3).
 */
#include "config.h"

#include "store/diskcache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/stat.h"
#include "store/dcfile.h"
#include "store/filter.h"

struct diskcache {
	struct filter f;
	struct diskcache_config conf;
	struct dcfile *file; /* NULL: not started */
	bool alone;
	struct list wanted; /* dc_req.link: of keys that the file may have */
};

struct dc_req {
	struct filter_req f;
	struct dcio *io; /* what the file has */
	bool reading;	 /* io is in flight, and not yet a request below */
	bool canceled;
	bool keep; /* GET: of the object as a whole */
	uint64_t key;
	struct list link;
	bool stale; /* a write of the key began since */
};

static struct diskcache *
dc_of(struct store *s)
{
	return container_of(s, struct diskcache, f.store);
}

static struct dc_req *
req_of(struct filter_req *q)
{
	return container_of(q, struct dc_req, f);
}

static void
count(struct diskcache *d, enum stat_id id)
{
	if (d->conf.stats)
		stat_inc(d->conf.stats, id);
}

static bool
wants(struct diskcache *d, const char *key)
{
	return d->conf.wants(d->conf.arg, key);
}

static void
note_write(struct diskcache *d, const char *key)
{
	uint64_t hash = dc_hash(key);

	dcfile_drop(d->file, hash);
	list_for_each(l, &d->wanted)
	{
		struct dc_req *q = list_entry(l, struct dc_req, link);

		q->stale |= q->key == hash;
	}
}

/* The request will say something of what its key has. */
static void
begin(struct diskcache *d, struct dc_req *q)
{
	q->key = dc_hash(q->f.up->key);
	q->stale = false;
	list_init(&q->link);
	list_push_back(&d->wanted, &q->link);
}

/* --- keeping ----------------------------------------------------------------- */

/* The request has ended well, with a tag: what it read or wrote is kept. */
static void
keep(struct diskcache *d, struct dc_req *q, const struct meta *m)
{
	const struct store_req *r = &q->f.down;

	if (r->tag[0] == '\0' || r->body->len > UINT32_MAX || q->stale)
		return;
	dcfile_keep(d->file, r->key, r->tag, m, r->body->data,
	    (uint32_t)r->body->len, d->alone);
}

/* --- GET ------------------------------------------------------------------------ */

static void
end_with_io(struct diskcache *d, struct dc_req *q, int rc)
{
	struct dcio *io = q->io;

	q->io = NULL;
	dcio_free(io);
	list_del(&q->link);
	filter_req_end(&d->f, &q->f, rc);
}

static int
copy_meta(struct store_req *r, const struct dc_head *h)
{
	const char *p = h->meta;

	if (h->nmeta == 0)
		return 0;
	r->got_meta = meta_new();
	if (!r->got_meta)
		return -ENOMEM;
	for (unsigned i = 0; i < h->nmeta; i++) {
		const char *value = p + strlen(p) + 1;
		int rc = meta_add(r->got_meta, p, value);

		if (rc < 0)
			return rc;
		p = value + strlen(value) + 1;
	}
	return 0;
}

/* Can what is asked be taken out of len bytes?  What cannot is the store's to
 * answer. */
static bool
fits(const struct store_req *r, uint32_t len)
{
	if (r->range_len == 0 && r->range_off == 0)
		return len <= r->body->cap;
	return r->range_len > 0 && r->range_off <= len &&
	    r->range_len <= len - r->range_off &&
	    r->range_len <= r->body->cap;
}

static void
answer(struct diskcache *d, struct dc_req *q)
{
	struct store_req *up = q->f.up;
	const struct dc_head *h = &q->io->head;
	size_t n = up->range_len ? up->range_len : h->len;
	int rc = copy_meta(up, h);

	if (rc < 0) {
		err_errno(&up->err, rc, "disk cache");
		end_with_io(d, q, rc);
		return;
	}
	memcpy(up->body->data, q->io->mem + DC_PAGE + up->range_off, n);
	up->body->len = n;
	up->size = h->len;
	up->unchanged = false;
	snprintf(up->tag, sizeof(up->tag), "%s", h->tag);
	end_with_io(d, q, 0);
}

static void
get_done(struct store_req *down)
{
	struct dc_req *q = req_of(filter_req_of(down));
	struct diskcache *d = dc_of(q->f.up->store);

	if (down->rc == 0 && down->unchanged && q->io) {
		count(d, STAT_DISKCACHE_CHECKED);
		if (d->alone && dcio_current(q->io) && !q->stale)
			dcfile_trust(d->file, q->io->slot);
		answer(d, q);
		return;
	}
	if (q->io && down->rc == 0 && dcio_current(q->io))
		dcfile_forget(d->file, q->io->slot);
	dcio_free(q->io);
	q->io = NULL;
	if (down->rc == 0 && q->keep)
		keep(d, q, down->got_meta);
	list_del(&q->link);
	filter_req_answer(&d->f, &q->f);
}

static void
ask_store(struct diskcache *d, struct dc_req *q)
{
	if (!q->io)
		count(d, STAT_DISKCACHE_MISSES);
	store_submit(d->f.store.below, &q->f.down);
}

static void
slot_here(struct dcio *io)
{
	struct dc_req *q = io->arg;
	struct diskcache *d = dc_of(q->f.up->store);
	bool trusted = dcio_current(io) && dcfile_trusted(d->file, io->slot);

	q->reading = false;
	if (q->canceled) {
		end_with_io(d, q, -ECANCELED);
		return;
	}
	if (!io->good || strcmp(io->head.key, q->f.up->key) != 0 ||
	    !fits(q->f.up, io->head.len)) {
		if (!io->good && dcio_current(io)) {
			count(d, STAT_DISKCACHE_BAD);
			dcfile_forget(d->file, io->slot);
		}
		dcio_free(io);
		q->io = NULL;
	} else if (trusted && d->alone &&
	    dc_hash(io->head.tag) == dcfile_tag(d->file, io->slot)) {
		count(d, STAT_DISKCACHE_HITS);
		answer(d, q);
		return;
	} else {
		q->f.down.unless_tag = io->head.tag;
	}
	ask_store(d, q);
}

static void
get_submit(struct diskcache *d, struct store_req *r)
{
	struct filter_req *f = filter_req_get(&d->f, r, get_done);
	struct dc_req *q;
	uint32_t slot;

	if (!f)
		return;
	q = req_of(f);
	begin(d, q);
	q->keep = r->range_off == 0 && r->range_len == 0;
	q->canceled = false;
	slot = dcfile_find(d->file, q->key);
	q->io = slot == DC_NONE ? NULL
				: dcfile_read(d->file, slot, slot_here, q);
	q->reading = q->io != NULL;
	if (!q->io)
		ask_store(d, q);
}

/* --- the others ----------------------------------------------------------------- */

/* What was read while it was under way may be from before it, also if it failed:
 * it may have been done, or be done later. */
static void
put_done(struct store_req *down)
{
	struct dc_req *q = req_of(filter_req_of(down));
	struct diskcache *d = dc_of(q->f.up->store);

	list_del(&q->link);
	note_write(d, down->key);
	if (down->rc == 0)
		keep(d, q, down->meta);
	filter_req_answer(&d->f, &q->f);
}

static void
note_writes(struct diskcache *d, const struct store_req *r)
{
	if (r->op == STORE_DELETE)
		note_write(d, r->key);
	for (unsigned i = 0; r->op == STORE_BATCH && i < r->nitems; i++)
		note_write(d, r->items[i].key);
}

static void
deleted(struct store_req *down)
{
	struct filter_req *q = filter_req_of(down);
	struct diskcache *d = dc_of(q->up->store);

	note_writes(d, q->up);
	filter_req_answer(&d->f, q);
}

/* Only who is alone can know that what was listed still holds. */
static void
list_done(struct store_req *down)
{
	struct filter_req *q = filter_req_of(down);
	struct diskcache *d = dc_of(q->up->store);

	for (size_t i = 0; down->rc == 0 && i < down->page.n; i++) {
		const struct store_entry *x = &down->page.v[i];
		uint32_t slot = dcfile_find(d->file, dc_hash(x->key));

		if (slot == DC_NONE || x->tag[0] == '\0')
			continue;
		if (dcfile_tag(d->file, slot) == dc_hash(x->tag))
			dcfile_trust(d->file, slot);
		else
			dcfile_forget(d->file, slot);
	}
	filter_req_answer(&d->f, q);
}

static void
passed(struct store_req *down)
{
	struct filter_req *q = filter_req_of(down);

	filter_req_answer(filter_of(q->up->store), q);
}

static void
pass(struct diskcache *d, struct store_req *r,
    void (*done)(struct store_req *down))
{
	struct filter_req *f = filter_req_get(&d->f, r, done);
	struct dc_req *q;

	if (!f)
		return;
	q = req_of(f);
	q->io = NULL;
	q->reading = false;
	if (done == put_done)
		begin(d, q);
	store_submit(d->f.store.below, &f->down);
}

static void
dc_submit(struct store *s, struct store_req *r)
{
	struct diskcache *d = dc_of(s);
	bool wanted;

	if (!d->file || dcfile_broken(d->file)) {
		pass(d, r, passed);
		return;
	}
	if (r->op == STORE_DELETE || r->op == STORE_BATCH) {
		note_writes(d, r);
		pass(d, r, deleted);
		return;
	}
	wanted = (r->op == STORE_GET || r->op == STORE_PUT) &&
	    wants(d, r->key);
	if (wanted && r->op == STORE_PUT)
		note_write(d, r->key);
	if (wanted && r->op == STORE_GET && !r->unless_tag)
		get_submit(d, r);
	else if (wanted)
		pass(d, r, r->op == STORE_PUT ? put_done : passed);
	else if (r->op == STORE_LIST && d->alone)
		pass(d, r, list_done);
	else
		pass(d, r, passed);
}

static void
dc_cancel(struct store *s, struct store_req *r)
{
	struct dc_req *q = req_of(r->priv);

	(void)s;
	if (q->reading)
		q->canceled = true;
	else
		store_cancel(&q->f.down);
}

static void
dc_free(struct store *s)
{
	struct diskcache *d = dc_of(s);

	if (d->file)
		dcfile_close(d->file);
	filter_fini(&d->f);
	free(d);
}

static const struct store_ops dc_ops = {
	.name = "diskcache",
	.submit = dc_submit,
	.cancel = dc_cancel,
	.free = dc_free,
};

void
diskcache_start(struct store *s, struct dcfile *file, bool alone)
{
	struct diskcache *d = dc_of(s);

	d->file = file;
	d->alone = alone;
}

int
diskcache_store_new(struct store *below, const struct diskcache_config *conf,
    struct store **out, struct err *e)
{
	struct diskcache *d = calloc(1, sizeof(*d));

	if (!d || filter_init(&d->f, &dc_ops, below, sizeof(struct dc_req)) < 0) {
		free(d);
		store_free(below);
		return err_errno(e, -ENOMEM, "disk cache");
	}
	d->conf = *conf;
	list_init(&d->wanted);
	*out = &d->f.store;
	return 0;
}
