/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JOURNAL_SEGREAD_H
#define JOURNAL_SEGREAD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Segments of a journal on their way to memory, in order; those behind the one
 * that is looked at are read meanwhile.  Of a segment that is not read whole there
 * are at first the pages that say they are headers of records, each found by the
 * one before, and what it was cheaper to read than to leave out.
 *
 * Runs the device's loop while it waits.
 */
struct err;
struct journal_super;
struct rdev;
struct segread;

/* d and s are borrowed.  whole: all of every segment is read at once. */
int segread_new(struct rdev *d, const struct journal_super *s, bool whole,
    struct segread **out, struct err *e);
void segread_free(struct segread *r); /* waits for what is in flight */

/* Go to this segment.  0, or the error of a read. */
int segread_go(struct segread *r, uint64_t number, struct err *e);
/* The current segment's memory: seg_size bytes. */
const uint8_t *segread_mem(const struct segread *r);
/* Are the pages of [at, at + n) of it there? */
bool segread_has(const struct segread *r, uint32_t at, uint32_t n);
/* Read what of them is not. */
int segread_need(struct segread *r, uint32_t at, uint32_t n, struct err *e);

#endif
