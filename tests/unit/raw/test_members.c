/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that leave, come back, are replaced, hang, and lie: on simulated disks
 * and virtual time.  The oracle for redundancy is to take away any m members
 * and read everything from the others.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/must.h"
#include "memberlab.h"
#include "raw/flight.h"
#include "raw/member.h"
#include "raw/rdev.h"

static const struct profile {
	unsigned k, m;
} profiles[] = {{1, 1}, {2, 1}, {4, 2}, {1, 2}};
#define NPROFILES (sizeof(profiles) / sizeof(profiles[0]))

static struct lab lab;
static struct lab_object model[LAB_NKEYS];

static void
setup(const struct profile *pr, uint64_t seed)
{
	struct lab_params lp = {.k = pr->k, .m = pr->m, .seed = seed};

	lab_reproduce("seed %llu, %u+%u", (unsigned long long)seed, pr->k,
	    pr->m);
	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	ml_write_all(&lab, model);
}

static void
teardown(void)
{
	if (lab.pool)
		lab_must_close(&lab);
	lab_fini(&lab);
}

/* --- leave and come back ---------------------------------------------------------- */

static void
test_offline_online(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		unsigned c = pr % 2;
		struct pool_status st;
		struct err e = ERR_INIT;

		setup(&profiles[pr], 10 + pr);
		assert_int_equal(ml_health(&lab), POOL_WHOLE);
		assert_int_equal(ml_offline(&lab, c, false, &e), 0);
		assert_int_equal(ml_state(&lab, c), RAW_MEMBER_OFFLINE);
		assert_int_not_equal(ml_health(&lab), POOL_WHOLE);
		assert_int_equal(
		    ml_offline(&lab, c, false, &e), -EALREADY);
		lab_compare_all(&lab, model, "without one");
		ml_write_some(&lab, model, 40);
		lab_compare_all(&lab, model, "written without one");
		/* Stays out over an opening. */
		lab_must_close(&lab);
		lab_must_open(&lab);
		assert_int_equal(ml_state(&lab, c), RAW_MEMBER_OFFLINE);
		lab_compare_all(&lab, model, "opened without one");
		ml_write_some(&lab, model, 20);
		assert_int_equal(ml_online(&lab, lab.disk[c], false, &e), 0);
		assert_int_not_equal(ml_health(&lab), POOL_WHOLE);
		ml_write_some(&lab, model, 20);
		assert_int_equal(ml_rebuilt(&lab), 0);
		ml_status(&lab, &st);
		assert_int_equal(st.health, POOL_WHOLE);
		assert_int_equal(st.rebuild.lost, 0);
		assert_false(st.rebuild.active);
		lab_compare_all(&lab, model, "rebuilt");
		assert_int_equal(lab_sync(&lab), 0);
		lab_check_space(&lab, model);
		lab_must_close(&lab);
		ml_check_redundancy(&lab, model, "rebuilt");
		teardown();
	}
}

/* A member that was not there when the pool was opened, and then is. */
static void
test_missing_returns(void **state)
{
	for (unsigned pr = 1; pr < NPROFILES; pr++) {
		struct err e = ERR_INIT;

		setup(&profiles[pr], 20 + pr);
		lab_must_close(&lab);
		assert_int_equal(lab_open(&lab, ~2u, false, &e), 0);
		assert_int_equal(ml_state(&lab, 1), RAW_MEMBER_MISSING);
		ml_write_some(&lab, model, 60);
		lab_must_close(&lab);
		lab_must_open(&lab);
		assert_int_equal(ml_state(&lab, 1), RAW_MEMBER_REBUILDING);
		lab_compare_all(&lab, model, "it is back");
		assert_int_equal(ml_rebuilt(&lab), 0);
		assert_int_equal(ml_health(&lab), POOL_WHOLE);
		lab_must_close(&lab);
		ml_check_redundancy(&lab, model, "it is back");
		teardown();
	}
}

/* By path, column and UUID; a path that nobody has means the one that is gone. */
static void
test_names(void **state)
{
	char uuid[33] = "";
	struct pool_status st;
	struct err e = ERR_INIT;
	unsigned c = 99;

	setup(&profiles[1], 50);
	ml_status(&lab, &st);
	for (unsigned i = 0; i < 16; i++)
		snprintf(uuid + 2 * i, 3, "%02X", st.member[1].uuid[i]);
	assert_int_equal(pool_member_find(lab.pool, "disk1", &c, &e), 0);
	assert_int_equal(c, 1);
	assert_int_equal(pool_member_find(lab.pool, "0", &c, &e), 0);
	assert_int_equal(c, 0);
	assert_int_equal(pool_member_find(lab.pool, uuid, &c, &e), 0);
	assert_int_equal(c, 1);
	assert_int_equal(
	    pool_member_find(lab.pool, "/dev/none", &c, &e), -ENOENT);
	assert_int_equal(pool_member_find(lab.pool, "99", &c, &e), -ENOENT);
	assert_non_null(strstr(err_text(&e), "by its path, its column"));
	assert_int_equal(ml_offline(&lab, 1, false, &e), 0);
	assert_int_equal(pool_member_find(lab.pool, "/dev/none", &c, &e), 0);
	assert_int_equal(c, 1);
	lab_must_close(&lab);
	teardown();
}

/* --- another device ----------------------------------------------------------------- */

static void
test_replace(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		unsigned c = pr % 2, other = (c + 1) % (profiles[pr].k + 1);
		struct simdisk *spare, *small, *old;
		struct err e = ERR_INIT;
		unsigned column;

		setup(&profiles[pr], 30 + pr);
		spare = simdisk_new(&lab.w, LAB_DISK);
		small = simdisk_new(&lab.w, LAB_DISK - (2u << 20));
		assert_int_equal(
		    ml_replace(&lab, c, small, true, &e), -ENOSPC);
		assert_int_equal(
		    ml_replace(&lab, c, lab.disk[other], true, &e), -EINVAL);
		assert_int_equal(
		    ml_online(&lab, lab.disk[c], false, &e), -EALREADY);
		assert_int_equal(ml_online(&lab, spare, false, &e), -EINVAL);
		assert_int_equal(ml_health(&lab), POOL_WHOLE);

		assert_int_equal(ml_replace(&lab, c, spare, false, &e), 0);
		ml_write_some(&lab, model, 30);
		assert_int_equal(ml_rebuilt(&lab), 0);
		assert_int_equal(ml_health(&lab), POOL_WHOLE);
		assert_int_equal(
		    pool_member_find(lab.pool, "spare", &column, &e), 0);
		assert_int_equal(column, c);
		lab_compare_all(&lab, model, "replaced");
		/* The old one is no member any more. */
		assert_int_equal(
		    ml_online(&lab, lab.disk[c], true, &e), -EINVAL);
		lab_must_close(&lab);
		/* Of a mirror one half is not enough, unless somebody insists;
		 * the replaced one is not counted. */
		assert_int_equal(lab_open(&lab, ALL, false, &e),
		    profiles[pr].k + profiles[pr].m == 2 ? -ENODEV : 0);
		if (lab.pool) {
			assert_int_equal(
			    ml_state(&lab, c), RAW_MEMBER_MISSING);
			lab_must_close(&lab);
		}
		/* In its place, it comes back as a member that was away. */
		old = lab.disk[c];
		lab.disk[c] = spare;
		spare = old;
		lab_must_open(&lab);
		assert_int_equal(ml_rebuilt(&lab), 0);
		lab_must_close(&lab);
		ml_check_redundancy(&lab, model, "replaced");
		simdisk_free(spare);
		simdisk_free(small);
		teardown();
	}
}

/* Each half of a mirror has lived alone.  Of the one that came back, and was
 * rebuilt, the log still has records of its own life, with higher numbers: they
 * say nothing of what is missing here. */
static void
test_records_of_another_life(void **state)
{
	struct lab_params lp = {.k = 1, .m = 1, .seed = 71};
	struct err e = ERR_INIT;
	struct lab_object o;

	lab_reproduce("another life");
	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	ml_write_all(&lab, model);
	lab_must_close(&lab);
	lab_check(ml_open(&lab, 1u << 1, true, &e) == 0);
	for (unsigned i = 0; i < 60; i++) {
		o = ml_object(&lab);
		lab_check(lab_put(&lab, i % LAB_NKEYS, &o) == 0);
		lab_check(lab_sync(&lab) == 0);
	}
	lab_kill(&lab);
	lab_check(ml_open(&lab, 1u << 0, true, &e) == 0);
	model[3] = ml_object(&lab);
	lab_check(lab_put(&lab, 3, &model[3]) == 0);
	lab_check(lab_sync(&lab) == 0);
	if (ml_online(&lab, lab.disk[1], true, &e) < 0)
		lab_fail("online: %s", err_text(&e));
	lab_check(ml_rebuilt(&lab) == 0);
	model[4] = ml_object(&lab);
	lab_check(lab_put(&lab, 4, &model[4]) == 0);
	lab_check(lab_sync(&lab) == 0);
	lab_kill(&lab);
	if (lab_open(&lab, ALL, false, &e) < 0)
		lab_fail("open: %s", err_text(&e));
	lab_compare_all(&lab, model, "another life");
	lab_must_close(&lab);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_offline_online),
	    cmocka_unit_test(test_missing_returns),
	    cmocka_unit_test(test_replace),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_records_of_another_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
