/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading operations back while the journal is in use: all of what was written,
 * from records of this run and of those before, plain and encrypted; never a
 * byte that was not written (J9); after a failure, too.
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
#include "base/must.h"
#include "journal/journal.h"
#include "lib/jnlwait.h"
#include "lib/simdisk.h"
#include "loop/loop.h"
#include "raw/rdev.h"

#define BLOCK 65536u
#define VOLUME (64ull << 20)
#define OPS_MAX 4000

struct rig {
	struct simworld w;
	struct loop *loop;
	struct simdisk *disk;
	struct journal *j;
	struct journal_id id;
	struct { /* by number; len 0: not one of ours */
		uint64_t off;
		uint32_t len;
	} op[OPS_MAX];
	uint64_t first, end;
};

static void
rig_open(struct rig *g, bool apply);

static struct rig *
rig_new(bool encrypted)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct err e = ERR_INIT;
	struct rdev *d;

	must(g);
	g->w.seed = 99;
	g->loop = loop_new_virtual(&e);
	assert_non_null(g->loop);
	g->disk = simdisk_new(&g->w, 4 * journal_min_bytes(BLOCK));
	g->id = (struct journal_id){.volume_size = VOLUME, .block_size = BLOCK,
	    .encrypted = encrypted, .url = "s3://b/p", .host = "here"};
	memset(g->id.uuid, 0x11, 16);
	memset(g->id.secret, 0x22, 32);
	d = simdisk_open(g->disk, g->loop, "jdisk");
	if (journal_format(d, &g->id, &e) < 0)
		fail_msg("format: %s", err_text(&e));
	rdev_close(d);
	rig_open(g, false);
	return g;
}

static int
take(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	struct rig *g = arg;

	(void)off;
	(void)len;
	(void)data;
	(void)e;
	journal_ref(g->j, op);
	return 0;
}

static void
rig_open(struct rig *g, bool apply)
{
	struct rdev *d = simdisk_open(g->disk, g->loop, "jdisk");
	struct err e = ERR_INIT;

	if (journal_open(d, &g->id, false, &g->j, &e) < 0 ||
	    journal_announce(g->j, "me", &e) < 0 ||
	    journal_start(g->j, "me", &e) < 0 ||
	    (apply && journal_apply(g->j, take, g, &e) < 0))
		fail_msg("open: %s", err_text(&e));
	if (g->first == 0)
		g->first = journal_next_op(g->j);
}

static void
rig_close(struct rig *g)
{
	struct err e = ERR_INIT;

	assert_int_equal(journal_close(g->j, false, &e), 0);
	g->j = NULL;
}

static void
rig_free(struct rig *g)
{
	rig_close(g);
	simdisk_free(g->disk);
	loop_free(g->loop);
	free(g);
}

/* What operation op has at byte `at` of the volume. */
static uint8_t
byte_of(uint64_t op, uint64_t at)
{
	return (uint8_t)(op * 37 + at + (at >> 9));
}

static void
put(struct rig *g, uint64_t off, uint32_t len)
{
	static uint8_t data[JOURNAL_PIECE];
	uint64_t op = journal_next_op(g->j);

	must(op < OPS_MAX && len <= sizeof(data));
	for (uint32_t i = 0; i < len; i++)
		data[i] = byte_of(op, off + i);
	assert_true(journal_has_room(g->j, len));
	journal_append(g->j, op, off, len, data);
	journal_ref(g->j, op);
	g->op[op].off = off;
	g->op[op].len = len;
	g->end = op + 1;
}

static int
flush(struct rig *g)
{
	return flush_now(g->j, g->loop);
}

struct reading {
	struct journal_read r;
	bool done;
};

static void
read_done(struct journal_read *r)
{
	container_of(r, struct reading, r)->done = true;
}

static int
read_pieces(struct rig *g, struct journal_piece *p, size_t n, char *text)
{
	struct reading x = {.r = {.piece = p, .n = n, .done = read_done}};

	journal_read(g->j, &x.r);
	assert_false(x.done);
	assert_int_equal(loop_run_until(g->loop, &x.done), 0);
	if (text)
		snprintf(text, 200, "%s", err_text(&x.r.err));
	return x.r.rc;
}

static int
read_op(struct rig *g, uint64_t op, char *text)
{
	static uint8_t got[JOURNAL_PIECE];
	struct journal_piece p = {
	    .op = op, .off = g->op[op].off, .len = g->op[op].len, .to = got};
	int rc = read_pieces(g, &p, 1, text);

	for (uint32_t i = 0; rc == 0 && i < p.len; i++)
		if (got[i] != byte_of(op, p.off + i))
			fail_msg("operation %lu, byte %u: wrong",
			    (unsigned long)op, i);
	return rc;
}

/* Parts of several, at once. */
static void
read_some(struct rig *g)
{
	static uint8_t got[16][JOURNAL_PIECE];
	struct journal_piece p[16];
	uint64_t op = g->first;
	size_t n = 0;

	while (n < 16 && op < g->end) {
		uint32_t len = g->op[op].len, a, b;

		if (len > 0) {
			a = (uint32_t)sim_random(&g->w, len / 512) * 512;
			b = a + 512 + (uint32_t)sim_random(
				&g->w, (len - a) / 512) * 512;
			p[n] = (struct journal_piece){.op = op,
			    .off = g->op[op].off + a, .len = b - a,
			    .to = got[n]};
			n++;
		}
		op += 1 + sim_random(&g->w, 5);
	}
	if (n == 0)
		return;
	assert_int_equal(read_pieces(g, p, n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < p[i].len; k++)
			assert_int_equal(
			    got[i][k], byte_of(p[i].op, p[i].off + k));
}

static void
write_many(struct rig *g, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t len = 512u << sim_random(&g->w, 8);
		uint64_t off = sim_random(&g->w, VOLUME / 65536) * 65536;

		if (sim_random(&g->w, 10) == 0) {
			journal_append(g->j, journal_next_op(g->j), off, 65536,
			    NULL);
			journal_settled(g->j, off, journal_next_op(g->j) - 1);
		} else if (journal_has_room(g->j, len)) {
			put(g, off, len);
		}
		if (sim_random(&g->w, 20) == 0)
			assert_int_equal(flush(g), 0);
	}
	assert_int_equal(flush(g), 0);
}

static void
read_all(struct rig *g)
{
	assert_true(journal_flushed_op(g->j) >= g->end - 1);
	for (uint64_t op = g->first; op < g->end; op++)
		if (g->op[op].len > 0)
			assert_int_equal(read_op(g, op, NULL), 0);
	for (int i = 0; i < 50; i++)
		read_some(g);
}

/* Three runs of it, all of which can be read to the end. */
static void
all_of_it(bool encrypted)
{
	struct rig *g = rig_new(encrypted);

	for (int run = 0; run < 3; run++) {
		write_many(g, 100);
		read_all(g);
		rig_close(g);
		rig_open(g, true);
		read_all(g);
	}
	rig_free(g);
}

static void
test_plain(void **state)
{
	(void)state;
	all_of_it(false);
}

static void
test_encrypted(void **state)
{
	(void)state;
	all_of_it(true);
}

static void
test_flushed_op(void **state)
{
	struct rig *g = rig_new(false);
	uint64_t op = journal_next_op(g->j);

	(void)state;
	assert_int_equal(journal_flushed_op(g->j), op - 1);
	put(g, 0, 4096);
	assert_int_equal(journal_flushed_op(g->j), op - 1);
	assert_int_equal(flush(g), 0);
	assert_int_equal(journal_flushed_op(g->j), op);
	put(g, 0, 4096);
	put(g, 4096, 4096);
	assert_int_equal(journal_flushed_op(g->j), op);
	assert_int_equal(flush(g), 0);
	assert_int_equal(journal_flushed_op(g->j), op + 2);
	/* Without a flush nothing counts. */
	simdisk_faults(g->disk)->fail_flush = true;
	put(g, 0, 4096);
	assert_true(flush(g) < 0);
	assert_int_equal(journal_flushed_op(g->j), op + 2);
	assert_int_equal(read_op(g, op + 1, NULL), 0);
	rig_free(g);
}

/* Segments that nobody needs are given back before they were flushed. */
static void
test_given_back_unflushed(void **state)
{
	struct rig *g = rig_new(false);
	uint64_t to, kept;

	(void)state;
	for (int i = 0; i < 40; i++) {
		put(g, (uint64_t)i << 16, JOURNAL_PIECE);
		wait_ns(g->loop, 1000000000);
	}
	kept = g->end - 1;
	for (uint64_t op = g->first; op < kept; op++)
		journal_unref(g->j, op);
	assert_true(journal_flushed_op(g->j) < kept);
	to = journal_trimmable(g->j, UINT64_MAX);
	assert_true(to > 0);
	journal_trim(g->j, to);
	assert_true(journal_flushed_op(g->j) < kept);
	assert_int_equal(flush(g), 0);
	assert_int_equal(journal_flushed_op(g->j), kept);
	assert_int_equal(read_op(g, kept, NULL), 0);
	rig_free(g);
}

/* Where the next record behind `at` is; 0: there is none. */
static uint64_t
next_record(struct rig *g, uint64_t at)
{
	uint8_t magic[4];

	for (; at < simdisk_bytes(g->disk); at += JOURNAL_PAGE) {
		simdisk_peek(g->disk, at, magic, 4);
		if (memcmp(magic, "JPRC", 4) == 0)
			return at;
	}
	return 0;
}

/* Whichever 512 bytes of the file are damaged: an error, or what was written. */
static void
damage(bool encrypted)
{
	struct rig *g = rig_new(encrypted);
	uint8_t was[512], bad[512];
	uint64_t begin, end;
	unsigned nbad = 0;
	char text[200];

	for (int i = 0; i < 6; i++) {
		put(g, (uint64_t)i << 16, 512u << i);
		if (i % 2)
			assert_int_equal(flush(g), 0);
	}
	begin = next_record(g, JOURNAL_DATA);
	end = begin + (128u << 10);
	for (uint64_t at = begin; at < end; at += 512) {
		simdisk_peek(g->disk, at, was, 512);
		memcpy(bad, was, 512);
		bad[sim_random(&g->w, 512)] ^= 0x10;
		simdisk_poke(g->disk, at, bad, 512);
		for (uint64_t op = g->first; op < g->end; op++) {
			int rc = read_op(g, op, text);

			assert_true(rc == 0 || rc == -EBADMSG);
			nbad += rc < 0;
			if (rc < 0)
				assert_non_null(strstr(text, "jdisk"));
		}
		simdisk_poke(g->disk, at, was, 512);
	}
	assert_true(nbad > 40);
	rig_free(g);
}

static void
test_damage(void **state)
{
	(void)state;
	damage(false);
	damage(true);
}

/* A record of another place, whole in itself, is not taken for the right one:
 * here a write that did not happen leaves the older one. */
static void
test_other_record(void **state)
{
	struct rig *g = rig_new(false);
	uint64_t first, second;
	uint8_t page[8192];

	(void)state;
	put(g, 0, 4096);
	assert_int_equal(flush(g), 0);
	put(g, 0, 4096);
	assert_int_equal(flush(g), 0);
	first = next_record(g, JOURNAL_DATA);
	second = next_record(g, first + JOURNAL_PAGE);
	assert_true(second > 0);
	simdisk_peek(g->disk, second, page, sizeof(page));
	simdisk_poke(g->disk, first, page, sizeof(page));
	assert_int_equal(read_op(g, g->first, NULL), -EBADMSG);
	assert_int_equal(read_op(g, g->first + 1, NULL), 0);
	rig_free(g);
}

/* The disk fails: what is flushed is still read where it can be. */
static void
test_failed(void **state)
{
	struct rig *g = rig_new(false);

	(void)state;
	put(g, 0, 4096);
	assert_int_equal(flush(g), 0);
	simdisk_faults(g->disk)->fail_writes = true;
	put(g, 4096, 4096);
	assert_true(flush(g) < 0);
	assert_true(journal_has_failed(g->j));
	assert_int_equal(read_op(g, g->first, NULL), 0);
	simdisk_faults(g->disk)->fail_reads = true;
	assert_int_equal(read_op(g, g->first, NULL), -EIO);
	rig_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_encrypted),
	    cmocka_unit_test(test_flushed_op),
	    cmocka_unit_test(test_given_back_unflushed),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_other_record),
	    cmocka_unit_test(test_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
