/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settled.c: which blocks the store has, and up to which operation, as the
 * SETTLED extents of a journal say; gathered while it is scanned, sorted once,
 * then looked up by block.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "journal/internal.h"

int
settled_add(struct settled_set *s, uint64_t block, uint64_t op)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 1024;
		struct settled *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = (struct settled){block, op};
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct settled *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->op < y->op ? -1 : x->op > y->op;
}

void
settled_sort(struct settled_set *s)
{
	size_t n = 0;

	if (s->n == 0)
		return;
	qsort(s->v, s->n, sizeof(s->v[0]), compare);
	for (size_t i = 0; i < s->n; i++) {
		if (n > 0 && s->v[n - 1].block == s->v[i].block)
			n--; /* the greater op comes later */
		s->v[n++] = s->v[i];
	}
	s->n = n;
}

void
settled_fini(struct settled_set *s)
{
	free(s->v);
	*s = (struct settled_set){NULL};
}

size_t
settled_from(const struct settled_set *s, uint64_t block)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].block < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
