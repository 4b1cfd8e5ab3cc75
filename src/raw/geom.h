/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_GEOM_H
#define RAW_GEOM_H

#include <stdint.h>

/*
 * Where the sectors of an extent are: docs/raw.md, "Data addresses".  Pure
 * arithmetic, no state.
 */
#define RAW_SECTOR 4096u
#define RAW_MAX_MEMBERS 32u
#define RAW_MAX_PARITY 4u
#define RAW_EXTENT_MAX (4u << 20) /* payload bytes of one extent */

struct geom {
	unsigned k, m;
	uint32_t sectors; /* S: of payload */
	unsigned d;	  /* data columns */
	unsigned w;	  /* all columns: m + d */
	uint32_t rows;	  /* R */
	unsigned last;	  /* data columns that have a sector in the last row */
	uint32_t total;	  /* consecutive addresses */
};

/* The columns alone, w: without a division. */
static inline unsigned
geom_width(unsigned k, unsigned m, uint32_t bytes)
{
	uint32_t sectors = (bytes + RAW_SECTOR - 1) / RAW_SECTOR;

	return m + (sectors < k ? sectors : k);
}

/* bytes > 0: of payload. */
void geom_init(struct geom *g, unsigned k, unsigned m, uint32_t bytes);

/* Sectors that column c (0 to w-1, parity first) has. */
uint32_t geom_column_sectors(const struct geom *g, unsigned c);
/* The first sector of the payload that data column j (0 to d-1) has. */
uint32_t geom_data_start(const struct geom *g, unsigned j);
/* The data column that has this sector of the payload. */
unsigned geom_data_column(const struct geom *g, uint32_t sector);
/* Member and sector in its data region where column c of an extent at addr
 * begins; the rest of the column follows it there. */
unsigned geom_member(const struct geom *g, uint64_t addr, unsigned c);
uint64_t geom_member_sector(const struct geom *g, uint64_t addr, unsigned c);

/* Addresses that bytes of payload take. */
uint32_t geom_space(unsigned k, unsigned m, uint32_t bytes);

#endif
