/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c: slots of address space; see arena.h and docs/cache.md (Memory).
 *
 * One reservation holds all slots; the kernel gives a page when it is first
 * written to.  We keep a bit per page that was written to (held), which is
 * what the slot costs.  A free slot is cold (no pages, so all zeros) or warm
 * (all pages, contents undefined): whole blocks that stream through the cache
 * reuse warm slots without a system call or a page fault.  Only few slots are
 * kept warm.
 *
 * Free slots are taken last in, first out, and fresh ones in order of address,
 * so that the page tables stay as small as the most slots that were ever in
 * use demand.
 */
#include "config.h"

#include "cache/arena.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/list.h"
#include "base/log.h"
#include "base/must.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#define WARM_BYTES (8u << 20)

static struct slot *
slot_nth(const struct arena *a, uint32_t i)
{
	return (struct slot *)(a->slots + (size_t)i * a->slot_stride);
}

static void *
reserve(size_t bytes, int prot)
{
	void *p = mmap(NULL, bytes, prot,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t
zeros_bytes(const struct arena *a)
{
	return a->block_size > ARENA_ZEROS ? a->block_size : ARENA_ZEROS;
}

int
arena_open(struct arena *a, struct loop *l, uint32_t block_size,
    uint32_t nslots, void (*freed)(struct arena *a), struct err *e)
{
	uint32_t npages = block_size / ARENA_PAGE;
	size_t bytes = (size_t)nslots * block_size;

	must(block_size % ARENA_PAGE == 0 && nslots > 0);
	memset(a, 0, sizeof(*a));
	a->loop = l;
	a->block_size = block_size;
	a->nslots = nslots;
	a->freed = freed;
	a->slot_stride = (uint32_t)(sizeof(struct slot) +
	    BITS_WORDS(npages) * sizeof(uint64_t));
	a->warm_max = WARM_BYTES / block_size;
	a->mem = reserve(bytes, PROT_READ | PROT_WRITE);
	/* Written, so that they are pages of our own: the kernel can take them
	 * for an answer even while we are being killed. */
	a->zeros = reserve(zeros_bytes(a), PROT_READ | PROT_WRITE);
	if (a->zeros != NULL) {
		memset(a->zeros, 0, zeros_bytes(a));
		(void)mprotect(a->zeros, zeros_bytes(a), PROT_READ);
	}
	a->slots =
	    reserve((size_t)nslots * a->slot_stride, PROT_READ | PROT_WRITE);
	if (!a->mem || !a->zeros || !a->slots) {
		arena_fini(a);
		return err_set(e, -ENOMEM,
		    "cache: no address space for %u slots of %u bytes; choose "
		    "a smaller cache",
		    nslots, block_size);
	}
	/* A huge page would make one touched page cost 2 MiB.  Where the
	 * kernel has none, this fails and nothing is lost. */
	(void)madvise(a->mem, bytes, MADV_NOHUGEPAGE);
	return 0;
}

void
arena_fini(struct arena *a)
{
	must(a->nlive == 0);
	if (a->mem)
		munmap(a->mem, (size_t)a->nslots * a->block_size);
	if (a->zeros)
		munmap(a->zeros, zeros_bytes(a));
	if (a->slots)
		munmap(a->slots, (size_t)a->nslots * a->slot_stride);
	memset(a, 0, sizeof(*a));
}

uint64_t
arena_bytes(const struct arena *a)
{
	/* A page table entry of 8 bytes per page of address space. */
	uint64_t per_slot = a->slot_stride + a->block_size / ARENA_PAGE * 8;

	return a->pages * ARENA_PAGE + a->nused_ever * per_slot;
}

/* Give a slot's pages back to the kernel; it is all zeros afterwards. */
static void
slot_cool(struct arena *a, struct slot *s)
{
	uint8_t *p = s->buf.data;
	size_t n = a->block_size;

	if (s->npages == 0)
		return;
	/* Locked memory needs the second form (Linux 5.18). */
	if (madvise(p, n, MADV_DONTNEED) < 0 &&
	    madvise(p, n, MADV_DONTNEED_LOCKED) < 0)
		memset(p, 0, n);
	a->pages -= s->npages;
	s->npages = 0;
	memset(s->held, 0, a->slot_stride - sizeof(*s));
}

static void
slot_home(struct arena *a, struct slot *s)
{
	must(a->nlive > 0);
	a->nlive--;
	if (s->npages == a->block_size / ARENA_PAGE &&
	    a->nwarm < a->warm_max) {
		s->next = a->warm;
		a->warm = s;
		a->nwarm++;
	} else {
		slot_cool(a, s);
		s->next = a->cold;
		a->cold = s;
	}
	if (a->freed)
		a->freed(a);
}

static void
slot_came_home(struct loop_task *t)
{
	struct slot *s = container_of(t, struct slot, task);

	slot_home(s->arena, s);
}

/* The last reference is gone: struct buf's release, on any thread. */
static void
slot_release(struct buf *b)
{
	struct slot *s = container_of(b, struct slot, buf);

	if (loop_is_mine(s->arena->loop))
		slot_home(s->arena, s);
	else
		loop_post(s->arena->loop, &s->task);
}

static struct slot *
slot_fresh(struct arena *a)
{
	struct slot *s;

	if (a->nused_ever == a->nslots)
		return NULL;
	s = slot_nth(a, a->nused_ever);
	s->buf.data = a->mem + (size_t)a->nused_ever * a->block_size;
	s->buf.cap = a->block_size;
	s->buf.release = slot_release;
	s->arena = a;
	s->task.run = slot_came_home;
	a->nused_ever++;
	return s;
}

bool
arena_trim(struct arena *a)
{
	struct slot *s = a->warm;

	if (!s)
		return false;
	a->warm = s->next;
	a->nwarm--;
	slot_cool(a, s);
	s->next = a->cold;
	a->cold = s;
	return true;
}

struct slot *
arena_get(struct arena *a, bool whole)
{
	struct slot *s;

	if (whole && a->warm) {
		s = a->warm;
		a->warm = s->next;
		a->nwarm--;
	} else {
		if (!a->cold && a->nused_ever == a->nslots)
			arena_trim(a);
		s = a->cold;
		if (s)
			a->cold = s->next;
		else
			s = slot_fresh(a);
		if (!s)
			return NULL;
	}
	a->nlive++;
	s->buf.refs = 1;
	s->buf.len = a->block_size;
	if (whole)
		slot_hold(s, 0, a->block_size);
	return s;
}

unsigned
slot_unheld(const struct slot *s, uint32_t off, uint32_t len)
{
	uint32_t from = off / ARENA_PAGE;
	uint32_t to = (off + len + ARENA_PAGE - 1) / ARENA_PAGE;

	return to - from - bits_count(s->held, from, to);
}

void
slot_hold(struct slot *s, uint32_t off, uint32_t len)
{
	uint32_t from = off / ARENA_PAGE;
	uint32_t to = (off + len + ARENA_PAGE - 1) / ARENA_PAGE;
	unsigned n = slot_unheld(s, off, len);

	if (n == 0)
		return;
	bits_set(s->held, from, to);
	s->npages += n;
	s->arena->pages += n;
}
