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
#include "raw/rebuild.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/read.h"
#include "raw/xio.h"

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

enum phase { WAIT, OBJECTS, PAGES, FINISH };

/* One extent under work, in the order of the pass. */
struct probe {
	struct list link;
	struct xio xio;
	struct rebuild *rb;
	struct raw_extent ext;
	struct pin pin;
	int64_t start_ns;
	bool ended, last; /* of its object */
	char key[RAW_KEY_MAX + 1];
};

/* How far the pass is. */
struct place {
	char key[RAW_KEY_MAX + 1];
	uint64_t objects, bytes;
};

struct rebuild {
	struct pool *pool;
	uint32_t members, blank; /* by column */
	enum phase phase;
	bool halted; /* there is nothing to do, or no way to do it */
	bool paused;
	bool incomplete; /* memory was short: another pass is needed */
	uint64_t wait_seq;
	struct index_walk walk;
	struct raw_extent *ext; /* of the object under work */
	struct raw_object obj;
	unsigned next_ext;
	char page_key[RAW_KEY_MAX + 1];
	bool pages_begun;
	size_t next_root;
	struct list probes;
	unsigned nprobes;
	uint64_t flying; /* their bytes, raw */
	struct place done, marked; /* marked: the flush under way covers it */
	bool all_marked, publishing;
	uint64_t written, lost;
	int64_t not_before_ns, saved_ns;
	/* For the rate. */
	int64_t rate_ns;
	uint64_t rate_bytes, rate;
	struct loop_task step;
	struct loop_timer timer;
	struct ckpt_wait ckpt;
	bool ckpt_running;
};

static void again(struct rebuild *rb, int64_t in_ns);

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

static void
tell_later(struct pool *p)
{
	p->rebuild_told.run = tell;
	loop_defer(p->loop, &p->rebuild_told);
}

void
pool_rebuild_wait(struct pool *p, struct pool_rebuild_wait *w)
{
	w->next = p->rebuild_waiters;
	p->rebuild_waiters = w;
	tell_later(p);
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
		again(p->rebuild, 0);
}

/* --- the pace --------------------------------------------------------------------- */

static bool
foreground(const struct pool *p)
{
	return loop_now(p->loop) - p->asked_ns < QUIET_NS;
}

static void
on_timer(struct loop_timer *t)
{
	struct rebuild *rb = container_of(t, struct rebuild, timer);

	loop_defer(rb->pool->loop, &rb->step);
}

/* Look again: now, or in a while. */
static void
again(struct rebuild *rb, int64_t in_ns)
{
	struct loop *l = rb->pool->loop;

	if (in_ns == 0 || loop_timer_set(l, &rb->timer, loop_now(l) + in_ns) < 0)
		loop_defer(l, &rb->step);
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
static void
advance(struct rebuild *rb)
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
	if (x->rewritten)
		p->unflushed++;
	rb->done.bytes += bytes;
	rb->flying -= bytes;
	pace(rb, bytes, loop_now(p->loop) - pb->start_ns);
	pin_fini(p, &pb->pin);
	pb->ended = true;
	rb->nprobes--;
	advance(rb);
	again(rb, 0);
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
	advance(rb);
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

static int
next_page(struct rebuild *rb)
{
	struct pool *p = rb->pool;
	size_t i;

	if (rb->next_root < p->nroots)
		return begin(rb, &p->roots[rb->next_root++].ext, rb->members,
		    "", false);
	for (;;) {
		const struct index_page *pg;
		const struct raw_ref *ref;

		i = rb->pages_begun ? index_page_behind(p->index, rb->page_key)
				    : 0;
		if (i >= index_npages(p->index))
			return 2;
		rb->pages_begun = true;
		pg = index_page(p->index, i);
		strcpy(rb->page_key, index_page_first_key(pg));
		ref = index_page_ref(pg);
		if (ref->ext.bytes > 0)
			return begin(rb, &ref->ext, rb->members, "", false);
	}
}

static void
restart(struct rebuild *rb, const char *after)
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
	again(rb, rc < 0 ? RETRY_NS : 0);
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
			again(rb, POLL_NS);
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
			again(rb, POLL_NS);
			return false;
		}
		rc = next_page(rb);
		if (rc == 2 && rb->nprobes == 0 && rb->incomplete) {
			memset(&rb->done, 0, sizeof(rb->done));
			restart(rb, "");
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
		again(rb, POLL_NS);
	return rc >= 0 && (rc != 2 || rb->nprobes == 0);
}

static void
step(struct loop_task *t)
{
	struct rebuild *rb = container_of(t, struct rebuild, step);
	struct pool *p = rb->pool;
	int64_t now = loop_now(p->loop);
	unsigned turns = 0;

	if (p->read_only)
		rebuild_halt(p);
	if (rb->halted || rb->paused || rb->members == 0) {
		if (rb->nprobes == 0 && !rb->ckpt_running)
			tell_later(p);
		return;
	}
	if (!rb->ckpt_running && rb->phase == OBJECTS &&
	    now - rb->saved_ns >= SAVE_NS)
		save(rb);
	while (rb->nprobes < (foreground(p) ? 1 : AT_ONCE) &&
	    rb->flying < BYTES_AT_ONCE) {
		if (now < rb->not_before_ns) {
			again(rb, rb->not_before_ns - now);
			return;
		}
		if (++turns > MOST_PER_TURN) {
			again(rb, 0);
			return;
		}
		if (!advance_phase(rb))
			return;
	}
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
	rb->timer.fire = on_timer;
	rb->step.run = step;
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
	restart(rb, rb->done.key);
	again(rb, 0);
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
	again(rb, 0);
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
		tell_later(p);
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
	advance(rb);
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

	if (!rb || !rb->publishing || rc < 0)
		return;
	for (unsigned c = 0; c < p->n; c++)
		if (rb->members & (1u << c))
			member_event(p, (int)c, MEMBER_GOOD,
			    "is rebuilt and online: %llu MiB were written%s",
			    (unsigned long long)(rb->written >> 20),
			    rb->lost ? "; some objects are lost" : "");
	p->epoch_online = pool_whole_members(p);
	p->rebuild_rc = rb->lost ? -EIO : 0;
	p->rebuild_lost = rb->lost;
	rb->members = 0;
	rb->halted = true;
	rb->publishing = false;
	tell_later(p);
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
