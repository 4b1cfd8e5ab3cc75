/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fileio_uring.c: file I/O by io_uring.
 *
 * Submitted requests wait in a list; before the loop waits, as many as the ring
 * has room for are given to the kernel by one system call.  Some go sooner,
 * EAGER_REQUESTS or EAGER_BYTES at a time: a turn that finishes 64 requests, and
 * checksums and encodes what follows them, would else leave the disk idle until
 * its end, and then all 64 would come back together again.  At most `depth` are
 * with the kernel at a time, and the completion queue has twice that room, so it
 * cannot overflow.  Completions arrive by an eventfd (edge-triggered, never
 * read).  Those that are there at once when io_uring_enter returns (cached
 * data) are fetched by a task instead of a wait.
 *
 * done is called from the eventfd's callback or from that task: never from
 * inside submit, whatever done itself submits.
 *
 * Where the kernel or a container's filter refuses the ring, an eventfd or one
 * of our operations, fileio_uring_new fails and fileio.c takes the workers.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "loop/fileio_impl.h"

#define EAGER_BYTES (256u << 10)
#define EAGER_REQUESTS 8

struct uring {
	struct fileio head;
	unsigned depth;
	struct io_uring ring;
	struct list waiting;   /* requests; not yet in the ring */
	size_t waiting_bytes;  /* submitted since the kernel was last given any */
	unsigned waiting_new;  /* requests, the same */
	unsigned given;	       /* in the ring or with the kernel */
	unsigned unsubmitted;  /* of those, not yet with the kernel */
	struct loop_fd events; /* the eventfd */
	struct loop_hook hook;
	struct loop_task reap_task;
};

static struct uring *
uring_of(struct fileio *io)
{
	return container_of(io, struct uring, head);
}

static void
prepare(struct io_uring_sqe *sqe, struct fileio_req *r)
{
	uint64_t at = r->off + r->moved;

	switch (r->op) {
	case FILEIO_READ:
		io_uring_prep_readv(sqe, r->fd, r->iov, fileio_niov(r), at);
		break;
	case FILEIO_WRITE:
		io_uring_prep_writev2(sqe, r->fd, r->iov, fileio_niov(r), at,
		    r->durable ? RWF_DSYNC : 0);
		break;
	case FILEIO_FDATASYNC:
		io_uring_prep_fsync(sqe, r->fd, IORING_FSYNC_DATASYNC);
		break;
	case FILEIO_FSYNC:
		io_uring_prep_fsync(sqe, r->fd, 0);
		break;
	case FILEIO_FALLOCATE:
		io_uring_prep_fallocate(
		    sqe, r->fd, r->mode, (off_t)at, (off_t)r->len);
		break;
	}
	io_uring_sqe_set_data(sqe, r);
}

/* Give the kernel what waits, as far as there is room. */
static void
give(struct uring *u)
{
	int n;

	u->waiting_bytes = 0;
	u->waiting_new = 0;
	while (u->given < u->depth && !list_empty(&u->waiting)) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
		struct list *e;

		if (!sqe) /* the last submit did not take all */
			break;
		e = list_pop_front(&u->waiting);
		prepare(sqe, list_entry(e, struct fileio_req, link));
		u->given++;
		u->unsubmitted++;
	}
	if (u->unsubmitted == 0)
		return;
	n = io_uring_submit(&u->ring);
	if (n > 0) {
		must((unsigned)n <= u->unsubmitted);
		u->unsubmitted -= (unsigned)n;
	}
	/* What the kernel did not take (no memory just now) stays in the ring:
	 * the task makes the loop come back here without a wait. */
	if (u->unsubmitted > 0 || io_uring_cq_ready(&u->ring) > 0)
		loop_defer(u->head.loop, &u->reap_task);
}

static void
before_wait(struct loop_hook *h)
{
	give(container_of(h, struct uring, hook));
}

static void
reap(struct uring *u)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct fileio_req *r = io_uring_cqe_get_data(cqe);
		int64_t rc = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		must(u->given > 0);
		u->given--;
		if (fileio_step(r, rc))
			fileio_complete(r);
		else
			list_push_front(&u->waiting, &r->link);
	}
}

static void
reap_run(struct loop_task *t)
{
	reap(container_of(t, struct uring, reap_task));
}

static void
events_ready(struct loop_fd *w, uint32_t events)
{
	reap(container_of(w, struct uring, events));
}

static void
uring_submit(struct fileio *io, struct fileio_req *r)
{
	struct uring *u = uring_of(io);

	list_push_back(&u->waiting, &r->link);
	for (unsigned i = 0; i < r->niov; i++)
		u->waiting_bytes += r->iov[i].iov_len;
	if (++u->waiting_new >= EAGER_REQUESTS ||
	    u->waiting_bytes >= EAGER_BYTES)
		give(u);
}

static void
uring_free(struct fileio *io)
{
	struct uring *u = uring_of(io);
	int fd = u->events.fd;

	loop_hook_del(&u->hook);
	loop_cancel(u->head.loop, &u->reap_task);
	loop_fd_del(&u->events);
	io_uring_queue_exit(&u->ring);
	close(fd);
	free(u);
}

static const struct fileio_ops uring_ops = {uring_submit, uring_free};

/* All operations that we use are known to this kernel. */
static int
probe(struct io_uring *ring)
{
	static const int ops[] = {IORING_OP_READV, IORING_OP_WRITEV,
	    IORING_OP_FSYNC, IORING_OP_FALLOCATE};
	struct io_uring_probe *p = io_uring_get_probe_ring(ring);
	int rc = 0;

	if (!p)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (!io_uring_opcode_supported(p, ops[i]))
			rc = -EOPNOTSUPP;
	io_uring_free_probe(p);
	return rc;
}

/* The ring with its eventfd; *fd is the caller's to close. */
static int
open_ring(struct uring *u, int *fd, struct err *e)
{
	/* COOP_TASKRUN: nobody is interrupted for a completion. */
	struct io_uring_params params = {
	    .flags = IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN};
	int rc = io_uring_queue_init_params(u->depth, &u->ring, &params);

	if (rc == -EINVAL) { /* a kernel before 5.19 */
		params = (struct io_uring_params){.flags = IORING_SETUP_CLAMP};
		rc = io_uring_queue_init_params(u->depth, &u->ring, &params);
	}
	if (rc < 0)
		return err_errno(e, rc, "io_uring");
	if (u->depth > params.sq_entries)
		u->depth = params.sq_entries;
	rc = probe(&u->ring);
	if (rc < 0) {
		err_errno(e, rc, "io_uring: what this kernel can do");
		goto close_ring;
	}
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*fd < 0) {
		rc = -errno;
		err_errno(e, rc, "io_uring: eventfd");
		goto close_ring;
	}
	rc = io_uring_register_eventfd(&u->ring, *fd);
	if (rc < 0) {
		err_errno(e, rc, "io_uring: register eventfd");
		goto close_fd;
	}
	return 0;

close_fd:
	close(*fd);
close_ring:
	io_uring_queue_exit(&u->ring);
	return rc;
}

struct fileio *
fileio_uring_new(struct loop *l, unsigned depth, struct err *e)
{
	struct uring *u = calloc(1, sizeof(*u));
	int fd = -1, rc;

	if (!u) {
		err_set(e, -ENOMEM, "file I/O: no memory");
		return NULL;
	}
	u->head = (struct fileio){&uring_ops, FILEIO_URING, l};
	u->depth = depth;
	list_init(&u->waiting);
	rc = open_ring(u, &fd, e);
	if (rc < 0)
		goto free_u;
	u->events.ready = events_ready;
	rc = loop_fd_add(l, &u->events, fd, EPOLLIN | EPOLLET);
	if (rc < 0) {
		err_errno(e, rc, "io_uring: watch eventfd");
		goto close_ring;
	}
	u->hook.run = before_wait;
	loop_hook_add(l, &u->hook);
	u->reap_task.run = reap_run;
	return &u->head;

close_ring:
	io_uring_queue_exit(&u->ring);
	close(fd);
free_u:
	free(u);
	return NULL;
}
