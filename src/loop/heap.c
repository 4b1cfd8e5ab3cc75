/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c: a 4-ary heap of timers; see heap.h.
 *
 * The keys stand in the heap itself, so that sifting reads one or two cache
 * lines a level and does not touch the timers, except to tell each that moves
 * its new slot.  Setting, moving and removing cost O(log n).  It grows by
 * doubling and does not shrink: as large as the most timers that were ever
 * armed.
 */
#include "loop/heap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"

#define WAYS 4
#define CAP_MIN 64

static bool
sooner(const struct timer_slot *a, const struct timer_slot *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->seq < b->seq;
}

static void
put(struct timer_heap *h, uint32_t i, struct timer_slot s)
{
	h->v[i] = s;
	s.timer->slot = i;
}

static void
sift_up(struct timer_heap *h, uint32_t i, struct timer_slot s)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / WAYS;

		if (!sooner(&s, &h->v[parent]))
			break;
		put(h, i, h->v[parent]);
		i = parent;
	}
	put(h, i, s);
}

static void
sift_down(struct timer_heap *h, uint32_t i, struct timer_slot s)
{
	for (;;) {
		uint64_t child = (uint64_t)i * WAYS + 1;
		uint64_t end = child + WAYS;
		uint64_t best = child;

		if (child >= h->n)
			break;
		if (end > h->n)
			end = h->n;
		while (++child < end)
			if (sooner(&h->v[child], &h->v[best]))
				best = child;
		if (!sooner(&h->v[best], &s))
			break;
		put(h, i, h->v[best]);
		i = (uint32_t)best;
	}
	put(h, i, s);
}

/* s belongs at i, or somewhere above or below it. */
static void
settle(struct timer_heap *h, uint32_t i, struct timer_slot s)
{
	if (i > 0 && sooner(&s, &h->v[(i - 1) / WAYS]))
		sift_up(h, i, s);
	else
		sift_down(h, i, s);
}

static int
grow(struct timer_heap *h)
{
	uint32_t cap = h->cap ? h->cap * 2 : CAP_MIN;
	struct timer_slot *v;

	if (cap < h->cap)
		return -ENOMEM;
	v = realloc(h->v, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	h->v = v;
	h->cap = cap;
	return 0;
}

int
timer_heap_set(
    struct timer_heap *h, struct loop_timer *t, bool armed, int64_t due_ns)
{
	struct timer_slot s = {due_ns, h->seq, t};
	int rc;

	if (armed) {
		h->seq++;
		settle(h, t->slot, s);
		return 0;
	}
	if (h->n == h->cap) {
		rc = grow(h);
		if (rc < 0)
			return rc;
	}
	h->seq++;
	sift_up(h, h->n++, s);
	return 0;
}

void
timer_heap_remove(struct timer_heap *h, struct loop_timer *t)
{
	must(t->slot < h->n && h->v[t->slot].timer == t);
	h->n--;
	if (t->slot != h->n)
		settle(h, t->slot, h->v[h->n]);
}

void
timer_heap_fini(struct timer_heap *h)
{
	free(h->v);
	*h = (struct timer_heap){0};
}
