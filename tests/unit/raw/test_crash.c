/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts: a run is recorded, and for every write and every flush in it the
 * disks are put into the states that a cut at that moment could have left: none
 * of the unflushed writes, all, each alone, all but each, some by chance, and
 * torn ones with old bytes, zeros or garbage behind the tear; on each member by
 * itself.  Each state is opened and compared with the commits that it may hold,
 * then cut once more, then opened with members gone.  From some of them the work
 * goes on, and is cut again.
 *
 * There is little free space, so what one commit frees the next one takes.
 *
 * PAIL_SEED, PAIL_ROUNDS; PAIL_LONG=1: 64 random subsets and every tear.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "lib/rawcrash.h"
#include "raw/alloc.h"
#include "raw/pool_int.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}, {4, 2}};
#define NPROFILES 4
#define NKEYS 12      /* that are worked on */
#define BALLAST 40    /* keys from here on fill the space */

struct world {
	struct lab lab;
	struct lab_object model[LAB_NKEYS];
	uint64_t version;
	uint64_t states, torn, opened, degraded, refused, commits;
};

static uint64_t
chance(struct world *w, uint64_t n)
{
	return sim_random(&w->lab.w, n);
}

/* Objects that nobody touches, until so many sectors of each member are free. */
static void
fill_up(struct world *w, unsigned leave)
{
	for (unsigned key = BALLAST; key < LAB_NKEYS; key++) {
		uint64_t nfree = alloc_nfree(w->lab.pool->alloc);
		struct lab_object o = {++w->version, 1u << 20, 0};
		uint64_t keep = alloc_zone_free(w->lab.pool->alloc) +
		    leave * w->lab.n;
		int rc;

		if (w->model[key].version)
			continue;
		for (; o.size >= 4096; o.size /= 2) {
			if (nfree < keep + o.size / 4096 * w->lab.n / w->lab.k)
				continue;
			rc = lab_put(&w->lab, key, &o);
			if (rc == 0)
				break;
			lab_check(rc == -ENOSPC);
		}
		if (o.size >= 4096)
			w->model[key] = o;
	}
	lab_check(lab_sync(&w->lab) == 0);
	w->lab.quick_from = BALLAST;
}

static struct lab_object
some_object(struct world *w)
{
	static const uint32_t sizes[] = {0, 1, 4096, 4096, 8192, 5000, 16384,
	    40000};

	return (struct lab_object){
	    ++w->version, sizes[chance(w, 8)], (uint8_t)chance(w, 3)};
}

/* nops random requests, some of them at the same time. */
static void
work(struct world *w, struct crash *c, unsigned nops)
{
	for (unsigned i = 0; i < nops; i++) {
		unsigned n = 1 + (unsigned)chance(w, 4), key[CRASH_MAXITEMS];
		unsigned first = (unsigned)chance(w, NKEYS);
		struct lab_object obj[CRASH_MAXITEMS] = {0};
		unsigned what = (unsigned)chance(w, 20);

		for (unsigned j = 0; j < n; j++) {
			key[j] = (first + j) % NKEYS;
			if (chance(w, 4))
				obj[j] = some_object(w);
		}
		if (what < 5) {
			crash_write(c, POOL_BATCH, key, obj, n, true);
		} else if (what < 13) {
			struct crash_op *o[4];

			for (unsigned j = 0; j < n; j++)
				o[j] = crash_write(c,
				    obj[j].version ? POOL_PUT : POOL_DELETE,
				    &key[j], &obj[j], 1, false);
			if (what == 12)
				crash_sync(c, false);
			for (unsigned j = 0; j < n; j++)
				crash_wait(c, o[j]);
		} else if (what < 19) {
			crash_sync(c, true);
		} else {
			lab_check(lab_checkpoint(&w->lab) == 0);
		}
	}
}

static void
thoroughness(struct crash *c, unsigned skip)
{
	bool all = lab_env("PAIL_LONG", 0);

	/* Opening six members takes six times as long. */
	c->skip = all ? 0 : skip * c->lab->n;

	c->subsets = all ? 64 : 3;
	c->tears = all ? 32 : 1;
	c->recrash = true;
}

static void
count(struct world *w, const struct crash *c)
{
	w->states += c->states;
	w->torn += c->torn;
	w->opened += c->opened;
	w->degraded += c->degraded;
	w->refused += c->refused;
	w->commits += c->nops;
}

static void
report(const struct world *w, const char *what, unsigned k, unsigned m)
{
	print_message("%s %u+%u: %llu requests, %llu crash states, %llu of "
		      "them torn, %llu openings, %llu with members gone",
	    what, k, m, (unsigned long long)w->commits,
	    (unsigned long long)w->states, (unsigned long long)w->torn,
	    (unsigned long long)w->opened, (unsigned long long)w->degraded);
	if (w->refused)
		print_message(
		    ", %llu refused", (unsigned long long)w->refused);
	print_message("\n");
}

static void
world_init(struct world *w, unsigned pr, uint64_t seed, const char *test)
{
	memset(w, 0, sizeof(*w));
	lab_reproduce("PAIL_SEED=%llu PAIL_PROFILE=%u PAIL_LONG=%d "
		      "PAIL_ONLY=%s tests/unit/raw/test_crash",
	    (unsigned long long)seed, pr, (int)lab_env("PAIL_LONG", 0), test);
	lab_init(&w->lab,
	    &(struct lab_params){.k = profiles[pr].k,
		.m = profiles[pr].m,
		.seed = seed,
		.disk_bytes = 27u << 20});
	lab_must_open(&w->lab);
	fill_up(w, 130);
}

/* A run of some requests, cut everywhere; and again from where some cut left
 * it. */
static void
cut_everywhere(struct world *w, unsigned nops, unsigned depth)
{
	struct crash *c = calloc(1, sizeof(*c));
	struct sim_fate fate[CRASH_MAXDOUBT];
	unsigned doubt[CRASH_MAXDOUBT], e, n;
	struct simimage *im[RAW_MAX_MEMBERS];
	uint64_t s;

	must(c);
	c->lab = &w->lab;
	thoroughness(c, 35);
	c->where = depth == 2 ? "first run" : depth == 1 ? "second" : "third";
	crash_begin(c, &w->lab, w->model);
	work(w, c, nops);
	crash_end(c);
	crash_check_all(c, 0, c->events);
	/* Go on from one of them. */
	e = (unsigned)chance(w, c->events + 1);
	n = simrec_doubt(c->rec, e, doubt, CRASH_MAXDOUBT);
	for (unsigned i = 0; i < n; i++)
		fate[i] = (struct sim_fate){.whole = chance(w, 2)};
	simrec_build(c->rec, e, fate, n);
	for (unsigned i = 0; i < w->lab.n; i++)
		im[i] = simdisk_save(w->lab.disk[i]);
	crash_check(c, e, fate, n, &s);
	crash_state(c, s, w->model);
	for (unsigned i = 0; i < w->lab.n; i++) {
		simdisk_load(w->lab.disk[i], im[i]);
		simimage_free(im[i]);
	}
	count(w, c);
	crash_free(c);
	free(c);
	if (depth > 0) {
		lab_must_open(&w->lab);
		cut_everywhere(w, nops, depth - 1);
	}
}

static bool
wanted(const char *test)
{
	const char *only = getenv("PAIL_ONLY");

	return !only || !*only || strcmp(only, test) == 0;
}

static void
each_world(const char *test, void (*run)(struct world *w, unsigned pr),
    unsigned rounds, unsigned first)
{
	uint64_t seed = lab_env("PAIL_SEED", 1);
	uint64_t only = lab_env("PAIL_PROFILE", NPROFILES);

	rounds = (unsigned)lab_env("PAIL_ROUNDS", rounds);
	if (!wanted(test))
		return;
	for (unsigned pr = first; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w)), sum = {0};

		must(w);
		for (unsigned i = 0; i < rounds; i++) {
			if (only < NPROFILES && pr != only)
				continue;
			world_init(w, pr, seed + i, test);
			run(w, pr);
			lab_fini(&w->lab);
			sum.states += w->states;
			sum.torn += w->torn;
			sum.opened += w->opened;
			sum.degraded += w->degraded;
			sum.refused += w->refused;
			sum.commits += w->commits;
		}
		free(w);
		report(&sum, test, profiles[pr].k, profiles[pr].m);
	}
}

static void
everywhere(struct world *w, unsigned pr)
{
	cut_everywhere(w, lab_env("PAIL_LONG", 0) ? 100 : 10,
	    lab_env("PAIL_LONG", 0) ? 2 : 1);
}

static void
test_everywhere(void **state)
{
	each_world("everywhere", everywhere, 1, 0);
}

/* Every tear of a few writes. */
static void
torn(struct world *w, unsigned pr)
{
	struct crash *c = calloc(1, sizeof(*c));
	unsigned key[] = {1, 2};
	struct lab_object obj[] = {{++w->version, 4096, 0},
	    {++w->version, 12000, 2}};
	unsigned from;

	must(c);
	c->lab = &w->lab;
	thoroughness(c, 15);
	c->tear_all = true;
	c->where = "two objects in a batch";
	crash_begin(c, &w->lab, w->model);
	crash_write(c, POOL_BATCH, key, obj, 2, true);
	crash_sync(c, true);
	from = simrec_now(&w->lab.w);
	obj[0].version = ++w->version;
	obj[1].version = ++w->version;
	crash_write(c, POOL_BATCH, key, obj, 2, true);
	crash_sync(c, true);
	crash_end(c);
	crash_check_all(c, from, c->events);
	count(w, c);
	crash_free(c);
	free(c);
}

static void
test_torn(void **state)
{
	each_world("torn", torn, 1, 0);
}

/* The pool is so full that what a commit frees is all there is for the next
 * one: until it is durable the old object must not be written over (I1). */
static void
reuse(struct world *w, unsigned pr)
{
	struct crash *c = calloc(1, sizeof(*c));
	unsigned last[4] = {0}, leave = 8;

	must(c);
	c->lab = &w->lab;
	thoroughness(c, 3);
	c->where = "a full pool";
	/* Of more than one member the allocator leaves a sector free in each
	 * 1024 addresses; that is no room for these. */
	if (w->lab.n > 1)
		leave += (unsigned)(w->lab.pool->super.data_sectors >> 10) + 1;
	fill_up(w, leave);
	crash_begin(c, &w->lab, w->model);
	/* Commits end while flushes are under way. */
	for (unsigned i = 0; i < 24; i++) {
		unsigned key = i % 4;
		struct lab_object o = {++w->version, 4096, 0};

		crash_wait(c, &c->op[last[key]]);
		last[key] = c->nops;
		crash_write(c, POOL_PUT, &key, &o, 1, false);
		if (i % 2)
			crash_sync(c, false);
	}
	crash_end(c);
	crash_check_all(c, 0, c->events);
	count(w, c);
	crash_free(c);
	free(c);
}

static void
test_reuse(void **state)
{
	each_world("reuse", reuse, 1, 0);
}

/* One device ignores flushes: as if it had been lost. */
static void
one_lies(struct world *w, unsigned pr)
{
	struct crash *c = calloc(1, sizeof(*c));
	struct sim_fate fate[CRASH_MAXDOUBT];
	unsigned doubt[CRASH_MAXDOUBT];
	unsigned liar = (unsigned)chance(w, w->lab.n);
	uint64_t s;

	must(c);
	lab_must_close(&w->lab);
	lab_must_open(&w->lab);
	c->where = "a flush that lies";
	c->spoilt = 1;
	crash_begin(c, &w->lab, w->model);
	simdisk_faults(w->lab.disk[liar])->lies = true;
	work(w, c, 10);
	crash_end(c);
	simdisk_faults(w->lab.disk[liar])->lies = false;
	/* Its writes are in doubt for ever: lost, or any of them.  The others
	 * are whole, so that no more than one member suffers. */
	for (unsigned e = 0; e <= c->events; e++) {
		unsigned n = simrec_doubt(c->rec, e, doubt, CRASH_MAXDOUBT);

		for (unsigned how = 0; how < 3; how++) {
			if (chance(w, 4 * w->lab.n) && !lab_env("PAIL_LONG", 0))
				continue;
			for (unsigned i = 0; i < n; i++)
				fate[i] = (struct sim_fate){
				    .whole = simrec_write_disk(c->rec,
						 doubt[i]) != liar ||
					(how == 1 && chance(w, 2))};
			/* Half of a mirror is not opened without force. */
			if (how == 2 && w->lab.n > 2)
				c->gone = 1u << liar;
			crash_check(c, e, fate, n, &s);
			c->gone = 0;
		}
	}
	count(w, c);
	crash_free(c);
	free(c);
}

/* All of them lie: what was synced may be lost.  But the index is the result of
 * some commits, an object is what it says or cannot be read, or nothing is
 * opened at all. */
static void
all_lie(struct world *w, unsigned pr)
{
	struct crash *c = calloc(1, sizeof(*c));
	struct sim_fate fate[CRASH_MAXDOUBT];
	unsigned doubt[CRASH_MAXDOUBT];
	uint64_t s;

	must(c);
	c->lying = true;
	c->where = "flushes that all lie";
	crash_begin(c, &w->lab, w->model);
	for (unsigned i = 0; i < w->lab.n; i++)
		simdisk_faults(w->lab.disk[i])->lies = true;
	work(w, c, 10);
	crash_end(c);
	for (unsigned i = 0; i < w->lab.n; i++)
		simdisk_faults(w->lab.disk[i])->lies = false;
	for (unsigned e = 0; e <= c->events; e++) {
		unsigned n = simrec_doubt(c->rec, e, doubt, CRASH_MAXDOUBT);

		for (unsigned how = 0; how < 4; how++) {
			if (chance(w, 4 * w->lab.n) && !lab_env("PAIL_LONG", 0))
				continue;
			for (unsigned i = 0; i < n; i++)
				fate[i] = (struct sim_fate){
				    .whole = how == 0 || (how < 3 && chance(w, 1 + how))};
			crash_check(c, e, fate, n, &s);
		}
	}
	count(w, c);
	crash_free(c);
	free(c);
}

static void
test_one_lies(void **state)
{
	each_world("one_lies", one_lies, 1, 1);
}

static void
test_all_lie(void **state)
{
	each_world("all_lie", all_lie, 2, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_everywhere),
	    cmocka_unit_test(test_torn),
	    cmocka_unit_test(test_reuse),
	    cmocka_unit_test(test_one_lies),
	    cmocka_unit_test(test_all_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
