/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume with a journal on a simulated disk, over a simulated store that is
 * slow, busy (503), loses answers to what it has done, and does some of it late:
 * the power fails again and again, in recovery too, and takes with it what the
 * store had not synced and any part of what the disk had not flushed.
 *
 * After each failure the volume is opened again; load.h says what must be there.
 * In the end the volume is closed in order, and what the bucket holds must be
 * what the volume held, byte for byte.
 *
 * PAIL_SEED=N repeats seed N; PAIL_CUTS=N makes so many cuts, from that seed on.
 */
#include "tests/unit/volume/load.h"
#include "tests/unit/volume/util.h"

#include "base/log.h"
#include "journal/journal.h"
#include "lib/simdisk.h"
#include "raw/rdev.h"

#define SIZE (1u << 20)
#define BLOCK 32768u
#define DEPTH 12
#define NSEEDS 24
#define LIVES 4

struct host {
	struct env env;
	struct simworld w;
	struct simdisk *disk;
	struct volume_params p;
	struct load load;
	uint64_t seed, rnd;
	bool strict_lease;
};

static const struct fault_rule faults[] = {
    {.ops = 1 << STORE_GET, .permille = 20, .rc = -EAGAIN},
    {.ops = 1 << STORE_PUT, .permille = 50, .rc = -EAGAIN}, /* 503 */
    {.ops = 1 << STORE_PUT, .permille = 30, .kind = FAULT_LOST},
    {.ops = 1 << STORE_PUT, .permille = 20, .kind = FAULT_LOST,
	.rc = -EAGAIN}, /* 500 after success */
    {.ops = 1 << STORE_DELETE | 1 << STORE_BATCH, .permille = 40,
	.kind = FAULT_LOST},
    {.ops = 1 << STORE_PUT, .permille = 10, .kind = FAULT_LATE,
	.late_ns = 2 * NS_PER_S},
    {.ops = 1 << STORE_SYNC, .permille = 50, .rc = -EAGAIN},
};

/* False: the power went meanwhile. */
static bool
switch_on(struct host *m)
{
	struct volume_params q = m->p;
	struct err e = ERR_INIT;
	int rc;

	q.journal.mode = VOLUME_JOURNAL_PATH;
	q.journal.dev = simdisk_open(m->disk, m->env.loop, "jdisk");
	/* Which of the leases it was is not of interest here: give_up with
	 * everything safe gives it back, as a power failure would not. */
	q.journal.force = !m->strict_lease;
	rc = volume_open_store(&m->env.senv, env_store(&m->env), "v/",
	    "bucket", &q, &m->load.v, &e);
	if (rc < 0 && !m->w.cut)
		fail_msg("seed %llu: open: %s", (unsigned long long)m->seed,
		    err_text(&e));
	if (rc < 0)
		m->load.v = NULL;
	return rc == 0;
}

static void
power_failure(struct host *m)
{
	static const enum sim_keep how[] = {
	    SIM_KEEP_NONE, SIM_KEEP_ALL, SIM_KEEP_SOME, SIM_KEEP_TORN};

	m->w.cut = true;
	load_wait(&m->load, 0);
	if (m->load.v)
		volume_close(m->load.v, true, NULL);
	m->load.v = NULL;
	simdisk_settle(m->disk, how[sim_random(&m->w, 4)]);
	mem_data_crash(m->env.data, m->rnd);
}

static void
live(struct host *m)
{
	for (int i = 0; i < 3000 && !m->w.cut; i++) {
		load_start(&m->load);
		load_wait(&m->load, (unsigned)rnd_below(&m->rnd, DEPTH));
	}
}

/* If the power goes meanwhile it is no use. */
static uint8_t *
read_all(struct host *m)
{
	uint8_t *got = malloc(SIZE);
	struct err e = ERR_INIT;

	assert_non_null(got);
	for (uint32_t at = 0; at < SIZE; at += SIZE / 16)
		if (volume_read_wait(
			m->load.v, at, got + at, SIZE / 16, &e) < 0 &&
		    !m->w.cut)
			fail_msg("seed %llu: read: %s",
			    (unsigned long long)m->seed, err_text(&e));
	return got;
}

static struct host *
host_new(uint64_t seed)
{
	struct host *m = calloc(1, sizeof(*m));
	struct load *l;

	assert_non_null(m);
	m->seed = m->rnd = m->w.seed = seed;
	env_init(&m->env);
	m->env.seed = seed;
	m->env.mem.needs_sync = seed % 2;
	m->env.faults = faults;
	m->env.nfaults = seed % 3 ? sizeof(faults) / sizeof(faults[0]) : 0;
	m->env.delay = (struct delay_config){.min_ns = 100 * NS_PER_US,
	    .max_ns = 30 * NS_PER_MS, .seed = seed};
	m->disk = simdisk_new(&m->w, journal_min_bytes(BLOCK));
	simdisk_faults(m->disk)->durable_writes = seed / 2 % 2 == 0;
	volume_params_init(&m->p);
	m->p.layout.size = SIZE;
	m->p.layout.block_size = BLOCK;
	m->p.layout.create = true;
	m->p.layout.lease = LEASE_FORCE;
	m->p.cache.size = 1 << 20;
	m->p.cache.write_delay_ns = 20 * NS_PER_MS;
	m->p.cache.uploads = 8;
	l = &m->load;
	l->loop = m->env.loop;
	l->seed = seed;
	l->rnd = &m->rnd;
	l->nsectors = SIZE / LOAD_SECTOR;
	l->block_size = BLOCK;
	l->depth = DEPTH;
	l->flush_percent = 15;
	l->zero_percent = 10;
	l->cut = &m->w.cut;
	return m;
}

/* In peace: what it holds is closed in order, and is what the bucket holds. */
static void
end(struct host *m)
{
	struct err e = ERR_INIT;
	uint8_t *held, *bucket;

	m->w.cut = false;
	m->w.cut_at = 0;
	assert_true(switch_on(m));
	held = read_all(m);
	load_check(&m->load, held);
	if (volume_close(m->load.v, false, &e) < 0)
		fail_msg("close: %s", err_text(&e));
	m->env.nfaults = 0;
	mem_data_crash(m->env.data, m->seed);
	bucket = env_look(&m->env, &m->p, SIZE);
	assert_memory_equal(held, bucket, SIZE);
	assert_true(m->load.flushes > 0);
	free(held);
	free(bucket);
}

/* What all its random numbers have come to. */
static uint64_t
run(uint64_t seed)
{
	struct host *m = host_new(seed);
	uint64_t sum;

	for (int i = 0; i < LIVES; i++) {
		m->w.cut = false;
		m->w.cut_at = m->w.ops + 1 +
		    rnd_below(&m->rnd, rnd_below(&m->rnd, 4) ? 2000 : 40);
		if (switch_on(m)) {
			uint8_t *held = read_all(m);

			if (!m->w.cut) {
				load_check(&m->load, held);
				load_begin_with(&m->load, held);
			}
			free(held);
			live(m);
		}
		power_failure(m);
	}
	end(m);
	sum = m->rnd ^ m->w.seed ^ (uint64_t)loop_now(m->env.loop);
	simdisk_free(m->disk);
	env_fini(&m->env);
	free(m);
	return sum;
}

static void
test_power_failures(void **state)
{
	const char *cuts = getenv("PAIL_CUTS");
	uint64_t seed = first_seed(1), n = 0, want = NSEEDS * LIVES;

	if (cuts)
		want = strtoull(cuts, NULL, 10);
	else if (getenv("PAIL_SEED"))
		want = LIVES;
	for (; n < want; n += LIVES, seed++) {
		fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
		run(seed);
	}
	fprintf(stderr, "\r%llu cuts; PAIL_SEED=N repeats seed N\n",
	    (unsigned long long)n);
}

/* The volume and its lease are durable before anything is acknowledged: else what
 * only the journal has would be refused, or have no volume. */
static void
test_a_cut_after_the_first_flush(void **state)
{
	uint8_t data[512], got[512];
	struct err e = ERR_INIT;

	memset(data, 0xa7, sizeof(data));
	for (uint64_t seed = 1; seed < 20; seed += 2) {
		struct host *m = host_new(seed);

		m->env.nfaults = 0;
		m->strict_lease = true;
		m->p.cache.write_delay_ns = 3600 * NS_PER_S;
		assert_true(switch_on(m));
		assert_int_equal(volume_write_wait(
				     m->load.v, 512, data, sizeof(data), &e), 0);
		assert_int_equal(volume_flush_wait(m->load.v, &e), 0);
		m->rnd = seed;
		power_failure(m);
		m->w.cut = false;
		assert_true(switch_on(m));
		assert_int_equal(volume_read_wait(
				     m->load.v, 512, got, sizeof(got), &e), 0);
		assert_memory_equal(got, data, sizeof(got));
		env_close(m->load.v);
		simdisk_free(m->disk);
		env_fini(&m->env);
		free(m);
	}
}

static void
test_a_seed_repeats(void **state)
{
	uint64_t seed = first_seed(2);

	assert_int_equal(run(seed), run(seed));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_power_failures),
	    cmocka_unit_test(test_a_cut_after_the_first_flush),
	    cmocka_unit_test(test_a_seed_repeats),
	};

	log_open("test", getenv("PAIL_VERBOSE") ? LOG_LVL_DEBUG : LOG_LVL_ERROR,
	    false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
