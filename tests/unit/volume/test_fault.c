/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume when the n'th allocation fails, and when the n'th request of the
 * store does: a clean error or success, nothing that was acknowledged lost,
 * nothing leaked.
 */
#include "lib/fault.h"
#include "tests/unit/volume/util.h"

#define SIZE (1u << 20)
#define BLOCK 16384u

static uint8_t want[SIZE];

struct run {
	struct volume *v;
	uint8_t *got;
	int rc;
	struct err e;
};

static void
keep(struct run *r, int rc)
{
	if (rc < 0 && r->rc == 0)
		r->rc = rc;
}

/* Write what rc says was acknowledged into want. */
static void
put(struct run *r, uint64_t off, uint64_t len, uint8_t fill)
{
	static uint8_t p[SIZE];
	int rc;

	memset(p, fill, len);
	rc = fill ? volume_write_wait(r->v, off, p, len, &r->e)
		  : volume_zero_wait(r->v, off, len, &r->e);
	if (rc == 0)
		memset(want + off, fill, len);
	else
		memset(want + off, 0xee, len); /* not known */
	keep(r, rc);
}

static void
look(struct run *r, uint64_t off, uint64_t len)
{
	int rc = volume_read_wait(r->v, off, r->got, len, &r->e);

	keep(r, rc);
	for (uint64_t i = 0; rc == 0 && i < len; i++)
		if (want[off + i] != 0xee)
			assert_int_equal(r->got[i], want[off + i]);
}

static void
use(struct run *r)
{
	put(r, 0, 5 * BLOCK, 1);
	put(r, 100, 700, 2);
	keep(r, volume_flush_wait(r->v, &r->e));
	cache_drop_clean(volume_cache(r->v));
	put(r, 3 * BLOCK + 77, 1000, 3);
	put(r, 20 * BLOCK, 30000, 4);
	look(r, 0, SIZE / 2);
	put(r, BLOCK / 2, 3 * BLOCK, 0);
	keep(r, volume_flush_wait(r->v, &r->e));
	cache_drop_clean(volume_cache(r->v));
	look(r, 0, SIZE);
}

static void
params(struct volume_params *p)
{
	volume_params_init(p);
	p->layout.size = SIZE;
	p->layout.block_size = BLOCK;
	p->layout.create = true;
	p->layout.lease = LEASE_WRITER;
	p->cache.size = 1 << 20;
}

/* What the store says, after all that failed was tried again. */
static void
end(struct run *r)
{
	struct err e = ERR_INIT;

	if (volume_flush_wait(r->v, &e) == 0) {
		cache_drop_clean(volume_cache(r->v));
		look(r, 0, SIZE);
	}
	keep(r, volume_close(r->v, true, &e));
}

/* --- memory -------------------------------------------------------------------- */

static int
with_memory(void *arg)
{
	struct store_env env = {.loop = arg};
	struct volume_params p;
	struct run r = {.rc = 0};
	struct store *s;

	memset(want, 0, sizeof(want));
	r.got = malloc(SIZE);
	if (!r.got)
		return -ENOMEM;
	params(&p);
	r.rc = mem_store_open(env.loop, "t", NULL, NULL, &s, &r.e);
	if (r.rc == 0)
		r.rc = volume_open_store(
		    &env, s, "v/", "bucket", &p, &r.v, &r.e);
	if (r.rc == 0) {
		use(&r);
		end(&r);
	}
	free(r.got);
	return r.rc;
}

static void
each_allocation(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new_virtual(&e);

	/* Some are done without, or tried again. */
	assert_true(fault_each_malloc_tolerant(with_memory, l) > 10);
	loop_free(l);
}

/* --- the store ------------------------------------------------------------------- */

static void
with_rule(const struct fault_rule *rule, bool *hit)
{
	struct env v;
	struct volume_params p;
	struct run r = {.rc = 0};
	struct fault_state st;
	struct store *s;

	memset(want, 0, sizeof(want));
	env_init(&v);
	r.got = malloc(SIZE);
	assert_non_null(r.got);
	params(&p);
	/* No retry filter: the cache has to bear it. */
	assert_int_equal(
	    mem_store_open(v.loop, "t", v.data, NULL, &s, &r.e), 0);
	assert_int_equal(fault_store_new(s, 1, &s, &r.e), 0);
	v.fault = s;
	assert_int_equal(volume_open_store(
			     &v.senv, s, "v/", "bucket", &p, &r.v, &r.e),
	    0);
	assert_int_equal(fault_add(v.fault, rule), 0);
	use(&r);
	fault_state(v.fault, &st);
	*hit = st.hits > 0;
	if (r.rc < 0)
		assert_int_equal(r.rc, rule->rc);
	fault_clear(v.fault);
	/* Whatever it was: now all of it is there. */
	r.rc = 0;
	end(&r);
	assert_int_equal(r.rc, 0);
	free(r.got);
	env_fini(&v);
}

static void
each_request(void **state)
{
	static const int rcs[] = {-EACCES, -EAGAIN, -EIO};

	for (unsigned i = 0; i < sizeof(rcs) / sizeof(rcs[0]); i++) {
		bool hit = true;
		unsigned n;

		for (n = 0; hit; n++) {
			struct fault_rule rule = {
			    .skip = n, .times = 1, .rc = rcs[i]};

			with_rule(&rule, &hit);
		}
		assert_true(n > 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_allocation),
	    cmocka_unit_test(each_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
