/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/compress.h"

/*
 * From a block to the bytes of its object, and back.
 *
 * Writing follows the volume's codec: compress, then encrypt.  Reading follows
 * the object's own Content-Encoding, whatever it is, as one volume may have
 * been written with several; but what the volume says is the least that is
 * accepted: on an encrypted volume a block that is not encrypted and
 * authentic is refused.
 *
 * Pure functions of their arguments; any thread.  Buffers are the caller's.
 */
struct cipher;
struct err;

#define CODEC_ENCODING_MAX 96 /* of what is written, with the NUL */
#define CODEC_HMAC_TEXT 43    /* quotes, 40 digits, NUL */

struct codec {
	enum compress_alg compress;
	int level;
	struct cipher *cipher; /* borrowed; NULL: not encrypted */
	/* For objects without Content-Encoding; borrowed; NULL: none. */
	const char *default_encoding;
};

/* Blocks are stored as they are. */
bool codec_is_plain(const struct codec *c);
/* The Content-Encoding of what codec_encode makes; "" for none. */
void codec_encoding(const struct codec *c, char text[CODEC_ENCODING_MAX]);

/* The most that a block of n bytes becomes when it is written. */
size_t codec_write_max(const struct codec *c, size_t n);
/* The most that is accepted as the object of a block of n bytes. */
size_t codec_read_max(size_t n);

/* dst: codec_write_max(n) bytes.  hmac: "" unless encrypted. */
int codec_encode(const struct codec *c, uint32_t block, const void *src,
    size_t n, void *dst, size_t *len, char hmac[CODEC_HMAC_TEXT],
    struct err *e);

/*
 * encoding, hmac: of the object, or NULL.  dst gets exactly n bytes, or it is
 * an error: -EBADMSG and what is wrong with the object ("its ..."), -ENOMEM.
 */
int codec_decode(const struct codec *c, uint32_t block, const char *encoding,
    const char *hmac, const void *src, size_t len, void *dst, size_t n,
    struct err *e);

/* What an encoding says, as far as it can be understood: for finding out how
 * a volume was written.  cipher: as it stands there; "" if not encrypted. */
void codec_describe(const char *encoding, enum compress_alg *compress,
    char *cipher, size_t cap);

#endif
