/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_S3_H
#define STORE_S3_H

/*
 * The store s3: one bucket of an S3 server.  docs/s3.md has what it promises
 * beyond store.h, and how servers differ.
 *
 * PUT if_absent is tried out on the server before its first use (which writes
 * and removes an object KEY-pail-probe-RANDOM).  A server that does not honour
 * If-None-Match gives -EOPNOTSUPP then and ever after; info.if_absent says
 * only what was configured.  The bodies of such PUTs must be unique to their
 * writer: after an answer that leaves it open who has won, the object is read
 * back, and if it has our bytes, we have.
 *
 * GET and HEAD in a bucket that does not exist give -ENXIO, not -ENOENT.
 */
struct err;
struct store;
struct store_env;
struct url;

/* The parameters of the URL: -EINVAL with a sentence. */
int s3_store_check(const struct url *u, struct err *e);
/*
 * Open s3://BUCKET; parameters of the URL go before env->s3.  No network
 * traffic; -EINVAL, -ENOKEY (no credentials) ... with a sentence.
 */
int s3_store_open(const struct store_env *env, const struct url *u,
    struct store **out, struct err *e);

#endif
