/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_CRED_H
#define S3_CRED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

/*
 * Credentials: where the keys come from, and new ones before the old expire.
 *
 *  C1. The source is chosen when the provider is opened, without network
 *      traffic; the sentence of a failure says what was looked at.
 *  C2. Whoever asks gets keys that have not expired, or waits for them.
 *  C3. Keys that are about to expire are renewed in the background while
 *      requests go on with them; only use renews, an idle mount does not.
 *  C4. Secrets are wiped when they are freed, and are never logged.
 *
 * A provider belongs to one loop.
 */
struct loop;
struct s3_config;
struct s3_creds;
struct work_pool;

struct s3_cred { /* read-only; counted */
	unsigned refs;
	char *id, *secret;
	char *token;	   /* or NULL */
	int64_t expires_s; /* wall clock; 0: never */
};
/* Texts are copied; token may be NULL.  NULL: no memory. */
struct s3_cred *s3_cred_new(const char *id, const char *secret,
    const char *token, int64_t expires_s);
struct s3_cred *s3_cred_ref(struct s3_cred *k);
void s3_cred_unref(struct s3_cred *k); /* accepts NULL */

/* c: resolved (s3/resolve.h); borrowed.  pool may be NULL: then programs
 * (credential_process) are refused. */
int s3_creds_open(struct loop *l, struct work_pool *pool,
    const struct s3_config *c, struct s3_creds **out, struct err *e);
void s3_creds_close(struct s3_creds *p); /* nobody waits; accepts NULL */

/* "the environment", "profile x of /root/.aws/credentials" ... */
const char *s3_creds_source(const struct s3_creds *p);
bool s3_creds_anonymous(const struct s3_creds *p);

struct s3_cred_wait {
	/* On a later turn.  k is borrowed during the call; NULL: rc and e say
	 * why there are none. */
	void (*ready)(struct s3_cred_wait *w, struct s3_cred *k, int rc,
	    const struct err *e);
	struct list link;
};

/* The keys of now (a reference, for the caller to drop), or NULL: then w is
 * queued and will be told.  Not for anonymous providers. */
struct s3_cred *s3_creds_get(struct s3_creds *p, struct s3_cred_wait *w);
void s3_creds_unwait(struct s3_cred_wait *w); /* harmless if not queued */

/* The server says that k has expired: fetch others, unless that has happened
 * already.  False: this source has no others (keys that were set by hand). */
bool s3_creds_reject(struct s3_creds *p, const struct s3_cred *k);

#endif
