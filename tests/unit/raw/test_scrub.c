/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scrub while other things happen: a checkpoint, pages of the index that go,
 * sectors that cannot be written any more.  What it finds and mends otherwise is
 * in test_damage.c.
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
#include "memberlab.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/geom.h"
#include "raw/index.h"
#include "raw/member.h"
#include "raw/pool_int.h"

/* A scrub that comes to the pages of the index while a checkpoint is made waits
 * for its end: they are read like all the rest. */
static void
test_scrub_and_checkpoint(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 13};
	struct lab_object o = {1, 60000, 0};
	struct lab_scrub all, s;
	struct lab lab;

	lab_reproduce("tests/unit/raw/test_scrub (scrub and checkpoint)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	for (unsigned i = 0; i < 20; i++)
		lab_check(lab_put(&lab, i, &o) == 0);
	lab_check(lab_checkpoint(&lab) == 0);
	lab_scrub_begin(&lab, &all, NULL, NULL);
	lab_until(&lab, &all.done, "a scrub");
	lab_check(lab_put(&lab, 3, &o) == 0);
	simdisk_faults(lab.disk[0])->hang_ops = 1u << RDEV_WRITE;
	ckpt_start(lab.pool, NULL);
	lab_scrub_begin(&lab, &s, NULL, NULL);
	lab_idle(&lab, 1000000000);
	lab_check(!s.done);
	simdisk_faults(lab.disk[0])->hang_ops = 0;
	simdisk_release(lab.disk[0]);
	lab_until(&lab, &s.done, "a scrub");
	lab_check(s.result.objects == all.result.objects);
	lab_check(s.result.bytes == all.result.bytes);
	lab_must_close(&lab);
	lab_fini(&lab);
}

struct stopper {
	struct lab_scrub s;
	struct scrub *scrub;
};

static void
stop(void *arg)
{
	scrub_stop(((struct stopper *)arg)->scrub);
}

/* One that is stopped ends with what is under way, and says so. */
static void
test_stopped(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 12};
	struct lab_object o = {1, 60000, 0};
	struct stopper st;
	struct lab lab;
	uint64_t all;

	lab_reproduce("tests/unit/raw/test_scrub (stopped)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	for (unsigned i = 0; i < 40; i++)
		lab_check(lab_put(&lab, i, &o) == 0);
	all = lab_scrub(&lab).bytes;
	st.scrub = lab_scrub_begin(&lab, &st.s, stop, &st);
	lab_until(&lab, &st.s.done, "a scrub");
	lab_check(st.s.result.bytes > 0 && st.s.result.bytes < all / 2);
	lab_check(lab_scrub(&lab).bytes == all);
	lab_must_close(&lab);
	lab_fini(&lab);
}

/* --- pages that go while they are scrubbed ---------------------------------------- */

#define NLONG 1500u
#define AT_ONCE 50u

/* Empty objects of long keys: many pages of nothing but keys. */
struct long_op {
	struct pool_req req;
	struct pool_item item[AT_ONCE];
	char key[AT_ONCE][904];
	bool done;
};

static void
long_done(struct pool_req *r)
{
	((struct long_op *)r->arg)->done = true;
}

static void
long_begin(struct lab *lab, struct long_op *op, unsigned from, bool del)
{
	memset(op, 0, sizeof(*op));
	op->req = (struct pool_req){.op = POOL_BATCH,
	    .items = op->item,
	    .nitems = AT_ONCE,
	    .done = long_done,
	    .arg = op};
	for (unsigned i = 0; i < AT_ONCE; i++) {
		memset(op->key[i], 'k', 903);
		snprintf(op->key[i], 10, "%09u", from + i);
		op->key[i][9] = 'k';
		op->item[i] = (struct pool_item){
		    .key = op->key[i], .del = del};
	}
	pool_submit(lab->pool, &op->req);
}

/* Deletes the objects of the first page as soon as something has been read. */
struct spoiler {
	struct lab_scrub s;
	struct lab *lab;
	struct long_op *op;
	bool begun;
};

static void
spoil(void *arg)
{
	struct spoiler *sp = arg;

	if (!sp->begun)
		long_begin(sp->lab, sp->op, 0, true);
	sp->begun = true;
}

/* A page of the index goes while the pages are scrubbed: the others are read
 * all the same. */
static void
test_scrub_and_pages_that_go(void **state)
{
	struct lab_params lp = {.k = 1, .m = 1, .seed = 14};
	struct long_op *op = calloc(1, sizeof(*op));
	struct spoiler sp = {.op = op};
	struct lab_scrub all;
	struct lab lab;
	size_t npages;

	must(op);
	lab_reproduce("tests/unit/raw/test_scrub (pages that go)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	for (unsigned i = 0; i < NLONG; i += AT_ONCE) {
		long_begin(&lab, op, i, false);
		lab_until(&lab, &op->done, "a request");
		lab_check(op->req.rc == 0);
	}
	lab_check(lab_checkpoint(&lab) == 0);
	npages = index_npages(lab.pool->index);
	lab_check(npages > 20);
	lab_scrub_begin(&lab, &all, NULL, NULL);
	lab_until(&lab, &all.done, "a scrub");
	sp.lab = &lab;
	lab_scrub_begin(&lab, &sp.s, spoil, &sp);
	lab_until(&lab, &sp.s.done, "a scrub");
	/* It has happened meanwhile, and the first page had been read. */
	lab_check(op->done && op->req.rc == 0);
	lab_check(index_npages(lab.pool->index) < npages);
	lab_check(sp.s.result.bytes == all.result.bytes);
	lab_must_close(&lab);
	lab_fini(&lab);
	free(op);
}

/* --- sectors that cannot be written ------------------------------------------------ */

/* Damage the fragment in column i of an extent, whose place cannot be written
 * any more.  Its member. */
static unsigned
ruin_extent(struct lab *lab, const struct raw_extent *ext, unsigned i)
{
	struct pool *p = lab->pool;
	struct geom g;
	uint64_t off;
	unsigned c;

	geom_init(&g, p->k, p->m, ext->bytes);
	c = geom_member(&g, ext->addr, i);
	off = (RAW_LOG_START + p->super.log_sectors +
		  geom_member_sector(&g, ext->addr, i)) *
	    RAW_SECTOR;
	simdisk_poke(lab->disk[c], off, "junk", 4);
	simdisk_faults(lab->disk[c])->unwritable_from = off;
	simdisk_faults(lab->disk[c])->unwritable_to = off + RAW_SECTOR;
	return c;
}

/* ... of the only extent of a key. */
static unsigned
ruin(struct lab *lab, unsigned key, unsigned i)
{
	struct raw_extent ext;
	struct raw_object o;

	lab_check(index_get(lab->pool->index, lab_key(key), &o, &ext, 1) == 0);
	return ruin_extent(lab, &ext, i);
}

static uint64_t
write_errors(struct lab *lab, unsigned c)
{
	struct pool_status st;

	ml_status(lab, &st);
	return st.member[c].write_errors;
}

/* Put objects from `from` on until there is no space; how many. */
static unsigned
fill_up(struct lab *lab, struct lab_object *o, unsigned from)
{
	unsigned n = 0;
	int rc = 0;

	for (; rc == 0; n += rc == 0)
		rc = lab_put(lab, from + n, o);
	lab_check(rc == -ENOSPC);
	return n;
}

/* What is damaged there is read from the others; the object moves, and its place
 * is never used again, whatever is written; nor by the next opening. */
static void
test_unwritable(void **state)
{
	struct lab_params lp = {.k = 4, .m = 2, .seed = 15};
	struct lab_object o = {1, 100000, 2}, fill = {3, 4096, 0};
	struct lab lab;
	unsigned c;

	lab_reproduce("tests/unit/raw/test_scrub (unwritable)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(lab_put(&lab, 1, &o) == 0 && lab_sync(&lab) == 0);
	c = ruin(&lab, 1, lp.m);
	lab_check(ml_offline(&lab, (c + 1) % lab.n, false, NULL) == 0);
	lab_check(lab_compare(&lab, 1, &o) == 0);
	lab_check(lab_log_find("cannot be rewritten at") != NULL);
	lab_idle(&lab, 1000000000);
	lab_check(lab_log_find("was moved away") != NULL);
	lab_check(ml_state(&lab, c) == RAW_MEMBER_ONLINE);
	lab_check(write_errors(&lab, c) == 1);
	lab_check(lab_scrub(&lab).unmended == 0);
	lab_check(lab_compare(&lab, 1, &o) == 0);
	for (unsigned round = 0; round < 2; round++) {
		lab_check(lab.pool->super.nbad == 1);
		lab_check(fill_up(&lab, &fill, LAB_NKEYS) > 1000);
		lab_check(ml_state(&lab, c) == RAW_MEMBER_ONLINE);
		for (unsigned i = 0; lab_delete(&lab, LAB_NKEYS + i) == 0 &&
		     i < LAB_MANY - 1; i++)
			continue;
		lab_must_close(&lab);
		lab_must_open(&lab);
	}
	lab_check(lab_compare(&lab, 1, &o) == 0);
	lab_must_close(&lab);
	lab_fini(&lab);
}

/* The scrub moves what it finds; power goes right behind it, before anything was
 * flushed: the place is known to be bad all the same. */
static void
test_moved_by_scrub(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 16};
	struct lab_object model[LAB_NKEYS] = {{0}};
	struct scrub_result r;
	struct lab lab;
	unsigned c;

	lab_reproduce("tests/unit/raw/test_scrub (moved by scrub)");
	model[1] = (struct lab_object){1, 100000, 0};
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(lab_put(&lab, 1, &model[1]) == 0 && lab_sync(&lab) == 0);
	c = ruin(&lab, 1, 0);
	r = lab_scrub(&lab);
	lab_check(r.moved == 1 && r.unmended == 0 && r.lost == 0);
	lab_check_space(&lab, model);
	lab_kill(&lab);
	for (unsigned i = 0; i < lab.n; i++)
		simdisk_settle(lab.disk[i], SIM_KEEP_NONE);
	lab_must_open(&lab);
	lab_check(lab.pool->super.nbad == 1);
	lab_compare_all(&lab, model, "cut");
	r = lab_scrub(&lab);
	lab_check(r.unmended == 0 && r.lost == 0);
	lab_check(ml_state(&lab, c) == RAW_MEMBER_ONLINE);
	lab_check_space(&lab, model);
	/* Another device has no bad places. */
	lab_check(ml_offline(&lab, c, false, NULL) == 0);
	simdisk_faults(lab.disk[c])->unwritable_to = 0;
	lab_check(ml_replace(&lab, c, lab.disk[c], true, NULL) == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(lab.pool->super.nbad == 0);
	lab_must_close(&lab);
	lab_must_open(&lab);
	lab_check(alloc_nbad(lab.pool->alloc) == 0);
	lab_check_space(&lab, model);
	lab_must_close(&lab);
	lab_fini(&lab);
}

/* Full: it stays where it is, is counted, and reading it puts nobody out; with
 * room again it is moved.  What is written to it meanwhile is not undone. */
static void
test_moved_later(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 18};
	struct lab_object o = {1, 100000, 0}, newer = {2, 100000, 0};
	struct lab_object fill = {3, 60000, 0}, small = {4, 4096, 0};
	struct scrub_result r;
	struct lab_op *op;
	struct lab lab;
	unsigned c, n;

	lab_reproduce("tests/unit/raw/test_scrub (moved later)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(lab_put(&lab, 1, &o) == 0 && lab_sync(&lab) == 0);
	n = fill_up(&lab, &fill, LAB_NKEYS);
	fill_up(&lab, &small, LAB_NKEYS + n);
	lab_check(lab_sync(&lab) == 0);
	c = ruin(&lab, 1, 1);
	lab_check(lab_scrub(&lab).unmended == 1);
	lab_check(lab_log_find("cannot be moved") != NULL);
	for (unsigned i = 0; i < 2 * MEMBER_BAD_REWRITES; i++) {
		lab_check(lab_compare(&lab, 1, &o) == 0);
		lab_idle(&lab, 100000000);
	}
	lab_check(ml_state(&lab, c) == RAW_MEMBER_ONLINE);
	for (unsigned i = 0; i < n; i++)
		lab_check(lab_delete(&lab, LAB_NKEYS + i) == 0);
	lab_check(lab_sync(&lab) == 0);
	/* Begun; then somebody writes it. */
	lab_check(lab_compare(&lab, 1, &o) == 0);
	op = lab_begin(&lab, POOL_PUT, (unsigned[]){1}, &newer, 1);
	lab_check(lab_wait(op) == 0);
	lab_op_free(op);
	lab_idle(&lab, 1000000000);
	lab_check(lab_compare(&lab, 1, &newer) == 0);
	r = lab_scrub(&lab);
	lab_check(r.unmended == 0 && r.moved == 0);
	c = ruin(&lab, 1, 1);
	r = lab_scrub(&lab);
	lab_check(r.unmended == 0 && r.moved == 1);
	lab_check(lab_compare(&lab, 1, &newer) == 0);
	lab_must_close(&lab);
	lab_fini(&lab);
}

/* A page of the index is written elsewhere by a checkpoint. */
static void
test_index_moved(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 19};
	struct lab_object model[LAB_NKEYS] = {{0}};
	struct scrub_result r;
	struct raw_ref ref;
	struct lab lab;
	unsigned c;

	lab_reproduce("tests/unit/raw/test_scrub (index moved)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	for (unsigned i = 0; i < 20; i++) {
		model[i] = (struct lab_object){i + 1, 5000, 0};
		lab_check(lab_put(&lab, i, &model[i]) == 0);
	}
	lab_check(lab_checkpoint(&lab) == 0);
	ref = *index_page_ref(index_page(lab.pool->index, 0));
	c = ruin_extent(&lab, &ref.ext, 0);
	r = lab_scrub(&lab);
	lab_check(r.unmended == 0 && r.lost == 0);
	lab_check(lab_checkpoint(&lab) == 0);
	lab_check(index_page_ref(index_page(lab.pool->index, 0))->ext.addr !=
	    ref.ext.addr);
	lab_check(lab_checkpoint(&lab) == 0);
	lab_check(lab_scrub(&lab).unmended == 0);
	lab_check(ml_state(&lab, c) == RAW_MEMBER_ONLINE);
	lab_check_space(&lab, model);
	lab_must_close(&lab);
	lab_fini(&lab);
}

/* But a member that has too many bad places goes. */
static void
test_many_unwritable(void **state)
{
	struct lab_params lp = {.k = 1, .m = 1, .seed = 20};
	struct lab_object o = {1, 4096, 0};
	struct lab lab;
	unsigned i;

	lab_reproduce("tests/unit/raw/test_scrub (many unwritable)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	for (i = 0; i < 2 * MEMBER_BAD_REWRITES; i++)
		lab_check(lab_put(&lab, i, &o) == 0);
	lab_check(lab_sync(&lab) == 0);
	for (i = 0; ml_state(&lab, 0) == RAW_MEMBER_ONLINE &&
	     i < 2 * MEMBER_BAD_REWRITES; i++) {
		struct raw_extent ext;
		struct raw_object ob;
		struct geom g;

		lab_check(index_get(lab.pool->index, lab_key(i), &ob, &ext,
			      1) == 0);
		geom_init(&g, 1, 1, ext.bytes);
		ruin_extent(
		    &lab, &ext, geom_member(&g, ext.addr, 0) == 0 ? 0 : 1);
		lab_scrub(&lab);
	}
	lab_check(i == MEMBER_BAD_REWRITES);
	lab_check(lab_log_find("in several places") != NULL);
	lab_check(ml_state(&lab, 0) == RAW_MEMBER_FAULTED);
	for (i = 0; i < 2 * MEMBER_BAD_REWRITES; i++)
		lab_check(lab_compare(&lab, i, &o) == 0);
	lab_must_close(&lab);
	lab_fini(&lab);
}

/* A member that is rebuilt and cannot take what it must have is never called
 * whole. */
static void
test_unwritable_in_rebuild(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 17};
	struct lab_object o = {1, 100000, 0};
	struct lab lab;
	unsigned c;

	lab_reproduce("tests/unit/raw/test_scrub (unwritable, in a rebuild)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(lab_put(&lab, 1, &o) == 0 && lab_sync(&lab) == 0);
	c = ruin(&lab, 1, lp.m);
	lab_check(ml_offline(&lab, c, false, NULL) == 0);
	lab_check(ml_replace(&lab, c, lab.disk[c], true, NULL) == 0);
	(void)ml_rebuilt(&lab);
	lab_check(ml_state(&lab, c) == RAW_MEMBER_FAULTED);
	lab_check(ml_health(&lab) == POOL_AT_RISK ||
	    ml_health(&lab) == POOL_DEGRADED);
	lab_check(lab_compare(&lab, 1, &o) == 0);
	lab_must_close(&lab);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scrub_and_checkpoint),
	    cmocka_unit_test(test_stopped),
	    cmocka_unit_test(test_scrub_and_pages_that_go),
	    cmocka_unit_test(test_unwritable),
	    cmocka_unit_test(test_moved_by_scrub),
	    cmocka_unit_test(test_moved_later),
	    cmocka_unit_test(test_index_moved),
	    cmocka_unit_test(test_many_unwritable),
	    cmocka_unit_test(test_unwritable_in_rebuild),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
