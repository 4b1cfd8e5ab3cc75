/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_XIO_H
#define RAW_XIO_H

#include <stdbool.h>
#include <stddef.h>
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
 * that are asked for; for each that is missing, late, damaged or cannot be
 * read, it goes on to others, and rewrites what was damaged.
 */
struct buf;
struct pool;
struct xio;

/* What is known of a column that is read. */
enum xio_state {
	XIO_UNREAD,
	XIO_ASKED, /* a read is under way */
	XIO_GOOD,  /* read, or recovered, and verified */
	XIO_BAD,   /* unreadable or damaged: to be rewritten */
	XIO_LATE   /* its member did not answer in time, or is avoided */
};

struct xio_column {
	struct rdev_req req;
	struct iovec iov;
	struct xio *x;
	uint8_t *mem; /* geom_column_sectors of it */
	enum xio_state state;
	bool recovered; /* it was not read */
	bool patient;	/* asked for, however long it takes */
};

enum xio_mode { XIO_WRITE, XIO_READ, XIO_SCRUB, XIO_REBUILD };

struct xio {
	struct pool *pool;
	struct geom geom;
	struct raw_extent *ext;
	void (*done)(struct xio *x);
	void *arg;
	int rc;
	struct err err;
	uint32_t rewritten; /* bits of columns */
	uint32_t unmended;  /* ... that were to be, in vain or not for sure */
	uint32_t misplaced; /* ... of these, that lie on a bad place */

	/* private */
	enum xio_mode mode;
	struct buf *scratch; /* what is read, or parity that is written */
	struct buf *hold;    /* WRITE: what the payload is in, or NULL */
	unsigned pending;
	uint32_t bad;	  /* WRITE: bits of columns that were not written */
	uint32_t targets; /* READ, REBUILD: columns that are to be good */
	bool all_mem; /* every column has memory */
	bool tainted; /* some of it may still be read to */
	uint32_t off, len; /* of the payload, to dst */
	uint8_t *dst;
	struct loop_task task;
	struct xio_column col[RAW_MAX_MEMBERS]; /* last: see xio_array */
};

/*
 * Memory for n of them, not cleared, for free(); or NULL.  They have as many
 * columns as the pool has members, which may be far fewer than there could be:
 * so only xio_nth knows where the next one is.
 */
struct xio *xio_array(const struct pool *p, size_t n);
struct xio *xio_nth(const struct pool *p, struct xio *array, size_t i);

/*
 * Write payload of ext->bytes bytes to ext->addr; fills in ext's CRCs before it
 * returns.  payload is aligned, is borrowed until done, and has zeros up to the
 * sector's end.  hold: the buf that it lies in, kept until every device has
 * answered, even one that was given up; or NULL.  -ENOMEM: done will not be
 * called.
 */
int xio_write(struct xio *x, struct pool *p, struct raw_extent *ext,
    const uint8_t *payload, struct buf *hold);

/* Read bytes [off, off+len) of the payload into dst.  -ENOMEM: done will not be
 * called. */
int xio_read(struct xio *x, struct pool *p, struct raw_extent *ext,
    uint32_t off, uint32_t len, uint8_t *dst);

/* Read every column, parity too, of members that have everything; rewrite what
 * is damaged. */
int xio_scrub(struct xio *x, struct pool *p, struct raw_extent *ext);

/*
 * Make good the columns that are on these members (bits).  Those of `blank`
 * have nothing yet; of the others, what is there is read first, and written
 * only if it is not good.  1: no column is on any of them, nothing to do.
 */
int xio_rebuild(struct xio *x, struct pool *p, struct raw_extent *ext,
    uint32_t members, uint32_t blank);

/* Shared by xio.c and xio_read.c. */
uint64_t xio_column_bytes(const struct xio *x, unsigned c);
unsigned xio_member(const struct xio *x, unsigned c);
void xio_setup(struct xio *x, struct pool *p, struct raw_extent *ext,
    enum xio_mode mode);
void xio_submit(struct xio *x, unsigned c, enum rdev_op op, struct buf *mem,
    void (*done)(struct rdev_req *));
void xio_finish(struct xio *x, int rc);
/* Nothing had to be asked of any device: done must not run inside submit. */
void xio_later(struct xio *x, void (*run)(struct loop_task *));

#endif
