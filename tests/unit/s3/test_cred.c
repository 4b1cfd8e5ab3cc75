/* SPDX-License-Identifier: Apache-2.0 */
/* Where keys come from, in which order, and new ones in time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "s3/config.h"
#include "s3/cred.h"
#include "s3/credfile.h"
#include "s3/resolve.h"
#include "unit/http/fake.h"

static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CA_BUNDLE"};

struct ctx {
	char dir[64];
	struct loop *loop;
	struct work_pool *pool;
	struct s3_config c;
	struct s3_creds *p;
	struct s3_cred_wait w;
	struct s3_cred *k;
	struct err e;
	bool done;
	struct loop_timer timer;
	/* What the service says. */
	const char *life;
	unsigned fails;
};

static int
setup(void **state)
{
	struct ctx *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	strcpy(x->dir, "/tmp/pail-test-cred-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	setenv("HOME", x->dir, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	x->loop = loop_new(NULL);
	x->pool = work_pool_new(1, NULL);
	assert_non_null(x->loop);
	assert_non_null(x->pool);
	s3_config_init(&x->c);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *x = *state;
	char cmd[128];

	s3_cred_unref(x->k);
	s3_creds_close(x->p);
	s3_config_fini(&x->c);
	work_pool_free(x->pool);
	loop_free(x->loop);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", x->dir);
	assert_int_equal(system(cmd), 0);
	free(x);
	return 0;
}

static void
file(struct ctx *x, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/.aws", x->dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s", x->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
}

static void
set(struct ctx *x, const char *name, const char *value)
{
	assert_int_equal(s3_config_set(&x->c, name, value, NULL), 0);
}

static int
open_it(struct ctx *x)
{
	int rc = s3_resolve(&x->c, &x->e);

	if (rc == 0)
		rc = s3_creds_open(x->loop, x->pool, &x->c, &x->p, &x->e);
	return rc;
}

static void
ready(struct s3_cred_wait *w, struct s3_cred *k, int rc, const struct err *e)
{
	struct ctx *x = container_of(w, struct ctx, w);

	x->done = true;
	if (k)
		x->k = s3_cred_ref(k);
	else
		err_copy(&x->e, e);
	assert_int_equal(rc, k ? 0 : e->rc);
}

/* Get keys, waiting if need be; 0 or why not. */
static int
get(struct ctx *x)
{
	s3_cred_unref(x->k);
	err_clear(&x->e);
	x->w.ready = ready;
	list_init(&x->w.link);
	x->done = false;
	x->k = s3_creds_get(x->p, &x->w);
	if (x->k)
		return 0;
	assert_false(x->done);
	assert_int_equal(loop_run_until(x->loop, &x->done), 0);
	return x->k ? 0 : x->e.rc;
}

static void
expect(struct ctx *x, const char *id, const char *secret, const char *token,
    const char *source)
{
	assert_int_equal(open_it(x), 0);
	assert_int_equal(get(x), 0);
	assert_string_equal(x->k->id, id);
	assert_string_equal(x->k->secret, secret);
	if (token)
		assert_string_equal(x->k->token, token);
	else
		assert_null(x->k->token);
	assert_non_null(strstr(s3_creds_source(x->p), source));
}

/* --- on this machine -------------------------------------------------------- */

static void
nothing_anywhere(void **state)
{
	struct ctx *x = *state;

	assert_int_equal(open_it(x), -ENOKEY);
	assert_non_null(strstr(x->e.text, "no credentials"));
	assert_non_null(strstr(x->e.text, "AWS_ACCESS_KEY_ID"));
	assert_non_null(strstr(x->e.text, "anonymous"));
}

static void
from_the_settings(void **state)
{
	struct ctx *x = *state;

	setenv("AWS_ACCESS_KEY_ID", "no", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "no", 1);
	set(x, "access-id", "AK");
	set(x, "access-key", "SK");
	set(x, "session-token", "ST");
	expect(x, "AK", "SK", "ST", "settings");
	assert_false(s3_creds_reject(x->p, x->k)); /* there are no others */
}

static void
from_an_access_file(void **state)
{
	struct ctx *x = *state;
	char path[128];

	file(x, "pw", "A1:k1\nA2:k2\n");
	snprintf(path, sizeof(path), "%s/pw", x->dir);
	set(x, "access-file", path);
	set(x, "access-id", "A2");
	expect(x, "A2", "k2", NULL, "access file");
	/* They were renewed in the file. */
	file(x, "pw", "A2:new\n");
	assert_true(s3_creds_reject(x->p, x->k));
	assert_int_equal(get(x), 0);
	assert_string_equal(x->k->secret, "new");
	/* And refused again, but the file is as it was. */
	assert_true(s3_creds_reject(x->p, x->k));
	assert_int_equal(get(x), -EKEYEXPIRED);
}

static void
an_access_file_that_is_not_there(void **state)
{
	struct ctx *x = *state;

	set(x, "access-file", "/nonexistent/pw");
	assert_int_equal(open_it(x), -ENOENT);
	assert_non_null(strstr(x->e.text, "/nonexistent/pw"));
}

static void
from_the_environment(void **state)
{
	struct ctx *x = *state;

	file(x, ".aws/credentials", "[default]\naws_access_key_id=F\n"
	    "aws_secret_access_key=F\n");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "ES", 1);
	setenv("AWS_SESSION_TOKEN", "ET", 1);
	expect(x, "E", "ES", "ET", "environment");
}

static void
half_an_environment(void **state)
{
	struct ctx *x = *state;

	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	assert_int_equal(open_it(x), -EINVAL);
	assert_non_null(strstr(x->e.text, "AWS_SECRET_ACCESS_KEY"));
}

static void
from_a_profile(void **state)
{
	struct ctx *x = *state;

	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "ES", 1);
	file(x, ".aws/credentials", "[p]\naws_access_key_id=P\n"
	    "aws_secret_access_key=PS\naws_session_token=PT\n");
	file(x, ".aws/config", "[profile p]\nregion=eu-north-1\n"
	    "endpoint_url=http://h:9\n");
	set(x, "profile", "p"); /* named: before the environment */
	expect(x, "P", "PS", "PT", "profile p of ");
	assert_string_equal(x->c.region, "eu-north-1");
	assert_string_equal(x->c.endpoint, "http://h:9");
}

static void
from_the_default_profile_of_the_config_file(void **state)
{
	struct ctx *x = *state;

	file(x, ".aws/config", "[default]\naws_access_key_id=P\n"
	    "aws_secret_access_key=PS\n");
	expect(x, "P", "PS", NULL, "profile default");
	assert_string_equal(x->c.region, "us-east-1");
	assert_string_equal(
	    x->c.endpoint, "https://s3.us-east-1.amazonaws.com");
}

static void
profiles_that_cannot_be(void **state)
{
	struct ctx *x = *state;

	file(x, ".aws/config", "[profile r]\nrole_arn=arn:x\n"
	    "aws_access_key_id=P\naws_secret_access_key=S\n");
	set(x, "profile", "r");
	assert_int_equal(open_it(x), -EOPNOTSUPP);
	assert_non_null(strstr(x->e.text, "role_arn"));
	set(x, "profile", "missing");
	assert_int_equal(open_it(x), -ENOKEY);
	assert_non_null(strstr(x->e.text, "profile missing"));
	file(x, ".aws/config", "garbage\n[profile g]\nmore garbage\n");
	set(x, "profile", "g");
	assert_int_equal(open_it(x), -EINVAL);
	assert_non_null(strstr(x->e.text, "line 3"));
}

static void
anonymous(void **state)
{
	struct ctx *x = *state;

	set(x, "access-id", "");
	assert_int_equal(open_it(x), 0);
	assert_true(s3_creds_anonymous(x->p));
}

static void
from_a_program(void **state)
{
	struct ctx *x = *state;

	file(x, ".aws/config", "[profile c]\ncredential_process = echo "
	    "'{\"Version\":1,\"AccessKeyId\":\"C\",\"SecretAccessKey\":\"CS\","
	    "\"SessionToken\":\"CT\",\"Expiration\":"
	    "\"2099-01-01T00:00:00Z\"}'\n");
	set(x, "profile", "c");
	expect(x, "C", "CS", "CT", "credential_process");
	assert_int_equal(x->k->expires_s, 4070908800);
}

static void
programs_that_fail(void **state)
{
	struct ctx *x = *state;

	file(x, ".aws/config", "[profile c]\ncredential_process = exit 3\n");
	set(x, "profile", "c");
	assert_int_equal(open_it(x), 0);
	assert_int_equal(get(x), -ENOKEY);
	assert_non_null(strstr(x->e.text, "exit 3"));
	assert_non_null(strstr(x->e.text, "status 3"));
	file(x, ".aws/config", "[profile c]\ncredential_process = echo hi\n");
	assert_int_equal(get(x), -EBADMSG);
}

static void
json(void **state)
{
	static const char *const bad[] = {"", "[]", "{", "{}",
	    "{\"AccessKeyId\":\"A\"}",
	    "{\"AccessKeyId\":1,\"SecretAccessKey\":2}",
	    "{\"Code\":\"Failed\",\"Message\":\"because\"}",
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\","
	    "\"Expiration\":\"soon\"}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct s3_cred *k;

		assert_int_equal(
		    s3_cred_json(bad[i], strlen(bad[i]), &k, &e), -EBADMSG);
		assert_true(e.text[0]);
	}
}

/* --- services ----------------------------------------------------------------- */

static const char *
in(int64_t seconds)
{
	static char text[40];
	time_t t = (time_t)(clock_wall_ns() / NS_PER_S + seconds);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

static void
answer_json(struct ctx *x, struct fake_conn *c, unsigned n)
{
	char text[512];

	snprintf(text, sizeof(text), "{\"Code\":\"Success\","
	    "\"AccessKeyId\":\"S%u\",\"SecretAccessKey\":\"SS%u\","
	    "\"Token\":\"T%u\",\"Expiration\":\"%s\"}", n, n, n, x->life);
	fake_answer(c, 200, "", text);
}

static void
metadata_service(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	static const char roles[] =
	    "/latest/meta-data/iam/security-credentials/";
	struct ctx *x = arg;
	char token[64] = "";

	fake_header(q, "x-aws-ec2-metadata-token", token, sizeof(token));
	if (x->fails) {
		x->fails--;
		fake_answer(c, 500, "", "");
	} else if (strcmp(q->target, "/latest/api/token") == 0) {
		fake_answer(c, strcmp(q->method, "PUT") ? 405 : 200, "",
		    "tok");
	} else if (strcmp(token, "tok") != 0) {
		fake_answer(c, 401, "", "");
	} else if (strcmp(q->target, roles) == 0) {
		fake_answer(c, 200, "", "my role\n");
	} else if (strncmp(q->target, roles, sizeof(roles) - 1) == 0 &&
	    strcmp(q->target + sizeof(roles) - 1, "my%20role") == 0) {
		answer_json(x, c, q->number);
	} else {
		fake_answer(c, 404, "", "");
	}
}

static void
metadata(struct ctx *x, struct fake *f)
{
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_url(f), 1);
}

static void
from_the_metadata_service(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(metadata_service, x);

	x->life = in(3600);
	metadata(x, f);
	expect(x, "S2", "SS2", "T2", "EC2");
	assert_int_equal(get(x), 0); /* they are still good */
	assert_int_equal(fake_requests(f), 3);
	fake_stop(f);
}

static void
no_metadata_service(void **state)
{
	struct ctx *x = *state;

	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
	assert_int_equal(open_it(x), 0);
	assert_int_equal(get(x), -ENOKEY);
	assert_non_null(strstr(x->e.text, "none in the settings"));
	assert_non_null(strstr(x->e.text, "127.0.0.1:1"));
}

static void
tick(struct loop_timer *t)
{
	struct ctx *x = container_of(t, struct ctx, timer);

	x->done = true;
}

static void
run_ms(struct ctx *x, int ms)
{
	x->done = false;
	x->timer.fire = tick;
	assert_int_equal(loop_timer_set(x->loop, &x->timer,
	    loop_now(x->loop) + ms * NS_PER_MS), 0);
	assert_int_equal(loop_run_until(x->loop, &x->done), 0);
}

static void
renewal_in_the_background(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(metadata_service, x);

	x->life = in(200); /* soon to expire */
	metadata(x, f);
	expect(x, "S2", "SS2", "T2", "EC2");
	x->life = in(3600);
	/* C3: the old ones at once, the new ones some time later. */
	assert_int_equal(get(x), 0);
	assert_string_equal(x->k->id, "S2");
	for (int i = 0; i < 100 && strcmp(x->k->id, "S5") != 0; i++) {
		run_ms(x, 20);
		assert_int_equal(get(x), 0);
	}
	assert_string_equal(x->k->id, "S5");
	fake_stop(f);
}

static void
expired_keys_are_waited_for(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(metadata_service, x);

	x->life = in(12); /* 2 s, as TOO_LATE_S has it */
	metadata(x, f);
	expect(x, "S2", "SS2", "T2", "EC2");
	fake_sleep_ms(3000);
	x->life = in(3600);
	assert_int_equal(get(x), 0); /* C2 */
	assert_string_equal(x->k->token, "T5");
	/* Then the service fails, and the keys are refused. */
	x->fails = 100;
	assert_true(s3_creds_reject(x->p, x->k));
	assert_int_equal(get(x), -EAGAIN);
	x->fails = 0;
	assert_int_equal(get(x), 0);
	fake_stop(f);
}

static void
rejected_keys_are_renewed_once(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(metadata_service, x);
	struct s3_cred *old;

	x->life = in(3600);
	metadata(x, f);
	expect(x, "S2", "SS2", "T2", "EC2");
	old = s3_cred_ref(x->k);
	assert_true(s3_creds_reject(x->p, old));
	assert_true(s3_creds_reject(x->p, old));
	assert_int_equal(get(x), 0);
	assert_string_equal(x->k->token, "T5");
	/* Another request comes back with the old ones. */
	assert_true(s3_creds_reject(x->p, old));
	assert_int_equal(get(x), 0);
	assert_string_equal(x->k->token, "T5");
	assert_int_equal(fake_requests(f), 6);
	s3_cred_unref(old);
	fake_stop(f);
}

static void
silent(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	fake_sleep_ms(300);
	fake_close(c);
}

static void
closed_while_it_asks(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(silent, x);

	metadata(x, f);
	assert_int_equal(open_it(x), 0);
	x->w.ready = ready;
	list_init(&x->w.link);
	assert_null(s3_creds_get(x->p, &x->w));
	s3_creds_unwait(&x->w);
	s3_creds_close(x->p);
	x->p = NULL;
	fake_stop(f);
}

static void
agent(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	char token[64] = "";

	fake_header(q, "authorization", token, sizeof(token));
	if (strcmp(q->target, "/keys?x=1") || strcmp(token, "secret token"))
		fake_answer(c, 403, "", "");
	else
		answer_json(arg, c, 7);
}

static void
from_a_container(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(agent, x);
	char url[128];

	x->life = in(3600);
	snprintf(url, sizeof(url), "%s/keys?x=1", fake_url(f));
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret token", 1);
	expect(x, "S7", "SS7", "T7", "container");
	fake_stop(f);
}

static void
an_agent_elsewhere(void **state)
{
	static const char *const bad[] = {"http://example.com/",
	    "http://127.0.0.1.example.com/", "http://localhost.evil/",
	    "http://[fd00:ec2::24]/", "ftp://127.0.0.1/"};
	struct ctx *x = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s3_config_fini(&x->c);
		s3_config_init(&x->c);
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
		assert_int_equal(open_it(x), -EINVAL);
	}
}

static void
sts(void *arg, struct fake_conn *c, const struct fake_request *q)
{
	struct ctx *x = arg;
	char text[1024];

	if (strcmp(q->method, "POST") ||
	    !strstr(q->body, "Action=AssumeRoleWithWebIdentity&") ||
	    !strstr(q->body, "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr") ||
	    !strstr(q->body, "&WebIdentityToken=a.b%2Bc")) {
		fake_answer(c, 400, "", "<ErrorResponse><Error><Code>"
		    "InvalidIdentityToken</Code><Message>no good</Message>"
		    "</Error></ErrorResponse>");
		return;
	}
	snprintf(text, sizeof(text), "<AssumeRoleWithWebIdentityResponse>"
	    "<AssumeRoleWithWebIdentityResult><Credentials><SessionToken>WT"
	    "</SessionToken><SecretAccessKey>WS</SecretAccessKey><Expiration>"
	    "%s</Expiration><AccessKeyId>W</AccessKeyId></Credentials>"
	    "</AssumeRoleWithWebIdentityResult>"
	    "</AssumeRoleWithWebIdentityResponse>", x->life);
	fake_answer(c, 200, "", text);
}

static void
from_a_web_identity(void **state)
{
	struct ctx *x = *state;
	struct fake *f = fake_start(sts, x);
	char path[128];

	x->life = in(3600);
	snprintf(path, sizeof(path), "%s/token", x->dir);
	file(x, "token", "a.b+c\n");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
	setenv("AWS_ENDPOINT_URL_STS", fake_url(f), 1);
	expect(x, "W", "WS", "WT", "web identity");
	/* The token is read again each time. */
	file(x, "token", "stale\n");
	assert_true(s3_creds_reject(x->p, x->k));
	assert_int_equal(get(x), -EAGAIN);
	assert_non_null(strstr(x->e.text, "InvalidIdentityToken: no good"));
	fake_stop(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_anywhere),
	    TEST(from_the_settings),
	    TEST(from_an_access_file),
	    TEST(an_access_file_that_is_not_there),
	    TEST(from_the_environment),
	    TEST(half_an_environment),
	    TEST(from_a_profile),
	    TEST(from_the_default_profile_of_the_config_file),
	    TEST(profiles_that_cannot_be),
	    TEST(anonymous),
	    TEST(from_a_program),
	    TEST(programs_that_fail),
	    TEST(json),
	    TEST(from_the_metadata_service),
	    TEST(no_metadata_service),
	    TEST(renewal_in_the_background),
	    TEST(expired_keys_are_waited_for),
	    TEST(rejected_keys_are_renewed_once),
	    TEST(closed_while_it_asks),
	    TEST(from_a_container),
	    TEST(an_agent_elsewhere),
	    TEST(from_a_web_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
