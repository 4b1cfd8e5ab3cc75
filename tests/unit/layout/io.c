/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that are not as they should be, or not as the volume would write them;
 * many at once with a worker pool; and a survey while blocks are written.
 */
#include "config.h"

#include "base/stat.h"
#include "loop/work.h"
#include "store/delay.h"
#include "store/stat.h"
#include "unit/layout/util.h"

/* Put an object as anybody could. */
static void
put_object(struct env *v, const char *key, const void *p, size_t n,
    const char *encoding)
{
	struct meta *m = meta_new();
	struct buf *b = buf_new(n + 1);
	struct store_req r;

	memcpy(b->data, p, n);
	b->len = n;
	if (encoding != NULL)
		assert_int_equal(
		    meta_add(m, "content-encoding", encoding), 0);
	store_req_init(&r, STORE_PUT, key);
	r.body = b;
	r.meta = m;
	assert_int_equal(store_run(v->store, &r, NULL), 0);
	store_req_fini(&r);
	meta_unref(m);
	buf_unref(b);
}

/* What an object of block 7 may be, and what a reader is told. */
static void
test_bad_objects(void **state)
{
	static const struct {
		size_t len;
		const char *encoding, *word;
	} v[] = {{BS - 1, NULL, "4095 bytes"}, {BS + 1, NULL, "4097 bytes"},
	    {0, NULL, "0 bytes"}, {10 * BS, NULL, "longer than"},
	    {BS, "deflate", "damaged"}, {BS, "br", "br is unknown"},
	    {BS, "encrypt-AES-256-CBC", "without a password"},
	    {BS, "a, b, c, d, e, f, g, h, i", "layers"}};
	uint8_t *bytes = calloc(10, BS);

	for (unsigned i = 0; i < sizeof(v) / sizeof(*v); i++)
		for (int coded = 0; coded < 2; coded++) {
			struct layout_params p = params_new(100);
			struct err e = ERR_INIT;
			struct layout *l;
			struct env env;

			env_init(&env, NULL);
			p.compress = coded ? "zstd" : "none";
			p.survey = false; /* it may have seen nothing there */
			l = env_open(&env, &p, 0);
			put_object(&env, key_of(7, false), bytes, v[i].len,
			    v[i].encoding);
			assert_int_equal(read_part(&env, l, 7, 512, 512, NULL,
					     &e), -EBADMSG);
			if (strstr(e.text, v[i].word) == NULL ||
			    strstr(e.text, "v/00000007") == NULL ||
			    strstr(e.text, "block 7") == NULL)
				fail_msg("%s: %s", v[i].word, e.text);
			err_clear(&e);
			assert_int_equal(
			    read_part(&env, l, 7, 0, BS, NULL, &e), -EBADMSG);
			assert_non_null(strstr(e.text, v[i].word));
			env_close(l);
			env_fini(&env);
		}
	free(bytes);
}

/* An overlong header is an error of one block. */
static void
test_long_header(void **state)
{
	struct layout_params p = params_new(100);
	char *name = malloc(8001);
	struct layout *l;
	struct env v;

	env_init(&v, NULL);
	p.survey = false;
	l = env_open(&v, &p, 0);
	memset(name, 'x', 8000);
	name[8000] = '\0';
	put_object(&v, key_of(7, false), name, 100, name);
	assert_int_equal(read_part(&v, l, 7, 0, BS, NULL,
			     &(struct err)ERR_INIT), -EBADMSG);
	assert_int_equal(read_fill(&v, l, 8), 0);
	assert_int_equal(write_fill(&v, l, 7, 'x'), 0);
	assert_int_equal(read_fill(&v, l, 7), 'x');
	env_close(l);
	env_fini(&v);
	free(name);
}

/* A volume that was once written with compression, and then without. */
static void
test_mixed(void **state)
{
	struct layout_params p = params_new(100), q = params_open();
	struct layout *l;
	struct env v;

	for (int no_range = 0; no_range < 2; no_range++) {
		env_init(&v, &(struct mem_config){.no_range = no_range});
		p.compress = "zstd";
		l = env_open(&v, &p, 0);
		assert_int_equal(write_fill(&v, l, 1, 'z'), 0);
		env_close(l);
		q.compress = "none";
		q.recompress = true;
		l = env_open(&v, &q, 0);
		assert_int_equal(layout_info(l)->part_reads, !no_range);
		assert_int_equal(write_fill(&v, l, 2, 'p'), 0);
		for (uint32_t off = 0; off < BS; off += 1024) {
			assert_int_equal(
			    read_part(&v, l, 1, off, 1024, NULL, NULL), 'z');
			assert_int_equal(
			    read_part(&v, l, 2, off, 1024, NULL, NULL), 'p');
		}
		assert_int_equal(read_fill(&v, l, 1), 'z');
		env_close(l);
		env_fini(&v);
	}
}

/* Y1: what we know to be there does not turn into zeros. */
static void
test_gone(void **state)
{
	struct layout_params p = params_new(100);
	struct err e = ERR_INIT;
	struct layout *l;
	struct env v;
	struct store_req r;

	env_init(&v, NULL);
	l = env_open(&v, &p, 0);
	assert_int_equal(write_fill(&v, l, 7, 'x'), 0);
	store_req_init(&r, STORE_DELETE, key_of(7, false));
	assert_int_equal(store_run(v.store, &r, NULL), 0);
	store_req_fini(&r);
	assert_int_equal(
	    read_part(&v, l, 7, 0, BS, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "gone"));
	assert_int_equal(write_fill(&v, l, 7, 'y'), 0);
	assert_int_equal(read_fill(&v, l, 7), 'y');
	env_close(l);
	env_fini(&v);
}

/* Y3, counted. */
static void
test_costs(void **state)
{
	static struct stat_set st;
	struct layout_params p = params_new(1 << 20);
	struct layout *l;
	struct env v;
	uint64_t n;

	memset(&st, 0, sizeof(st));
	env_init(&v, NULL);
	assert_int_equal(stat_store_new(v.store, &st, &v.store, NULL), 0);
	l = env_open(&v, &p, 0);
	survey(l);
	n = stat_get(&st, STAT_STORE_GETS) + stat_get(&st, STAT_STORE_DELETES) +
	    stat_get(&st, STAT_STORE_BATCHES) + stat_get(&st, STAT_STORE_LISTS);
	for (uint64_t b = 0; b < 50; b++) {
		assert_int_equal(read_fill(&v, l, b * 1000), 0);
		assert_int_equal(write_fill(&v, l, b * 1000, 0), 0);
		assert_int_equal(erase(&v, l, b * 1000, 1000), 0);
	}
	assert_int_equal(erase(&v, l, 0, 1 << 20), 0);
	assert_int_equal(n,
	    stat_get(&st, STAT_STORE_GETS) + stat_get(&st, STAT_STORE_DELETES) +
		stat_get(&st, STAT_STORE_BATCHES) +
		stat_get(&st, STAT_STORE_LISTS));
	env_close(l);
	env_fini(&v);
}

/* --- many at once ------------------------------------------------------------- */

#define MANY 64
#define BIG (64u << 10)

struct many {
	unsigned left;
	bool done;
	struct layout_req r[MANY];
};

static void
many_done(struct layout_req *r)
{
	struct many *m = r->arg;

	if (r->rc != 0)
		fail_msg("%s", r->err.text);
	m->done = --m->left == 0;
}

static void
many_run(struct env *v, struct layout *l, struct many *m, enum layout_op op)
{
	m->left = MANY;
	m->done = false;
	for (unsigned i = 0; i < MANY; i++) {
		struct layout_req *r = &m->r[i];
		struct buf *b = r->data;

		*r = (struct layout_req){.op = op, .prio = STORE_PRIO_WRITE,
		    .block = i * 3, .len = op == LAYOUT_READ ? BIG : 0,
		    .data = b, .done = many_done, .arg = m};
		layout_submit(l, r);
	}
	assert_int_equal(loop_run_until(v->loop, &m->done), 0);
}

static void
test_pool(void **state)
{
	static struct many m;
	struct work_pool *pool = work_pool_new(3, NULL);
	struct layout_params p = params_new(1000);
	struct layout *l;
	struct env v;

	assert_non_null(pool);
	p.block_size = BIG;
	p.size = (uint64_t)BIG * 1000;
	p.compress = "zstd";
	p.password = "pw";
	v.loop = loop_new(NULL); /* real time: there are real threads */
	v.data = mem_data_new();
	env_store(&v, NULL);
	assert_int_equal(
	    layout_open(v.store, "v/", "b", &p, pool, NULL, &l, NULL), 0);
	for (unsigned i = 0; i < MANY; i++)
		m.r[i].data = block_buf(BIG, (int)i + 1);
	many_run(&v, l, &m, LAYOUT_WRITE);
	for (unsigned i = 0; i < MANY; i++)
		memset(m.r[i].data->data, 0, BIG);
	many_run(&v, l, &m, LAYOUT_READ);
	for (unsigned i = 0; i < MANY; i++) {
		for (unsigned j = 0; j < BIG; j++)
			if (m.r[i].data->data[j] != i + 1)
				fail_msg("block %u byte %u", i * 3, j);
		buf_unref(m.r[i].data);
	}
	env_close(l);
	env_fini(&v);
	work_pool_free(pool);
}

/* --- the survey ------------------------------------------------------------------ */

/*
 * Blocks are written and erased while it runs, over a store that takes random
 * times.  When it is through, the map is exact.
 */
static void
survey_race(uint64_t seed, bool hashed)
{
	enum { NB = 600 };
	struct layout_params p = params_new(NB);
	struct mem_config conf = {.max_keys = 7};
	uint8_t model[NB] = {0};
	struct layout *l;
	struct env v;
	uint64_t x = seed;

	env_init(&v, &conf);
	p.hash_prefix = hashed;
	l = env_open(&v, &p, 0);
	for (unsigned i = 0; i < NB; i += 2 + (unsigned)(seed % 3)) {
		assert_int_equal(write_fill(&v, l, i, 1), 0);
		model[i] = 1;
	}
	env_close(l);
	assert_int_equal(delay_store_new(v.store,
			     &(struct delay_config){.min_ns = 1000,
				 .max_ns = 100000, .seed = seed},
			     &v.store, NULL), 0);
	l = env_open(&v, &p, 0);
	for (int i = 0; i < 120; i++) {
		uint32_t b;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		b = (uint32_t)(x >> 40) % NB;
		model[b] = (uint8_t)(x >> 33) & 1;
		if (x >> 34 & 1 && model[b] == 0)
			assert_int_equal(erase(&v, l, b, 1), 0);
		else
			assert_int_equal(write_fill(&v, l, b, model[b]), 0);
	}
	survey(l);
	for (uint32_t b = 0; b < NB; b++)
		if (layout_present(l, b) !=
		    (model[b] ? PRESENT_YES : PRESENT_NO))
			fail_msg("seed %d: block %u", (int)seed, b);
	env_close(l);
	env_fini(&v);
}

static void
test_survey_race(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++)
		survey_race(seed, seed % 2);
}

/* Names of others, and blocks beyond the end. */
static void
test_survey_foreign(void **state)
{
	struct mem_config conf = {.max_keys = 5};
	struct layout_params p = params_new(100);
	struct layout *l;
	struct env v;
	char key[64];

	env_init(&v, &conf);
	for (int i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "v/backup/%08x", i);
		put_object(&v, key, "x", 1, NULL);
		snprintf(key, sizeof(key), "v/00000050x%d", i);
		put_object(&v, key, "x", 1, NULL);
	}
	put_object(&v, "v/0000ABCD", "x", 1, NULL);
	l = env_open(&v, &p, 0);
	for (uint64_t b = 0; b < 100; b += 3)
		assert_int_equal(write_fill(&v, l, b, 'f'), 0);
	env_close(l);
	put_object(&v, "v/00000064", "x", 1, NULL);
	put_object(&v, "v/fffffffe", "x", 1, NULL);
	l = env_open(&v, &p, 0);
	survey(l);
	assert_int_equal(layout_count_present(l), 34);
	for (uint64_t b = 0; b < 100; b++)
		assert_int_equal(layout_present(l, b),
		    b % 3 == 0 ? PRESENT_YES : PRESENT_NO);
	env_close(l);
	env_fini(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_objects),
	    cmocka_unit_test(test_long_header),
	    cmocka_unit_test(test_mixed),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_costs),
	    cmocka_unit_test(test_pool),
	    cmocka_unit_test(test_survey_race),
	    cmocka_unit_test(test_survey_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
