/* SPDX-License-Identifier: Apache-2.0 */
/* Names of objects, against vectors made by s3backer itself. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "layout/s3b_name.h"

static void
test_hash(void **state)
{
	static const struct {
		uint32_t block, hash;
	} v[] = {{0, 0xc448b72c}, {1, 0xd211cad9}, {2, 0x7183baa1},
	    {5, 0x6a03ab82}, {6, 0xe601b667}, {255, 0x6ad31a26},
	    {0xffffffff, 0x0f447858}};

	for (unsigned i = 0; i < sizeof(v) / sizeof(*v); i++)
		assert_int_equal(s3b_hash(v[i].block), v[i].hash);
}

static void
test_format(void **state)
{
	char s[64 + S3B_NAME_MAX];

	s3b_name_block(s, "", false, 0);
	assert_string_equal(s, "00000000");
	s3b_name_block(s, "sub/dir/", false, 0xabc);
	assert_string_equal(s, "sub/dir/00000abc");
	s3b_name_block(s, "p-", true, 255);
	assert_string_equal(s, "p-6ad31a26-000000ff");
	s3b_name_block(s, "", true, 0xffffffff);
	assert_string_equal(s, "0f447858-ffffffff");
}

/* The parser takes back all that the formatter makes. */
static void
test_round_trip(void **state)
{
	char s[64 + S3B_NAME_MAX];

	for (uint32_t i = 0, n = 0; i < 5000; i++, n = n * 1664525 + 1013904223)
		for (int hashed = 0; hashed < 2; hashed++) {
			uint32_t b = ~n;

			s3b_name_block(s, "x/", hashed, n);
			assert_true(s3b_name_parse(s, "x/", hashed, &b));
			assert_int_equal(b, n);
			assert_false(s3b_name_parse(s, "x/", !hashed, &b));
			assert_false(s3b_name_parse(s, "y/", hashed, &b));
		}
}

/* And nothing else. */
static void
test_strict(void **state)
{
	static const char *const bad[] = {"", "p", "p/", "p/0000000",
	    "p/000000000", "p/0000000A", "p/0000000g", "p/ 0000000",
	    "p/0000000 ", "p/-0000001", "p/+0000001", "p/0x000001",
	    "00000000", "q/00000000", "p/s3backer-mounted", "p/pail-volume",
	    "p/00000000/", "p/d211cad9-00000001", "P/00000000"};
	static const char *const bad_hashed[] = {"p/00000001",
	    "p/d211cad9-00000002", "p/d211cad900000001",
	    "p/D211CAD9-00000001", "p/d211cad9-0000001",
	    "p/d211cad9-000000010", "p/d211cad9--0000001", "p/d211cad9-"};
	uint32_t b;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(s3b_name_parse(bad[i], "p/", false, &b));
	for (unsigned i = 0; i < sizeof(bad_hashed) / sizeof(*bad_hashed); i++)
		assert_false(s3b_name_parse(bad_hashed[i], "p/", true, &b));
	assert_true(s3b_name_parse("p/d211cad9-00000001", "p/", true, &b));
}

/* Bounds of a listing enclose a position's names, hashed or not. */
static void
test_bounds(void **state)
{
	static const uint32_t pos[] = {0, 1, 9, 10, 0xf, 0x10, 0x99, 0x9f,
	    0xffff, 0x10000, 0x7fffffff, 0xffffffff};
	char lo[S3B_NAME_MAX + 8], hi[S3B_NAME_MAX + 8];
	char name[S3B_NAME_MAX + 8];

	for (unsigned i = 0; i < sizeof(pos) / sizeof(*pos); i++) {
		s3b_name_before(lo, "a/", pos[i]);
		s3b_name_behind(hi, "a/", pos[i]);
		s3b_name_block(name, "a/", false, pos[i]);
		assert_true(strcmp(lo, name) < 0);
		assert_true(strcmp(name, hi) < 0);
		strcat(name, "-ffffffff");
		assert_true(strcmp(name, hi) < 0);
		if (pos[i] > 0) {
			s3b_name_block(name, "a/", false, pos[i] - 1);
			strcat(name, "-ffffffff");
			assert_true(strcmp(name, lo) < 0);
		}
	}
}

static void
test_next_pos(void **state)
{
	static const struct {
		const char *key;
		uint64_t pos;
	} v[] = {{"a/", 0}, {"a/00000000", 0}, {"a/0000001", 0x10},
	    {"a/00000010", 0x10}, {"a/backup/0000", 0xbad00000},
	    {"a/b!", 0xb0000000}, {"a/bG", 0xba000000}, {"a/b:", 0xba000000},
	    {"a/fz", UINT64_C(1) << 32}, {"a/g", UINT64_C(1) << 32},
	    {"a/!", 0}, {"a/@", 0xa0000000}, {"b/0", UINT64_C(1) << 32},
	    {"a.0", 0}, {"a/0000000z", 0x10}, {"a/c448b72c-0", 0xc448b72c}};

	for (unsigned i = 0; i < sizeof(v) / sizeof(*v); i++)
		assert_int_equal(s3b_name_next_pos(v[i].key, "a/"), v[i].pos);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_strict),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_next_pos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
