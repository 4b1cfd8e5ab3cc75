/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fileio_workers.c: file I/O by system calls that block, on worker threads.
 *
 * A request is one work of the pool, which does all of it, short transfers
 * included.  Nothing is allocated and nothing can fail but the I/O itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "loop/fileio_impl.h"

struct workers {
	struct fileio head;
	struct work_pool *pool;
};

static int64_t
call(struct fileio_req *r)
{
	off_t at = (off_t)(r->off + r->moved);
	int niov = (int)fileio_niov(r);
	ssize_t n = -1;

	switch (r->op) {
	case FILEIO_READ:
		n = preadv(r->fd, r->iov, niov, at);
		break;
	case FILEIO_WRITE:
		n = pwritev2(
		    r->fd, r->iov, niov, at, r->durable ? RWF_DSYNC : 0);
		break;
	case FILEIO_FDATASYNC:
		n = fdatasync(r->fd);
		break;
	case FILEIO_FSYNC:
		n = fsync(r->fd);
		break;
	case FILEIO_FALLOCATE:
		n = fallocate(r->fd, r->mode, at, (off_t)r->len);
		break;
	}
	return n < 0 ? -errno : n;
}

static void
work_run(struct work *w)
{
	struct fileio_req *r = container_of(w, struct fileio_req, work);

	while (!fileio_step(r, call(r)))
		continue;
}

static void
work_done(struct work *w)
{
	fileio_complete(container_of(w, struct fileio_req, work));
}

static void
workers_submit(struct fileio *io, struct fileio_req *r)
{
	struct workers *x = container_of(io, struct workers, head);

	r->work.run = work_run;
	r->work.done = work_done;
	work_submit(x->pool, io->loop, &r->work);
}

static void
workers_free(struct fileio *io)
{
	free(container_of(io, struct workers, head));
}

static const struct fileio_ops workers_ops = {workers_submit, workers_free};

struct fileio *
fileio_workers_new(struct loop *l, struct work_pool *pool, struct err *e)
{
	struct workers *x = calloc(1, sizeof(*x));

	if (!x) {
		err_set(e, -ENOMEM, "file I/O: no memory");
		return NULL;
	}
	x->head = (struct fileio){&workers_ops, FILEIO_WORKERS, l};
	x->pool = pool;
	return &x->head;
}
