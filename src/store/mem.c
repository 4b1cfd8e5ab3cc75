/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem: objects in memory, for tests and simulations.
 *
 * The objects are the nodes of a skip list in the order of their keys: finding
 * one and the next ones costs O(log n), and listing needs nothing more.  A
 * node has the version that is read now and the one that would be left after
 * a power failure; versions are immutable and counted.  A deleted object's
 * node stays until the deletion is durable.
 *
 *	node   "b/0001" -> "b/0002" -> "b/0007" ->
 *	cur       v1          -           v9
 *	stable    v1          v3          v7        (written since the SYNC)
 *
 * A request is carried out whole in a task of the loop right before its
 * completion, so its effect is atomic and lies between submit and done.  It
 * fails only for lack of memory, and then nothing has changed.
 */
#include "config.h"

#include "store/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "store/rnd.h"
#include "store/store.h"

#define LEVELS 20

struct version { /* immutable */
	unsigned refs;
	uint64_t serial; /* the tag */
	int64_t mtime_ns;
	struct meta *meta;
	size_t len;
	uint8_t bytes[];
};

struct node {
	struct version *cur;	/* NULL: deleted */
	struct version *stable; /* if dirty; NULL: was absent */
	bool dirty;
	unsigned levels;
	char *key;
	struct node *next[];
};

struct mem_data {
	unsigned refs;
	uint64_t serial; /* of the last version */
	uint64_t rnd;	 /* for the levels */
	size_t count;	 /* nodes with a cur */
	struct node *head[LEVELS];
};

struct mem_store {
	struct store store;
	struct mem_config conf;
	struct mem_data *data;
};

/* --- versions -------------------------------------------------------------- */

static struct version *
version_new(struct mem_data *d, const struct buf *body, struct meta *meta)
{
	struct version *v = malloc(sizeof(*v) + body->len);

	if (v == NULL)
		return NULL;
	v->refs = 1;
	v->serial = ++d->serial;
	v->mtime_ns = clock_wall_ns();
	v->meta = meta != NULL ? meta_ref(meta) : NULL;
	v->len = body->len;
	if (v->len != 0)
		memcpy(v->bytes, body->data, v->len);
	return v;
}

static void
version_unref(struct version *v)
{
	if (v == NULL || --v->refs > 0)
		return;
	meta_unref(v->meta);
	free(v);
}

static void
version_tag(const struct version *v, char *tag)
{
	snprintf(tag, STORE_TAG_MAX, "m%llu", (unsigned long long)v->serial);
}

/* --- the skip list ---------------------------------------------------------- */

/* The first node not less than key; in before, if given, the links that lead
 * to it or past it on each level. */
static struct node *
list_seek(struct mem_data *d, const char *key, struct node **before[LEVELS])
{
	struct node **links = d->head;

	for (int i = LEVELS - 1; i >= 0; i--) {
		while (links[i] != NULL && strcmp(links[i]->key, key) < 0)
			links = links[i]->next;
		if (before != NULL)
			before[i] = &links[i];
	}
	return links[0];
}

static struct node *
list_find(struct mem_data *d, const char *key)
{
	struct node *n = list_seek(d, key, NULL);

	return n != NULL && strcmp(n->key, key) == 0 ? n : NULL;
}

static struct version *
data_current(struct mem_data *d, const char *key)
{
	struct node *n = list_find(d, key);

	return n != NULL ? n->cur : NULL;
}

static struct node *
list_insert(struct mem_data *d, const char *key)
{
	struct node **before[LEVELS];
	struct node *n = list_seek(d, key, before);
	uint64_t dice;
	unsigned levels = 1;

	if (n != NULL && strcmp(n->key, key) == 0)
		return n;
	for (dice = rnd_next(&d->rnd); (dice & 3) == 0 && levels < LEVELS;
	     dice >>= 2)
		levels++;
	n = calloc(1, sizeof(*n) + levels * sizeof(n->next[0]));
	if (n == NULL)
		return NULL;
	n->key = strdup(key);
	if (n->key == NULL) {
		free(n);
		return NULL;
	}
	n->levels = levels;
	for (unsigned i = 0; i < levels; i++) {
		n->next[i] = *before[i];
		*before[i] = n;
	}
	return n;
}

static void
list_remove(struct mem_data *d, const char *key)
{
	struct node **before[LEVELS];
	struct node *n = list_seek(d, key, before);

	must(n != NULL && strcmp(n->key, key) == 0);
	for (unsigned i = 0; i < n->levels; i++)
		*before[i] = n->next[i];
	version_unref(n->cur);
	version_unref(n->stable);
	free(n->key);
	free(n);
}

/* --- data ------------------------------------------------------------------- */

struct mem_data *
mem_data_new(void)
{
	struct mem_data *d = calloc(1, sizeof(*d));

	if (d != NULL)
		d->refs = 1;
	return d;
}

struct mem_data *
mem_data_ref(struct mem_data *d)
{
	d->refs++;
	return d;
}

void
mem_data_unref(struct mem_data *d)
{
	if (d == NULL || --d->refs > 0)
		return;
	while (d->head[0] != NULL)
		list_remove(d, d->head[0]->key);
	free(d);
}

/* Make v (taken; NULL: nothing) what n holds, and durable unless defer. */
static void
node_set(struct mem_data *d, struct node *n, struct version *v, bool defer)
{
	d->count += (v != NULL) - (n->cur != NULL);
	if (!n->dirty && defer) {
		n->stable = n->cur;
		n->dirty = true;
	} else {
		version_unref(n->cur);
	}
	n->cur = v;
	if (n->cur == NULL && !n->dirty)
		list_remove(d, n->key);
}

static void
node_settle(struct mem_data *d, struct node *n, bool keep_stable)
{
	struct version *gone = keep_stable ? n->cur : n->stable;

	if (keep_stable) {
		d->count += (n->stable != NULL) - (n->cur != NULL);
		n->cur = n->stable;
	}
	n->stable = NULL;
	n->dirty = false;
	version_unref(gone);
	if (n->cur == NULL)
		list_remove(d, n->key);
}

static void
data_sync(struct mem_data *d)
{
	for (struct node *n = d->head[0], *next; n != NULL; n = next) {
		next = n->next[0];
		if (n->dirty)
			node_settle(d, n, false);
	}
}

void
mem_data_crash(struct mem_data *d, uint64_t seed)
{
	for (struct node *n = d->head[0], *next; n != NULL; n = next) {
		next = n->next[0];
		if (n->dirty)
			node_settle(d, n, rnd_next(&seed) & 1);
	}
}

size_t
mem_data_count(const struct mem_data *d)
{
	return d->count;
}

const void *
mem_data_peek(const struct mem_data *d, const char *key, size_t *len)
{
	return mem_data_poke((struct mem_data *)d, key, len);
}

void *
mem_data_poke(struct mem_data *d, const char *key, size_t *len)
{
	struct version *v = data_current(d, key);

	if (v == NULL)
		return NULL;
	*len = v->len;
	return v->bytes;
}

/* --- the operations --------------------------------------------------------- */

static void
answer_version(struct mem_store *m, struct store_req *r, struct version *v)
{
	r->size = v->len;
	if (!m->conf.no_tags)
		version_tag(v, r->tag);
	if (v->meta != NULL)
		r->got_meta = meta_ref(v->meta);
}

static int
mem_get(struct mem_store *m, struct store_req *r)
{
	struct version *v = data_current(m->data, r->key);
	uint64_t off = r->range_off, len = r->range_len;

	if (v == NULL)
		return -ENOENT;
	answer_version(m, r, v);
	if (r->unless_tag != NULL && r->tag[0] != '\0' &&
	    strcmp(r->unless_tag, r->tag) == 0) {
		r->unchanged = true;
		return 0;
	}
	if (len == 0)
		len = v->len;
	else if (off > v->len || len > v->len - off)
		return err_set(&r->err, -ERANGE,
		    "%s: GET %s: bytes %llu to %llu of an object of %zu",
		    m->store.url, r->key, (unsigned long long)off,
		    (unsigned long long)(off + len), v->len);
	if (len > r->body->cap)
		return err_set(&r->err, -EMSGSIZE,
		    "%s: GET %s: the object has %zu bytes, expected at most "
		    "%zu", m->store.url, r->key, v->len, r->body->cap);
	if (len != 0)
		memcpy(r->body->data, v->bytes + off, len);
	r->body->len = len;
	return 0;
}

static int
mem_head(struct mem_store *m, struct store_req *r)
{
	struct version *v = data_current(m->data, r->key);

	if (v == NULL)
		return -ENOENT;
	answer_version(m, r, v);
	return 0;
}

static int
mem_write(struct mem_store *m, const char *key, struct version *v)
{
	struct node *n = list_insert(m->data, key);

	if (n == NULL) {
		version_unref(v);
		return -ENOMEM;
	}
	node_set(m->data, n, v, m->conf.needs_sync);
	return 0;
}

static int
mem_put(struct mem_store *m, struct store_req *r)
{
	struct version *v;

	if (r->if_absent && data_current(m->data, r->key) != NULL)
		return -EEXIST;
	v = version_new(m->data, r->body, m->conf.no_meta ? NULL : r->meta);
	if (v == NULL)
		return -ENOMEM;
	if (!m->conf.no_tags)
		version_tag(v, r->tag);
	return mem_write(m, r->key, v);
}

static void
mem_delete(struct mem_store *m, const char *key)
{
	struct node *n = list_find(m->data, key);

	if (n != NULL && n->cur != NULL)
		node_set(m->data, n, NULL, m->conf.needs_sync);
}

/* What can fail comes first, so a batch happens whole or not at all. */
static int
mem_batch(struct mem_store *m, struct store_req *r)
{
	struct version **v = calloc(r->nitems + 1, sizeof(*v));
	struct node *n;
	unsigned i;

	if (v == NULL)
		return -ENOMEM;
	for (i = 0; i < r->nitems; i++) {
		struct store_item *it = &r->items[i];

		if (it->op != STORE_PUT)
			continue;
		v[i] = version_new(m->data, it->body,
		    m->conf.no_meta ? NULL : it->meta);
		n = v[i] != NULL ? list_insert(m->data, it->key) : NULL;
		if (n == NULL)
			goto no_memory;
	}
	for (i = 0; i < r->nitems; i++) {
		struct store_item *it = &r->items[i];

		if (it->op == STORE_PUT)
			it->rc = mem_write(m, it->key, v[i]);
		else
			mem_delete(m, it->key), it->rc = 0;
		must(it->rc == 0); /* the node is there: no memory needed */
	}
	free(v);
	return 0;
no_memory:
	for (unsigned k = 0; k <= i; k++) {
		version_unref(v[k]);
		n = list_find(m->data, r->items[k].key);
		if (n != NULL && n->cur == NULL && !n->dirty)
			list_remove(m->data, n->key);
	}
	free(v);
	return -ENOMEM;
}

/* The first node that a listing may show. */
static struct node *
list_begin(struct mem_store *m, const struct store_req *r)
{
	const char *after = r->start_after;
	struct node *n;

	if (after == NULL || strcmp(after, r->prefix) < 0)
		return list_seek(m->data, r->prefix, NULL);
	n = list_seek(m->data, after, NULL);
	if (n != NULL && strcmp(n->key, after) == 0)
		n = n->next[0];
	return n;
}

static int
mem_list(struct mem_store *m, struct store_req *r)
{
	size_t plen = strlen(r->prefix);
	unsigned max = m->store.info.max_keys;

	if (r->max_keys != 0 && r->max_keys < max)
		max = r->max_keys;
	for (struct node *n = list_begin(m, r); n != NULL; n = n->next[0]) {
		struct store_entry *ent;

		if (strncmp(n->key, r->prefix, plen) != 0)
			break;
		if (r->end_before != NULL && strcmp(n->key, r->end_before) >= 0)
			break;
		if (n->cur == NULL)
			continue;
		if (r->page.n == max) {
			r->page.more = true;
			break;
		}
		ent = store_page_add(&r->page, n->key, strlen(n->key));
		if (ent == NULL) {
			store_page_fini(&r->page);
			return -ENOMEM;
		}
		ent->size = n->cur->len;
		ent->mtime_ns = n->cur->mtime_ns;
		if (!m->conf.no_tags)
			version_tag(n->cur, ent->tag);
	}
	return 0;
}

static int
mem_do(struct mem_store *m, struct store_req *r)
{
	switch (r->op) {
	case STORE_GET:
		return mem_get(m, r);
	case STORE_PUT:
		return mem_put(m, r);
	case STORE_DELETE:
		mem_delete(m, r->key);
		return 0;
	case STORE_HEAD:
		return mem_head(m, r);
	case STORE_LIST:
		return mem_list(m, r);
	case STORE_BATCH:
		return mem_batch(m, r);
	case STORE_SYNC:
		data_sync(m->data);
		return 0;
	}
	return -EOPNOTSUPP;
}

/* --- the store -------------------------------------------------------------- */

static void
mem_task(struct loop_task *t)
{
	struct store_req *r = container_of(t, struct store_req, task);
	struct mem_store *m = container_of(r->store, struct mem_store, store);

	store_complete(r, mem_do(m, r));
}

static void
mem_submit(struct store *s, struct store_req *r)
{
	r->task.run = mem_task;
	loop_defer(s->loop, &r->task);
}

static void
mem_cancel(struct store *s, struct store_req *r)
{
	/* It ends in this turn of the loop anyway. */
}

static void
mem_free(struct store *s)
{
	struct mem_store *m = container_of(s, struct mem_store, store);

	mem_data_unref(m->data);
	store_head_fini(s);
	free(m);
}

static const struct store_ops mem_ops = {
	.name = "mem",
	.submit = mem_submit,
	.cancel = mem_cancel,
	.free = mem_free,
};

static void
mem_info(struct store_info *info, const struct mem_config *c)
{
	info->durable = !c->needs_sync;
	info->if_absent = !c->no_if_absent;
	info->range_get = !c->no_range;
	info->keeps_meta = !c->no_meta;
	info->batch_put = info->batch_atomic = !c->batch_deletes;
	info->max_batch = c->max_batch != 0 ? c->max_batch : 1000;
	if (c->no_batch)
		info->max_batch = 0;
	info->max_keys = c->max_keys != 0 ? c->max_keys : 1000;
	info->max_object = c->max_object != 0 ? c->max_object : 5ULL << 30;
	info->max_inflight = c->max_inflight;
}

int
mem_store_open(struct loop *l, const char *name, struct mem_data *d,
    const struct mem_config *c, struct store **out, struct err *e)
{
	struct mem_store *m = calloc(1, sizeof(*m));
	char url[128];

	snprintf(url, sizeof(url), "mem:%s", name);
	if (m == NULL)
		goto no_memory;
	if (c != NULL)
		m->conf = *c;
	if (store_head_init(&m->store, &mem_ops, l, url) < 0)
		goto no_memory;
	m->data = d != NULL ? mem_data_ref(d) : mem_data_new();
	if (m->data == NULL) {
		store_head_fini(&m->store);
		goto no_memory;
	}
	mem_info(&m->store.info, &m->conf);
	*out = &m->store;
	return 0;
no_memory:
	free(m);
	return err_errno(e, -ENOMEM, "open %s", url);
}
