/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_CLIENT_H
#define S3_CLIENT_H

#include "base/err.h"
#include "base/strbuf.h"
#include "http/http.h"
#include "s3/cred.h"
#include "s3/encode.h"
#include "s3/error.h"

/*
 * Signed requests to one bucket.
 *
 * A call is filled in, submitted, and answered once by done (never from inside
 * submit or cancel).  The client finds the keys, makes URL and headers, signs
 * right before sending, renews keys once when the server says that they have
 * expired, and turns what is no success into rc and a sentence.
 *
 * Everything on one loop.  Calls are taken from the client and given back, so
 * that their strings keep their memory.
 */
struct loop;
struct s3_client;
struct s3_config;
struct stat_set;
struct work_pool;

/* Settings are copied and resolved.  bucket: its name.  No network traffic. */
int s3_client_open(struct loop *l, struct work_pool *pool,
    const struct s3_config *c, const char *bucket, struct s3_client **out,
    struct err *e);
void s3_client_close(struct s3_client *c); /* no calls out; accepts NULL */
const struct s3_config *s3_client_config(const struct s3_client *c);
/* Whether bodies go into the signature. */
bool s3_client_signs_payload(const struct s3_client *c);
void s3_client_use_stats(struct s3_client *c, struct stat_set *st);

#define S3_CALL_HEADERS 48

struct s3_call {
	/* What is asked; by the caller, between s3_call_new and submit. */
	enum http_method method;
	const char *key;       /* borrowed; NULL: the bucket itself */
	struct s3_query query; /* s3_query_add */
	/* These are fields of http: send, send_len, recv, recv_cap, once,
	 * deadline_ns. */
	bool conditional; /* 412 means -EEXIST */
	void (*done)(struct s3_call *c);
	void *arg;

	/* The answer: rc 0 for 2xx, and for 304 (see http.answer.status). */
	int rc;
	struct err err;
	struct s3_verdict verdict; /* if the server refused */
	struct http_req http;	   /* answer, recv_len, text */

	/* private */
	struct s3_client *client;
	struct {
		uint32_t name, value; /* in text */
	} given[S3_CALL_HEADERS];     /* by s3_call_header */
	unsigned ngiven;
	struct strbuf text, lines, url, querystr, auth;
	struct s3_cred *cred;
	struct s3_cred_wait wait;
	struct s3_call_hash *hashing; /* of a large body */
	struct loop_task task;
	struct list link;
	int state;
	bool renewed;	 /* keys, once */
	bool asking_why; /* see client.c */
	bool canceled;
	char hash[65];
	const char *line[S3_CALL_HEADERS + 8];
};

/* NULL: no memory. */
struct s3_call *s3_call_new(
    struct s3_client *c, enum http_method m, const char *key);
void s3_call_free(struct s3_call *c); /* not in flight; accepts NULL */
/* Both texts are copied; name in lower case. */
void s3_call_header(struct s3_call *c, const char *name, const char *value);
void s3_call_submit(struct s3_call *c);
void s3_call_cancel(struct s3_call *c);

#endif
