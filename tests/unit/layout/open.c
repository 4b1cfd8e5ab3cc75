/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: what is refused, with which code and words, and that nothing is
 * changed by it; and volumes as s3backer leaves them.
 */
#include "config.h"

#include "unit/layout/util.h"

/* Refused with rc, the sentence has word, and the objects are as before. */
static void
refused(struct env *v, const struct layout_params *p, int rc, const char *word)
{
	size_t before = mem_data_count(v->data);
	struct err e = ERR_INIT;

	env_open_e(v, p, rc, &e);
	if (strstr(e.text, word) == NULL)
		fail_msg("no \"%s\" in: %s", word, e.text);
	assert_int_equal(mem_data_count(v->data), before);
}

static void
delete_key(struct env *v, const char *key)
{
	struct store_req r;

	store_req_init(&r, STORE_DELETE, key);
	assert_int_equal(store_run(v->store, &r, NULL), 0);
	store_req_fini(&r);
}

/* A volume with a few blocks, closed again. */
static void
make(struct env *v, const struct layout_params *p)
{
	struct layout *l = env_open(v, p, 0);

	for (uint64_t b = 0; b < 5; b++)
		assert_int_equal(write_fill(v, l, b * 2, 'm'), 0);
	env_close(l);
}

static void
test_nothing_there(void **state)
{
	struct layout_params p = params_open();
	struct env v;

	env_init(&v, NULL);
	refused(&v, &p, -ENOENT, "pail create");
	p.size = 100 * BS;
	refused(&v, &p, -ENOENT, "no volume");
	p = params_new(100);
	p.size = (UINT64_C(1) << 32) * BS + BS;
	refused(&v, &p, -EINVAL, "at most 17592186044416");
	p.size = 100 * BS + 1;
	refused(&v, &p, -EINVAL, "multiple");
	p = params_new(100);
	p.block_size = 5000;
	refused(&v, &p, -EINVAL, "power of two");
	p = params_new(100);
	p.compress = "gzip";
	refused(&v, &p, -EINVAL, "gzip");
	p.compress = "deflate";
	p.compress_level = 10;
	refused(&v, &p, -EINVAL, "-1 to 9");
	p = params_new(100);
	p.cipher = "AES-256-CBC";
	refused(&v, &p, -ENOKEY, "password");
	p.password = "x";
	p.cipher = "AES-256-GCM";
	refused(&v, &p, -EINVAL, "CBC");
	p.cipher = "AES-256-CBC";
	p.key_length = 31;
	refused(&v, &p, -EINVAL, "32 to 64");
	/* The largest there is. */
	p = params_new(1);
	p.size = (UINT64_C(1) << 32) * BS;
	env_close(env_open(&v, &p, 0));
	env_fini(&v);
}

static void
test_disagree(void **state)
{
	for (int plain = 0; plain < 2; plain++) {
		struct layout_params p = params_new(100), q = params_open();
		struct layout *l;
		struct env v;

		env_init(&v, NULL);
		p.plain_s3backer = plain;
		make(&v, &p);
		q.size = 200 * BS;
		refused(&v, &q, -EINVAL, "819200");
		q.force = true;
		l = env_open(&v, &q, 0);
		assert_int_equal(layout_info(l)->nblocks, 200);
		env_close(l);
		q = params_open();
		q.block_size = 8192;
		refused(&v, &q, -EINVAL, "block size");
		q = params_open();
		q.hash_prefix = 1;
		refused(&v, &q, -EINVAL, "without hash");
		q = params_open();
		q.password = "x";
		refused(&v, &q, -EINVAL, "not encrypted");
		q = params_open();
		q.compress = "none";
		env_close(env_open(&v, &q, 0));
		q.compress = "zstd";
		if (!plain) { /* one that remembers what it was made with */
			refused(&v, &q, -EINVAL, "none, not zstd");
			q.recompress = true;
		}
		env_close(env_open(&v, &q, 0));
		p.must_create = true;
		refused(&v, &p, -EEXIST, "already");
		env_fini(&v);
	}
}

/* Y4 */
static void
test_passwords(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct layout_params p = params_new(100), q = params_open();
		struct layout *l;
		struct env v;

		env_init(&v, NULL);
		p.password = "right";
		p.plain_s3backer = i > 0;
		p.hash_prefix = i == 2;
		make(&v, &p);
		if (i == 3) /* block 0 was erased: some other block must do */
			delete_key(&v, key_of(0, false));
		if (i == 3)
			q.size = 100 * BS, q.block_size = BS;
		refused(&v, &q, -ENOKEY, "password");
		q.password = "wrong";
		refused(&v, &q, -EACCES, "password");
		q.password = "right";
		q.cipher = "AES-128-CBC";
		refused(&v, &q, -EINVAL, "AES-256-CBC, not AES-128-CBC");
		q.cipher = "aes256";
		l = env_open(&v, &q, 0);
		assert_int_equal(read_fill(&v, l, 2), 'm');
		assert_int_equal(write_fill(&v, l, 3, 'n'), 0);
		assert_int_equal(read_fill(&v, l, 3), 'n');
		env_close(l);
		env_fini(&v);
	}
}

/* With the salt in the descriptor a volume opens in another bucket too. */
static void
test_salt(void **state)
{
	struct layout_params p = params_new(100);
	struct layout *l;
	struct env v;

	env_init(&v, NULL);
	p.password = "right";
	make(&v, &p);
	assert_int_equal(layout_open(v.store, "v/", "elsewhere", &p, NULL, NULL,
			     &l, NULL), 0);
	assert_int_equal(read_fill(&v, l, 2), 'm');
	env_close(l);
	env_fini(&v);
}

/* s3backer's weak point: block 0 is erased, and the size with it. */
static void
test_no_block0(void **state)
{
	struct layout_params p = params_new(100), q = params_open();
	struct layout *l;
	struct env v;

	env_init(&v, NULL);
	p.plain_s3backer = true;
	p.hash_prefix = 1;
	p.compress = "deflate";
	make(&v, &p);
	delete_key(&v, key_of(0, true));
	refused(&v, &q, -EINVAL, "block 0");
	q.size = 100 * BS;
	q.block_size = BS;
	l = env_open(&v, &q, 0);
	assert_int_equal(read_fill(&v, l, 2), 'm');
	assert_int_equal(read_fill(&v, l, 0), 0);
	env_close(l);
	env_fini(&v);

	/* Blocks that are stored as they are show their size. */
	env_init(&v, NULL);
	p.compress = NULL;
	make(&v, &p);
	delete_key(&v, key_of(0, true));
	q.block_size = 2 * BS;
	refused(&v, &q, -EINVAL, "has 4096 bytes");
	env_fini(&v);
}

/* Names with and without hash do not mix. */
static void
test_names(void **state)
{
	struct layout_params p = params_new(100), q = params_open();
	struct buf *b = block_buf(BS, 'z');
	struct store_req r;
	struct layout *l;
	struct env v;

	env_init(&v, &(struct mem_config){.max_keys = 2});
	p.plain_s3backer = true;
	make(&v, &p);
	q.hash_prefix = 1;
	refused(&v, &q, -EINVAL, "without hash");
	store_req_init(&r, STORE_PUT, key_of(0, true));
	r.body = b;
	assert_int_equal(store_run(v.store, &r, NULL), 0);
	store_req_fini(&r);
	buf_unref(b);
	q.hash_prefix = -1;
	refused(&v, &q, -EINVAL, "two volumes");
	q.hash_prefix = 0;
	l = env_open(&v, &q, 0);
	assert_int_equal(read_fill(&v, l, 0), 'm');
	env_close(l);
	env_fini(&v);
}

static void
test_descriptor(void **state)
{
	struct layout_params p = params_new(100), q = params_open();
	struct env v;
	size_t n;
	char *text;

	env_init(&v, NULL);
	make(&v, &p);
	text = mem_data_poke(v.data, "v/pail-volume", &n);
	text[20] ^= 1;
	refused(&v, &q, -EBADMSG, "v/pail-volume");
	text[20] ^= 1;
	text[12] = '7';
	refused(&v, &q, -EPROTONOSUPPORT, "version 7");
	env_fini(&v);

	env_init(&v, &(struct mem_config){.no_meta = true});
	refused(&v, &p, -EOPNOTSUPP, "metadata");
	env_fini(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_there),
	    cmocka_unit_test(test_disagree),
	    cmocka_unit_test(test_passwords),
	    cmocka_unit_test(test_salt),
	    cmocka_unit_test(test_no_block0),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
