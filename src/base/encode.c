/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c: bytes as text; see encode.h. */
#include "base/encode.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/must.h"
#include "base/strbuf.h"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
unreserved(char c)
{
	char lower = c | 0x20;

	return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void
percent_encode(struct strbuf *out, const char *s, size_t n, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (unreserved(s[i]) || (c == '/' && keep_slash)) {
			strbuf_putc(out, s[i]);
			continue;
		}
		strbuf_putc(out, '%');
		strbuf_putc(out, digits[c >> 4]);
		strbuf_putc(out, digits[c & 15]);
	}
}

int
percent_decode(struct strbuf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high, low;

		if (s[i] != '%') {
			strbuf_putc(out, s[i]);
			continue;
		}
		if (n - i < 3)
			return -EINVAL;
		high = hex_value(s[i + 1]);
		low = hex_value(s[i + 2]);
		if (high < 0 || low < 0)
			return -EINVAL;
		strbuf_putc(out, (char)(high << 4 | low));
		i += 2;
	}
	return 0;
}

void
hex_encode(char *out, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[c[i] >> 4];
		*out++ = digits[c[i] & 15];
	}
	*out = '\0';
}

int
hex_decode(void *out, size_t n, const char *s)
{
	unsigned char *o = out;

	for (size_t i = 0; i < n; i++) {
		int high = hex_value(s[2 * i]);
		int low = high < 0 ? -1 : hex_value(s[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		o[i] = (unsigned char)(high << 4 | low);
	}
	return s[2 * n] ? -EINVAL : 0;
}

void
base64_encode(char *out, const void *p, size_t n)
{
	must(n <= INT_MAX / 2);
	EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

static bool
base64_char(char c)
{
	char lower = c | 0x20;

	return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
	       c == '+' || c == '/';
}

/* OpenSSL skips spaces and knows nothing of padding: look first. */
int64_t
base64_decode(void *out, size_t cap, const char *s, size_t n)
{
	unsigned pad = 0;
	unsigned char last[3];
	size_t bytes;

	if (n == 0)
		return 0;
	if (n % 4 != 0 || n > INT_MAX / 2)
		return -EINVAL;
	while (pad < 2 && s[n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < n - pad; i++)
		if (!base64_char(s[i]))
			return -EINVAL;
	bytes = n / 4 * 3 - pad;
	if (bytes > cap)
		return -ENOSPC;
	/* The last group may have fewer bytes than OpenSSL writes. */
	if (n > 4 &&
	    EVP_DecodeBlock(out, (const unsigned char *)s, (int)n - 4) < 0)
		return -EINVAL;
	if (EVP_DecodeBlock(last, (const unsigned char *)s + n - 4, 4) < 0)
		return -EINVAL;
	memcpy((char *)out + n / 4 * 3 - 3, last, 3 - pad);
	return (int64_t)bytes;
}
