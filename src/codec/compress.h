/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Compression as s3backer's layout has it: one zlib stream (RFC 1950) or one
 * zstd frame that names its size.  Pure functions; any thread.
 */
struct err;

enum compress_alg { COMPRESS_NONE, COMPRESS_DEFLATE, COMPRESS_ZSTD };
#define COMPRESS_LEVEL_DEFAULT INT32_MIN

/* "none", "deflate", "zstd". */
const char *compress_name(enum compress_alg a);
/* -EINVAL with a sentence that lists the names. */
int compress_parse(const char *name, enum compress_alg *a, struct err *e);
/* -EINVAL, and the range, for a level that the algorithm does not have. */
int compress_check_level(enum compress_alg a, int level, struct err *e);

/* The most that n bytes can become. */
size_t compress_bound(enum compress_alg a, size_t n);
/* dst has cap >= compress_bound bytes; *len becomes what was used. */
int compress_encode(enum compress_alg a, int level, const void *src, size_t n,
    void *dst, size_t cap, size_t *len, struct err *e);
/*
 * Exactly one stream that fills at most cap bytes: never writes more, so a
 * bomb is only an error.  -EBADMSG: damaged, cut off, followed by something,
 * or longer than cap.
 */
int compress_decode(enum compress_alg a, const void *src, size_t n, void *dst,
    size_t cap, size_t *len, struct err *e);

#endif
