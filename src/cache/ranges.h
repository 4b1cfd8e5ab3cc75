/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_RANGES_H
#define CACHE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A set of block numbers as sorted, disjoint ranges; each range has the lowest
 * write number and the earliest time of what was merged into it.  For the
 * blocks that are zeroed but not erased yet.
 */
#define RANGES_MAX 16384

struct range {
	uint64_t first, end; /* blocks [first, end) */
	uint64_t seq;
	int64_t since_ns;
};

struct ranges {
	struct range *v;
	size_t n, cap;
};

void ranges_fini(struct ranges *s);

/* Make room for the next n calls that change the set (each adds one range at
 * most).  -ENOMEM; -ENOSPC: RANGES_MAX is reached. */
int ranges_reserve(struct ranges *s, size_t n);

/* Add [first, end).  After ranges_reserve. */
void ranges_add(struct ranges *s, uint64_t first, uint64_t end, uint64_t seq,
    int64_t since_ns);
/* Take [first, end) out (may split one range).  After ranges_reserve. */
void ranges_remove(struct ranges *s, uint64_t first, uint64_t end);

/* The range that holds block, or the first behind it; NULL: none. */
const struct range *ranges_at(const struct ranges *s, uint64_t block);
static inline bool
ranges_has(const struct ranges *s, uint64_t block)
{
	const struct range *r = s->n ? ranges_at(s, block) : NULL;

	return r && r->first <= block;
}
/* The lowest seq; UINT64_MAX if the set is empty. */
uint64_t ranges_min_seq(const struct ranges *s);

#endif
