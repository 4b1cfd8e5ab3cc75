/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the volume is: the second step of opening one.
 *
 *	descriptor		it says all
 *	block 0 with headers	they say size and block size; its name and its
 *				Content-Encoding the rest
 *	some other block	block 0 was erased under s3backer: its name and
 *				encoding; size and block size must be given
 *	nothing			there is no volume; one is made if that was
 *				asked for
 *
 * What was asked for must agree with what is there, else nobody writes; force
 * lets size and block size win (and only these).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "codec/cipher.h"
#include "layout/s3b_name.h"
#include "layout/s3b_open.h"

#define BLOCK_SIZE_NEW (128u << 10)
#define BLOCK_SIZE_S3BACKER 4096u /* its own default */

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
		    "%s: there is a block 0 with a hash in its name and one "
		    "without: two volumes in one place; say which (names with "
		    "or without hash)", VOLUME_NAME(o->s, o->prefix));
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
		    "%s: the volume's names are %s hash, not %s",
		    VOLUME_NAME(o->s, o->prefix), h ? "without" : "with",
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
		    "%s: the volume has %s %" PRIu64 ", not %" PRIu64
		    " as asked for (--force takes yours)",
		    VOLUME_NAME(o->s, o->prefix), what, *is, asked);
	*is = asked;
	return 0;
}

static int
none_there(const struct opening *o, struct err *e)
{
	if (o->sample.found)
		return err_set(e, -EINVAL,
		    "%s: there are blocks, but nothing says the volume's "
		    "size: block 0, which would, was erased; give size and "
		    "block size", VOLUME_NAME(o->s, o->prefix));
	return err_set(e, -ENOENT,
	    "%s: there is no volume (pail create, or a mount that is given "
	    "a size, makes one)",
	    VOLUME_NAME(o->s, o->prefix));
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
		    "%s: the volume has blocks of %" PRIu64 " bytes; pail "
		    "takes at most %u",
		    VOLUME_NAME(o->s, o->prefix), b->block_size,
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
		    "%s: block size %u, but the object %s has %" PRIu64
		    " bytes", VOLUME_NAME(o->s, o->prefix), d->block_size,
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
		    "%s: the volume's names are %s hash, not %s",
		    VOLUME_NAME(o->s, o->prefix),
		    o->d.hashed ? "with" : "without",
		    o->d.hashed ? "without" : "with");
	f = &o->probe.first[o->d.hashed];
	if (rc == 0 && f->size != 0 &&
	    (f->size != o->d.size || f->block_size != o->d.block_size))
		log_warn("%s: block 0 says size %" PRIu64 ", block size %"
			 PRIu64 "; the descriptor, which counts, says %" PRIu64
			 " and %" PRIu32, VOLUME_NAME(o->s, o->prefix), f->size,
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
		    "%s: there is a volume already; erase it first, or "
		    "choose another prefix", VOLUME_NAME(o->s, o->prefix));
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
			err_wrap(e, rc, "%s", VOLUME_NAME(o->s, o->prefix));
	}
	return rc;
}

/* What was asked for against what the descriptor says.  A volume without one
 * does not remember it: there each writer says how. */
static int
agree_compress(
    const struct opening *o, enum compress_alg asked, struct err *e)
{
	const char *is = compress_name(o->d.compress);

	if (!o->probe.has_desc || asked == o->d.compress)
		return 0;
	if (!o->p->recompress)
		return err_set(e, -EINVAL,
		    "%s: the volume has compression %s, not %s as asked for",
		    VOLUME_NAME(o->s, o->prefix), is, compress_name(asked));
	log_info("%s: blocks are written with compression %s, though the "
		 "volume has %s", VOLUME_NAME(o->s, o->prefix),
	    compress_name(asked), is);
	return 0;
}

static int
decide_compress(struct opening *o, struct err *e)
{
	const struct layout_params *p = o->p;
	struct descriptor *d = &o->d;

	if (p->compress != NULL) {
		enum compress_alg asked;
		int rc = compress_parse(p->compress, &asked, e);

		if (rc == 0)
			rc = agree_compress(o, asked, e);
		if (rc < 0)
			return rc;
		d->compress = asked;
		/* A level for one algorithm says nothing about another. */
		d->compress_level = p->compress_level;
	} else if (p->compress_level != INT_MIN)
		d->compress_level = p->compress_level;
	else if (o->create && d->compress == COMPRESS_NONE &&
	    p->password != NULL)
		d->compress = COMPRESS_DEFLATE; /* as s3backer does */
	return compress_check_level(d->compress, d->compress_level, e);
}

int
s3b_decide(struct opening *o, struct err *e)
{
	int rc = decide(o, e);

	return rc == 0 ? decide_compress(o, e) : rc;
}
