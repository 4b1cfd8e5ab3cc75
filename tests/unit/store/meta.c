/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata and the pages of listings: small containers, no store. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"

static void
pairs_keep_their_order(void **state)
{
	struct meta *m = meta_new();
	const char *name, *value;

	assert_int_equal(meta_add(m, "content-encoding", "deflate"), 0);
	assert_int_equal(meta_add(m, "x", ""), 0);
	assert_int_equal(meta_add(m, "hmac", "00ff"), 0);
	assert_int_equal(meta_count(m), 3);
	meta_nth(m, 1, &name, &value);
	assert_string_equal(name, "x");
	assert_string_equal(value, "");
	meta_nth(m, 2, &name, &value);
	assert_string_equal(name, "hmac");
	assert_string_equal(meta_get(m, "content-encoding"), "deflate");
	assert_null(meta_get(m, "content"));
	assert_null(meta_get(NULL, "x"));
	assert_int_equal(meta_count(NULL), 0);
	meta_unref(meta_ref(m));
	meta_unref(m);
	meta_unref(NULL);
}

static void
a_second_value_replaces(void **state)
{
	struct meta *m = meta_new();
	const char *name, *value;
	char big[500];

	memset(big, 'b', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(meta_add(m, "a", "1"), 0);
	assert_int_equal(meta_add(m, "b", big), 0); /* not inside */
	assert_int_equal(meta_add(m, "b", "2"), 0);
	assert_int_equal(meta_add(m, "a", big), 0);
	assert_int_equal(meta_add(m, "c", "3"), 0);
	assert_int_equal(meta_count(m), 3);
	meta_nth(m, 0, &name, &value);
	assert_string_equal(name, "a");
	assert_string_equal(value, big);
	assert_string_equal(meta_get(m, "b"), "2");
	assert_string_equal(meta_get(m, "c"), "3");
	meta_unref(m);
}

static void
only_headers_of_http(void **state)
{
	static const char *const bad[][2] = {
		{"", "v"}, {"Upper", "v"}, {"a b", "v"}, {"a:", "v"},
		{"a", "x\ny"}, {"a", "\xc3\xa4"}, {"\xc3\xa4", "x"},
		{"a\r", "x"},
	};
	struct meta *m = meta_new();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(meta_add(m, bad[i][0], bad[i][1]), -EINVAL);
	assert_int_equal(meta_count(m), 0);
	meta_unref(m);
}

static void
it_has_a_maximum(void **state)
{
	struct meta *m = meta_new();
	char name[16];
	int n = 0;

	for (;; n++) {
		snprintf(name, sizeof(name), "n%06d", n);
		if (meta_add(m, name, "0123456") < 0)
			break;
	}
	assert_int_equal(n, META_MAX / 16);
	assert_int_equal(meta_add(m, name, "0123456"), -E2BIG);
	/* replacing takes nothing more */
	assert_int_equal(meta_add(m, "n000001", "7654321"), 0);
	meta_unref(m);
}

static void
pages_grow(void **state)
{
	struct store_page p = {0};
	char key[64];

	for (int i = 0; i < 3000; i++) {
		int n = snprintf(key, sizeof(key), "key-%0*d", 1 + i % 40, i);
		struct store_entry *e = store_page_add(&p, key, (size_t)n);

		assert_non_null(e);
		assert_int_equal(e->size, 0);
		e->size = (uint64_t)i;
	}
	assert_int_equal(p.n, 3000);
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "key-%0*d", 1 + i % 40, i);
		assert_string_equal(p.v[i].key, key);
		assert_int_equal(p.v[i].size, i);
	}
	store_page_fini(&p);
	assert_int_equal(p.n, 0);
	store_page_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_keep_their_order),
		cmocka_unit_test(a_second_value_replaces),
		cmocka_unit_test(only_headers_of_http),
		cmocka_unit_test(it_has_a_maximum),
		cmocka_unit_test(pages_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
