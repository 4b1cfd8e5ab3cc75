/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_ENCODE_H
#define S3_ENCODE_H

#include <stddef.h>

#include "base/strbuf.h"

/*
 * Percent-encoding as signatures demand it: all bytes but A-Z a-z 0-9 - . _ ~
 * become %XX (upper case), and "/" stays in keys.
 */
void s3_encode(struct strbuf *b, const char *text);
void s3_encode_key(struct strbuf *b, const char *key);

/* Undo it in place, "+" being a blank; the new length.  What is no valid
 * escape stays as it is. */
size_t s3_decode(char *text);

/*
 * A query, in the order that signatures demand (by encoded name, then by
 * encoded value).  "name" without value is sent as "name=".
 */
#define S3_QUERY_MAX 16
struct s3_query {
	struct strbuf items[S3_QUERY_MAX]; /* "name=value", encoded */
	unsigned n;
};
void s3_query_add(struct s3_query *q, const char *name, const char *value);
/* Append "a=1&b=2" to out and free the query.  Lack of memory shows there. */
void s3_query_finish(struct s3_query *q, struct strbuf *out);

#endif
