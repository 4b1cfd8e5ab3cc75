/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.c: members leave, come back, are replaced; see repair.h.
 *
 *	offline		sync --> out, in good order --> the others know
 *	online		look at the device --> attach --> a checkpoint
 *	replace		look at the device --> the old one out --> attach -->
 *			a checkpoint
 *
 * Attached is: the member takes all writes, in state REBUILDING, and what it
 * misses is rebuilt (rebuild.c).  The checkpoint makes that durable, in a new
 * epoch, and it says that the log behind is of that epoch: so what the device's
 * log ring had before can never be taken for a part of ours.
 *
 * Changes are done one after the other.  Runs on the pool's loop.
 */
#include "raw/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/parse.h"
#include "raw/ckpt.h"
#include "raw/log.h"
#include "raw/move.h"
#include "raw/look.h"
#include "raw/pool_int.h"
#include "raw/quorum.h"
#include "raw/rebuild.h"

#define CLOSE_NS NS_PER_S
#define POLL_NS NS_PER_MS
#define RETRY_NS NS_PER_S

/* What a change needs on its way. */
struct work {
	struct pool_change *c;
	struct pool_req sync;
	struct super_update update;
	struct ckpt_wait ckpt;
	struct loop_timer timer;
	int64_t until_ns;
	void (*looked)(struct pool_change *c, const struct raw_super *s);
};

/* --- one after the other -------------------------------------------------------- */

static void
run_first(struct loop_task *t)
{
	struct pool *p = container_of(t, struct pool, change_task);

	if (p->changes)
		p->changes->begin(p->changes);
}

static void
finish(struct pool_change *c, int rc)
{
	struct pool *p = c->pool;
	struct work *w = c->priv;

	must(p->changes == c);
	p->changes = c->next;
	if (p->changes)
		loop_defer(p->loop, &p->change_task);
	if (w)
		loop_timer_cancel(&w->timer);
	free(w);
	if (rc < 0) {
		rdev_close(c->dev);
		if (c->err.rc == 0)
			err_errno(&c->err, rc, "store \"%s\"", p->super.name);
	}
	c->dev = NULL;
	c->rc = rc;
	c->done(c);
}

static void
enqueue(struct pool *p, struct pool_change *c,
    void (*begin)(struct pool_change *c))
{
	struct pool_change **at = &p->changes;

	must(loop_is_mine(p->loop));
	c->pool = p;
	c->next = NULL;
	c->begin = begin;
	c->rc = 0;
	err_clear(&c->err);
	c->priv = NULL;
	while (*at)
		at = &(*at)->next;
	*at = c;
	p->change_task.run = run_first;
	if (p->changes == c)
		loop_defer(p->loop, &p->change_task);
}

static const char *
path_of(const struct pool *p, unsigned column)
{
	const char *path = p->member[column].path;

	return path ? path : "its device is gone";
}

/* -ENOSPC if the device is too small for a member. */
static int
check_bytes(struct pool_change *c)
{
	uint64_t least = c->pool->super.end;
	char has[FORMAT_MAX], needs[FORMAT_MAX];

	if (c->dev->bytes >= least)
		return 0;
	return err_set(&c->err, -ENOSPC,
	    "%s has %s (%llu bytes), and a member of store \"%s\" needs %s "
	    "(%llu bytes). Nothing was changed",
	    c->dev->path, format_size(has, c->dev->bytes),
	    (unsigned long long)c->dev->bytes, c->pool->super.name,
	    format_size(needs, least), (unsigned long long)least);
}

/* What all changes need. */
static struct work *
begin_work(struct pool_change *c)
{
	struct pool *p = c->pool;
	struct work *w;

	if (p->read_only) {
		err_set(&c->err, -EROFS, "store \"%s\" takes no writes: %s",
		    p->super.name, err_text(&p->why));
		finish(c, -EROFS);
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		finish(c, -ENOMEM);
		return NULL;
	}
	w->c = c;
	c->priv = w;
	return w;
}

/* May the member of that column leave? */
static int
check_leave(struct pool_change *c)
{
	struct pool *p = c->pool;
	bool risk = pool_at_risk(p);

	if (!pool_dev(p, c->column))
		return 0;
	if (!member_is_spare(p, c->column))
		return err_set(&c->err, -EBUSY,
		    "member %u (%s) cannot leave: %u members have everything, "
		    "and %u are needed to read it. Nothing was changed",
		    c->column, path_of(p, c->column), pool_whole_members(p),
		    p->k);
	p->member[c->column].failed = true; /* if it were so */
	risk = pool_at_risk(p) && !risk;
	p->member[c->column].failed = false;
	if (risk && !c->force)
		return err_set(&c->err, -EBUSY,
		    "without member %u (%s) no redundancy is left, and no "
		    "writes would be taken; --force if that is meant. Nothing "
		    "was changed",
		    c->column, path_of(p, c->column));
	return 0;
}

/* --- offline ------------------------------------------------------------------------ */

static void
offline_end(struct loop_timer *t)
{
	struct work *w = container_of(t, struct work, timer);
	struct pool_change *c = w->c;
	struct pool *p = c->pool;
	int64_t now = loop_now(p->loop);

	/* One that hangs is closed when it answers. */
	if (p->member[c->column].dev && now < w->until_ns &&
	    loop_timer_set(p->loop, t, now + POLL_NS) == 0)
		return;
	finish(c, 0);
}

static void
offline_told(struct super_update *u, int rc)
{
	struct work *w = u->arg;

	if (rc < 0) {
		finish(w->c, rc);
		return;
	}
	w->timer.fire = offline_end;
	w->until_ns = loop_now(w->c->pool->loop) + CLOSE_NS;
	offline_end(&w->timer);
}

static void
offline_synced(struct pool_req *r)
{
	struct work *w = r->arg;
	struct pool_change *c = w->c;
	struct pool *p = c->pool;
	int rc = r->rc < 0 ? r->rc : check_leave(c);

	if (rc < 0) {
		finish(c, rc);
		return;
	}
	if (pool_dev(p, c->column)) {
		member_event(p, (int)c->column, MEMBER_GOOD,
		    "is taken offline");
		member_take_out(p, c->column, RAW_MEMBER_OFFLINE, true);
	}
	w->update = (struct super_update){.done = offline_told, .arg = w};
	member_update_supers(p, &w->update);
}

static void
sync_first(struct work *w, void (*done)(struct pool_req *r))
{
	struct pool *p = w->c->pool;

	w->sync = (struct pool_req){
	    .op = POOL_SYNC, .done = done, .arg = w, .pool = p};
	p->requests++;
	log_sync(p, &w->sync);
}

/* One that was only silent does not come back by itself any more. */
static void
stay_out(struct work *w)
{
	struct pool *p = w->c->pool;
	unsigned column = w->c->column;

	silent_forget(p, column);
	member_event(p, (int)column, MEMBER_GOOD, "is taken offline");
	member_restate(p, column, RAW_MEMBER_OFFLINE);
	if (flight_none(p, column))
		member_idle(p, column);
	w->update = (struct super_update){.done = offline_told, .arg = w};
	member_update_supers(p, &w->update);
}

static void
offline_begin(struct pool_change *c)
{
	struct work *w = begin_work(c);
	int rc;

	if (!w)
		return;
	if (c->pool->member[c->column].silence.waits) {
		stay_out(w);
		return;
	}
	if (!pool_dev(c->pool, c->column)) {
		rc = err_set(&c->err, -EALREADY, "member %u (%s) is out already",
		    c->column, path_of(c->pool, c->column));
		finish(c, rc);
		return;
	}
	rc = check_leave(c);
	if (rc < 0)
		finish(c, rc);
	else
		sync_first(w, offline_synced);
}

void
pool_member_offline(
    struct pool *p, struct pool_change *c, unsigned column, bool force)
{
	must(column < p->n);
	c->dev = NULL;
	c->column = column;
	c->force = force;
	enqueue(p, c, offline_begin);
}

/* --- what is on a device ------------------------------------------------------ */

static void
looked(void *arg, int rc, const struct raw_super *s, const struct err *e)
{
	struct pool_change *c = arg;

	if (rc < 0) {
		c->err = *e;
		finish(c, rc);
	} else {
		((struct work *)c->priv)->looked(c, s);
	}
}

static void
look(struct pool_change *c,
    void (*then)(struct pool_change *c, const struct raw_super *s))
{
	((struct work *)c->priv)->looked = then;
	if (look_at(c->dev, c->pool->super.end, looked, c) < 0)
		finish(c, -ENOMEM);
}

static bool
same_pool(const struct pool *p, const struct raw_super *s)
{
	return s && memcmp(s->pool_uuid, p->super.pool_uuid, 16) == 0;
}

/* The column of the member that is on a device; n if none is. */
static unsigned
member_on(const struct pool *p, const struct raw_super *s)
{
	unsigned col = 0;

	if (!same_pool(p, s))
		return p->n;
	while (col < p->n &&
	    memcmp(p->super.member[col].uuid, s->member_uuid, 16) != 0)
		col++;
	return col;
}

/* --- attaching --------------------------------------------------------------------------- */

static void
attached_retry(struct loop_timer *t)
{
	struct work *w = container_of(t, struct work, timer);

	ckpt_start(w->c->pool, &w->ckpt);
}

static void
attached(struct ckpt_wait *ck, int rc)
{
	struct work *w = ck->arg;
	struct pool_change *c = w->c;
	struct pool *p = c->pool;

	/* It takes part; a pool that fails now says so for itself. */
	w->timer.fire = attached_retry;
	if (rc != -ENOMEM || p->read_only ||
	    loop_timer_set(p->loop, &w->timer,
		loop_now(p->loop) + RETRY_NS) < 0)
		finish(c, rc);
}

/*
 * c->dev is the member of its column from now on.  epoch: the highest that is
 * on it.
 */
static void
attach(struct pool_change *c, uint64_t epoch, bool blank)
{
	struct pool *p = c->pool;
	struct work *w = c->priv;
	struct member *m = &p->member[c->column];
	struct raw_member *rm = &p->super.member[c->column];
	char *path = strdup(c->dev->path);

	if (!path || rebuild_reserve(p) < 0) {
		free(path);
		finish(c, -ENOMEM);
		return;
	}
	must(!m->dev && flight_none(p, c->column));
	silent_forget(p, c->column);
	m->silence.told_ns = 0;
	free(m->path);
	m->path = path;
	m->dev = c->dev;
	c->dev = NULL;
	m->failed = m->failed_early = m->erring = false;
	m->hour_errors = m->row_errors = m->bad_rewrites = 0;
	flights_init(&m->flights);
	rm->state = RAW_MEMBER_REBUILDING;
	rm->bytes = m->dev->bytes;
	rm->left_epoch = 0;
	if (epoch > p->super.epoch)
		p->super.epoch = epoch;
	p->super.epoch++;
	member_event(p, (int)c->column, MEMBER_GOOD,
	    blank ? "is a new member; it is being rebuilt"
		  : "is back; what it has missed is being rebuilt");
	rebuild_start(p, blank ? 1u << c->column : 0, false);
	w->ckpt = (struct ckpt_wait){.done = attached, .arg = w};
	ckpt_start(p, &w->ckpt);
}

/* --- online ---------------------------------------------------------------------------------- */

static void
online_looked(struct pool_change *c, const struct raw_super *s)
{
	struct pool *p = c->pool;
	struct raw_member *rm;
	bool apart;
	int rc = 0;

	c->column = member_on(p, s);
	if (p->read_only) {
		rc = err_set(&c->err, -EROFS, "the store takes no writes");
	} else if (c->column == p->n) {
		rc = err_set(&c->err, -EINVAL,
		    "%s is no member of store \"%s\"%s. Nothing was changed",
		    c->dev->path, p->super.name,
		    same_pool(p, s) ? " any more (it was replaced)" : "");
	} else if (pool_dev(p, c->column)) {
		rc = err_set(&c->err, -EALREADY, "%s is in use already",
		    c->dev->path);
	} else if (p->member[c->column].dev) {
		rc = err_set(&c->err, -EBUSY,
		    "%s has still not answered all that it was asked before it "
		    "was taken out",
		    c->dev->path);
	}
	if (rc < 0) {
		finish(c, rc);
		return;
	}
	rm = &p->super.member[c->column];
	apart = quorum_diverged(&p->super, s) || s->epoch > p->super.epoch;
	if (apart && !c->force) {
		err_set(&c->err, -ESTALE,
		    "%s was written without the others after it had left "
		    "(epoch %llu, it left in %llu); --force gives up what only "
		    "it has. Nothing was changed",
		    c->dev->path, (unsigned long long)s->epoch,
		    (unsigned long long)rm->left_epoch);
		finish(c, -ESTALE);
		return;
	}
	if (apart)
		rm->whole_seq = 0;
	attach(c, s->epoch, false);
}

static void
online_begin(struct pool_change *c)
{
	if (!begin_work(c))
		return;
	int rc = check_bytes(c);

	if (rc < 0)
		finish(c, rc);
	else
		look(c, online_looked);
}

void
pool_member_online(
    struct pool *p, struct pool_change *c, struct rdev *d, bool force)
{
	c->dev = d;
	c->column = p->n;
	c->force = force;
	enqueue(p, c, online_begin);
}

int
pool_member_recall(struct pool *p, struct pool_change *c, unsigned column,
    struct err *e)
{
	struct member *m = &p->member[column];
	struct rdev *d = m->dev;

	must(m->silence.waits);
	if (!d)
		return err_set(e, -EALREADY,
		    "member %u (%s) is being brought back already", column,
		    path_of(p, column));
	if (!flight_none(p, column))
		return err_set(e, -EBUSY,
		    "%s has still not answered all that it was asked; it is "
		    "brought back when it has", d->path);
	m->dev = NULL;
	silent_forget(p, column);
	pool_member_online(p, c, d, false);
	return 0;
}

/* --- replace ---------------------------------------------------------------------------------- */

static void
replace_now(struct pool_change *c)
{
	struct pool *p = c->pool;
	struct member *m = &p->member[c->column];
	struct raw_member *rm = &p->super.member[c->column];
	uint8_t uuid[16];

	if (getrandom(uuid, 16, 0) != 16) {
		finish(c, -EIO);
		return;
	}
	silent_forget(p, c->column);
	m->silence.times = 0;
	/* The old one may still have something to answer; to nobody. */
	if (m->dev) {
		flight_orphan(p, c->column);
		rdev_close(m->dev);
		m->dev = NULL;
	}
	memcpy(rm->uuid, uuid, 16);
	rm->whole_seq = 0;
	move_forget(p, c->column);
	attach(c, p->top_epoch, true);
}

static void
replace_out(struct super_update *u, int rc)
{
	struct work *w = u->arg;

	if (rc < 0)
		finish(w->c, rc);
	else
		replace_now(w->c);
}

static void
replace_looked(struct pool_change *c, const struct raw_super *s)
{
	struct pool *p = c->pool;
	struct work *w = c->priv;
	unsigned col = member_on(p, s);
	int rc = check_leave(c);

	if (rc == 0 && col < p->n && pool_dev(p, col))
		rc = err_set(&c->err, -EINVAL,
		    "%s is a member that is in use. Nothing was changed",
		    c->dev->path);
	else if (rc == 0 && col < p->n && !c->force)
		rc = err_set(&c->err, -EINVAL,
		    "%s is a member of this store (column %u); bring it back "
		    "with online, or --force. Nothing was changed",
		    c->dev->path, col);
	if (rc == 0 && p->read_only)
		rc = -EROFS;
	if (rc < 0) {
		finish(c, rc);
		return;
	}
	/* Records that an earlier life of the device left are older. */
	if (same_pool(p, s) && s->epoch > p->top_epoch)
		p->top_epoch = s->epoch;
	if (pool_dev(p, c->column)) {
		member_event(p, (int)c->column, MEMBER_GOOD, "is replaced by %s",
		    c->dev->path);
		member_take_out(p, c->column, RAW_MEMBER_OFFLINE, true);
	}
	w->update = (struct super_update){.done = replace_out, .arg = w};
	member_update_supers(p, &w->update);
}

static void
replace_begin(struct pool_change *c)
{
	struct pool *p = c->pool;

	if (!begin_work(c))
		return;
	int rc = check_bytes(c);

	if (p->m == 0)
		rc = err_set(&c->err, -EBUSY,
		    "store \"%s\" has no parity to rebuild a member from; copy "
		    "its volumes to a new one",
		    p->super.name);
	if (rc < 0)
		finish(c, rc);
	else
		look(c, replace_looked);
}

void
pool_member_replace(struct pool *p, struct pool_change *c, unsigned column,
    struct rdev *d, bool force)
{
	must(column < p->n);
	c->dev = d;
	c->column = column;
	c->force = force;
	enqueue(p, c, replace_begin);
}
