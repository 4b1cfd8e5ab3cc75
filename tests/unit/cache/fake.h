/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CACHE_FAKE_H
#define TESTS_UNIT_CACHE_FAKE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/stat.h"
#include "cache/cache.h"
#include "layout/layout.h"
#include "loop/loop.h"

/*
 * A layout for tests of the cache: layout_* over a sparse array of blocks, with
 * latencies in virtual time and failures by script.  It takes the place of the
 * real one when the test is linked.
 *
 * It asserts what the cache owes it (layout.h): no two WRITE or ERASE of a
 * block in flight, no READ beside one; and that the data of a WRITE does not
 * change while it is in flight.
 */
struct fake_block {
	uint8_t *data; /* what was written; NULL: nothing */
	bool filled;   /* without data: present, and full of fake_byte */
	unsigned reads, writes; /* in flight */
};

/* What one request does instead of its work: 0, or a negative errno. */
typedef int fake_script(struct layout *l, const struct layout_req *r);

struct layout {
	struct layout_info info;
	struct loop *loop;
	struct fake_block *blocks;
	int64_t read_ns, write_ns; /* how long requests take */
	fake_script *script;	   /* or NULL */
	bool unknown;		   /* nothing is known of what is present */
	/* What has happened. */
	unsigned nread, nwrite, nerase, nsync, ncancel;
	uint64_t read_bytes, erased_blocks;
	unsigned inflight, max_inflight;
	uint64_t nprio[STORE_NPRIO];
	uint64_t last_read; /* block */
	unsigned unsynced;  /* WRITE and ERASE that ended since the last SYNC */
};

struct layout *fake_new(
    struct loop *loop, uint64_t nblocks, uint32_t block_size);
void fake_free(struct layout *l);
/* Put a block there, filled with a pattern of its number. */
void fake_fill(struct layout *l, uint64_t block);
uint8_t fake_byte(uint64_t block, uint64_t off);
void fake_zero_counts(struct layout *l);

/* --- a cache over it ----------------------------------------------------------- */
struct rig {
	struct loop *loop;
	struct layout *l;
	struct cache *c;
	struct cache_params p;
	struct stat_set stats;
};

#define MS NS_PER_MS

static inline void
rig_init(struct rig *g, uint64_t nblocks, uint32_t block_size)
{
	struct err e = ERR_INIT;

	memset(g, 0, sizeof(*g));
	g->loop = loop_new_virtual(&e);
	assert_non_null(g->loop);
	g->l = fake_new(g->loop, nblocks, block_size);
	cache_params_init(&g->p);
	g->p.size = 16 << 20;
	g->p.write_delay_ns = 5 * NS_PER_S; /* as without a journal */
}

static inline void
rig_open(struct rig *g)
{
	struct err e = ERR_INIT;

	if (cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e) < 0)
		fail_msg("%s", err_text(&e));
}

static inline void
rig_fini(struct rig *g)
{
	cache_free(g->c);
	fake_free(g->l);
	loop_free(g->loop);
}

/* A request, and whether it is done. */
struct ask {
	struct cache_req r;
	bool done;
	int64_t done_ns;
	struct loop *loop;
};

static inline void
ask_done(struct cache_req *r)
{
	struct ask *a = r->arg;

	assert_false(a->done);
	a->done = true;
	a->done_ns = loop_now(a->loop);
}

static inline void
ask(struct rig *g, struct ask *a, enum cache_op op, uint64_t block,
    uint32_t off, uint64_t len, const void *src)
{
	memset(a, 0, sizeof(*a));
	a->loop = g->loop;
	a->r.op = op;
	a->r.block = block;
	a->r.off = off;
	a->r.len = len;
	a->r.src = src;
	a->r.done = ask_done;
	a->r.arg = a;
	cache_submit(g->c, &a->r);
	assert_false(a->done);
}

static inline int
ask_wait(struct rig *g, struct ask *a)
{
	loop_run_until(g->loop, &a->done);
	return a->r.rc;
}

static inline int
do_ask(struct rig *g, enum cache_op op, uint64_t block, uint32_t off,
    uint64_t len, const void *src)
{
	struct ask a;

	ask(g, &a, op, block, off, len, src);
	ask_wait(g, &a);
	cache_req_fini(&a.r);
	return a.r.rc;
}

static inline void
must_write(struct rig *g, uint64_t block, uint32_t off, uint64_t len,
    const void *src)
{
	assert_int_equal(do_ask(g, CACHE_WRITE, block, off, len, src), 0);
}

static inline void
must_zero(struct rig *g, uint64_t block, uint32_t off, uint64_t len)
{
	assert_int_equal(do_ask(g, CACHE_ZERO, block, off, len, NULL), 0);
}

static inline void
must_flush(struct rig *g)
{
	assert_int_equal(do_ask(g, CACHE_FLUSH, 0, 0, 0, NULL), 0);
}

/* Read, and compare with want. */
static inline void
must_read(struct rig *g, uint64_t block, uint32_t off, uint64_t len,
    const void *want)
{
	struct ask a;

	ask(g, &a, CACHE_READ, block, off, len, NULL);
	assert_int_equal(ask_wait(g, &a), 0);
	if (memcmp(a.r.data, want, len) != 0)
		fail_msg("block %lu, %u + %lu: wrong bytes",
		    (unsigned long)block, off, (unsigned long)len);
	cache_req_fini(&a.r);
}

/* Read what fake_fill put there. */
static inline void
must_read_filled(struct rig *g, uint64_t block, uint32_t off, uint64_t len)
{
	uint8_t *want = malloc(len);

	assert_non_null(want);
	for (uint64_t i = 0; i < len; i++)
		want[i] = fake_byte(block, off + i);
	must_read(g, block, off, len, want);
	free(want);
}

struct nap {
	struct loop_timer t;
	bool over;
};

static inline void
nap_over(struct loop_timer *t)
{
	container_of(t, struct nap, t)->over = true;
}

/* Let ns of virtual time pass. */
static inline void
pass(struct rig *g, int64_t ns)
{
	struct nap n = {.t = {.fire = nap_over}};

	assert_int_equal(
	    loop_timer_set(g->loop, &n.t, loop_now(g->loop) + ns), 0);
	loop_run_until(g->loop, &n.over);
}

#endif
