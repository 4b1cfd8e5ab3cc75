/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of a listing: an array of entries and one block of memory with all
 * keys behind one another.  Both grow by doubling, and how large they are
 * follows from how much is in them, so that a page needs no more fields than
 * its users see.  When the keys move, the entries are pointed at them again:
 * a thousand keys move some five times.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

#define PAGE_MIN_ENTRIES 16
#define PAGE_MIN_KEYS 1024 /* bytes */

/* The size that was allocated for used elements: the least power of two that
 * holds them. */
static size_t
page_cap(size_t used, size_t min)
{
	size_t cap = min;

	if (used == 0)
		return 0;
	while (cap < used)
		cap *= 2;
	return cap;
}

static size_t
page_keys_used(const struct store_page *p)
{
	const char *last;

	if (p->n == 0)
		return 0;
	last = p->v[p->n - 1].key;
	return (size_t)(last - (const char *)p->mem) + strlen(last) + 1;
}

static int
page_grow_keys(struct store_page *p, size_t used, size_t more)
{
	char *old = p->mem, *mem;

	if (used + more <= page_cap(used, PAGE_MIN_KEYS))
		return 0;
	mem = malloc(page_cap(used + more, PAGE_MIN_KEYS));
	if (mem == NULL)
		return -1;
	if (used != 0)
		memcpy(mem, old, used);
	for (size_t i = 0; i < p->n; i++)
		p->v[i].key = mem + (p->v[i].key - old);
	free(old);
	p->mem = mem;
	return 0;
}

struct store_entry *
store_page_add(struct store_page *p, const char *key, size_t len)
{
	size_t used = page_keys_used(p);
	struct store_entry *v;

	if (p->n == page_cap(p->n, PAGE_MIN_ENTRIES)) {
		v = realloc(p->v,
		    page_cap(p->n + 1, PAGE_MIN_ENTRIES) * sizeof(*v));
		if (v == NULL)
			return NULL;
		p->v = v;
	}
	if (page_grow_keys(p, used, len + 1) < 0)
		return NULL;
	v = &p->v[p->n++];
	memset(v, 0, sizeof(*v));
	v->key = (char *)p->mem + used;
	memcpy((char *)p->mem + used, key, len);
	((char *)p->mem)[used + len] = '\0';
	return v;
}

void
store_page_fini(struct store_page *p)
{
	free(p->v);
	free(p->mem);
	memset(p, 0, sizeof(*p));
}
