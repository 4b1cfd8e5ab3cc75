/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild_state.c: the rebuild's beginning and end, its place on the devices, and
 * who waits for it; see rebuild.h, and rebuild.c for the pass itself.
 *
 * The place that a superblock has is that of the last checkpoint whose flush
 * covered it: rebuild_mark takes it down when the flush begins, rebuild_save
 * puts it into the superblock.  If all was done when the flush began, the
 * superblock says that the members are online.
 */
#include "raw/rebuild_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/parse.h"
#include "raw/alloc.h"

/* --- who waits ------------------------------------------------------------------ */

static void
tell(struct loop_task *t)
{
	struct pool *p = container_of(t, struct pool, rebuild_told);
	struct pool_rebuild_wait *w;

	if (p->rebuild && !p->rebuild->halted)
		return;
	while ((w = p->rebuild_waiters) != NULL) {
		p->rebuild_waiters = w->next;
		w->done(w, p->read_only ? -EROFS : p->rebuild_rc);
	}
}

void
rebuild_tell(struct pool *p)
{
	p->rebuild_told.run = tell;
	loop_defer(p->loop, &p->rebuild_told);
}

void
pool_rebuild_wait(struct pool *p, struct pool_rebuild_wait *w)
{
	w->next = p->rebuild_waiters;
	p->rebuild_waiters = w;
	rebuild_tell(p);
}

void
pool_rebuild_unwait(struct pool *p, struct pool_rebuild_wait *w)
{
	struct pool_rebuild_wait **at = &p->rebuild_waiters;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
}

void
pool_rebuild_limit(struct pool *p, const struct pool_rebuild_limits *l)
{
	p->limits = *l;
	if (p->rebuild)
		rebuild_again(p->rebuild, 0);
}

/* --- beginning and end ------------------------------------------------------------------ */

int
rebuild_reserve(struct pool *p)
{
	struct rebuild *rb;

	if (p->rebuild)
		return 0;
	rb = calloc(1, sizeof(*rb));
	if (!rb)
		return -ENOMEM;
	rb->ext = calloc(RAW_MAX_EXTENTS, sizeof(*rb->ext));
	if (!rb->ext) {
		free(rb);
		return -ENOMEM;
	}
	rb->pool = p;
	rb->halted = true;
	rb->timer.fire = rebuild_timer;
	rb->step.run = rebuild_step;
	list_init(&rb->probes);
	p->rebuild = rb;
	return 0;
}

void
rebuild_start(struct pool *p, uint32_t blank, bool resume)
{
	struct rebuild *rb = p->rebuild;
	bool anew = !rb->halted;

	rb->written = rb->lost = 0;
	/* A place in the middle is nothing to those who have just come; and
	 * those who were there may have some of what is to be written. */
	rb->blank = anew ? blank & ~rb->members : blank;
	rb->members = 0;
	for (unsigned c = 0; c < p->n; c++)
		if (pool_dev(p, c) &&
		    p->super.member[c].state == RAW_MEMBER_REBUILDING)
			rb->members |= 1u << c;
	memset(&rb->done, 0, sizeof(rb->done));
	if (resume) {
		strcpy(rb->done.key, p->super.cursor);
		rb->done.objects = p->super.rebuilt_objects;
		rb->done.bytes = p->super.rebuilt_bytes;
	} else {
		p->super.cursor[0] = '\0';
		p->super.rebuilt_objects = p->super.rebuilt_bytes = 0;
	}
	/* Probes under way are of the pass before: they move no place. */
	list_for_each(l, &rb->probes)
		list_entry(l, struct probe, link)->last = false;
	rb->marked = rb->done;
	rb->halted = false;
	rb->saved_ns = rb->rate_ns = loop_now(p->loop);
	rb->rate_bytes = rb->done.bytes;
	p->rebuild_rc = 0;
	rebuild_restart(rb, rb->done.key);
	rebuild_again(rb, 0);
}

void
rebuild_member_left(struct pool *p, unsigned column)
{
	struct rebuild *rb = p->rebuild;

	if (!rb || !(rb->members & (1u << column)))
		return;
	rb->members &= ~(1u << column);
	rb->blank &= ~(1u << column);
	if (rb->members == 0) {
		rb->halted = true;
		p->rebuild_rc = -EIO;
	}
	rebuild_again(rb, 0);
}

void
rebuild_pause(struct pool *p)
{
	if (p->rebuild)
		p->rebuild->paused = true;
}

void
rebuild_halt(struct pool *p)
{
	if (p->rebuild && !p->rebuild->halted) {
		p->rebuild->halted = true;
		rebuild_tell(p);
	}
}

bool
rebuild_idle(const struct pool *p)
{
	return !p->rebuild || (p->rebuild->nprobes == 0 &&
				  !p->rebuild->ckpt_running);
}

void
rebuild_free(struct pool *p)
{
	struct rebuild *rb = p->rebuild;

	if (!rb)
		return;
	must(rebuild_idle(p));
	loop_timer_cancel(&rb->timer);
	loop_cancel(p->loop, &rb->step);
	rebuild_advance(rb);
	must(list_empty(&rb->probes));
	free(rb->ext);
	free(rb);
	p->rebuild = NULL;
}

void
rebuild_mark(struct pool *p)
{
	struct rebuild *rb = p->rebuild;

	if (!rb)
		return;
	rb->marked = rb->done;
	rb->all_marked = rb->phase == FINISH && rb->nprobes == 0 &&
	    !rb->halted && rb->members;
}

void
rebuild_save(struct pool *p)
{
	struct rebuild *rb = p->rebuild;

	if (!rb || rb->halted)
		return;
	if (!rb->all_marked) {
		strcpy(p->super.cursor, rb->marked.key);
		p->super.rebuilt_objects = rb->marked.objects;
		p->super.rebuilt_bytes = rb->marked.bytes;
		return;
	}
	rb->publishing = true;
	p->super.cursor[0] = '\0';
	p->super.rebuilt_objects = p->super.rebuilt_bytes = 0;
	for (unsigned c = 0; c < p->n; c++)
		if (rb->members & (1u << c)) {
			p->super.member[c].state = RAW_MEMBER_ONLINE;
			p->super.member[c].whole_seq = 0;
			p->super.member[c].left_epoch = 0;
		}
	p->super.epoch++;
}

/* The members are online, and everyone knows. */
void
rebuild_saved(struct pool *p, int rc)
{
	struct rebuild *rb = p->rebuild;

	char size[FORMAT_MAX];

	if (!rb || !rb->publishing || rc < 0)
		return;
	for (unsigned c = 0; c < p->n; c++)
		if (rb->members & (1u << c))
			member_event(p, (int)c, MEMBER_GOOD,
			    "is rebuilt and online: %s written%s",
			    format_size(size, rb->written),
			    rb->lost ? "; some objects are lost" : "");
	p->epoch_online = pool_whole_members(p);
	p->rebuild_rc = rb->lost ? -EIO : 0;
	p->rebuild_lost = rb->lost;
	rb->members = 0;
	rb->halted = true;
	rb->publishing = false;
	rebuild_tell(p);
}

bool
rebuild_has(const struct pool *p, unsigned column)
{
	return p->rebuild && (p->rebuild->members & (1u << column));
}

void
rebuild_get_status(const struct pool *p, struct pool_status *s)
{
	const struct rebuild *rb = p->rebuild;

	s->rebuild.lost = p->rebuild_lost;
	if (!rb || rb->halted)
		return;
	s->rebuild.active = true;
	s->rebuild.objects_total = index_count(p->index);
	s->rebuild.objects_done = rb->done.objects < s->rebuild.objects_total
	    ? rb->done.objects
	    : s->rebuild.objects_total;
	s->rebuild.bytes_total =
	    (alloc_total(p->alloc) - alloc_nfree(p->alloc)) * RAW_SECTOR;
	s->rebuild.bytes_done = rb->done.bytes < s->rebuild.bytes_total
	    ? rb->done.bytes
	    : s->rebuild.bytes_total;
	s->rebuild.bytes_written = rb->written;
	s->rebuild.bytes_per_s = rb->rate;
	s->rebuild.lost = rb->lost;
}
