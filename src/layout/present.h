/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_PRESENT_H
#define LAYOUT_PRESENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which blocks have an object: two bits per block, in pages that exist only
 * where something is known.
 *
 * A block that was never heard of is UNKNOWN.  Once a listing of the whole
 * volume is through (present_complete), such a block is known to be absent:
 * so an empty volume of any size costs its directory, 32 KiB per 2^27 blocks.
 *
 * DOUBT is for a block whose object is being written or deleted, or where that
 * failed: not known, and a listing cannot tell either, since what failed may
 * still happen later.  Only the next success, or a GET that finds it, tells.
 *
 * On one loop.
 */
enum present_state {
	PRESENT_ST_UNKNOWN,
	PRESENT_ST_NO,
	PRESENT_ST_YES,
	PRESENT_ST_DOUBT
};

struct present_page;

struct present_map {
	uint64_t nblocks;
	uint64_t npages;
	uint64_t nyes, ndoubt;
	bool complete;
	struct present_page **pages;
};

int present_init(struct present_map *p, uint64_t nblocks); /* -ENOMEM */
void present_fini(struct present_map *p); /* also of a zeroed one */

enum present_state present_get(const struct present_map *p, uint64_t block);
/* -ENOMEM, with nothing changed.  Cannot fail for a block in state DOUBT,
 * nor for the state that it has. */
int present_set(struct present_map *p, uint64_t block, enum present_state st);
/* What nobody has told us about does not exist. */
void present_complete(struct present_map *p);

/* The first block >= from that may have an object, or that has none for
 * certain; nblocks if there is no such. */
uint64_t present_next(const struct present_map *p, uint64_t from, bool absent);
/* As that, for the first block >= from and < end in state UNKNOWN; end if none. */
uint64_t present_next_unknown(
    const struct present_map *p, uint64_t from, uint64_t end);
/* Bytes of memory. */
uint64_t present_memory(const struct present_map *p);

#endif
