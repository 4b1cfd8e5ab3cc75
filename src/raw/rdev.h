/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_RDEV_H
#define RAW_RDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "loop/loop.h"

/*
 * A raw device: the seam below everything in raw/.  Behind it are block devices
 * and image files (rdev_file.c), and for tests a simulated disk that loses,
 * reorders and tears what was not flushed (tests/lib/simdisk.c).
 *
 *  - Offsets, lengths and memory are multiples of 4096 bytes.
 *  - Requests complete in any order; of two overlapping ones in flight nothing
 *    is promised.
 *  - A write that completed is durable when a FLUSH that was submitted later
 *    has completed.  Until then any 512 bytes of it may be lost, or not.
 *  - A durable write is on the disk when it has completed.  That says nothing
 *    of writes before it: where the disk can do so they stay in its cache.
 *  - A write that failed may have happened in part.
 */
struct buf;
struct err;
struct fileio;
struct rdev;

enum rdev_op { RDEV_READ, RDEV_WRITE, RDEV_FLUSH, RDEV_DISCARD };

struct rdev_req {
	/* By the caller; borrowed until done. */
	enum rdev_op op;
	uint64_t off;
	uint64_t len; /* DISCARD; else the sum of iov */
	struct iovec *iov; /* may be changed */
	unsigned niov;
	bool durable; /* WRITE; only where rdev.durable_writes */
	void (*done)(struct rdev_req *r); /* once, never inside submit */
	void *arg;
	/* The answer: 0 or a negative errno.  A transfer is whole or -EIO. */
	int rc;

	/* private */
	struct rdev *dev;
	struct list link;
	struct loop_task task;
	int64_t start_ns;
	void *priv;
	bool patient; /* of flight.c */
};

struct rdev_ops {
	void (*submit)(struct rdev *d, struct rdev_req *r);
	void (*close)(struct rdev *d); /* no request in flight */
};

struct rdev { /* the head of every device's own struct */
	const struct rdev_ops *ops;
	struct loop *loop;
	char *path; /* for messages */
	uint64_t bytes; /* usable: a multiple of 4096 */
	bool wants_discard; /* a block device, or a file with holes */
	bool durable_writes;
	unsigned inflight;
	bool closing; /* when the last request has come home */
};

void rdev_submit(struct rdev *d, struct rdev_req *r);
/* For devices: finish a request. */
void rdev_complete(struct rdev_req *r, int rc);
/* Accepts NULL.  Requests that the device has not answered are still ended by
 * it, some time; then it is closed. */
void rdev_close(struct rdev *d);

/*
 * Open a block device (O_EXCL: refused while mounted or in use) or an image
 * file (locked against other processes), with O_DIRECT where it can.  Nothing
 * is written.  read_only: others may read it too.
 */
int rdev_open(struct loop *l, struct fileio *io, const char *path,
    bool read_only, struct rdev **out, struct err *e);

/* Run the loop until one transfer is done (opening and tools); -ETIMEDOUT after
 * RDEV_WAIT_NS. */
#define RDEV_WAIT_NS 20000000000LL
int rdev_wait(struct rdev *d, enum rdev_op op, uint64_t off, void *p,
    uint64_t len, struct err *e);
/* The same, a READ to byte `at` of b without a copy.  After -ETIMEDOUT b may
 * still be written to, as long as it has more than one reference. */
int rdev_wait_read(struct rdev *d, uint64_t off, struct buf *b, size_t at,
    uint64_t len, struct err *e);
/* In two steps, so that several are under way: begin (NULL: no memory), and end,
 * which waits and gives back what begin gave. */
struct rdev_wait;
struct rdev_wait *rdev_read_begin(
    struct rdev *d, uint64_t off, struct buf *b, size_t at, uint64_t len);
int rdev_read_end(struct rdev_wait *w, struct err *e);

#endif
