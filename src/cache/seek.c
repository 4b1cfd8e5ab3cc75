/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seek.c: where data is, and where holes are, by whole blocks: what the layout
 * knows to be present, what is dirty and not there yet, without what is to be
 * erased.
 */
#include "config.h"

#include "cache/internal.h"

static bool
is_data(struct cache *c, uint64_t block)
{
	struct entry *e = entry_find(c, block);

	if (e && e->state != WB_CLEAN)
		return e->slot || spill_has(c, e, 0, c->nsectors);
	return !entry_block_is_zero(c, block);
}

static uint64_t
min_block(const struct list *l, uint64_t from, uint64_t min)
{
	list_for_each(i, l)
	{
		uint64_t b = list_entry(i, struct entry, wlink)->block;

		if (b >= from && b < min)
			min = b;
	}
	return min;
}

/* The first block >= from that is dirty or being uploaded. */
static uint64_t
next_dirty(struct cache *c, uint64_t from)
{
	const struct list *l[] = {
	    &c->dirty, &c->ready, &c->blocked, &c->busy, &c->failed};
	uint64_t min = UINT64_MAX;

	for (unsigned i = 0; i < sizeof(l) / sizeof(l[0]); i++)
		min = min_block(l[i], from, min);
	return min;
}

/* The end of the erase that block lies in; 0: none. */
static uint64_t
erase_end(struct cache *c, uint64_t block)
{
	if (ranges_has(&c->erases, block))
		return ranges_at(&c->erases, block)->end;
	for (int i = 0; i < ERASES_MAX; i++) {
		const struct erase *x = &c->erase[i];

		if (x->busy && x->r.first <= block && block < x->r.end)
			return x->r.end;
	}
	return 0;
}

/* The first erase at or behind block. */
static uint64_t
next_erase(struct cache *c, uint64_t block)
{
	const struct range *r = ranges_at(&c->erases, block);
	uint64_t min = r ? r->first : UINT64_MAX;

	for (int i = 0; i < ERASES_MAX; i++) {
		const struct erase *x = &c->erase[i];

		if (x->busy && x->r.end > block && x->r.first < min)
			min = x->r.first;
	}
	return min < block ? block : min;
}

static uint64_t
seek_data(struct cache *c, uint64_t b)
{
	uint64_t dirty = next_dirty(c, b), end;

	for (;;) {
		b = layout_next_present(c->layout, b);
		if (dirty < b)
			b = dirty;
		if (b >= c->info.nblocks || is_data(c, b))
			return b;
		end = erase_end(c, b);
		b = end ? end : b + 1;
		if (dirty < b)
			dirty = next_dirty(c, dirty + 1);
	}
}

uint64_t
cache_seek(struct cache *c, uint64_t from, bool data)
{
	uint64_t b = from, n;

	if (data) {
		b = seek_data(c, b);
		return b < c->info.nblocks ? b : c->info.nblocks;
	}
	while (b < c->info.nblocks && is_data(c, b)) {
		n = layout_next_absent(c->layout, ++b);
		if (next_erase(c, b) < n)
			n = next_erase(c, b);
		b = n;
	}
	return b < c->info.nblocks ? b : c->info.nblocks;
}
