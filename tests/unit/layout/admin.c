/* SPDX-License-Identifier: Apache-2.0 */
/* Tools' functions: look, list, check, resize, erase. */
#include "config.h"

#include "base/strbuf.h"
#include "layout/admin.h"
#include "unit/layout/util.h"

static void
put_plain(struct env *v, const char *key)
{
	struct buf *b = block_buf(3, 'z');
	struct store_req r;

	store_req_init(&r, STORE_PUT, key);
	r.body = b;
	assert_int_equal(store_run(v->store, &r, NULL), 0);
	store_req_fini(&r);
	buf_unref(b);
}

static void
create_at(struct env *v, const char *prefix, struct layout_params *p,
    unsigned nwrites)
{
	struct layout *l;
	struct err e = ERR_INIT;

	if (layout_open(v->store, prefix, "bucket", p, NULL, NULL, &l, &e) < 0)
		fail_msg("%s", err_text(&e));
	for (unsigned i = 0; i < nwrites; i++)
		assert_int_equal(write_fill(v, l, i, 'w'), 0);
	env_close(l);
}

static void
test_inspect(void **state)
{
	struct env v;
	struct layout_params p = params_new(100);
	struct volume_facts f;
	struct layout *l;

	env_init(&v, NULL);
	assert_int_equal(layout_inspect(v.store, "v/", &f, NULL), 0);
	assert_int_equal(f.kind, VOLUME_NONE);
	p.password = "pw";
	p.compress = "zstd";
	p.hash_prefix = 1;
	l = env_open(&v, &p, 0);
	assert_int_equal(layout_inspect(v.store, "v/", &f, NULL), 0);
	assert_int_equal(f.kind, VOLUME_DESCRIBED);
	assert_int_equal(f.size, 100 * BS);
	assert_int_equal(f.block_size, BS);
	assert_true(f.hashed);
	assert_int_equal(f.compress, COMPRESS_ZSTD);
	assert_string_equal(f.cipher, "AES-256-CBC");
	assert_int_equal(f.key_length, 32);
	assert_int_equal(strlen(f.uuid), 36);
	assert_true(f.mounted);
	assert_false(f.mounted_gone);
	env_close(l);
	assert_int_equal(layout_inspect(v.store, "v/", &f, NULL), 0);
	assert_false(f.mounted);
	env_fini(&v);

	env_init(&v, NULL);
	p.plain_s3backer = true;
	env_close(env_open(&v, &p, 0));
	assert_int_equal(layout_inspect(v.store, "v/", &f, NULL), 0);
	assert_int_equal(f.kind, VOLUME_S3BACKER);
	assert_int_equal(f.size, 100 * BS);
	assert_true(f.hashed);
	assert_int_equal(f.compress, COMPRESS_ZSTD);
	assert_string_equal(f.cipher, "AES-256-CBC");
	env_fini(&v);
}

static struct strbuf listed;

static void
list_found(void *arg, const char *prefix, const struct volume_facts *f)
{
	strbuf_printf(&listed, "[%s %d]", prefix, (int)(f->size / BS));
}

static void
list_broken(void *arg, const char *prefix, const struct err *e)
{
	assert_true(e->rc < 0);
	strbuf_printf(&listed, "[%s broken]", prefix);
}

static void
test_list(void **state)
{
	struct mem_config conf = {.max_keys = 3};
	struct env v;
	struct layout_params p = params_new(100);

	env_init(&v, &conf);
	put_plain(&v, "readme");
	put_plain(&v, "dir/deadbeef"); /* looks like a block, is none */
	put_plain(&v, "dir/file");
	create_at(&v, "", &p, 20);
	create_at(&v, "backup/", &p, 0);
	p.plain_s3backer = true;
	create_at(&v, "old-", &p, 20);
	p.hash_prefix = 1;
	create_at(&v, "hashed/deep/", &p, 30);
	put_plain(&v, "zzz/pail-volume");
	assert_int_equal(layout_list_volumes(v.store, "", list_found,
			     list_broken, NULL, NULL, NULL), 0);
	assert_string_equal(strbuf_text(&listed),
	    "[ 100][backup/ 100][hashed/deep/ 100][old- 100][zzz/ broken]");
	strbuf_clear(&listed);
	assert_int_equal(layout_list_volumes(v.store, "h", list_found, NULL,
			     NULL, NULL, NULL), 0);
	assert_string_equal(strbuf_text(&listed), "[hashed/deep/ 100]");
	strbuf_fini(&listed);
	env_fini(&v);
}

static uint64_t last_damaged;

static void
damaged(void *arg, uint64_t block, const struct err *e)
{
	assert_true(e->text[0] != '\0');
	last_damaged = block;
}

static void
test_check(void **state)
{
	struct env v;
	struct layout_params p = params_new(1000), q = params_open();
	struct layout_check_result r;
	struct layout *l;
	size_t n;
	char *obj;

	env_init(&v, NULL);
	p.password = q.password = "pw";
	create_at(&v, "v/", &p, 200);
	l = env_open(&v, &q, 0);
	assert_int_equal(layout_check(l, 0, damaged, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.blocks, 200);
	assert_int_equal(r.damaged, 0);
	obj = mem_data_poke(v.data, key_of(77, false), &n);
	obj[n / 2] ^= 1;
	assert_int_equal(layout_check(l, 3, damaged, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.blocks, 200);
	assert_int_equal(r.damaged, 1);
	assert_int_equal(last_damaged, 77);
	env_close(l);
	env_fini(&v);
}

static void
test_resize(void **state)
{
	for (int plain = 0; plain < 2; plain++) {
		struct env v;
		struct layout_params p = params_new(1000), q = params_open();
		struct layout *l;
		struct err e = ERR_INIT;

		env_init(&v, NULL);
		p.plain_s3backer = plain;
		create_at(&v, "v/", &p, 300);
		l = env_open(&v, &q, 0);
		assert_int_equal(layout_resize(l, BS * 100, NULL, NULL, &e), 0);
		assert_int_equal(layout_info(l)->nblocks, 100);
		env_close(l);
		assert_int_equal(mem_data_count(v.data), 100 + !plain);
		l = env_open(&v, &q, 0);
		assert_int_equal(layout_info(l)->nblocks, 100);
		assert_int_equal(read_fill(&v, l, 99), 'w');
		/* Growing: what an old larger volume left there goes. */
		put_plain(&v, key_of(150, false));
		assert_int_equal(layout_resize(l, BS * 500, NULL, NULL, &e), 0);
		assert_int_equal(read_fill(&v, l, 150), 0);
		assert_int_equal(read_fill(&v, l, 99), 'w');
		assert_int_equal(
		    layout_resize(l, BS * 500 + 512, NULL, NULL, &e), -EINVAL);
		assert_int_equal(layout_resize(l, 0, NULL, NULL, &e), -EINVAL);
		env_close(l);

		/* s3backer knows it too, by block 0. */
		if (!plain) {
			struct store_req r;

			store_req_init(&r, STORE_DELETE, "v/pail-volume");
			assert_int_equal(store_run(v.store, &r, NULL), 0);
			store_req_fini(&r);
		}
		l = env_open(&v, &q, 0);
		assert_int_equal(layout_info(l)->nblocks, 500);
		env_close(l);
		q.lease = LEASE_READER;
		l = env_open(&v, &q, 0);
		assert_int_equal(
		    layout_resize(l, BS * 10, NULL, NULL, &e), -EROFS);
		env_close(l);
		env_fini(&v);
	}
}

static void
test_erase_volume(void **state)
{
	struct env v;
	struct layout_params p = params_new(1000);
	struct layout *l;
	struct err e = ERR_INIT;

	env_init(&v, NULL);
	put_plain(&v, "v/other");
	put_plain(&v, "w/00000000");
	assert_int_equal(layout_erase_volume(v.store, "v/", false, NULL, NULL,
			     &e), -ENOENT);
	create_at(&v, "v/", &p, 300);
	put_plain(&v, "v/fffffffe"); /* from when it was larger */
	l = env_open(&v, &p, 0);
	assert_int_equal(layout_erase_volume(v.store, "v/", false, NULL, NULL,
			     &e), -EBUSY);
	env_close(l);
	assert_int_equal(mem_data_count(v.data), 304);
	assert_int_equal(
	    layout_erase_volume(v.store, "v/", false, NULL, NULL, &e), 0);
	assert_int_equal(mem_data_count(v.data), 2);

	p.hash_prefix = 1;
	p.plain_s3backer = true;
	create_at(&v, "v/", &p, 30);
	assert_int_equal(
	    layout_erase_volume(v.store, "v/", false, NULL, NULL, &e), 0);
	assert_int_equal(mem_data_count(v.data), 2);

	/* Held by somebody, and a descriptor that is no good. */
	put_plain(&v, "v/pail-volume");
	put_plain(&v, "v/s3backer-mounted");
	assert_int_equal(layout_erase_volume(v.store, "v/", false, NULL, NULL,
			     &e), -EBADMSG);
	assert_int_equal(
	    layout_erase_volume(v.store, "v/", true, NULL, NULL, &e), 0);
	assert_int_equal(mem_data_count(v.data), 2);
	env_fini(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_inspect),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_resize),
	    cmocka_unit_test(test_erase_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
