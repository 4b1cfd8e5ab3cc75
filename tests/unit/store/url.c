/* SPDX-License-Identifier: Apache-2.0 */
/* How URLs of stores are read, and what is said about wrong ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/open.h"

static void
right_ones(void **state)
{
	static const struct {
		const char *text, *scheme, *path, *prefix;
	} t[] = {
		{"s3://b", "s3", "b", ""},
		{"s3://b/", "s3", "b", ""},
		{"s3://b/disk", "s3", "b", "disk/"},
		{"s3://b/disk/", "s3", "b", "disk/"},
		{"s3://b/a/b//", "s3", "b", "a/b/"},
		{"s3://b/a%20b%3fc?x=1", "s3", "b", "a b?c/"},
		{"s3://tenant:b/x", "s3", "tenant:b", "x/"},
		{"s3://b?prefix=disk-", "s3", "b", "disk-"},
		{"s3://b/a?prefix=disk-&region=x", "s3", "b", "a/disk-"},
		{"dir:/var/x", "dir", "/var/x", ""},
		{"dir:rel/x%25?volume=d1", "dir", "rel/x%", "d1/"},
		{"dir:/x?volume=a/b/", "dir", "/x", "a/b/"},
		{"raw:/dev/a,/dev/b?volume=d", "raw", "/dev/a,/dev/b", "d/"},
		{"mem:", "mem", "", ""},
		{"mem:n?volume=v", "mem", "n", "v/"},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct err e = ERR_INIT;
		struct url u;

		assert_int_equal(url_parse(&u, t[i].text, &e), 0);
		assert_string_equal(u.text, t[i].text);
		assert_string_equal(u.scheme, t[i].scheme);
		assert_string_equal(u.path, t[i].path);
		assert_string_equal(u.prefix, t[i].prefix);
		url_fini(&u);
	}
}

static void
parameters(void **state)
{
	struct err e = ERR_INIT;
	struct url u;

	assert_int_equal(url_parse(&u,
	    "s3://b/p?region=x&endpoint=http%3A%2F%2Fh:1%26&region=y&&e=", &e),
	    0);
	assert_int_equal(u.nparams, 4);
	assert_string_equal(url_param(&u, "region"), "y"); /* the last */
	assert_string_equal(url_param(&u, "endpoint"), "http://h:1&");
	assert_string_equal(url_param(&u, "e"), "");
	assert_null(url_param(&u, "none"));
	url_fini(&u);

	/* volume has become the prefix; the last one counts. */
	assert_int_equal(url_parse(&u, "dir:/x?volume=a&q=1&volume=b", &e), 0);
	assert_string_equal(u.prefix, "b/");
	assert_int_equal(u.nparams, 1);
	assert_string_equal(u.params[0].name, "q");
	url_fini(&u);
}

static void
wrong_ones(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{"", "no URL"},
		{"bucket", "s3://BUCKET/PREFIX, dir:PATH, raw:PATH"},
		{":x", "no URL"},
		{"s3:b", "s3://BUCKET"},
		{"s3:/b", "s3://BUCKET"},
		{"s3://", "bucket is missing"},
		{"s3:///x", "bucket is missing"},
		{"s3://b//x", "begins with"},
		{"s3://b?prefix=/x", "begins with"},
		{"s3://b/x%2", "\"%2\""},
		{"s3://b/x%zz", "%25"},
		{"s3://b/x%00y", "0x00"},
		{"s3://b/\n", "0x0a"},
		{"s3://b?region", "\"region\" is not NAME=VALUE"},
		{"s3://b?=x", "NAME=VALUE"},
		{"s3://b?a=%4", "%4"},
		{"dir:", "dir:PATH"},
		{"raw:", "raw:PATH"},
		{"dir:/x?volume=", "no name of a volume"},
		{"dir:/x?volume=/", "no name of a volume"},
		{"nfs://x", "no store \"nfs\""},
		{"http://x/?a=%", "%25"},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct err e = ERR_INIT;
		struct url u;

		assert_int_equal(url_parse(&u, t[i].text, &e), -EINVAL);
		if (strstr(err_text(&e), t[i].says) == NULL)
			fail_msg("%s: \"%s\" lacks \"%s\"", t[i].text,
			    err_text(&e), t[i].says);
	}
}

static void
long_ones(void **state)
{
	char text[8000];
	struct url u;

	memset(text, 'x', sizeof(text));
	memcpy(text, "s3://b/", 7);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(url_parse(&u, text, NULL), -EINVAL);
	text[600] = '\0'; /* a prefix that leaves too little for a key */
	assert_int_equal(url_parse(&u, text, NULL), -EINVAL);
	text[500] = '\0';
	assert_int_equal(url_parse(&u, text, NULL), 0);
	url_fini(&u);
}

static void
mem_has_no_parameters(void **state)
{
	struct store_env env = {0};
	struct store *s;
	struct err e = ERR_INIT;
	struct url u;

	assert_int_equal(url_parse(&u, "mem:x?size=1", &e), 0);
	assert_int_equal(store_open(&env, &u, false, &s, &e), -EINVAL);
	assert_non_null(strstr(err_text(&e), "\"size\""));
	url_fini(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones),
		cmocka_unit_test(parameters),
		cmocka_unit_test(wrong_ones),
		cmocka_unit_test(long_ones),
		cmocka_unit_test(mem_has_no_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
