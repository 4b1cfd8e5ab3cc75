/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c: percent-encoding and queries; see encode.h. */
#include "s3/encode.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/must.h"

/* Not isalnum: that depends on the locale. */
static bool
plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	    (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

static void
encode(struct strbuf *b, const char *text, bool slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (const char *p = text; *p;) {
		size_t n = 0;
		char x[3];

		while (plain(p[n]) || (slash && p[n] == '/'))
			n++;
		strbuf_add(b, p, n);
		p += n;
		if (!*p)
			break;
		x[0] = '%';
		x[1] = digits[(unsigned char)*p >> 4];
		x[2] = digits[(unsigned char)*p & 15];
		strbuf_add(b, x, 3);
		p++;
	}
}

void
s3_encode(struct strbuf *b, const char *text)
{
	encode(b, text, false);
}

void
s3_encode_key(struct strbuf *b, const char *key)
{
	encode(b, key, true);
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t
s3_decode(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		int hi, lo;

		if (*p == '%' && (hi = digit(p[1])) >= 0 &&
		    (lo = digit(p[2])) >= 0 && (hi || lo)) {
			*to++ = (char)(hi * 16 + lo);
			p += 2;
		} else {
			*to++ = *p == '+' ? ' ' : *p;
		}
	}
	*to = '\0';
	return (size_t)(to - text);
}

/* By name, then by value: "=" ends a name, so it is less than all else. */
static int
compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (*a == '=' ? 0 : (unsigned char)*a) -
	    (*b == '=' ? 0 : (unsigned char)*b);
}

void
s3_query_add(struct s3_query *q, const char *name, const char *value)
{
	struct strbuf b = STRBUF_INIT;
	unsigned i;

	must(q->n < S3_QUERY_MAX);
	s3_encode(&b, name);
	strbuf_putc(&b, '=');
	s3_encode(&b, value ? value : "");
	for (i = q->n; i > 0; i--) {
		if (compare(strbuf_text(&q->items[i - 1]), strbuf_text(&b)) <=
		    0)
			break;
		q->items[i] = q->items[i - 1];
	}
	q->items[i] = b;
	q->n++;
}

void
s3_query_finish(struct s3_query *q, struct strbuf *out)
{
	for (unsigned i = 0; i < q->n; i++) {
		if (i)
			strbuf_putc(out, '&');
		strbuf_puts(out, strbuf_text(&q->items[i]));
		out->failed |= q->items[i].failed;
		strbuf_fini(&q->items[i]);
	}
	q->n = 0;
}
