/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_DESCRIPTOR_H
#define LAYOUT_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/cipher.h"
#include "codec/compress.h"

/*
 * The descriptor: what a volume is, in the object PREFIXpail-volume.
 *
 * Text, so that a person can read it with any tool, in lines of name and value,
 * so that no library is needed to read it strictly (docs/formats.md):
 *
 *	pail-volume 1
 *	layout s3backer
 *	uuid 0a5c0b7e-...
 *	size 1099511627776
 *	...
 *	crc32 5f0d3a21
 *
 * Pure functions, any thread.
 */
struct err;
struct strbuf;

#define DESCRIPTOR_MAX 8192  /* bytes of the object */
#define DESCRIPTOR_SALT_MAX 1400
#define DESCRIPTOR_EXTRA_MAX 2048
#define DESCRIPTOR_VERSION 1
#define UUID_TEXT_LEN 36

struct descriptor {
	uint8_t uuid[16];
	uint64_t size;
	uint32_t block_size;
	bool hashed; /* names of blocks have a hash before them */
	enum compress_alg compress;
	int compress_level; /* COMPRESS_LEVEL_DEFAULT: not said */
	/* Encryption; cipher "" if there is none. */
	char cipher[CIPHER_NAME_MAX];
	unsigned key_length;
	char salt[DESCRIPTOR_SALT_MAX];
	uint8_t verifier[CIPHER_VERIFIER_LEN];
	int64_t created_s; /* wall clock, UTC */
	/* Lines that this version does not know but may ignore; kept. */
	char extra[DESCRIPTOR_EXTRA_MAX];
};

/* -ENOMEM, -E2BIG. */
int descriptor_encode(const struct descriptor *d, struct strbuf *out);

/*
 * -EBADMSG: damaged, or not a descriptor; -EPROTONOSUPPORT: of a version, or
 * with a feature, that this program does not know.  The sentence does not name
 * the object.
 */
int descriptor_decode(struct descriptor *d, const void *p, size_t n,
    struct err *e);

void uuid_format(const uint8_t uuid[16], char text[UUID_TEXT_LEN + 1]);
/* Seconds since 1970 as YYYY-MM-DDTHH:MM:SSZ. */
void time_format(int64_t s, char text[32]);

/* The limits of every volume of this layout, and whether size and block size
 * go together.  -EINVAL with a sentence. */
#define BLOCK_SIZE_MIN 4096u
#define BLOCK_SIZE_MAX (16u << 20)
#define NBLOCKS_MAX (UINT64_C(1) << 32)
int geometry_check(uint64_t size, uint64_t block_size, struct err *e);

#endif
