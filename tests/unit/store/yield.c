/* SPDX-License-Identifier: Apache-2.0 */
/* How many writes there are while somebody reads: Y1 to Y3, against models of
 * servers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "base/clock.h"
#include "store/yield.h"

#define SLOTS 64

/* A server, and one reader who asks again and again while there is always
 * something to write. */
struct model {
	struct yield y;
	int64_t now;
	unsigned writes; /* in flight */
	uint64_t seed;
	int64_t (*read_ns)(struct model *m);
};

static unsigned
rnd(struct model *m, unsigned n)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->seed >> 33) % n;
}

static int64_t
long_way(struct model *m)
{
	(void)m;
	return 20 * NS_PER_MS;
}

/* Now and then one takes ten times as long. */
static int64_t
with_jitter(struct model *m)
{
	return (rnd(m, 20) == 0 ? 200 : 15 + (int64_t)rnd(m, 10)) * NS_PER_MS;
}

static int64_t
exponential(struct model *m)
{
	double u = (rnd(m, 1000000) + 1) / 1e6;

	return (int64_t)(-log(u) * 30 * NS_PER_MS) + 5 * NS_PER_MS;
}

/* A read waits for each write that is there. */
static int64_t
one_by_one(struct model *m)
{
	return (1 + (int64_t)m->writes) * NS_PER_MS;
}

/* Up to eight at a time cost nothing. */
static int64_t
eight_at_once(struct model *m)
{
	return (m->writes <= 8 ? 1 : (int64_t)m->writes - 7) * 5 * NS_PER_MS;
}

static void
one_read(struct model *m)
{
	int64_t began = m->now, took;

	yield_read_begins(&m->y, m->now, m->writes, 0);
	took = m->read_ns(m);
	m->now += took;
	m->writes = yield_max(&m->y, m->now, 0); /* the others have ended */
	yield_read_ended(&m->y, m->now, began, m->writes);
}

static void
begin(struct model *m, int64_t (*read_ns)(struct model *m))
{
	*m = (struct model){.now = 100 * NS_PER_S, .seed = 3,
	    .read_ns = read_ns};
	yield_init(&m->y, SLOTS);
	m->writes = yield_max(&m->y, m->now, 0);
	assert_int_equal(m->writes, SLOTS);
}

static void
Y1_all_while_nobody_reads(void **state)
{
	struct model m;

	begin(&m, one_by_one);
	one_read(&m);
	assert_int_equal(yield_max(&m.y, m.now + NS_PER_MS, 0), YIELD_MIN);
	assert_int_equal(yield_max(&m.y, m.now + 25 * NS_PER_MS, 0), SLOTS);
	yield_read_begins(&m.y, m.now + NS_PER_S, 0, 0);
	assert_int_equal(yield_max(&m.y, m.now + 3 * NS_PER_S, 0), YIELD_MIN);
}

static void
Y2_half_as_many_as_reads(void **state)
{
	struct model m;

	begin(&m, long_way);
	for (int i = 0; i < 40; i++)
		yield_read_begins(&m.y, m.now, 0, 0);
	assert_int_equal(yield_max(&m.y, m.now, 0), 20);
	assert_int_equal(yield_max(&m.y, m.now, 30), 35);
	for (int i = 0; i < 200; i++)
		yield_read_begins(&m.y, m.now, 0, 0);
	assert_int_equal(yield_max(&m.y, m.now, 0), SLOTS);
}

static void
Y3_a_long_way_holds_nobody_up(void **state)
{
	struct model m;

	begin(&m, long_way);
	for (int i = 0; i < 5 * YIELD_ROUND; i++)
		one_read(&m);
	assert_int_equal(m.writes, SLOTS);
}

static void
Y3_nor_does_jitter(void **state)
{
	struct model m;
	uint64_t sum = 0;

	begin(&m, with_jitter);
	for (int i = 0; i < 100; i++)
		one_read(&m);
	for (int i = 0; i < 2000; i++) {
		one_read(&m);
		sum += m.writes;
	}
	assert_true(sum / 2000 >= SLOTS * 3 / 4);
}

/* As far apart as waiting times in a busy place are, and some very long. */
static void
Y3_nor_do_very_different_times(void **state)
{
	struct model m;
	uint64_t sum = 0;

	begin(&m, exponential);
	for (int i = 0; i < 200; i++)
		one_read(&m);
	for (int i = 0; i < 20000; i++) {
		one_read(&m);
		sum += m.writes;
	}
	if (sum / 20000 < SLOTS / 2)
		fail_msg("%d on average", (int)(sum / 20000));
}

static void
Y3_a_server_that_does_one_thing_at_a_time(void **state)
{
	struct model m;
	unsigned most = 0;

	begin(&m, one_by_one);
	for (int i = 0; i < 8 * YIELD_ROUND; i++)
		one_read(&m);
	for (int i = 0; i < 1000; i++) {
		one_read(&m);
		most = m.writes > most ? m.writes : most;
	}
	assert_true(most <= 6);
}

/* Server and client on one machine of two processors. */
static int64_t
two_processors(struct model *m)
{
	double u = (rnd(m, 1000000) + 1) / 1e6;

	return (int64_t)((1.5 + 1.5 * m->writes) * (0.6 - 0.4 * log(u)) *
	    NS_PER_MS);
}

/* What is too much is not tried all the time: reads feel it, too. */
static void
Y3_a_server_that_bears_one(void **state)
{
	struct model m;
	unsigned n = 0;

	begin(&m, two_processors);
	for (int i = 0; i < 1000; i++)
		one_read(&m);
	for (int i = 0; i < 20000; i++) {
		one_read(&m);
		n += m.writes > 1;
	}
	assert_true(n > 0);
	if (n > 20000 / 7)
		fail_msg("%u of 20000", n);
}

static void
Y3_a_server_that_does_eight(void **state)
{
	struct model m;
	uint64_t sum = 0;
	unsigned most = 0;

	begin(&m, eight_at_once);
	for (int i = 0; i < 200; i++)
		one_read(&m);
	for (int i = 0; i < 1000; i++) {
		one_read(&m);
		sum += m.writes;
		most = m.writes > most ? m.writes : most;
	}
	assert_true(sum / 1000 >= 5);
	assert_true(most <= 12);
}

/* It has become slow for other reasons: writes are not held down for that. */
static void
Y3_a_server_that_becomes_slow(void **state)
{
	struct model m;

	begin(&m, eight_at_once);
	m.read_ns = long_way;
	for (int i = 0; i < 100; i++)
		one_read(&m);
	m.read_ns = with_jitter;
	for (int i = 0; i < 100; i++)
		one_read(&m);
	m.read_ns = long_way;
	for (int i = 0; i < 300; i++)
		one_read(&m);
	assert_int_equal(m.writes, SLOTS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(Y1_all_while_nobody_reads),
	    cmocka_unit_test(Y2_half_as_many_as_reads),
	    cmocka_unit_test(Y3_a_long_way_holds_nobody_up),
	    cmocka_unit_test(Y3_nor_does_jitter),
	    cmocka_unit_test(Y3_nor_do_very_different_times),
	    cmocka_unit_test(Y3_a_server_that_does_one_thing_at_a_time),
	    cmocka_unit_test(Y3_a_server_that_bears_one),
	    cmocka_unit_test(Y3_a_server_that_does_eight),
	    cmocka_unit_test(Y3_a_server_that_becomes_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
