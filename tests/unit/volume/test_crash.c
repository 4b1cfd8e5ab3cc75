/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power failure of a host whose store keeps nothing that was not synced: after
 * it, each sector holds what it held when the last FLUSH that succeeded was
 * submitted, or something newer; with writes going on during the flushes.
 *
 * Each write stamps its sectors with a number that only grows, and zeroing is
 * remembered with the number it had.  PAIL_SEED=... runs one seed alone.
 */
#include "tests/unit/volume/util.h"

#include "base/byteorder.h"

#define SECTOR 512u
#define SIZE (2u << 20)
#define NSECTORS (SIZE / SECTOR)
#define DEPTH 16
#define NSEEDS 30

struct flight {
	struct volume_req r;
	struct crash *m;
	bool busy;
	uint32_t stamp;
	uint32_t at_submit[NSECTORS]; /* FLUSH: what was acknowledged */
	uint8_t buf[65536];
};

struct crash {
	struct env env;
	struct volume_params p;
	struct volume *v;
	uint64_t seed, rnd;
	uint32_t stamp;
	uint32_t acked[NSECTORS];  /* the newest acknowledged */
	uint32_t zeroed[NSECTORS]; /* the newest zeroing submitted */
	uint32_t safe[NSECTORS];   /* what flushes have promised */
	unsigned busy, flushes;
	bool stop, idle;
	struct flight f[DEPTH];
};

static void
done(struct volume_req *r)
{
	struct flight *f = r->arg;
	struct crash *m = f->m;

	assert_int_equal(r->rc, 0);
	if (r->op == VOLUME_FLUSH) {
		memcpy(m->safe, f->at_submit, sizeof(m->safe));
		m->flushes++;
		/* Now or later the power fails. */
		m->stop |= rnd_below(&m->rnd, 4) == 0;
	} else {
		for (uint64_t i = 0; i < r->len / SECTOR; i++)
			m->acked[r->off / SECTOR + i] = f->stamp;
	}
	volume_req_fini(r);
	f->busy = false;
	m->busy--;
	m->idle = true;
}

static bool
clashes(const struct crash *m, const struct volume_req *r)
{
	for (int i = 0; i < DEPTH; i++) {
		const struct volume_req *o = &m->f[i].r;

		if (m->f[i].busy && o->op != VOLUME_FLUSH &&
		    o->off < r->off + r->len && r->off < o->off + o->len)
			return true;
	}
	return false;
}

static void
start(struct crash *m)
{
	uint64_t kind = rnd_below(&m->rnd, 100), n;
	struct flight *f = m->f;

	while (f->busy)
		f++;
	memset(&f->r, 0, sizeof(f->r));
	f->m = m;
	f->r.arg = f;
	f->r.done = done;
	f->r.op = kind < 6 ? VOLUME_FLUSH :
	    kind < 20	   ? VOLUME_ZERO :
			     VOLUME_WRITE;
	if (f->r.op == VOLUME_FLUSH) {
		memcpy(f->at_submit, m->acked, sizeof(m->acked));
	} else {
		n = 1 + rnd_below(&m->rnd, sizeof(f->buf) / SECTOR);
		f->r.off = rnd_below(&m->rnd, NSECTORS - n) * SECTOR;
		f->r.len = n * SECTOR;
		f->r.src = f->r.op == VOLUME_WRITE ? f->buf : NULL;
		if (clashes(m, &f->r))
			return;
		f->stamp = ++m->stamp;
		for (uint64_t i = 0; i < n; i++) {
			memset(f->buf + i * SECTOR, (int)f->stamp, SECTOR);
			put_le32(f->buf + i * SECTOR, f->stamp);
			if (f->r.op == VOLUME_ZERO)
				m->zeroed[f->r.off / SECTOR + i] = f->stamp;
		}
	}
	f->busy = true;
	m->busy++;
	volume_submit(m->v, &f->r);
}

static void
check(struct crash *m)
{
	uint8_t *got = env_look(&m->env, &m->p, SIZE);

	for (uint32_t i = 0; i < NSECTORS; i++) {
		uint32_t stamp = get_le32(got + i * SECTOR);

		if (stamp >= m->safe[i] && stamp > 0)
			continue;
		/* Zeros: never written, or zeroed since. */
		if (stamp == 0 &&
		    (m->safe[i] == 0 || m->zeroed[i] >= m->safe[i]))
			continue;
		fail_msg("seed %#lx: sector %u (block %u) holds %u; a flush "
			 "promised %u",
		    (unsigned long)m->seed, i, i * SECTOR / 32768, stamp,
		    m->safe[i]);
	}
	free(got);
}

static void
run(uint64_t seed)
{
	struct crash *m = calloc(1, sizeof(*m));
	struct err e = ERR_INIT;

	assert_non_null(m);
	m->seed = m->rnd = seed;
	env_init(&m->env);
	m->env.seed = seed;
	m->env.mem.needs_sync = true;
	m->env.delay = (struct delay_config){.min_ns = 100 * NS_PER_US,
	    .max_ns = 30 * NS_PER_MS, .seed = seed};
	volume_params_init(&m->p);
	m->p.layout.size = SIZE;
	m->p.layout.block_size = 32768;
	m->p.layout.create = true;
	m->p.cache.size = 1 << 20;
	m->p.cache.write_delay_ns = 20 * NS_PER_MS;
	m->p.cache.uploads = 8;
	m->v = env_open(&m->env, &m->p);
	assert_int_equal(volume_flush_wait(m->v, &e), 0);
	for (int i = 0; !m->stop && i < 5000; i++) {
		start(m);
		while (m->busy > rnd_below(&m->rnd, DEPTH)) {
			m->idle = false;
			loop_run_until(m->env.loop, &m->idle);
		}
	}
	/* Acknowledge what is in flight, upload no more, pull the plug. */
	while (m->busy > 0) {
		m->idle = false;
		loop_run_until(m->env.loop, &m->idle);
	}
	volume_close(m->v, true, &e);
	mem_data_crash(m->env.data, seed);
	check(m);
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
