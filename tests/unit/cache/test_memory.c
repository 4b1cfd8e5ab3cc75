/* SPDX-License-Identifier: Apache-2.0 */
/* How much the cache holds and of what: C6, slowing of writers, replacement. */
#include "tests/unit/cache/fake.h"

#define BS 131072u
#define P 4096u
#define MB (1u << 20)

static uint8_t pat[BS];

static int
setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	for (uint32_t i = 0; i < BS; i++)
		pat[i] = (uint8_t)(i * 13 + (i >> 8) + 3);
	rig_init(g, 16384, BS);
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

static uint64_t
memory(struct rig *g)
{
	struct cache_status s;

	cache_get_status(g->c, &s);
	return s.memory_bytes;
}

static uint64_t
dirty(struct rig *g)
{
	struct cache_status s;

	cache_get_status(g->c, &s);
	return s.dirty_bytes;
}

static uint64_t seed;

static uint64_t
rnd_below(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

/* --- the bound ---------------------------------------------------------------- */

/* Many small requests, some in flight together, all over a large volume. */
static void
churn(struct rig *g, bool writes, uint32_t len, unsigned n)
{
	struct ask a[16];
	uint64_t most = 0;

	seed = 1;
	for (unsigned i = 0; i < n; i++) {
		for (int k = 0; k < 16; k++) {
			uint64_t b = rnd_below(g->l->info.nblocks);
			uint32_t off = (uint32_t)rnd_below(
			    (BS - len) / P + 1) * P;

			if (!writes && b % 2)
				fake_fill(g->l, b);
			ask(g, &a[k], writes ? CACHE_WRITE : CACHE_READ, b,
			    off, len, pat);
		}
		for (int k = 0; k < 16; k++) {
			assert_int_equal(ask_wait(g, &a[k]), 0);
			cache_req_fini(&a[k].r);
		}
		if (memory(g) > most)
			most = memory(g);
	}
	assert_true(most <= g->p.size + 16 * BS);
	assert_true(most > g->p.size / 2);
}

static void
small_random_reads(void **state) /* C6 */
{
	struct rig *g = *state;

	g->p.size = 8 * MB;
	rig_open(g);
	churn(g, false, P, 500);
}

static void
large_random_reads(void **state) /* C6 */
{
	struct rig *g = *state;

	g->p.size = 8 * MB;
	rig_open(g);
	churn(g, false, BS, 50);
}

static void
small_random_writes(void **state) /* C6 */
{
	struct rig *g = *state;

	g->p.size = 8 * MB;
	rig_open(g);
	churn(g, true, P, 500);
	must_flush(g);
	assert_int_equal(dirty(g), 0);
}

static void
large_random_writes(void **state) /* C6 */
{
	struct rig *g = *state;

	g->p.size = 8 * MB;
	rig_open(g);
	churn(g, true, BS, 50);
	must_flush(g);
}

/* Small first, then large: what the small ones cost in themselves stays. */
static void
small_then_large(void **state)
{
	struct rig *g = *state;

	g->p.size = 8 * MB;
	rig_open(g);
	churn(g, true, P, 200);
	churn(g, false, BS, 20);
	churn(g, true, BS, 20);
	churn(g, false, P, 200);
}

static void
large_blocks(void **state)
{
	struct rig *g = *state;
	uint32_t bs = 16 * MB;
	uint8_t *p = malloc(bs);

	assert_non_null(p);
	memset(p, 7, bs);
	fake_free(g->l);
	g->l = fake_new(g->loop, 512, bs);
	g->p.size = 0; /* 256 MiB, 16 blocks */
	rig_open(g);
	for (uint64_t b = 0; b < 500; b++) {
		must_write(g, b, (uint32_t)(b * P), P, p);
		assert_true(memory(g) <= (256u << 20) + bs);
	}
	for (uint64_t b = 0; b < 3; b++)
		must_write(g, b, 0, bs, p);
	must_zero(g, 0, 0, g->l->info.size);
	must_flush(g);
	assert_int_equal(layout_count_present(g->l), 0);
	free(p);
}

/* --- slowing writers ------------------------------------------------------------- */

/* Write as fast as it goes for a while; the longest that one write took. */
static int64_t
pour(struct rig *g, int64_t ns, uint64_t *written)
{
	int64_t t0 = loop_now(g->loop), worst = 0;
	static uint64_t b;

	*written = 0;
	while (loop_now(g->loop) - t0 < ns) {
		int64_t t = loop_now(g->loop);

		b = (b + 1) % g->l->info.nblocks;
		must_write(g, b, 0, BS, pat);
		*written += BS;
		if (loop_now(g->loop) - t > worst)
			worst = loop_now(g->loop) - t;
		pass(g, 10000); /* the writer itself takes 10 us */
	}
	return worst;
}

static void
writers_slow_down_smoothly(void **state)
{
	struct rig *g = *state;
	uint64_t n;
	int64_t worst;

	/* 64 uploads of 128 KiB in 100 ms: 80 MiB/s. */
	g->p.size = 128 * MB;
	g->l->write_ns = 100 * MS;
	rig_open(g);
	pour(g, 3 * NS_PER_S, &n);
	worst = pour(g, 10 * NS_PER_S, &n);
	/* As fast as the store takes it, and nobody waits long. */
	assert_in_range(n / 10, 72 * MB, 84 * MB);
	assert_true(worst < 20 * MS);
	assert_in_range(dirty(g), 50 * MB, 88 * MB);
}

static void
a_sequential_writer_gets_all_of_the_store(void **state)
{
	struct rig *g = *state;
	const uint64_t n = 4096; /* blocks: 512 MiB */
	double loader = 64.0 * BS * NS_PER_S / (20 * MS), got;
	int64_t t0;

	g->p.size = 64 * MB;
	rig_open(g);
	t0 = loop_now(g->loop);
	for (uint64_t b = 0; b < n; b++)
		for (uint32_t off = 0; off < BS; off += BS / 4)
			must_write(g, b, off, BS / 4, pat + off);
	must_flush(g);
	got = (double)n * BS * NS_PER_S / (double)(loop_now(g->loop) - t0);
	if (got < 0.95 * loader)
		fail_msg("%.0f of %.0f MB/s", got / 1e6, loader / 1e6);
	assert_int_equal(g->l->nwrite, n);
	assert_int_equal(g->l->nread, 0);
}

static void
no_delay_while_there_is_room(void **state)
{
	struct rig *g = *state;
	int64_t t0;

	g->p.size = 128 * MB;
	rig_open(g);
	t0 = loop_now(g->loop);
	for (uint64_t b = 0; b < 300; b++)
		must_write(g, b, 0, BS, pat);
	assert_int_equal(loop_now(g->loop), t0);
	assert_int_equal(stat_get(&g->stats, STAT_CACHE_THROTTLED_NS), 0);
}

static void
waiting_writers_go_in_order(void **state)
{
	struct rig *g = *state;
	struct ask a[300];
	int64_t last = 0;

	g->p.size = 8 * MB;
	rig_open(g);
	for (uint64_t i = 0; i < 300; i++)
		ask(g, &a[i], CACHE_WRITE, i, 0, BS, pat);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(ask_wait(g, &a[i]), 0);
		assert_true(a[i].done_ns >= last);
		last = a[i].done_ns;
	}
	assert_true(stat_get(&g->stats, STAT_CACHE_THROTTLED_NS) > 0);
}

/* --- which data stays ---------------------------------------------------------------- */

static void
a_scan_does_not_drive_out_what_is_used(void **state)
{
	struct rig *g = *state;

	g->p.size = 16 * MB;
	g->p.readahead = 1;
	rig_open(g);
	for (uint64_t b = 0; b < 4096; b++)
		fake_fill(g->l, b);
	/* 6 MiB that are used again and again ... */
	for (int round = 0; round < 4; round++)
		for (uint64_t b = 0; b < 48; b++)
			must_read_filled(g, 2 * b, (uint32_t)round * P, P);
	for (uint64_t b = 0; b < 48; b++)
		must_read_filled(g, 2 * b, 0, BS);
	/* ... and 200 MiB that are read once, in small pieces. */
	for (uint64_t b = 1000; b < 2600; b++)
		for (uint32_t off = 0; off < BS; off += 4 * P)
			must_read_filled(g, b, off, 4 * P);
	fake_zero_counts(g->l);
	for (uint64_t b = 0; b < 48; b++)
		must_read_filled(g, 2 * b, 0, BS);
	assert_true(g->l->nread <= 2);
}

/* Random writes of whole blocks, 256 MiB, most of them in blocks that were
 * written not long before. */
static void
a_writer_does_not_drive_out_what_is_used(void **state)
{
	struct rig *g = *state;

	g->p.size = 16 * MB; /* 128 blocks */
	g->p.readahead = 1;
	rig_open(g);
	for (uint64_t b = 0; b < 64; b++)
		fake_fill(g->l, b);
	for (int round = 0; round < 4; round++)
		for (uint64_t b = 0; b < 32; b++)
			must_read_filled(g, 2 * b, 0, 4 * P);
	seed = 5;
	for (int i = 0; i < 2048; i++)
		must_write(g, 1000 + rnd_below(256), 0, BS, pat);
	must_flush(g);
	fake_zero_counts(g->l);
	for (uint64_t b = 0; b < 32; b++)
		must_read_filled(g, 2 * b, 0, 4 * P);
	if (g->l->nread > 4)
		fail_msg("%u of 32 are gone", (unsigned)g->l->nread);
}

/* A block that was written stays in memory as long as there is room. */
static void
what_was_written_is_read_from_memory(void **state)
{
	struct rig *g = *state;

	g->p.size = 16 * MB;
	rig_open(g);
	for (uint64_t b = 0; b < 100; b++)
		must_write(g, b, 0, BS, pat);
	must_flush(g);
	fake_zero_counts(g->l);
	for (uint64_t b = 0; b < 100; b++)
		must_read(g, b, 0, BS, pat);
	assert_int_equal(g->l->nread, 0);
}

static void
what_comes_back_is_kept(void **state)
{
	struct rig *g = *state;

	g->p.size = 16 * MB; /* 128 blocks */
	g->p.readahead = 1;
	rig_open(g);
	for (uint64_t b = 0; b < 4096; b++)
		fake_fill(g->l, b);
	/* Read once, driven out, and read again: a ghost, so to be kept. */
	for (int round = 0; round < 2; round++) {
		for (uint64_t b = 0; b < 40; b++)
			must_read_filled(g, b, 0, BS);
		for (uint64_t b = 0; b < 110; b++)
			must_read_filled(
			    g, 1000 + 500 * (uint64_t)round + b, 0, BS);
	}
	for (uint64_t b = 3000; b < 3300; b++)
		must_read_filled(g, b, 0, BS);
	fake_zero_counts(g->l);
	for (uint64_t b = 0; b < 40; b++)
		must_read_filled(g, b, 0, BS);
	assert_true(g->l->nread < 10);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(small_random_reads),
	    T(large_random_reads),
	    T(small_random_writes),
	    T(large_random_writes),
	    T(small_then_large),
	    T(large_blocks),
	    T(writers_slow_down_smoothly),
	    T(a_sequential_writer_gets_all_of_the_store),
	    T(no_delay_while_there_is_room),
	    T(waiting_writers_go_in_order),
	    T(a_scan_does_not_drive_out_what_is_used),
	    T(a_writer_does_not_drive_out_what_is_used),
	    T(what_was_written_is_read_from_memory),
	    T(what_comes_back_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
