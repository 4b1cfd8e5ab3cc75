/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_SIGV4_H
#define S3_SIGV4_H

#include <stddef.h>
#include <stdint.h>

/*
 * Signatures of requests: AWS Signature Version 4.  A signer belongs to one thread; it keeps the signing key of
 * the last day, region, service and secret, so that a signature costs three
 * short hashes.
 */
struct err;
struct s3_signer;
struct strbuf;

#define S3_HASH_HEX 65 /* with the NUL */
#define S3_UNSIGNED "UNSIGNED-PAYLOAD"
#define S3_HASH_EMPTY \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_DATE_LEN 17 /* "20130524T000000Z" with the NUL */

struct s3_header {
	const char *name; /* lower case */
	const char *value;
};

struct s3_to_sign {
	const char *method;
	const char *path;  /* percent-encoded, as it is sent */
	const char *query; /* as s3_query_finish made it; "" */
	/* All that is sent, in any order; they are sorted in place. */
	struct s3_header *headers;
	unsigned nheaders;
	const char *payload; /* hex hash, or S3_UNSIGNED */
	const char *date;    /* S3_DATE_LEN */
	const char *region;
	const char *service; /* "s3" */
	const char *id, *secret;
};

int s3_signer_new(struct s3_signer **out, struct err *e);
void s3_signer_free(struct s3_signer *g); /* accepts NULL */

/* Put the value of the Authorization header into out (cleared first).
 * 0, -ENOMEM or -EIO (the crypto library). */
int s3_sign_v4(struct s3_signer *g, const struct s3_to_sign *q,
    struct strbuf *out);

/* Hex SHA-256 of n bytes.  Any thread, if g is NULL. */
int s3_sha256_hex(
    struct s3_signer *g, const void *p, size_t n, char out[S3_HASH_HEX]);

/* Wall clock seconds as "20130524T000000Z". */
void s3_date(int64_t wall_s, char out[S3_DATE_LEN]);

#endif
