/* SPDX-License-Identifier: Apache-2.0 */
/* test_stat.c: buckets and quantiles, and the three forms. */
#include "base/stat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

static struct stat_set set;

static int
clear(void **state)
{
	memset(&set, 0, sizeof(set));
	return 0;
}

static void
names_are_unique_and_plain(void **state)
{
	for (unsigned i = 0; i < STAT_N + HIST_N; i++) {
		const char *a =
		    i < STAT_N ? stat_name(i) : hist_name(i - STAT_N);

		assert_int_equal(
		    strspn(a, "abcdefghijklmnopqrstuvwxyz_"), strlen(a));
		assert_true(strlen(a) <= 24); /* the column of the table */
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(a,
			    j < STAT_N ? stat_name(j) : hist_name(j - STAT_N));
	}
}

static void
counts(void **state)
{
	clear(state);
	stat_inc(&set, STAT_CACHE_HITS);
	stat_add(&set, STAT_CACHE_HITS, 4);
	stat_add(&set, STAT_STORE_INFLIGHT, 3);
	stat_sub(&set, STAT_STORE_INFLIGHT, 2);
	stat_put(&set, STAT_STORE_SLOTS, 99);
	assert_int_equal(stat_get(&set, STAT_CACHE_HITS), 5);
	assert_int_equal(stat_get(&set, STAT_STORE_INFLIGHT), 1);
	assert_int_equal(stat_get(&set, STAT_STORE_SLOTS), 99);
	assert_int_equal(stat_kind(STAT_STORE_INFLIGHT), STAT_GAUGE);
	assert_int_equal(stat_unit(STAT_STORE_READ_BYTES), UNIT_BYTES);
}

/* Buckets follow each other without a gap, four to an octave. */
static void
buckets_cover_all_times(void **state)
{
	unsigned last = 0;

	assert_int_equal(stat_bucket(-5), 0);
	assert_int_equal(stat_bucket(0), 0);
	assert_int_equal(stat_bucket(1023), 0);
	assert_int_equal(stat_bucket(1024), 1);
	assert_int_equal(stat_bucket(1280), 2);
	assert_int_equal(stat_bucket(2047), 4);
	assert_int_equal(stat_bucket(2048), 5);
	assert_int_equal(stat_bucket((1ll << 37) - 1), HIST_BUCKETS - 2);
	assert_int_equal(stat_bucket(1ll << 37), HIST_BUCKETS - 1);
	assert_int_equal(stat_bucket(INT64_MAX), HIST_BUCKETS - 1);
	for (int64_t ns = 0; ns < 1ll << 38; ns += 100 + ns / 16) {
		unsigned b = stat_bucket(ns);

		assert_true(b == last || b == last + 1);
		last = b;
	}
	assert_int_equal(last, HIST_BUCKETS - 1);
}

static void
quantiles_are_near(void **state)
{
	const struct stat_hist *h = &set.hist[HIST_STORE_GET];

	clear(state);
	assert_int_equal(stat_quantile(h, 0.5), 0);
	/* 1, 2 ... 1000 ms */
	for (int64_t i = 1; i <= 1000; i++)
		stat_time(&set, HIST_STORE_GET, i * 1000000);
	assert_int_equal(h->count, 1000);
	assert_int_equal(h->max_ns, 1000000000);
	for (double q = 0.01; q <= 1; q += 0.01) {
		double got = (double)stat_quantile(h, q);

		assert_true(got > q * 1e9 * 0.9 && got < q * 1e9 * 1.1);
	}
	/* Of a single value every quantile is at most that, and near. */
	clear(state);
	stat_time(&set, HIST_STORE_GET, 5000000);
	assert_true(stat_quantile(h, 0.99) <= 5000000);
	assert_true(stat_quantile(h, 0.01) > 4000000);
	/* Beyond the last bucket nothing is invented. */
	clear(state);
	stat_time(&set, HIST_STORE_GET, INT64_MAX);
	assert_true(stat_quantile(h, 0.5) <= INT64_MAX);
	clear(state);
	stat_time(&set, HIST_STORE_GET, -1);
	assert_int_equal(stat_quantile(h, 0.5), 0);
}

static void
text_has_a_line_for_each(void **state)
{
	struct strbuf b = STRBUF_INIT;
	unsigned lines = 0, groups = 0;

	clear(state);
	stat_add(&set, STAT_FRONT_READ_BYTES, 3ull << 30);
	stat_time(&set, HIST_STORE_GET, 20000000);
	stat_text(&set, &b);
	assert_false(b.failed);
	assert_non_null(
	    strstr(b.s, "front_read_bytes            3,221,225,472  3 GiB "));
	assert_non_null(strstr(b.s, "store_get_time                          1"
				    "     20.0 ms"));
	for (const char *p = b.s; *p; p++) {
		lines += *p == '\n';
		groups += p[0] == '\n' && p[1] == '\n';
	}
	assert_int_equal(lines - groups, STAT_N + HIST_N + 1);
	strbuf_fini(&b);
}

static void
json_has_all(void **state)
{
	json_t *j, *h;

	clear(state);
	stat_add(&set, STAT_STORE_GETS, 12);
	stat_time(&set, HIST_STORE_PUT, 20000000);
	j = stat_json(&set);
	assert_non_null(j);
	assert_int_equal(json_object_size(j), STAT_N + HIST_N);
	assert_int_equal(
	    json_integer_value(json_object_get(j, "store_gets")), 12);
	h = json_object_get(j, "store_put_time");
	assert_int_equal(json_integer_value(json_object_get(h, "count")), 1);
	assert_int_equal(
	    json_integer_value(json_object_get(h, "max_ns")), 20000000);
	json_decref(j);
}

/* The number in the line that begins with what. */
static double
value_of(const char *text, const char *what)
{
	const char *p = strstr(text, what);

	if (!p)
		fail_msg("no %s", what);
	return atof(p + strlen(what));
}

static void
prometheus(void **state)
{
	struct strbuf b = STRBUF_INIT;

	clear(state);
	stat_add(&set, STAT_STORE_GETS, 12);
	stat_put(&set, STAT_STORE_SLOTS, 7);
	for (unsigned i = 1; i <= 10; i++)
		stat_time(&set, HIST_STORE_PUT, i * 1000000);
	stat_prometheus(&set, "volume=\"x\"", &b);
	assert_int_equal(
	    value_of(b.s, "\npail_store_gets_total{volume=\"x\"} "), 12);
	assert_int_equal(
	    value_of(b.s, "\npail_store_slots{volume=\"x\"} "), 7);
	/* 2^22 ns = 4.19 ms: four of the ten are not above it */
	assert_int_equal(value_of(b.s, "\npail_store_put_time_seconds_bucket"
				       "{volume=\"x\",le=\"0.004194304\"} "),
	    4);
	assert_int_equal(value_of(b.s, "\npail_store_put_time_seconds_bucket"
				       "{volume=\"x\",le=\"+Inf\"} "),
	    10);
	assert_true(value_of(b.s, "\npail_store_put_time_seconds_sum"
				  "{volume=\"x\"} ") == 0.055);
	strbuf_clear(&b);
	stat_prometheus(&set, NULL, &b);
	assert_int_equal(value_of(b.s, "\npail_store_gets_total "), 12);
	assert_int_equal(
	    value_of(b.s, "\npail_store_put_time_seconds_count "), 10);
	strbuf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {

	    cmocka_unit_test(names_are_unique_and_plain),
	    cmocka_unit_test(counts),
	    cmocka_unit_test(buckets_cover_all_times),
	    cmocka_unit_test(quantiles_are_near),
	    cmocka_unit_test(text_has_a_line_for_each),
	    cmocka_unit_test(json_has_all),
	    cmocka_unit_test(prometheus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
