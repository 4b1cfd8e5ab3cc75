/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats of the store in a directory.
 *
 * Names.  One directory with eight million files would make every page of a
 * listing read all eight million names.  So a key becomes a path whose order,
 * chunk by chunk, is the order of keys: a listing descends to where it begins
 * and reads only the directories it shows.  With blocks named by eight hex
 * digits no directory has more than 4096 entries:
 *
 *	vol/00012345 -> vol+/^+/000+/123+/45
 *
 * A directory's name ends in "+", which no chunk contains unencoded, so a
 * file and a directory of one chunk are apart.  Chunks are cut from left to
 * right without looking at what follows: so two keys are cut alike as far as
 * they are alike, which is what makes the order right.
 *
 * The trailer keeps metadata and checksums in the same file as the bytes, so
 * that one rename replaces all of them, on every file system; bytes come first,
 * so that they are aligned.  Its size is fixed, so that a listing knows an
 * object's size from stat alone.
 */
#include "config.h"

#include "store/dirfmt.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "store/store.h"

/* --- names ------------------------------------------------------------------ */

#define SHORT_CHUNKS 3
#define SHORT_CHUNK 3

static size_t
cut_max(const struct dir_cut *c)
{
	return c->chunk < SHORT_CHUNKS ? SHORT_CHUNK : DIR_CHUNK_MAX;
}

static void
cut_step(struct dir_cut *c, const char *s, size_t n)
{
	if (s[n - 1] == '/')
		c->chunk = 0;
	else if (c->chunk < SHORT_CHUNKS)
		c->chunk++;
}

size_t
dir_cut_next(struct dir_cut *c, const char *s, size_t n)
{
	size_t max = cut_max(c), len;

	must(n > 0);
	for (len = 1; len < n && len < max && s[len - 1] != '/'; len++)
		;
	cut_step(c, s, len);
	return len;
}

bool
dir_cut_pass(struct dir_cut *c, const char *s, size_t n, bool is_dir)
{
	size_t max = cut_max(c);

	if (n == 0 || n > max || memchr(s, '/', n - 1) != NULL)
		return false;
	if (is_dir && n < max && s[n - 1] != '/')
		return false;
	cut_step(c, s, n);
	return true;
}

/* What stands for itself in a name; a dot not at the beginning. */
static bool
name_plain(unsigned char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		return true;
	return c == '-' || c == '_' || c == '=' || c == ',' || c == '@' ||
	    (c == '.' && !first);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1; /* we write capitals only */
}

size_t
dir_name_encode(char *name, const char *chunk, size_t n, bool is_dir)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t w = 0;

	must(n > 0 && n <= DIR_CHUNK_MAX);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)chunk[i];

		if (c == '/') {
			name[w++] = '^';
		} else if (name_plain(c, i == 0)) {
			name[w++] = (char)c;
		} else {
			name[w++] = '%';
			name[w++] = hex[c >> 4];
			name[w++] = hex[c & 15];
		}
	}
	if (is_dir)
		name[w++] = '+';
	name[w] = '\0';
	return w;
}

int
dir_path(char *path, size_t cap, const char *key)
{
	struct dir_cut cut = {0};
	size_t n = strlen(key), w = 0;

	while (n > 0) {
		size_t len = dir_cut_next(&cut, key, n);

		if (w + len * 3 + 3 > cap)
			return -ENAMETOOLONG;
		w += dir_name_encode(path + w, key, len, n > len);
		if (n > len)
			path[w++] = '/';
		key += len;
		n -= len;
	}
	path[w] = '\0';
	return 0;
}

int
dir_name_decode(const char *name, char chunk[DIR_CHUNK_MAX + 1], size_t *len,
    bool *is_dir)
{
	size_t n = strlen(name), w = 0;

	*is_dir = n > 1 && name[n - 1] == '+';
	if (*is_dir)
		n--;
	if (n == 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (w == DIR_CHUNK_MAX)
			return -EINVAL;
		if (c == '^') {
			c = '/';
		} else if (c == '%') {
			int hi = i + 2 < n ? hex_digit(name[i + 1]) : -1;
			int lo = i + 2 < n ? hex_digit(name[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -EINVAL;
			c = (unsigned char)(hi << 4 | lo);
			if (c < 0x20 || c == 0x7f || c == '/' ||
			    name_plain(c, w == 0))
				return -EINVAL;
			i += 2;
		} else if (!name_plain(c, w == 0)) {
			return -EINVAL;
		}
		chunk[w++] = (char)c;
	}
	chunk[w] = '\0';
	*len = w;
	return 0;
}

/* --- the trailer ------------------------------------------------------------- */

/*
 *	0	8	"PAILDIR1"
 *	8	8	bytes of the object
 *	16	4	their CRC-32
 *	20	2	pairs of metadata
 *	22	2	bytes of those
 *	24	16	tag
 *	40	980	name NUL value NUL ..., then zeros
 *	1020	4	CRC-32 of the bytes before it
 */
#define TRAILER_MAGIC "PAILDIR1"
#define TRAILER_PAIRS 40
#define TRAILER_CRC (DIR_TRAILER - 4)

static uint32_t
trailer_crc(const uint8_t *in)
{
	return crc32_gzip_refl(0, in, TRAILER_CRC);
}

int
dir_trailer_encode(uint8_t out[DIR_TRAILER], const struct dir_trailer *t,
    const struct meta *m)
{
	size_t w = TRAILER_PAIRS;

	memset(out, 0, DIR_TRAILER);
	memcpy(out, TRAILER_MAGIC, 8);
	put_le64(out + 8, t->size);
	put_le32(out + 16, t->crc);
	memcpy(out + 24, t->tag, DIR_TAG);
	for (unsigned i = 0; i < meta_count(m); i++) {
		const char *name, *value;
		size_t nlen, vlen;

		meta_nth(m, i, &name, &value);
		nlen = strlen(name) + 1;
		vlen = strlen(value) + 1;
		if (nlen + vlen > TRAILER_CRC - w)
			return -E2BIG;
		memcpy(out + w, name, nlen);
		memcpy(out + w + nlen, value, vlen);
		w += nlen + vlen;
	}
	put_le16(out + 20, (uint16_t)meta_count(m));
	put_le16(out + 22, (uint16_t)(w - TRAILER_PAIRS));
	put_le32(out + TRAILER_CRC, trailer_crc(out));
	return 0;
}

static int
pairs_decode(const char *s, size_t bytes, unsigned n, struct meta *m)
{
	const char *end = s + bytes;

	for (; n > 0; n--) {
		size_t nlen = strnlen(s, (size_t)(end - s)), vlen;
		const char *value = s + nlen + 1;
		int rc;

		if (value >= end)
			return -EBADMSG;
		vlen = strnlen(value, (size_t)(end - value));
		if (value + vlen >= end)
			return -EBADMSG;
		rc = meta_add(m, s, value);
		if (rc < 0)
			return rc == -ENOMEM ? rc : -EBADMSG;
		s = value + vlen + 1;
	}
	return s == end ? 0 : -EBADMSG;
}

int
dir_trailer_decode(const uint8_t in[DIR_TRAILER], uint64_t file_size,
    struct dir_trailer *t, struct meta **m, struct err *e)
{
	unsigned n = get_le16(in + 20), bytes = get_le16(in + 22);
	struct meta *pairs;
	int rc;

	if (memcmp(in, TRAILER_MAGIC, 8) != 0)
		return err_set(e, -EBADMSG, "no object of a pail store");
	if (get_le32(in + TRAILER_CRC) != trailer_crc(in))
		return err_set(e, -EBADMSG,
		    "the checksum of its trailer is wrong");
	t->size = get_le64(in + 8);
	t->crc = get_le32(in + 16);
	memcpy(t->tag, in + 24, DIR_TAG);
	if (file_size < DIR_TRAILER || t->size != file_size - DIR_TRAILER)
		return err_set(e, -EBADMSG,
		    "it says %llu bytes, but the file has room for %lld",
		    (unsigned long long)t->size,
		    (long long)(file_size - DIR_TRAILER));
	if (bytes > DIR_META_MAX || (n == 0 && bytes != 0))
		return err_set(e, -EBADMSG, "its metadata is damaged");
	if (m == NULL)
		return 0;
	*m = NULL;
	if (n == 0)
		return 0;
	pairs = meta_new();
	if (pairs == NULL)
		return err_errno(e, -ENOMEM, "metadata");
	rc = pairs_decode((const char *)in + TRAILER_PAIRS, bytes, n, pairs);
	if (rc < 0) {
		meta_unref(pairs);
		return err_set(e, rc, rc == -ENOMEM ? "no memory for metadata"
						    : "its metadata is damaged");
	}
	*m = pairs;
	return 0;
}
