/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fault.c: every allocation of base/ fails once, and is reported, with
 * nothing lost that was there and nothing leaked.
 */
#include "lib/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/stat.h"
#include "base/strbuf.h"

static int
buffers(void *arg)
{
	struct buf *a = buf_new(0), *b = buf_new(131072);
	int rc = a && b ? 0 : -ENOMEM;

	buf_unref(a);
	buf_unref(b);
	return rc;
}

static int
strings(void *arg)
{
	struct strbuf b = STRBUF_INIT;
	char *s;

	strbuf_puts(&b, "a");
	for (unsigned i = 0; i < 100; i++)
		strbuf_printf(&b, "%u ", i);
	strbuf_putc(&b, 'z');
	s = strbuf_take(&b);
	if (!s)
		return -ENOMEM;
	/* All of it, or nothing. */
	assert_int_equal(strlen(s), 1 + 10 * 2 + 90 * 3 + 1);
	free(s);
	return 0;
}

static int
empty_string(void *arg)
{
	struct strbuf b = STRBUF_INIT;
	char *s = strbuf_take(&b);

	if (!s)
		return -ENOMEM;
	assert_string_equal(s, "");
	free(s);
	return 0;
}

/* A map that could not grow still has all that it had. */
static int
maps(void *arg)
{
	struct map m = MAP_INIT;
	uint64_t i;
	int rc = 0;

	for (i = 0; i < 1000; i++) {
		rc = map_insert(&m, i, &m);
		if (rc < 0)
			break;
	}
	assert_int_equal(m.n, i);
	while (i-- > 0)
		assert_ptr_equal(map_remove(&m, i), &m);
	if (rc == 0)
		rc = map_reserve(&m, 100000);
	map_fini(&m);
	return rc;
}

struct settings {
	char *a, *b, *c;
};

static const struct conf_opt opts[] = {
    {"aa", 'a', CONF_STRING, CONF_AT(struct settings, a), .def = "1"},
    {"bb", 'b', CONF_PATH, CONF_AT(struct settings, b), .def = "/2"},
    {"cc", 'c', CONF_PATH, CONF_AT(struct settings, c)},
    {"oo", 'o', CONF_OPTIONS},
    {NULL},
};

static int
options(void *arg)
{
	char *argv[] = {(char *)"verb", (char *)"--aa", (char *)"new",
	    (char *)"-orelative,cc=relative", (char *)"-cx/y", NULL};
	struct err e = ERR_INIT;
	struct settings s = {0};
	struct conf c;
	int rc = conf_init(&c, opts, &s, &e);

	argv[3] = (char *)"-obb=/x,cc=relative";
	if (rc == 0) {
		rc = conf_args(&c, 5, argv, &e);
		/* What could not be replaced is still there. */
		assert_true(s.a && s.b);
	}
	if (rc < 0)
		assert_non_null(strstr(e.text, "memory"));
	conf_fini(&c);
	return rc;
}

static int
help(void *arg)
{
	struct strbuf b = STRBUF_INIT;
	struct stat_set *set = arg;
	int rc;

	conf_help(opts, &b);
	stat_text(set, &b);
	stat_prometheus(set, "volume=\"x\"", &b);
	rc = b.failed ? -ENOMEM : 0;
	strbuf_fini(&b);
	return rc;
}

static void
every_allocation_may_fail(void **state)
{
	static struct stat_set set;

	buf_keep_max(0); /* every buffer is an allocation */
	assert_int_equal(fault_each_malloc(buffers, NULL), 5);
	assert_int_equal(fault_each_malloc(empty_string, NULL), 2);
	assert_true(fault_each_malloc(strings, NULL) > 3);
	assert_true(fault_each_malloc(maps, NULL) > 8);
	assert_true(fault_each_malloc(options, NULL) > 6);
	assert_true(fault_each_malloc(help, &set) > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
