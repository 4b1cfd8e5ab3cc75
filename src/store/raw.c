/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c: the leaf over a pool of raw devices; see raw.h.
 *
 * A request becomes a pool request, kept in a struct that also has what must be
 * put together for it: items, and metadata as bytes.  Bodies are not copied.
 * HEAD and LIST of the index need no device, but for metadata that lies with
 * the data.  Runs on the store's loop.
 */
#include "config.h"

#include "store/raw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "base/parse.h"
#include "loop/fileio.h"
#include "raw/open.h"
#include "raw/pool.h"
#include "store/open.h"
#include "store/store.h"

#define MAX_BATCH 1024
#define MAX_KEYS 1000
#define MAX_OBJECT (64u << 20)
#define FILEIO_DEPTH 256

/* A pool that is open, and by how many stores. */
struct shared {
	struct pool *pool;
	struct fileio *used; /* of the devices */
	struct fileio *own;  /* the same, if it is ours */
	bool read_only;
	unsigned refs;
	struct list link; /* env->pools */
};

struct raw_store {
	struct store store;
	struct shared *shared;
	struct pool *pool; /* its */
};

struct raw_req {
	struct pool_req req;
	struct store_req *up;
	uint8_t *meta; /* of all items */
	struct pool_item items[];
};

static struct raw_store *
raw_of(struct store *s)
{
	return container_of(s, struct raw_store, store);
}

/* --- metadata: pairs of strings, each ended by NUL ------------------------- */

static size_t
meta_bytes(const struct meta *m)
{
	const char *name, *value;
	size_t n = 0;

	for (unsigned i = 0; m && i < meta_count(m); i++) {
		meta_nth(m, i, &name, &value);
		n += strlen(name) + strlen(value) + 2;
	}
	return n;
}

static uint8_t *
meta_write(const struct meta *m, uint8_t *out)
{
	const char *name, *value;

	for (unsigned i = 0; m && i < meta_count(m); i++) {
		meta_nth(m, i, &name, &value);
		out = (uint8_t *)stpcpy((char *)out, name) + 1;
		out = (uint8_t *)stpcpy((char *)out, value) + 1;
	}
	return out;
}

static int
meta_read(const uint8_t *in, size_t n, struct meta **out)
{
	struct meta *m = meta_new();
	const char *p = (const char *)in, *end = p + n;

	if (!m)
		return -ENOMEM;
	while (p < end) {
		const char *value = memchr(p, '\0', (size_t)(end - p));
		const char *stop;
		int rc;

		value = value ? value + 1 : end;
		stop = value < end
		    ? memchr(value, '\0', (size_t)(end - value))
		    : NULL;
		rc = stop ? meta_add(m, p, value) : -EBADMSG;
		if (rc < 0) {
			meta_unref(m);
			return rc;
		}
		p = stop + 1;
	}
	*out = m;
	return 0;
}

/* --- requests ------------------------------------------------------------------ */

/* n digits. */
static void
put_hex(char *out, unsigned n, uint64_t v)
{
	for (; n-- > 0; v >>= 4)
		out[n] = "0123456789abcdef"[v & 15];
}

/* 12 hexadecimal digits, which count commits; and 8, since those that were lost in
 * a power cut are counted again. */
static void
set_tag(char tag[STORE_TAG_MAX], uint64_t seq, uint32_t sum)
{
	put_hex(tag, 12, seq);
	tag[12] = '-';
	put_hex(tag + 13, 8, sum);
	tag[21] = '\0';
}

static void
answer_get(struct raw_req *q)
{
	struct store_req *r = q->up;
	int rc;

	r->size = q->req.size;
	set_tag(r->tag, q->req.seq, q->req.sum);
	rc = meta_read(q->req.meta, q->req.meta_len, &r->got_meta);
	if (rc < 0)
		q->req.rc = err_set(
		    &q->req.err, rc, "object %s: bad metadata", r->key);
	else if (r->op == STORE_GET)
		r->body->len = r->range_len ? r->range_len : r->size;
}

static void
raw_done(struct pool_req *p)
{
	struct raw_req *q = container_of(p, struct raw_req, req);
	struct store_req *r = q->up;
	int rc;

	if (p->rc == 0 && (r->op == STORE_GET || r->op == STORE_HEAD))
		answer_get(q);
	else if (p->rc == 0 && r->op == STORE_PUT)
		set_tag(r->tag, p->seq, p->sum);
	for (unsigned i = 0; r->op == STORE_BATCH && i < r->nitems; i++)
		r->items[i].rc = p->rc;
	rc = p->rc;
	if (rc < 0 && rc != -ENOENT && rc != -EEXIST) {
		r->err = p->err;
		err_wrap(&r->err, rc, "%s", r->store->url);
	}
	free(q->meta);
	free(q);
	store_complete(r, rc);
}

static void
set_item(struct pool_item *it, enum store_op op, const char *key,
    const struct buf *body, const struct meta *m, uint8_t **meta)
{
	it->del = op == STORE_DELETE;
	it->key = key;
	if (it->del)
		return;
	it->data = body ? body->data : NULL;
	it->size = body ? body->len : 0;
	it->meta = *meta;
	*meta = meta_write(m, *meta);
	it->meta_len = (uint16_t)(*meta - it->meta);
}

static struct raw_req *
make_req(struct store_req *r, int *rc)
{
	unsigned n = r->op == STORE_BATCH ? r->nitems : 1;
	struct raw_req *q = calloc(1, sizeof(*q) + n * sizeof(q->items[0]));
	size_t most = meta_bytes(r->meta), all = most;
	uint8_t *meta;

	for (unsigned i = 0; r->op == STORE_BATCH && i < n; i++) {
		size_t one = meta_bytes(r->items[i].meta);

		most = one > most ? one : most;
		all += one;
	}
	*rc = -ENOMEM;
	if (most > RAW_META_MAX)
		*rc = err_set(&r->err, -EMSGSIZE,
		    "%s: object %s: %zu bytes of metadata; at most %d are kept",
		    r->store->url, r->key ? r->key : "of a batch", most,
		    RAW_META_MAX);
	else if (q && (all == 0 || (q->meta = malloc(all))))
		*rc = 0;
	if (*rc < 0) {
		free(q);
		return NULL;
	}
	q->up = r;
	q->req.items = q->items;
	q->req.nitems = n;
	q->req.done = raw_done;
	meta = q->meta;
	if (r->op != STORE_BATCH)
		set_item(&q->items[0], r->op, r->key, r->body, r->meta, &meta);
	for (unsigned i = 0; r->op == STORE_BATCH && i < n; i++)
		set_item(&q->items[i], r->items[i].op, r->items[i].key,
		    r->items[i].body, r->items[i].meta, &meta);
	return q;
}

/* It is the object that the caller has already: no body, no device. */
static bool
is_unchanged(struct raw_store *s, struct store_req *r)
{
	struct raw_object o;

	if (r->op != STORE_GET || !r->unless_tag ||
	    !pool_find(s->pool, r->key, &o))
		return false;
	set_tag(r->tag, o.seq, o.sum);
	if (strcmp(r->tag, r->unless_tag) != 0)
		return false;
	r->size = o.size;
	r->unchanged = true;
	return true;
}

static void
submit_one(struct raw_store *s, struct store_req *r)
{
	static const enum pool_op op[] = {
	    [STORE_GET] = POOL_GET,
	    [STORE_HEAD] = POOL_GET,
	    [STORE_PUT] = POOL_PUT,
	    [STORE_DELETE] = POOL_DELETE,
	    [STORE_BATCH] = POOL_BATCH,
	    [STORE_SYNC] = POOL_SYNC,
	};
	struct raw_req *q;
	int rc;

	if (is_unchanged(s, r)) {
		store_complete_later(r, 0);
		return;
	}
	q = make_req(r, &rc);
	if (!q) {
		store_complete_later(r, rc);
		return;
	}
	q->req.op = op[r->op];
	q->req.if_absent = r->op == STORE_PUT && r->if_absent;
	q->req.head = r->op == STORE_HEAD;
	if (r->op == STORE_GET) {
		q->req.off = r->range_off;
		q->req.len = r->range_len;
		q->req.dst = r->body->data;
		q->req.dst_cap = r->body->cap;
	}
	pool_submit(s->pool, &q->req);
}

/* --- LIST ------------------------------------------------------------------------ */

static int
list_add(struct store_req *r, const char *key, const struct raw_object *o)
{
	struct store_entry *e = store_page_add(&r->page, key, strlen(key));

	if (!e)
		return -ENOMEM;
	e->size = o->size;
	set_tag(e->tag, o->seq, o->sum);
	return 0;
}

/* The index is in memory: a page is made at once. */
static int
list_page(struct raw_store *s, struct store_req *r)
{
	unsigned max = r->max_keys && r->max_keys < MAX_KEYS ? r->max_keys
							     : MAX_KEYS;
	size_t plen = strlen(r->prefix);
	char key[RAW_KEY_MAX + 1] = "";
	struct raw_object o;
	int rc = 0;

	if (r->start_after && strcmp(r->start_after, r->prefix) >= 0) {
		strcpy(key, r->start_after);
	} else {
		strcpy(key, r->prefix);
		/* The walk is behind its key: that one key by itself. */
		if (key[0] && pool_find(s->pool, key, &o))
			rc = list_add(r, key, &o);
	}
	while (rc == 0 && pool_next(s->pool, key, &o)) {
		if (strncmp(key, r->prefix, plen) != 0 ||
		    (r->end_before && strcmp(key, r->end_before) >= 0))
			break;
		if (r->page.n == max) {
			r->page.more = true;
			break;
		}
		rc = list_add(r, key, &o);
	}
	if (rc < 0)
		store_page_fini(&r->page);
	return rc;
}

/* --- the store ------------------------------------------------------------------ */

static void
raw_submit(struct store *st, struct store_req *r)
{
	struct raw_store *s = raw_of(st);

	if (r->op == STORE_LIST)
		store_complete_later(r, list_page(s, r));
	else
		submit_one(s, r);
}

static void
raw_cancel(struct store *s, struct store_req *r)
{
	/* A device does not forget what it was asked. */
}

static void
shared_unref(struct shared *h, const char *url)
{
	struct err e = ERR_INIT;

	if (!h || --h->refs > 0)
		return;
	list_del(&h->link);
	if (h->pool && pool_close(h->pool, &e) < 0)
		log_error("%s: %s", url, err_text(&e));
	fileio_free(h->own);
	free(h);
}

static void
raw_free(struct store *st)
{
	struct raw_store *s = raw_of(st);

	shared_unref(s->shared, st->url);
	store_head_fini(st);
	free(s);
}

static const struct store_ops raw_ops = {
    .name = "raw",
    .submit = raw_submit,
    .cancel = raw_cancel,
    .free = raw_free,
};

static struct raw_store *
find_below(struct store *s)
{
	while (s->below)
		s = s->below;
	return s->ops == &raw_ops ? raw_of(s) : NULL;
}

struct pool *
raw_store_pool(struct store *s)
{
	struct raw_store *r = find_below(s);

	return r ? r->pool : NULL;
}

struct fileio *
raw_store_fileio(struct store *s)
{
	struct raw_store *r = find_below(s);

	return r ? r->shared->used : NULL;
}

int
raw_store_params(
    const struct url *u, struct pool_open_params *op, struct err *e)
{
	for (unsigned i = 0; i < u->nparams; i++) {
		const struct url_param *p = &u->params[i];
		int rc;

		if (strcmp(p->name, "force-degraded") != 0)
			return err_set(e, -EINVAL,
			    "URL %s: a raw: URL has no parameter \"%s\"; it "
			    "has volume=NAME and force-degraded=yes",
			    u->text, p->name);
		rc = parse_bool(p->value, &op->force_degraded, e);
		if (rc < 0)
			return err_wrap(
			    e, rc, "URL %s: force-degraded", u->text);
	}
	return 0;
}

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	    x.st_ino == y.st_ino;
}

bool
raw_store_same(const struct url *a, const struct url *b)
{
	unsigned na, nb;
	char **x = raw_paths_split(a->path, &na);
	char **y = raw_paths_split(b->path, &nb);
	bool same = false;

	for (unsigned i = 0; x && y && i < na; i++)
		for (unsigned k = 0; k < nb; k++)
			same |= same_file(x[i], y[k]);
	raw_paths_free(x);
	raw_paths_free(y);
	return same;
}

/* The pool of one of these paths, if it is open. */
static struct shared *
find_open(const struct store_env *env, const char *list)
{
	unsigned n;
	char **paths = env->pools ? raw_paths_split(list, &n) : NULL;
	struct shared *found = NULL;
	struct pool_status st;

	if (!paths)
		return NULL;
	for (struct list *at = env->pools->next; at != env->pools && !found;
	     at = at->next) {
		struct shared *h = container_of(at, struct shared, link);

		pool_get_status(h->pool, &st);
		for (unsigned i = 0; i < n; i++)
			for (unsigned c = 0; c < st.k + st.m; c++)
				if (same_file(paths[i], st.member[c].path))
					found = h;
	}
	raw_paths_free(paths);
	return found;
}

static int
open_pool(struct raw_store *s, const struct store_env *env,
    const struct url *u, const struct pool_open_params *op, struct err *e)
{
	struct shared *h = calloc(1, sizeof(*h));

	if (!h)
		return err_errno(e, -ENOMEM, "open %s", u->text);
	list_init(&h->link);
	h->refs = 1;
	h->read_only = op->read_only;
	h->used = env->fileio;
	s->shared = h;
	if (!h->used)
		h->used = h->own = fileio_new(
		    env->loop, env->pool, FILEIO_AUTO, FILEIO_DEPTH, e);
	if (!h->used)
		return -EIO;
	int rc = raw_open_paths(
	    env->loop, h->used, u->path, op, &h->pool, e);

	if (rc == 0 && env->pools)
		list_push_back(env->pools, &h->link);
	return rc;
}

static int
join_pool(struct raw_store *s, struct shared *h,
    const struct pool_open_params *op, struct err *e)
{
	if (h->read_only && !op->read_only)
		return err_set(e, -EBUSY,
		    "%s: this process has the store open, for reading only",
		    s->store.url);
	h->refs++;
	s->shared = h;
	return 0;
}

int
raw_store_open(const struct store_env *env, const struct url *u,
    struct store **out, struct err *e)
{
	struct pool_open_params op = {.read_only = env->read_only};
	struct shared *open;
	struct raw_store *s;
	int rc = raw_store_params(u, &op, e);

	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_errno(e, -ENOMEM, "open %s", u->text);
	rc = store_head_init(&s->store, &raw_ops, env->loop, u->text);
	if (rc < 0) {
		free(s);
		return err_errno(e, rc, "open %s", u->text);
	}
	open = find_open(env, u->path);
	rc = open ? join_pool(s, open, &op, e)
		  : open_pool(s, env, u, &op, e);
	if (rc < 0) {
		raw_free(&s->store);
		return rc;
	}
	s->pool = s->shared->pool;
	s->store.info = (struct store_info){
	    .if_absent = true,
	    .range_get = true,
	    .batch_atomic = true,
	    .batch_put = true,
	    .keeps_meta = true,
	    .max_batch = MAX_BATCH,
	    .max_keys = MAX_KEYS,
	    .max_object = MAX_OBJECT,
	    .max_inflight = 64,
	};
	*out = &s->store;
	return 0;
}
