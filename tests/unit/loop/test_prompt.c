/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that wishes for short time slices has them; those that it starts, and
 * those with another policy, are as they were. */
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"

static struct sched_attr
mine(void)
{
	struct sched_attr a;

	assert_int_equal(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0), 0);
	return a;
}

/* In a child, so that nothing stays. */
static int
in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
has_default_slice(void)
{
	return mine().sched_runtime != 200000;
}

static int
asks(void)
{
	struct sched_attr was = mine(), is;

	loop_be_prompt();
	is = mine();
	if (is.sched_policy != was.sched_policy ||
	    is.sched_nice != was.sched_nice)
		return 1;
	if (was.sched_runtime == 0) /* the kernel knows no slices */
		return 0;
	if (is.sched_runtime != 200000)
		return 2;
	return in_child(has_default_slice) ? 0 : 3;
}

static int
asks_as_a_batch_job(void)
{
	struct sched_attr a = mine();

	a.sched_policy = SCHED_BATCH;
	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return 1;
	loop_be_prompt();
	return mine().sched_policy == SCHED_BATCH &&
		mine().sched_runtime == a.sched_runtime ? 0 : 2;
}

static void
slice_is_short_and_not_inherited(void **state)
{
	(void)state;
	assert_int_equal(in_child(asks), 0);
}

static void
another_policy_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(in_child(asks_as_a_batch_job), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slice_is_short_and_not_inherited),
		cmocka_unit_test(another_policy_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
