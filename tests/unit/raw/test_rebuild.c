/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rebuilding, interrupted at every hundredth of it, with writes going on: by a
 * power cut, and by another member that dies.  Afterwards nothing is lost, the
 * place of the rebuild has not gone back behind what a checkpoint has said, and
 * no pool has called itself whole that was not.
 *
 * In the short run it is the one at the even and the other at the odd ones.
 * PAIL_LONG=1: both at all, and the redundancy is checked each time, not at each
 * tenth.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/must.h"
#include "memberlab.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"

static struct lab lab;
static struct lab_object model[LAB_NKEYS], start_model[LAB_NKEYS];

/* A pool one member of which has missed much, on all its disks, as images. */
struct scene {
	unsigned column; /* it was offline */
	bool replace;
	struct simdisk *spare;
	struct simimage *spare_image;
};

static void
scene_make(struct scene *sc, unsigned k, unsigned m, bool replace)
{
	struct lab_params lp = {.k = k, .m = m, .seed = 7 + 10 * k + m};
	struct err e = ERR_INIT;

	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	sc->column = m;
	sc->replace = replace;
	sc->spare = simdisk_new(&lab.w, LAB_DISK);
	lab_must_open(&lab);
	ml_write_all(&lab, model);
	lab_check(ml_offline(&lab, sc->column, false, &e) == 0);
	ml_write_some(&lab, model, 60);
	lab_must_close(&lab);
	memcpy(start_model, model, sizeof(model));
	lab_save(&lab);
	sc->spare_image = simdisk_save(sc->spare);
}

static void
scene_reset(struct scene *sc)
{
	lab_restore(&lab);
	simdisk_load(sc->spare, sc->spare_image);
	memcpy(model, start_model, sizeof(model));
}

static void
scene_free(struct scene *sc)
{
	simimage_free(sc->spare_image);
	simdisk_free(sc->spare);
	lab_fini(&lab);
}

static void
swap(struct scene *sc)
{
	struct simdisk *d = lab.disk[sc->column];

	if (!sc->replace)
		return;
	lab.disk[sc->column] = sc->spare;
	sc->spare = d;
}

/* Begin, and go on, with writes, until that much is done. */
static void
go_on(struct scene *sc, unsigned percent, bool writes)
{
	/* Slow enough that a write falls in between. */
	struct pool_rebuild_limits limits = {
	    .max_bytes_per_s = sc->replace ? 64u << 20 : 24u << 20};
	struct err e = ERR_INIT;
	struct pool_status st;

	pool_rebuild_limit(lab.pool, &limits);
	if (sc->replace)
		lab_check(ml_replace(&lab, sc->column, sc->spare, false, &e) ==
		    0);
	else
		lab_check(ml_online(&lab, lab.disk[sc->column], false, &e) ==
		    0);
	for (unsigned n = 0;; n++) {
		ml_status(&lab, &st);
		if (!st.rebuild.active)
			return;
		lab_check(st.health != POOL_WHOLE);
		lab_check(st.member[sc->column].state ==
		    RAW_MEMBER_REBUILDING);
		if (st.rebuild.objects_done * 100 >=
		    st.rebuild.objects_total * percent)
			return;
		if (writes && n % 16 == 0)
			ml_write_some(&lab, model, 1);
		if (n % 64 == 63)
			lab_check(lab_checkpoint(&lab) == 0);
		lab_idle(&lab, NS_PER_MS / 2);
	}
}

/* It is rebuilt to its end: and then it is true. */
static void
finish(struct scene *sc, unsigned percent, const char *where)
{
	struct pool_rebuild_limits none = {.share = 100};
	unsigned every = lab_env("PAIL_LONG", 0) ? 1 : 10;

	pool_rebuild_limit(lab.pool, &none);
	ml_write_some(&lab, model, 2);
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(ml_health(&lab) == POOL_WHOLE);
	lab_compare_all(&lab, model, where);
	lab_must_close(&lab);
	if (percent % every == 0)
		ml_check_redundancy(&lab, model, where);
}

static void
cut_at(struct scene *sc, unsigned percent, unsigned *resumed)
{
	uint64_t saved;
	struct pool_status st;

	scene_reset(sc);
	lab_must_open(&lab);
	go_on(sc, percent, true);
	/* What is acknowledged is synced: it is all to be there. */
	lab_check(lab_sync(&lab) == 0);
	saved = lab.pool->super.rebuilt_objects;
	lab_kill(&lab);
	for (unsigned c = 0; c < lab.n; c++)
		simdisk_settle(
		    lab.disk[c], (enum sim_keep)sim_random(&lab.w, 4));
	simdisk_settle(sc->spare, (enum sim_keep)sim_random(&lab.w, 4));
	swap(sc);
	lab_must_open(&lab);
	ml_status(&lab, &st);
	lab_check(st.health != POOL_WHOLE ||
	    st.member[sc->column].state == RAW_MEMBER_ONLINE);
	if (st.rebuild.active) {
		lab_check(st.rebuild.objects_done >= saved);
		*resumed += st.rebuild.objects_done > 0;
	}
	lab_compare_all(&lab, model, "after the cut");
	finish(sc, percent, "cut while it was rebuilt");
	swap(sc);
}

/* Another member dies. */
static void
second_at(struct scene *sc, unsigned percent)
{
	unsigned other = (sc->column + 1) % lab.n;
	struct pool_status st;
	struct err e = ERR_INIT;
	bool in_time;

	scene_reset(sc);
	lab_must_open(&lab);
	go_on(sc, percent, false);
	/* What has come to its end meanwhile is a first failure. */
	in_time = ml_state(&lab, sc->column) == RAW_MEMBER_REBUILDING;
	simdisk_faults(lab.disk[other])->dead = true;
	for (unsigned i = 0; i < LAB_NKEYS; i++) {
		int rc = lab_compare(&lab, i, &model[i]);

		/* Never anything else; and with another parity, all. */
		lab_check(
		    rc == 0 || (rc == -EIO && lab.m == 1 && in_time));
	}
	if (lab.m == 1 &&
	    ml_state(&lab, sc->column) == RAW_MEMBER_REBUILDING) {
		struct lab_object o = ml_object(&lab);

		/* A write makes it show, if reading has not. */
		lab_check(lab_put(&lab, 0, &o) < 0);
		lab_check(lab_sync(&lab) < 0);
		lab_check(ml_health(&lab) == POOL_FAILED);
		lab_kill(&lab);
		simdisk_faults(lab.disk[other])->dead = false;
		swap(sc);
		lab_must_open(&lab);
		/* It was not acknowledged: either. */
		if (lab_compare(&lab, 0, &o) == 0)
			model[0] = o;
	} else {
		ml_write_some(&lab, model, 3);
		(void)ml_rebuilt(&lab);
		ml_status(&lab, &st);
		lab_check(st.health != POOL_WHOLE);
		lab_check(st.member[sc->column].state == RAW_MEMBER_ONLINE);
		lab_check(st.member[other].state == RAW_MEMBER_FAULTED);
		simdisk_faults(lab.disk[other])->dead = false;
		lab_check(ml_online(&lab, lab.disk[other], false, &e) == 0);
		lab_check(ml_health(&lab) != POOL_WHOLE);
		swap(sc);
	}
	finish(sc, percent, "a second failure");
	swap(sc);
}

static void
each_percent(unsigned k, unsigned m, bool replace)
{
	bool all = lab_env("PAIL_LONG", 0);
	unsigned step = all ? 1 : k + m > 3 ? 9 : 1;
	unsigned cuts = 0, resumed = 0, seconds = 0;
	struct scene sc;

	scene_make(&sc, k, m, replace);
	for (unsigned pc = 0; pc < 100; pc += step) {
		lab_reproduce("%u+%u, %s, %u %%", k, m,
		    replace ? "replaced" : "back", pc);
		if (all || pc % 2 == 0) {
			cut_at(&sc, pc, &resumed);
			cuts++;
		}
		if (all || pc % 2 == 1) {
			second_at(&sc, pc);
			seconds++;
		}
	}
	lab_check(resumed > 0);
	print_message("%u+%u %s: %u cuts, %u of them resumed in the middle, "
		      "%u second failures\n",
	    k, m, replace ? "replaced" : "back", cuts, resumed, seconds);
	scene_free(&sc);
}

static void
test_back(void **state)
{
	each_percent(2, 1, false);
	each_percent(4, 2, false);
}

static void
test_replaced(void **state)
{
	each_percent(2, 1, true);
	each_percent(4, 2, true);
}

/* An object of several extents is replaced while one of them has been worked at,
 * and the others are soon somebody else's: nothing is lost, and nobody to
 * blame. */
static void
test_replaced_under_it(void **state)
{
	struct lab_params lp = {
	    .k = 2, .m = 1, .seed = 11, .disk_bytes = 64u << 20};
	struct pool_rebuild_limits slow = {.max_bytes_per_s = 100000}, none = {0};
	struct lab_object big = {.version = 1, .size = 9u << 20};
	struct pool_status st;
	struct err e = ERR_INIT;

	lab_reproduce("test_replaced_under_it");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(ml_offline(&lab, 1, false, &e) == 0);
	lab_check(lab_put(&lab, 0, &big) == 0);
	pool_rebuild_limit(lab.pool, &slow);
	/* It is in use: one extent at a time. */
	lab.pool->asked_ns = ml_now(&lab) + NS_PER_S;
	lab_check(ml_online(&lab, lab.disk[1], false, &e) == 0);
	lab_idle(&lab, NS_PER_S / 2);
	for (unsigned i = 0; i < 16; i++) {
		big.version++;
		lab_check(lab_put(&lab, 0, &big) == 0);
		lab_check(lab_sync(&lab) == 0);
	}
	pool_rebuild_limit(lab.pool, &none);
	lab_check(ml_rebuilt(&lab) == 0);
	ml_status(&lab, &st);
	lab_check(st.rebuild.lost == 0);
	for (unsigned c = 0; c < lab.n; c++)
		lab_check(st.member[c].checksum_errors == 0);
	lab_check(lab_compare(&lab, 0, &big) == 0);
	lab_must_close(&lab);
	lab_fini(&lab);
}

static void
told(struct pool_rebuild_wait *w, int rc)
{
	lab_check(rc == 0);
	++*(unsigned *)w->arg;
}

/* Of several who wait for the end one goes: only it is not told. */
static void
test_unwait(void **state)
{
	struct pool_rebuild_wait wait[3];
	unsigned count[3] = {0};
	struct err e = ERR_INIT;
	struct scene sc;

	lab_reproduce("tests/unit/raw/test_rebuild (unwait)");
	scene_make(&sc, 2, 1, false);
	lab_must_open(&lab);
	lab_check(ml_online(&lab, lab.disk[sc.column], false, &e) == 0);
	for (unsigned i = 0; i < 3; i++) {
		wait[i] = (struct pool_rebuild_wait){
		    .done = told, .arg = &count[i]};
		pool_rebuild_wait(lab.pool, &wait[i]);
	}
	pool_rebuild_unwait(lab.pool, &wait[1]);
	pool_rebuild_unwait(lab.pool, &wait[1]); /* not there: no matter */
	lab_check(ml_rebuilt(&lab) == 0);
	lab_idle(&lab, NS_PER_S);
	lab_check(count[0] == 1 && count[1] == 0 && count[2] == 1);
	lab_must_close(&lab);
	simimage_free(sc.spare_image);
	simdisk_free(sc.spare);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unwait),
	    cmocka_unit_test(test_replaced_under_it),
	    cmocka_unit_test(test_back),
	    cmocka_unit_test(test_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
