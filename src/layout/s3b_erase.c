/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ERASE: a range of blocks loses its objects.
 *
 * Only blocks that have, or may have, an object cost anything.  They are
 * deleted in batches as large as the store takes, a few batches at once:
 *
 *	next ->|  batch  |  batch  |            the range is walked once
 *
 * A large range of which nothing is known yet (a disk that is trimmed right
 * after mount) waits for the survey, which is far cheaper than to delete what
 * is not there.  If the survey fails the range is deleted blindly.
 *
 * Block 0 of a volume without descriptor is not deleted but written as zeros:
 * its headers are all that tells the volume's size.
 *
 * An error does not stop batches that are in flight; no further ones are sent,
 * and the first error is the request's.  Blocks whose deletion failed stay in
 * DOUBT.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "layout/s3b.h"

#define BATCHES 8	  /* of a store that has them */
#define BATCH_MAX 1000u
#define SINGLES 32	  /* DELETEs at once, of one that has not */
#define BLIND_MAX 2000u	  /* unknown blocks that are not worth a survey */

struct erase_batch {
	struct erase *er;
	struct store_req req;
	bool busy;
	unsigned n;
	uint64_t *blocks;
	struct store_item *items; /* of a BATCH */
	char *keys;
};

struct erase {
	struct s3b_op op; /* first: see s3b.h */
	struct layout *l;
	struct layout_req *r;
	uint64_t next, end;
	int rc; /* the first error */
	bool begun; /* the walk has; before that nothing ends */
	struct survey_waiter waiter;
	struct loop_task task;

	/* Block 0, where it is written as zeros. */
	struct layout_req zero;
	bool zero_busy;

	size_t key_room;
	unsigned per_batch; /* 1: single DELETEs */
	unsigned nbatches, nbusy;
	struct erase_batch batch[];
};

static void erase_go(struct erase *er);

static void
erase_free(struct erase *er)
{
	buf_unref(er->zero.data);
	for (unsigned i = 0; i < er->nbatches; i++) {
		free(er->batch[i].blocks);
		free(er->batch[i].items);
		free(er->batch[i].keys);
	}
	free(er);
}

static void
fail(struct erase *er, int rc, const struct err *e, uint64_t block)
{
	struct layout_req *r = er->r;

	if (er->rc != 0)
		return;
	er->rc = rc;
	if (e != NULL && e->rc != 0)
		err_copy(&r->err, e);
	else
		err_errno(&r->err, rc, "%s", er->l->store->url);
	err_wrap(&r->err, rc, "erase block %" PRIu64, block);
}

static void
finish_if_idle(struct erase *er)
{
	struct layout_req *r = er->r;
	int rc = er->rc;

	if (!er->begun || er->nbusy > 0 || er->zero_busy)
		return;
	if (rc == 0 && er->next < er->end)
		return;
	erase_free(er);
	layout_end(r, rc);
}

static void
batch_done(struct store_req *q)
{
	struct erase_batch *b = q->arg;
	struct erase *er = b->er;
	int rc = q->rc;

	b->busy = false;
	er->nbusy--;
	for (unsigned i = 0; i < b->n; i++) {
		int one = rc;

		/* Where the BATCH as a whole failed some may have gone. */
		if (q->op == STORE_BATCH && rc == 0)
			one = b->items[i].rc;
		if (one == -ENOENT)
			one = 0;
		if (one < 0)
			fail(er, one, &q->err, b->blocks[i]);
		else {
			s3b_count(er->l, STAT_BLOCKS_DELETED, 1);
			must(present_set(&er->l->present, b->blocks[i],
				 PRESENT_ST_NO) == 0); /* was in DOUBT */
		}
	}
	store_req_fini(q);
	if (er->rc == 0)
		erase_go(er);
	else
		finish_if_idle(er);
}

/* Collect the next blocks that may be present.  0 or -ENOMEM. */
static int
batch_fill(struct erase *er, struct erase_batch *b)
{
	struct layout *l = er->l;

	b->n = 0;
	while (b->n < er->per_batch && er->next < er->end) {
		uint64_t block = present_next(&l->present, er->next, false);
		char *key = b->keys + b->n * er->key_room;

		if (block >= er->end) {
			er->next = er->end;
			break;
		}
		if (present_set(&l->present, block, PRESENT_ST_DOUBT) < 0)
			return -ENOMEM;
		er->next = block + 1;
		s3b_name_block(key, l->prefix, l->hashed, (uint32_t)block);
		if (b->items != NULL)
			b->items[b->n] = (struct store_item){
			    .op = STORE_DELETE, .key = key};
		b->blocks[b->n++] = block;
	}
	return 0;
}

static void
batch_send(struct erase *er, struct erase_batch *b)
{
	if (er->per_batch > 1) {
		store_req_init(&b->req, STORE_BATCH, NULL);
		b->req.items = b->items;
		b->req.nitems = b->n;
	} else
		store_req_init(&b->req, STORE_DELETE, b->keys);
	b->req.prio = er->r->prio;
	b->req.done = batch_done;
	b->req.arg = b;
	b->busy = true;
	er->nbusy++;
	store_submit(er->l->store, &b->req);
}

static void
erase_go(struct erase *er)
{
	er->begun = true;
	for (unsigned i = 0; i < er->nbatches && er->rc == 0; i++) {
		struct erase_batch *b = &er->batch[i];

		if (b->busy)
			continue;
		if (batch_fill(er, b) < 0)
			fail(er, -ENOMEM, NULL, er->next);
		else if (b->n > 0)
			batch_send(er, b);
		else
			break;
	}
	finish_if_idle(er);
}

static void
go_task(struct loop_task *t)
{
	erase_go(container_of(t, struct erase, task));
}

static void
survey_ended(struct survey_waiter *w)
{
	struct erase *er = container_of(w, struct erase, waiter);

	er->waiter.ended = NULL;
	erase_go(er); /* whatever became of it */
}

/* More unknown blocks than it is worth to delete blindly? */
static bool
needs_survey(const struct layout *l, uint64_t from, uint64_t end)
{
	uint64_t n = 0;

	if (l->survey_done)
		return false;
	while (n <= BLIND_MAX) {
		from = present_next_unknown(&l->present, from, end);
		if (from == end)
			return false;
		from++;
		n++;
	}
	return true;
}

static void
zero_done(struct layout_req *z)
{
	struct erase *er = z->arg;

	er->zero_busy = false;
	if (z->rc < 0)
		fail(er, z->rc, &z->err, 0);
	finish_if_idle(er);
}

/* Write block 0 as zeros.  -ENOMEM. */
static int
write_zero(struct erase *er)
{
	struct layout *l = er->l;
	uint32_t bs = l->info.block_size;
	struct layout_req *z = &er->zero;

	z->data = buf_new(bs);
	if (z->data == NULL)
		return -ENOMEM;
	memset(z->data->data, 0, bs);
	z->data->len = bs;
	z->op = LAYOUT_WRITE;
	z->prio = er->r->prio;
	z->block = 0;
	z->done = zero_done;
	z->arg = er;
	er->zero_busy = true;
	layout_submit(l, z);
	return 0;
}

static void
erase_cancel(struct s3b_op *op)
{
	struct erase *er = container_of(op, struct erase, op);
	struct err e = ERR_INIT;

	err_set(&e, -ECANCELED, "canceled");
	fail(er, -ECANCELED, &e, er->next);
	if (er->zero_busy)
		layout_cancel(&er->zero);
	for (unsigned i = 0; i < er->nbatches; i++)
		if (er->batch[i].busy)
			store_cancel(&er->batch[i].req);
	if (er->waiter.ended != NULL) {
		list_del(&er->waiter.link);
		er->waiter.ended = NULL;
		loop_defer(er->l->loop, &er->task);
	}
}

static struct erase *
erase_new(struct layout *l, struct layout_req *r)
{
	unsigned max = l->store->info.max_batch;
	unsigned nb = max > 1 ? BATCHES : SINGLES;
	unsigned per = max > 1 ? (max < BATCH_MAX ? max : BATCH_MAX) : 1;
	struct erase *er;

	if (per > r->nblocks)
		per = (unsigned)r->nblocks;
	if (nb > (r->nblocks + per - 1) / per)
		nb = (unsigned)((r->nblocks + per - 1) / per);
	er = calloc(1, sizeof(*er) + nb * sizeof(er->batch[0]));
	if (er == NULL)
		return NULL;
	er->op.cancel = erase_cancel;
	er->l = l;
	er->r = r;
	er->next = r->block;
	er->end = r->block + r->nblocks;
	er->task.run = go_task;
	er->key_room = strlen(l->prefix) + S3B_NAME_MAX;
	er->per_batch = per;
	er->nbatches = nb;
	for (unsigned i = 0; i < nb; i++) {
		struct erase_batch *b = &er->batch[i];

		b->er = er;
		b->blocks = calloc(per, sizeof(*b->blocks));
		b->keys = calloc(per, er->key_room);
		b->items = per > 1 ? calloc(per, sizeof(*b->items)) : NULL;
		if (b->blocks == NULL || b->keys == NULL ||
		    (per > 1 && b->items == NULL)) {
			erase_free(er);
			return NULL;
		}
	}
	return er;
}

void
s3b_erase(struct layout *l, struct layout_req *r)
{
	struct erase *er;
	uint64_t first = present_next(&l->present, r->block, false);
	int rc = 0;

	if (first >= r->block + r->nblocks && !s3b_keeps(l, r->block)) {
		layout_end_later(r, 0); /* Y3 */
		return;
	}
	er = erase_new(l, r);
	if (er == NULL) {
		err_errno(&r->err, -ENOMEM, "erase block %" PRIu64, r->block);
		layout_end_later(r, -ENOMEM);
		return;
	}
	r->priv = &er->op;
	if (s3b_keeps(l, r->block)) {
		er->next++;
		rc = write_zero(er);
	}
	if (rc < 0)
		fail(er, rc, NULL, r->block);
	else if (needs_survey(l, er->next, er->end) &&
	    s3b_survey_start(l) == 0) {
		er->waiter.ended = survey_ended;
		s3b_survey_wait(l, &er->waiter);
		return;
	}
	loop_defer(l->loop, &er->task);
}
