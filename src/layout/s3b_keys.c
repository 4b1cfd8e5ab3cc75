/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption, and whether the password is right: the third step of opening.
 *
 * A volume with a descriptor has a verifier there: an HMAC by the derived key
 * over the volume's UUID.  It tells somebody who has the bucket nothing new:
 * each encrypted block has an HMAC by the same key, so passwords can be tried
 * against blocks at the same price.
 *
 * Without a descriptor the password must open a block: block 0, or else the
 * first that a listing finds.  A volume without any block has nothing that a
 * wrong password could damage.
 *
 * The salt is BUCKET/PREFIX, as s3backer has it; the descriptor keeps it, so
 * that a volume can be copied to another place and opened there.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "codec/cipher.h"
#include "layout/s3b_name.h"
#include "layout/s3b_open.h"

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
		    "%s: a password was given, but the volume is not "
		    "encrypted", VOLUME_NAME(o->s, o->prefix));
	if (is[0] != '\0' && p->password == NULL)
		return err_set(e, -ENOKEY,
		    "%s: the volume is encrypted (%s): it needs its "
		    "password", VOLUME_NAME(o->s, o->prefix), is);
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
			    "%s: the volume is encrypted with %s, not %s",
			    VOLUME_NAME(o->s, o->prefix), canonical, asked);
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
	    "%s: the password is wrong (nothing was changed)",
	    VOLUME_NAME(o->s, o->prefix));
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
		    "%s: the password or the block size is wrong, or block "
		    "%" PRIu32 " is damaged (%.200s); nothing was changed",
		    VOLUME_NAME(o->s, o->prefix), o->sample_block, why.text);
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
		    "%s: the volume has key length %u, not %u",
		    VOLUME_NAME(o->s, o->prefix), d->key_length, p->key_length);
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

int
s3b_keys(struct opening *o, struct cipher **out, struct err *e)
{
	int rc = decide_cipher(o, e);

	return rc == 0 ? make_cipher(o, out, e) : rc;
}
