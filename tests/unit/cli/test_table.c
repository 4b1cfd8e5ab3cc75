/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, the width of text, and times. */
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
times_are_utc(void **state)
{
	char buf[TEXT_TIME_MAX];

	assert_string_equal(text_time(buf, 0), "-");
	assert_string_equal(
	    text_time(buf, 86400 * NS_PER_S), "1970-01-02 00:00:00 UTC");
	assert_string_equal(
	    text_time(buf, INT64_MAX), "2262-04-11 23:47:16 UTC");
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
	    cmocka_unit_test(times_are_utc),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
