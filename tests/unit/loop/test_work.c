/* SPDX-License-Identifier: Apache-2.0 */
/* test_work.c: run on a thread of the pool, done on the loop, each once. */
#include "loop/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

#define NWORKS 2000

struct job {
	struct work work;
	struct loop *l;
	pthread_t tester;
	unsigned ran, ended;
	unsigned *left;
	bool *done;
	struct work_pool *again; /* submit once more from done */
};

static void
job_run(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	sigset_t set;

	j->ran++;
	/* Not on the test's thread, and signals are left to that one. */
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	if (pthread_equal(pthread_self(), j->tester) ||
	    !sigismember(&set, SIGTERM))
		j->ran = 1000;
}

static void
job_done(struct work *w)
{
	struct job *j = container_of(w, struct job, work);

	assert_true(pthread_equal(pthread_self(), j->tester));
	j->ended++;
	assert_int_equal(j->ran, j->ended);
	if (j->again) {
		struct work_pool *p = j->again;

		j->again = NULL;
		work_submit(p, j->l, w);
		return;
	}
	if (--*j->left == 0)
		*j->done = true;
}

static void
every_work_runs_once(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct work_pool *p = work_pool_new(4, &e);
	struct job *v = calloc(NWORKS, sizeof(*v));
	unsigned left = NWORKS;
	bool done = false;

	assert_true(l && p && v);
	for (unsigned i = 0; i < NWORKS; i++) {
		v[i].work = (struct work){.run = job_run, .done = job_done};
		v[i].l = l;
		v[i].tester = pthread_self();
		v[i].left = &left;
		v[i].done = &done;
		v[i].again = i % 3 ? NULL : p;
		work_submit(p, l, &v[i].work);
		if (i == 0)
			usleep(1000); /* it ends before the loop runs */
	}
	assert_int_equal(loop_run_until(l, &done), 0);
	for (unsigned i = 0; i < NWORKS; i++)
		assert_int_equal(v[i].ended, i % 3 ? 1 : 2);
	free(v);
	work_pool_free(p);
	loop_free(l);
}

struct timer_end {
	struct loop_timer timer;
	bool fired;
};

static void
end_fire(struct loop_timer *t)
{
	container_of(t, struct timer_end, timer)->fired = true;
}

static void
slow_run(struct work *w)
{
	usleep(30000);
}

static void
slow_done(struct work *w)
{
	struct job *j = container_of(w, struct job, work);

	*j->done = true;
}

/* An hour of virtual time does not pass while a thread works. */
static void
virtual_time_waits_for_works(void **state)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new_virtual(&e);
	struct work_pool *p = work_pool_new(1, &e);
	bool done = false;
	struct job j = {
	    .work = {.run = slow_run, .done = slow_done}, .done = &done};
	struct timer_end t = {{end_fire}};

	assert_true(l && p);
	loop_timer_set(l, &t.timer, loop_now(l) + 3600 * NS_PER_S);
	work_submit(p, l, &j.work);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_false(t.fired);
	assert_int_equal(loop_run_until(l, &t.fired), 0);
	work_pool_free(p);
	loop_free(l);
}

static void
pool_of_idle_threads_ends(void **state)
{
	struct err e = ERR_INIT;

	work_pool_free(work_pool_new(3, &e));
	work_pool_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_work_runs_once),
	    cmocka_unit_test(virtual_time_waits_for_works),
	    cmocka_unit_test(pool_of_idle_threads_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
