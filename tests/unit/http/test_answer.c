/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP answers: what is understood, kept, passed over, refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "http/answer.h"

static int
line(struct http_answer *a, const char *text)
{
	return http_answer_line(a, text, strlen(text), NULL);
}

/* Take each; all must be fine. */
static void
head(struct http_answer *a, const char *const *lines)
{
	for (; *lines; lines++)
		assert_int_equal(line(a, *lines), 0);
}

static void
an_answer(void **state)
{
	struct http_answer a;
	const char *name, *value;

	http_answer_init(&a);
	head(&a, (const char *const[]){"HTTP/1.1 206 Partial Content\r\n",
	    "ETag: \"abc\"\r\n", "Content-Length: 100\r\n",
	    "content-range:bytes 0-99/1234\r\n",
	    "X-Amz-Meta-Block:  12  \r\n", "x-amz-request-id: 4F\r\n",
	    "Date: Fri, 24 May 2013 00:00:00 GMT\r\n",
	    "Last-Modified: Wed, 12 Oct 2009 17:50:00 GMT\r\n",
	    "Connection: keep-alive\r\n", "\r\n", NULL});
	assert_int_equal(a.status, 206);
	assert_true(a.complete);
	assert_int_equal(a.length, 100);
	assert_int_equal(a.range_first, 0);
	assert_int_equal(a.range_last, 99);
	assert_int_equal(a.range_total, 1234);
	assert_int_equal(a.date_s, 1369353600);
	assert_int_equal(a.modified_s, 1255369800);
	assert_string_equal(http_answer_get(&a, "etag"), "\"abc\"");
	assert_string_equal(http_answer_get(&a, "x-amz-meta-block"), "12");
	assert_null(http_answer_get(&a, "connection"));
	assert_true(http_answer_nth(&a, 2, &name, &value));
	assert_string_equal(name, "x-amz-request-id");
	assert_string_equal(value, "4F");
	assert_false(http_answer_nth(&a, 3, &name, &value));
	/* Trailers change nothing. */
	assert_int_equal(line(&a, "ETag: \"other\"\r\n"), 0);
	assert_string_equal(http_answer_get(&a, "etag"), "\"abc\"");
	http_answer_fini(&a);
}

static void
a_new_status_line_begins_anew(void **state)
{
	struct http_answer a;

	http_answer_init(&a);
	head(&a, (const char *const[]){"HTTP/1.1 100 Continue\r\n",
	    "ETag: \"a\"\r\n", "Content-Length: 5\r\n", "\r\n",
	    "HTTP/2 200\r\n", NULL});
	assert_int_equal(a.status, 200);
	assert_null(http_answer_get(&a, "etag"));
	assert_int_equal(a.length, HTTP_UNKNOWN);
	http_answer_fini(&a);
}

static void
what_is_refused(void **state)
{
	static const char *const bad[] = {"HTTP/1.1\r\n", "HTTP/1.1 99\r\n",
	    "HTTP/1.1 1000 x\r\n", "HTTP/1.1 abc\r\n", "no colon\r\n",
	    ": empty\r\n", "Content-Length: -1\r\n",
	    "Content-Length: 12x\r\n", "Content-Length: \r\n",
	    "Content-Length: 99999999999999999999\r\n",
	    "Content-Range: bytes 5-4/10\r\n",
	    "Content-Range: bytes 0-9/9\r\n",
	    "Content-Range: lines 0-9/10\r\n",
	    "Content-Range: bytes 0-9/10x\r\n", "Content-Range: bytes\r\n",
	    "Content-Range: bytes */*\r\n"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct http_answer a;

		http_answer_init(&a);
		assert_int_equal(
		    http_answer_line(&a, bad[i], strlen(bad[i]), &e),
		    -EBADMSG);
		assert_true(e.text[0]);
		http_answer_fini(&a);
	}
}

static void
two_lengths_must_agree(void **state)
{
	struct http_answer a;

	http_answer_init(&a);
	assert_int_equal(line(&a, "Content-Length: 5"), 0);
	assert_int_equal(line(&a, "Content-Length: 5"), 0);
	assert_int_equal(line(&a, "Content-Length: 6"), -EBADMSG);
	http_answer_fini(&a);
}

static void
other_ranges(void **state)
{
	struct http_answer a;

	http_answer_init(&a);
	assert_int_equal(line(&a, "Content-Range: bytes 5-9/*"), 0);
	assert_int_equal(a.range_last, 9);
	assert_int_equal(a.range_total, HTTP_UNKNOWN);
	http_answer_clear(&a);
	assert_int_equal(line(&a, "Content-Range: bytes */77"), 0);
	assert_int_equal(a.range_first, HTTP_UNKNOWN);
	assert_int_equal(a.range_total, 77);
	http_answer_fini(&a);
}

static void
retry_after(void **state)
{
	struct http_answer a;

	http_answer_init(&a);
	assert_int_equal(a.retry_after_s, -1);
	assert_int_equal(line(&a, "Retry-After: 7"), 0);
	assert_int_equal(a.retry_after_s, 7);
	assert_int_equal(line(&a, "Retry-After: 999999999"), 0);
	assert_int_equal(a.retry_after_s, 86400);
	http_answer_clear(&a);
	/* A date counts from the server's own clock. */
	assert_int_equal(line(&a, "Date: Fri, 24 May 2013 00:00:00 GMT"), 0);
	assert_int_equal(
	    line(&a, "Retry-After: Fri, 24 May 2013 00:00:30 GMT"), 0);
	assert_int_equal(a.retry_after_s, 30);
	assert_int_equal(
	    line(&a, "Retry-After: Fri, 24 May 9013 00:00:30 GMT"), 0);
	assert_int_equal(a.retry_after_s, 86400);
	/* Nonsense is as if it were not there. */
	http_answer_clear(&a);
	assert_int_equal(line(&a, "Retry-After: soon"), 0);
	assert_int_equal(line(&a, "Date: whenever"), 0);
	assert_int_equal(a.retry_after_s, -1);
	assert_int_equal(a.date_s, 0);
	http_answer_fini(&a);
}

static void
long_headers(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct err e = ERR_INIT;
	struct http_answer a;

	http_answer_init(&a);
	/* One that nobody asks for may be of any length. */
	strbuf_puts(&b, "X-Junk: ");
	for (int i = 0; i < 100000; i++)
		strbuf_putc(&b, 'j');
	assert_int_equal(http_answer_line(&a, b.s, b.len, NULL), 0);
	strbuf_clear(&b);
	strbuf_puts(&b, "Content-Encoding: ");
	for (int i = 0; i < HTTP_VALUE_MAX; i++)
		strbuf_putc(&b, 'e');
	assert_int_equal(http_answer_line(&a, b.s, b.len, NULL), 0);
	strbuf_putc(&b, 'e');
	assert_int_equal(http_answer_line(&a, b.s, b.len, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "Content-Encoding"));
	strbuf_fini(&b);
	http_answer_fini(&a);
}

static void
many_headers(void **state)
{
	struct http_answer a;
	struct err e = ERR_INIT;
	char text[64];

	http_answer_init(&a);
	for (int i = 0; i < HTTP_KEPT_MAX; i++) {
		snprintf(text, sizeof(text), "x-amz-meta-%d: v", i);
		assert_int_equal(line(&a, text), 0);
	}
	assert_int_equal(
	    http_answer_line(&a, text, strlen(text), &e), -EBADMSG);
	assert_non_null(strstr(e.text, "too many"));
	http_answer_fini(&a);
}

static void
zero_bytes(void **state)
{
	struct http_answer a;

	http_answer_init(&a);
	assert_int_equal(
	    http_answer_line(&a, "ETag: a\0b", 9, NULL), -EBADMSG);
	http_answer_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer),
	    cmocka_unit_test(a_new_status_line_begins_anew),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(two_lengths_must_agree),
	    cmocka_unit_test(other_ranges),
	    cmocka_unit_test(retry_after),
	    cmocka_unit_test(long_headers),
	    cmocka_unit_test(many_headers),
	    cmocka_unit_test(zero_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
