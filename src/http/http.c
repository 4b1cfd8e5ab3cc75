/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c: the life of a request, and the engine's limits.
 *
 *   submit -> waiting -> active (a transfer in libcurl) -> done
 *                ^          |
 *                +--redo----+   its kept connection died unanswered (H5)
 *
 * A request waits, in order, while max_connections are active or while a rate
 * limit has no credit.  Rates are kept by letting whole requests start: each
 * takes its size from a credit (rate.c).
 *
 * One timer, tick, looks at everything that time can do to requests: their
 * deadlines, their silence (H6), new credit, and the idle engine (H7).  It is
 * set for the earliest of them, at most a second ahead while requests are
 * active.
 *
 * Requests end from finished() (libcurl says so), from tick, from cancel, or
 * all at once when libcurl's handle broke; the first takes the request from
 * its transfer, so there is no second.
 */
#include "config.h"

#include "http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/stat.h"
#include "http/internal.h"

#define TICK_NS NS_PER_S
#define REDO_MAX 2

static void pump(struct http *h);

const char *
http_method_name(enum http_method m)
{
	static const char *const names[] = {"GET", "HEAD", "PUT", "POST",
	    "DELETE"};

	must((unsigned)m < sizeof(names) / sizeof(names[0]));
	return names[m];
}

void
http_req_init(struct http_req *r, enum http_method m, const char *url)
{
	memset(r, 0, sizeof(*r));
	r->method = m;
	r->url = url;
	http_answer_init(&r->answer);
	list_init(&r->link);
}

static void
clear_answer(struct http_req *r)
{
	http_answer_clear(&r->answer);
	strbuf_clear(&r->text);
	r->rc = 0;
	err_clear(&r->err);
	r->recv_len = 0;
	r->sent = false;
	r->redone = 0;
}

void
http_req_clear(struct http_req *r)
{
	clear_answer(r);
	r->headers = NULL;
	r->nheaders = 0;
	r->send = NULL;
	r->send_len = 0;
	r->recv = NULL;
	r->recv_cap = 0;
	r->once = false;
	r->deadline_ns = 0;
}

void
http_req_fini(struct http_req *r)
{
	http_answer_fini(&r->answer);
	strbuf_fini(&r->text);
}

/* --- the end of a request ------------------------------------------------- */

static void
call_done(struct loop_task *t)
{
	struct http_req *r = container_of(t, struct http_req, task);

	r->done(r);
}

static void
complete(struct http_req *r, int rc)
{
	r->rc = rc;
	r->done(r);
}

static void
complete_later(struct http_req *r, int rc)
{
	r->rc = rc;
	r->task.run = call_done;
	loop_defer(r->http->loop, &r->task);
}

/* --- what time does ------------------------------------------------------- */

static int64_t
deadline_of(const struct http_req *r)
{
	return r->deadline_ns ? r->deadline_ns
			      : r->submit_ns + r->http->conf.request_timeout_ns;
}

static void
tick_by(struct http *h, int64_t due)
{
	if (loop_timer_armed(&h->tick) && h->tick.due_ns <= due)
		return;
	/* Without memory for a timer requests end later than they should, by
	 * the next event that comes; nothing is lost. */
	if (loop_timer_set(h->loop, &h->tick, due) != 0)
		log_warn("http: no memory for a timer");
}

/* Bytes that have moved either way since the transfer began. */
static uint64_t
moved(const struct http_xfer *x)
{
	curl_off_t up = 0;

	curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	return x->req->moved + (uint64_t)up;
}

static bool
reached_wire(const struct http_xfer *x)
{
	long n = 0;

	curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &n);
	return n > 0;
}

static void
expire_active(struct http_xfer *x, const char *what, int64_t ns)
{
	struct http_req *r = x->req;
	char host[128];

	r->sent = reached_wire(x);
	http_url_host(r->url, host, sizeof(host));
	r->rc = err_set(&r->err, r->sent ? -ETIMEDOUT : -EHOSTUNREACH,
	    "%s: %s %.1f s", host, r->sent ? what : "no connection within",
	    (double)ns / NS_PER_S);
	http_credit_give_back(x->http, r);
	http_xfer_end(x, true);
	complete(r, r->rc);
}

/* Look at one transfer; returns when to look again, or 0: it has ended. */
static int64_t
check_active(struct http_xfer *x, int64_t now)
{
	struct http_req *r = x->req;
	int64_t stall = x->http->conf.stall_timeout_ns;
	uint64_t n = moved(x);
	int64_t due;

	if (now >= deadline_of(r)) {
		expire_active(x, "no whole answer within", now - r->submit_ns);
		return 0;
	}
	if (n != r->seen) {
		r->seen = n;
		r->moved_ns = now;
	}
	if (now >= r->moved_ns + stall) {
		expire_active(x, "silence for", now - r->moved_ns);
		return 0;
	}
	due = r->moved_ns + stall;
	return due < deadline_of(r) ? due : deadline_of(r);
}

static void
idle_from_now(struct http *h)
{
	if (h->nactive || h->nwaiting)
		return;
	h->idle_since_ns = loop_now(h->loop);
	tick_by(h, h->idle_since_ns + h->conf.idle_ns);
}

static void
check_waiting(struct http *h, int64_t now, int64_t *next)
{
	list_for_each_safe (l, &h->waiting) {
		struct http_req *r = list_entry(l, struct http_req, link);

		if (now < deadline_of(r)) {
			if (deadline_of(r) < *next)
				*next = deadline_of(r);
			continue;
		}
		list_del(&r->link);
		h->nwaiting--;
		err_set(&r->err, -EHOSTUNREACH,
		    "not begun within %.1f s, %u requests are before it",
		    (double)(now - r->submit_ns) / NS_PER_S, h->nactive);
		complete_later(r, -EHOSTUNREACH);
	}
}

static void
ticked(struct loop_timer *t)
{
	struct http *h = container_of(t, struct http, tick);
	int64_t now = loop_now(h->loop), next = now + TICK_NS, due;

	if (!h->nactive && !h->nwaiting) {
		due = h->idle_since_ns + h->conf.idle_ns;
		if (now >= due)
			http_multi_close(h);
		else
			tick_by(h, due);
		return;
	}
	http_enter(h);
	/* expire_active calls done(), which may cancel the next one too: begin
	 * anew after each that ended. */
	for (struct list *l = h->active.next; l != &h->active;) {
		struct http_xfer *x = list_entry(l, struct http_xfer, link);

		due = check_active(x, now);
		if (due == 0) {
			l = h->active.next;
			continue;
		}
		next = due < next ? due : next;
		l = l->next;
	}
	check_waiting(h, now, &next);
	tick_by(h, next > now ? next : now + NS_PER_MS);
	pump(h);
	idle_from_now(h);
	http_leave(h);
}

/* --- starting ------------------------------------------------------------- */

static void
count_start(struct http *h)
{
	h->stats.requests++;
	if (h->shown)
		stat_inc(h->shown, STAT_HTTP_REQUESTS);
}

static void
start(struct http *h, struct http_req *r, bool fresh)
{
	int64_t first_look;
	int rc = 0;

	if (!h->multi)
		rc = http_multi_open(h, &r->err);
	if (rc == 0)
		rc = http_xfer_start(h, r, fresh, &r->err);
	if (rc < 0) {
		complete_later(r, rc);
		return;
	}
	http_credit_charge(h, r);
	count_start(h);
	r->moved = r->seen = 0;
	r->moved_ns = loop_now(h->loop);
	first_look = r->moved_ns + TICK_NS;
	if (h->conf.stall_timeout_ns < TICK_NS)
		first_look = r->moved_ns + h->conf.stall_timeout_ns;
	if (deadline_of(r) < first_look)
		first_look = deadline_of(r);
	tick_by(h, first_look);
}

/* Start what may start. */
static void
pump(struct http *h)
{
	while (h->nwaiting && h->nactive < h->conf.max_connections &&
	    !h->dead) {
		struct http_req *r =
		    list_entry(h->waiting.next, struct http_req, link);
		int64_t wait = http_credit_wait(h, r);

		if (wait) {
			tick_by(h, loop_now(h->loop) + wait);
			return;
		}
		list_del(&r->link);
		h->nwaiting--;
		start(h, r, r->redone > 0);
	}
}

void
http_submit(struct http *h, struct http_req *r)
{
	must(loop_is_mine(h->loop));
	must(r->done);
	must(r->nheaders <= HTTP_HEADERS_MAX);
	must(r->send_len == 0 || r->send);
	clear_answer(r);
	r->http = h;
	r->xfer = NULL;
	r->submit_ns = loop_now(h->loop);
	list_push_back(&h->waiting, &r->link);
	h->nwaiting++;
	pump(h);
	if (list_linked(&r->link))
		tick_by(h, deadline_of(r));
}

/* Take it from the queue or from libcurl; false: it is in neither. */
static bool
take_back(struct http_req *r)
{
	struct http *h = r->http;

	must(!h->in_curl);
	if (list_linked(&r->link)) {
		list_del(&r->link);
		h->nwaiting--;
		return true;
	}
	if (!r->xfer)
		return false;
	r->sent = reached_wire(r->xfer);
	http_credit_give_back(h, r);
	http_xfer_end(r->xfer, true);
	pump(h);
	idle_from_now(h);
	return true;
}

void
http_cancel(struct http_req *r)
{
	if (!take_back(r))
		return; /* it has ended; done is on its way */
	err_set(&r->err, -ECANCELED, "cancelled");
	complete_later(r, -ECANCELED);
}

bool
http_drop(struct http_req *r)
{
	return take_back(r);
}

/* --- ending --------------------------------------------------------------- */

static void
count(struct http *h, const struct http_xfer *x)
{
	const struct http_req *r = x->req;
	curl_off_t first_us = 0;
	long new_connections = 0;

	curl_easy_getinfo(
	    x->easy, CURLINFO_NUM_CONNECTS, &new_connections);
	h->stats.connections += (uint64_t)new_connections;
	h->stats.bytes_sent += r->send_len;
	h->stats.bytes_received += r->recv_len + r->text.len;
	if (!h->shown)
		return;
	stat_add(h->shown, STAT_HTTP_CONNECTS, (uint64_t)new_connections);
	curl_easy_getinfo(
	    x->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
	if (r->answer.status)
		stat_time(h->shown, HIST_HTTP_FIRST_BYTE,
		    first_us * NS_PER_US);
}

/* H5: nothing has been answered, on a connection that was not new. */
static bool
worth_redoing(const struct http_xfer *x, CURLcode code)
{
	const struct http_req *r = x->req;
	long new_connections = 0;

	if (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR &&
	    code != CURLE_GOT_NOTHING && code != CURLE_SEND_FAIL_REWIND &&
	    code != CURLE_OK)
		return false;
	curl_easy_getinfo(
	    x->easy, CURLINFO_NUM_CONNECTS, &new_connections);
	return !r->once && r->redone < REDO_MAX && r->answer.status == 0 &&
	    new_connections == 0 && !x->fresh;
}

static void
redo(struct http *h, struct http_req *r)
{
	r->redone++;
	h->stats.redone++;
	if (h->shown)
		stat_inc(h->shown, STAT_HTTP_REDONE);
	http_answer_clear(&r->answer);
	strbuf_clear(&r->text);
	r->recv_len = 0;
	err_clear(&r->err);
	list_insert_after(&h->waiting, &r->link);
	h->nwaiting++;
	pump(h);
}

void
http_finished(struct http_xfer *x, CURLcode code)
{
	struct http_req *r = x->req;
	struct http *h = x->http;
	bool good = code == CURLE_OK && r->answer.status >= 200;
	int rc = 0;

	must(!h->in_curl);
	http_credit_give_back(h, r);
	if (!good && x->rc == 0 && worth_redoing(x, code)) {
		http_xfer_end(x, true);
		redo(h, r);
		return;
	}
	r->sent = reached_wire(x);
	count(h, x);
	if (x->rc) /* a callback of ours has filled in the sentence */
		rc = x->rc;
	else if (code != CURLE_OK)
		rc = http_curl_error(x, code, &r->err);
	else if (!good)
		rc = err_set(&r->err, -EPIPE,
		    "the connection ended without an answer");
	http_xfer_end(x, rc != 0);
	complete(r, rc);
	pump(h);
	idle_from_now(h);
}

void
http_fail_all(struct http *h)
{
	while (!list_empty(&h->active)) {
		struct http_xfer *x =
		    list_entry(h->active.next, struct http_xfer, link);
		struct http_req *r = x->req;

		r->sent = reached_wire(x);
		http_credit_give_back(h, r);
		http_xfer_end(x, true);
		err_errno(&r->err, -ENOMEM, "a request in flight");
		complete_later(r, -ENOMEM);
	}
	http_multi_close(h);
	pump(h);
	idle_from_now(h);
}

void
http_use_stats(struct http *h, struct stat_set *st)
{
	must(h->nactive == 0);
	h->shown = st;
}

void
http_stats(const struct http *h, struct http_stats *s)
{
	*s = h->stats;
	s->active = h->nactive;
	s->waiting = h->nwaiting;
}

/* --- the engine ----------------------------------------------------------- */

static bool
copy_text(const char **to, const char *from)
{
	if (!from)
		return true;
	*to = strdup(from);
	return *to != NULL;
}

static void
set_defaults(struct http_conf *k)
{
	if (!k->max_connections)
		k->max_connections = 256;
	if (!k->connect_timeout_ns)
		k->connect_timeout_ns = 5 * NS_PER_S;
	if (!k->stall_timeout_ns)
		k->stall_timeout_ns = 10 * NS_PER_S;
	if (!k->request_timeout_ns)
		k->request_timeout_ns = 60 * NS_PER_S;
	if (!k->idle_ns)
		k->idle_ns = 20 * NS_PER_S;
}

static int
share_open(struct http *h, struct err *e)
{
	h->share = curl_share_init();
	if (h->share &&
	    curl_share_setopt(h->share, CURLSHOPT_SHARE,
		CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK &&
	    curl_share_setopt(
		h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK)
		return 0;
	return err_errno(e, -ENOMEM, "start libcurl");
}

int
http_new(struct loop *l, const struct http_conf *conf, struct http **out,
    struct err *e)
{
	struct http *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return err_errno(e, -ENOMEM, "the HTTP engine");
	h->loop = l;
	h->conf = *conf;
	h->conf.user_agent = h->conf.ca_file = NULL;
	set_defaults(&h->conf);
	list_init(&h->free_socks);
	list_init(&h->pool);
	list_init(&h->active);
	list_init(&h->waiting);
	h->credit_ns = loop_now(l);
	h->tick.fire = ticked;
	http_multi_init_timer(h);
	rc = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
	    ? share_open(h, e)
	    : err_set(e, -ENOMEM, "libcurl does not start");
	if (rc == 0 &&
	    (!copy_text(&h->conf.user_agent,
		 conf->user_agent ? conf->user_agent
				  : "pail/" PACKAGE_VERSION) ||
		!copy_text(&h->conf.ca_file, conf->ca_file)))
		rc = err_errno(e, -ENOMEM, "the HTTP engine");
	if (rc < 0) {
		http_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

static void
really_free(struct http *h)
{
	struct list *l;

	http_multi_close(h);
	loop_timer_cancel(&h->tick);
	while (!list_empty(&h->pool))
		http_xfer_free(
		    list_entry(h->pool.next, struct http_xfer, link));
	while ((l = list_pop_front(&h->free_socks)))
		free(list_entry(l, struct http_sock, link));
	if (h->share)
		curl_share_cleanup(h->share);
	free((char *)(uintptr_t)h->conf.user_agent);
	free((char *)(uintptr_t)h->conf.ca_file);
	free(h);
}

/* A done() may free the engine, while engine and libcurl's loop of messages
 * are below it on the stack: the last to leave does it. */
void
http_enter(struct http *h)
{
	h->busy++;
}

void
http_leave(struct http *h)
{
	must(h->busy > 0);
	h->busy--;
	if (h->freed && h->busy == 0)
		really_free(h);
}

void
http_free(struct http *h)
{
	if (!h)
		return;
	must(h->nactive == 0 && h->nwaiting == 0);
	http_enter(h);
	h->freed = true;
	http_leave(h);
}
