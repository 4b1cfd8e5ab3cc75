/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ and WRITE of one block, and SYNC.
 *
 * READ, in the usual case:
 *
 *	plain volume	GET of just the range asked for, straight into the
 *			caller's memory
 *	encoded volume	GET of the object, decode, copy what is asked for
 *
 * One volume may hold blocks that were written with other settings, so a plain
 * volume's answer may turn out to be encoded (its Content-Encoding says so, or
 * it is not as long as a block).  Then the object is read again, whole; a rare
 * second request instead of a whole block for each small read.
 *
 * WRITE: zeros are a DELETE (Y2); else encode and PUT.  Block 0 carries the
 * volume's size in its headers, and where there is no descriptor that is the
 * only place: then it is written even if it is zeros.
 *
 * An object of the wrong size, with an unknown encoding, or that does not
 * decode, is -EBADMSG with its key.  So is one that we know to have been there
 * and that is gone, while we hold the lease: it must not read as zeros (Y1).
 *
 * Encoding and decoding of large blocks happens on the worker pool; until it
 * comes back the io is owned by a worker.  All else on the loop.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "layout/s3b.h"
#include "loop/work.h"

struct s3b_io {
	struct s3b_op op; /* first: see s3b.h */
	struct layout *l;
	struct layout_req *r;
	struct store_req req;
	bool in_store;	 /* req is in flight */
	bool whole;	 /* READ: the object was asked for whole */
	bool direct;	 /* READ: into the caller's memory */
	struct buf dest; /* the caller's memory, as a buffer */
	struct buf *enc; /* the object's bytes */

	struct work work;
	struct loop_task task; /* work that is done on the loop */
	int rc; /* of the work */
	struct err err;
	char hmac[CODEC_HMAC_TEXT];
	char key[];
};

static void read_done(struct store_req *q);

static void
io_cancel(struct s3b_op *op)
{
	struct s3b_io *io = container_of(op, struct s3b_io, op);

	if (io->in_store)
		store_cancel(&io->req);
}

static struct s3b_io *
io_new(struct layout *l, struct layout_req *r)
{
	struct s3b_io *io =
	    calloc(1, sizeof(*io) + strlen(l->prefix) + S3B_NAME_MAX);

	if (io == NULL) {
		err_errno(&r->err, -ENOMEM, "block %" PRIu64, r->block);
		layout_end_later(r, -ENOMEM);
		return NULL;
	}
	io->op.cancel = io_cancel;
	io->l = l;
	io->r = r;
	s3b_name_block(io->key, l->prefix, l->hashed, (uint32_t)r->block);
	r->priv = &io->op;
	return io;
}

static void
io_free(struct s3b_io *io)
{
	meta_unref(io->req.meta);
	store_req_fini(&io->req);
	buf_unref(io->enc);
	free(io);
}

/* The end of every io that has been to the store. */
static void
io_end(struct s3b_io *io, int rc, const struct err *why)
{
	static const char *const verbs[] = {"read", "write"};
	struct layout_req *r = io->r;

	must(!io->in_store);
	if (rc == -EBADMSG)
		s3b_count(io->l, STAT_BLOCKS_DAMAGED, 1);
	if (rc < 0) {
		err_copy(&r->err, why);
		err_wrap(&r->err, rc, "%s block %" PRIu64, verbs[r->op],
		    r->block);
	}
	io_free(io);
	layout_end(r, rc);
}

/* The same before the store was asked: we are inside submit. */
static void
io_end_early(struct s3b_io *io, int rc, const char *what)
{
	struct layout_req *r = io->r;

	if (rc < 0)
		err_errno(&r->err, rc, "block %" PRIu64 ": %s", r->block, what);
	io_free(io);
	layout_end_later(r, rc);
}

static void
io_ask(struct s3b_io *io, void (*done)(struct store_req *q))
{
	io->req.prio = io->r->prio;
	io->req.done = done;
	io->req.arg = io;
	io->in_store = true;
	store_submit(io->l->store, &io->req);
}

/* The block is damaged, as e says ("it has ..."). */
static void
io_end_bad(struct s3b_io *io, const struct err *e)
{
	struct err why = *e;

	err_wrap(&why, e->rc, "object %s of %s", io->key, io->l->store->url);
	io_end(io, e->rc, &why);
}

static void
work_here(struct loop_task *t)
{
	struct s3b_io *io = container_of(t, struct s3b_io, task);

	io->work.run(&io->work);
	io->work.done(&io->work);
}

/* Run it on a worker or, soon, here; then call done here. */
static void
io_work(struct s3b_io *io, void (*run)(struct work *),
    void (*done)(struct work *))
{
	struct layout *l = io->l;

	io->work.run = run;
	io->work.done = done;
	if (l->pool != NULL && l->info.block_size > INLINE_CODEC_MAX) {
		work_submit(l->pool, l->loop, &io->work);
		return;
	}
	io->task.run = work_here;
	loop_defer(l->loop, &io->task);
}

/* --- read ---------------------------------------------------------------- */

static uint8_t *
read_dest(const struct s3b_io *io)
{
	return io->r->data->data + io->r->data_off;
}

/* Ask for the whole object, into memory of our own.  0 or -ENOMEM. */
static int
read_whole(struct s3b_io *io)
{
	if (io->enc == NULL)
		io->enc = buf_new(codec_read_max(io->l->info.block_size));
	if (io->enc == NULL)
		return -ENOMEM;
	store_req_init(&io->req, STORE_GET, io->key);
	io->req.body = io->enc;
	io->whole = true;
	io->direct = false;
	io_ask(io, read_done);
	return 0;
}

/* Ask for what is wanted, where it is wanted. */
static void
read_direct(struct s3b_io *io)
{
	const struct layout *l = io->l;
	struct layout_req *r = io->r;

	io->dest = (struct buf){.refs = 1, .cap = r->len,
	    .data = read_dest(io)};
	io->direct = true;
	io->whole = r->len == l->info.block_size;
	store_req_init(&io->req, STORE_GET, io->key);
	io->req.body = &io->dest;
	if (!io->whole) {
		io->req.range_off = r->off;
		io->req.range_len = r->len;
	}
	io_ask(io, read_done);
}

void
s3b_read(struct layout *l, struct layout_req *r)
{
	struct s3b_io *io = io_new(l, r);

	if (io == NULL)
		return;
	if (codec_is_plain(&l->codec) && l->default_encoding == NULL &&
	    (r->len == l->info.block_size || l->store->info.range_get))
		read_direct(io);
	else if (read_whole(io) < 0)
		io_end_early(io, -ENOMEM, "no memory to read it");
}

/* The caller's memory holds the answer. */
static void
read_finish(struct s3b_io *io)
{
	struct layout_req *r = io->r;

	s3b_count(io->l, STAT_BLOCKS_READ, 1);
	r->was_zero = mem_is_zero(read_dest(io), r->len);
	snprintf(r->tag, sizeof(r->tag), "%s", io->req.tag);
	/* What was found is there; without memory we shall ask again. */
	(void)present_set(&io->l->present, r->block, PRESENT_ST_YES);
	io_end(io, 0, NULL);
}

static void
decode_run(struct work *w)
{
	struct s3b_io *io = container_of(w, struct s3b_io, work);
	const struct layout *l = io->l;
	const struct layout_req *r = io->r;
	uint32_t bs = l->info.block_size;
	bool all = r->len == bs;
	uint8_t *block = all ? read_dest(io) : malloc(bs);

	if (block == NULL) {
		io->rc = err_errno(&io->err, -ENOMEM, "decoding");
		return;
	}
	io->rc = codec_decode(&l->codec, (uint32_t)r->block,
	    meta_get(io->req.got_meta, "content-encoding"),
	    meta_get(io->req.got_meta, "s3backer-hmac"), io->enc->data,
	    io->enc->len, block, bs, &io->err);
	if (!all) {
		if (io->rc == 0)
			memcpy(read_dest(io), block + r->off, r->len);
		free(block);
	}
}

static void
decode_done(struct work *w)
{
	struct s3b_io *io = container_of(w, struct s3b_io, work);

	if (io->rc == 0)
		read_finish(io);
	else
		io_end_bad(io, &io->err);
}

static void
read_absent(struct s3b_io *io)
{
	struct layout_req *r = io->r;
	struct present_map *map = &io->l->present;
	enum present_state st = present_get(map, r->block);
	struct err e = ERR_INIT;

	if (st == PRESENT_ST_YES && io->l->exclusive) {
		err_set(&e, -EBADMSG, "it is gone: something else than this "
		    "mount has deleted it");
		io_end_bad(io, &e);
		return;
	}
	/* A write that failed may still happen: keep asking. */
	if (st != PRESENT_ST_DOUBT)
		(void)present_set(map, r->block, PRESENT_ST_NO);
	memset(read_dest(io), 0, r->len);
	r->was_zero = true;
	io_end(io, 0, NULL);
}

/* The object as it is: nothing to decode, unless it turns out to be encoded
 * or of another size. */
static void
read_direct_done(struct s3b_io *io)
{
	const struct store_req *q = &io->req;
	uint32_t bs = io->l->info.block_size;

	if (q->rc == 0 && q->size == bs &&
	    meta_get(q->got_meta, "content-encoding") == NULL) {
		read_finish(io);
		return;
	}
	if (q->rc == 0 || q->rc == -EMSGSIZE || q->rc == -ERANGE) {
		store_req_fini(&io->req);
		if (read_whole(io) == 0)
			return;
		err_errno(&io->err, -ENOMEM, "no memory");
		io_end(io, -ENOMEM, &io->err);
		return;
	}
	io_end(io, q->rc, &q->err);
}

static void
read_done(struct store_req *q)
{
	struct s3b_io *io = q->arg;
	struct err e = ERR_INIT;

	io->in_store = false;
	if (q->rc == -ENOENT)
		read_absent(io);
	else if (io->direct)
		read_direct_done(io);
	else if (q->rc == 0)
		io_work(io, decode_run, decode_done);
	else if (q->rc == -EMSGSIZE) {
		err_set(&e, -EBADMSG, "it is longer than %zu bytes, and a "
		    "block has %u", io->enc->cap, io->l->info.block_size);
		io_end_bad(io, &e);
	} else
		io_end(io, q->rc, &q->err);
}

/* --- write --------------------------------------------------------------- */

static void
write_done(struct store_req *q)
{
	struct s3b_io *io = q->arg;
	struct layout_req *r = io->r;
	bool put = q->op == STORE_PUT;

	io->in_store = false;
	if (q->rc < 0) {
		io_end(io, q->rc, &q->err);
		return;
	}
	s3b_count(io->l, put ? STAT_BLOCKS_WRITTEN : STAT_BLOCKS_ZERO, 1);
	snprintf(r->tag, sizeof(r->tag), "%s", put ? q->tag : "");
	/* It is in DOUBT, so this cannot fail. */
	must(present_set(&io->l->present, r->block,
		 put ? PRESENT_ST_YES : PRESENT_ST_NO) == 0);
	io_end(io, 0, NULL);
}

/* -ENOMEM, with nothing begun. */
static int
write_put(struct s3b_io *io, struct buf *body)
{
	store_req_init(&io->req, STORE_PUT, io->key);
	io->req.body = body;
	io->req.meta = s3b_meta(io->l, io->r->block, io->hmac);
	if (io->req.meta == NULL)
		return -ENOMEM;
	io_ask(io, write_done);
	return 0;
}

static void
encode_run(struct work *w)
{
	struct s3b_io *io = container_of(w, struct s3b_io, work);
	const struct layout *l = io->l;

	io->rc = codec_encode(&l->codec, (uint32_t)io->r->block,
	    io->r->data->data, l->info.block_size, io->enc->data,
	    &io->enc->len, io->hmac, &io->err);
}

static void
encode_done(struct work *w)
{
	struct s3b_io *io = container_of(w, struct s3b_io, work);

	s3b_count(io->l, STAT_CODEC_IN_BYTES, io->l->info.block_size);
	s3b_count(io->l, STAT_CODEC_OUT_BYTES, io->enc->len);
	if (io->rc == 0 && (io->rc = write_put(io, io->enc)) < 0)
		err_errno(&io->err, io->rc, "its metadata");
	if (io->rc < 0)
		io_end(io, io->rc, &io->err);
}

static void
write_zeros(struct s3b_io *io)
{
	store_req_init(&io->req, STORE_DELETE, io->key);
	io_ask(io, write_done);
}

static int
write_encoded(struct s3b_io *io)
{
	const struct layout *l = io->l;

	io->enc = buf_new(codec_write_max(&l->codec, l->info.block_size));
	if (io->enc == NULL)
		return -ENOMEM;
	io_work(io, encode_run, encode_done);
	return 0;
}

static int
write_plain(struct s3b_io *io)
{
	uint32_t bs = io->l->info.block_size;

	io->dest = (struct buf){.refs = 1, .len = bs, .cap = bs,
	    .data = io->r->data->data};
	return write_put(io, &io->dest);
}

void
s3b_write(struct layout *l, struct layout_req *r)
{
	bool zero = mem_is_zero(r->data->data, l->info.block_size) &&
	    !s3b_keeps(l, r->block);
	struct s3b_io *io;
	int rc;

	if (zero && present_get(&l->present, r->block) == PRESENT_ST_NO) {
		s3b_count(l, STAT_BLOCKS_ZERO, 1);
		layout_end_later(r, 0); /* Y3 */
		return;
	}
	io = io_new(l, r);
	if (io == NULL)
		return;
	rc = present_set(&l->present, r->block, PRESENT_ST_DOUBT);
	if (rc == 0 && zero)
		write_zeros(io);
	else if (rc == 0)
		rc = codec_is_plain(&l->codec) ? write_plain(io)
					       : write_encoded(io);
	if (rc < 0)
		io_end_early(io, rc, "no memory to write it");
}

/* --- sync ---------------------------------------------------------------- */

static void
sync_done(struct store_req *q)
{
	struct s3b_io *io = q->arg;
	struct layout_req *r = io->r;
	int rc = q->rc;

	io->in_store = false;
	if (rc < 0)
		err_copy(&r->err, &q->err);
	io_free(io);
	layout_end(r, rc);
}

void
s3b_sync(struct layout *l, struct layout_req *r)
{
	struct s3b_io *io;

	if (l->store->info.durable) {
		layout_end_later(r, 0);
		return;
	}
	r->block = 0;
	io = io_new(l, r);
	if (io == NULL)
		return;
	store_req_init(&io->req, STORE_SYNC, NULL);
	io_ask(io, sync_done);
}
