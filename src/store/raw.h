/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RAW_H
#define STORE_RAW_H

#include <stdbool.h>

/*
 * The leaf over a pool of raw devices: raw:PATH[,PATH...]?volume=NAME.
 *
 * Opening takes the devices for this process alone and recovers what a crash
 * left; freeing the store writes a checkpoint, running the loop until it is
 * there.  Stores on one pool share it (env->pools): the first one opened says
 * whether it is read-only, the last one freed closes it.  A pool is made by "pail store create", never here.
 */
struct err;
struct fileio;
struct pool;
struct pool_open_params;
struct store;
struct store_env;
struct url;

/* Parameters of a raw: URL: force-degraded=yes (raw/pool.h).  -EINVAL. */
int raw_store_params(
    const struct url *u, struct pool_open_params *op, struct err *e);
int raw_store_open(const struct store_env *env, const struct url *u,
    struct store **out, struct err *e);

/* Whether both URLs name a store on the same device, by whatever path. */
bool raw_store_same(const struct url *a, const struct url *b);

/* The pool below, and the file I/O that its devices use; NULL: the store at the
 * bottom of s is none of these. */
struct pool *raw_store_pool(struct store *s);
struct fileio *raw_store_fileio(struct store *s);

#endif
