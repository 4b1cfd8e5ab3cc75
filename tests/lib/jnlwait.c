/* SPDX-License-Identifier: Apache-2.0 */
/* jnlwait.c: waiting for a journal; see jnlwait.h. */
#include "config.h"

#include "lib/jnlwait.h"

#include "base/list.h"
#include "base/must.h"

struct pause {
	struct loop_timer t;
	bool over;
};

static void
pause_over(struct loop_timer *t)
{
	container_of(t, struct pause, t)->over = true;
}

void
wait_ns(struct loop *l, int64_t ns)
{
	struct pause p = {.t.fire = pause_over};

	must(loop_timer_set(l, &p.t, loop_now(l) + ns) == 0);
	must(loop_run_until(l, &p.over) == 0);
}

static void
flush_done(struct journal_wait *w, int rc)
{
	struct flushing *x = container_of(w, struct flushing, w);

	x->rc = rc;
	x->done = true;
}

void
flush_begin(struct flushing *x, struct journal *j)
{
	*x = (struct flushing){.w.done = flush_done};
	journal_flush(j, &x->w);
	must(!x->done);
}

int
flush_now(struct journal *j, struct loop *l)
{
	struct flushing x;

	flush_begin(&x, j);
	must(loop_run_until(l, &x.done) == 0);
	return x.rc;
}

struct reading {
	struct journal_read r;
	bool done;
};

static void
read_done(struct journal_read *r)
{
	container_of(r, struct reading, r)->done = true;
}

int
read_now(struct journal *j, struct loop *l, uint64_t op, uint64_t off,
    uint64_t len, uint8_t *to)
{
	struct journal_piece p = {
	    .op = op, .off = off, .len = (uint32_t)len, .to = to};
	struct reading b = {.r = {.piece = &p, .n = 1, .done = read_done}};

	journal_read(j, &b.r);
	must(loop_run_until(l, &b.done) == 0);
	return b.r.rc;
}
