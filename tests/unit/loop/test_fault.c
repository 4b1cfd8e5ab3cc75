/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fault.c: every allocation and every system call with which a loop, its
 * workers and its file I/O are set up fails once, and nothing leaks: no memory
 * (AddressSanitizer) and no descriptor.
 */
#include "lib/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop/fileio.h"
#include "loop/loop.h"
#include "loop/work.h"

#define NTIMERS 200

static void
never(struct loop_timer *t)
{
	fail();
}

static int
timers(struct loop *l)
{
	struct loop_timer *v = calloc(NTIMERS, sizeof(*v));
	int rc = v ? 0 : -ENOMEM;
	unsigned i;

	for (i = 0; rc == 0 && i < NTIMERS; i++) {
		v[i].fire = never;
		rc = loop_timer_set(l, &v[i], (int64_t)i);
		assert_int_equal(loop_timer_armed(&v[i]), rc == 0);
	}
	while (i-- > 0) {
		/* One that is armed can always be moved. */
		if (loop_timer_armed(&v[i]))
			assert_int_equal(loop_timer_set(l, &v[i], 5), 0);
		loop_timer_cancel(&v[i]);
	}
	free(v);
	return rc;
}

static int
signals(struct loop *l, struct err *e)
{
	static const int signos[] = {SIGUSR1, 0};
	struct loop_signal s = {0};
	int rc = loop_signal_add(l, &s, signos, e);

	loop_signal_del(&s);
	return rc;
}

static int
everything(void *arg)
{
	enum fileio_kind kind = *(enum fileio_kind *)arg;
	struct err e = ERR_INIT;
	struct work_pool *p = NULL;
	struct fileio *io = NULL;
	struct loop *l = loop_new(&e);
	int rc = l ? 0 : e.rc;

	if (rc == 0)
		rc = timers(l);
	if (rc == 0)
		rc = signals(l, &e);
	if (rc == 0) {
		p = work_pool_new(3, &e);
		rc = p ? 0 : e.rc;
	}
	if (rc == 0) {
		io = fileio_new(l, p, kind, 8, &e);
		rc = io ? 0 : e.rc;
	}
	fileio_free(io);
	work_pool_free(p);
	loop_free(l);
	return rc;
}

static unsigned
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void
setting_up_may_fail_anywhere(void **state)
{
	enum fileio_kind kinds[] = {FILEIO_URING, FILEIO_WORKERS};
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct fileio *io = fileio_new(l, NULL, FILEIO_URING, 1, &e);
	unsigned fds;

	if (!io)
		kinds[0] = FILEIO_WORKERS; /* there is no io_uring here */
	fileio_free(io);
	loop_free(l);
	fds = count_fds();
	for (unsigned i = 0; i < 2; i++) {
		assert_true(fault_each_malloc(everything, &kinds[i]) > 5);
		assert_true(fault_each_call(everything, &kinds[i], EMFILE) > 7);
		assert_int_equal(count_fds(), fds);
	}
}

/* Without io_uring, AUTO takes the workers, whatever the reason. */
static void
auto_falls_back(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct work_pool *p = work_pool_new(1, &e);
	unsigned fds = count_fds();

	assert_true(l && p);
	for (unsigned n = 1; n <= 4; n++) {
		struct fileio *io;

		fault_call_arm(n, EPERM);
		io = fileio_new(l, p, FILEIO_AUTO, 8, &e);
		assert_non_null(io);
		if (fault_hit())
			assert_int_equal(fileio_which(io), FILEIO_WORKERS);
		assert_true(fault_hit() || n > 1);
		fault_call_arm(0, 0);
		fileio_free(io);
		assert_int_equal(count_fds(), fds);
	}
	fault_call_arm(1, EPERM);
	assert_null(fileio_new(l, NULL, FILEIO_AUTO, 8, &e));
	fault_call_arm(0, 0);
	assert_string_equal(e.text, "io_uring: Operation not permitted");
	work_pool_free(p);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(setting_up_may_fail_anywhere),
	    cmocka_unit_test(auto_falls_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
