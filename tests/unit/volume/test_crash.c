/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power failure of a host whose store keeps nothing that was not synced, with
 * writes going on during the flushes; load.h says what must be there after it.
 *
 * PAIL_SEED=... runs one seed alone.
 */
#include "tests/unit/volume/load.h"
#include "tests/unit/volume/util.h"

#define SIZE (2u << 20)
#define BLOCK 32768u
#define DEPTH 16
#define NSEEDS 30

struct crash {
	struct env env;
	struct volume_params p;
	struct load load;
	uint64_t rnd;
};

/* Until the power fails, which is now or later after a flush. */
static void
live(struct crash *m)
{
	struct load *l = &m->load;

	for (int i = 0; i < 5000; i++) {
		unsigned flushes = l->flushes;

		load_start(l);
		load_wait(l, (unsigned)rnd_below(&m->rnd, DEPTH));
		if (l->flushes > flushes && rnd_below(&m->rnd, 4) == 0)
			return;
	}
}

static void
run(uint64_t seed)
{
	struct crash *m = calloc(1, sizeof(*m));
	struct err e = ERR_INIT;
	uint8_t *got;

	assert_non_null(m);
	m->rnd = seed;
	env_init(&m->env);
	m->env.seed = seed;
	m->env.mem.needs_sync = true;
	m->env.delay = (struct delay_config){.min_ns = 100 * NS_PER_US,
	    .max_ns = 30 * NS_PER_MS, .seed = seed};
	volume_params_init(&m->p);
	m->p.layout.size = SIZE;
	m->p.layout.block_size = BLOCK;
	m->p.layout.create = true;
	m->p.cache.size = 1 << 20;
	m->p.cache.write_delay_ns = 20 * NS_PER_MS;
	m->p.cache.uploads = 8;
	m->load.v = env_open(&m->env, &m->p);
	m->load.loop = m->env.loop;
	m->load.seed = seed;
	m->load.rnd = &m->rnd;
	m->load.nsectors = SIZE / LOAD_SECTOR;
	m->load.block_size = BLOCK;
	m->load.depth = DEPTH;
	m->load.flush_percent = 6;
	m->load.zero_percent = 14;
	assert_int_equal(volume_flush_wait(m->load.v, &e), 0);
	live(m);
	/* Acknowledge what is in flight, upload no more, pull the plug. */
	load_wait(&m->load, 0);
	volume_close(m->load.v, true, &e);
	mem_data_crash(m->env.data, seed);
	got = env_look(&m->env, &m->p, SIZE);
	load_check(&m->load, got);
	free(got);
	env_fini(&m->env);
	free(m);
}

static void
power_failures(void **state)
{
	if (getenv("PAIL_SEED")) {
		run(first_seed(1));
		return;
	}
	for (uint64_t i = 0; i < NSEEDS; i++)
		run(0xabcdef + i * 7919);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(power_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
