/* SPDX-License-Identifier: Apache-2.0 */
/* Read-ahead: who gets it, how much, and what it costs those who do not. */
#include "tests/unit/cache/fake.h"

#define BS 131072u
#define P 4096u
#define MB (1u << 20)

static int
setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	rig_init(g, 16384, BS);
	g->p.size = 256 * MB;
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

static void
fill(struct rig *g, uint64_t first, uint64_t n)
{
	for (uint64_t b = first; b < first + n; b++)
		fake_fill(g->l, b);
}

static void
read_some(struct rig *g, uint64_t block, uint32_t off, uint32_t len,
    uint64_t stream)
{
	struct ask a;

	memset(&a, 0, sizeof(a));
	a.loop = g->loop;
	a.r = (struct cache_req){.op = CACHE_READ, .block = block, .off = off,
	    .len = len, .stream = stream, .done = ask_done, .arg = &a};
	cache_submit(g->c, &a.r);
	assert_int_equal(ask_wait(g, &a), 0);
	assert_int_equal(a.r.data[0], fake_byte(block, off));
	assert_int_equal(a.r.data[len - 1], fake_byte(block, off + len - 1));
	cache_req_fini(&a.r);
}

/* Bytes per second of reading blocks in order. */
static double
speed(struct rig *g, uint64_t first, uint64_t n, uint32_t piece)
{
	int64_t t0 = loop_now(g->loop);

	for (uint64_t b = first; b < first + n; b++)
		for (uint32_t off = 0; off < BS; off += piece)
			read_some(g, b, off, piece, 1);
	return (double)n * BS * NS_PER_S / (double)(loop_now(g->loop) - t0);
}

static void
a_sequential_reader_gets_it_quickly(void **state)
{
	struct rig *g = *state;
	double loader = 64.0 * BS * NS_PER_S / (20 * MS);

	fill(g, 0, 4096);
	/* From a cold start. */
	assert_true(speed(g, 0, 1024, BS) > 0.8 * loader);
	assert_true(g->l->max_inflight >= 64);
	/* And nothing is read twice. */
	assert_in_range(g->l->nread, 1024, 1024 + 256);
}

static void
small_pieces_as_well(void **state)
{
	struct rig *g = *state;
	double loader = 64.0 * BS * NS_PER_S / (20 * MS);

	fill(g, 0, 4096);
	assert_true(speed(g, 0, 1024, P) > 0.8 * loader);
	assert_in_range(g->l->nread, 1024, 1024 + 256);
}

/* One that asks for a MiB at a time, and waits for it. */
static void
large_requests_as_well(void **state)
{
	struct rig *g = *state;
	double loader = 64.0 * BS * NS_PER_S / (20 * MS);
	int64_t t0 = loop_now(g->loop);
	struct ask a[8];

	fill(g, 0, 4096);
	for (uint64_t b = 0; b < 1024; b += 8) {
		for (uint64_t k = 0; k < 8; k++) {
			memset(&a[k], 0, sizeof(a[k]));
			a[k].loop = g->loop;
			a[k].r = (struct cache_req){.op = CACHE_READ,
			    .block = b + k, .len = BS, .cont = k > 0,
			    .done = ask_done, .arg = &a[k]};
			cache_submit(g->c, &a[k].r);
		}
		for (int k = 0; k < 8; k++) {
			assert_int_equal(ask_wait(g, &a[k]), 0);
			cache_req_fini(&a[k].r);
		}
	}
	assert_true(1024.0 * BS * NS_PER_S /
		(double)(loop_now(g->loop) - t0) >
	    0.8 * loader);
	assert_in_range(g->l->nread, 1024, 1024 + 256);
}

static void
random_reads_get_none(void **state)
{
	struct rig *g = *state;
	uint64_t s = 5;

	fill(g, 0, 16384);
	for (int i = 0; i < 1000; i++) {
		s = s * 6364136223846793005u + 1442695040888963407u;
		read_some(g, (s >> 33) % 16384, (uint32_t)(s >> 50) % 32 * P,
		    P, 1);
	}
	assert_int_equal(stat_get(&g->stats, STAT_CACHE_READAHEAD), 0);
	/* Each costs what it asked for. */
	assert_true(g->l->read_bytes <= 1000 * (uint64_t)P * 11 / 10);
}

static void
interleaved_streams(void **state)
{
	struct rig *g = *state;
	int64_t t0 = loop_now(g->loop);
	uint64_t waited;

	fill(g, 0, 8192);
	for (uint64_t i = 0; i < 200; i++)
		for (uint64_t k = 0; k < 8; k++)
			read_some(g, k * 1000 + i, 0, BS, k / 2);
	waited = (uint64_t)(loop_now(g->loop) - t0) / (20 * MS);
	assert_true(waited < 80);
	assert_in_range(g->l->nread, 1600, 1600 + 8 * 192);
}

static void
a_wide_read_is_one_decision(void **state)
{
	struct rig *g = *state;

	fill(g, 0, 1000);
	/* Eight blocks at once, at places that have nothing in common. */
	for (uint64_t i = 0; i < 20; i++) {
		struct ask a[8];

		for (uint64_t k = 0; k < 8; k++) {
			memset(&a[k], 0, sizeof(a[k]));
			a[k].loop = g->loop;
			a[k].r = (struct cache_req){.op = CACHE_READ,
			    .block = i * 37 + k, .len = BS, .cont = k > 0,
			    .done = ask_done, .arg = &a[k]};
			cache_submit(g->c, &a[k].r);
		}
		for (int k = 0; k < 8; k++) {
			assert_int_equal(ask_wait(g, &a[k]), 0);
			cache_req_fini(&a[k].r);
		}
	}
	assert_int_equal(stat_get(&g->stats, STAT_CACHE_READAHEAD), 0);
	assert_int_equal(g->l->nread, 160);
}

static void
it_stops_at_the_end(void **state)
{
	struct rig *g = *state;
	uint64_t n = g->l->info.nblocks;

	fill(g, n - 20, 20);
	for (uint64_t b = n - 20; b < n; b++)
		read_some(g, b, 0, BS, 1);
	assert_int_equal(g->l->nread, 20);
}

static void
holes_are_skipped(void **state)
{
	struct rig *g = *state;

	for (uint64_t b = 0; b < 4000; b += 10)
		fake_fill(g->l, b);
	for (uint64_t b = 0; b < 4000; b++) {
		struct ask a;

		ask(g, &a, CACHE_READ, b, 0, BS, NULL);
		assert_int_equal(ask_wait(g, &a), 0);
		cache_req_fini(&a.r);
	}
	assert_int_equal(g->l->nread, 400);
	assert_true(loop_now(g->loop) - NS_PER_S < 1500 * MS);
}

static void
it_goes_behind_those_who_wait(void **state) /* C7 */
{
	struct rig *g = *state;

	fill(g, 0, 100);
	for (uint64_t b = 0; b < 20; b++)
		read_some(g, b, 0, BS, 1);
	assert_true(g->l->nprio[STORE_PRIO_READAHEAD] > 10);
	assert_true(g->l->nprio[STORE_PRIO_READ] < 10);
}

static void
it_leaves_room_for_others(void **state)
{
	struct rig *g = *state;
	struct cache_status s;
	struct err e = ERR_INIT;

	cache_free(g->c);
	g->p.size = 8 * MB;
	assert_int_equal(
	    cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e), 0);
	fill(g, 0, 4096);
	speed(g, 0, 500, BS);
	cache_get_status(g->c, &s);
	assert_true(s.memory_bytes <= g->p.size);
	assert_true(g->l->max_inflight <= 16);
	assert_in_range(g->l->nread, 500, 520);
}

static void
unused_is_dropped_first_and_counted(void **state)
{
	struct rig *g = *state;
	uint64_t unused;

	fill(g, 0, 8000);
	speed(g, 0, 200, BS);
	pass(g, 10 * NS_PER_S);
	unused = stat_get(&g->stats, STAT_CACHE_READAHEAD) -
	    stat_get(&g->stats, STAT_CACHE_READAHEAD_USEFUL);
	assert_true(unused > 32);
	for (uint64_t i = 0; i < 2100; i++)
		read_some(g, 2000 + (i * 7) % 4096, 0, BS, 2);
	assert_true(
	    stat_get(&g->stats, STAT_CACHE_READAHEAD_WASTED) >= unused);
}

static void
a_bound_is_kept(void **state)
{
	struct rig *g = *state;
	struct err e = ERR_INIT;

	cache_free(g->c);
	g->p.readahead = 4 * BS;
	assert_int_equal(
	    cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e), 0);
	fill(g, 0, 1000);
	speed(g, 0, 200, BS);
	assert_true(g->l->max_inflight <= 5);
	cache_free(g->c);
	g->p.readahead = 1; /* none */
	assert_int_equal(
	    cache_open(g->l, g->loop, &g->p, &g->stats, &g->c, &e), 0);
	fake_zero_counts(g->l);
	speed(g, 0, 100, BS);
	assert_int_equal(g->l->max_inflight, 1);
}

static int
fail_50(struct layout *l, const struct layout_req *r)
{
	return r->block == 50 ? -EBADMSG : 0;
}

static void
a_failure_ahead_is_told_to_who_comes(void **state)
{
	struct rig *g = *state;

	fill(g, 0, 100);
	g->l->script = fail_50;
	for (uint64_t b = 0; b < 50; b++)
		read_some(g, b, 0, BS, 1);
	pass(g, 100 * MS);
	assert_int_equal(do_ask(g, CACHE_READ, 50, 0, BS, NULL), -EBADMSG);
	for (uint64_t b = 51; b < 100; b++)
		read_some(g, b, 0, BS, 1);
	g->l->script = NULL;
	read_some(g, 50, 0, BS, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_sequential_reader_gets_it_quickly),
	    T(small_pieces_as_well),
	    T(large_requests_as_well),
	    T(random_reads_get_none),
	    T(interleaved_streams),
	    T(a_wide_read_is_one_decision),
	    T(it_stops_at_the_end),
	    T(holes_are_skipped),
	    T(it_goes_behind_those_who_wait),
	    T(it_leaves_room_for_others),
	    T(unused_is_dropped_first_and_counted),
	    T(a_bound_is_kept),
	    T(a_failure_ahead_is_told_to_who_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
