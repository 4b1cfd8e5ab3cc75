/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3.c: the store s3, a bucket of an S3 server.
 *
 * Each store request becomes a struct s3_op with one call of the client at a
 * time; the call's done checks the answer and ends the request.  Most need one
 * call; PUT if absent may need several (s3cond.c), LIST two (s3list.c).
 *
 * W6 is kept here: a whole object must be as long as Content-Length said and
 * be all that was asked for; a range must be the one that was asked for; an
 * answer whose end is not marked in any way is refused, since nobody can tell
 * whether it is whole.
 *
 * Deleting and writing are durable when the server answers, so SYNC has
 * nothing to do.  Errors keep the sentence of s3/error.c.
 */
#include "store/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "store/open.h"
#include "store/s3int.h"

#define MAX_OBJECT (5ULL << 30) /* of one PUT */
#define MAX_BATCH 1000
#define MAX_KEYS 1000

/* --- one request -------------------------------------------------------------- */

static void
op_free(struct s3_op *o)
{
	list_del(&o->link);
	s3_call_free(o->call);
	strbuf_fini(&o->body);
	o->r->priv = NULL;
	free(o);
}

void
s3_op_end(struct s3_op *o, int rc)
{
	struct store_req *r = o->r;

	op_free(o);
	store_complete(r, rc);
}

void
s3_op_end_later(struct s3_op *o, int rc)
{
	struct store_req *r = o->r;

	op_free(o);
	store_complete_later(r, rc);
}

void
s3_op_end_as_call(struct s3_op *o)
{
	struct s3_call *k = o->call;

	err_copy(&o->r->err, &k->err);
	o->r->retry_after_ns = k->verdict.retry_after_ns;
	s3_op_end(o, k->rc);
}

struct s3_call *
s3_op_call(struct s3_op *o, enum http_method m, const char *key,
    void (*done)(struct s3_call *k))
{
	struct s3_call *k = s3_call_new(o->s->client, m, key);

	s3_call_free(o->call);
	o->call = k;
	if (!k)
		return NULL;
	k->http.deadline_ns = o->r->deadline_ns;
	k->done = done;
	k->arg = o;
	return k;
}

static void
no_memory(struct s3_op *o)
{
	s3_op_end_later(o, -ENOMEM);
}

/* --- metadata and tags ---------------------------------------------------------- */

void
s3_op_tag(struct store_req *r, const struct http_answer *a)
{
	const char *t = http_answer_get(a, "etag");
	size_t n;

	r->tag[0] = '\0';
	if (!t)
		return;
	if (strncmp(t, "W/", 2) == 0)
		t += 2;
	n = strlen(t);
	if (n >= 2 && t[0] == '"' && t[n - 1] == '"') {
		t++;
		n -= 2;
	}
	if (n >= sizeof(r->tag))
		return; /* of no use if it is not whole */
	memcpy(r->tag, t, n);
	r->tag[n] = '\0';
}

static const char *
meta_name(const char *header)
{
	if (strncmp(header, "x-amz-meta-", 11) == 0)
		return header + 11;
	if (strcmp(header, "content-type") == 0 ||
	    strcmp(header, "content-encoding") == 0)
		return header;
	return NULL;
}

static int
take_meta(struct s3_op *o, const struct http_answer *a)
{
	const char *enc = s3_client_config(o->s->client)
			      ->default_content_encoding;
	const char *header, *name, *value;
	struct meta *m = meta_new();
	int rc = 0;

	if (!m)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 &&
	     http_answer_nth(a, i, &header, &value); i++) {
		name = meta_name(header);
		if (name && *name)
			rc = meta_add(m, name, value);
	}
	if (rc == 0 && enc && !meta_get(m, "content-encoding"))
		rc = meta_add(m, "content-encoding", enc);
	if (rc < 0) {
		meta_unref(m);
		return rc == -ENOMEM ? rc
				     : err_set(&o->r->err, -EBADMSG,
					   "%s%s: the server sent metadata "
					   "that is too long or not ASCII",
					   o->s->store.url, o->r->key);
	}
	o->r->got_meta = m;
	return 0;
}

static void
add_meta(struct s3_call *k, const struct meta *m)
{
	char header[300];
	const char *name, *value;

	for (unsigned i = 0; m && i < meta_count(m); i++) {
		meta_nth(m, i, &name, &value);
		if (strcmp(name, "content-type") == 0 ||
		    strcmp(name, "content-encoding") == 0)
			snprintf(header, sizeof(header), "%s", name);
		else
			snprintf(header, sizeof(header), "x-amz-meta-%s",
			    name);
		s3_call_header(k, header, value);
	}
}

static void
add_if(struct s3_call *k, const char *name, const char *value)
{
	if (value)
		s3_call_header(k, name, value);
}

void
s3_op_put_headers(struct s3_op *o, struct s3_call *k)
{
	const struct s3_config *c = s3_client_config(o->s->client);
	const struct meta *m = o->r->meta;

	add_meta(k, m);
	if (!m || !meta_get(m, "content-type"))
		s3_call_header(k, "content-type", "application/octet-stream");
	add_if(k, "x-amz-acl", c->acl);
	add_if(k, "x-amz-storage-class", c->storage_class);
	add_if(k, "x-amz-server-side-encryption", c->sse);
	add_if(k, "x-amz-server-side-encryption-aws-kms-key-id",
	    c->sse_key_id);
}

/* --- GET ------------------------------------------------------------------------ */

static int
incomplete(struct s3_op *o, const char *why, uint64_t have, uint64_t want)
{
	return err_set(&o->r->err, -EBADMSG,
	    "GET %s%s: %s: %llu bytes instead of %llu", o->s->store.url,
	    o->r->key, why, (unsigned long long)have,
	    (unsigned long long)want);
}

/* W6 for a whole object. */
static int
check_whole(struct s3_op *o, const struct http_req *h)
{
	const struct http_answer *a = &h->answer;

	if (a->status == 206 &&
	    (a->range_first != 0 || a->range_total != h->recv_len))
		return incomplete(o, "only a part came", h->recv_len,
		    a->range_total);
	if (a->length != HTTP_UNKNOWN && a->length != h->recv_len)
		return incomplete(
		    o, "the answer was cut short", h->recv_len, a->length);
	if (a->length == HTTP_UNKNOWN && !a->chunked && a->status == 200)
		return err_set(&o->r->err, -EBADMSG,
		    "GET %s%s: the server did not say how long the object is",
		    o->s->store.url, o->r->key);
	o->r->size = h->recv_len;
	return 0;
}

static int
check_range(struct s3_op *o, const struct http_req *h)
{
	const struct http_answer *a = &h->answer;
	struct store_req *r = o->r;

	if (a->status == 200 && r->range_off == 0 && a->length == h->recv_len &&
	    h->recv_len == r->range_len) {
		/* A server without ranges, and the range is all there is. */
		r->size = h->recv_len;
		return 0;
	}
	if (a->status != 206 || a->range_first == HTTP_UNKNOWN)
		return err_set(&r->err, -EBADMSG,
		    "GET %s%s: the server ignored the range (HTTP %d)",
		    o->s->store.url, r->key, a->status);
	if (a->range_total != HTTP_UNKNOWN &&
	    r->range_off + r->range_len > a->range_total)
		return err_set(&r->err, -ERANGE,
		    "GET %s%s: bytes %llu to %llu of an object of %llu",
		    o->s->store.url, r->key, (unsigned long long)r->range_off,
		    (unsigned long long)(r->range_off + r->range_len - 1),
		    (unsigned long long)a->range_total);
	if (a->range_first != r->range_off ||
	    a->range_last != r->range_off + r->range_len - 1)
		return err_set(&r->err, -EBADMSG,
		    "GET %s%s: the server sent another range than asked for",
		    o->s->store.url, r->key);
	if (h->recv_len != r->range_len)
		return incomplete(
		    o, "a range was cut short", h->recv_len, r->range_len);
	if (a->range_total != HTTP_UNKNOWN)
		r->size = a->range_total;
	return 0;
}

static void
got(struct s3_call *k)
{
	struct s3_op *o = k->arg;
	struct store_req *r = o->r;
	int rc;

	if (k->rc < 0) {
		s3_op_end_as_call(o);
		return;
	}
	s3_op_tag(r, &k->http.answer);
	if (k->http.answer.status == 304) {
		if (!r->unless_tag) {
			s3_op_end(o, err_set(&r->err, -EBADMSG,
			    "GET %s%s: HTTP 304 to a request without "
			    "condition", o->s->store.url, r->key));
			return;
		}
		r->unchanged = true;
		r->body->len = 0;
		s3_op_end(o, 0);
		return;
	}
	rc = r->range_len ? check_range(o, &k->http)
			  : check_whole(o, &k->http);
	if (rc == 0)
		rc = take_meta(o, &k->http.answer);
	if (rc == 0)
		r->body->len = k->http.recv_len;
	s3_op_end(o, rc);
}

static void
op_get(struct s3_op *o)
{
	struct store_req *r = o->r;
	struct s3_call *k = s3_op_call(o, HTTP_GET, r->key, got);
	char text[STORE_TAG_MAX + 64];

	if (!k) {
		no_memory(o);
		return;
	}
	k->http.recv = r->body->data;
	k->http.recv_cap = r->body->cap;
	if (r->range_len) {
		snprintf(text, sizeof(text), "bytes=%llu-%llu",
		    (unsigned long long)r->range_off,
		    (unsigned long long)(r->range_off + r->range_len - 1));
		s3_call_header(k, "range", text);
	}
	if (r->unless_tag && *r->unless_tag) {
		snprintf(text, sizeof(text), "\"%s\"", r->unless_tag);
		s3_call_header(k, "if-none-match", text);
	}
	s3_call_submit(k);
}

/* --- HEAD ------------------------------------------------------------------------ */

static void
head_done(struct s3_call *k)
{
	struct s3_op *o = k->arg;
	const struct http_answer *a = &k->http.answer;
	int rc;

	if (k->rc < 0) {
		s3_op_end_as_call(o);
		return;
	}
	if (a->length == HTTP_UNKNOWN) {
		s3_op_end(o, err_set(&o->r->err, -EBADMSG,
		    "HEAD %s%s: the server did not say how long the object "
		    "is", o->s->store.url, o->r->key));
		return;
	}
	o->r->size = a->length;
	s3_op_tag(o->r, a);
	rc = take_meta(o, a);
	s3_op_end(o, rc);
}

static void
op_head(struct s3_op *o)
{
	struct s3_call *k = s3_op_call(o, HTTP_HEAD, o->r->key, head_done);

	if (!k)
		no_memory(o);
	else
		s3_call_submit(k);
}

/* --- PUT, DELETE ------------------------------------------------------------------ */

static void
put_done(struct s3_call *k)
{
	struct s3_op *o = k->arg;

	if (k->rc == 0)
		s3_op_tag(o->r, &k->http.answer);
	/* A PUT does not find nothing: this is some other 404. */
	if (k->rc == -ENOENT)
		k->rc = -ENXIO;
	s3_op_end_as_call(o);
}

static void
op_put(struct s3_op *o)
{
	struct s3_call *k;

	if (o->r->if_absent) {
		s3_op_put_if_absent(o);
		return;
	}
	k = s3_op_call(o, HTTP_PUT, o->r->key, put_done);
	if (!k) {
		no_memory(o);
		return;
	}
	k->http.send = o->r->body->data;
	k->http.send_len = o->r->body->len;
	s3_op_put_headers(o, k);
	s3_call_submit(k);
}

static void
delete_done(struct s3_call *k)
{
	struct s3_op *o = k->arg;

	if (k->rc == -ENOENT)
		k->rc = 0;
	s3_op_end_as_call(o);
}

static void
op_delete(struct s3_op *o)
{
	struct s3_call *k =
	    s3_op_call(o, HTTP_DELETE, o->r->key, delete_done);

	if (!k)
		no_memory(o);
	else
		s3_call_submit(k);
}

/* --- the store --------------------------------------------------------------------- */

static void
s3_submit(struct store *store, struct store_req *r)
{
	struct s3_store *s = container_of(store, struct s3_store, store);
	struct s3_op *o;

	if (r->op == STORE_SYNC) {
		store_complete_later(r, 0);
		return;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		store_complete_later(r, -ENOMEM);
		return;
	}
	o->s = s;
	o->r = r;
	r->priv = o;
	list_push_back(&s->inflight, &o->link);
	switch (r->op) {
	case STORE_GET:
		op_get(o);
		return;
	case STORE_PUT:
		op_put(o);
		return;
	case STORE_DELETE:
		op_delete(o);
		return;
	case STORE_HEAD:
		op_head(o);
		return;
	case STORE_LIST:
		s3_op_list(o);
		return;
	case STORE_BATCH:
		s3_op_batch(o);
		return;
	case STORE_SYNC:
		break;
	}
	must(!"an operation");
}

static void
s3_cancel(struct store *store, struct store_req *r)
{
	struct s3_op *o = r->priv;

	if (!o)
		return;
	o->canceled = true;
	if (o->call)
		s3_call_cancel(o->call);
}

static void
s3_free(struct store *store)
{
	struct s3_store *s = container_of(store, struct s3_store, store);

	must(list_empty(&s->inflight));
	s3_client_close(s->client);
	store_head_fini(&s->store);
	free(s);
}

static void
s3_use_stats(struct store *store, struct stat_set *st)
{
	s3_client_use_stats(
	    container_of(store, struct s3_store, store)->client, st);
}

static const struct store_ops s3_ops = {
	.name = "s3",
	.submit = s3_submit,
	.cancel = s3_cancel,
	.free = s3_free,
	.use_stats = s3_use_stats,
};

static int
url_settings(struct s3_config *c, const struct url *u, struct err *e)
{
	for (unsigned i = 0; i < u->nparams; i++) {
		int rc = s3_config_set(
		    c, u->params[i].name, u->params[i].value, e);

		if (rc < 0)
			return err_wrap(e, rc, "URL %s", u->text);
	}
	return 0;
}

int
s3_store_check(const struct url *u, struct err *e)
{
	struct s3_config c;
	int rc;

	s3_config_init(&c);
	rc = url_settings(&c, u, e);
	s3_config_fini(&c);
	return rc;
}

static int
make_config(const struct store_env *env, const struct url *u,
    struct s3_config *c, struct err *e)
{
	int rc;

	if (env->s3) {
		rc = s3_config_copy(c, env->s3);
		if (rc < 0)
			return err_errno(e, rc, "%s", u->text);
	} else {
		s3_config_init(c);
	}
	rc = url_settings(c, u, e);
	if (rc < 0)
		s3_config_fini(c);
	return rc;
}

static void
fill_info(struct s3_store *s)
{
	struct store_info *i = &s->store.info;
	const struct s3_config *c = s3_client_config(s->client);

	i->durable = true;
	i->if_absent = c->if_absent != S3_NO;
	i->range_get = true;
	i->keeps_meta = true;
	i->max_batch = MAX_BATCH;
	i->max_keys = MAX_KEYS;
	i->max_object = MAX_OBJECT;
	i->remote = true;
	i->max_inflight = c->max_connections ? c->max_connections : 256;
	s->listing = c->listing;
	s->if_absent = c->if_absent;
}

int
s3_store_open(const struct store_env *env, const struct url *u,
    struct store **out, struct err *e)
{
	struct strbuf name = STRBUF_INIT;
	struct s3_config conf;
	struct s3_store *s;
	int rc;

	rc = make_config(env, u, &conf, e);
	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	strbuf_printf(&name, "s3://%s/", u->path);
	if (!s || name.failed ||
	    store_head_init(&s->store, &s3_ops, env->loop, name.s) < 0) {
		rc = err_errno(e, -ENOMEM, "%s", u->text);
		free(s);
		goto out;
	}
	list_init(&s->inflight);
	list_init(&s->probe_waits);
	rc = s3_client_open(
	    env->loop, env->pool, &conf, u->path, &s->client, e);
	if (rc < 0) {
		store_head_fini(&s->store);
		free(s);
		goto out;
	}
	fill_info(s);
	*out = &s->store;
out:
	strbuf_fini(&name);
	s3_config_fini(&conf);
	return rc;
}
