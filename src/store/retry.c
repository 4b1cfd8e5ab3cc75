/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry: tries, waits, and what an unanswered write means.
 *
 *	submit --> HELD --(the key's late writer is gone)--> TRYING
 *	       \----------------------------------------------^  |
 *	TRYING --> answer
 *	       --> WAITING --(back-off)--> TRYING
 *	       --(-EEXIST, but an earlier try may have made it)--> SETTLING
 *	SETTLING --> answer, or WAITING --> SETTLING or TRYING
 *
 * Full jitter (R2) spreads the clients of a server that comes back; that the
 * expected wait is half the maximum is part of the arithmetic, not a fault.
 *
 * Two kinds of doubt about a write must not be mixed up.  maybe: a try was
 * answered by an error, or not at all, and may have been done; only if_absent
 * has to know (R5).  late: there was no answer, so the try may still be on its
 * way (R4), and the key is noted (R6) in a table that outlives the request.
 *
 * Limit stands below, so that a request that waits here holds no slot, and
 * each try queues again behind those that have not failed yet.
 *
 * Nothing is allocated beyond the filter's request, but a buffer to read back
 * in for R5; all on the loop.
 */
#include "config.h"

#include "store/retry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/stat.h"
#include "store/filter.h"
#include "store/late.h"
#include "store/rnd.h"
#include "store/stat.h"

#define DAMAGED_TRIES 3 /* of an answer that is not understood */
#define COMPLAIN_NS (5 * NS_PER_S)

struct retry {
	struct filter f;
	struct retry_config conf;
	uint64_t rnd;

	struct late late;
	struct retry_state st;
	bool complained; /* about failing_ns, in the log */
	bool answered;	 /* R7: by somebody, ever */
};

enum retry_phase { RETRY_HELD, RETRY_TRYING, RETRY_WAITING, RETRY_SETTLING };

struct retry_req {
	struct filter_req q;
	struct loop_timer timer;
	enum retry_phase phase;
	unsigned tries;
	int64_t first_ns; /* when the first try began */
	bool settling;	  /* the next try is a GET (R5) */
	bool maybe, late; /* see above */
	bool cancelled;
	struct buf *check; /* to read back in */
};

static void retry_done(struct store_req *down);
static void req_settle(struct retry *t, struct retry_req *rr);

static struct retry *
retry_of(struct store *s)
{
	return container_of(s, struct retry, f.store);
}

static int64_t
retry_now(const struct retry *t)
{
	return loop_now(t->f.store.loop);
}

static void
count(struct retry *t, uint64_t *n, enum stat_id row)
{
	++*n;
	if (t->conf.stats != NULL)
		stat_inc(t->conf.stats, row);
}

static bool
op_writes(enum store_op op)
{
	return op == STORE_PUT || op == STORE_DELETE || op == STORE_BATCH;
}

/* No byte of the request can have reached the store. */
static bool
rc_never_sent(int rc)
{
	switch (rc) {
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENETDOWN:
	case -EADDRNOTAVAIL:
	case -EMFILE:
	case -ENFILE:
		return true;
	default:
		return false;
	}
}

/* There was no answer, and none will come. */
static bool
rc_unanswered(int rc)
{
	switch (rc) {
	case -ETIMEDOUT:
	case -ECANCELED:
	case -EPIPE:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -ENETRESET:
	case -ENOTCONN:
	case -EINTR:
		return true;
	default:
		return false;
	}
}

/* --- late writers (R6) ------------------------------------------------------ */

static void
late_note(struct retry *t, const struct store_req *r)
{
	int64_t now = retry_now(t), until = now + t->conf.late_ns;

	if (t->conf.late_ns < 0)
		return;
	if (r->op != STORE_BATCH)
		late_add(&t->late, r->key, now, until);
	else
		for (unsigned i = 0; i < r->nitems; i++)
			late_add(&t->late, r->items[i].key, now, until);
}

static int64_t
late_wait(const struct retry *t, const struct store_req *r)
{
	int64_t now = retry_now(t), until = 0, u;

	if (t->late.last_ns <= now || !op_writes(r->op))
		return 0;
	if (r->op != STORE_BATCH)
		return late_until(&t->late, r->key, now);
	for (unsigned i = 0; i < r->nitems; i++) {
		u = late_until(&t->late, r->items[i].key, now);
		if (u > until)
			until = u;
	}
	return until;
}

/* --- the end ---------------------------------------------------------------- */

static void
req_drop_check(struct retry_req *rr)
{
	buf_unref(rr->check);
	rr->check = NULL;
}

/* End with the answer of the last try; its rc may be turned into another. */
static void
req_answer(struct retry *t, struct retry_req *rr, int rc)
{
	struct store_req *up = rr->q.up;

	req_drop_check(rr);
	store_req_move_answer(up, &rr->q.down);
	if (rr->late && rc < 0 && rc != -EEXIST && rc != -ECANCELED) {
		rc = -ETIMEDOUT; /* R4 */
		up->err.rc = rc;
	}
	filter_req_put(&t->f, &rr->q);
	store_complete(up, rc);
}

static void
req_end_later(struct retry *t, struct retry_req *rr, int rc)
{
	req_drop_check(rr);
	filter_req_end_later(&t->f, &rr->q, rc);
}

static void
req_give_up(struct retry *t, struct retry_req *rr)
{
	struct store_req *down = &rr->q.down;
	double s = (double)(retry_now(t) - rr->first_ns) / NS_PER_S;
	char asked[48] = "";

	t->st.gave_up++;
	if (down->retry_after_ns > 0)
		snprintf(asked, sizeof(asked), " (asked to wait %lld s)",
		    (long long)(down->retry_after_ns / NS_PER_S));
	err_wrap(&down->err, down->rc, "gave up after %.*f s and %u %s%s",
	    s < 10 ? 1 : 0, s, rr->tries, rr->tries == 1 ? "try" : "tries",
	    asked);
	req_answer(t, rr, down->rc);
}

/* --- trying ----------------------------------------------------------------- */

/* R3, R7: how long a request is tried. */
static int64_t
retry_limit_ns(const struct retry *t)
{
	if (t->answered || t->conf.start_ns == 0 ||
	    t->conf.start_ns > t->conf.deadline_ns)
		return t->conf.deadline_ns;
	return t->conf.start_ns;
}

static void
req_try(struct retry *t, struct retry_req *rr)
{
	struct store_req *down = &rr->q.down;

	if (rr->tries++ > 0)
		count(t, &t->st.retries, STAT_STORE_RETRIES);
	store_req_copy_question(down, rr->q.up);
	rr->phase = RETRY_TRYING;
	if (rr->settling) {
		rr->phase = RETRY_SETTLING;
		down->op = STORE_GET;
		down->body = rr->check;
		down->if_absent = false;
		down->meta = NULL;
	}
	if (!t->answered && t->conf.start_ns != 0) { /* R7 */
		int64_t end = (rr->tries > 1 ? rr->first_ns : retry_now(t)) +
		    retry_limit_ns(t);

		if (down->deadline_ns == 0 || down->deadline_ns > end)
			down->deadline_ns = end;
	}
	store_submit(t->f.store.below, down);
}

static void
retry_fire(struct loop_timer *timer)
{
	struct retry_req *rr = container_of(timer, struct retry_req, timer);
	struct retry *t = retry_of(rr->q.up->store);
	int64_t until = 0;

	if (rr->phase == RETRY_HELD)
		until = late_wait(t, rr->q.up);
	if (until != 0 && loop_timer_set(t->f.store.loop, timer, until) == 0)
		return;
	t->st.waiting--;
	if (until != 0)
		req_end_later(t, rr, -ENOMEM);
	else if (rr->settling)
		req_settle(t, rr);
	else
		req_try(t, rr);
}

/* Wait in this phase; false: no memory for another timer. */
static bool
req_wait(struct retry *t, struct retry_req *rr, enum retry_phase phase,
    int64_t until)
{
	rr->phase = phase;
	rr->timer.fire = retry_fire;
	if (loop_timer_set(t->f.store.loop, &rr->timer, until) < 0)
		return false;
	t->st.waiting++;
	return true;
}

/* R2 */
static int64_t
backoff_ns(struct retry *t, const struct retry_req *rr)
{
	int64_t max = t->conf.first_ns, jitter;

	for (unsigned i = 1; i < rr->tries && max < t->conf.max_ns; i++)
		max *= 2;
	if (max > t->conf.max_ns)
		max = t->conf.max_ns;
	jitter = (int64_t)rnd_below(&t->rnd, (uint64_t)max + 1);
	if (rr->q.down.retry_after_ns > 0)
		return rr->q.down.retry_after_ns + jitter;
	return jitter;
}

/* The try has failed in a way that may pass. */
static void
req_again(struct retry *t, struct retry_req *rr)
{
	struct store_req *down = &rr->q.down;
	int64_t now = retry_now(t), at = now + backoff_ns(t, rr);
	int64_t end = rr->first_ns + retry_limit_ns(t);

	if (rr->q.up->deadline_ns != 0 && rr->q.up->deadline_ns < end)
		end = rr->q.up->deadline_ns;
	if (at > end || (down->rc == -EBADMSG && rr->tries >= DAMAGED_TRIES) ||
	    !req_wait(t, rr, RETRY_WAITING, at))
		req_give_up(t, rr);
	else
		log_debug("%s: try %u: %s: again in %lld ms",
		    t->f.store.url, rr->tries, err_text(&down->err),
		    (long long)((at - now) / NS_PER_MS));
}

/* --- what a try has brought --------------------------------------------------- */

/* Note whether the store answers at all, and say in the log if not. */
static void
health_note(struct retry *t, const struct store_req *down)
{
	int64_t now = retry_now(t);

	if ((!store_rc_transient(down->rc) && down->rc != -ECANCELED) ||
	    down->rc == -EAGAIN)
		t->answered = true;
	if (!store_rc_transient(down->rc)) {
		if (t->complained)
			log_info("%s: answers again after %lld s",
			    t->f.store.url,
			    (long long)((now - t->st.failing_ns) / NS_PER_S));
		t->complained = false;
		t->st.failing_ns = 0;
		return;
	}
	if (t->st.failing_ns == 0)
		t->st.failing_ns = now;
	if (t->complained || now - t->st.failing_ns < COMPLAIN_NS)
		return;
	t->complained = true;
	log_warn("%s: nothing has succeeded for %lld s; still trying: %s",
	    t->f.store.url, (long long)((now - t->st.failing_ns) / NS_PER_S),
	    err_text(&down->err));
}

/* R5: -EEXIST, but it may be ours. */
static void
req_settle(struct retry *t, struct retry_req *rr)
{
	size_t len = rr->q.up->body->len;

	rr->settling = true;
	if (rr->check == NULL)
		rr->check = buf_new(len > 0 ? len : 1);
	if (rr->check != NULL) {
		req_try(t, rr);
		return;
	}
	err_set(&rr->q.down.err, -ENOMEM,
	    "%s: PUT %s: no memory to see whose object it is",
	    t->f.store.url, rr->q.up->key);
	rr->q.down.rc = -ENOMEM;
	req_again(t, rr);
}

static void
req_settled(struct retry *t, struct retry_req *rr)
{
	struct store_req *down = &rr->q.down;
	const struct buf *body = rr->q.up->body;

	if (down->rc == -EMSGSIZE) {
		req_answer(t, rr, -EEXIST);
	} else if (down->rc == -ENOENT) {
		rr->settling = false;
		down->rc = err_set(&down->err, -EAGAIN,
		    "%s: PUT %s: an object was there, but no more",
		    t->f.store.url, rr->q.up->key);
		req_again(t, rr);
	} else if (down->rc < 0) {
		req_answer(t, rr, down->rc);
	} else if (rr->check->len != body->len ||
	    memcmp(rr->check->data, body->data, body->len) != 0) {
		req_answer(t, rr, -EEXIST);
	} else {
		t->st.settled++;
		req_answer(t, rr, 0);
	}
}

static void
retry_done(struct store_req *down)
{
	struct retry_req *rr = container_of(down, struct retry_req, q.down);
	struct retry *t = retry_of(rr->q.up->store);
	bool writes = op_writes(down->op);

	if (rr->tries == 1)
		rr->first_ns = down->start_ns;
	health_note(t, down);
	if (t->conf.stats != NULL)
		stat_store_error(t->conf.stats, down->rc);
	if (writes && down->rc < 0 && down->rc != -EEXIST &&
	    !rc_never_sent(down->rc))
		rr->maybe = true;
	if (writes && rc_unanswered(down->rc)) {
		rr->late = true;
		late_note(t, rr->q.up);
	}
	if (rr->cancelled && store_rc_transient(down->rc))
		req_answer(t, rr, -ECANCELED);
	else if (store_rc_transient(down->rc))
		req_again(t, rr);
	else if (rr->phase == RETRY_SETTLING)
		req_settled(t, rr);
	else if (down->rc == -EEXIST && rr->tries > 1 && rr->maybe)
		req_settle(t, rr);
	else
		req_answer(t, rr, down->rc);
}

/* --- the store ---------------------------------------------------------------- */

static void
retry_submit(struct store *s, struct store_req *r)
{
	struct retry *t = retry_of(s);
	struct filter_req *q = filter_req_get(&t->f, r, retry_done);
	struct retry_req *rr;
	int64_t until;

	if (q == NULL)
		return;
	rr = container_of(q, struct retry_req, q);
	rr->timer.loop = NULL;
	rr->tries = 0;
	rr->settling = rr->maybe = rr->late = rr->cancelled = false;
	rr->check = NULL;
	until = late_wait(t, r);
	if (until == 0) {
		req_try(t, rr);
		return;
	}
	count(t, &t->st.held, STAT_STORE_HELD);
	if (!req_wait(t, rr, RETRY_HELD, until))
		req_end_later(t, rr, -ENOMEM);
}

static void
retry_cancel(struct store *s, struct store_req *r)
{
	struct retry *t = retry_of(s);
	struct retry_req *rr = container_of(r->priv, struct retry_req, q);

	if (rr->phase == RETRY_TRYING || rr->phase == RETRY_SETTLING) {
		rr->cancelled = true;
		store_cancel(&rr->q.down);
		return;
	}
	loop_timer_cancel(&rr->timer);
	t->st.waiting--;
	req_end_later(t, rr, -ECANCELED);
}

static void
retry_free(struct store *s)
{
	struct retry *t = retry_of(s);

	filter_fini(&t->f);
	free(t);
}

static const struct store_ops retry_ops = {
	.name = "retry",
	.submit = retry_submit,
	.cancel = retry_cancel,
	.free = retry_free,
};

int
retry_store_new(struct store *below, const struct retry_config *c,
    struct store **out, struct err *e)
{
	struct retry *t = calloc(1, sizeof(*t));

	if (t == NULL || filter_init(&t->f, &retry_ops, below,
	    sizeof(struct retry_req)) < 0) {
		free(t);
		store_free(below);
		return err_errno(e, -ENOMEM, "retry requests");
	}
	t->conf = *c;
	if (t->conf.deadline_ns == 0)
		t->conf.deadline_ns = 30 * NS_PER_S;
	if (t->conf.first_ns == 0)
		t->conf.first_ns = 100 * NS_PER_MS;
	if (t->conf.max_ns == 0)
		t->conf.max_ns = 5 * NS_PER_S;
	if (t->conf.late_ns == 0)
		t->conf.late_ns = 30 * NS_PER_S;
	t->rnd = c->seed != 0 ? c->seed : (uint64_t)clock_wall_ns();
	*out = &t->f.store;
	return 0;
}

void
retry_store_state(const struct store *s, struct retry_state *st)
{
	must(s->ops == &retry_ops);
	*st = container_of((struct store *)s, struct retry, f.store)->st;
}
