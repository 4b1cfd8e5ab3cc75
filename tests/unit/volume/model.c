/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume against a plain array: random reads, writes, zeroings and flushes
 * of any size and alignment, many in flight, over a store that takes its time.
 * Only those that overlap are kept apart, as the order of such is open.
 *
 * After each flush with nothing else in flight somebody who has just come sees
 * in the store what the array holds.
 *
 * A seed that fails is printed; PAIL_SEED=... runs that one alone.
 */
#include "tests/unit/volume/util.h"

#define DEPTH 24

struct shape {
	uint64_t size;
	uint32_t block_size;
	uint64_t cache;
	uint64_t max_len;
	int64_t write_delay_ns;
	unsigned uploads;
	bool whole_reads; /* compressed: no part of a block can be read */
	bool faulty;
};

/* What a bad network does, all of it passing. */
static const struct fault_rule faults[] = {
    {.ops = 1 << STORE_GET, .permille = 20, .rc = -EAGAIN},
    {.ops = 1 << STORE_GET, .permille = 10, .rc = -EPIPE},
    {.ops = 1 << STORE_PUT, .permille = 20, .rc = -EAGAIN},
    {.ops = 1 << STORE_PUT, .permille = 20, .kind = FAULT_LOST},
    {.ops = 1 << STORE_DELETE | 1 << STORE_BATCH, .permille = 40,
	.kind = FAULT_LOST},
    {.ops = 1 << STORE_PUT, .permille = 5, .kind = FAULT_LATE,
	.late_ns = 2 * NS_PER_S},
    {.ops = 1 << STORE_SYNC, .permille = 50, .rc = -EAGAIN},
};

struct flight {
	struct volume_req r;
	struct model *m;
	bool busy;
	uint8_t *buf;
};

struct model {
	struct env env;
	struct volume_params p;
	struct volume *v;
	const struct shape *shape;
	uint64_t seed, rnd;
	uint8_t *want;
	struct flight f[DEPTH];
	unsigned busy;
	uint64_t nops;
	bool idle;
};

/* A read may be of a quarter of the cache. */
static uint64_t
max_read(const struct shape *s)
{
	return s->cache / 4 - s->block_size;
}

static bool
clashes(const struct model *m, enum volume_op op, uint64_t off, uint64_t len)
{
	for (int i = 0; i < DEPTH; i++) {
		const struct volume_req *r = &m->f[i].r;

		if (!m->f[i].busy || (op == VOLUME_READ && r->op == op))
			continue;
		if (r->off < off + len && off < r->off + r->len)
			return true;
	}
	return false;
}

static void
done(struct volume_req *r)
{
	struct flight *f = r->arg;
	struct model *m = f->m;
	uint64_t at = r->off;

	if (r->rc < 0)
		fail_msg("seed %#lx op %lu: %s", (unsigned long)m->seed,
		    (unsigned long)m->nops, err_text(&r->err));
	if (r->op == VOLUME_WRITE)
		memcpy(m->want + r->off, f->buf, r->len);
	else if (r->op == VOLUME_ZERO)
		memset(m->want + r->off, 0, r->len);
	for (unsigned i = 0; i < r->niov; i++) {
		if (memcmp(m->want + at, r->iov[i].iov_base,
			r->iov[i].iov_len) != 0)
			fail_msg("seed %#lx op %lu: read at %lu of %lu: "
				 "wrong bytes in [%lu, +%lu)",
			    (unsigned long)m->seed, (unsigned long)m->nops,
			    (unsigned long)r->off, (unsigned long)r->len,
			    (unsigned long)at,
			    (unsigned long)r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
	if (r->op == VOLUME_READ)
		assert_int_equal(at, r->off + r->len);
	volume_req_fini(r);
	free(f->buf);
	f->buf = NULL;
	f->busy = false;
	m->busy--;
	m->idle = true;
}

static void
choose(struct model *m, uint64_t *off, uint64_t *len)
{
	const struct shape *s = m->shape;
	uint64_t unit = 1;

	switch (rnd_below(&m->rnd, 4)) {
	case 0:
		break;
	case 1:
		unit = 512;
		break;
	case 2:
		unit = 4096;
		break;
	case 3:
		unit = s->block_size;
		break;
	}
	*off = rnd_below(&m->rnd, s->size / unit) * unit;
	*len = (1 + rnd_below(&m->rnd, 1 + s->max_len / unit)) * unit;
	if (rnd_below(&m->rnd, 3) == 0)
		*len = unit;
	if (*len > s->size - *off)
		*len = s->size - *off;
}

static void
start(struct model *m)
{
	uint64_t kind = rnd_below(&m->rnd, 100), off, len;
	enum volume_op op = VOLUME_READ;
	struct flight *f = m->f;

	while (f->busy)
		f++;
	choose(m, &off, &len);
	if (kind < 45)
		op = VOLUME_WRITE;
	else if (kind < 53)
		op = VOLUME_ZERO;
	else if (kind < 55)
		op = VOLUME_FLUSH;
	if (op == VOLUME_FLUSH)
		off = len = 0;
	if (clashes(m, op, off, len))
		return;
	if (op == VOLUME_READ && len > max_read(m->shape))
		len = max_read(m->shape);
	memset(&f->r, 0, sizeof(f->r));
	f->m = m;
	f->r.op = op;
	f->r.off = off;
	f->r.len = len;
	f->r.done = done;
	f->r.arg = f;
	f->r.fua = op != VOLUME_READ && rnd_below(&m->rnd, 50) == 0;
	if (op == VOLUME_WRITE) {
		f->buf = malloc(len);
		assert_non_null(f->buf);
		if (rnd_below(&m->rnd, 8) == 0)
			memset(f->buf, 0, len);
		else
			for (uint64_t i = 0; i < len; i++)
				f->buf[i] = (uint8_t)(m->rnd + i * 7 + i / 256);
		f->r.src = f->buf;
	}
	f->busy = true;
	m->busy++;
	m->nops++;
	volume_submit(m->v, &f->r);
}

static void
wait_below(struct model *m, unsigned n)
{
	while (m->busy >= n) {
		m->idle = false;
		loop_run_until(m->env.loop, &m->idle);
	}
}

static void
check_store(struct model *m)
{
	struct err e = ERR_INIT;
	uint8_t *got;

	wait_below(m, 1);
	if (volume_flush_wait(m->v, &e) < 0)
		fail_msg("seed %#lx: flush: %s", (unsigned long)m->seed,
		    err_text(&e));
	got = env_look(&m->env, &m->p, m->shape->size);
	for (uint64_t i = 0; i < m->shape->size; i++)
		if (got[i] != m->want[i])
			fail_msg("seed %#lx op %lu: byte %lu in the store is "
				 "%02x instead of %02x",
			    (unsigned long)m->seed, (unsigned long)m->nops,
			    (unsigned long)i, got[i], m->want[i]);
	free(got);
}

static void
model_open(struct model *m)
{
	const struct shape *s = m->shape;

	volume_params_init(&m->p);
	m->p.layout.size = s->size;
	m->p.layout.block_size = s->block_size;
	m->p.layout.create = true;
	m->p.layout.lease = LEASE_WRITER;
	m->p.layout.compress = s->whole_reads ? "deflate" : NULL;
	m->p.cache.size = s->cache;
	m->p.cache.write_delay_ns = s->write_delay_ns;
	m->p.cache.uploads = s->uploads;
	m->v = env_open(&m->env, &m->p);
}

static void
model_run(const struct shape *s, uint64_t seed, uint64_t nops)
{
	struct model m = {.shape = s, .seed = seed, .rnd = seed};

	env_init(&m.env);
	m.env.delay = (struct delay_config){.min_ns = 100 * NS_PER_US,
	    .max_ns = 30 * NS_PER_MS, .seed = seed};
	m.env.seed = seed;
	if (s->faulty) {
		m.env.faults = faults;
		m.env.nfaults = sizeof(faults) / sizeof(faults[0]);
	}
	m.want = calloc(1, s->size);
	assert_non_null(m.want);
	model_open(&m);
	while (m.nops < nops) {
		start(&m);
		wait_below(&m, 1 + (unsigned)rnd_below(&m.rnd, DEPTH));
		if (rnd_below(&m.rnd, 1200) == 0)
			check_store(&m);
		if (rnd_below(&m.rnd, 500) == 0)
			cache_drop_clean(volume_cache(m.v));
		if (rnd_below(&m.rnd, 1500) == 0) {
			wait_below(&m, 1);
			env_close(m.v);
			model_open(&m);
		}
	}
	check_store(&m);
	env_close(m.v);
	free(m.want);
	env_fini(&m.env);
}

static void
run_shape(const struct shape *s, unsigned nseeds, uint64_t nops)
{
	if (getenv("PAIL_SEED")) {
		model_run(s, first_seed(1), nops);
		return;
	}
	for (unsigned i = 0; i < nseeds; i++)
		model_run(s, 0x1234567 + i, nops);
}

static void
small_blocks(void **state)
{
	static const struct shape s = {.size = 3 << 20, .block_size = 4096,
	    .cache = 1 << 20, .max_len = 100000,
	    .write_delay_ns = 50 * NS_PER_MS, .uploads = 16};

	run_shape(&s, 4, 5000);
}

static void
default_blocks(void **state)
{
	static const struct shape s = {.size = 6 << 20, .block_size = 131072,
	    .cache = 2 << 20, .max_len = 400000,
	    .write_delay_ns = 200 * NS_PER_MS, .uploads = 8};

	run_shape(&s, 6, 5000);
}

static void
one_upload(void **state)
{
	static const struct shape s = {.size = 3 << 20, .block_size = 65536,
	    .cache = 1 << 20, .max_len = 200000, .write_delay_ns = 0,
	    .uploads = 1};

	run_shape(&s, 4, 4000);
}

static void
roomy(void **state)
{
	static const struct shape s = {.size = 4 << 20, .block_size = 32768,
	    .cache = 64 << 20, .max_len = 150000,
	    .write_delay_ns = 2 * NS_PER_S, .uploads = 64};

	run_shape(&s, 4, 5000);
}

static void
compressed(void **state)
{
	static const struct shape s = {.size = 2 << 20, .block_size = 16384,
	    .cache = 1 << 20, .max_len = 60000,
	    .write_delay_ns = 20 * NS_PER_MS, .uploads = 8,
	    .whole_reads = true};

	run_shape(&s, 2, 2500);
}

static void
faulty(void **state)
{
	static const struct shape s = {.size = 3 << 20, .block_size = 32768,
	    .cache = 1 << 20, .max_len = 150000,
	    .write_delay_ns = 100 * NS_PER_MS, .uploads = 16, .faulty = true};

	run_shape(&s, 4, 4000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_blocks),
	    cmocka_unit_test(default_blocks),
	    cmocka_unit_test(one_upload),
	    cmocka_unit_test(roomy),
	    cmocka_unit_test(compressed),
	    cmocka_unit_test(faulty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
