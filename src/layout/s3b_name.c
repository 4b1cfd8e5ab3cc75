/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of objects in s3backer's layout; see s3b_name.h.
 *
 * The parser accepts what the formatter makes and nothing else: lower-case
 * digits, all of them, and a hash that is the block's own.  What else lies
 * under the prefix belongs to somebody else and is left alone.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "layout/s3b_name.h"

const char *
s3b_volume_name(char *to, const char *url, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(url, "s3:", 3) == 0)
		snprintf(to, VOLUME_NAME_MAX, "%s%s", url, prefix);
	else if (n == 0)
		snprintf(to, VOLUME_NAME_MAX, "%s", url);
	else
		snprintf(to, VOLUME_NAME_MAX, "%.*s?volume=%.*s",
		    (int)strcspn(url, "?"), url,
		    (int)(n - (prefix[n - 1] == '/')), prefix);
	return to;
}

uint32_t
s3b_hash(uint32_t block)
{
	uint32_t h = block;

	for (uint32_t i = 12; i >= 1; i--)
		h = ((h >> 8) ^ h) * 0x6b + i;
	return h;
}

void
s3b_name_block(char *to, const char *prefix, bool hashed, uint32_t block)
{
	size_t n = strlen(prefix);

	memcpy(to, prefix, n);
	if (hashed)
		snprintf(to + n, S3B_NAME_MAX, "%08x-%08x", s3b_hash(block),
		    block);
	else
		snprintf(to + n, S3B_NAME_MAX, "%08x", block);
}

/* The value of a lower-case hexadecimal digit, or -1. */
static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
parse8(const char *s, uint32_t *v)
{
	uint32_t x = 0;

	for (int i = 0; i < 8; i++) {
		int d = digit(s[i]);

		if (d < 0) /* the NUL too */
			return false;
		x = x << 4 | (uint32_t)d;
	}
	*v = x;
	return true;
}

bool
s3b_name_parse(const char *key, const char *prefix, bool hashed,
    uint32_t *block)
{
	size_t n = strlen(prefix);
	uint32_t hash = 0, b;

	if (strncmp(key, prefix, n) != 0)
		return false;
	key += n;
	if (hashed) {
		if (!parse8(key, &hash) || key[8] != '-')
			return false;
		key += 9;
	}
	if (!parse8(key, &b) || key[8] != '\0')
		return false;
	if (hashed && hash != s3b_hash(b))
		return false;
	*block = b;
	return true;
}

void
s3b_name_before(char *to, const char *prefix, uint32_t pos)
{
	size_t n = strlen(prefix);

	memcpy(to, prefix, n);
	/* '/' comes just before '0', '~' after all that follows a position. */
	if (pos == 0)
		snprintf(to + n, S3B_NAME_MAX, "0000000/");
	else
		snprintf(to + n, S3B_NAME_MAX, "%08x~", pos - 1);
}

void
s3b_name_behind(char *to, const char *prefix, uint32_t pos)
{
	size_t n = strlen(prefix);

	memcpy(to, prefix, n);
	snprintf(to + n, S3B_NAME_MAX, "%08x~", pos);
}

uint64_t
s3b_name_next_pos(const char *key, const char *prefix)
{
	size_t n = strlen(prefix);
	uint64_t pos = 0;
	int cmp = strncmp(key, prefix, n);
	int i;

	if (cmp != 0) /* before or behind everything of ours */
		return cmp < 0 ? 0 : UINT64_C(1) << 32;
	key += n;
	for (i = 0; i < 8; i++) {
		int d = digit(key[i]);
		unsigned char c = (unsigned char)key[i];

		if (d < 0) {
			if (c > 'f')
				pos++; /* behind all digits here */
			else if (c > '9') {
				pos = pos << 4 | 0xa;
				i++;
			}
			break;
		}
		pos = pos << 4 | (uint64_t)d;
	}
	/* All eight are digits: a name with a hash may still follow. */
	return pos << (4 * (8 - i));
}
