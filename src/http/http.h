/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "http/answer.h"
#include "loop/loop.h"

/*
 * The HTTP engine: hundreds of requests in flight on one loop, over kept
 * connections.
 *
 *  H1. Everything happens on the loop's thread.
 *  H2. done runs exactly once for each submitted request, never from inside
 *      http_submit or http_cancel.
 *  H3. From submit until done the engine borrows the request, its URL, its
 *      header lines, what is sent, and where the body goes.
 *  H4. rc 0 means that a whole answer has come, of whatever status; a body
 *      that ends early is an error, never short data.
 *  H5. A request that is not once is asked again, at once and on a new
 *      connection, when its kept connection dies before the first byte of the
 *      answer: servers close idle connections when they like.
 *  H6. A request ends: it has a deadline, and a limit of silence.
 *  H7. An engine without requests closes its connections after idle_ns, so
 *      that an idle mount makes no traffic.
 */
struct http;
struct loop;
struct stat_set;

/* 0 and NULL: the default that is named. */
struct http_conf {
	const char *user_agent; /* "pail/VERSION" */
	const char *ca_file;	/* the system's */
	bool insecure;		/* do not verify the server's certificate */
	bool http2;		/* allow it (over TLS) */
	bool no_keepalive;	/* a new connection for each request */
	bool no_proxy;		/* even if the environment names one */
	bool verbose;		/* libcurl's own account, to standard error */
	int ip_tos;		/* of the sockets; 0: the system's */
	unsigned max_connections; /* 256; further requests wait their turn */
	int64_t connect_timeout_ns; /* 5 s */
	int64_t stall_timeout_ns;   /* 10 s without a byte either way */
	int64_t request_timeout_ns; /* 60 s, for requests without deadline */
	int64_t idle_ns;	    /* 20 s */
	/* In total, bytes per second; 0: no limit. */
	uint64_t max_upload_rate, max_download_rate;
};

/* Strings are copied.  One engine belongs to one loop. */
int http_new(struct loop *l, const struct http_conf *conf, struct http **out,
    struct err *e);
void http_free(struct http *h); /* no request in flight; accepts NULL */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE };
const char *http_method_name(enum http_method m);

#define HTTP_HEADERS_MAX 64

struct http_req {
	/* What is asked.  Set up by http_req_init, then by the caller. */
	enum http_method method;
	const char *url;
	const char *const *headers; /* "name: value"; at most HEADERS_MAX */
	unsigned nheaders;
	const void *send; /* the body of PUT and POST */
	size_t send_len;
	/* Where the body of a 2xx answer goes: recv_cap bytes at recv, or, if
	 * recv is NULL, text, up to recv_cap.  A longer one is -EMSGSIZE. */
	void *recv;
	size_t recv_cap;
	/* Must not be sent twice: takes a new connection, is not redone. */
	bool once;
	int64_t deadline_ns; /* loop_now's clock; 0: the default */
	void (*done)(struct http_req *r);
	void *arg; /* for done */

	/*
	 * The answer, cleared by submit.  rc: 0, or
	 *  -EHOSTUNREACH, -ECONNREFUSED ...  no connection: nothing was done
	 *  -EPIPE        the connection broke; see sent
	 *  -ETIMEDOUT    the deadline or the limit of silence passed; see sent
	 *  -EKEYREJECTED the server's certificate is not trusted
	 *  -EPROTO       TLS failed otherwise
	 *  -EMSGSIZE     a larger body than there is room for
	 *  -EBADMSG      not understood as HTTP, or beyond our limits
	 *  -ECANCELED, -ENOMEM, -EINVAL (the URL), -EIO
	 * and err has a sentence.
	 */
	int rc;
	struct err err;
	struct http_answer answer;
	size_t recv_len;	/* bytes at recv */
	struct strbuf text;	/* see recv; and the body of other statuses,
				 * of which 64 KiB at most are kept */
	bool sent;		/* some of it reached the wire */
	unsigned redone;	/* H5 */

	/* private */
	struct http *http;
	struct http_xfer *xfer;
	struct list link;
	struct loop_task task;
	int64_t submit_ns, moved_ns;
	uint64_t moved, seen; /* bytes received; of both ways at moved_ns */
};

void http_req_init(struct http_req *r, enum http_method m, const char *url);
/* Make a finished request ready for another use; memory stays. */
void http_req_clear(struct http_req *r);
void http_req_fini(struct http_req *r);

void http_submit(struct http *h, struct http_req *r);
/* End it soon with -ECANCELED, or as it had ended already. */
void http_cancel(struct http_req *r);
/* End it now and without done, for an owner that goes away.  False if it has
 * ended already and done is on its way, which cannot be held up. */
bool http_drop(struct http_req *r);

struct http_stats {
	uint64_t requests, connections, redone, bytes_sent, bytes_received;
	unsigned active, waiting;
};
void http_stats(const struct http *h, struct http_stats *s);
/* Count in st as well (base/stat.h: http_...), which outlives h.  Before the
 * first request. */
void http_use_stats(struct http *h, struct stat_set *st);

#endif
