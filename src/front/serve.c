/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a mount.
 *
 * ending.c says which state follows which; here is what is done on entering
 * each.  Every callback ends in serve_event(), which moves at most one state, so no
 * state is entered from inside another's entry: those that can go on at once
 * defer a task.
 *
 * Ending by a signal.  The unmount runs on a worker: the kernel writes its
 * dirty pages to us while it unmounts, so the loop must go on serving.  First
 * the file systems on loop devices over us are synced, then we unmount; if
 * somebody still uses the mount point it is detached instead, and those who
 * hold on to it get ENOTCONN.  All that we have acknowledged is written.
 *
 * Errors at the end.  A flush that fails is tried again, as often as the store
 * takes something now and then.  Giving up is loud: how much, why, and that
 * the lease stays, so that the next one who mounts is told.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "cache/cache.h"
#include "front/control.h"
#include "front/ending.h"
#include "front/guard.h"
#include "front/mounts.h"
#include "front/serve_int.h"
#include "front/storedoor.h"
#include "loop/work.h"
#include "store/raw.h"
#include "store/store.h"
#include "volume/volume.h"

#define PAUSE_NS NS_PER_S	 /* between flushes that fail */
#define REFUSED_NS (10 * NS_PER_S) /* after a signal, with a store that refuses
				    * for good: no hope beyond that */
#define SAY_NS (10 * NS_PER_S)	 /* between lines about the rest */



/* --- what the files show ------------------------------------------------- */

static void
make_text(void *arg, enum fuse_text which, struct strbuf *out)
{
	struct serve *s = arg;

	snprintf(s->status.state, sizeof(s->status.state), "%s",
	    ending_name(s->state));
	status_collect(&s->status, s->volume);
	if (s->p.hold != NULL) {
		const struct kept *k = s->p.hold->kept;

		s->status.crashes = kept_get_count(k, KEPT_CRASHES);
		s->status.upgrades = kept_get_count(k, KEPT_UPGRADES);
		s->status.survives_crash = kept_survives(k);
		s->status.unflushed_bytes =
		    s->ledger != NULL ? ledger_used(s->ledger) : 0;
	}
	if (which == FUSE_TEXT_JSON)
		status_json(&s->status, volume_stats(s->volume), out);
	else
		status_text(&s->status, volume_stats(s->volume), out);
}

static void
init_status(struct serve *s)
{
	struct status *t = &s->status;

	t->pid = getpid();
	t->since_wall_ns = clock_wall_ns();
	snprintf(t->dir, sizeof(t->dir), "%s", s->p.fuse.dir);
	snprintf(t->file, sizeof(t->file), "%s",
	    s->p.fuse.file_name != NULL ? s->p.fuse.file_name : "file");
	snprintf(t->control, sizeof(t->control), "%s",
	    control_name(s->control));
	if (s->hold == NULL)
		return;
	const struct hold_start *h = s->p.hold;

	t->holder_pid = h->holder_pid;
	snprintf(t->holder, sizeof(t->holder), "%s", h->name);
}

/* --- UNMOUNTING ------------------------------------------------------------- */

/* On a worker. */
static void
unmount_run(struct work *w)
{
	struct serve *s = container_of(w, struct serve, unmount);

	mounts_leave(s->p.fuse.dir, &s->unmount_err);
}

static void
unmount_done(struct work *w)
{
	struct serve *s = container_of(w, struct serve, unmount);

	s->unmount_idle = true;
	if (s->unmount_err.rc < 0)
		log_warn("%s", err_text(&s->unmount_err));
	serve_event(s, END_DETACHED);
}

static void
enter_unmounting(struct serve *s)
{
	log_info("unmounting %s", s->p.fuse.dir);
	s->unmount.run = unmount_run;
	s->unmount.done = unmount_done;
	s->unmount_idle = false;
	work_submit(s->p.pool, s->loop, &s->unmount);
}

/* --- STOPPING -------------------------------------------------------------------- */

void
serve_front_idle(void *arg)
{
	serve_event(arg, END_IDLE);
}

static void
enter_stopping(struct serve *s)
{
	control_announce_end(s->control, volume_url(s->volume));
	fuse_front_stop(s->front, serve_front_idle, s);
}

/* --- FLUSHING, PAUSING -------------------------------------------------------------- */

static void enter_flushing(struct serve *s);

static void
flush_done(struct volume_req *r)
{
	struct serve *s = r->arg;
	int rc = r->rc;

	s->flushing = false;
	if (rc < 0) {
		if (s->rc == 0 && s->ending)
			log_error("%s: writing the rest: %s; trying again",
			    volume_url(s->volume), err_text(&r->err));
		s->rc = rc;
		err_copy(&s->err, &r->err);
	} else {
		s->rc = 0;
		err_clear(&s->err);
	}
	volume_req_fini(r);
	if (s->flush_again)
		enter_flushing(s);
	else
		serve_event(s, rc < 0 ? END_FLUSH_FAILED : END_FLUSHED);
}

static void
enter_flushing(struct serve *s)
{
	/* One that nobody waits for any more may still be under way: that one
	 * need not cover all. */
	s->flush_again = s->flushing;
	if (s->flushing)
		return;
	s->flushing = true;
	memset(&s->flush, 0, sizeof(s->flush));
	s->flush.op = VOLUME_DRAIN;
	s->flush.done = flush_done;
	s->flush.arg = s;
	volume_submit(s->volume, &s->flush);
}

static void
pause_over(struct loop_timer *t)
{
	serve_event(container_of(t, struct serve, pause), END_PAUSE_OVER);
}

static void
enter_pausing(struct serve *s)
{
	s->pause.fire = pause_over;
	if (loop_timer_set(
		s->loop, &s->pause, loop_now(s->loop) + PAUSE_NS) < 0)
		serve_event(s, END_NO_PROGRESS);
}

/* Once a second from the first step of the ending on. */
static void
watch_progress(struct loop_timer *t)
{
	struct serve *s = container_of(t, struct serve, watch);
	int64_t now = loop_now(s->loop);
	struct cache_status c;

	cache_get_status(volume_cache(s->volume), &c);
	if (c.dirty_bytes < s->seen_dirty || s->progress_ns == 0)
		s->progress_ns = now;
	s->seen_dirty = c.dirty_bytes;
	if (c.dirty_bytes > 0 && now - s->said_ns >= SAY_NS) {
		s->said_ns = now;
		log_info("%s: %" PRIu64 " MiB still to be written%s%s",
		    volume_url(s->volume), (c.dirty_bytes + 1048575) >> 20,
		    c.rc != 0 ? "; last error: " : "",
		    c.rc != 0 ? err_text(&c.err) : "");
	}
	int64_t limit = s->p.drain_timeout_ns;

	if (s->told && s->rc < 0 && !store_rc_transient(s->rc))
		limit = REFUSED_NS;
	if (limit > 0 && now - s->progress_ns >= limit) {
		serve_event(s, END_NO_PROGRESS);
		return;
	}
	if (loop_timer_set(s->loop, t, now + NS_PER_S) < 0)
		log_warn("no memory to watch the progress");
}

/* --- the machine ------------------------------------------------------------------------ */

static void
enter(struct serve *s, enum ending_state was)
{
	enum ending_state state = s->state;

	if (serve_hands_over(was) && !serve_hands_over(state) && state != LEAVING)
		serve_go_on(s, was);
	if (s->state != state)
		return; /* that has led further */
	switch (s->state) {
	case SERVING:
		break;
	case DRAINING:
		serve_enter_draining(s);
		break;
	case UNMOUNTING:
		enter_unmounting(s);
		break;
	case STOPPING:
		enter_stopping(s);
		break;
	case FLUSHING:
	case SAVING:
	case SEALING:
		enter_flushing(s);
		break;
	case PAUSING:
		enter_pausing(s);
		break;
	case CLOSING:
	case GIVING_UP:
	case LEAVING:
		loop_stop(s->loop);
		break;
	}
}

void
serve_event(struct serve *s, enum ending_event ev)
{
	enum ending_state was = s->state, next = ending_next(was, ev);

	if (next == was)
		return;
	log_debug("%s: %s", ending_name(was), ending_name(next));
	if (!s->ending && (next == UNMOUNTING || next == STOPPING)) {
		s->ending = true;
		s->watch.fire = watch_progress;
		s->said_ns = loop_now(s->loop);
		watch_progress(&s->watch);
	}
	s->state = next;
	enter(s, was);
}

static void
caught(struct loop_signal *sig, int signo)
{
	struct serve *s = container_of(sig, struct serve, signals);

	if (s->volume == NULL) {
		log_error("%s while opening", strsignal(signo));
		_exit(128 + signo);
	}
	log_info("%s: %s", strsignal(signo),
	    s->state == SERVING || serve_hands_over(s->state) ?
		"writing everything, then ending" :
		"giving up");
	s->told = true;
	serve_event(s, END_SIGNAL);
}

static void
front_ready(void *arg)
{
	struct serve *s = arg;

	guard_widen_readahead(s->p.fuse.dir);
	hold_mounted(s->hold, fuse_front_device(s->front));
	hold_ready(s->hold);
	if (s->p.ready != NULL)
		s->p.ready(s->p.arg);
}

void
serve_front_ended(void *arg, int rc)
{
	struct serve *s = arg;

	if (rc == 0)
		log_info("%s was unmounted", s->p.fuse.dir);
	serve_event(s, END_SESSION_OVER);
}

/* --- beginning and end --------------------------------------------------------------------- */

int
serve_new(struct loop *l, struct serve **out, struct err *e)
{
	static const int signos[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	struct serve *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_errno(e, -ENOMEM, "mount");
	s->loop = l;
	s->unmount_idle = true;
	s->signals.caught = caught;
	int rc = loop_signal_add(l, &s->signals, signos, e);

	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
serve_free(struct serve *s)
{
	if (s == NULL)
		return;
	loop_signal_del(&s->signals);
	free(s);
}

/* Nothing depends on it: without it the store cannot be asked while it is
 * mounted. */
static void
open_door(struct serve *s)
{
	struct store *store = volume_store(s->volume);
	struct storedoor_params p = {.pool = raw_store_pool(store),
		.fileio = raw_store_fileio(store),
		.url = volume_url(s->volume),
		.dir = s->p.fuse.dir};
	struct err e = ERR_INIT;

	if (p.pool != NULL && storedoor_open(s->loop, &p, &s->door, &e) < 0)
		log_warn("%s", err_text(&e));
}

static int
start(struct serve *s, struct err *e)
{
	struct fuse_front_params fp = s->p.fuse;
	int rc = serve_begin_hold(s, e);

	if (rc == 0)
		rc = control_open(s->loop, &s->control, e);
	if (rc < 0)
		return rc;
	init_status(s);
	fp.text = make_text;
	fp.ready = front_ready;
	fp.ended = serve_front_ended;
	fp.arg = s;
	rc = serve_begin_ledger(s, e);
	if (rc == 0)
		rc = serve_open_front(s, &fp, e);
	if (rc < 0) {
		control_close(s->control, rc, err_text(e));
		return rc;
	}
	open_door(s);
	guard_memory();
	return 0;
}

/* Everything is at rest and flushed. */
static int
finish(struct serve *s, struct err *e)
{
	loop_timer_cancel(&s->watch);
	loop_timer_cancel(&s->pause);
	hold_drop(s->hold);
	fuse_front_free(s->front);
	loop_run_until(s->loop, &s->unmount_idle); /* it may wait for us */
	storedoor_close(s->door);
	int rc = volume_close(s->volume, false, e);

	control_close(s->control, rc, err_text(e));
	hold_ended(s->hold);
	return rc;
}

static int
give_up(struct serve *s, struct err *e)
{
	struct cache_status c;

	cache_get_status(volume_cache(s->volume), &c);
	err_set(e, s->rc < 0 ? s->rc : c.rc < 0 ? c.rc : -EINTR,
	    "%s: gave up with %" PRIu64 " bytes in %" PRIu64
	    " blocks NOT WRITTEN; they are lost%s%s.  The volume stays "
	    "marked as mounted",
	    volume_url(s->volume), c.dirty_bytes, c.dirty_blocks,
	    c.rc < 0 ? ": " : s->rc < 0 ? ": " : "",
	    c.rc < 0	? err_text(&c.err) :
		s->rc < 0 ? err_text(&s->err) :
			  "");
	hold_drop(s->hold);
	fuse_front_abandon(s->front);
	control_close(s->control, e->rc, err_text(e));
	hold_ended(s->hold);
	return e->rc;
}

int
serve_run(struct serve *s, struct volume *v, const struct serve_params *p,
    bool *gave_up, struct err *e)
{
	*gave_up = false;
	s->p = *p;
	s->volume = v;
	int rc = start(s, e);

	if (rc < 0) {
		/* A successor that fails must not give away the lease. */
		if (p->hold != NULL && p->hold->resume)
			volume_leave(v, NULL);
		else
			volume_close(v, false, NULL);
		serve_end_hold(s);
		return rc;
	}
	loop_be_prompt();
	rc = loop_run(s->loop);
	if (rc < 0) {
		/* epoll itself failed: nothing can be done any more. */
		err_errno(&s->err, rc, "event loop");
		s->rc = rc;
		s->state = GIVING_UP;
	}
	if (s->state == GIVING_UP) {
		*gave_up = true;
		return give_up(s, e);
	}
	rc = s->state == LEAVING ? serve_leave(s, e) : finish(s, e);
	serve_end_hold(s);
	return rc;
}
