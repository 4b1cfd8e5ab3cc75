/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4.c: AWS Signature Version 4.
 *
 *   canonical request = method \n path \n query \n headers \n
 *                       names of the headers \n payload hash
 *   string to sign    = "AWS4-HMAC-SHA256" \n date \n scope \n
 *                       SHA-256(canonical request)
 *   key               = HMAC chain over day, region, service, "aws4_request"
 *   signature         = HMAC(key, string to sign)
 *
 * Where S3 differs from other services: the path is encoded once, and not
 * normalised.  Values of headers are trimmed and inner runs of blanks count as
 * one.
 *
 * HMAC is done by hand on one digest context: OpenSSL 3's own HMAC objects
 * cost several times the hashing of such short texts.  The digest and its
 * context are fetched once per signer, the strings are kept between calls.
 */
#include "s3/sigv4.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/strbuf.h"

#define HASH 32
#define HMAC_BLOCK 64

struct s3_signer {
	EVP_MD *sha256;
	EVP_MD_CTX *ctx;
	struct strbuf canonical, to_sign;
	/* The cached key, and what it was made of. */
	uint8_t key[HASH];
	struct strbuf key_of; /* "DAY/REGION/SERVICE/SECRET" */
	struct strbuf key_new;
};

static void
hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

int
s3_signer_new(struct s3_signer **out, struct err *e)
{
	struct s3_signer *g = calloc(1, sizeof(*g));

	if (!g)
		return err_errno(e, -ENOMEM, "prepare signatures");
	g->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	g->ctx = EVP_MD_CTX_new();
	if (!g->sha256 || !g->ctx ||
	    EVP_DigestInit_ex2(g->ctx, g->sha256, NULL) != 1) {
		s3_signer_free(g);
		return err_set(e, -EIO, "OpenSSL has no SHA-256");
	}
	*out = g;
	return 0;
}

static void
wipe(struct strbuf *b)
{
	if (b->s)
		OPENSSL_cleanse(b->s, b->cap);
	strbuf_fini(b);
}

void
s3_signer_free(struct s3_signer *g)
{
	if (!g)
		return;
	EVP_MD_CTX_free(g->ctx);
	EVP_MD_free(g->sha256);
	strbuf_fini(&g->canonical);
	strbuf_fini(&g->to_sign);
	wipe(&g->key_of);
	wipe(&g->key_new);
	OPENSSL_cleanse(g->key, sizeof(g->key));
	free(g);
}

/* SHA-256 of two pieces. */
static bool
hash2(struct s3_signer *g, const void *a, size_t na, const void *b, size_t nb,
    uint8_t out[HASH])
{
	return EVP_DigestInit_ex2(g->ctx, g->sha256, NULL) == 1 &&
	    EVP_DigestUpdate(g->ctx, a, na) == 1 &&
	    EVP_DigestUpdate(g->ctx, b, nb) == 1 &&
	    EVP_DigestFinal_ex(g->ctx, out, NULL) == 1;
}

static bool
hmac(struct s3_signer *g, const void *key, size_t nkey, const void *p,
    size_t n, uint8_t out[HASH])
{
	uint8_t k[HMAC_BLOCK] = {0}, pad[HMAC_BLOCK], inner[HASH];
	bool good = true;

	if (nkey > HMAC_BLOCK)
		good = hash2(g, key, nkey, "", 0, k);
	else
		memcpy(k, key, nkey);
	for (int i = 0; i < HMAC_BLOCK; i++)
		pad[i] = k[i] ^ 0x36;
	good = good && hash2(g, pad, HMAC_BLOCK, p, n, inner);
	for (int i = 0; i < HMAC_BLOCK; i++)
		pad[i] = k[i] ^ 0x5c;
	good = good && hash2(g, pad, HMAC_BLOCK, inner, HASH, out);
	OPENSSL_cleanse(k, sizeof(k));
	OPENSSL_cleanse(pad, sizeof(pad));
	return good;
}

int
s3_sha256_hex(
    struct s3_signer *g, const void *p, size_t n, char out[S3_HASH_HEX])
{
	uint8_t h[HASH];

	if (g) {
		if (!hash2(g, p, n, "", 0, h))
			return -EIO;
	} else if (EVP_Digest(p, n, h, NULL, EVP_sha256(), NULL) != 1) {
		return -EIO;
	}
	hex(h, HASH, out);
	return 0;
}

void
s3_date(int64_t wall_s, char out[S3_DATE_LEN])
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    strftime(out, S3_DATE_LEN, "%Y%m%dT%H%M%SZ", &tm) !=
		S3_DATE_LEN - 1)
		memcpy(out, "19700101T000000Z", S3_DATE_LEN);
}

static int
by_name(const void *a, const void *b)
{
	const struct s3_header *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Few and nearly sorted already; stable, since equal names keep their order. */
static void
sort_headers(struct s3_header *h, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct s3_header x = h[i];
		unsigned j = i;

		while (j > 0 && by_name(&h[j - 1], &x) > 0) {
			h[j] = h[j - 1];
			j--;
		}
		h[j] = x;
	}
}

static void
add_trimmed(struct strbuf *b, const char *v)
{
	v += strspn(v, " \t\n");
	while (*v) {
		size_t n = strcspn(v, " \t\n");

		strbuf_add(b, v, n);
		v += n;
		n = strspn(v, " \t\n");
		v += n;
		if (n && *v)
			strbuf_putc(b, ' ');
	}
}

static void
add_names(struct strbuf *b, const struct s3_to_sign *q)
{
	for (unsigned i = 0; i < q->nheaders; i++) {
		if (i && strcmp(q->headers[i].name,
			     q->headers[i - 1].name) == 0)
			continue;
		if (i)
			strbuf_putc(b, ';');
		strbuf_puts(b, q->headers[i].name);
	}
}

static void
canonical(struct strbuf *b, const struct s3_to_sign *q)
{
	strbuf_clear(b);
	strbuf_puts(b, q->method);
	strbuf_putc(b, '\n');
	strbuf_puts(b, q->path);
	strbuf_putc(b, '\n');
	strbuf_puts(b, q->query);
	for (unsigned i = 0; i < q->nheaders; i++) {
		const struct s3_header *h = &q->headers[i];

		if (i && strcmp(h->name, h[-1].name) == 0) {
			strbuf_putc(b, ',');
		} else {
			strbuf_putc(b, '\n');
			strbuf_puts(b, h->name);
			strbuf_putc(b, ':');
		}
		add_trimmed(b, h->value);
	}
	strbuf_puts(b, "\n\n");
	add_names(b, q);
	strbuf_putc(b, '\n');
	strbuf_puts(b, q->payload);
}

/* The signing key of this day; from the cache where possible. */
static int
signing_key(struct s3_signer *g, const struct s3_to_sign *q)
{
	struct strbuf *n = &g->key_new, old, secret = STRBUF_INIT;
	uint8_t k[HASH];
	bool good;

	strbuf_clear(n);
	strbuf_add(n, q->date, 8);
	strbuf_putc(n, '/');
	strbuf_puts(n, q->region);
	strbuf_putc(n, '/');
	strbuf_puts(n, q->service);
	strbuf_putc(n, '/');
	strbuf_puts(n, q->secret);
	if (n->failed)
		return -ENOMEM;
	if (g->key_of.len == n->len && memcmp(g->key_of.s, n->s, n->len) == 0)
		return 0;
	strbuf_puts(&secret, "AWS4");
	strbuf_puts(&secret, q->secret);
	if (secret.failed) {
		wipe(&secret);
		return -ENOMEM;
	}
	good = hmac(g, secret.s, secret.len, q->date, 8, k) &&
	    hmac(g, k, HASH, q->region, strlen(q->region), k) &&
	    hmac(g, k, HASH, q->service, strlen(q->service), k) &&
	    hmac(g, k, HASH, "aws4_request", 12, k);
	wipe(&secret);
	if (!good)
		return -EIO;
	memcpy(g->key, k, HASH);
	OPENSSL_cleanse(k, HASH);
	old = g->key_of;
	g->key_of = *n;
	*n = old;
	return 0;
}

int
s3_sign_v4(struct s3_signer *g, const struct s3_to_sign *q,
    struct strbuf *out)
{
	char request[S3_HASH_HEX], signature[S3_HASH_HEX];
	uint8_t h[HASH];
	struct strbuf *b = &g->to_sign;
	int rc;

	sort_headers(q->headers, q->nheaders);
	canonical(&g->canonical, q);
	if (g->canonical.failed)
		return -ENOMEM;
	rc = s3_sha256_hex(g, g->canonical.s, g->canonical.len, request);
	if (rc < 0)
		return rc;
	strbuf_clear(b);
	strbuf_puts(b, "AWS4-HMAC-SHA256\n");
	strbuf_puts(b, q->date);
	strbuf_putc(b, '\n');
	strbuf_add(b, q->date, 8);
	strbuf_putc(b, '/');
	strbuf_puts(b, q->region);
	strbuf_putc(b, '/');
	strbuf_puts(b, q->service);
	strbuf_puts(b, "/aws4_request\n");
	strbuf_puts(b, request);
	if (b->failed)
		return -ENOMEM;
	rc = signing_key(g, q);
	if (rc < 0)
		return rc;
	if (!hmac(g, g->key, HASH, b->s, b->len, h))
		return -EIO;
	hex(h, HASH, signature);
	strbuf_clear(out);
	strbuf_puts(out, "AWS4-HMAC-SHA256 Credential=");
	strbuf_puts(out, q->id);
	strbuf_putc(out, '/');
	strbuf_add(out, q->date, 8);
	strbuf_putc(out, '/');
	strbuf_puts(out, q->region);
	strbuf_putc(out, '/');
	strbuf_puts(out, q->service);
	strbuf_puts(out, "/aws4_request, SignedHeaders=");
	add_names(out, q);
	strbuf_puts(out, ", Signature=");
	strbuf_puts(out, signature);
	return out->failed ? -ENOMEM : 0;
}
