/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_edit.c: changes of the index; see index.h.
 *
 * What most edits are is done in place: an object as long as the one before it,
 * as when a block is written again, and a key behind all others of its run, as
 * when a volume is filled.  For others the run is decoded to a list of entries,
 * changed, encoded to scratch memory, and put in the place of the old one; only
 * then does anything change, so a failure leaves the index as it was.
 *
 * A page that grows beyond PAGE_SPLIT bytes is split at a run; one that becomes
 * empty is dropped.  Pages do not merge otherwise: keys of volumes come back.
 */
#include "raw/index_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

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

/* Bytes that two keys begin with in common, as far as an entry can say. */
static uint32_t
shared_bytes(const uint8_t *a, uint32_t an, const uint8_t *b, uint32_t bn)
{
	uint32_t n = 0;

	while (n < an && n < bn && a[n] == b[n])
		n++;
	return n;
}

static size_t
entry_encode(const struct entry *en, uint32_t shared, uint8_t *out)
{
	size_t at = raw_varint_encode(shared, out);

	at += raw_varint_encode(en->key_len - shared, out + at);
	memcpy(out + at, en->key + shared, en->key_len - shared);
	at += en->key_len - shared;
	memcpy(out + at, en->obj, en->obj_len);
	return at + en->obj_len;
}

/* Encode entries [from, to) as one run into ix->out + at; bytes written. */
static size_t
run_encode(struct index *ix, unsigned from, unsigned to, size_t at)
{
	size_t begin = at;

	for (unsigned i = from; i < to; i++) {
		const struct entry *en = &ix->entries[i], *b = en - 1;

		at += entry_encode(en,
		    i == from ? 0
			      : shared_bytes(
				    b->key, b->key_len, en->key, en->key_len),
		    ix->out + at);
	}
	return at - begin;
}

/* Room for len bytes and nruns runs. */
int
index_page_reserve(
    struct index *ix, struct index_page *p, size_t len, uint32_t nruns)
{
	size_t before = index_page_memory(p);

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
	ix->memory += index_page_memory(p) - before;
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
	uint32_t old_end = p->nruns ? index_run_end(p, r) : 0;
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
	ix->memory += index_page_memory(p);
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
	ix->memory -= index_page_memory(p);
	index_page_free(p);
	ix->npages--;
	memmove(ix->pages + at, ix->pages + at + 1,
	    (ix->npages - at) * sizeof(*ix->pages));
}

/* Give back room that a page which has been split does not need. */
static void
page_trim(struct index *ix, struct index_page *p)
{
	size_t before = index_page_memory(p);
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
	ix->memory -= before - index_page_memory(p);
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

/* The object of a key that is there already is as long as before: in place. */
static bool
replace_in_place(struct index_page *p, const uint8_t *old, uint32_t old_len,
    const uint8_t *obj, size_t len)
{
	if (old_len != len)
		return false;
	memcpy(p->bytes + (old - p->bytes), obj, len);
	p->dirty = true;
	return true;
}

/*
 * A key behind all others of run r: nothing else there changes.  last is the
 * last key so far.  1: done; 0: the run would become too long; -ENOMEM.
 */
static int
append_to_run(struct index *ix, struct index_page *p, uint32_t r,
    const struct entry *en, const uint8_t *last, uint32_t last_len)
{
	uint32_t end = index_run_end(p, r), shared;
	size_t need = 2 * RAW_VARINT_MAX + en->key_len + en->obj_len, n;
	uint8_t *out;

	if (p->runs[r].count >= RUN_MAX ||
	    end - p->runs[r].off + need > RUN_BYTES)
		return 0;
	if (index_page_reserve(ix, p, p->len + need, p->nruns) < 0 ||
	    out_reserve(ix, need) < 0)
		return -ENOMEM;
	shared = shared_bytes(last, last_len, en->key, en->key_len);
	n = entry_encode(en, shared, ix->out);
	out = p->bytes + end;
	memmove(out + n, out, p->len - end);
	memcpy(out, ix->out, n);
	p->len += (uint32_t)n;
	p->runs[r].count++;
	for (uint32_t i = r + 1; i < p->nruns; i++)
		p->runs[i].off += (uint32_t)n;
	p->count++;
	ix->count++;
	p->dirty = true;
	return 1;
}

/* The whole run anew. */
static int
rewrite_run(
    struct index *ix, struct index_page *p, uint32_t r, const struct entry *en)
{
	unsigned count = p->nruns > 0 ? index_run_decode(ix, p, r) : 0, i;
	bool equal;
	int rc;

	i = entries_find(ix, count, en->key, en->key_len, &equal);
	if (!equal) {
		memmove(ix->entries + i + 1, ix->entries + i,
		    (count - i) * sizeof(*ix->entries));
		count++;
	}
	ix->entries[i] = *en;
	rc = page_replace_run(ix, p, r, count);
	if (rc == 0 && !equal)
		ix->count++;
	return rc;
}

/* Insert or replace an entry in the page at `at`. */
static int
page_put(struct index *ix, size_t at, const struct entry *en)
{
	struct index_page *p = ix->pages[at];
	uint8_t found[RAW_KEY_MAX];
	uint32_t r = 0, found_len = 0, old_len;
	const uint8_t *old = NULL;
	bool last = false; /* of all keys of the page */
	int rc = 0;

	if (p->nruns > 0) {
		r = index_find_run(p, en->key, en->key_len);
		old = index_run_scan(ix, p, r, en->key, en->key_len, false,
		    found, &found_len, &old_len);
		last = !old && r + 1 == p->nruns;
	}
	if (old &&
	    index_key_compare(found, found_len, en->key, en->key_len) == 0 &&
	    replace_in_place(p, old, old_len, en->obj, en->obj_len))
		return 0;
	if (p->nruns > 0 && !old)
		rc = append_to_run(ix, p, r, en, found, found_len);
	if (rc == 0)
		rc = rewrite_run(ix, p, r, en);
	if (rc < 0)
		return rc;
	if (p->len > PAGE_SPLIT)
		page_split(ix, at, last && at + 1 == ix->npages);
	return 0;
}

int
index_put(struct index *ix, const char *key, const struct raw_object *o)
{
	uint8_t small[1024], *obj = small;
	struct entry en = {
	    .key = (const uint8_t *)key, .key_len = (uint32_t)strlen(key)};
	char *first = NULL;
	int rc = -ENOMEM;
	size_t at;

	must(en.key_len > 0 && en.key_len <= RAW_KEY_MAX);
	if (raw_object_bound(o) > sizeof(small))
		obj = malloc(raw_object_bound(o));
	if (!obj)
		return -ENOMEM;
	en.obj = obj;
	en.obj_len = (uint32_t)raw_object_encode(o, obj);
	if (ix->npages == 0 && first_page(ix, en.key, en.key_len) < 0)
		goto out;
	at = index_find_page(ix, en.key, en.key_len);
	/* Smaller than all: it becomes the page's first key. */
	if (at == 0 && strcmp(key, ix->pages[0]->first_key) < 0) {
		first = index_dup_key(en.key, en.key_len);
		if (!first)
			goto out;
	}
	rc = page_put(ix, at, &en);
	if (rc == 0 && first) {
		free(ix->pages[0]->first_key);
		ix->pages[0]->first_key = first;
		first = NULL;
	}
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
	r = index_find_run(p, k, n);
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
