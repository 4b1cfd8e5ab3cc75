/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xfer.c: one libcurl easy handle, its options and its callbacks.
 *
 * Handles are pooled: what never changes is set once, what belongs to a
 * request is set when it starts.  A handle whose transfer broke is not used
 * again: libcurl keeps a count of retries and a wish to rewind in it.
 *
 * Bodies are sent by POSTFIELDS with the method's name as CUSTOMREQUEST:
 * libcurl then reads straight from the caller's memory, can begin again by
 * itself, and sends no Expect header that we do not ask for.
 *
 * The body of a good answer is copied once, from libcurl's buffer to where the
 * caller wants it; that of any other status is kept as text, since it says
 * why.  Callbacks run with libcurl on the stack: they only copy, and stop the
 * transfer by returning 0 with the reason in x->rc.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/must.h"
#include "http/internal.h"

#define ERROR_BODY_MAX 65536
#define RECV_BUFFER 131072L
#define SEND_BUFFER 131072L

static size_t
on_header(char *p, size_t one, size_t n, void *arg)
{
	struct http_xfer *x = arg;
	int rc;

	x->req->moved += n;
	rc = http_answer_line(&x->req->answer, p, n, &x->req->err);
	if (rc == 0)
		return n;
	x->rc = rc;
	return 0;
}

static size_t
too_large(struct http_xfer *x)
{
	x->rc = err_set(&x->req->err, -EMSGSIZE,
	    "the answer's body is larger than %zu bytes", x->req->recv_cap);
	return 0;
}

static size_t
take_text(struct http_xfer *x, const char *p, size_t n)
{
	strbuf_add(&x->req->text, p, n);
	if (!x->req->text.failed)
		return n;
	x->rc = err_errno(&x->req->err, -ENOMEM, "the body of an answer");
	return 0;
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct http_xfer *x = arg;
	struct http_req *r = x->req;
	size_t room;

	r->moved += n;
	if (r->answer.status < 200 || r->answer.status > 299) {
		room = ERROR_BODY_MAX - r->text.len;
		if (n <= room)
			return take_text(x, p, n);
		return take_text(x, p, room) == room ? n : 0;
	}
	if (!r->recv) {
		if (n > r->recv_cap - r->text.len)
			return too_large(x);
		return take_text(x, p, n);
	}
	if (n > r->recv_cap - r->recv_len)
		return too_large(x);
	memcpy((char *)r->recv + r->recv_len, p, n);
	r->recv_len += n;
	return n;
}

/* The socket's type of service; what cannot be set is not worth an error. */
static int
on_sockopt(void *arg, curl_socket_t fd, curlsocktype type)
{
	struct http *h = arg;
	int tos = h->conf.ip_tos;

	if (setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)) != 0)
		setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	return CURL_SOCKOPT_OK;
}

/* Collects the failure of any of a row of curl_easy_setopt. */
#define SET(opt, value) \
	do { \
		if (curl_easy_setopt(c, opt, value) != CURLE_OK) \
			failed = true; \
	} while (0)

static bool
set_forever(struct http *h, struct http_xfer *x)
{
	const struct http_conf *k = &h->conf;
	CURL *c = x->easy;
	bool failed = false;

	SET(CURLOPT_PRIVATE, x);
	SET(CURLOPT_ERRORBUFFER, x->error);
	SET(CURLOPT_SHARE, h->share);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, k->http2 ? (long)CURL_HTTP_VERSION_2TLS
					   : (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_USERAGENT, k->user_agent);
	SET(CURLOPT_BUFFERSIZE, RECV_BUFFER);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, 60L);
	SET(CURLOPT_TCP_KEEPINTVL, 20L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, 60L);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(k->connect_timeout_ns / NS_PER_MS));
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
	if (k->ca_file)
		SET(CURLOPT_CAINFO, k->ca_file);
	if (k->insecure) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (k->no_proxy)
		SET(CURLOPT_PROXY, "");
	if (k->verbose)
		SET(CURLOPT_VERBOSE, 1L);
	if (k->no_keepalive)
		SET(CURLOPT_FORBID_REUSE, 1L);
	if (k->ip_tos) {
		SET(CURLOPT_SOCKOPTFUNCTION, on_sockopt);
		SET(CURLOPT_SOCKOPTDATA, h);
	}
	return !failed;
}

static struct http_xfer *
xfer_take(struct http *h)
{
	struct list *l = list_pop_front(&h->pool);
	struct http_xfer *x;

	if (l)
		return list_entry(l, struct http_xfer, link);
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->http = h;
	list_init(&x->link);
	x->easy = curl_easy_init();
	if (!x->easy || !set_forever(h, x)) {
		http_xfer_free(x);
		return NULL;
	}
	return x;
}

void
http_xfer_free(struct http_xfer *x)
{
	list_del(&x->link);
	if (x->easy)
		curl_easy_cleanup(x->easy);
	free(x);
}

static void
add_header(struct http_xfer *x, unsigned *n, const char *line)
{
	must(*n < sizeof(x->headers) / sizeof(x->headers[0]));
	/* libcurl's type is not const; it does not write. */
	x->headers[*n].data = (char *)(uintptr_t)line;
	x->headers[*n].next = NULL;
	if (*n)
		x->headers[*n - 1].next = &x->headers[*n];
	(*n)++;
}

static bool
set_method(struct http_xfer *x, const struct http_req *r)
{
	CURL *c = x->easy;
	bool failed = false;

	switch (r->method) {
	case HTTP_GET:
		SET(CURLOPT_HTTPGET, 1L);
		SET(CURLOPT_CUSTOMREQUEST, NULL);
		break;
	case HTTP_DELETE:
		SET(CURLOPT_HTTPGET, 1L);
		SET(CURLOPT_CUSTOMREQUEST, "DELETE");
		break;
	case HTTP_HEAD:
		SET(CURLOPT_NOBODY, 1L);
		SET(CURLOPT_CUSTOMREQUEST, NULL);
		break;
	case HTTP_PUT:
	case HTTP_POST:
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->send_len);
		SET(CURLOPT_POSTFIELDS, r->send_len ? r->send : "");
		SET(CURLOPT_CUSTOMREQUEST, http_method_name(r->method));
		break;
	}
	return !failed;
}

static bool
set_request(struct http_xfer *x, const struct http_req *r, bool fresh)
{
	CURL *c = x->easy;
	bool failed = false, has_type = false;
	unsigned n = 0;

	for (unsigned i = 0; i < r->nheaders; i++) {
		add_header(x, &n, r->headers[i]);
		if (strncasecmp(r->headers[i], "content-type:", 13) == 0)
			has_type = true;
	}
	/* A name alone means: do not send it. */
	add_header(x, &n, "Accept:");
	if (r->method == HTTP_PUT || r->method == HTTP_POST) {
		add_header(x, &n, "Expect:");
		if (!has_type)
			add_header(x, &n, "Content-Type:");
	}
	SET(CURLOPT_URL, r->url);
	SET(CURLOPT_HTTPHEADER, x->headers);
	if (fresh != x->fresh)
		SET(CURLOPT_FRESH_CONNECT, (long)fresh);
	x->fresh = fresh;
	return set_method(x, r) && !failed;
}

int
http_xfer_start(struct http *h, struct http_req *r, bool fresh, struct err *e)
{
	struct http_xfer *x = xfer_take(h);
	CURLMcode rc;

	if (!x)
		return err_errno(e, -ENOMEM, "start a request");
	x->req = r;
	x->rc = 0;
	x->error[0] = '\0';
	r->xfer = x;
	if (!set_request(x, r, fresh || r->once || h->conf.no_keepalive)) {
		http_xfer_free(x);
		r->xfer = NULL;
		return err_errno(e, -ENOMEM, "set up a request");
	}
	rc = curl_multi_add_handle(h->multi, x->easy);
	if (rc != CURLM_OK) {
		http_xfer_free(x);
		r->xfer = NULL;
		return err_set(e, -ENOMEM, "start a request: libcurl: %s",
		    curl_multi_strerror(rc));
	}
	list_push_back(&h->active, &x->link);
	h->nactive++;
	return 0;
}

void
http_xfer_end(struct http_xfer *x, bool broken)
{
	struct http *h = x->http;

	curl_multi_remove_handle(h->multi, x->easy);
	list_del(&x->link);
	must(h->nactive > 0);
	h->nactive--;
	x->req->xfer = NULL;
	x->req = NULL;
	if (broken)
		http_xfer_free(x);
	else
		list_push_front(&h->pool, &x->link);
}
