/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.c: a bitmap with a cursor; see alloc.h.
 *
 *   segments     |  2^14 addresses: 64 MiB  |         ...          |
 *   free counts  |          n0              |  n1 ...
 *   bitmap       |1111011000000000000000...
 *                        ^cursor
 *
 *                                                  limit^  zone of the index
 *
 * The search begins at the cursor and goes on around the end.  A full segment
 * is passed over by its count, a full word by its value, so a nearly full pool
 * costs a look at 4 bytes for each 64 MiB.
 *
 * Objects of one size take a multiple of N addresses each where that size is a
 * multiple of k sectors, as blocks are.  Side by side all would begin on the
 * same member: the first m members would have all the parity, and never be read.
 * So where the cursor goes on from one TURN of addresses to the next it steps to
 * the first address whose member is the turn's number mod N: a sector of every
 * 4 MiB stays free, for smaller objects, and fragments still lie side by side.
 */
#include "raw/alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/must.h"

#define SEGMENT_SHIFT 14
#define SEGMENT (1u << SEGMENT_SHIFT)
#define TURN_SHIFT 10

struct alloc {
	unsigned members;
	uint64_t total, nfree, cursor;
	uint64_t limit;	    /* the zone of the index begins here */
	uint64_t zone_free; /* free addresses in it */
	uint64_t *bits;	    /* 1: in use; behind total: in use */
	uint32_t *seg_free; /* free addresses of each segment */
	uint32_t *seg_stale; /* of them, released since discard was there */
	uint64_t nseg;
	uint64_t sweep, sweep_end; /* where discard is, in a segment */
	struct bad { /* every members'th address of [addr, end) */
		uint64_t addr, end;
	} *bad;
	unsigned nbad;
	uint64_t bad_unused; /* addresses that are kept for nobody */
};

/* Of the addresses [i, end): how many are in the word of i, and their bits. */
static uint32_t
word_part(uint64_t i, uint64_t end)
{
	uint64_t left = 64 - i % 64;

	return (uint32_t)(end - i < left ? end - i : left);
}

static uint64_t
word_mask(uint64_t i, uint32_t bits)
{
	return (bits == 64 ? ~0ull : (1ull << bits) - 1) << (i % 64);
}

struct alloc *
alloc_new(uint64_t total, unsigned members)
{
	struct alloc *a = calloc(1, sizeof(*a));

	must(members > 0);
	if (!a)
		return NULL;
	a->members = members;
	a->total = a->nfree = a->limit = total;
	a->nseg = (total + SEGMENT - 1) / SEGMENT;
	a->bits = calloc(a->nseg * (SEGMENT / 64) + 1, sizeof(*a->bits));
	a->seg_free = calloc(a->nseg + 1, sizeof(*a->seg_free));
	a->seg_stale = calloc(a->nseg + 1, sizeof(*a->seg_stale));
	if (!a->bits || !a->seg_free || !a->seg_stale) {
		alloc_free(a);
		return NULL;
	}
	for (uint64_t s = 0; s < a->nseg; s++)
		a->seg_free[s] = SEGMENT;
	for (uint64_t i = total; i < a->nseg * SEGMENT; i++) {
		a->bits[i / 64] |= 1ull << (i % 64);
		a->seg_free[i >> SEGMENT_SHIFT]--;
	}
	return a;
}

void
alloc_free(struct alloc *a)
{
	if (!a)
		return;
	free(a->bits);
	free(a->seg_free);
	free(a->seg_stale);
	free(a->bad);
	free(a);
}

/* The first free address >= i, or total. */
static uint64_t
next_free(const struct alloc *a, uint64_t i)
{
	while (i < a->total) {
		uint64_t word;

		if (a->seg_free[i >> SEGMENT_SHIFT] == 0) {
			i = ((i >> SEGMENT_SHIFT) + 1) << SEGMENT_SHIFT;
			continue;
		}
		word = ~a->bits[i / 64] >> (i % 64);
		if (word != 0)
			return i + (uint64_t)__builtin_ctzll(word);
		i = (i / 64 + 1) * 64;
	}
	return a->total;
}

/* The first used address >= i and < end, or end. */
static uint64_t
next_used(const struct alloc *a, uint64_t i, uint64_t end)
{
	while (i < end) {
		uint64_t word = a->bits[i / 64] >> (i % 64);

		if (word != 0) {
			i += (uint64_t)__builtin_ctzll(word);
			return i < end ? i : end;
		}
		i = (i / 64 + 1) * 64;
	}
	return end;
}

/* A free run that begins in [from, to) and does not go beyond last. */
static bool
find_run(const struct alloc *a, uint64_t from, uint64_t to, uint64_t last,
    uint32_t n, uint64_t *addr)
{
	for (uint64_t i = next_free(a, from); i < to; i = next_free(a, i)) {
		uint64_t end;

		if (i + n > last)
			return false;
		end = next_used(a, i, i + n);
		if (end == i + n) {
			*addr = i;
			return true;
		}
		i = end;
	}
	return false;
}

/* Of [addr, addr + n), how many are in the zone. */
static uint64_t
in_zone(const struct alloc *a, uint64_t addr, uint32_t n)
{
	if (addr + n <= a->limit)
		return 0;
	return addr >= a->limit ? n : addr + n - a->limit;
}

static void
set_used(struct alloc *a, uint64_t addr, uint32_t n)
{
	for (uint64_t i = addr, end = addr + n; i < end;) {
		uint32_t bits = word_part(i, end);
		uint64_t mask = word_mask(i, bits);

		must((a->bits[i / 64] & mask) == 0);
		a->bits[i / 64] |= mask;
		a->seg_free[i >> SEGMENT_SHIFT] -= bits;
		i += bits;
	}
	a->nfree -= n;
	a->zone_free -= in_zone(a, addr, n);
}

/* Where to go on behind an extent of [addr, end). */
static uint64_t
next_cursor(const struct alloc *a, uint64_t addr, uint64_t end)
{
	uint64_t turn = end >> TURN_SHIFT, n = a->members;

	if (turn == addr >> TURN_SHIFT)
		return end;
	return end + (turn % n + n - end % n) % n;
}

int
alloc_take(struct alloc *a, uint32_t n, uint64_t *addr)
{
	must(n > 0);
	if (n > a->nfree)
		return -ENOSPC;
	if (!find_run(a, a->cursor, a->limit, a->limit, n, addr) &&
	    !find_run(a, 0, a->cursor, a->limit, n, addr))
		return -ENOSPC;
	set_used(a, *addr, n);
	a->cursor = next_cursor(a, *addr, *addr + n);
	return 0;
}

int
alloc_take_index(struct alloc *a, uint32_t n, uint64_t *addr)
{
	must(n > 0);
	if (!find_run(a, a->limit, a->total, a->total, n, addr) &&
	    !find_run(a, 0, a->limit, a->total, n, addr))
		return -ENOSPC;
	set_used(a, *addr, n);
	return 0;
}

void
alloc_set_zone(struct alloc *a, uint64_t n)
{
	a->limit = n < a->total ? a->total - n : 0;
	a->zone_free = 0;
	for (uint64_t i = next_free(a, a->limit); i < a->total;) {
		uint64_t end = next_used(a, i, a->total);

		a->zone_free += end - i;
		i = next_free(a, end);
	}
	if (a->cursor > a->limit)
		a->cursor = 0;
}

uint64_t
alloc_zone_free(const struct alloc *a)
{
	return a->zone_free;
}

int
alloc_mark(struct alloc *a, uint64_t addr, uint32_t n)
{
	if (addr >= a->total || n > a->total - addr)
		return -ERANGE;
	if (next_used(a, addr, addr + n) != addr + n)
		return -EEXIST;
	set_used(a, addr, n);
	return 0;
}

void
alloc_return(struct alloc *a, uint64_t addr, uint32_t n)
{
	must(addr < a->total && n <= a->total - addr);
	for (uint64_t i = addr, end = addr + n; i < end;) {
		uint32_t bits = word_part(i, end);
		uint64_t mask = word_mask(i, bits);

		must((a->bits[i / 64] & mask) == mask);
		a->bits[i / 64] &= ~mask;
		a->seg_free[i >> SEGMENT_SHIFT] += bits;
		i += bits;
	}
	a->nfree += n;
	a->zone_free += in_zone(a, addr, n);
}

/* Of [addr, end), which is free, the bad ones are kept. */
static void
keep_bad(struct alloc *a, uint64_t addr, uint64_t end)
{
	for (unsigned b = 0; b < a->nbad; b++) {
		uint64_t i = a->bad[b].addr;

		if (i < addr) /* the first one of it that is not before */
			i += (addr - i + a->members - 1) / a->members *
			    a->members;
		for (; i < a->bad[b].end && i < end; i += a->members)
			if (next_used(a, i, i + 1) != i) {
				set_used(a, i, 1);
				a->bad_unused++;
			}
	}
}

int
alloc_set_bad(struct alloc *a, uint64_t addr, uint32_t n)
{
	uint64_t end = addr + (uint64_t)n * a->members;
	struct bad *more;

	if (addr >= a->total)
		return 0;
	more = realloc(a->bad, (a->nbad + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	a->bad = more;
	a->bad[a->nbad++] =
	    (struct bad){addr, end < a->total ? end : a->total};
	keep_bad(a, addr, a->bad[a->nbad - 1].end);
	return 0;
}

bool
alloc_is_bad(const struct alloc *a, uint64_t addr)
{
	for (unsigned b = 0; b < a->nbad; b++)
		if (addr >= a->bad[b].addr && addr < a->bad[b].end &&
		    (addr - a->bad[b].addr) % a->members == 0)
			return true;
	return false;
}

uint64_t
alloc_nbad(const struct alloc *a)
{
	return a->bad_unused;
}

void
alloc_release(struct alloc *a, uint64_t addr, uint32_t n)
{
	alloc_return(a, addr, n);
	keep_bad(a, addr, addr + n);
	for (uint64_t i = addr, end = addr + n; i < end;) {
		uint64_t stop = (i | (SEGMENT - 1)) + 1;

		stop = stop < end ? stop : end;
		a->seg_stale[i >> SEGMENT_SHIFT] += (uint32_t)(stop - i);
		i = stop;
	}
}

/* Go on to a segment where something has been released. */
static bool
next_stale_segment(struct alloc *a, uint32_t n)
{
	uint64_t begin = a->sweep_end >> SEGMENT_SHIFT;

	for (uint64_t k = 0; k < a->nseg; k++) {
		uint64_t s = (begin + k) % a->nseg;

		if (a->seg_stale[s] < n)
			continue;
		a->seg_stale[s] = 0;
		a->sweep = s << SEGMENT_SHIFT;
		a->sweep_end = (s + 1) << SEGMENT_SHIFT;
		if (a->sweep_end > a->limit)
			a->sweep_end = a->limit;
		return a->sweep < a->sweep_end;
	}
	return false;
}

bool
alloc_take_stale(struct alloc *a, uint32_t n, uint64_t *addr, uint32_t *run)
{
	for (unsigned segments = 0; segments < 2; segments++) {
		while (a->sweep < a->sweep_end) {
			uint64_t i = next_free(a, a->sweep), end;

			if (i >= a->sweep_end)
				break;
			end = next_used(a, i, a->sweep_end);
			a->sweep = end;
			if (end - i < n)
				continue;
			*addr = i;
			*run = (uint32_t)(end - i);
			set_used(a, i, *run);
			return true;
		}
		a->sweep = a->sweep_end;
		if (segments == 0 && !next_stale_segment(a, n))
			return false;
	}
	return false;
}

uint64_t
alloc_total(const struct alloc *a)
{
	return a->total;
}

uint64_t
alloc_nfree(const struct alloc *a)
{
	return a->nfree;
}
