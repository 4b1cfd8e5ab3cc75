/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_FILEIO_H
#define LOOP_FILEIO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "loop/loop.h"
#include "loop/work.h"

/*
 * Asynchronous file I/O: by io_uring, or by the worker pool where io_uring is
 * forbidden (many containers) or where it was asked for.
 *
 * Requests complete in any order.  A transfer that the kernel cuts short is
 * continued until it is whole or the file ends.
 */
struct err;
struct work_pool;
struct fileio;

enum fileio_kind { FILEIO_AUTO, FILEIO_URING, FILEIO_WORKERS };
enum fileio_op {
	FILEIO_READ,
	FILEIO_WRITE,
	FILEIO_FDATASYNC,
	FILEIO_FSYNC,
	FILEIO_FALLOCATE /* mode, off, len */
};

struct fileio_req {
	/* By the caller; borrowed until done. */
	enum fileio_op op;
	int fd;
	uint64_t off;
	struct iovec *iov; /* changed while a short transfer is continued */
	unsigned niov;
	int mode;
	uint64_t len;
	bool durable; /* WRITE: not done before the disk has it (RWF_DSYNC) */
	/* Exactly once, on the loop, never from inside submit. */
	void (*done)(struct fileio_req *r);
	/* The answer: bytes transferred (less than asked only at the end of the
	 * file), 0 for the others, or a negative errno. */
	int64_t result;

	/* private */
	struct fileio *io;
	uint64_t moved;
	struct list link;
	struct loop_task task;
	struct work work;
};

/* FILEIO_AUTO takes io_uring where it works.  pool is used for
 * FILEIO_WORKERS and may be NULL otherwise (then AUTO cannot fall back).
 * depth: how many requests the kernel is given at a time; more may be submitted
 * and wait for their turn. */
struct fileio *fileio_new(struct loop *l, struct work_pool *pool,
    enum fileio_kind kind, unsigned depth, struct err *e);
/* No request is in flight; not from inside done.  Accepts NULL. */
void fileio_free(struct fileio *io);
enum fileio_kind fileio_which(const struct fileio *io);
/* Errors come through done. */
void fileio_submit(struct fileio *io, struct fileio_req *r);

#endif
