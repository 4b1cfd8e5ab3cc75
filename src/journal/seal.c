/* SPDX-License-Identifier: Apache-2.0 */
/* seal.c: AES-256-GCM and HMAC-SHA-256 by OpenSSL; see seal.h. */
#include "config.h"

#include "journal/seal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"

struct seal {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[32];
};

/* HMAC(secret, label, salt, epoch, nonce) */
static int
derive(const uint8_t *secret, const char *label, const uint8_t *salt,
    uint64_t epoch, uint64_t nonce, uint8_t out[32])
{
	uint8_t text[16 + 32 + 16];
	unsigned len = 32;

	memset(text, 0, sizeof(text));
	memcpy(text, label, strnlen(label, 16));
	memcpy(text + 16, salt, 32);
	put_le64(text + 48, epoch);
	put_le64(text + 56, nonce);
	if (HMAC(EVP_sha256(), secret, SEAL_SECRET, text, sizeof(text), out,
		&len) == NULL)
		return -EIO;
	return 0;
}

int
seal_check(const uint8_t secret[SEAL_SECRET], const uint8_t salt[32],
    uint8_t check[16])
{
	uint8_t full[32];
	int rc = derive(secret, "check", salt, 0, 0, full);

	memcpy(check, full, 16);
	OPENSSL_cleanse(full, sizeof(full));
	return rc;
}

int
seal_new(const uint8_t secret[SEAL_SECRET], const uint8_t salt[32],
    uint64_t epoch, uint64_t nonce, struct seal **out)
{
	struct seal *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	rc = derive(secret, "record", salt, epoch, nonce, s->key);
	s->ctx = EVP_CIPHER_CTX_new();
	if (!s->ctx)
		rc = -ENOMEM;
	if (rc < 0) {
		seal_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
seal_free(struct seal *s)
{
	if (!s)
		return;
	EVP_CIPHER_CTX_free(s->ctx);
	OPENSSL_cleanse(s->key, sizeof(s->key));
	free(s);
}

static void
make_iv(uint64_t seq, uint8_t iv[12])
{
	memset(iv, 0, 12);
	put_le64(iv, seq);
}

int
seal_close(struct seal *s, uint64_t seq, const void *aad, size_t naad, void *p,
    size_t n, uint8_t tag[16])
{
	uint8_t iv[12], last[16];
	int len;

	make_iv(seq, iv);
	if (n > INT_MAX || naad > INT_MAX ||
	    !EVP_EncryptInit_ex(s->ctx, EVP_aes_256_gcm(), NULL, s->key, iv) ||
	    !EVP_EncryptUpdate(s->ctx, NULL, &len, aad, (int)naad) ||
	    (n > 0 && !EVP_EncryptUpdate(s->ctx, p, &len, p, (int)n)) ||
	    !EVP_EncryptFinal_ex(s->ctx, last, &len) ||
	    !EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_GET_TAG, 16, tag))
		return -EIO;
	return 0;
}

int
seal_open(struct seal *s, uint64_t seq, const void *aad, size_t naad, void *p,
    size_t n, const uint8_t tag[16])
{
	uint8_t iv[12], last[16];
	int len;

	make_iv(seq, iv);
	if (n > INT_MAX || naad > INT_MAX ||
	    !EVP_DecryptInit_ex(s->ctx, EVP_aes_256_gcm(), NULL, s->key, iv) ||
	    !EVP_DecryptUpdate(s->ctx, NULL, &len, aad, (int)naad) ||
	    (n > 0 && !EVP_DecryptUpdate(s->ctx, p, &len, p, (int)n)) ||
	    !EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_SET_TAG, 16,
		(void *)(uintptr_t)tag))
		return -EIO;
	return EVP_DecryptFinal_ex(s->ctx, last, &len) > 0 ? 0 : -EBADMSG;
}
