/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c: opening, submitting, status, closing.  How the cache works is in
 * docs/cache.md; internal.h says which file does what.
 *
 * Everything runs on the loop of the layout's store.  Requests end through a
 * task of their own (cache_finish), so no callback of a user runs while the
 * cache is in the middle of something.
 */
#include "config.h"

#include "cache/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

#define SIZE_DEFAULT (256ull << 20)
#define MIN_BLOCKS 8
#define MIN_SIZE (1ull << 20)
#define ADDRESS_MAX (16ull << 40) /* of the arena */
#define SPARE_MAX 1024u

void
cache_params_init(struct cache_params *p)
{
	memset(p, 0, sizeof(*p));
	p->size = SIZE_DEFAULT;
	p->write_delay_ns = -1;
	p->uploads = 64;
	p->error_deadline_ns = 120 * NS_PER_S;
}

/* --- requests --------------------------------------------------------------- */

static void
run_done(struct loop_task *t)
{
	struct cache_req *r = container_of(t, struct cache_req, task);

	r->done(r);
}

void
cache_finish(struct cache_req *r, int rc)
{
	r->rc = rc;
	if (rc < 0)
		err_errno(&r->err, rc, "block %llu",
		    (unsigned long long)r->block);
	loop_defer(r->cache->loop, &r->task);
}

void
cache_finish_err(struct cache_req *r, int rc, const struct err *e)
{
	r->rc = rc;
	if (rc < 0)
		err_copy(&r->err, e);
	loop_defer(r->cache->loop, &r->task);
}

void
cache_submit(struct cache *c, struct cache_req *r)
{
	r->cache = c;
	r->task.run = run_done;
	r->task.queued = false;
	list_init(&r->link);
	r->phase = 0;
	r->admitted = false;
	r->nwait = 0;
	r->buf = NULL;
	r->data = NULL;
	err_clear(&r->err);
	must(!c->closing);

	switch (r->op) {
	case CACHE_READ:
		must(r->len > 0 && r->off + r->len <= c->info.block_size);
		must(r->block < c->info.nblocks);
		if (r->off == 0)
			r->nwait = ahead_read(c, r);
		read_step(c, r);
		return;
	case CACHE_WRITE:
	case CACHE_LOGGED:
		must(r->len > 0 && r->off + r->len <= c->info.block_size);
		must(r->block < c->info.nblocks);
		break;
	case CACHE_ZERO:
		must(r->len > 0 && r->len <= c->info.size);
		must(r->block < c->info.nblocks &&
		    r->off < c->info.block_size);
		must(r->block * c->info.block_size + r->off + r->len <=
		    c->info.size);
		break;
	case CACHE_FLUSH:
	case CACHE_DRAIN:
		barrier_begin(c, r);
		return;
	}
	if (c->info.read_only) {
		err_set(&r->err, -EROFS, "the volume is read-only");
		r->rc = -EROFS;
		loop_defer(c->loop, &r->task);
		return;
	}
	write_begin(c, r);
}

void
cache_req_fini(struct cache_req *r)
{
	buf_unref(r->buf);
	r->buf = NULL;
	r->data = NULL;
}

/* --- opening ------------------------------------------------------------------- */

static void
memory_freed(struct arena *a)
{
	write_admit(container_of(a, struct cache, arena));
}

/* As many entries as the memory has pages, unless what one costs in itself
 * (with its slot) would be more than a quarter of it. */
static uint32_t
count_entries(const struct cache *c)
{
	uint64_t own = c->entry_stride + sizeof(struct slot) +
	    BITS_WORDS(c->npages) * 8 + (uint64_t)c->npages * 8;
	uint64_t n = c->params.size / ARENA_PAGE;

	if (n > c->params.size / 4 / own)
		n = c->params.size / 4 / own;
	if (n > ADDRESS_MAX / c->info.block_size)
		n = ADDRESS_MAX / c->info.block_size;
	if (n < 4 * MIN_BLOCKS)
		n = 4 * MIN_BLOCKS;
	return n > INT32_MAX ? INT32_MAX : (uint32_t)n;
}

static void
set_limits(struct cache *c, const struct cache_params *p)
{
	uint64_t min = (uint64_t)c->info.block_size * MIN_BLOCKS;

	c->params = *p;
	if (c->params.size == 0)
		c->params.size = SIZE_DEFAULT;
	if (min < MIN_SIZE)
		min = MIN_SIZE;
	if (c->params.size < min) {
		log_info("cache: %llu bytes hold less than %u blocks; "
			 "taking %llu",
		    (unsigned long long)c->params.size, MIN_BLOCKS,
		    (unsigned long long)min);
		c->params.size = min;
	}
	if (c->params.dirty_max == 0 || c->params.dirty_max > c->params.size)
		c->params.dirty_max = c->params.size / 4 * 3;
	if (c->params.dirty_max < 2 * (uint64_t)c->info.block_size)
		c->params.dirty_max = 2 * (uint64_t)c->info.block_size;
	if (c->params.uploads == 0)
		c->params.uploads = 64;
	c->dirty_max = c->params.dirty_max / ARENA_PAGE;
	c->dirty_high = c->dirty_max / 2;
	c->dirty_slow = c->dirty_max / 4 * 3;
	c->room_pages = c->params.size / ARENA_PAGE;
	c->nsectors = c->info.block_size / SECTOR;
	c->nwords = BITS_WORDS(c->nsectors);
	c->npages = c->info.block_size / ARENA_PAGE;
	c->entry_stride = (uint32_t)(sizeof(struct entry) +
	    2 * (size_t)c->nwords * sizeof(uint64_t));
}

int
cache_open(struct layout *l, struct loop *loop, const struct cache_params *p,
    struct stat_set *stats, struct cache **out, struct err *e)
{
	struct cache *c = calloc(1, sizeof(*c));
	uint32_t n, nslots;
	int rc;

	if (!c)
		return err_set(e, -ENOMEM, "cache: no memory");
	c->layout = l;
	c->info = *layout_info(l);
	c->loop = loop;
	c->stats = stats;
	set_limits(c, p);
	n = count_entries(c);
	c->entries_spare = n / 4 < SPARE_MAX ? n / 4 : SPARE_MAX;
	/* An entry may have a slot while it is read into another, or while an
	 * older one is being sent. */
	nslots = n + c->entries_spare + c->params.uploads;
	c->entries_max = spill_count_entries(c, n);
	list_init(&c->fetches);
	list_init(&c->flushes);
	list_init(&c->synced);
	list_init(&c->unmarked);
	list_init(&c->writers);
	c->barrier.run = barrier_run;
	c->admit.run = write_admit_run;
	c->ahead.run = ahead_run;
	c->pace_timer.fire = pace_fire;
	erase_init(c);

	rc = arena_open(&c->arena, loop, c->info.block_size, nslots,
	    memory_freed, e);
	if (rc < 0)
		goto fail;
	rc = entry_open(c, e);
	if (rc < 0)
		goto fail;
	rc = evict_open(c, e);
	if (rc < 0)
		goto fail;
	rc = wb_open(c, e);
	if (rc < 0)
		goto fail;
	rc = spill_open(c, e);
	if (rc < 0)
		goto fail;
	rc = jnl_open(c, e);
	if (rc < 0)
		goto fail;
	*out = c;
	return 0;
fail:
	jnl_fini(c);
	spill_fini(c);
	wb_fini(c);
	evict_fini(c);
	entry_fini(c);
	arena_fini(&c->arena);
	free(c);
	return rc;
}

/* --- status ----------------------------------------------------------------------- */

static void
age(const struct list *l, int64_t now, int64_t *oldest)
{
	list_for_each(i, l)
	{
		const struct entry *e = list_entry(i, struct entry, wlink);
		int64_t since = e->up ? e->up->since_ns : e->since_ns;

		if (now - since > *oldest)
			*oldest = now - since;
	}
}

void
cache_get_status(const struct cache *c, struct cache_status *s)
{
	int64_t now = loop_now(c->loop);

	memset(s, 0, sizeof(*s));
	s->dirty_bytes = c->dirty_pages * ARENA_PAGE;
	s->spilled_bytes = c->spilled_pages * ARENA_PAGE;
	s->memory_bytes = entry_memory(c);
	for (int i = 0; i < NQUEUE; i++)
		s->clean_bytes += c->qpages[i] * ARENA_PAGE;
	s->dirty_blocks = c->ndirty;
	s->uploading_blocks = c->nsending;
	s->upload_bytes_per_s = (uint64_t)(c->rate * ARENA_PAGE);
	/* The lists are short or in order of age: the head is enough. */
	if (!list_empty(&c->dirty))
		s->oldest_dirty_ns = now -
		    list_entry(c->dirty.next, struct entry, wlink)->since_ns;
	if (!list_empty(&c->ready)) {
		int64_t a = now -
		    list_entry(c->ready.next, struct entry, wlink)->since_ns;

		if (a > s->oldest_dirty_ns)
			s->oldest_dirty_ns = a;
	}
	age(&c->busy, now, &s->oldest_dirty_ns);
	age(&c->failed, now, &s->oldest_dirty_ns);
	for (size_t i = 0; i < c->erases.n; i++)
		if (now - c->erases.v[i].since_ns > s->oldest_dirty_ns)
			s->oldest_dirty_ns = now - c->erases.v[i].since_ns;
	s->rc = c->fail_rc;
	err_copy(&s->err, &c->fail_err);
}

void
cache_drop_clean(struct cache *c)
{
	for (int i = 0; i < NQUEUE; i++)
		while (!list_empty(&c->q[i]))
			entry_free(c,
			    list_entry(c->q[i].next, struct entry, qlink));
	while (arena_trim(&c->arena))
		;
}

const uint8_t *
cache_zeros(const struct cache *c, size_t *len)
{
	*len = c->info.block_size > ARENA_ZEROS ? c->info.block_size
						: ARENA_ZEROS;
	return c->arena.zeros;
}

uint64_t
cache_max_reading(const struct cache *c)
{
	uint64_t n = c->params.size / 4 / c->info.block_size;

	return n < c->entries_spare ? n : c->entries_spare;
}

uint64_t
cache_count_fresh(const struct cache *c)
{
	return c->nfresh;
}

/* --- closing ------------------------------------------------------------------------- */

static void
bye(struct loop_task *t)
{
	container_of(t, struct cache, bye)->drained = true;
}

/* Tasks run in order: when ours has run, so have the others. */
void
cache_check_drained(struct cache *c)
{
	if (!c->closing || c->nfetches || c->nsending || c->nerase_sent ||
	    c->syncing || c->spill_flushing)
		return;
	c->bye.run = bye;
	loop_defer(c->loop, &c->bye);
}

static void
drop_all(struct cache *c)
{
	for (uint32_t i = 0; i < c->entries_ever; i++) {
		struct entry *e = entry_nth(c, i);

		if (!e->live)
			continue;
		must(e->nfetch == 0 && list_empty(&e->waiters));
		slot_unref(e->slot);
		spill_forget(c, e);
	}
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	must(list_empty(&c->writers) && list_empty(&c->flushes));
	c->closing = true;
	fetch_cancel_all(c);
	wb_cancel_all(c);
	erase_cancel_all(c);
	if (c->syncing)
		layout_cancel(&c->sync);
	loop_timer_cancel(&c->pace_timer);
	cache_check_drained(c);
	loop_run_until(c->loop, &c->drained);
	loop_timer_cancel(&c->wb_timer);
	loop_timer_cancel(&c->pace_timer);
	jnl_fini(c);
	drop_all(c);
	spill_fini(c);
	fetch_fini(c);
	wb_fini(c);
	ranges_fini(&c->erases);
	evict_fini(c);
	entry_fini(c);
	arena_fini(&c->arena);
	free(c);
}
