/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credhttp.c: keys from services: a web identity exchanged at STS, the agent
 * of a container, the metadata service of an EC2 machine.
 *
 *   web        POST to STS with the token from a file     -> XML
 *   container  GET the URI that the environment names     -> JSON
 *   imds       PUT for a session token (version 2)
 *              GET the role's name, unless it is set
 *              GET the role's keys                        -> JSON
 *
 * Each fetch makes an engine of its own, which goes with it: fetches are hours
 * apart.  The services of this machine are never asked through a proxy, and
 * have little time, so that a machine which has none finds out soon.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "http/http.h"
#include "loop/loop.h"
#include "s3/config.h"
#include "s3/credfile.h"
#include "s3/credint.h"
#include "s3/encode.h"
#include "s3/resolve.h"
#include "s3/xml.h"

#define ANSWER_MAX 65536
#define TOKEN_MAX 65536 /* bytes of a token file */
#define LOCAL_NS NS_PER_S	 /* to connect, and of silence */
#define REMOTE_NS (5 * NS_PER_S) /* STS */

struct svc { /* one fetch */
	struct s3_creds *p;
	struct http *http;
	struct http_req req;
	struct strbuf url, body;
	struct strbuf h[2]; /* header lines */
	const char *lines[2];
	struct strbuf base; /* imds: where it is */
	struct strbuf role;
	/* The next step; 0, or an error with a sentence in req.err. */
	int (*answered)(struct svc *s);
	struct s3_cred *cred;
};

static void
wipe(struct strbuf *b)
{
	if (b->s)
		explicit_bzero(b->s, b->cap);
	strbuf_fini(b);
}

static void
svc_free(struct svc *s)
{
	s->p->state = NULL;
	http_free(s->http);
	wipe(&s->req.text);
	http_req_fini(&s->req);
	strbuf_fini(&s->url);
	wipe(&s->body);
	wipe(&s->h[0]);
	wipe(&s->h[1]);
	strbuf_fini(&s->base);
	strbuf_fini(&s->role);
	free(s);
}

static void
svc_end(struct svc *s, struct s3_cred *k, const struct err *e)
{
	struct s3_creds *p = s->p;
	struct err copy = ERR_INIT;

	err_copy(&copy, e);
	svc_free(s);
	s3_creds_fetched(p, k, &copy);
}

/* Errors of a service that nobody has ever got keys from are permanent: it is
 * not there. */
static void
svc_fail(struct svc *s, int rc)
{
	struct err e = ERR_INIT;

	err_copy(&e, &s->req.err);
	if (!e.rc)
		err_errno(&e, rc, "ask");
	err_wrap(&e, s->p->now ? -EAGAIN : -ENOKEY, "no credentials from %s%s",
	    s->p->source, s->p->kind == &s3_cred_imds &&
	    s->p->conf->credentials == S3_CRED_AUTO
		? ", and none in the settings, the environment and the AWS "
		  "files" : "");
	svc_end(s, NULL, &e);
}

/* A refusal, with what the body says about it. */
static int
refused(struct svc *s)
{
	struct s3_fault f;

	if (s3_xml_fault(strbuf_text(&s->req.text), s->req.text.len, &f))
		return err_set(&s->req.err, -EACCES, "HTTP %d %s: %s",
		    s->req.answer.status, f.code, f.message);
	return err_set(&s->req.err, -EACCES, "%s: HTTP %d",
	    strbuf_text(&s->url), s->req.answer.status);
}

static void
svc_done(struct http_req *r)
{
	struct svc *s = r->arg;
	int rc = r->rc;

	if (rc == 0 && (r->answer.status < 200 || r->answer.status > 299))
		rc = refused(s);
	if (rc == 0)
		rc = s->answered(s);
	if (rc < 0)
		svc_fail(s, rc);
	else if (s->cred)
		svc_end(s, s->cred, NULL);
}

/* The next request of this fetch; header lines are in h[0..n). */
static int
svc_ask(struct svc *s, enum http_method m, unsigned n,
    int (*answered)(struct svc *s))
{
	if (s->url.failed || s->body.failed || s->h[0].failed ||
	    s->h[1].failed)
		return -ENOMEM;
	http_req_clear(&s->req);
	s->req.method = m;
	s->req.url = strbuf_text(&s->url);
	for (unsigned i = 0; i < n; i++)
		s->lines[i] = strbuf_text(&s->h[i]);
	s->req.headers = s->lines;
	s->req.nheaders = n;
	s->req.send = s->body.s;
	s->req.send_len = m == HTTP_POST ? s->body.len : 0;
	s->req.recv_cap = ANSWER_MAX;
	s->answered = answered;
	http_submit(s->http, &s->req);
	return 0;
}

/* local: a service of this machine. */
static struct svc *
svc_new(struct s3_creds *p, bool local, struct err *e)
{
	const struct s3_config *c = p->conf;
	struct http_conf conf = {
		.user_agent = c->user_agent,
		.ca_file = c->cacert,
		.insecure = c->insecure,
		.no_proxy = local,
		.verbose = false, /* secrets pass */
		.connect_timeout_ns = local ? LOCAL_NS : REMOTE_NS,
		.stall_timeout_ns = local ? 2 * LOCAL_NS : REMOTE_NS,
		.request_timeout_ns = 2 * REMOTE_NS,
	};
	struct svc *s = calloc(1, sizeof(*s));

	if (!s) {
		err_errno(e, -ENOMEM, "credentials");
		return NULL;
	}
	s->p = p;
	http_req_init(&s->req, HTTP_GET, NULL);
	s->req.done = svc_done;
	s->req.arg = s;
	p->state = s;
	if (http_new(p->loop, &conf, &s->http, e) == 0)
		return s;
	svc_free(s);
	return NULL;
}

static void
svc_close(struct s3_creds *p)
{
	struct svc *s = p->state;

	if (!s)
		return;
	/* It can only have ended already when its very start found no memory;
	 * then what is left cannot be freed any more. */
	if (http_drop(&s->req))
		svc_free(s);
}

/* Begin: ask, or fail by way of the provider. */
static void
svc_begin(struct s3_creds *p, bool local, int (*first)(struct svc *s))
{
	struct err e = ERR_INIT;
	struct svc *s = svc_new(p, local, &e);
	int rc;

	if (!s) {
		s3_creds_fetched(p, NULL, &e);
		return;
	}
	rc = first(s);
	if (rc < 0)
		svc_fail(s, rc);
}

static int
take_json(struct svc *s)
{
	return s3_cred_json(strbuf_text(&s->req.text), s->req.text.len,
	    &s->cred, &s->req.err);
}

/* A file with a token, without the blanks around it. */
static int
read_token(const char *path, struct strbuf *out, struct err *e)
{
	unsigned long n;
	char *text, *p;
	int rc = s3_read_file(path, TOKEN_MAX, &text, &n, e);

	if (rc < 0)
		return rc;
	p = text + strspn(text, " \t\r\n");
	strbuf_add(out, p, strcspn(p, " \t\r\n"));
	explicit_bzero(text, n);
	free(text);
	return 0;
}

/* --- web identity ------------------------------------------------------------- */

static int
web_open(struct s3_creds *p, struct err *e)
{
	const char *role = s3_env("AWS_ROLE_ARN");

	if (!s3_env("AWS_WEB_IDENTITY_TOKEN_FILE"))
		return -ENODATA;
	if (!role)
		return err_set(e, -EINVAL, "the environment has "
		    "AWS_WEB_IDENTITY_TOKEN_FILE, but no AWS_ROLE_ARN");
	return s3_creds_set_source(p, "web identity (role %s)", role);
}

static int
web_answered(struct svc *s)
{
	struct s3_sts_keys *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return -ENOMEM;
	rc = s3_xml_sts(strbuf_text(&s->req.text), s->req.text.len, k,
	    &s->req.err);
	if (rc == 0) {
		s->cred =
		    s3_cred_new(k->id, k->secret, k->token, k->expires_s);
		rc = s->cred ? 0 : -ENOMEM;
	}
	explicit_bzero(k, sizeof(*k));
	free(k);
	return rc;
}

static int
web_first(struct svc *s)
{
	const char *file = s3_env("AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *role = s3_env("AWS_ROLE_ARN");
	const char *session = s3_env("AWS_ROLE_SESSION_NAME");
	const char *endpoint = s3_env("AWS_ENDPOINT_URL_STS");
	struct strbuf token = STRBUF_INIT;
	int rc = read_token(file ? file : "", &token, &s->req.err);

	if (rc < 0)
		return rc;
	if (endpoint)
		strbuf_puts(&s->url, endpoint);
	else
		strbuf_printf(&s->url, "https://sts.%s.amazonaws.com%s/",
		    s->p->conf->region,
		    strncmp(s->p->conf->region, "cn-", 3) == 0 ? ".cn" : "");
	strbuf_puts(&s->body, "Action=AssumeRoleWithWebIdentity&"
	    "Version=2011-06-15&RoleSessionName=");
	s3_encode(&s->body, session ? session : "pail");
	strbuf_puts(&s->body, "&RoleArn=");
	s3_encode(&s->body, role ? role : "");
	strbuf_puts(&s->body, "&WebIdentityToken=");
	s3_encode(&s->body, strbuf_text(&token));
	s->body.failed |= token.failed;
	wipe(&token);
	strbuf_puts(
	    &s->h[0], "content-type: application/x-www-form-urlencoded");
	return svc_ask(s, HTTP_POST, 1, web_answered);
}

static void
web_fetch(struct s3_creds *p)
{
	svc_begin(p, false, web_first);
}

const struct s3_cred_kind s3_cred_web = {
	.what = "a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
	.open = web_open,
	.fetch = web_fetch,
	.close = svc_close,
	.renews = true,
};

/* --- container ------------------------------------------------------------------ */

/* Keys go in the clear only to this machine and to the agents' addresses. */
static bool
uri_allowed(const char *uri)
{
	static const char *const hosts[] = {"localhost", "169.254.170.2",
	    "169.254.170.23", "[fd00:ec2::23]", "[::1]"};
	size_t n;

	if (strncasecmp(uri, "https://", 8) == 0)
		return true;
	if (strncasecmp(uri, "http://", 7) != 0)
		return false;
	uri += 7;
	n = *uri == '[' ? strcspn(uri, "]") + 1 : strcspn(uri, ":/?");
	if (strncmp(uri, "127.", 4) == 0 && strspn(uri, "0123456789.") == n)
		return true;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strlen(hosts[i]) == n &&
		    strncasecmp(uri, hosts[i], n) == 0)
			return true;
	return false;
}

static int
container_open(struct s3_creds *p, struct err *e)
{
	const char *rel = s3_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = s3_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");

	if (!rel && !full)
		return -ENODATA;
	if (!rel && !uri_allowed(full))
		return err_set(e, -EINVAL,
		    "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s: it must be https, "
		    "or on this machine", full);
	return s3_creds_set_source(p, "the container's agent");
}

static int
container_first(struct svc *s)
{
	const char *rel = s3_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = s3_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *token = s3_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	const char *file = s3_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	int rc = 0;

	if (rel)
		strbuf_printf(&s->url, "http://169.254.170.2%s", rel);
	else
		strbuf_puts(&s->url, full ? full : "");
	strbuf_puts(&s->h[0], "authorization: ");
	if (file)
		rc = read_token(file, &s->h[0], &s->req.err);
	else if (token)
		strbuf_puts(&s->h[0], token);
	if (rc < 0)
		return rc;
	if (strpbrk(strbuf_text(&s->h[0]), "\r\n"))
		return err_set(&s->req.err, -EINVAL,
		    "AWS_CONTAINER_AUTHORIZATION_TOKEN has several lines");
	return svc_ask(s, HTTP_GET, file || token ? 1 : 0, take_json);
}

static void
container_fetch(struct s3_creds *p)
{
	svc_begin(p, true, container_first);
}

const struct s3_cred_kind s3_cred_container = {
	.what = "a container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)",
	.open = container_open,
	.fetch = container_fetch,
	.close = svc_close,
	.renews = true,
};

/* --- EC2 ------------------------------------------------------------------------- */

#define ROLES "/latest/meta-data/iam/security-credentials/"

static int
imds_open(struct s3_creds *p, struct err *e)
{
	const char *off = s3_env("AWS_EC2_METADATA_DISABLED");

	if (off && strcasecmp(off, "true") == 0)
		return -ENODATA;
	return s3_creds_set_source(p, "the EC2 metadata service");
}

static int
imds_keys(struct svc *s)
{
	strbuf_clear(&s->url);
	strbuf_printf(&s->url, "%s" ROLES, strbuf_text(&s->base));
	s3_encode(&s->url, strbuf_text(&s->role));
	return svc_ask(s, HTTP_GET, s->h[0].len ? 1 : 0, take_json);
}

static int
imds_got_role(struct svc *s)
{
	const char *t = strbuf_text(&s->req.text);

	strbuf_add(&s->role, t, strcspn(t, "\r\n"));
	if (s->role.len == 0)
		return err_set(&s->req.err, -ENOKEY,
		    "this machine has no role");
	return imds_keys(s);
}

static int
imds_role(struct svc *s)
{
	const char *role = s->p->conf->iam_role;

	if (role && *role) {
		strbuf_puts(&s->role, role);
		return imds_keys(s);
	}
	strbuf_clear(&s->url);
	strbuf_printf(&s->url, "%s" ROLES, strbuf_text(&s->base));
	return svc_ask(s, HTTP_GET, s->h[0].len ? 1 : 0, imds_got_role);
}

static int
imds_got_token(struct svc *s)
{
	const char *t = strbuf_text(&s->req.text);

	strbuf_clear(&s->h[0]);
	strbuf_puts(&s->h[0], "x-aws-ec2-metadata-token: ");
	strbuf_add(&s->h[0], t, strcspn(t, "\r\n"));
	return imds_role(s);
}

static int
imds_first(struct svc *s)
{
	const char *at = s3_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");

	strbuf_puts(&s->base, at ? at : "http://169.254.169.254");
	while (s->base.len && s->base.s[s->base.len - 1] == '/')
		s->base.s[--s->base.len] = '\0';
	if (s->p->conf->imds_v1)
		return imds_role(s);
	strbuf_printf(&s->url, "%s/latest/api/token", strbuf_text(&s->base));
	strbuf_puts(&s->h[0], "x-aws-ec2-metadata-token-ttl-seconds: 300");
	return svc_ask(s, HTTP_PUT, 1, imds_got_token);
}

static void
imds_fetch(struct s3_creds *p)
{
	svc_begin(p, true, imds_first);
}

const struct s3_cred_kind s3_cred_imds = {
	.what = "the EC2 metadata service",
	.open = imds_open,
	.fetch = imds_fetch,
	.close = svc_close,
	.renews = true,
};
