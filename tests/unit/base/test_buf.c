/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf.c: references, sizes, and what is kept for the next one. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static int
keep_some(void **state)
{
	buf_keep_max(MIB);
	return 0;
}

static int
keep_nothing(void **state)
{
	buf_keep_max(0);
	assert_int_equal(buf_kept(), 0);
	return 0;
}

static void
fresh_buffers(void **state)
{
	static const size_t caps[] = {0, 1, 4095, 4096, 4097, 12288, 16385,
	    131072, 131136, 16 * MIB, 16 * MIB + 64, 40 * MIB};

	for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct buf *b = buf_new(caps[i]);

		assert_non_null(b);
		assert_int_equal(b->cap, caps[i]);
		assert_int_equal(b->len, 0);
		assert_null(b->release);
		assert_int_equal((uintptr_t)b->data % BUF_ALIGN, 0);
		assert_true(buf_writable(b));
		if (caps[i] > 0) {
			b->data[0] = 1;
			b->data[caps[i] - 1] = 1;
		}
		b->len = 1;
		b->owner = b;
		buf_unref(b);
	}
	assert_null(buf_new(SIZE_MAX));
	buf_unref(NULL);
}

static void
shared_is_read_only(void **state)
{
	struct buf *b = buf_new(10);

	assert_ptr_equal(buf_ref(b), b);
	assert_false(buf_writable(b));
	buf_unref(b);
	assert_true(buf_writable(b));
	buf_unref(b);
}

static void
count_release(struct buf *b)
{
	++*(unsigned *)b->owner;
}

static void
release_instead_of_free(void **state)
{
	unsigned n = 0;
	struct buf b = {.refs = 1, .release = count_release, .owner = &n};

	buf_ref(&b);
	buf_unref(&b);
	assert_int_equal(n, 0);
	buf_unref(&b);
	assert_int_equal(n, 1);
	assert_int_equal(buf_kept(), 0);
}

static void
freed_buffers_come_again(void **state)
{
	struct buf *a = buf_new(131072), *b;
	uint8_t *data = a->data;

	assert_int_equal(buf_kept(), 0);
	a->len = 7;
	buf_unref(a);
	assert_int_equal(buf_kept(), 131072);
	b = buf_new(65536); /* of another size: not that one */
	assert_ptr_not_equal(b->data, data);
	buf_unref(b);
	/* The same class: from 112 KiB on. */
	b = buf_new(114689);
	assert_ptr_equal(b->data, data);
	assert_int_equal(b->cap, 114689);
	assert_int_equal(b->len, 0);
	assert_int_equal(buf_kept(), 65536);
	buf_unref(b);
}

/* However many are freed, the limit holds; a size that is no longer used makes
 * room for one that is. */
static void
what_is_kept_is_bounded(void **state)
{
	struct buf *v[600];

	for (unsigned i = 0; i < 600; i++)
		assert_non_null(v[i] = buf_new(4096));
	for (unsigned i = 0; i < 600; i++)
		buf_unref(v[i]);
	assert_int_equal(buf_kept(), MIB);
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(v[i] = buf_new(131072));
	for (unsigned i = 0; i < 4; i++)
		buf_unref(v[i]);
	assert_int_equal(buf_kept(), MIB);
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(v[i] = buf_new(131072));
	assert_int_equal(buf_kept(), MIB / 2);
	for (unsigned i = 0; i < 4; i++)
		buf_unref(v[i]);
	buf_unref(buf_new(2 * MIB)); /* larger than all that is kept */
	assert_true(buf_kept() <= MIB);
	buf_keep_max(8192);
	assert_true(buf_kept() <= 8192);
	buf_keep_max(MIB);
}

static void *
churn(void *arg)
{
	struct buf *v[16] = {0};
	unsigned r = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < 20000; i++) {
		struct buf **b = &v[i % 16];

		r = r * 1664525 + 1013904223;
		if (*b && (*b)->data[0] != i % 16)
			return arg;
		buf_unref(*b);
		*b = buf_new(1 + (r >> 8) % 65536);
		if (!*b)
			return arg;
		(*b)->data[0] = (uint8_t)(i % 16);
	}
	for (unsigned i = 0; i < 16; i++)
		buf_unref(v[i]);
	return NULL;
}

static void
threads_may_share_them(void **state)
{
	pthread_t t[4];
	void *bad;

	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_true(buf_kept() <= MIB);
}

static void
zeros(void **state)
{
	static uint8_t v[4096];

	assert_true(mem_is_zero(v, 0));
	assert_true(mem_is_zero(v, 4096));
	for (unsigned i = 0; i < 4096; i += 63) {
		v[i] = 1;
		assert_false(mem_is_zero(v, 4096));
		assert_true(mem_is_zero(v, i));
		v[i] = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, keep_some, keep_nothing)
	    T(fresh_buffers),
	    T(shared_is_read_only),
	    T(release_instead_of_free),
	    T(freed_buffers_come_again),
	    T(what_is_kept_is_bounded),
	    T(threads_may_share_them),
	    cmocka_unit_test(zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
