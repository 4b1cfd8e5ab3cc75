/* SPDX-License-Identifier: Apache-2.0 */
/* rdev.c: what all raw devices share; see rdev.h. */
#include "raw/rdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* The waiter and the memory of a read are on the heap: a device that does not
 * answer in time may still do so. */
struct waiter {
	struct rdev_req req;
	struct iovec iov;
	struct loop_timer timer;
	uint8_t *mem;
	bool done, late;
};

static void
waiter_free(struct waiter *w)
{
	free(w->mem);
	free(w);
}

static void
wait_done(struct rdev_req *r)
{
	struct waiter *w = r->arg;

	loop_timer_cancel(&w->timer);
	w->done = true;
	if (w->late)
		waiter_free(w);
}

static void
wait_late(struct loop_timer *t)
{
	struct waiter *w = container_of(t, struct waiter, timer);

	w->done = w->late = true;
}

int
rdev_wait(struct rdev *d, enum rdev_op op, uint64_t off, void *p, uint64_t len,
    struct err *e)
{
	static const char *const verb[] = {"read", "write", "flush", "discard"};
	struct waiter *w = calloc(1, sizeof(*w));
	bool moves = op == RDEV_READ || op == RDEV_WRITE;
	int rc = -ENOMEM;

	if (w && moves)
		w->mem = aligned_alloc(4096, len);
	if (!w || (moves && !w->mem)) {
		free(w);
		goto out;
	}
	w->req = (struct rdev_req){
	    .op = op, .off = off, .len = len, .done = wait_done, .arg = w};
	w->timer.fire = wait_late;
	if (moves) {
		w->iov = (struct iovec){w->mem, len};
		w->req.iov = &w->iov;
		w->req.niov = 1;
	}
	if (op == RDEV_WRITE)
		memcpy(w->mem, p, len);
	rdev_submit(d, &w->req);
	(void)loop_timer_set(d->loop, &w->timer,
	    loop_now(d->loop) + RDEV_WAIT_NS);
	rc = loop_run_until(d->loop, &w->done);
	if (w->late) {
		rc = -ETIMEDOUT;
		goto out;
	}
	must(rc == 0);
	rc = w->req.rc;
	if (rc == 0 && op == RDEV_READ)
		memcpy(p, w->mem, len);
	waiter_free(w);
out:
	if (rc < 0)
		return err_errno(e, rc, "%s: %s of %llu bytes at %llu", d->path,
		    verb[op], (unsigned long long)len, (unsigned long long)off);
	return 0;
}
