/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_loop.c: what loop.h promises: order of tasks and timers, removal from
 * inside callbacks, wake-ups from other threads, virtual time.
 */
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

/* What happened, as a string of letters. */
static char trace[256];

static void
note(char c)
{
	size_t n = strlen(trace);

	assert_true(n + 1 < sizeof(trace));
	trace[n] = c;
	trace[n + 1] = '\0';
}

static struct loop *
new_loop(bool virtual_time)
{
	struct err e = ERR_INIT;
	struct loop *l = virtual_time ? loop_new_virtual(&e) : loop_new(&e);

	trace[0] = '\0';
	assert_non_null(l);
	return l;
}

/* A tool computes for a while between two runs. */
static void
time_goes_on_between_runs(void **state)
{
	struct timespec t = {0, 20 * NS_PER_MS};
	struct loop *l = new_loop(false);
	int64_t before = loop_now(l);

	nanosleep(&t, NULL);
	assert_true(loop_now(l) >= before + 20 * NS_PER_MS);
	loop_free(l);
}

/* --- tasks ---------------------------------------------------------------- */

struct letter {
	struct loop_task task;
	char c;
	struct loop *l;
	struct letter *then; /* deferred when this runs */
	bool *done;
};

static void
letter_run(struct loop_task *t)
{
	struct letter *x = container_of(t, struct letter, task);

	assert_true(loop_is_mine(x->l));
	note(x->c);
	if (x->then)
		loop_defer(x->l, &x->then->task);
	if (x->done)
		*x->done = true;
}

static void
tasks_run_in_order_and_once(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct letter c = {{letter_run}, 'c', l, NULL, &done};
	struct letter b = {{letter_run}, 'b', l, NULL, NULL};
	struct letter a = {{letter_run}, 'a', l, &c, NULL};

	loop_defer(l, &a.task);
	loop_defer(l, &b.task);
	loop_defer(l, &a.task); /* queued already: stays where it is */
	assert_string_equal(trace, "");
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "abc");
	loop_free(l);
}

/* A task that always defers itself holds up neither the other tasks nor
 * descriptors and timers. */
static void
task_may_defer_itself_for_ever(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct letter a = {{letter_run}, ' ', l, &a, NULL};
	struct letter b = {{letter_run}, 'b', l, NULL, &done};

	loop_defer(l, &a.task);
	loop_defer(l, &b.task);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, " b");
	a.then = NULL;
	b.c = 'c';
	done = false;
	loop_defer(l, &b.task);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, " b c");
	loop_free(l);
}

struct canceller {
	struct loop_task task;
	struct loop *l;
	struct letter *v;
};

static void
canceller_run(struct loop_task *t)
{
	struct canceller *x = container_of(t, struct canceller, task);

	note('x');
	loop_cancel(x->l, &x->v[1].task); /* of this round */
	loop_cancel(x->l, &x->v[3].task); /* of the next */
	loop_cancel(x->l, t);		  /* runs already */
}

static void
tasks_are_taken_back(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct letter v[] = {
	    {{letter_run}, '0', l},
	    {{letter_run}, '1', l},
	    {{letter_run}, '2', l, NULL, &done},
	    {{letter_run}, '3', l},
	};
	struct canceller x = {{canceller_run}, l, v};

	v[0].then = &v[3];
	for (unsigned i = 0; i < 3; i++)
		loop_defer(l, &v[i].task);
	loop_cancel(l, &v[2].task);
	loop_cancel(l, &v[0].task);
	loop_defer(l, &v[0].task);
	loop_cancel(l, &v[1].task);
	loop_defer(l, &x.task);
	loop_defer(l, &v[1].task);
	loop_defer(l, &v[2].task);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "0x2");
	loop_post(l, &v[2].task);
	loop_cancel(l, &v[2].task);
	loop_free(l);
}

/* --- timers --------------------------------------------------------------- */

struct alarm_clock {
	struct loop_timer timer;
	char c;
	struct loop *l;
	struct alarm_clock *cancel;
	int64_t again_ns;
	int left; /* how many times again */
	bool *done;
};

static void
alarm_fire(struct loop_timer *t)
{
	struct alarm_clock *x = container_of(t, struct alarm_clock, timer);

	assert_false(loop_timer_armed(t));
	assert_true(loop_now(x->l) >= t->due_ns);
	note(x->c);
	if (x->cancel)
		loop_timer_cancel(&x->cancel->timer);
	if (x->left-- > 0)
		assert_int_equal(
		    loop_timer_set(x->l, t, loop_now(x->l) + x->again_ns), 0);
	else if (x->done)
		*x->done = true;
}

static void
timers_fire_by_time_then_by_arming(void **state)
{
	struct loop *l = new_loop(true);
	bool done = false;
	struct alarm_clock a = {{alarm_fire}, 'a', l};
	struct alarm_clock b = {{alarm_fire}, 'b', l};
	struct alarm_clock c = {{alarm_fire}, 'c', l, NULL, 0, 0, &done};

	assert_int_equal(loop_now(l), NS_PER_S);
	loop_timer_set(l, &c.timer, loop_now(l) + 3600 * NS_PER_S);
	loop_timer_set(l, &a.timer, loop_now(l) + 5);
	loop_timer_set(l, &b.timer, loop_now(l) + 5);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "abc");
	assert_int_equal(loop_now(l), 3601 * NS_PER_S);
	loop_free(l);
}

static void
timer_is_moved_and_cancelled(void **state)
{
	struct loop *l = new_loop(true);
	bool done = false;
	struct alarm_clock a = {{alarm_fire}, 'a', l, NULL, 0, 0, &done};
	struct alarm_clock b = {{alarm_fire}, 'b', l};
	struct alarm_clock c = {{alarm_fire}, 'c', l, &b};
	struct alarm_clock d = {{alarm_fire}, 'd', l};

	loop_timer_set(l, &a.timer, loop_now(l) + 1);
	loop_timer_set(l, &b.timer, loop_now(l) + 3);
	loop_timer_set(l, &c.timer, loop_now(l) + 2);
	loop_timer_set(l, &d.timer, loop_now(l) + 2);
	loop_timer_cancel(&d.timer);
	loop_timer_cancel(&d.timer);
	loop_timer_set(l, &a.timer, loop_now(l) + 9); /* later than all */
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "ca"); /* c has cancelled b */
	assert_false(loop_timer_armed(&b.timer));
	loop_free(l);
}

/* A timer that always wants to fire at once does not hold up the others. */
static void
timer_cannot_starve(void **state)
{
	struct loop *l = new_loop(true);
	bool done = false;
	struct alarm_clock a = {{alarm_fire}, 'a', l, NULL, -NS_PER_S, 3};
	struct alarm_clock b = {{alarm_fire}, 'b', l};
	struct letter t = {{letter_run}, 't', l};
	struct alarm_clock z = {{alarm_fire}, 'z', l, NULL, 0, 0, &done};

	loop_timer_set(l, &a.timer, 0);
	loop_timer_set(l, &b.timer, loop_now(l));
	loop_timer_set(l, &z.timer, loop_now(l) + 1);
	loop_defer(l, &t.task);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "tabaaaz");
	loop_free(l);
}

#define NRANDOM 2000

struct sorted {
	struct loop_timer timer;
	struct loop *l;
	int64_t due;
};
static int64_t last_due;
static unsigned nfired;

static void
sorted_fire(struct loop_timer *t)
{
	struct sorted *x = container_of(t, struct sorted, timer);

	assert_true(x->due >= last_due);
	assert_int_equal(x->due, loop_now(x->l));
	last_due = x->due;
	nfired++;
}

static void
heap_keeps_order_under_random_use(void **state)
{
	struct loop *l = new_loop(true);
	static struct sorted v[NRANDOM];
	struct alarm_clock z = {{alarm_fire}, 'z', l};
	bool done = false;
	unsigned armed = 0;
	uint32_t r = 12345;

	last_due = 0;
	nfired = 0;
	for (unsigned i = 0; i < 5 * NRANDOM; i++) {
		struct sorted *x = &v[(r >> 8) % NRANDOM];

		r = r * 1664525 + 1013904223;
		x->timer.fire = sorted_fire;
		x->l = l;
		if (r >> 30 == 0) {
			loop_timer_cancel(&x->timer);
			continue;
		}
		x->due = loop_now(l) + (r >> 8) % 5000;
		assert_int_equal(loop_timer_set(l, &x->timer, x->due), 0);
	}
	for (unsigned i = 0; i < NRANDOM; i++)
		armed += loop_timer_armed(&v[i].timer);
	assert_true(armed > NRANDOM / 2);
	z.done = &done;
	loop_timer_set(l, &z.timer, loop_now(l) + 5000);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_int_equal(nfired, armed);
	loop_free(l);
}

static void
real_timer_waits(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct alarm_clock a = {{alarm_fire}, 'a', l, NULL, 0, 0, &done};
	int64_t t0 = clock_mono_ns();

	loop_timer_set(l, &a.timer, t0 + 3 * NS_PER_MS + 1);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_true(clock_mono_ns() - t0 > 3 * NS_PER_MS);
	loop_free(l);
}

/* --- descriptors ---------------------------------------------------------- */

struct reader {
	struct loop_fd watch;
	char c;
	struct reader *del; /* stop watching that one */
	bool *done;
};

static void
reader_ready(struct loop_fd *w, uint32_t events)
{
	struct reader *x = container_of(w, struct reader, watch);
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(w->fd, &byte, 1), 1);
	note(x->c);
	if (x->del)
		loop_fd_del(&x->del->watch);
	if (x->done)
		*x->done = true;
}

static void
descriptor_is_level_triggered(void **state)
{
	struct loop *l = new_loop(false);
	struct reader r = {{reader_ready}, 'r'};
	bool done = false;
	struct alarm_clock z = {{alarm_fire}, 'z', l, NULL, 0, 0, &done};
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(loop_fd_add(l, &r.watch, p[0], EPOLLIN), 0);
	assert_int_equal(write(p[1], "xyz", 3), 3);
	loop_timer_set(l, &z.timer, loop_now(l) + NS_PER_MS);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "rrrz");

	/* Not while nothing is asked for. */
	assert_int_equal(loop_fd_set(&r.watch, 0), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	done = false;
	loop_timer_set(l, &z.timer, loop_now(l) + NS_PER_MS);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "rrrzz");
	assert_int_equal(loop_fd_set(&r.watch, EPOLLIN), 0);
	r.done = &done;
	done = false;
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "rrrzzr");

	loop_fd_del(&r.watch);
	loop_fd_del(&r.watch);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

/* Two are ready in one turn, and the first takes both away. */
static void
pending_ready_is_not_called_after_del(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct reader a = {{reader_ready}, 'r'}, b = {{reader_ready}, 'r'};
	struct alarm_clock z = {{alarm_fire}, 'z', l, NULL, 0, 0, &done};
	int p[2], q[2];

	a.del = &b;
	b.del = &a;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(pipe(q), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(write(q[1], "x", 1), 1);
	assert_int_equal(loop_fd_add(l, &a.watch, p[0], EPOLLIN), 0);
	assert_int_equal(loop_fd_add(l, &b.watch, q[0], EPOLLIN), 0);
	loop_timer_set(l, &z.timer, loop_now(l) + NS_PER_MS);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "rz");
	loop_fd_del(&a.watch);
	loop_fd_del(&b.watch);
	close(p[0]);
	close(p[1]);
	close(q[0]);
	close(q[1]);
	loop_free(l);
}

static void
descriptor_errors_are_reported(void **state)
{
	struct loop *l = new_loop(false);
	struct reader r = {{reader_ready}, 'r'};
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(loop_fd_add(l, &r.watch, p[0], EPOLLIN), 0);
	assert_int_equal(
	    loop_fd_add(l, &(struct loop_fd){reader_ready}, p[0], EPOLLIN),
	    -EEXIST);
	assert_int_equal(
	    loop_fd_add(l, &(struct loop_fd){reader_ready}, -1, EPOLLIN),
	    -EBADF);
	loop_fd_del(&r.watch);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

/* --- other threads -------------------------------------------------------- */

#define NPOSTERS 4
#define NPOSTS 5000

struct count_task {
	struct loop_task task;
	struct poster *by;
};
struct poster {
	struct loop *l;
	pthread_t thread;
	struct count_task v[NPOSTS];
	unsigned ran;
	bool ordered;
	unsigned *left;
	bool *done;
};

static void
count_run(struct loop_task *t)
{
	struct count_task *c = container_of(t, struct count_task, task);
	struct poster *p = c->by;

	assert_true(loop_is_mine(p->l));
	if (c != &p->v[p->ran])
		p->ordered = false;
	if (++p->ran == NPOSTS && --*p->left == 0)
		*p->done = true;
}

static void *
poster_main(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < NPOSTS; i++) {
		p->v[i].task.run = count_run;
		p->v[i].by = p;
		loop_post(p->l, &p->v[i].task);
		if (i % 1000 == 0)
			usleep(500);
	}
	return NULL;
}

/* Every posted task runs once, in the order of its thread; no wake-up is
 * lost (the run would not end). */
static void
posts_from_threads_arrive_in_order(void **state)
{
	struct loop *l = new_loop(false);
	struct poster *v = calloc(NPOSTERS, sizeof(*v));
	unsigned left = NPOSTERS;
	bool done = false;

	assert_non_null(v);
	for (unsigned i = 0; i < NPOSTERS; i++) {
		v[i].l = l;
		v[i].ordered = true;
		v[i].left = &left;
		v[i].done = &done;
		assert_int_equal(
		    pthread_create(&v[i].thread, NULL, poster_main, &v[i]), 0);
	}
	assert_int_equal(loop_run_until(l, &done), 0);
	for (unsigned i = 0; i < NPOSTERS; i++) {
		pthread_join(v[i].thread, NULL);
		assert_int_equal(v[i].ran, NPOSTS);
		assert_true(v[i].ordered);
	}
	free(v);
	loop_free(l);
}

struct ping {
	struct loop_task task;
	struct loop *at, *other;
	bool *done_at, *done_other;
	unsigned left;
};

static void
ping_run(struct loop_task *t)
{
	struct ping *p = container_of(t, struct ping, task);
	struct loop *l = p->at;
	bool *done = p->done_at;

	assert_true(loop_is_mine(l));
	if (p->left <= 1)
		*done = true;
	if (p->left-- == 0)
		return;
	p->at = p->other;
	p->other = l;
	p->done_at = p->done_other;
	p->done_other = done;
	loop_post(p->at, t);
}

struct runner {
	struct loop *l;
	bool done;
};

static void *
runner_main(void *arg)
{
	struct runner *r = arg;

	assert_int_equal(loop_run_until(r->l, &r->done), 0);
	return NULL;
}

/* One task goes to and fro between two loops that sleep. */
static void
no_wake_is_lost(void **state)
{
	struct runner a = {new_loop(false)}, b = {new_loop(false)};
	struct ping p = {{ping_run}, a.l, b.l, &a.done, &b.done, 20000};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, runner_main, &b), 0);
	loop_post(a.l, &p.task);
	runner_main(&a);
	pthread_join(thread, NULL);
	loop_free(a.l);
	loop_free(b.l);
}

static void
loop_belongs_to_the_thread_that_runs_it(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct letter a = {{letter_run}, 'a', l, NULL, &done};

	assert_true(loop_is_mine(l));
	loop_defer(l, &a.task);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_true(loop_is_mine(l));
	loop_free(l);
}

/* --- hooks, stop, signals, virtual time -------------------------------------
 */

struct hook {
	struct loop_hook hook;
	char c;
	struct hook *del;
	struct loop *l;
	bool *done;
};

static void
hook_run(struct loop_hook *h)
{
	struct hook *x = container_of(h, struct hook, hook);

	note(x->c);
	if (x->del)
		loop_hook_del(&x->del->hook);
	if (x->done)
		*x->done = true;
}

static void
hooks_run_before_the_wait(void **state)
{
	struct loop *l = new_loop(false);
	bool done = false;
	struct letter t = {{letter_run}, 't', l};
	struct hook c = {{hook_run}, 'c', NULL, l, &done};
	struct hook b = {{hook_run}, 'b', NULL, l};
	struct hook a = {{hook_run}, 'a', &b, l};

	loop_hook_add(l, &a.hook);
	loop_hook_add(l, &b.hook);
	loop_hook_add(l, &c.hook);
	loop_defer(l, &t.task);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "tac");
	loop_hook_del(&a.hook);
	loop_hook_del(&b.hook);
	loop_hook_del(&c.hook);
	loop_free(l);
}

static void
stop_run(struct loop_task *t)
{
	struct letter *x = container_of(t, struct letter, task);

	note(x->c);
	loop_stop(x->l);
}

static void
stop_ends_run(void **state)
{
	struct loop *l = new_loop(false);
	struct letter a = {{stop_run}, 'a', l};

	loop_defer(l, &a.task);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(trace, "a");
	loop_stop(l); /* before the run */
	assert_int_equal(loop_run(l), 0);
	loop_free(l);
}

struct catcher {
	struct loop_signal signal;
	bool done;
};

static void
catcher_caught(struct loop_signal *s, int signo)
{
	struct catcher *c = container_of(s, struct catcher, signal);

	assert_int_equal(signo, SIGUSR1);
	loop_signal_del(s);
	c->done = true;
}

static void
signals_arrive_by_the_loop(void **state)
{
	struct loop *l = new_loop(false);
	struct catcher c = {{catcher_caught}};
	const int signos[] = {SIGUSR1, SIGUSR2, 0};
	struct err e = ERR_INIT;

	assert_int_equal(loop_signal_add(l, &c.signal, signos, &e), 0);
	raise(SIGUSR1);
	assert_int_equal(loop_run_until(l, &c.done), 0);
	loop_signal_del(&c.signal);
	loop_free(l);
}

static void
virtual_time_reports_a_hang(void **state)
{
	struct loop *l = new_loop(true);
	bool never = false;

	assert_int_equal(loop_run_until(l, &never), -EDEADLK);
	loop_free(l);
}

static void *
late_poster(void *arg)
{
	struct letter *x = arg;

	usleep(20000);
	loop_post(x->l, &x->task);
	return NULL;
}

/* An hour passes at once, but not while a thread is at work for us. */
static void
virtual_time_waits_while_held(void **state)
{
	struct loop *l = new_loop(true);
	bool done = false, posted = false;
	struct letter t = {{letter_run}, 't', l, NULL, &posted};
	struct alarm_clock z = {{alarm_fire}, 'z', l, NULL, 0, 0, &done};
	pthread_t thread;

	loop_hold(l);
	loop_timer_set(l, &z.timer, loop_now(l) + 3600 * NS_PER_S);
	assert_int_equal(pthread_create(&thread, NULL, late_poster, &t), 0);
	assert_int_equal(loop_run_until(l, &posted), 0);
	loop_unhold(l);
	assert_int_equal(loop_run_until(l, &done), 0);
	assert_string_equal(trace, "tz");
	pthread_join(thread, NULL);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(time_goes_on_between_runs),
	    cmocka_unit_test(tasks_run_in_order_and_once),
	    cmocka_unit_test(task_may_defer_itself_for_ever),
	    cmocka_unit_test(tasks_are_taken_back),
	    cmocka_unit_test(timers_fire_by_time_then_by_arming),
	    cmocka_unit_test(timer_is_moved_and_cancelled),
	    cmocka_unit_test(timer_cannot_starve),
	    cmocka_unit_test(heap_keeps_order_under_random_use),
	    cmocka_unit_test(real_timer_waits),
	    cmocka_unit_test(descriptor_is_level_triggered),
	    cmocka_unit_test(pending_ready_is_not_called_after_del),
	    cmocka_unit_test(descriptor_errors_are_reported),
	    cmocka_unit_test(posts_from_threads_arrive_in_order),
	    cmocka_unit_test(no_wake_is_lost),
	    cmocka_unit_test(loop_belongs_to_the_thread_that_runs_it),
	    cmocka_unit_test(hooks_run_before_the_wait),
	    cmocka_unit_test(stop_ends_run),
	    cmocka_unit_test(signals_arrive_by_the_loop),
	    cmocka_unit_test(virtual_time_reports_a_hang),
	    cmocka_unit_test(virtual_time_waits_while_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
