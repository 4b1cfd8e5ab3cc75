/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c: members that fail; see member.h and docs/raw.md, "Membership".
 *
 *	write or flush fails, no answer (silent.c) --> out in memory, the gate
 *	    is shut, what is under way to it ends
 *	    --> superblocks with the next epoch on all others, both halves
 *	    --> the gate opens: what completed meanwhile is acknowledged
 *
 * With too few members left the pool takes no more writes.  If more than half
 * went within one epoch nothing is acknowledged either: those might be opened
 * without us, somewhere else (see quorum.c).  Runs on the pool's loop.
 */
#include "raw/member.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/log.h"
#include "raw/pool_int.h"
#include "raw/rebuild.h"
#include "raw/rdev.h"
#include "raw/silent.h"

/* The last max characters of it. */
static const char *
path_end(const char *path, size_t max)
{
	size_t len = strlen(path);

	return len > max ? path + (len - max) : path;
}

void
member_event(struct pool *p, int column, enum member_tone tone,
    const char *fmt, ...)
{
	static const enum log_level level[] = {
	    LOG_LVL_INFO, LOG_LVL_WARN, LOG_LVL_ERROR};
	struct pool_event *ev = &p->event[p->nevents++ % POOL_EVENTS];
	const char *path = column < 0 ? p->super.name : p->member[column].path;
	va_list ap;

	*ev = (struct pool_event){.wall_ns = clock_wall_ns(), .column = column};
	if (column >= 0 && path != NULL)
		snprintf(ev->device, sizeof(ev->device), "%s", path_end(path,
		    sizeof(ev->device) - 1));
	va_start(ap, fmt);
	vsnprintf(ev->text, sizeof(ev->text), fmt, ap);
	va_end(ap);
	log_msg(level[tone], "%s%s: %s", column < 0 ? "store " : "",
	    path ? path : "a member", ev->text);
}

bool
member_is_spare(const struct pool *p, unsigned column)
{
	return pool_whole_members(p) - pool_readable(p, column) >= p->k;
}

/* --- out ---------------------------------------------------------------------- */

static void
open_gate(struct pool *p)
{
	struct list ready;

	p->gate = false;
	list_init(&ready);
	list_splice_back(&ready, &p->gated);
	while (!list_empty(&ready)) {
		struct list *l = list_pop_front(&ready);
		struct pool_req *r = list_entry(l, struct pool_req, link);

		pool_finish(p, r, r->rc);
	}
}

static void
epoch_written(struct super_update *u, int rc)
{
	struct pool *p = u->arg;
	struct err e = ERR_INIT;

	must(p->gate);
	/* Another member failed while this was written: once more. */
	if (p->epoch_stale) {
		p->epoch_stale = false;
		p->super.epoch++;
		member_update_supers(p, u);
		return;
	}
	if (rc < 0) {
		err_errno(&e, rc, "no member took the new membership");
		pool_stop_writes(p, &e);
	} else if (!p->read_only) {
		p->epoch_online = pool_whole_members(p);
	}
	open_gate(p);
	log_kick(p);
}

bool
member_no_space(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

/* Nothing more is acknowledged, and everybody who asks hears why: the last
 * member to go is named, with what was wrong. */
static void
too_few_left(struct pool *p, const struct member *last, unsigned left)
{
	bool full = member_no_space(last->failed_rc);
	struct err e = ERR_INIT;

	err_set(&e, full ? -ENOSPC : -EROFS,
	    "only %u of %u members are left%s (%s: %s)%s", left, p->n,
	    left < p->k ? ""
			: ", all at once; the others might be in use elsewhere",
	    last->path ? last->path : "a member",
	    last->failed_rc < 0 ? strerror(-last->failed_rc)
				: "taken out of the store",
	    full ? "; make room on the file system that it is on, and open the "
		   "store anew: what was synced is there"
		 : "");
	pool_stop_writes(p, &e);
}

/* In a new epoch; the gate is shut until they know. */
static void
tell_others(struct pool *p)
{
	if (p->gate) {
		p->epoch_stale = true;
		return;
	}
	p->gate = true;
	p->super.epoch++;
	p->epoch_update =
	    (struct super_update){.done = epoch_written, .arg = p};
	member_update_supers(p, &p->epoch_update);
}

void
member_take_out(struct pool *p, unsigned column, enum raw_member_state state,
    bool whole)
{
	struct member *m = &p->member[column];
	struct raw_member *rm = &p->super.member[column];
	unsigned left;

	must(!m->failed && m->dev);
	m->failed = true;
	left = pool_whole_members(p);
	m->flights.suspect = m->flights.slow = false;
	flight_give_up(p, column);
	/* When it is opened read-only, or not yet, that is between us. */
	if (!p->in_service) {
		m->failed_early = true;
		return;
	}
	/* Without it nothing can be read, or the others are more than we are: it
	 * stays a member, so that everything is there again when it is.  What
	 * happens now is not acknowledged. */
	if (left < p->k || 2 * left < p->epoch_online) {
		too_few_left(p, m, left);
		return;
	}
	/* What one that is rebuilt had before stays true. */
	if (rm->state != RAW_MEMBER_REBUILDING || !whole)
		rm->whole_seq = whole ? p->durable_seq : 0;
	rm->state = state;
	rm->left_epoch = p->super.epoch;
	rebuild_member_left(p, column);
	if (pool_at_risk(p))
		member_event(p, -1, MEMBER_BAD,
		    "no redundancy is left; no writes are taken until a member "
		    "is back or replaced");
	if (flight_none(p, column))
		member_idle(p, column);
	tell_others(p);
}

void
member_restate(
    struct pool *p, unsigned column, enum raw_member_state state)
{
	struct raw_member *rm = &p->super.member[column];

	must(p->member[column].failed && p->in_service);
	rm->state = state;
	if (state == RAW_MEMBER_FAULTED)
		rm->whole_seq = 0;
	tell_others(p);
}

static void
close_device(struct loop_task *t)
{
	struct member *m = container_of(t, struct member, close_task);

	/* It may have been given another one meanwhile. */
	if (m->failed && m->dev && m->dev->inflight == 0) {
		rdev_close(m->dev);
		m->dev = NULL;
	}
}

void
member_idle(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];

	/* While it is being opened the devices are the caller's. */
	if (!m->failed || !m->dev || !p->opened || silent_answered(p, column))
		return;
	m->close_task.run = close_device;
	loop_defer(p->loop, &m->close_task);
}

static void
out(struct pool *p, unsigned column)
{
	member_take_out(p, column, RAW_MEMBER_FAULTED, false);
}

/* --- signs of trouble ------------------------------------------------------------ */

void
member_failed(
    struct pool *p, unsigned column, const char *what, uint64_t off, int rc)
{
	struct member *m = &p->member[column];

	if (m->failed)
		return;
	m->write_errors++;
	m->failed_rc = rc;
	member_event(p, (int)column, MEMBER_BAD,
	    "%s at %llu failed: %s; the member is taken out of the store", what,
	    (unsigned long long)off, strerror(-rc));
	out(p, column);
}

void
member_room(struct pool *p, unsigned column, bool room)
{
	struct member *m = &p->member[column];

	if (m->full == !room)
		return; /* that was said */
	m->full = !room;
	if (room)
		member_event(p, (int)column, MEMBER_GOOD,
		    "there is room again on its file system");
	else
		member_event(p, (int)column, MEMBER_BAD,
		    "cannot grow, its file system is full: writes wait for up "
		    "to %lld s; make room there",
		    (long long)(FLIGHT_ROOM_NS / NS_PER_S));
}

void
member_suspect(struct pool *p, unsigned column, int64_t age_ns)
{
	member_event(p, (int)column, MEMBER_WARN,
	    "no answer for %.1f s; reads go around it", (double)age_ns / 1e9);
}

void
member_answers(struct pool *p, unsigned column)
{
	member_event(p, (int)column, MEMBER_GOOD, "answers again");
}

void
member_slow(
    struct pool *p, unsigned column, uint64_t p99_ns, uint64_t peers_ns)
{
	if (p->member[column].flights.slow)
		member_event(p, (int)column, MEMBER_WARN,
		    "is slow: 1 of 100 reads takes longer than %.1f ms, of the "
		    "others' %.1f ms",
		    (double)p99_ns / 1e6, (double)peers_ns / 1e6);
	else
		member_event(p, (int)column, MEMBER_GOOD,
		    "is as fast as the others again");
}

/* Errors of the last hour; the first ones are said. */
static bool
count_error(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];
	int64_t now = loop_now(p->loop);

	if (m->hour_errors == 0 || now - m->hour_ns > 3600 * NS_PER_S) {
		m->hour_ns = now;
		m->hour_errors = 0;
		m->erring = false;
	}
	m->hour_errors++;
	m->row_errors++;
	if (m->hour_errors == MEMBER_SAID_ERRORS + 1)
		log_warn("%s: further errors of this hour are counted, not "
			 "logged",
		    m->path);
	return m->hour_errors <= MEMBER_SAID_ERRORS;
}

/* Many at once are what a scrub is for. */
static void
judge(struct pool *p, unsigned column)
{
	struct member *m = &p->member[column];
	unsigned hour = p->scrubbing ? 0 : m->hour_errors;
	unsigned row = p->scrubbing ? 0 : m->row_errors;

	if (m->failed || p->read_only)
		return;
	if (!m->erring &&
	    (hour > MEMBER_HOUR_ERRORS || row > MEMBER_ROW_ERRORS)) {
		m->erring = true;
		member_event(p, (int)column, MEMBER_WARN,
		    "is suspect: %u errors in this hour, %u in a row",
		    m->hour_errors, m->row_errors);
	}
	if ((hour <= 3 * MEMBER_HOUR_ERRORS &&
		row <= 3 * MEMBER_ROW_ERRORS) ||
	    !member_is_spare(p, column))
		return;
	member_event(p, (int)column, MEMBER_BAD,
	    "%u errors in this hour, %u in a row; the member is taken out of "
	    "the store",
	    m->hour_errors, m->row_errors);
	out(p, column);
}

static const char *
others(const struct pool *p)
{
	return p->m > 0 ? "; the other members are read" : "";
}

static bool
is_gone(int rc)
{
	return rc == -ENODEV || rc == -ENXIO || rc == -EBADF;
}

void
member_unreadable(struct pool *p, unsigned column, uint64_t off, int rc)
{
	struct member *m = &p->member[column];

	if (m->failed)
		return;
	m->read_errors++;
	if (count_error(p, column))
		member_event(p, (int)column, MEMBER_WARN,
		    "read at %llu failed: %s%s", (unsigned long long)off,
		    strerror(-rc), others(p));
	/* A device that is gone will not come back by waiting. */
	if (is_gone(rc) && !p->read_only && member_is_spare(p, column)) {
		member_event(p, (int)column, MEMBER_BAD,
		    "is gone (%s); it is taken out of the store",
		    strerror(-rc));
		out(p, column);
		return;
	}
	judge(p, column);
}

void
member_damaged(struct pool *p, unsigned column, uint64_t off)
{
	struct member *m = &p->member[column];

	if (m->failed)
		return;
	m->checksum_errors++;
	if (count_error(p, column))
		member_event(p, (int)column, MEMBER_WARN,
		    "wrong bytes at %llu (checksum)%s", (unsigned long long)off,
		    others(p));
	judge(p, column);
}

void
member_read_well(struct pool *p, unsigned column)
{
	p->member[column].row_errors = 0;
}

/* A rewrite was in vain: some are borne. */
static void
count_rewrite(struct pool *p, unsigned column, const char *sentence)
{
	if (++p->member[column].bad_rewrites < MEMBER_BAD_REWRITES ||
	    p->read_only || !member_is_spare(p, column))
		return;
	member_event(p, (int)column, MEMBER_BAD, "%s", sentence);
	out(p, column);
}

void
member_lies(struct pool *p, unsigned column, uint64_t off)
{
	struct member *m = &p->member[column];

	if (m->failed)
		return;
	m->checksum_errors++;
	member_event(p, (int)column, MEMBER_WARN,
	    "was rewritten at %llu, said it was done, and reads back "
	    "otherwise",
	    (unsigned long long)off);
	count_rewrite(p, column,
	    "does not keep what it says it has written; the member is taken "
	    "out of the store");
}

/*
 * The fragment stays as it was, damaged, and others have what it had.  So this
 * puts out nobody at once: all that the member has else would be gone with it,
 * and where it is the last that can be spared, writing too.
 */
void
member_not_rewritten(struct pool *p, unsigned column, uint64_t off, int rc)
{
	struct member *m = &p->member[column];

	if (m->failed)
		return;
	/* One that is rebuilt is to have it; one that is gone has nothing. */
	if (!pool_readable(p, column) || is_gone(rc)) {
		member_failed(p, column, "rewrite", off, rc);
		return;
	}
	m->write_errors++;
	member_event(p, (int)column, MEMBER_WARN,
	    "cannot be rewritten at %llu: %s; what is there is moved elsewhere, "
	    "replace the member soon",
	    (unsigned long long)off, strerror(-rc));
	count_rewrite(p, column,
	    "cannot be rewritten in several places; the member is taken out of "
	    "the store");
}
