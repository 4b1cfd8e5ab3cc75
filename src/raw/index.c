/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: the index in memory; see index.h.
 *
 * A page keeps its entries encoded, exactly as on the device, and beside them
 * where its runs begin.  To look up: binary search over the pages' first keys,
 * then over the first keys of the runs (they share nothing, so they stand in
 * full), then a scan of at most 32 entries.  To edit: the run is decoded to a
 * list of entries, changed, encoded to scratch memory, and put in the place of
 * the old one; only then does anything change, so a failure leaves the index as
 * it was.
 *
 * A page that grows beyond PAGE_SPLIT bytes is split at a run; one that becomes
 * empty is dropped.  Pages do not merge otherwise: keys of volumes come back.
 */
#include "raw/index_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"

struct index *
index_new(unsigned k, unsigned m)
{
	struct index *ix = calloc(1, sizeof(*ix));

	if (!ix)
		return NULL;
	ix->k = k;
	ix->m = m;
	ix->memory = sizeof(*ix);
	return ix;
}

static size_t
page_memory(const struct index_page *p)
{
	return sizeof(*p) + p->cap + p->runs_cap * sizeof(*p->runs) +
	       (p->ref ? sizeof(*p->ref) : 0) + 64;
}

void
index_page_free(struct index_page *p)
{
	if (!p)
		return;
	free(p->bytes);
	free(p->runs);
	free(p->first_key);
	free(p->ref);
	free(p);
}

void
index_free(struct index *ix)
{
	if (!ix)
		return;
	for (size_t i = 0; i < ix->npages; i++)
		index_page_free(ix->pages[i]);
	free(ix->pages);
	free(ix->dropped);
	free(ix->out);
	free(ix);
}

/* --- reading a page ------------------------------------------------------- */

int
index_key_compare(const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
	int c = memcmp(a, b, an < bn ? an : bn);

	if (c != 0)
		return c;
	return an < bn ? -1 : an > bn;
}

/* The key of the entry at in, built in key[], which holds the key before.
 * Returns where its object begins, or 0 if it is damaged. */
static size_t
key_decode(const uint8_t *in, size_t n, uint8_t *key, uint32_t *key_len)
{
	uint64_t shared, more;
	size_t a = raw_varint_decode(&shared, in, n), b;

	if (a == 0)
		return 0;
	b = raw_varint_decode(&more, in + a, n - a);
	if (b == 0 || shared > *key_len || shared + more == 0 ||
	    shared + more > RAW_KEY_MAX || more > n - a - b)
		return 0;
	memcpy(key + shared, in + a + b, more);
	*key_len = (uint32_t)(shared + more);
	return a + b + more;
}

/*
 * Decode the entry at in: its key is built in key[], which holds the key
 * before.  Returns its length, or 0 if it is damaged.
 */
size_t
index_entry_decode(const struct index *ix, const uint8_t *in, size_t n,
    uint8_t *key, uint32_t *key_len, const uint8_t **obj, uint32_t *obj_len)
{
	size_t a = key_decode(in, n, key, key_len);
	struct raw_object o;
	int64_t used;

	if (a == 0)
		return 0;
	used = raw_object_decode(&o, NULL, 0, ix->k, ix->m, in + a, n - a);
	if (used < 0)
		return 0;
	*obj = in + a;
	*obj_len = (uint32_t)used;
	return a + (size_t)used;
}

/* The key that a run begins with; it stands in full. */
const uint8_t *
index_run_key(const struct index_page *p, uint32_t r, uint32_t *len)
{
	const uint8_t *in = p->bytes + p->runs[r].off;
	uint64_t shared, more;
	size_t a = raw_varint_decode(&shared, in, p->len - p->runs[r].off);
	size_t b = raw_varint_decode(&more, in + a, 10);

	must(a > 0 && b > 0 && shared == 0);
	*len = (uint32_t)more;
	return in + a + b;
}

static uint32_t
run_end(const struct index_page *p, uint32_t r)
{
	return r + 1 < p->nruns ? p->runs[r + 1].off : p->len;
}

/* The last page whose first key is <= key (the first page if none is). */
size_t
index_find_page(const struct index *ix, const uint8_t *key, size_t n)
{
	size_t lo = 0, hi = ix->npages;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const char *first = ix->pages[mid]->first_key;

		if (index_key_compare(
			(const uint8_t *)first, strlen(first), key, n) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 ? lo - 1 : 0;
}

static uint32_t
find_run(const struct index_page *p, const uint8_t *key, size_t n)
{
	uint32_t lo = 0, hi = p->nruns;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2, len;
		const uint8_t *first = index_run_key(p, mid, &len);

		if (index_key_compare(first, len, key, n) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 ? lo - 1 : 0;
}

/* Decode a run into ix->entries; the number of entries. */
unsigned
index_run_decode(struct index *ix, const struct index_page *p, uint32_t r)
{
	const uint8_t *in = p->bytes + p->runs[r].off;
	size_t left = run_end(p, r) - p->runs[r].off;
	uint8_t key[RAW_KEY_MAX];
	uint32_t key_len = 0;
	unsigned n = 0;

	while (left > 0) {
		struct entry *en = &ix->entries[n];
		size_t used = index_entry_decode(
		    ix, in, left, key, &key_len, &en->obj, &en->obj_len);

		must(used > 0 && n < RUN_MAX);
		memcpy(ix->keys + n * RAW_KEY_MAX, key, key_len);
		en->key = ix->keys + n * RAW_KEY_MAX;
		en->key_len = key_len;
		in += used;
		left -= used;
		n++;
	}
	must(n == p->runs[r].count);
	return n;
}

/* Find the entry with key, or the first greater one, in ix->entries. */
static unsigned
entries_find(const struct index *ix, unsigned n, const uint8_t *key,
    size_t key_len, bool *equal)
{
	*equal = false;
	for (unsigned i = 0; i < n; i++) {
		int c = index_key_compare(
		    ix->entries[i].key, ix->entries[i].key_len, key, key_len);

		if (c >= 0) {
			*equal = c == 0;
			return i;
		}
	}
	return n;
}

static int
entry_object(const struct index *ix, const uint8_t *obj, uint32_t obj_len,
    struct raw_object *o, struct raw_extent *ext, unsigned maxext)
{
	int64_t rc =
	    raw_object_decode(o, ext, maxext, ix->k, ix->m, obj, obj_len);

	must(rc != -EBADMSG); /* it was checked when it came in */
	return rc < 0 ? (int)rc : 0;
}

/*
 * Scan run r of page p for the first entry >= key (> key if after).  Returns
 * its object's bytes, NULL at the run's end; the key found is left in found.
 */
static const uint8_t *
run_scan(const struct index *ix, const struct index_page *p, uint32_t r,
    const uint8_t *key, size_t n, bool after, uint8_t *found,
    uint32_t *found_len, uint32_t *obj_len)
{
	const uint8_t *in = p->bytes + p->runs[r].off, *obj;
	size_t left = run_end(p, r) - p->runs[r].off;

	*found_len = 0;
	while (left > 0) {
		size_t used = index_entry_decode(
		    ix, in, left, found, found_len, &obj, obj_len);
		int c;

		must(used > 0);
		c = index_key_compare(found, *found_len, key, n);
		if (c > 0 || (c == 0 && !after))
			return obj;
		in += used;
		left -= used;
	}
	return NULL;
}

int
index_get(struct index *ix, const char *key, struct raw_object *o,
    struct raw_extent *ext, unsigned maxext)
{
	size_t n = strlen(key);
	const uint8_t *k = (const uint8_t *)key, *obj;
	uint8_t found[RAW_KEY_MAX];
	uint32_t found_len, obj_len;
	struct index_page *p;

	if (ix->npages == 0)
		return -ENOENT;
	p = ix->pages[index_find_page(ix, k, n)];
	obj = run_scan(
	    ix, p, find_run(p, k, n), k, n, false, found, &found_len, &obj_len);
	if (!obj || index_key_compare(found, found_len, k, n) != 0)
		return -ENOENT;
	return entry_object(ix, obj, obj_len, o, ext, maxext);
}

bool
index_has(struct index *ix, const char *key, uint64_t seq)
{
	struct raw_object o;

	return index_get(ix, key, &o, NULL, 0) == 0 && o.seq == seq;
}

/* --- editing ----------------------------------------------------------------
 */

static int
out_reserve(struct index *ix, size_t n)
{
	uint8_t *out;

	if (n <= ix->out_cap)
		return 0;
	out = realloc(ix->out, n);
	if (!out)
		return -ENOMEM;
	ix->memory += n - ix->out_cap;
	ix->out = out;
	ix->out_cap = n;
	return 0;
}

/* Encode entries [from, to) as one run into ix->out + at; bytes written. */
static size_t
run_encode(struct index *ix, unsigned from, unsigned to, size_t at)
{
	size_t begin = at;

	for (unsigned i = from; i < to; i++) {
		const struct entry *en = &ix->entries[i];
		uint32_t shared = 0;

		if (i > from) {
			const struct entry *b = &ix->entries[i - 1];

			while (shared < en->key_len && shared < b->key_len &&
			       en->key[shared] == b->key[shared])
				shared++;
		}
		at += raw_varint_encode(shared, ix->out + at);
		at += raw_varint_encode(en->key_len - shared, ix->out + at);
		memcpy(ix->out + at, en->key + shared, en->key_len - shared);
		at += en->key_len - shared;
		memcpy(ix->out + at, en->obj, en->obj_len);
		at += en->obj_len;
	}
	return at - begin;
}

/* Room for len bytes and nruns runs. */
int
index_page_reserve(
    struct index *ix, struct index_page *p, size_t len, uint32_t nruns)
{
	size_t before = page_memory(p);

	if (len > p->cap) {
		size_t cap = len + len / 8 + 256;
		uint8_t *bytes = realloc(p->bytes, cap);

		if (!bytes)
			return -ENOMEM;
		p->bytes = bytes;
		p->cap = (uint32_t)cap;
	}
	if (nruns > p->runs_cap) {
		uint32_t cap = nruns + nruns / 4 + 4;
		struct run *runs = realloc(p->runs, cap * sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		p->runs = runs;
		p->runs_cap = cap;
	}
	ix->memory += page_memory(p) - before;
	return 0;
}

/* Where the n entries are cut into two runs; n: they are one. */
static unsigned
run_cut(const struct index *ix, unsigned n, size_t bytes)
{
	size_t sum = 0;
	unsigned i = 0;

	if (bytes <= RUN_BYTES || n < 2)
		return n > RUN_MAX ? n / 2 : n;
	while (i + 1 < n && (i == 0 || sum < bytes / 2))
		sum += ix->entries[i++].obj_len;
	return i;
}

/*
 * Put ix->entries[0..n) in the place of run r (of a page without runs: as its
 * first).  n may be 0.
 */
static int
page_replace_run(struct index *ix, struct index_page *p, uint32_t r, unsigned n)
{
	uint32_t old_off = p->nruns ? p->runs[r].off : 0;
	uint32_t old_end = p->nruns ? run_end(p, r) : 0;
	uint32_t old_runs = p->nruns ? 1 : 0;
	unsigned old_count = p->nruns ? p->runs[r].count : 0;
	uint32_t new_runs;
	unsigned half;
	size_t need = 0, first, total;
	int64_t grow;
	int rc;

	for (unsigned i = 0; i < n; i++)
		need += 2 * RAW_VARINT_MAX + ix->entries[i].key_len +
			ix->entries[i].obj_len;
	half = run_cut(ix, n, need);
	new_runs = n == 0 ? 0 : half < n ? 2 : 1;
	rc = out_reserve(ix, need);
	if (rc < 0)
		return rc;
	first = run_encode(ix, 0, half, 0);
	total = first + (half < n ? run_encode(ix, half, n, first) : 0);
	grow = (int64_t)total - (old_end - old_off);
	rc = index_page_reserve(ix, p, (size_t)((int64_t)p->len + grow),
	    p->nruns - old_runs + new_runs);
	if (rc < 0)
		return rc;
	/* Nothing fails from here on. */
	memmove(
	    p->bytes + old_off + total, p->bytes + old_end, p->len - old_end);
	if (total > 0)
		memcpy(p->bytes + old_off, ix->out, total);
	memmove(p->runs + r + new_runs, p->runs + r + old_runs,
	    (p->nruns - r - old_runs) * sizeof(*p->runs));
	p->nruns = p->nruns - old_runs + new_runs;
	p->len = (uint32_t)((int64_t)p->len + grow);
	if (new_runs > 0)
		p->runs[r] = (struct run){old_off, (uint16_t)half};
	if (new_runs == 2)
		p->runs[r + 1] = (struct run){
		    old_off + (uint32_t)first, (uint16_t)(n - half)};
	for (uint32_t i = r + new_runs; i < p->nruns; i++)
		p->runs[i].off = (uint32_t)(p->runs[i].off + grow);
	p->count = p->count - old_count + n;
	p->dirty = true;
	return 0;
}

/* The run's first key may have become the page's. */
char *
index_dup_key(const uint8_t *key, size_t n)
{
	char *s = malloc(n + 1);

	if (!s)
		return NULL;
	memcpy(s, key, n);
	s[n] = '\0';
	return s;
}

int
index_pages_insert(struct index *ix, size_t at, struct index_page *p)
{
	if (ix->npages == ix->cap) {
		size_t cap = ix->cap ? 2 * ix->cap : 16;
		struct index_page **pages =
		    realloc(ix->pages, cap * sizeof(*pages));

		if (!pages)
			return -ENOMEM;
		ix->memory += (cap - ix->cap) * sizeof(*pages);
		ix->pages = pages;
		ix->cap = cap;
	}
	memmove(ix->pages + at + 1, ix->pages + at,
	    (ix->npages - at) * sizeof(*ix->pages));
	p->id = ix->next_id++;
	ix->pages[at] = p;
	ix->npages++;
	ix->memory += page_memory(p);
	return 0;
}

/* Remember where a page was that is no more. */
int
index_drop_reserve(struct index *ix)
{
	if (ix->ndropped == ix->dropped_cap) {
		size_t cap = ix->dropped_cap ? 2 * ix->dropped_cap : 16;
		struct index_dropped *d =
		    realloc(ix->dropped, cap * sizeof(*d));

		if (!d)
			return -ENOMEM;
		ix->dropped = d;
		ix->dropped_cap = cap;
	}
	return 0;
}

static void
pages_remove(struct index *ix, size_t at)
{
	struct index_page *p = ix->pages[at];

	ix->dropped[ix->ndropped++] =
	    (struct index_dropped){p->id, *index_page_ref(p)};
	ix->memory -= page_memory(p);
	index_page_free(p);
	ix->npages--;
	memmove(ix->pages + at, ix->pages + at + 1,
	    (ix->npages - at) * sizeof(*ix->pages));
}

/* Give back room that a page which has been split does not need. */
static void
page_trim(struct index *ix, struct index_page *p)
{
	size_t before = page_memory(p);
	uint8_t *bytes = realloc(p->bytes, p->len);
	struct run *runs = realloc(p->runs, p->nruns * sizeof(*runs));

	if (bytes) {
		p->bytes = bytes;
		p->cap = p->len;
	}
	if (runs) {
		p->runs = runs;
		p->runs_cap = p->nruns;
	}
	ix->memory -= before - page_memory(p);
}

/*
 * Split a page that has grown, behind the run nearest its middle (behind the
 * last but one if it was appended to: keys that come in order fill pages).
 * Lack of memory is no error: the page stays long until the next edit.
 */
static void
page_split(struct index *ix, size_t at, bool appended)
{
	struct index_page *p = ix->pages[at], *q;
	uint32_t r = 1, off, len;
	const uint8_t *key;

	if (p->nruns < 2)
		return;
	while (r + 1 < p->nruns && (appended || p->runs[r].off < p->len / 2))
		r++;
	q = calloc(1, sizeof(*q));
	if (!q)
		return;
	off = p->runs[r].off;
	key = index_run_key(p, r, &len);
	q->first_key = index_dup_key(key, len);
	q->bytes = malloc(p->len - off);
	q->runs = malloc((p->nruns - r) * sizeof(*q->runs));
	if (!q->first_key || !q->bytes || !q->runs) {
		index_page_free(q);
		return;
	}
	q->len = q->cap = p->len - off;
	memcpy(q->bytes, p->bytes + off, q->len);
	q->nruns = q->runs_cap = p->nruns - r;
	for (uint32_t i = 0; i < q->nruns; i++) {
		q->runs[i] = p->runs[r + i];
		q->runs[i].off -= off;
		q->count += q->runs[i].count;
	}
	q->dirty = true;
	if (index_pages_insert(ix, at + 1, q) < 0) {
		index_page_free(q);
		return;
	}
	p->len = off;
	p->nruns = r;
	p->count -= q->count;
	p->dirty = true;
	page_trim(ix, p);
}

static int
first_page(struct index *ix, const uint8_t *key, size_t n)
{
	struct index_page *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->first_key = index_dup_key(key, n);
	if (!p->first_key || index_pages_insert(ix, 0, p) < 0) {
		index_page_free(p);
		return -ENOMEM;
	}
	return 0;
}

int
index_put(struct index *ix, const char *key, const struct raw_object *o)
{
	const uint8_t *k = (const uint8_t *)key;
	size_t n = strlen(key), at;
	uint8_t small[1024], *obj = small;
	struct index_page *p;
	uint32_t r = 0;
	unsigned count = 0, i;
	bool equal = false, appended;
	char *first = NULL;
	int rc = -ENOMEM;

	must(n > 0 && n <= RAW_KEY_MAX);
	if (raw_object_bound(o) > sizeof(small))
		obj = malloc(raw_object_bound(o));
	if (!obj)
		return -ENOMEM;
	if (ix->npages == 0 && first_page(ix, k, n) < 0)
		goto out;
	at = index_find_page(ix, k, n);
	p = ix->pages[at];
	if (p->nruns > 0) {
		r = find_run(p, k, n);
		count = index_run_decode(ix, p, r);
	}
	i = entries_find(ix, count, k, n, &equal);
	/* Smaller than all: it becomes the page's first key. */
	if (at == 0 && r == 0 && i == 0 && !equal) {
		first = index_dup_key(k, n);
		if (!first)
			goto out;
	}
	if (!equal) {
		memmove(ix->entries + i + 1, ix->entries + i,
		    (count - i) * sizeof(*ix->entries));
		count++;
	}
	ix->entries[i] = (struct entry){
	    k, (uint32_t)n, obj, (uint32_t)raw_object_encode(o, obj)};
	appended = at + 1 == ix->npages && r + 1 >= p->nruns && i + 1 == count;
	rc = page_replace_run(ix, p, r, count);
	if (rc < 0)
		goto out;
	if (!equal)
		ix->count++;
	if (first) {
		free(p->first_key);
		p->first_key = first;
		first = NULL;
	}
	if (p->len > PAGE_SPLIT)
		page_split(ix, at, appended);
out:
	/* A page that the failure left empty must not stay. */
	if (rc < 0 && ix->npages == 1 && ix->pages[0]->count == 0)
		pages_remove(ix, 0);
	free(first);
	if (obj != small)
		free(obj);
	return rc;
}

int
index_delete(struct index *ix, const char *key)
{
	const uint8_t *k = (const uint8_t *)key;
	size_t n = strlen(key), at;
	struct index_page *p;
	unsigned count, i;
	bool equal;
	uint32_t r;
	int rc;

	if (ix->npages == 0)
		return -ENOENT;
	at = index_find_page(ix, k, n);
	p = ix->pages[at];
	r = find_run(p, k, n);
	count = index_run_decode(ix, p, r);
	i = entries_find(ix, count, k, n, &equal);
	if (!equal)
		return -ENOENT;
	rc = index_drop_reserve(ix);
	if (rc < 0)
		return rc;
	memmove(ix->entries + i, ix->entries + i + 1,
	    (count - i - 1) * sizeof(*ix->entries));
	rc = page_replace_run(ix, p, r, count - 1);
	if (rc < 0)
		return rc;
	ix->count--;
	/* first_key may now be smaller than the first entry: still a bound. */
	if (p->count == 0)
		pages_remove(ix, at);
	return 0;
}

/* --- walking ------------------------------------------------------------- */

void
index_walk_init(struct index_walk *w, struct index *ix, const char *after)
{
	size_t n = after ? strlen(after) : 0;

	must(n <= RAW_KEY_MAX);
	w->ix = ix;
	memcpy(w->key, after ? after : "", n + 1);
}

int
index_walk_next(struct index_walk *w, struct raw_object *o,
    struct raw_extent *ext, unsigned maxext)
{
	struct index *ix = w->ix;
	const uint8_t *key = (const uint8_t *)w->key;
	size_t n = strlen(w->key), at;
	uint8_t found[RAW_KEY_MAX];
	uint32_t found_len, obj_len;

	for (at = ix->npages ? index_find_page(ix, key, n) : 0; at < ix->npages;
	     at++) {
		struct index_page *p = ix->pages[at];

		for (uint32_t r = find_run(p, key, n); r < p->nruns; r++) {
			const uint8_t *obj = run_scan(ix, p, r, key, n, true,
			    found, &found_len, &obj_len);

			if (!obj)
				continue;
			memcpy(w->key, found, found_len);
			w->key[found_len] = '\0';
			if (entry_object(ix, obj, obj_len, o, ext, maxext) < 0)
				return -E2BIG;
			return 1;
		}
	}
	return 0;
}

int
index_each(struct index *ix, struct raw_extent *ext, unsigned maxext,
    int (*visit)(void *arg, const char *key, const struct raw_object *o),
    void *arg)
{
	uint8_t key[RAW_KEY_MAX + 1];
	struct raw_object o;

	for (size_t at = 0; at < ix->npages; at++) {
		const struct index_page *p = ix->pages[at];
		uint32_t len = 0, off = 0;

		while (off < p->len) {
			size_t head = key_decode(
			    p->bytes + off, p->len - off, key, &len);
			int64_t rc;

			must(head > 0);
			off += (uint32_t)head;
			rc = raw_object_decode(&o, ext, maxext, ix->k, ix->m,
			    p->bytes + off, p->len - off);
			must(rc != -EBADMSG);
			if (rc < 0)
				return (int)rc;
			off += (uint32_t)rc;
			key[len] = '\0';
			rc = visit(arg, (const char *)key, &o);
			if (rc != 0)
				return (int)rc;
		}
	}
	return 0;
}

uint64_t
index_count(const struct index *ix)
{
	return ix->count;
}

size_t
index_memory(const struct index *ix)
{
	return ix->memory;
}
