/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool against a model: a table of what was put.  Random puts, gets of all
 * or a part, deletes, batches, several at once, listings, syncs, checkpoints,
 * openings after a close and after a kill; contents, order of the listing,
 * counts and free space are the same, always.
 *
 * PAIL_OPS (a million takes about two minutes without sanitizers), PAIL_SEED,
 * PAIL_PROFILE (0 to 3, one of them only).
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
#include "lib/rawlab.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}, {4, 2}};
#define NPROFILES 4

struct run {
	struct lab lab;
	struct lab_object model[LAB_NKEYS];
	uint64_t version, live; /* bytes, about */
	uint64_t ops, puts, gets, deletes, batches, lists, syncs, ckpts,
	    reopens, kills, bytes;
};

static uint64_t
chance(struct run *r, uint64_t n)
{
	return sim_random(&r->lab.w, n);
}

/* Mostly small; up to 1 MiB, around the sizes where something changes. */
static uint32_t
some_size(struct run *r)
{
	static const uint32_t around[] = {0, 4096, 8192, 16384, 65536, 131072,
	    262144, 1048576};
	unsigned c = (unsigned)chance(r, 100);

	if (c < 60)
		return (uint32_t)chance(r, 5) * 4096;
	if (c < 85)
		return (uint32_t)chance(r, 20000);
	c = (unsigned)chance(r, c < 99 ? 6 : 8);
	return around[c] + (uint32_t)chance(r, 3) - (around[c] > 0);
}

static unsigned
some_key(struct run *r)
{
	return (unsigned)chance(r, LAB_NKEYS);
}

static struct lab_object
some_object(struct run *r)
{
	struct lab_object o = {++r->version, some_size(r),
	    (uint8_t)chance(r, 3)};

	/* At most half of the space: lack of it is another test's. */
	if (r->live > (uint64_t)r->lab.k * 3 * (1u << 20))
		o.size %= 5000;
	return o;
}

static void
set(struct run *r, unsigned key, struct lab_object o)
{
	r->live -= r->model[key].size;
	r->model[key] = o;
	r->live += o.size;
	r->bytes += o.size;
}

static void
must_be_0(int rc, const char *what)
{
	if (rc < 0)
		lab_fail("%s: %s", what, strerror(-rc));
}

static void
do_put(struct run *r)
{
	struct lab_object o = some_object(r);
	unsigned key = some_key(r);

	must_be_0(lab_put(&r->lab, key, &o), "put");
	set(r, key, o);
	r->puts++;
}

static void
do_delete(struct run *r)
{
	unsigned key = some_key(r);

	must_be_0(lab_delete(&r->lab, key), "delete");
	set(r, key, (struct lab_object){0});
	r->deletes++;
}

static void
do_batch(struct run *r)
{
	unsigned n = 1 + (unsigned)chance(r, 12), key[12];
	struct lab_object obj[12] = {0};

	for (unsigned i = 0; i < n; i++) {
		key[i] = some_key(r); /* one may come twice: the last counts */
		if (chance(r, 4))
			obj[i] = some_object(r);
	}
	must_be_0(lab_batch(&r->lab, key, obj, n), "batch");
	for (unsigned i = 0; i < n; i++)
		set(r, key[i], obj[i]);
	r->batches++;
}

static void
do_get(struct run *r)
{
	unsigned key = some_key(r);
	const struct lab_object *o = &r->model[key];
	uint64_t off, len;
	int rc;

	if (o->size == 0 || chance(r, 2)) {
		rc = lab_compare(&r->lab, key, o);
	} else {
		off = chance(r, o->size);
		len = 1 + chance(r, o->size - off);
		rc = lab_compare_range(&r->lab, key, o, off, len);
	}
	if (rc != 0)
		lab_fail("get of key %u: %s", key,
		    rc < 0 ? strerror(-rc) : "other bytes");
	r->gets++;
}

/* Writes of different keys at once, and a sync or a checkpoint in between. */
static void
do_burst(struct run *r)
{
	unsigned n = 2 + (unsigned)chance(r, 10), key[12];
	struct lab_op *op[12], *sync;
	struct lab_object obj[12] = {0};
	unsigned first = some_key(r);

	for (unsigned i = 0; i < n; i++) {
		key[i] = (first + i) % LAB_NKEYS;
		if (chance(r, 4))
			obj[i] = some_object(r);
		op[i] = lab_begin(&r->lab,
		    obj[i].version ? POOL_PUT : POOL_DELETE, &key[i], &obj[i],
		    1);
	}
	sync = lab_begin(&r->lab, POOL_SYNC, NULL, NULL, 0);
	if (chance(r, 20) == 0)
		must_be_0(lab_checkpoint(&r->lab), "checkpoint");
	for (unsigned i = 0; i < n; i++) {
		must_be_0(lab_wait(op[i]), "one of a burst");
		lab_op_free(op[i]);
		set(r, key[i], obj[i]);
	}
	must_be_0(lab_wait(sync), "sync");
	lab_op_free(sync);
	r->ops += n - 1;
	r->puts += n;
}

static void
do_reopen(struct run *r)
{
	struct pool_status before, after;

	pool_get_status(r->lab.pool, &before);
	if (chance(r, 2)) {
		lab_must_close(&r->lab);
		r->reopens++;
	} else {
		lab_kill(&r->lab);
		for (unsigned c = 0; c < r->lab.n; c++)
			simdisk_settle(r->lab.disk[c], SIM_KEEP_ALL);
		r->kills++;
	}
	lab_must_open(&r->lab);
	pool_get_status(r->lab.pool, &after);
	lab_check(after.objects == before.objects);
	lab_check(after.epoch > before.epoch);
	lab_check(after.durable_seq >= before.seq);
}

static void
one(struct run *r)
{
	unsigned c = (unsigned)chance(r, 1000);

	r->ops++;
	if (c < 330) {
		do_put(r);
	} else if (c < 700) {
		do_get(r);
	} else if (c < 800) {
		do_delete(r);
	} else if (c < 880) {
		do_batch(r);
	} else if (c < 950) {
		do_burst(r);
	} else if (c < 990) {
		must_be_0(lab_sync(&r->lab), "sync");
		r->syncs++;
	} else if (c < 997) {
		must_be_0(lab_checkpoint(&r->lab), "checkpoint");
		r->ckpts++;
	} else {
		lab_compare_all(&r->lab, r->model, "listing");
		lab_check_space(&r->lab, r->model);
		r->lists++;
		if (c == 999)
			do_reopen(r);
	}
}

static void
test_model(void **state)
{
	uint64_t seed = lab_env("PAIL_SEED", 1);
	uint64_t only = lab_env("PAIL_PROFILE", NPROFILES);
	uint64_t ops = lab_env("PAIL_OPS", 24000);

	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct run *r = calloc(1, sizeof(*r));

		must(r);
		if (only < NPROFILES && pr != only) {
			free(r);
			continue;
		}
		lab_reproduce("PAIL_SEED=%llu PAIL_PROFILE=%u PAIL_OPS=%llu "
			      "tests/unit/raw/test_model",
		    (unsigned long long)seed, pr, (unsigned long long)ops);
		lab_init(&r->lab,
		    &(struct lab_params){.k = profiles[pr].k,
			.m = profiles[pr].m,
			.seed = seed,
			.disk_bytes = 40u << 20});
		lab_must_open(&r->lab);
		while (r->ops < (only < NPROFILES ? ops : ops / NPROFILES))
			one(r);
		lab_compare_all(&r->lab, r->model, "the end");
		lab_check_space(&r->lab, r->model);
		lab_must_close(&r->lab);
		print_message("%u+%u: %llu operations: %llu puts, %llu gets, "
			      "%llu deletes, %llu batches, %llu syncs, %llu "
			      "checkpoints, %llu listings, %llu openings after "
			      "a close, %llu after a kill; %llu MiB written\n",
		    profiles[pr].k, profiles[pr].m, (unsigned long long)r->ops,
		    (unsigned long long)r->puts, (unsigned long long)r->gets,
		    (unsigned long long)r->deletes,
		    (unsigned long long)r->batches,
		    (unsigned long long)r->syncs, (unsigned long long)r->ckpts,
		    (unsigned long long)r->lists,
		    (unsigned long long)r->reopens,
		    (unsigned long long)r->kills,
		    (unsigned long long)(r->bytes >> 20));
		lab_fini(&r->lab);
		free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
