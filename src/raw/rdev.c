/* SPDX-License-Identifier: Apache-2.0 */
/* rdev.c: what all raw devices share; see rdev.h. */
#include "raw/rdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"

void
rdev_submit(struct rdev *d, struct rdev_req *r)
{
	uint64_t len = 0;

	must(loop_is_mine(d->loop));
	for (unsigned i = 0; i < r->niov; i++) {
		must((uintptr_t)r->iov[i].iov_base % 4096 == 0);
		must(r->iov[i].iov_len % 4096 == 0);
		len += r->iov[i].iov_len;
	}
	if (r->op == RDEV_READ || r->op == RDEV_WRITE)
		r->len = len;
	must(r->off % 4096 == 0 && r->len % 4096 == 0);
	must(!r->durable || (r->op == RDEV_WRITE && d->durable_writes));
	must(r->op == RDEV_FLUSH ||
	    (r->len > 0 && r->off <= d->bytes && r->len <= d->bytes - r->off));
	r->dev = d;
	r->rc = 0;
	d->inflight++;
	d->ops->submit(d, r);
}

void
rdev_complete(struct rdev_req *r, int rc)
{
	struct rdev *d = r->dev;

	must(d->inflight > 0);
	r->rc = rc;
	r->done(r);
	/* Counted until done has run: that may close the device. */
	if (--d->inflight == 0 && d->closing)
		d->ops->close(d);
}

void
rdev_close(struct rdev *d)
{
	if (!d)
		return;
	must(!d->closing);
	d->closing = true;
	if (d->inflight == 0)
		d->ops->close(d);
}

/* The waiter is on the heap, and keeps the memory: a device that does not
 * answer in time may still do so. */
struct rdev_wait {
	struct rdev_req req;
	struct iovec iov;
	struct loop_timer timer;
	struct buf *mem;
	bool done, late;
};

static void
wait_free(struct rdev_wait *w)
{
	buf_unref(w->mem);
	free(w);
}

static void
wait_done(struct rdev_req *r)
{
	struct rdev_wait *w = r->arg;

	loop_timer_cancel(&w->timer);
	w->done = true;
	if (w->late)
		wait_free(w);
}

static void
wait_late(struct loop_timer *t)
{
	struct rdev_wait *w = container_of(t, struct rdev_wait, timer);

	w->done = w->late = true;
}

/* b: what is moved, from byte `at` of it; or NULL.  NULL: no memory. */
static struct rdev_wait *
wait_begin(struct rdev *d, enum rdev_op op, uint64_t off, struct buf *b,
    size_t at, uint64_t len)
{
	struct rdev_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->req = (struct rdev_req){
	    .op = op, .off = off, .len = len, .done = wait_done, .arg = w};
	w->timer.fire = wait_late;
	if (b) {
		w->mem = buf_ref(b);
		w->iov = (struct iovec){b->data + at, len};
		w->req.iov = &w->iov;
		w->req.niov = 1;
	}
	rdev_submit(d, &w->req);
	(void)loop_timer_set(d->loop, &w->timer,
	    loop_now(d->loop) + RDEV_WAIT_NS);
	return w;
}

static int
wait_end(struct rdev_wait *w, struct err *e)
{
	static const char *const verb[] = {"read", "write", "flush", "discard"};
	struct rdev *d = w->req.dev;
	uint64_t off = w->req.off, len = w->req.len;
	enum rdev_op op = w->req.op;
	int rc = loop_run_until(d->loop, &w->done);

	if (rc < 0 || w->late) {
		w->late = true;
		rc = rc < 0 ? rc : -ETIMEDOUT;
	} else {
		rc = w->req.rc;
		wait_free(w);
	}
	if (rc < 0)
		return err_errno(e, rc, "%s: %s of %llu bytes at %llu", d->path,
		    verb[op], (unsigned long long)len, (unsigned long long)off);
	return 0;
}

static int
wait_for(struct rdev *d, enum rdev_op op, uint64_t off, struct buf *b,
    size_t at, uint64_t len, struct err *e)
{
	struct rdev_wait *w = wait_begin(d, op, off, b, at, len);

	return w ? wait_end(w, e) : err_errno(e, -ENOMEM, "%s", d->path);
}

struct rdev_wait *
rdev_read_begin(
    struct rdev *d, uint64_t off, struct buf *b, size_t at, uint64_t len)
{
	return wait_begin(d, RDEV_READ, off, b, at, len);
}

int
rdev_read_end(struct rdev_wait *w, struct err *e)
{
	return wait_end(w, e);
}

int
rdev_wait_read(struct rdev *d, uint64_t off, struct buf *b, size_t at,
    uint64_t len, struct err *e)
{
	return wait_for(d, RDEV_READ, off, b, at, len, e);
}

int
rdev_wait(struct rdev *d, enum rdev_op op, uint64_t off, void *p, uint64_t len,
    struct err *e)
{
	bool moves = op == RDEV_READ || op == RDEV_WRITE;
	struct buf *b = moves ? buf_new(len) : NULL;
	int rc;

	if (moves && !b)
		return err_errno(e, -ENOMEM, "%s", d->path);
	if (op == RDEV_WRITE)
		memcpy(b->data, p, len);
	rc = wait_for(d, op, off, b, 0, len, e);
	if (rc == 0 && op == RDEV_READ)
		memcpy(p, b->data, len);
	buf_unref(b);
	return rc;
}
