/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which dirty block is uploaded when: each rule of docs/cache.md (When a dirty
 * block is due), on virtual time, with a journal on a simulated disk and without
 * one.
 */
#include "lib/simdisk.h"
#include "raw/rdev.h"
#include "tests/unit/cache/fake.h"

#define BLOCK 16384u
#define PAGE 4096u
#define NBLOCKS 4096u
#define S NS_PER_S

struct lab {
	struct rig g;
	struct simworld w;
	struct simdisk *disk;
	struct journal *j;
};

static uint8_t data[BLOCK];

static void
open_journal(struct lab *b, uint64_t bytes)
{
	struct journal_id id = {.volume_size = (uint64_t)NBLOCKS * BLOCK,
	    .block_size = BLOCK, .url = "u", .host = "h"};
	struct err e = ERR_INIT;
	struct rdev *d;

	b->w.seed = 7;
	b->disk = simdisk_new(&b->w, bytes);
	d = simdisk_open(b->disk, b->g.loop, "jdisk");
	if (journal_format(d, &id, &e) < 0)
		fail_msg("journal: %s", err_text(&e));
	rdev_close(d);
	d = simdisk_open(b->disk, b->g.loop, "jdisk");
	if (journal_open(d, &id, false, &b->j, &e) < 0 ||
	    journal_start(b->j, "me", &e) < 0)
		fail_msg("journal: %s", err_text(&e));
	b->g.p.journal = b->j;
}

/* delay, size: as cache_params has it; journal: bytes, 0: none. */
static struct lab *
lab_sized(uint64_t journal, int64_t delay, uint64_t size)
{
	struct lab *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	memset(data, 0x5a, sizeof(data));
	rig_init(&b->g, NBLOCKS, BLOCK);
	b->g.p.size = size;
	b->g.p.uploads = 4;
	b->g.p.write_delay_ns = delay;
	b->g.l->read_ns = b->g.l->write_ns = MS;
	if (journal)
		open_journal(b, journal);
	rig_open(&b->g);
	return b;
}

static struct lab *
lab_new(uint64_t journal, int64_t delay)
{
	return lab_sized(journal, delay, 1 << 20);
}

static void
lab_free(struct lab *b)
{
	struct err e = ERR_INIT;

	cache_free(b->g.c);
	if (b->j) {
		journal_close(b->j, false, &e);
		simdisk_free(b->disk);
	}
	fake_free(b->g.l);
	loop_free(b->g.loop);
	free(b);
}

static void
write_page(struct lab *b, uint64_t block)
{
	must_write(&b->g, block, 0, PAGE, data);
}

static void
write_block(struct lab *b, uint64_t block)
{
	must_write(&b->g, block, 0, BLOCK, data);
}

static uint64_t
dirty_blocks(struct lab *b)
{
	struct cache_status s;

	cache_get_status(b->g.c, &s);
	return s.dirty_blocks;
}

/* A block of which a part was written is uploaded after `delay`. */
static void
waits_for(struct lab *b, int64_t delay)
{
	write_page(b, 3);
	pass(&b->g, delay - 100 * MS);
	assert_int_equal(b->g.l->nwrite, 0);
	pass(&b->g, 200 * MS);
	assert_int_equal(b->g.l->nwrite, 1);
	lab_free(b);
}

static void
waits_5_s_without_a_journal(void **state)
{
	(void)state;
	waits_for(lab_new(0, -1), 5 * S);
}

static void
waits_a_minute_with_one(void **state)
{
	(void)state;
	waits_for(lab_new(64 << 20, -1), 60 * S);
}

static void
waits_as_it_is_told(void **state)
{
	(void)state;
	waits_for(lab_new(64 << 20, 7 * S), 7 * S);
	waits_for(lab_new(0, 7 * S), 7 * S);
}

/* The minute begins with the first write: to write on does not put it off. */
static void
hot_block_goes_once_a_minute(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);

	(void)state;
	for (int i = 0; i < 10 * 60; i++) {
		write_page(b, 3);
		must_flush(&b->g);
		pass(&b->g, 1 * S);
	}
	assert_in_range(b->g.l->nwrite, 9, 10);
	lab_free(b);
}

static void
filled_block_goes_when_its_writer_goes_on(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);

	(void)state;
	for (uint64_t k = 0; k < 100; k++) {
		write_block(b, k);
		pass(&b->g, 10 * MS);
		assert_int_equal(b->g.l->nwrite, k);
	}
	lab_free(b);
}

/* Once, that is: filled again within the minute it waits, as it is hot. */
static void
filled_again_and_again_it_waits(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);

	(void)state;
	for (int i = 0; i < 55; i++) {
		write_block(b, 3);
		write_block(b, 4);
		pass(&b->g, 1 * S);
	}
	assert_int_equal(b->g.l->nwrite, 2);
	lab_free(b);
}

/* More than may be dirty in memory, in parts of blocks: it leaves memory for the journal, not
 * for the store. */
static void
memory_does_not_press(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);
	struct cache_status s;

	(void)state;
	for (uint64_t k = 0; k < 320; k++)
		write_page(b, k);
	pass(&b->g, 1 * S);
	assert_int_equal(b->g.l->nwrite, 0);
	cache_get_status(b->g.c, &s);
	assert_int_equal(s.dirty_bytes, 320 * PAGE);
	assert_true(s.spilled_bytes > 320 * PAGE / 3);
	pass(&b->g, 65 * S);
	assert_int_equal(b->g.l->nwrite, 320);
	lab_free(b);
}

static void
memory_presses_without_a_journal(void **state)
{
	struct lab *b = lab_new(0, -1);

	(void)state;
	for (uint64_t k = 0; k < 128; k++)
		write_page(b, k);
	pass(&b->g, 1 * S);
	/* More than half of what may be dirty does not stay. */
	assert_in_range(b->g.l->nwrite, 128 - 96, 40);
	lab_free(b);
}

/* A journal of 16 segments: when more than half of it is used the oldest go, in
 * order, and no more than it takes. */
static void
journal_more_than_half_full_presses(void **state)
{
	const uint64_t size = 4 << 20, per_block = 2 * PAGE; /* its record */
	struct lab *b = lab_new(size + 65536, -1);
	uint64_t n = 0;

	(void)state;
	for (; journal_fill(b->j) < 0.45; n++) {
		write_page(b, n);
		must_flush(&b->g);
	}
	pass(&b->g, 1 * S);
	assert_int_equal(b->g.l->nwrite, 0);
	for (uint64_t end = n + size / per_block; n < end; n++) {
		write_page(b, n);
		must_flush(&b->g);
		pass(&b->g, 10 * MS);
		/* The newest half or so waits on. */
		assert_true(dirty_blocks(b) >= size / per_block / 4);
		assert_true(journal_fill(b->j) < 0.7);
	}
	assert_non_null(b->g.l->blocks[0].data);
	assert_null(b->g.l->blocks[n - size / per_block / 4].data);
	lab_free(b);
}

/* A block that is hot goes as often as half of the journal is written. */
static void
hot_block_goes_once_per_half_journal(void **state)
{
	struct lab *b = lab_new((4 << 20) + 65536, -1);

	(void)state;
	for (int i = 0; i < 4 * 512; i++) { /* 8 KiB each: four times around */
		write_page(b, 3);
		must_flush(&b->g);
		pass(&b->g, 5 * MS);
	}
	assert_in_range(b->g.l->nwrite, 6, 12);
	lab_free(b);
}

/* There is memory for knowing so many dirty blocks; from half of it on the
 * oldest go. */
static void
room_for_knowing_presses(void **state)
{
	struct lab *b = lab_new(256 << 20, -1);

	(void)state;
	for (uint64_t k = 0; k < NBLOCKS; k++) {
		write_page(b, k);
		pass(&b->g, 5 * MS);
	}
	assert_true(dirty_blocks(b) > 256);
	assert_true(b->g.l->nwrite > NBLOCKS / 2);
	assert_true(journal_fill(b->j) < 0.3);
	lab_free(b);
}

/* Who waits for the journal's disk is not helped by uploads; who waits for
 * long is, whatever it is. */
static void
writers_press_when_they_wait_long(void **state)
{
	struct lab *b = lab_sized(64 << 20, -1, 64 << 20);
	static struct ask a[2048];
	const unsigned n = 2048;

	(void)state;
	write_page(b, NBLOCKS - 1);
	simdisk_faults(b->disk)->hang_ops = 1u << RDEV_WRITE;
	for (unsigned i = 0; i < n; i++)
		ask(&b->g, &a[i], CACHE_WRITE, i, 0, BLOCK / 2, data);
	pass(&b->g, 150 * MS);
	assert_false(a[n - 1].done);
	assert_int_equal(b->g.l->nwrite, 0);
	pass(&b->g, 100 * MS);
	assert_true(b->g.l->nwrite > 0);
	simdisk_faults(b->disk)->hang_ops = 0;
	simdisk_release(b->disk);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(ask_wait(&b->g, &a[i]), 0);
	lab_free(b);
}

static void
drain_waits_for_nothing(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);
	int64_t began;

	(void)state;
	for (uint64_t k = 0; k < 20; k++)
		write_page(b, k);
	began = loop_now(b->g.loop);
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	assert_true(loop_now(b->g.loop) - began < 100 * MS);
	assert_int_equal(b->g.l->nwrite, 20);
	lab_free(b);
}

/* What it does not have is not safe for a minute. */
static void
failed_journal_lets_nothing_wait(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);
	struct ask f;

	(void)state;
	write_page(b, 3);
	simdisk_faults(b->disk)->fail_writes = true;
	ask(&b->g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(&b->g, 100 * MS);
	assert_true(journal_has_failed(b->j));
	assert_int_equal(b->g.l->nwrite, 1);
	write_page(b, 4);
	pass(&b->g, 6 * S);
	assert_int_equal(b->g.l->nwrite, 2);
	(void)ask_wait(&b->g, &f);
	lab_free(b);
}

/* Zeroed blocks wait as long: one that is written again meanwhile needs no
 * erase. */
static void
zeroed_blocks_wait_as_long(void **state)
{
	struct lab *b = lab_new(64 << 20, -1);

	(void)state;
	for (uint64_t k = 0; k < 8; k++)
		fake_fill(b->g.l, k);
	must_zero(&b->g, 0, 0, 8 * BLOCK);
	pass(&b->g, 50 * S);
	write_block(b, 0);
	assert_int_equal(b->g.l->erased_blocks, 0);
	pass(&b->g, 15 * S);
	assert_int_equal(b->g.l->erased_blocks, 7);
	lab_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_5_s_without_a_journal),
		cmocka_unit_test(waits_a_minute_with_one),
		cmocka_unit_test(waits_as_it_is_told),
		cmocka_unit_test(hot_block_goes_once_a_minute),
		cmocka_unit_test(filled_block_goes_when_its_writer_goes_on),
		cmocka_unit_test(filled_again_and_again_it_waits),
		cmocka_unit_test(memory_does_not_press),
		cmocka_unit_test(memory_presses_without_a_journal),
		cmocka_unit_test(journal_more_than_half_full_presses),
		cmocka_unit_test(hot_block_goes_once_per_half_journal),
		cmocka_unit_test(room_for_knowing_presses),
		cmocka_unit_test(writers_press_when_they_wait_long),
		cmocka_unit_test(drain_waits_for_nothing),
		cmocka_unit_test(failed_journal_lets_nothing_wait),
		cmocka_unit_test(zeroed_blocks_wait_as_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
