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

static const struct leaf {
	const char *scheme;
	open_fn *open;
	bool params; /* it has some, and looks after them */
} leaves[] = {
	{"dir", open_dir, false},
	{"mem", open_mem, false},
	{"raw", open_raw, true},
	{"s3", open_s3, true},
};

int
store_open(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e)
{
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		const struct leaf *l = &leaves[i];

		if (strcmp(l->scheme, u->scheme) != 0)
			continue;
		if (!l->params && u->nparams != 0)
			return err_set(e, -EINVAL,
			    "URL %s: a %s: URL has no parameter \"%s\"; it has "
			    "volume=NAME", u->text, u->scheme,
			    u->params[0].name);
		return l->open(env, u, create, out, e);
	}
	return err_set(e, -EOPNOTSUPP,
	    "URL %s: this program was built without the store \"%s\"", u->text,
	    u->scheme);
}
