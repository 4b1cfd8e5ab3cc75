/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, the width of text, and numbers for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "cli/human.h"
#include "cli/table.h"
#include "cli/text.h"

static char *
print(const struct table *t)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(table_print(t, f), 0);
	fclose(f);
	return text;
}

static void
columns_are_aligned(void **state)
{
	static const char *const heads[] = {"NAME", ">SIZE", "NOTE", NULL};
	struct table t;
	char *text;

	table_init(&t, heads);
	table_cell(&t, "a");
	table_cellf(&t, "%d", 7);
	table_cell(&t, "");
	table_cell(&t, "longer name");
	table_cellf(&t, "%d", 123456);
	table_cell(&t, "x");
	text = print(&t);
	assert_string_equal(text, "NAME           SIZE  NOTE\n"
				  "a                 7  \n"
				  "longer name  123456  x\n");
	free(text);
	table_fini(&t);
}

static void
wide_characters_take_their_columns(void **state)
{
	static const char *const heads[] = {"N", "M", NULL};
	struct table t;
	char *text;

	table_init(&t, heads);
	table_cell(&t, "\xe6\x97\xa5\xe6\x9c\xac"); /* two, four columns */
	table_cell(&t, "x");
	table_cell(&t, "z\xc3\xbc"); /* three bytes, two columns */
	table_cell(&t, "y");
	text = print(&t);
	assert_string_equal(text, "N     M\n"
				  "\xe6\x97\xa5\xe6\x9c\xac  x\n"
				  "z\xc3\xbc    y\n");
	free(text);
	table_fini(&t);
}

static void
heads_may_be_absent(void **state)
{
	static const char *const heads[] = {"", ">", NULL};
	struct table t;
	char *text;

	table_init(&t, heads);
	table_cell(&t, "size");
	table_cell(&t, "1");
	text = print(&t);
	assert_string_equal(text, "size  1\n");
	free(text);
	table_fini(&t);
}

static void
full_disk_is_reported(void **state)
{
	static const char *const heads[] = {"A", NULL};
	struct table t;
	FILE *f = fopen("/dev/full", "w");

	assert_non_null(f);
	setvbuf(f, NULL, _IONBF, 0);
	table_init(&t, heads);
	table_cell(&t, "x");
	assert_int_equal(table_print(&t, f), -5);
	table_fini(&t);
	fclose(f);
}

static void
check_clean(const char *in, const char *out)
{
	struct strbuf b = STRBUF_INIT;

	text_clean(&b, in);
	assert_string_equal(strbuf_text(&b), out);
	assert_int_equal(text_width(in), text_width(out));
	strbuf_fini(&b);
}

static void
control_characters_are_escaped(void **state)
{
	check_clean("plain", "plain");
	check_clean("", "");
	check_clean("a\033[2Jb", "a\\x1b[2Jb");
	check_clean("line\nbreak\ttab", "line\\x0abreak\\x09tab");
	check_clean("\xff\xfe", "\\xff\\xfe");
	/* C1 control (CSI as one character), truncated sequence */
	check_clean("\xc2\x9b", "\\xc2\\x9b");
	check_clean("\xe6\x97", "\\xe6\\x97");
	/* an encoded surrogate and an overlong slash are not UTF-8 */
	check_clean("\xed\xa0\x80", "\\xed\\xa0\\x80");
	check_clean("\xc0\xaf", "\\xc0\\xaf");
}

static void
fit_never_exceeds(void **state)
{
	const char *s = "ab\xe6\x97\xa5\033xyz\xc3\xbc-tail";

	for (size_t w = 0; w < 24; w++) {
		struct strbuf b = STRBUF_INIT;

		text_fit(&b, s, w);
		assert_true(text_width(strbuf_text(&b)) <= w);
		strbuf_fini(&b);
	}
}

static void
numbers_for_people(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} bytes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"},
	    {131072, "128 KiB"}, {1048575, "1.0 MiB"}, {1 << 20, "1.0 MiB"},
	    {UINT64_C(3) << 39, "1.5 TiB"}, {UINT64_MAX, "16.0 EiB"}};
	char buf[HUMAN_MAX];

	for (unsigned i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		assert_string_equal(
		    human_bytes(buf, bytes[i].n), bytes[i].text);
	assert_string_equal(human_count(buf, 0), "0");
	assert_string_equal(human_count(buf, 999), "999");
	assert_string_equal(human_count(buf, 1000), "1,000");
	assert_string_equal(
	    human_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(human_seconds(buf, 7), "0:07");
	assert_string_equal(human_seconds(buf, 3599), "59:59");
	assert_string_equal(human_seconds(buf, 3600), "1:00:00");
	assert_string_equal(human_seconds(buf, 86400 * 3 + 3600), "3 d 1 h");
	assert_string_equal(human_time(buf, 0), "-");
	assert_string_equal(
	    human_time(buf, 86400 * NS_PER_S), "1970-01-02 00:00:00 UTC");
	assert_string_equal(human_time(buf, INT64_MAX),
	    "2262-04-11 23:47:16 UTC");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(columns_are_aligned),
	    cmocka_unit_test(wide_characters_take_their_columns),
	    cmocka_unit_test(heads_may_be_absent),
	    cmocka_unit_test(full_disk_is_reported),
	    cmocka_unit_test(control_characters_are_escaped),
	    cmocka_unit_test(fit_never_exceeds),
	    cmocka_unit_test(numbers_for_people),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
