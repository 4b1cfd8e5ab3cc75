/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3list.c: LIST and BATCH of the store s3.
 *
 * A page of a listing is asked for by version 2 with start-after, so that each
 * page stands for itself and no token has to be kept.  A server that does not
 * know version 2 answers as version 1 (it has a Marker and no KeyCount) or
 * refuses; it is then asked by version 1 from there on.
 *
 * What comes is checked: keys that do not begin with the prefix or are not
 * after start_after are dropped (some servers ignore these), keys must ascend,
 * and a page that has more to come must bring something new, or the caller
 * would ask for ever.
 *
 * A BATCH is DeleteObjects.  Each key must be confirmed by the server, by
 * Deleted or by an Error; one that is not mentioned counts as failed.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "s3/xml.h"
#include "store/s3int.h"

#define PAGE_BYTES (8 << 20) /* of XML */

static void ask_page(struct s3_op *o);

/* Is key one of those that were asked for?  1 before, 0 yes, -1 behind. */
static int
outside(const struct store_req *r, const char *key)
{
	if (r->start_after && strcmp(key, r->start_after) <= 0)
		return 1;
	if (strncmp(key, r->prefix, strlen(r->prefix)) != 0)
		return 1;
	if (r->end_before && strcmp(key, r->end_before) >= 0)
		return -1;
	return 0;
}

static int
add_entry(struct store_req *r, const struct s3_list_entry *x,
    const char *key)
{
	struct store_entry *v = store_page_add(&r->page, key, x->key_len);

	if (!v)
		return -ENOMEM;
	v->size = x->size;
	memcpy(v->tag, x->etag, sizeof(v->tag));
	v->mtime_ns = x->modified_s * NS_PER_S;
	return 0;
}

static int
take_page(struct s3_op *o, const struct s3_listing *l)
{
	struct store_req *r = o->r;
	const char *last = r->start_after;
	int rc;

	r->page.more = l->truncated;
	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->keys.s + l->v[i].key;
		int where = outside(r, key);

		if (i > 0 && strcmp(key,
				 l->keys.s + l->v[i - 1].key) <= 0)
			return err_set(&r->err, -EBADMSG,
			    "LIST %s%s: the server does not list in the "
			    "order of keys", o->s->store.url, r->prefix);
		if (where < 0) {
			r->page.more = false;
			return 0;
		}
		if (where > 0)
			continue;
		rc = add_entry(r, &l->v[i], key);
		if (rc < 0)
			return rc;
		last = key;
	}
	if (r->page.more && last == r->start_after)
		return err_set(&r->err, -EBADMSG,
		    "LIST %s%s: the server does not go on after \"%s\"",
		    o->s->store.url, r->prefix,
		    r->start_after ? r->start_after : "");
	return 0;
}

/* Ask again by the other version; false: that was it already. */
static bool
other_version(struct s3_op *o)
{
	struct s3_store *s = o->s;

	if (o->v1 || o->tried_other || s->listing == S3_LIST_V2)
		return false;
	if (s->listing == S3_LIST_AUTO)
		log_info("%s: the server lists by version 1", s->store.url);
	s->listing = S3_LIST_V1;
	o->tried_other = true;
	return true;
}

static void
listed(struct s3_call *k)
{
	struct s3_op *o = k->arg;
	struct s3_listing l;
	int rc;

	if (k->rc == -EOPNOTSUPP && !o->canceled && other_version(o)) {
		ask_page(o);
		return;
	}
	if (k->rc < 0) {
		s3_op_end_as_call(o);
		return;
	}
	rc = s3_xml_listing(
	    strbuf_text(&k->http.text), k->http.text.len, &l, &o->r->err);
	if (rc == 0 && l.v1 && !o->canceled && other_version(o)) {
		s3_listing_fini(&l);
		ask_page(o);
		return;
	}
	if (rc < 0)
		err_wrap(&o->r->err, rc, "LIST %s%s", o->s->store.url,
		    o->r->prefix);
	else
		rc = take_page(o, &l);
	s3_listing_fini(&l);
	s3_op_end(o, rc);
}

static void
ask_page(struct s3_op *o)
{
	struct store_req *r = o->r;
	struct s3_call *k = s3_op_call(o, HTTP_GET, NULL, listed);
	unsigned n = r->max_keys;
	char max[16];

	if (!k) {
		s3_op_end_later(o, -ENOMEM);
		return;
	}
	o->v1 = o->s->listing == S3_LIST_V1;
	if (n == 0 || n > o->s->store.info.max_keys)
		n = o->s->store.info.max_keys;
	snprintf(max, sizeof(max), "%u", n);
	if (!o->v1)
		s3_query_add(&k->query, "list-type", "2");
	s3_query_add(&k->query, "max-keys", max);
	s3_query_add(&k->query, "encoding-type", "url");
	if (*r->prefix)
		s3_query_add(&k->query, "prefix", r->prefix);
	if (r->start_after && *r->start_after)
		s3_query_add(&k->query, o->v1 ? "marker" : "start-after",
		    r->start_after);
	k->http.recv_cap = PAGE_BYTES;
	s3_call_submit(k);
}

void
s3_op_list(struct s3_op *o)
{
	ask_page(o);
}

/* --- BATCH ----------------------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
	const struct store_item *x = *(const struct store_item *const *)a;
	const struct store_item *y = *(const struct store_item *const *)b;

	return strcmp(x->key, y->key);
}

/* The items of this key all get this rc. */
static void
settle(struct store_item **sorted, unsigned n, const char *key, int rc)
{
	unsigned lo = 0, hi = n;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (strcmp(sorted[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && strcmp(sorted[lo]->key, key) == 0; lo++)
		sorted[lo]->rc = rc;
}

static int
take_results(struct s3_op *o, const struct s3_delete_result *d)
{
	struct store_req *r = o->r;
	struct store_item **sorted;
	int rc = 0;

	sorted = calloc(r->nitems, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (unsigned i = 0; i < r->nitems; i++) {
		r->items[i].rc = -EIO;
		sorted[i] = &r->items[i];
	}
	qsort(sorted, r->nitems, sizeof(*sorted), by_key);
	for (size_t i = 0; i < d->n; i++) {
		const char *code = d->text.s + d->v[i].code;
		const char *key = d->text.s + d->v[i].key;
		int one = *code ? s3_code_rc(code) : 0;

		settle(sorted, r->nitems, key, one);
		if (one < 0 && rc == 0)
			rc = err_set(&r->err, one,
			    "DELETE %s%s (in a batch of %u): %s: %s",
			    o->s->store.url, key, r->nitems, code,
			    d->text.s + d->v[i].message);
	}
	free(sorted);
	for (unsigned i = 0; i < r->nitems && rc == 0; i++)
		if (r->items[i].rc < 0)
			rc = err_set(&r->err, -EIO,
			    "DELETE %s%s (in a batch of %u): the server did "
			    "not say what became of it", o->s->store.url,
			    r->items[i].key, r->nitems);
	return rc;
}

static void
deleted(struct s3_call *k)
{
	struct s3_op *o = k->arg;
	struct s3_delete_result d;
	int rc;

	if (k->rc < 0) {
		for (unsigned i = 0; i < o->r->nitems; i++)
			o->r->items[i].rc = k->rc;
		s3_op_end_as_call(o);
		return;
	}
	rc = s3_xml_deleted(
	    strbuf_text(&k->http.text), k->http.text.len, &d, &o->r->err);
	if (rc < 0)
		err_wrap(&o->r->err, rc, "batch of DELETE in %s",
		    o->s->store.url);
	else
		rc = take_results(o, &d);
	s3_delete_result_fini(&d);
	s3_op_end(o, rc);
}

static bool
content_md5(const struct strbuf *b, char out[32])
{
	uint8_t md5[EVP_MAX_MD_SIZE];
	unsigned n;

	if (EVP_Digest(b->s, b->len, md5, &n, EVP_md5(), NULL) != 1)
		return false;
	EVP_EncodeBlock((unsigned char *)out, md5, (int)n);
	return true;
}

static void
make_body(struct s3_op *o)
{
	struct strbuf *b = &o->body;

	strbuf_puts(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < o->r->nitems; i++) {
		strbuf_puts(b, "<Object><Key>");
		s3_xml_escape(b, o->r->items[i].key);
		strbuf_puts(b, "</Key></Object>");
	}
	strbuf_puts(b, "<Quiet>false</Quiet></Delete>");
}

void
s3_op_batch(struct s3_op *o)
{
	struct s3_call *k;
	char md5[32];

	if (o->r->nitems == 0) {
		s3_op_end_later(o, 0);
		return;
	}
	k = s3_op_call(o, HTTP_POST, NULL, deleted);
	make_body(o);
	if (!k || o->body.failed) {
		s3_op_end_later(o, -ENOMEM);
		return;
	}
	if (!content_md5(&o->body, md5)) {
		err_set(&o->r->err, -EIO, "OpenSSL has no MD5, which "
		    "DeleteObjects needs");
		s3_op_end_later(o, -EIO);
		return;
	}
	s3_query_add(&k->query, "delete", "");
	s3_call_header(k, "content-md5", md5);
	s3_call_header(k, "content-type", "application/xml");
	k->http.send = o->body.s;
	k->http.send_len = o->body.len;
	k->http.recv_cap = PAGE_BYTES;
	s3_call_submit(k);
}
