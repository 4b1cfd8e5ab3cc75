/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fileio.c: what the two ways of file I/O share: the choice between them, and
 * the continuation of short transfers; see fileio.h.
 *
 * The kernel may transfer less than asked: it was interrupted, the request is
 * above 2 GiB, or has more than IOV_MAX pieces.  The rest is asked for again
 * until all is moved, the file ends, or an error comes, which is then the
 * answer: nobody wants to know how much of a failed transfer was done.
 */
#include "loop/fileio.h"

#include <errno.h>
#include <limits.h>

#include "base/err.h"
#include "base/must.h"
#include "loop/fileio_impl.h"

/* With O_DIRECT a file whose size is no multiple of the sector is read to its
 * end by one short read; the question for the rest is then refused as
 * unaligned.  The shortness was the end of the file. */
#define SECTOR_MIN 512

struct fileio *
fileio_new(struct loop *l, struct work_pool *pool, enum fileio_kind kind,
    unsigned depth, struct err *e)
{
	struct fileio *io = NULL;

	must(depth > 0);
	must(pool || kind != FILEIO_WORKERS);
	if (kind != FILEIO_WORKERS)
		io = fileio_uring_new(l, depth, e);
	if (!io && kind != FILEIO_URING && pool) {
		err_clear(e);
		io = fileio_workers_new(l, pool, e);
	}
	return io;
}

void
fileio_free(struct fileio *io)
{
	if (!io)
		return;
	must(io->inflight == 0);
	io->ops->free(io);
}

enum fileio_kind
fileio_which(const struct fileio *io)
{
	return io->kind;
}

void
fileio_submit(struct fileio *io, struct fileio_req *r)
{
	r->io = io;
	r->moved = 0;
	r->result = 0;
	list_init(&r->link);
	io->inflight++;
	loop_hold(io->loop);
	io->ops->submit(io, r);
}

void
fileio_complete(struct fileio_req *r)
{
	struct fileio *io = r->io;

	must(io->inflight > 0);
	io->inflight--;
	loop_unhold(io->loop);
	r->done(r);
}

unsigned
fileio_niov(const struct fileio_req *r)
{
	return r->niov < IOV_MAX ? r->niov : IOV_MAX;
}

/* Take n bytes off the front of r's pieces, and pieces that are empty. */
static void
advance(struct fileio_req *r, size_t n)
{
	r->moved += n;
	while (r->niov > 0 && n >= r->iov->iov_len) {
		n -= r->iov->iov_len;
		r->iov++;
		r->niov--;
	}
	must(r->niov > 0 || n == 0);
	if (n > 0) {
		r->iov->iov_base = (char *)r->iov->iov_base + n;
		r->iov->iov_len -= n;
	}
}

bool
fileio_step(struct fileio_req *r, int64_t rc)
{
	if (rc == -EINTR)
		return false;
	r->result = rc;
	if (r->op != FILEIO_READ && r->op != FILEIO_WRITE)
		return true;
	if (rc == -EINVAL && r->op == FILEIO_READ && r->moved > 0 &&
	    (r->off + r->moved) % SECTOR_MIN != 0)
		rc = 0;
	if (rc < 0)
		return true;
	advance(r, (size_t)rc);
	if (rc > 0 && r->niov > 0)
		return false;
	/* A write of something that wrote nothing is an error without a name.
	 */
	if (rc == 0 && r->niov > 0 && r->op == FILEIO_WRITE)
		r->result = -EIO;
	else
		r->result = (int64_t)r->moved;
	return true;
}
