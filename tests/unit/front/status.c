/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a mount as JSON comes back as it was; any other text is
 * refused or leaves fields empty.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/stat.h"
#include "base/strbuf.h"
#include "front/status.h"

static void
there_and_back(void **state)
{
	struct status a = { .state = "serving",
		.version = "1.2",
		.pid = 4711,
		.control = "pail-4711-0",
		.url = "s3://b/x?endpoint=http://h:1&q=\"\\\"",
		.dir = "/mnt/my disk",
		.file = "file",
		.since_wall_ns = 1770000000123456789,
		.read_only = true,
		.size = (uint64_t)1 << 50,
		.block_size = 131072,
		.used = 131072,
		.survey_done = true,
		.dirty_bytes = 7,
		.dirty_blocks = 2,
		.uploading_blocks = 1,
		.clean_bytes = 99,
		.memory_bytes = 100,
		.oldest_dirty_ns = 5,
		.error = -EACCES,
		.error_text = "HTTP 403 AccessDenied",
		.error_since_wall_ns = 12 };
	struct status b;
	struct stat_set counters = { 0 };
	struct strbuf text = STRBUF_INIT;
	struct json_t *c;
	struct err e = ERR_INIT;

	stat_add(&counters, STAT_FRONT_READS, 12);
	status_json(&a, &counters, &text);
	assert_false(text.failed);
	assert_int_equal(status_parse(text.s, text.len, &b, &c, &e), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(
	    json_integer_value(json_object_get(c, "front_reads")), 12);
	json_decref(c);
	strbuf_clear(&text);

	status_text(&a, &counters, &text);
	assert_non_null(strstr(text.s, "4711\n"));
	assert_non_null(strstr(text.s, "HTTP 403 AccessDenied\n"));
	strbuf_fini(&text);
}

static void
a_path_that_is_not_utf8(void **state)
{
	struct status a = { .dir = "/mnt/\xff\xfe" }, b;
	struct stat_set counters = { 0 };
	struct strbuf text = STRBUF_INIT;
	struct err e = ERR_INIT;

	status_json(&a, &counters, &text);
	assert_false(text.failed);
	assert_int_equal(status_parse(text.s, text.len, &b, NULL, &e), 0);
	assert_string_equal(b.dir, "/mnt/??");
	strbuf_fini(&text);
}

static void
other_texts(void **state)
{
	static const char *const bad[] = { "", "{", "[1]", "null", "\xff" };
	struct status s;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(status_parse(bad[i], strlen(bad[i]), &s,
				     NULL, &e), -EBADMSG);

	/* Wrong kinds and numbers out of range become nothing. */
	const char *odd = "{\"pid\": 1e3, \"block_size\": 99999999999,"
			  "\"error\": -99999999999, \"url\": 7,"
			  "\"read_only\": \"yes\", \"new\": {}}";
	struct json_t *c;

	assert_int_equal(status_parse(odd, strlen(odd), &s, &c, &e), 0);
	assert_null(c);
	assert_int_equal(s.pid, 0);
	assert_int_equal(s.block_size, 0);
	assert_int_equal(s.error, 0);
	assert_string_equal(s.url, "");
	assert_false(s.read_only);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(a_path_that_is_not_utf8),
		cmocka_unit_test(other_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
