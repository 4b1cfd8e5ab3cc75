/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount that another process goes on with, or that this one goes on with;
 * docs/restart.md.
 *
 * Handing over.  Most of what is dirty is written while we still serve, so that
 * the pause is short; if it becomes too long, or the store refuses, we go on as
 * if nothing had been.
 *
 * Taking over.  What the predecessor had acknowledged and not flushed is written
 * again before the kernel's device is touched.  The device is read when the
 * holder says so.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "front/control.h"
#include "front/serve_int.h"
#include "front/storedoor.h"

#define PATIENCE_NS (10 * NS_PER_S) /* of those who use the mount, while it is
				     * handed over */

/* --- SAVING, DRAINING, SEALING: handing over -------------------------------- */

static void
patience_over(struct loop_timer *t)
{
	serve_event(container_of(t, struct serve, patience), END_TOO_LONG);
}

void
serve_enter_draining(struct serve *s)
{
	s->patience.fire = patience_over;
	if (loop_timer_set(s->loop, &s->patience,
		loop_now(s->loop) + PATIENCE_NS) < 0) {
		serve_event(s, END_TOO_LONG);
		return;
	}
	fuse_front_pause(s->front, serve_front_idle, s);
}

/* No successor after all: read requests again, if we had stopped. */
void
serve_go_on(struct serve *s, enum ending_state was)
{
	struct err e = ERR_INIT;
	char why[ERR_TEXT_MAX + 64];

	loop_timer_cancel(&s->patience);
	if (s->rc < 0)
		snprintf(why, sizeof(why), "the store does not take "
		    "everything: %s", err_text(&s->err));
	else if (s->state != SERVING)
		snprintf(why, sizeof(why), "the mount is being ended");
	else
		snprintf(why, sizeof(why), "requests under way have not "
		    "ended in %d s", (int)(PATIENCE_NS / NS_PER_S));
	hold_refuse(s->hold, why);
	s->rc = 0;
	err_clear(&s->err);
	if (was == SAVING)
		return;
	if (fuse_front_go(s->front, false, &e) < 0) {
		/* Nobody can be served any more: end, and lose nothing. */
		log_error("%s", err_text(&e));
		serve_front_ended(s, e.rc);
	}
}

/* The store dies with this process. */
static bool
is_in_memory(const struct serve *s)
{
	return strncmp(volume_url(s->volume), "mem:", 4) == 0;
}

/* From the holder. */
static void
asked_to_hand_over(void *arg)
{
	struct serve *s = arg;

	if (is_in_memory(s))
		hold_refuse(s->hold, "the store is this process's memory");
	else if (s->state != SERVING)
		hold_refuse(s->hold, "the mount is being ended");
	else
		serve_event(s, END_HAND_OVER);
}

/* Go on with a predecessor's session. */
static void
told_to_go(void *arg)
{
	struct serve *s = arg;
	struct err e = ERR_INIT;

	if (!s->p.hold->resume || s->gone_on)
		return;
	s->gone_on = true;
	int rc = fuse_front_go(
	    s->front, kept_can_resend(s->p.hold->kept), &e);

	if (rc < 0) {
		log_error("%s", err_text(&e));
		serve_front_ended(s, rc);
	} else if (s->p.ready != NULL) {
		s->p.ready(s->p.arg);
	}
}

static void
holder_lost(void *arg)
{
	struct serve *s = arg;

	log_warn("%s: its holder is gone: it is served on, but it can no "
		 "longer be upgraded", volume_url(s->volume));
	s->status.holder_pid = 0;
	s->status.holder[0] = '\0';
}

static void
keep_session(void *arg, const struct kept_session *k)
{
	struct serve *s = arg;

	kept_put_session(s->p.hold->kept, k);
}

int
serve_begin_hold(struct serve *s, struct err *e)
{
	const struct hold_events ev = { .go = told_to_go,
		.hand_over = asked_to_hand_over,
		.alone = holder_lost,
		.arg = s };

	return s->p.hold == NULL ?
	    0 :
	    hold_open(s->loop, s->p.hold->sock, &ev, &s->hold, e);
}

/* --- taking over ----------------------------------------------------------- */

static int
write_again(void *arg, const struct ledger_rec *r, struct err *e)
{
	struct volume *v = arg;

	if (r->off > volume_size(v) || r->len > volume_size(v) - r->off)
		return err_set(e, -EBADMSG,
		    "the ledger has %" PRIu64 " bytes at %" PRIu64
		    ", which is not within the volume", r->len, r->off);
	return r->kind == LEDGER_DATA ?
	    volume_write_wait(v, r->off, r->data, r->len, e) :
	    volume_zero_wait(v, r->off, r->len, e);
}

/* What a predecessor had acknowledged and not flushed is written again. */
int
serve_begin_ledger(struct serve *s, struct err *e)
{
	const struct hold_start *h = s->p.hold;

	if (h == NULL)
		return 0;
	uint64_t next, written;
	int rc = ledger_open(h->kept, &s->ledger, e);

	if (rc == 0 && h->resume && s->ledger != NULL) {
		uint64_t bytes = ledger_used(s->ledger);

		if (bytes > 0)
			log_info("%s: %" PRIu64 " bytes that were not "
				 "flushed are written again",
			    volume_url(s->volume), bytes);
		rc = ledger_replay(s->ledger, write_again, s->volume, e);
	} else if (rc == 0 && !is_in_memory(s) &&
	    (s->ledger != NULL || s->p.fuse.read_only)) {
		ledger_start(h->kept, s->ledger);
	}
	if (rc == 0)
		kept_set_journal(h->kept,
		    volume_logged(s->volume, &next, &written));
	return rc;
}

int
serve_open_front(struct serve *s, struct fuse_front_params *fp, struct err *e)
{
	const struct hold_start *h = s->p.hold;
	struct kept_session was;

	fp->ledger = s->ledger;
	if (h != NULL)
		fp->keep = keep_session;
	if (h == NULL || !h->resume)
		return fuse_front_open(s->volume, fp, &s->front, e);
	int rc = kept_get_session(h->kept, &was, e);

	if (rc < 0)
		return rc;
	fp->resume = &was;
	fp->device = h->device;
	rc = fuse_front_open(s->volume, fp, &s->front, e);
	if (rc == 0)
		hold_ready(s->hold);
	return rc;
}

/* Paused, at rest and flushed: for a successor. */
int
serve_leave(struct serve *s, struct err *e)
{
	loop_timer_cancel(&s->patience);
	fuse_front_leave(s->front);
	if (s->ledger != NULL)
		ledger_start(s->p.hold->kept, s->ledger); /* all is flushed */
	kept_set_journal(s->p.hold->kept, false); /* to the store */
	storedoor_close(s->door);
	int rc = volume_leave(s->volume, e);

	if (rc < 0)
		log_warn("%s", err_text(e));
	control_close(s->control, -EAGAIN, "another process goes on with it");
	hold_drained(s->hold);
	return 0;
}

void
serve_end_hold(struct serve *s)
{
	hold_close(s->hold);
	s->hold = NULL;
	ledger_free(s->ledger);
	s->ledger = NULL;
}
