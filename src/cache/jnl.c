/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jnl.c: the cache and its journal.
 *
 * Every write and zeroing is appended when it is acknowledged, under the number
 * that the barrier knows it by; so "the journal has it up to n" and "the store
 * has it up to n" speak of the same n.  A FLUSH then ends when the journal has
 * flushed.
 *
 * A dirty thing (barrier.c) holds a reference on its lowest operation; zeroed
 * ranges, which wait in the erase set, hold theirs by erase_min_seq.  What
 * nobody needs any more is given back after a SYNC of the store that began
 * later (trim_to); so an upload counts when it is durable, not when it is
 * answered.
 *
 * When the journal has failed it is not written to any more, but it is still
 * what makes durable what was flushed to it.  A FLUSH waits for the store, as
 * without one; when the store has everything the journal is marked void, and only
 * then does the FLUSH end: else the journal would be applied over what it covers
 * after a crash.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "cache/internal.h"

#define SETTLED_ENOUGH 64
#define SLOW_FROM 0.7 /* of the journal; pace.c begins at 3/4 */
#define AGAIN_NS NS_PER_S

bool
jnl_active(const struct cache *c)
{
	return c->journal && !journal_has_failed(c->journal);
}

/* --- operations -------------------------------------------------------------- */

bool
jnl_room(struct cache *c, const struct cache_req *r, uint64_t bytes)
{
	return r->replay || !jnl_active(c) ||
	    journal_has_room(c->journal, bytes);
}

uint64_t
jnl_op(struct cache *c, const struct cache_req *r, uint64_t off, uint64_t len,
    const void *data)
{
	uint64_t first = c->seq + 1;

	if (r->replay) {
		c->seq = r->replay;
		return r->replay;
	}
	if (!jnl_active(c)) {
		c->seq++;
		return first;
	}
	journal_append(c->journal, first, off, len, data);
	c->seq += journal_count_ops(len, data != NULL);
	return first;
}

void
cache_replayed(struct cache *c)
{
	if (c->journal)
		c->seq = journal_next_op(c->journal) - 1;
	c->replaying = false;
	wb_kick(c);
	jnl_left(c);
}

void
jnl_ref(struct cache *c, uint64_t seq)
{
	if (c->journal)
		journal_ref(c->journal, seq);
}

void
jnl_unref(struct cache *c, uint64_t seq)
{
	if (!c->journal)
		return;
	journal_unref(c->journal, seq);
	jnl_left(c);
}

/* --- FLUSH -------------------------------------------------------------------- */

static void
flushed(struct journal_wait *w, int rc)
{
	struct cache_req *r = container_of(w, struct cache_req, logged);
	struct err e = ERR_INIT;

	if (rc < 0) { /* it has failed: then by the store */
		barrier_begin(r->cache, r);
		return;
	}
	stat_inc(r->cache->stats, STAT_CACHE_FLUSHES);
	rc = spill_may_pass(r->cache, &e);
	cache_finish_err(r, rc, &e);
}

void
jnl_flush(struct cache *c, struct cache_req *r)
{
	r->logged.done = flushed;
	journal_flush(c->journal, &r->logged);
}

/* The mark is there, or cannot be made. */
static void
marked(struct cache *c, struct cache_req *r, int rc)
{
	struct err e = ERR_INIT;

	if (rc < 0) {
		err_copy(&e, journal_error(c->journal));
		rc = err_wrap(&e, -EIO,
		    "the journal has failed, and cannot be marked so that it "
		    "is not applied after a crash; unmount, and mount with "
		    "--journal none");
	}
	stat_inc(c->stats, STAT_CACHE_FLUSHES);
	cache_finish_err(r, rc, &e);
}

bool
jnl_waits_for_mark(struct cache *c, struct cache_req *r)
{
	int rc;

	if (!c->journal || !journal_has_failed(c->journal))
		return false;
	journal_void(c->journal);
	rc = journal_void_state(c->journal);
	if (rc == 0)
		return false;
	list_del(&r->link);
	if (rc == -EINPROGRESS)
		list_push_back(&c->unmarked, &r->link);
	else
		marked(c, r, rc);
	return true;
}

/* --- space ---------------------------------------------------------------------- */

uint64_t
jnl_pressing(const struct cache *c)
{
	return jnl_active(c) ? journal_pressing(c->journal) : 0;
}

double
jnl_fill(const struct cache *c)
{
	double x;

	if (!jnl_active(c))
		return 0;
	x = journal_fill(c->journal);
	return x <= SLOW_FROM ? x
			      : 0.75 + (x - SLOW_FROM) / (1 - SLOW_FROM) / 4;
}

void
jnl_uploaded(struct cache *c, uint64_t block, uint64_t op)
{
	if (!jnl_active(c))
		return;
	/* It only saves work: what does not fit is not said. */
	if (c->nsettled < JNL_SETTLED_MAX)
		c->settled[c->nsettled++] = (struct jnl_settled){block, op};
	jnl_left(c);
}

void
jnl_left(struct cache *c)
{
	if (c->journal && !c->closing)
		loop_defer(c->loop, &c->jnl_check);
}

static void
give_back(struct cache *c, uint64_t trim_to, size_t nsettled)
{
	if (!jnl_active(c))
		return;
	for (size_t i = 0; i < nsettled; i++)
		journal_settled(c->journal,
		    c->settled[i].block * c->info.block_size,
		    c->settled[i].op);
	c->nsettled -= nsettled;
	memmove(c->settled, c->settled + nsettled,
	    c->nsettled * sizeof(c->settled[0]));
	if (trim_to)
		journal_trim(c->journal, trim_to);
	if (!list_empty(&c->writers))
		write_admit(c);
}

static void
check_run(struct loop_task *t)
{
	struct cache *c = container_of(t, struct cache, jnl_check);
	uint64_t to;
	bool idle;

	if (!jnl_active(c) || c->closing || c->syncing ||
	    loop_timer_armed(&c->jnl_timer))
		return;
	to = journal_trimmable(c->journal, erase_min_seq(c));
	idle = c->ndirty == 0 && c->nsending == 0;
	if (to == 0 && c->nsettled < SETTLED_ENOUGH &&
	    !(idle && c->nsettled > 0))
		return;
	if (c->unsynced)
		barrier_sync(c); /* its end gives back */
	else
		give_back(c, to, c->nsettled);
}

void
jnl_sync_begins(struct cache *c)
{
	c->trim_to = 0;
	c->nsettled_syncing = c->nsettled;
	if (jnl_active(c))
		c->trim_to =
		    journal_trimmable(c->journal, erase_min_seq(c));
}

void
jnl_sync_ended(struct cache *c, bool durable)
{
	if (!c->journal || c->closing)
		return;
	if (durable)
		give_back(c, c->trim_to, c->nsettled_syncing);
	else if (loop_timer_set(c->loop, &c->jnl_timer,
		     loop_now(c->loop) + AGAIN_NS) == 0)
		return;
	jnl_left(c);
}

static void
again(struct loop_timer *t)
{
	jnl_left(container_of(t, struct cache, jnl_timer));
}

/* --- what the journal says -------------------------------------------------------- */

static void
has_room(void *arg)
{
	write_admit(arg);
}

static void
has_failed(void *arg)
{
	struct cache *c = arg;
	int rc = journal_void_state(c->journal);
	struct list *l;

	if (!c->jnl_said && c->jnl_failed)
		c->jnl_failed(c->jnl_failed_arg);
	if (!c->jnl_said)
		log_error("journal: %s; it is not used any more: each flush "
			  "waits for the store from now on",
		    err_text(journal_error(c->journal)));
	c->jnl_said = true;
	if (rc == 0)
		log_info("journal: it is marked as not to be applied");
	else if (rc != -EINPROGRESS)
		log_error("journal: it cannot be marked as not to be applied: "
			  "flushes fail; unmount as soon as possible");
	while (rc != -EINPROGRESS && (l = list_pop_front(&c->unmarked)))
		marked(c, list_entry(l, struct cache_req, link), rc);
	if (c->closing)
		return;
	write_admit(c);
	wb_flush(c);
	barrier_check(c);
}

bool
cache_logged(const struct cache *c, uint64_t *next, uint64_t *written)
{
	if (!jnl_active(c))
		return false;
	*next = c->seq + 1;
	*written = journal_written_op(c->journal);
	return true;
}

void
cache_watch_journal(struct cache *c, void (*failed)(void *arg), void *arg)
{
	c->jnl_failed = failed;
	c->jnl_failed_arg = arg;
}

int
jnl_open(struct cache *c, struct err *e)
{
	struct journal_user u = {has_room, has_failed, c};

	c->jnl_check.run = check_run;
	c->jnl_timer.fire = again;
	if (!c->params.journal)
		return 0;
	c->settled = calloc(JNL_SETTLED_MAX, sizeof(c->settled[0]));
	if (!c->settled)
		return err_set(e, -ENOMEM, "cache: no memory");
	c->journal = c->params.journal;
	c->seq = journal_next_op(c->journal) - 1;
	c->replaying = journal_found(c->journal)->ops > 0;
	journal_set_user(c->journal, &u);
	return 0;
}

void
jnl_fini(struct cache *c)
{
	loop_timer_cancel(&c->jnl_timer);
	loop_cancel(c->loop, &c->jnl_check);
	free(c->settled);
	c->settled = NULL;
	if (c->journal)
		journal_set_user(c->journal, NULL);
	c->journal = NULL;
}
