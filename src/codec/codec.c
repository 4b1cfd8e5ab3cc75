/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks to objects and back; see codec.h.
 *
 * Content-Encoding lists the layers in the order in which they were put on,
 * so decoding goes from the last to the first.  Each layer but the first
 * decodes into memory of its own; the first into the caller's block, and that
 * must then be full to the byte.  No layer may make more than codec_read_max,
 * so an object cannot make us allocate more than a few times its block.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/must.h"
#include "codec/cipher.h"
#include "codec/codec.h"

#define LAYERS_MAX 8
#define ENCRYPT "encrypt-"
#define ENCRYPT_LEN (sizeof(ENCRYPT) - 1)

bool
codec_is_plain(const struct codec *c)
{
	return c->compress == COMPRESS_NONE && c->cipher == NULL;
}

void
codec_encoding(const struct codec *c, char text[CODEC_ENCODING_MAX])
{
	bool compressed = c->compress != COMPRESS_NONE;

	snprintf(text, CODEC_ENCODING_MAX, "%s%s%s%s",
	    compressed ? compress_name(c->compress) : "",
	    compressed && c->cipher != NULL ? ", " : "",
	    c->cipher != NULL ? ENCRYPT : "",
	    c->cipher != NULL ? cipher_name(c->cipher) : "");
}

size_t
codec_write_max(const struct codec *c, size_t n)
{
	n = compress_bound(c->compress, n);
	return c->cipher != NULL ? n + CIPHER_PAD_MAX : n;
}

/* Others may have compressed less well than compress_bound promises. */
size_t
codec_read_max(size_t n)
{
	return n + n / 8 + 1024;
}

static void
hmac_text(const uint8_t *mac, char *text)
{
	*text++ = '"';
	for (unsigned i = 0; i < CIPHER_HMAC_LEN; i++, text += 2)
		snprintf(text, 3, "%02x", mac[i]);
	*text++ = '"';
	*text = '\0';
}

int
codec_encode(const struct codec *c, uint32_t block, const void *src, size_t n,
    void *dst, size_t *len, char hmac[CODEC_HMAC_TEXT], struct err *e)
{
	uint8_t mac[CIPHER_HMAC_LEN];
	void *mid = NULL;
	size_t cap = compress_bound(c->compress, n), nmid = n;
	int rc = 0;

	hmac[0] = '\0';
	if (c->cipher == NULL)
		return compress_encode(c->compress, c->level, src, n, dst, cap,
		    len, e);
	if (c->compress != COMPRESS_NONE) {
		mid = malloc(cap);
		if (mid == NULL)
			return err_errno(e, -ENOMEM, "compressing");
		rc = compress_encode(c->compress, c->level, src, n, mid, cap,
		    &nmid, e);
		src = mid;
	}
	if (rc == 0)
		rc = cipher_encrypt(c->cipher, block, src, nmid, dst, len, e);
	if (rc == 0)
		rc = cipher_hmac(c->cipher, block, dst, *len, mac, e);
	if (rc == 0)
		hmac_text(mac, hmac);
	free(mid);
	return rc;
}

struct layer {
	const char *name; /* in the header's text */
	size_t len;
};

/* Split at commas and blanks.  The number of layers, or -EBADMSG. */
static int
split(const char *text, struct layer *v, struct err *e)
{
	static const char seps[] = ", \t";
	int n = 0;

	for (;;) {
		text += strspn(text, seps);
		if (*text == '\0')
			return n;
		if (n == LAYERS_MAX)
			return err_set(e, -EBADMSG,
			    "its content-encoding has more than %d layers",
			    LAYERS_MAX);
		v[n].name = text;
		v[n].len = strcspn(text, seps);
		text += v[n].len;
		n++;
	}
}

static bool
layer_is(const struct layer *l, const char *name)
{
	return l->len == strlen(name) && strncasecmp(l->name, name, l->len) == 0;
}

static bool
layer_is_encrypt(const struct layer *l)
{
	return l->len > ENCRYPT_LEN &&
	    strncasecmp(l->name, ENCRYPT, ENCRYPT_LEN) == 0;
}

static void
layer_cipher(const struct layer *l, char *name, size_t cap)
{
	snprintf(name, cap, "%.*s", (int)(l->len - ENCRYPT_LEN),
	    l->name + ENCRYPT_LEN);
}

/* Is this the volume's cipher, under whichever of its names? */
static int
check_cipher(const struct codec *c, const struct layer *l, struct err *e)
{
	char name[CIPHER_NAME_MAX + 1], canonical[CIPHER_NAME_MAX];

	layer_cipher(l, name, sizeof(name));
	if (c->cipher == NULL)
		return err_set(e, -EBADMSG,
		    "it is encrypted (%.64s), and the volume was opened "
		    "without a password", name);
	if (cipher_canonical(name, canonical, sizeof(canonical), NULL) < 0)
		return err_set(e, -EBADMSG,
		    "it is encrypted with an unknown cipher (%.64s)", name);
	if (strcasecmp(canonical, cipher_name(c->cipher)) != 0)
		return err_set(e, -EBADMSG,
		    "it is encrypted with %s, the volume with %s", canonical,
		    cipher_name(c->cipher));
	return 0;
}

static int
check_hmac(const struct codec *c, uint32_t block, const char *hmac,
    const void *src, size_t len, struct err *e)
{
	char expect[CODEC_HMAC_TEXT];
	uint8_t mac[CIPHER_HMAC_LEN];
	int rc;

	if (hmac == NULL)
		return err_set(e, -EBADMSG,
		    "it is encrypted but carries no HMAC");
	rc = cipher_hmac(c->cipher, block, src, len, mac, e);
	if (rc < 0)
		return rc;
	hmac_text(mac, expect);
	if (strlen(hmac) != CODEC_HMAC_TEXT - 1 ||
	    !cipher_equal(hmac, expect, CODEC_HMAC_TEXT - 1))
		return err_set(e, -EBADMSG,
		    "its HMAC is wrong: damaged, moved from another block, or "
		    "written with another password");
	return 0;
}

/* Undo one layer, from src to dst of cap bytes. */
static int
undo(const struct codec *c, uint32_t block, const struct layer *l,
    const char *hmac, const void *src, size_t len, void *dst, size_t cap,
    size_t *out, struct err *e)
{
	int rc;

	if (layer_is(l, "deflate"))
		return compress_decode(COMPRESS_DEFLATE, src, len, dst, cap,
		    out, e);
	if (layer_is(l, "zstd"))
		return compress_decode(COMPRESS_ZSTD, src, len, dst, cap, out,
		    e);
	if (!layer_is_encrypt(l))
		return err_set(e, -EBADMSG,
		    "its content-encoding %.*s is unknown",
		    l->len > 64 ? 64 : (int)l->len, l->name);
	rc = check_cipher(c, l, e);
	if (rc == 0)
		rc = check_hmac(c, block, hmac, src, len, e);
	if (rc == 0 && len > cap + CIPHER_PAD_MAX)
		rc = err_set(e, -EBADMSG,
		    "it decrypts to more than the %zu bytes of a block", cap);
	if (rc < 0)
		return rc;
	if (len <= cap)
		return cipher_decrypt(c->cipher, block, src, len, dst, out, e);

	/* The padding may reach beyond a block that is just full. */
	uint8_t *tmp = malloc(len);

	if (tmp == NULL)
		return err_errno(e, -ENOMEM, "decrypting");
	rc = cipher_decrypt(c->cipher, block, src, len, tmp, out, e);
	if (rc == 0 && *out > cap)
		rc = err_set(e, -EBADMSG, "it decrypts to %zu bytes, not %zu",
		    *out, cap);
	if (rc == 0)
		memcpy(dst, tmp, *out);
	free(tmp);
	return rc;
}

static int
undo_all(const struct codec *c, uint32_t block, const struct layer *v, int nv,
    const char *hmac, const void *src, size_t len, void *dst, size_t n,
    struct err *e)
{
	void *owned = NULL, *next = NULL;
	size_t out = 0;
	int rc = 0;

	for (int i = nv - 1; i >= 0 && rc == 0; i--) {
		size_t cap = i > 0 ? codec_read_max(n) : n;

		if (i > 0) {
			next = malloc(cap);
			if (next == NULL) {
				rc = err_errno(e, -ENOMEM, "decoding");
				break;
			}
		}
		rc = undo(c, block, &v[i], hmac, src, len,
		    i > 0 ? next : dst, cap, &out, e);
		free(owned);
		src = owned = next;
		next = NULL;
		len = out;
	}
	free(owned);
	if (rc == 0 && len != n)
		rc = err_set(e, -EBADMSG, "it decodes to %zu bytes, not %zu",
		    len, n);
	return rc;
}

int
codec_decode(const struct codec *c, uint32_t block, const char *encoding,
    const char *hmac, const void *src, size_t len, void *dst, size_t n,
    struct err *e)
{
	struct layer v[LAYERS_MAX];
	bool encrypted = false;
	int nv;

	if (encoding == NULL)
		encoding = c->default_encoding;
	nv = split(encoding != NULL ? encoding : "", v, e);
	if (nv < 0)
		return nv;
	for (int i = 0; i < nv; i++)
		encrypted = encrypted || layer_is_encrypt(&v[i]);
	if (c->cipher != NULL && !encrypted)
		return err_set(e, -EBADMSG,
		    "it is not encrypted, though the volume is (if the server "
		    "drops Content-Encoding, give a default encoding)");
	if (nv > 0)
		return undo_all(c, block, v, nv, hmac, src, len, dst, n, e);
	if (len != n)
		return err_set(e, -EBADMSG, "it has %zu bytes, not %zu", len,
		    n);
	memcpy(dst, src, n);
	return 0;
}

void
codec_describe(const char *encoding, enum compress_alg *compress, char *cipher,
    size_t cap)
{
	struct layer v[LAYERS_MAX];
	int nv = split(encoding != NULL ? encoding : "", v, NULL);

	*compress = COMPRESS_NONE;
	cipher[0] = '\0';
	for (int i = 0; i < nv; i++) {
		if (layer_is(&v[i], "deflate"))
			*compress = COMPRESS_DEFLATE;
		else if (layer_is(&v[i], "zstd"))
			*compress = COMPRESS_ZSTD;
		else if (layer_is_encrypt(&v[i]))
			layer_cipher(&v[i], cipher, cap);
	}
}
