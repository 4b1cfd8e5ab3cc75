/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.c: from endpoint, style and bucket to URLs; see place.h.
 *
 * The Host header is signed, so it is made here and given to libcurl, and not
 * left to either's idea of when a port is to be named.
 */
#include "s3/place.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "s3/config.h"
#include "s3/encode.h"

static bool
ends_in(const char *p, size_t n, const char *tail)
{
	size_t k = strlen(tail);

	return n >= k && strncasecmp(p + n - k, tail, k) == 0;
}

static bool
is_aws(const char *host, size_t n)
{
	return ends_in(host, n, ".amazonaws.com") ||
	    ends_in(host, n, ".amazonaws.com.cn");
}

/* Can the bucket be one label of a host name?  (With a dot in it, it would be
 * several, for which AWS's certificate is not good.) */
static bool
is_label(const char *b)
{
	size_t n = strlen(b);

	if (n < 3 || n > 63 || b[0] == '-' || b[n - 1] == '-')
		return false;
	for (; *b; b++)
		if (!(*b >= 'a' && *b <= 'z') && !(*b >= '0' && *b <= '9') &&
		    *b != '-')
			return false;
	return true;
}

/* What may stand between "//" and the path. */
static bool
host_valid(const char *p, size_t n)
{
	if (n == 0 || n > 255)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && !strchr(".-_:[]", p[i]))
			return false;
	return true;
}

/* host without the port that its scheme implies. */
static size_t
without_port(const char *host, size_t n, bool tls)
{
	const char *port = tls ? ":443" : ":80";

	return ends_in(host, n, port) ? n - strlen(port) : n;
}

static int
bad_endpoint(const struct s3_config *c, struct err *e)
{
	return err_set(e, -EINVAL,
	    "endpoint \"%s\" is not of the form http[s]://HOST[:PORT][/PATH]",
	    c->endpoint);
}

int
s3_place_init(struct s3_place *p, const struct s3_config *c,
    const char *bucket, struct err *e)
{
	struct strbuf host = STRBUF_INIT, path = STRBUF_INIT;
	struct strbuf origin = STRBUF_INIT;
	const char *h = c->endpoint, *rest;
	bool in_host;
	size_t n;

	memset(p, 0, sizeof(*p));
	if (!*bucket || strchr(bucket, '/'))
		return err_set(e, -EINVAL,
		    "\"%s\" is not a bucket's name", bucket);
	if (strncasecmp(h, "https://", 8) == 0) {
		p->tls = true;
		h += 8;
	} else if (strncasecmp(h, "http://", 7) == 0) {
		h += 7;
	} else {
		return bad_endpoint(c, e);
	}
	n = strcspn(h, "/?#");
	rest = h + n;
	if (!host_valid(h, n) || strpbrk(rest, "?#"))
		return bad_endpoint(c, e);
	in_host = c->style == S3_STYLE_HOST ||
	    (c->style == S3_STYLE_AUTO && is_aws(h, n) && is_label(bucket));
	n = without_port(h, n, p->tls);
	if (in_host) {
		strbuf_puts(&host, bucket);
		strbuf_putc(&host, '.');
	}
	strbuf_add(&host, h, n);
	strbuf_printf(&origin, "http%s://%s", p->tls ? "s" : "",
	    strbuf_text(&host));
	strbuf_puts(&path, rest);
	while (path.len && path.s[path.len - 1] == '/')
		path.len--;
	strbuf_putc(&path, '/');
	if (!in_host) {
		s3_encode(&path, bucket);
		strbuf_putc(&path, '/');
	}
	p->host = strbuf_take(&host);
	p->origin = strbuf_take(&origin);
	p->path = strbuf_take(&path);
	return p->host && p->origin && p->path
	    ? 0 : err_errno(e, -ENOMEM, "endpoint %s", c->endpoint);
}

void
s3_place_fini(struct s3_place *p)
{
	free(p->origin);
	free(p->host);
	free(p->path);
	memset(p, 0, sizeof(*p));
}
