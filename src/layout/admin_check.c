/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and verifying every block; see admin.h.
 *
 * A fixed number of readers walk the present map together: each takes the next
 * block, reads it whole, and comes back.  What layout READ verifies is what is
 * verified here: length, encoding, HMAC; a block that fails is told, and the
 * walk goes on.  Other errors are the store's, and end it.
 *
 * Lasts as long as it takes to read the volume; memory is a block per reader.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "layout/admin.h"
#include "layout/s3b.h"

#define READERS 64
#define PROGRESS_NS (100 * NS_PER_MS)

struct check;

struct reader {
	struct check *c;
	struct layout_req req;
};

struct check {
	struct layout *l;
	void (*damaged)(void *arg, uint64_t block, const struct err *e);
	layout_progress *progress;
	void *arg;
	struct layout_check_result *result;

	uint64_t next;
	uint64_t total;
	int64_t shown_ns;
	unsigned nbusy;
	bool done;
	int rc;
	struct err err;
	unsigned nreaders;
	struct reader reader[];
};

static void reader_next(struct reader *rd);

static void
show(struct check *c)
{
	int64_t now = loop_now(c->l->loop);

	if (c->progress == NULL || now - c->shown_ns < PROGRESS_NS)
		return;
	c->shown_ns = now;
	c->progress(c->arg, c->result->blocks, c->total);
}

static void
read_done(struct layout_req *r)
{
	struct reader *rd = r->arg;
	struct check *c = rd->c;

	c->nbusy--;
	if (r->rc == -EBADMSG) {
		c->result->damaged++;
		if (c->damaged != NULL)
			c->damaged(c->arg, r->block, &r->err);
	} else if (r->rc < 0 && c->rc == 0) {
		c->rc = r->rc;
		c->err = r->err;
	}
	c->result->blocks++;
	show(c);
	reader_next(rd);
	if (c->nbusy == 0)
		c->done = true;
}

static void
reader_next(struct reader *rd)
{
	struct check *c = rd->c;
	uint64_t block;

	if (c->rc < 0 || c->next >= c->l->info.nblocks)
		return;
	block = layout_next_present(c->l, c->next);
	c->next = block + 1;
	if (block >= c->l->info.nblocks)
		return;
	rd->req.block = block;
	c->nbusy++;
	layout_submit(c->l, &rd->req);
}

static int
check_run(struct check *c, struct err *e)
{
	struct layout *l = c->l;
	uint32_t bs = l->info.block_size;

	for (unsigned i = 0; i < c->nreaders; i++) {
		struct reader *rd = &c->reader[i];

		rd->c = c;
		rd->req = (struct layout_req){.op = LAYOUT_READ,
		    .prio = STORE_PRIO_BACKGROUND, .len = bs,
		    .data = buf_new(bs), .done = read_done, .arg = rd};
		if (rd->req.data == NULL)
			c->rc = err_errno(&c->err, -ENOMEM, "checking");
	}
	for (unsigned i = 0; i < c->nreaders; i++)
		reader_next(&c->reader[i]);
	if (c->nbusy > 0)
		must(loop_run_until(l->loop, &c->done) == 0);
	for (unsigned i = 0; i < c->nreaders; i++)
		buf_unref(c->reader[i].req.data);
	if (c->rc < 0)
		err_copy(e, &c->err);
	else if (c->progress != NULL)
		c->progress(c->arg, c->result->blocks, c->total);
	return c->rc;
}

int
layout_check(struct layout *l, unsigned inflight,
    void (*damaged)(void *arg, uint64_t block, const struct err *e),
    layout_progress *progress, void *arg, struct layout_check_result *result,
    struct err *e)
{
	unsigned n = inflight ? inflight : READERS;
	struct check *c = calloc(1, sizeof(*c) + n * sizeof(c->reader[0]));
	int rc;

	*result = (struct layout_check_result){0};
	if (c == NULL)
		return err_errno(e, -ENOMEM, "checking");
	c->l = l;
	c->damaged = damaged;
	c->progress = progress;
	c->arg = arg;
	c->result = result;
	c->nreaders = n;
	rc = layout_survey_wait(l, NULL, NULL, e);
	if (rc == 0) {
		c->total = layout_count_present(l);
		result->beyond = l->survey_beyond;
		rc = check_run(c, e);
	}
	free(c);
	return rc;
}
