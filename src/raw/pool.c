/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c: create, open, close, and the dispatch of requests; see pool.h and
 * docs/raw.md.  pool_int.h says what the other files do.
 *
 * A pool that cannot keep its promises any more (too few members, no memory to
 * apply a commit) takes no more writes: pool_stop_writes.  It goes on reading,
 * and says why to everyone who asks.
 */
#include "raw/pool.h"

#include <errno.h>
#include <stdio.h>
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
#include "raw/log.h"
#include "raw/pool_int.h"
#include "raw/quorum.h"
#include "raw/read.h"
#include "raw/rebuild.h"
#include "raw/recover.h"
#include "raw/write.h"

#define CKPT_EVERY (30 * NS_PER_S)
#define LATE_WAIT_NS (2 * NS_PER_S)

/* --- shared by the other files ---------------------------------------------- */

struct rdev *
pool_dev(const struct pool *p, unsigned column)
{
	const struct member *m = &p->member[column];

	return m->failed ? NULL : m->dev;
}

bool
pool_readable(const struct pool *p, unsigned column)
{
	return pool_dev(p, column) &&
	    p->super.member[column].state == RAW_MEMBER_ONLINE;
}

bool
pool_at_risk(const struct pool *p)
{
	unsigned n = 0;

	if (p->m < 2 || p->write_at_risk)
		return false;
	/* What is written now is on those as well that are being rebuilt. */
	for (unsigned c = 0; c < p->n; c++)
		n += pool_readable(p, c) ||
		    (pool_dev(p, c) &&
			p->super.member[c].state == RAW_MEMBER_REBUILDING);
	return n <= p->k;
}

unsigned
pool_online(const struct pool *p)
{
	unsigned n = 0;

	for (unsigned c = 0; c < p->n; c++)
		n += pool_dev(p, c) != NULL;
	return n;
}

void
pool_finish(struct pool *p, struct pool_req *r, int rc)
{
	r->rc = rc;
	if (p->gate) {
		list_push_back(&p->gated, &r->link);
		return;
	}
	must(p->requests > 0);
	p->requests--;
	r->done(r);
}

static void
answer_later(struct loop_task *t)
{
	struct pool_req *r = container_of(t, struct pool_req, task);

	pool_finish(r->pool, r, r->rc);
}

void
pool_fail_later(struct pool *p, struct pool_req *r, int rc)
{
	if (rc == -EROFS && p->read_only)
		r->err = p->why;
	else if (rc == -EROFS && pool_at_risk(p))
		err_set(&r->err, rc,
		    "pool \"%s\" has no redundancy left and takes no writes "
		    "until a member is back or replaced",
		    p->super.name);
	else if (rc == -ENOSPC)
		err_set(&r->err, rc, "the pool \"%s\" is full", p->super.name);
	else if (rc < 0)
		err_errno(&r->err, rc, "pool \"%s\"", p->super.name);
	r->rc = rc;
	r->task.run = answer_later;
	loop_defer(p->loop, &r->task);
}

void
pool_stop_writes(struct pool *p, const struct err *why)
{
	if (p->read_only)
		return;
	p->read_only = p->stopped = true;
	p->why = *why;
	p->why.rc = -EROFS;
	log_error("pool %s takes no more writes: %s", p->super.name,
	    err_text(why));
	log_kick(p);
	write_retry(p);
}

/* --- requests ---------------------------------------------------------------- */

void
pool_submit(struct pool *p, struct pool_req *r)
{
	must(loop_is_mine(p->loop));
	p->asked_ns = loop_now(p->loop);
	r->pool = p;
	r->rc = 0;
	err_clear(&r->err);
	p->requests++;
	switch (r->op) {
	case POOL_GET:
		read_submit(p, r);
		return;
	case POOL_SYNC:
		if (p->read_only && p->why.rc < 0)
			pool_fail_later(p, r, -EROFS);
		else
			log_sync(p, r);
		return;
	case POOL_PUT:
	case POOL_DELETE:
	case POOL_BATCH:
		if (p->read_only || pool_at_risk(p))
			pool_fail_later(p, r, -EROFS);
		else
			write_submit(p, r);
		return;
	}
	must(!"an operation of a pool");
}

bool
pool_find(struct pool *p, const char *key, struct raw_object *o)
{
	return index_get(p->index, key, o, NULL, 0) != -ENOENT;
}

int
pool_next(struct pool *p, char key[RAW_KEY_MAX + 1], struct raw_object *o)
{
	struct index_walk w;
	int rc;

	index_walk_init(&w, p->index, key[0] ? key : NULL);
	rc = index_walk_next(&w, o, NULL, 0);
	if (rc == 0)
		return 0;
	memcpy(key, w.key, sizeof(w.key));
	return 1;
}

/* --- create ------------------------------------------------------------------ */

static uint64_t
log_sectors_for(uint64_t end, uint64_t asked)
{
	uint64_t bytes = asked ? asked : end / 64;
	uint64_t least = 4 * (uint64_t)RAW_RECORD_MAX;

	if (!asked && bytes > (1ull << 30))
		bytes = 1ull << 30;
	if (bytes < least)
		bytes = least;
	return bytes / RAW_SECTOR;
}

int
pool_create(struct rdev *const *devs, unsigned n,
    const struct pool_create_params *cp, struct err *e)
{
	struct raw_super s = {.k = (uint8_t)cp->k, .m = (uint8_t)cp->m,
	    .epoch = 1, .generation = 1, .flags = RAW_FLAG_CLEAN};
	const char *smallest = "";
	uint64_t end = UINT64_MAX, fixed;
	uint8_t *sector;
	int rc = 0;

	must(n == cp->k + cp->m && n <= RAW_MAX_MEMBERS);
	for (unsigned c = 0; c < n; c++)
		if (devs[c]->bytes < end) {
			end = devs[c]->bytes;
			smallest = devs[c]->path;
		}
	end &= ~((1ull << 20) - 1);
	s.end = end;
	s.log_sectors = log_sectors_for(end, cp->log_bytes);
	fixed = RAW_LOG_START + s.log_sectors + RAW_TAIL_SECTORS;
	if (end / RAW_SECTOR < fixed + 2048)
		return err_set(e, -ENOSPC,
		    "%s has %llu MiB; a pool needs at least %llu MiB of each "
		    "member", smallest,
		    (unsigned long long)(end >> 20),
		    (unsigned long long)((fixed + 2048) * RAW_SECTOR >> 20));
	s.data_sectors = end / RAW_SECTOR - fixed;
	s.created = (uint64_t)(clock_wall_ns() / NS_PER_S);
	snprintf(s.name, sizeof(s.name), "%s", cp->name);
	if (getrandom(s.pool_uuid, 16, 0) != 16 ||
	    getrandom(&s.log_crc, 4, 0) != 4)
		return err_errno(e, -errno, "random numbers");
	for (unsigned c = 0; c < n; c++) {
		if (getrandom(s.member[c].uuid, 16, 0) != 16)
			return err_errno(e, -errno, "random numbers");
		s.member[c].state = RAW_MEMBER_ONLINE;
		s.member[c].bytes = devs[c]->bytes;
	}
	sector = aligned_alloc(RAW_SECTOR, RAW_SECTOR);
	if (!sector)
		return err_errno(e, -ENOMEM, "create pool");
	for (unsigned c = 0; c < n && rc == 0; c++) {
		s.column = (uint8_t)c;
		memcpy(s.member_uuid, s.member[c].uuid, 16);
		for (unsigned i = 0; i < RAW_NCOPIES && rc == 0; i++) {
			s.copy = (uint8_t)i;
			raw_super_encode(&s, sector);
			rc = rdev_wait(devs[c], RDEV_WRITE,
			    raw_copy_offset(i, end), sector, RAW_SECTOR, e);
		}
		if (rc == 0)
			rc = rdev_wait(devs[c], RDEV_FLUSH, 0, NULL, 0, e);
	}
	free(sector);
	return rc;
}

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
	    discard_idle(p) &&
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
	if (rc < 0)
		return err_errno(
		    e, rc, "pool \"%s\": checkpoint", p->super.name);
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

	return rc < 0 ? err_errno(e, rc, "pool \"%s\": superblocks",
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
			return err_errno(e, -ENOMEM, "open pool");
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
		    "pool \"%s\": members failed while it was opened, %u of "
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
		err_errno(e, rc, "open pool");
		goto fail;
	}
	memcpy(left, devs, n * sizeof(*left));
	/* Nothing is written, nor repaired, before all is understood (G6). */
	p->read_only = true;
	p->reading_only = op->read_only;
	p->write_at_risk = op->force_degraded;
	p->io_timeout_ns =
	    op->io_timeout_ns ? op->io_timeout_ns : FLIGHT_TIMEOUT_NS;
	rc = recover_members(p, left, n, op->force_degraded, e);
	if (rc < 0)
		goto fail;
	rc = -ENOMEM;
	p->ec = ec_new(p->k, p->m);
	p->index = index_new(p->k, p->m);
	p->alloc = alloc_new(p->super.data_sectors * p->n);
	p->super_bytes = buf_new((size_t)p->n * RAW_NCOPIES * RAW_SECTOR);
	if (!p->ec || !p->index || !p->alloc || !p->super_bytes) {
		err_errno(e, rc, "open pool");
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
		if (rc == 0 && discard_init(p, op->discard) < 0)
			rc = err_errno(e, -ENOMEM, "open pool");
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
		rebuild_halt(p);
		discard_stop(p);
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
		return err_errno(e, rc, "close pool \"%s\"", p->super.name);
	return 0;
}

void
pool_abandon(struct pool *p)
{
	p->read_only = true;
	rebuild_halt(p);
	discard_stop(p);
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
	int rc = 0;

	/* A checkpoint, or a change, has a SYNC of its own. */
	must(p->requests == 0 || p->ckpt || p->changes);
	rebuild_pause(p);
	discard_stop(p);
	if (!p->read_only)
		rc = ckpt_and_wait(p, e);
	if (!p->read_only && rc == 0)
		rc = mark_clean(p, e);
	if (p->read_only && p->why.rc < 0 && rc == 0 && p->stopped)
		rc = err_set(e, p->why.rc, "%s", err_text(&p->why));
	pool_abandon(p);
	return rc;
}
