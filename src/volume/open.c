/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c: putting the stack together and taking it apart.
 *
 *	cache		volume/ talks to this
 *	journal		journal.c
 *	layout
 *	diskcache	where there is one; diskcache.c
 *	stat, retry, limit
 *	s3, dir, mem	as the URL says
 *
 * Opening goes from the bottom to the top, closing the other way round.  The
 * lease is given up only by who has written everything.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "store/store.h"
#include "volume/internal.h"

void
volume_params_init(struct volume_params *p)
{
	memset(p, 0, sizeof(*p));
	layout_params_init(&p->layout);
	cache_params_init(&p->cache);
}

/* Layout and cache over v->store. */
static int
open_upper(struct volume *v, const struct store_env *env, const char *prefix,
    const char *salt_bucket, const struct volume_params *p, struct err *e)
{
	struct volume_journaling vj = {.v = v, .env = env, .p = p};
	struct volume_disking vd = {.v = v, .env = env, .p = p, .vj = &vj};
	struct layout_params lp = p->layout;
	struct cache_params cp = p->cache;
	struct err ignored;
	bool touched = false;
	int rc;

	lp.found = vd_found;
	lp.found_arg = &vd;
	lp.journal = vj.where;
	lp.held = vd_held;
	lp.held_arg = &vd;
	rc = vd_open(&vd, prefix, e);
	if (rc < 0)
		return rc;
	rc = layout_open(v->store, prefix, salt_bucket, &lp, env->pool,
	    &v->stats, &v->layout, e);
	if (rc < 0)
		goto close_journal;
	v->info = *layout_info(v->layout);
	rc = vj_check_lease(&vj, e);
	if (rc < 0)
		goto close_layout;
	cp.journal = v->journal;
	rc = cache_open(v->layout, v->loop, &cp, &v->stats, &v->cache, e);
	if (rc < 0)
		goto close_layout;
	v->max_reading = cache_max_reading(v->cache);
	touched = v->journal != NULL;
	rc = vj_recover(&vj, e);
	if (rc < 0)
		goto close_cache;
	return 0;

close_cache:
	cache_free(v->cache);
close_layout:
	/* Where nothing was written the lease may go; one that was ours before
	 * stays ours. */
	layout_close(v->layout,
	    !touched && p->layout.lease != LEASE_RESUME, &ignored);
	v->layout = NULL;
close_journal:
	vj_close(v, false);
	return rc;
}

static struct volume *
volume_new(const struct store_env *env, const char *url, struct err *e)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (v)
		v->url = strdup(url);
	if (!v || !v->url) {
		free(v);
		err_set(e, -ENOMEM, "%s: no memory", url);
		return NULL;
	}
	v->loop = env->loop;
	volume_io_init(v);
	return v;
}

static void
volume_free(struct volume *v)
{
	volume_io_fini(v);
	store_free(v->store);
	free(v->disk_prefix);
	free(v->journal_path);
	free(v->url);
	free(v);
}

static int
open_url(struct volume *v, const struct store_env *env, const struct url *u,
    const struct volume_params *p, struct err *e)
{
	/* What s3backer derives its keys from; other stores have no bucket. */
	const char *bucket = strcmp(u->scheme, "s3") == 0 ? u->path : "";
	struct store_env own = *env;
	int rc;

	own.read_only = p->layout.lease < LEASE_WRITER;
	rc = store_open(&own, u, p->layout.create, &v->store, e);

	if (rc < 0)
		return rc;
	/* The stack takes the leaf, and frees it when it fails. */
	rc = store_stack(v->store, &p->store, &v->stats, &v->store, e);
	if (rc < 0) {
		v->store = NULL;
		return rc;
	}
	return open_upper(v, env, u->prefix, bucket, p, e);
}

int
volume_open(const struct store_env *env, const char *url,
    const struct volume_params *p, struct volume **out, struct err *e)
{
	struct volume *v;
	struct url u;
	int rc = url_parse(&u, url, e);

	if (rc < 0)
		return rc;
	v = volume_new(env, url, e);
	rc = v ? open_url(v, env, &u, p, e) : -ENOMEM;
	url_fini(&u);
	if (rc < 0) {
		if (v)
			volume_free(v);
		return rc;
	}
	*out = v;
	return 0;
}

int
volume_open_store(const struct store_env *env, struct store *s,
    const char *prefix, const char *salt_bucket,
    const struct volume_params *p, struct volume **out, struct err *e)
{
	struct volume *v = volume_new(env, s->url, e);
	int rc;

	if (!v) {
		store_free(s);
		return -ENOMEM;
	}
	v->store = s;
	rc = open_upper(v, env, prefix, salt_bucket, p, e);
	if (rc < 0) {
		volume_free(v);
		return rc;
	}
	*out = v;
	return 0;
}

static bool
all_is_safe(const struct volume *v)
{
	struct cache_status s;

	cache_get_status(v->cache, &s);
	return s.dirty_blocks == 0 && s.uploading_blocks == 0 &&
	    s.oldest_dirty_ns == 0 && s.rc == 0;
}

int
volume_close(struct volume *v, bool give_up, struct err *e)
{
	bool safe;
	int rc;

	if (!give_up) {
		rc = volume_drain_wait(v, e);
		if (rc < 0)
			return err_wrap(e, rc, "%s", v->url);
	}
	must(v->inflight == 0);
	safe = !give_up || all_is_safe(v);
	cache_free(v->cache);
	vj_close(v, safe);
	rc = layout_close(v->layout, safe, e);
	if (rc < 0)
		err_wrap(e, rc, "%s", v->url);
	else
		vj_remove(v);
	volume_free(v);
	return rc;
}

int
volume_leave(struct volume *v, struct err *e)
{
	bool safe = all_is_safe(v);

	must(v->inflight == 0);
	cache_free(v->cache);
	v->journal_own = false; /* the successor takes it over */
	vj_close(v, safe);
	int rc = layout_close(v->layout, false, e);

	if (rc < 0)
		err_wrap(e, rc, "%s", v->url);
	volume_free(v);
	return rc;
}

struct layout *
volume_layout(struct volume *v)
{
	return v->layout;
}

struct cache *
volume_cache(struct volume *v)
{
	return v->cache;
}

struct store *
volume_store(struct volume *v)
{
	return v->store;
}

struct journal *
volume_journal(struct volume *v)
{
	return v->journal;
}

bool
volume_logged(const struct volume *v, uint64_t *next, uint64_t *written)
{
	return cache_logged(v->cache, next, written);
}

void
volume_watch_journal(struct volume *v, void (*failed)(void *arg), void *arg)
{
	cache_watch_journal(v->cache, failed, arg);
}

struct stat_set *
volume_stats(struct volume *v)
{
	return &v->stats;
}

struct loop *
volume_loop(struct volume *v)
{
	return v->loop;
}

const char *
volume_url(const struct volume *v)
{
	return v->url;
}

uint64_t
volume_size(const struct volume *v)
{
	return v->info.size;
}

uint32_t
volume_block_size(const struct volume *v)
{
	return v->info.block_size;
}

int64_t
volume_seek(struct volume *v, uint64_t off, bool data)
{
	const uint32_t bs = v->info.block_size;
	uint64_t block = off / bs, b;

	if (off >= v->info.size)
		return -ENXIO;
	b = cache_seek(v->cache, block, data);
	if (b == block)
		return (int64_t)off;
	if (b >= v->info.nblocks)
		return data ? -ENXIO : (int64_t)v->info.size;
	return (int64_t)(b * bs);
}

uint64_t
volume_used(struct volume *v)
{
	return (layout_count_present(v->layout) +
		   cache_count_fresh(v->cache)) *
	    v->info.block_size;
}
