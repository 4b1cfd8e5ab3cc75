/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c: the index in memory, look-up and walks; see index.h.
 *
 * A page keeps its entries encoded, exactly as on the device, and beside them
 * where its runs begin.  To look up: binary search over the pages' first keys,
 * then over the first keys of the runs (they share nothing, so they stand in
 * full), then a scan of at most 32 entries.  Edits are in index_edit.c.
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

size_t
index_page_memory(const struct index_page *p)
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
	uint32_t shared, more;
	size_t a = index_key_head(in, n, *key_len, &shared, &more);

	if (a == 0)
		return 0;
	memcpy(key + shared, in + a, more);
	*key_len = shared + more;
	return a + more;
}

/*
 * Decode the entry at in: its key is built in key[], which holds the key
 * before.  Returns its length, or 0 if it is damaged.
 */
static size_t
entry_decode(const struct index *ix, const uint8_t *in, size_t n, uint8_t *key,
    uint32_t *key_len, const uint8_t **obj, uint32_t *obj_len)
{
	size_t a = key_decode(in, n, key, key_len);
	int64_t used;

	if (a == 0)
		return 0;
	used = raw_object_length(ix->k, ix->m, in + a, n - a);
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

uint32_t
index_run_end(const struct index_page *p, uint32_t r)
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

uint32_t
index_find_run(const struct index_page *p, const uint8_t *key, size_t n)
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
	size_t left = index_run_end(p, r) - p->runs[r].off;
	uint8_t key[RAW_KEY_MAX];
	uint32_t key_len = 0;
	unsigned n = 0;

	while (left > 0) {
		struct entry *en = &ix->entries[n];
		size_t used = entry_decode(
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
 * its object's bytes, NULL at the run's end; the key found, or the last one, is
 * left in found.
 */
const uint8_t *
index_run_scan(const struct index *ix, const struct index_page *p, uint32_t r,
    const uint8_t *key, size_t n, bool after, uint8_t *found,
    uint32_t *found_len, uint32_t *obj_len)
{
	const uint8_t *in = p->bytes + p->runs[r].off, *obj;
	size_t left = index_run_end(p, r) - p->runs[r].off;

	*found_len = 0;
	while (left > 0) {
		size_t used =
		    entry_decode(ix, in, left, found, found_len, &obj, obj_len);
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
	obj = index_run_scan(ix, p, index_find_run(p, k, n), k, n, false, found,
	    &found_len, &obj_len);
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

		for (uint32_t r = index_find_run(p, key, n); r < p->nruns;
		     r++) {
			const uint8_t *obj = index_run_scan(ix, p, r, key, n,
			    true, found, &found_len, &obj_len);

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
			size_t head =
			    key_decode(p->bytes + off, p->len - off, key, &len);
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
