/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which scheme is which store.  A new leaf has one line here, and one in the
 * sentence of url.c.
 */
#include "config.h"

#include "store/open.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "raw/pool.h"
#include "store/dir.h"
#include "store/mem.h"
#include "store/raw.h"
#include "store/s3.h"
#include "store/store.h"

typedef int open_fn(const struct store_env *env, const struct url *u,
    bool create, struct store **out, struct err *e);

static int
open_mem(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e)
{
	return mem_store_open(env->loop, u->path, NULL, NULL, out, e);
}

static int
open_s3(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e)
{
	return s3_store_open(env, u, out, e);
}

static int
open_dir(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e)
{
	return dir_store_open(env->loop, u->path, create, out, e);
}

static int
open_raw(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e)
{
	return raw_store_open(env, u, out, e);
}

static int
check_none(const struct url *u, struct err *e)
{
	if (u->nparams == 0)
		return 0;
	return err_set(e, -EINVAL,
	    "URL %s: a %s: URL has no parameter \"%s\"; it has volume=NAME",
	    u->text, u->scheme, u->params[0].name);
}

static int
check_raw(const struct url *u, struct err *e)
{
	struct pool_open_params op;

	return raw_store_params(u, &op, e);
}

static const struct leaf {
	const char *scheme;
	open_fn *open;
	/* Of the parameters. */
	int (*check)(const struct url *u, struct err *e);
} leaves[] = {
	{"dir", open_dir, check_none},
	{"mem", open_mem, check_none},
	{"raw", open_raw, check_raw},
	{"s3", open_s3, s3_store_check},
};

static const struct leaf *
find_leaf(const struct url *u, struct err *e)
{
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (strcmp(leaves[i].scheme, u->scheme) == 0)
			return &leaves[i];
	err_set(e, -EOPNOTSUPP,
	    "URL %s: this program was built without the store \"%s\"", u->text,
	    u->scheme);
	return NULL;
}

int
url_check(const struct url *u, struct err *e)
{
	const struct leaf *l = find_leaf(u, e);

	return l != NULL ? l->check(u, e) : -EOPNOTSUPP;
}

int
store_open(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e)
{
	const struct leaf *l = find_leaf(u, e);
	int rc = l != NULL ? l->check(u, e) : -EOPNOTSUPP;

	return rc == 0 ? l->open(env, u, create, out, e) : rc;
}
