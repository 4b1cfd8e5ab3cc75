/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ranges.c: sorted ranges of blocks; see ranges.h.
 *
 * An array and binary search: the set is small (ranges merge, and are sent
 * soon), so moving its tail costs less than a tree would.
 */
#include "config.h"

#include "cache/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

void
ranges_fini(struct ranges *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

int
ranges_reserve(struct ranges *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 16;
	struct range *v;

	if (s->n + n > RANGES_MAX)
		return -ENOSPC;
	while (cap < s->n + n)
		cap *= 2;
	if (cap == s->cap)
		return 0;
	v = realloc(s->v, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	s->v = v;
	s->cap = cap;
	return 0;
}

/* Index of the first range that ends behind block. */
static size_t
find(const struct ranges *s, uint64_t block)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->v[mid].end > block)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Replace the ranges [i, j) by n new ones at v[i]; the caller fills them. */
static void
splice(struct ranges *s, size_t i, size_t j, size_t n)
{
	must(s->n - (j - i) + n <= s->cap);
	memmove(&s->v[i + n], &s->v[j], (s->n - j) * sizeof(s->v[0]));
	s->n = s->n - (j - i) + n;
}

void
ranges_add(struct ranges *s, uint64_t first, uint64_t end, uint64_t seq,
    int64_t since_ns)
{
	/* Those that touch or overlap the new one: [i, j). */
	size_t i = find(s, first ? first - 1 : 0);
	size_t j = i;
	struct range r = {first, end, seq, since_ns};

	must(first < end);
	for (; j < s->n && s->v[j].first <= end; j++) {
		const struct range *o = &s->v[j];

		if (o->first < r.first)
			r.first = o->first;
		if (o->end > r.end)
			r.end = o->end;
		if (o->seq < r.seq)
			r.seq = o->seq;
		if (o->since_ns < r.since_ns)
			r.since_ns = o->since_ns;
	}
	splice(s, i, j, 1);
	s->v[i] = r;
}

void
ranges_remove(struct ranges *s, uint64_t first, uint64_t end)
{
	size_t i = find(s, first), j = i, n = 0;
	struct range part[2];

	must(first < end);
	for (; j < s->n && s->v[j].first < end; j++) {
		if (s->v[j].first < first) {
			part[n] = s->v[j];
			part[n++].end = first;
		}
		if (s->v[j].end > end) {
			part[n] = s->v[j];
			part[n++].first = end;
		}
	}
	if (i == j)
		return;
	splice(s, i, j, n);
	memcpy(&s->v[i], part, n * sizeof(part[0]));
}

const struct range *
ranges_at(const struct ranges *s, uint64_t block)
{
	size_t i = find(s, block);

	return i < s->n ? &s->v[i] : NULL;
}

uint64_t
ranges_min_seq(const struct ranges *s)
{
	uint64_t min = UINT64_MAX;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].seq < min)
			min = s->v[i].seq;
	return min;
}
