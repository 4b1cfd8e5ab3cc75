/* SPDX-License-Identifier: Apache-2.0 */
/* rdev.c: what all raw devices share; see rdev.h. */
#include "raw/rdev.h"

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
	must(r->dev->inflight > 0);
	r->dev->inflight--;
	r->rc = rc;
	r->done(r);
}

void
rdev_close(struct rdev *d)
{
	if (!d)
		return;
	must(d->inflight == 0);
	d->ops->close(d);
}

struct waiter {
	struct rdev_req req;
	bool done;
};

static void
wait_done(struct rdev_req *r)
{
	struct waiter *w = r->arg;

	w->done = true;
}

int
rdev_wait(struct rdev *d, enum rdev_op op, uint64_t off, void *p, uint64_t len,
    struct err *e)
{
	static const char *const verb[] = {"read", "write", "flush", "discard"};
	struct iovec iov = {p, len};
	struct waiter w = {.req = {.op = op, .off = off, .done = wait_done}};
	int rc;

	w.req.arg = &w;
	if (op == RDEV_READ || op == RDEV_WRITE) {
		w.req.iov = &iov;
		w.req.niov = 1;
	} else {
		w.req.len = len;
	}
	rdev_submit(d, &w.req);
	rc = loop_run_until(d->loop, &w.done);
	if (rc == 0)
		rc = w.req.rc;
	if (rc < 0)
		return err_errno(e, rc, "%s: %s of %llu bytes at %llu", d->path,
		    verb[op], (unsigned long long)len, (unsigned long long)off);
	return 0;
}
