/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_block.c: an object as a block: Content-Encoding, newline, HMAC, newline,
 * body.  With a volume that is encrypted and one that is not; and with the HMAC
 * that the body should have, so that what is behind it is reached.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "codec/cipher.h"
#include "codec/codec.h"

#define BLOCK 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try(struct cipher *c, const char *encoding, const char *hmac,
    const uint8_t *body, size_t len)
{
	struct codec codec = {.cipher = c, .default_encoding = "zstd"};
	uint8_t *block = malloc(BLOCK); /* its end is guarded */
	struct err e = ERR_INIT;
	int rc;

	must(block != NULL);
	rc = codec_decode(
	    &codec, 7, encoding, hmac, body, len, block, BLOCK, &e);
	must(rc == 0 || rc == -EBADMSG);
	must(rc == 0 || e.text[0] != '\0');
	free(block);
}

/* The line at *p, as a string; *p goes behind it. */
static char *
take_line(const uint8_t **p, size_t *n)
{
	const uint8_t *nl = *n > 0 ? memchr(*p, '\n', *n) : NULL;
	size_t len = nl != NULL ? (size_t)(nl - *p) : *n;
	char *s = malloc(len + 1);

	must(s != NULL);
	if (len > 0)
		memcpy(s, *p, len);
	s[len] = '\0';
	len += nl != NULL;
	*p += len;
	*n -= len;
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cipher *c;
	char right[CODEC_HMAC_TEXT] = "\"", *encoding, *hmac;
	enum compress_alg alg;
	char cipher[16];
	uint8_t mac[CIPHER_HMAC_LEN];

	if (c == NULL)
		must(cipher_new("AES-128-CBC", "p", "s", 0, &c, NULL) == 0);
	encoding = take_line(&data, &size);
	hmac = take_line(&data, &size);
	must(cipher_hmac(c, 7, data, size, mac, NULL) == 0);
	for (unsigned i = 0; i < sizeof(mac); i++)
		snprintf(right + 1 + 2 * i, 4, "%02x\"", mac[i]);
	try(NULL, encoding, hmac, data, size);
	try(c, encoding, hmac, data, size);
	try(c, encoding, right, data, size);
	try(NULL, NULL, NULL, data, size);
	codec_describe(encoding, &alg, cipher, sizeof(cipher));
	free(encoding);
	free(hmac);
	return 0;
}
