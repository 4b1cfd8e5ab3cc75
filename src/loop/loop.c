/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c: one thread, epoll, timers, tasks and a mailbox; see loop.h and
 * docs/loop.md.
 *
 * A turn is: deferred and posted tasks, due timers, hooks, one epoll wait, and
 * the callbacks of ready descriptors.  The clock is read once, after the wait.
 *
 * Tasks are an intrusive queue: deferring one costs a few stores and never a
 * system call.  While any is queued the wait does not sleep.  A turn runs the
 * tasks that tasks have deferred too, for TASK_ROUNDS rounds, so that a request
 * that goes through several layers by a task each does not pay for an epoll
 * call at every one of them; the limit keeps descriptors and timers served.
 *
 * The mailbox is a stack that other threads push to with a compare-and-swap
 * and that the loop empties with one exchange.  `asleep` says that the loop is
 * about to sleep or does; only then is an eventfd written.  Poster: push, then
 * take the flag; loop: set the flag, then look for mail.  Both are sequentially
 * consistent, so at least one of the two sees the other, and no wake is lost.
 * The eventfd is watched edge-triggered, so it is never read.  A posted task
 * may have run, and have made its user free the loop, before the poster is done
 * with the flag: loop_free waits for `posting` to become 0.
 *
 * Timers are a heap (heap.c), ordered by time and then by arming.  A time in
 * the past is taken as now, and a timer that is armed while timers are fired
 * waits for the next turn: no timer can starve another.
 *
 * Virtual time: the clock moves only when there is nothing else to do, to the
 * next timer.  A loop with nothing at all to wait for would hang, which is a
 * bug of the simulation: the run ends with -EDEADLK.
 *
 * Failure: only arming can fail (memory, a descriptor that cannot be polled).
 */
#include "loop/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "loop/heap.h"

#define EVENTS_MAX 256
#define TASK_ROUNDS 8

struct loop {
	bool virtual_time;
	int epfd;
	int wakefd;
	bool no_pwait2; /* the kernel has none: whole milliseconds */

	/* The address of a thread-local variable of the thread that runs the
	 * loop; NULL while none does.  Atomic: others compare it with theirs.
	 */
	const char *owner;
	bool stop;
	int64_t now_ns;

	/* Deferred tasks: a queue; and what is left of the round that runs. */
	struct loop_task *first, **last;
	struct loop_task *round;

	/* Posted tasks: a stack, newest first.  Atomic, written by others, so
	 * on cache lines of its own. */
	_Alignas(64) struct loop_task *mail;
	bool asleep;	  /* atomic */
	unsigned posting; /* atomic: threads inside loop_post */

	_Alignas(64) struct timer_heap timers;

	struct list hooks;
	struct list *next_hook; /* while hooks run: loop_hook_del moves it */
	unsigned nfds;		/* without our own */
	unsigned holds;

	/* What epoll gave us in this turn; loop_fd_del clears data.ptr. */
	int nready, next_ready;
	struct epoll_event ready[EVENTS_MAX];
};

static _Thread_local char this_thread;

/* --- life ----------------------------------------------------------------- */

static struct loop *new (bool virtual_time, struct err *e)
{
	/* data.ptr NULL: the mailbox, or a watch that was taken away. */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	struct loop *l = aligned_alloc(64, sizeof(*l));
	int rc;

	if (!l) {
		err_set(e, -ENOMEM, "event loop: no memory");
		return NULL;
	}
	memset(l, 0, sizeof(*l));
	l->virtual_time = virtual_time;
	l->last = &l->first;
	list_init(&l->hooks);
	l->now_ns = virtual_time ? NS_PER_S : clock_mono_ns();
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		rc = -errno;
		err_errno(e, rc, "event loop: epoll_create1");
		goto free_loop;
	}
	l->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wakefd < 0) {
		rc = -errno;
		err_errno(e, rc, "event loop: eventfd");
		goto close_epfd;
	}
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) < 0) {
		rc = -errno;
		err_errno(e, rc, "event loop: watch the mailbox");
		goto close_wakefd;
	}
	return l;

close_wakefd:
	close(l->wakefd);
close_epfd:
	close(l->epfd);
free_loop:
	free(l);
	return NULL;
}

struct loop *
loop_new(struct err *e)
{
	return new (false, e);
}

struct loop *
loop_new_virtual(struct err *e)
{
	return new (true, e);
}

void
loop_free(struct loop *l)
{
	if (!l)
		return;
	while (__atomic_load_n(&l->posting, __ATOMIC_ACQUIRE) > 0)
		sched_yield(); /* a few instructions of another thread */
	must(!l->owner);
	must(l->timers.n == 0);
	must(l->nfds == 0);
	must(l->holds == 0);
	must(!l->first);
	must(!__atomic_load_n(&l->mail, __ATOMIC_ACQUIRE));
	must(list_empty(&l->hooks));
	close(l->wakefd);
	close(l->epfd);
	timer_heap_fini(&l->timers);
	free(l);
}

bool
loop_is_mine(const struct loop *l)
{
	const char *owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	return !owner || owner == &this_thread;
}

int64_t
loop_now(const struct loop *l)
{
	/* Between runs nobody keeps now_ns up to date, and a tool that asks
	 * for something then must not get deadlines of long ago. */
	if (!l->virtual_time && !__atomic_load_n(&l->owner, __ATOMIC_RELAXED))
		return clock_mono_ns();
	return l->now_ns;
}

void
loop_skip(struct loop *l, int64_t ns)
{
	must(l->virtual_time && ns >= 0);
	l->now_ns += ns;
}

/* --- tasks ---------------------------------------------------------------- */

void
loop_defer(struct loop *l, struct loop_task *t)
{
	if (__atomic_exchange_n(&t->queued, true, __ATOMIC_ACQ_REL))
		return;
	t->next = NULL;
	*l->last = t;
	l->last = &t->next;
}

void
loop_post(struct loop *l, struct loop_task *t)
{
	static const uint64_t one = 1;
	struct loop_task *head;

	if (__atomic_load_n(&l->owner, __ATOMIC_RELAXED) == &this_thread) {
		loop_defer(l, t);
		return;
	}
	if (__atomic_exchange_n(&t->queued, true, __ATOMIC_ACQ_REL))
		return;
	__atomic_fetch_add(&l->posting, 1, __ATOMIC_RELAXED);
	head = __atomic_load_n(&l->mail, __ATOMIC_RELAXED);
	do
		t->next = head;
	while (!__atomic_compare_exchange_n(
	    &l->mail, &head, t, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	/* From here t may have run already. */
	if (__atomic_exchange_n(&l->asleep, false, __ATOMIC_SEQ_CST)) {
		ssize_t n = write(l->wakefd, &one, sizeof(one));

		must(n == sizeof(one));
	}
	__atomic_fetch_sub(&l->posting, 1, __ATOMIC_RELEASE);
}

static bool
has_mail(struct loop *l)
{
	return __atomic_load_n(&l->mail, __ATOMIC_SEQ_CST) != NULL;
}

/* Append what was posted to the queue, oldest first. */
static void
take_mail(struct loop *l)
{
	struct loop_task *newest, *oldest = NULL, *next;

	if (!__atomic_load_n(&l->mail, __ATOMIC_RELAXED))
		return;
	newest = __atomic_exchange_n(&l->mail, NULL, __ATOMIC_ACQUIRE);
	for (struct loop_task *t = newest; t; t = next) {
		next = t->next;
		t->next = oldest;
		oldest = t;
	}
	*l->last = oldest;
	l->last = &newest->next;
}

/* Take t out of the list at *at; false if it is not there.  *last is moved if
 * it was the last one. */
static bool
unlink_task(
    struct loop_task **at, struct loop_task *t, struct loop_task ***last)
{
	for (; *at; at = &(*at)->next) {
		if (*at != t)
			continue;
		*at = t->next;
		if (last && *last == &t->next)
			*last = at;
		return true;
	}
	return false;
}

void
loop_cancel(struct loop *l, struct loop_task *t)
{
	if (!__atomic_load_n(&t->queued, __ATOMIC_ACQUIRE))
		return;
	take_mail(l);
	if (!unlink_task(&l->first, t, &l->last))
		must(unlink_task(&l->round, t, NULL));
	__atomic_store_n(&t->queued, false, __ATOMIC_RELEASE);
}

/*
 * Run all tasks that are queued now; those that they defer wait for the next
 * round.  A task is its user's again when run is called: it may be freed there,
 * or queued again, even by another thread, so next is read before.
 */
static void
run_task_round(struct loop *l)
{
	struct loop_task *t;

	l->round = l->first;
	l->first = NULL;
	l->last = &l->first;
	while ((t = l->round)) {
		l->round = t->next;
		__atomic_store_n(&t->queued, false, __ATOMIC_RELEASE);
		t->run(t);
	}
}

static void
run_tasks(struct loop *l, const bool *end)
{
	for (unsigned i = 0; i < TASK_ROUNDS && !*end; i++) {
		take_mail(l);
		if (!l->first)
			return;
		run_task_round(l);
	}
}

/* --- timers ----------------------------------------------------------------
 */

int
loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_ns)
{
	int rc;

	must(!t->loop || t->loop == l);
	rc = timer_heap_set(&l->timers, t, t->loop != NULL,
	    due_ns > l->now_ns ? due_ns : l->now_ns);
	if (rc < 0)
		return rc;
	t->due_ns = due_ns;
	t->loop = l;
	return 0;
}

void
loop_timer_cancel(struct loop_timer *t)
{
	struct loop *l = t->loop;

	if (!l)
		return;
	timer_heap_remove(&l->timers, t);
	t->loop = NULL;
}

static void
run_timers(struct loop *l)
{
	uint64_t before = l->timers.seq;
	struct loop_timer *t;

	while ((t = timer_heap_due(&l->timers, l->now_ns, before))) {
		loop_timer_cancel(t);
		t->fire(t);
	}
}

/* --- descriptors ---------------------------------------------------------- */

int
loop_fd_add(struct loop *l, struct loop_fd *w, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	must(!w->loop);
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	w->loop = l;
	w->fd = fd;
	w->events = events;
	l->nfds++;
	return 0;
}

int
loop_fd_set(struct loop_fd *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (w->events == events)
		return 0;
	if (epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev) < 0)
		return -errno;
	w->events = events;
	return 0;
}

void
loop_fd_del(struct loop_fd *w)
{
	struct loop *l = w->loop;

	if (!l)
		return;
	/* Fails only for a descriptor that is closed, which epoll has then
	 * forgotten by itself. */
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = l->next_ready; i < l->nready; i++)
		if (l->ready[i].data.ptr == w)
			l->ready[i].data.ptr = NULL;
	w->loop = NULL;
	w->events = 0;
	l->nfds--;
}

static void
run_ready(struct loop *l)
{
	while (l->next_ready < l->nready) {
		struct epoll_event *ev = &l->ready[l->next_ready++];
		struct loop_fd *w = ev->data.ptr;
		uint32_t events;

		if (!w)
			continue;
		/* A callback of this turn may have asked for less. */
		events = ev->events & (w->events | EPOLLERR | EPOLLHUP);
		if (events)
			w->ready(w, events);
	}
	l->nready = l->next_ready = 0;
}

/* --- hooks ---------------------------------------------------------------- */

void
loop_hook_add(struct loop *l, struct loop_hook *h)
{
	list_push_back(&l->hooks, &h->link);
	h->loop = l;
}

void
loop_hook_del(struct loop_hook *h)
{
	if (!h->loop)
		return;
	if (h->loop->next_hook == &h->link)
		h->loop->next_hook = h->link.next;
	list_del(&h->link);
	h->loop = NULL;
}

static void
run_hooks(struct loop *l)
{
	l->next_hook = l->hooks.next;
	while (l->next_hook != &l->hooks) {
		struct loop_hook *h =
		    list_entry(l->next_hook, struct loop_hook, link);

		l->next_hook = l->next_hook->next;
		h->run(h);
	}
	l->next_hook = NULL;
}

/* --- the turn ------------------------------------------------------------- */

void
loop_hold(struct loop *l)
{
	l->holds++;
}

void
loop_unhold(struct loop *l)
{
	must(l->holds > 0);
	l->holds--;
}

/* epoll_wait for wait_ns (-1: for ever); how many are ready, or -errno. */
static int
wait_events(struct loop *l, int64_t wait_ns)
{
	struct timespec ts = {wait_ns / NS_PER_S, wait_ns % NS_PER_S};
	int n, ms;

	if (wait_ns > 0 && !l->no_pwait2) {
		n = epoll_pwait2(l->epfd, l->ready, EVENTS_MAX, &ts, NULL);
		/* EPERM: a container's filter that does not know the call. */
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			goto out;
		l->no_pwait2 = true;
	}
	if (wait_ns < 0)
		ms = -1;
	else if (wait_ns > 3600 * NS_PER_S)
		ms = 3600 * 1000;
	else
		ms = (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
	n = epoll_wait(l->epfd, l->ready, EVENTS_MAX, ms);
out:
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

/* How long to sleep: 0 while there is something to do, -1 for ever. */
static int64_t
wait_time(struct loop *l)
{
	int64_t due_ns;

	if (l->first)
		return 0;
	if (l->timers.n == 0)
		return -1;
	due_ns = timer_heap_first(&l->timers);
	return due_ns > l->now_ns ? due_ns - l->now_ns : 0;
}

static int
wait_real(struct loop *l)
{
	int64_t wait_ns = wait_time(l);
	int rc;

	if (wait_ns > 0) {
		/* The turn has taken time; only a sleeper need know. */
		l->now_ns = clock_mono_ns();
		wait_ns = wait_time(l);
	}
	if (wait_ns != 0) {
		__atomic_store_n(&l->asleep, true, __ATOMIC_SEQ_CST);
		if (has_mail(l))
			wait_ns = 0;
	}
	rc = wait_events(l, wait_ns);
	__atomic_store_n(&l->asleep, false, __ATOMIC_RELAXED);
	l->now_ns = clock_mono_ns();
	return rc;
}

static int
wait_virtual(struct loop *l)
{
	int64_t wait_ns = wait_time(l);
	int rc = wait_events(l, 0);

	if (rc != 0 || wait_ns == 0 || has_mail(l))
		return rc;
	if (l->holds == 0 && wait_ns > 0) {
		l->now_ns += wait_ns;
		return 0;
	}
	if (l->holds == 0 && l->nfds == 0)
		return -EDEADLK;
	__atomic_store_n(&l->asleep, true, __ATOMIC_SEQ_CST);
	rc = wait_events(l, has_mail(l) ? 0 : -1);
	__atomic_store_n(&l->asleep, false, __ATOMIC_RELAXED);
	return rc;
}

/* until: NULL, or ends the run when it is true. */
static int
run(struct loop *l, const bool *until)
{
	const bool *end = until ? until : &l->stop;
	int rc = 0;

	must(!l->owner); /* not from inside a callback, nor on two threads */
	__atomic_store_n(&l->owner, &this_thread, __ATOMIC_RELAXED);
	if (!l->virtual_time)
		l->now_ns = clock_mono_ns();
	while (!*end) {
		run_tasks(l, end);
		if (*end)
			break;
		run_timers(l);
		if (*end)
			break;
		run_hooks(l);
		if (*end)
			break;
		rc = l->virtual_time ? wait_virtual(l) : wait_real(l);
		if (rc < 0)
			break;
		l->nready = rc;
		run_ready(l);
		rc = 0;
	}
	__atomic_store_n(&l->owner, NULL, __ATOMIC_RELAXED);
	return rc;
}

int
loop_run(struct loop *l)
{
	int rc = run(l, NULL);

	l->stop = false;
	return rc;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

int
loop_run_until(struct loop *l, const bool *done)
{
	return run(l, done);
}
