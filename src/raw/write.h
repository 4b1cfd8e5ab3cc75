/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_WRITE_H
#define RAW_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "raw/format.h"
#include "raw/xio.h"

/* PUT, DELETE and BATCH on their way: see write.c. */
struct buf;
struct pool;
struct pool_req;

struct write_item {
	struct raw_object obj;	/* PUT; ext allocated with the write */
	struct buf *copy;	/* payload that had to be put together */
	struct xio *xio;	/* xio_array: one for each extent */
};

struct pool_write {
	struct list link;  /* waiting, or in a batch */
	struct pool_req *req;
	struct pool *pool;
	uint64_t bytes; /* of data, parity too */
	unsigned data_pending;
	bool given_up;
	int rc; /* of the data */
	struct err err;
	unsigned nitems;
	struct write_item item[];
};

void write_submit(struct pool *p, struct pool_req *r);
/* Space or room in a record may be there: let those go on that wait. */
void write_retry(struct pool *p);
/* It was given up before it came into a batch, and nothing flies any more. */
void write_give_up(struct pool *p, struct pool_write *w);
/* The batch is written: make the index say so.  -ENOMEM. */
int write_apply(struct pool *p, struct pool_write *w, uint64_t seq);
/* Answer the request and free w. */
void write_finish(struct pool *p, struct pool_write *w, int rc);

#endif
