/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, CBC and HMAC of s3backer's layout; see cipher.h.
 *
 *	key   = PBKDF2-HMAC-SHA1(password, salt, 5000)
 *	ivkey = PBKDF2-HMAC-SHA1(key, key, 5000)
 *	IV(n) = CBC(ivkey, iv = ivkey, n as 8 digits, then zeros)
 *
 * All by OpenSSL; its EVP_CIPHER objects are static and shared, a context is
 * made for each call (under a microsecond, next to a block of kilobytes).
 * OpenSSL's own errors here are lack of memory, or bad padding in decryption.
 */
#include "config.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "codec/cipher.h"

#define ITERATIONS 5000

struct cipher {
	const EVP_CIPHER *evp;
	unsigned key_len; /* of the HMAC; the cipher uses its own length */
	size_t block;	  /* bytes; also of the IV */
	uint8_t key[CIPHER_KEY_MAX];
	uint8_t ivkey[CIPHER_KEY_MAX];
};

/* A name that OpenSSL may be asked for: nothing else reaches its tables. */
static bool
name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < CIPHER_NAME_MAX &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"
			 "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

static int
lookup(const char *name, const EVP_CIPHER **evp, struct err *e)
{
	const EVP_CIPHER *c = name_ok(name) ? EVP_get_cipherbyname(name) : NULL;
	int block;

	if (c == NULL)
		return err_set(e, -EINVAL,
		    "cipher %.*s: OpenSSL has none of that name (AES-256-CBC "
		    "is one)", CIPHER_NAME_MAX, name);
	block = EVP_CIPHER_get_block_size(c);
	if (EVP_CIPHER_get_mode(c) != EVP_CIPH_CBC_MODE || block < 2 ||
	    block > CIPHER_IV_MAX || block != EVP_CIPHER_get_iv_length(c) ||
	    (EVP_CIPHER_get_flags(c) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0)
		return err_set(e, -EINVAL,
		    "cipher %s: this volume format takes CBC ciphers only "
		    "(AES-256-CBC is one)", EVP_CIPHER_get0_name(c));
	*evp = c;
	return 0;
}

int
cipher_canonical(const char *name, char *out, size_t cap, struct err *e)
{
	const EVP_CIPHER *evp;
	int rc = lookup(name, &evp, e);

	if (rc < 0)
		return rc;
	must(cap >= CIPHER_NAME_MAX);
	snprintf(out, cap, "%s", EVP_CIPHER_get0_name(evp));
	return 0;
}

static int
derive(const void *pass, size_t npass, const void *salt, size_t nsalt,
    uint8_t *key, unsigned len)
{
	if (PKCS5_PBKDF2_HMAC_SHA1(pass, (int)npass, salt, (int)nsalt,
		ITERATIONS, (int)len, key) != 1)
		return -ENOMEM;
	return 0;
}

int
cipher_new(const char *name, const char *password, const char *salt,
    unsigned key_length, struct cipher **out, struct err *e)
{
	const EVP_CIPHER *evp;
	struct cipher *c;
	unsigned own;
	int rc = lookup(name, &evp, e);

	if (rc < 0)
		return rc;
	own = (unsigned)EVP_CIPHER_get_key_length(evp);
	if (key_length == 0)
		key_length = own;
	if (key_length < own || key_length > CIPHER_KEY_MAX)
		return err_set(e, -EINVAL,
		    "key length %u: %s takes %u to %d bytes", key_length,
		    EVP_CIPHER_get0_name(evp), own, CIPHER_KEY_MAX);
	if (password[0] == '\0')
		return err_set(e, -EINVAL, "the password is empty");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_errno(e, -ENOMEM, "cipher %s", name);
	c->evp = evp;
	c->key_len = key_length;
	c->block = (size_t)EVP_CIPHER_get_block_size(evp);
	rc = derive(password, strlen(password), salt, strlen(salt), c->key,
	    key_length);
	if (rc == 0)
		rc = derive(c->key, key_length, c->key, key_length, c->ivkey,
		    key_length);
	if (rc < 0) {
		cipher_free(c);
		return err_errno(e, rc, "cipher %s: deriving its keys", name);
	}
	*out = c;
	return 0;
}

void
cipher_free(struct cipher *c)
{
	if (c == NULL)
		return;
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}

const char *
cipher_name(const struct cipher *c)
{
	return EVP_CIPHER_get0_name(c->evp);
}

unsigned
cipher_key_length(const struct cipher *c)
{
	return c->key_len;
}

/* One pass of the cipher.  -EBADMSG: the padding is wrong. */
static int
crypt(const struct cipher *c, bool enc, bool pad, const uint8_t *key,
    const uint8_t *iv, const void *src, size_t n, uint8_t *dst, size_t *len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int a = 0, b = 0, rc = -ENOMEM;

	if (ctx == NULL)
		return -ENOMEM;
	must(n <= INT32_MAX);
	if (EVP_CipherInit_ex2(ctx, c->evp, key, iv, enc, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(ctx, pad) != 1 ||
	    EVP_CipherUpdate(ctx, dst, &a, src, (int)n) != 1)
		goto out;
	if (EVP_CipherFinal_ex(ctx, dst + a, &b) != 1) {
		rc = -EBADMSG;
		goto out;
	}
	*len = (size_t)a + (size_t)b;
	rc = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

static int
block_iv(const struct cipher *c, uint32_t block, uint8_t *iv)
{
	char number[CIPHER_IV_MAX + 1] = {0};
	uint8_t out[2 * CIPHER_IV_MAX];
	size_t len;
	int rc;

	snprintf(number, sizeof(number), "%08x", block);
	rc = crypt(c, true, false, c->ivkey, c->ivkey, number, c->block, out,
	    &len);
	if (rc < 0)
		return rc;
	must(len == c->block);
	memcpy(iv, out, len);
	return 0;
}

int
cipher_encrypt(const struct cipher *c, uint32_t block, const void *src,
    size_t n, void *dst, size_t *len, struct err *e)
{
	uint8_t iv[CIPHER_IV_MAX];
	int rc = block_iv(c, block, iv);

	if (rc == 0)
		rc = crypt(c, true, true, c->key, iv, src, n, dst, len);
	return rc < 0 ? err_errno(e, rc, "encrypting") : 0;
}

int
cipher_decrypt(const struct cipher *c, uint32_t block, const void *src,
    size_t n, void *dst, size_t *len, struct err *e)
{
	uint8_t iv[CIPHER_IV_MAX], *tmp;
	int rc;

	if (n == 0 || n % c->block != 0)
		return err_set(e, -EBADMSG,
		    "it has %zu bytes, which %s cannot have made", n,
		    cipher_name(c));
	/* EVP may write one block more than it keeps. */
	tmp = malloc(n + CIPHER_IV_MAX);
	if (tmp == NULL)
		return err_errno(e, -ENOMEM, "decrypting");
	rc = block_iv(c, block, iv);
	if (rc == 0)
		rc = crypt(c, false, true, c->key, iv, src, n, tmp, len);
	if (rc == 0)
		memcpy(dst, tmp, *len);
	free(tmp);
	if (rc == -EBADMSG)
		return err_set(e, rc, "it does not decrypt (bad padding)");
	return rc < 0 ? err_errno(e, rc, "decrypting") : 0;
}

/* One HMAC over up to three pieces. */
struct piece {
	const void *p;
	size_t n;
};

static int
hmac(const char *digest, const struct cipher *c, const struct piece *v,
    unsigned n, uint8_t *out, size_t outlen)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[2];
	size_t got = 0;
	bool ok;

	params[0] = OSSL_PARAM_construct_utf8_string(
	    OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	ok = ctx != NULL && EVP_MAC_init(ctx, c->key, c->key_len, params) == 1;
	for (unsigned i = 0; ok && i < n; i++)
		ok = EVP_MAC_update(ctx, v[i].p, v[i].n) == 1;
	ok = ok && EVP_MAC_final(ctx, out, &got, outlen) == 1;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	if (!ok)
		return -ENOMEM;
	must(got == outlen);
	return 0;
}

int
cipher_hmac(const struct cipher *c, uint32_t block, const void *text, size_t n,
    uint8_t mac[CIPHER_HMAC_LEN], struct err *e)
{
	const char *name = cipher_name(c);
	char number[9];
	int rc;

	snprintf(number, sizeof(number), "%08x", block);
	rc = hmac("SHA1", c,
	    (struct piece[]){{number, 8}, {name, strlen(name)}, {text, n}}, 3,
	    mac, CIPHER_HMAC_LEN);
	return rc < 0 ? err_errno(e, rc, "computing the HMAC") : 0;
}

int
cipher_verifier(const struct cipher *c, const void *text, size_t n,
    uint8_t v[CIPHER_VERIFIER_LEN], struct err *e)
{
	static const char label[] = "pail password verifier 1";
	uint8_t full[32];
	int rc = hmac("SHA256", c,
	    (struct piece[]){{label, sizeof(label) - 1}, {text, n}}, 2, full,
	    sizeof(full));

	if (rc < 0)
		return err_errno(e, rc, "computing the password verifier");
	memcpy(v, full, CIPHER_VERIFIER_LEN);
	return 0;
}

bool
cipher_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

int
cipher_get_secrets(const struct cipher *c, uint32_t block,
    struct cipher_secrets *s)
{
	s->key = c->key;
	s->ivkey = c->ivkey;
	return block_iv(c, block, s->iv);
}
