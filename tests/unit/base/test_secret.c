/* SPDX-License-Identifier: Apache-2.0 */
/* test_secret.c: the first line and nothing else, or a sentence. */
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char path[] = "test_secret.XXXXXX";
static char out[16];
static struct err e;

static int
setup(void **state)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int
teardown(void **state)
{
	return unlink(path);
}

static int
read_of(const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	memset(out, 'x', sizeof(out));
	return secret_read_line(path, "password file", out, sizeof(out), &e);
}

static void
first_line_is_read(void **state)
{
	static const char zero[sizeof(out)];

	assert_int_equal(read_of("pass word\nother\n", 16), 0);
	assert_string_equal(out, "pass word");
	/* what came after it is wiped */
	assert_memory_equal(out + 9, zero, sizeof(out) - 9);
	assert_int_equal(read_of("pass", 4), 0);
	assert_string_equal(out, "pass");
	assert_int_equal(read_of("pass\r\n", 6), 0);
	assert_string_equal(out, "pass");
	assert_int_equal(read_of("123456789012345\n", 16), 0);
	assert_string_equal(out, "123456789012345");
	assert_int_equal(read_of("123456789012345", 15), 0);
	assert_string_equal(out, "123456789012345");
}

static void
bad_lines_are_refused(void **state)
{
	static const char zero[sizeof(out)];
	char want[128];

	assert_int_equal(read_of("1234567890123456", 16), -E2BIG);
	snprintf(want, sizeof(want),
	    "password file %s: its first line is longer than 15 bytes", path);
	assert_string_equal(e.text, want);
	assert_memory_equal(out, zero, sizeof(out));
	assert_int_equal(read_of("12345678901234567\n", 18), -E2BIG);
	assert_int_equal(read_of("", 0), -EINVAL);
	assert_int_equal(read_of("\nsecond", 7), -EINVAL);
	assert_int_equal(read_of("ab\0cd\n", 6), -EINVAL);
	snprintf(want, sizeof(want),
	    "password file %s: its first line has a NUL byte", path);
	assert_string_equal(e.text, want);
}

static void
files_that_cannot_be_read(void **state)
{
	assert_int_equal(secret_read_line("/nonexistent/x", "password file",
			     out, sizeof(out), &e),
	    -ENOENT);
	assert_string_equal(
	    e.text, "password file /nonexistent/x: No such file or directory");
	assert_int_equal(
	    secret_read_line("/", "password file", out, sizeof(out), &e),
	    -EISDIR);
}

static void
a_pipe_will_do(void **state)
{
	char name[32];
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "from a ", 7), 7);
	assert_int_equal(write(p[1], "pipe\n", 5), 5);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[0]);
	/* The writer is still there: the end of the line is enough. */
	assert_int_equal(
	    secret_read_line(name, "password", out, sizeof(out), &e), 0);
	assert_string_equal(out, "from a pipe");
	close(p[0]);
	close(p[1]);
}

/* The line on standard error, while the file is read. */
static void
open_files_are_warned_about(void **state)
{
	char text[256] = "";
	int p[2], err = dup(STDERR_FILENO);

	assert_int_equal(pipe(p), 0);
	assert_int_equal(chmod(path, 0640), 0);
	dup2(p[1], STDERR_FILENO);
	assert_int_equal(read_of("pass\n", 5), 0);
	dup2(err, STDERR_FILENO);
	assert_true(read(p[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "is open to others (mode 640)"));
	assert_null(strstr(text, "pass\n"));
	close(err);
	close(p[0]);
	close(p[1]);
}

static void
free_accepts_null(void **state)
{
	secret_free(NULL);
	secret_free(strdup("secret"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_line_is_read),
	    cmocka_unit_test(bad_lines_are_refused),
	    cmocka_unit_test(files_that_cannot_be_read),
	    cmocka_unit_test(a_pipe_will_do),
	    cmocka_unit_test(open_files_are_warned_about),
	    cmocka_unit_test(free_accepts_null),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
