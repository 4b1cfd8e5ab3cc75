/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No space left: a PUT says so and nothing has changed; DELETE works, always;
 * a full pool opens, and can be filled again after it was emptied (G7).  With
 * large objects, small ones, free space in the smallest pieces, batches, and
 * members whose host has no space left.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/must.h"
#include "lib/rawlab.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/geom.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/read.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}, {4, 2}};
#define NPROFILES 4
#define MANY LAB_NKEYS /* the first of many */

struct world {
	struct lab lab;
	struct lab_object have[LAB_MANY];
	uint64_t version, puts, refused, deletes;
};

static void
world_init(struct world *w, unsigned pr, uint64_t seed, const char *test)
{
	memset(w, 0, sizeof(*w));
	lab_reproduce("tests/unit/raw/test_full (%s, %u+%u, seed %llu)", test,
	    profiles[pr].k, profiles[pr].m, (unsigned long long)seed);
	lab_init(&w->lab,
	    &(struct lab_params){.k = profiles[pr].k,
		.m = profiles[pr].m,
		.seed = seed,
		.disk_bytes = 27u << 20});
	lab_must_open(&w->lab);
}

static int
put(struct world *w, unsigned i, uint32_t size)
{
	struct lab_object o = {++w->version, size, (uint8_t)(i % 3)};
	int rc = lab_put(&w->lab, MANY + i, &o);

	if (rc == 0) {
		w->have[i] = o;
		w->puts++;
	} else {
		if (rc != -ENOSPC)
			lab_fail("put of %u bytes: %s", size, strerror(-rc));
		w->refused++;
	}
	return rc;
}

static void
delete(struct world *w, unsigned i)
{
	int rc = lab_delete(&w->lab, MANY + i);

	if (rc < 0)
		lab_fail("object %u cannot be deleted: %s", i, strerror(-rc));
	w->have[i].version = 0;
	w->deletes++;
}

static void
check(struct world *w, const char *when)
{
	for (unsigned i = 0; i < LAB_MANY; i++) {
		struct lab_object *o = &w->have[i];
		int rc;

		if (o->version == 0 && i % 64 != 0)
			continue;
		rc = lab_compare(&w->lab, MANY + i, o);
		if (rc != 0)
			lab_fail("%s: object %u is not as it was (%d)", when, i,
			    rc);
	}
}

/* Fill with objects of these sizes, until nothing fits that is larger than
 * `least`. */
static unsigned
fill(struct world *w, uint32_t size, uint32_t least)
{
	unsigned i = 0;

	for (; size >= least; size /= 2)
		for (; i < LAB_MANY && put(w, i, size) == 0; i++)
			continue;
	return i;
}

static void
reopen(struct world *w, bool kill)
{
	if (kill) {
		lab_kill(&w->lab);
		for (unsigned c = 0; c < w->lab.n; c++)
			simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
	} else {
		lab_must_close(&w->lab);
	}
	lab_must_open(&w->lab);
}

static void
world_fini(struct world *w, const char *test)
{
	check(w, "at the end");
	lab_must_close(&w->lab);
	print_message("%s %u+%u: %llu puts, %llu refused, %llu deletes\n", test,
	    w->lab.k, w->lab.m, (unsigned long long)w->puts,
	    (unsigned long long)w->refused, (unsigned long long)w->deletes);
	lab_fini(&w->lab);
	free(w);
}

static void
empty(struct world *w)
{
	for (unsigned i = 0; i < LAB_MANY; i++)
		if (w->have[i].version)
			delete(w, i);
}

/* Full to the last; opened again; emptied; full again, with as much. */
static void
fill_and_empty(unsigned pr, uint32_t size, uint32_t least)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned first, second;

	must(w);
	world_init(w, pr, 1, "fill_and_empty");
	first = fill(w, size, least);
	lab_check(w->refused > 0 && first > 0);
	check(w, "full");
	lab_check(lab_sync(&w->lab) == 0);
	lab_check(put(w, LAB_MANY - 1, size) == -ENOSPC);
	lab_check(lab_checkpoint(&w->lab) == 0);
	reopen(w, false);
	check(w, "opened full");
	reopen(w, true);
	check(w, "opened full after a kill");
	/* A new one where an old one was. */
	delete(w, 0);
	lab_check(put(w, 0, size) == 0);
	empty(w);
	lab_check(lab_sync(&w->lab) == 0);
	second = fill(w, size, least);
	if (second + 5 < first)
		lab_fail("%u objects fitted at first, then %u", first, second);
	empty(w);
	world_fini(w, "fill and empty");
}

static void
test_fill_and_empty(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++)
		fill_and_empty(pr, pr % 2 ? 4u << 20 : 100000, 4096);
	fill_and_empty(0, 4096, 4096);
}

/* Free space is single sectors: an index page fits nowhere. */
static void
pieces(unsigned pr, unsigned every, bool kill)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned n;

	must(w);
	world_init(w, pr, 2, "pieces");
	n = fill(w, 4096, 4096);
	lab_check(lab_sync(&w->lab) == 0);
	for (unsigned i = 0; i < n; i += every)
		delete(w, i);
	lab_check(lab_sync(&w->lab) == 0);
	if (lab_checkpoint(&w->lab) < 0)
		lab_fail("no checkpoint: free space is in too small pieces");
	/* Larger objects take several pieces, or are refused. */
	for (unsigned i = 0; i < n; i += every)
		if (put(w, i, 20000) < 0)
			break;
	check(w, "in pieces");
	lab_check(lab_checkpoint(&w->lab) == 0);
	reopen(w, kill);
	check(w, "in pieces, opened again");
	for (unsigned i = 0; i < n; i += 3)
		put(w, i, 4096);
	reopen(w, !kill);
	empty(w);
	lab_check(put(w, 0, 1u << 20) == 0);
	world_fini(w, "pieces");
}

static void
test_pieces(void **state)
{
	pieces(0, 2, true);
	pieces(0, 5, false);
	pieces(2, 3, false);
}

/* A batch that does not fit changes nothing; one of deletes always fits. */
static void
test_batch(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w));
		unsigned key[8], n;
		struct lab_object obj[8], none[8] = {0};
		int rc;

		must(w);
		world_init(w, pr, 3, "batch");
		n = fill(w, 200000, 50000);
		lab_check(n > 16);
		for (unsigned i = 0; i < 8; i++) {
			key[i] = MANY + i;
			obj[i] = (struct lab_object){
			    ++w->version, 200000, (uint8_t)(i % 3)};
		}
		rc = lab_batch(&w->lab, key, obj, 8);
		lab_check(rc == -ENOSPC);
		check(w, "a batch that did not fit");
		lab_check(lab_batch(&w->lab, key, none, 8) == 0);
		for (unsigned i = 0; i < 8; i++)
			w->have[i].version = 0;
		rc = lab_batch(&w->lab, key, obj, 6);
		lab_check(rc == 0);
		for (unsigned i = 0; i < 6; i++)
			w->have[i] = obj[i];
		reopen(w, true);
		world_fini(w, "batch");
	}
}

/* Overwriting in a full pool, thousands of times, with checkpoints between: the
 * log goes around, and space that one frees the next one takes. */
static void
test_churn(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w));
		unsigned n, refused = 0;

		must(w);
		world_init(w, pr, 4, "churn");
		n = fill(w, 30000, 4096);
		for (unsigned i = 0; i < 3; i++)
			delete(w, i);
		for (unsigned i = 0; i < 1000; i++) {
			unsigned key = (unsigned)sim_random(&w->lab.w, n);

			if (i % 100 == 7)
				lab_check(lab_checkpoint(&w->lab) == 0);
			if (i % 10 == 3)
				delete(w, key);
			else if (put(w, key,
				     (uint32_t)sim_random(&w->lab.w, 9000)) < 0)
				refused++;
		}
		lab_check(refused < 100);
		reopen(w, pr % 2);
		world_fini(w, "churn");
	}
}

/* The file system that an image file is on has no space left.  Without parity
 * the pool takes no more writes, says why, and keeps what it has; with parity
 * it goes on without that member. */
static void
test_host_full(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w));
		unsigned i = 0;
		int rc = 0;

		must(w);
		world_init(w, pr, 5, "host full");
		for (; i < 10; i++)
			lab_check(put(w, i, 60000) == 0);
		lab_check(lab_sync(&w->lab) == 0);
		simdisk_faults(w->lab.disk[0])->full_from =
		    simdisk_bytes(w->lab.disk[0]) - (4u << 20);
		for (; i < 900 && rc == 0; i++) {
			struct lab_object o = {++w->version, 60000, 0};

			rc = lab_put(&w->lab, MANY + i, &o);
			if (rc == 0)
				w->have[i] = o;
		}
		lab_check(lab_log_find("No space left on device"));
		if (w->lab.m == 0) {
			lab_check(rc == -ENOSPC);
			lab_check(lab_put(&w->lab, MANY, &w->have[0]) ==
			    -ENOSPC);
			lab_check(lab_log_find("(disk0: No space left on device); "
					       "make room"));
		} else {
			lab_check(rc == -ENOSPC);
			lab_check(w->lab.pool->super.member[0].state !=
			    RAW_MEMBER_ONLINE);
		}
		if (w->lab.m > 0)
			check(w, "the host is full");
		simdisk_faults(w->lab.disk[0])->full_from = 0;
		lab_kill(&w->lab);
		for (unsigned c = 0; c < w->lab.n; c++)
			simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
		lab_must_open(&w->lab);
		delete(w, 3);
		delete(w, 4);
		lab_check(put(w, 4, 60000) == 0);
		world_fini(w, "host full");
	}
}

/* There is room again before a minute has passed: who waited goes on, and nothing
 * has happened.  Then: who waits when the pool is closed does not wait for ever. */
static void
test_host_full_for_a_while(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w));
		struct lab_object o = {1000, 60000, 0};
		unsigned key = 3, needed = profiles[pr].m > 0;
		uint64_t epoch;
		struct lab_op *op;
		int64_t began;

		must(w);
		world_init(w, pr, 6, "host full for a while");
		for (unsigned i = 0; i < 10; i++)
			lab_check(put(w, i, 60000) == 0);
		lab_check(lab_sync(&w->lab) == 0);
		/* One that can be done without is out at once. */
		if (needed > 0) {
			simdisk_faults(w->lab.disk[0])->full_from = 4096;
			lab_check(lab_put(&w->lab, key, &o) == 0);
			lab_check(!pool_dev(w->lab.pool, 0));
		}
		epoch = w->lab.pool->super.epoch;
		simdisk_faults(w->lab.disk[needed])->full_from = 4096;
		o.version++;
		op = lab_begin(&w->lab, POOL_PUT, &key, &o, 1);
		lab_idle(&w->lab, 50 * NS_PER_S);
		lab_check(!op->done && !w->lab.pool->read_only);
		lab_check(lab_log_find("writes wait") != NULL);
		simdisk_faults(w->lab.disk[needed])->full_from = 0;
		lab_idle(&w->lab, 1100 * NS_PER_MS);
		lab_check(op->done && lab_wait(op) == 0);
		lab_op_free(op);
		lab_check(lab_log_find("there is room again") != NULL);
		lab_check(w->lab.pool->super.epoch == epoch);
		lab_check(lab_sync(&w->lab) == 0);
		lab_check(lab_compare(&w->lab, key, &o) == 0);
		/* The next time has its own minute. */
		simdisk_faults(w->lab.disk[needed])->full_from = 4096;
		o.version++;
		op = lab_begin(&w->lab, POOL_PUT, &key, &o, 1);
		lab_idle(&w->lab, 30 * NS_PER_S);
		lab_check(!op->done);
		began = loop_now(w->lab.loop);
		lab_kill(&w->lab);
		lab_check(loop_now(w->lab.loop) - began < 5 * NS_PER_S);
		lab_check(op->done);
		lab_op_free(op);
		o.version--;
		for (unsigned c = 0; c < w->lab.n; c++) {
			simdisk_faults(w->lab.disk[c])->full_from = 0;
			simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
		}
		lab_must_open(&w->lab);
		if (lab_compare(&w->lab, key, &o) != 0) {
			o.version++;
			lab_check(lab_compare(&w->lab, key, &o) == 0);
		}
		world_fini(w, "full for a while");
	}
}

/* No checkpoint can be made, and the log fills up: it is tried again now and
 * then, not all the time, and when there is room all goes on. */
static void
test_no_checkpoint(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct lab_object none = {0};
	static uint64_t addr[1 << 16];
	struct lab_op *op;
	unsigned n = 0, i = 0, key;

	must(w);
	world_init(w, 0, 8, "no checkpoint");
	for (; i < LAB_MANY; i++)
		put(w, i, 0);
	lab_check(lab_checkpoint(&w->lab) == 0);
	while (n < 1 << 16 &&
	    alloc_take_index(w->lab.pool->alloc, 1, &addr[n]) == 0)
		n++;
	lab_log_lines();
	/* As many as the log holds; the one after them waits. */
	for (i = 0;; i++) {
		struct pool *p = w->lab.pool;

		if (p->pos - p->tail + RAW_RECORD_MAX / RAW_SECTOR >
		    p->super.log_sectors)
			break;
		delete(w, i);
	}
	lab_check(i > 1000 && lab_log_find("checkpoint"));
	key = MANY + i;
	op = lab_begin(&w->lab, POOL_DELETE, &key, &none, 1);
	alarm(60); /* no time passes for one that never stops */
	lab_idle(&w->lab, 5000000000);
	alarm(0);
	lab_check(!op->done);
	lab_check(lab_log_lines() < 30);
	for (unsigned k = 0; k < n; k++)
		alloc_release(w->lab.pool->alloc, addr[k], 1);
	lab_check(lab_wait(op) == 0);
	lab_op_free(op);
	w->have[i].version = 0;
	lab_check(w->lab.pool->pos - w->lab.pool->tail < 2000);
	reopen(w, true);
	world_fini(w, "no checkpoint");
}

/* What a PUT has room in is still being read: the PUT waits for the end of
 * that, and does nothing meanwhile. */
static void
test_waits_for_a_reader(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned key = MANY;
	struct lab_op *op;
	struct pin reader;

	must(w);
	world_init(w, 0, 9, "waits for a reader");
	(void)fill(w, 1 << 20, 4096);
	pin_init(w->lab.pool, &reader);
	delete(w, 0);
	lab_check(lab_sync(&w->lab) == 0);
	w->have[0] = (struct lab_object){++w->version, 1 << 20, 0};
	op = lab_begin(&w->lab, POOL_PUT, &key, &w->have[0], 1);
	alarm(60); /* no time passes for one that never stops */
	lab_idle(&w->lab, 500000000);
	alarm(0);
	lab_check(!op->done);
	pin_fini(w->lab.pool, &reader);
	lab_check(lab_wait(op) == 0);
	lab_op_free(op);
	world_fini(w, "waits for a reader");
}

static void
answered(struct pool_req *r)
{
	*(bool *)r->arg = true;
}

/* A batch that no record can hold is refused, and what comes behind it is not
 * held up. */
static void
test_batch_that_never_fits(void **state)
{
	struct lab_params lp = {.k = 18, .m = 2, .seed = 10};
	struct lab_object o = {1, 5000, 0};
	struct pool_item items[64] = {0};
	struct pool_req r = {.op = POOL_BATCH, .items = items, .nitems = 64};
	bool done = false;
	struct lab lab;

	lab_reproduce("tests/unit/raw/test_full (batch that never fits)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	for (unsigned i = 0; i < 64; i++)
		items[i] = (struct pool_item){
		    .key = lab_key(i), .size = 64u << 20};
	r.done = answered;
	r.arg = &done;
	pool_submit(lab.pool, &r);
	alarm(60); /* what waits behind it would do so for ever */
	lab_check(lab_put(&lab, 1, &o) == 0);
	alarm(0);
	lab_check(done && r.rc == -EMSGSIZE);
	lab_check(strstr(err_text(&r.err), "64 items"));
	lab_check(lab_compare(&lab, 1, &o) == 0);
	lab_must_close(&lab);
	lab_fini(&lab);
}

static bool
is_used(struct lab *lab, const struct raw_extent *x)
{
	uint32_t n = geom_space(lab->k, lab->m, x->bytes);

	for (uint32_t i = 0; i < n; i++) {
		if (alloc_mark(lab->pool->alloc, x->addr + i, 1) == 0)
			return false;
	}
	return true;
}

/* As long as a superblock may name the root before, its pages are nobody
 * else's: power may go in the middle of the update. */
static void
test_old_index_is_kept(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct raw_extent page, root;
	struct lab *lab = &w->lab;
	unsigned seen = 0;

	must(w);
	world_init(w, 1, 11, "old index is kept");
	lab_check(put(w, 0, 5000) == 0);
	lab_check(lab_checkpoint(lab) == 0);
	page = index_page_ref(index_page(lab->pool->index, 0))->ext;
	root = lab->pool->roots[0].ext;
	lab_check(page.bytes > 0 && put(w, 1, 5000) == 0);
	ckpt_start(lab->pool, NULL);
	while (lab->pool->ckpt) {
		lab_idle(lab, 1000);
		if (!lab->pool->updates)
			continue;
		lab_check(is_used(lab, &page) && is_used(lab, &root));
		seen++;
	}
	lab_check(seen > 5);
	lab_check(!is_used(lab, &page) && !is_used(lab, &root));
	lab_kill(lab);
	for (unsigned c = 0; c < lab->n; c++)
		simdisk_settle(lab->disk[c], SIM_KEEP_ALL);
	lab_must_open(lab);
	check(w, "old index is kept");
	world_fini(w, "old index is kept");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fill_and_empty),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_churn),
	    cmocka_unit_test(test_host_full),
	    cmocka_unit_test(test_host_full_for_a_while),
	    cmocka_unit_test(test_no_checkpoint),
	    cmocka_unit_test(test_waits_for_a_reader),
	    cmocka_unit_test(test_batch_that_never_fits),
	    cmocka_unit_test(test_old_index_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
