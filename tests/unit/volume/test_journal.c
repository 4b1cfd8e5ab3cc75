/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume with a journal on a simulated disk, over a simulated store that is
 * slow, busy (503), loses answers to what it has done, and does some of it late:
 * the power fails again and again, in recovery too, and takes with it what the
 * store had not synced and any part of what the disk had not flushed.
 *
 * After each failure the volume is opened again.  Each sector must hold what
 * it held when the last FLUSH that succeeded was submitted, or something newer.
 * In the end the volume is closed in order, and what the bucket holds must be
 * what the volume held, byte for byte.
 *
 * PAIL_SEED=... runs one seed alone.
 */
#include "tests/unit/volume/util.h"

#include "base/byteorder.h"
#include "base/log.h"
#include "journal/journal.h"
#include "lib/simdisk.h"
#include "raw/rdev.h"

#define SECTOR 512u
#define SIZE (1u << 20)
#define BLOCK 32768u
#define NSECTORS (SIZE / SECTOR)
#define DEPTH 12
#define NSEEDS 24
#define LIVES 4

struct flight {
	struct volume_req r;
	struct host *m;
	bool busy;
	uint32_t stamp;
	uint32_t at_submit[NSECTORS]; /* FLUSH: what was acknowledged */
	uint8_t buf[65536];
};

struct host {
	struct env env;
	struct simworld w;
	struct simdisk *disk;
	struct volume_params p;
	struct volume *v;
	uint64_t seed, rnd;
	uint32_t stamp;
	uint32_t acked[NSECTORS];
	uint32_t zeroed[NSECTORS];
	uint32_t safe[NSECTORS]; /* what flushes have promised */
	unsigned busy, flushes;
	bool stop, idle;
	struct flight f[DEPTH];
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

static void
done(struct volume_req *r)
{
	struct flight *f = r->arg;
	struct host *m = f->m;

	if (r->rc < 0 && !m->w.cut)
		fail_msg("seed %llu: %s", (unsigned long long)m->seed,
		    err_text(&r->err));
	if (r->op == VOLUME_FLUSH && r->rc == 0) {
		for (uint32_t i = 0; i < NSECTORS; i++)
			if (m->safe[i] < f->at_submit[i])
				m->safe[i] = f->at_submit[i];
		m->flushes++;
	} else if (r->rc == 0) {
		for (uint64_t i = 0; i < r->len / SECTOR; i++)
			m->acked[r->off / SECTOR + i] = f->stamp;
	}
	volume_req_fini(r);
	f->busy = false;
	m->busy--;
	m->idle = true;
}

static bool
clashes(const struct host *m, const struct volume_req *r)
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
start(struct host *m)
{
	uint64_t kind = rnd_below(&m->rnd, 100), n;
	struct flight *f = m->f;

	while (f->busy)
		f++;
	memset(&f->r, 0, sizeof(f->r));
	f->m = m;
	f->r.arg = f;
	f->r.done = done;
	f->r.op = kind < 15 ? VOLUME_FLUSH :
	    kind < 25	    ? VOLUME_ZERO :
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
check(struct host *m, const uint8_t *got)
{
	for (uint32_t i = 0; i < NSECTORS; i++) {
		uint32_t stamp = get_le32(got + i * SECTOR);

		if (stamp >= m->safe[i] && stamp > 0)
			continue;
		if (stamp == 0 &&
		    (m->safe[i] == 0 || m->zeroed[i] >= m->safe[i]))
			continue;
		fail_msg("seed %llu: sector %u (block %u) holds %u; a flush "
			 "promised %u", (unsigned long long)m->seed, i,
		    i * SECTOR / BLOCK, stamp, m->safe[i]);
	}
}

/* What was acknowledged and is lost counts no more; what was found is safe. */
static void
begin_with(struct host *m, const uint8_t *got)
{
	for (uint32_t i = 0; i < NSECTORS; i++)
		m->acked[i] = m->safe[i] = get_le32(got + i * SECTOR);
}

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
	q.journal.force = true;
	rc = volume_open_store(&m->env.senv, env_store(&m->env), "v/",
	    "bucket", &q, &m->v, &e);
	if (rc < 0 && !m->w.cut)
		fail_msg("seed %llu: open: %s", (unsigned long long)m->seed,
		    err_text(&e));
	if (rc < 0)
		m->v = NULL;
	return rc == 0;
}

static void
power_failure(struct host *m)
{
	static const enum sim_keep how[] = {
	    SIM_KEEP_NONE, SIM_KEEP_ALL, SIM_KEEP_SOME, SIM_KEEP_TORN};

	m->w.cut = true;
	while (m->busy > 0) {
		m->idle = false;
		loop_run_until(m->env.loop, &m->idle);
	}
	if (m->v)
		volume_close(m->v, true, NULL);
	m->v = NULL;
	simdisk_settle(m->disk, how[sim_random(&m->w, 4)]);
	mem_data_crash(m->env.data, m->rnd);
}

static void
live(struct host *m)
{
	for (int i = 0; i < 3000 && !m->w.cut; i++) {
		start(m);
		while (m->busy > rnd_below(&m->rnd, DEPTH)) {
			m->idle = false;
			loop_run_until(m->env.loop, &m->idle);
		}
	}
}

static uint8_t *
read_all(struct host *m)
{
	uint8_t *got = malloc(SIZE);
	struct err e = ERR_INIT;

	assert_non_null(got);
	for (uint32_t at = 0; at < SIZE; at += SIZE / 16)
		if (volume_read_wait(m->v, at, got + at, SIZE / 16, &e) < 0)
			fail_msg("read: %s", err_text(&e));
	return got;
}

static void
run(uint64_t seed)
{
	struct host *m = calloc(1, sizeof(*m));
	struct err e = ERR_INIT;
	uint8_t *held, *bucket;

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
	volume_params_init(&m->p);
	m->p.layout.size = SIZE;
	m->p.layout.block_size = BLOCK;
	m->p.layout.create = true;
	m->p.layout.lease = LEASE_FORCE;
	m->p.cache.size = 1 << 20;
	m->p.cache.write_delay_ns = 20 * NS_PER_MS;
	m->p.cache.uploads = 8;
	for (int i = 0; i < LIVES; i++) {
		m->w.cut = false;
		m->w.cut_at = m->w.ops + 1 +
		    rnd_below(&m->rnd, rnd_below(&m->rnd, 4) ? 2000 : 40);
		if (switch_on(m)) {
			held = read_all(m);
			if (!m->w.cut) {
				check(m, held);
				begin_with(m, held);
			}
			free(held);
			live(m);
		}
		power_failure(m);
	}
	m->w.cut = false;
	m->w.cut_at = 0;
	assert_true(switch_on(m));
	held = read_all(m);
	check(m, held);
	if (volume_close(m->v, false, &e) < 0)
		fail_msg("close: %s", err_text(&e));
	m->env.nfaults = 0;
	mem_data_crash(m->env.data, seed);
	bucket = env_look(&m->env, &m->p, SIZE);
	assert_memory_equal(held, bucket, SIZE);
	assert_true(m->flushes > 0);
	free(held);
	free(bucket);
	simdisk_free(m->disk);
	env_fini(&m->env);
	free(m);
}

static void
test_power_failures(void **state)
{
	if (getenv("PAIL_SEED")) {
		run(first_seed(1));
		return;
	}
	for (uint64_t i = 0; i < NSEEDS; i++)
		run(1 + i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_power_failures),
	};

	log_open("test", getenv("PAIL_VERBOSE") ? LOG_LVL_DEBUG : LOG_LVL_ERROR,
	    false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
