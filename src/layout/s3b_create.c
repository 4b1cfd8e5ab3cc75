/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a volume: one object, put only if absent (Y5).
 *
 * With a descriptor it is that.  As s3backer would have it, it is block 0 of
 * zeros: what it reads as anyway, with the headers that say the size.
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

/* Put an object that makes the volume, or says what it is now. */
static int
put(struct store *s, const char *key, struct buf *body, struct meta *m,
    bool if_absent, struct err *e)
{
	struct store_req r;
	int rc;

	store_req_init(&r, STORE_PUT, key);
	r.prio = STORE_PRIO_WRITE;
	r.body = body;
	r.meta = m;
	r.if_absent = if_absent && s->info.if_absent;
	rc = store_run(s, &r, e);
	if (rc == -EOPNOTSUPP && r.if_absent) { /* found out only now */
		r.if_absent = false;
		rc = store_run(s, &r, e);
	}
	store_req_fini(&r);
	return rc;
}

int
s3b_put_descriptor(struct store *s, const char *prefix,
    const struct descriptor *d, bool if_absent, struct err *e)
{
	char key[STORE_KEY_MAX + 1];
	struct strbuf text = STRBUF_INIT;
	struct buf *b = NULL;
	struct meta *m = meta_new();
	int rc = descriptor_encode(d, &text);

	if (rc == 0 && m != NULL)
		rc = meta_add(m, "content-type", "text/plain");
	if (rc == 0)
		b = buf_new(text.len);
	if (rc < 0 || b == NULL || m == NULL)
		rc = err_errno(e, rc < 0 ? rc : -ENOMEM, "the descriptor");
	if (rc == 0) {
		memcpy(b->data, text.s, text.len);
		b->len = text.len;
		snprintf(key, sizeof(key), "%s%s", prefix,
		    S3B_DESCRIPTOR_NAME);
		rc = put(s, key, b, m, if_absent, e);
	}
	strbuf_fini(&text);
	meta_unref(m);
	buf_unref(b);
	return rc;
}

static int
create_block0(struct opening *o, const struct layout *l, struct err *e)
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
		rc = put(o->s, key, b, m, true, e);
	}
	free(zeros);
	buf_unref(b);
	meta_unref(m);
	return rc;
}

int
s3b_create(struct opening *o, const struct layout *l, struct err *e)
{
	int rc = o->has_desc
	    ? s3b_put_descriptor(o->s, o->prefix, &o->d, true, e)
	    : create_block0(o, l, e);

	if (rc == -EEXIST)
		return err_set(e, rc,
		    "%s: somebody else has just made a volume there",
		    VOLUME_NAME(o->s, o->prefix));
	return rc < 0
	    ? err_wrap(e, rc, "create %s", VOLUME_NAME(o->s, o->prefix))
	    : 0;
}
