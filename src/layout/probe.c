/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a volume; see probe.h.
 *
 * The descriptor says all, where there is one.  Without it block 0's headers
 * say the size and the block size, and its Content-Encoding how blocks are
 * encoded; whether names are hashed shows by the name under which block 0 is
 * found.  All of it is asked for at once, so that opening a volume costs one
 * round trip up to here.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/must.h"
#include "codec/codec.h"
#include "layout/probe.h"
#include "layout/s3b_name.h"
#include "store/store.h"

struct all {
	unsigned left;
	bool done;
};

static void
one_done(struct store_req *r)
{
	struct all *a = r->arg;

	a->done = --a->left == 0;
}

void
probe_run_all(struct store *s, struct store_req *const *v, unsigned n)
{
	struct all a = {.left = n};

	must(n > 0);
	for (unsigned i = 0; i < n; i++) {
		v[i]->done = one_done;
		v[i]->arg = &a;
		store_submit(s, v[i]);
	}
	must(loop_run_until(s->loop, &a.done) == 0);
}

/* A header's decimal number; 0 if it is none. */
static uint64_t
header_number(const struct meta *m, const char *name)
{
	const char *s = meta_get(m, name);
	uint64_t v = 0;

	if (s == NULL || *s == '\0')
		return 0;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' ||
		    v > (UINT64_MAX - (uint64_t)(*s - '0')) / 10)
			return 0;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	return v;
}

void
probe_take_block(struct probe_block *b, const struct store_req *q)
{
	const char *enc = meta_get(q->got_meta, "content-encoding");

	memset(b, 0, sizeof(*b));
	b->found = true;
	b->object_size = q->size;
	b->size = header_number(q->got_meta, "s3backer-filesize");
	b->block_size = header_number(q->got_meta, "s3backer-blocksize");
	if (b->size == 0 || b->block_size == 0)
		b->size = b->block_size = 0; /* half of it is nothing */
	b->encoded = enc != NULL && *enc != '\0';
	codec_describe(enc, &b->compress, b->cipher, sizeof(b->cipher));
}

static int
take_desc(struct probe *p, const struct store_req *q, const struct store *s,
    struct err *e)
{
	int rc = q->rc;

	if (rc == -ENOENT)
		return 0;
	if (rc == -EMSGSIZE)
		rc = err_set(e, -EBADMSG, "it has more than %d bytes",
		    DESCRIPTOR_MAX);
	else if (rc < 0) {
		err_copy(e, &q->err);
		return rc;
	} else
		rc = descriptor_decode(
		    &p->desc, q->body->data, q->body->len, e);
	if (rc < 0)
		return err_wrap(e, rc, "%s: object %s", s->url, q->key);
	p->has_desc = true;
	return 0;
}

static int
take_first(struct probe_block *b, const struct store_req *q, struct err *e)
{
	if (q->rc == 0)
		probe_take_block(b, q);
	else if (q->rc != -ENOENT)
		err_copy(e, &q->err);
	return q->rc == -ENOENT ? 0 : q->rc;
}

int
probe_volume(struct store *s, const char *prefix, struct probe *p,
    struct err *e)
{
	size_t room = strlen(prefix) + S3B_NAME_MAX;
	struct buf *text = buf_new(DESCRIPTOR_MAX);
	char *keys = malloc(3 * room);
	struct store_req req[3];
	int rc = -ENOMEM;

	memset(p, 0, sizeof(*p));
	if (text == NULL || keys == NULL) {
		err_errno(e, rc, "looking for a volume in %s", s->url);
		goto out;
	}
	snprintf(keys, room, "%s%s", prefix, S3B_DESCRIPTOR_NAME);
	s3b_name_block(keys + room, prefix, false, 0);
	s3b_name_block(keys + 2 * room, prefix, true, 0);
	for (unsigned i = 0; i < 3; i++) {
		store_req_init(&req[i], i == 0 ? STORE_GET : STORE_HEAD,
		    keys + i * room);
		req[i].prio = STORE_PRIO_READ;
	}
	req[0].body = text;
	probe_run_all(s,
	    (struct store_req *const[]){&req[0], &req[1], &req[2]}, 3);
	rc = take_desc(p, &req[0], s, e);
	for (unsigned i = 0; i < 2 && rc == 0; i++)
		rc = take_first(&p->first[i], &req[i + 1], e);
	for (unsigned i = 0; i < 3; i++)
		store_req_fini(&req[i]);
out:
	free(keys);
	buf_unref(text);
	return rc;
}
