/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_PLACE_H
#define S3_PLACE_H

#include <stdbool.h>

/*
 * Where a bucket is, from the resolved settings: all its URLs are
 * origin + path + encoded key [+ "?" + query].
 */
struct err;
struct s3_config;

struct s3_place {
	char *origin; /* "https://bucket.s3.eu-west-1.amazonaws.com" */
	char *host;   /* the Host header; without the scheme's own port */
	char *path;   /* "/", or "/bucket/": begins and ends in "/"; encoded */
	bool tls;
};

/* -EINVAL with a sentence; p is to be finished in any case. */
int s3_place_init(struct s3_place *p, const struct s3_config *c,
    const char *bucket, struct err *e);
void s3_place_fini(struct s3_place *p);

#endif
