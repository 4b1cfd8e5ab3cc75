/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c: signed requests to one bucket.
 *
 *   submit -> hashing -> keys -> sent -> answered -> done
 *              (large     |                 |
 *               bodies)   +<--- renewed ----+  ExpiredToken, once
 *                                 and asking_why
 *
 * Each step is one function here, in this order; a call is in exactly one of
 * the states of enum state, which says what has to be undone to cancel it.
 * The signature is made right before sending, so that a request that waited
 * for keys has a fresh date.
 *
 * HEAD answers have no body, hence no error code.  When a HEAD is refused the
 * client asks why: it sends a GET for one byte of the same key, and reports
 * what that says (so a bucket that does not exist is not taken for a key that
 * does not).
 *
 * Failure: every error ends in finish(), once; calls borrow nothing after it.
 */
#include "s3/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/must.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "s3/config.h"
#include "s3/place.h"
#include "s3/resolve.h"
#include "s3/sigv4.h"

#define HASH_INLINE (256 * 1024) /* larger bodies are hashed by the pool */
#define POOLED_MAX 512

enum state { IDLE, HASHING, KEYS, SENT, ENDING };

struct s3_client {
	struct loop *loop;
	struct work_pool *pool;
	struct s3_config conf;
	struct s3_place place;
	char *bucket;
	bool sign_payload;
	bool worked_before;
	struct http *http;
	struct s3_creds *creds;
	struct s3_signer *signer;
	struct list calls; /* free ones */
	unsigned npooled;
	unsigned out; /* calls in use */
};

struct s3_call_hash {
	struct work work;
	struct s3_call *call;
	const void *p;
	size_t n;
	int rc;
	char hex[S3_HASH_HEX];
};

static void keys(struct s3_call *k);
static void send_it(struct s3_call *k);

/* --- calls ------------------------------------------------------------------ */

static void
call_destroy(struct s3_call *k)
{
	strbuf_fini(&k->text);
	strbuf_fini(&k->lines);
	strbuf_fini(&k->url);
	strbuf_fini(&k->querystr);
	strbuf_fini(&k->auth);
	http_req_fini(&k->http);
	free(k);
}

static void answered(struct http_req *r);
static void got_keys(struct s3_cred_wait *w, struct s3_cred *cred, int rc,
    const struct err *e);

struct s3_call *
s3_call_new(struct s3_client *c, enum http_method m, const char *key)
{
	struct list *l = list_pop_front(&c->calls);
	struct s3_call *k;

	if (l) {
		k = list_entry(l, struct s3_call, link);
		c->npooled--;
	} else {
		k = calloc(1, sizeof(*k));
		if (!k)
			return NULL;
		k->client = c;
		list_init(&k->link);
		list_init(&k->wait.link);
		http_req_init(&k->http, m, NULL);
	}
	http_req_clear(&k->http);
	k->method = m;
	k->key = key;
	k->http.done = answered;
	k->wait.ready = got_keys;
	k->state = IDLE;
	k->ngiven = 0;
	k->renewed = k->asking_why = k->canceled = k->conditional = false;
	k->hash[0] = '\0';
	k->query.n = 0;
	strbuf_clear(&k->text);
	strbuf_clear(&k->querystr);
	c->out++;
	return k;
}

void
s3_call_free(struct s3_call *k)
{
	struct s3_client *c;

	if (!k)
		return;
	c = k->client;
	must(k->state == IDLE);
	must(c->out > 0);
	c->out--;
	if (c->npooled == POOLED_MAX) {
		call_destroy(k);
		return;
	}
	c->npooled++;
	list_push_front(&c->calls, &k->link);
}

void
s3_call_header(struct s3_call *k, const char *name, const char *value)
{
	struct strbuf *b = &k->text;

	must(k->ngiven < S3_CALL_HEADERS);
	k->given[k->ngiven].name = (uint32_t)b->len;
	strbuf_add(b, name, strlen(name) + 1);
	k->given[k->ngiven].value = (uint32_t)b->len;
	strbuf_add(b, value, strlen(value) + 1);
	k->ngiven++;
}

/* --- the end ---------------------------------------------------------------- */

/* How messages name a call. */
static void
what(const struct s3_call *k, char *out, size_t n)
{
	snprintf(out, n, "%s s3://%s/%s", http_method_name(k->method),
	    k->client->bucket, k->key ? k->key : "");
}

static void
finish(struct s3_call *k, int rc)
{
	s3_cred_unref(k->cred);
	k->cred = NULL;
	k->rc = rc;
	k->state = IDLE;
	k->done(k);
}

static void
finish_task(struct loop_task *t)
{
	struct s3_call *k = container_of(t, struct s3_call, task);

	finish(k, k->rc);
}

static void
finish_later(struct s3_call *k, int rc)
{
	char name[ERR_TEXT_MAX / 2];

	what(k, name, sizeof(name));
	err_wrap(&k->err, rc, "%s", name);
	k->rc = rc;
	k->state = ENDING;
	k->task.run = finish_task;
	loop_defer(k->client->loop, &k->task);
}

/* --- hashing ----------------------------------------------------------------- */

static void
hash_run(struct work *w)
{
	struct s3_call_hash *h = container_of(w, struct s3_call_hash, work);

	h->rc = s3_sha256_hex(NULL, h->p, h->n, h->hex);
}

static void
hash_done(struct work *w)
{
	struct s3_call_hash *h = container_of(w, struct s3_call_hash, work);
	struct s3_call *k = h->call;
	int rc = h->rc;

	memcpy(k->hash, h->hex, sizeof(k->hash));
	k->hashing = NULL;
	free(h);
	if (k->canceled)
		rc = -ECANCELED;
	if (rc < 0)
		finish_later(k, rc);
	else
		keys(k);
}

/* 0: k->hash is filled; 1: it will be; else an error. */
static int
hash_body(struct s3_call *k)
{
	struct s3_client *c = k->client;
	struct s3_call_hash *h;

	if (k->http.send_len == 0) {
		memcpy(k->hash, S3_HASH_EMPTY, sizeof(S3_HASH_EMPTY));
		return 0;
	}
	if (!c->sign_payload) {
		memcpy(k->hash, S3_UNSIGNED, sizeof(S3_UNSIGNED));
		return 0;
	}
	if (k->http.send_len <= HASH_INLINE || !c->pool)
		return s3_sha256_hex(
		    c->signer, k->http.send, k->http.send_len, k->hash);
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->call = k;
	h->p = k->http.send;
	h->n = k->http.send_len;
	h->work.run = hash_run;
	h->work.done = hash_done;
	k->hashing = h;
	k->state = HASHING;
	work_submit(c->pool, c->loop, &h->work);
	return 1;
}

void
s3_call_submit(struct s3_call *k)
{
	int rc;

	must(k->state == IDLE);
	must(k->done);
	err_clear(&k->err);
	memset(&k->verdict, 0, sizeof(k->verdict));
	s3_query_finish(&k->query, &k->querystr);
	rc = s3_creds_anonymous(k->client->creds) ? 0 : hash_body(k);
	if (rc < 0)
		finish_later(k, rc);
	else if (rc == 0)
		keys(k);
}

/* --- keys -------------------------------------------------------------------- */

static void
keys(struct s3_call *k)
{
	struct s3_creds *p = k->client->creds;

	s3_cred_unref(k->cred);
	k->cred = NULL;
	if (!s3_creds_anonymous(p)) {
		k->state = KEYS;
		k->cred = s3_creds_get(p, &k->wait);
		if (!k->cred)
			return;
	}
	send_it(k);
}

static void
got_keys(struct s3_cred_wait *w, struct s3_cred *cred, int rc,
    const struct err *e)
{
	struct s3_call *k = container_of(w, struct s3_call, wait);

	if (rc < 0) {
		err_copy(&k->err, e);
		finish_later(k, rc);
		return;
	}
	k->cred = s3_cred_ref(cred);
	send_it(k);
}

/* --- headers, signature ------------------------------------------------------- */

struct heads { /* all headers of one request, pointing into its strings */
	struct s3_header v[S3_CALL_HEADERS + 8];
	unsigned n;
};

static void
add(struct heads *h, const char *name, const char *value)
{
	h->v[h->n].name = name;
	h->v[h->n].value = value;
	h->n++;
}

static int
sign(struct s3_call *k, struct heads *h, const char *path, const char *date)
{
	struct s3_client *c = k->client;
	struct s3_to_sign q = {
		.method = http_method_name(
		    k->asking_why ? HTTP_GET : k->method),
		.path = path,
		.query = strbuf_text(&k->querystr),
		.headers = h->v,
		.nheaders = h->n,
		.payload = k->hash,
		.date = date,
		.region = c->conf.region,
		.service = "s3",
		.id = k->cred->id,
		.secret = k->cred->secret,
	};

	return s3_sign_v4(c->signer, &q, &k->auth);
}

/* "name: value" of each, one after another in k->lines. */
static int
make_lines(struct s3_call *k, const struct heads *h)
{
	struct strbuf *b = &k->lines;
	size_t at[S3_CALL_HEADERS + 8];

	strbuf_clear(b);
	for (unsigned i = 0; i < h->n; i++) {
		at[i] = b->len;
		strbuf_puts(b, h->v[i].name);
		/* How libcurl wants an empty header to be written. */
		strbuf_puts(b, *h->v[i].value ? ": " : ";");
		strbuf_add(b, h->v[i].value, strlen(h->v[i].value) + 1);
	}
	if (b->failed)
		return -ENOMEM;
	for (unsigned i = 0; i < h->n; i++)
		k->line[i] = b->s + at[i];
	k->http.headers = k->line;
	k->http.nheaders = h->n;
	return 0;
}

static int
make_request(struct s3_call *k)
{
	struct s3_client *c = k->client;
	char date[S3_DATE_LEN];
	struct heads h = {.n = 0};
	size_t host_end;
	int rc;

	strbuf_clear(&k->url);
	strbuf_puts(&k->url, c->place.origin);
	host_end = k->url.len;
	strbuf_puts(&k->url, c->place.path);
	if (k->key)
		s3_encode_key(&k->url, k->key);
	if (k->url.failed || k->querystr.failed || k->text.failed)
		return -ENOMEM;
	for (unsigned i = 0; i < k->ngiven; i++)
		add(&h, k->text.s + k->given[i].name,
		    k->text.s + k->given[i].value);
	if (k->asking_why)
		add(&h, "range", "bytes=0-0");
	add(&h, "host", c->place.host);
	if (k->cred) {
		s3_date(clock_wall_ns() / NS_PER_S, date);
		add(&h, "x-amz-date", date);
		add(&h, "x-amz-content-sha256", k->hash);
		if (k->cred->token)
			add(&h, "x-amz-security-token", k->cred->token);
		rc = sign(k, &h, k->url.s + host_end, date);
		if (rc < 0)
			return rc;
		add(&h, "authorization", strbuf_text(&k->auth));
	}
	if (k->querystr.len) {
		strbuf_putc(&k->url, '?');
		strbuf_puts(&k->url, strbuf_text(&k->querystr));
	}
	k->http.url = strbuf_text(&k->url);
	return k->url.failed ? -ENOMEM : make_lines(k, &h);
}

static void
send_it(struct s3_call *k)
{
	int rc = make_request(k);

	if (rc < 0) {
		finish_later(k, rc);
		return;
	}
	k->http.method = k->asking_why ? HTTP_GET : k->method;
	k->state = SENT;
	http_submit(k->client->http, &k->http);
}

/* --- the answer ---------------------------------------------------------------- */

static void
judge(struct s3_call *k)
{
	struct s3_client *c = k->client;
	char name[ERR_TEXT_MAX / 3];
	struct s3_asked q = {
		.what = name,
		.bucket = c->bucket,
		.endpoint = c->place.origin,
		.region = c->conf.region,
		.access_id = k->cred ? k->cred->id : NULL,
		.cred_source = s3_creds_source(c->creds),
		.now_s = clock_wall_ns() / NS_PER_S,
		.worked_before = c->worked_before,
		.want_bucket = !k->key,
		.conditional = k->conditional,
	};

	what(k, name, sizeof(name));
	s3_judge(&k->http.answer, strbuf_text(&k->http.text),
	    k->http.text.len, &q, &k->verdict, &k->err);
}

/* Ask for one byte of it by GET: the answer has a body. */
static void
ask_why(struct s3_call *k)
{
	k->asking_why = true;
	k->http.recv = NULL;
	k->http.recv_cap = 65536; /* a server without ranges may send more */
	keys(k);
}

static bool
good(const struct http_answer *a)
{
	return (a->status >= 200 && a->status <= 299) || a->status == 304;
}

static void
answered(struct http_req *r)
{
	struct s3_call *k = container_of(r, struct s3_call, http);
	struct s3_client *c = k->client;

	if (r->rc < 0) {
		char name[ERR_TEXT_MAX / 3];

		what(k, name, sizeof(name));
		err_copy(&k->err, &r->err);
		err_wrap(&k->err, r->rc, "%s", name);
		finish(k, r->rc);
		return;
	}
	if (good(&r->answer)) {
		c->worked_before = true;
		/* It has changed since the HEAD was refused. */
		finish(k, k->asking_why
			? err_set(&k->err, -EAGAIN,
			      "HEAD s3://%s/%s was refused, GET was not",
			      c->bucket, k->key)
			: 0);
		return;
	}
	if (k->method == HTTP_HEAD && !k->asking_why &&
	    r->answer.status < 500) {
		ask_why(k);
		return;
	}
	judge(k);
	if (k->verdict.rc == -ENOENT || k->verdict.rc == -EEXIST)
		c->worked_before = true; /* the keys were accepted */
	if (k->verdict.advice == S3_NEW_KEYS && !k->renewed && k->cred &&
	    s3_creds_reject(c->creds, k->cred)) {
		k->renewed = true;
		keys(k);
		return;
	}
	finish(k, k->verdict.rc);
}

void
s3_call_cancel(struct s3_call *k)
{
	switch ((enum state)k->state) {
	case HASHING:
		k->canceled = true;
		return;
	case KEYS:
		s3_creds_unwait(&k->wait);
		err_set(&k->err, -ECANCELED, "cancelled");
		finish_later(k, -ECANCELED);
		return;
	case SENT:
		http_cancel(&k->http);
		return;
	case IDLE:
	case ENDING:
		return;
	}
}

/* --- the client ---------------------------------------------------------------- */

static int
open_http(struct s3_client *c, struct err *e)
{
	const struct s3_config *k = &c->conf;
	struct http_conf h = {
		.user_agent = k->user_agent,
		.ca_file = k->cacert,
		.insecure = k->insecure,
		.http2 = k->http2,
		.no_keepalive = k->no_reuse,
		.verbose = k->debug_http,
		.ip_tos = (int)k->ip_tos,
		.max_connections = k->max_connections,
		.connect_timeout_ns = k->connect_timeout_ns
		    ? k->connect_timeout_ns : 4 * NS_PER_S,
		.stall_timeout_ns = k->stall_timeout_ns,
		.request_timeout_ns = k->request_timeout_ns
		    ? k->request_timeout_ns : 30 * NS_PER_S,
		.max_upload_rate = k->max_upload_rate,
		.max_download_rate = k->max_download_rate,
	};

	return http_new(c->loop, &h, &c->http, e);
}

static int
check_auth(const struct s3_config *c, struct err *e)
{
	if (c->auth == S3_AUTH_V4)
		return 0;
	return err_set(e, -EOPNOTSUPP,
	    "auth=aws2: signatures of version 2 rest on SHA-1 and AWS has "
	    "given them up; use aws4");
}

int
s3_client_open(struct loop *l, struct work_pool *pool,
    const struct s3_config *conf, const char *bucket, struct s3_client **out,
    struct err *e)
{
	struct s3_client *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return err_errno(e, -ENOMEM, "s3://%s", bucket);
	c->loop = l;
	c->pool = pool;
	list_init(&c->calls);
	c->bucket = strdup(bucket);
	rc = c->bucket ? s3_config_copy(&c->conf, conf) : -ENOMEM;
	if (rc < 0) {
		free(c->bucket);
		free(c);
		return err_errno(e, rc, "s3://%s", bucket);
	}
	rc = check_auth(&c->conf, e);
	if (rc == 0)
		rc = s3_resolve(&c->conf, e);
	if (rc == 0)
		rc = s3_place_init(&c->place, &c->conf, bucket, e);
	if (rc == 0)
		rc = s3_creds_open(l, pool, &c->conf, &c->creds, e);
	if (rc == 0)
		rc = s3_signer_new(&c->signer, e);
	if (rc == 0)
		rc = open_http(c, e);
	if (rc < 0) {
		err_wrap(e, rc, "s3://%s", bucket);
		s3_client_close(c);
		return rc;
	}
	c->sign_payload = c->conf.payload == S3_PAYLOAD_SIGNED ||
	    (c->conf.payload == S3_PAYLOAD_AUTO && !c->place.tls);
	*out = c;
	return 0;
}

void
s3_client_close(struct s3_client *c)
{
	struct list *l;

	if (!c)
		return;
	must(c->out == 0);
	while ((l = list_pop_front(&c->calls)))
		call_destroy(list_entry(l, struct s3_call, link));
	http_free(c->http);
	s3_signer_free(c->signer);
	s3_creds_close(c->creds);
	s3_place_fini(&c->place);
	s3_config_fini(&c->conf);
	free(c->bucket);
	free(c);
}

const struct s3_config *
s3_client_config(const struct s3_client *c)
{
	return &c->conf;
}

bool
s3_client_signs_payload(const struct s3_client *c)
{
	return c->sign_payload && !s3_creds_anonymous(c->creds);
}

void
s3_client_use_stats(struct s3_client *c, struct stat_set *st)
{
	http_use_stats(c->http, st);
}
