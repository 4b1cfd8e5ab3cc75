/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c: from an S3 error to a sentence.
 *
 * The code in the body decides, and the status where there is no body (HEAD)
 * or none that we understand.  One table maps codes to what they mean for us;
 * for those that people meet when they set something up there is advice with
 * the names and values that matter: which key, which region, how wrong the
 * clock is.
 *
 * Throttling and 5xx are transient.  So is a clock that is suddenly wrong
 * after requests have been accepted: a virtual machine that was suspended has
 * that until its clock is set.
 */
#include "s3/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/answer.h"
#include "s3/xml.h"

#define ADVICE_MAX 320

struct fault_ctx {
	const struct http_answer *a;
	const struct s3_asked *q;
	const struct s3_fault *f;
	struct s3_verdict *v;
	char *advice; /* ADVICE_MAX bytes */
};

/* --- advice ---------------------------------------------------------------- */

static const char *
whose(const struct s3_asked *q)
{
	return q->cred_source ? q->cred_source : "the settings";
}

static void
say_signature(struct fault_ctx *c)
{
	snprintf(c->advice, ADVICE_MAX,
	    "the secret key does not belong to access key %s (both from %s)",
	    c->q->access_id ? c->q->access_id : "(none)", whose(c->q));
}

static void
say_unknown_key(struct fault_ctx *c)
{
	snprintf(c->advice, ADVICE_MAX,
	    "the server does not know access key %s (from %s)",
	    c->q->access_id ? c->q->access_id : "(none)", whose(c->q));
}

static void
say_clock(struct fault_ctx *c)
{
	int64_t server = s3_parse_time(c->f->server_time), off;

	if (c->q->worked_before) {
		c->v->rc = -EAGAIN;
		c->v->advice = S3_TRY_AGAIN;
	}
	if (!server)
		server = c->a->date_s;
	if (!server) {
		snprintf(c->advice, ADVICE_MAX,
		    "this machine's clock and the server's differ by more "
		    "than 15 minutes; set the clock");
		return;
	}
	off = c->q->now_s - server;
	snprintf(c->advice, ADVICE_MAX,
	    "this machine's clock is %lld min %lld s %s the server's; set it",
	    (long long)((off < 0 ? -off : off) / 60),
	    (long long)((off < 0 ? -off : off) % 60),
	    off < 0 ? "behind" : "ahead of");
}

static const char *
right_region(const struct fault_ctx *c)
{
	const char *r = http_answer_get(c->a, "x-amz-bucket-region");

	if (r && *r)
		return r;
	return c->f->region[0] ? c->f->region : NULL;
}

static void
say_region(struct fault_ctx *c)
{
	const char *r = right_region(c);

	if (r)
		snprintf(c->advice, ADVICE_MAX,
		    "the region is %s, not %s: set region=%s", r,
		    c->q->region, r);
	else
		snprintf(c->advice, ADVICE_MAX,
		    "the server wants another region than %s, or another "
		    "kind of signature", c->q->region);
}

static void
say_moved(struct fault_ctx *c)
{
	const char *to = http_answer_get(c->a, "location");

	if (right_region(c))
		say_region(c);
	else if (c->f->endpoint[0])
		snprintf(c->advice, ADVICE_MAX,
		    "bucket %s is at the endpoint %s", c->q->bucket,
		    c->f->endpoint);
	else if (to)
		snprintf(c->advice, ADVICE_MAX, "%s points to %.160s",
		    c->q->endpoint, to);
	else
		snprintf(c->advice, ADVICE_MAX,
		    "bucket %s is at another endpoint or in another region",
		    c->q->bucket);
}

static void
say_bucket(struct fault_ctx *c)
{
	c->v->rc = c->q->want_bucket ? -ENOENT : -ENXIO;
	snprintf(c->advice, ADVICE_MAX,
	    "there is no bucket %s at %s: create it, or check the URL",
	    c->q->bucket, c->q->endpoint);
}

static void
say_denied(struct fault_ctx *c)
{
	if (c->q->access_id)
		snprintf(c->advice, ADVICE_MAX,
		    "access key %s (from %s) may not do this with bucket %s",
		    c->q->access_id, whose(c->q), c->q->bucket);
	else
		snprintf(c->advice, ADVICE_MAX,
		    "bucket %s is not open to requests without a key",
		    c->q->bucket);
}

static void
say_expired(struct fault_ctx *c)
{
	c->v->advice = S3_NEW_KEYS;
	snprintf(c->advice, ADVICE_MAX,
	    "the temporary key %s (from %s) has expired",
	    c->q->access_id ? c->q->access_id : "", whose(c->q));
}

/* --- the table ------------------------------------------------------------- */

static const struct fault {
	const char *code;
	int rc;
	enum s3_advice advice;
	void (*say)(struct fault_ctx *c);
} faults[] = {
	{"NoSuchKey", -ENOENT, S3_GIVE_UP, NULL},
	{"NoSuchVersion", -ENOENT, S3_GIVE_UP, NULL},
	{"NoSuchBucket", -ENXIO, S3_GIVE_UP, say_bucket},
	{"PreconditionFailed", -EEXIST, S3_GIVE_UP, NULL},
	{"SignatureDoesNotMatch", -EACCES, S3_GIVE_UP, say_signature},
	{"InvalidAccessKeyId", -EACCES, S3_GIVE_UP, say_unknown_key},
	{"InvalidClientTokenId", -EACCES, S3_GIVE_UP, say_unknown_key},
	{"RequestTimeTooSkewed", -EACCES, S3_GIVE_UP, say_clock},
	{"RequestExpired", -EACCES, S3_GIVE_UP, say_clock},
	{"AuthorizationHeaderMalformed", -EREMOTE, S3_GIVE_UP, say_region},
	{"IllegalLocationConstraintException", -EREMOTE, S3_GIVE_UP,
	    say_region},
	{"PermanentRedirect", -EREMOTE, S3_GIVE_UP, say_moved},
	{"TemporaryRedirect", -EAGAIN, S3_TRY_AGAIN, say_moved},
	{"AccessDenied", -EACCES, S3_GIVE_UP, say_denied},
	{"AllAccessDisabled", -EACCES, S3_GIVE_UP, say_denied},
	{"AccountProblem", -EACCES, S3_GIVE_UP, NULL},
	{"NotSignedUp", -EACCES, S3_GIVE_UP, NULL},
	{"ExpiredToken", -EACCES, S3_NEW_KEYS, say_expired},
	{"ExpiredTokenException", -EACCES, S3_NEW_KEYS, say_expired},
	{"TokenRefreshRequired", -EACCES, S3_NEW_KEYS, say_expired},
	{"InvalidToken", -EACCES, S3_GIVE_UP, NULL},
	{"InvalidObjectState", -EACCES, S3_GIVE_UP, NULL},
	{"SlowDown", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"ServiceUnavailable", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"Throttling", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"TooManyRequests", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"InternalError", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"OperationAborted", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"ConditionalRequestConflict", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"ConcurrentModification", -EAGAIN, S3_TRY_AGAIN, NULL},
	{"RequestTimeout", -EAGAIN, S3_TRY_AGAIN, NULL},
	/* Damaged on the way; the next try carries the body again. */
	{"BadDigest", -EBADMSG, S3_TRY_AGAIN, NULL},
	{"XAmzContentSHA256Mismatch", -EBADMSG, S3_TRY_AGAIN, NULL},
	{"IncompleteBody", -EBADMSG, S3_TRY_AGAIN, NULL},
	{"InvalidRange", -ERANGE, S3_GIVE_UP, NULL},
	{"NotImplemented", -EOPNOTSUPP, S3_GIVE_UP, NULL},
	{"MethodNotAllowed", -EOPNOTSUPP, S3_GIVE_UP, NULL},
	{"EntityTooLarge", -EMSGSIZE, S3_GIVE_UP, NULL},
	{"QuotaExceeded", -ENOSPC, S3_GIVE_UP, NULL},
	{"XMinioStorageFull", -ENOSPC, S3_GIVE_UP, NULL},
};

#define NFAULTS (sizeof(faults) / sizeof(faults[0]))

static const struct fault *
find(const char *code)
{
	for (size_t i = 0; i < NFAULTS; i++)
		if (strcmp(faults[i].code, code) == 0)
			return &faults[i];
	return NULL;
}

/* For a status without a code, or with one that we do not know. */
static int
status_rc(int status, const struct s3_asked *q)
{
	switch (status) {
	case 301:
	case 302:
	case 307:
	case 308:
		return -EREMOTE;
	case 401:
	case 403:
	case 407:
		return -EACCES;
	case 404:
	case 410:
		return -ENOENT;
	case 405:
	case 501:
		return -EOPNOTSUPP;
	case 408:
	case 425:
	case 429:
		return -EAGAIN;
	case 409: /* several writers at once */
		return -EAGAIN;
	case 412:
		return q->conditional ? -EEXIST : -EINVAL;
	case 413:
		return -EMSGSIZE;
	case 416:
		return -ERANGE;
	case 507:
		return -ENOSPC;
	default:
		if (status >= 500)
			return -EAGAIN;
		return status >= 400 ? -EINVAL : -EBADMSG;
	}
}

static void
by_status(struct fault_ctx *c)
{
	c->v->rc = status_rc(c->a->status, c->q);
	c->v->advice = c->v->rc == -EAGAIN ? S3_TRY_AGAIN : S3_GIVE_UP;
	if (c->v->rc == -EREMOTE)
		say_moved(c);
	else if (c->v->rc == -EACCES && !c->f->code[0])
		say_denied(c);
}

int
s3_code_rc(const char *code)
{
	const struct fault *x = find(code);

	if (!x)
		return -EIO;
	return x->rc == -ENOENT ? 0 : x->rc;
}

/* The server's own words, where they add something to the code. */
static void
sentence(struct fault_ctx *c, struct err *e)
{
	const char *id = c->f->request_id[0]
	    ? c->f->request_id
	    : http_answer_get(c->a, "x-amz-request-id");
	const char *said = c->f->message;
	const char *gap = c->advice[0] ? ": " : said[0] ? ": " : "";

	err_set(e, c->v->rc, "%s: HTTP %d%s%s%s%s%s%.64s%s", c->q->what,
	    c->a->status, c->f->code[0] ? " " : "", c->f->code, gap,
	    c->advice[0] ? c->advice : said, id && *id ? " (request " : "",
	    id ? id : "", id && *id ? ")" : "");
}

void
s3_judge(const struct http_answer *a, const void *body, size_t n,
    const struct s3_asked *q, struct s3_verdict *v, struct err *e)
{
	char advice[ADVICE_MAX] = "";
	struct s3_fault f;
	struct fault_ctx c = {a, q, &f, v, advice};
	const struct fault *x;
	bool s3 = s3_xml_fault(body, n, &f);

	memset(v, 0, sizeof(*v));
	snprintf(v->code, sizeof(v->code), "%s", f.code);
	x = find(f.code);
	if (x) {
		v->rc = x->rc;
		v->advice = x->advice;
		if (x->say)
			x->say(&c);
		if (v->rc == -EEXIST && !q->conditional)
			v->rc = -EINVAL;
	} else {
		by_status(&c);
		/* A proxy that has lost its server says so as well; to take
		 * that for an absent object would make zeros of data. */
		if (v->rc == -ENOENT && !s3) {
			v->rc = -EAGAIN;
			v->advice = S3_TRY_AGAIN;
		}
		if (!s3 && (n || a->status == 404) && a->status < 500 &&
		    !advice[0])
			snprintf(advice, sizeof(advice),
			    "the answer is not S3's: is %s an S3 server?",
			    q->endpoint);
	}
	/* Whatever it is called: a 5xx may pass, and 429 will. */
	if ((a->status >= 500 && a->status != 501 && a->status != 507 &&
		v->rc != -ENOSPC) || a->status == 429) {
		v->rc = -EAGAIN;
		v->advice = S3_TRY_AGAIN;
	}
	if (a->retry_after_s > 0)
		v->retry_after_ns = a->retry_after_s * NS_PER_S;
	sentence(&c, e);
}
