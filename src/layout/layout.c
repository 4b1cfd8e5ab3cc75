/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between blocks and objects; see layout.h.
 *
 * Here requests come in, are checked once, and are answered at once where the
 * present map knows the answer (Y3): a read of an absent block, an erase of
 * one.  What needs the store goes to s3b_*.c.
 *
 * The states of a block in the present map, and who moves them:
 *
 *	READ	found: YES.  not found: NO, unless in DOUBT
 *	WRITE	before: DOUBT.  done: YES (NO for zeros).  failed: stays
 *	ERASE	before: DOUBT.  done: NO.  failed: stays
 *	survey	UNKNOWN only: YES if listed; when it is through, the rest NO
 *
 * So a listing that was made before a write or an erase never undoes what that
 * has found, and a failed write, which may still happen (store.h W5), leaves a
 * block that is asked for again.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "layout/s3b.h"

const struct layout_info *
layout_info(const struct layout *l)
{
	return &l->info;
}

enum present
layout_present(const struct layout *l, uint64_t block)
{
	switch (present_get(&l->present, block)) {
	case PRESENT_ST_NO:
		return PRESENT_NO;
	case PRESENT_ST_YES:
		return PRESENT_YES;
	case PRESENT_ST_UNKNOWN:
	case PRESENT_ST_DOUBT:
		break;
	}
	return PRESENT_UNKNOWN;
}

uint64_t
layout_next_present(const struct layout *l, uint64_t from)
{
	return present_next(&l->present, from, false);
}

uint64_t
layout_next_absent(const struct layout *l, uint64_t from)
{
	return present_next(&l->present, from, true);
}

uint64_t
layout_count_present(const struct layout *l)
{
	return l->present.nyes;
}

bool
layout_survey_done(const struct layout *l)
{
	return l->survey_done;
}

void
layout_end(struct layout_req *r, int rc)
{
	struct layout *l = r->layout;

	must(rc <= 0 && l->inflight > 0);
	l->inflight--;
	r->rc = rc;
	r->priv = NULL;
	r->done(r);
}

static void
end_task(struct loop_task *t)
{
	struct layout_req *r = container_of(t, struct layout_req, task);

	layout_end(r, r->rc);
}

void
layout_end_later(struct layout_req *r, int rc)
{
	r->rc = rc;
	r->priv = NULL;
	r->task.run = end_task;
	loop_defer(r->layout->loop, &r->task);
}

static void
submit_read(struct layout *l, struct layout_req *r)
{
	must(r->block < l->info.nblocks && r->data != NULL);
	must(r->len > 0 && r->len <= l->info.block_size);
	must(r->off <= l->info.block_size - r->len);
	must((r->off | r->len) % 512 == 0);
	must(r->data_off <= r->data->cap && r->len <= r->data->cap - r->data_off);
	if (layout_present(l, r->block) == PRESENT_NO) {
		memset(r->data->data + r->data_off, 0, r->len);
		r->was_zero = true;
		layout_end_later(r, 0);
		return;
	}
	s3b_read(l, r);
}

static bool
may_write(struct layout *l, struct layout_req *r)
{
	if (!l->info.read_only)
		return true;
	err_set(&r->err, -EROFS, "block %" PRIu64 ": the volume is read-only",
	    r->block);
	layout_end_later(r, -EROFS);
	return false;
}

void
layout_submit(struct layout *l, struct layout_req *r)
{
	must(loop_is_mine(l->loop) && r->done != NULL);
	r->layout = l;
	r->rc = 0;
	err_clear(&r->err);
	r->was_zero = false;
	r->tag[0] = '\0';
	r->priv = NULL;
	r->task = (struct loop_task){0};
	l->inflight++;
	switch (r->op) {
	case LAYOUT_READ:
		submit_read(l, r);
		return;
	case LAYOUT_WRITE:
		must(r->block < l->info.nblocks && r->data != NULL);
		must(r->data->cap >= l->info.block_size);
		if (may_write(l, r))
			s3b_write(l, r);
		return;
	case LAYOUT_ERASE:
		must(r->nblocks > 0 && r->block < l->info.nblocks);
		must(r->nblocks <= l->info.nblocks - r->block);
		if (may_write(l, r))
			s3b_erase(l, r);
		return;
	case LAYOUT_SYNC:
		s3b_sync(l, r);
		return;
	}
	must(!"an operation");
}

void
layout_cancel(struct layout_req *r)
{
	struct s3b_op *op = r->priv;

	if (op != NULL)
		op->cancel(op);
}
