/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_page.c: pages of the index as they are on the devices; see index.h.
 *
 * A checkpoint takes the encoding of each page that has changed, and tells
 * later where it is (index_written): by then the page may have been edited,
 * split or dropped, so it is known by its id.  An opening loads pages in the
 * order of their keys and checks every entry.
 */
#include "raw/index_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"

/* --- pages ------------------------------------------------------------------
 */

size_t
index_npages(const struct index *ix)
{
	return ix->npages;
}

struct index_page *
index_page(struct index *ix, size_t i)
{
	must(i < ix->npages);
	return ix->pages[i];
}

size_t
index_page_behind(const struct index *ix, const char *first_key)
{
	size_t n = strlen(first_key), at;
	const uint8_t *key = (const uint8_t *)first_key;
	const char *found;

	if (ix->npages == 0)
		return 0;
	/* The last page that begins with that or less; or the first page. */
	at = index_find_page(ix, key, n);
	found = ix->pages[at]->first_key;
	return index_key_compare(
		   (const uint8_t *)found, strlen(found), key, n) <= 0
		   ? at + 1
		   : at;
}

bool
index_page_dirty(const struct index_page *p)
{
	return p->dirty;
}

const char *
index_page_first_key(const struct index_page *p)
{
	return p->first_key;
}

uint32_t
index_page_bytes(const struct index_page *p)
{
	return PAGE_HEADER + p->len;
}

void
index_page_encode(const struct index_page *p, uint8_t *out)
{
	memset(out, 0, PAGE_HEADER);
	put_le32(out, LEAF_MAGIC);
	put_le32(out + 4, p->count);
	put_le32(out + 8, p->len);
	memcpy(out + PAGE_HEADER, p->bytes, p->len);
}

const struct raw_ref *
index_page_ref(const struct index_page *p)
{
	static const struct raw_ref none;

	return p->ref ? p->ref : &none;
}

int
index_page_reserve_ref(struct index *ix, struct index_page *p)
{
	if (p->ref)
		return 0;
	p->ref = calloc(1, sizeof(*p->ref));
	if (!p->ref)
		return -ENOMEM;
	ix->memory += sizeof(*p->ref);
	return 0;
}

struct index_dropped *
index_take_dropped(struct index *ix, size_t *n)
{
	struct index_dropped *d = ix->dropped;

	*n = ix->ndropped;
	ix->dropped = NULL;
	ix->ndropped = ix->dropped_cap = 0;
	return d;
}

int
index_put_dropped(struct index *ix, const struct index_dropped *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = index_drop_reserve(ix);

		if (rc < 0)
			return rc;
		ix->dropped[ix->ndropped++] = d[i];
	}
	return 0;
}

uint64_t
index_page_id(const struct index_page *p)
{
	return p->id;
}

void
index_page_clean(struct index_page *p)
{
	p->dirty = false;
}

void
index_dirty_all(struct index *ix)
{
	for (size_t i = 0; i < ix->npages; i++)
		ix->pages[i]->dirty = true;
}

void
index_written(struct index *ix, uint64_t id, const char *first_key,
    const struct raw_ref *ref)
{
	size_t at = ix->npages ? index_find_page(ix, (const uint8_t *)first_key,
				     strlen(first_key))
			       : 0;

	/* It is where its key says, unless the key has changed. */
	if (at >= ix->npages || ix->pages[at]->id != id)
		for (at = 0; at < ix->npages; at++)
			if (ix->pages[at]->id == id)
				break;
	if (at < ix->npages) {
		must(ix->pages[at]->ref); /* reserved at the snapshot */
		*ix->pages[at]->ref = *ref;
		return;
	}
	for (size_t i = 0; i < ix->ndropped; i++)
		if (ix->dropped[i].id == id) {
			ix->dropped[i].ref = *ref;
			return;
		}
	must(!"a page is in the index or was dropped");
}

/* Find the runs of a page that was read, checking every entry. */
static int
page_scan(struct index *ix, struct index_page *p, struct err *e)
{
	uint8_t key[RAW_KEY_MAX];
	uint32_t key_len = 0, off = 0, shared, more;

	while (off < p->len) {
		const uint8_t *in = p->bytes + off;
		size_t n = p->len - off,
		       head = index_key_head(in, n, key_len, &shared, &more);
		int64_t obj = -EBADMSG;

		if (head > 0 && !memchr(in + head, '\0', more))
			obj = raw_object_length(
			    ix->k, ix->m, in + head + more, n - head - more);
		if (obj < 0)
			return err_set(e, -EBADMSG,
			    "index page: entry %u is damaged", p->count);
		/* What it shares is equal: the rest decides. */
		if (p->count > 0 && index_key_compare(key + shared,
					key_len - shared, in + head, more) >= 0)
			return err_set(e, -EBADMSG,
			    "index page: entry %u is out of order", p->count);
		if (p->count == 0 && shared > 0)
			return err_set(e, -EBADMSG,
			    "index page: the first key is not whole");
		if (shared == 0) {
			if (index_page_reserve(ix, p, p->len, p->nruns + 1) < 0)
				return err_errno(e, -ENOMEM, "index page");
			p->runs[p->nruns++] = (struct run){off, 0};
		}
		if (++p->runs[p->nruns - 1].count > RUN_MAX)
			return err_set(e, -EBADMSG,
			    "index page: a run of more than %u entries",
			    RUN_MAX);
		memcpy(key + shared, in + head, more);
		key_len = shared + more;
		p->count++;
		off += (uint32_t)(head + more + (size_t)obj);
	}
	return 0;
}

/* All its keys are greater than those that are there. */
static bool
follows(struct index *ix, const struct index_page *p)
{
	struct index_page *q;
	const uint8_t *first, *last;
	uint32_t n, ln;
	unsigned c;

	if (ix->npages == 0)
		return true;
	q = ix->pages[ix->npages - 1];
	c = index_run_decode(ix, q, q->nruns - 1);
	last = ix->entries[c - 1].key;
	ln = ix->entries[c - 1].key_len;
	first = index_run_key(p, 0, &n);
	return index_key_compare(last, ln, first, n) < 0;
}

int
index_load_page(struct index *ix, const uint8_t *in, size_t n,
    const struct raw_ref *ref, struct err *e)
{
	struct index_page *p;
	size_t memory = ix->memory;
	const uint8_t *key;
	uint32_t len;
	int rc;

	if (n < PAGE_HEADER || get_le32(in) != LEAF_MAGIC)
		return err_set(e, -EBADMSG, "index page: no leaf page");
	len = get_le32(in + 8);
	if (len == 0 || len > n - PAGE_HEADER)
		return err_set(e, -EBADMSG,
		    "index page: %u bytes of entries in a page of %zu", len, n);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_errno(e, -ENOMEM, "index page");
	p->bytes = malloc(len);
	p->ref = malloc(sizeof(*p->ref));
	rc = -ENOMEM;
	if (!p->bytes || !p->ref) {
		err_errno(e, rc, "index page");
		goto fail;
	}
	*p->ref = *ref;
	p->len = p->cap = len;
	memcpy(p->bytes, in + PAGE_HEADER, len);
	rc = page_scan(ix, p, e);
	ix->memory = memory; /* it counts from its insertion on */
	if (rc < 0)
		goto fail;
	rc = -EBADMSG;
	if (p->count != get_le32(in + 4)) {
		err_set(e, rc, "index page: %u entries, should be %u", p->count,
		    get_le32(in + 4));
		goto fail;
	}
	if (!follows(ix, p)) {
		err_set(e, rc,
		    "index page: its keys do not follow the page "
		    "before");
		goto fail;
	}
	key = index_run_key(p, 0, &len);
	p->first_key = index_dup_key(key, len);
	rc = -ENOMEM;
	if (!p->first_key || index_pages_insert(ix, ix->npages, p) < 0) {
		err_errno(e, rc, "index page");
		goto fail;
	}
	ix->count += p->count;
	return 0;
fail:
	index_page_free(p);
	return rc;
}
