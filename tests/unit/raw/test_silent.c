/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that do not answer for a while: nobody waits for one that can be done
 * without, nobody is put out where that would not help, and whoever answers is
 * back by itself, with what it has missed.  docs/raw.md, "Silence".
 *
 * All of it on virtual time.  PAIL_LONG=1 cuts the power at more moments.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/must.h"
#include "loop/loop.h"
#include "memberlab.h"
#include "raw/flight.h"
#include "raw/format.h"
#include "raw/member.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"
#include "raw/silent.h"

#define SERVICE_NS (2 * NS_PER_S) /* from the fault, at most */

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
	(void)lab_log_lines();
}

static void
hang(unsigned c, unsigned ops)
{
	simdisk_faults(lab.disk[c])->hang_ops = ops;
}

static void
answer(unsigned c)
{
	*simdisk_faults(lab.disk[c]) = (struct simdisk_faults){0};
	simdisk_release(lab.disk[c]);
}

static struct pool_member_status
member(unsigned c)
{
	struct pool_status st;

	ml_status(&lab, &st);
	return st.member[c];
}

static uint64_t
epoch(void)
{
	struct pool_status st;

	ml_status(&lab, &st);
	return st.epoch;
}

/* A put that is under way. */
static struct lab_op *
begin_put(unsigned key)
{
	struct lab_object o = ml_object(&lab);

	o.size = 131072;
	model[key] = o;
	return lab_begin(&lab, POOL_PUT, &key, &o, 1);
}

static void
end_put(struct lab_op *op)
{
	lab_check(lab_wait(op) == 0);
	lab_op_free(op);
}

/* How long one takes, and the SYNC of it. */
static int64_t
timed_put(unsigned key)
{
	int64_t began = ml_now(&lab);

	end_put(begin_put(key));
	lab_check(lab_sync(&lab) == 0);
	return ml_now(&lab) - began;
}

static void
until_online(unsigned c, int64_t within)
{
	int64_t began = ml_now(&lab);

	while (ml_state(&lab, c) != RAW_MEMBER_ONLINE) {
		lab_check(ml_now(&lab) - began < within);
		lab_idle(&lab, 10 * NS_PER_MS);
	}
}

static void
end_whole(const char *where)
{
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(ml_health(&lab) == POOL_WHOLE);
	lab_compare_all(&lab, model, where);
	lab_must_close(&lab);
	ml_check_redundancy(&lab, model, where);
	lab_fini(&lab);
}

/* --- out and back ----------------------------------------------------------- */

static void
out_and_back(unsigned k, unsigned m, unsigned ops, const char *what)
{
	int64_t took;

	setup(k, m, 10 * k + ops);
	hang(1, ops);
	took = timed_put(3);
	print_message("%u+%u, %s hang: a synced write took %lld ms\n", k, m,
	    what, (long long)(took / NS_PER_MS));
	lab_check(took < SERVICE_NS);
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_MISSING);
	lab_check(member(1).silent && !member(1).here);
	lab_check(lab_log_find("until it answers") != NULL);
	for (unsigned i = 0; i < 5; i++)
		lab_check(timed_put(i) < 100 * NS_PER_MS);
	lab_compare_all(&lab, model, what);
	/* Nothing brings it back before it has answered. */
	lab_idle(&lab, 60 * NS_PER_S);
	lab_check(member(1).silent);
	answer(1);
	until_online(1, SILENT_SETTLE_NS + 5 * NS_PER_S);
	lab_check(!member(1).silent);
	lab_check(timed_put(6) < 100 * NS_PER_MS);
	end_whole(what);
}

static void
test_out_and_back(void **state)
{
	static const struct {
		unsigned k, m;
	} t[] = {{1, 1}, {2, 1}, {4, 2}, {1, 2}};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		out_and_back(t[i].k, t[i].m, WRITES, "writes");
		out_and_back(t[i].k, t[i].m, FLUSHES, "flushes");
		out_and_back(t[i].k, t[i].m, EVERYTHING, "all requests");
	}
}

/* What it has missed, and no more, is written to it. */
static void
test_only_the_difference(void **state)
{
	struct pool_status st;
	uint64_t durable;

	setup(2, 1, 20);
	ml_status(&lab, &st);
	durable = st.durable_seq;
	hang(1, WRITES);
	lab_check(timed_put(3) < SERVICE_NS);
	lab_check(lab.pool->super.member[1].whole_seq >= durable);
	for (unsigned i = 4; i < 8; i++)
		lab_check(timed_put(i) < 100 * NS_PER_MS);
	ml_status(&lab, &st);
	lab_check(st.durable_seq > durable);
	lab_check(lab.pool->super.member[1].whole_seq == durable);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	lab_check(lab_log_find("KiB written") != NULL);
	end_whole("only the difference");
}

/* It answers, at last, that it has failed: it is as any that fails. */
static void
test_answers_with_an_error(void **state)
{
	struct err e = ERR_INIT;

	setup(2, 1, 21);
	simdisk_faults(lab.disk[1])->fail_writes = true;
	hang(1, WRITES);
	lab_check(timed_put(3) < SERVICE_NS);
	lab_check(member(1).silent);
	answer(1);
	lab_idle(&lab, 200 * NS_PER_S);
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_FAULTED);
	lab_check(lab_log_find("with an error") != NULL);
	/* The others know it: it is not brought back by the next opening. */
	lab_kill(&lab);
	for (unsigned c = 0; c < lab.n; c++)
		simdisk_settle(lab.disk[c], SIM_KEEP_NONE);
	lab_must_open(&lab);
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_FAULTED);
	lab_check(ml_online(&lab, lab.disk[1], false, &e) == 0);
	end_whole("an error");
}

/* A read that fails late says nothing of what was written. */
static void
test_late_read_error(void **state)
{
	setup(2, 1, 22);
	simdisk_faults(lab.disk[1])->fail_reads = true;
	hang(1, EVERYTHING);
	lab_compare_all(&lab, model, "reads hang");
	lab_check(timed_put(3) < SERVICE_NS);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	end_whole("a late read error");
}

/* --- one that is needed -------------------------------------------------------- */

/* It is waited for, and nothing has happened. */
static void
needed(unsigned k, unsigned m, uint32_t offline, uint32_t silent)
{
	uint64_t before;
	struct lab_op *op;

	setup(k, m, 30 + 10 * k + silent);
	for (unsigned c = 0; c < lab.n; c++)
		if (offline & (1u << c))
			lab_check(ml_offline(&lab, c, false, NULL) == 0);
	before = epoch();
	for (unsigned c = 0; c < lab.n; c++)
		if (silent & (1u << c))
			hang(c, EVERYTHING);
	op = begin_put(3);
	lab_idle(&lab, 50 * NS_PER_S);
	lab_check(!op->done);
	lab_check(epoch() == before);
	for (unsigned c = 0; c < lab.n; c++)
		if (silent & (1u << c)) {
			lab_check(member(c).here);
			answer(c);
		}
	end_put(op);
	lab_check(epoch() == before);
	lab_check(timed_put(4) < 100 * NS_PER_MS);
	for (unsigned c = 0; c < lab.n; c++)
		if (offline & (1u << c))
			lab_check(
			    ml_online(&lab, lab.disk[c], false, NULL) == 0);
	end_whole("one that is needed");
}

static void
test_needed(void **state)
{
	needed(1, 0, 0, 1);
	/* Its loss would be one too many ... */
	needed(1, 1, 1, 2);
	needed(2, 1, 1, 2);
	/* ... or leave no redundancy, and no writing. */
	needed(4, 2, 1, 2);
	needed(1, 2, 1, 2);
}

/* To put out one of them would not end the waiting. */
static void
test_many_at_once(void **state)
{
	needed(2, 1, 0, 3);
	needed(4, 2, 0, 3);
	needed(1, 2, 0, 3);
	/* The machine, or what all of them hang on. */
	needed(1, 1, 0, 3);
	needed(2, 1, 0, 7);
	needed(4, 2, 0, 63);
}

/* With more parity they go together. */
static void
test_two_can_go(void **state)
{
	setup(4, 4, 50);
	hang(1, EVERYTHING);
	hang(6, WRITES);
	lab_check(timed_put(3) < SERVICE_NS);
	lab_check(member(1).silent && member(6).silent);
	answer(6);
	until_online(6, 5 * NS_PER_S);
	lab_check(member(1).silent);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	end_whole("two went");
}

/* All of them hang, and they answer one after the other. */
static void
test_all_answer_one_by_one(void **state)
{
	struct lab_op *op;
	uint64_t before;

	setup(4, 2, 53);
	before = epoch();
	for (unsigned c = 0; c < lab.n; c++)
		hang(c, EVERYTHING);
	op = begin_put(3);
	lab_idle(&lab, 5 * NS_PER_S);
	for (unsigned c = 0; c < lab.n; c++) {
		lab_check(!op->done);
		answer(c);
		lab_idle(&lab, 180 * NS_PER_MS);
	}
	end_put(op);
	lab_check(epoch() == before);
	end_whole("one after the other");
}

/* One of two answers: then the other one can go, at once. */
static void
test_the_other_can_go(void **state)
{
	struct lab_op *op;

	setup(4, 2, 51);
	hang(0, EVERYTHING);
	hang(1, EVERYTHING);
	op = begin_put(3);
	lab_idle(&lab, 5 * NS_PER_S);
	lab_check(!op->done);
	answer(0);
	/* It might be about to answer as well. */
	lab_idle(&lab, 500 * NS_PER_MS);
	lab_check(!op->done && member(1).here);
	lab_idle(&lab, NS_PER_S);
	lab_check(op->done);
	end_put(op);
	lab_check(member(1).silent && member(0).here);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	end_whole("the other went");
}

/* Only one has something to answer; that the others would not either is asked. */
static void
test_the_others_are_asked(void **state)
{
	struct lab_op *op;

	setup(2, 1, 52);
	hang(1, WRITES);
	hang(0, READS);
	hang(2, READS);
	op = begin_put(3);
	lab_idle(&lab, 5 * NS_PER_S);
	lab_check(!op->done && member(1).here);
	lab_check(simdisk_hanging(lab.disk[0]) > 0);
	/* One question each, however long it takes. */
	lab_check(simdisk_hanging(lab.disk[0]) <= 2);
	answer(0);
	answer(2);
	lab_idle(&lab, 2 * NS_PER_S);
	lab_check(op->done && member(1).silent);
	end_put(op);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	end_whole("the others were asked");
}

/* --- time that was none --------------------------------------------------------- */

/* The process was stopped, or the machine slept: what is old then is not the
 * fault of a member. */
static void
test_we_did_not_run(void **state)
{
	uint64_t before;
	struct lab_op *op;

	setup(4, 2, 60);
	before = epoch();
	hang(1, WRITES);
	op = begin_put(3);
	for (unsigned i = 0; i < 3; i++) {
		lab_idle(&lab, 100 * NS_PER_MS);
		loop_skip(lab.loop, 3600 * NS_PER_S);
	}
	lab_idle(&lab, 900 * NS_PER_MS);
	lab_check(!op->done && member(1).here && !member(1).suspect);
	answer(1);
	end_put(op);
	lab_check(epoch() == before);
	/* And with all that is under way, also reads. */
	for (unsigned c = 0; c < lab.n; c++)
		hang(c, EVERYTHING);
	op = begin_put(4);
	lab_idle(&lab, 10 * NS_PER_MS);
	loop_skip(lab.loop, 3600 * NS_PER_S);
	lab_idle(&lab, 10 * NS_PER_MS);
	for (unsigned c = 0; c < lab.n; c++)
		answer(c);
	end_put(op);
	lab_check(epoch() == before);
	end_whole("we did not run");
}

/* --- again and again -------------------------------------------------------------- */

/* After a few times a day it is given more time, and then it stays out. */
static void
test_again_and_again(void **state)
{
	int64_t settle = SILENT_SETTLE_NS, took;
	struct lab_op *op;
	uint64_t before;

	setup(2, 1, 70);
	for (unsigned i = 0; i < SILENT_RETURNS; i++) {
		hang(1, WRITES);
		lab_check(timed_put(i) < SERVICE_NS);
		lab_check(member(1).silent);
		answer(1);
		lab_idle(&lab, settle - NS_PER_S / 2);
		lab_check(member(1).silent);
		until_online(1, 5 * NS_PER_S);
		settle *= 10;
	}
	/* It is waited for now. */
	before = epoch();
	hang(1, WRITES);
	op = begin_put(10);
	lab_idle(&lab, 9 * NS_PER_S);
	lab_check(!op->done && member(1).here);
	answer(1);
	end_put(op);
	lab_check(epoch() == before);
	hang(1, WRITES);
	took = timed_put(11);
	lab_check(took > 9 * NS_PER_S && took < 11 * NS_PER_S);
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_FAULTED);
	answer(1);
	lab_idle(&lab, 2000 * NS_PER_S);
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_FAULTED);
	lab_check(ml_online(&lab, lab.disk[1], false, NULL) == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	/* The next day is another one. */
	lab_idle(&lab, 25 * 3600 * NS_PER_S);
	hang(1, WRITES);
	lab_check(timed_put(12) < SERVICE_NS);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	end_whole("again and again");
}

/* Silent while it is looked at, and while it is attached. */
static void
test_silent_on_its_way_back(void **state)
{
	setup(2, 1, 71);
	hang(1, WRITES);
	lab_check(timed_put(3) < SERVICE_NS);
	answer(1);
	hang(1, READS);
	lab_idle(&lab, 30 * NS_PER_S);
	lab_check(!member(1).silent && !member(1).here);
	lab_check(lab_log_find("cannot be brought back") != NULL);
	answer(1);
	lab_idle(&lab, NS_PER_S);
	lab_check(ml_online(&lab, lab.disk[1], false, NULL) == 0);
	lab_check(ml_rebuilt(&lab) == 0);

	hang(1, WRITES);
	lab_check(timed_put(4) < SERVICE_NS);
	answer(1);
	hang(1, WRITES);
	/* It is attached: that checkpoint's superblock hangs. */
	while (ml_state(&lab, 1) != RAW_MEMBER_REBUILDING)
		lab_idle(&lab, 10 * NS_PER_MS);
	lab_check(timed_put(5) < SERVICE_NS + NS_PER_S);
	lab_check(member(1).silent);
	for (unsigned i = 0; i < 3; i++)
		lab_check(timed_put(i) < 100 * NS_PER_MS);
	answer(1);
	until_online(1, 120 * NS_PER_S);
	end_whole("silent on its way back");
}

/* The superblocks of the new epoch meet another one that is slow. */
static void
test_epoch_meets_a_slow_one(void **state)
{
	struct lab_op *op;

	setup(4, 2, 72);
	simdisk_faults(lab.disk[3])->hang_ops = WRITES;
	simdisk_faults(lab.disk[3])->hang_from = 0;
	simdisk_faults(lab.disk[3])->hang_to = RAW_SECTOR;
	hang(1, WRITES);
	op = begin_put(3);
	lab_idle(&lab, 3 * NS_PER_S);
	/* I5: nothing is acknowledged before all that remain know. */
	lab_check(simdisk_hanging(lab.disk[3]) > 0);
	lab_check(!op->done && member(1).silent);
	/* A second loss would end writing: it is waited for. */
	lab_idle(&lab, 20 * NS_PER_S);
	lab_check(!op->done && member(3).here);
	answer(3);
	lab_idle(&lab, 100 * NS_PER_MS);
	lab_check(op->done);
	end_put(op);
	answer(1);
	until_online(1, 5 * NS_PER_S);
	end_whole("the epoch met a slow one");
}

/* --- orders --------------------------------------------------------------------------- */

struct changed {
	struct pool_change change;
	bool done;
};

static void
changed(struct pool_change *c)
{
	struct changed *d = c->arg;

	d->done = true;
}

/* What is asked of the store while one of its members is silent. */
static void
test_orders(void **state)
{
	struct changed d = {.change.done = changed};
	struct simdisk *spare, *old;
	struct err e = ERR_INIT;

	d.change.arg = &d;
	setup(2, 1, 80);
	/* Back at once, and not when its time has come. */
	for (unsigned i = 0; i < 2; i++) {
		hang(1, WRITES);
		lab_check(timed_put(i) < SERVICE_NS);
		lab_check(
		    pool_member_recall(lab.pool, &d.change, 1, &e) == -EBUSY);
		answer(1);
		if (i == 0)
			until_online(1, 5 * NS_PER_S);
	}
	lab_idle(&lab, NS_PER_S);
	lab_check(member(1).silent);
	lab_check(pool_member_recall(lab.pool, &d.change, 1, &e) == 0);
	lab_until(&lab, &d.done, "a member that is called");
	lab_check(d.change.rc == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	lab_check(ml_health(&lab) == POOL_WHOLE);
	/* Taken offline it does not come back. */
	hang(1, WRITES);
	lab_check(timed_put(4) < SERVICE_NS);
	lab_check(ml_offline(&lab, 1, false, &e) == 0);
	answer(1);
	lab_idle(&lab, 2000 * NS_PER_S);
	lab_check(ml_state(&lab, 1) == RAW_MEMBER_OFFLINE);
	lab_check(ml_online(&lab, lab.disk[1], false, &e) == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	/* Another one takes its place, whatever it answers then. */
	hang(2, WRITES);
	lab_check(timed_put(5) < SERVICE_NS);
	spare = simdisk_new(&lab.w, LAB_DISK);
	lab_check(ml_replace(&lab, 2, spare, false, &e) == 0);
	lab_check(ml_rebuilt(&lab) == 0);
	old = lab.disk[2];
	lab.disk[2] = spare;
	*simdisk_faults(old) = (struct simdisk_faults){0};
	simdisk_release(old);
	lab_idle(&lab, 2000 * NS_PER_S);
	end_whole("orders");
	simdisk_free(old);
}

/* The store is closed while one is silent, and while one is about to come back:
 * the next opening has it again. */
static void
test_closed_meanwhile(void **state)
{
	for (unsigned answered = 0; answered < 3; answered++) {
		setup(2, 1, 81 + answered);
		hang(1, WRITES);
		lab_check(timed_put(3) < SERVICE_NS);
		if (answered > 0)
			answer(1);
		if (answered == 1)
			lab_idle(&lab, SILENT_SETTLE_NS / 2);
		if (answered == 2)
			while (member(1).silent)
				lab_idle(&lab, 10 * NS_PER_US);
		lab_must_close(&lab);
		answer(1);
		lab_idle(&lab, NS_PER_S);
		lab_must_open(&lab);
		end_whole("closed meanwhile");
	}
}

/* --- the power goes ----------------------------------------------------------------- */

/* What was acknowledged is there without the silent one, and with it; it is not
 * believed that it has everything. */
static void
cut_at(unsigned k, unsigned m, int64_t at, bool leave, enum sim_keep keep)
{
	struct err e = ERR_INIT;
	struct lab_op *op;
	unsigned without;
	int64_t began;

	setup(k, m, 90 + k + (uint64_t)at);
	lab_reproduce("cut %u+%u at %lld ms, leave %d, keep %d", k, m,
	    (long long)(at / NS_PER_MS), leave, keep);
	began = ml_now(&lab);
	hang(1, WRITES);
	op = begin_put(3);
	lab_idle(&lab, NS_PER_S);
	lab_check(!op->done);
	end_put(op);
	lab_check(lab_sync(&lab) == 0);
	for (unsigned i = 4; i < 8; i++)
		lab_check(timed_put(i) < 100 * NS_PER_MS);
	if (at > 3 * NS_PER_S) {
		lab_idle(&lab, 3 * NS_PER_S - (ml_now(&lab) - began));
		answer(1);
	}
	if (at > ml_now(&lab) - began)
		lab_idle(&lab, at - (ml_now(&lab) - began));
	if (lab.pool)
		lab_kill(&lab);
	answer(1);
	lab_idle(&lab, NS_PER_S);
	for (unsigned c = 0; c < lab.n; c++)
		simdisk_settle(lab.disk[c], keep);
	/* It alone never has everything: it is refused, or too few. */
	if (k == 1 && at < 3 * NS_PER_S)
		lab_check(lab_open(&lab, 2, false, &e) == -ENODEV);
	/* It may have everything again, and be needed. */
	leave = leave && at < 4 * NS_PER_S;
	without = leave ? ALL & ~2u : ALL;
	if (lab_open(&lab, without, false, &e) < 0)
		lab_fail("%s", err_text(&e));
	lab_compare_all(&lab, model, "after the cut");
	if (leave) {
		lab_check(ml_health(&lab) == POOL_DEGRADED ||
		    ml_health(&lab) == POOL_AT_RISK);
		lab_check(ml_online(&lab, lab.disk[1], false, &e) == 0);
	}
	end_whole("after the cut");
}

static void
test_cut(void **state)
{
	int64_t step = lab_env("PAIL_LONG", 0) ? NS_PER_MS : 8 * NS_PER_MS;
	static const enum sim_keep keep[] = {
	    SIM_KEEP_NONE, SIM_KEEP_SOME, SIM_KEEP_TORN};
	unsigned n = 0;

	for (int64_t at = 2 * NS_PER_S; at < 5 * NS_PER_S;) {
		cut_at(1, 1, at, n % 2, keep[n % 3]);
		cut_at(2, 1, at, n % 3, keep[n % 3]);
		n++;
		/* Its return begins 1 s after its answer: that closely. */
		at += at < 4 * NS_PER_S || at > 4 * NS_PER_S + 24 * NS_PER_MS
		    ? 50 * step
		    : step / 4;
	}
	print_message("%u cuts\n", 2 * n);
}

/* The power goes at each write and flush from the silence on to the end of the
 * return. */
static void
test_cut_at_every_write(void **state)
{
	static const enum sim_keep keep[] = {
	    SIM_KEEP_NONE, SIM_KEEP_SOME, SIM_KEEP_TORN, SIM_KEEP_ALL};
	unsigned each = lab_env("PAIL_LONG", 0) ? 1 : 4, n = 0;
	struct lab_object was, now;
	bool whole = false;

	for (unsigned nth = 1; !whole; nth += each, n++) {
		struct err e = ERR_INIT;
		struct lab_op *op;
		int rc;

		setup(2, 1, 1000);
		lab_reproduce("cut at write %u", nth);
		was = model[3];
		hang(1, WRITES);
		lab.w.cut_at = lab.w.ops + nth;
		op = begin_put(3);
		now = model[3];
		for (unsigned i = 0; i < 300 && !lab.w.cut && !op->done; i++)
			lab_idle(&lab, 10 * NS_PER_MS);
		if (op->done) {
			answer(1);
			for (unsigned i = 0; i < 300 && !lab.w.cut; i++)
				lab_idle(&lab, 10 * NS_PER_MS);
		}
		whole = !lab.w.cut;
		for (unsigned c = 0; c < lab.n; c++)
			answer(c);
		rc = lab_wait(op);
		lab_op_free(op);
		lab_kill(&lab);
		lab_idle(&lab, NS_PER_S);
		lab.w.cut = false;
		lab.w.cut_at = 0;
		for (unsigned c = 0; c < lab.n; c++)
			simdisk_settle(lab.disk[c], keep[n % 4]);
		if (lab_open(&lab, ALL, false, &e) < 0)
			lab_fail("%s", err_text(&e));
		/* It was put, or not; it was not synced. */
		(void)rc;
		model[3] = lab_compare(&lab, 3, &now) == 0 ? now : was;
		end_whole("cut at a write");
	}
	print_message("%u cuts\n", n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_out_and_back),
	    cmocka_unit_test(test_only_the_difference),
	    cmocka_unit_test(test_answers_with_an_error),
	    cmocka_unit_test(test_late_read_error),
	    cmocka_unit_test(test_needed),
	    cmocka_unit_test(test_many_at_once),
	    cmocka_unit_test(test_two_can_go),
	    cmocka_unit_test(test_all_answer_one_by_one),
	    cmocka_unit_test(test_the_other_can_go),
	    cmocka_unit_test(test_the_others_are_asked),
	    cmocka_unit_test(test_we_did_not_run),
	    cmocka_unit_test(test_again_and_again),
	    cmocka_unit_test(test_silent_on_its_way_back),
	    cmocka_unit_test(test_epoch_meets_a_slow_one),
	    cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_closed_meanwhile),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_cut_at_every_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
