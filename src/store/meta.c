/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata: a few pairs of short strings, in the order in which they were
 * added.
 *
 * A block's object has two to four, and one set is made for each GET, so the
 * first pairs live inside the struct itself: usually one allocation for all.
 * Pairs never move, so what meta_get returned stays valid while others are
 * added.
 *
 * References may be taken and dropped on any thread; only the one holder adds.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "store/store.h"

#define META_ROOM 320 /* bytes for pairs inside the struct */

struct pair {
	struct pair *next;
	char *value; /* after the name, in the same memory */
	bool inside; /* of the struct's own room: not freed */
	char name[];
};

struct meta {
	unsigned refs; /* atomic */
	unsigned n;
	size_t bytes; /* names and values, at most META_MAX */
	size_t used;  /* of room */
	struct pair *first, **last;
	_Alignas(struct pair) char room[META_ROOM];
};

struct meta *
meta_new(void)
{
	struct meta *m = malloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	m->refs = 1;
	m->n = 0;
	m->bytes = m->used = 0;
	m->first = NULL;
	m->last = &m->first;
	return m;
}

struct meta *
meta_ref(struct meta *m)
{
	__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

static void
pair_free(struct pair *p)
{
	if (!p->inside)
		free(p);
}

void
meta_unref(struct meta *m)
{
	if (m == NULL || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (struct pair *p = m->first, *next; p != NULL; p = next) {
		next = p->next;
		pair_free(p);
	}
	free(m);
}

static bool
name_ok(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f || (*s >= 'A' && *s <= 'Z') ||
		    *s == ':')
			return false;
	return true;
}

static bool
value_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s >= 0x7f)
			return false;
	return true;
}

static struct pair *
pair_new(struct meta *m, const char *name, size_t nlen, const char *value,
    size_t vlen)
{
	size_t need = sizeof(struct pair) + nlen + vlen;
	struct pair *p;

	need = (need + _Alignof(struct pair) - 1) & -_Alignof(struct pair);
	if (need <= META_ROOM - m->used) {
		p = (struct pair *)(void *)(m->room + m->used);
		m->used += need;
		p->inside = true;
	} else {
		p = malloc(need);
		if (p == NULL)
			return NULL;
		p->inside = false;
	}
	p->value = p->name + nlen;
	memcpy(p->name, name, nlen);
	memcpy(p->value, value, vlen);
	return p;
}

int
meta_add(struct meta *m, const char *name, const char *value)
{
	size_t nlen = strlen(name) + 1, vlen = strlen(value) + 1, gone = 0;
	struct pair **at, *p;

	must(__atomic_load_n(&m->refs, __ATOMIC_RELAXED) == 1);
	if (!name_ok(name) || !value_ok(value))
		return -EINVAL;
	for (at = &m->first; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->name, name) == 0) {
			gone = nlen + strlen((*at)->value) + 1;
			break;
		}
	if (nlen + vlen > META_MAX - (m->bytes - gone))
		return -E2BIG;
	p = pair_new(m, name, nlen, value, vlen);
	if (p == NULL)
		return -ENOMEM;
	m->bytes += nlen + vlen - gone;
	if (*at != NULL) { /* take the old one's place */
		struct pair *old = *at;

		p->next = old->next;
		*at = p;
		if (p->next == NULL)
			m->last = &p->next;
		pair_free(old);
		return 0;
	}
	p->next = NULL;
	*m->last = p;
	m->last = &p->next;
	m->n++;
	return 0;
}

const char *
meta_get(const struct meta *m, const char *name)
{
	if (m == NULL)
		return NULL;
	for (const struct pair *p = m->first; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p->value;
	return NULL;
}

unsigned
meta_count(const struct meta *m)
{
	return m == NULL ? 0 : m->n;
}

void
meta_nth(const struct meta *m, unsigned i, const char **name,
    const char **value)
{
	const struct pair *p;

	must(m != NULL && i < m->n);
	for (p = m->first; i > 0; i--)
		p = p->next;
	*name = p->name;
	*value = p->value;
}
