/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation fails once while a volume is created, written, erased, read,
 * closed and opened again.  Whoever asked is told -ENOMEM, nothing leaks, and
 * the next one who opens the volume reads what was acknowledged last, or what
 * the request that failed would have made of it (Y1, Y5).
 */
#include "lib/fault.h"

#include "unit/layout/util.h"

struct scene {
	const char *cipher, *compress, *password;

	/* of one run */
	struct loop *loop;
	struct mem_data *data;
	struct store *store;
	struct layout *l;
	bool created;
	int was, may; /* block 1: acknowledged, and of a write that failed */
};

static int
open_it(struct scene *s, bool create)
{
	struct layout_params p = params_open();
	struct err e = ERR_INIT;
	int rc;

	p.create = create;
	p.lease = LEASE_FORCE;
	p.survey = true;
	p.password = s->password;
	if (create) {
		p.size = 64 * BS;
		p.block_size = BS;
		p.cipher = s->cipher;
		p.compress = s->compress;
	}
	rc = layout_open(s->store, "v/", "bucket", &p, NULL, NULL, &s->l, &e);
	if (rc < 0)
		assert_true(e.text[0] != '\0');
	return rc;
}

static int
ask(struct scene *s, struct layout_req *r)
{
	bool done = false;

	r->prio = STORE_PRIO_READ;
	r->done = req_done;
	r->arg = &done;
	layout_submit(s->l, r);
	assert_int_equal(loop_run_until(s->loop, &done), 0);
	return r->rc;
}

static int
write_it(struct scene *s, uint64_t block, int fill)
{
	struct layout_req r = {.op = LAYOUT_WRITE, .block = block};
	int rc;

	r.data = buf_new(BS);
	if (!r.data)
		return -ENOMEM;
	/* Not one byte throughout, or compression leaves little to do. */
	for (uint32_t i = 0; i < BS; i++)
		r.data->data[i] = (uint8_t)(i * i >> 7);
	r.data->data[0] = (uint8_t)fill;
	r.data->len = BS;
	rc = ask(s, &r);
	buf_unref(r.data);
	return rc;
}

/* The first byte of the block, or the error. */
static int
read_it(struct scene *s, uint64_t block)
{
	struct layout_req r = {.op = LAYOUT_READ, .block = block, .len = BS};
	int rc;

	r.data = buf_new(BS);
	if (!r.data)
		return -ENOMEM;
	rc = ask(s, &r);
	if (rc == 0)
		rc = r.data->data[0];
	buf_unref(r.data);
	return rc;
}

static int
write_1(struct scene *s, int fill)
{
	int rc;

	s->may = fill;
	rc = write_it(s, 1, fill);
	if (rc == 0)
		s->was = fill;
	return rc;
}

static int
live(struct scene *s)
{
	struct layout_req zap = {.op = LAYOUT_ERASE, .block = 2, .nblocks = 9};
	struct layout_req sync = {.op = LAYOUT_SYNC};
	int rc;

	if ((rc = open_it(s, true)) < 0)
		return rc;
	s->created = true;
	if ((rc = write_1(s, 'a')) < 0 || (rc = write_it(s, 2, 'x')) < 0 ||
	    (rc = write_1(s, 'b')) < 0 || (rc = ask(s, &zap)) < 0 ||
	    (rc = ask(s, &sync)) < 0 || (rc = read_it(s, 1)) < 0)
		return rc;
	assert_int_equal(rc, 'b');
	if ((rc = read_it(s, 2)) < 0)
		return rc;
	assert_int_equal(rc, 0);
	return layout_survey_wait(s->l, NULL, NULL, NULL);
}

static int
close_it(struct scene *s)
{
	int rc = s->l ? layout_close(s->l, true, NULL) : 0;

	s->l = NULL;
	return rc;
}

/* Who comes next. */
static int
look(struct scene *s)
{
	int rc = open_it(s, false);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		assert_int_equal(rc, -ENOENT);
		assert_false(s->created);
		return 0;
	}
	rc = read_it(s, 1);
	if (rc >= 0 && rc != s->was && rc != s->may)
		fail_msg("block 1 has %d, not %d or %d", rc, s->was, s->may);
	return rc < 0 ? rc : 0;
}

static int
scenario(void *arg)
{
	struct scene *s = arg;
	int rc = -ENOMEM, rc2;

	s->loop = loop_new_virtual(NULL);
	s->data = mem_data_new();
	s->created = false;
	s->was = s->may = 0;
	if (s->loop && s->data)
		rc = mem_store_open(s->loop, "t", s->data, NULL, &s->store,
		    NULL);
	if (rc == 0) {
		rc = live(s);
		rc2 = close_it(s);
		rc = rc < 0 ? rc : rc2;
		rc2 = look(s);
		rc = rc < 0 ? rc : rc2;
		rc2 = close_it(s);
		rc = rc < 0 ? rc : rc2;
		store_free(s->store);
	}
	mem_data_unref(s->data);
	loop_free(s->loop);
	return rc;
}

static void
a_plain_volume(void **state)
{
	struct scene s = {0};
	unsigned n = fault_each_malloc_tolerant(scenario, &s);

	assert_true(n > 40);
	print_message("%u allocations\n", n);
}

static void
a_volume_with_everything(void **state)
{
	struct scene s = {.cipher = "aes-256-cbc", .compress = "zstd",
	    .password = "open, please"};
	unsigned n = fault_each_malloc_tolerant(scenario, &s);

	assert_true(n > 60);
	print_message("%u allocations\n", n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_volume),
	    cmocka_unit_test(a_volume_with_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
