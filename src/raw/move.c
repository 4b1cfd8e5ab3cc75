/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.c: objects leave bad sectors; see move.h and docs/raw.md, "Bad places".
 *
 *	a fragment cannot be rewritten where it is
 *	    --> the allocator keeps its place (move_bad_place)
 *	    --> superblocks with the list of bad places, all members
 *	    --> the object is read (recovered from the others)
 *	    --> and put again, if it still is what was read (pool_req.if_seq)
 *
 * In this order, so that after a crash at any moment either the object is still
 * there or its place is known to be bad: a write to it would put the member out.
 * One object moves at a time.  One that cannot be moved (the pool is full, or
 * takes no writes) stays as it is; the next read or scrub of it tries again.
 *
 * Runs on the pool's loop.
 */
#include "raw/move.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/index.h"
#include "raw/pool_int.h"

#define QUEUE_MAX 256u /* more are found again */

struct moving { /* an object */
	struct list link;
	uint64_t seq;
	char key[];
};

struct mover {
	struct pool *pool;
	struct list queue; /* the first one is under way, if busy */
	unsigned queued;
	bool busy;
	bool stopped;
	bool ended; /* ... and nothing is under way */
	bool unsaved; /* there are bad places that no superblock has */
	bool said;    /* that an object could not be moved */
	struct super_update update;
	struct pool_req req;
	struct pool_item item;
	uint8_t *bytes;
	struct loop_task task;
};

static void begin(struct loop_task *t);

/* --- one object ----------------------------------------------------------- */

static struct moving *
first(struct mover *m)
{
	return list_entry(m->queue.next, struct moving, link);
}

/* Done with the first one. */
static void
next(struct mover *m)
{
	struct moving *o = first(m);

	list_del(&o->link);
	free(o);
	m->queued--;
	free(m->bytes);
	m->bytes = NULL;
	m->busy = false;
	loop_defer(m->pool->loop, &m->task);
}

static void
failed(struct mover *m, const char *why)
{
	struct pool *p = m->pool;

	p->unmoved++;
	if (!m->said)
		member_event(p, -1, MEMBER_WARN,
		    "object %s has a part on a bad place and cannot be moved: "
		    "%s",
		    first(m)->key, why);
	m->said = true;
	next(m);
}

static void
put_done(struct pool_req *r)
{
	struct mover *m = r->arg;

	/* -ESTALE: somebody has written it meanwhile, elsewhere. */
	if (r->rc < 0 && r->rc != -ESTALE) {
		failed(m, err_text(&r->err));
		return;
	}
	if (r->rc == 0) {
		m->pool->moved++;
		m->said = false;
		member_event(m->pool, -1, MEMBER_GOOD,
		    "object %s was moved away from a bad place",
		    first(m)->key);
	}
	next(m);
}

static void
get_done(struct pool_req *r)
{
	struct mover *m = r->arg;

	if (r->rc == -ENOENT || (r->rc == 0 && r->seq != first(m)->seq)) {
		next(m);
		return;
	}
	if (r->rc < 0) {
		failed(m, err_text(&r->err));
		return;
	}
	m->item.data = m->bytes;
	m->item.size = r->size;
	m->item.meta = r->meta;
	m->item.meta_len = r->meta_len;
	r->op = POOL_PUT;
	r->if_seq = first(m)->seq;
	r->done = put_done;
	pool_submit(m->pool, r);
}

static void
get(struct mover *m)
{
	struct pool *p = m->pool;
	struct raw_object o;
	size_t room;
	int rc = index_get(p->index, first(m)->key, &o, NULL, 0);

	if (rc == -ENOENT || o.seq != first(m)->seq) {
		next(m);
		return;
	}
	room = (o.size + RAW_SECTOR) & ~(uint64_t)(RAW_SECTOR - 1);
	m->bytes = aligned_alloc(RAW_SECTOR, room);
	if (!m->bytes) {
		failed(m, strerror(ENOMEM));
		return;
	}
	memset(m->bytes + room - RAW_SECTOR, 0, RAW_SECTOR);
	m->item = (struct pool_item){.key = first(m)->key};
	m->req = (struct pool_req){.op = POOL_GET,
	    .items = &m->item,
	    .nitems = 1,
	    .dst = m->bytes,
	    .dst_cap = room,
	    .done = get_done,
	    .arg = m};
	pool_submit(p, &m->req);
}

static void
saved(struct super_update *u, int rc)
{
	struct mover *m = u->arg;

	if (rc < 0) {
		m->unsaved = true;
		failed(m, strerror(-rc));
		return;
	}
	get(m);
}

static void
begin(struct loop_task *t)
{
	struct mover *m = container_of(t, struct mover, task);

	if (m->busy)
		return;
	while (m->stopped && !list_empty(&m->queue)) {
		struct list *l = list_pop_front(&m->queue);

		free(list_entry(l, struct moving, link));
	}
	m->ended = m->stopped;
	if (list_empty(&m->queue))
		return;
	m->busy = true;
	if (!m->unsaved) {
		get(m);
		return;
	}
	m->unsaved = false;
	m->update = (struct super_update){.done = saved, .arg = m};
	member_update_supers(m->pool, &m->update);
}

/* --- asked for ------------------------------------------------------------- */

void
move_bad_place(struct pool *p, uint64_t addr, uint32_t sectors)
{
	/* Without memory it is found again. */
	if (alloc_set_bad(p->alloc, addr, sectors) < 0)
		return;
	if (p->mover)
		p->mover->unsaved = true;
	if (p->super.nbad == RAW_BAD_MAX)
		return;
	p->super.bad[p->super.nbad++] =
	    (struct raw_bad){addr, (uint16_t)sectors};
	p->super.compat |= RAW_COMPAT_BAD;
}

bool
move_object(struct pool *p, const char *key, uint64_t seq)
{
	struct mover *m = p->mover;
	struct moving *o;

	if (!m || m->stopped || p->read_only || m->queued == QUEUE_MAX)
		return false;
	list_for_each(l, &m->queue) {
		o = list_entry(l, struct moving, link);
		if (o->seq == seq && strcmp(o->key, key) == 0)
			return true;
	}
	o = malloc(sizeof(*o) + strlen(key) + 1);
	if (!o)
		return false;
	o->seq = seq;
	strcpy(o->key, key);
	list_push_back(&m->queue, &o->link);
	m->queued++;
	loop_defer(p->loop, &m->task);
	return true;
}

bool
move_index(struct pool *p)
{
	if (p->read_only)
		return false;
	index_dirty_all(p->index);
	ckpt_start(p, NULL);
	return true;
}

/* --- life -------------------------------------------------------------------- */

int
move_init(struct pool *p)
{
	struct mover *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->pool = p;
	list_init(&m->queue);
	m->task.run = begin;
	p->mover = m;
	return 0;
}

bool
move_idle(const struct pool *p)
{
	return !p->mover || (!p->mover->busy && !p->mover->task.queued);
}

void
move_stop(struct pool *p)
{
	if (!p->mover)
		return;
	p->mover->stopped = true;
	loop_defer(p->loop, &p->mover->task);
}

int
move_end(struct pool *p)
{
	move_stop(p);
	return p->mover ? loop_run_until(p->loop, &p->mover->ended) : 0;
}

void
move_fini(struct pool *p)
{
	if (!p->mover)
		return;
	must(!p->mover->busy && list_empty(&p->mover->queue));
	loop_cancel(p->loop, &p->mover->task);
	free(p->mover);
	p->mover = NULL;
}

void
move_forget(struct pool *p, unsigned column)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->super.nbad; i++)
		if (p->super.bad[i].addr % p->n != column)
			p->super.bad[n++] = p->super.bad[i];
	p->super.nbad = (uint8_t)n;
}
