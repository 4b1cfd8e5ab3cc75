/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The survey of an open volume: a listing in the background that fills the
 * present map while requests go on.
 *
 * It changes only blocks about which nothing is known (layout.c has the table
 * of states), and when it is through what it has not found is absent.  If it
 * fails nothing is lost: reads ask the store, and the next who needs to know
 * (an erase of a large range, a tool) starts it again.
 *
 *	none --start--> running --done--> done (for good)
 *	  ^                |
 *	  +-----failed-----+
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "base/must.h"
#include "layout/s3b.h"
#include "layout/s3b_name.h"
#include "layout/survey.h"

static int
found(void *arg, uint32_t block, const struct store_entry *en)
{
	struct layout *l = arg;

	if (block >= l->info.nblocks) {
		l->survey_beyond++;
		return 0;
	}
	if (present_get(&l->present, block) != PRESENT_ST_UNKNOWN)
		return 0;
	return present_set(&l->present, block, PRESENT_ST_YES);
}

static void
progress(void *arg, uint64_t keys)
{
	struct layout *l = arg;

	l->survey_keys = keys;
}

static void
done(void *arg, int rc, const struct err *e)
{
	struct layout *l = arg;

	l->survey = NULL;
	l->survey_rc = rc;
	err_copy(&l->survey_err, e);
	if (rc == 0) {
		present_complete(&l->present);
		l->survey_done = true;
	} else if (rc != -ECANCELED)
		log_warn("which blocks exist is not known: %s", err_text(e));
	if (rc == 0 && l->survey_beyond > 0)
		log_warn("%s: %" PRIu64 " object(s) beyond the end (%" PRIu64
			 " blocks): the volume was larger",
		    VOLUME_NAME(l->store, l->prefix), l->survey_beyond,
		    l->info.nblocks);
	while (!list_empty(&l->survey_waiters)) {
		struct list *w = list_pop_front(&l->survey_waiters);
		struct survey_waiter *sw =
		    list_entry(w, struct survey_waiter, link);

		sw->ended(sw);
	}
}

static const struct survey_ops ops = {found, progress, done};

int
s3b_survey_start(struct layout *l)
{
	if (l->survey != NULL || l->survey_done)
		return 0;
	l->survey_keys = l->survey_beyond = 0;
	l->survey =
	    survey_start(l->store, l->prefix, l->hashed, 0, &ops, l);
	return l->survey != NULL ? 0 : -ENOMEM;
}

void
s3b_survey_wait(struct layout *l, struct survey_waiter *w)
{
	must(l->survey != NULL);
	list_push_back(&l->survey_waiters, &w->link);
}

struct end_waiter {
	struct survey_waiter w;
	bool ended;
};

static void
end_ended(struct survey_waiter *w)
{
	container_of(w, struct end_waiter, w)->ended = true;
}

void
s3b_survey_end(struct layout *l)
{
	struct end_waiter ew = {.w.ended = end_ended};

	if (l->survey == NULL)
		return;
	s3b_survey_wait(l, &ew.w);
	survey_stop(l->survey);
	must(loop_run_until(l->loop, &ew.ended) == 0);
}

/* For tools that show how far it is: called ten times a second. */
struct progress_timer {
	struct loop_timer timer;
	struct layout *l;
	void (*progress)(void *arg, uint64_t keys);
	void *arg;
};

#define PROGRESS_NS 100000000LL

static void
tick(struct loop_timer *t)
{
	struct progress_timer *pt =
	    container_of(t, struct progress_timer, timer);

	pt->progress(pt->arg, pt->l->survey_keys);
	/* It was armed before, so there is memory. */
	(void)loop_timer_set(pt->l->loop, t, t->due_ns + PROGRESS_NS);
}

int
layout_survey_wait(struct layout *l,
    void (*show)(void *arg, uint64_t keys), void *arg, struct err *e)
{
	struct end_waiter ew = {.w.ended = end_ended};
	struct progress_timer pt = {
	    .timer.fire = tick, .l = l, .progress = show, .arg = arg};

	if (l->survey_done)
		return 0;
	if (s3b_survey_start(l) < 0)
		return err_errno(e, -ENOMEM, "listing %s", l->store->url);
	s3b_survey_wait(l, &ew.w);
	if (show != NULL)
		(void)loop_timer_set(
		    l->loop, &pt.timer, loop_now(l->loop) + PROGRESS_NS);
	must(loop_run_until(l->loop, &ew.ended) == 0);
	loop_timer_cancel(&pt.timer);
	if (show != NULL)
		show(arg, l->survey_keys);
	if (l->survey_rc < 0)
		err_copy(e, &l->survey_err);
	return l->survey_rc;
}
