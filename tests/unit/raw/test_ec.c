/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The erasure code and the geometry of extents: every erasure pattern against
 * a slow GF(2^8) that uses no table, and that no two sectors share a place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raw/crc.h"
#include "raw/ec.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 2}, {4, 2}, {6, 3},
    {8, 2}, {8, 3}, {8, 0}, {10, 4}, {12, 3}, {16, 4}, {28, 4}};
#define NPROFILES (sizeof(profiles) / sizeof(profiles[0]))

/* Multiplication by the book: shift and reduce by 0x11d. */
static uint8_t
slow_mul(uint8_t a, uint8_t b)
{
	unsigned r = 0, x = a;

	for (; b; b >>= 1, x <<= 1) {
		if (x & 0x100)
			x ^= 0x11d;
		if (b & 1)
			r ^= x;
	}
	return (uint8_t)r;
}

static void
test_crc(void **state)
{
	uint8_t zeros[32] = {0}, ones[32];

	memset(ones, 0xff, sizeof(ones));
	/* RFC 3720, B.4 */
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(
	    crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void
test_geometry(void **state)
{
	for (size_t p = 0; p < NPROFILES; p++) {
		unsigned k = profiles[p].k, m = profiles[p].m, n = k + m;

		for (uint32_t s = 1; s <= 3 * k + 2; s++) {
			struct geom g;
			uint64_t addr = 1000003;
			uint8_t seen[512] = {0};
			uint32_t sum = 0, at = 0;

			geom_init(&g, k, m, s * RAW_SECTOR);
			for (unsigned c = 0; c < g.w; c++) {
				uint32_t len = geom_column_sectors(&g, c);

				sum += len;
				/* Its sectors are the extent's addresses. */
				for (uint32_t r = 0; r < len; r++) {
					uint64_t a =
					    (geom_member_sector(&g, addr, c) +
						r) * n +
					    geom_member(&g, addr, c);

					assert_in_range(a, addr,
					    addr + g.total - 1);
					assert_int_equal(seen[a - addr]++, 0);
				}
			}
			assert_int_equal(sum, g.total);
			for (unsigned j = 0; j < g.d; j++) {
				assert_int_equal(geom_data_start(&g, j), at);
				for (uint32_t r = 0;
				     r < geom_column_sectors(&g, m + j); r++)
					assert_int_equal(
					    geom_data_column(&g, at + r), j);
				at += geom_column_sectors(&g, m + j);
			}
			assert_int_equal(at, s);
		}
	}
}

struct columns {
	uint8_t *at[RAW_MAX_MEMBERS];
};

static void
columns_alloc(struct columns *c, const struct geom *g)
{
	for (unsigned i = 0; i < g->w; i++) {
		c->at[i] = malloc((size_t)g->rows * RAW_SECTOR);
		assert_non_null(c->at[i]);
		for (uint32_t b = 0; b < g->rows * RAW_SECTOR; b++)
			c->at[i][b] = (uint8_t)(rand() >> 7);
	}
}

static void
columns_free(struct columns *c, const struct geom *g)
{
	for (unsigned i = 0; i < g->w; i++)
		free(c->at[i]);
}

/* Parity, byte by byte, by the definition in docs/raw.md. */
static void
check_parity(struct ec *ec, const struct geom *g, const struct columns *c)
{
	for (unsigned i = 0; i < g->m; i++) {
		for (uint32_t b = 0; b < g->rows * RAW_SECTOR; b += 509) {
			uint8_t want = 0;

			for (unsigned j = 0; j < g->d; j++) {
				unsigned col = g->m + j;

				if (b >= geom_column_sectors(g, col) *
					RAW_SECTOR)
					continue;
				want ^= slow_mul(
				    ec_coefficient(ec, i, j), c->at[col][b]);
			}
			assert_int_equal(c->at[i][b], want);
		}
	}
}

/* Lose the columns of a pattern, recover, compare. */
static void
check_pattern(struct ec *ec, const struct geom *g, struct columns *c,
    uint32_t lost)
{
	uint8_t *kept[RAW_MAX_MEMBERS];

	for (unsigned i = 0; i < g->w; i++) {
		size_t n = (size_t)geom_column_sectors(g, i) * RAW_SECTOR;

		if (!(lost & (1u << i)))
			continue;
		kept[i] = c->at[i];
		c->at[i] = malloc((size_t)g->rows * RAW_SECTOR);
		assert_non_null(c->at[i]);
		memset(c->at[i], 0xee, n);
	}
	assert_int_equal(ec_recover(ec, g, c->at, lost), 0);
	for (unsigned i = 0; i < g->w; i++) {
		if (!(lost & (1u << i)))
			continue;
		assert_memory_equal(c->at[i], kept[i],
		    (size_t)geom_column_sectors(g, i) * RAW_SECTOR);
		free(c->at[i]);
		c->at[i] = kept[i];
	}
}

static void
test_all_patterns(void **state)
{
	unsigned long patterns = 0;

	srand(1);
	for (size_t p = 0; p < NPROFILES; p++) {
		unsigned k = profiles[p].k, m = profiles[p].m;
		struct ec *ec = ec_new(k, m);

		assert_non_null(ec);
		for (unsigned i = 0; i < m; i++)
			assert_int_equal(ec_coefficient(ec, i, 0), 1);
		for (unsigned j = 0; m > 0 && j < k; j++)
			assert_int_equal(ec_coefficient(ec, 0, j), 1);
		/* Narrow, exact, and with a short last row. */
		for (uint32_t s = 1; s <= 2 * k + 1; s += s < k ? 1 : k / 2 + 1) {
			struct columns c;
			struct geom g;
			unsigned n;

			geom_init(&g, k, m, s * RAW_SECTOR);
			columns_alloc(&c, &g);
			ec_encode(ec, &g, c.at);
			check_parity(ec, &g, &c);
			n = g.w;
			for (uint64_t x = 0; n <= 12 && x < (1ull << n); x++)
				if ((unsigned)__builtin_popcountll(x) <= m) {
					check_pattern(
					    ec, &g, &c, (uint32_t)x);
					patterns++;
				}
			for (unsigned i = 0; n > 12 && i < 300; i++) {
				uint32_t x = 0;

				for (unsigned b = 0; b < m; b++)
					x |= 1u << ((unsigned)rand() % n);
				check_pattern(ec, &g, &c, x);
				patterns++;
			}
			if (m + 1 <= g.w)
				assert_int_equal(ec_recover(ec, &g, c.at,
						     (1u << (m + 1)) - 1),
				    -22);
			columns_free(&c, &g);
		}
		ec_free(ec);
	}
	print_message("%lu erasure patterns\n", patterns);
}

/* One sector is stored as equal copies; m = 1 is XOR. */
static void
test_copies(void **state)
{
	struct ec *ec = ec_new(4, 2);
	struct columns c;
	struct geom g;

	geom_init(&g, 4, 2, 100);
	assert_int_equal(g.w, 3);
	columns_alloc(&c, &g);
	ec_encode(ec, &g, c.at);
	assert_memory_equal(c.at[0], c.at[2], RAW_SECTOR);
	assert_memory_equal(c.at[1], c.at[2], RAW_SECTOR);
	columns_free(&c, &g);
	ec_free(ec);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_crc),
	    cmocka_unit_test(test_geometry),
	    cmocka_unit_test(test_all_patterns),
	    cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
