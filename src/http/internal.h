/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <curl/curl.h>

#include "http/http.h"

/*
 * What the files of http/ share: http.c (queue, limits, life of a request),
 * multi.c (libcurl's sockets and timer on our loop), xfer.c (one easy handle
 * and its callbacks), rate.c (limits on bytes per second), curlerr.c
 * (libcurl's codes in our words).
 */
struct http_xfer { /* one easy handle; pooled */
	CURL *easy;
	struct http_req *req; /* NULL while in the pool */
	struct http *http;
	struct list link; /* http->pool or http->active */
	int rc;		  /* why a callback stopped the transfer; or 0 */
	bool fresh;	  /* CURLOPT_FRESH_CONNECT is set */
	char error[CURL_ERROR_SIZE];
	struct curl_slist headers[HTTP_HEADERS_MAX + 4];
};

struct http_sock { /* a descriptor that libcurl wants watched */
	struct loop_fd watch;
	struct http *http;
	struct list link; /* http->free_socks, or of its own */
};

struct http { /* everything belongs to the loop */
	struct http_conf conf;
	struct loop *loop;

	CURLM *multi;  /* NULL while idle: made by the next request */
	CURLSH *share; /* names and TLS sessions, beyond the multi handle */
	bool in_curl;  /* libcurl is on the stack: do not call it again */
	bool dead;     /* the multi handle must be thrown away */
	unsigned busy; /* callbacks of the loop that are on the stack */
	bool freed;    /* http_free was called inside one of them */
	struct loop_timer curl_timer; /* when libcurl asked to be called */
	struct loop_timer tick;	      /* deadlines, silence, rates, idleness */
	int64_t idle_since_ns;
	struct list free_socks;

	struct list pool;    /* struct http_xfer, at most max_connections */
	struct list active;  /* struct http_xfer */
	struct list waiting; /* struct http_req */
	unsigned nactive, nwaiting;
	/* Bytes that may still be moved now; below 0: wait (rate.c). */
	double up_credit, down_credit;
	int64_t credit_ns;
	struct http_stats stats;
	struct stat_set *shown; /* or NULL */
};

/* multi.c */
int http_multi_open(struct http *h, struct err *e);
void http_multi_close(struct http *h); /* closes the connections */
/* After this h->dead may be set: fail everything (http.c). */
void http_multi_init_timer(struct http *h);

/* xfer.c */
int http_xfer_start(struct http *h, struct http_req *r, bool fresh,
    struct err *e);
/* Take it from libcurl and put it into the pool (or free it: broken). */
void http_xfer_end(struct http_xfer *x, bool broken);
void http_xfer_free(struct http_xfer *x);

/* http.c; libcurl is not on the stack. */
void http_finished(struct http_xfer *x, CURLcode code);
void http_fail_all(struct http *h);
void http_enter(struct http *h);
void http_leave(struct http *h); /* h may be gone afterwards */

/* rate.c */
/* How many ns until r may start; 0: now. */
int64_t http_credit_wait(struct http *h, const struct http_req *r);
void http_credit_charge(struct http *h, const struct http_req *r);
/* It has ended: what was charged and did not come. */
void http_credit_give_back(struct http *h, const struct http_req *r);

/* curlerr.c */
/* "host:port" of a URL. */
void http_url_host(const char *url, char *out, size_t cap);
int http_curl_error(const struct http_xfer *x, CURLcode code, struct err *e);

#endif
