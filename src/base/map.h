/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A hash map from a 64-bit number to a pointer that is not NULL.
 *
 * One owner, no locks.  It never shrinks; map_reserve makes room beforehand
 * where an insert must not fail, or where growing, which moves everything,
 * must not happen in the middle of work.  Keys may be chosen by others (block
 * numbers); they are mixed, not secret.
 */
struct map_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

struct map {
	struct map_slot *v; /* 1 << bits of them; NULL while bits is 0 */
	unsigned bits;
	size_t n;
};

#define MAP_INIT {0}

void map_fini(struct map *m); /* the map's memory, not the values */

/* From now on up to n entries in all fit without growing.  -ENOMEM. */
int map_reserve(struct map *m, size_t n);

/* -EEXIST: key is there (nothing changed); -ENOMEM. */
int map_insert(struct map *m, uint64_t key, void *value);

/* What was there, taken out; or NULL. */
void *map_remove(struct map *m, uint64_t key);

static inline size_t
map_home(const struct map *m, uint64_t key)
{
	key ^= key >> 32;
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> (64 - m->bits));
}

/* The value, or NULL. */
static inline void *
map_find(const struct map *m, uint64_t key)
{
	size_t mask = ((size_t)1 << m->bits) - 1;

	if (m->n == 0)
		return NULL;
	for (size_t i = map_home(m, key);; i = (i + 1) & mask) {
		const struct map_slot *s = &m->v[i];

		if (!s->value || s->key == key)
			return s->value;
	}
}

/*
 * Go through all entries, in no useful order; the map must not change
 * meanwhile:  size_t at = 0; while ((v = map_next(m, &at, &key))) ...
 * key may be NULL.
 */
void *map_next(const struct map *m, size_t *at, uint64_t *key);

#endif
