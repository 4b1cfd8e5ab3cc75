/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices make a pool: all subsets of the members in all orders.
 *
 * test_orders is a model: members are superblocks and the commit that each has
 * last; quorum.c decides about every subset that is opened.  A subset may be
 * opened, written to, some of its members may fail at once, those that came back
 * may be rebuilt or not; then the next subset.  Whatever is opened has to show a
 * commit of which every device that was given has only forerunners: else
 * something that was acknowledged would be dropped in silence.  Without force
 * that is the last one of all.
 *
 * test_pools does the same with real pools, at random.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "memberlab.h"
#include "raw/format.h"
#include "raw/quorum.h"

#define NMAX 6
#define MAXCOMMITS 32

struct world {
	unsigned k, m, n;
	struct raw_super disk[NMAX];
	unsigned tip[NMAX];
	unsigned parent[MAXCOMMITS], ncommits;
	bool forced; /* ever */
};

static struct {
	uint64_t opened, refused, conflicts;
} count;

static void
world_init(struct world *w, unsigned k, unsigned m)
{
	struct raw_super s = {.k = (uint8_t)k, .m = (uint8_t)m, .epoch = 1,
	    .generation = 1, .name = "model"};

	memset(w, 0, sizeof(*w));
	w->k = k;
	w->m = m;
	w->n = k + m;
	for (unsigned c = 0; c < w->n; c++) {
		s.member[c].uuid[0] = (uint8_t)(c + 1);
		s.member[c].state = RAW_MEMBER_ONLINE;
	}
	for (unsigned c = 0; c < w->n; c++) {
		w->disk[c] = s;
		w->disk[c].column = (uint8_t)c;
		w->disk[c].member_uuid[0] = (uint8_t)(c + 1);
	}
	w->ncommits = 1;
}

static bool
descends(const struct world *w, unsigned from, unsigned of)
{
	while (from > of)
		from = w->parent[from];
	return from == of;
}

/* A pool that is open: what pool.c and member.c would do. */
struct opened {
	struct raw_super s;
	uint32_t use;
	unsigned online; /* in the last epoch */
	bool stopped, force;
};

static unsigned
whole(const struct world *w, const struct opened *o)
{
	unsigned n = 0;

	for (unsigned c = 0; c < w->n; c++)
		n += (o->use & (1u << c)) &&
		    o->s.member[c].state == RAW_MEMBER_ONLINE;
	return n;
}

static void
write_supers(struct world *w, struct opened *o)
{
	o->s.generation++;
	for (unsigned c = 0; c < w->n; c++)
		if (o->use & (1u << c)) {
			w->disk[c] = o->s;
			w->disk[c].column = (uint8_t)c;
			memset(w->disk[c].member_uuid, 0, 16);
			w->disk[c].member_uuid[0] = (uint8_t)(c + 1);
		}
}

static void
commit(struct world *w, struct opened *o, unsigned tip)
{
	bool risk = w->m >= 2 && !o->force &&
	    (unsigned)__builtin_popcount(o->use) <= w->k;

	if (o->stopped || risk)
		return;
	must(w->ncommits < MAXCOMMITS);
	w->parent[w->ncommits] = tip;
	for (unsigned c = 0; c < w->n; c++)
		if (o->use & (1u << c))
			w->tip[c] = w->ncommits;
	w->ncommits++;
}

static void
fail_at_once(struct world *w, struct opened *o, uint32_t who)
{
	uint32_t before = o->use;

	who &= o->use;
	if (!who)
		return;
	o->use &= ~who;
	if (whole(w, o) < w->k || 2 * whole(w, o) < o->online) {
		o->use = before;
		o->stopped = true;
		return;
	}
	for (unsigned c = 0; c < w->n; c++)
		if (who & (1u << c)) {
			o->s.member[c].state = RAW_MEMBER_MISSING;
			o->s.member[c].left_epoch = o->s.epoch;
		}
	o->s.epoch++;
	write_supers(w, o);
	o->online = whole(w, o);
}

/* Open some; those of `fail` fail at once; rebuild what came back, or not. */
static int
session(struct world *w, uint32_t with, bool force, uint32_t fail, bool rebuild)
{
	struct quorum_device d[NMAX];
	struct opened o = {.force = force};
	struct err e = ERR_INIT;
	unsigned n = 0, best, at[NMAX], tip = 0;
	uint64_t top = 0;
	int rc;

	for (unsigned c = 0; c < w->n; c++)
		if (with & (1u << c)) {
			at[n] = c;
			d[n++] = (struct quorum_device){
			    .path = "disk", .super = &w->disk[c]};
			if (w->disk[c].epoch > top)
				top = w->disk[c].epoch;
		}
	rc = quorum_decide(d, n, false, force, &best, &e);
	if (rc < 0) {
		count.refused++;
		count.conflicts += rc == -ESTALE;
		lab_check(err_text(&e)[0]);
		lab_check(rc != -ESTALE || w->forced);
		return rc;
	}
	count.opened++;
	w->forced = w->forced || force;
	o.s = w->disk[at[best]];
	for (unsigned i = 0; i < n; i++) {
		struct raw_member *m = &o.s.member[d[i].column];

		lab_check(d[i].role != QUORUM_REPLACED);
		if (d[i].role == QUORUM_CURRENT) {
			lab_check(!tip || tip == w->tip[at[i]]);
			tip = w->tip[at[i]];
		}
		if (d[i].role == QUORUM_STALE) {
			m->state = RAW_MEMBER_REBUILDING;
			m->left_epoch = 0;
		}
	}
	o.use = with;
	/* The oracle. */
	for (unsigned i = 0; i < n; i++)
		lab_check(descends(w, tip, w->tip[at[i]]));
	lab_check(w->forced || tip == w->ncommits - 1);
	for (unsigned c = 0; c < w->n; c++)
		if (!(with & (1u << c)) &&
		    (o.s.member[c].state == RAW_MEMBER_ONLINE ||
			o.s.member[c].state == RAW_MEMBER_REBUILDING)) {
			o.s.member[c].state = RAW_MEMBER_MISSING;
			o.s.member[c].left_epoch = o.s.epoch;
		}
	o.online = whole(w, &o);
	o.s.epoch = (top > o.s.epoch ? top : o.s.epoch) +
	    (force ? QUORUM_FORCED_EPOCHS : 1);
	write_supers(w, &o);
	commit(w, &o, tip);
	if (fail) {
		tip = w->tip[at[best]];
		fail_at_once(w, &o, fail);
		commit(w, &o, tip);
	}
	if (rebuild && !o.stopped) {
		for (unsigned c = 0; c < w->n; c++)
			if (o.use & (1u << c))
				o.s.member[c].state = RAW_MEMBER_ONLINE;
		o.s.epoch++;
		write_supers(w, &o);
	}
	return 0;
}

/* All that can be done next, so many times; then all members are given. */
static void
explore(const struct world *w, unsigned depth, unsigned fails, bool force)
{
	static struct world stack[8];
	struct world *next = &stack[depth];
	uint32_t all = (1u << w->n) - 1;

	*next = *w;
	if (depth == 0) {
		int rc = session(next, all, false, 0, false);

		lab_check(rc == 0 || (w->forced && rc < 0));
		return;
	}
	for (uint32_t with = 1; with <= all; with++)
		for (uint32_t fail = 0; fail <= (fails ? all : 0); fail++)
			for (unsigned how = 0; how < (force ? 4u : 2u); how++) {
				if (fail & ~with)
					continue;
				*next = *w;
				if (session(next, with, how & 2, fail,
					how & 1) == 0)
					explore(next, depth - 1,
					    fails ? fails - 1 : 0, force);
			}
}

static void
test_orders(void **state)
{
	bool longer = lab_env("PAIL_LONG", 0);

	for (unsigned n = 1; n <= NMAX; n++)
		for (unsigned m = 0; m < n && m <= RAW_MAX_PARITY; m++) {
			struct world w;

			lab_reproduce("%u+%u", n - m, m);
			memset(&count, 0, sizeof(count));
			world_init(&w, n - m, m);
			explore(&w, n <= 4 ? 3 : 2, 0, false);
			explore(&w, n <= 3 ? 3 : 2,
			    n <= 3	 ? 3
				: n <= 4 ? 2
				: n <= 5 || longer,
			    false);
			if (n <= 3)
				explore(&w, 3, 0, true);
			else if (n == 4)
				explore(&w, 2, 0, true);
			print_message("%u+%u: %llu openings, %llu refusals, "
				      "%llu of them as two histories met\n",
			    n - m, m, (unsigned long long)count.opened,
			    (unsigned long long)count.refused,
			    (unsigned long long)count.conflicts);
		}
}

/* --- real pools ---------------------------------------------------------------------- */

/* Key 0 says which commit is the last. */
static void
random_pool(unsigned k, unsigned m, uint64_t seed, unsigned steps)
{
	struct lab_params lp = {.k = k, .m = m, .seed = seed};
	struct lab_object last = {.version = 1, .size = 5000}, got;
	unsigned opened = 0, refused = 0;
	struct lab lab;

	lab_reproduce("%u+%u, seed %llu", k, m, (unsigned long long)seed);
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(lab_put(&lab, 0, &last) == 0 && lab_sync(&lab) == 0);
	lab_must_close(&lab);
	while (steps-- > 0) {
		uint32_t all = (1u << lab.n) - 1;
		uint32_t with = 1 + (uint32_t)sim_random(&lab.w, all);
		struct err e = ERR_INIT;
		bool doubt;
		unsigned victim = (unsigned)sim_random(&lab.w, lab.n);

		if (lab_open(&lab, steps ? with : all, false, &e) < 0) {
			lab_check(e.rc == -ENODEV);
			refused++;
			continue;
		}
		opened++;
		lab_check(lab_compare(&lab, 0, &last) == 0);
		if (sim_random(&lab.w, 3) == 0)
			simdisk_faults(lab.disk[victim])->dead = true;
		got = last;
		got.version++;
		doubt = lab_put(&lab, 0, &got) < 0 || lab_sync(&lab) < 0;
		if (!doubt)
			last = got;
		if (sim_random(&lab.w, 2))
			(void)ml_rebuilt(&lab);
		lab_kill(&lab);
		for (unsigned c = 0; c < lab.n; c++) {
			simdisk_faults(lab.disk[c])->dead = false;
			simdisk_settle(lab.disk[c],
			    (enum sim_keep)sim_random(&lab.w, 4));
		}
		/* Not acknowledged: either, but from now on that. */
		if (doubt) {
			if (lab_open(&lab, all, true, &e) < 0)
				lab_fail("read-only: %s", err_text(&e));
			if (lab_compare(&lab, 0, &got) == 0)
				last = got;
			lab_kill(&lab);
		}
		/* One that was faulted is asked back. */
		if (lab_open(&lab, all, false, &e) == 0) {
			for (unsigned c = 0; c < lab.n; c++)
				if (ml_state(&lab, c) == RAW_MEMBER_FAULTED)
					lab_check(ml_online(&lab, lab.disk[c],
						      false, &e) == 0);
			lab_check(lab_compare(&lab, 0, &last) == 0);
			lab_must_close(&lab);
		}
	}
	print_message("%u+%u: %u openings of some, %u refused\n", k, m, opened,
	    refused);
	lab_fini(&lab);
}

static void
test_pools(void **state)
{
	unsigned steps = (unsigned)lab_env("PAIL_STEPS", 60);

	random_pool(1, 1, 1, steps);
	random_pool(2, 1, 2, steps);
	random_pool(1, 2, 3, steps);
	random_pool(2, 2, 4, steps);
	random_pool(3, 2, 5, steps);
	random_pool(4, 2, 6, steps);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_pools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
