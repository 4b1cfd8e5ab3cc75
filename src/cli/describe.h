/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include <stdio.h>

#include "layout/admin.h"
#include "layout/lease.h"

/*
 * What a volume is, for people and for programs: info, list and create say it
 * in the same words and with the same keys (pail-info(1), JSON).
 */
struct json_t;
struct store;
struct url;

struct describe {
	struct volume_facts facts;
	struct lease_state lease;
	bool counted;
	uint64_t present; /* blocks that have an object, if counted ... */
	uint64_t stored;  /* ... and the bytes of these */
};

/* Ask the store.  -ENOENT with a sentence: there is no volume. */
int describe_look(struct describe *d, struct store *s, const struct url *u,
    struct err *e);

#define DESCRIBE_ENCODING_MAX 64
/* "none", "zstd", "deflate, encrypt-AES-256-CBC"; returns buf. */
char *describe_encoding(char *buf, const struct volume_facts *f);

/* "s3://bucket/prefix", "dir:PATH?volume=NAME": the URL of a volume in the
 * place that u names; malloc'ed, NULL: no memory. */
char *describe_url(const struct url *u, const char *prefix);

/* An object, or NULL: no memory. */
struct json_t *describe_json(const struct describe *d, const char *url);
/* Lines of name and value.  0 or a negative errno. */
int describe_print(const struct describe *d, const char *url, FILE *f);

#endif
