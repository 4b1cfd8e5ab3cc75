/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_XIO_H
#define RAW_XIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "raw/format.h"
#include "raw/geom.h"
#include "raw/rdev.h"

/*
 * One extent: write its columns, or read and verify some of them.
 *
 * Writing encodes the parity and the checksums, and fails only when so many
 * columns were not written that the extent could not be read any more; members
 * that failed are reported to the pool.
 *
 * Reading gives verified bytes or -EIO (G4).  It begins with the data columns
 * that are asked for; for each that is missing, damaged or cannot be read, it
 * goes on to parity and the other data, and rewrites what was damaged.
 */
struct pool;
struct xio;

struct xio_column {
	struct rdev_req req;
	struct iovec iov;
	struct xio *x;
	uint8_t *mem;  /* geom_column_sectors of it */
	bool own;      /* mem is part of scratch */
	bool tried;    /* a read of it was submitted */
	bool good;     /* read and verified */
};

struct xio {
	struct pool *pool;
	struct geom geom;
	struct raw_extent *ext;
	void (*done)(struct xio *x);
	void *arg;
	int rc;
	struct err err;

	/* private */
	uint8_t *scratch;
	unsigned pending;
	uint32_t bad;	 /* bits of columns */
	bool all;	 /* every column was asked for */
	bool scrub;
	uint32_t off, len; /* of the payload, to dst */
	uint8_t *dst;
	struct loop_task task;
	struct xio_column col[RAW_MAX_MEMBERS];
};

/*
 * Write payload of ext->bytes bytes to ext->addr; fills in ext's CRCs before it
 * returns.  payload is aligned, is borrowed until done, and has zeros up to the
 * sector's end.  -ENOMEM: done will not be called.
 */
int xio_write(struct xio *x, struct pool *p, struct raw_extent *ext,
    const uint8_t *payload);

/*
 * Read bytes [off, off+len) of the payload into dst.  dst need not be aligned.
 * If it is, and has room for the whole sectors, they go there directly:
 * dst_room is what may be written behind dst.  -ENOMEM: done will not be
 * called.
 */
int xio_read(struct xio *x, struct pool *p, struct raw_extent *ext,
    uint32_t off, uint32_t len, uint8_t *dst, size_t dst_room);

/* Read every column, parity too, rewrite what is damaged (scrub).  Columns
 * found damaged are in x->bad. */
int xio_scrub(struct xio *x, struct pool *p, struct raw_extent *ext);

#endif
