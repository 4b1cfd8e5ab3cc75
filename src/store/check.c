/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: distrust of those above; see check.h.
 *
 * Requests in flight are on one list, which is searched for each write: this
 * is for tests.  An answer from below goes to a second list, from which a task
 * takes one at random on each turn of the loop until it is empty.
 */
#include "config.h"

#include "store/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "store/filter.h"
#include "store/rnd.h"

struct check {
	struct filter f;
	uint64_t rnd;
	struct list flying;   /* of filter_req.link: asked below */
	struct list answered; /* the same: not yet told above */
	unsigned nanswered;
	struct loop_task deliver;
};

struct check_req {
	struct filter_req q;
	uint64_t sum; /* of what is to be written */
	bool answered;
};

static struct check *
check_of(struct store *s)
{
	return container_of(s, struct check, f.store);
}

static bool
op_writes(enum store_op op)
{
	return op == STORE_PUT || op == STORE_DELETE || op == STORE_BATCH;
}

static unsigned
req_nkeys(const struct store_req *r)
{
	return r->op == STORE_BATCH ? r->nitems : 1;
}

static const char *
req_key(const struct store_req *r, unsigned i)
{
	return r->op == STORE_BATCH ? r->items[i].key : r->key;
}

static uint64_t
sum_add(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t v;

	for (; n >= sizeof(v); b += sizeof(v), n -= sizeof(v)) {
		memcpy(&v, b, sizeof(v));
		h = (h ^ v) * 0x100000001b3ULL;
		h ^= h >> 29;
	}
	for (; n > 0; b++, n--)
		h = (h ^ *b) * 0x100000001b3ULL;
	return h;
}

static uint64_t
req_sum(const struct store_req *r)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	if (!op_writes(r->op))
		return 0;
	for (unsigned i = 0; i < req_nkeys(r); i++) {
		const struct buf *b = r->body;

		if (r->op == STORE_BATCH)
			b = r->items[i].op == STORE_PUT ? r->items[i].body
							: NULL;
		h = sum_add(h, req_key(r, i), strlen(req_key(r, i)));
		if (r->op != STORE_DELETE && b != NULL)
			h = sum_add(h, b->data, b->len);
	}
	return h;
}

static bool
keys_meet(const struct store_req *a, const struct store_req *b)
{
	for (unsigned i = 0; i < req_nkeys(a); i++)
		for (unsigned k = 0; k < req_nkeys(b); k++)
			if (strcmp(req_key(a, i), req_key(b, k)) == 0)
				return true;
	return false;
}

static void
check_alone(const struct list *l,
    const struct store_req *r)
{
	list_for_each(e, (struct list *)l) {
		const struct filter_req *o =
		    list_entry(e, struct filter_req, link);

		if (op_writes(o->up->op))
			must(!keys_meet(o->up, r)); /* W5 */
	}
}

static void
check_deliver(struct loop_task *t)
{
	struct check *c = container_of(t, struct check, deliver);
	uint64_t pick = rnd_below(&c->rnd, c->nanswered);
	struct list *e = c->answered.next;

	while (pick-- > 0)
		e = e->next;
	list_del(e);
	if (--c->nanswered > 0)
		loop_defer(c->f.store.loop, &c->deliver);
	filter_req_answer(&c->f, list_entry(e, struct filter_req, link));
}

static void
check_done(struct store_req *down)
{
	struct check_req *cr = container_of(down, struct check_req, q.down);
	struct check *c = check_of(cr->q.up->store);

	must(req_sum(cr->q.up) == cr->sum); /* W3 */
	cr->answered = true;
	list_del(&cr->q.link);
	list_push_back(&c->answered, &cr->q.link);
	if (c->nanswered++ == 0)
		loop_defer(c->f.store.loop, &c->deliver);
}

static void
check_submit(struct store *s, struct store_req *r)
{
	struct check *c = check_of(s);
	struct filter_req *q;
	struct check_req *cr;

	if (op_writes(r->op)) {
		check_alone(&c->flying, r);
		check_alone(&c->answered, r);
	}
	q = filter_req_get(&c->f, r, check_done);
	if (q == NULL)
		return;
	cr = container_of(q, struct check_req, q);
	cr->sum = req_sum(r);
	cr->answered = false;
	list_push_back(&c->flying, &q->link);
	if (r->op == STORE_GET)
		memset(r->body->data, 0xdb,
		    r->range_len != 0 ? r->range_len : r->body->cap);
	store_submit(s->below, &q->down);
}

static void
check_cancel(struct store *s, struct store_req *r)
{
	struct check_req *cr = container_of(r->priv, struct check_req, q);

	if (!cr->answered)
		store_cancel(&cr->q.down);
}

static void
check_free(struct store *s)
{
	struct check *c = check_of(s);

	filter_fini(&c->f);
	free(c);
}

static const struct store_ops check_ops = {
	.name = "check",
	.submit = check_submit,
	.cancel = check_cancel,
	.free = check_free,
};

int
check_store_new(struct store *below, uint64_t seed, struct store **out,
    struct err *e)
{
	struct check *c = calloc(1, sizeof(*c));

	if (c == NULL || filter_init(&c->f, &check_ops, below,
	    sizeof(struct check_req)) < 0) {
		free(c);
		store_free(below);
		return err_errno(e, -ENOMEM, "check requests");
	}
	c->rnd = seed;
	list_init(&c->flying);
	list_init(&c->answered);
	c->deliver.run = check_deliver;
	*out = &c->f.store;
	return 0;
}
