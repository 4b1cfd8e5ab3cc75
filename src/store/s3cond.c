/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3cond.c: PUT if absent of the store s3, by If-None-Match: *.
 *
 *   probe (once) -> PUT -> 200: we have won
 *                       -> 412: somebody was before us (-EEXIST)
 *                       -> 501 ...: the server cannot (-EOPNOTSUPP)
 *                       -> time-out, broken connection, 5xx: not known
 *                             -> GET it back: our bytes: we have won
 *                                             others':   -EEXIST
 *                                             none:      the error of the PUT
 *
 * There are servers that ignore the condition and overwrite, so nobody can
 * know from a 200 that it was honoured.  Before the first such PUT of a
 * process the server is therefore tried out, with an object of our own: its
 * first conditional PUT must succeed and its second must not.
 *
 * A conditional PUT is sent once, on a new connection: a repetition that the
 * engine made by itself would find our own object and report a loss.
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/must.h"
#include "store/s3int.h"

static void put_it(struct s3_op *o);

/* --- the PUT itself ---------------------------------------------------------------- */

static void
end_with_saved(struct s3_op *o)
{
	err_copy(&o->r->err, &o->err);
	s3_op_end(o, o->rc);
}

static void
read_back(struct s3_call *k)
{
	struct s3_op *o = k->arg;
	const struct buf *b = o->r->body;

	if (k->rc == 0 && k->http.text.len == b->len &&
	    memcmp(strbuf_text(&k->http.text), b->data, b->len) == 0) {
		s3_op_tag(o->r, &k->http.answer);
		s3_op_end(o, 0);
	} else if (k->rc == 0 || k->rc == -EMSGSIZE) {
		s3_op_end(o, -EEXIST);
	} else {
		/* Absent, or not to be found out: it may still happen, as
		 * after any failed PUT (W5). */
		end_with_saved(o);
	}
}

/* Who has won? */
static void
look(struct s3_op *o)
{
	struct s3_call *k;

	o->rc = o->call->rc;
	err_copy(&o->err, &o->call->err);
	o->r->retry_after_ns = o->call->verdict.retry_after_ns;
	k = s3_op_call(o, HTTP_GET, o->r->key, read_back);
	if (!k) {
		end_with_saved(o);
		return;
	}
	/* The deadline of the PUT may be over; this is short. */
	k->http.deadline_ns = 0;
	k->http.recv_cap = o->r->body->len;
	s3_call_submit(k);
}

static bool
ambiguous(const struct s3_call *k)
{
	if (k->http.rc < 0)
		return k->http.sent && k->http.rc != -ECANCELED;
	return k->http.answer.status >= 500 && k->http.answer.status != 501;
}

static void
put_done(struct s3_call *k)
{
	struct s3_op *o = k->arg;

	if (k->rc < 0 && !o->canceled && ambiguous(k)) {
		look(o);
		return;
	}
	if (k->rc == -EOPNOTSUPP)
		o->s->if_absent = S3_NO;
	if (k->rc == -ENOENT)
		k->rc = -ENXIO;
	if (k->rc == 0)
		s3_op_tag(o->r, &k->http.answer);
	s3_op_end_as_call(o);
}

static void
put_it(struct s3_op *o)
{
	struct s3_call *k = s3_op_call(o, HTTP_PUT, o->r->key, put_done);

	if (!k) {
		s3_op_end_later(o, -ENOMEM);
		return;
	}
	k->conditional = true;
	k->http.once = true;
	k->http.send = o->r->body->data;
	k->http.send_len = o->r->body->len;
	s3_op_put_headers(o, k);
	s3_call_header(k, "if-none-match", "*");
	s3_call_submit(k);
}

/* --- the probe --------------------------------------------------------------------- */

struct probe {
	struct s3_store *s;
	struct s3_call *call;
	char key[STORE_KEY_MAX + 1];
	unsigned step; /* 0: first PUT, 1: second PUT, 2: DELETE */
	bool made;     /* there may be an object to delete */
	int rc;	       /* 0: the server can */
	struct err err;
};

static int probe_step(struct probe *p);

static void
probe_end(struct probe *p)
{
	struct s3_store *s = p->s;
	struct list waiting;
	struct list *l;

	s->probing = false;
	if (p->rc == 0)
		s->if_absent = S3_YES;
	else if (p->rc == -EOPNOTSUPP)
		s->if_absent = S3_NO;
	/* Else it is not known; the next one tries again. */
	list_init(&waiting);
	list_splice_back(&waiting, &s->probe_waits);
	while ((l = list_pop_front(&waiting))) {
		struct store_req *r = list_entry(l, struct store_req, link);
		struct s3_op *o = r->priv;

		if (o->canceled) {
			s3_op_end(o, -ECANCELED);
		} else if (p->rc == 0) {
			put_it(o);
		} else {
			err_copy(&r->err, &p->err);
			s3_op_end(o, p->rc);
		}
	}
	s3_call_free(p->call);
	free(p);
}

static void
probe_done(struct s3_call *k)
{
	struct probe *p = k->arg;

	if (p->step == 2) { /* what was left behind is small and named */
		if (k->rc < 0 && k->rc != -ENOENT)
			log_warn("%s: an object %s is left over: %s",
			    p->s->store.url, p->key, err_text(&k->err));
		probe_end(p);
		return;
	}
	p->made |= k->rc == 0 || ambiguous(k);
	if (p->step == 1 && k->rc == 0) {
		p->rc = err_set(&p->err, -EOPNOTSUPP,
		    "%s: the server ignores If-None-Match on PUT",
		    p->s->store.url);
		log_warn("%s: of several who mount a volume at once more than "
			 "one may win", p->err.text);
	} else if (k->rc < 0 && !(p->step == 1 && k->rc == -EEXIST)) {
		p->rc = k->rc == -ENOENT ? -ENXIO : k->rc;
		err_copy(&p->err, &k->err);
	}
	p->step = p->rc < 0 ? 2 : p->step + 1;
	if ((p->step == 2 && !p->made) || probe_step(p) < 0)
		probe_end(p);
}

static int
probe_step(struct probe *p)
{
	static const char body[] = "pail tries whether PUT honours "
	    "If-None-Match; this object may be deleted\n";
	struct s3_call *k;

	s3_call_free(p->call);
	k = p->call = s3_call_new(p->s->client,
	    p->step < 2 ? HTTP_PUT : HTTP_DELETE, p->key);
	if (!k)
		return p->rc = err_errno(
			   &p->err, -ENOMEM, "%s", p->s->store.url);
	k->arg = p;
	k->done = probe_done;
	if (p->step < 2) {
		k->conditional = true;
		k->http.once = true;
		k->http.send = body;
		k->http.send_len = sizeof(body) - 1;
		s3_call_header(k, "content-type", "text/plain");
		s3_call_header(k, "if-none-match", "*");
	}
	s3_call_submit(k);
	return 0;
}

/* The request waits for it from before the first step, which cannot end
 * inside this call. */
static int
probe_start(struct s3_op *o)
{
	struct probe *p = calloc(1, sizeof(*p));
	uint8_t rnd[8];
	char hex[17];
	int rc;

	if (!p)
		return -ENOMEM;
	if (RAND_bytes(rnd, sizeof(rnd)) != 1) {
		free(p);
		return err_set(&o->r->err, -EIO, "no random numbers");
	}
	for (int i = 0; i < 8; i++)
		snprintf(hex + 2 * i, 3, "%02x", rnd[i]);
	/* Beside the key, where we may write if anywhere. */
	snprintf(p->key, sizeof(p->key), "%.900s-pail-probe-%s", o->r->key,
	    hex);
	p->s = o->s;
	rc = probe_step(p);
	if (rc < 0) {
		free(p);
		return rc;
	}
	o->s->probing = true;
	return 0;
}

void
s3_op_put_if_absent(struct s3_op *o)
{
	struct s3_store *s = o->s;
	int rc = 0;

	if (s->if_absent == S3_YES) {
		put_it(o);
		return;
	}
	if (s->if_absent == S3_NO) {
		err_set(&o->r->err, -EOPNOTSUPP,
		    "%s: the server does not honour If-None-Match on PUT",
		    s->store.url);
		s3_op_end_later(o, -EOPNOTSUPP);
		return;
	}
	if (!s->probing)
		rc = probe_start(o);
	if (rc < 0) {
		s3_op_end_later(o, rc);
		return;
	}
	list_push_back(&s->probe_waits, &o->r->link);
}
