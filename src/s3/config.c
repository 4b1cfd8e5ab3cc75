/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: one table of all settings, from which they are set by name, listed
 * for the help texts, copied and freed.
 *
 * No I/O: the environment and the AWS files are read when a store is opened.
 */
#include "s3/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"

enum kind { TEXT, SWITCH, CHOICE, NUMBER, SECONDS, RATE };

struct setting {
	const char *name;
	enum kind kind;
	size_t at;
	const char *value; /* for help; of a CHOICE "a|b|c", in enum's order */
	const char *what;
};

#define AT(field) offsetof(struct s3_config, field)

static const struct setting settings[] = {
	{"endpoint", TEXT, AT(endpoint), "URL",
	    "the server; default: AWS in the region"},
	{"region", TEXT, AT(region), "NAME",
	    "the region that requests are signed for"},
	{"style", CHOICE, AT(style), "auto|path|host",
	    "where the bucket's name stands in URLs"},
	{"credentials", CHOICE, AT(credentials),
	    "auto|static|access-file|env|web-identity|profile|container|imds|"
	    "anonymous",
	    "where the keys come from"},
	{"profile", TEXT, AT(profile), "NAME",
	    "section of the AWS files to use"},
	{"access-id", TEXT, AT(access_id), "ID",
	    "access key id; empty: requests are not signed"},
	{"access-key", TEXT, AT(access_key), "SECRET",
	    "secret key (visible to others; prefer a file)"},
	{"session-token", TEXT, AT(session_token), "SECRET",
	    "token that belongs to temporary keys"},
	{"access-file", TEXT, AT(access_file), "FILE",
	    "file of lines ID:KEY"},
	{"iam-role", TEXT, AT(iam_role), "NAME",
	    "role to ask the EC2 metadata service for"},
	{"imds-v1", SWITCH, AT(imds_v1), NULL,
	    "ask the EC2 metadata service without a session token"},
	{"auth", CHOICE, AT(auth), "aws4|aws2", "kind of signature"},
	{"payload", CHOICE, AT(payload), "auto|signed|unsigned",
	    "whether bodies are part of the signature"},
	{"cacert", TEXT, AT(cacert), "FILE",
	    "certificates of the authorities to trust"},
	{"insecure", SWITCH, AT(insecure), NULL,
	    "do not verify the server's certificate"},
	{"http2", SWITCH, AT(http2), NULL, "allow HTTP/2"},
	{"no-reuse", SWITCH, AT(no_reuse), NULL,
	    "open a connection for each request"},
	{"debug-http", SWITCH, AT(debug_http), NULL,
	    "show the HTTP traffic on standard error"},
	{"user-agent", TEXT, AT(user_agent), "TEXT",
	    "how pail calls itself"},
	{"ip-tos", NUMBER, AT(ip_tos), "0-255",
	    "type of service of the connections"},
	{"max-connections", NUMBER, AT(max_connections), "N",
	    "connections at a time (256)"},
	{"connect-timeout", SECONDS, AT(connect_timeout_ns), "SECONDS",
	    "limit for a connection to be made (4)"},
	{"stall-timeout", SECONDS, AT(stall_timeout_ns), "SECONDS",
	    "limit of silence within a request (10)"},
	{"timeout", SECONDS, AT(request_timeout_ns), "SECONDS",
	    "limit for a whole request (30)"},
	{"max-upload-rate", RATE, AT(max_upload_rate), "BYTES",
	    "bytes sent per second, in total"},
	{"max-download-rate", RATE, AT(max_download_rate), "BYTES",
	    "bytes received per second, in total"},
	{"acl", TEXT, AT(acl), "NAME", "canned ACL of new objects"},
	{"storage-class", TEXT, AT(storage_class), "NAME",
	    "storage class of new objects"},
	{"sse", TEXT, AT(sse), "AES256|aws:kms",
	    "encryption by the server of new objects"},
	{"sse-key-id", TEXT, AT(sse_key_id), "ID", "key for aws:kms"},
	{"default-content-encoding", TEXT, AT(default_content_encoding),
	    "TEXT", "of objects that come without one"},
	{"list", CHOICE, AT(listing), "auto|1|2",
	    "version of the listing request"},
	{"if-absent", CHOICE, AT(if_absent), "auto|yes|no",
	    "whether the server honours If-None-Match: * on PUT"},
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

static void *
field(const struct s3_config *c, const struct setting *s)
{
	return (char *)(uintptr_t)c + s->at;
}

void
s3_config_init(struct s3_config *c)
{
	memset(c, 0, sizeof(*c));
}

static void
free_text(char **p)
{
	if (!*p)
		return;
	explicit_bzero(*p, strlen(*p)); /* it may be a secret */
	free(*p);
	*p = NULL;
}

void
s3_config_fini(struct s3_config *c)
{
	for (size_t i = 0; i < NSETTINGS; i++)
		if (settings[i].kind == TEXT)
			free_text(field(c, &settings[i]));
}

int
s3_config_copy(struct s3_config *to, const struct s3_config *from)
{
	bool failed = false;

	*to = *from;
	for (size_t i = 0; i < NSETTINGS; i++) {
		char **p;

		if (settings[i].kind != TEXT)
			continue;
		p = field(to, &settings[i]);
		if (!*p)
			continue;
		*p = strdup(*p);
		failed |= !*p;
	}
	if (!failed)
		return 0;
	s3_config_fini(to);
	return -ENOMEM;
}

const char *
s3_config_name(unsigned i, const char **what, const char **value)
{
	if (i >= NSETTINGS)
		return NULL;
	*what = settings[i].what;
	*value = settings[i].value;
	return settings[i].name;
}

/* --- one value ------------------------------------------------------------- */

static int
bad(const struct setting *s, const char *value, const char *want,
    struct err *e)
{
	return err_set(e, -EINVAL, "s3 setting %s: \"%s\" is not %s", s->name,
	    value ? value : "", want);
}

static int
set_text(const struct setting *s, char **p, const char *value, struct err *e)
{
	char *copy;

	if (!value)
		return err_set(e, -EINVAL, "s3 setting %s needs a value (%s)",
		    s->name, s->value);
	/* These end up in header lines and URLs. */
	for (const char *q = value; *q; q++)
		if (iscntrl((unsigned char)*q))
			return err_set(e, -EINVAL,
			    "s3 setting %s has a control character in it",
			    s->name);
	copy = strdup(value);
	if (!copy)
		return err_errno(e, -ENOMEM, "s3 setting %s", s->name);
	free_text(p);
	*p = copy;
	return 0;
}

static int
set_switch(
    const struct setting *s, bool *p, const char *value, struct err *e)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	if (!value || !*value) {
		*p = true;
		return 0;
	}
	for (int i = 0; i < 4; i++) {
		if (strcasecmp(value, yes[i]) == 0) {
			*p = true;
			return 0;
		}
		if (strcasecmp(value, no[i]) == 0) {
			*p = false;
			return 0;
		}
	}
	return bad(s, value, "yes or no", e);
}

static int
set_choice(
    const struct setting *s, unsigned *p, const char *value, struct err *e)
{
	const char *c = s->value;

	for (unsigned i = 0; value; i++) {
		size_t n = strcspn(c, "|");

		if (strlen(value) == n && strncmp(value, c, n) == 0) {
			*p = i;
			return 0;
		}
		if (!c[n])
			break;
		c += n + 1;
	}
	return bad(s, value, s->value, e);
}

static bool
take_number(const char *value, double max, double *out, const char **rest)
{
	char *end;

	if (!value || !isdigit((unsigned char)*value))
		return false;
	*out = strtod(value, &end);
	*rest = end;
	return *out >= 0 && *out <= max;
}

static int
set_number(
    const struct setting *s, unsigned *p, const char *value, struct err *e)
{
	double max = s->at == AT(ip_tos) ? 255 : 65536, v;
	const char *rest;

	if (!take_number(value, max, &v, &rest) || *rest || v != (unsigned)v)
		return bad(s, value,
		    s->at == AT(ip_tos) ? "a number up to 255"
					: "a number up to 65536", e);
	*p = (unsigned)v;
	return 0;
}

static int
set_seconds(
    const struct setting *s, int64_t *p, const char *value, struct err *e)
{
	const char *rest;
	double v;

	if (!take_number(value, 86400, &v, &rest))
		return bad(s, value, "a number of seconds up to 86400", e);
	if (strcmp(rest, "ms") == 0)
		v /= 1000;
	else if (*rest && strcmp(rest, "s") != 0)
		return bad(s, value, "a number of seconds (or of ms)", e);
	*p = (int64_t)(v * NS_PER_S);
	return 0;
}

static int
set_rate(
    const struct setting *s, uint64_t *p, const char *value, struct err *e)
{
	static const char units[] = "kmgt";
	const char *rest, *u;
	double v;

	if (!take_number(value, 1e15, &v, &rest))
		return bad(s, value, "a number of bytes per second", e);
	u = *rest ? strchr(units, tolower((unsigned char)*rest)) : NULL;
	for (; u && u >= units; u--)
		v *= 1024;
	if (*rest && (!strchr(units, tolower((unsigned char)*rest)) || rest[1]))
		return bad(s, value,
		    "a number of bytes per second with K, M, G or T", e);
	*p = (uint64_t)v;
	return 0;
}

static int
unknown(const char *name, struct err *e)
{
	struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < NSETTINGS; i++) {
		strbuf_puts(&b, i ? ", " : "");
		strbuf_puts(&b, settings[i].name);
	}
	err_set(e, -EINVAL, "there is no s3 setting \"%s\"; there are %s",
	    name, strbuf_text(&b));
	strbuf_fini(&b);
	return -EINVAL;
}

/* "max_connections" is "max-connections". */
static bool
same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '_' ? '-' : *a) != *b)
			return false;
	return *a == *b;
}

int
s3_config_set(struct s3_config *c, const char *name, const char *value,
    struct err *e)
{
	const struct setting *s = settings;

	while (s < settings + NSETTINGS && !same_name(name, s->name))
		s++;
	if (s == settings + NSETTINGS)
		return unknown(name, e);
	switch (s->kind) {
	case TEXT:
		return set_text(s, field(c, s), value, e);
	case SWITCH:
		return set_switch(s, field(c, s), value, e);
	case CHOICE:
		return set_choice(s, field(c, s), value, e);
	case NUMBER:
		return set_number(s, field(c, s), value, e);
	case SECONDS:
		return set_seconds(s, field(c, s), value, e);
	case RATE:
		return set_rate(s, field(c, s), value, e);
	}
	return -EINVAL;
}
