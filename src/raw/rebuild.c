/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild.c: what members miss; see rebuild.h.
 *
 *	WAIT	until every write has ended that began before the members took
 *		part; later ones reach them
 *	OBJECTS	in order of keys; those that a member is known to have (commit
 *		not above its whole_seq) are passed over
 *	PAGES	of the index, and its root: extents like any other
 *	FINISH	a checkpoint: its flush covers all that was written, its
 *		superblock says, in a new epoch, that the members are online
 *
 * Until that superblock is written the members are REBUILDING, whatever was
 * done.  The place in OBJECTS is in the superblock too, as of the last
 * checkpoint whose flush covered it: so a crash costs what was done since.
 *
 * An object may be overwritten or deleted under the pass: its extents are pinned
 * while they are worked at, and what is written later is whole.  A further
 * member that fails is seen by xio as any reader sees it: what cannot be
 * rebuilt any more is counted as lost.
 *
 * Foreground goes first: if the pool was asked for anything within QUIET_NS, one
 * extent is worked at, and between two of them is a pause, so that the pass has
 * `share` percent of the time.  Runs on the pool's loop.
 */
#include "raw/rebuild_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/alloc.h"

#define AT_ONCE 64
#define BYTES_AT_ONCE (16u << 20) /* raw; about what it takes of memory */
#define QUIET_NS (100 * NS_PER_MS)
#define POLL_NS (2 * NS_PER_MS)
#define SAVE_NS (10 * NS_PER_S)
#define RETRY_NS NS_PER_S
#define RATE_NS NS_PER_S
#define USUAL_SHARE 20
#define MOST_PER_TURN 256 /* objects that need nothing */
#define SAID_LOST 5

/* --- the pace --------------------------------------------------------------------- */

static bool
foreground(const struct pool *p)
{
	return loop_now(p->loop) - p->asked_ns < QUIET_NS;
}

void
rebuild_timer(struct loop_timer *t)
{
	struct rebuild *rb = container_of(t, struct rebuild, timer);

	loop_defer(rb->pool->loop, &rb->step);
}

/* Look again: now, or in a while. */
void
rebuild_again(struct rebuild *rb, int64_t in_ns)
{
	struct loop *l = rb->pool->loop;

	if (in_ns == 0 || loop_timer_set(l, &rb->timer, loop_now(l) + in_ns) < 0)
		loop_defer(l, &rb->step);
}

/* With a limit, no more than a twentieth of a second's worth. */
static uint64_t
bytes_at_once(const struct pool *p)
{
	uint64_t most = p->limits.max_bytes_per_s / 20 + 1;

	return most > 1 && most < BYTES_AT_ONCE ? most : BYTES_AT_ONCE;
}

/* How long what was just done puts off the next. */
static void
pace(struct rebuild *rb, uint64_t bytes, int64_t took_ns)
{
	struct pool *p = rb->pool;
	int64_t now = loop_now(p->loop), pause = 0;
	unsigned share = p->limits.share ? p->limits.share : USUAL_SHARE;

	if (foreground(p) && share < 100)
		pause = took_ns * (100 - share) / share;
	if (rb->not_before_ns < now)
		rb->not_before_ns = now;
	rb->not_before_ns += pause;
	if (p->limits.max_bytes_per_s > 0)
		rb->not_before_ns += (int64_t)((double)bytes * 1e9 /
		    (double)p->limits.max_bytes_per_s);
	if (now - rb->rate_ns >= RATE_NS) {
		rb->rate = (uint64_t)((double)(rb->done.bytes - rb->rate_bytes) *
		    1e9 / (double)(now - rb->rate_ns));
		rb->rate_ns = now;
		rb->rate_bytes = rb->done.bytes;
	}
}

/* --- one extent --------------------------------------------------------------------- */

/* Probes end in any order; the place moves over those at the front that have. */
void
rebuild_advance(struct rebuild *rb)
{
	while (!list_empty(&rb->probes)) {
		struct probe *pb =
		    list_entry(rb->probes.next, struct probe, link);

		if (!pb->ended)
			return;
		list_del(&pb->link);
		if (pb->last && !rb->incomplete) {
			strcpy(rb->done.key, pb->key);
			rb->done.objects++;
		}
		free(pb);
	}
}

static void
probed(struct xio *x)
{
	struct probe *pb = x->arg;
	struct rebuild *rb = pb->rb;
	struct pool *p = rb->pool;
	uint64_t bytes = (uint64_t)x->geom.total * RAW_SECTOR;

	if (x->rc == -ENOMEM) {
		rb->incomplete = true;
	} else if (x->rc < 0 && !rb->halted) {
		if (++rb->lost <= SAID_LOST)
			member_event(p, -1, MEMBER_BAD,
			    "cannot be rebuilt: %s: %s",
			    pb->key[0] ? pb->key : "a page of the index",
			    err_text(&x->err));
	}
	for (unsigned c = 0; c < x->geom.w; c++)
		if (x->rewritten & (1u << c))
			rb->written +=
			    (uint64_t)geom_column_sectors(&x->geom, c) *
			    RAW_SECTOR;
	rb->done.bytes += bytes;
	rb->flying -= bytes;
	pace(rb, bytes, loop_now(p->loop) - pb->start_ns);
	pin_fini(p, &pb->pin);
	pb->ended = true;
	rb->nprobes--;
	rebuild_advance(rb);
	rebuild_again(rb, 0);
}

/* 0: it is under way; 1: nothing is to be done; -ENOMEM. */
static int
begin(struct rebuild *rb, const struct raw_extent *ext, uint32_t members,
    const char *key, bool last)
{
	struct pool *p = rb->pool;
	struct probe *pb = calloc(1, sizeof(*pb));
	int rc;

	if (!pb)
		return -ENOMEM;
	pb->rb = rb;
	pb->ext = *ext;
	pb->last = last;
	pb->start_ns = loop_now(p->loop);
	strcpy(pb->key, key);
	list_init(&pb->link);
	pb->xio.done = probed;
	pb->xio.arg = pb;
	rc = members ? xio_rebuild(&pb->xio, p, &pb->ext, members, rb->blank)
		     : 1;
	if (rc < 0) {
		free(pb);
		return rc;
	}
	list_push_back(&rb->probes, &pb->link);
	if (rc == 0) {
		pin_init(p, &pb->pin);
		rb->nprobes++;
		rb->flying += (uint64_t)pb->xio.geom.total * RAW_SECTOR;
		return 0;
	}
	pb->ended = true;
	rb->done.bytes +=
	    (uint64_t)geom_space(p->k, p->m, ext->bytes) * RAW_SECTOR;
	rebuild_advance(rb);
	return 1;
}

/* --- the pass ------------------------------------------------------------------------ */

/* Members that may lack what this commit wrote. */
static uint32_t
who_lacks(const struct rebuild *rb, uint64_t seq)
{
	uint32_t who = 0;

	for (unsigned c = 0; c < rb->pool->n; c++)
		if ((rb->members & (1u << c)) &&
		    seq > rb->pool->super.member[c].whole_seq)
			who |= 1u << c;
	return who;
}

/* 0, 1: as begin; 2: no more objects. */
static int
next_object(struct rebuild *rb)
{
	unsigned n;
	int rc;

	/* Nothing pins the extents that are left of an object: they are only
	 * its own as long as the index says so. */
	if (rb->next_ext < rb->obj.nextents &&
	    !index_has(rb->pool->index, rb->walk.key, rb->obj.seq))
		rb->next_ext = rb->obj.nextents;
	while (rb->next_ext >= rb->obj.nextents) {
		rc = index_walk_next(
		    &rb->walk, &rb->obj, rb->ext, RAW_MAX_EXTENTS);
		if (rc == 0)
			return 2;
		must(rc == 1);
		rb->next_ext = 0;
		if (rb->obj.nextents > 0)
			break;
		/* An empty object is all in the index. */
		if (list_empty(&rb->probes) && !rb->incomplete) {
			strcpy(rb->done.key, rb->walk.key);
			rb->done.objects++;
		}
		return 1;
	}
	n = rb->next_ext;
	rc = begin(rb, &rb->ext[n], who_lacks(rb, rb->obj.seq), rb->walk.key,
	    n + 1 == rb->obj.nextents);
	if (rc >= 0)
		rb->next_ext++;
	return rc;
}

/* The same of the index; the place moves on when one has begun, and only then. */
static int
next_page(struct rebuild *rb)
{
	struct pool *p = rb->pool;
	const struct index_page *pg = NULL;
	const struct raw_extent *ext = NULL;
	size_t i;
	int rc;

	if (rb->next_root < p->nroots) {
		rc = begin(rb, &p->roots[rb->next_root].ext, rb->members, "",
		    false);
		rb->next_root += rc >= 0;
		return rc;
	}
	i = rb->pages_begun ? index_page_behind(p->index, rb->page_key) : 0;
	for (; i < index_npages(p->index) && !ext; i++) {
		pg = index_page(p->index, i);
		if (index_page_ref(pg)->ext.bytes > 0)
			ext = &index_page_ref(pg)->ext;
	}
	if (!ext)
		return 2;
	rc = begin(rb, ext, rb->members, "", false);
	if (rc >= 0) {
		strcpy(rb->page_key, index_page_first_key(pg));
		rb->pages_begun = true;
	}
	return rc;
}

void
rebuild_restart(struct rebuild *rb, const char *after)
{
	struct pool *p = rb->pool;

	rb->phase = WAIT;
	rb->incomplete = rb->all_marked = false;
	rb->wait_seq = p->batch_flying ? p->flying.seq : 0;
	if (p->open.nitems > 0)
		rb->wait_seq = p->next_seq;
	index_walk_init(&rb->walk, p->index, after[0] ? after : NULL);
	rb->next_ext = rb->obj.nextents = 0;
	rb->pages_begun = false;
	rb->next_root = 0;
}

static void
saved(struct ckpt_wait *w, int rc)
{
	struct rebuild *rb = container_of(w, struct rebuild, ckpt);

	rb->ckpt_running = false;
	rb->saved_ns = loop_now(rb->pool->loop);
	rebuild_again(rb, rc < 0 ? RETRY_NS : 0);
}

static void
save(struct rebuild *rb)
{
	rb->ckpt_running = true;
	rb->ckpt = (struct ckpt_wait){.done = saved};
	ckpt_start(rb->pool, &rb->ckpt);
}

/* One more extent, or the next phase.  False: for now there is nothing. */
static bool
advance_phase(struct rebuild *rb)
{
	struct pool *p = rb->pool;
	int rc = 0;

	switch (rb->phase) {
	case WAIT:
		if (p->written_seq < rb->wait_seq) {
			rebuild_again(rb, POLL_NS);
			return false;
		}
		rb->phase = OBJECTS;
		return true;
	case OBJECTS:
		rc = next_object(rb);
		if (rc == 2 && rb->nprobes == 0)
			rb->phase = PAGES;
		break;
	case PAGES:
		/* One that began before the members took part. */
		if (p->ckpt && !rb->pages_begun && rb->next_root == 0) {
			rebuild_again(rb, POLL_NS);
			return false;
		}
		rc = next_page(rb);
		if (rc == 2 && rb->nprobes == 0 && rb->incomplete) {
			memset(&rb->done, 0, sizeof(rb->done));
			rebuild_restart(rb, "");
		}
		else if (rc == 2 && rb->nprobes == 0) {
			rb->phase = FINISH;
		}
		break;
	case FINISH:
		if (!rb->ckpt_running)
			save(rb);
		return false;
	}
	if (rc < 0)
		rebuild_again(rb, POLL_NS);
	return rc >= 0 && (rc != 2 || rb->nprobes == 0);
}

void
rebuild_step(struct loop_task *t)
{
	struct rebuild *rb = container_of(t, struct rebuild, step);
	struct pool *p = rb->pool;
	int64_t now = loop_now(p->loop);
	unsigned turns = 0;

	if (p->read_only)
		rebuild_halt(p);
	if (rb->halted || rb->paused || rb->members == 0) {
		if (rb->nprobes == 0 && !rb->ckpt_running)
			rebuild_tell(p);
		return;
	}
	if (!rb->ckpt_running && rb->phase == OBJECTS &&
	    now - rb->saved_ns >= SAVE_NS)
		save(rb);
	while (rb->nprobes < (foreground(p) ? 1 : AT_ONCE) &&
	    rb->flying < bytes_at_once(p)) {
		if (now < rb->not_before_ns) {
			rebuild_again(rb, rb->not_before_ns - now);
			return;
		}
		if (++turns > MOST_PER_TURN) {
			rebuild_again(rb, 0);
			return;
		}
		if (!advance_phase(rb))
			return;
	}
}
