/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs of stores: cut into scheme, path, prefix and parameters.
 *
 *	s3://BUCKET/PREFIX?name=value&name=value
 *	dir:PATH?volume=NAME
 *	raw:PATH,PATH?volume=NAME
 *	raw:PATH,PATH?volume=NAME
 *	mem:NAME?volume=NAME
 *
 * The cuts are made first, then each piece is percent-decoded, so an encoded
 * "?" or "&" never cuts.  A pure function of the text; whatever is refused is
 * refused here with a sentence that says how to write it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/open.h"
#include "store/store.h"

#define URL_MAX 4096
#define URL_MAX_PARAMS 64
#define URL_SCHEMES \
	"s3://BUCKET/PREFIX, dir:PATH, raw:PATH,PATH... or mem:NAME"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A decoded copy of n bytes at s. */
static int
url_decode(struct url *u, const char *s, size_t n, char **out, struct err *e)
{
	char *d = malloc(n + 1);
	size_t w = 0;

	if (d == NULL)
		return err_errno(e, -ENOMEM, "URL %s", u->text);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '%') {
			int hi = i + 1 < n ? hex_value(s[i + 1]) : -1;
			int lo = i + 2 < n ? hex_value(s[i + 2]) : -1;

			if (hi < 0 || lo < 0) {
				free(d);
				return err_set(e, -EINVAL,
				    "URL %s: \"%.*s\" is no percent-encoded "
				    "byte; write a percent sign as %%25",
				    u->text, (int)(n - i < 3 ? n - i : 3),
				    s + i);
			}
			c = (unsigned char)(hi << 4 | lo);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f) {
			free(d);
			return err_set(e, -EINVAL,
			    "URL %s: the control character 0x%02x has no "
			    "place here", u->text, c);
		}
		d[w++] = (char)c;
	}
	d[w] = '\0';
	*out = d;
	return 0;
}

static int
url_add_param(struct url *u, const char *s, size_t n, struct err *e)
{
	const char *eq = memchr(s, '=', n);
	struct url_param *p;
	int rc;

	if (eq == NULL || eq == s)
		return err_set(e, -EINVAL,
		    "URL %s: the parameter \"%.*s\" is not NAME=VALUE", u->text,
		    (int)n, s);
	if (u->nparams == URL_MAX_PARAMS)
		return err_set(e, -EINVAL, "URL %s: more than %d parameters",
		    u->text, URL_MAX_PARAMS);
	p = realloc(u->params, (u->nparams + 1) * sizeof(*p));
	if (p == NULL)
		return err_errno(e, -ENOMEM, "URL %s", u->text);
	u->params = p;
	p += u->nparams;
	p->name = p->value = NULL;
	u->nparams++; /* url_fini frees what there is of it */
	rc = url_decode(u, s, (size_t)(eq - s), &p->name, e);
	if (rc == 0)
		rc = url_decode(u, eq + 1, n - (size_t)(eq + 1 - s), &p->value,
		    e);
	return rc;
}

static int
url_add_params(struct url *u, const char *s, struct err *e)
{
	while (*s != '\0') {
		size_t n = strcspn(s, "&");
		int rc = n > 0 ? url_add_param(u, s, n, e) : 0;

		if (rc < 0)
			return rc;
		s += n + (s[n] == '&');
	}
	return 0;
}

/* "" stays so; anything else is made to end in one "/". */
static int
url_set_prefix(struct url *u, const char *s, struct err *e)
{
	size_t n = strlen(s);

	while (n > 0 && s[n - 1] == '/')
		n--;
	if (n + 1 > STORE_KEY_MAX / 2)
		return err_set(e, -EINVAL,
		    "URL %s: a prefix of %zu bytes; at most %d are possible",
		    u->text, n, STORE_KEY_MAX / 2 - 1);
	u->prefix = malloc(n + 2);
	if (u->prefix == NULL)
		return err_errno(e, -ENOMEM, "URL %s", u->text);
	memcpy(u->prefix, s, n);
	if (n > 0)
		u->prefix[n++] = '/';
	u->prefix[n] = '\0';
	return 0;
}

/* Take a parameter out: its last value, malloc'ed, or NULL. */
static char *
url_take(struct url *u, const char *name)
{
	char *value = NULL;

	for (unsigned i = 0; i < u->nparams;) {
		if (strcmp(u->params[i].name, name) != 0) {
			i++;
			continue;
		}
		free(value);
		value = u->params[i].value;
		free(u->params[i].name);
		u->nparams--;
		memmove(&u->params[i], &u->params[i + 1],
		    (u->nparams - i) * sizeof(u->params[0]));
	}
	return value;
}

/* volume=NAME is the prefix. */
static int
url_take_volume(struct url *u, struct err *e)
{
	char *name = url_take(u, "volume");
	int rc;

	if (name == NULL)
		return url_set_prefix(u, "", e);
	if (name[0] == '\0' || name[0] == '/')
		rc = err_set(e, -EINVAL,
		    "URL %s: volume=\"%s\" is no name of a volume", u->text,
		    name);
	else
		rc = url_set_prefix(u, name, e);
	free(name);
	return rc;
}

/* prefix=TEXT follows the prefix of the path as it is, without a "/" at its
 * end: names as other programs have made them. */
static int
url_take_prefix(struct url *u, struct err *e)
{
	char *text = url_take(u, "prefix");
	char *both;
	int rc = 0;

	if (text == NULL)
		return 0;
	if (text[0] == '/' && u->prefix[0] == '\0')
		rc = err_set(e, -EINVAL,
		    "URL %s: the prefix begins with \"/\"; remove it", u->text);
	else if (strlen(u->prefix) + strlen(text) > STORE_KEY_MAX / 2)
		rc = err_set(e, -EINVAL,
		    "URL %s: the prefix is longer than %d bytes", u->text,
		    STORE_KEY_MAX / 2);
	else if (asprintf(&both, "%s%s", u->prefix, text) < 0)
		rc = err_errno(e, -ENOMEM, "URL %s", u->text);
	if (rc == 0) {
		free(u->prefix);
		u->prefix = both;
	}
	free(text);
	return rc;
}

static int
url_split_s3(struct url *u, const char *s, size_t n, struct err *e)
{
	const char *slash;
	char *prefix = NULL;
	int rc;

	if (n < 2 || s[0] != '/' || s[1] != '/')
		return err_set(e, -EINVAL,
		    "URL %s: write s3://BUCKET or s3://BUCKET/PREFIX", u->text);
	s += 2;
	n -= 2;
	slash = memchr(s, '/', n);
	rc = url_decode(u, s, slash != NULL ? (size_t)(slash - s) : n, &u->path,
	    e);
	if (rc < 0)
		return rc;
	if (u->path[0] == '\0')
		return err_set(e, -EINVAL,
		    "URL %s: the name of the bucket is missing: "
		    "s3://BUCKET/PREFIX", u->text);
	if (slash != NULL)
		rc = url_decode(u, slash + 1, n - (size_t)(slash + 1 - s),
		    &prefix, e);
	if (rc < 0)
		return rc;
	if (prefix != NULL && prefix[0] == '/')
		rc = err_set(e, -EINVAL,
		    "URL %s: the prefix begins with \"/\"; remove it", u->text);
	else
		rc = url_set_prefix(u, prefix != NULL ? prefix : "", e);
	free(prefix);
	return rc < 0 ? rc : url_take_prefix(u, e);
}

static int
url_split_path(struct url *u, const char *s, size_t n, struct err *e)
{
	int rc;

	if (strcmp(u->scheme, "dir") == 0 && n == 0)
		return err_set(e, -EINVAL,
		    "URL %s: the directory is missing: dir:PATH", u->text);
	if (strcmp(u->scheme, "raw") == 0 && n == 0)
		return err_set(e, -EINVAL,
		    "URL %s: the device is missing: raw:PATH or raw:PATH,PATH",
		    u->text);
	rc = url_decode(u, s, n, &u->path, e);
	return rc < 0 ? rc : url_take_volume(u, e);
}

static int
url_split(struct url *u, struct err *e)
{
	const char *colon = strchr(u->text, ':'), *rest;
	size_t n;
	int rc;

	if (colon == NULL || colon == u->text)
		return err_set(e, -EINVAL,
		    "\"%s\" is no URL of a store; write " URL_SCHEMES, u->text);
	u->scheme = strndup(u->text, (size_t)(colon - u->text));
	if (u->scheme == NULL)
		return err_errno(e, -ENOMEM, "URL %s", u->text);
	rest = colon + 1;
	n = strcspn(rest, "?");
	if (rest[n] == '?' && (rc = url_add_params(u, rest + n + 1, e)) < 0)
		return rc;
	if (strcmp(u->scheme, "s3") == 0)
		return url_split_s3(u, rest, n, e);
	if (strcmp(u->scheme, "dir") == 0 || strcmp(u->scheme, "mem") == 0 ||
	    strcmp(u->scheme, "raw") == 0)
		return url_split_path(u, rest, n, e);
	return err_set(e, -EINVAL,
	    "URL %s: there is no store \"%s\"; write " URL_SCHEMES, u->text,
	    u->scheme);
}

int
url_parse(struct url *u, const char *text, struct err *e)
{
	int rc;

	memset(u, 0, sizeof(*u));
	if (strlen(text) > URL_MAX)
		return err_set(e, -EINVAL,
		    "a URL of %zu bytes; at most %d are possible", strlen(text),
		    URL_MAX);
	u->text = strdup(text);
	if (u->text == NULL)
		return err_errno(e, -ENOMEM, "URL %s", text);
	rc = url_split(u, e);
	if (rc < 0)
		url_fini(u);
	return rc;
}

void
url_fini(struct url *u)
{
	for (unsigned i = 0; i < u->nparams; i++) {
		free(u->params[i].name);
		free(u->params[i].value);
	}
	free(u->params);
	free(u->text);
	free(u->scheme);
	free(u->path);
	free(u->prefix);
	memset(u, 0, sizeof(*u));
}

const char *
url_param(const struct url *u, const char *name)
{
	for (unsigned i = u->nparams; i-- > 0;)
		if (strcmp(u->params[i].name, name) == 0)
			return u->params[i].value;
	return NULL;
}
