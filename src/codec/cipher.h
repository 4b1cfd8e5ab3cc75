/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CODEC_CIPHER_H
#define CODEC_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Encryption as s3backer's layout has it: CBC with an IV made of the block's
 * number, and HMAC-SHA1 over what came out (docs/formats.md says what this
 * protects, and what it does not).
 *
 * A cipher is immutable once it is made; any thread may use it.
 */
struct err;

#define CIPHER_NAME_MAX 64
#define CIPHER_KEY_MAX 64
#define CIPHER_IV_MAX 16
#define CIPHER_HMAC_LEN 20
#define CIPHER_PAD_MAX 16 /* bytes that encryption adds, at most */

struct cipher;

/*
 * OpenSSL's own name for a cipher, from any of its names ("aes128" becomes
 * AES-128-CBC).  -EINVAL: unknown, or not a CBC cipher.
 */
int cipher_canonical(const char *name, char *out, size_t cap, struct err *e);

/*
 * Derive the keys (a few milliseconds).  key_length 0: the cipher's own; more
 * goes into the HMAC only.  salt: "BUCKET/PREFIX".
 */
int cipher_new(const char *name, const char *password, const char *salt,
    unsigned key_length, struct cipher **out, struct err *e);
void cipher_free(struct cipher *c); /* wipes the keys; accepts NULL */

const char *cipher_name(const struct cipher *c); /* canonical */
unsigned cipher_key_length(const struct cipher *c);

/* dst: n + CIPHER_PAD_MAX bytes. */
int cipher_encrypt(const struct cipher *c, uint32_t block, const void *src,
    size_t n, void *dst, size_t *len, struct err *e);
/* dst: n bytes.  -EBADMSG: not something that was encrypted. */
int cipher_decrypt(const struct cipher *c, uint32_t block, const void *src,
    size_t n, void *dst, size_t *len, struct err *e);

/* The HMAC of an encrypted block. */
int cipher_hmac(const struct cipher *c, uint32_t block, const void *text,
    size_t n, uint8_t mac[CIPHER_HMAC_LEN], struct err *e);

/*
 * 16 bytes that only this key and this text give: tells whether a password is
 * right without any block.
 */
#define CIPHER_VERIFIER_LEN 16
int cipher_verifier(const struct cipher *c, const void *text, size_t n,
    uint8_t v[CIPHER_VERIFIER_LEN], struct err *e);

/* In time that does not depend on the contents. */
bool cipher_equal(const void *a, const void *b, size_t n);

/* The keys and an IV, for the tests that compare them with known ones. */
struct cipher_secrets {
	const uint8_t *key, *ivkey;
	uint8_t iv[CIPHER_IV_MAX];
};
int cipher_get_secrets(const struct cipher *c, uint32_t block,
    struct cipher_secrets *s);

#endif
