/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What filters share; see filter.h.
 *
 * A request struct is initialised once, when it is allocated, and its question
 * is copied anew for each use: a struct store_req is large because of its
 * sentence, and clearing it would cost more than all else here.
 */
#include "config.h"

#include "store/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

#define FILTER_MAX_SPARE 256

int
filter_init(struct filter *f, const struct store_ops *ops, struct store *below,
    size_t req_size)
{
	must(req_size >= sizeof(struct filter_req));
	if (store_head_init(&f->store, ops, below->loop, below->url) < 0)
		return -ENOMEM;
	f->store.info = below->info;
	f->store.below = below;
	list_init(&f->spare);
	f->nspare = 0;
	f->req_size = req_size;
	return 0;
}

void
filter_fini(struct filter *f)
{
	struct list *l;

	while ((l = list_pop_front(&f->spare)) != NULL)
		free(list_entry(l, struct filter_req, link));
	store_free(f->store.below);
	store_head_fini(&f->store);
}

struct filter_req *
filter_req_get(struct filter *f, struct store_req *up,
    void (*done)(struct store_req *down))
{
	struct list *l = list_pop_front(&f->spare);
	struct filter_req *q;

	if (l != NULL) {
		q = list_entry(l, struct filter_req, link);
		f->nspare--;
	} else {
		q = malloc(f->req_size);
		if (q == NULL) {
			store_complete_later(up, -ENOMEM);
			return NULL;
		}
		store_req_init(&q->down, up->op, up->key);
		list_init(&q->link);
	}
	store_req_copy_question(&q->down, up);
	q->down.done = done;
	q->up = up;
	up->priv = q;
	return q;
}

void
filter_req_put(struct filter *f, struct filter_req *q)
{
	store_req_fini(&q->down);
	list_del(&q->link);
	if (f->nspare == FILTER_MAX_SPARE) {
		free(q);
		return;
	}
	list_push_front(&f->spare, &q->link);
	f->nspare++;
}

void
filter_req_answer(struct filter *f, struct filter_req *q)
{
	struct store_req *up = q->up;
	int rc = q->down.rc;

	store_req_move_answer(up, &q->down);
	filter_req_put(f, q);
	store_complete(up, rc);
}

void
filter_req_end(struct filter *f, struct filter_req *q, int rc)
{
	struct store_req *up = q->up;

	filter_req_put(f, q);
	store_complete(up, rc);
}

void
filter_req_end_later(struct filter *f, struct filter_req *q, int rc)
{
	struct store_req *up = q->up;

	filter_req_put(f, q);
	store_complete_later(up, rc);
}
