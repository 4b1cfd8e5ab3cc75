/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_S3INT_H
#define STORE_S3INT_H

#include "s3/client.h"
#include "s3/config.h"
#include "store/store.h"

/*
 * Between the files of the store s3: s3.c (opening, dispatch, GET, HEAD, PUT,
 * DELETE), s3list.c (LIST, BATCH), s3cond.c (PUT if absent).
 */
struct s3_store {
	struct store store; /* first */
	struct s3_client *client;
	enum s3_list_version listing;     /* auto until a server said what it knows */
	enum s3_tristate if_absent;   /* auto until probed */
	bool probing;
	struct list probe_waits; /* struct store_req that wait for the probe */
	struct list inflight; /* struct s3_op */
};

/* One store request in progress: r->priv. */
struct s3_op {
	struct s3_store *s;
	struct store_req *r;
	struct s3_call *call;
	struct list link;     /* s->inflight */
	struct strbuf body;   /* of a BATCH; or what was read back */
	bool canceled;
	bool v1;	      /* LIST: asked by version 1 */
	bool tried_other;     /* LIST: of the two versions */
	/* s3cond.c */
	int rc;
	struct err err;
};

/* A call for this request, set up with its key, deadline and done; NULL: no
 * memory.  The call before it is given back. */
struct s3_call *s3_op_call(struct s3_op *o, enum http_method m,
    const char *key, void (*done)(struct s3_call *k));
/* End the request with this rc and o->r->err. */
void s3_op_end(struct s3_op *o, int rc);
void s3_op_end_later(struct s3_op *o, int rc); /* from inside submit */
/* The same with the rc and the sentence of the call. */
void s3_op_end_as_call(struct s3_op *o);
void s3_op_put_headers(struct s3_op *o, struct s3_call *k);
void s3_op_tag(struct store_req *r, const struct http_answer *a);

void s3_op_list(struct s3_op *o);
void s3_op_batch(struct s3_op *o);
void s3_op_put_if_absent(struct s3_op *o);

#endif
