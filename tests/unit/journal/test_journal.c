/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal without power cuts: what is refused and in which words, damage
 * told apart from a torn end, encryption, group commit, room, failure.
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

#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "journal/journal.h"
#include "lib/jnlwait.h"
#include "lib/simdisk.h"
#include "loop/loop.h"
#include "raw/rdev.h"

#define BLOCK 65536u
#define VOLUME (64ull << 20)

struct rig {
	struct simworld w;
	struct loop *loop;
	struct simdisk *disk;
	struct journal *j;
	struct journal_id id;
	uint8_t got[1 << 20];
	uint64_t nops, ngot;
	int nroom, nfailed;
};

static struct rdev *
rig_dev(struct rig *g)
{
	return simdisk_open(g->disk, g->loop, "jdisk");
}

static struct rig *
rig_sized(bool encrypted, uint64_t bytes)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct err e = ERR_INIT;
	struct rdev *d;

	must(g);
	g->w.seed = 4711;
	g->loop = loop_new_virtual(&e);
	assert_non_null(g->loop);
	g->disk = simdisk_new(&g->w, bytes);
	g->id = (struct journal_id){.volume_size = VOLUME, .block_size = BLOCK,
	    .encrypted = encrypted, .url = "s3://b/p", .host = "here"};
	memset(g->id.uuid, 0x11, 16);
	memset(g->id.secret, 0x22, 32);
	d = rig_dev(g);
	if (journal_format(d, &g->id, &e) < 0)
		fail_msg("format: %s", err_text(&e));
	rdev_close(d);
	return g;
}

static struct rig *
rig_new(bool encrypted)
{
	return rig_sized(encrypted, journal_min_bytes(BLOCK));
}

static void
rig_free(struct rig *g)
{
	simdisk_free(g->disk);
	loop_free(g->loop);
	free(g);
}

static int
rig_open_err(struct rig *g, bool salvage, struct err *e)
{
	struct rdev *d = rig_dev(g);
	int rc = journal_open(d, &g->id, salvage, &g->j, e);

	if (rc < 0)
		rdev_close(d);
	return rc;
}

static void
rig_open(struct rig *g)
{
	struct err e = ERR_INIT;

	if (rig_open_err(g, false, &e) < 0)
		fail_msg("open: %s", err_text(&e));
}

static void
rig_start(struct rig *g)
{
	struct err e = ERR_INIT;

	if (journal_announce(g->j, "me", &e) < 0 ||
	    journal_start(g->j, "me", &e) < 0)
		fail_msg("start: %s", err_text(&e));
}

static void
room(void *arg)
{
	((struct rig *)arg)->nroom++;
}

static void
failed(void *arg)
{
	((struct rig *)arg)->nfailed++;
}

static void
rig_use(struct rig *g)
{
	struct journal_user u = {room, failed, g};

	journal_set_user(g->j, &u);
}

static int
flush(struct rig *g)
{
	return flush_now(g->j, g->loop);
}

static uint64_t
put(struct rig *g, uint64_t off, uint8_t byte, uint64_t len)
{
	static uint8_t data[1 << 20];
	uint64_t op = journal_next_op(g->j);

	memset(data, byte, len);
	assert_true(journal_has_room(g->j, len));
	journal_append(g->j, op, off, len, data);
	journal_ref(g->j, op);
	return op;
}

static int
take(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	struct rig *g = arg;

	(void)e;
	g->ngot++;
	if (off + len <= sizeof(g->got)) {
		if (data)
			return read_now(
			    g->j, g->loop, op, off, len, g->got + off);
		else
			memset(g->got + off, 0, len);
	}
	return 0;
}

static void
rig_apply(struct rig *g)
{
	struct err e = ERR_INIT;

	memset(g->got, 0xee, sizeof(g->got));
	g->ngot = 0;
	if (journal_apply(g->j, take, g, &e) < 0)
		fail_msg("apply: %s", err_text(&e));
}

static void
rig_close(struct rig *g, bool clean)
{
	struct err e = ERR_INIT;

	if (journal_close(g->j, clean, &e) < 0)
		fail_msg("close: %s", err_text(&e));
	g->j = NULL;
}

/* --- what is kept ------------------------------------------------------------ */

static void
kept(bool encrypted)
{
	struct rig *g = rig_new(encrypted);
	uint64_t op;

	rig_open(g);
	rig_start(g);
	put(g, 0, 0xaa, 4096);
	put(g, 512, 0xbb, 512);
	put(g, 1 << 17, 0xcc, 200 * 1024); /* four pieces */
	journal_append(g->j, journal_next_op(g->j), 1 << 17, 4096, NULL);
	assert_int_equal(flush(g), 0);
	rig_close(g, false);
	simdisk_settle(g->disk, SIM_KEEP_NONE);

	rig_open(g);
	assert_int_equal(journal_found(g->j)->verdict, JOURNAL_WHOLE);
	assert_int_equal(journal_found(g->j)->ops, 7);
	assert_true(journal_knows_lease(g->j, "me"));
	assert_false(journal_knows_lease(g->j, "you"));
	rig_start(g);
	rig_apply(g);
	assert_int_equal(g->got[511], 0xaa);
	assert_int_equal(g->got[512], 0xbb);
	assert_int_equal(g->got[1024], 0xaa);
	assert_int_equal(g->got[1 << 17], 0);
	assert_int_equal(g->got[(1 << 17) + 4096], 0xcc);
	assert_int_equal(g->got[(1 << 17) + 200 * 1024 - 1], 0xcc);
	/* Settled: not applied again. */
	op = journal_next_op(g->j);
	journal_settled(g->j, 1 << 17, op - 1);
	assert_int_equal(flush(g), 0);
	rig_close(g, false);
	rig_open(g);
	rig_start(g);
	rig_apply(g);
	assert_int_equal(g->got[512], 0xbb);
	assert_int_equal(g->got[1 << 17], 0xee);
	assert_int_equal(g->got[(1 << 17) + BLOCK], 0xcc);
	rig_close(g, true);

	rig_open(g);
	assert_int_equal(journal_found(g->j)->verdict, JOURNAL_EMPTY);
	assert_int_equal(journal_next_op(g->j), op);
	rig_close(g, true);
	rig_free(g);
}

static void
test_kept(void **state)
{
	(void)state;
	kept(false);
}

static void
test_kept_encrypted(void **state)
{
	(void)state;
	kept(true);
}

static void
test_encrypted_is_not_readable(void **state)
{
	struct rig *g = rig_new(true);
	static uint8_t plain[64], all[16 << 20];
	uint64_t n = journal_min_bytes(BLOCK);

	(void)state;
	rig_open(g);
	rig_start(g);
	put(g, 0, 0xaa, 65536);
	assert_int_equal(flush(g), 0);
	rig_close(g, false);
	memset(plain, 0xaa, sizeof(plain));
	must(n <= sizeof(all));
	simdisk_peek(g->disk, 0, all, n);
	assert_null(memmem(all, n, plain, sizeof(plain)));
	rig_free(g);
}

/* --- refusals ------------------------------------------------------------------ */

static void
refused(struct rig *g, int rc, const char *word)
{
	struct err e = ERR_INIT;

	assert_int_equal(rig_open_err(g, false, &e), rc);
	if (!strstr(err_text(&e), word))
		fail_msg("'%s' is not in: %s", word, err_text(&e));
}

static void
test_refusals(void **state)
{
	struct rig *g = rig_new(true);
	struct err e = ERR_INIT;
	struct rdev *d;

	(void)state;
	rig_open(g);
	rig_start(g);
	put(g, 0, 1, 4096);
	assert_int_equal(flush(g), 0);
	rig_close(g, false);
	g->id.uuid[3] ^= 1;
	refused(g, -ESTALE, "another volume");
	g->id.uuid[3] ^= 1;
	g->id.volume_size *= 2;
	refused(g, -ESTALE, "now it has");
	g->id.volume_size /= 2;
	g->id.secret[0] ^= 1;
	refused(g, -EKEYREJECTED, "another key");
	g->id.encrypted = false;
	refused(g, -ESTALE, "encrypted");
	g->id.encrypted = true;
	g->id.secret[0] ^= 1;
	d = rig_dev(g);
	assert_int_equal(journal_format(d, &g->id, &e), -EEXIST);
	assert_int_equal(journal_discard(d, &e), 0);
	rdev_close(d);
	/* Given up: of whomever it was, it begins afresh. */
	g->id.uuid[3] ^= 1;
	rig_open(g);
	assert_int_equal(journal_found(g->j)->ops, 0);
	rig_close(g, true);
	rig_free(g);
}

static void
test_blank_and_garbage(void **state)
{
	struct rig *g = rig_new(false);
	uint8_t page[8192];

	(void)state;
	memset(page, 0, sizeof(page));
	simdisk_poke(g->disk, 0, page, sizeof(page));
	refused(g, -ENOENT, "no journal");
	memset(page, 0x5a, sizeof(page));
	simdisk_poke(g->disk, 0, page, sizeof(page));
	refused(g, -EBADMSG, "damaged");
	rig_free(g);
}

/* --- damage ----------------------------------------------------------------------- */

/* Three flushed records, then one that was not; `which` is damaged. */
static struct rig *
four_records(bool encrypted)
{
	struct rig *g = rig_new(encrypted);

	rig_open(g);
	rig_start(g);
	for (uint8_t i = 0; i < 3; i++) {
		put(g, i * 4096, 0xa0 + i, 4096);
		assert_int_equal(flush(g), 0);
	}
	put(g, 3 * 4096, 0xa3, 4096);
	assert_int_equal(flush(g), 0);
	rig_close(g, false);
	return g;
}

static void
flip(struct rig *g, uint64_t at, uint8_t bit)
{
	uint8_t b;

	simdisk_peek(g->disk, at, &b, 1);
	b ^= bit;
	simdisk_poke(g->disk, at, &b, 1);
}

static void
flip_record(struct rig *g, unsigned i, unsigned at)
{
	/* Segment 1 is in place 1. */
	flip(g, JOURNAL_DATA + JOURNAL_SEG_MIN + i * 8192 + at, 4);
}

/* What comes before record i is all there is. */
static void
salvaged(struct rig *g, unsigned i)
{
	struct err e = ERR_INIT;

	assert_int_equal(rig_open_err(g, true, &e), 0);
	assert_int_equal(journal_found(g->j)->ops, i);
	rig_start(g);
	rig_apply(g);
	rig_close(g, false);
	/* And the cut is where it was cut. */
	rig_open(g);
	assert_int_equal(journal_found(g->j)->ops, i);
	rig_close(g, false);
}

static void
test_damaged_header(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct rig *g = four_records(false);

		flip_record(g, i, 44);
		refused(g, -EBADMSG, "flushed");
		salvaged(g, i);
		rig_free(g);
	}
}

/* Bytes that were flushed are verified when they are read: those of a record
 * that is damaged are an error, all others are there; who looks at the whole
 * journal finds it. */
static void
test_damaged_data(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct rig *g = four_records(false);
		struct journal_found f;
		struct err e = ERR_INIT;
		uint8_t got[4096];
		struct rdev *d;

		flip_record(g, i, 4096 + 100);
		d = rig_dev(g);
		assert_int_equal(journal_look(d, &f, &e), 0);
		assert_int_equal(f.verdict, JOURNAL_DAMAGED);
		rdev_close(d);
		rig_open(g);
		assert_int_equal(journal_found(g->j)->ops, 4);
		rig_start(g);
		for (unsigned k = 0; k < 4; k++) {
			assert_int_equal(read_now(g->j, g->loop, k + 1,
					     k * 4096, 4096, got),
			    k == i ? -EBADMSG : 0);
			if (k != i)
				assert_int_equal(got[4095], 0xa0 + k);
		}
		rig_close(g, false);
		salvaged(g, i);
		rig_free(g);
	}
}

/* Encrypted ones are read as a whole, since nothing else authenticates them. */
static void
test_damaged_data_encrypted(void **state)
{
	struct rig *g = four_records(true);

	(void)state;
	flip_record(g, 1, 4096 + 100);
	refused(g, -EBADMSG, "flushed");
	rig_free(g);
}

static void
test_torn_end(void **state)
{
	struct rig *g = four_records(false);

	(void)state;
	flip_record(g, 3, 4096 + 100);
	rig_open(g);
	assert_int_equal(journal_found(g->j)->verdict, JOURNAL_WHOLE);
	assert_int_equal(journal_found(g->j)->ops, 3);
	rig_close(g, false);
	rig_free(g);
}

/* What an earlier start has seen whole must stay so. */
static void
test_damage_after_a_start(void **state)
{
	struct rig *g = four_records(false);

	(void)state;
	rig_open(g);
	rig_start(g);
	rig_close(g, false);
	flip_record(g, 3, 44);
	refused(g, -EBADMSG, "earlier start");
	rig_free(g);
}

static void
test_one_superblock_is_enough(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *g = four_records(false);

		flip(g, i * 4096 + 80, 1);
		rig_open(g);
		assert_int_equal(journal_found(g->j)->ops, 4);
		rig_close(g, false);
		rig_free(g);
	}
}

/* --- group commit, room, failure -------------------------------------------------- */

static void
test_group_commit(void **state)
{
	struct rig *g = rig_new(false);
	struct flushing x[16];
	struct journal_status st;

	(void)state;
	rig_open(g);
	rig_start(g);
	for (int i = 0; i < 16; i++) {
		put(g, (uint64_t)i * 4096, 1, 4096);
		flush_begin(&x[i], g->j);
	}
	for (int i = 0; i < 16; i++) {
		assert_int_equal(loop_run_until(g->loop, &x[i].done), 0);
		assert_int_equal(x[i].rc, 0);
	}
	journal_get_status(g->j, &st);
	assert_true(st.flushes <= 8);
	rig_close(g, true);
	rig_free(g);
}

/* Something is appended, and the power goes so much later; nobody flushes. */
static uint64_t
ops_after(int64_t ns)
{
	struct rig *g = rig_new(false);
	uint64_t ops;

	rig_open(g);
	rig_start(g);
	put(g, 0, 1, 4096);
	wait_ns(g->loop, ns);
	g->w.cut = true;
	rig_close(g, false);
	simdisk_settle(g->disk, SIM_KEEP_NONE);
	g->w.cut = false;
	rig_open(g);
	ops = journal_found(g->j)->ops;
	rig_close(g, false);
	rig_free(g);
	return ops;
}

static void
test_unflushed_for_5_s_at_most(void **state)
{
	(void)state;
	assert_int_equal(ops_after(4 * NS_PER_S), 0);
	assert_int_equal(ops_after(5 * NS_PER_S + 100 * NS_PER_MS), 1);
}

/* One flush, not one each 5 s, and none for what somebody has flushed. */
static void
test_idle_it_flushes_nothing(void **state)
{
	struct rig *g = rig_new(false);
	struct journal_status was, is;

	(void)state;
	rig_open(g);
	rig_start(g);
	put(g, 0, 1, 4096);
	wait_ns(g->loop, NS_PER_S);
	assert_int_equal(flush(g), 0);
	journal_get_status(g->j, &was);
	wait_ns(g->loop, 60 * NS_PER_S);
	journal_get_status(g->j, &is);
	assert_int_equal(is.flushes, was.flushes);
	put(g, 0, 2, 4096);
	wait_ns(g->loop, 60 * NS_PER_S);
	journal_get_status(g->j, &is);
	assert_int_equal(is.flushes, was.flushes + 1);
	rig_close(g, true);
	rig_free(g);
}

static void
test_room_comes_back(void **state)
{
	struct rig *g = rig_new(false);
	uint64_t ops[10000], n = 0, t;

	(void)state;
	rig_open(g);
	rig_start(g);
	rig_use(g);
	for (;;) {
		while (journal_has_room(g->j, BLOCK)) {
			must(n < 10000);
			ops[n++] = put(g, 0, 1, BLOCK);
		}
		if (journal_fill(g->j) > 0.99)
			break;
		assert_int_equal(flush(g), 0); /* buffers */
	}
	assert_true(n * BLOCK > journal_min_bytes(BLOCK) / 3);
	assert_true(journal_pressing(g->j) > 1);
	assert_int_equal(journal_trimmable(g->j, UINT64_MAX), 0);
	for (uint64_t i = 0; i < n / 2; i++)
		journal_unref(g->j, ops[i]);
	t = journal_trimmable(g->j, ops[1]);
	assert_int_equal(t, 0); /* an erase still needs the first */
	t = journal_trimmable(g->j, UINT64_MAX);
	assert_true(t > 0);
	g->nroom = 0;
	journal_trim(g->j, t);
	wait_ns(g->loop, 2000000000);
	assert_true(g->nroom > 0);
	assert_true(journal_has_room(g->j, BLOCK));
	rig_close(g, false);
	rig_free(g);
}

/* One way to the disk where it has durable writes; and only where nothing
 * before is in the disk's cache. */
static void
test_durable_writes(void **state)
{
	struct rig *g = rig_new(false);
	uint64_t ops;

	(void)state;
	simdisk_faults(g->disk)->durable_writes = true;
	rig_open(g);
	rig_start(g);
	rig_use(g);
	for (int i = 0; i < 5; i++) {
		put(g, 0, (uint8_t)i, 4096);
		ops = g->w.ops;
		assert_int_equal(flush(g), 0);
		assert_int_equal(g->w.ops - ops, 1);
		assert_int_equal(
		    journal_written_op(g->j), journal_next_op(g->j));
	}
	put(g, 0, 6, 4096);
	assert_true(journal_written_op(g->j) < journal_next_op(g->j));
	wait_ns(g->loop, 2000000000); /* it is written, and not flushed */
	assert_int_equal(journal_written_op(g->j), journal_next_op(g->j));
	put(g, 4096, 7, 4096);
	ops = g->w.ops;
	assert_int_equal(flush(g), 0);
	assert_int_equal(g->w.ops - ops, 2);
	put(g, 0, 8, 4096);
	simdisk_faults(g->disk)->fail_flush = true;
	assert_int_equal(flush(g), -EIO);
	assert_true(journal_has_failed(g->j));
	simdisk_faults(g->disk)->fail_flush = false;
	rig_close(g, false);
	rig_free(g);
}

static void
test_failure_is_for_good(void **state)
{
	struct rig *g = rig_new(false);

	(void)state;
	rig_open(g);
	rig_start(g);
	rig_use(g);
	put(g, 0, 1, 4096);
	assert_int_equal(flush(g), 0);
	put(g, 0, 2, 4096);
	simdisk_faults(g->disk)->fail_flush = true;
	assert_int_equal(flush(g), -EIO);
	assert_true(journal_has_failed(g->j));
	simdisk_faults(g->disk)->fail_flush = false;
	/* The next flush would succeed: too late. */
	assert_int_equal(flush(g), -EIO);
	wait_ns(g->loop, 2000000000);
	assert_true(g->nfailed > 0);
	assert_int_equal(journal_void_state(g->j), -EINPROGRESS);
	/* And the mark, as it passes now, is made. */
	journal_void(g->j);
	wait_ns(g->loop, 2000000000);
	assert_int_equal(journal_void_state(g->j), 0);
	journal_void(g->j);
	assert_int_equal(journal_void_state(g->j), 0);
	rig_close(g, false);
	rig_free(g);
}

static void
test_failed_it_is_marked_void(void **state)
{
	struct rig *g = rig_new(false);

	(void)state;
	rig_open(g);
	rig_start(g);
	put(g, 0, 1, 4096);
	assert_int_equal(flush(g), 0);
	put(g, 0, 2, 4096);
	simdisk_faults(g->disk)->fail_writes = true;
	assert_int_equal(flush(g), -EIO);
	journal_void(g->j);
	/* The error passes before the mark is written. */
	simdisk_faults(g->disk)->fail_writes = false;
	wait_ns(g->loop, 2000000000);
	assert_int_equal(journal_void_state(g->j), 0);
	rig_close(g, false);
	simdisk_settle(g->disk, SIM_KEEP_NONE);
	rig_open(g);
	assert_int_equal(journal_found(g->j)->ops, 0);
	rig_close(g, false);
	rig_free(g);
}

static void
test_many_epochs(void **state)
{
	struct rig *g = rig_sized(false, JOURNAL_DATA + 64 * JOURNAL_SEG_MIN);
	unsigned resets = 0;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct err e = ERR_INIT;

		rig_open(g);
		if (journal_needs_reset(g->j)) {
			rig_apply(g);
			assert_int_equal(journal_reset(g->j, &e), 0);
			resets++;
		}
		rig_start(g);
		if (!journal_needs_reset(g->j))
			rig_apply(g);
		put(g, 0, (uint8_t)i, 4096);
		assert_int_equal(flush(g), 0);
		rig_close(g, false);
	}
	assert_true(resets >= 2);
	rig_open(g);
	rig_start(g);
	rig_apply(g);
	assert_int_equal(g->got[0], 39);
	rig_close(g, false);
	rig_free(g);
}

/* The power goes while a journal is made: there is one, or none, but nothing that
 * would be refused. */
static void
test_format_is_cut(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (uint64_t i = 0; i < 400; i++) {
		struct simworld w = {.seed = i, .cut_at = 1 + i % 7};
		struct loop *loop = loop_new_virtual(&e);
		struct simdisk *disk =
		    simdisk_new(&w, journal_min_bytes(BLOCK));
		struct rdev *d = simdisk_open(disk, loop, "jdisk");
		struct journal_id id = {.volume_size = VOLUME,
		    .block_size = BLOCK, .url = "s3://b/p", .host = "here"};
		struct journal *j;
		int rc;

		(void)journal_format(d, &id, NULL);
		w.cut = true;
		simdisk_settle(disk, i % 2 ? SIM_KEEP_TORN : SIM_KEEP_SOME);
		w.cut = false;
		w.cut_at = 0;
		rc = journal_open(d, &id, false, &j, &e);
		if (rc == -ENOENT) {
			rc = journal_format(d, &id, &e);
			if (rc == 0)
				rc = journal_open(d, &id, false, &j, &e);
		}
		if (rc < 0)
			fail_msg("cut %u: %s", (unsigned)i, err_text(&e));
		err_clear(&e);
		assert_int_equal(journal_close(j, true, &e), 0);
		simdisk_free(disk);
		loop_free(loop);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_format_is_cut),
	    cmocka_unit_test(test_kept_encrypted),
	    cmocka_unit_test(test_encrypted_is_not_readable),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_blank_and_garbage),
	    cmocka_unit_test(test_damaged_header),
	    cmocka_unit_test(test_damaged_data),
	    cmocka_unit_test(test_damaged_data_encrypted),
	    cmocka_unit_test(test_torn_end),
	    cmocka_unit_test(test_damage_after_a_start),
	    cmocka_unit_test(test_one_superblock_is_enough),
	    cmocka_unit_test(test_group_commit),
	    cmocka_unit_test(test_unflushed_for_5_s_at_most),
	    cmocka_unit_test(test_idle_it_flushes_nothing),
	    cmocka_unit_test(test_room_comes_back),
	    cmocka_unit_test(test_durable_writes),
	    cmocka_unit_test(test_failure_is_for_good),
	    cmocka_unit_test(test_failed_it_is_marked_void),
	    cmocka_unit_test(test_many_epochs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
