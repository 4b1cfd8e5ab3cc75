/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multi.c: libcurl's multi handle on our loop.
 *
 * libcurl tells by two callbacks which descriptors it wants watched and when
 * it wants to be called; loop_fd and loop_timer do that, and each event goes
 * back by curl_multi_socket_action.  Then the finished transfers are taken
 * from it, one by one, and only then, with libcurl off the stack, are their
 * requests completed: done() may submit and cancel others.
 *
 * The multi handle owns the kept connections.  There is no call that closes
 * them, so an idle engine throws the whole handle away (H7) and makes a new
 * one for the next request; names and TLS sessions live on in the share.
 *
 * Failure: a callback that cannot get memory makes libcurl refuse all further
 * service; then dead is set, every request fails with -ENOMEM, and the handle
 * is replaced.
 */
#include <stdlib.h>
#include <errno.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/must.h"
#include "http/internal.h"

static void
drain(struct http *h)
{
	CURLMsg *m;
	int left;

	while (h->multi && (m = curl_multi_info_read(h->multi, &left))) {
		struct http_xfer *x;
		CURLcode code = m->data.result;
		char *private;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		x = (struct http_xfer *)private;
		http_finished(x, code); /* m is gone after this */
	}
}

static void
action(struct http *h, curl_socket_t fd, int mask)
{
	int running;
	CURLMcode rc;

	must(!h->in_curl);
	http_enter(h);
	h->in_curl = true;
	rc = curl_multi_socket_action(h->multi, fd, mask, &running);
	h->in_curl = false;
	if (rc != CURLM_OK && rc != CURLM_BAD_SOCKET)
		h->dead = true;
	drain(h);
	if (h->dead)
		http_fail_all(h);
	http_leave(h);
}

static void
sock_ready(struct loop_fd *w, uint32_t events)
{
	struct http_sock *k = container_of(w, struct http_sock, watch);
	int mask = 0;

	if (events & EPOLLIN)
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		mask |= CURL_CSELECT_ERR;
	action(k->http, w->fd, mask);
}

static void
sock_forget(struct http *h, struct http_sock *k)
{
	loop_fd_del(&k->watch);
	list_push_back(&h->free_socks, &k->link);
}

static struct http_sock *
sock_take(struct http *h)
{
	struct list *l = list_pop_front(&h->free_socks);
	struct http_sock *k;

	if (l)
		return list_entry(l, struct http_sock, link);
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->http = h;
	k->watch.ready = sock_ready;
	list_init(&k->link);
	return k;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct http_sock *k = of_socket;
	struct http *h = arg;
	uint32_t events;

	if (what == CURL_POLL_REMOVE) {
		if (k)
			sock_forget(h, k);
		return 0;
	}
	events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
	    (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (k && loop_fd_set(&k->watch, events) == 0)
		return 0;
	if (!k) {
		k = sock_take(h);
		if (k && loop_fd_add(h->loop, &k->watch, fd, events) == 0) {
			if (curl_multi_assign(h->multi, fd, k) == CURLM_OK)
				return 0;
			loop_fd_del(&k->watch);
		}
		if (k)
			list_push_back(&h->free_socks, &k->link);
	}
	h->dead = true;
	return -1;
}

static void
curl_timer_fired(struct loop_timer *t)
{
	struct http *h = container_of(t, struct http, curl_timer);

	if (h->multi)
		action(h, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	if (ms < 0) {
		loop_timer_cancel(&h->curl_timer);
		return 0;
	}
	if (loop_timer_set(h->loop, &h->curl_timer,
		loop_now(h->loop) + ms * NS_PER_MS) == 0)
		return 0;
	h->dead = true;
	return -1;
}

void
http_multi_init_timer(struct http *h)
{
	h->curl_timer.fire = curl_timer_fired;
}

int
http_multi_open(struct http *h, struct err *e)
{
	long n = (long)h->conf.max_connections;
	CURLM *m;

	must(!h->multi);
	m = curl_multi_init();
	if (!m)
		return err_errno(e, -ENOMEM, "start libcurl");
	if (curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) ||
	    curl_multi_setopt(m, CURLMOPT_SOCKETDATA, h) ||
	    curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer) ||
	    curl_multi_setopt(m, CURLMOPT_TIMERDATA, h) ||
	    curl_multi_setopt(m, CURLMOPT_PIPELINING,
		(long)(h->conf.http2 ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING)) ||
	    curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, n)) {
		curl_multi_cleanup(m);
		return err_errno(e, -ENOMEM, "set up libcurl");
	}
	h->multi = m;
	h->dead = false;
	return 0;
}

void
http_multi_close(struct http *h)
{
	must(h->nactive == 0);
	must(!h->in_curl);
	if (!h->multi)
		return;
	h->in_curl = true;
	curl_multi_cleanup(h->multi);
	h->in_curl = false;
	h->multi = NULL;
	h->dead = false;
	loop_timer_cancel(&h->curl_timer);
}
