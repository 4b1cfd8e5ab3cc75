/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c: a pool from its opening to its closing; see pool.h.
 *
 *	superblocks, index, log, space	are read (recover.c); nothing is
 *					written so far (G6)
 *	mend		what the end of the log has that is not whole
 *	new epoch	by a checkpoint: what was decided is durable (I3)
 *	rebuild		what members miss that are back goes on from here
 *	...
 *	checkpoint	at closing, and the mark that the log behind is empty
 *
 * The devices are the caller's until the opening has succeeded.  At the end a
 * device that has not answered everything is left to itself.
 *
 * Runs on the pool's loop.
 */
#include "raw/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/discard.h"
#include "raw/ec.h"
#include "raw/index.h"
#include "raw/move.h"
#include "raw/pool_int.h"
#include "raw/quorum.h"
#include "raw/rebuild.h"
#include "raw/recover.h"
#include "raw/write.h"

#define CKPT_EVERY (30 * NS_PER_S)
#define LATE_WAIT_NS (2 * NS_PER_S)

/* Nothing of ours may be in flight when the memory goes. */
struct idle_wait {
	struct loop_timer timer;
	struct pool *pool;
	int64_t until_ns; /* for what nobody waits for any more */
	bool done;
};

static void
idle_check(struct loop_timer *t)
{
	struct idle_wait *w = container_of(t, struct idle_wait, timer);
	struct pool *p = w->pool;

	w->done = !p->flush_flying && !p->batch_flying && !p->ckpt &&
	    !p->updates && !p->gate && !p->kick.queued &&
	    !p->ckpt_task.queued && !p->flush_task.queued &&
	    !p->super_task.queued && !p->changes && rebuild_idle(p) &&
	    discard_idle(p) && move_idle(p) &&
	    !flight_any(p);
	for (unsigned c = 0; c < p->n; c++)
		if (!flight_none(p, c) && loop_now(p->loop) < w->until_ns)
			w->done = false;
	if (!w->done)
		loop_timer_set(p->loop, t, loop_now(p->loop) + NS_PER_MS);
}

static void
wait_idle(struct pool *p)
{
	struct idle_wait w = {.timer.fire = idle_check,
	    .pool = p,
	    .until_ns = loop_now(p->loop) + LATE_WAIT_NS};

	if (loop_timer_set(p->loop, &w.timer, loop_now(p->loop)) == 0)
		loop_run_until(p->loop, &w.done);
}

/* --- open --------------------------------------------------------------------- */

static void
ckpt_due(struct loop_timer *t)
{
	struct pool *p = container_of(t, struct pool, ckpt_timer);

	if (p->pos != p->tail && !p->read_only)
		ckpt_start(p, NULL);
	loop_timer_set(p->loop, t, loop_now(p->loop) + CKPT_EVERY);
}

static struct pool *
pool_alloc(struct loop *l)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = l;
	list_init(&p->open.writes);
	list_init(&p->flying.writes);
	list_init(&p->syncs);
	list_init(&p->flushing);
	list_init(&p->freed);
	list_init(&p->pins);
	list_init(&p->waiting);
	list_init(&p->gated);
	p->ckpt_timer.fire = ckpt_due;
	flight_init(p);
	silent_init(p);
	return p;
}

/* Everything but the devices. */
static void
pool_free_memory(struct pool *p)
{
	loop_timer_cancel(&p->idle);
	loop_timer_cancel(&p->ckpt_timer);
	while (!list_empty(&p->freed)) {
		struct list *l = list_pop_front(&p->freed);

		free(list_entry(l, struct freed, link));
	}
	recover_tail_fini(p);
	for (unsigned c = 0; c < RAW_MAX_MEMBERS; c++) {
		loop_cancel(p->loop, &p->member[c].close_task);
		free(p->member[c].path);
	}
	loop_cancel(p->loop, &p->rebuild_told);
	flight_fini(p);
	rebuild_free(p);
	discard_fini(p);
	move_fini(p);
	strbuf_fini(&p->open.items);
	strbuf_fini(&p->flying.items);
	buf_unref(p->record);
	buf_unref(p->super_bytes);
	free(p->roots);
	alloc_free(p->alloc);
	index_free(p->index);
	ec_free(p->ec);
	free(p);
}

struct wait {
	struct ckpt_wait ckpt;
	struct super_update update;
	bool done;
	int rc;
};

static void
ckpt_waited(struct ckpt_wait *c, int rc)
{
	struct wait *w = c->arg;

	w->rc = rc;
	w->done = true;
}

static int
ckpt_and_wait(struct pool *p, struct err *e)
{
	struct wait w = {.ckpt.done = ckpt_waited};
	int rc;

	w.ckpt.arg = &w;
	ckpt_start(p, &w.ckpt);
	rc = loop_run_until(p->loop, &w.done);
	if (rc == 0)
		rc = w.rc;
	if (rc < 0 && p->stopped)
		return err_set(e, p->why.rc, "store \"%s\": checkpoint: %s",
		    p->super.name, err_text(&p->why));
	if (rc < 0)
		return err_errno(
		    e, rc, "store \"%s\": checkpoint", p->super.name);
	return 0;
}

static void
update_waited(struct super_update *u, int rc)
{
	struct wait *w = u->arg;

	w->rc = rc;
	w->done = true;
}

static int
update_and_wait(struct pool *p)
{
	struct wait w = {.update.done = update_waited};
	int rc;

	w.update.arg = &w;
	member_update_supers(p, &w.update);
	rc = loop_run_until(p->loop, &w.done);
	return rc < 0 ? rc : w.rc;
}

/*
 * Where power has gone in the middle of an update, some superblocks still name
 * the root before.  Its pages are free for what is written next: so before that
 * all name the one that was chosen, as the next cut, or the loss of who knows
 * it, may leave nothing but the older ones.
 */
static int
make_even(struct pool *p, struct err *e)
{
	int rc = p->uneven ? update_and_wait(p) : 0;

	return rc < 0 ? err_errno(e, rc, "store \"%s\": superblocks",
			    p->super.name)
		      : 0;
}

/* Who takes part in the new epoch, and who does not. */
static void
begin_member(struct pool *p, unsigned c)
{
	struct raw_member *rm = &p->super.member[c];
	struct member *m = &p->member[c];

	if (m->returning) {
		m->dev = m->returning;
		m->returning = NULL;
		rm->state = RAW_MEMBER_REBUILDING;
		rm->left_epoch = 0;
		/* The place of a rebuild is not this one's. */
		p->super.cursor[0] = '\0';
		p->super.rebuilt_objects = p->super.rebuilt_bytes = 0;
	}
	/* What was not whole behind the last flush is nobody's fault. */
	m->hour_errors = m->row_errors = 0;
	if (!pool_dev(p, c) &&
	    (rm->state == RAW_MEMBER_ONLINE ||
		rm->state == RAW_MEMBER_REBUILDING)) {
		if (m->failed_early)
			rm->whole_seq = 0;
		else if (rm->state == RAW_MEMBER_ONLINE)
			rm->whole_seq = p->known_durable;
		rm->state = m->failed_early ? RAW_MEMBER_FAULTED
					    : RAW_MEMBER_MISSING;
		rm->left_epoch = p->super.epoch;
	}
}

static int
begin_rebuild(struct pool *p, bool resume, struct err *e)
{
	for (unsigned c = 0; c < p->n; c++) {
		if (!pool_dev(p, c) ||
		    p->super.member[c].state != RAW_MEMBER_REBUILDING)
			continue;
		if (rebuild_reserve(p) < 0)
			return err_errno(e, -ENOMEM, "open store");
		member_event(p, (int)c, MEMBER_GOOD,
		    "%s; what it lacks is being rebuilt",
		    resume ? "is not whole yet" : "is back");
		rebuild_start(p, 0, resume);
		return 0;
	}
	return 0;
}

/*
 * The verdict of recovery becomes durable (I3): a new epoch, members that are
 * not here are missing, and the chain of the log begins anew, so that no record
 * of the past can ever continue it.
 */
static int
begin_epoch(struct pool *p, bool forced, struct err *e)
{
	unsigned before = 0;

	for (unsigned c = 0; c < p->n; c++) {
		before += p->super.member[c].state == RAW_MEMBER_ONLINE;
		begin_member(p, c);
	}
	p->epoch_online = pool_whole_members(p);
	if (p->epoch_online < p->k || (2 * p->epoch_online < before && !forced))
		return err_set(e, -EIO,
		    "store \"%s\": members failed while it was opened, %u of "
		    "%u are left",
		    p->super.name, p->epoch_online, before);
	if (p->top_epoch > p->super.epoch)
		p->super.epoch = p->top_epoch;
	p->super.epoch += forced ? QUORUM_FORCED_EPOCHS : 1;
	p->super.flags &= ~RAW_FLAG_CLEAN;
	p->read_only = false;
	p->in_service = true;
	if (getrandom(&p->prev_crc, 4, 0) != 4)
		return err_errno(e, -errno, "random numbers");
	return ckpt_and_wait(p, e);
}

int
pool_open(struct loop *l, struct rdev **devs, unsigned n,
    const struct pool_open_params *op, struct pool **out, struct err *e)
{
	struct rdev **left = calloc(n, sizeof(*left));
	struct pool *p = pool_alloc(l);
	bool resume = true;
	int rc = -ENOMEM;

	if (!p || !left) {
		err_errno(e, rc, "open store");
		goto fail;
	}
	memcpy(left, devs, n * sizeof(*left));
	/* Nothing is written, nor repaired, before all is understood (G6). */
	p->read_only = true;
	p->reading_only = op->read_only;
	p->write_at_risk = op->force_degraded;
	rc = recover_members(p, left, n, op->force_degraded, e);
	if (rc < 0)
		goto fail;
	rc = -ENOMEM;
	p->ec = ec_new(p->k, p->m);
	p->index = index_new(p->k, p->m);
	p->alloc = alloc_new(p->super.data_sectors * p->n, p->n);
	p->super_bytes = buf_new((size_t)p->n * RAW_NCOPIES * RAW_SECTOR);
	if (!p->ec || !p->index || !p->alloc || !p->super_bytes) {
		err_errno(e, rc, "open store");
		goto fail;
	}
	rc = recover_index(p, e);
	if (rc == 0)
		rc = recover_log(p, e);
	if (rc == 0)
		rc = recover_space(p, e);
	if (rc < 0)
		goto fail;
	p->tail = p->super.log_pos;
	if (op->read_only) {
		err_set(&p->why, -EROFS, "it was opened read-only");
	} else {
		for (unsigned c = 0; c < p->n; c++)
			resume = resume && !p->member[c].returning;
		p->read_only = false;
		rc = make_even(p, e);
		if (rc == 0)
			rc = recover_mend(p, e);
		if (rc == 0)
			rc = begin_epoch(p, op->force_degraded, e);
		if (rc == 0)
			rc = begin_rebuild(p, resume, e);
		if (rc == 0 && move_init(p) < 0)
			rc = err_errno(e, -ENOMEM, "open store");
		if (rc == 0 && discard_init(p, op->discard) < 0)
			rc = err_errno(e, -ENOMEM, "open store");
		if (rc < 0)
			goto fail;
		loop_timer_set(l, &p->ckpt_timer, loop_now(l) + CKPT_EVERY);
	}
	p->opened = true;
	for (unsigned c = 0; c < p->n; c++)
		if (flight_none(p, c))
			member_idle(p, c);
	for (unsigned i = 0; i < n; i++)
		rdev_close(left[i]);
	free(left);
	*out = p;
	return 0;
fail:
	if (p) {
		p->read_only = true;
		silent_stop(p);
		rebuild_halt(p);
		discard_stop(p);
		move_stop(p);
		wait_idle(p);
		for (unsigned c = 0; c < p->n; c++)
			flight_orphan(p, c);
		pool_free_memory(p);
	}
	free(left);
	return rc;
}

/* --- close -------------------------------------------------------------------- */

static int
mark_clean(struct pool *p, struct err *e)
{
	int rc;

	p->super.flags |= RAW_FLAG_CLEAN;
	rc = update_and_wait(p);
	if (rc < 0)
		return err_errno(e, rc, "close store \"%s\"", p->super.name);
	return 0;
}

void
pool_abandon(struct pool *p)
{
	p->read_only = true;
	silent_stop(p);
	rebuild_halt(p);
	discard_stop(p);
	move_stop(p);
	wait_idle(p);
	for (unsigned c = 0; c < p->n; c++) {
		if (!flight_none(p, c))
			log_warn("%s: has not answered everything yet; it is "
				 "left to itself",
			    p->member[c].path);
		flight_orphan(p, c);
		rdev_close(p->member[c].dev);
	}
	pool_free_memory(p);
}

int
pool_close(struct pool *p, struct err *e)
{
	int rc;

	/* A checkpoint, or a change, has a SYNC of its own. */
	must(p->requests == 0 || p->ckpt || p->changes || !move_idle(p));
	silent_stop(p);
	rebuild_pause(p);
	discard_stop(p);
	rc = move_end(p);
	if (!p->read_only && rc == 0)
		rc = ckpt_and_wait(p, e);
	if (!p->read_only && rc == 0)
		rc = mark_clean(p, e);
	if (p->read_only && p->why.rc < 0 && rc == 0 && p->stopped)
		rc = err_set(e, p->why.rc, "%s", err_text(&p->why));
	pool_abandon(p);
	return rc;
}
