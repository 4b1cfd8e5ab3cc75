/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of one block; see compress.h.
 *
 * A block is compressed in one call, into a buffer that is large enough for
 * the worst case, and uncompressed into one of the size that it must have.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "base/err.h"
#include "base/must.h"
#include "codec/compress.h"

static const char *const names[] = {"none", "deflate", "zstd"};
#define NALGS (sizeof(names) / sizeof(*names))

const char *
compress_name(enum compress_alg a)
{
	must(a < NALGS);
	return names[a];
}

int
compress_parse(const char *name, enum compress_alg *a, struct err *e)
{
	for (unsigned i = 0; i < NALGS; i++)
		if (strcasecmp(name, names[i]) == 0) {
			*a = (enum compress_alg)i;
			return 0;
		}
	return err_set(e, -EINVAL,
	    "compression %s: there are none, deflate and zstd", name);
}

int
compress_check_level(enum compress_alg a, int level, struct err *e)
{
	int min = 0, max = 0;

	if (level == COMPRESS_LEVEL_DEFAULT)
		return 0;
	switch (a) {
	case COMPRESS_NONE:
		return err_set(e, -EINVAL,
		    "compression level %d without compression", level);
	case COMPRESS_DEFLATE:
		min = Z_DEFAULT_COMPRESSION;
		max = Z_BEST_COMPRESSION;
		break;
	case COMPRESS_ZSTD:
		min = ZSTD_minCLevel();
		max = ZSTD_maxCLevel();
		break;
	}
	if (level < min || level > max)
		return err_set(e, -EINVAL,
		    "compression level %d: %s has %d to %d", level,
		    compress_name(a), min, max);
	return 0;
}

size_t
compress_bound(enum compress_alg a, size_t n)
{
	switch (a) {
	case COMPRESS_DEFLATE:
		return compressBound(n);
	case COMPRESS_ZSTD:
		return ZSTD_compressBound(n);
	case COMPRESS_NONE:
		break;
	}
	return n;
}

static int
zstd_encode(int level, const void *src, size_t n, void *dst, size_t cap,
    size_t *len, struct err *e)
{
	size_t got;

	if (level == COMPRESS_LEVEL_DEFAULT)
		level = ZSTD_CLEVEL_DEFAULT;
	got = ZSTD_compress(dst, cap, src, n, level);
	if (ZSTD_isError(got))
		return err_set(e, -ENOMEM, "zstd: %s", ZSTD_getErrorName(got));
	*len = got;
	return 0;
}

static int
deflate_encode(int level, const void *src, size_t n, void *dst, size_t cap,
    size_t *len, struct err *e)
{
	uLongf got = cap;
	int rc;

	if (level == COMPRESS_LEVEL_DEFAULT)
		level = Z_DEFAULT_COMPRESSION;
	rc = compress2(dst, &got, src, n, level);
	if (rc != Z_OK)
		return err_set(e, -ENOMEM, "deflate: %s", zError(rc));
	*len = got;
	return 0;
}

int
compress_encode(enum compress_alg a, int level, const void *src, size_t n,
    void *dst, size_t cap, size_t *len, struct err *e)
{
	must(cap >= compress_bound(a, n));
	switch (a) {
	case COMPRESS_DEFLATE:
		return deflate_encode(level, src, n, dst, cap, len, e);
	case COMPRESS_ZSTD:
		return zstd_encode(level, src, n, dst, cap, len, e);
	case COMPRESS_NONE:
		break;
	}
	memcpy(dst, src, n);
	*len = n;
	return 0;
}

static int
deflate_decode(const void *src, size_t n, void *dst, size_t cap, size_t *len,
    struct err *e)
{
	uLongf got = cap;
	uLong used = n;
	int rc = uncompress2(dst, &got, src, &used);

	switch (rc) {
	case Z_OK:
		break;
	case Z_MEM_ERROR:
		return err_set(e, -ENOMEM, "deflate: %s", zError(rc));
	case Z_BUF_ERROR:
		return err_set(e, -EBADMSG,
		    got == cap ? "its deflate stream is longer than %zu bytes"
			       : "its deflate stream is cut off (%zu bytes "
				 "were expected)", cap);
	default:
		return err_set(e, -EBADMSG, "its deflate stream is damaged");
	}
	if (used != n)
		return err_set(e, -EBADMSG,
		    "%zu bytes follow its deflate stream", n - (size_t)used);
	*len = got;
	return 0;
}

static int
zstd_decode(const void *src, size_t n, void *dst, size_t cap, size_t *len,
    struct err *e)
{
	size_t frame = ZSTD_findFrameCompressedSize(src, n), got;

	if (ZSTD_isError(frame))
		return err_set(e, -EBADMSG, "its zstd frame is damaged: %s",
		    ZSTD_getErrorName(frame));
	if (frame != n)
		return err_set(e, -EBADMSG, "%zu bytes follow its zstd frame",
		    n - frame);
	got = ZSTD_decompress(dst, cap, src, n);
	if (ZSTD_isError(got))
		return err_set(e, -EBADMSG,
		    "its zstd frame does not make %zu bytes: %s", cap,
		    ZSTD_getErrorName(got));
	*len = got;
	return 0;
}

int
compress_decode(enum compress_alg a, const void *src, size_t n, void *dst,
    size_t cap, size_t *len, struct err *e)
{
	switch (a) {
	case COMPRESS_DEFLATE:
		return deflate_decode(src, n, dst, cap, len, e);
	case COMPRESS_ZSTD:
		return zstd_decode(src, n, dst, cap, len, e);
	case COMPRESS_NONE:
		break;
	}
	if (n > cap)
		return err_set(e, -EBADMSG, "it has %zu bytes, not %zu", n,
		    cap);
	memcpy(dst, src, n);
	*len = n;
	return 0;
}
