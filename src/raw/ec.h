/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_EC_H
#define RAW_EC_H

#include <stdint.h>

#include "raw/geom.h"

/*
 * Erasure code: parity from data, and lost columns from those that are left.
 * Reed-Solomon with the normalised Cauchy matrix of docs/raw.md, by ISA-L.
 *
 * An extent is coded as two stripes: all rows but the last, d columns wide, and
 * the last row, geom.last columns wide.  Buffers need no alignment (64 bytes is
 * fastest).  An ec belongs to one thread.
 */
struct ec;

/* 1 <= k, m <= RAW_MAX_PARITY, k + m <= RAW_MAX_MEMBERS.  NULL: no memory. */
struct ec *ec_new(unsigned k, unsigned m);
void ec_free(struct ec *ec); /* accepts NULL */

/*
 * columns[0..w-1], parity first, each of geom_column_sectors sectors.  The
 * parity columns are written, the data columns read.
 */
void ec_encode(struct ec *ec, const struct geom *g, uint8_t *const *columns);

/*
 * Write the columns named in lost (bit c for column c) from the others.
 * -EINVAL: more than m are lost.  -ENOMEM.
 */
int ec_recover(struct ec *ec, const struct geom *g, uint8_t *const *columns,
    uint32_t lost);

/* Row i, column j of the coding matrix (for tests and for the format). */
uint8_t ec_coefficient(const struct ec *ec, unsigned i, unsigned j);

#endif
