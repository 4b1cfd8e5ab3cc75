/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that the cache is made of: bit ranges, ranges of blocks, slots;
 * each against the obvious way to do the same. */
#include "tests/unit/cache/fake.h"

#include "cache/arena.h"
#include "cache/bits.h"
#include "cache/ranges.h"

static uint64_t
rnd(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1du >> 20;
}

/* --- bits -------------------------------------------------------------------- */

#define NBITS 200

static void
bit_ranges(void **state)
{
	uint64_t b[BITS_WORDS(NBITS)] = {0}, s = 42;
	bool want[NBITS] = {0};

	for (int round = 0; round < 20000; round++) {
		unsigned from = (unsigned)(rnd(&s) % (NBITS + 1));
		unsigned to = from + (unsigned)(rnd(&s) % (NBITS + 1 - from));
		unsigned n = 0, first[2] = {to, to}, end_clear = from;
		bool on = rnd(&s) & 1;

		for (unsigned i = from; i < to; i++) {
			n += want[i];
			if (first[want[i]] == to)
				first[want[i]] = i;
			if (!want[i])
				end_clear = i + 1;
		}
		assert_int_equal(bits_count(b, from, to), n);
		assert_int_equal(bits_all(b, from, to), n == to - from);
		assert_int_equal(bits_none(b, from, to), n == 0);
		assert_int_equal(bits_next(b, from, to, true), first[1]);
		assert_int_equal(bits_next(b, from, to, false), first[0]);
		assert_int_equal(bits_end_clear(b, from, to), end_clear);
		if (rnd(&s) % 4 == 0)
			from = to - (to - from) / 8;
		if (on)
			bits_set(b, from, to);
		else
			bits_clear(b, from, to);
		for (unsigned i = from; i < to; i++)
			want[i] = on;
	}
}

/* --- ranges -------------------------------------------------------------------- */

#define NBLOCKS 300

static void
check_ranges(const struct ranges *r, const bool *want)
{
	for (size_t i = 0; i < r->n; i++) {
		assert_true(r->v[i].first < r->v[i].end);
		if (i > 0) /* neighbours are one */
			assert_true(r->v[i - 1].end < r->v[i].first);
	}
	for (uint64_t b = 0; b < NBLOCKS; b++) {
		const struct range *at = ranges_at(r, b);
		uint64_t next = b;

		assert_int_equal(ranges_has(r, b), want[b]);
		while (next < NBLOCKS && !want[next])
			next++;
		if (next == NBLOCKS)
			assert_null(at);
		else
			assert_true(at->first <= next && next < at->end);
	}
}

static void
block_ranges(void **state)
{
	struct ranges r = {0};
	bool want[NBLOCKS] = {0};
	uint64_t s = 7, min = UINT64_MAX;

	for (int round = 0; round < 5000; round++) {
		uint64_t first = rnd(&s) % NBLOCKS;
		uint64_t end = first + 1 + rnd(&s) % (NBLOCKS - first);
		bool add = rnd(&s) & 1;

		if (end - first > 20)
			end = first + 20;
		assert_int_equal(ranges_reserve(&r, 1), 0);
		if (add)
			ranges_add(&r, first, end, 1000 + (uint64_t)round, 0);
		else
			ranges_remove(&r, first, end);
		for (uint64_t b = first; b < end; b++)
			want[b] = add;
		check_ranges(&r, want);
	}
	/* A range keeps the lowest number of what went into it. */
	ranges_fini(&r);
	assert_int_equal(ranges_min_seq(&r), UINT64_MAX);
	assert_int_equal(ranges_reserve(&r, 4), 0);
	ranges_add(&r, 10, 20, 5, 50);
	ranges_add(&r, 30, 40, 3, 70);
	ranges_add(&r, 20, 30, 9, 10);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.v[0].since_ns, 10);
	min = ranges_min_seq(&r);
	assert_int_equal(min, 3);
	ranges_remove(&r, 12, 14);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.v[0].seq, 3);
	assert_int_equal(r.v[1].seq, 3);
	ranges_fini(&r);
}

static void
too_many_ranges(void **state)
{
	struct ranges r = {0};
	uint64_t b = 0;
	int rc;

	while ((rc = ranges_reserve(&r, 1)) == 0) {
		ranges_add(&r, b, b + 1, 1, 0);
		b += 2;
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(r.n, RANGES_MAX);
	ranges_fini(&r);
}

/* --- slots ------------------------------------------------------------------------- */

static unsigned nfreed;

static void
freed(struct arena *a)
{
	nfreed++;
}

static void
slots(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new_virtual(&e);
	struct arena a;
	struct slot *s[4], *t;

	nfreed = 0;
	assert_int_equal(arena_open(&a, l, 65536, 4, freed, &e), 0);
	for (int i = 0; i < 4; i++) {
		s[i] = arena_get(&a, false);
		assert_non_null(s[i]);
		assert_int_equal(s[i]->npages, 0);
		assert_true(mem_is_zero(s[i]->buf.data, 65536));
	}
	assert_null(arena_get(&a, false));
	assert_int_equal(a.pages, 0);

	/* Pages are counted once. */
	assert_int_equal(slot_unheld(s[0], 100, 5000), 2);
	slot_hold(s[0], 100, 5000);
	slot_hold(s[0], 4096, 1);
	assert_int_equal(slot_unheld(s[0], 0, 65536), 14);
	assert_int_equal(a.pages, 2);
	memset(s[0]->buf.data, 1, 8192);

	/* A pinned slot outlives its owner. */
	buf_ref(&s[0]->buf);
	assert_true(slot_pinned(s[0]));
	slot_unref(s[0]);
	assert_int_equal(nfreed, 0);
	assert_int_equal(s[0]->buf.data[0], 1);
	slot_unref(s[0]);
	assert_int_equal(nfreed, 1);
	assert_int_equal(a.pages, 0);

	/* What was used in part comes back as zeros. */
	t = arena_get(&a, false);
	assert_ptr_equal(t, s[0]);
	assert_true(mem_is_zero(t->buf.data, 65536));

	/* A whole one stays warm for the next who wants a whole one ... */
	slot_hold(t, 0, 65536);
	memset(t->buf.data, 2, 65536);
	slot_unref(t);
	assert_int_equal(a.pages, 16);
	t = arena_get(&a, true);
	assert_ptr_equal(t, s[0]);
	assert_int_equal(t->npages, 16);
	assert_int_equal(a.pages, 16);
	slot_unref(t);
	/* ... and is cleaned for one who does not. */
	t = arena_get(&a, false);
	assert_ptr_equal(t, s[0]);
	assert_int_equal(a.pages, 0);
	assert_true(mem_is_zero(t->buf.data, 65536));
	slot_unref(t);
	for (int i = 1; i < 4; i++)
		slot_unref(s[i]);
	arena_fini(&a);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bit_ranges),
	    cmocka_unit_test(block_ranges),
	    cmocka_unit_test(too_many_ranges),
	    cmocka_unit_test(slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
