/* SPDX-License-Identifier: Apache-2.0 */
/* The present map, against a plain array that does the same. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "layout/present.h"

#define N 100000u

static uint32_t seed = 12345;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static enum present_state
seen(uint8_t raw, bool complete)
{
	if (complete && raw == PRESENT_ST_UNKNOWN)
		return PRESENT_ST_NO;
	return (enum present_state)raw;
}

static void
compare(const struct present_map *p, const uint8_t *model, uint32_t tries)
{
	uint64_t yes = 0, doubt = 0;

	for (uint32_t i = 0; i < N; i++) {
		yes += model[i] == PRESENT_ST_YES;
		doubt += model[i] == PRESENT_ST_DOUBT;
		assert_int_equal(
		    present_get(p, i), seen(model[i], p->complete));
	}
	assert_int_equal(p->nyes, yes);
	assert_int_equal(p->ndoubt, doubt);
	for (uint32_t i = 0; i < tries; i++) {
		uint64_t from = rnd(N + 1), b;

		for (b = from; b < N; b++)
			if (seen(model[b], p->complete) != PRESENT_ST_NO)
				break;
		assert_int_equal(present_next(p, from, false), b);
		for (b = from; b < N; b++)
			if (seen(model[b], p->complete) == PRESENT_ST_NO)
				break;
		assert_int_equal(present_next(p, from, true), b);
		for (b = from; b < N; b++)
			if (seen(model[b], p->complete) == PRESENT_ST_UNKNOWN)
				break;
		assert_int_equal(present_next_unknown(p, from, N), b);
	}
}

static void
test_model(void **state)
{
	uint8_t *model = calloc(N, 1);
	struct present_map p;

	assert_non_null(model);
	assert_int_equal(present_init(&p, N), 0);
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 40; i++) {
			uint32_t at = rnd(N), len = rnd(2000);
			uint8_t st = (uint8_t)rnd(4);

			if (p.complete && st == PRESENT_ST_UNKNOWN)
				st = PRESENT_ST_NO;
			for (uint32_t b = at; b < N && b < at + len; b++) {
				assert_int_equal(present_set(&p, b, st), 0);
				model[b] = st;
			}
		}
		if (round == 5)
			present_complete(&p);
		compare(&p, model, 200);
	}
	present_fini(&p);
	free(model);
}

/* An empty volume of the largest size is cheap, and so is one trimmed. */
static void
test_memory(void **state)
{
	const uint64_t n = UINT64_C(1) << 32;
	struct present_map p;

	assert_int_equal(present_init(&p, n), 0);
	assert_true(present_memory(&p) <= 1 << 20);
	assert_int_equal(present_next(&p, 5, false), 5);
	assert_int_equal(present_next(&p, 5, true), n);
	present_complete(&p);
	assert_int_equal(present_next(&p, 0, false), n);
	assert_int_equal(present_next(&p, 7, true), 7);
	for (uint64_t b = 0; b < 100000; b++)
		assert_int_equal(present_set(&p, n - 1 - b, PRESENT_ST_YES), 0);
	assert_int_equal(p.nyes, 100000);
	assert_int_equal(present_next(&p, 0, false), n - 100000);
	assert_int_equal(present_next(&p, n - 50, true), n);
	for (uint64_t b = 0; b < 100000; b++)
		assert_int_equal(present_set(&p, n - 1 - b, PRESENT_ST_NO), 0);
	assert_true(present_memory(&p) <= 1 << 20);
	present_fini(&p);
}

/* Full, 1 TiB of 128 KiB blocks takes 2 MiB. */
static void
test_full(void **state)
{
	const uint64_t n = UINT64_C(1) << 23;
	struct present_map p;

	assert_int_equal(present_init(&p, n), 0);
	for (uint64_t b = 0; b < n; b++)
		present_set(&p, b, PRESENT_ST_YES);
	assert_int_equal(p.nyes, n);
	assert_true(present_memory(&p) < (2 << 20) + 16384);
	assert_int_equal(present_next(&p, 0, true), n);
	present_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
