/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume as one end of a copy.  It works on the layout itself, below the
 * cache: every block is moved once, whole, so there is nothing to keep, and
 * what is written is in the store when its request is done.
 *
 * A chunk may be several blocks; each is a layout request of its own, with a
 * buffer that is a window of the chunk's.  The last chunk may end inside a
 * block (an image whose size is no multiple of the block size): the rest of
 * that block is zeros.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "cli/copy_end.h"
#include "layout/layout.h"

struct copy_volume {
	struct copy_end end;
	struct layout *layout;
	uint64_t nblocks;
};

struct part {
	struct layout_req req;
	struct buf window;
};

static struct copy_volume *
volume_of(struct copy_end *x)
{
	return container_of(x, struct copy_volume, end);
}

/* The last of its parts has ended, or there was none: from a task, for E1. */
static void
chunk_finish(struct copy_chunk *c)
{
	free(c->parts);
	c->parts = NULL;
	c->done(c);
}

static void
part_done(struct layout_req *r)
{
	struct copy_chunk *c = r->arg;

	if (r->rc < 0 && c->rc == 0) {
		c->rc = r->rc;
		err_copy(&c->err, &r->err);
	}
	if (r->op == LAYOUT_READ && r->was_zero)
		memset(r->data->data, 0, r->len);
	else if (r->op == LAYOUT_READ)
		c->zero = false;
	if (--c->pending == 0)
		chunk_finish(c);
}

static void
window_release(struct buf *b)
{
	/* The memory is the chunk's. */
}

static uint64_t
nparts(struct copy_volume *v, const struct copy_chunk *c)
{
	return (c->len + v->end.block - 1) / v->end.block;
}

static void
start_parts(struct copy_volume *v, struct copy_chunk *c, enum layout_op op)
{
	uint64_t n = nparts(v, c), bs = v->end.block;
	struct part *parts = calloc(n, sizeof(*parts));

	c->end = &v->end;
	c->rc = 0;
	if (op == LAYOUT_READ)
		c->zero = true;
	c->parts = parts;
	if (parts == NULL) {
		c->rc = err_set(&c->err, -ENOMEM, "no memory");
		return;
	}
	c->pending = (unsigned)n;
	for (uint64_t i = 0; i < n; i++) {
		struct part *p = &parts[i];

		p->window = (struct buf){.refs = 1,
		    .len = op == LAYOUT_WRITE ? bs : 0,
		    .cap = bs,
		    .data = c->data->data + i * bs,
		    .release = window_release};
		p->req = (struct layout_req){.op = op,
		    .prio = STORE_PRIO_BACKGROUND,
		    .block = c->off / bs + i,
		    .len = (uint32_t)bs,
		    .data = &p->window,
		    .done = part_done,
		    .arg = c};
	}
	/* A part may not end inside submit, so parts stays there until all are
	 * submitted. */
	for (uint64_t i = 0; i < n; i++)
		layout_submit(v->layout, &parts[i].req);
}

static void
late_done(struct loop_task *t)
{
	struct copy_chunk *c = container_of(t, struct copy_chunk, work.task);

	c->done(c);
}

/* If nothing could be started, end it by a task. */
static void
end_if_failed(struct copy_volume *v, struct copy_chunk *c)
{
	if (c->parts != NULL)
		return;
	c->work.task = (struct loop_task){.run = late_done};
	loop_defer(v->end.loop, &c->work.task);
}

static void
volume_end_read(struct copy_end *x, struct copy_chunk *c)
{
	start_parts(volume_of(x), c, LAYOUT_READ);
	end_if_failed(volume_of(x), c);
}

static void
volume_end_zero(struct copy_end *x, struct copy_chunk *c)
{
	struct copy_volume *v = volume_of(x);
	struct part *p = calloc(1, sizeof(*p));

	c->end = x;
	c->rc = 0;
	c->pending = 1;
	c->parts = p;
	if (p == NULL) {
		c->rc = err_set(&c->err, -ENOMEM, "no memory");
		end_if_failed(v, c);
		return;
	}
	p->req = (struct layout_req){.op = LAYOUT_ERASE,
	    .prio = STORE_PRIO_BACKGROUND,
	    .block = c->off / x->block,
	    .nblocks = nparts(v, c),
	    .done = part_done,
	    .arg = c};
	layout_submit(v->layout, &p->req);
}

static void
volume_end_write(struct copy_end *x, struct copy_chunk *c)
{
	struct copy_volume *v = volume_of(x);
	uint64_t whole = nparts(v, c) * x->block;

	if (c->zero) {
		volume_end_zero(x, c);
		return;
	}
	must(c->data->cap >= whole);
	memset(c->data->data + c->len, 0, whole - c->len);
	start_parts(v, c, LAYOUT_WRITE);
	end_if_failed(v, c);
}

static uint64_t
to_bytes(struct copy_volume *v, uint64_t block)
{
	return block >= v->nblocks ? v->end.size : block * v->end.block;
}

static uint64_t
volume_next_data(struct copy_end *x, uint64_t off)
{
	struct copy_volume *v = volume_of(x);
	uint64_t block = off / x->block;
	uint64_t found = layout_next_present(v->layout, block);

	return found == block ? off : to_bytes(v, found);
}

static uint64_t
volume_next_hole(struct copy_end *x, uint64_t off)
{
	struct copy_volume *v = volume_of(x);
	uint64_t block = off / x->block;
	uint64_t found = layout_next_absent(v->layout, block);

	return found == block ? off : to_bytes(v, found);
}

struct sync_wait {
	struct layout_req req;
	bool done;
};

static void
sync_done(struct layout_req *r)
{
	container_of(r, struct sync_wait, req)->done = true;
}

static int
volume_finish(struct copy_end *x, uint64_t size, struct err *e)
{
	struct sync_wait w = {.req = {.op = LAYOUT_SYNC,
				  .prio = STORE_PRIO_BACKGROUND,
				  .done = sync_done}};
	int rc;

	layout_submit(volume_of(x)->layout, &w.req);
	rc = loop_run_until(x->loop, &w.done);
	if (rc < 0)
		return err_errno(e, rc, "wait for %s", x->name);
	err_copy(e, &w.req.err);
	return w.req.rc;
}

static void
volume_end_close(struct copy_end *x)
{
	free(volume_of(x));
}

static const struct copy_end_ops volume_ops = {
    .next_data = volume_next_data,
    .next_hole = volume_next_hole,
    .read = volume_end_read,
    .write = volume_end_write,
    .zero = volume_end_zero,
    .finish = volume_finish,
    .close = volume_end_close,
};

int
copy_volume_open(struct loop *loop, struct layout *l, const char *name,
    struct copy_end **out, struct err *e)
{
	const struct layout_info *info = layout_info(l);
	struct copy_volume *v = calloc(1, sizeof(*v));

	if (v == NULL || copy_end_init(&v->end, &volume_ops, loop, name) < 0) {
		free(v);
		return err_set(e, -ENOMEM, "no memory");
	}
	v->layout = l;
	v->nblocks = info->nblocks;
	v->end.size = v->end.room = info->size;
	v->end.pad = true;
	v->end.block = info->block_size;
	v->end.data = layout_count_present(l) * info->block_size;
	v->end.blank = layout_survey_done(l) && v->end.data == 0;
	*out = &v->end;
	return 0;
}
