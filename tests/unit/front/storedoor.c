/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of a raw-device store: what is asked and answered, clients that
 * say nonsense or go away, names in /proc/net/unix. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "front/storedoor.h"
#include "loop/fileio.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "raw/make.h"
#include "raw/open.h"
#include "raw/pool.h"

struct ctx {
	char path[64];
	struct work_pool *workers;
	struct loop *loop;
	struct fileio *io;
	struct pool *pool;
	struct pool_status status;
	struct storedoor *door;
};

static int
setup(void **state)
{
	struct raw_make_params p = {
	    .k = 1, .name = "door", .size = 32 << 20, .sparse = true};
	struct ctx *x = calloc(1, sizeof(*x));
	struct storedoor_params dp = {.url = "raw:x", .dir = "/mnt"};
	struct pool_open_params op = {.read_only = false};
	char *path;
	int fd;

	must(x != NULL);
	strcpy(x->path, "/tmp/pail-door-XXXXXX");
	fd = mkstemp(x->path);
	must(fd >= 0 && close(fd) == 0 && unlink(x->path) == 0);
	path = x->path;
	x->workers = work_pool_new(1, NULL);
	x->loop = loop_new(NULL);
	x->io = fileio_new(x->loop, x->workers, FILEIO_AUTO, 16, NULL);
	must(raw_make(x->loop, x->io, &path, 1, &p, NULL) == 0);
	must(raw_open_paths(
		 x->loop, x->io, path, &op, &x->pool, NULL) == 0);
	pool_get_status(x->pool, &x->status);
	dp.pool = x->pool;
	dp.fileio = x->io;
	must(storedoor_open(x->loop, &dp, &x->door, NULL) == 0);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *x = *state;

	storedoor_close(x->door);
	must(pool_close(x->pool, NULL) == 0);
	fileio_free(x->io);
	loop_free(x->loop);
	work_pool_free(x->workers);
	unlink(x->path);
	free(x);
	return 0;
}

/* --- a client on the loop's own thread ------------------------------------------- */

struct pause {
	struct loop_timer timer;
	bool over;
};

static void
pause_over(struct loop_timer *t)
{
	container_of(t, struct pause, timer)->over = true;
}

static void
run_a_little(struct ctx *x)
{
	struct pause p = {.timer.fire = pause_over};

	loop_timer_set(
	    x->loop, &p.timer, loop_now(x->loop) + 20 * NS_PER_MS);
	loop_run_until(x->loop, &p.over);
}

static int
ask(struct ctx *x, const char *question)
{
	int fd;

	assert_int_equal(storedoor_connect(x->status.uuid, 0, &fd, NULL), 0);
	assert_int_equal(
	    write(fd, question, strlen(question)), strlen(question));
	return fd;
}

/* All that was answered, after the loop has run; at most 4 KiB. */
static char *
answer(struct ctx *x, int fd)
{
	static char text[4096];
	ssize_t n = 0, got = 1;

	for (int i = 0; i < 10; i++)
		run_a_little(x);
	while (got > 0 && n < (ssize_t)sizeof(text) - 1) {
		got = read(fd, text + n, sizeof(text) - 1 - (size_t)n);
		n += got > 0 ? got : 0;
	}
	text[n] = '\0';
	close(fd);
	return text;
}

/* The last line as JSON. */
static json_t *
last(char *text)
{
	char *line;

	assert_true(strlen(text) > 1);
	text[strlen(text) - 1] = '\0';
	line = strrchr(text, '\n');
	return json_loads(line != NULL ? line + 1 : text, 0, NULL);
}

static int
rc_of(char *text)
{
	json_t *j = last(text);
	int rc = (int)json_integer_value(json_object_get(j, "rc"));

	assert_true(json_is_integer(json_object_get(j, "rc")));
	json_decref(j);
	return rc;
}

static void
status_is_told(void **state)
{
	struct ctx *x = *state;
	json_t *j = last(answer(x, ask(x, "{\"do\": \"status\"}\n")));
	json_t *s = json_object_get(j, "result");

	assert_string_equal(
	    json_string_value(json_object_get(s, "name")), "door");
	assert_string_equal(
	    json_string_value(json_object_get(s, "health")), "whole");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(s, "mounted"), "dir")),
	    "/mnt");
	assert_int_equal(
	    json_array_size(json_object_get(s, "members")), 1);
	json_decref(j);
}

static void
by_process(void **state)
{
	struct ctx *x = *state;
	int fd;

	assert_int_equal(storedoor_connect(NULL, getpid(), &fd, NULL), 0);
	close(fd);
	assert_int_equal(storedoor_connect(NULL, 1, &fd, NULL), -ENOENT);
	x->status.uuid[3] ^= 1;
	assert_int_equal(
	    storedoor_connect(x->status.uuid, 0, &fd, NULL), -ENOENT);
}

static void
scrub_while_it_is_open(void **state)
{
	struct ctx *x = *state;

	assert_int_equal(rc_of(answer(x, ask(x, "{\"do\": \"scrub\"}\n"))), 0);
}

static void
nonsense(void **state)
{
	struct ctx *x = *state;
	char lengthy[9000];

	assert_int_equal(
	    rc_of(answer(x, ask(x, "{\"do\": \"dance\"}\n"))), -EOPNOTSUPP);
	assert_int_equal(rc_of(answer(x, ask(x, "hello\n"))), -EOPNOTSUPP);
	assert_int_equal(rc_of(answer(x, ask(x, "[1, 2]\n"))), -EOPNOTSUPP);
	memset(lengthy, 'x', sizeof(lengthy));
	lengthy[sizeof(lengthy) - 1] = '\0';
	assert_string_equal(answer(x, ask(x, lengthy)), "");
	/* The others are answered as before. */
	assert_int_equal(rc_of(answer(x, ask(x, "{\"do\": \"status\"}\n"))), 0);
}

static void
clients_that_go_away(void **state)
{
	struct ctx *x = *state;

	for (int i = 0; i < 20; i++) {
		close(ask(x, "{\"do\": \"scrub\"}\n"));
		if (i % 2)
			run_a_little(x);
		close(ask(x, "{\"do\":"));
	}
	run_a_little(x);
	assert_int_equal(rc_of(answer(x, ask(x, "{\"do\": \"status\"}\n"))), 0);
}

/* More than are served wait for nothing: they are sent away. */
static void
too_many(void **state)
{
	struct ctx *x = *state;
	int fd[8];

	for (int i = 0; i < 8; i++)
		fd[i] = ask(x, "{\"do\":");
	run_a_little(x);
	assert_string_equal(answer(x, ask(x, "{\"do\": \"status\"}\n")), "");
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	run_a_little(x);
	assert_int_equal(rc_of(answer(x, ask(x, "{\"do\": \"status\"}\n"))), 0);
}

/* The door is closed (teardown) while questions are under way. */
static void
closed_meanwhile(void **state)
{
	struct ctx *x = *state;
	int fd = ask(x, "{\"do\": \"scrub\"}\n");

	ask(x, "{\"do\":");
	loop_run_until(x->loop, &(bool){true});
	close(fd);
}

static void
names(void **state)
{
	static const uint8_t uuid[16] = {0xab, 1};
	char name[STOREDOOR_NAME_MAX];
	char table[] =
	    "Num RefCount Protocol Flags Type St Inode Path\n"
	    "00: 00000002 0 00010000 0001 01 1 @pail-1-0\n"
	    "00: 00000002 0 00010000 0001 01 2 @pail-store-"
	    "ab010000000000000000000000000000-x7\n"
	    "00: 00000002 0 00010000 0001 01 2 @pail-store-"
	    "ab010000000000000000000000000000-\n"
	    "00: 00000002 0 00010000 0001 01 2 @pail-store-"
	    "cd010000000000000000000000000000-8\n"
	    "00: 00000002 0 00010000 0001 01 3 @pail-store-"
	    "ab010000000000000000000000000000-77\n";
	char *copy = strdup(table);

	assert_int_equal(storedoor_find_in(table, uuid, 0, name), 0);
	assert_string_equal(
	    name, "pail-store-ab010000000000000000000000000000-77");
	assert_int_equal(storedoor_find_in(copy, NULL, 8, name), 0);
	assert_string_equal(
	    name, "pail-store-cd010000000000000000000000000000-8");
	free(copy);
	copy = strdup("@pail-store-");
	assert_int_equal(storedoor_find_in(copy, NULL, 8, name), -ENOENT);
	free(copy);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
	    T(status_is_told),
	    T(by_process),
	    T(scrub_while_it_is_open),
	    T(nonsense),
	    T(clients_that_go_away),
	    T(too_many),
	    T(closed_meanwhile),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
