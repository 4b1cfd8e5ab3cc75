/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket that tells how a mount ended.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "front/control.h"
#include "loop/loop.h"

#define URL "s3://bucket/disk"

static void
everybody_hears_the_end(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct control *c;
	int a, b;

	assert_non_null(l);
	assert_int_equal(control_open(l, &c, &e), 0);
	assert_int_equal(control_connect(control_name(c), &a, &e), 0);
	assert_int_equal(control_connect(control_name(c), &b, &e), 0);
	control_close(c, -EACCES, "b: HTTP 403");
	assert_int_equal(control_wait(a, &e), -EACCES);
	assert_string_equal(err_text(&e), "b: HTTP 403");
	assert_int_equal(control_wait(b, &e), -EACCES);

	assert_int_equal(control_open(l, &c, &e), 0);
	assert_int_equal(control_connect(control_name(c), &a, &e), 0);
	control_close(c, 0, "");
	assert_int_equal(control_wait(a, &e), 0);
	loop_free(l);
}

static void
a_process_that_is_killed(void **state)
{
	struct err e = ERR_INIT;
	int ready[2], go[2], fd, status;
	char name[CONTROL_NAME_MAX];

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();

	if (pid == 0) {
		struct loop *l = loop_new(&e);
		struct control *c;
		char byte;

		if (l == NULL || control_open(l, &c, &e) < 0 ||
		    write(ready[1], control_name(c), CONTROL_NAME_MAX) < 0 ||
		    read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(
	    read(ready[0], name, sizeof(name)), sizeof(name));
	assert_int_equal(control_connect(name, &fd, &e), 0);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(control_wait(fd, &e), -EPIPE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(control_connect(name, &fd, &e), -ECONNREFUSED);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
}

static void
who_is_ending(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct control *c;
	char name[CONTROL_NAME_MAX];
	char url[64];
	int pid, fd;

	assert_non_null(l);
	snprintf(url, sizeof(url), URL "-%d", (int)getpid());
	assert_int_equal(control_open(l, &c, &e), 0);
	assert_false(control_find_ending(url, name, &pid));
	control_announce_end(c, url);
	control_announce_end(c, url);
	assert_true(control_find_ending(url, name, &pid));
	assert_int_equal(pid, getpid());
	assert_false(control_find_ending(URL "/other", name, &pid));
	assert_int_equal(control_connect(name, &fd, &e), 0);
	control_close(c, 0, "");
	assert_int_equal(control_wait(fd, &e), 0);
	assert_false(control_find_ending(url, name, &pid));
	loop_free(l);
}

static void
tables_that_mislead(void **state)
{
	char name[CONTROL_NAME_MAX];
	int pid;
	char text[] =
	    "Num       RefCount Protocol Flags    Type St Inode Path\n"
	    "ff: 2 0 00010000 0001 01 123 @pail-ending-0123456789abcdef-7\n"
	    "ff: 2 0 00010000 0001 01 123 @pail-ending-\n"
	    "ff: 2 0 00010000 0001 01 123 /run/x\n";

	assert_false(control_find_in(text, URL, name, &pid));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_hears_the_end),
		cmocka_unit_test(a_process_that_is_killed),
		cmocka_unit_test(who_is_ending),
		cmocka_unit_test(tables_that_mislead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
