/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c: open addressing, linear probing; see map.h.
 *
 * At most three quarters of the slots are taken, so every search ends at a free
 * one.  What always holds: between an entry's home slot and the slot where it
 * stands none is free.  Removal keeps that without tombstones: the entries that
 * follow are looked at one by one, and each that may stand in the hole (its
 * home is not behind the hole) is moved there and leaves a new hole.  So a map
 * that lives for months under insert and remove is as fast as a fresh one.
 */
#include "base/map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/must.h"

#define BITS_MIN 4
#define BITS_MAX 48

static bool
fits(unsigned bits, size_t n)
{
	size_t slots = (size_t)1 << bits;

	return bits > 0 && n <= slots - slots / 4;
}

/* Where key is or would be put. */
static struct map_slot *
slot_of(const struct map *m, uint64_t key)
{
	size_t mask = ((size_t)1 << m->bits) - 1;
	size_t i = map_home(m, key);

	while (m->v[i].value && m->v[i].key != key)
		i = (i + 1) & mask;
	return &m->v[i];
}

static int
resize(struct map *m, unsigned bits)
{
	struct map bigger = {.bits = bits, .n = m->n};
	size_t slots = m->bits ? (size_t)1 << m->bits : 0;

	bigger.v = calloc((size_t)1 << bits, sizeof(*bigger.v));
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < slots; i++)
		if (m->v[i].value)
			*slot_of(&bigger, m->v[i].key) = m->v[i];
	free(m->v);
	*m = bigger;
	return 0;
}

int
map_reserve(struct map *m, size_t n)
{
	unsigned bits = m->bits ? m->bits : BITS_MIN;

	while (!fits(bits, n)) {
		if (bits == BITS_MAX)
			return -ENOMEM;
		bits++;
	}
	return bits == m->bits ? 0 : resize(m, bits);
}

int
map_insert(struct map *m, uint64_t key, void *value)
{
	struct map_slot *s;
	int rc;

	must(value);
	if (!fits(m->bits, m->n + 1)) {
		if (map_find(m, key))
			return -EEXIST;
		rc = map_reserve(m, m->n + 1);
		if (rc < 0)
			return rc;
	}
	s = slot_of(m, key);
	if (s->value)
		return -EEXIST;
	s->key = key;
	s->value = value;
	m->n++;
	return 0;
}

void *
map_remove(struct map *m, uint64_t key)
{
	size_t mask = ((size_t)1 << m->bits) - 1;
	struct map_slot *hole;
	void *value;

	if (m->n == 0)
		return NULL;
	hole = slot_of(m, key);
	value = hole->value;
	if (!value)
		return NULL;
	for (size_t h = (size_t)(hole - m->v), i = (h + 1) & mask;
	     m->v[i].value; i = (i + 1) & mask) {
		size_t home = map_home(m, m->v[i].key);

		/* Distances are counted around the table. */
		if (((i - home) & mask) < ((i - h) & mask))
			continue;
		m->v[h] = m->v[i];
		h = i;
		hole = &m->v[h];
	}
	hole->value = NULL;
	m->n--;
	return value;
}

void *
map_next(const struct map *m, size_t *at, uint64_t *key)
{
	size_t slots = m->bits ? (size_t)1 << m->bits : 0;

	while (*at < slots) {
		const struct map_slot *s = &m->v[(*at)++];

		if (!s->value)
			continue;
		if (key)
			*key = s->key;
		return s->value;
	}
	return NULL;
}

void
map_fini(struct map *m)
{
	free(m->v);
	*m = (struct map)MAP_INIT;
}
