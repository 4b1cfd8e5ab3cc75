/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.c: decode the head of an HTTP answer.
 *
 * Each line is either the status line, or "name: value", or the empty line at
 * the end.  Numbers and dates that the engine or a store needs are decoded at
 * once; texts are kept in one growing buffer as "name\0value\0" and found by
 * linear search, because there are about ten of them.
 *
 * A header that appears twice is kept twice and http_answer_get finds the
 * first; Content-Length that appears twice with different values is refused,
 * since then nobody knows where the body ends.
 *
 * No locks, no I/O; any thread.  Fuzzed by tests/fuzz/fuzz_httphdr.c.
 */
#include "http/answer.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

void
http_answer_init(struct http_answer *a)
{
	memset(&a->text, 0, sizeof(a->text));
	http_answer_clear(a);
}

void
http_answer_clear(struct http_answer *a)
{
	a->status = 0;
	a->complete = false;
	a->chunked = false;
	a->length = HTTP_UNKNOWN;
	a->range_first = HTTP_UNKNOWN;
	a->range_last = HTTP_UNKNOWN;
	a->range_total = HTTP_UNKNOWN;
	a->date_s = 0;
	a->modified_s = 0;
	a->retry_after_s = -1;
	strbuf_clear(&a->text);
	a->nkept = 0;
}

void
http_answer_fini(struct http_answer *a)
{
	strbuf_fini(&a->text);
}

/* Decimal digits up to a limit that cannot overflow; false: not a number. */
static bool
take_u64(const char **p, const char *end, uint64_t *out)
{
	const char *s = *p;
	uint64_t v = 0;

	while (s < end && isdigit((unsigned char)*s)) {
		if (v > (INT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s++ - '0');
	}
	if (s == *p)
		return false;
	*p = s;
	*out = v;
	return true;
}

static void
trim(const char **p, const char **end)
{
	while (*p < *end && (**p == ' ' || **p == '\t'))
		(*p)++;
	while (*end > *p && ((*end)[-1] == ' ' || (*end)[-1] == '\t'))
		(*end)--;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200". */
static int
status_line(struct http_answer *a, const char *p, const char *end,
    struct err *e)
{
	uint64_t v;

	http_answer_clear(a);
	while (p < end && *p != ' ')
		p++;
	while (p < end && *p == ' ')
		p++;
	if (!take_u64(&p, end, &v) || v < 100 || v > 999)
		return err_set(e, -EBADMSG,
		    "the server's status line has no status");
	a->status = (int)v;
	return 0;
}

/* "bytes 0-99/1234", "bytes 0-99/ *" and, with status 416, "bytes * /1234". */
static int
content_range(struct http_answer *a, const char *p, const char *end,
    struct err *e)
{
	uint64_t first, last, total = HTTP_UNKNOWN;
	const char *whole = p;

	if (end - p < 6 || strncasecmp(p, "bytes", 5) != 0)
		goto bad;
	p += 5;
	while (p < end && (*p == ' ' || *p == '='))
		p++;
	if (p < end && *p == '*') {
		p++;
		if (p < end && *p++ == '/' && take_u64(&p, end, &total) &&
		    p == end) {
			a->range_total = total;
			return 0;
		}
		goto bad;
	}
	if (!take_u64(&p, end, &first) || p == end || *p++ != '-' ||
	    !take_u64(&p, end, &last) || p == end || *p++ != '/')
		goto bad;
	if (p < end && *p == '*')
		p++;
	else if (!take_u64(&p, end, &total))
		goto bad;
	if (p != end || last < first || last >= total)
		goto bad;
	a->range_first = first;
	a->range_last = last;
	a->range_total = total;
	return 0;
bad:
	return err_set(e, -EBADMSG,
	    "the server's Content-Range \"%.*s\" is not understood",
	    (int)(end - whole > 60 ? 60 : end - whole), whole);
}

static int
content_length(struct http_answer *a, const char *p, const char *end,
    struct err *e)
{
	const char *whole = p;
	uint64_t v;

	if (!take_u64(&p, end, &v) || p != end)
		return err_set(e, -EBADMSG,
		    "the server's Content-Length \"%.*s\" is not a number",
		    (int)(end - whole > 40 ? 40 : end - whole), whole);
	if (a->length != HTTP_UNKNOWN && a->length != v)
		return err_set(e, -EBADMSG,
		    "the server gave two values of Content-Length, "
		    "%llu and %llu",
		    (unsigned long long)a->length, (unsigned long long)v);
	a->length = v;
	return 0;
}

/* A date in any of HTTP's forms; 0 if it is none, which is no error: a wrong
 * clock elsewhere must not stop the disk. */
static int64_t
http_date(const char *p, const char *end)
{
	char text[64];
	time_t t;

	if ((size_t)(end - p) >= sizeof(text))
		return 0;
	memcpy(text, p, (size_t)(end - p));
	text[end - p] = '\0';
	t = curl_getdate(text, NULL);
	return t < 0 ? 0 : (int64_t)t;
}

#define RETRY_MAX_S 86400

static void
retry_after(struct http_answer *a, const char *p, const char *end)
{
	const char *s = p;
	uint64_t v;
	int64_t t;

	if (take_u64(&s, end, &v) && s == end) {
		a->retry_after_s = v > RETRY_MAX_S ? RETRY_MAX_S : (int64_t)v;
		return;
	}
	t = http_date(p, end);
	if (!t || !a->date_s)
		return;
	t -= a->date_s;
	a->retry_after_s = t > RETRY_MAX_S ? RETRY_MAX_S : t > 0 ? t : 0;
}

static bool
name_is(const char *name, size_t n, const char *what)
{
	return strlen(what) == n && strncasecmp(name, what, n) == 0;
}

static bool
kept(const char *name, size_t n)
{
	static const char *const names[] = {"etag", "content-type",
	    "content-encoding", "location", "server", "www-authenticate",
	    "content-md5"};

	if (n > 6 && strncasecmp(name, "x-amz-", 6) == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name_is(name, n, names[i]))
			return true;
	return false;
}

static int
keep(struct http_answer *a, const char *name, size_t nname, const char *p,
    const char *end, struct err *e)
{
	size_t at = a->text.len, n = (size_t)(end - p);

	if (nname > 256 || n > HTTP_VALUE_MAX)
		return err_set(e, -EBADMSG,
		    "the server's header %.*s has %zu bytes, the limit is %d",
		    (int)(nname > 80 ? 80 : nname), name, n, HTTP_VALUE_MAX);
	if (a->nkept == HTTP_KEPT_MAX || at + nname + n > HTTP_KEPT_BYTES)
		return err_set(e, -EBADMSG,
		    "the server sent too many headers (at %.*s; the limits "
		    "are %d headers and %d bytes)",
		    (int)(nname > 80 ? 80 : nname), name, HTTP_KEPT_MAX,
		    HTTP_KEPT_BYTES);
	if (memchr(p, '\0', n) || memchr(name, '\0', nname))
		return err_set(e, -EBADMSG,
		    "the server's header %.*s has a zero byte in it",
		    (int)strnlen(name, nname > 80 ? 80 : nname), name);
	a->kept[a->nkept].name = (uint32_t)at;
	for (size_t i = 0; i < nname; i++)
		strbuf_putc(&a->text, (char)tolower((unsigned char)name[i]));
	strbuf_putc(&a->text, '\0');
	a->kept[a->nkept].value = (uint32_t)a->text.len;
	strbuf_add(&a->text, p, n);
	strbuf_putc(&a->text, '\0');
	if (a->text.failed)
		return err_errno(e, -ENOMEM, "the headers of an answer");
	a->nkept++;
	return 0;
}

int
http_answer_line(
    struct http_answer *a, const char *line, size_t n, struct err *e)
{
	const char *p, *end = line + n, *colon;
	size_t nname;

	while (end > line && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	if (end - line >= 5 && memcmp(line, "HTTP/", 5) == 0)
		return status_line(a, line, end, e);
	if (end == line)
		a->complete = true;
	if (a->complete)
		return 0;
	colon = memchr(line, ':', (size_t)(end - line));
	if (!colon || colon == line)
		return err_set(e, -EBADMSG,
		    "the server sent a header line without a name");
	nname = (size_t)(colon - line);
	p = colon + 1;
	trim(&p, &end);
	if (name_is(line, nname, "content-length"))
		return content_length(a, p, end, e);
	if (name_is(line, nname, "content-range"))
		return content_range(a, p, end, e);
	if (name_is(line, nname, "transfer-encoding"))
		a->chunked = true;
	else if (name_is(line, nname, "date"))
		a->date_s = http_date(p, end);
	else if (name_is(line, nname, "last-modified"))
		a->modified_s = http_date(p, end);
	else if (name_is(line, nname, "retry-after"))
		retry_after(a, p, end);
	else if (kept(line, nname))
		return keep(a, line, nname, p, end, e);
	return 0;
}

bool
http_answer_nth(const struct http_answer *a, unsigned i, const char **name,
    const char **value)
{
	if (i >= a->nkept)
		return false;
	*name = a->text.s + a->kept[i].name;
	*value = a->text.s + a->kept[i].value;
	return true;
}

const char *
http_answer_get(const struct http_answer *a, const char *name)
{
	for (unsigned i = 0; i < a->nkept; i++)
		if (strcmp(a->text.s + a->kept[i].name, name) == 0)
			return a->text.s + a->kept[i].value;
	return NULL;
}
