/* SPDX-License-Identifier: Apache-2.0 */
/* geom.c: where the sectors of an extent are; see geom.h. */
#include "raw/geom.h"

#include "base/must.h"

void
geom_init(struct geom *g, unsigned k, unsigned m, uint32_t bytes)
{
	must(bytes > 0 && k > 0);
	g->k = k;
	g->m = m;
	g->sectors = (bytes + RAW_SECTOR - 1) / RAW_SECTOR;
	g->d = g->sectors < k ? g->sectors : k;
	g->w = m + g->d;
	g->rows = (g->sectors + g->d - 1) / g->d;
	g->last = g->sectors - (g->rows - 1) * g->d;
	g->total = g->sectors + m * g->rows;
}

uint32_t
geom_column_sectors(const struct geom *g, unsigned c)
{
	if (c < g->m || c - g->m < g->last)
		return g->rows;
	return g->rows - 1;
}

uint32_t
geom_data_start(const struct geom *g, unsigned j)
{
	if (j <= g->last)
		return j * g->rows;
	return g->last * g->rows + (j - g->last) * (g->rows - 1);
}

unsigned
geom_data_column(const struct geom *g, uint32_t sector)
{
	uint32_t full = g->last * g->rows;

	if (sector < full)
		return sector / g->rows;
	return g->last + (sector - full) / (g->rows - 1);
}

unsigned
geom_member(const struct geom *g, uint64_t addr, unsigned c)
{
	return (unsigned)((addr + c) % (g->k + g->m));
}

uint64_t
geom_member_sector(const struct geom *g, uint64_t addr, unsigned c)
{
	return (addr + c) / (g->k + g->m);
}

uint32_t
geom_space(unsigned k, unsigned m, uint32_t bytes)
{
	struct geom g;

	geom_init(&g, k, m, bytes);
	return g.total;
}
