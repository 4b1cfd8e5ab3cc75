/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cache promises, one by one: C1-C3, C6, C7 and what the states in
 * docs/cache.md say, over a layout with scripted latencies and failures.
 */
#include "tests/unit/cache/fake.h"

#define BS 131072u
#define P 4096u

static uint8_t pat[BS], zeros[BS];

static int
setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	for (uint32_t i = 0; i < BS; i++)
		pat[i] = (uint8_t)(i * 13 + (i >> 8) + 3);
	rig_init(g, 4096, BS);
	rig_open(g);
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

/* --- reads ------------------------------------------------------------------- */

static void
absent_blocks_cost_nothing(void **state)
{
	struct rig *g = *state;
	struct ask a;

	ask(g, &a, CACHE_READ, 7, 100, 5000, NULL);
	assert_int_equal(ask_wait(g, &a), 0);
	assert_null(a.r.buf);
	assert_memory_equal(a.r.data, zeros, 5000);
	cache_req_fini(&a.r);
	assert_int_equal(g->l->nread, 0);
	assert_int_equal(stat_get(&g->stats, STAT_CACHE_ABSENT), 1);
}

static void
second_read_is_a_hit(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_read_filled(g, 3, 0, BS);
	assert_int_equal(g->l->nread, 1);
	must_read_filled(g, 3, 1, BS - 2);
	assert_int_equal(g->l->nread, 1);
	assert_int_equal(stat_get(&g->stats, STAT_CACHE_HITS), 1);
	assert_int_equal(stat_get(&g->stats, STAT_CACHE_MISSES), 1);
}

static void
small_read_fetches_its_pages(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_read_filled(g, 3, 5 * P + 10, 100);
	assert_int_equal(g->l->read_bytes, P);
	must_read_filled(g, 3, 20 * P - 10, 20);
	assert_int_equal(g->l->read_bytes, 3 * P);
	/* Both are here, and what lies between is not. */
	must_read_filled(g, 3, 5 * P, P);
	must_read_filled(g, 3, 19 * P, 2 * P);
	assert_int_equal(g->l->nread, 2);
}

static void
reading_on_fetches_the_rest(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_read_filled(g, 3, 8 * P, P);
	must_read_filled(g, 3, 9 * P, P);
	assert_int_equal(g->l->nread, 2);
	for (uint32_t p = 0; p < 32; p++)
		must_read_filled(g, 3, p * P, P);
	assert_int_equal(g->l->nread, 2);
}

static void
whole_blocks_where_parts_cannot_be_read(void **state)
{
	struct rig *g = *state;
	struct err e = ERR_INIT;

	cache_free(g->c);
	g->l->info.part_reads = false;
	assert_int_equal(
	    cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e), 0);
	fake_fill(g->l, 3);
	must_read_filled(g, 3, 8 * P, P);
	assert_int_equal(g->l->read_bytes, BS);
}

static void
two_misses_of_one_block_share_a_fetch(void **state)
{
	struct rig *g = *state;
	struct ask a, b;

	fake_fill(g->l, 3);
	ask(g, &a, CACHE_READ, 3, 0, BS, NULL);
	ask(g, &b, CACHE_READ, 3, 77, 5000, NULL);
	assert_int_equal(ask_wait(g, &a), 0);
	assert_int_equal(ask_wait(g, &b), 0);
	assert_int_equal(g->l->nread, 1);
	assert_int_equal(a.r.data[77], fake_byte(3, 77));
	assert_int_equal(b.r.data[0], fake_byte(3, 77));
	cache_req_fini(&a.r);
	cache_req_fini(&b.r);
}

static void
misses_of_many_blocks_are_in_flight_together(void **state)
{
	struct rig *g = *state;
	struct ask a[64];
	int64_t t0 = loop_now(g->loop);

	for (uint64_t i = 0; i < 64; i++)
		fake_fill(g->l, i * 3);
	for (uint64_t i = 0; i < 64; i++)
		ask(g, &a[i], CACHE_READ, i * 3, 0, P, NULL);
	for (uint64_t i = 0; i < 64; i++) {
		assert_int_equal(ask_wait(g, &a[i]), 0);
		cache_req_fini(&a[i].r);
	}
	assert_int_equal(loop_now(g->loop) - t0, g->l->read_ns);
	assert_int_equal(g->l->max_inflight, 64);
}

/* --- writes ---------------------------------------------------------------------- */

static void
partial_write_waits_for_nothing(void **state) /* C2 */
{
	struct rig *g = *state;
	int64_t t0 = loop_now(g->loop);

	fake_fill(g->l, 3);
	must_write(g, 3, 5 * 512, 1024, pat);
	assert_int_equal(loop_now(g->loop), t0);
	assert_int_equal(g->l->nread, 0);
	must_read(g, 3, 5 * 512, 1024, pat); /* C1 */
	assert_int_equal(g->l->nread, 0);
	/* The rest is fetched under it. */
	must_read_filled(g, 3, 0, 5 * 512);
	must_read_filled(g, 3, 7 * 512, BS - 7 * 512);
	must_read(g, 3, 5 * 512, 1024, pat);
}

static void
write_inside_a_sector_fetches_that_page(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_write(g, 3, 1000, 10000, pat);
	assert_int_equal(g->l->nread, 2); /* one for each end */
	assert_int_equal(g->l->read_bytes, 2 * P);
	must_read(g, 3, 1000, 10000, pat);
	must_read_filled(g, 3, 0, 1000);
	must_read_filled(g, 3, 11000, 1000);
}

static void
write_overtakes_a_fetch(void **state) /* M3 */
{
	struct rig *g = *state;
	struct ask a;

	fake_fill(g->l, 3);
	ask(g, &a, CACHE_READ, 3, 0, BS, NULL);
	must_write(g, 3, 512, 512, pat);
	assert_false(a.done);
	assert_int_equal(ask_wait(g, &a), 0);
	assert_int_equal(a.r.data[0], fake_byte(3, 0));
	assert_int_equal(a.r.data[1024], fake_byte(3, 1024));
	cache_req_fini(&a.r);
	must_read(g, 3, 512, 512, pat);
	must_read_filled(g, 3, 0, 512);
	must_read_filled(g, 3, 1024, BS - 1024);
}

static void
a_reply_does_not_change(void **state) /* M2 */
{
	struct rig *g = *state;
	struct ask a;

	fake_fill(g->l, 3);
	ask(g, &a, CACHE_READ, 3, 0, BS, NULL);
	assert_int_equal(ask_wait(g, &a), 0);
	must_write(g, 3, 0, BS, pat);
	must_zero(g, 3, 100, 5000);
	must_write(g, 3, 512, 512, zeros);
	for (uint32_t i = 0; i < BS; i++)
		assert_int_equal(a.r.data[i], fake_byte(3, i));
	cache_req_fini(&a.r);
	must_read(g, 3, 5100, 1000, pat + 5100);
	must_read(g, 3, 100, 5000, zeros);
}

static void
upload_merges_what_is_missing(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_write(g, 3, 4 * P, P, pat);
	must_flush(g);
	assert_int_equal(g->l->nread, 1);
	assert_int_equal(g->l->nwrite, 1);
	for (uint32_t i = 0; i < BS; i++)
		assert_int_equal(g->l->blocks[3].data[i],
		    i >= 4 * P && i < 5 * P ? pat[i - 4 * P]
					     : fake_byte(3, i));
}

static void
upload_of_a_tail_fetches_the_head_only(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_write(g, 3, 8 * P, BS - 8 * P, pat);
	must_flush(g);
	assert_int_equal(g->l->read_bytes, 8 * P);
}

static void
write_to_an_absent_block_reads_nothing(void **state)
{
	struct rig *g = *state;

	must_write(g, 3, 1001, 7, pat);
	must_flush(g);
	assert_int_equal(g->l->nread, 0);
	assert_int_equal(g->l->nwrite, 1);
	assert_memory_equal(g->l->blocks[3].data, zeros, 1001);
	assert_memory_equal(g->l->blocks[3].data + 1001, pat, 7);
	assert_memory_equal(
	    g->l->blocks[3].data + 1008, zeros, BS - 1008);
}

static void
full_block_goes_out_when_the_writer_went_on(void **state)
{
	struct rig *g = *state;

	for (uint32_t p = 0; p < 32; p++)
		must_write(g, 3, p * P, P, pat + p * P);
	pass(g, 1 * MS);
	assert_int_equal(g->l->nwrite, 0);
	must_write(g, 4, 0, P, pat);
	pass(g, 1 * MS);
	assert_int_equal(g->l->nwrite, 1);
	/* The other waits for more until write_delay. */
	pass(g, g->p.write_delay_ns - 10 * MS);
	assert_int_equal(g->l->nwrite, 1);
	pass(g, 50 * MS);
	assert_int_equal(g->l->nwrite, 2);
	assert_memory_equal(g->l->blocks[3].data, pat, BS);
}

static void
writes_during_an_upload_go_with_the_next(void **state) /* C3 */
{
	struct rig *g = *state;
	struct ask f;

	must_write(g, 3, 0, BS, pat);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 5 * MS);
	assert_int_equal(g->l->nwrite, 1);
	for (int i = 0; i < 50; i++)
		must_write(g, 3, (uint32_t)i * 700, 600, zeros);
	pass(g, 5 * MS);
	assert_int_equal(g->l->nwrite, 1);
	assert_int_equal(ask_wait(g, &f), 0);
	assert_memory_equal(g->l->blocks[3].data, pat, BS);
	must_flush(g);
	assert_int_equal(g->l->nwrite, 2);
	assert_memory_equal(g->l->blocks[3].data, zeros, 600);
	assert_memory_equal(g->l->blocks[3].data + 600, pat + 600, 100);
}

static void
a_hot_block_is_not_sent_all_the_time(void **state)
{
	struct rig *g = *state;

	/* Two blocks, rewritten for ten seconds, in pieces and as a whole. */
	for (int i = 0; i < 10000; i++) {
		uint32_t off = (uint32_t)i % 32 * P;

		must_write(g, 3, off, P, pat + off);
		must_write(g, 4, 0, i % 2 ? BS : P, pat);
		pass(g, MS);
	}
	assert_true(g->l->nwrite <= 8);
	must_flush(g);
	assert_memory_equal(g->l->blocks[3].data, pat, BS);
}

static void
read_only(void **state)
{
	struct rig *g = *state;
	struct err e = ERR_INIT;
	struct ask a;

	cache_free(g->c);
	g->l->info.read_only = true;
	assert_int_equal(
	    cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e), 0);
	ask(g, &a, CACHE_WRITE, 3, 0, 512, pat);
	assert_int_equal(ask_wait(g, &a), -EROFS);
	assert_non_null(strstr(a.r.err.text, "read-only"));
	assert_int_equal(do_ask(g, CACHE_ZERO, 3, 0, 512, NULL), -EROFS);
	must_flush(g);
}

/* --- zeros ------------------------------------------------------------------------- */

static void
zeroing_parts(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_zero(g, 3, 1000, 9000);
	must_read(g, 3, 1000, 9000, zeros);
	must_read_filled(g, 3, 0, 1000);
	must_read_filled(g, 3, 10000, BS - 10000);
	must_flush(g);
	assert_memory_equal(g->l->blocks[3].data + 1000, zeros, 9000);
	assert_int_equal(g->l->blocks[3].data[999], fake_byte(3, 999));
	assert_int_equal(g->l->blocks[3].data[10000], fake_byte(3, 10000));
}

static void
zeroing_many_blocks_is_one_erase(void **state)
{
	struct rig *g = *state;

	for (uint64_t b = 8; b < 24; b++)
		fake_fill(g->l, b);
	must_zero(g, 10, P, 10 * (uint64_t)BS);
	must_read_filled(g, 10, 0, P);
	must_read(g, 10, P, BS - P, zeros);
	must_read(g, 15, 0, BS, zeros);
	must_read(g, 20, 0, P, zeros);
	must_read_filled(g, 20, P, P);
	fake_zero_counts(g->l);
	must_flush(g);
	assert_int_equal(g->l->nerase, 1);
	assert_int_equal(g->l->erased_blocks, 9);
	assert_int_equal(g->l->nwrite, 2);
	for (uint64_t b = 11; b < 20; b++)
		assert_int_equal(layout_present(g->l, b), PRESENT_NO);
}

static void
discard_of_an_empty_disk_asks_for_nothing(void **state)
{
	struct rig *g = *state;

	must_zero(g, 0, 0, g->l->info.size);
	must_flush(g);
	assert_int_equal(
	    g->l->nerase + g->l->nwrite + g->l->nread + g->l->nsync, 0);
}

static void
single_discards_are_merged(void **state)
{
	struct rig *g = *state;

	for (uint64_t b = 0; b < 100; b++)
		fake_fill(g->l, b);
	for (uint64_t b = 0; b < 100; b++)
		must_zero(g, (b * 37) % 100, 0, BS);
	pass(g, g->p.write_delay_ns + 100 * MS);
	assert_int_equal(g->l->nerase, 1);
	assert_int_equal(layout_count_present(g->l), 0);
}

static void
zero_drops_dirty_data(void **state)
{
	struct rig *g = *state;

	for (uint64_t b = 0; b < 10; b++)
		must_write(g, b, 0, BS, pat);
	pass(g, 1); /* nine are on their way */
	must_write(g, 20, 0, P, pat);
	must_zero(g, 0, 0, 30 * (uint64_t)BS);
	for (uint64_t b = 0; b < 30; b++)
		must_read(g, b, 0, BS, zeros);
	must_flush(g);
	assert_int_equal(layout_count_present(g->l), 0);
	assert_int_equal(layout_present(g->l, 20), PRESENT_NO);
}

static void
write_into_a_pending_erase(void **state)
{
	struct rig *g = *state;

	for (uint64_t b = 0; b < 10; b++)
		fake_fill(g->l, b);
	must_zero(g, 0, 0, 10 * (uint64_t)BS);
	must_write(g, 5, P, P, pat);
	must_read(g, 5, 0, P, zeros);
	must_read(g, 5, P, P, pat);
	must_flush(g);
	assert_int_equal(g->l->nread, 0);
	assert_int_equal(g->l->nerase, 2);
	assert_int_equal(layout_count_present(g->l), 1);
	assert_memory_equal(g->l->blocks[5].data, zeros, P);
	assert_memory_equal(g->l->blocks[5].data + P, pat, P);
}

static void
write_into_an_erase_in_flight(void **state) /* E1, E2 */
{
	struct rig *g = *state;
	struct ask f;

	for (uint64_t b = 0; b < 10; b++)
		fake_fill(g->l, b);
	must_zero(g, 0, 0, 10 * (uint64_t)BS);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 5 * MS);
	assert_int_equal(g->l->nerase, 1);
	must_write(g, 5, P, P, pat);
	must_read(g, 5, 0, P, zeros);
	assert_int_equal(ask_wait(g, &f), 0);
	assert_int_equal(layout_count_present(g->l), 0);
	must_flush(g);
	assert_int_equal(g->l->nread, 0);
	assert_int_equal(layout_count_present(g->l), 1);
	assert_memory_equal(g->l->blocks[5].data + P, pat, P);
}

static void
zero_during_a_fetch(void **state)
{
	struct rig *g = *state;
	struct ask a;

	fake_fill(g->l, 3);
	ask(g, &a, CACHE_READ, 3, 0, P, NULL);
	must_zero(g, 3, 0, BS);
	assert_int_equal(ask_wait(g, &a), 0);
	assert_memory_equal(a.r.data, zeros, P);
	cache_req_fini(&a.r);
	must_flush(g);
	assert_int_equal(layout_present(g->l, 3), PRESENT_NO);
	must_read(g, 3, 0, BS, zeros);
}

static void
zero_during_an_upload(void **state)
{
	struct rig *g = *state;
	struct ask f;

	must_write(g, 3, 0, BS, pat);
	ask(g, &f, CACHE_FLUSH, 0, 0, 0, NULL);
	pass(g, 5 * MS);
	must_zero(g, 3, 0, BS);
	must_read(g, 3, 0, BS, zeros);
	assert_int_equal(ask_wait(g, &f), 0);
	must_flush(g);
	assert_int_equal(g->l->nwrite, 1);
	assert_int_equal(g->l->nerase, 1);
	assert_int_equal(layout_present(g->l, 3), PRESENT_NO);
}

static void
zeros_need_no_memory(void **state)
{
	struct rig *g = *state;
	struct cache_status s;

	for (uint64_t b = 0; b < 40; b++)
		fake_fill(g->l, b);
	for (uint64_t b = 0; b < 40; b++)
		must_zero(g, b, P, BS - P);
	cache_get_status(g->c, &s);
	assert_true(s.memory_bytes < 30 * 1024);
	must_flush(g);
	for (uint64_t b = 0; b < 40; b++) {
		assert_int_equal(
		    g->l->blocks[b].data[P - 1], fake_byte(b, P - 1));
		assert_memory_equal(g->l->blocks[b].data + P, zeros, BS - P);
	}
}

static void
seek(void **state)
{
	struct rig *g = *state;
	uint64_t n = g->l->info.nblocks;

	assert_int_equal(cache_seek(g->c, 0, true), n);
	assert_int_equal(cache_seek(g->c, 9, false), 9);
	for (uint64_t b = 100; b < 110; b++)
		fake_fill(g->l, b);
	must_write(g, 50, 0, 512, pat);
	must_write(g, 51, 0, 512, pat);
	assert_int_equal(cache_seek(g->c, 0, true), 50);
	assert_int_equal(cache_seek(g->c, 50, false), 52);
	assert_int_equal(cache_seek(g->c, 52, true), 100);
	assert_int_equal(cache_seek(g->c, 100, false), 110);
	assert_int_equal(cache_count_fresh(g->c), 2);
	must_zero(g, 102, 0, 3 * (uint64_t)BS);
	assert_int_equal(cache_seek(g->c, 100, false), 102);
	assert_int_equal(cache_seek(g->c, 102, true), 105);
	assert_int_equal(cache_seek(g->c, 110, true), n);
	must_zero(g, 50, 0, BS);
	assert_int_equal(cache_seek(g->c, 0, true), 51);
	must_flush(g);
	assert_int_equal(cache_seek(g->c, 0, true), 51);
	assert_int_equal(cache_seek(g->c, 52, true), 100);
	assert_int_equal(cache_count_fresh(g->c), 0);
}

/* --- at rest -------------------------------------------------------------------------- */

static void
nothing_happens_at_rest(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_read_filled(g, 3, 0, BS);
	must_write(g, 4, 0, P, pat);
	must_flush(g);
	pass(g, 100 * MS);
	fake_zero_counts(g->l);
	pass(g, 100000 * NS_PER_S);
	assert_int_equal(g->l->nprio[0] + g->l->nprio[1] + g->l->nprio[2], 0);
	must_flush(g);
	assert_int_equal(g->l->nprio[0] + g->l->nprio[1] + g->l->nprio[2], 0);
}

static void
dropping_clean_data(void **state)
{
	struct rig *g = *state;

	fake_fill(g->l, 3);
	must_read_filled(g, 3, 0, BS);
	must_write(g, 4, 0, P, pat);
	cache_drop_clean(g->c);
	must_read(g, 4, 0, P, pat);
	must_read_filled(g, 3, 0, BS);
	assert_int_equal(g->l->nread, 2);
}

static void
closing_with_everything_in_flight(void **state)
{
	struct rig *g = *state;
	struct err e = ERR_INIT;

	for (uint64_t b = 0; b < 200; b++)
		fake_fill(g->l, b);
	for (uint64_t b = 0; b < 8; b++) /* with read-ahead */
		must_read_filled(g, b, 0, BS);
	for (uint64_t b = 300; b < 310; b++)
		must_write(g, b, 0, BS, pat);
	must_zero(g, 100, 0, 50 * (uint64_t)BS);
	for (uint64_t b = 150; b < 160; b++)
		must_write(g, b, 0, P, pat);
	pass(g, g->p.write_delay_ns + 1 * MS);
	for (uint64_t b = 400; b < 410; b++)
		must_write(g, b, 0, BS, pat);
	pass(g, 1);
	assert_true(g->l->inflight > 10);
	cache_free(g->c);
	assert_int_equal(g->l->inflight, 0);
	assert_int_equal(
	    cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(absent_blocks_cost_nothing),
	    T(second_read_is_a_hit),
	    T(small_read_fetches_its_pages),
	    T(reading_on_fetches_the_rest),
	    T(whole_blocks_where_parts_cannot_be_read),
	    T(two_misses_of_one_block_share_a_fetch),
	    T(misses_of_many_blocks_are_in_flight_together),
	    T(partial_write_waits_for_nothing),
	    T(write_inside_a_sector_fetches_that_page),
	    T(write_overtakes_a_fetch),
	    T(a_reply_does_not_change),
	    T(upload_merges_what_is_missing),
	    T(upload_of_a_tail_fetches_the_head_only),
	    T(write_to_an_absent_block_reads_nothing),
	    T(full_block_goes_out_when_the_writer_went_on),
	    T(writes_during_an_upload_go_with_the_next),
	    T(a_hot_block_is_not_sent_all_the_time),
	    T(read_only),
	    T(zeroing_parts),
	    T(zeroing_many_blocks_is_one_erase),
	    T(discard_of_an_empty_disk_asks_for_nothing),
	    T(single_discards_are_merged),
	    T(zero_drops_dirty_data),
	    T(write_into_a_pending_erase),
	    T(write_into_an_erase_in_flight),
	    T(zero_during_a_fetch),
	    T(zero_during_an_upload),
	    T(zeros_need_no_memory),
	    T(seek),
	    T(nothing_happens_at_rest),
	    T(dropping_clean_data),
	    T(closing_with_everything_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
