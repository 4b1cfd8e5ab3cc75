/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that fail in all the ways they have: they die before, in and after
 * every kind of request, do not answer, are slow, err, or do not keep what they
 * say they have written.  Virtual time tells how long anybody had to wait.
 *
 * PAIL_LONG=1 strikes at more of the requests of each operation.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/must.h"
#include "memberlab.h"
#include "raw/flight.h"
#include "raw/format.h"
#include "raw/member.h"
#include "raw/rdev.h"
#include "raw/silent.h"

static struct lab lab;
static struct lab_object model[LAB_NKEYS];

static void
setup(unsigned k, unsigned m, uint64_t seed)
{
	struct lab_params lp = {.k = k, .m = m, .seed = seed};

	lab_reproduce("seed %llu, %u+%u", (unsigned long long)seed, k, m);
	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	ml_write_all(&lab, model);
}

/* Back to whole, and it is true. */
static void
heal(unsigned c, const char *where)
{
	struct pool_status st;
	struct err e = ERR_INIT;

	*simdisk_faults(lab.disk[c]) = (struct simdisk_faults){0};
	simdisk_release(lab.disk[c]);
	lab_idle(&lab, 10 * NS_PER_MS);
	/* One that was silent is back by itself. */
	do {
		ml_status(&lab, &st);
		lab_idle(&lab, 10 * NS_PER_MS);
	} while (st.member[c].silent);
	if (ml_state(&lab, c) != RAW_MEMBER_ONLINE &&
	    ml_state(&lab, c) != RAW_MEMBER_REBUILDING &&
	    ml_online(&lab, lab.disk[c], false, &e) < 0)
		lab_fail("%s: online: %s", where, err_text(&e));
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(ml_health(&lab) == POOL_WHOLE);
	lab_must_close(&lab);
	ml_check_redundancy(&lab, model, where);
}

/* --- no answer ----------------------------------------------------------------------- */

static int64_t
longest_get(void)
{
	int64_t most = 0;

	for (unsigned i = 0; i < LAB_NKEYS; i++) {
		int64_t began = ml_now(&lab), took;

		lab_check(lab_compare(&lab, i, &model[i]) == 0);
		took = ml_now(&lab) - began;
		most = took > most ? took : most;
	}
	return most;
}

static int64_t
timed_put(unsigned key)
{
	struct lab_object o = ml_object(&lab);
	int64_t began = ml_now(&lab);

	o.size = 131072;
	lab_check(lab_put(&lab, key, &o) == 0);
	lab_check(lab_sync(&lab) == 0);
	model[key] = o;
	return ml_now(&lab) - began;
}

static void
hangs(unsigned k, unsigned m, unsigned ops, const char *what)
{
	unsigned c = 1;
	struct pool_status st;
	int64_t read, again, write;

	setup(k, m, 40 + k + ops);
	lab_check(longest_get() < 10 * NS_PER_MS);
	simdisk_faults(lab.disk[c])->hang_ops = ops;
	read = longest_get();
	lab_check(read <= FLIGHT_SUSPECT_NS);
	lab_idle(&lab, FLIGHT_SUSPECT_NS);
	again = longest_get();
	ml_status(&lab, &st);
	if (ops & READS) {
		lab_check(st.member[c].suspect || st.member[c].silent);
		lab_check(st.member[c].hedged > 0);
		/* Nobody waits for it any more. */
		lab_check(again < 10 * NS_PER_MS);
	}
	write = timed_put(3);
	if (ops & (WRITES | FLUSHES)) {
		lab_check(write < 2 * NS_PER_S);
		lab_check(ml_state(&lab, c) == RAW_MEMBER_MISSING);
		lab_check(lab_log_find("no answer") != NULL);
	}
	lab_check(ops == READS || timed_put(4) < 100 * NS_PER_MS);
	lab_compare_all(&lab, model, what);
	lab_idle(&lab, SILENT_NS);
	lab_check(ml_state(&lab, c) == RAW_MEMBER_MISSING);
	/* It has not answered: it cannot come back. */
	lab_check(ml_online(&lab, lab.disk[c], false, NULL) ==
	    (ops & READS ? -ETIMEDOUT : -EBUSY));
	ml_write_some(&lab, model, 5);
	heal(c, what);
	print_message("%u+%u, %s hang: reads at most %lld ms, then %lld ms; a "
		      "synced write %lld ms\n",
	    k, m, what, (long long)(read / NS_PER_MS),
	    (long long)(again / NS_PER_MS), (long long)(write / NS_PER_MS));
	lab_fini(&lab);
}

/* Once that is known nobody asks it for a block. */
static void
test_silent_is_not_asked(void **state)
{
	struct pool_status st;
	unsigned n;

	setup(4, 2, 63);
	simdisk_faults(lab.disk[1])->hang_ops = READS;
	(void)longest_get();
	lab_idle(&lab, FLIGHT_SUSPECT_NS + 100 * NS_PER_MS);
	ml_status(&lab, &st);
	lab_check(st.member[1].suspect);
	n = simdisk_hanging(lab.disk[1]);
	lab_check(n > 0);
	for (unsigned i = 0; i < 5; i++)
		lab_compare_all(&lab, model, "one is silent");
	lab_check(simdisk_hanging(lab.disk[1]) == n);
	heal(1, "it was silent");
	lab_fini(&lab);
}

/* I5: a write without the member that failed in it is not acknowledged before the
 * others know, durably, that it is out. */
static void
test_acknowledged_when_the_others_know(void **state)
{
	struct lab_object o;
	struct lab_op *op;
	unsigned key = 3;

	setup(2, 1, 64);
	for (unsigned c = 0; c < 3; c += 2) {
		struct simdisk_faults *f = simdisk_faults(lab.disk[c]);

		f->hang_ops = WRITES;
		f->hang_from = raw_copy_offset(
		    RAW_COPY_A0, simdisk_bytes(lab.disk[c]));
		f->hang_to = f->hang_from + RAW_SECTOR;
	}
	simdisk_faults(lab.disk[1])->fail_writes = true;
	o = ml_object(&lab);
	op = lab_begin(&lab, POOL_PUT, &key, &o, 1);
	lab_idle(&lab, NS_PER_S);
	lab_check(simdisk_hanging(lab.disk[0]) > 0);
	lab_check(!op->done);
	for (unsigned c = 0; c < 3; c += 2) {
		simdisk_faults(lab.disk[c])->hang_ops = 0;
		simdisk_release(lab.disk[c]);
	}
	lab_check(lab_wait(op) == 0);
	lab_op_free(op);
	model[key] = o;
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_FAULTED);
	heal(1, "acknowledged");
	lab_fini(&lab);
}

/* One that was silent and answers in time is asked again, and stays. */
static void
test_answers_again(void **state)
{
	struct pool_status st;

	setup(4, 2, 61);
	simdisk_faults(lab.disk[1])->hang_ops = READS;
	(void)longest_get();
	lab_idle(&lab, FLIGHT_SUSPECT_NS + NS_PER_S);
	ml_status(&lab, &st);
	lab_check(st.member[1].suspect);
	simdisk_faults(lab.disk[1])->hang_ops = 0;
	simdisk_release(lab.disk[1]);
	lab_idle(&lab, NS_PER_S);
	lab_check(lab_log_find("answers again") != NULL);
	ml_status(&lab, &st);
	lab_check(!st.member[1].suspect);
	lab_check(ml_health(&lab) == POOL_WHOLE);
	/* It is read from: an error of its own is noticed. */
	simdisk_faults(lab.disk[1])->fail_reads = true;
	lab_compare_all(&lab, model, "it answers again");
	ml_status(&lab, &st);
	lab_check(st.member[1].read_errors > 0);
	heal(1, "it answers again");
	lab_fini(&lab);
}

static void
test_hangs(void **state)
{
	static const struct {
		unsigned ops;
		const char *what;
	} t[] = {{READS, "reads"}, {WRITES, "writes"}, {FLUSHES, "flushes"},
	    {EVERYTHING, "all requests"}};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		hangs(1, 1, t[i].ops, t[i].what);
		hangs(2, 1, t[i].ops, t[i].what);
		hangs(4, 2, t[i].ops, t[i].what);
	}
}

/* A device that hangs can be replaced, and closing does not wait for it. */
static void
test_hangs_replaced(void **state)
{
	struct simdisk *spare, *old;
	struct err e = ERR_INIT;
	int64_t began;

	setup(2, 1, 50);
	spare = simdisk_new(&lab.w, LAB_DISK);
	simdisk_faults(lab.disk[1])->hang_ops = EVERYTHING;
	(void)timed_put(1);
	lab_check(ml_replace(&lab, 1, spare, false, &e) == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(ml_health(&lab) == POOL_WHOLE);
	old = lab.disk[1];
	lab.disk[1] = spare;
	simdisk_faults(lab.disk[0])->hang_ops = EVERYTHING;
	(void)timed_put(2);
	began = ml_now(&lab);
	lab_must_close(&lab);
	lab_check(ml_now(&lab) - began < 5 * NS_PER_S);
	/* What they answer now is nobody's. */
	simdisk_faults(lab.disk[0])->hang_ops = 0;
	simdisk_release(lab.disk[0]);
	simdisk_release(old);
	lab_idle(&lab, NS_PER_S);
	simdisk_free(old);
	lab_fini(&lab);
}

/* A device that does not answer when the pool is opened. */
static void
test_hangs_at_opening(void **state)
{
	struct err e = ERR_INIT;
	int64_t began;

	setup(2, 1, 51);
	lab_must_close(&lab);
	simdisk_faults(lab.disk[2])->hang_ops = READS;
	began = ml_now(&lab);
	lab_check(lab_open(&lab, ALL, false, &e) == 0);
	lab_check(ml_now(&lab) - began < 30 * NS_PER_S);
	lab_check(lab_log_find("disk2") != NULL);
	lab_check(ml_state(&lab, 2) == RAW_MEMBER_MISSING);
	lab_compare_all(&lab, model, "without the one that hangs");
	heal(2, "hung when it was opened");
	lab_fini(&lab);
}

/* --- slow ------------------------------------------------------------------------------ */

static void
test_slow(void **state)
{
	struct pool_status st;
	int64_t began;

	setup(4, 2, 60);
	began = ml_now(&lab);
	while (ml_now(&lab) - began < 15 * NS_PER_S) {
		longest_get();
		lab_idle(&lab, 500 * NS_PER_MS);
	}
	simdisk_faults(lab.disk[2])->slow_ns = 300 * NS_PER_MS;
	lab_check(longest_get() < 50 * NS_PER_MS);
	began = ml_now(&lab);
	while (ml_now(&lab) - began < 90 * NS_PER_S) {
		lab_check(longest_get() < 50 * NS_PER_MS);
		lab_idle(&lab, 500 * NS_PER_MS);
	}
	ml_status(&lab, &st);
	lab_check(st.member[2].slow && !st.member[2].suspect);
	lab_check(st.member[2].state == RAW_MEMBER_ONLINE);
	lab_check(st.health == POOL_WHOLE);
	print_message("300 ms slower: %llu reads did not wait for it; p99 %llu "
		      "us, of another one %llu us\n",
	    (unsigned long long)st.member[2].hedged,
	    (unsigned long long)st.member[2].read_p99_ns / 1000,
	    (unsigned long long)st.member[1].read_p99_ns / 1000);
	simdisk_faults(lab.disk[2])->slow_ns = 0;
	began = ml_now(&lab);
	while (ml_now(&lab) - began < 30 * NS_PER_S) {
		longest_get();
		lab_idle(&lab, 500 * NS_PER_MS);
	}
	ml_status(&lab, &st);
	lab_check(!st.member[2].slow);
	heal(2, "slow");
	lab_fini(&lab);
}

/* --- errors, lies ------------------------------------------------------------------------ */

static void
test_errors(void **state)
{
	struct pool_status st;

	setup(4, 2, 70);
	simdisk_faults(lab.disk[1])->fail_reads = true;
	for (unsigned i = 0; i < 4; i++)
		lab_compare_all(&lab, model, "with errors");
	ml_status(&lab, &st);
	lab_check(st.member[1].state == RAW_MEMBER_FAULTED);
	lab_check(st.member[1].read_errors > 3 * MEMBER_ROW_ERRORS);
	heal(1, "read errors");
	lab_fini(&lab);

	/* A few are mended, and no more is said of it. */
	setup(4, 2, 71);
	for (unsigned i = 0; i < 5; i++) {
		simdisk_faults(lab.disk[1])->fail_ops = READS;
		simdisk_faults(lab.disk[1])->fail_nth = 3;
		lab_compare_all(&lab, model, "one error");
	}
	ml_status(&lab, &st);
	lab_check(st.member[1].state == RAW_MEMBER_ONLINE);
	lab_check(st.member[1].read_errors == 5 && st.member[1].repaired == 5);
	lab_check(!st.member[1].suspect);
	heal(1, "mended");
	lab_fini(&lab);

	/* Pulled out. */
	setup(4, 2, 72);
	simdisk_faults(lab.disk[1])->fail_ops = READS;
	simdisk_faults(lab.disk[1])->fail_nth = 1;
	simdisk_faults(lab.disk[1])->fail_error = -ENODEV;
	lab_compare_all(&lab, model, "pulled out");
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_FAULTED);
	heal(1, "pulled out");
	lab_fini(&lab);
}

static void
test_lies(void **state)
{
	struct pool_status st;

	setup(2, 1, 80);
	/* Says that it writes, and does not. */
	simdisk_faults(lab.disk[0])->lose_from = 1u << 20;
	simdisk_faults(lab.disk[0])->lose_to = LAB_DISK - (1u << 20);
	ml_write_all(&lab, model);
	for (unsigned i = 0; i < 3; i++)
		lab_compare_all(&lab, model, "of a liar");
	ml_status(&lab, &st);
	lab_check(st.member[0].state == RAW_MEMBER_FAULTED);
	lab_check(lab_log_find("does not keep") != NULL);
	heal(0, "lied");
	lab_fini(&lab);
}

/* --- too few ------------------------------------------------------------------------------ */

static void
test_at_risk(void **state)
{
	struct lab_object o = {.version = 7, .size = 9000};
	struct err e = ERR_INIT;
	struct pool_status st;

	setup(4, 2, 90);
	lab_check(ml_offline(&lab, 0, false, &e) == 0);
	lab_check(ml_offline(&lab, 1, false, &e) == -EBUSY);
	lab_check(ml_offline(&lab, 1, true, &e) == 0);
	lab_check(ml_offline(&lab, 2, true, &e) == -EBUSY);
	ml_status(&lab, &st);
	lab_check(st.health == POOL_AT_RISK && st.read_only && st.why[0]);
	lab_check(lab_put(&lab, 0, &o) == -EROFS);
	lab_check(lab_delete(&lab, 0) == -EROFS);
	lab_compare_all(&lab, model, "at risk");
	lab_check(lab_sync(&lab) == 0);
	/* What is written now is on five again. */
	lab_check(ml_online(&lab, lab.disk[1], false, &e) == 0);
	lab_check(lab_put(&lab, 0, &o) == 0);
	model[0] = o;
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(ml_health(&lab) == POOL_DEGRADED);
	heal(0, "was at risk");
	lab_fini(&lab);
}

/* --- discard ---------------------------------------------------------------------------------- */

/* What is freed is discarded, what is not is not; and it is of use again. */
static void
test_discard(void **state)
{
	struct pool_open_params op = {.discard = POOL_DISCARD_ON};
	struct lab_params lp = {.k = 2, .m = 1, .seed = 95};
	struct rdev *devs[3];
	struct err e = ERR_INIT;
	struct pool_status st;
	uint64_t before, n = 0;

	lab_reproduce("discard");
	memset(model, 0, sizeof(model));
	lab_init(&lab, &lp);
	for (unsigned c = 0; c < lab.n; c++)
		devs[c] = ml_open_disk(&lab, lab.disk[c], NULL);
	lab_check(
	    pool_open(lab.loop, devs, lab.n, &op, &lab.pool, &e) == 0);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < LAB_NKEYS; i++) {
			model[i] = ml_object(&lab);
			model[i].size = 150000;
			lab_check(lab_put(&lab, i, &model[i]) == 0);
		}
		for (unsigned i = 8; i < LAB_NKEYS; i++) {
			lab_check(lab_delete(&lab, i) == 0);
			memset(&model[i], 0, sizeof(model[i]));
		}
		lab_check(lab_sync(&lab) == 0);
		lab_idle(&lab, 10 * NS_PER_S);
		lab_compare_all(&lab, model, "discarded");
	}
	ml_status(&lab, &st);
	for (unsigned c = 0; c < lab.n; c++) {
		lab_check(st.member[c].discarded_bytes ==
		    simdisk_discarded(lab.disk[c]));
		lab_check(simdisk_discarded(lab.disk[c]) > 4u << 20);
		n += simdisk_discarded(lab.disk[c]);
	}
	lab_check_space(&lab, model);
	/* Nothing was freed: nothing is discarded again. */
	lab_idle(&lab, 10 * NS_PER_S);
	before = simdisk_discarded(lab.disk[0]);
	lab_idle(&lab, 60 * NS_PER_S);
	lab_check(simdisk_discarded(lab.disk[0]) == before);
	lab_kill(&lab);
	for (unsigned c = 0; c < lab.n; c++)
		simdisk_settle(lab.disk[c], SIM_KEEP_SOME);
	lab_must_open(&lab);
	lab_compare_all(&lab, model, "after a cut");
	lab_must_close(&lab);
	ml_check_redundancy(&lab, model, "discarded");
	print_message("%llu MiB were discarded\n", (unsigned long long)n >> 20);
	lab_fini(&lab);
}

/* --- T9: at every request of every operation ------------------------------------------------- */

enum kind { PUT, OVERWRITE, DELETE, BATCH, SYNC, CHECKPOINT, GET, NKINDS };
enum fault { DEAD, FAIL_WRITE, FAIL_FLUSH, HANG, NFAULTS };

static int
run(enum kind kind)
{
	unsigned keys[3] = {5, 6, 7};
	struct lab_object o[3] = {
	    ml_object(&lab), ml_object(&lab), ml_object(&lab)};
	int rc = 0;

	switch (kind) {
	case PUT:
		rc = lab_put(&lab, 9, &o[0]);
		if (rc == 0)
			model[9] = o[0];
		break;
	case OVERWRITE:
		rc = lab_put(&lab, 5, &o[0]);
		if (rc == 0)
			model[5] = o[0];
		break;
	case DELETE:
		rc = lab_delete(&lab, 6);
		if (rc == 0)
			memset(&model[6], 0, sizeof(model[6]));
		break;
	case BATCH:
		rc = lab_batch(&lab, keys, o, 3);
		for (unsigned i = 0; rc == 0 && i < 3; i++)
			model[keys[i]] = o[i];
		break;
	case SYNC:
		rc = lab_sync(&lab);
		break;
	case CHECKPOINT:
		rc = lab_checkpoint(&lab);
		break;
	case GET:
		rc = lab_compare(&lab, 20, &model[20]);
		break;
	case NKINDS:
		break;
	}
	return rc;
}

/* The fault strikes at the nth request to that member. */
static void
strike(unsigned c, enum fault fault, unsigned nth)
{
	struct simdisk_faults *f = simdisk_faults(lab.disk[c]);

	switch (fault) {
	case DEAD:
		if (nth == 0)
			f->dead = true;
		f->fail_ops = EVERYTHING;
		f->fail_nth = nth;
		f->fail_error = -ENODEV;
		break;
	case FAIL_WRITE:
		f->fail_ops = WRITES;
		f->fail_nth = nth + 1;
		break;
	case FAIL_FLUSH:
		f->fail_ops = FLUSHES;
		f->fail_nth = nth + 1;
		break;
	case HANG:
		f->hang_ops = nth % 2 ? WRITES : EVERYTHING;
		break;
	case NFAULTS:
		break;
	}
}

static void
removals(unsigned k, unsigned m, unsigned n_short)
{
	struct lab_object first[LAB_NKEYS];
	unsigned ops = 0, out = 0, checked = 0;
	unsigned each = lab_env("PAIL_LONG", 0) ? 12 : n_short;
	int64_t most = 0;

	setup(k, m, 100 + k);
	memset(&model[9], 0, sizeof(model[9]));
	lab_check(lab_delete(&lab, 9) == 0);
	lab_must_close(&lab);
	memcpy(first, model, sizeof(model));
	lab_save(&lab);
	for (unsigned kind = 0; kind < NKINDS; kind++)
		for (unsigned fault = 0; fault < NFAULTS; fault++)
			for (unsigned nth = 0; nth < each; nth++) {
				unsigned c = (kind + nth) % lab.n;
				int64_t began;

				lab_reproduce("%u+%u kind %u fault %u nth %u",
				    k, m, kind, fault, nth);
				lab_restore(&lab);
				memcpy(model, first, sizeof(model));
				lab_must_open(&lab);
				ml_write_some(&lab, model, 2);
				strike(c, fault, nth);
				began = ml_now(&lab);
				lab_check(run(kind) == 0);
				lab_check(run(PUT) == 0);
				lab_check(lab_sync(&lab) == 0);
				began = ml_now(&lab) - began;
				most = began > most ? began : most;
				ops++;
				out += ml_state(&lab, c) != RAW_MEMBER_ONLINE;
				lab_compare_all(&lab, model, "one is out");
				ml_write_some(&lab, model, 2);
				if ((kind + fault + nth) % 4 == 0) {
					heal(c, "one was out");
					checked++;
				} else {
					*simdisk_faults(lab.disk[c]) =
					    (struct simdisk_faults){0};
					simdisk_release(lab.disk[c]);
					lab_must_close(&lab);
					lab_must_open(&lab);
					lab_compare_all(
					    &lab, model, "opened again");
					lab_must_close(&lab);
				}
			}
	print_message("%u+%u: %u removals, %u members put out, %u rebuilt and "
		      "checked; an operation took at most %lld ms\n",
	    k, m, ops, out, checked, (long long)(most / NS_PER_MS));
	lab_fini(&lab);
}

static void
test_removals(void **state)
{
	removals(2, 1, 4);
	removals(4, 2, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hangs),
	    cmocka_unit_test(test_answers_again),
	    cmocka_unit_test(test_silent_is_not_asked),
	    cmocka_unit_test(test_acknowledged_when_the_others_know),
	    cmocka_unit_test(test_hangs_replaced),
	    cmocka_unit_test(test_hangs_at_opening),
	    cmocka_unit_test(test_slow),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_at_risk),
	    cmocka_unit_test(test_discard),
	    cmocka_unit_test(test_removals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
