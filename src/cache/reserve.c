/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve.c: slots whose pages are there before they are wanted; see arena.h and
 * docs/cache.md (Memory).
 *
 * The first touch of a page is a page fault, a page from the kernel and clearing
 * it: more than all else that is done for a write of 4 KiB.  So some free slots
 * are touched ahead, by a worker thread, BATCH at a time.  They cost all of their
 * pages, and are all zeros, as a cold slot is.
 *
 * One that is in use is *present*: it costs all of its pages, whichever are held.
 * That is lent, not given: when memory is short the free ones go first, and then
 * what of the present ones is not held (reserve_shed), so that a cache of lone
 * pages holds as many of them as ever.
 *
 * The reserve is filled while less than half of the memory is in use, when the
 * arena is opened and whenever some of it was taken.  Where touching fails (a
 * limit of the memory) it is given up for good: slots are then touched as they
 * are used, which whoever set the limit has to answer for.
 */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/must.h"
#include "cache/arena.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static uint32_t
pages_of(const struct arena *a)
{
	return a->block_size / ARENA_PAGE;
}

/* On a worker thread; the slots are nobody else's. */
static void
fill_run(struct work *w)
{
	struct reserve *r = container_of(w, struct reserve, work);
	struct arena *a = container_of(r, struct arena, reserve);

	for (unsigned i = 0; i < r->nbatch; i++) {
		uint8_t *p = r->batch[i]->buf.data;

		if (madvise(p, a->block_size, MADV_POPULATE_WRITE) == 0)
			continue;
		if (errno != EINVAL) {
			r->failed = true;
			return;
		}
		for (uint32_t at = 0; at < a->block_size; at += ARENA_PAGE)
			*(volatile uint8_t *)(p + at) = 0;
	}
}

static void
fill_done(struct work *w)
{
	struct reserve *r = container_of(w, struct reserve, work);
	struct arena *a = container_of(r, struct arena, reserve);

	for (unsigned i = 0; i < r->nbatch; i++) {
		r->batch[i]->next = r->ready;
		r->ready = r->batch[i];
		r->nready++;
	}
	r->filling = false;
	if (r->failed) {
		r->max = 0;
		while (reserve_trim(a))
			;
	}
	reserve_fill(a);
	if (r->filled)
		r->filled(a);
}

void
reserve_fill(struct arena *a)
{
	struct reserve *r = &a->reserve;
	uint64_t need = (uint64_t)RESERVE_BATCH * pages_of(a);

	if (r->filling || r->nready + RESERVE_BATCH > r->max ||
	    a->pages + need > r->pages_max)
		return;
	r->nbatch = 0;
	while (r->nbatch < RESERVE_BATCH) {
		struct slot *s = arena_free_slot(a);

		if (!s)
			break;
		s->npages = pages_of(a);
		a->pages += s->npages;
		r->batch[r->nbatch++] = s;
	}
	if (r->nbatch == 0)
		return;
	r->filling = true;
	r->work.run = fill_run;
	r->work.done = fill_done;
	work_submit(r->pool, a->loop, &r->work);
}

void
reserve_open(struct arena *a, struct work_pool *pool, uint64_t bytes,
    uint64_t memory, void (*filled)(struct arena *a))
{
	struct reserve *r = &a->reserve;

	r->pool = pool;
	r->max = (unsigned)(bytes / a->block_size);
	r->pages_max = memory / 2 / ARENA_PAGE;
	r->filled = filled;
	reserve_fill(a);
}

void
reserve_close(struct arena *a)
{
	a->reserve.max = 0;
}

struct slot *
reserve_take(struct arena *a)
{
	struct reserve *r = &a->reserve;
	struct slot *s = r->ready;

	if (!s)
		return NULL;
	r->ready = s->next;
	r->nready--;
	s->present = true;
	list_push_back(&r->present, &s->link);
	if (r->nready < r->max / 2)
		reserve_fill(a);
	return s;
}

void
reserve_home(struct slot *s)
{
	if (!s->present)
		return;
	s->present = false;
	list_del(&s->link);
	bits_set(s->held, 0, s->npages);
}

bool
reserve_trim(struct arena *a)
{
	struct reserve *r = &a->reserve;
	struct slot *s = r->ready;

	if (!s)
		return false;
	r->ready = s->next;
	r->nready--;
	arena_cool(a, s);
	return true;
}

/* Give back the pages of s that are not held: they are zeros without it. */
static void
shed(struct arena *a, struct slot *s)
{
	uint32_t n = pages_of(a), from, to = 0, held;

	while ((from = bits_next(s->held, to, n, false)) < n) {
		to = bits_next(s->held, from, n, true);
		arena_give_back(s->buf.data + (size_t)from * ARENA_PAGE,
		    (size_t)(to - from) * ARENA_PAGE);
	}
	held = bits_count(s->held, 0, n);
	must(held <= s->npages);
	a->pages -= s->npages - held;
	s->npages = held;
}

bool
reserve_shed(struct arena *a)
{
	struct reserve *r = &a->reserve;

	while (!list_empty(&r->present)) {
		struct slot *s =
		    list_entry(r->present.next, struct slot, link);
		uint32_t before = s->npages;

		s->present = false;
		list_del(&s->link);
		shed(a, s);
		if (s->npages < before)
			return true;
	}
	return false;
}
