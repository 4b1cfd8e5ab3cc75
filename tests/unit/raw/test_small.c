/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every sequence of up to four requests, of put, overwrite, batch of two,
 * delete, flush and checkpoint over at most three objects, on a pool that is
 * new or has one object; and for each of them every state that a power cut in
 * its last request, or behind it, could have left.  (A cut in an earlier one is
 * a cut in the last one of a shorter sequence.)  Most crash bugs that were ever
 * found in file systems need no more than three operations.
 *
 * Which object a new one is does not matter, so the first to be named is always
 * object 0, then 1, then 2.
 *
 * PAIL_LONG=1: all of it (hours); else all sequences of up to two requests and
 * some of the others.  PAIL_DEPTH, PAIL_PROFILE, PAIL_FIRST (a sequence, as
 * printed), PAIL_BEGIN (only what begins so; to divide a long run).
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
#include "lib/rawcrash.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}};
#define NPROFILES 3

enum what { PUT0, PUT1, PUT2, BATCH, DEL0, DEL1, SYNC, CKPT, NWHAT };
#define MAXDEPTH 4
static const char names[] = "012Bxysc";

struct walk {
	struct lab lab;
	struct lab_object model[LAB_NKEYS];
	uint64_t version;
	unsigned pr, depth;
	enum what seq[MAXDEPTH];
	uint64_t sequences, states, openings;
	unsigned skip;
};

static void
name_of(const struct walk *w, unsigned n, char out[2 * MAXDEPTH + 1])
{
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		out[at++] = names[w->seq[i]];
	out[at] = '\0';
}

static struct lab_object
object(struct walk *w)
{
	static const uint32_t sizes[] = {4096, 5000, 9000};

	w->version++;
	return (struct lab_object){
	    w->version, sizes[w->version % 3], (uint8_t)(w->version % 3)};
}

static void
step(struct walk *w, struct crash *c, enum what what)
{
	unsigned key[2] = {0, 1};
	struct lab_object obj[2] = {0};

	switch (what) {
	case PUT0:
	case PUT1:
	case PUT2:
		key[0] = what - PUT0;
		obj[0] = object(w);
		crash_write(c, POOL_PUT, key, obj, 1, true);
		return;
	case BATCH:
		obj[0] = object(w);
		obj[1] = object(w);
		crash_write(c, POOL_BATCH, key, obj, 2, true);
		return;
	case DEL0:
	case DEL1:
		key[0] = what - DEL0;
		crash_write(c, POOL_DELETE, key, obj, 1, true);
		return;
	case SYNC:
		crash_sync(c, true);
		return;
	default:
		lab_check(lab_checkpoint(&w->lab) == 0);
	}
}

/* The sequence of n requests, from the beginning, cut in its last one. */
static void
run(struct walk *w, unsigned n)
{
	struct crash *c = calloc(1, sizeof(*c));
	char name[2 * MAXDEPTH + 1], where[80];
	unsigned from = 0;

	must(c);
	name_of(w, n, name);
	snprintf(where, sizeof(where), "sequence %s", name);
	lab_reproduce("PAIL_PROFILE=%u PAIL_FIRST=%s PAIL_LONG=1 "
		      "tests/unit/raw/test_small",
	    w->pr, name);
	c->where = where;
	c->subsets = 64;
	c->tears = 1;
	c->recrash = true;
	c->skip = w->skip;
	w->version = 10;
	w->lab.w.seed = 1;
	lab_restore(&w->lab);
	lab_must_open(&w->lab);
	crash_begin(c, &w->lab, w->model);
	for (unsigned i = 0; i < n; i++) {
		from = simrec_now(&w->lab.w);
		step(w, c, w->seq[i]);
	}
	crash_end(c);
	crash_check_all(c, from, c->events);
	w->sequences++;
	w->states += c->states;
	w->openings += c->opened;
	crash_free(c);
	free(c);
}

/* It can say something that its like, with the objects renamed, does not. */
static bool
canonical(const struct walk *w, unsigned n)
{
	unsigned known = w->model[0].version ? 1 : 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned needs = 0;

		switch (w->seq[i]) {
		case PUT0:
		case PUT1:
		case PUT2:
			if ((unsigned)w->seq[i] - PUT0 > known)
				return false;
			needs = w->seq[i] - PUT0 + 1u;
			break;
		case BATCH:
			needs = 2;
			break;
		case DEL0:
			if (known < 1)
				return false;
			break;
		case DEL1:
			if (known < 2)
				return false;
			break;
		default:
			break;
		}
		known = needs > known ? needs : known;
	}
	return true;
}

static void
extend(struct walk *w, unsigned n)
{
	bool all = lab_env("PAIL_LONG", 0);
	const char *begin = getenv("PAIL_BEGIN");

	begin = begin ? begin : "";
	for (unsigned what = 0; what < NWHAT && n < w->depth; what++) {
		w->seq[n] = what;
		if (!canonical(w, n + 1) ||
		    (n < strlen(begin) && names[what] != begin[n]))
			continue;
		w->skip = all ? 0 : n < 2 ? 20 * w->lab.n : 60 * w->lab.n;
		if (all || n < 2 || sim_random(&w->lab.w, n < 3 ? 12 : 80) == 0)
			run(w, n + 1);
		w->lab.w.seed = w->sequences + what + 77u * n;
		extend(w, n + 1);
	}
}

/* Only the sequence that was asked for. */
static void
one(struct walk *w, const char *name)
{
	unsigned n = 0;

	for (; name[n] && n < MAXDEPTH; n++) {
		const char *at = strchr(names, name[n]);

		must(at);
		w->seq[n] = (enum what)(at - names);
	}
	run(w, n);
}

static void
walk_over(unsigned pr, bool with_object)
{
	struct walk *w = calloc(1, sizeof(*w));
	const char *first = getenv("PAIL_FIRST");

	must(w);
	w->pr = pr;
	w->depth = (unsigned)lab_env("PAIL_DEPTH", MAXDEPTH);
	lab_init(&w->lab,
	    &(struct lab_params){.k = profiles[pr].k,
		.m = profiles[pr].m,
		.seed = 1,
		.disk_bytes = 27u << 20});
	lab_must_open(&w->lab);
	if (with_object) {
		w->model[0] = object(w);
		lab_check(lab_put(&w->lab, 0, &w->model[0]) == 0);
	}
	lab_must_close(&w->lab);
	lab_save(&w->lab);
	if (first && *first)
		one(w, first);
	else
		extend(w, 0);
	print_message("%u+%u, %s: %llu sequences, %llu crash states, %llu "
		      "openings\n",
	    profiles[pr].k, profiles[pr].m,
	    with_object ? "one object" : "empty",
	    (unsigned long long)w->sequences, (unsigned long long)w->states,
	    (unsigned long long)w->openings);
	lab_fini(&w->lab);
	free(w);
}

static void
test_small(void **state)
{
	uint64_t only = lab_env("PAIL_PROFILE", NPROFILES);

	for (unsigned pr = 0; pr < NPROFILES; pr++)
		if (only == NPROFILES || pr == only) {
			walk_over(pr, false);
			walk_over(pr, true);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_small)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
