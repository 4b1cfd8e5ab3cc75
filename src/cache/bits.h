/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_BITS_H
#define CACHE_BITS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Ranges in small bitmaps: [from, to) of bits in an array of words.  All
 * functions accept empty ranges.
 */
#define BITS_WORDS(n) (((n) + 63) / 64)

/* The bits [from, to) that lie in word w of the array. */
static inline uint64_t
bits_mask(unsigned w, unsigned from, unsigned to)
{
	uint64_t m = ~(uint64_t)0;

	if (w == from / 64)
		m &= ~(uint64_t)0 << (from % 64);
	if (w == (to - 1) / 64)
		m &= ~(uint64_t)0 >> (63 - (to - 1) % 64);
	return m;
}

static inline void
bits_set(uint64_t *b, unsigned from, unsigned to)
{
	if (from >= to)
		return;
	for (unsigned w = from / 64; w <= (to - 1) / 64; w++)
		b[w] |= bits_mask(w, from, to);
}

static inline void
bits_clear(uint64_t *b, unsigned from, unsigned to)
{
	if (from >= to)
		return;
	for (unsigned w = from / 64; w <= (to - 1) / 64; w++)
		b[w] &= ~bits_mask(w, from, to);
}

/* All of [from, to) are set. */
static inline bool
bits_all(const uint64_t *b, unsigned from, unsigned to)
{
	if (from >= to)
		return true;
	for (unsigned w = from / 64; w <= (to - 1) / 64; w++) {
		uint64_t m = bits_mask(w, from, to);

		if ((b[w] & m) != m)
			return false;
	}
	return true;
}

/* None of [from, to) is set. */
static inline bool
bits_none(const uint64_t *b, unsigned from, unsigned to)
{
	if (from >= to)
		return true;
	for (unsigned w = from / 64; w <= (to - 1) / 64; w++)
		if (b[w] & bits_mask(w, from, to))
			return false;
	return true;
}

/* The first bit in [from, to) that is set (clear); to if there is none. */
static inline unsigned
bits_next(const uint64_t *b, unsigned from, unsigned to, bool set)
{
	if (from >= to)
		return to;
	for (unsigned w = from / 64; w <= (to - 1) / 64; w++) {
		uint64_t v = (set ? b[w] : ~b[w]) & bits_mask(w, from, to);

		if (v)
			return w * 64 + (unsigned)__builtin_ctzll(v);
	}
	return to;
}

/* One behind the last bit in [from, to) that is clear; from if none is. */
static inline unsigned
bits_end_clear(const uint64_t *b, unsigned from, unsigned to)
{
	if (from >= to)
		return from;
	for (unsigned w = (to - 1) / 64 + 1; w-- > from / 64;) {
		uint64_t v = ~b[w] & bits_mask(w, from, to);

		if (v)
			return w * 64 + 64 - (unsigned)__builtin_clzll(v);
	}
	return from;
}

static inline unsigned
bits_count(const uint64_t *b, unsigned from, unsigned to)
{
	unsigned n = 0;

	if (from >= to)
		return 0;
	for (unsigned w = from / 64; w <= (to - 1) / 64; w++)
		n += (unsigned)__builtin_popcountll(
		    b[w] & bits_mask(w, from, to));
	return n;
}

#endif
