/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_FILTER_H
#define STORE_FILTER_H

#include "store/store.h"

/*
 * What filters share: a request of their own for each that they pass on, from
 * a list of free ones, so that the usual request allocates nothing.
 *
 * A filter's struct begins with struct filter, its own per-request struct with
 * struct filter_req.  The filter takes the store below and frees it with
 * itself.  All on the loop of the store.
 */
struct filter {
	struct store store; /* .below is ours */
	struct list spare;  /* of filter_req.link */
	unsigned nspare;
	size_t req_size;
};

struct filter_req {
	struct store_req down;
	struct store_req *up; /* its priv points here */
	struct list link;     /* the filter's; spare while not used */
};

/* info and url are those of below.  On failure below stays the caller's. */
int filter_init(struct filter *f, const struct store_ops *ops,
    struct store *below, size_t req_size);
/* Frees below too. */
void filter_fini(struct filter *f);

/* A request that asks what up asks, its state beyond filter_req undefined;
 * done is called for it.  NULL: no memory, and up will end with -ENOMEM. */
struct filter_req *filter_req_get(struct filter *f, struct store_req *up,
    void (*done)(struct store_req *down));
/* Give it back; its answer is dropped. */
void filter_req_put(struct filter *f, struct filter_req *q);

/* The usual ends: up gets the answer of q->down, or rc; q is put back first. */
void filter_req_answer(struct filter *f, struct filter_req *q);
void filter_req_end(struct filter *f, struct filter_req *q, int rc);
void filter_req_end_later(struct filter *f, struct filter_req *q, int rc);

static inline struct filter_req *
filter_req_of(struct store_req *down)
{
	return container_of(down, struct filter_req, down);
}

static inline struct filter *
filter_of(struct store *s)
{
	return container_of(s, struct filter, store);
}

#endif
