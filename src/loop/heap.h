/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_HEAP_H
#define LOOP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The timers of a loop, by time and, at equal times, by arming.  Only loop.c
 * uses it; t->slot of a timer is the heap's, all else is not looked at. */
struct loop_timer;

struct timer_slot {
	int64_t due_ns;
	uint64_t seq; /* of arming */
	struct loop_timer *timer;
};

struct timer_heap { /* zeroed memory is an empty one */
	struct timer_slot *v;
	uint32_t n, cap;
	uint64_t seq; /* of the next arming */
};

void timer_heap_fini(struct timer_heap *h);

/* Put t in, or move it (armed: it is in).  -ENOMEM: never when it is moved. */
int timer_heap_set(
    struct timer_heap *h, struct loop_timer *t, bool armed, int64_t due_ns);
void timer_heap_remove(struct timer_heap *h, struct loop_timer *t);

/* When the first one is due; there is one. */
static inline int64_t
timer_heap_first(const struct timer_heap *h)
{
	return h->v[0].due_ns;
}

/* The first one, if it is due by now_ns and was armed before seq; or NULL. */
static inline struct loop_timer *
timer_heap_due(const struct timer_heap *h, int64_t now_ns, uint64_t seq)
{
	if (h->n == 0 || h->v[0].due_ns > now_ns || h->v[0].seq >= seq)
		return NULL;
	return h->v[0].timer;
}

#endif
