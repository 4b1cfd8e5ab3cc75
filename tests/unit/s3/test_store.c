/* SPDX-License-Identifier: Apache-2.0 */
/* The store s3 against servers that answer as real ones have been seen to, and
 * as broken ones might.  (What it does with a good one is contract_s3.c.) */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "s3/config.h"
#include "store/open.h"
#include "store/s3.h"
#include "store/store.h"
#include "unit/http/fake.h"

struct ctx {
	struct loop *loop;
	struct work_pool *pool;
	struct fake *fake;
	struct store *s;
	struct s3_config conf;
	struct store_req r;
	struct buf *b;
	bool done;
	/* For handlers. */
	unsigned puts;
	int mode;
	char stored[64]; /* the object of the conditional PUTs; "" none */
	char last[2048]; /* target of the last request */
};

static void
start(struct ctx *x, fake_handler *h, const char *params)
{
	struct store_env env = {0};
	char url[512];
	struct err e = ERR_INIT;
	struct url u;

	memset(x, 0, sizeof(*x));
	x->loop = env.loop = loop_new(NULL);
	x->pool = env.pool = work_pool_new(1, NULL);
	assert_non_null(x->loop);
	assert_non_null(x->pool);
	x->fake = fake_start(h, x);
	s3_config_init(&x->conf);
	assert_int_equal(s3_config_set(&x->conf, "access-id", "AK", NULL), 0);
	assert_int_equal(s3_config_set(&x->conf, "access-key", "SK", NULL), 0);
	env.s3 = &x->conf;
	snprintf(url, sizeof(url), "s3://b?endpoint=%s%s", fake_url(x->fake),
	    params);
	assert_int_equal(url_parse(&u, url, NULL), 0);
	if (s3_store_open(&env, &u, &x->s, &e) < 0)
		fail_msg("%s", e.text);
	url_fini(&u);
	x->b = buf_new(1 << 20);
	assert_non_null(x->b);
}

static void
stop(struct ctx *x)
{
	store_req_fini(&x->r);
	store_free(x->s);
	fake_stop(x->fake);
	work_pool_free(x->pool);
	s3_config_fini(&x->conf);
	buf_unref(x->b);
	loop_free(x->loop);
}

static int
run(struct ctx *x, enum store_op op, const char *key)
{
	store_req_fini(&x->r);
	store_req_init(&x->r, op, key);
	x->r.body = x->b;
	return store_run(x->s, &x->r, NULL);
}

static int
put(struct ctx *x, const char *key, const char *text, bool if_absent)
{
	store_req_fini(&x->r);
	store_req_init(&x->r, STORE_PUT, key);
	x->r.body = x->b;
	x->r.if_absent = if_absent;
	x->b->len = strlen(text);
	memcpy(x->b->data, text, x->b->len);
	return store_run(x->s, &x->r, NULL);
}

static bool
says(struct ctx *x, const char *text)
{
	if (strstr(x->r.err.text, text))
		return true;
	print_message("\"%s\" does not say \"%s\"\n", x->r.err.text, text);
	return false;
}

static void
fault(struct fake_conn *c, int status, const char *code)
{
	char body[256];

	snprintf(body, sizeof(body), "<Error><Code>%s</Code><Message>m"
	    "</Message></Error>", code);
	fake_answer(c, status, "", body);
}

/* --- what is signed ---------------------------------------------------------- */

static void
see(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	struct ctx *x = arg;
	char auth[1024] = "", hash[100] = "", date[32] = "";
	const char *names;

	snprintf(x->last, sizeof(x->last), "%s", q->target);
	fake_header(q, "authorization", auth, sizeof(auth));
	fake_header(q, "x-amz-content-sha256", hash, sizeof(hash));
	fake_header(q, "x-amz-date", date, sizeof(date));
	names = strstr(auth, "SignedHeaders=");
	/* Everything that goes out is signed, but what libcurl adds. */
	if (!names || strncmp(auth, "AWS4-HMAC-SHA256 Credential=AK/", 31) ||
	    strlen(date) != 16 || (x->mode == 0 && strlen(hash) != 64) ||
	    (x->mode == 1 && strcmp(hash, "UNSIGNED-PAYLOAD") != 0)) {
		fault(c, 400, "BadHeaders");
		return;
	}
	for (const char *p = strchr(q->head, '\n'); p && p[1];
	     p = strchr(p + 1, '\n')) {
		static const char *const not[] = {"authorization",
		    "user-agent", "content-length"};
		char name[64];
		bool skip = false;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p + 1, ":"),
		    p + 1);
		for (int i = 0; i < 3; i++)
			skip |= strcasecmp(name, not[i]) == 0;
		if (!skip && !strcasestr(names, name)) {
			fault(c, 400, name);
			return;
		}
	}
	fake_answer(c, 200, "ETag: \"t\"\r\n", "");
}

static void
everything_is_signed(void **state)
{
	struct ctx x;

	start(&x, see, "&acl=private&storage-class=X&sse=aws:kms&sse-key-id=k");
	if (put(&x, "a b/\xc3\xa4+%", "text", false) != 0)
		fail_msg("%s", x.r.err.text);
	assert_string_equal(x.last, "/b/a%20b/%C3%A4%2B%25");
	assert_string_equal(x.r.tag, "t");
	assert_int_equal(run(&x, STORE_GET, "k"), 0);
	assert_int_equal(run(&x, STORE_HEAD, "k"), 0);
	assert_int_equal(run(&x, STORE_DELETE, "k"), 0);
	/* A large body is hashed by the pool. */
	store_req_fini(&x.r);
	store_req_init(&x.r, STORE_PUT, "large");
	x.b->len = x.b->cap;
	memset(x.b->data, 7, x.b->len);
	x.r.body = x.b;
	assert_int_equal(store_run(x.s, &x.r, NULL), 0);
	stop(&x);
	start(&x, see, "&payload=unsigned");
	x.mode = 1;
	assert_int_equal(put(&x, "k", "text", false), 0);
	stop(&x);
}

static void
token_wanted(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	char t[64] = "", auth[512] = "";

	if (fake_header(q, "authorization", auth, sizeof(auth)))
		fault(c, 400, "Signed");
	else
		fake_answer(c, 200, "", t);
}

static void
anonymous_requests_are_not(void **state)
{
	struct ctx x;

	start(&x, token_wanted, "&credentials=anonymous");
	assert_int_equal(run(&x, STORE_GET, "k"), 0);
	assert_int_equal(put(&x, "k", "text", false), 0);
	stop(&x);
}

static void
expired(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	char auth[512] = "";

	fake_header(q, "authorization", auth, sizeof(auth));
	if (strstr(auth, "Credential=NEW/"))
		fake_answer(c, 200, "", "");
	else
		fault(c, 400, "ExpiredToken");
}

static void
expired_keys_are_renewed(void **state)
{
	char path[] = "/tmp/pail-test-keys-XXXXXX", params[128];
	int fd = mkstemp(path);
	struct ctx x;

	assert_int_equal(write(fd, "OLD:1\n", 6), 6);
	snprintf(params, sizeof(params),
	    "&credentials=access-file&access-file=%s&access-id=OLD", path);
	start(&x, expired, params);
	assert_int_equal(run(&x, STORE_GET, "k"), -EKEYEXPIRED);
	stop(&x);
	snprintf(params, sizeof(params), "&credentials=profile");
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_true(pwrite(fd, "[default]\naws_access_key_id=OLD\n"
	    "aws_secret_access_key=1\n", 56, 0) == 56);
	start(&x, expired, params);
	assert_int_equal(run(&x, STORE_GET, "k"), -EKEYEXPIRED);
	assert_true(pwrite(fd, "[default]\naws_access_key_id=NEW\n"
	    "aws_secret_access_key=2\n", 56, 0) == 56);
	assert_int_equal(run(&x, STORE_GET, "k"), 0);
	stop(&x);
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	close(fd);
	unlink(path);
}

/* --- W6: a body is whole or an error ------------------------------------------- */

static void
bodies(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	struct ctx *x = arg;
	char range[64] = "";

	fake_header(q, "range", range, sizeof(range));
	switch (x->mode) {
	case 0: /* a part, although the whole was asked for */
		fake_answer(c, 206, "Content-Range: bytes 0-3/10\r\n", "0123");
		return;
	case 1: /* no length at all */
		fake_printf(c, "HTTP/1.1 200 OK\r\n\r\n0123456789");
		fake_close(c);
		return;
	case 2: /* no answer to a range */
		fake_answer(c, 200, "", "0123456789");
		return;
	case 3: /* another range */
		fake_answer(c, 206, "Content-Range: bytes 0-3/10\r\n", "0123");
		return;
	case 4: /* the range's end is cut */
		fake_answer(c, 206, "Content-Range: bytes 2-5/10\r\n", "23");
		return;
	case 5: /* cut by the object's end */
		fake_answer(c, 206, "Content-Range: bytes 2-4/5\r\n", "234");
		return;
	case 6: /* behind the object's end */
		fault(c, 416, "InvalidRange");
		return;
	case 7: /* the right one, without total */
		fake_answer(c, 206, "Content-Range: bytes 2-5/*\r\n", "2345");
		return;
	case 8: /* 304 without condition */
		fake_printf(c, "HTTP/1.1 304 Not Modified\r\n\r\n");
		return;
	default: /* chunked */
		fake_printf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
		    "\r\n\r\n4\r\n0123\r\n0\r\n\r\n");
	}
}

static int
get_range(struct ctx *x)
{
	store_req_fini(&x->r);
	store_req_init(&x->r, STORE_GET, "k");
	x->r.body = x->b;
	x->r.range_off = 2;
	x->r.range_len = 4;
	return store_run(x->s, &x->r, NULL);
}

static void
bodies_are_whole(void **state)
{
	struct ctx x;

	start(&x, bodies, "");
	assert_int_equal(run(&x, STORE_GET, "k"), -EBADMSG);
	assert_true(says(&x, "4 bytes instead of 10"));
	x.mode = 1;
	assert_int_equal(run(&x, STORE_GET, "k"), -EBADMSG);
	assert_true(says(&x, "how long"));
	x.mode = 8;
	assert_int_equal(run(&x, STORE_GET, "k"), -EBADMSG);
	x.mode = 9;
	assert_int_equal(run(&x, STORE_GET, "k"), 0);
	assert_int_equal(x.b->len, 4);
	assert_int_equal(x.r.size, 4);
	for (x.mode = 2; x.mode <= 4; x.mode++)
		assert_int_equal(get_range(&x), -EBADMSG);
	for (x.mode = 5; x.mode <= 6; x.mode++)
		assert_int_equal(get_range(&x), -ERANGE);
	x.mode = 7;
	assert_int_equal(get_range(&x), 0);
	assert_memory_equal(x.b->data, "2345", 4);
	stop(&x);
}

/* --- refusals --------------------------------------------------------------------- */

static void
no_bucket(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	if (strcmp(q->method, "HEAD") == 0)
		fake_printf(c, "HTTP/1.1 404 Not Found\r\n\r\n");
	else
		fault(c, 404, "NoSuchBucket");
}

static void
a_bucket_that_is_not_there(void **state)
{
	struct ctx x;

	start(&x, no_bucket, "");
	assert_int_equal(run(&x, STORE_GET, "k"), -ENXIO);
	assert_true(says(&x, "there is no bucket b"));
	/* HEAD has no body: the client asks why. */
	assert_int_equal(run(&x, STORE_HEAD, "k"), -ENXIO);
	assert_true(says(&x, "there is no bucket b"));
	assert_int_equal(put(&x, "k", "t", false), -ENXIO);
	assert_int_equal(run(&x, STORE_DELETE, "k"), -ENXIO);
	assert_int_equal(run(&x, STORE_LIST, NULL), -ENOENT);
	stop(&x);
}

static void
wrong_key(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	if (strcmp(q->method, "HEAD") == 0)
		fake_printf(c, "HTTP/1.1 403 Forbidden\r\n\r\n");
	else
		fault(c, 403, "SignatureDoesNotMatch");
}

static void
a_wrong_key_is_told_at_once(void **state)
{
	int64_t t0 = clock_mono_ns();
	struct ctx x;

	start(&x, wrong_key, "");
	assert_int_equal(run(&x, STORE_HEAD, "k"), -EACCES);
	assert_true(says(&x, "the secret key does not belong to access key AK "
			     "(both from the settings)"));
	assert_true(says(&x, "HEAD s3://b/k: HTTP 403"));
	assert_int_equal(run(&x, STORE_LIST, NULL), -EACCES);
	assert_true(clock_mono_ns() - t0 < 5 * NS_PER_S);
	stop(&x);
}

static void
busy(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_answer(c, 503, "Retry-After: 2\r\n", "");
}

static void
busy_servers_say_for_how_long(void **state)
{
	struct ctx x;

	start(&x, busy, "");
	assert_int_equal(run(&x, STORE_GET, "k"), -EAGAIN);
	assert_int_equal(x.r.retry_after_ns, 2 * NS_PER_S);
	assert_int_equal(run(&x, STORE_HEAD, "k"), -EAGAIN);
	assert_int_equal(fake_requests(x.fake), 2);
	stop(&x);
}

/* --- PUT if absent ----------------------------------------------------------------- */

/* One object besides the probes; modes say how the real PUTs are treated. */
enum { HONEST, IGNORES, NO_501, LATE_500, LOST_500, LOSER_500, CUT };

static void
conditional_one(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	struct ctx *x = arg;
	bool probe = strstr(q->target, "-pail-probe-") != NULL;
	bool is_put = strcmp(q->method, "PUT") == 0;
	char cond[8] = "";

	fake_header(q, "if-none-match", cond, sizeof(cond));
	if (is_put && x->mode == NO_501) {
		fault(c, 501, "NotImplemented");
	} else if (probe && is_put) {
		/* Its second PUT finds the first. */
		if (x->puts++ % 2 == 1 && x->mode != IGNORES)
			fault(c, 412, "PreconditionFailed");
		else
			fake_answer(c, strcmp(cond, "*") ? 400 : 200, "", "");
	} else if (probe) {
		fake_answer(c, 204, "", "");
	} else if (!is_put) {
		if (x->stored[0])
			fake_answer(c, 200, "ETag: \"s\"\r\n", x->stored);
		else
			fault(c, 404, "NoSuchKey");
	} else if (x->stored[0]) {
		fault(c, 412, "PreconditionFailed");
	} else {
		if (x->mode == LOSER_500)
			strcpy(x->stored, "somebody else");
		else if (x->mode != LOST_500)
			snprintf(x->stored, sizeof(x->stored), "%s", q->body);
		if (x->mode == CUT)
			fake_close(c);
		else if (x->mode == HONEST)
			fake_answer(c, 200, "ETag: \"s\"\r\n", "");
		else
			fault(c, 500, "InternalError");
	}
}

/* Each connection has a thread of its own, and they share the object. */
static void
conditional(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	conditional_one(arg, c, q);
	pthread_mutex_unlock(&lock);
}

static void
one_condition(int mode, int rc, const char *stored, const char *sentence)
{
	struct ctx x;

	start(&x, conditional, "");
	x.mode = mode;
	assert_int_equal(put(&x, "lease", "mine", true), rc);
	assert_string_equal(x.stored, stored);
	if (sentence)
		assert_true(says(&x, sentence));
	if (rc == 0)
		assert_string_equal(x.r.tag, "s");
	stop(&x);
}

static void
put_if_absent(void **state)
{
	one_condition(HONEST, 0, "mine", NULL);
	one_condition(IGNORES, -EOPNOTSUPP, "", "ignores If-None-Match");
	one_condition(NO_501, -EOPNOTSUPP, "", "NotImplemented");
	/* Done, but the answer says 500, or nothing. */
	one_condition(LATE_500, 0, "mine", NULL);
	one_condition(CUT, 0, "mine", NULL);
	one_condition(LOSER_500, -EEXIST, "somebody else", NULL);
	one_condition(LOST_500, -EAGAIN, "", "InternalError");
}

static void
the_probe_is_made_once(void **state)
{
	struct ctx x;

	start(&x, conditional, "");
	assert_int_equal(put(&x, "lease", "mine", true), 0);
	assert_int_equal(put(&x, "lease", "yours", true), -EEXIST);
	assert_int_equal(put(&x, "lease", "mine", true), -EEXIST);
	assert_string_equal(x.stored, "mine");
	assert_int_equal(x.puts, 2);
	assert_int_equal(fake_requests(x.fake), 3 + 3);
	stop(&x);
	/* Never, when the settings know. */
	start(&x, conditional, "&if-absent=yes");
	assert_int_equal(put(&x, "lease", "mine", true), 0);
	assert_int_equal(x.puts, 0);
	stop(&x);
	start(&x, conditional, "&if-absent=no");
	assert_int_equal(put(&x, "lease", "mine", true), -EOPNOTSUPP);
	assert_int_equal(fake_requests(x.fake), 0);
	stop(&x);
}

struct pair {
	struct store_req r[2];
	unsigned left;
	bool done;
};

static void
pair_done(struct store_req *r)
{
	struct pair *p = r->arg;

	if (--p->left == 0)
		p->done = true;
}

static void
two_wait_for_one_probe(void **state)
{
	struct pair p = {.left = 2};
	struct ctx x;

	start(&x, conditional, "");
	x.b->len = 4;
	memcpy(x.b->data, "mine", 4);
	for (int i = 0; i < 2; i++) {
		store_req_init(&p.r[i], STORE_PUT, "lease");
		p.r[i].body = x.b;
		p.r[i].if_absent = true;
		p.r[i].done = pair_done;
		p.r[i].arg = &p;
		store_submit(x.s, &p.r[i]);
	}
	store_cancel(&p.r[1]);
	assert_int_equal(loop_run_until(x.loop, &p.done), 0);
	assert_int_equal(p.r[0].rc, 0);
	assert_int_equal(p.r[1].rc, -ECANCELED);
	assert_int_equal(x.puts, 2);
	stop(&x);
}

/* --- LIST ---------------------------------------------------------------------------- */

static void
lists(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	struct ctx *x = arg;
	bool v2 = strstr(q->target, "list-type=2") != NULL;
	const char *body = "";

	snprintf(x->last, sizeof(x->last), "%s", q->target);
	switch (x->mode) {
	case 0: /* does not know version 2 and ignores it */
		body = strstr(q->target, "marker=p%2F1")
		    ? "<ListBucketResult><Marker>p/1</Marker><IsTruncated>"
		      "false</IsTruncated><Contents><Key>p/2</Key></Contents>"
		      "</ListBucketResult>"
		    : "<ListBucketResult><Marker/><IsTruncated>true"
		      "</IsTruncated><Contents><Key>p/1</Key></Contents>"
		      "</ListBucketResult>";
		break;
	case 1: /* refuses it */
		if (v2) {
			fault(c, 501, "NotImplemented");
			return;
		}
		body = "<ListBucketResult><Marker/></ListBucketResult>";
		break;
	case 2: /* not in order */
		body = "<ListBucketResult><KeyCount>2</KeyCount><Contents>"
		    "<Key>p/2</Key></Contents><Contents><Key>p/1</Key>"
		    "</Contents></ListBucketResult>";
		break;
	case 3: /* ignores prefix and start-after */
		body = "<ListBucketResult><KeyCount>5</KeyCount><Contents>"
		    "<Key>a</Key></Contents><Contents><Key>p/1</Key>"
		    "</Contents><Contents><Key>p/2</Key></Contents>"
		    "<Contents><Key>p/5</Key></Contents><Contents><Key>z</Key>"
		    "</Contents></ListBucketResult>";
		break;
	case 4: /* goes on for ever */
		body = "<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>"
		    "true</IsTruncated><Contents><Key>p/1</Key></Contents>"
		    "</ListBucketResult>";
		break;
	case 5:
		body = "<html>hello</html>";
		break;
	}
	fake_answer(c, 200, "", body);
}

static int
list_after(struct ctx *x, const char *after, const char *before)
{
	store_req_fini(&x->r);
	store_req_init(&x->r, STORE_LIST, NULL);
	x->r.prefix = "p/";
	x->r.start_after = after;
	x->r.end_before = before;
	return store_run(x->s, &x->r, NULL);
}

static void
lists_of_version_one(void **state)
{
	struct ctx x;

	start(&x, lists, "");
	assert_int_equal(list_after(&x, NULL, NULL), 0);
	assert_int_equal(x.r.page.n, 1);
	assert_string_equal(x.r.page.v[0].key, "p/1");
	assert_true(x.r.page.more);
	assert_int_equal(list_after(&x, "p/1", NULL), 0);
	assert_string_equal(x.r.page.v[0].key, "p/2");
	assert_false(x.r.page.more);
	/* Version 2 was asked for once. */
	assert_int_equal(fake_requests(x.fake), 3);
	stop(&x);
	start(&x, lists, "");
	x.mode = 1;
	assert_int_equal(list_after(&x, NULL, NULL), 0);
	assert_int_equal(x.r.page.n, 0);
	stop(&x);
	start(&x, lists, "&list=1");
	assert_int_equal(list_after(&x, NULL, NULL), 0);
	assert_int_equal(fake_requests(x.fake), 1);
	stop(&x);
}

static void
lists_are_checked(void **state)
{
	struct ctx x;

	start(&x, lists, "");
	x.mode = 2;
	assert_int_equal(list_after(&x, NULL, NULL), -EBADMSG);
	assert_true(says(&x, "order"));
	x.mode = 3;
	assert_int_equal(list_after(&x, "p/1", "p/5"), 0);
	assert_int_equal(x.r.page.n, 1);
	assert_string_equal(x.r.page.v[0].key, "p/2");
	assert_false(x.r.page.more);
	x.mode = 4;
	assert_int_equal(list_after(&x, NULL, NULL), 0);
	assert_int_equal(list_after(&x, "p/1", NULL), -EBADMSG);
	assert_true(says(&x, "does not go on"));
	x.mode = 5;
	assert_int_equal(list_after(&x, NULL, NULL), -EBADMSG);
	stop(&x);
}

/* --- BATCH ---------------------------------------------------------------------------- */

static void
batches(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	struct ctx *x = arg;
	char md5[64] = "";

	fake_header(q, "content-md5", md5, sizeof(md5));
	if (strcmp(q->target, "/b/?delete=") || strlen(md5) != 24 ||
	    !strstr(q->body, "<Object><Key>a&amp;b</Key></Object>"))
		fault(c, 400, "MalformedXML");
	else if (x->mode == 0)
		fake_answer(c, 200, "", "<DeleteResult><Deleted><Key>c</Key>"
		    "</Deleted><Deleted><Key>a&amp;b</Key></Deleted>"
		    "</DeleteResult>");
	else if (x->mode == 1)
		fake_answer(c, 200, "", "<DeleteResult><Deleted><Key>c</Key>"
		    "</Deleted><Error><Key>a&amp;b</Key><Code>AccessDenied"
		    "</Code><Message>no</Message></Error></DeleteResult>");
	else if (x->mode == 2)
		fake_answer(c, 200, "", "<DeleteResult><Deleted>"
		    "<Key>a&amp;b</Key></Deleted></DeleteResult>");
	else
		fault(c, 503, "SlowDown");
}

static void
batches_name_what_failed(void **state)
{
	struct store_item it[2] = {{.op = STORE_DELETE, .key = "a&b"},
	    {.op = STORE_DELETE, .key = "c"}};
	static const int want[4][3] = {{0, 0, 0}, {-EACCES, -EACCES, 0},
	    {-EIO, 0, -EIO}, {-EAGAIN, -EAGAIN, -EAGAIN}};
	struct ctx x;

	start(&x, batches, "");
	for (x.mode = 0; x.mode < 4; x.mode++) {
		store_req_fini(&x.r);
		store_req_init(&x.r, STORE_BATCH, NULL);
		x.r.items = it;
		x.r.nitems = 2;
		assert_int_equal(
		    store_run(x.s, &x.r, NULL), want[x.mode][0]);
		assert_int_equal(it[0].rc, want[x.mode][1]);
		assert_int_equal(it[1].rc, want[x.mode][2]);
	}
	stop(&x);
}

/* --- opening -------------------------------------------------------------------------- */

static void
bad_urls(void **state)
{
	static const char *const bad[][2] = {
	    {"s3://b?endpoint=http://h&colour=red", "colour"},
	    {"s3://b?endpoint=h:80", "http[s]://HOST"},
	    {"s3://b?endpoint=http://h&style=odd", "auto|path|host"},
	    {"s3://b?endpoint=http://h&access-file=/nonexistent",
		"/nonexistent"},
	    {"s3://b?endpoint=http://h&auth=aws2", "version 2"},
	};
	struct store_env env = {.loop = loop_new(NULL)};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct store *s;
		struct url u;

		assert_int_equal(url_parse(&u, bad[i][0], NULL), 0);
		assert_true(s3_store_open(&env, &u, &s, &e) < 0);
		if (!strstr(e.text, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], e.text);
		url_fini(&u);
	}
	loop_free(env.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_is_signed),
	    cmocka_unit_test(anonymous_requests_are_not),
	    cmocka_unit_test(expired_keys_are_renewed),
	    cmocka_unit_test(bodies_are_whole),
	    cmocka_unit_test(a_bucket_that_is_not_there),
	    cmocka_unit_test(a_wrong_key_is_told_at_once),
	    cmocka_unit_test(busy_servers_say_for_how_long),
	    cmocka_unit_test(put_if_absent),
	    cmocka_unit_test(the_probe_is_made_once),
	    cmocka_unit_test(two_wait_for_one_probe),
	    cmocka_unit_test(lists_of_version_one),
	    cmocka_unit_test(lists_are_checked),
	    cmocka_unit_test(batches_name_what_failed),
	    cmocka_unit_test(bad_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
