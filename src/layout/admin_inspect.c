/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at volumes, without their password and without their lease; see
 * admin.h.
 *
 * All volumes of a bucket are found by listing it: a key that ends like the
 * name of a block, or of a descriptor, names a prefix to look at.  A volume of
 * a million blocks would be a thousand pages of listing; as soon as it is
 * known how many blocks it has, the listing jumps to behind the last one.
 * (Not with hashed names: these are spread over everything, and are read.)
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "layout/admin.h"
#include "layout/lease.h"
#include "layout/probe.h"
#include "layout/s3b_name.h"
#include "store/store.h"

static void
facts_of_descriptor(struct volume_facts *f, const struct descriptor *d)
{
	f->kind = VOLUME_DESCRIBED;
	f->size = d->size;
	f->block_size = d->block_size;
	f->hashed = d->hashed;
	f->compress = d->compress;
	memcpy(f->cipher, d->cipher, sizeof(f->cipher));
	f->key_length = d->key_length;
	uuid_format(d->uuid, f->uuid);
	f->created_s = d->created_s;
}

static void
facts_of_block(struct volume_facts *f, const struct probe_block *b, bool hashed)
{
	if (!b->found || b->size == 0 || b->block_size > UINT32_MAX)
		return;
	f->kind = VOLUME_S3BACKER;
	f->size = b->size;
	f->block_size = (uint32_t)b->block_size;
	f->hashed = hashed;
	f->compress = b->compress;
	memcpy(f->cipher, b->cipher, sizeof(f->cipher));
}

static int
facts_of_lease(struct volume_facts *f, struct store *s, const char *prefix,
    struct err *e)
{
	struct lease_owner me;
	struct lease_state st;
	int rc = lease_look(s, prefix, &st, e);

	if (rc < 0 || !st.held)
		return rc;
	rc = lease_owner_self(&me, e);
	if (rc < 0)
		return rc;
	f->mounted = true;
	f->mounted_gone = lease_owner_gone(&st.owner, &me);
	lease_owner_describe(&st.owner, f->mounted_by, sizeof(f->mounted_by));
	return 0;
}

int
layout_inspect(struct store *s, const char *prefix, struct volume_facts *f,
    struct err *e)
{
	struct probe *p = malloc(sizeof(*p));
	int rc;

	memset(f, 0, sizeof(*f));
	if (p == NULL)
		return err_errno(e, -ENOMEM, "%s", s->url);
	rc = probe_volume(s, prefix, p, e);
	if (rc == 0 && p->has_desc)
		facts_of_descriptor(f, &p->desc);
	else if (rc == 0) {
		facts_of_block(f, &p->first[1], true);
		facts_of_block(f, &p->first[0], false);
	}
	free(p);
	return rc == 0 ? facts_of_lease(f, s, prefix, e) : rc;
}

int
layout_unlock(struct store *s, const char *prefix, struct err *e)
{
	return lease_break(s, prefix, e);
}

/* --- all volumes ------------------------------------------------------------- */

struct finder {
	struct store *s;
	const char *under;
	void (*found)(void *arg, const char *prefix,
	    const struct volume_facts *f);
	void (*broken)(void *arg, const char *prefix, const struct err *e);
	layout_progress *progress;
	void *arg;

	uint64_t keys;
	char **seen; /* prefixes */
	size_t nseen;
	char after[STORE_KEY_MAX + 1];
};

/* If the last n bytes of key may be a name, the length of what is before. */
static bool
ends_with_block(const char *key, size_t n, bool hashed, size_t *prefix)
{
	size_t len = hashed ? 17 : 8;
	uint32_t block;

	if (n < len || !s3b_name_parse(key + n - len, "", hashed, &block))
		return false;
	*prefix = n - len;
	return true;
}

/* The prefix of the volume that this key may belong to. */
static bool
prefix_of(const char *key, size_t *prefix)
{
	static const char desc[] = S3B_DESCRIPTOR_NAME;
	size_t n = strlen(key), len = sizeof(desc) - 1;

	if (n >= len && strcmp(key + n - len, desc) == 0) {
		*prefix = n - len;
		return true;
	}
	return ends_with_block(key, n, true, prefix) ||
	    ends_with_block(key, n, false, prefix);
}

/* Is it a prefix that was looked at?  Else remember it.  -ENOMEM. */
static int
seen_before(struct finder *f, const char *prefix)
{
	char **v;

	for (size_t i = 0; i < f->nseen; i++)
		if (strcmp(f->seen[i], prefix) == 0)
			return 1;
	v = realloc(f->seen, (f->nseen + 1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	f->seen = v;
	v[f->nseen] = strdup(prefix);
	if (v[f->nseen] == NULL)
		return -ENOMEM;
	f->nseen++;
	return 0;
}

/* Go on behind the blocks of this volume, if that is further. */
static void
jump(struct finder *f, const char *prefix, const struct volume_facts *v)
{
	uint64_t nblocks = v->block_size ? v->size / v->block_size : 0;
	char end[STORE_KEY_MAX + 1];

	if (v->kind == VOLUME_NONE || v->hashed || nblocks == 0 ||
	    nblocks > NBLOCKS_MAX)
		return;
	s3b_name_behind(end, prefix, (uint32_t)(nblocks - 1));
	if (strcmp(end, f->after) > 0)
		memcpy(f->after, end, sizeof(end));
}

static int
look_at(struct finder *f, const char *key, struct err *e)
{
	char prefix[STORE_KEY_MAX + 1];
	struct volume_facts facts;
	struct err why = ERR_INIT;
	size_t n;
	int rc;

	if (!prefix_of(key, &n) || n < strlen(f->under) ||
	    n + S3B_NAME_MAX > STORE_KEY_MAX)
		return 0;
	snprintf(prefix, sizeof(prefix), "%.*s", (int)n, key);
	rc = seen_before(f, prefix);
	if (rc != 0)
		return rc < 0 ? err_errno(e, rc, "listing volumes") : 0;
	rc = layout_inspect(f->s, prefix, &facts, &why);
	if (rc == -EBADMSG || rc == -EPROTONOSUPPORT) {
		if (f->broken != NULL)
			f->broken(f->arg, prefix, &why);
		return 0;
	}
	if (rc < 0) {
		err_copy(e, &why);
		return rc;
	}
	if (facts.kind != VOLUME_NONE)
		f->found(f->arg, prefix, &facts);
	jump(f, prefix, &facts);
	return 0;
}

/* One page.  1: there are more. */
static int
finder_page(struct finder *f, struct err *e)
{
	struct store_req r;
	char start[STORE_KEY_MAX + 1];
	bool more;
	int rc;

	memcpy(start, f->after, sizeof(start));
	store_req_init(&r, STORE_LIST, NULL);
	r.prio = STORE_PRIO_READ;
	r.prefix = f->under;
	r.start_after = start;
	rc = store_run(f->s, &r, e);
	more = rc == 0 && r.page.more && r.page.n > 0;
	for (size_t i = 0; rc == 0 && i < r.page.n; i++) {
		const char *key = r.page.v[i].key;

		f->keys++;
		if (strcmp(key, f->after) <= 0)
			continue; /* jumped over */
		snprintf(f->after, sizeof(f->after), "%s", key);
		rc = look_at(f, key, e);
	}
	store_req_fini(&r);
	if (rc == 0 && f->progress != NULL)
		f->progress(f->arg, f->keys, 0);
	return rc < 0 ? rc : more;
}

int
layout_list_volumes(struct store *s, const char *under,
    void (*found)(void *arg, const char *prefix,
	const struct volume_facts *f),
    void (*broken)(void *arg, const char *prefix, const struct err *e),
    layout_progress *progress, void *arg, struct err *e)
{
	struct finder f = {.s = s, .under = under, .found = found,
	    .broken = broken, .progress = progress, .arg = arg};
	int rc;

	do
		rc = finder_page(&f, e);
	while (rc > 0);
	for (size_t i = 0; i < f.nseen; i++)
		free(f.seen[i]);
	free(f.seen);
	return rc < 0 ? err_wrap(e, rc, "listing the volumes of %s", s->url)
		      : 0;
}
