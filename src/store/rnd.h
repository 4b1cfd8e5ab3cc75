/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RND_H
#define STORE_RND_H

#include <stdint.h>

/* Repeatable pseudo-random numbers (splitmix64); the seed is the state.  Not
 * for secrets. */
static inline uint64_t
rnd_next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* 0 to n-1; 0 for n = 0.  Slightly uneven for n near 2^64. */
static inline uint64_t
rnd_below(uint64_t *s, uint64_t n)
{
	return n > 1 ? rnd_next(s) % n : 0;
}

#endif
