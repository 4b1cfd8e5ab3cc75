/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power goes while superblocks are written, and again at any moment of the
 * opening that follows, which tears what was not flushed.  Whatever half of the
 * superblocks is left then: what it names is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "lib/rawlab.h"
#include "raw/ckpt.h"
#include "raw/format.h"
#include "raw/pool_int.h"

#define MAXDOUBT 256

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}};
#define NPROFILES 3

static const enum raw_copy second_half[] = {RAW_COPY_B0, RAW_COPY_B1};

static struct lab lab;
static struct lab_object model[LAB_NKEYS];
static uint8_t half[RAW_MAX_MEMBERS][2][RAW_SECTOR];

static void
put_some(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		model[i].version++;
		model[i].size = 3000 + 100 * i;
		lab_check(lab_put(&lab, i, &model[i]) == 0);
	}
}

/* The B copies are read, or put back, of the members from `first` on. */
static void
copies(bool put_back, unsigned first)
{
	uint64_t end = lab.pool ? lab.pool->super.end : LAB_DISK;

	for (unsigned c = first; c < lab.n; c++)
		for (unsigned i = 0; i < 2; i++) {
			uint64_t off = raw_copy_offset(second_half[i], end);

			if (put_back)
				simdisk_poke(lab.disk[c], off, half[c][i],
				    RAW_SECTOR);
			else
				simdisk_peek(lab.disk[c], off, half[c][i],
				    RAW_SECTOR);
		}
}

/* All that is in doubt at e is torn behind its first 512 bytes. */
static void
build_torn(const struct simrec *rec, unsigned e)
{
	unsigned write[MAXDOUBT], n = simrec_doubt(rec, e, write, MAXDOUBT);
	struct sim_fate fate[MAXDOUBT] = {0};

	must(n <= MAXDOUBT);
	for (unsigned i = 0; i < n; i++)
		fate[i] = (struct sim_fate){.upto = 512, .rest = SIM_REST_OLD};
	simrec_build(rec, e, fate, n);
}

static void
test_half_written(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct lab_params lp = {.k = profiles[pr].k,
		    .m = profiles[pr].m,
		    .seed = 3};
		struct simrec *rec;
		unsigned events;

		memset(model, 0, sizeof(model));
		lab_init(&lab, &lp);
		lab_must_open(&lab);
		put_some(0, 30);
		lab_check(lab_checkpoint(&lab) == 0);
		copies(false, 0);
		put_some(10, 20);
		lab_check(lab_checkpoint(&lab) == 0);
		lab_kill(&lab);
		for (unsigned c = 0; c < lab.n; c++)
			simdisk_settle(lab.disk[c], SIM_KEEP_ALL);
		/* The first cut: only the A copies are new. */
		copies(true, 0);
		rec = simrec_start(&lab.w);
		lab_must_open(&lab);
		events = simrec_now(&lab.w);
		lab_kill(&lab);
		simrec_stop(rec);
		for (unsigned e = 0; e <= events; e++) {
			struct err er = ERR_INIT;
			char where[80];

			lab_reproduce("test_half_written, %u+%u, event %u",
			    lp.k, lp.m, e);
			snprintf(where, sizeof(where), "cut at %u of %u", e,
			    events);
			build_torn(rec, e);
			if (lab_open(&lab, ~0u, false, &er) < 0)
				lab_fail("%s: %s", where, err_text(&er));
			lab_compare_all(&lab, model, where);
			lab_kill(&lab);
		}
		simrec_free(rec);
		lab_fini(&lab);
	}
}

/* The last update of the superblock has come to one member only, which is lost
 * later. */
static void
test_one_knows(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 4};
	static uint8_t a[RAW_MAX_MEMBERS][2][RAW_SECTOR];
	static const enum raw_copy first_half[] = {RAW_COPY_A0, RAW_COPY_A1};
	struct simrec *rec;
	unsigned events;

	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	put_some(0, 30);
	lab_check(lab_checkpoint(&lab) == 0);
	copies(false, 0);
	for (unsigned c = 0; c < lab.n; c++)
		for (unsigned i = 0; i < 2; i++)
			simdisk_peek(lab.disk[c],
			    raw_copy_offset(first_half[i], LAB_DISK), a[c][i],
			    RAW_SECTOR);
	put_some(10, 20);
	lab_check(lab_checkpoint(&lab) == 0);
	lab_kill(&lab);
	for (unsigned c = 0; c < lab.n; c++)
		simdisk_settle(lab.disk[c], SIM_KEEP_ALL);
	copies(true, 0);
	for (unsigned c = 1; c < lab.n; c++)
		for (unsigned i = 0; i < 2; i++)
			simdisk_poke(lab.disk[c],
			    raw_copy_offset(first_half[i], LAB_DISK), a[c][i],
			    RAW_SECTOR);
	rec = simrec_start(&lab.w);
	lab_must_open(&lab);
	events = simrec_now(&lab.w);
	lab_kill(&lab);
	simrec_stop(rec);
	for (unsigned e = 0; e <= events; e++) {
		struct err er = ERR_INIT;
		char where[80];

		lab_reproduce("test_one_knows, event %u", e);
		snprintf(where, sizeof(where), "cut at %u of %u", e, events);
		build_torn(rec, e);
		if (lab_open(&lab, 6, false, &er) < 0)
			lab_fail("%s: %s", where, err_text(&er));
		lab_compare_all(&lab, model, where);
		lab_kill(&lab);
	}
	simrec_free(rec);
	lab_fini(&lab);
}

/*
 * A commit that was not synced has come to one member only.  Whether the third
 * was out before, or is lost now: the commit is dropped, and the pool opened.
 */
static void
test_torn_and_one_away(void **state)
{
	for (unsigned how = 0; how < 2; how++) {
		struct lab_params lp = {.k = 2, .m = 1, .seed = 6};
		struct lab_object next = {.version = 99, .size = 50000};
		struct err e = ERR_INIT;
		struct lab_op *op;
		unsigned key = 3;

		lab_reproduce("test_torn_and_one_away, %u", how);
		memset(model, 0, sizeof(model));
		lab_init(&lab, &lp);
		lab_must_open(&lab);
		put_some(0, 10);
		lab_must_close(&lab);
		if (how == 0 && lab_open(&lab, 5, false, &e) < 0)
			lab_fail("%s", err_text(&e));
		if (how == 1)
			lab_must_open(&lab);
		op = lab_begin(&lab, POOL_PUT, &key, &next, 1);
		lab_check(lab_wait(op) == 0);
		lab_op_free(op);
		lab.w.cut = true;
		lab_kill(&lab);
		simdisk_settle(lab.disk[0], SIM_KEEP_ALL);
		simdisk_settle(lab.disk[1], SIM_KEEP_ALL);
		simdisk_settle(lab.disk[2], SIM_KEEP_NONE);
		lab.w.cut = false;
		if (lab_open(&lab, 5, false, &e) < 0)
			lab_fail("%s", err_text(&e));
		lab_compare_all(&lab, model, "torn, one away");
		lab_must_close(&lab);
		lab_fini(&lab);
	}
}

static bool
syncing(void)
{
	return lab.pool->requests > 0;
}

/* The pool is closed while a checkpoint waits for its flush. */
static void
test_close_in_checkpoint(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 5};

	memset(model, 0, sizeof(model));
	lab_reproduce("test_close_in_checkpoint");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	put_some(0, 10);
	ckpt_start(lab.pool, NULL);
	for (unsigned i = 0; i < 100000 && !syncing(); i++)
		lab_idle(&lab, 10000);
	lab_check(syncing());
	lab_must_close(&lab);
	lab_must_open(&lab);
	lab_compare_all(&lab, model, "closed in a checkpoint");
	lab_must_close(&lab);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_half_written),
	    cmocka_unit_test(test_one_knows),
	    cmocka_unit_test(test_torn_and_one_away),
	    cmocka_unit_test(test_close_in_checkpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
