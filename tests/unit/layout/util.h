/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_LAYOUT_UTIL_H
#define TESTS_UNIT_LAYOUT_UTIL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "layout/layout.h"
#include "layout/s3b_name.h"
#include "loop/loop.h"
#include "store/mem.h"
#include "store/store.h"

/*
 * What the tests of layouts share: a loop, objects in memory that outlive the
 * store, a store over them, and layout requests that wait.
 */
#define BS 4096u /* of most volumes here */

struct env {
	struct loop *loop;
	struct mem_data *data;
	struct store *store;
};

static inline void
env_store(struct env *v, const struct mem_config *c)
{
	struct err e = ERR_INIT;

	if (mem_store_open(v->loop, "t", v->data, c, &v->store, &e) < 0)
		fail_msg("%s", err_text(&e));
}

static inline void
env_init(struct env *v, const struct mem_config *c)
{
	struct err e = ERR_INIT;

	v->loop = loop_new_virtual(&e);
	assert_non_null(v->loop);
	v->data = mem_data_new();
	assert_non_null(v->data);
	env_store(v, c);
}

static inline void
env_fini(struct env *v)
{
	store_free(v->store);
	mem_data_unref(v->data);
	loop_free(v->loop);
}

/* Open, and expect rc; on success the layout. */
static inline struct layout *
env_open_e(struct env *v, const struct layout_params *p, int rc, struct err *e)
{
	struct layout *l = NULL;
	int got = layout_open(v->store, "v/", "bucket", p, NULL, NULL, &l, e);

	if (got != rc)
		fail_msg("open: %d instead of %d: %s", got, rc,
		    got < 0 ? err_text(e) : "it opened");
	if (rc < 0)
		assert_true(e->text[0] != '\0');
	return l;
}

static inline struct layout *
env_open(struct env *v, const struct layout_params *p, int rc)
{
	struct err e = ERR_INIT;

	return env_open_e(v, p, rc, &e);
}

static inline void
env_close(struct layout *l)
{
	struct err e = ERR_INIT;

	if (layout_close(l, true, &e) < 0)
		fail_msg("close: %s", err_text(&e));
}

static inline void
survey(struct layout *l)
{
	struct err e = ERR_INIT;

	if (layout_survey_wait(l, NULL, NULL, &e) < 0)
		fail_msg("survey: %s", err_text(&e));
}

static inline void
req_done(struct layout_req *r)
{
	*(bool *)r->arg = true;
}

static inline int
run(struct env *v, struct layout *l, struct layout_req *r)
{
	bool done = false;

	r->done = req_done;
	r->arg = &done;
	layout_submit(l, r);
	assert_false(done);
	assert_int_equal(loop_run_until(v->loop, &done), 0);
	if (r->rc < 0)
		assert_true(r->err.text[0] != '\0');
	return r->rc;
}

static inline struct buf *
block_buf(uint32_t n, int fill)
{
	struct buf *b = buf_new(n);

	assert_non_null(b);
	memset(b->data, fill, n);
	b->len = n;
	return b;
}

static inline int
write_fill(struct env *v, struct layout *l, uint64_t block, int fill)
{
	uint32_t bs = layout_info(l)->block_size;
	struct layout_req r = {.op = LAYOUT_WRITE,
	    .prio = STORE_PRIO_WRITE,
	    .block = block,
	    .data = block_buf(bs, fill)};
	int rc = run(v, l, &r);

	buf_unref(r.data);
	return rc;
}

static inline int
erase(struct env *v, struct layout *l, uint64_t block, uint64_t n)
{
	struct layout_req r = {.op = LAYOUT_ERASE,
	    .prio = STORE_PRIO_WRITE,
	    .block = block,
	    .nblocks = n};

	return run(v, l, &r);
}

/* Read a part of a block: the byte that fills it, or an error. */
static inline int
read_part(struct env *v, struct layout *l, uint64_t block, uint32_t off,
    uint32_t len, bool *was_zero, struct err *e)
{
	struct layout_req r = {.op = LAYOUT_READ,
	    .prio = STORE_PRIO_READ,
	    .block = block,
	    .off = off,
	    .len = len,
	    .data = block_buf(len + 512, 0xee),
	    .data_off = 512};
	int rc = run(v, l, &r);

	if (rc == 0) {
		rc = r.data->data[512];
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(r.data->data[512 + i], rc);
		for (uint32_t i = 0; i < 512; i++)
			assert_int_equal(r.data->data[i], 0xee);
		if (was_zero != NULL)
			*was_zero = r.was_zero;
	} else
		err_copy(e, &r.err);
	buf_unref(r.data);
	return rc;
}

static inline int
read_fill(struct env *v, struct layout *l, uint64_t block)
{
	return read_part(
	    v, l, block, 0, layout_info(l)->block_size, NULL, NULL);
}

static inline const char *
key_of(uint32_t block, bool hashed)
{
	static char key[16 + S3B_NAME_MAX];

	s3b_name_block(key, "v/", hashed, block);
	return key;
}

static inline bool
object_there(struct env *v, const char *key)
{
	size_t n;

	return mem_data_peek(v->data, key, &n) != NULL;
}

static inline struct layout_params
params_new(uint64_t nblocks)
{
	struct layout_params p;

	layout_params_init(&p);
	p.create = true;
	p.size = nblocks * BS;
	p.block_size = BS;
	return p;
}

static inline struct layout_params
params_open(void)
{
	struct layout_params p;

	layout_params_init(&p);
	return p;
}

#endif
