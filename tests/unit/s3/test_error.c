/* SPDX-License-Identifier: Apache-2.0 */
/* From answers to sentences: each error that people meet when they set
 * something up says what to do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/answer.h"
#include "s3/error.h"

#define NOW 1369353600 /* Fri, 24 May 2013 00:00:00 GMT */

struct answer { /* one answer, and what is made of it */
	struct http_answer a;
	struct s3_asked q;
	struct s3_verdict v;
	struct err e;
};

static void
setup(struct answer *x, int status)
{
	memset(x, 0, sizeof(*x));
	http_answer_init(&x->a);
	x->a.status = status;
	x->q = (struct s3_asked){
		.what = "GET s3://b/k",
		.bucket = "b",
		.endpoint = "http://h:1",
		.region = "us-east-1",
		.access_id = "AKIAX",
		.cred_source = "the environment",
		.now_s = NOW,
	};
}

static void
header(struct answer *x, const char *line)
{
	assert_int_equal(http_answer_line(&x->a, line, strlen(line), NULL), 0);
}

static void
judge_body(struct answer *x, const char *body)
{
	s3_judge(&x->a, body, strlen(body), &x->q, &x->v, &x->e);
	assert_int_equal(x->e.rc, x->v.rc);
	assert_non_null(strstr(x->e.text, x->q.what));
}

static void
judge(struct answer *x, const char *code)
{
	char body[512];

	snprintf(body, sizeof(body), "<Error><Code>%s</Code>"
	    "<Message>words</Message><RequestId>R7</RequestId></Error>", code);
	judge_body(x, body);
	assert_string_equal(x->v.code, code);
}

static void
one(int status, const char *code, int rc, enum s3_advice advice,
    const char *says)
{
	struct answer x;

	setup(&x, status);
	judge(&x, code);
	if (x.v.rc != rc || x.v.advice != advice)
		fail_msg("%s: rc %d (%d wanted), advice %d: %s", code, x.v.rc,
		    rc, x.v.advice, x.e.text);
	if (says && !strstr(x.e.text, says))
		fail_msg("%s: \"%s\" does not say \"%s\"", code, x.e.text,
		    says);
	http_answer_fini(&x.a);
}

static void
codes(void **state)
{
	one(404, "NoSuchKey", -ENOENT, S3_GIVE_UP, NULL);
	one(404, "NoSuchBucket", -ENXIO, S3_GIVE_UP,
	    "there is no bucket b at http://h:1");
	one(403, "SignatureDoesNotMatch", -EACCES, S3_GIVE_UP,
	    "the secret key does not belong to access key AKIAX (both from "
	    "the environment) (request R7)");
	one(403, "InvalidAccessKeyId", -EACCES, S3_GIVE_UP,
	    "does not know access key AKIAX");
	one(403, "AccessDenied", -EACCES, S3_GIVE_UP,
	    "AKIAX (from the environment) may not do this with bucket b");
	one(400, "ExpiredToken", -EACCES, S3_NEW_KEYS, "has expired");
	one(503, "SlowDown", -EAGAIN, S3_TRY_AGAIN, "words");
	one(500, "InternalError", -EAGAIN, S3_TRY_AGAIN, NULL);
	one(400, "RequestTimeout", -EAGAIN, S3_TRY_AGAIN, NULL);
	one(409, "OperationAborted", -EAGAIN, S3_TRY_AGAIN, NULL);
	one(400, "BadDigest", -EBADMSG, S3_TRY_AGAIN, NULL);
	one(416, "InvalidRange", -ERANGE, S3_GIVE_UP, NULL);
	one(501, "NotImplemented", -EOPNOTSUPP, S3_GIVE_UP, NULL);
	one(400, "NobodyKnowsThis", -EINVAL, S3_GIVE_UP,
	    "HTTP 400 NobodyKnowsThis: words (request R7)");
	/* A permanent code with a status that may pass. */
	one(503, "AccessDenied", -EAGAIN, S3_TRY_AGAIN, NULL);
}

static void
statuses_without_a_body(void **state)
{
	static const struct {
		int status, rc;
	} t[] = {{403, -EACCES}, {401, -EACCES}, {404, -EAGAIN},
	    {409, -EAGAIN}, {429, -EAGAIN}, {500, -EAGAIN}, {502, -EAGAIN},
	    {503, -EAGAIN}, {504, -EAGAIN}, {501, -EOPNOTSUPP},
	    {507, -ENOSPC}, {400, -EINVAL}, {301, -EREMOTE},
	    {416, -ERANGE}, {413, -EMSGSIZE}, {204 + 100, -EBADMSG}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct answer x;

		setup(&x, t[i].status);
		judge_body(&x, "");
		if (x.v.rc != t[i].rc)
			fail_msg("status %d: rc %d", t[i].status, x.v.rc);
		http_answer_fini(&x.a);
	}
}

static void
a_clock_that_is_wrong(void **state)
{
	struct answer x;

	setup(&x, 403);
	x.q.now_s = NOW + 1230;
	header(&x, "Date: Fri, 24 May 2013 00:00:00 GMT");
	judge(&x, "RequestTimeTooSkewed");
	assert_int_equal(x.v.rc, -EACCES);
	assert_non_null(strstr(x.e.text, "20 min 30 s ahead of the server's"));
	http_answer_fini(&x.a);
	/* It says so by itself; and after success it may pass. */
	setup(&x, 403);
	x.q.worked_before = true;
	x.q.now_s = NOW - 3600;
	judge_body(&x, "<Error><Code>RequestTimeTooSkewed</Code>"
	    "<ServerTime>2013-05-24T00:00:00Z</ServerTime></Error>");
	assert_int_equal(x.v.rc, -EAGAIN);
	assert_non_null(strstr(x.e.text, "60 min 0 s behind the server's"));
	http_answer_fini(&x.a);
}

static void
another_region(void **state)
{
	struct answer x;

	setup(&x, 400);
	judge_body(&x, "<Error><Code>AuthorizationHeaderMalformed</Code>"
	    "<Region>eu-west-1</Region></Error>");
	assert_int_equal(x.v.rc, -EREMOTE);
	assert_non_null(strstr(x.e.text,
	    "the region is eu-west-1, not us-east-1: set region=eu-west-1"));
	http_answer_fini(&x.a);
	setup(&x, 301);
	header(&x, "x-amz-bucket-region: ap-south-1");
	judge_body(&x, "");
	assert_int_equal(x.v.rc, -EREMOTE);
	assert_non_null(strstr(x.e.text, "set region=ap-south-1"));
	http_answer_fini(&x.a);
	setup(&x, 301);
	judge_body(&x, "<Error><Code>PermanentRedirect</Code><Endpoint>"
	    "b.s3-eu-west-1.amazonaws.com</Endpoint></Error>");
	assert_non_null(strstr(x.e.text,
	    "bucket b is at the endpoint b.s3-eu-west-1.amazonaws.com"));
	http_answer_fini(&x.a);
}

static void
conditions_and_buckets(void **state)
{
	struct answer x;

	setup(&x, 412);
	x.q.conditional = true;
	judge(&x, "PreconditionFailed");
	assert_int_equal(x.v.rc, -EEXIST);
	http_answer_fini(&x.a);
	setup(&x, 412);
	judge(&x, "PreconditionFailed");
	assert_int_equal(x.v.rc, -EINVAL);
	http_answer_fini(&x.a);
	setup(&x, 404);
	x.q.want_bucket = true;
	judge(&x, "NoSuchBucket");
	assert_int_equal(x.v.rc, -ENOENT);
	http_answer_fini(&x.a);
}

/* A proxy without its server answers so; nothing is known of the object. */
static void
a_404_that_is_not_s3s_is_no_absent_object(void **state)
{
	static const char *const bodies[] = {"", "<html>404</html>",
	    "not found"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct answer x;

		setup(&x, 404);
		judge_body(&x, bodies[i]);
		assert_int_equal(x.v.rc, -EAGAIN);
		assert_int_equal(x.v.advice, S3_TRY_AGAIN);
		assert_non_null(strstr(x.e.text, "is not S3's"));
		http_answer_fini(&x.a);
	}
}

static void
throttling_says_how_long(void **state)
{
	struct answer x;

	setup(&x, 503);
	header(&x, "Retry-After: 3");
	judge(&x, "SlowDown");
	assert_int_equal(x.v.retry_after_ns, 3 * NS_PER_S);
	http_answer_fini(&x.a);
}

static void
without_keys_and_without_s3(void **state)
{
	struct answer x;

	setup(&x, 403);
	x.q.access_id = NULL;
	judge(&x, "AccessDenied");
	assert_non_null(strstr(x.e.text, "without a key"));
	http_answer_fini(&x.a);
	setup(&x, 400);
	judge_body(&x, "<html>Bad request</html>");
	assert_non_null(strstr(x.e.text, "is http://h:1 an S3 server?"));
	http_answer_fini(&x.a);
}

static void
codes_of_a_batch(void **state)
{
	assert_int_equal(s3_code_rc("NoSuchKey"), 0);
	assert_int_equal(s3_code_rc("AccessDenied"), -EACCES);
	assert_int_equal(s3_code_rc("InternalError"), -EAGAIN);
	assert_int_equal(s3_code_rc("Whatever"), -EIO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(codes),
	    cmocka_unit_test(statuses_without_a_body),
	    cmocka_unit_test(a_clock_that_is_wrong),
	    cmocka_unit_test(another_region),
	    cmocka_unit_test(conditions_and_buckets),
	    cmocka_unit_test(throttling_says_how_long),
	    cmocka_unit_test(a_404_that_is_not_s3s_is_no_absent_object),
	    cmocka_unit_test(without_keys_and_without_s3),
	    cmocka_unit_test(codes_of_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
