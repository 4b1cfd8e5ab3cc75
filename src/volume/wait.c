/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c: volumes for those who can wait: tools and tests.  Each call runs the
 * loop until its request is done.  Long transfers go in pieces, several of
 * them at once, so that they are fast and need little memory.
 */
#include "config.h"

#include <string.h>

#include "base/must.h"
#include "volume/internal.h"

#define PIECE (1u << 20)
#define PIECES 16

struct wait;

struct piece {
	struct volume_req r;
	struct wait *w;
	bool busy;
};

struct wait {
	struct volume *v;
	enum volume_op op;
	uint64_t base, off, len; /* off: of the next piece, from base */
	uint8_t *dst;
	const uint8_t *src;
	unsigned busy;
	int rc;
	struct err *e;
	bool done;
	struct piece p[PIECES];
};

static void wait_go_on(struct wait *w);

static void
piece_done(struct volume_req *r)
{
	struct piece *p = r->arg;
	struct wait *w = p->w;
	uint64_t at = r->off - w->base;

	if (r->rc < 0 && w->rc == 0) {
		w->rc = r->rc;
		err_copy(w->e, &r->err);
	}
	for (unsigned i = 0; i < r->niov; i++) {
		memcpy(w->dst + at, r->iov[i].iov_base, r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
	volume_req_fini(r);
	p->busy = false;
	w->busy--;
	wait_go_on(w);
}

static void
wait_go_on(struct wait *w)
{
	uint64_t max = w->v->max_reading / 2 * w->v->info.block_size;

	if (max > PIECE)
		max = PIECE;
	for (unsigned i = 0; i < PIECES && w->rc == 0; i++) {
		struct piece *p = &w->p[i];
		uint64_t n = w->len - w->off;

		if (n == 0)
			break;
		if (p->busy)
			continue;
		if (n > max && w->op != VOLUME_ZERO)
			n = max;
		p->w = w;
		p->busy = true;
		p->r.op = w->op;
		p->r.off = w->base + w->off;
		p->r.len = n;
		p->r.src = w->src ? w->src + w->off : NULL;
		p->r.done = piece_done;
		p->r.arg = p;
		w->off += n;
		w->busy++;
		volume_submit(w->v, &p->r);
	}
	w->done = w->busy == 0;
}

static int
wait_for(struct wait *w)
{
	int rc;

	wait_go_on(w);
	rc = loop_run_until(w->v->loop, &w->done);
	/* Only epoll itself can fail here; then nothing can be waited for. */
	must(rc == 0);
	return w->rc;
}

int
volume_read_wait(
    struct volume *v, uint64_t off, void *dst, uint64_t len, struct err *e)
{
	struct wait w = {.v = v, .op = VOLUME_READ, .base = off, .len = len,
	    .dst = dst, .e = e};

	return wait_for(&w);
}

int
volume_write_wait(struct volume *v, uint64_t off, const void *src,
    uint64_t len, struct err *e)
{
	struct wait w = {.v = v, .op = VOLUME_WRITE, .base = off, .len = len,
	    .src = src, .e = e};

	return wait_for(&w);
}

int
volume_zero_wait(struct volume *v, uint64_t off, uint64_t len, struct err *e)
{
	struct wait w = {.v = v, .op = VOLUME_ZERO, .base = off, .len = len,
	    .e = e};

	return wait_for(&w);
}

struct flush_wait {
	struct volume_req r;
	bool done;
};

static void
flush_done(struct volume_req *r)
{
	((struct flush_wait *)r->arg)->done = true;
}

static int
barrier_wait(struct volume *v, enum volume_op op, struct err *e)
{
	struct flush_wait w = {.r = {.op = op, .done = flush_done}};

	w.r.arg = &w;
	volume_submit(v, &w.r);
	must(loop_run_until(v->loop, &w.done) == 0);
	if (w.r.rc < 0)
		err_copy(e, &w.r.err);
	return w.r.rc;
}

int
volume_flush_wait(struct volume *v, struct err *e)
{
	return barrier_wait(v, VOLUME_FLUSH, e);
}

int
volume_drain_wait(struct volume *v, struct err *e)
{
	return barrier_wait(v, VOLUME_DRAIN, e);
}
