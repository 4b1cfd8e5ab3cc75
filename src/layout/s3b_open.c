/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding or creating a volume, and making the struct layout for it.
 *
 *	probe		descriptor, block 0 under both names (one round trip)
 *	sample		without descriptor: some block, to see how it is encoded
 *	decide		what the volume is; what was asked for must agree
 *	unlock		derive keys; the password must be the right one
 *	create		put the descriptor, if there is no volume
 *	survey		begin to list
 *
 * Nothing is written before "create", and there only what makes a volume out
 * of nothing:
 *
 *  Y5. Of many who create a volume at one place at once exactly one succeeds:
 *      the descriptor (or block 0, without descriptor) is put only if absent.
 *      It is the only object of a new volume, so a creation happens whole or
 *      not at all.
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
#include "layout/probe.h"
#include "layout/s3b.h"

#define BLOCK_SIZE_NEW (128u << 10)
#define BLOCK_SIZE_S3BACKER 4096u /* its own default */

/* What is known of the volume while it is being opened. */
struct opening {
	struct store *s;
	const char *prefix;
	const char *bucket;
	const struct layout_params *p;
	struct probe probe;

	/* Some block of a volume without descriptor. */
	struct probe_block sample;
	uint32_t sample_block;
	char sample_key[STORE_KEY_MAX + 1];

	bool create; /* there is nothing: make it */
	bool has_desc;
	bool hashed;
	struct descriptor d; /* what the volume is, with or without one */
};

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

/* --- a sample block ------------------------------------------------------- */

/* The first block that a listing finds, hashed or not. */
static int
find_any_block(struct opening *o, struct err *e)
{
	char after[STORE_KEY_MAX + 1];
	struct store_req r;
	bool found = false, more = true;
	uint64_t pos;
	int rc = 0;

	s3b_name_before(after, o->prefix, 0);
	while (rc == 0 && more && !found) {
		store_req_init(&r, STORE_LIST, NULL);
		r.prio = STORE_PRIO_READ;
		r.prefix = o->prefix;
		r.start_after = after;
		r.max_keys = 100;
		rc = store_run(o->s, &r, e);
		more = rc == 0 && r.page.more && r.page.n > 0;
		for (size_t i = 0; rc == 0 && i < r.page.n && !found; i++)
			for (int h = 0; h < 2 && !found; h++) {
				if (!s3b_name_parse(r.page.v[i].key, o->prefix,
					h, &o->sample_block))
					continue;
				o->hashed = h;
				found = true;
				snprintf(o->sample_key, sizeof(o->sample_key),
				    "%s", r.page.v[i].key);
			}
		if (more) { /* jump over what is not ours */
			const char *last = r.page.v[r.page.n - 1].key;

			pos = s3b_name_next_pos(last, o->prefix);
			more = pos <= UINT32_MAX;
			if (more)
				s3b_name_before(after, o->prefix, (uint32_t)pos);
			if (strcmp(after, last) < 0)
				snprintf(after, sizeof(after), "%s", last);
		}
		store_req_fini(&r);
	}
	if (rc < 0 || !found)
		return rc < 0 ? rc : 0;
	store_req_init(&r, STORE_HEAD, o->sample_key);
	r.prio = STORE_PRIO_READ;
	rc = store_run(o->s, &r, e);
	if (rc == 0)
		probe_take_block(&o->sample, &r);
	store_req_fini(&r);
	return rc == -ENOENT ? 0 : rc;
}

/* Without descriptor: look at block 0, or else at any block. */
static int
take_sample(struct opening *o, struct err *e)
{
	const struct probe_block *f = o->probe.first;
	int h = o->p->hash_prefix;

	if (f[0].found && f[1].found && h < 0)
		return err_set(e, -EINVAL,
		    "%s%s: there is a block 0 with a hash in its name and one "
		    "without: two volumes in one place; say which (names with "
		    "or without hash)", o->s->url, o->prefix);
	if (h < 0)
		h = f[1].found;
	if (f[h].found) {
		o->hashed = h;
		o->sample = f[h];
		s3b_name_block(o->sample_key, o->prefix, h, 0);
		return 0;
	}
	if (f[!h].found)
		return err_set(e, -EINVAL,
		    "%s%s: the volume's names are %s hash, not %s", o->s->url,
		    o->prefix, h ? "without" : "with",
		    h ? "with" : "without");
	return find_any_block(o, e);
}

/* --- what the volume is --------------------------------------------------- */

/* A number that was asked for, and what the volume says. */
static int
agree(const struct opening *o, const char *what, uint64_t asked,
    uint64_t *is, struct err *e)
{
	if (asked == 0 || asked == *is)
		return 0;
	if (!o->p->force)
		return err_set(e, -EINVAL,
		    "%s%s: the volume has %s %" PRIu64 ", not %" PRIu64
		    " as asked for (force would take yours)", o->s->url,
		    o->prefix, what, *is, asked);
	*is = asked;
	return 0;
}

static int
none_there(const struct opening *o, struct err *e)
{
	if (o->sample.found)
		return err_set(e, -EINVAL,
		    "%s%s: there are blocks, but nothing says the volume's "
		    "size: block 0, which would, was erased; give size and "
		    "block size", o->s->url, o->prefix);
	return err_set(e, -ENOENT,
	    "%s%s: there is no volume; to make one, give its size", o->s->url,
	    o->prefix);
}

/* No descriptor: block 0's headers, or what was asked for. */
static int
decide_legacy(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;
	struct descriptor *d = &o->d;
	const struct probe_block *b = &o->sample;
	int rc;

	d->compress = b->compress;
	d->size = b->size;
	d->block_size = (uint32_t)b->block_size;
	if (b->block_size > BLOCK_SIZE_MAX)
		return err_set(e, -EINVAL,
		    "%s%s: the volume has blocks of %" PRIu64 " bytes; pail "
		    "takes at most %u", o->s->url, o->prefix, b->block_size,
		    BLOCK_SIZE_MAX);
	if (d->size == 0) { /* s3backer without block 0, or with foreign one */
		if (p->size == 0)
			return none_there(o, e);
		d->size = p->size;
		d->block_size =
		    p->block_size ? p->block_size : BLOCK_SIZE_S3BACKER;
	}
	rc = agree(o, "size", p->size, &d->size, e);
	if (rc == 0) {
		uint64_t bs = d->block_size;

		rc = agree(o, "block size", p->block_size, &bs, e);
		d->block_size = (uint32_t)bs;
	}
	if (rc == 0 && !b->encoded && b->object_size != d->block_size &&
	    p->default_encoding == NULL && !p->force)
		rc = err_set(e, -EINVAL,
		    "%s%s: block size %u, but the object %s has %" PRIu64
		    " bytes", o->s->url, o->prefix, d->block_size,
		    o->sample_key, b->object_size);
	return rc;
}

/* What the descriptor says, unless forced otherwise. */
static int
decide_described(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;
	const struct probe_block *f;
	uint64_t bs;
	int rc;

	o->d = o->probe.desc;
	o->has_desc = true;
	o->hashed = o->d.hashed;
	bs = o->d.block_size;
	rc = agree(o, "size", p->size, &o->d.size, e);
	if (rc == 0)
		rc = agree(o, "block size", p->block_size, &bs, e);
	o->d.block_size = (uint32_t)bs;
	if (rc == 0 && p->hash_prefix >= 0 && p->hash_prefix != o->d.hashed)
		rc = err_set(e, -EINVAL,
		    "%s%s: the volume's names are %s hash, not %s", o->s->url,
		    o->prefix, o->d.hashed ? "with" : "without",
		    o->d.hashed ? "without" : "with");
	f = &o->probe.first[o->d.hashed];
	if (rc == 0 && f->size != 0 &&
	    (f->size != o->d.size || f->block_size != o->d.block_size))
		log_warn("%s%s: block 0 says size %" PRIu64 ", block size %"
			 PRIu64 "; the descriptor, which counts, says %" PRIu64
			 " and %" PRIu32, o->s->url, o->prefix, f->size,
		    f->block_size, o->d.size, o->d.block_size);
	return rc;
}

static int
decide_new(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;

	o->create = true;
	o->has_desc = !p->plain_s3backer;
	o->hashed = p->hash_prefix > 0;
	o->d.hashed = o->hashed;
	o->d.size = p->size;
	o->d.block_size = p->block_size ? p->block_size : BLOCK_SIZE_NEW;
	o->d.compress_level = p->compress_level;
	o->d.created_s = clock_wall_ns() / NS_PER_S;
	if (RAND_bytes(o->d.uuid, sizeof(o->d.uuid)) != 1)
		return err_set(e, -EIO, "no random numbers for a UUID");
	o->d.uuid[6] = (uint8_t)((o->d.uuid[6] & 0x0f) | 0x40);
	o->d.uuid[8] = (uint8_t)((o->d.uuid[8] & 0x3f) | 0x80);
	return 0;
}

static int
decide(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;
	bool exists;
	int rc = 0;

	o->d.compress_level = COMPRESS_LEVEL_DEFAULT;
	if (!o->probe.has_desc)
		rc = take_sample(o, e);
	if (rc < 0)
		return rc;
	exists = o->probe.has_desc || o->sample.found;
	if (exists && p->must_create)
		return err_set(e, -EEXIST,
		    "%s%s: there is a volume already; erase it first, or "
		    "choose another prefix", o->s->url, o->prefix);
	if (o->probe.has_desc)
		rc = decide_described(o, e);
	else if (exists)
		rc = decide_legacy(o, e);
	else if ((!p->create && !p->must_create) || p->size == 0)
		rc = none_there(o, e);
	else
		rc = decide_new(o, e);
	if (rc == 0) {
		rc = geometry_check(o->d.size, o->d.block_size, e);
		if (rc < 0)
			err_wrap(e, rc, "%s%s", o->s->url, o->prefix);
	}
	return rc;
}

/* --- compression and encryption ------------------------------------------- */

static int
decide_compress(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;
	struct descriptor *d = &o->d;

	if (p->compress != NULL) {
		int rc = compress_parse(p->compress, &d->compress, e);

		if (rc < 0)
			return rc;
		/* A level for one algorithm says nothing about another. */
		d->compress_level = p->compress_level;
	} else if (p->compress_level != INT_MIN)
		d->compress_level = p->compress_level;
	else if (o->create && d->compress == COMPRESS_NONE &&
	    p->password != NULL)
		d->compress = COMPRESS_DEFLATE; /* as s3backer does */
	return compress_check_level(d->compress, d->compress_level, e);
}

/* Which cipher the volume has; "" for none.  Without a block to look at, what
 * was asked for. */
static int
decide_cipher(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;
	const char *is = o->probe.has_desc ? o->d.cipher : o->sample.cipher;
	bool known = o->probe.has_desc || o->sample.found;
	char asked[CIPHER_NAME_MAX] = "AES-128-CBC"; /* s3backer's default */
	int rc = 0;

	if (known && is[0] == '\0' && p->password != NULL)
		return err_set(e, -EINVAL,
		    "%s%s: a password was given, but the volume is not "
		    "encrypted", o->s->url, o->prefix);
	if (is[0] != '\0' && p->password == NULL)
		return err_set(e, -ENOKEY,
		    "%s%s: the volume is encrypted (%s): it needs its "
		    "password", o->s->url, o->prefix, is);
	if (p->password == NULL)
		return 0;
	if (o->create)
		snprintf(asked, sizeof(asked), "AES-256-CBC");
	if (p->cipher != NULL)
		rc = cipher_canonical(p->cipher, asked, sizeof(asked), e);
	if (rc == 0 && is[0] != '\0') {
		char canonical[CIPHER_NAME_MAX];

		rc = cipher_canonical(is, canonical, sizeof(canonical), e);
		if (rc == 0 && p->cipher != NULL &&
		    strcmp(asked, canonical) != 0)
			rc = err_set(e, -EINVAL,
			    "%s%s: the volume is encrypted with %s, not %s",
			    o->s->url, o->prefix, canonical, asked);
		snprintf(asked, sizeof(asked), "%s", canonical);
	}
	if (rc == 0)
		snprintf(o->d.cipher, sizeof(o->d.cipher), "%s", asked);
	return rc;
}

static int
wrong_password(const struct opening *o, struct err *e)
{
	return err_set(e, -EACCES,
	    "%s%s: the password is wrong (nothing was changed)", o->s->url,
	    o->prefix);
}

/* A volume without descriptor: the password must open the sample block. */
static int
verify_by_block(struct opening *o, const struct cipher *c, struct err *e)
{
	struct codec codec = {.cipher = (struct cipher *)(uintptr_t)c,
	    .default_encoding = o->p->default_encoding};
	uint8_t *block = malloc(o->d.block_size);
	struct buf *b = buf_new(codec_read_max(o->d.block_size));
	struct store_req r;
	int rc = -ENOMEM;

	store_req_init(&r, STORE_GET, o->sample_key);
	if (b == NULL || block == NULL) {
		err_errno(e, rc, "checking the password");
		goto out;
	}
	r.body = b;
	r.prio = STORE_PRIO_READ;
	rc = store_run(o->s, &r, e);
	if (rc < 0) {
		err_wrap(e, rc, "checking the password");
		goto out;
	}
	rc = codec_decode(&codec, o->sample_block,
	    meta_get(r.got_meta, "content-encoding"),
	    meta_get(r.got_meta, "s3backer-hmac"), b->data, b->len, block,
	    o->d.block_size, e);
	if (rc == -EBADMSG) {
		struct err why = *e;

		rc = err_set(e, -EACCES,
		    "%s%s: the password or the block size is wrong, or block "
		    "%" PRIu32 " is damaged (%.200s); nothing was changed",
		    o->s->url, o->prefix, o->sample_block, why.text);
	}
out:
	store_req_fini(&r);
	buf_unref(b);
	free(block);
	return rc;
}

static int
make_cipher(struct opening *o, struct cipher **out, struct err *e)
{
	const struct layout_params *p = o->p;
	struct descriptor *d = &o->d;
	uint8_t v[CIPHER_VERIFIER_LEN];
	struct cipher *c = NULL;
	int rc;

	if (d->cipher[0] == '\0')
		return 0;
	if (!o->probe.has_desc) {
		d->key_length = p->key_length;
		if (snprintf(d->salt, sizeof(d->salt), "%s/%s", o->bucket,
			o->prefix) >= (int)sizeof(d->salt))
			return err_set(e, -ENAMETOOLONG,
			    "bucket and prefix are too long for a salt");
	} else if (p->key_length != 0 && p->key_length != d->key_length)
		return err_set(e, -EINVAL,
		    "%s%s: the volume has key length %u, not %u", o->s->url,
		    o->prefix, d->key_length, p->key_length);
	rc = cipher_new(d->cipher, p->password, d->salt, d->key_length, &c, e);
	if (rc < 0)
		return rc;
	d->key_length = cipher_key_length(c);
	rc = cipher_verifier(c, d->uuid, sizeof(d->uuid), v, e);
	if (rc == 0 && o->probe.has_desc &&
	    !cipher_equal(v, d->verifier, sizeof(v)))
		rc = wrong_password(o, e);
	else if (rc == 0 && o->sample.found)
		rc = verify_by_block(o, c, e);
	if (rc < 0) {
		cipher_free(c);
		return rc;
	}
	memcpy(d->verifier, v, sizeof(v));
	*out = c;
	return 0;
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
	l->info.read_only = p->lease != LEASE_WRITER && p->lease != LEASE_FORCE;
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

/* --- creating --------------------------------------------------------------- */

/* Put an object where there is none: what makes the volume.  -EEXIST. */
static int
put_new(struct opening *o, const char *key, struct buf *body, struct meta *m,
    struct err *e)
{
	struct store_req r;
	int rc;

	store_req_init(&r, STORE_PUT, key);
	r.prio = STORE_PRIO_WRITE;
	r.body = body;
	r.meta = m;
	r.if_absent = o->s->info.if_absent;
	rc = store_run(o->s, &r, e);
	store_req_fini(&r);
	if (rc == -EEXIST)
		err_set(e, rc, "%s%s: somebody else has just made a volume "
		    "there", o->s->url, o->prefix);
	else if (rc < 0)
		err_wrap(e, rc, "create %s%s", o->s->url, o->prefix);
	return rc;
}

static int
create_described(struct opening *o, struct err *e)
{
	char key[STORE_KEY_MAX + 1];
	struct strbuf text = STRBUF_INIT;
	struct buf *b = NULL;
	struct meta *m = meta_new();
	int rc = descriptor_encode(&o->d, &text);

	if (rc == 0 && m != NULL)
		rc = meta_add(m, "content-type", "text/plain");
	if (rc == 0)
		b = buf_new(text.len);
	if (rc < 0 || b == NULL || m == NULL)
		rc = err_errno(e, rc < 0 ? rc : -ENOMEM, "the descriptor");
	if (rc == 0) {
		memcpy(b->data, text.s, text.len);
		b->len = text.len;
		snprintf(key, sizeof(key), "%s%s", o->prefix,
		    S3B_DESCRIPTOR_NAME);
		rc = put_new(o, key, b, m, e);
	}
	strbuf_fini(&text);
	meta_unref(m);
	buf_unref(b);
	return rc;
}

/* A volume as s3backer would make it: block 0, zeros, with the headers. */
static int
create_legacy(struct opening *o, const struct layout *l, struct err *e)
{
	char key[STORE_KEY_MAX + 1], hmac[CODEC_HMAC_TEXT];
	uint32_t bs = l->info.block_size;
	uint8_t *zeros = calloc(1, bs);
	struct buf *b = buf_new(codec_write_max(&l->codec, bs));
	struct meta *m = NULL;
	int rc = -ENOMEM;

	if (zeros != NULL && b != NULL)
		rc = codec_encode(&l->codec, 0, zeros, bs, b->data, &b->len,
		    hmac, e);
	if (rc == 0)
		m = s3b_meta(l, 0, hmac);
	if (rc < 0 || m == NULL)
		rc = err_errno(e, -ENOMEM, "block 0");
	if (rc == 0) {
		s3b_name_block(key, o->prefix, o->hashed, 0);
		rc = put_new(o, key, b, m, e);
	}
	free(zeros);
	buf_unref(b);
	meta_unref(m);
	return rc;
}

/* --- all together ----------------------------------------------------------- */

static int
open_once(struct opening *o, struct work_pool *pool, struct stat_set *stats,
    struct layout **out, struct err *e)
{
	struct cipher *c = NULL;
	struct layout *l = NULL;
	int rc = probe_volume(o->s, o->prefix, &o->probe, e);

	if (rc == 0)
		rc = decide(o, e);
	if (rc == 0)
		rc = decide_compress(o, e);
	if (rc == 0)
		rc = decide_cipher(o, e);
	if (rc == 0)
		rc = make_cipher(o, &c, e);
	if (rc < 0)
		return rc;
	l = layout_new(o, pool, stats);
	if (l == NULL) {
		cipher_free(c);
		return err_errno(e, -ENOMEM, "open %s%s", o->s->url,
		    o->prefix);
	}
	if (layout_set_codec(l, c) < 0)
		rc = err_errno(e, -ENOMEM, "open %s%s", o->s->url, o->prefix);
	if (rc == 0 && o->create)
		rc = o->has_desc ? create_described(o, e)
				 : create_legacy(o, l, e);
	if (rc == 0 && o->p->survey && s3b_survey_start(l) < 0)
		rc = err_errno(e, -ENOMEM, "open %s%s", o->s->url, o->prefix);
	if (rc < 0) {
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
	if (rc == -EEXIST && o->create && !p->must_create) {
		/* Somebody else was first: then theirs is the volume. */
		opening_init(o, s, prefix, salt_bucket, p);
		rc = open_once(o, pool, stats, out, e);
	}
	free(o);
	return rc;
}

int
layout_close(struct layout *l, bool release_lease, struct err *e)
{
	must(l->inflight == 0);
	s3b_survey_end(l);
	layout_free(l);
	return 0;
}
