/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that keys are kept in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "s3/credfile.h"

static int
find(const char *text, const char *id, char **out_id, char **key,
    struct err *e)
{
	return s3_access_file_find(text, strlen(text), id, out_id, key, e);
}

static void
access_file(void **state)
{
	static const char text[] = "# keys\n\nAKIA1:sec:ret/1=\r\n"
	    "  AKIA2 : secret2  \n#AKIA3:no\nAKIA4:last";
	static const char *const want[][3] = {
	    {NULL, "AKIA1", "sec:ret/1="}, {"AKIA1", "AKIA1", "sec:ret/1="},
	    {"AKIA2", "AKIA2", "secret2"}, {"AKIA4", "AKIA4", "last"}};
	struct err e = ERR_INIT;
	char *id, *key;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(find(text, want[i][0], &id, &key, NULL), 0);
		assert_string_equal(id, want[i][1]);
		assert_string_equal(key, want[i][2]);
		free(id);
		free(key);
	}
	assert_int_equal(find(text, "AKIA3", &id, &key, &e), -ENOENT);
	assert_non_null(strstr(e.text, "AKIA3"));
	assert_int_equal(find("#x\n", NULL, &id, &key, NULL), -ENOENT);
	assert_int_equal(find("", NULL, &id, &key, NULL), -ENOENT);
}

static void
bad_access_files(void **state)
{
	static const char *const bad[] = {"justtext\n", ":key\n", "id:\n"};
	struct strbuf b = STRBUF_INIT;
	char *id, *key;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(
		    find(bad[i], NULL, &id, &key, &e), -EINVAL);
		assert_non_null(strstr(e.text, "line 1"));
		/* What stands there may be a secret. */
		assert_null(strstr(e.text, "justtext"));
	}
	for (int i = 0; i < 10000; i++)
		strbuf_putc(&b, 'x');
	assert_int_equal(find(b.s, NULL, &id, &key, NULL), -EINVAL);
	strbuf_fini(&b);
	assert_int_equal(
	    s3_access_file_find("a\0:b", 4, NULL, &id, &key, NULL), -EINVAL);
}

static const char ini[] =
    "; comment\n"
    "[default]\n"
    "aws_access_key_id = AKIA1\n"
    "aws_secret_access_key=se=cr/et # not the secret\n"
    "s3 =\n"
    "    max_concurrent_requests = 20\n"
    "region=eu-west-1\n"
    "[ profile two ]\n"
    "region = us-west-2;x\n"
    "region = us-west-1\n"
    "[broken\n";

static void
look(const char *section, const char *name, int rc, const char *value)
{
	char *out;

	assert_int_equal(s3_ini_find(
	    ini, sizeof(ini) - 1, section, name, &out, NULL), rc);
	if (rc == 0) {
		assert_string_equal(out, value);
		free(out);
	}
}

static void
aws_files(void **state)
{
	look("default", "aws_access_key_id", 0, "AKIA1");
	look("default", "aws_secret_access_key", 0, "se=cr/et");
	look("default", "region", 0, "eu-west-1");
	look("default", "s3", 0, "");
	/* The indented line belongs to s3. */
	look("default", "max_concurrent_requests", -ENOENT, NULL);
	look("profile two", "region", 0, "us-west-1");
	look("profile two", "aws_access_key_id", -ENOENT, NULL);
	look("two", "region", -ENODATA, NULL);
	look("broken", "region", -ENODATA, NULL);
}

static void
bad_aws_files(void **state)
{
	char *out;

	assert_int_equal(
	    s3_ini_find("[a]\nnonsense\n", 13, "a", "b", &out, NULL),
	    -EINVAL);
	/* Not in a section that we read. */
	assert_int_equal(
	    s3_ini_find("[x]\nnonsense\n[a]\nb=1", 20, "a", "b", &out, NULL),
	    0);
	free(out);
	assert_int_equal(
	    s3_ini_find("[a]\nb\0=1", 8, "a", "b", &out, NULL), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(access_file),
	    cmocka_unit_test(bad_access_files),
	    cmocka_unit_test(aws_files),
	    cmocka_unit_test(bad_aws_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
