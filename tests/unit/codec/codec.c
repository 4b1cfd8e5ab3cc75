/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks to objects and back: known vectors, round trips, damage. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/cipher.h"
#include "codec/codec.h"

#define BLOCK 65536u

static const char *
hex(const uint8_t *p, size_t n)
{
	static char text[2 * CIPHER_KEY_MAX + 1];

	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	return text;
}

static struct cipher *
cipher(const char *name, const char *salt, unsigned key_length)
{
	struct cipher *c = NULL;
	struct err e = ERR_INIT;

	if (cipher_new(name, "hunter2", salt, key_length, &c, &e) < 0)
		fail_msg("%s", err_text(&e));
	return c;
}

/* Keys and IVs as s3backer derives them. */
static void
test_keys(void **state)
{
	struct cipher *c =
	    cipher("AES-128-CBC", "tb-AES-128-CBC/sub/dir/", 0);
	struct cipher_secrets s;

	assert_int_equal(cipher_get_secrets(c, 0, &s), 0);
	assert_string_equal(
	    hex(s.key, 16), "7259a7dfabe6b3dba3b110b83c100ab0");
	assert_string_equal(
	    hex(s.ivkey, 16), "947d75c518fc60cb65196ca38ba3027f");
	assert_string_equal(hex(s.iv, 16), "ab074082c387b040c60dff921ca8f701");
	assert_int_equal(cipher_get_secrets(c, 5, &s), 0);
	assert_string_equal(hex(s.iv, 16), "1c3cb843d7aebc25ad274d19e3e4757d");
	cipher_free(c);

	c = cipher("aes-256-cbc", "tb-aes-256-cbc/sub/dir/", 0);
	assert_int_equal(cipher_get_secrets(c, 0, &s), 0);
	assert_string_equal(hex(s.key, 32),
	    "329530694146b855c0c4cfd2cf85e6ad"
	    "78fdde9acd71df4d57ff7d7247eaa001");
	assert_string_equal(hex(s.ivkey, 32),
	    "b5f1f96542782588a3ba029302cc5e17"
	    "49b977eb1fc9508cb619ef46f6a966c8");
	assert_string_equal(hex(s.iv, 16), "559fb247cd3e942becf8f296fff45f51");
	cipher_free(c);
}

/* Whole objects as s3backer writes them. */
static void
test_objects(void **state)
{
	struct codec c = {.compress = COMPRESS_DEFLATE,
	    .level = COMPRESS_LEVEL_DEFAULT,
	    .cipher = cipher("aes128", "tb-AES-128-CBC/sub/dir/", 0)};
	uint8_t *src = malloc(BLOCK), *back = malloc(BLOCK);
	uint8_t *dst = malloc(codec_write_max(&c, BLOCK));
	char hmac[CODEC_HMAC_TEXT], enc[CODEC_ENCODING_MAX];
	size_t len;

	codec_encoding(&c, enc);
	assert_string_equal(enc, "deflate, encrypt-AES-128-CBC");
	memset(src, 'A', BLOCK);
	assert_int_equal(
	    codec_encode(&c, 0, src, BLOCK, dst, &len, hmac, NULL), 0);
	assert_int_equal(len, 96);
	assert_string_equal(
	    hmac, "\"9c821b529503c1fd5098bb6fef9014cbf8a3007b\"");
	assert_int_equal(codec_decode(&c, 0, enc, hmac, dst, len, back, BLOCK,
			     NULL), 0);
	assert_memory_equal(src, back, BLOCK);

	for (unsigned i = 0; i < BLOCK; i++)
		src[i] = (uint8_t)i;
	assert_int_equal(
	    codec_encode(&c, 5, src, BLOCK, dst, &len, hmac, NULL), 0);
	assert_int_equal(len, 592);
	assert_string_equal(
	    hmac, "\"752f955030ed0df3c279d73aef731350a601a3e3\"");
	cipher_free(c.cipher);
	free(src);
	free(back);
	free(dst);
}

static void
fill(uint8_t *p, size_t n, int kind)
{
	uint32_t x = 7;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = kind == 0 ? 'x' : kind == 1 ? (uint8_t)(i / 100)
						    : (uint8_t)(x >> 24);
	}
}

static const char *const ciphers[] = {
    NULL, "AES-128-CBC", "AES-256-CBC", "DES-EDE3-CBC", "CAMELLIA-256-CBC"};

static void
round_trip(struct codec *c, size_t n, int kind)
{
	uint8_t *src = malloc(n), *back = malloc(n);
	uint8_t *dst = malloc(codec_write_max(c, n));
	char hmac[CODEC_HMAC_TEXT], enc[CODEC_ENCODING_MAX];
	struct err e = ERR_INIT;
	size_t len;

	fill(src, n, kind);
	codec_encoding(c, enc);
	if (codec_encode(c, 77, src, n, dst, &len, hmac, &e) < 0)
		fail_msg("%s: %s", enc, err_text(&e));
	assert_true(len <= codec_read_max(n));
	if (codec_decode(c, 77, enc[0] ? enc : NULL, hmac[0] ? hmac : NULL,
		dst, len, back, n, &e) < 0)
		fail_msg("%s: %s", enc, err_text(&e));
	assert_memory_equal(src, back, n);
	if (c->cipher != NULL) {
		/* It belongs to this block. */
		assert_int_equal(codec_decode(c, 78, enc, hmac, dst, len, back,
				     n, &e), -EBADMSG);
		assert_non_null(strstr(err_text(&e), "HMAC"));
	}
	free(src);
	free(back);
	free(dst);
}

static void
test_round_trips(void **state)
{
	for (unsigned i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++) {
		struct codec c = {.level = COMPRESS_LEVEL_DEFAULT};

		if (ciphers[i] != NULL)
			c.cipher = cipher(ciphers[i], "b/", i == 2 ? 48 : 0);
		for (int a = COMPRESS_NONE; a <= COMPRESS_ZSTD; a++)
			for (int kind = 0; kind < 3; kind++) {
				c.compress = (enum compress_alg)a;
				round_trip(&c, 4096, kind);
				round_trip(&c, BLOCK, kind);
			}
		cipher_free(c.cipher);
	}
}

/*
 * Whichever byte is damaged, the block is refused, unless nothing checks it, as
 * in a zstd frame without checksum: then still no more than a block is made.
 */
static void
test_every_byte(void **state)
{
	enum { SIZE = 4096 };
	uint8_t src[SIZE], back[SIZE], dst[2 * SIZE];
	char hmac[CODEC_HMAC_TEXT], enc[CODEC_ENCODING_MAX];
	struct codec c = {.level = COMPRESS_LEVEL_DEFAULT};
	size_t len;

	fill(src, SIZE, 1);
	for (int k = 0; k < 4; k++) {
		c.compress = k % 2 ? COMPRESS_ZSTD : COMPRESS_DEFLATE;
		c.cipher = k < 2 ? cipher("AES-256-CBC", "b/", 0) : NULL;
		codec_encoding(&c, enc);
		assert_int_equal(codec_encode(&c, 3, src, SIZE, dst, &len,
				     hmac, NULL), 0);
		for (size_t i = 0; i < len; i++) {
			int rc;

			dst[i] ^= 0x10;
			rc = codec_decode(&c, 3, enc, hmac, dst, len, back,
			    SIZE, NULL);
			/* The HMAC sees every change, Adler-32 every one
			 * that matters (a few bits are padding). */
			if (k < 2 || rc != 0)
				assert_int_equal(rc, -EBADMSG);
			else if (k == 2)
				assert_memory_equal(src, back, SIZE);
			dst[i] ^= 0x10;
		}
		/* Cut off anywhere, or with something behind it. */
		for (size_t i = 0; i < len; i++)
			assert_int_equal(codec_decode(&c, 3, enc, hmac, dst, i,
					     back, SIZE, NULL), -EBADMSG);
		dst[len] = 0;
		assert_int_equal(codec_decode(&c, 3, enc, hmac, dst, len + 1,
				     back, SIZE, NULL), -EBADMSG);
		cipher_free(c.cipher);
	}
}

struct bad {
	const char *encoding, *hmac, *word;
};

/* What an object may claim, and what is said about it. */
static void
test_claims(void **state)
{
	static const char mac[] =
	    "\"0000000000000000000000000000000000000000\"";
	static const struct bad encrypted[] = {
	    {NULL, NULL, "not encrypted"},
	    {"deflate", NULL, "not encrypted"},
	    {"encrypt-AES-256-CBC", NULL, "no HMAC"},
	    {"encrypt-AES-256-CBC", "", "HMAC is wrong"},
	    {"encrypt-AES-256-CBC", mac, "HMAC is wrong"},
	    {"encrypt-AES-128-CBC", mac, "encrypted with AES-128-CBC"},
	    {"encrypt-NONSENSE", mac, "unknown cipher"},
	    {"encrypt-AES-256-CBC, gzip", mac, "gzip is unknown"},
	    {"a,b,c,d,e,f,g,h,i", mac, "more than"},
	};
	static const struct bad plain[] = {
	    {"encrypt-AES-256-CBC", mac, "without a password"},
	    {"br", NULL, "br is unknown"},
	    {"encrypt-", NULL, "encrypt- is unknown"},
	    {"deflate", NULL, "damaged"},
	    {"zstd", NULL, "damaged"},
	};
	struct codec c = {.cipher = cipher("AES-256-CBC", "b/", 0)};
	uint8_t src[512] = {0}, back[512];
	char *longest = malloc(8192);
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < sizeof(encrypted) / sizeof(*encrypted); i++) {
		assert_int_equal(codec_decode(&c, 1, encrypted[i].encoding,
				     encrypted[i].hmac, src, sizeof(src), back,
				     sizeof(back), &e), -EBADMSG);
		if (strstr(err_text(&e), encrypted[i].word) == NULL)
			fail_msg("%s: %s", encrypted[i].word, err_text(&e));
	}
	cipher_free(c.cipher);
	c.cipher = NULL;
	for (unsigned i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		assert_int_equal(codec_decode(&c, 1, plain[i].encoding,
				     plain[i].hmac, src, sizeof(src), back,
				     sizeof(back), &e), -EBADMSG);
		if (strstr(err_text(&e), plain[i].word) == NULL)
			fail_msg("%s: %s", plain[i].word, err_text(&e));
	}
	memset(longest, 'x', 8191);
	longest[8191] = '\0';
	assert_int_equal(codec_decode(&c, 1, longest, NULL, src, sizeof(src),
			     back, sizeof(back), &e), -EBADMSG);
	free(longest);

	/* Sizes of what is not encoded. */
	assert_int_equal(codec_decode(&c, 1, NULL, NULL, src, 511, back, 512,
			     &e), -EBADMSG);
	assert_int_equal(codec_decode(&c, 1, "", NULL, src, 512, back, 512,
			     &e), 0);
}

/* Other spellings mean the same. */
static void
test_aliases(void **state)
{
	static const char *const same[] = {"deflate, encrypt-AES-128-CBC",
	    "deflate,encrypt-aes-128-cbc", " DEFLATE ,\t Encrypt-AES128 ,"};
	struct codec c = {.compress = COMPRESS_DEFLATE,
	    .level = 9,
	    .cipher = cipher("AES128", "b/", 0)};
	uint8_t src[512] = {1}, back[512], dst[1024];
	char hmac[CODEC_HMAC_TEXT];
	size_t len;

	assert_int_equal(
	    codec_encode(&c, 0, src, 512, dst, &len, hmac, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		memset(back, 0, sizeof(back));
		assert_int_equal(codec_decode(&c, 0, same[i], hmac, dst, len,
				     back, 512, NULL), 0);
		assert_memory_equal(src, back, 512);
	}
	cipher_free(c.cipher);
}

/* The header is missing, and the volume's owner knows what it was. */
static void
test_default_encoding(void **state)
{
	struct codec c = {.compress = COMPRESS_ZSTD,
	    .level = COMPRESS_LEVEL_DEFAULT,
	    .default_encoding = "zstd"};
	uint8_t src[512] = {1}, back[512], dst[1024];
	char hmac[CODEC_HMAC_TEXT];
	size_t len;

	assert_int_equal(
	    codec_encode(&c, 0, src, 512, dst, &len, hmac, NULL), 0);
	assert_int_equal(codec_decode(&c, 0, NULL, NULL, dst, len, back, 512,
			     NULL), 0);
	c.default_encoding = NULL;
	assert_int_equal(codec_decode(&c, 0, NULL, NULL, dst, len, back, 512,
			     NULL), -EBADMSG);
}

/* A small object that would become a large block. */
static void
test_bomb(void **state)
{
	enum { BIG = 1 << 24 };
	uint8_t *src = calloc(BIG, 1), *dst = malloc(BIG), back[4096];

	for (int a = COMPRESS_DEFLATE; a <= COMPRESS_ZSTD; a++) {
		struct codec c = {.compress = (enum compress_alg)a,
		    .level = COMPRESS_LEVEL_DEFAULT};
		char hmac[CODEC_HMAC_TEXT];
		size_t len;

		assert_int_equal(compress_encode(c.compress, c.level, src,
				     BIG - BIG / 4, dst, BIG, &len, NULL), 0);
		assert_int_equal(codec_decode(&c, 0, compress_name(c.compress),
				     NULL, dst, len, back, sizeof(back), NULL),
		    -EBADMSG);
		/* Too small is no block either. */
		assert_int_equal(codec_encode(&c, 0, src, 4095, dst, &len,
				     hmac, NULL), 0);
		assert_int_equal(codec_decode(&c, 0, compress_name(c.compress),
				     NULL, dst, len, back, sizeof(back), NULL),
		    -EBADMSG);
	}
	free(src);
	free(dst);
}

static void
test_cipher_names(void **state)
{
	static const char *const bad[] = {"", "nonsense", "AES-128-GCM",
	    "AES-128-CTR", "AES-128-ECB", "AES-128-XTS", "ChaCha20", "RC4",
	    "AES-128-CBC-HMAC-SHA1", "aes 128", "../x", "AES-128-CFB",
	    "id-aes128-wrap"};
	char name[CIPHER_NAME_MAX];
	struct cipher *c;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (cipher_canonical(bad[i], name, sizeof(name), NULL) == 0)
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(
	    cipher_canonical("aes128", name, sizeof(name), NULL), 0);
	assert_string_equal(name, "AES-128-CBC");
	assert_int_equal(
	    cipher_canonical("Aes-256-Cbc", name, sizeof(name), NULL), 0);
	assert_string_equal(name, "AES-256-CBC");
	assert_int_equal(
	    cipher_new("aes256", "p", "s", 31, &c, NULL), -EINVAL);
	assert_int_equal(
	    cipher_new("aes256", "p", "s", 65, &c, NULL), -EINVAL);
	assert_int_equal(
	    cipher_new("aes256", "", "s", 0, &c, NULL), -EINVAL);
}

static void
test_verifier(void **state)
{
	uint8_t a[CIPHER_VERIFIER_LEN], b[CIPHER_VERIFIER_LEN];
	struct cipher *c = cipher("aes256", "b/", 0), *d = NULL;

	assert_int_equal(cipher_new("aes256", "hunter3", "b/", 0, &d, NULL), 0);
	assert_int_equal(cipher_verifier(c, "uuid", 4, a, NULL), 0);
	assert_int_equal(cipher_verifier(c, "uuid", 4, b, NULL), 0);
	assert_true(cipher_equal(a, b, sizeof(a)));
	assert_int_equal(cipher_verifier(d, "uuid", 4, b, NULL), 0);
	assert_false(cipher_equal(a, b, sizeof(a)));
	assert_int_equal(cipher_verifier(c, "UUID", 4, b, NULL), 0);
	assert_false(cipher_equal(a, b, sizeof(a)));
	cipher_free(c);
	cipher_free(d);
}

static void
test_levels(void **state)
{
	assert_int_equal(compress_check_level(COMPRESS_DEFLATE, 9, NULL), 0);
	assert_int_equal(
	    compress_check_level(COMPRESS_DEFLATE, 10, NULL), -EINVAL);
	assert_int_equal(compress_check_level(COMPRESS_ZSTD, 19, NULL), 0);
	assert_int_equal(
	    compress_check_level(COMPRESS_ZSTD, 23, NULL), -EINVAL);
	assert_int_equal(
	    compress_check_level(COMPRESS_NONE, 1, NULL), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_objects),
	    cmocka_unit_test(test_round_trips),
	    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_aliases),
	    cmocka_unit_test(test_default_encoding),
	    cmocka_unit_test(test_bomb),
	    cmocka_unit_test(test_cipher_names),
	    cmocka_unit_test(test_verifier),
	    cmocka_unit_test(test_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
