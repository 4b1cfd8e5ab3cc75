/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding or creating a volume, and making the struct layout for it.
 *
 *	probe		descriptor, block 0 under both names (one round trip)
 *	s3b_decide	what the volume is; what was asked for must agree
 *	s3b_keys	derive keys; the password must be the right one
 *	lease_check	of readers and creators: somebody else writing?
 *	s3b_create	put the descriptor, if there is no volume; durably
 *	lease_acquire	of writers; durably
 *	confirm		it is still the volume that was decided upon
 *	survey		begin to list
 *
 * Nothing is written before s3b_create (Y4), and that makes a volume out of
 * nothing by one conditional put (Y5), so it happens whole or not at all.  If
 * anything fails after it there is a new, empty volume, and no lease.
 *
 * The error codes a caller may want to tell apart: -ENOENT no volume, -EEXIST
 * there is one, -EBUSY mounted elsewhere, -ENOKEY a password is needed, -EACCES
 * it is wrong (or the store refuses), -EINVAL what was asked for does not fit.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "codec/cipher.h"
#include "layout/lease.h"
#include "layout/s3b_name.h"
#include "layout/s3b_open.h"

#define TRIES_MAX 4

void
layout_params_init(struct layout_params *p)
{
	*p = (struct layout_params){
	    .compress_level = INT_MIN,
	    .hash_prefix = -1,
	    .survey = true,
	    .lease = LEASE_WRITER,
	};
}

/* --- the store and what was asked for ------------------------------------ */

static int
check_store(const struct store *s, const char *prefix, struct err *e)
{
	if (!s->info.keeps_meta)
		return err_set(e, -EOPNOTSUPP,
		    "%s keeps no metadata with its objects, which this volume "
		    "format needs", s->url);
	if (strlen(prefix) + S3B_NAME_MAX > STORE_KEY_MAX)
		return err_set(e, -ENAMETOOLONG,
		    "prefix %.40s...: it has %zu bytes; at most %d leave room "
		    "for names", prefix, strlen(prefix),
		    STORE_KEY_MAX - S3B_NAME_MAX);
	return 0;
}

/* Do the parameters make sense by themselves? */
static int
check_params(const struct layout_params *p, struct err *e)
{
	enum compress_alg alg = COMPRESS_DEFLATE;
	int rc = 0;

	if (p->compress != NULL)
		rc = compress_parse(p->compress, &alg, e);
	if (rc == 0 && p->compress_level != INT_MIN && p->compress != NULL)
		rc = compress_check_level(alg, p->compress_level, e);
	if (rc == 0 && p->cipher != NULL && p->password == NULL)
		rc = err_set(e, -ENOKEY,
		    "cipher %s: encryption needs a password", p->cipher);
	return rc;
}

/* --- the struct ------------------------------------------------------------ */

static struct meta *
block_meta(const struct layout *l, uint64_t block, const char *hmac)
{
	struct meta *m = meta_new();
	char text[24];
	int rc = -ENOMEM;

	if (m == NULL)
		return NULL;
	rc = meta_add(m, "content-type", "application/x-s3backer-block");
	if (rc == 0 && l->encoding[0] != '\0')
		rc = meta_add(m, "content-encoding", l->encoding);
	if (rc == 0 && hmac != NULL && hmac[0] != '\0')
		rc = meta_add(m, "s3backer-hmac", hmac);
	if (rc == 0 && block == 0) {
		snprintf(text, sizeof(text), "%" PRIu32, l->info.block_size);
		rc = meta_add(m, "s3backer-blocksize", text);
		snprintf(text, sizeof(text), "%" PRIu64, l->info.size);
		if (rc == 0)
			rc = meta_add(m, "s3backer-filesize", text);
	}
	if (rc == 0)
		return m;
	meta_unref(m);
	return NULL;
}

struct meta *
s3b_meta(const struct layout *l, uint64_t block, const char *hmac)
{
	if (block != 0 && l->codec.cipher == NULL)
		return meta_ref(l->meta);
	return block_meta(l, block, hmac);
}

static void
layout_free(struct layout *l)
{
	if (l == NULL)
		return;
	must(l->inflight == 0 && l->survey == NULL);
	present_fini(&l->present);
	meta_unref(l->meta);
	cipher_free(l->codec.cipher);
	free(l->default_encoding);
	free(l->prefix);
	free(l);
}

static bool
wants_to_write(const struct layout_params *p)
{
	return p->lease >= LEASE_WRITER;
}

static struct layout *
layout_new(const struct opening *o, struct work_pool *pool,
    struct stat_set *stats)
{
	const struct layout_params *p = o->p;
	struct layout *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	list_init(&l->survey_waiters);
	l->store = o->s;
	l->loop = o->s->loop;
	l->pool = pool;
	l->stats = stats;
	l->hashed = o->hashed;
	l->has_desc = o->has_desc;
	l->desc = o->d;
	l->prefix = strdup(o->prefix);
	if (p->default_encoding != NULL)
		l->default_encoding = strdup(p->default_encoding);
	l->info.size = o->d.size;
	l->info.block_size = o->d.block_size;
	l->info.nblocks = o->d.size / o->d.block_size;
	l->info.read_only = !wants_to_write(p);
	if (l->prefix == NULL ||
	    (p->default_encoding != NULL && l->default_encoding == NULL) ||
	    present_init(&l->present, l->info.nblocks) < 0) {
		layout_free(l);
		return NULL;
	}
	l->codec.compress = o->d.compress;
	l->codec.level = o->d.compress_level;
	l->codec.default_encoding = l->default_encoding;
	return l;
}

struct layout *
s3b_bare(struct store *s, const char *prefix, bool hashed)
{
	struct layout_params p;
	struct opening *o = calloc(1, sizeof(*o));
	struct layout *l = NULL;

	layout_params_init(&p);
	if (o != NULL) {
		o->s = s;
		o->prefix = prefix;
		o->p = &p;
		o->hashed = hashed;
		o->has_desc = true; /* block 0 is like any other */
		o->d.block_size = BLOCK_SIZE_MIN;
		o->d.size = NBLOCKS_MAX * BLOCK_SIZE_MIN;
		l = layout_new(o, NULL, NULL);
	}
	free(o);
	return l;
}

int
s3b_set_size(struct layout *l, uint64_t size)
{
	struct present_map map;
	int rc = present_init(&map, size / l->info.block_size);

	if (rc < 0)
		return rc;
	must(l->inflight == 0);
	s3b_survey_end(l);
	present_fini(&l->present);
	l->present = map;
	l->survey_done = false;
	l->survey_beyond = 0;
	l->info.size = size;
	l->info.nblocks = size / l->info.block_size;
	return 0;
}

/* With the keys: how blocks are written. */
static int
layout_set_codec(struct layout *l, struct cipher *c)
{
	l->codec.cipher = c;
	codec_encoding(&l->codec, l->encoding);
	l->info.part_reads = codec_is_plain(&l->codec) &&
	    l->default_encoding == NULL && l->store->info.range_get;
	l->meta = block_meta(l, 1, NULL);
	return l->meta != NULL ? 0 : -ENOMEM;
}

/* --- all together ----------------------------------------------------------- */

/* Sixteen bytes that only this key gives, twice. */
static int
make_secret(const struct cipher *c, uint8_t *secret, struct err *e)
{
	static const char text[2][16] = {"pail journal 1", "pail journal 2"};
	int rc = 0;

	_Static_assert(2 * CIPHER_VERIFIER_LEN == LAYOUT_SECRET, "two halves");
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = cipher_verifier(c, text[i], sizeof(text[i]),
		    secret + i * CIPHER_VERIFIER_LEN, e);
	return rc;
}

static int
tell_found(struct opening *o, struct layout *l, const char *lease,
    const struct lease_owner *gone, struct err *e)
{
	struct layout_identity id = {.has_uuid = o->has_desc,
	    .size = l->info.size,
	    .block_size = l->info.block_size,
	    .encrypted = l->codec.cipher != NULL,
	    .prior_lease = gone ? gone->id : "",
	    .prior_journal = gone ? gone->journal : ""};
	int rc = 0;

	if (o->p->found == NULL)
		return 0;
	if (o->has_desc)
		memcpy(id.uuid, o->d.uuid, sizeof(id.uuid));
	if (id.encrypted)
		rc = make_secret(l->codec.cipher, id.secret, e);
	if (rc == 0)
		rc = o->p->found(o->p->found_arg, &id, lease, e);
	explicit_bzero(id.secret, sizeof(id.secret));
	return rc;
}

/* What makes the volume, and the lease, are there after a loss of power too before
 * anything relies on them.  A journal that has acknowledged writes is worth
 * nothing if the volume has lost its UUID, or the lease that says that nobody
 * else has written to it. */
static int
settle(struct opening *o, struct err *e)
{
	struct store_req r;
	int rc;

	if (o->s->info.durable)
		return 0;
	store_req_init(&r, STORE_SYNC, NULL);
	r.prio = STORE_PRIO_WRITE;
	rc = store_run(o->s, &r, e);
	store_req_fini(&r);
	return rc;
}

/* Whose lease will be taken over, because he is gone: the next one who asks does
 * not see it any more.  NULL: nobody's, or by force. */
static int
find_gone(struct opening *o, const struct lease_owner *me,
    struct lease_state *st, const struct lease_owner **gone, struct err *e)
{
	int rc = 0;

	*gone = NULL;
	if (o->p->found != NULL &&
	    (o->p->lease == LEASE_READER || o->p->lease == LEASE_WRITER))
		rc = lease_look(o->s, o->prefix, st, e);
	if (rc == 0 && st->held && lease_owner_gone(&st->owner, me))
		*gone = &st->owner;
	return rc;
}

/* Create the volume, if that is to be done, and take the lease. */
static int
take_possession(struct opening *o, struct layout *l, struct err *e)
{
	const struct layout_params *p = o->p;
	struct lease_state st = {.held = false};
	const struct lease_owner *gone;
	struct lease_owner me;
	int rc;

	if (p->owner != NULL)
		me = *p->owner;
	else if ((rc = lease_owner_self(&me, e)) < 0)
		return rc;
	/* Not under somebody's feet: s3backer's volumes may be empty. */
	if (p->lease == LEASE_READER || (o->create && p->lease != LEASE_FORCE))
		rc = lease_check(o->s, o->prefix, &me, e);
	else
		rc = 0;
	if (rc == 0 && o->create)
		rc = s3b_create(o, l, e);
	if (rc == 0 && o->create)
		rc = settle(o, e);
	if (rc == 0)
		rc = find_gone(o, &me, &st, &gone, e);
	if (rc == 0)
		rc = tell_found(
		    o, l, wants_to_write(p) ? me.id : NULL, gone, e);
	if (rc == 0 && p->journal != NULL)
		snprintf(me.journal, sizeof(me.journal), "%s", p->journal);
	if (rc == 0 && wants_to_write(p)) {
		rc = p->lease == LEASE_RESUME ?
		    lease_resume(o->s, o->prefix, &me, &l->lease, e) :
		    lease_acquire(o->s, o->prefix, &me,
			p->lease == LEASE_FORCE, &l->lease, e);
		l->exclusive = rc == 0;
		if (rc == 0)
			rc = settle(o, e);
	}
	return rc;
}

/*
 * Look again: what was decided upon was read before we had the lease, and in
 * no order, so that the volume may have been made, resized or erased since.
 * o->changed, and -EBUSY, if it is another.
 */
static int
confirm(struct opening *o, struct err *e)
{
	struct probe *now;
	bool same;
	int rc;

	/* A reader of a volume with descriptor has read that at once. */
	if (!wants_to_write(o->p) && o->probe.has_desc)
		return 0;
	now = malloc(sizeof(*now));
	if (now == NULL)
		return err_errno(e, -ENOMEM, "open %s",
		    VOLUME_NAME(o->s, o->prefix));
	rc = probe_volume(o->s, o->prefix, now, e);
	if (rc < 0)
		same = false;
	else if (!o->create)
		same = memcmp(now, &o->probe, sizeof(*now)) == 0;
	else if (o->has_desc)
		same = now->has_desc &&
		    memcmp(now->desc.uuid, o->d.uuid, sizeof(o->d.uuid)) == 0;
	else
		same = !now->has_desc && now->first[o->hashed].found;
	free(now);
	o->changed = rc == 0 && !same;
	if (o->changed)
		rc = err_set(e, -EBUSY,
		    "%s: the volume was changed while it was being opened",
		    VOLUME_NAME(o->s, o->prefix));
	return rc;
}

static int
open_once(struct opening *o, struct work_pool *pool, struct stat_set *stats,
    struct layout **out, struct err *e)
{
	struct cipher *c = NULL;
	struct layout *l = NULL;
	int rc = probe_volume(o->s, o->prefix, &o->probe, e);

	if (rc == 0)
		rc = s3b_decide(o, e);
	if (rc == 0)
		rc = s3b_keys(o, &c, e);
	if (rc < 0)
		return rc;
	l = layout_new(o, pool, stats);
	if (l == NULL) {
		cipher_free(c);
		return err_errno(e, -ENOMEM, "open %s",
		    VOLUME_NAME(o->s, o->prefix));
	}
	if (layout_set_codec(l, c) < 0)
		rc = err_errno(e, -ENOMEM, "open %s",
		    VOLUME_NAME(o->s, o->prefix));
	if (rc == 0)
		rc = take_possession(o, l, e);
	if (rc == 0)
		rc = confirm(o, e);
	if (rc == 0 && o->p->held != NULL)
		o->p->held(o->p->held_arg, l->exclusive);
	if (rc == 0 && o->p->survey && s3b_survey_start(l) < 0)
		rc = err_errno(e, -ENOMEM, "open %s",
		    VOLUME_NAME(o->s, o->prefix));
	if (rc < 0) {
		/* e has the reason already.  What was ours before stays. */
		if (l->lease != NULL && o->p->lease == LEASE_RESUME)
			lease_free(l->lease);
		else if (l->lease != NULL)
			(void)lease_release(l->lease, NULL);
		layout_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

static void
opening_init(struct opening *o, struct store *s, const char *prefix,
    const char *bucket, const struct layout_params *p)
{
	memset(o, 0, sizeof(*o));
	o->s = s;
	o->prefix = prefix;
	o->bucket = bucket;
	o->p = p;
}

/* Somebody else was first: then theirs is the volume. */
static bool
again(const struct opening *o, int rc)
{
	return o->changed ||
	    (rc == -EEXIST && o->create && !o->p->must_create);
}

int
layout_open(struct store *s, const char *prefix, const char *salt_bucket,
    const struct layout_params *p, struct work_pool *pool,
    struct stat_set *stats, struct layout **out, struct err *e)
{
	struct opening *o = malloc(sizeof(*o));
	int rc;

	if (o == NULL)
		return err_errno(e, -ENOMEM, "open %s", s->url);
	opening_init(o, s, prefix, salt_bucket, p);
	rc = check_store(s, prefix, e);
	if (rc == 0)
		rc = check_params(p, e);
	if (rc == 0)
		rc = open_once(o, pool, stats, out, e);
	for (int i = 0; i < TRIES_MAX && again(o, rc); i++) {
		opening_init(o, s, prefix, salt_bucket, p);
		rc = open_once(o, pool, stats, out, e);
	}
	free(o);
	return rc;
}

const char *
layout_prior_lease(const struct layout *l)
{
	return l->lease != NULL ? lease_prior(l->lease) : "";
}

int
layout_close(struct layout *l, bool release_lease, struct err *e)
{
	int rc = 0;

	must(l->inflight == 0);
	s3b_survey_end(l);
	if (l->lease != NULL && release_lease)
		rc = lease_release(l->lease, e);
	else
		lease_free(l->lease);
	layout_free(l);
	return rc;
}
