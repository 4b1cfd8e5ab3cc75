/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late: a hash table with a few places for each key; see late.h.
 *
 * Entries are never removed: one whose time has passed is a free place.  As
 * long as last_ns is past, which is nearly always, a question is one
 * comparison.
 */
#include "config.h"

#include "store/late.h"

#include <stddef.h>

#define LATE_PROBES 8

static uint64_t
key_hash(const char *key)
{
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

static size_t
probe(uint64_t hash, unsigned i)
{
	return (size_t)(hash + i) % LATE_SLOTS;
}

void
late_add(struct late *t, const char *key, int64_t now, int64_t until_ns)
{
	uint64_t h = key_hash(key);
	struct late_slot *place = NULL;

	if (t->last_ns < until_ns)
		t->last_ns = until_ns;
	for (unsigned i = 0; i < LATE_PROBES; i++) {
		struct late_slot *s = &t->v[probe(h, i)];

		if (s->until_ns > now && s->hash == h) {
			if (s->until_ns < until_ns)
				s->until_ns = until_ns;
			return;
		}
		if (s->until_ns <= now && place == NULL)
			place = s;
	}
	if (place != NULL) {
		place->hash = h;
		place->until_ns = until_ns;
	} else if (t->all_ns < until_ns) {
		t->all_ns = until_ns;
	}
}

int64_t
late_until(const struct late *t, const char *key, int64_t now)
{
	int64_t until = t->all_ns > now ? t->all_ns : 0;
	uint64_t h;

	if (t->last_ns <= now)
		return 0;
	h = key_hash(key);
	for (unsigned i = 0; i < LATE_PROBES; i++) {
		const struct late_slot *s = &t->v[probe(h, i)];

		if (s->hash == h && s->until_ns > now && s->until_ns > until)
			until = s->until_ns;
	}
	return until;
}
