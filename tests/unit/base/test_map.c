/* SPDX-License-Identifier: Apache-2.0 */
/* test_map.c: the map agrees with a plain array under random use. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
empty_map_finds_nothing(void **state)
{
	struct map m = MAP_INIT;
	size_t at = 0;

	assert_null(map_find(&m, 0));
	assert_null(map_remove(&m, 0));
	assert_null(map_next(&m, &at, NULL));
	map_fini(&m);
}

static void
insert_find_remove(void **state)
{
	struct map m = MAP_INIT;
	int a, b;

	assert_int_equal(map_insert(&m, 0, &a), 0);
	assert_int_equal(map_insert(&m, UINT64_MAX, &b), 0);
	assert_int_equal(map_insert(&m, 0, &b), -EEXIST);
	assert_ptr_equal(map_find(&m, 0), &a);
	assert_ptr_equal(map_find(&m, UINT64_MAX), &b);
	assert_null(map_find(&m, 1));
	assert_ptr_equal(map_remove(&m, 0), &a);
	assert_null(map_find(&m, 0));
	assert_null(map_remove(&m, 0));
	assert_int_equal(m.n, 1);
	map_fini(&m);
}

static void
reserve_keeps_inserts_from_growing(void **state)
{
	struct map m = MAP_INIT;
	struct map_slot *v;

	assert_int_equal(map_reserve(&m, 1000), 0);
	v = m.v;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(map_insert(&m, i, &m), 0);
	assert_ptr_equal(m.v, v);
	assert_int_equal(map_reserve(&m, 10), 0);
	assert_ptr_equal(m.v, v);
	assert_int_equal(map_reserve(&m, SIZE_MAX), -ENOMEM);
	for (uint64_t i = 0; i < 1000; i++)
		assert_ptr_equal(map_find(&m, i), &m);
	map_fini(&m);
}

/* -EEXIST comes even when the table is about to grow. */
static void
duplicate_at_the_limit(void **state)
{
	struct map m = MAP_INIT;
	unsigned bits;

	for (uint64_t i = 0; i < 12; i++)
		assert_int_equal(map_insert(&m, i, &m), 0);
	bits = m.bits;
	assert_int_equal(map_insert(&m, 5, &bits), -EEXIST);
	assert_int_equal(m.bits, bits);
	assert_int_equal(map_insert(&m, 12, &m), 0);
	assert_true(m.bits > bits);
	map_fini(&m);
}

#define NKEYS 512

static void
check_against(struct map *m, void **model, const uint64_t *keys)
{
	size_t at = 0, n = 0, have = 0;
	uint64_t key;
	void *v;

	for (unsigned i = 0; i < NKEYS; i++) {
		assert_ptr_equal(map_find(m, keys[i]), model[i]);
		have += model[i] != NULL;
	}
	assert_int_equal(m->n, have);
	while ((v = map_next(m, &at, &key))) {
		unsigned i = 0;

		while (i < NKEYS && keys[i] != key)
			i++;
		assert_true(i < NKEYS);
		assert_ptr_equal(model[i], v);
		n++;
	}
	assert_int_equal(n, have);
}

/* A table that stays nearly full, with keys that collide: close numbers,
 * multiples of a large power of two, and noise. */
static void
agrees_with_an_array(void **state)
{
	static void *model[NKEYS];
	uint64_t keys[NKEYS];
	struct map m = MAP_INIT;
	uint64_t r = 88172645463325252u;

	for (unsigned i = 0; i < NKEYS; i++)
		keys[i] = i % 3 == 0   ? i
			  : i % 3 == 1 ? (uint64_t)i << 40
				       : i * 0xd1342543de82ef95u;
	for (unsigned step = 0; step < 40000; step++) {
		unsigned i;

		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		i = (unsigned)(r % NKEYS);
		if ((r >> 32) % 8 < 5) {
			int rc = map_insert(&m, keys[i], &model[step % NKEYS]);

			assert_int_equal(rc, model[i] ? -EEXIST : 0);
			if (rc == 0)
				model[i] = &model[step % NKEYS];
		} else {
			assert_ptr_equal(map_remove(&m, keys[i]), model[i]);
			model[i] = NULL;
		}
		if (step % 1000 == 0)
			check_against(&m, model, keys);
	}
	check_against(&m, model, keys);
	map_fini(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_map_finds_nothing),
	    cmocka_unit_test(insert_find_remove),
	    cmocka_unit_test(reserve_keeps_inserts_from_growing),
	    cmocka_unit_test(duplicate_at_the_limit),
	    cmocka_unit_test(agrees_with_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
