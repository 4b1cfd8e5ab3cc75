/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred.c: the provider of credentials, whatever their source.
 *
 *            get: none, or expired                  fetched
 *   (none) ------------------------> fetching ------------------> keys
 *                                       ^                          |
 *                                       +-- get: soon to expire ---+
 *                                           or rejected
 *
 * While keys are still good a fetch goes on behind the scenes and its failure
 * is only logged; it is tried again RETRY_NS later.  When there are none that
 * are good, whoever asks waits for the fetch, and gets its error.
 *
 * The result of a fetch is always handed out by a timer, so sources may be
 * synchronous or not, and nobody is called back from inside get.
 */
#include "s3/cred.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "loop/loop.h"
#include "s3/config.h"
#include "s3/credint.h"

#define RENEW_BEFORE_S 300 /* begin to renew */
#define TOO_LATE_S 10	   /* keys this close to their end are not used */
#define RETRY_NS (10 * NS_PER_S)

/* --- one set of keys -------------------------------------------------------- */

static void
wipe(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

struct s3_cred *
s3_cred_new(const char *id, const char *secret, const char *token,
    int64_t expires_s)
{
	struct s3_cred *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->refs = 1;
	k->id = strdup(id);
	k->secret = strdup(secret);
	k->token = token && *token ? strdup(token) : NULL;
	k->expires_s = expires_s;
	if (k->id && k->secret && (k->token || !token || !*token))
		return k;
	s3_cred_unref(k);
	return NULL;
}

struct s3_cred *
s3_cred_ref(struct s3_cred *k)
{
	k->refs++;
	return k;
}

void
s3_cred_unref(struct s3_cred *k)
{
	if (!k)
		return;
	must(k->refs > 0);
	if (--k->refs > 0)
		return;
	wipe(k->id);
	wipe(k->secret);
	wipe(k->token);
	free(k);
}

/* --- choosing the source ---------------------------------------------------- */

int
s3_creds_set_source(struct s3_creds *p, const char *fmt, ...)
{
	struct strbuf b = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(&b, fmt, ap);
	va_end(ap);
	free(p->source);
	p->source = strbuf_take(&b);
	return p->source ? 0 : -ENOMEM;
}

/* All kinds, in the order in which they are tried. */
static const struct {
	enum s3_cred_source source;
	const struct s3_cred_kind *kind;
} kinds[] = {
	{S3_CRED_STATIC, &s3_cred_static},
	{S3_CRED_ACCESS_FILE, &s3_cred_access_file},
	{S3_CRED_ENV, &s3_cred_env},
	{S3_CRED_WEB, &s3_cred_web},
	{S3_CRED_PROFILE, &s3_cred_profile},
	{S3_CRED_PROFILE, &s3_cred_process},
	{S3_CRED_CONTAINER, &s3_cred_container},
	{S3_CRED_IMDS, &s3_cred_imds},
};

/* The first kind that is configured; with a source given, only of that. */
static int
choose(struct s3_creds *p, enum s3_cred_source source, struct err *e)
{
	struct strbuf looked = STRBUF_INIT;
	int rc = -ENODATA;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (source != S3_CRED_AUTO && kinds[i].source != source)
			continue;
		rc = kinds[i].kind->open(p, e);
		if (rc != -ENODATA) {
			p->kind = kinds[i].kind;
			break;
		}
		strbuf_printf(&looked, "%s%s", looked.len ? ", " : "",
		    kinds[i].kind->what);
	}
	if (rc == -ENODATA)
		rc = err_set(e, -ENOKEY,
		    "no credentials: none in %s; profile %s (for a public "
		    "bucket set credentials=anonymous)", strbuf_text(&looked),
		    p->conf->profile);
	strbuf_fini(&looked);
	return rc;
}

static void hand_out(struct loop_timer *t);

/* The timer is armed all the time, usually for never: to move it needs no
 * memory, so handing out cannot fail. */
#define NEVER_NS INT64_MAX

static void
arm(struct s3_creds *p, int64_t due_ns)
{
	must(loop_timer_set(p->loop, &p->soon, due_ns) == 0);
}

int
s3_creds_open(struct loop *l, struct work_pool *pool,
    const struct s3_config *c, struct s3_creds **out, struct err *e)
{
	struct s3_creds *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return err_errno(e, -ENOMEM, "credentials");
	p->loop = l;
	p->pool = pool;
	p->conf = c;
	p->soon.fire = hand_out;
	list_init(&p->waiting);
	rc = loop_timer_set(l, &p->soon, NEVER_NS);
	if (rc < 0) {
		free(p);
		return err_errno(e, rc, "credentials");
	}
	if (c->credentials == S3_CRED_ANONYMOUS ||
	    (c->access_id && !*c->access_id)) {
		p->anonymous = true;
		rc = s3_creds_set_source(p, "nobody (anonymous)");
	} else {
		rc = choose(p, c->credentials, e);
	}
	if (rc < 0) {
		s3_creds_close(p);
		return rc == -ENOMEM ? err_errno(e, rc, "credentials") : rc;
	}
	*out = p;
	return 0;
}

void
s3_creds_close(struct s3_creds *p)
{
	if (!p)
		return;
	must(list_empty(&p->waiting));
	if (p->kind && p->kind->close)
		p->kind->close(p);
	loop_timer_cancel(&p->soon);
	s3_cred_unref(p->now);
	s3_cred_unref(p->fetched);
	s3_cred_unref(p->rejected);
	free(p->source);
	free(p);
}

const char *
s3_creds_source(const struct s3_creds *p)
{
	return p->source;
}

bool
s3_creds_anonymous(const struct s3_creds *p)
{
	return p->anonymous;
}

/* --- getting and renewing --------------------------------------------------- */

static int64_t
wall_s(void)
{
	return clock_wall_ns() / NS_PER_S;
}

static bool
usable(const struct s3_creds *p, const struct s3_cred *k)
{
	return k && k != p->rejected &&
	    (!k->expires_s || wall_s() < k->expires_s - TOO_LATE_S);
}

static void
fetch(struct s3_creds *p)
{
	if (p->fetching)
		return;
	p->fetching = true;
	p->kind->fetch(p);
}

struct s3_cred *
s3_creds_get(struct s3_creds *p, struct s3_cred_wait *w)
{
	must(!p->anonymous);
	if (!usable(p, p->now)) {
		list_push_back(&p->waiting, &w->link);
		fetch(p);
		return NULL;
	}
	if (p->now->expires_s &&
	    wall_s() >= p->now->expires_s - RENEW_BEFORE_S &&
	    loop_now(p->loop) >= p->not_before_ns)
		fetch(p); /* C3 */
	return s3_cred_ref(p->now);
}

void
s3_creds_unwait(struct s3_cred_wait *w)
{
	list_del(&w->link);
}

bool
s3_creds_reject(struct s3_creds *p, const struct s3_cred *k)
{
	if (!p->kind || !p->kind->renews)
		return false;
	if (p->now != k)
		return true; /* there are others by now */
	s3_cred_unref(p->rejected);
	p->rejected = s3_cred_ref(p->now);
	fetch(p);
	return true;
}

void
s3_creds_fetched(
    struct s3_creds *p, struct s3_cred *k, const struct err *e)
{
	must(p->fetching);
	must(!p->fetched);
	p->fetched = k;
	err_clear(&p->err);
	if (!k)
		err_copy(&p->err, e);
	arm(p, loop_now(p->loop));
}

/* C2: the new keys are too old already, or the same that were refused. */
static bool
stale(const struct s3_creds *p, const struct s3_cred *k)
{
	if (k->expires_s && wall_s() >= k->expires_s - TOO_LATE_S)
		return true;
	return p->rejected && strcmp(k->secret, p->rejected->secret) == 0 &&
	    strcmp(k->token ? k->token : "",
		p->rejected->token ? p->rejected->token : "") == 0;
}

static void
hand_out(struct loop_timer *t)
{
	struct s3_creds *p = container_of(t, struct s3_creds, soon);
	struct list waiting;
	struct list *l;

	arm(p, NEVER_NS);
	p->fetching = false;
	if (p->fetched && stale(p, p->fetched)) {
		err_set(&p->err, -EKEYEXPIRED,
		    "the keys from %s have expired, and it has no others",
		    p->source);
		s3_cred_unref(p->fetched);
		p->fetched = NULL;
	}
	if (p->fetched) {
		s3_cred_unref(p->now);
		p->now = p->fetched;
		p->fetched = NULL;
	} else {
		p->not_before_ns = loop_now(p->loop) + RETRY_NS;
		if (usable(p, p->now))
			log_warn("s3: new keys: %s", err_text(&p->err));
	}
	list_init(&waiting);
	list_splice_back(&waiting, &p->waiting);
	while ((l = list_pop_front(&waiting))) {
		struct s3_cred_wait *w =
		    list_entry(l, struct s3_cred_wait, link);
		struct s3_cred *k = usable(p, p->now) ? p->now : NULL;

		w->ready(w, k, k ? 0 : p->err.rc, &p->err);
	}
}
