/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The present map; see present.h.
 *
 * A page covers 32,768 blocks with 1,024 words of 64 bits, 32 blocks each:
 *
 *	state	bits	before complete		after
 *	UNKNOWN	00	may be present		absent (reported as NO)
 *	NO	01	absent			absent
 *	YES	10	present			present
 *	DOUBT	11	may be present		may be present
 *
 * So searching is arithmetic on words.  After complete, NO is stored as 00,
 * and a page where all is 00 is freed: the map of a volume that was trimmed is
 * small again.
 *
 * Full, the map of 1 TiB in blocks of 128 KiB takes 2 MiB; that of 2^32
 * blocks 1 GiB, and 1 MiB while it is empty.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/must.h"
#include "layout/present.h"

#define PAGE_BLOCKS 32768u
#define WORD_BLOCKS 32u
#define PAGE_WORDS (PAGE_BLOCKS / WORD_BLOCKS)
#define LOW_BITS UINT64_C(0x5555555555555555)

struct present_page {
	uint32_t n[4]; /* blocks in each state */
	uint64_t w[PAGE_WORDS];
};

int
present_init(struct present_map *p, uint64_t nblocks)
{
	*p = (struct present_map){.nblocks = nblocks};
	p->npages = (nblocks + PAGE_BLOCKS - 1) / PAGE_BLOCKS;
	p->pages = calloc(p->npages ? p->npages : 1, sizeof(*p->pages));
	return p->pages != NULL ? 0 : -ENOMEM;
}

void
present_fini(struct present_map *p)
{
	if (p->pages != NULL)
		for (uint64_t i = 0; i < p->npages; i++)
			free(p->pages[i]);
	free(p->pages);
	*p = (struct present_map){0};
}

static unsigned
word_shift(uint64_t block)
{
	return 2 * (unsigned)(block % WORD_BLOCKS);
}

static unsigned
raw_get(const struct present_page *pg, uint64_t block)
{
	uint64_t w = pg->w[block % PAGE_BLOCKS / WORD_BLOCKS];

	return (unsigned)(w >> word_shift(block)) & 3;
}

enum present_state
present_get(const struct present_map *p, uint64_t block)
{
	const struct present_page *pg;
	unsigned st;

	must(block < p->nblocks);
	pg = p->pages[block / PAGE_BLOCKS];
	st = pg != NULL ? raw_get(pg, block) : PRESENT_ST_UNKNOWN;
	if (st == PRESENT_ST_UNKNOWN && p->complete)
		return PRESENT_ST_NO;
	return (enum present_state)st;
}

static struct present_page *
page_new(void)
{
	struct present_page *pg = calloc(1, sizeof(*pg));

	if (pg != NULL)
		pg->n[PRESENT_ST_UNKNOWN] = PAGE_BLOCKS;
	return pg;
}

static void
count(struct present_map *p, unsigned st, int by)
{
	if (st == PRESENT_ST_YES)
		p->nyes += (uint64_t)by;
	if (st == PRESENT_ST_DOUBT)
		p->ndoubt += (uint64_t)by;
}

int
present_set(struct present_map *p, uint64_t block, enum present_state st)
{
	struct present_page **at, *pg;
	uint64_t *w;
	unsigned old, new = st;

	must(block < p->nblocks);
	if (p->complete && st == PRESENT_ST_NO)
		new = PRESENT_ST_UNKNOWN;
	at = &p->pages[block / PAGE_BLOCKS];
	pg = *at;
	old = pg != NULL ? raw_get(pg, block) : PRESENT_ST_UNKNOWN;
	if (old == new)
		return 0;
	if (pg == NULL) {
		pg = *at = page_new();
		if (pg == NULL)
			return -ENOMEM;
	}
	w = &pg->w[block % PAGE_BLOCKS / WORD_BLOCKS];
	*w ^= (uint64_t)(old ^ new) << word_shift(block);
	pg->n[old]--;
	pg->n[new]++;
	count(p, old, -1);
	count(p, new, +1);
	if (pg->n[PRESENT_ST_UNKNOWN] == PAGE_BLOCKS) {
		free(pg);
		*at = NULL;
	}
	return 0;
}

/* Turn NO into UNKNOWN, which from now on means the same. */
static void
page_forget_no(struct present_page *pg)
{
	for (unsigned i = 0; i < PAGE_WORDS; i++) {
		uint64_t low = pg->w[i] & LOW_BITS;
		uint64_t high = pg->w[i] >> 1 & LOW_BITS;

		pg->w[i] &= ~(low & ~high);
	}
	pg->n[PRESENT_ST_UNKNOWN] += pg->n[PRESENT_ST_NO];
	pg->n[PRESENT_ST_NO] = 0;
}

void
present_complete(struct present_map *p)
{
	p->complete = true;
	for (uint64_t i = 0; i < p->npages; i++) {
		struct present_page *pg = p->pages[i];

		if (pg == NULL)
			continue;
		page_forget_no(pg);
		if (pg->n[PRESENT_ST_UNKNOWN] == PAGE_BLOCKS) {
			free(pg);
			p->pages[i] = NULL;
		}
	}
}

enum want { WANT_MAYBE, WANT_ABSENT, WANT_UNKNOWN };

/* The low bit of each block of w that is wanted. */
static uint64_t
word_match(const struct present_map *p, uint64_t w, enum want want)
{
	uint64_t low = w & LOW_BITS, high = w >> 1 & LOW_BITS;

	switch (want) {
	case WANT_MAYBE:
		return p->complete ? high : ~(low & ~high) & LOW_BITS;
	case WANT_ABSENT:
		return p->complete ? ~high & LOW_BITS : low & ~high;
	case WANT_UNKNOWN:
		return p->complete ? 0 : ~(low | high) & LOW_BITS;
	}
	return 0;
}

/* May a page have any?  pg NULL: all of it is 00. */
static bool
page_match(const struct present_map *p, const struct present_page *pg,
    enum want want)
{
	if (pg == NULL)
		return word_match(p, 0, want) != 0;
	if (want == WANT_MAYBE && p->complete)
		return pg->n[PRESENT_ST_YES] + pg->n[PRESENT_ST_DOUBT] > 0;
	if (want == WANT_UNKNOWN)
		return !p->complete && pg->n[PRESENT_ST_UNKNOWN] > 0;
	return true;
}

static uint64_t
next(const struct present_map *p, uint64_t from, uint64_t end, enum want want)
{
	while (from < end) {
		const struct present_page *pg = p->pages[from / PAGE_BLOCKS];
		unsigned i;
		uint64_t m;

		if (!page_match(p, pg, want)) {
			from = (from / PAGE_BLOCKS + 1) * PAGE_BLOCKS;
			continue;
		}
		if (pg == NULL)
			return from;
		i = (unsigned)(from % PAGE_BLOCKS / WORD_BLOCKS);
		m = word_match(p, pg->w[i], want) &
		    ~UINT64_C(0) << word_shift(from);
		from -= from % WORD_BLOCKS;
		if (m != 0) {
			from += (unsigned)__builtin_ctzll(m) / 2;
			return from < end ? from : end;
		}
		from += WORD_BLOCKS;
	}
	return end;
}

uint64_t
present_next(const struct present_map *p, uint64_t from, bool absent)
{
	return next(p, from, p->nblocks, absent ? WANT_ABSENT : WANT_MAYBE);
}

uint64_t
present_next_unknown(const struct present_map *p, uint64_t from, uint64_t end)
{
	must(end <= p->nblocks);
	return next(p, from, end, WANT_UNKNOWN);
}

uint64_t
present_memory(const struct present_map *p)
{
	uint64_t n = p->npages * sizeof(*p->pages);

	for (uint64_t i = 0; i < p->npages; i++)
		if (p->pages[i] != NULL)
			n += sizeof(struct present_page);
	return n;
}
