/* SPDX-License-Identifier: Apache-2.0 */
/* test_err.c: sentences, log lines, strings, lists, byte order. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strbuf.h"

static void
sentences(void **state)
{
	struct err e = ERR_INIT, copy = ERR_INIT;

	assert_string_equal(err_text(&e), strerror(0));
	assert_int_equal(err_set(&e, -EIO, "block %d is damaged", 7), -EIO);
	assert_string_equal(err_text(&e), "block 7 is damaged");
	assert_int_equal(e.rc, -EIO);
	assert_int_equal(err_wrap(&e, -EPIPE, "open %s", "x"), -EPIPE);
	assert_string_equal(err_text(&e), "open x: block 7 is damaged");
	assert_int_equal(e.rc, -EPIPE);
	err_copy(&copy, &e);
	err_clear(&e);
	assert_int_equal(e.rc, 0);
	assert_int_equal(err_errno(&e, -ENOENT, "open %s", "y"), -ENOENT);
	assert_string_equal(err_text(&e), "open y: No such file or directory");
	err_clear(&e);
	err_wrap(&e, -ENOENT, "open z");
	assert_string_equal(err_text(&e), "open z: No such file or directory");
	assert_string_equal(copy.text, "open x: block 7 is damaged");
}

static void
no_err_is_no_harm(void **state)
{
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_wrap(NULL, -EIO, "x"), -EIO);
	assert_non_null(err_text(NULL));
	err_clear(NULL);
	err_copy(NULL, NULL);
}

/* A sentence may be made from the one that it replaces. */
static void
sentence_of_a_sentence(void **state)
{
	struct err e = ERR_INIT;

	err_set(&e, -EIO, "abc");
	err_set(&e, -EIO, "x %s y %s", e.text, e.text);
	assert_string_equal(e.text, "x abc y abc");
	err_wrap(&e, -EIO, "%s", e.text + 8);
	assert_string_equal(e.text, "abc: x abc y abc");
}

static void
long_sentences_are_cut(void **state)
{
	struct err e = ERR_INIT;
	char text[2 * ERR_TEXT_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, -EIO, "%s", text);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_wrap(&e, -EIO, "%s", text);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_wrap(&e, -EIO, "open");
	assert_memory_equal(e.text, "open: xxx", 9);
}

static void
control_characters_are_shown_as_marks(void **state)
{
	struct err e = ERR_INIT;

	err_set(&e, -EIO, "server says: %s", "a\nb\x1b[2Jc\x7f \xc3\xa9");
	assert_string_equal(e.text, "server says: a?b?[2Jc? \xc3\xa9");
}

/* What log_msg writes to standard error. */
static const char *
logged(enum log_level level, const char *what)
{
	static char text[2048];
	int p[2], err = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	log_msg(level, "%s", what);
	dup2(err, STDERR_FILENO);
	close(err);
	close(p[1]);
	n = read(p[0], text, sizeof(text) - 1);
	close(p[0]);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void
log_lines(void **state)
{
	char text[3000];

	log_open("test", LOG_LVL_INFO, false);
	assert_string_equal(logged(LOG_LVL_ERROR, "x"), "test: error: x\n");
	assert_string_equal(logged(LOG_LVL_WARN, "x"), "test: warning: x\n");
	assert_string_equal(logged(LOG_LVL_INFO, "x"), "test: x\n");
	assert_string_equal(logged(LOG_LVL_DEBUG, "x"), "");
	assert_string_equal(logged(LOG_LVL_INFO, "a\nb\x1b"), "test: a?b?\n");
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(strlen(logged(LOG_LVL_INFO, text)) < 1100);
	assert_non_null(strchr(logged(LOG_LVL_INFO, text), '\n'));
}

static void
strings(void **state)
{
	struct strbuf b = STRBUF_INIT;
	char *s;

	assert_string_equal(strbuf_text(&b), "");
	strbuf_puts(&b, "abc");
	strbuf_add(&b, "d\0e", 3);
	strbuf_putc(&b, 'f');
	strbuf_printf(&b, "%0100d", 5);
	assert_int_equal(b.len, 107);
	assert_memory_equal(b.s, "abcd\0ef0000", 11);
	strbuf_clear(&b);
	assert_string_equal(strbuf_text(&b), "");
	strbuf_puts(&b, "x");
	s = strbuf_take(&b);
	assert_string_equal(s, "x");
	free(s);
	assert_null(b.s);
	strbuf_fini(&b);
}

struct item {
	int n;
	struct list link;
};

static void
lists(void **state)
{
	struct item v[4] = {{0}, {1}, {2}, {3}};
	struct list a, b;
	int sum = 0;

	list_init(&a);
	list_init(&b);
	assert_null(list_pop_front(&a));
	list_push_back(&a, &v[1].link);
	list_push_back(&a, &v[2].link);
	list_push_front(&a, &v[0].link);
	list_push_back(&b, &v[3].link);
	list_splice_back(&a, &b);
	list_splice_back(&a, &b);
	assert_true(list_empty(&b));
	list_for_each(e, &a) sum =
	    sum * 10 + list_entry(e, struct item, link)->n;
	assert_int_equal(sum, 123);
	list_for_each_safe(e, &a) if (list_entry(e, struct item, link)->n % 2)
	    list_del(e);
	assert_false(list_linked(&v[1].link));
	list_del(&v[1].link);
	assert_ptr_equal(list_pop_front(&a), &v[0].link);
	assert_ptr_equal(list_pop_front(&a), &v[2].link);
	assert_true(list_empty(&a));
}

static void
little_endian_at_any_place(void **state)
{
	uint8_t b[17] = {0};

	put_le16(b + 1, 0x1234);
	put_le32(b + 3, 0x56789abc);
	put_le64(b + 7, 0x0102030405060708);
	assert_memory_equal(
	    b, "\0\x34\x12\xbc\x9a\x78\x56\x08\7\6\5\4\3\2\1\0\0", 17);
	assert_int_equal(get_le16(b + 1), 0x1234);
	assert_int_equal(get_le32(b + 3), 0x56789abc);
	assert_true(get_le64(b + 7) == 0x0102030405060708);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sentences),
	    cmocka_unit_test(no_err_is_no_harm),
	    cmocka_unit_test(sentence_of_a_sentence),
	    cmocka_unit_test(long_sentences_are_cut),
	    cmocka_unit_test(control_characters_are_shown_as_marks),
	    cmocka_unit_test(log_lines),
	    cmocka_unit_test(strings),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(little_endian_at_any_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
