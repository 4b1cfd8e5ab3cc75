/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec.c: the erasure code; see ec.h.
 *
 * Encoding uses ISA-L's expanded tables, made once for each width.  (The first
 * x columns of the matrix are the code for x data columns.)  Recovery inverts
 * the rows of the surviving columns; an inversion costs 0.2 us at 4+2 and 11 us
 * at 16+4, little beside reading the columns, so its result is kept only for
 * the last pattern: a dead member gives one pattern for hours.
 */
#include "raw/ec.h"

#include <errno.h>
#include <isa-l/erasure_code.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

#define TABLE 32 /* ISA-L: bytes of expanded table for one coefficient */

struct recipe { /* how to make the lost data columns of one stripe */
	bool valid;
	unsigned width;
	uint32_t lost;
	unsigned nlost;			      /* lost data columns */
	uint8_t from[RAW_MAX_MEMBERS];	      /* columns to read */
	uint8_t make[RAW_MAX_PARITY];	      /* columns to write */
	uint8_t tables[RAW_MAX_MEMBERS * RAW_MAX_PARITY * TABLE];
};

struct ec {
	unsigned k, m;
	uint8_t matrix[RAW_MAX_PARITY * RAW_MAX_MEMBERS]; /* m x k */
	uint8_t *encode[RAW_MAX_MEMBERS + 1]; /* expanded, by width */
	struct recipe last;
};

static void
make_matrix(struct ec *ec)
{
	unsigned k = ec->k, m = ec->m;

	for (unsigned i = 0; i < m; i++)
		for (unsigned j = 0; j < k; j++)
			ec->matrix[i * k + j] =
			    gf_inv((unsigned char)((k + i) ^ j));
	for (unsigned j = 0; j < k && m > 0; j++) {
		uint8_t scale = gf_inv(ec->matrix[j]);

		for (unsigned i = 0; i < m; i++)
			ec->matrix[i * k + j] =
			    gf_mul(ec->matrix[i * k + j], scale);
	}
	for (unsigned i = 1; i < m; i++) {
		uint8_t scale = gf_inv(ec->matrix[i * k]);

		for (unsigned j = 0; j < k; j++)
			ec->matrix[i * k + j] =
			    gf_mul(ec->matrix[i * k + j], scale);
	}
}

/* The m x width corner of the matrix, expanded. */
static int
make_tables(struct ec *ec, unsigned width)
{
	uint8_t corner[RAW_MAX_PARITY * RAW_MAX_MEMBERS];

	ec->encode[width] = malloc((size_t)TABLE * width * ec->m);
	if (!ec->encode[width])
		return -ENOMEM;
	for (unsigned i = 0; i < ec->m; i++)
		memcpy(corner + i * width, ec->matrix + i * ec->k, width);
	ec_init_tables((int)width, (int)ec->m, corner, ec->encode[width]);
	return 0;
}

struct ec *
ec_new(unsigned k, unsigned m)
{
	struct ec *ec;

	must(k >= 1 && m <= RAW_MAX_PARITY && k + m <= RAW_MAX_MEMBERS);
	ec = calloc(1, sizeof(*ec));
	if (!ec)
		return NULL;
	ec->k = k;
	ec->m = m;
	make_matrix(ec);
	for (unsigned x = 1; m > 0 && x <= k; x++) {
		if (make_tables(ec, x) < 0) {
			ec_free(ec);
			return NULL;
		}
	}
	return ec;
}

void
ec_free(struct ec *ec)
{
	if (!ec)
		return;
	for (unsigned x = 0; x <= ec->k; x++)
		free(ec->encode[x]);
	free(ec);
}

uint8_t
ec_coefficient(const struct ec *ec, unsigned i, unsigned j)
{
	return ec->matrix[i * ec->k + j];
}

/* One stripe: rows rows from row first on, width data columns. */
static void
encode_stripe(struct ec *ec, uint8_t *const *columns, unsigned width,
    uint32_t first, uint32_t rows)
{
	uint8_t *data[RAW_MAX_MEMBERS], *parity[RAW_MAX_PARITY];
	size_t skip = (size_t)first * RAW_SECTOR;

	for (unsigned i = 0; i < ec->m; i++)
		parity[i] = columns[i] + skip;
	for (unsigned j = 0; j < width; j++)
		data[j] = columns[ec->m + j] + skip;
	ec_encode_data((int)(rows * RAW_SECTOR), (int)width, (int)ec->m,
	    ec->encode[width], data, parity);
}

void
ec_encode(struct ec *ec, const struct geom *g, uint8_t *const *columns)
{
	must(g->k == ec->k && g->m == ec->m);
	if (ec->m == 0)
		return;
	if (g->last == g->d) {
		encode_stripe(ec, columns, g->d, 0, g->rows);
		return;
	}
	encode_stripe(ec, columns, g->d, 0, g->rows - 1);
	encode_stripe(ec, columns, g->last, g->rows - 1, 1);
}

/* The row of the generator matrix that makes column c of a stripe. */
static void
generator_row(const struct ec *ec, unsigned c, unsigned width, uint8_t *row)
{
	if (c < ec->m) {
		memcpy(row, ec->matrix + c * ec->k, width);
		return;
	}
	memset(row, 0, width);
	row[c - ec->m] = 1;
}

/*
 * Choose width columns that are left, invert their rows, and keep the rows of
 * the inverse that give the lost data columns.
 */
static int
make_recipe(struct ec *ec, unsigned width, uint32_t lost, struct recipe *r)
{
	uint8_t rows[RAW_MAX_MEMBERS * RAW_MAX_MEMBERS];
	uint8_t inverse[RAW_MAX_MEMBERS * RAW_MAX_MEMBERS];
	uint8_t want[RAW_MAX_PARITY * RAW_MAX_MEMBERS];
	unsigned n = 0;

	if (r->valid && r->width == width && r->lost == lost)
		return 0;
	r->valid = false;
	r->nlost = 0;
	/* Data first: their rows are unit rows. */
	for (unsigned j = 0; j < width; j++)
		if (!(lost & (1u << (ec->m + j))))
			r->from[n++] = (uint8_t)(ec->m + j);
		else if (r->nlost < ec->m)
			r->make[r->nlost++] = (uint8_t)(ec->m + j);
		else
			return -EINVAL;
	for (unsigned i = 0; i < ec->m && n < width; i++)
		if (!(lost & (1u << i)))
			r->from[n++] = (uint8_t)i;
	if (n < width)
		return -EINVAL;
	for (unsigned i = 0; i < width; i++)
		generator_row(ec, r->from[i], width, rows + i * width);
	/* Every square part of a Cauchy matrix can be inverted. */
	must(gf_invert_matrix(rows, inverse, (int)width) == 0);
	for (unsigned i = 0; i < r->nlost; i++)
		memcpy(want + i * width,
		    inverse + (size_t)(r->make[i] - ec->m) * width, width);
	ec_init_tables((int)width, (int)r->nlost, want, r->tables);
	r->width = width;
	r->lost = lost;
	r->valid = true;
	return 0;
}

static int
recover_stripe(struct ec *ec, uint8_t *const *columns, unsigned width,
    uint32_t first, uint32_t rows, uint32_t lost)
{
	uint8_t *from[RAW_MAX_MEMBERS], *make[RAW_MAX_PARITY];
	size_t skip = (size_t)first * RAW_SECTOR;
	uint32_t mask = (uint32_t)((1ull << (ec->m + width)) - 1);
	uint32_t data_mask = mask & ~((1u << ec->m) - 1);
	struct recipe *r = &ec->last;

	if (lost & data_mask) {
		if (make_recipe(ec, width, lost & mask, r) < 0)
			return -EINVAL;
		for (unsigned i = 0; i < width; i++)
			from[i] = columns[r->from[i]] + skip;
		for (unsigned i = 0; i < r->nlost; i++)
			make[i] = columns[r->make[i]] + skip;
		ec_encode_data((int)(rows * RAW_SECTOR), (int)width,
		    (int)r->nlost, r->tables, from, make);
	}
	return 0;
}

/* Make the lost parity columns of a stripe whose data is whole. */
static void
recover_parity(struct ec *ec, uint8_t *const *columns, unsigned width,
    uint32_t first, uint32_t rows, uint32_t lost)
{
	uint8_t *data[RAW_MAX_MEMBERS];
	size_t skip = (size_t)first * RAW_SECTOR;

	for (unsigned j = 0; j < width; j++)
		data[j] = columns[ec->m + j] + skip;
	for (unsigned i = 0; i < ec->m; i++) {
		uint8_t *one = columns[i] + skip;

		if (!(lost & (1u << i)))
			continue;
		ec_encode_data((int)(rows * RAW_SECTOR), (int)width, 1,
		    ec->encode[width] + (size_t)TABLE * width * i, data, &one);
	}
}

int
ec_recover(struct ec *ec, const struct geom *g, uint8_t *const *columns,
    uint32_t lost)
{
	struct {
		unsigned width;
		uint32_t first, rows;
	} stripe[2] = {
	    {g->d, 0, g->rows - 1}, {g->last, g->rows - 1, 1}};

	must(g->k == ec->k && g->m == ec->m);
	lost &= (uint32_t)((1ull << g->w) - 1);
	if ((unsigned)__builtin_popcount(lost) > ec->m)
		return -EINVAL;
	if (g->last == g->d) {
		stripe[0].rows = g->rows;
		stripe[1].rows = 0;
	}
	for (unsigned i = 0; i < 2; i++) {
		int rc;

		if (stripe[i].rows == 0)
			continue;
		rc = recover_stripe(ec, columns, stripe[i].width,
		    stripe[i].first, stripe[i].rows, lost);
		if (rc < 0)
			return rc;
		recover_parity(ec, columns, stripe[i].width, stripe[i].first,
		    stripe[i].rows, lost);
	}
	return 0;
}
