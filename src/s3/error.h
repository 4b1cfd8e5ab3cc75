/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_ERROR_H
#define S3_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What an S3 answer that is no success means: a negative errno for the
 * machine, and a sentence with S3's code, what it says, the request's id and
 * what to do.  A pure function, so that tests can list all cases.
 */
struct err;
struct http_answer;

enum s3_advice {
	S3_GIVE_UP,	/* permanent */
	S3_TRY_AGAIN,	/* transient: later */
	S3_NEW_KEYS,	/* the credentials have expired: renew, once */
};

struct s3_asked { /* what the sentence needs to know */
	const char *what;     /* "GET s3://bucket/key" */
	const char *bucket;
	const char *endpoint; /* "http://host:port" */
	const char *region;
	const char *access_id; /* NULL: anonymous */
	const char *cred_source; /* "the environment", ...; or NULL */
	int64_t now_s;	      /* our wall clock when the answer came */
	bool worked_before;   /* some request of this process was accepted */
	bool want_bucket;     /* it was about the bucket, not about a key */
	bool conditional;     /* it had If-None-Match: * */
};

struct s3_verdict {
	int rc;
	enum s3_advice advice;
	int64_t retry_after_ns; /* 0: the server said nothing */
	char code[64];	/* S3's code, or "" */
};

/*
 * a: an answer whose status is not 2xx (and not 304); body: n bytes.
 *  -ENOENT   no such key (or, for want_bucket, no such bucket), in S3's words
 *  -ENXIO    no such bucket, although a key was asked for
 *  -EEXIST   412 of a conditional PUT
 *  -EACCES   refused: keys, signature, clock, rights
 *  -EREMOTE  another region or endpoint has this bucket
 *  -EAGAIN   transient
 *  -ERANGE   416
 *  -EOPNOTSUPP 501, 405
 *  -EINVAL, -EMSGSIZE, -ENOSPC  the request, its size, a quota
 *  -EBADMSG  this is not S3
 */
void s3_judge(const struct http_answer *a, const void *body, size_t n,
    const struct s3_asked *q, struct s3_verdict *v, struct err *e);

/* The rc of an S3 code inside a DeleteResult; 0: deleted already. */
int s3_code_rc(const char *code);

#endif
