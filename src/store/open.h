/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Stores by URL:
 *
 *   s3://BUCKET[/PREFIX][?endpoint=URL&region=R&style=path|host&profile=P...]
 *	prefix=TEXT: more of the prefix, without a "/" behind it
 *   dir:PATH[?volume=NAME]       a directory of files
 *   raw:PATH,PATH...[?volume=NAME&force-degraded=yes]  a pool of raw devices
 *   mem:[NAME]                   in memory, for tests
 *
 * A URL is split here once; what is left for the store itself is its
 * parameters.  The prefix belongs to the layout, not to the store: that of s3
 * is what follows the bucket, that of dir and mem is "NAME/" from volume=NAME.
 * Bytes that mean something here (% ? & and, in a bucket, /) and any others
 * may be written %XX.
 */
struct err;
struct fileio;
struct list;
struct loop;
struct s3_config;
struct stat_set;
struct store;
struct work_pool;

struct url {
	char *text;   /* as given, for messages */
	char *scheme; /* "s3", "dir", "mem" */
	char *path;   /* the bucket, the directory, the name */
	char *prefix; /* of every key: "", or it ends in "/" (but prefix=) */
	struct url_param {
		char *name, *value; /* percent-decoded */
	} *params;
	unsigned nparams;
};

/* -EINVAL with a sentence that names what is wrong, and the schemes. */
int url_parse(struct url *u, const char *text, struct err *e);
void url_fini(struct url *u);
/* The last value given, or NULL. */
const char *url_param(const struct url *u, const char *name);

/*
 * Whether there is such a store, and whether it has the parameters that u has:
 * all that can be said of a URL without touching anything.  -EINVAL,
 * -ERANGE, -EOPNOTSUPP.
 */
int url_check(const struct url *u, struct err *e);

/* What a store may use of the process; all outlive it. */
struct store_env {
	struct loop *loop;
	struct work_pool *pool;
	struct fileio *fileio;
	bool read_only; /* nothing will be written: leave devices alone */
	/* Defaults for s3: stores; URL parameters come first.  May be NULL. */
	const struct s3_config *s3;
	/* The raw: pools that are open with this loop, so that two volumes of
	 * one can be; NULL: each pool can be opened once. */
	struct list *pools;
};

/*
 * Open the bare leaf that u names.  Does no I/O to an s3 server (the first
 * request finds out); -ENOENT for a dir: that does not exist (it is created
 * if create).  Parameters that the scheme does not know are refused.
 */
int store_open(const struct store_env *env, const struct url *u, bool create,
    struct store **out, struct err *e);

/* The stack that volumes use: stat, limit and retry over the leaf s, which is
 * taken (freed on failure too). */
struct store_tuning {
	unsigned max_inflight;	 /* 0: 256 or what the store says */
	int64_t retry_deadline_ns; /* give up a request after; 0: 30 s */
	int64_t request_timeout_ns; /* of one try; 0: 15 s */
	uint64_t seed; /* of the pauses between tries; 0: from the clock */
};
int store_stack(struct store *s, const struct store_tuning *t,
    struct stat_set *stats, struct store **out, struct err *e);

#endif
