/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal under power cuts, on a simulated disk that loses, reorders and
 * tears (at 512 bytes) whatever was not flushed; cuts come anywhere, while it
 * is opened and applied too, and several in a row.
 *
 * A model writes stamped sectors, flushes, "uploads" blocks to a store and
 * gives segments back.  After each cut the journal is opened and applied to
 * what the store has.  What must hold:
 *
 *	every operation that was flushed is there;
 *	the result is what the first P operations make, for one P, whole: but
 *	for blocks that were uploaded with operations behind P, whose sectors
 *	may be either;
 *	P never goes back.
 *
 * PAIL_SEED=N repeats the case of seed N; PAIL_CUTS says how many cuts (10^4, but
 * 4000 under a sanitizer), with PAIL_SEED from that case on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "journal/journal.h"
#include "lib/jnlwait.h"
#include "lib/simdisk.h"
#include "loop/loop.h"
#include "raw/rdev.h"

/* Large buffers come and go all the time: without this AddressSanitizer, where
 * it is used, spends the time on keeping them. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

#define BLOCK 16384u
#define NBLOCKS 24u
#define PER_BLOCK (BLOCK / 512)
#define NSECTORS (NBLOCKS * PER_BLOCK)
#define CUTS_PER_CASE 25
#ifdef __SANITIZE_ADDRESS__
#define CUTS 4000
#else
#define CUTS 10000
#endif
#define HIST_MAX 100000

struct op {
	uint32_t from, to; /* sectors */
	bool zero;
};

struct flush {
	struct journal_wait w;
	struct machine *ma;
	uint64_t op;
	bool busy;
};

struct machine {
	struct simworld w;
	struct loop *loop;
	struct simdisk *disk;
	struct journal *j;
	struct journal_id id;
	bool strict; /* only what is flushed is uploaded */
	uint64_t store[NSECTORS], mem[NSECTORS], base[NSECTORS];
	uint64_t uploaded[NBLOCKS]; /* with operations up to this one */
	uint64_t dirty[NBLOCKS];    /* first operation; 0: clean */
	struct op *hist;	    /* from base_op + 1 on */
	uint64_t base_op, last_op, flushed_op;
	uint64_t applied; /* while the journal is applied: up to here */
	struct flush flush[4];
	uint64_t cuts, recoveries, lost;
};

static uint64_t
stamp(uint64_t op, uint32_t sector)
{
	return op * 1000003u + sector + 1;
}

/* --- operations --------------------------------------------------------------- */

static void
make_dirty(struct machine *ma, uint32_t from, uint32_t to, uint64_t op)
{
	for (uint32_t b = from / PER_BLOCK; b <= (to - 1) / PER_BLOCK; b++)
		if (ma->dirty[b] == 0) {
			ma->dirty[b] = op;
			journal_ref(ma->j, op);
		}
}

static void
do_op(struct machine *ma)
{
	static uint8_t data[NSECTORS * 512];
	bool zero = sim_random(&ma->w, 6) == 0;
	uint32_t from = (uint32_t)sim_random(&ma->w, NSECTORS), len;
	uint64_t op = journal_next_op(ma->j), n;

	len = 1 + (uint32_t)sim_random(&ma->w, zero ? NSECTORS : PER_BLOCK);
	if (from + len > NSECTORS)
		len = NSECTORS - from;
	if (!zero && from / PER_BLOCK != (from + len - 1) / PER_BLOCK)
		len = PER_BLOCK - from % PER_BLOCK;
	if (!journal_has_room(ma->j, zero ? 0 : len * 512))
		return;
	n = journal_count_ops(len * 512, !zero);
	assert_int_equal(n, 1);
	must(op == ma->last_op + 1);
	must(op - ma->base_op < HIST_MAX);
	ma->hist[op - ma->base_op] = (struct op){from, from + len, zero};
	for (uint32_t s = from; s < from + len; s++) {
		ma->mem[s] = zero ? 0 : stamp(op, s);
		for (int i = 0; i < 64 && !zero; i++)
			memcpy(data + (s - from) * 512 + i * 8, &ma->mem[s], 8);
	}
	journal_append(
	    ma->j, op, from * 512ull, len * 512ull, zero ? NULL : data);
	make_dirty(ma, from, from + len, op);
	ma->last_op = op;
}

static void
flushed(struct journal_wait *w, int rc)
{
	struct flush *f = container_of(w, struct flush, w);

	f->busy = false;
	if (rc == 0 && f->ma->flushed_op < f->op)
		f->ma->flushed_op = f->op;
}

static void
do_flush(struct machine *ma)
{
	for (int i = 0; i < 4; i++) {
		struct flush *f = &ma->flush[i];

		if (f->busy)
			continue;
		f->busy = true;
		f->ma = ma;
		f->op = ma->last_op;
		f->w.done = flushed;
		journal_flush(ma->j, &f->w);
		return;
	}
}

static void
do_upload(struct machine *ma, uint32_t b)
{
	uint64_t last = ma->applied ? ma->applied : ma->last_op, t;

	if (ma->strict && ma->flushed_op < last)
		return;
	memcpy(&ma->store[b * PER_BLOCK], &ma->mem[b * PER_BLOCK],
	    PER_BLOCK * sizeof(ma->mem[0]));
	/* It may have been there with operations that are lost now. */
	if (ma->uploaded[b] < last)
		ma->uploaded[b] = last;
	if (ma->dirty[b]) {
		journal_unref(ma->j, ma->dirty[b]);
		ma->dirty[b] = 0;
		if (sim_random(&ma->w, 3))
			journal_settled(
			    ma->j, (uint64_t)b * BLOCK, last);
	}
	t = journal_trimmable(ma->j, UINT64_MAX);
	if (t)
		journal_trim(ma->j, t);
}

/* --- recovery --------------------------------------------------------------------- */

static int
apply(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	struct machine *ma = arg;
	uint32_t from = (uint32_t)(off / 512), to = from + (uint32_t)(len / 512);
	static uint8_t bytes[JOURNAL_PIECE];
	int rc = 0;

	assert_true(to <= NSECTORS && from < to);
	if (data)
		rc = read_now(ma->j, ma->loop, op, off, len, bytes);
	if (rc < 0 && ma->w.cut)
		return rc;
	if (rc < 0)
		return err_set(e, rc, "operation %llu cannot be read",
		    (unsigned long long)op);
	for (uint32_t s = from; s < to; s++) {
		const uint8_t *at = bytes + (s - from) * 512;

		ma->mem[s] = 0;
		if (!data)
			continue;
		memcpy(&ma->mem[s], at, 8);
		assert_int_equal(memcmp(at, at + 8, 512 - 8), 0);
	}
	make_dirty(ma, from, to, op);
	ma->applied = op;
	if (sim_random(&ma->w, 8) == 0) /* uploads go on meanwhile */
		do_upload(ma, from / PER_BLOCK);
	return ma->w.cut ? -ENODEV : 0;
}

/* The first P operations, or what was uploaded. */
static void
check(struct machine *ma, uint64_t p)
{
	static uint64_t want[NSECTORS];

	if (p < ma->flushed_op || p > ma->last_op)
		fail_msg("%llu operations are there, of %llu (%llu flushed)",
		    (unsigned long long)p, (unsigned long long)ma->last_op,
		    (unsigned long long)ma->flushed_op);
	memcpy(want, ma->base, sizeof(want));
	for (uint64_t op = ma->base_op + 1; op <= p; op++) {
		const struct op *o = &ma->hist[op - ma->base_op];

		for (uint32_t s = o->from; s < o->to; s++)
			want[s] = o->zero ? 0 : stamp(op, s);
	}
	for (uint32_t s = 0; s < NSECTORS; s++) {
		uint32_t b = s / PER_BLOCK;

		if (ma->mem[s] == want[s])
			continue;
		if (!ma->strict && ma->uploaded[b] > p &&
		    ma->mem[s] == ma->store[s])
			continue;
		fail_msg("sector %u of block %u: %llx, not %llx, after %llu "
			 "of %llu operations (%llu flushed)", s, b,
		    (unsigned long long)ma->mem[s], (unsigned long long)want[s],
		    (unsigned long long)p, (unsigned long long)ma->last_op,
		    (unsigned long long)ma->flushed_op);
	}
}

static void
arm_cut(struct machine *ma, uint64_t within)
{
	ma->w.cut = false;
	ma->w.cut_at = ma->w.ops + 1 + sim_random(&ma->w, within);
}

static void
power_off(struct machine *ma)
{
	static const enum sim_keep how[] = {SIM_KEEP_NONE, SIM_KEEP_ALL,
	    SIM_KEEP_SOME, SIM_KEEP_TORN, SIM_KEEP_TORN};

	ma->w.cut = true;
	if (ma->j)
		journal_close(ma->j, false, NULL);
	ma->j = NULL;
	simdisk_settle(ma->disk, how[sim_random(&ma->w, 5)]);
	memset(ma->flush, 0, sizeof(ma->flush));
	ma->cuts++;
}

/* False: the power went meanwhile. */
static bool
power_on(struct machine *ma)
{
	struct rdev *d = simdisk_open(ma->disk, ma->loop, "disk");
	struct err e = ERR_INIT;
	uint64_t p;
	int rc;

	memcpy(ma->mem, ma->store, sizeof(ma->mem));
	memset(ma->dirty, 0, sizeof(ma->dirty));
	rc = journal_open(d, &ma->id, false, &ma->j, &e);
	if (rc < 0) {
		rdev_close(d);
		ma->j = NULL;
		if (!ma->w.cut)
			fail_msg("open: %s", err_text(&e));
		return false;
	}
	p = journal_next_op(ma->j) - 1;
	rc = journal_announce(ma->j, "lease", &e);
	if (rc == 0 && journal_needs_reset(ma->j)) {
		rc = journal_apply(ma->j, apply, ma, &e);
		if (rc == 0)
			check(ma, p);
		for (uint32_t b = 0; rc == 0 && b < NBLOCKS; b++) {
			memcpy(&ma->store[b * PER_BLOCK],
			    &ma->mem[b * PER_BLOCK],
			    PER_BLOCK * sizeof(ma->mem[0]));
			ma->dirty[b] = 0;
		}
		if (rc == 0)
			rc = journal_reset(ma->j, &e);
		if (rc == 0)
			rc = journal_start(ma->j, "lease", &e);
	} else {
		if (rc == 0)
			rc = journal_start(ma->j, "lease", &e);
		if (rc == 0)
			rc = journal_apply(ma->j, apply, ma, &e);
	}
	ma->applied = 0;
	if (rc < 0) {
		if (!ma->w.cut)
			fail_msg("recovery: %s", err_text(&e));
		return false;
	}
	check(ma, p);
	ma->lost += ma->last_op - p;
	memcpy(ma->base, ma->mem, sizeof(ma->base));
	/* What was uploaded from behind P is what it is now. */
	for (uint32_t b = 0; b < NBLOCKS; b++)
		if (ma->uploaded[b] > p)
			ma->uploaded[b] = p;
	ma->base_op = ma->last_op = ma->flushed_op = p;
	ma->recoveries++;
	return true;
}

static void
work(struct machine *ma)
{
	while (!ma->w.cut && !journal_has_failed(ma->j)) {
		switch (sim_random(&ma->w, 8)) {
		case 0:
			do_flush(ma);
			break;
		case 1:
			do_upload(ma, (uint32_t)sim_random(&ma->w, NBLOCKS));
			break;
		case 2:
			wait_ns(ma->loop,
			    (int64_t)sim_random(&ma->w, 60000));
			break;
		default:
			do_op(ma);
		}
		if (sim_random(&ma->w, 40) == 0)
			for (uint32_t b = 0; b < NBLOCKS; b++)
				do_upload(ma, b);
	}
}

static uint64_t
one_case(uint64_t seed)
{
	struct machine *ma = calloc(1, sizeof(*ma));
	struct rdev *d;
	static const uint64_t within[] = {8, 8, 8, 20, 30, 40, 60, 250};
	struct err e = ERR_INIT;
	uint64_t cuts;

	must(ma);
	ma->w.seed = seed;
	ma->loop = loop_new_virtual(&e);
	assert_non_null(ma->loop);
	ma->hist = calloc(HIST_MAX, sizeof(ma->hist[0]));
	must(ma->hist);
	ma->disk = simdisk_new(&ma->w, journal_min_bytes(BLOCK));
	simdisk_faults(ma->disk)->durable_writes = seed / 2 % 2 == 0;
	ma->id = (struct journal_id){.volume_size = NBLOCKS * BLOCK,
	    .block_size = BLOCK, .encrypted = seed % 4 == 0, .url = "test:",
	    .host = "here"};
	memset(ma->id.uuid, 7, 16);
	memset(ma->id.secret, 9, 32);
	ma->strict = seed % 2 == 0;
	d = simdisk_open(ma->disk, ma->loop, "disk");
	if (journal_format(d, &ma->id, &e) < 0)
		fail_msg("format: %s", err_text(&e));
	rdev_close(d);
	while (ma->cuts < CUTS_PER_CASE) {
		/* Mostly soon, often so early that recovery is cut, and
		 * sometimes after a few rounds of the ring. */
		arm_cut(ma, within[sim_random(&ma->w, 8)]);
		if (power_on(ma))
			work(ma);
		power_off(ma);
	}
	cuts = ma->cuts;
	/* And once in peace, to the end. */
	ma->w.cut = false;
	ma->w.cut_at = 0;
	assert_true(power_on(ma));
	for (uint32_t b = 0; b < NBLOCKS; b++)
		do_upload(ma, b);
	if (journal_close(ma->j, true, &e) < 0)
		fail_msg("close: %s", err_text(&e));
	simdisk_free(ma->disk);
	loop_free(ma->loop);
	free(ma->hist);
	free(ma);
	return cuts;
}

static void
test_power_cuts(void **state)
{
	const char *one = getenv("PAIL_SEED"), *many = getenv("PAIL_CUTS");
	uint64_t want = many ? strtoull(many, NULL, 10) : CUTS, n = 0;
	uint64_t seed = one ? strtoull(one, NULL, 10) : 1;

	(void)state;
	if (one && !many)
		want = 1;
	for (; n < want; seed++) {
		fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
		n += one_case(seed);
	}
	fprintf(stderr, "\r%llu cuts; PAIL_SEED=N repeats the case of seed N\n",
	    (unsigned long long)n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_power_cuts),
	};

	log_open("test", getenv("PAIL_VERBOSE") ? LOG_LVL_DEBUG : LOG_LVL_ERROR,
	    false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
