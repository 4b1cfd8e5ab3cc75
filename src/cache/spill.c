/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spill.c: dirty data that is durable in the journal leaves memory, and is read
 * back from there when it is wanted.
 *
 * For each dirty entry there is a list of *runs*: which sectors which operation
 * of the journal wrote, oldest first.  A sector's data is that of the newest run
 * which has it.  To spill an entry is to drop its slot and to make its sectors
 * not valid; they stay dirty, and dirty and not valid means: in the journal (P1).
 * The reference that the entry holds on its lowest operation keeps all that its
 * runs name (P2).  A fetch reads such sectors back (fetch.c) and merges them as
 * it does others; so readers, writers of parts of a sector and uploads do not
 * know the difference.
 *
 * An entry is spilled only while nothing is being done to it, so no fetch under
 * way can bring back what was overwritten since (P3), and only when the journal
 * has flushed all that was written to it (P4): a journal that fails later has
 * it, as far as its disk can be read.
 *
 * What is not dirty is dropped along, and read from the store again; but in a
 * block that was erased or absent when it became dirty it is zeros, whatever the
 * store has (P5).
 *
 * What the journal has when it is opened becomes dirty in the same way, without
 * ever having been in memory (spill_leave, SPILL_LOGGED).
 *
 * The least recently written goes first.  Where that is not flushed, a flush
 * is asked for, and those who need the memory are tried again after it.
 *
 * An entry whose data cannot be read back is lost until it has reached the store
 * or was overwritten; while there is one no FLUSH ends well (P6).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/must.h"
#include "cache/internal.h"

#define TRIES 16
#define LOST_SAID 10 /* blocks that are named in the log */
#define RUNS_MIN 4
#define PER_PAGE (ARENA_PAGE / SECTOR)
#define PER_PIECE (JOURNAL_PIECE / SECTOR)

/* --- runs ------------------------------------------------------------------------ */

static bool
runs_resize(struct cache *c, struct entry *e, uint32_t cap)
{
	struct run *v = realloc(e->runs, cap * sizeof(e->runs[0]));

	if (!v)
		return false;
	c->runs_bytes += (uint64_t)cap * sizeof(v[0]);
	c->runs_bytes -= (uint64_t)e->runs_cap * sizeof(v[0]);
	e->runs = v;
	e->runs_cap = cap;
	return true;
}

static void
runs_free(struct cache *c, struct entry *e)
{
	c->runs_bytes -= (uint64_t)e->runs_cap * sizeof(e->runs[0]);
	free(e->runs);
	e->runs = NULL;
	e->nruns = e->runs_cap = 0;
}

/* Drop those of which every sector is in newer ones: at most one per sector is
 * left. */
static void
runs_compact(struct cache *c, struct entry *e)
{
	uint64_t *seen = c->spill_bits;
	uint32_t n = 0;

	memset(seen, 0, c->nwords * sizeof(seen[0]));
	for (uint32_t i = e->nruns; i-- > 0;) {
		struct run *r = &e->runs[i];

		if (bits_all(seen, r->from, r->from + r->n))
			r->n = 0;
		else
			bits_set(seen, r->from, r->from + r->n);
	}
	for (uint32_t i = 0; i < e->nruns; i++)
		if (e->runs[i].n > 0)
			e->runs[n++] = e->runs[i];
	e->nruns = n;
}

bool
spill_reserve(struct cache *c, struct entry *e)
{
	if (e->nruns < e->runs_cap)
		return true;
	if (e->nruns > RUNS_MIN)
		runs_compact(c, e);
	if (e->nruns >= e->runs_cap / 2)
		(void)runs_resize(c, e,
		    e->runs_cap ? 2 * e->runs_cap : RUNS_MIN);
	return e->nruns < e->runs_cap;
}

static void
runs_add(struct cache *c, struct entry *e, struct run r)
{
	if (spill_reserve(c, e))
		e->runs[e->nruns++] = r;
	else
		e->stuck = true;
}

/* --- what is where ------------------------------------------------------------------ */

static void
recount(struct cache *c, struct entry *e)
{
	const uint64_t *valid = entry_valid(e), *dirty = entry_dirty(c, e);
	uint32_t n = 0;

	for (uint32_t p = 0; p < c->npages; p++) {
		unsigned a = p * PER_PAGE, b = a + PER_PAGE;
		bool any = false, here = false;

		for (unsigned w = a / 64; w <= (b - 1) / 64; w++) {
			uint64_t d = dirty[w] & bits_mask(w, a, b);

			any |= d != 0;
			here |= (d & valid[w]) != 0;
		}
		n += any && !here;
	}
	c->spilled_pages += n;
	c->spilled_pages -= e->nspilled;
	e->nspilled = n;
}

void
spill_wrote(struct cache *c, struct entry *e, unsigned from, unsigned to,
    uint64_t op, enum spill_what what)
{
	unsigned piece = what == SPILL_WRITE ? PER_PIECE : c->nsectors;

	if (!c->journal)
		return;
	for (unsigned at = from; at < to; at += piece) {
		unsigned n = to - at < piece ? to - at : piece;

		runs_add(c, e, (struct run){.op = op++, .from = at, .n = n,
		    .zero = what == SPILL_ZERO});
	}
	e->last_op = op - 1;
	list_del(&e->slink);
	if (what != SPILL_LOGGED)
		list_push_back(&c->written, &e->slink);
	if (e->nspilled || what == SPILL_LOGGED)
		recount(c, e);
	if (dirty_resident(c) > c->spill_high)
		loop_defer(c->loop, &c->spill);
}

void
spill_arrived(struct cache *c, struct entry *e)
{
	if (!c->journal || !e->ndirty)
		return;
	if (e->nspilled)
		recount(c, e);
	if (e->slot && !list_linked(&e->slink))
		list_push_back(&c->reread, &e->slink);
}

void
spill_uploaded(struct cache *c, struct entry *e, uint64_t upto)
{
	uint32_t n = 0;

	e->blank = false;
	c->nlost -= e->lost;
	e->lost = false;
	if (e->ndirty == 0) {
		spill_forget(c, e);
		return;
	}
	while (n < e->nruns && e->runs[n].op <= upto)
		n++;
	if (n == 0)
		return;
	e->nruns -= n;
	memmove(e->runs, e->runs + n, e->nruns * sizeof(e->runs[0]));
}

void
spill_forget(struct cache *c, struct entry *e)
{
	c->spilled_pages -= e->nspilled;
	e->nspilled = 0;
	e->blank = e->stuck = e->filled = false;
	c->nlost -= e->lost;
	e->lost = false;
	list_del(&e->slink);
	runs_free(c, e);
}

/* The first sector in [from, to) that is in the journal only. */
static unsigned
next_spilled(struct cache *c, struct entry *e, unsigned from, unsigned to)
{
	for (;;) {
		from = bits_next(entry_dirty(c, e), from, to, true);
		if (from == to || !bits_all(entry_valid(e), from, from + 1))
			return from;
		from = bits_next(entry_valid(e), from, to, false);
	}
}

bool
spill_has(struct cache *c, struct entry *e, unsigned from, unsigned to)
{
	if (!c->journal || !e->ndirty)
		return false;
	return next_spilled(c, e, from, to) < to;
}

bool
spill_needs_store(
    struct cache *c, struct entry *e, unsigned from, unsigned to)
{
	for (;;) {
		from = bits_next(entry_valid(e), from, to, false);
		if (from == to)
			return false;
		if (!bits_all(entry_dirty(c, e), from, from + 1))
			return true;
		from = bits_next(entry_dirty(c, e), from, to, false);
	}
}

void
spill_widen(struct cache *c, struct entry *e, unsigned *from, unsigned *to)
{
	while (*from > 0 && !spill_needs_store(c, e, *from - 1, *from))
		--*from;
	while (*to < c->nsectors && !spill_needs_store(c, e, *to, *to + 1))
		++*to;
}

/* --- reading back ------------------------------------------------------------------ */

static int
piece_add(struct fetch *f, size_t *cap, uint64_t op, unsigned from, unsigned n)
{
	struct journal_read *jr = &f->back;

	if (jr->n == *cap) {
		struct journal_piece *v;

		*cap = *cap ? 2 * *cap : 8;
		v = realloc(jr->piece, *cap * sizeof(v[0]));
		if (!v)
			return -ENOMEM;
		jr->piece = v;
	}
	jr->piece[jr->n++] = (struct journal_piece){.op = op,
	    .off = f->e->block * f->c->info.block_size + from * SECTOR,
	    .len = n * SECTOR,
	    .to = f->slot->buf.data + (size_t)from * SECTOR};
	return 0;
}

/* The sectors of r that are left in todo: they are its. */
static int
take_run(struct fetch *f, size_t *cap, const struct run *r, uint64_t *todo)
{
	unsigned end = r->from + r->n, a, b;
	int rc = 0;

	for (a = r->from; rc == 0; a = b) {
		a = bits_next(todo, a, end, true);
		if (a == end)
			break;
		b = bits_next(todo, a, end, false);
		bits_clear(todo, a, b);
		if (r->zero)
			memset(f->slot->buf.data + (size_t)a * SECTOR, 0,
			    (size_t)(b - a) * SECTOR);
		else
			rc = piece_add(f, cap, r->op, a, b - a);
	}
	return rc;
}

int
spill_find(struct cache *c, struct fetch *f)
{
	uint64_t *todo = c->spill_bits;
	struct journal_read *jr = &f->back;
	struct entry *e = f->e;
	size_t cap = 0;
	int rc = 0;

	jr->n = 0;
	jr->piece = NULL;
	memset(todo, 0, c->nwords * sizeof(todo[0]));
	for (unsigned a = f->from; (a = next_spilled(c, e, a, f->to)) < f->to;
	     a++)
		bits_set(todo, a, a + 1);
	for (uint32_t i = e->nruns; rc == 0 && i-- > 0;)
		rc = take_run(f, &cap, &e->runs[i], todo);
	if (rc < 0) {
		free(jr->piece);
		jr->piece = NULL;
		return rc;
	}
	must(bits_none(todo, 0, c->nsectors)); /* P1 */
	for (size_t i = 0; i < jr->n / 2; i++) {
		struct journal_piece p = jr->piece[i];

		jr->piece[i] = jr->piece[jr->n - 1 - i];
		jr->piece[jr->n - 1 - i] = p;
	}
	return 0;
}

void
spill_clear(struct cache *c, struct fetch *f)
{
	unsigned a = f->from;

	while ((a = next_spilled(c, f->e, a, f->to)) < f->to) {
		memset(f->slot->buf.data + (size_t)a * SECTOR, 0, SECTOR);
		a++;
	}
}

void
spill_lost(struct cache *c, struct entry *e, const struct err *err)
{
	if (e->lost)
		return;
	e->lost = true;
	c->nlost++;
	err_copy(&c->lost_err, err);
	if (c->nlost > LOST_SAID)
		return;
	log_error("block %llu: data that is in the journal only cannot be read "
		  "back: %s; flushes fail until it was overwritten, or could "
		  "be read and has reached the store",
	    (unsigned long long)e->block, err_text(err));
}

int
spill_may_pass(const struct cache *c, struct err *e)
{
	if (c->nlost == 0)
		return 0;
	err_copy(e, &c->lost_err);
	return err_wrap(e, -EIO,
	    "%llu blocks cannot be read back from the journal (they can be "
	    "overwritten or discarded; the log names them)",
	    (unsigned long long)c->nlost);
}

/* --- spilling ------------------------------------------------------------------------ */

static bool
may_go(const struct entry *e)
{
	return !entry_busy(e) && !e->stuck && !e->filled &&
	    !slot_pinned(e->slot);
}

static void
spill(struct cache *c, struct entry *e)
{
	uint64_t *valid = entry_valid(e), *dirty = entry_dirty(c, e);
	unsigned a = 0, b;

	stat_inc(c->stats, STAT_CACHE_SPILLS);
	slot_unref(e->slot);
	e->slot = NULL;
	memset(valid, 0, c->nwords * sizeof(valid[0]));
	e->full = false;
	for (; e->blank && a < c->nsectors; a = b) { /* P5 */
		a = bits_next(dirty, a, c->nsectors, false);
		b = bits_next(dirty, a, c->nsectors, true);
		bits_set(valid, a, b);
	}
	recount(c, e);
}

void
spill_leave(struct cache *c, struct entry *e, unsigned from, unsigned to)
{
	if (e->slot)
		spill(c, e);
	bits_clear(entry_valid(e), from, to);
	e->full = false;
	e->filled = false;
}

static void
flushed(struct journal_wait *w, int rc)
{
	struct cache *c = container_of(w, struct cache, spill_wait);

	c->spill_flushing = false;
	if (rc == 0 && !c->closing)
		loop_defer(c->loop, &c->spill);
	cache_check_drained(c);
}

static void
want_flush(struct cache *c)
{
	if (c->spill_flushing || c->closing)
		return;
	c->spill_flushing = true;
	c->spill_wait.done = flushed;
	journal_flush(c->journal, &c->spill_wait);
}

static bool
spill_first(struct cache *c, struct list *l, uint64_t flushed_op)
{
	for (int i = 0; i < TRIES && !list_empty(l);) {
		struct entry *e = list_entry(l->next, struct entry, slink);

		if (!e->slot || !e->ndirty) { /* nothing would come free */
			list_del(&e->slink);
			continue;
		}
		if (e->last_op > flushed_op) { /* P4 */
			want_flush(c);
			return false;
		}
		list_del(&e->slink);
		if (may_go(e)) {
			spill(c, e);
			return true;
		}
		list_push_back(l, &e->slink);
		i++;
	}
	return false;
}

bool
spill_one(struct cache *c)
{
	uint64_t op;

	if (!jnl_active(c) || (list_empty(&c->reread) && list_empty(&c->written)))
		return false;
	op = journal_flushed_op(c->journal);
	return spill_first(c, &c->reread, op) || spill_first(c, &c->written, op);
}

static void
spill_run(struct loop_task *t)
{
	struct cache *c = container_of(t, struct cache, spill);

	if (c->closing)
		return;
	while (dirty_resident(c) > c->spill_low && spill_one(c))
		;
	write_admit(c);
}

bool
spill_has_room(const struct cache *c)
{
	return c->runs_bytes <= c->params.size / 8;
}

bool
spill_is_half(const struct cache *c)
{
	return c->runs_bytes > c->params.size / 16;
}

/* --- opening and closing ---------------------------------------------------------------- */

uint32_t
spill_count_entries(const struct cache *c, uint32_t n)
{
	uint64_t more = c->params.size / 4 /
	    (c->entry_stride + RUNS_MIN * sizeof(struct run));

	if (!c->params.journal || more <= n)
		return n;
	return more > INT32_MAX ? INT32_MAX : (uint32_t)more;
}

int
spill_open(struct cache *c, struct err *e)
{
	list_init(&c->written);
	list_init(&c->reread);
	c->spill.run = spill_run;
	c->spill_high = (c->dirty_high + c->dirty_slow) / 2;
	c->spill_low = c->dirty_high;
	c->spill_bits = calloc(c->nwords, sizeof(c->spill_bits[0]));
	return c->spill_bits ? 0 : err_set(e, -ENOMEM, "cache: no memory");
}

void
spill_fini(struct cache *c)
{
	free(c->spill_bits);
	c->spill_bits = NULL;
}
