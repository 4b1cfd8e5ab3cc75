/* SPDX-License-Identifier: Apache-2.0 */
/* test_parse.c: what people write, and what is refused and how. */
#include "base/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

struct size_case {
	const char *text;
	int rc;
	uint64_t value;
};

static void
sizes(void **state)
{
	static const struct size_case cases[] = {
	    {"0", 0, 0},
	    {"1048576", 0, 1048576},
	    {"128K", 0, 131072},
	    {"128k", 0, 131072},
	    {"128KiB", 0, 131072},
	    {"128kib", 0, 131072},
	    {"512B", 0, 512},
	    {"1T", 0, 1ull << 40},
	    {"1.5T", 0, 3ull << 39},
	    {"0.5k", 0, 512},
	    {"15E", 0, 15ull << 60},
	    {"15.999999999E", -EINVAL},
	    {"18446744073709551615", 0, UINT64_MAX},
	    {"18446744073709551616", -ERANGE},
	    {"16E", -ERANGE},
	    {"16777216T", -ERANGE},
	    {"99999999999999999999999999999999999999999999", -ERANGE},
	    {"0.1K", -EINVAL},
	    {"1.0000000001T", -EINVAL},
	    {"128KB", -EINVAL},
	    {"128 K", -EINVAL},
	    {" 128", -EINVAL},
	    {"128K ", -EINVAL},
	    {"-1", -EINVAL},
	    {"+1", -EINVAL},
	    {"", -EINVAL},
	    {"K", -EINVAL},
	    {".5K", -EINVAL},
	    {"5.K", -EINVAL},
	    {"0x10", -EINVAL},
	    {"1Ki", -EINVAL},
	    {"1Z", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct size_case *c = &cases[i];
		struct err e = ERR_INIT;
		uint64_t v = 77;

		if (parse_size(c->text, &v, &e) != c->rc)
			fail_msg("%s: %s", c->text, e.text);
		assert_int_equal(v, c->rc ? 77 : c->value);
		assert_int_equal(e.rc, c->rc);
		assert_int_equal(e.text[0], c->rc ? '"' : 0);
	}
}

static void
size_errors_say_what_to_do(void **state)
{
	struct err e = ERR_INIT;
	uint64_t v;

	parse_size("128KB", &v, &e);
	assert_string_equal(e.text,
	    "\"128KB\" may be a multiple of 1000 or of 1024: write 128K or "
	    "128KiB (1024)");
	parse_size("big", &v, &e);
	assert_string_equal(
	    e.text, "\"big\" is not a size (write bytes, or 128K, 1.5G, 1T)");
	parse_size("20E", &v, &e);
	assert_string_equal(e.text, "\"20E\" is too large");
	/* A long text is cut, and no err is no harm. */
	assert_int_equal(parse_size("x", &v, NULL), -EINVAL);
}

static void
whole_numbers(void **state)
{
	struct err e = ERR_INIT;
	uint64_t v = 0;

	assert_int_equal(parse_u64("18446744073709551615", &v, &e), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", &v, &e), -ERANGE);
	assert_int_equal(parse_u64("1.5", &v, &e), -EINVAL);
	assert_int_equal(parse_u64("1k", &v, &e), -EINVAL);
	assert_int_equal(parse_u64("", &v, &e), -EINVAL);
}

static void
durations(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t ns;
	} cases[] = {
	    {"30s", 0, 30000000000},
	    {"30", 0, 30000000000},
	    {"1.5", 0, 1500000000},
	    {"250ms", 0, 250000000},
	    {"1us", 0, 1000},
	    {"7ns", 0, 7},
	    {"1.5h", 0, 5400000000000},
	    {"2m30s", 0, 150000000000},
	    {"1h30m", 0, 5400000000000},
	    {"7d", 0, 604800000000000},
	    {"0", 0, 0},
	    {"30m2h", -EINVAL},
	    {"1s1s", -EINVAL},
	    {"1m30", -EINVAL},
	    {"s", -EINVAL},
	    {"", -EINVAL},
	    {"-1s", -EINVAL},
	    {"1w", -EINVAL},
	    {"1 s", -EINVAL},
	    {"9223372036s", 0, 9223372036000000000},
	    {"9223372037s", -ERANGE},
	    {"106751d23h47m16.854775808s", -ERANGE},
	    {"106751d23h47m16.854775807s", 0, INT64_MAX},
	    {"18446744073709551616ns", -ERANGE},
	    {"18446744073709551615d", -ERANGE},
	    {"18446744073709551615.999999999d", -ERANGE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		int64_t v = 77;

		if (parse_duration(cases[i].text, &v, &e) != cases[i].rc)
			fail_msg("%s: %s", cases[i].text, e.text);
		assert_true(v == (cases[i].rc ? 77 : cases[i].ns));
	}
}

static void
booleans(void **state)
{
	struct err e = ERR_INIT;
	bool v = false;

	assert_int_equal(parse_bool("Yes", &v, &e), 0);
	assert_true(v);
	assert_int_equal(parse_bool("off", &v, &e), 0);
	assert_false(v);
	assert_int_equal(parse_bool("1", &v, &e), 0);
	assert_true(v);
	assert_int_equal(parse_bool("2", &v, &e), -EINVAL);
	assert_string_equal(e.text, "\"2\" is neither yes nor no");
}

static void
formats(void **state)
{
	char b[FORMAT_MAX];

	assert_string_equal(format_size(b, 0), "0 B");
	assert_string_equal(format_size(b, 1023), "1023 B");
	assert_string_equal(format_size(b, 1024), "1 KiB");
	assert_string_equal(format_size(b, 1536), "1.50 KiB");
	assert_string_equal(format_size(b, (1ull << 30) - 1), "1.00 GiB");
	assert_string_equal(format_size(b, 123456789), "118 MiB");
	assert_string_equal(format_size(b, UINT64_MAX), "16.0 EiB");
	assert_string_equal(format_size_exact(b, 0), "0");
	assert_string_equal(format_size_exact(b, 131072), "128K");
	assert_string_equal(format_size_exact(b, 1000), "1000");
	assert_string_equal(format_size_exact(b, 1025 * 1024), "1025K");
	assert_string_equal(format_size_exact(b, 3ull << 60), "3E");
	assert_string_equal(format_rate(b, 91540685), "87.3 MiB/s");
	assert_string_equal(format_rate(b, 999.4), "999 B/s");
	assert_string_equal(format_duration(b, 0), "0 ns");
	assert_string_equal(format_duration(b, 1234), "1.23 us");
	assert_string_equal(format_duration(b, 250000000), "250 ms");
	assert_string_equal(format_duration(b, 999999999), "1.00 s");
	assert_string_equal(format_duration(b, 150000000000), "2m 30s");
	assert_string_equal(format_duration(b, 3 * 3600000000000), "3h 00m");
	assert_string_equal(format_duration(b, 49 * 3600000000000), "2d 01h");
	assert_string_equal(format_duration(b, INT64_MAX), "106751d 23h");
	assert_string_equal(format_count(b, 0), "0");
	assert_string_equal(format_count(b, 999), "999");
	assert_string_equal(format_count(b, 1234567), "1,234,567");
	assert_string_equal(
	    format_count(b, UINT64_MAX), "18,446,744,073,709,551,615");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(size_errors_say_what_to_do),
	    cmocka_unit_test(whole_numbers),
	    cmocka_unit_test(durations),
	    cmocka_unit_test(booleans),
	    cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
