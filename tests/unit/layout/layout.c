/* SPDX-License-Identifier: Apache-2.0 */
/* A volume over a store in memory: reading, writing, erasing, listing. */
#include "config.h"

#include "base/stat.h"
#include "unit/layout/util.h"

static void
test_basic(void **state)
{
	struct env v;
	struct layout_params p = params_new(100);
	struct layout *l;
	bool zero;

	env_init(&v, NULL);
	l = env_open(&v, &p, 0);
	assert_int_equal(layout_info(l)->nblocks, 100);
	assert_int_equal(layout_info(l)->block_size, BS);
	assert_true(layout_info(l)->part_reads);
	assert_int_equal(read_fill(&v, l, 7), 0);
	assert_int_equal(write_fill(&v, l, 7, 'x'), 0);
	assert_int_equal(layout_present(l, 7), PRESENT_YES);
	assert_int_equal(read_fill(&v, l, 7), 'x');
	assert_int_equal(read_part(&v, l, 7, 1024, 512, &zero, NULL), 'x');
	assert_false(zero);
	survey(l);
	assert_true(layout_survey_done(l));
	assert_int_equal(layout_count_present(l), 1);
	assert_int_equal(layout_next_present(l, 0), 7);
	assert_int_equal(layout_next_absent(l, 7), 8);
	/* Y2 */
	assert_true(object_there(&v, key_of(7, false)));
	assert_int_equal(write_fill(&v, l, 7, 0), 0);
	assert_false(object_there(&v, key_of(7, false)));
	assert_int_equal(layout_present(l, 7), PRESENT_NO);
	assert_int_equal(read_part(&v, l, 7, 0, 512, &zero, NULL), 0);
	assert_true(zero);
	env_close(l);

	/* And again, from what is in the store. */
	p = params_open();
	l = env_open(&v, &p, 0);
	assert_int_equal(layout_info(l)->nblocks, 100);
	env_close(l);
	env_fini(&v);
}

/* Every kind of volume keeps its contents over being opened again. */
static void
test_kinds(void **state)
{
	static const char *const comps[] = {"none", "deflate", "zstd"};

	for (int i = 0; i < 3 * 2 * 2 * 2; i++) {
		struct env v;
		struct layout_params p = params_new(5000), q = params_open();
		struct layout *l;
		bool hashed = i / 3 % 2, crypt = i / 6 % 2, plain = i / 12;

		p.compress = comps[i % 3];
		p.hash_prefix = hashed;
		p.plain_s3backer = plain;
		if (crypt) {
			p.cipher = "aes-256-cbc";
			p.password = q.password = "hunter2";
		}
		env_init(&v, NULL);
		l = env_open(&v, &p, 0);
		for (int b = 0; b < 40; b++)
			assert_int_equal(
			    write_fill(&v, l, (uint64_t)b * 111, b + 1), 0);
		env_close(l);
		assert_int_equal(object_there(&v, "v/pail-volume"), !plain);
		assert_true(object_there(&v, key_of(111, hashed)));

		l = env_open(&v, &q, 0);
		survey(l);
		assert_int_equal(layout_count_present(l), 40);
		for (int b = 0; b < 40; b++) {
			uint64_t at = (uint64_t)b * 111;

			assert_int_equal(layout_present(l, at), PRESENT_YES);
			assert_int_equal(layout_present(l, at + 1), PRESENT_NO);
			assert_int_equal(read_fill(&v, l, at), b + 1);
			assert_int_equal(read_part(&v, l, at, 512, 1024, NULL,
					     NULL), b + 1);
		}
		env_close(l);
		env_fini(&v);
	}
}

static void
test_erase(void **state)
{
	static const struct mem_config confs[] = {{0}, {.no_batch = true},
	    {.max_batch = 7}, {.batch_deletes = true, .max_keys = 10}};

	for (unsigned i = 0; i < 4; i++) {
		struct env v;
		struct layout_params p = params_new(100000);
		struct layout *l;

		env_init(&v, &confs[i]);
		p.survey = i % 2; /* else it begins when it is needed */
		l = env_open(&v, &p, 0);
		for (uint64_t b = 0; b < 300; b++)
			assert_int_equal(write_fill(&v, l, b * 300, 'e'), 0);
		assert_int_equal(erase(&v, l, 301, 80000), 0);
		assert_true(layout_survey_done(l));
		for (uint64_t b = 0; b < 300; b++) {
			bool gone = b * 300 >= 301 && b * 300 < 80301;

			assert_int_equal(layout_present(l, b * 300),
			    gone ? PRESENT_NO : PRESENT_YES);
			assert_int_equal(object_there(&v,
					     key_of((uint32_t)(b * 300),
						 false)), !gone);
		}
		assert_int_equal(erase(&v, l, 0, 100000), 0);
		assert_int_equal(layout_count_present(l), 0);
		assert_int_equal(erase(&v, l, 0, 1), 0);
		env_close(l);
		assert_int_equal(mem_data_count(v.data), 1); /* descriptor */
		env_fini(&v);
	}
}

/* Without descriptor block 0 is kept, as it alone knows the size. */
static void
test_block0(void **state)
{
	struct env v;
	struct layout_params p = params_new(10), q = params_open();
	struct layout *l;

	p.plain_s3backer = true;
	env_init(&v, NULL);
	l = env_open(&v, &p, 0);
	assert_int_equal(mem_data_count(v.data), 2); /* and the lease */
	assert_int_equal(write_fill(&v, l, 0, 'a'), 0);
	assert_int_equal(write_fill(&v, l, 1, 'b'), 0);
	assert_int_equal(write_fill(&v, l, 0, 0), 0);
	assert_int_equal(read_fill(&v, l, 0), 0);
	assert_int_equal(erase(&v, l, 0, 10), 0);
	assert_int_equal(erase(&v, l, 0, 1), 0);
	env_close(l);
	assert_int_equal(mem_data_count(v.data), 1);
	l = env_open(&v, &q, 0);
	assert_int_equal(layout_info(l)->nblocks, 10);
	assert_int_equal(read_fill(&v, l, 0), 0);
	env_close(l);
	env_fini(&v);
}

/* What a volume tells of itself. */
static void
test_stats(void **state)
{
	static struct stat_set st;
	struct layout_params p = params_new(100);
	struct layout *l;
	struct env v;
	size_t n;

	env_init(&v, NULL);
	p.compress = "deflate";
	assert_int_equal(
	    layout_open(v.store, "v/", "b", &p, NULL, &st, &l, NULL), 0);
	for (uint64_t b = 0; b < 5; b++)
		assert_int_equal(write_fill(&v, l, b, 's'), 0);
	assert_int_equal(write_fill(&v, l, 50, 0), 0);
	assert_int_equal(write_fill(&v, l, 4, 0), 0);
	assert_int_equal(erase(&v, l, 2, 3), 0);
	assert_int_equal(read_fill(&v, l, 0), 's');
	*(char *)mem_data_poke(v.data, key_of(1, false), &n) = '!';
	assert_int_equal(read_fill(&v, l, 1), -EBADMSG);
	assert_int_equal(stat_get(&st, STAT_BLOCKS_WRITTEN), 5);
	assert_int_equal(stat_get(&st, STAT_BLOCKS_ZERO), 2);
	assert_int_equal(stat_get(&st, STAT_BLOCKS_READ), 1);
	assert_int_equal(stat_get(&st, STAT_BLOCKS_DAMAGED), 1);
	assert_int_equal(stat_get(&st, STAT_CODEC_IN_BYTES), 5 * BS);
	assert_in_range(stat_get(&st, STAT_CODEC_OUT_BYTES), 5, 5 * BS / 10);
	env_close(l);
	env_fini(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_basic),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_erase),
	    cmocka_unit_test(test_block0),
	    cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
