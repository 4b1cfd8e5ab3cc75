/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress bars on a terminal that is a buffer, with a clock that is a
 * variable.  P1 to P3 are the promises of cli/progress.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/progress.h"

struct screen {
	struct progress_term term;
	int64_t now;
	unsigned columns;
	unsigned writes;
	size_t longest; /* visible characters of a write */
	char last[512];
};

static int64_t
screen_now(struct progress_term *t)
{
	return ((struct screen *)t)->now;
}

static unsigned
screen_columns(struct progress_term *t)
{
	return ((struct screen *)t)->columns;
}

static void
screen_put(struct progress_term *t, const char *s, size_t n)
{
	struct screen *sc = (struct screen *)t;
	size_t visible = 0;

	assert_true(n < sizeof(sc->last));
	memcpy(sc->last, s, n);
	sc->last[n] = '\0';
	sc->writes++;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\033')
			i += 2; /* ESC [ K */
		else if (s[i] != '\r' && s[i] != '\n')
			visible++;
	}
	if (visible > sc->longest)
		sc->longest = visible;
}

static struct screen
screen_new(bool bar)
{
	return (struct screen){
	    .term = {.bar = bar,
		.now_ns = screen_now,
		.columns = screen_columns,
		.put = screen_put},
	    .now = 5 * NS_PER_S,
	    .columns = 80};
}

static void
bar_is_drawn_ten_times_a_second(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;

	progress_start(&p, &sc.term, "Copying", NULL, 0, 10000);
	for (unsigned ms = 0; ms < 10000; ms++) {
		sc.now += NS_PER_MS;
		progress_set(&p, ms, 10000);
		if (ms % 7 == 0)
			progress_erase(); /* a log line: no extra draws */
	}
	progress_end(&p);
	/* 100 draws, each of them erased once. */
	assert_in_range(sc.writes, 90, 201);
}

static void
what_is_done_at_once_shows_nothing(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;

	progress_start(&p, &sc.term, "Copying", NULL, 0, 100);
	progress_set(&p, 50, 100);
	sc.now += 50 * NS_PER_MS;
	progress_set(&p, 100, 100);
	progress_end(&p);
	assert_int_equal(sc.writes, 0);
}

static void
line_fits_any_width(void **state)
{
	for (unsigned columns = 0; columns < 250; columns++) {
		struct screen sc = screen_new(true);
		struct progress p;

		sc.columns = columns;
		progress_start(&p, &sc.term, "Copying", "blocks", 0, 0);
		for (unsigned i = 1; i < 10; i++) {
			sc.now += NS_PER_S;
			progress_set(&p, i * 123456789ULL,
			    i < 3 ? 0 : UINT64_C(1) << 40);
		}
		progress_end(&p);
		assert_true(sc.writes > 9);
		assert_true(sc.longest <= (columns > 0 ? columns - 1 : 0));
	}
}

static void
width_is_asked_at_each_draw(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;

	progress_start(&p, &sc.term, "Copying", NULL, 0, 1 << 20);
	sc.now += NS_PER_S;
	progress_set(&p, 1 << 18, 1 << 20);
	assert_non_null(strstr(sc.last, "[==="));
	sc.columns = 20;
	sc.longest = 0;
	sc.now += NS_PER_S;
	progress_set(&p, 1 << 19, 1 << 20);
	assert_null(strstr(sc.last, "[="));
	assert_non_null(strstr(sc.last, "Copying"));
	assert_non_null(strstr(sc.last, "50 %"));
	assert_true(sc.longest < 20);
	progress_end(&p);
}

static void
line_has_all_parts(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;
	char line[256];

	progress_start(&p, &sc.term, "Checking", "blocks", 0, 4000);
	for (unsigned i = 0; i < 10; i++) {
		sc.now += NS_PER_S;
		progress_set(&p, (i + 1) * 100, 4000);
	}
	progress_format(&p, 79, line, sizeof(line));
	assert_string_equal(line, "Checking  [====>              ]   25 %  "
	    "1,000 of 4,000 blocks  100/s  0:30 left");
	progress_end(&p);
}

static void
resumed_part_does_not_count_for_the_rate(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;
	char line[256];

	progress_start(&p, &sc.term, "Copying", NULL, 1 << 30, 3U << 30);
	sc.now += NS_PER_S;
	progress_set(&p, (1 << 30) + (1 << 20), 3U << 30);
	progress_format(&p, 100, line, sizeof(line));
	assert_non_null(strstr(line, "1.00 MiB/s"));
	assert_non_null(strstr(line, " 33 %"));
	progress_end(&p);
}

static void
not_hundred_before_the_end(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;
	char line[256];

	progress_start(&p, &sc.term, "Copying", NULL, 0, UINT64_MAX);
	p.done = UINT64_MAX - (UINT64_C(1) << 55);
	progress_format(&p, 60, line, sizeof(line));
	assert_non_null(strstr(line, " 99 %"));
	p.done = UINT64_MAX;
	progress_format(&p, 60, line, sizeof(line));
	assert_non_null(strstr(line, "100 %"));
}

static void
end_leaves_an_empty_line(void **state)
{
	struct screen sc = screen_new(true);
	struct progress p;

	progress_start(&p, &sc.term, "Copying", NULL, 0, 10);
	sc.now += NS_PER_S;
	progress_set(&p, 5, 10);
	progress_end(&p);
	assert_string_equal(sc.last, "\r\033[K");
	assert_int_equal(sc.writes, 2);
	progress_end(&p);
	progress_erase();
	assert_int_equal(sc.writes, 2);
}

static void
log_gets_a_line_now_and_then(void **state)
{
	struct screen sc = screen_new(false);
	struct progress p;

	progress_start(&p, &sc.term, "Copying", NULL, 0, 600ULL << 20);
	for (unsigned s = 1; s <= 120; s++) {
		sc.now += NS_PER_S;
		progress_set(&p, (uint64_t)s << 20, 600ULL << 20);
		if (s == 9)
			assert_int_equal(sc.writes, 0);
		if (s == 10)
			assert_string_equal(sc.last,
			    "Copying: 1 %, 10 MiB of 600 MiB, 1.00 MiB/s, "
			    "9:50 left\n");
	}
	progress_end(&p);
	/* at 10, 20, 30, 60, 90 and 120 s */
	assert_int_equal(sc.writes, 6);
}

static void
quiet_is_quiet(void **state)
{
	for (int bar = 0; bar < 2; bar++) {
		struct screen sc = screen_new(bar);
		struct progress p;

		sc.term.quiet = true;
		progress_start(&p, &sc.term, "Copying", NULL, 0, 10);
		sc.now += 100 * NS_PER_S;
		progress_set(&p, 5, 10);
		progress_end(&p);
		assert_int_equal(sc.writes, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bar_is_drawn_ten_times_a_second),
	    cmocka_unit_test(what_is_done_at_once_shows_nothing),
	    cmocka_unit_test(line_fits_any_width),
	    cmocka_unit_test(width_is_asked_at_each_draw),
	    cmocka_unit_test(line_has_all_parts),
	    cmocka_unit_test(resumed_part_does_not_count_for_the_rate),
	    cmocka_unit_test(not_hundred_before_the_end),
	    cmocka_unit_test(end_leaves_an_empty_line),
	    cmocka_unit_test(log_gets_a_line_now_and_then),
	    cmocka_unit_test(quiet_is_quiet),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
