/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay: a timer before each request; see delay.h.  A request that is
 * cancelled while it waits has not been done.  Lack of memory for a timer is
 * answered with -ENOMEM.
 */
#include "config.h"

#include "store/delay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/filter.h"
#include "store/rnd.h"

struct delay {
	struct filter f;
	struct delay_config conf;
	uint64_t rnd;
};

struct delay_req {
	struct filter_req q;
	struct loop_timer timer;
};

static struct delay *
delay_of(struct store *s)
{
	return container_of(s, struct delay, f.store);
}

static void
delay_done(struct store_req *down)
{
	struct filter_req *q = filter_req_of(down);

	filter_req_answer(filter_of(q->up->store), q);
}

static void
delay_fire(struct loop_timer *timer)
{
	struct delay_req *dr = container_of(timer, struct delay_req, timer);

	store_submit(dr->q.up->store->below, &dr->q.down);
}

static int64_t
delay_pick(struct delay *d, const struct store_req *r)
{
	int64_t ns = d->conf.min_ns;
	uint64_t bytes = 0;

	if (d->conf.max_ns > d->conf.min_ns)
		ns += (int64_t)rnd_below(&d->rnd,
		    (uint64_t)(d->conf.max_ns - d->conf.min_ns) + 1);
	if (r->op == STORE_PUT)
		bytes = r->body->len;
	else if (r->op == STORE_GET)
		bytes = r->range_len != 0 ? r->range_len : r->body->cap;
	if (d->conf.bytes_per_s != 0)
		ns += (int64_t)(bytes * NS_PER_S / d->conf.bytes_per_s);
	return ns;
}

static void
delay_submit(struct store *s, struct store_req *r)
{
	struct delay *d = delay_of(s);
	struct filter_req *q = filter_req_get(&d->f, r, delay_done);
	struct delay_req *dr;

	if (q == NULL)
		return;
	dr = container_of(q, struct delay_req, q);
	dr->timer.loop = NULL;
	dr->timer.fire = delay_fire;
	if (loop_timer_set(s->loop, &dr->timer,
	    loop_now(s->loop) + delay_pick(d, r)) < 0)
		filter_req_end_later(&d->f, q, -ENOMEM);
}

static void
delay_cancel(struct store *s, struct store_req *r)
{
	struct delay_req *dr = container_of(r->priv, struct delay_req, q);

	if (!loop_timer_armed(&dr->timer)) {
		store_cancel(&dr->q.down);
		return;
	}
	loop_timer_cancel(&dr->timer);
	filter_req_end_later(filter_of(s), &dr->q, -ECANCELED);
}

static void
delay_free(struct store *s)
{
	struct delay *d = delay_of(s);

	filter_fini(&d->f);
	free(d);
}

static const struct store_ops delay_ops = {
	.name = "delay",
	.submit = delay_submit,
	.cancel = delay_cancel,
	.free = delay_free,
};

int
delay_store_new(struct store *below, const struct delay_config *c,
    struct store **out, struct err *e)
{
	struct delay *d = calloc(1, sizeof(*d));

	if (d == NULL || filter_init(&d->f, &delay_ops, below,
	    sizeof(struct delay_req)) < 0) {
		free(d);
		store_free(below);
		return err_errno(e, -ENOMEM, "delay requests");
	}
	d->conf = *c;
	d->rnd = c->seed;
	*out = &d->f.store;
	return 0;
}
