/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n'th allocation and the n'th request to a device fail, n = 1, 2, ... until
 * nothing is left to fail: while a pool is opened, while objects are put, read,
 * deleted, synced, while a checkpoint is made and the pool is closed.
 *
 * Whatever fails: it is said, nothing leaks, what was acknowledged is there
 * afterwards, what was not is there in its old or its new version, and the next
 * opening finds every sector either used once or free.  With parity a member
 * that fails is not even noticed by who puts and gets.
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

#include "base/clock.h"
#include "base/must.h"
#include "lib/fault.h"
#include "lib/rawlab.h"
#include "memberlab.h"
#include "raw/ckpt.h"
#include "raw/geom.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"
#include "raw/scrub.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}};
#define NPROFILES 3

struct ckpt_waiter {
	struct ckpt_wait wait;
	bool done;
};

static void
ckpt_waited(struct ckpt_wait *c, int rc)
{
	((struct ckpt_waiter *)c)->done = true;
}

struct world {
	struct lab lab;
	struct lab_object before[LAB_NKEYS], acked[LAB_NKEYS],
	    tried[LAB_NKEYS];
	uint64_t version;
	int first; /* the first error of the session, or 0 */
};

static void
world_init(struct world *w, unsigned pr, const char *test)
{
	memset(w, 0, sizeof(*w));
	lab_reproduce("tests/unit/raw/test_fail (%s, %u+%u)", test,
	    profiles[pr].k, profiles[pr].m);
	lab_init(&w->lab,
	    &(struct lab_params){.k = profiles[pr].k,
		.m = profiles[pr].m,
		.seed = 9,
		.disk_bytes = 27u << 20});
	lab_must_open(&w->lab);
	for (unsigned i = 0; i < 6; i++) {
		w->before[i] =
		    (struct lab_object){++w->version, 3000 + 3000 * i, 2};
		lab_check(lab_put(&w->lab, i, &w->before[i]) == 0);
	}
	lab_check(lab_checkpoint(&w->lab) == 0);
	w->before[6] = (struct lab_object){++w->version, 9000, 1};
	lab_check(lab_put(&w->lab, 6, &w->before[6]) == 0);
	lab_check(lab_sync(&w->lab) == 0);
	lab_kill(&w->lab);
	lab_save(&w->lab);
}

static void
world_fini(struct world *w)
{
	lab_fini(&w->lab);
	free(w);
}

static void
note(struct world *w, int rc)
{
	if (w->first == 0)
		w->first = rc;
}

static void
write_some(struct world *w, enum pool_op op, const unsigned *key,
    const struct lab_object *obj, unsigned n)
{
	struct lab_op *o = lab_begin(&w->lab, op, key, obj, n);
	int rc = lab_wait(o);

	if (rc < 0 && !err_text(&o->req.err)[0])
		lab_fail("%s without a sentence", strerror(-rc));
	lab_op_free(o);
	for (unsigned i = 0; i < n; i++) {
		w->tried[key[i]] = obj[i];
		if (rc == 0)
			w->acked[key[i]] = obj[i];
	}
	note(w, rc);
}

static void
session(struct world *w)
{
	unsigned key[3] = {1, 8, 2};
	struct lab_object obj[3] = {{100, 50000, 0}, {101, 10, 2}, {0}};
	struct err e = ERR_INIT;
	int rc;

	w->first = 0;
	memcpy(w->acked, w->before, sizeof(w->acked));
	memcpy(w->tried, w->before, sizeof(w->tried));
	rc = lab_open(&w->lab, ~0u, false, &e);
	if (rc < 0) {
		if (!err_text(&e)[0])
			lab_fail("open fails without a sentence");
		note(w, rc);
		return;
	}
	write_some(w, POOL_PUT, key, obj, 1);
	write_some(w, POOL_BATCH, key, obj, 3);
	for (unsigned i = 0; i < 3; i++) {
		rc = lab_compare(&w->lab, 3 + i, &w->acked[3 + i]);
		lab_check(rc <= 0);
		note(w, rc);
	}
	key[0] = 3;
	obj[0].version = 0;
	write_some(w, POOL_DELETE, key, obj, 1);
	note(w, lab_sync(&w->lab));
	rc = lab_checkpoint(&w->lab);
	note(w, rc);
	key[0] = 10;
	obj[0] = (struct lab_object){103, 4096, 0};
	write_some(w, POOL_PUT, key, obj, 1);
	note(w, pool_close(w->lab.pool, &e));
	w->lab.pool = NULL;
}

static void
aftermath(struct world *w, const char *what, unsigned n)
{
	struct lab_object model[LAB_NKEYS];

	for (unsigned c = 0; c < w->lab.n; c++) {
		memset(simdisk_faults(w->lab.disk[c]), 0,
		    sizeof(struct simdisk_faults));
		simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
	}
	lab_must_open(&w->lab);
	for (unsigned i = 0; i < LAB_NKEYS; i++) {
		model[i] = w->acked[i];
		if (lab_compare(&w->lab, i, &model[i]) == 0)
			continue;
		model[i] = w->tried[i];
		if (lab_compare(&w->lab, i, &model[i]) != 0)
			lab_fail("%s %u failed: key %u is neither as it was "
				 "nor as it should be",
			    what, n, i);
	}
	lab_compare_all(&w->lab, model, what);
	lab_check_space(&w->lab, model);
	lab_must_close(&w->lab);
}

static void
test_allocations(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr += 2) {
		struct world *w = calloc(1, sizeof(*w));
		unsigned n = 0, said = 0, without = 0;
		bool hit = true;

		must(w);
		world_init(w, pr, "malloc");
		while (hit) {
			lab_restore(&w->lab);
			fault_malloc_arm(++n);
			session(w);
			hit = fault_hit();
			fault_malloc_arm(0);
			if (w->lab.pool)
				lab_kill(&w->lab);
			if (!hit && w->first != 0)
				lab_fail("nothing failed, but %s",
				    strerror(-w->first));
			/* A read that could not be sent is a read that
			 * failed. */
			if (w->first != 0 && w->first != -ENOMEM &&
			    w->first != -EROFS && w->first != -EIO)
				lab_fail("allocation %u failed: %s", n,
				    strerror(-w->first));
			said += w->first != 0;
			without += hit && w->first == 0;
			aftermath(w, "allocation", n);
		}
		print_message("%u+%u: %u allocations failed, %u were said, "
			      "the others did not matter\n",
		    profiles[pr].k, profiles[pr].m, n - 1, said);
		lab_check(said > 0 && said + without == n - 1);
		world_fini(w);
	}
}

static void
fail_requests(unsigned pr, unsigned ops, int error, const char *what)
{
	struct world *w = calloc(1, sizeof(*w));
	struct simdisk_faults *f;
	unsigned n = 0, said = 0;
	bool hit = true;

	must(w);
	world_init(w, pr, what);
	f = simdisk_faults(w->lab.disk[0]);
	while (hit) {
		lab_restore(&w->lab);
		f->fail_nth = ++n;
		f->fail_ops = ops;
		f->fail_error = error;
		session(w);
		hit = f->fail_nth == 0;
		if (!hit && w->first != 0)
			lab_fail("nothing failed, but %s", strerror(-w->first));
		/* One member may always fail where there is parity. */
		if (w->first != 0 && w->lab.m > 0)
			lab_fail("%s %u failed on one member: %s", what, n,
			    strerror(-w->first));
		/* Where there was no room it is tried again, and there is. */
		if (hit && w->lab.m == 0 && w->first == 0 &&
		    ops != 1u << RDEV_READ && error != -ENOSPC)
			lab_fail("%s %u failed, and nobody was told", what, n);
		said += w->first != 0;
		aftermath(w, what, n);
	}
	print_message("%u+%u: %u of these failed: %s (%s); %u were said\n",
	    profiles[pr].k, profiles[pr].m, n - 1, what, strerror(-error),
	    said);
	lab_check(n > 3);
	world_fini(w);
}

static void
test_requests(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		fail_requests(pr, 1u << RDEV_WRITE, -EIO, "write");
		fail_requests(pr, 1u << RDEV_WRITE, -ENOSPC, "write");
		fail_requests(pr, 1u << RDEV_FLUSH, -EIO, "flush");
		fail_requests(pr, 1u << RDEV_READ, -EIO, "read");
		fail_requests(pr, 1u << RDEV_READ, -ENOMEM, "read");
	}
}

/* Whatever allocation of a write fails: the members are not to blame. */
static void
test_memory_is_no_fault(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct lab_object o = {200, 50000, 2};
	struct pool_status st;
	unsigned n = 0;
	bool hit = true;

	must(w);
	world_init(w, 2, "memory is no fault");
	while (hit) {
		lab_restore(&w->lab);
		lab_must_open(&w->lab);
		fault_malloc_arm(++n);
		(void)lab_put(&w->lab, 1, &o);
		(void)lab_sync(&w->lab);
		hit = fault_hit();
		fault_malloc_arm(0);
		pool_get_status(w->lab.pool, &st);
		for (unsigned c = 0; c < w->lab.n; c++)
			if (st.member[c].state != RAW_MEMBER_ONLINE ||
			    st.member[c].write_errors > 0 ||
			    st.member[c].read_errors > 0)
				lab_fail("allocation %u failed, and member %u "
					 "was blamed",
				    n, c);
		lab_kill(&w->lab);
		for (unsigned c = 0; c < w->lab.n; c++)
			simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
	}
	lab_check(n > 10);
	world_fini(w);
}

/* A request waits for memory when its member is taken out: it ends, and the
 * write is done by the others. */
static void
test_unsent_when_out(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct lab_object o = {300, 50000, 2};
	unsigned n = 0;
	bool hit = true;

	must(w);
	world_init(w, 1, "unsent when out");
	while (hit) {
		int rc;

		lab_restore(&w->lab);
		lab_must_open(&w->lab);
		simdisk_faults(w->lab.disk[1])->fail_writes = true;
		fault_malloc_arm(++n);
		rc = lab_put(&w->lab, 1, &o);
		if (rc == 0)
			rc = lab_sync(&w->lab);
		hit = fault_hit();
		fault_malloc_arm(0);
		simdisk_faults(w->lab.disk[1])->fail_writes = false;
		/* Whatever it was: the next one is done. */
		lab_check(rc == 0 || rc == -ENOMEM || rc == -EROFS);
		if (rc == 0)
			lab_check(lab_compare(&w->lab, 1, &o) == 0);
		lab_kill(&w->lab);
		for (unsigned c = 0; c < w->lab.n; c++)
			simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
	}
	lab_check(n > 10);
	world_fini(w);
}

#define NDUMMIES 65536

/* There is no memory for the timer that watches over requests: it is set on the
 * next turn, and the member that does not answer is found all the same. */
static void
test_no_timer(void **state)
{
	static struct loop_timer dummy[NDUMMIES];
	struct world *w = calloc(1, sizeof(*w));
	struct lab_object o = {400, 5000, 0};
	struct loop *l;
	unsigned used = 0;
	int64_t far;

	must(w);
	world_init(w, 1, "no timer");
	lab_restore(&w->lab);
	lab_must_open(&w->lab);
	lab_idle(&w->lab, NS_PER_S);
	l = w->lab.loop;
	far = loop_now(l) + 3600 * NS_PER_S;
	simdisk_faults(w->lab.disk[1])->hang_ops = 1u << RDEV_WRITE;
	for (unsigned n = 1; n < 10; n++) {
		int rc;

		/* As many as there is room for. */
		for (bool room = true; room;) {
			must(used < NDUMMIES);
			fault_malloc_arm(1);
			room = loop_timer_set(l, &dummy[used], far) == 0;
			fault_malloc_arm(0);
			used += room;
		}
		fault_malloc_arm(n);
		rc = lab_put(&w->lab, 1, &o);
		fault_malloc_arm(0);
		if (rc == 0)
			lab_check(lab_compare(&w->lab, 1, &o) == 0);
	}
	lab_check(ml_state(&w->lab, 1) == RAW_MEMBER_MISSING);
	simdisk_faults(w->lab.disk[1])->hang_ops = 0;
	simdisk_release(w->lab.disk[1]);
	lab_must_close(&w->lab);
	for (unsigned i = 0; i < used; i++)
		loop_timer_cancel(&dummy[i]);
	world_fini(w);
}

/* The only member fails at its n'th request while a checkpoint is made and
 * objects are put: everything ends, and what was synced is there. */
static void
test_only_member(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct lab_object o = {500, 5000, 0};

	must(w);
	world_init(w, 0, "only member");
	for (unsigned n = 1; n < 60; n++) {
		struct ckpt_waiter c = {.wait.done = ckpt_waited};
		struct lab_op *op[4];
		unsigned key[4] = {10, 11, 12, 13};

		lab_restore(&w->lab);
		lab_must_open(&w->lab);
		lab_check(lab_put(&w->lab, 9, &o) == 0);
		simdisk_faults(w->lab.disk[0])->fail_nth = n;
		simdisk_faults(w->lab.disk[0])->fail_ops =
		    1u << RDEV_WRITE | 1u << RDEV_FLUSH;
		ckpt_start(w->lab.pool, &c.wait);
		for (unsigned i = 0; i < 4; i++)
			op[i] = lab_begin(
			    &w->lab, POOL_PUT, &key[i], &o, 1);
		lab_until(&w->lab, &c.done, "a checkpoint");
		for (unsigned i = 0; i < 4; i++) {
			(void)lab_wait(op[i]);
			lab_op_free(op[i]);
		}
		simdisk_faults(w->lab.disk[0])->fail_nth = 0;
		lab_kill(&w->lab);
		simdisk_settle(w->lab.disk[0], SIM_KEEP_ALL);
		lab_must_open(&w->lab);
		for (unsigned i = 0; i < 7; i++)
			lab_check(lab_compare(&w->lab, i, &w->before[i]) == 0);
		lab_kill(&w->lab);
		simdisk_settle(w->lab.disk[0], SIM_KEEP_ALL);
	}
	world_fini(w);
}

/* Whatever allocation fails while an object is moved away from a bad place: it
 * is there, and nobody is blamed for more than that place. */
static void
test_move_without_memory(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned n = 0;
	bool hit = true;

	must(w);
	world_init(w, 2, "move without memory");
	while (hit) {
		struct raw_extent ext;
		struct raw_object o;
		struct geom g;
		struct pool *p;
		uint64_t off;
		unsigned c;

		lab_restore(&w->lab);
		lab_must_open(&w->lab);
		p = w->lab.pool;
		lab_check(index_get(p->index, lab_key(3), &o, &ext, 1) == 0);
		geom_init(&g, p->k, p->m, ext.bytes);
		c = geom_member(&g, ext.addr, 1);
		off = (RAW_LOG_START + p->super.log_sectors +
			  geom_member_sector(&g, ext.addr, 1)) *
		    RAW_SECTOR;
		simdisk_poke(w->lab.disk[c], off, "junk", 4);
		simdisk_faults(w->lab.disk[c])->unwritable_from = off;
		simdisk_faults(w->lab.disk[c])->unwritable_to =
		    off + RAW_SECTOR;
		fault_malloc_arm(++n);
		(void)lab_compare(&w->lab, 3, &w->before[3]);
		lab_idle(&w->lab, NS_PER_S);
		hit = fault_hit();
		fault_malloc_arm(0);
		lab_check(lab_compare(&w->lab, 3, &w->before[3]) == 0);
		lab_idle(&w->lab, NS_PER_S);
		lab_check(ml_state(&w->lab, c) == RAW_MEMBER_ONLINE);
		/* What cannot be applied stops the pool. */
		if (p->moved != 1 && !p->read_only)
			lab_fail("allocation %u failed: moved %llu times", n,
			    (unsigned long long)p->moved);
		lab_kill(&w->lab);
		for (unsigned i = 0; i < w->lab.n; i++)
			simdisk_settle(w->lab.disk[i], SIM_KEEP_ALL);
		lab_must_open(&w->lab);
		lab_check(lab_compare(&w->lab, 3, &w->before[3]) == 0);
		lab_must_close(&w->lab);
		simdisk_faults(w->lab.disk[c])->unwritable_to = 0;
	}
	lab_check(n > 10);
	world_fini(w);
}

/* Member c gets a blank disk and is rebuilt, while the n'th allocation fails;
 * false: there were not so many. */
static bool
rebuild_once(struct world *w, unsigned c, unsigned n)
{
	struct err e = ERR_INIT;
	bool hit;

	lab_reproduce("tests/unit/raw/test_fail (rebuild without memory, "
		      "member %u, allocation %u)",
	    c, n);
	lab_check(lab_open(&w->lab, 7u & ~(1u << c), false, &e) == 0);
	lab_check(ml_replace(&w->lab, c, w->lab.disk[c], false, &e) == 0);
	fault_malloc_arm(n);
	lab_check(ml_rebuilt(&w->lab) == 0);
	hit = fault_hit();
	fault_malloc_arm(0);
	lab_check(ml_state(&w->lab, c) == RAW_MEMBER_ONLINE);
	lab_must_close(&w->lab);
	ml_check_redundancy(&w->lab, w->before, "after the rebuild");
	return hit;
}

/* Whatever allocation of a rebuild fails: a member that it calls whole is. */
static void
test_rebuild_without_memory(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct simworld none = {0};
	struct simdisk *spare = simdisk_new(&none, 27u << 20);
	struct simimage *blank = simdisk_save(spare);

	must(w);
	world_init(w, 2, "rebuild without memory");
	for (unsigned c = 0; c < 3; c++) {
		unsigned n = 0;
		bool hit = true;

		while (hit) {
			lab_restore(&w->lab);
			simdisk_load(w->lab.disk[c], blank);
			hit = rebuild_once(w, c, ++n);
		}
		lab_check(n > 20);
	}
	simimage_free(blank);
	simdisk_free(spare);
	world_fini(w);
}

/* Take member 1 out and bring it, or a blank disk, back; the n'th allocation
 * fails.  -ENOMEM: it was said. */
static int
change_members(struct world *w, bool blank, const struct simimage *none)
{
	struct err e = ERR_INIT;
	int rc = 0;

	if (ml_state(&w->lab, 1) == RAW_MEMBER_ONLINE)
		rc = ml_offline(&w->lab, 1, false, &e);
	if (rc == 0 && ml_state(&w->lab, 1) == RAW_MEMBER_OFFLINE) {
		if (blank)
			simdisk_load(w->lab.disk[1], none);
		rc = blank ? ml_replace(&w->lab, 1, w->lab.disk[1], false, &e)
			   : ml_online(&w->lab, w->lab.disk[1], false, &e);
	}
	if (rc < 0 && rc != -ENOMEM)
		lab_fail("a change of members: %s", err_text(&e));
	return rc;
}

/* Whatever allocation of a change of members fails: it can be asked for again,
 * and is done then. */
static void
test_changes_without_memory(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct simworld none = {0};
	struct simdisk *spare = simdisk_new(&none, 27u << 20);
	struct simimage *empty = simdisk_save(spare);
	unsigned refused[2] = {0};

	must(w);
	world_init(w, 2, "changes without memory");
	for (unsigned blank = 0; blank < 2; blank++) {
		bool hit = true;

		for (unsigned n = 1; hit; n++) {
			int rc;

			lab_reproduce("tests/unit/raw/test_fail (changes "
				      "without memory, %u, allocation %u)",
			    blank, n);
			lab_restore(&w->lab);
			lab_must_open(&w->lab);
			fault_malloc_arm(n);
			rc = change_members(w, blank, empty);
			hit = fault_hit();
			fault_malloc_arm(0);
			refused[blank] += rc < 0;
			if (rc < 0)
				lab_check(
				    change_members(w, blank, empty) == 0);
			lab_check(ml_rebuilt(&w->lab) == 0);
			lab_check(ml_health(&w->lab) == POOL_WHOLE);
			lab_must_close(&w->lab);
			ml_check_redundancy(&w->lab, w->before, "changed");
		}
	}
	lab_check(refused[0] > 1 && refused[1] > 1);
	simimage_free(empty);
	simdisk_free(spare);
	world_fini(w);
}

static void
scrub_progress(void *arg, uint64_t done, uint64_t total)
{
}

static unsigned scrub_nlost;
static struct scrub_result scrub_result;

static void
scrub_lost(void *arg, const char *key, const struct err *why)
{
	scrub_nlost++;
}

static void
scrub_done(void *arg, const struct scrub_result *r)
{
	scrub_result = *r;
	*(bool *)arg = true;
}

/* Whatever allocation of a scrub fails: it passes over nothing. */
static void
test_scrub_without_memory(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct scrub_result all = {0};
	unsigned n = 0;
	bool hit = true;

	must(w);
	world_init(w, 2, "scrub without memory");
	lab_restore(&w->lab);
	lab_must_open(&w->lab);
	while (hit) {
		bool done = false;
		struct scrub_ops ops = {
		    scrub_progress, scrub_lost, scrub_done, &done};
		struct scrub *s;

		fault_malloc_arm(n);
		s = scrub_start(w->lab.pool, &ops);
		if (s)
			lab_until(&w->lab, &done, "a scrub");
		hit = n == 0 || fault_hit();
		fault_malloc_arm(0);
		if (n++ == 0)
			all = scrub_result;
		if (s && (scrub_result.objects != all.objects ||
			     scrub_result.bytes != all.bytes))
			lab_fail("allocation %u failed, and %llu of %llu "
				 "bytes were read",
			    n - 1, (unsigned long long)scrub_result.bytes,
			    (unsigned long long)all.bytes);
	}
	lab_check(n > 10 && all.objects == 7);
	lab_must_close(&w->lab);
	world_fini(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scrub_without_memory),
	    cmocka_unit_test(test_rebuild_without_memory),
	    cmocka_unit_test(test_changes_without_memory),
	    cmocka_unit_test(test_allocations),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_memory_is_no_fault),
	    cmocka_unit_test(test_unsent_when_out),
	    cmocka_unit_test(test_no_timer),
	    cmocka_unit_test(test_only_member),
	    cmocka_unit_test(test_move_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
