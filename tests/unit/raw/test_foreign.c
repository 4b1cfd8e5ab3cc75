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
	lab_check(lab_open(&lab, 3, false, &e) == -EINVAL);
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

/* A disk that was a pool of its own, with a higher epoch. */
static struct simimage *
other_pool(void)
{
	struct lab_params lp = {.k = 1, .m = 0, .seed = 6};
	struct lab other;
	struct simimage *im;

	lab_init(&other, &lp);
	lab_check(ml_open(&other, ~0u, true, NULL) == 0);
	lab_must_close(&other);
	im = simdisk_save(other.disk[0]);
	lab_fini(&other);
	return im;
}

/* How many superblocks on it are of the pool with this UUID. */
static unsigned
ours(struct simdisk *d, const uint8_t uuid[16])
{
	uint8_t sector[RAW_SECTOR];
	struct raw_super s;
	unsigned n = 0;

	for (unsigned i = 0; i < RAW_NCOPIES; i++) {
		simdisk_peek(
		    d, raw_copy_offset(i, LAB_DISK), sector, RAW_SECTOR);
		n += raw_super_decode(&s, sector, NULL) == 0 &&
		    memcmp(s.pool_uuid, uuid, 16) == 0;
	}
	return n;
}

#define MAXDOUBT 256

/* What is in doubt at e: all is written (0), nothing (1), or any of it. */
static void
cut_at(const struct simrec *rec, unsigned e, unsigned how)
{
	unsigned write[MAXDOUBT], n = simrec_doubt(rec, e, write, MAXDOUBT);
	struct sim_fate fate[MAXDOUBT] = {0};

	must(n <= MAXDOUBT);
	for (unsigned i = 0; i < n; i++)
		fate[i] = (struct sim_fate){
		    .whole = how == 0 || (how == 2 && sim_random(&lab.w, 2)),
		    .rest = SIM_REST_OLD};
	simrec_build(rec, e, fate, n);
}

/* Power goes while it is made a member: as soon as any of its superblocks is
 * ours the others are opened with it. */
static void
test_cut_while_replaced(void **state)
{
	struct simdisk *old, *spare;
	struct simimage *im;
	struct simrec *rec;
	uint8_t uuid[16];
	unsigned events, mixed = 0;

	begin(2, 1, "cut while replaced");
	im = other_pool();
	spare = simdisk_new(&lab.w, LAB_DISK);
	simdisk_load(spare, im);
	simimage_free(im);
	lab_must_open(&lab);
	memcpy(uuid, lab.pool->super.pool_uuid, 16);
	rec = simrec_start(&lab.w);
	lab_check(ml_replace(&lab, 1, spare, false, NULL) == 0);
	events = simrec_now(&lab.w);
	lab_kill(&lab);
	simrec_stop(rec);
	old = lab.disk[1];
	lab.disk[1] = spare;
	for (unsigned e = 0; e <= 3 * events + 2; e++) {
		struct err er = ERR_INIT;
		unsigned have;
		char where[80];
		int rc;

		cut_at(rec, e / 3, e % 3);
		have = ours(spare, uuid);
		snprintf(where, sizeof(where), "cut at %u.%u, %u copies", e / 3,
		    e % 3, have);
		/* Alone it is neither. */
		rc = lab_open(&lab, 2, true, &er);
		if (rc == 0)
			lab_check(have == 0 && lab.pool);
		if (rc == 0)
			lab_must_close(&lab);
		rc = lab_open(&lab, ~0u, false, &er);
		if (have == 0) {
			lab_check(rc == -EINVAL &&
			    strstr(err_text(&er), "another store"));
			continue;
		}
		if (rc < 0)
			lab_fail("%s: %s", where, err_text(&er));
		mixed += have < RAW_NCOPIES;
		lab_compare_all(&lab, model, where);
		lab_check(ml_state(&lab, 1) == RAW_MEMBER_REBUILDING);
		lab_check(ours(spare, uuid) == RAW_NCOPIES);
		lab_kill(&lab);
	}
	lab_check(mixed > 0);
	simrec_free(rec);
	/* And when nothing goes wrong. */
	lab_must_open(&lab);
	lab_check(ml_rebuilt(&lab) == 0);
	lab_must_close(&lab);
	ml_check_redundancy(&lab, model, "rebuilt");
	simdisk_free(old);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_blank),
	    cmocka_unit_test(test_blank_ones),
	    cmocka_unit_test(test_cut_while_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
