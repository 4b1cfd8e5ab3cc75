/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_FILEIO_IMPL_H
#define LOOP_FILEIO_IMPL_H

#include "loop/fileio.h"

/* Between fileio.c and its two backends only. */
struct fileio_ops {
	void (*submit)(struct fileio *io, struct fileio_req *r);
	void (*free)(struct fileio *io);
};

struct fileio { /* the head of a backend's struct */
	const struct fileio_ops *ops;
	enum fileio_kind kind;
	struct loop *loop;
	unsigned inflight; /* submitted and not done */
};

struct fileio *fileio_uring_new(struct loop *l, unsigned depth, struct err *e);
struct fileio *fileio_workers_new(
    struct loop *l, struct work_pool *pool, struct err *e);

/*
 * The kernel answered rc (bytes or -errno) to what is left of r.  True: r->result
 * is final; false: ask for the rest, which begins at r->off + r->moved and goes
 * to r->iov as it is now.
 */
bool fileio_step(struct fileio_req *r, int64_t rc);

/* How many of r->iov one system call takes. */
unsigned fileio_niov(const struct fileio_req *r);

/* r->result is final: count it out and call done, which may free r. */
void fileio_complete(struct fileio_req *r);

#endif
