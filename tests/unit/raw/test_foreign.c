/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that are named and are no members: a blank one where a disk was put
 * in, one whose superblocks are all damaged, one of another pool that was just
 * being made a member when power went.  The others go on without it as far as
 * they are enough, and nothing is written to it.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "memberlab.h"
#include "raw/format.h"
#include "raw/pool_int.h"

static struct lab lab;
static struct lab_object model[LAB_NKEYS];

static void
begin(unsigned k, unsigned m, const char *test)
{
	struct lab_params lp = {.k = k, .m = m, .seed = 5};

	lab_reproduce("tests/unit/raw/test_foreign (%s, %u+%u)", test, k, m);
	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	ml_write_all(&lab, model);
	lab_must_close(&lab);
}

/* A machine that comes up after a disk was swapped. */
static void
test_blank(void **state)
{
	struct simdisk *old, *blank;
	struct err e = ERR_INIT;
	uint64_t hash;

	begin(2, 1, "blank");
	old = lab.disk[1];
	blank = simdisk_new(&lab.w, LAB_DISK);
	hash = simdisk_hash(blank);
	lab.disk[1] = blank;
	if (lab_open(&lab, ~0u, false, &e) < 0)
		lab_fail("with a blank disk: %s", err_text(&e));
	lab_check(lab_log_find("disk1"));
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_MISSING);
	lab_check(ml_health(&lab) != POOL_WHOLE);
	lab_compare_all(&lab, model, "with a blank disk");
	ml_write_some(&lab, model, 20);
	lab_check(lab_sync(&lab) == 0);
	lab_check(simdisk_hash(blank) == hash);
	/* Now it is made a member. */
	lab_check(ml_replace(&lab, 1, blank, false, &e) == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	lab_must_close(&lab);
	ml_check_redundancy(&lab, model, "replaced");
	simdisk_free(old);
	lab_fini(&lab);
}

/* Too few are left: refused, by what is missing, and nothing is written. */
static void
test_blank_ones(void **state)
{
	struct simdisk *old[2];
	struct err e = ERR_INIT;
	uint64_t hash[3];

	begin(2, 1, "blank ones");
	for (unsigned c = 0; c < 2; c++) {
		old[c] = lab.disk[c];
		lab.disk[c] = simdisk_new(&lab.w, LAB_DISK);
	}
	for (unsigned c = 0; c < 3; c++)
		hash[c] = simdisk_hash(lab.disk[c]);
	lab_check(lab_open(&lab, ~0u, false, &e) == -ENODEV);
	lab_check(lab_open(&lab, 3, false, &e) == -EBADMSG);
	for (unsigned c = 0; c < 3; c++)
		lab_check(simdisk_hash(lab.disk[c]) == hash[c]);
	for (unsigned c = 0; c < 2; c++) {
		simdisk_free(lab.disk[c]);
		lab.disk[c] = old[c];
	}
	lab_must_open(&lab);
	lab_compare_all(&lab, model, "put right");
	lab_must_close(&lab);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_blank),
	    cmocka_unit_test(test_blank_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
