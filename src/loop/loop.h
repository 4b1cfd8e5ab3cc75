/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/*
 * The event loop: one thread, epoll, timers, deferred tasks and a mailbox.
 *
 * A loop belongs to the thread that runs it; every function here except
 * loop_post is called on that thread (or before the first run).  Callbacks run
 * one at a time and must not block.  All structs here are embedded in, and
 * owned by, their user; while one is armed the loop borrows it.
 *
 * A turn of the loop: tasks that were deferred or posted, then timers that are
 * due, then "before wait" hooks, then epoll, then the callbacks of ready
 * descriptors.
 */
struct err;
struct loop;

/* virtual: for simulations.  When nothing else is left to do the clock jumps to
 * the next timer instead of waiting; it starts at 1 s.  With no timer either,
 * no descriptor and no loop_hold, a run ends with -EDEADLK. */
struct loop *loop_new(struct err *e);
struct loop *loop_new_virtual(struct err *e);
/* Nothing may be armed any more; accepts NULL. */
void loop_free(struct loop *l);

/* Run turns until loop_stop.  0, or a negative errno of epoll.  Not from inside
 * a callback of the same loop.  A loop_stop before the run ends it at once. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* The calling thread serves others: it wishes to run soon after it wakes, and
 * for short times.  Never fails. */
void loop_be_prompt(void);
/* Run turns until *done is true (the synchronous tools' way to wait); heeds no
 * loop_stop. */
int loop_run_until(struct loop *l, const bool *done);

/* Of a virtual loop: its thread does not run for so long (the process is
 * stopped, the machine sleeps), and then finds that it is late. */
void loop_skip(struct loop *l, int64_t ns);

/* The thread that runs l is the caller's (true as well while none runs it). */
bool loop_is_mine(const struct loop *l);

/* Monotonic time, read once per turn (and at each call between runs). */
int64_t loop_now(const struct loop *l);

/* --- descriptors ------------------------------------------------------- */
struct loop_fd {
	/* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP that are ready. */
	void (*ready)(struct loop_fd *w, uint32_t events);
	int fd;
	uint32_t events;   /* level-triggered; 0 while not armed */
	struct loop *loop; /* NULL while not armed */
};

/* Begin to watch; ready must be set and loop NULL (a zeroed struct).  -ENOMEM,
 * -EPERM (a file that cannot be polled), -EEXIST ... */
int loop_fd_add(struct loop *l, struct loop_fd *w, int fd, uint32_t events);
int loop_fd_set(struct loop_fd *w, uint32_t events);
/* Stop watching; before the descriptor is closed; harmless if not watching.
 * From inside any callback, its own too: a pending ready() of this turn is then
 * not called. */
void loop_fd_del(struct loop_fd *w);

/* --- timers -------------------------------------------------------------- */
struct loop_timer {
	void (*fire)(struct loop_timer *t);
	int64_t due_ns;
	struct loop *loop; /* NULL while not armed */
	uint32_t slot;	   /* in the heap */
};

/* Fire once at due_ns (as loop_now counts), on a later turn.  An armed timer
 * is moved.  -ENOMEM only when more timers are armed than ever before. */
int loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_ns);
void loop_timer_cancel(struct loop_timer *t); /* harmless if not armed */
static inline bool
loop_timer_armed(const struct loop_timer *t)
{
	return t->loop != NULL;
}

/* --- tasks --------------------------------------------------------------- */
struct loop_task {
	void (*run)(struct loop_task *t);
	struct loop_task *next;
	bool queued;
};

/* Run t soon, in order, never from inside this call.  Cannot fail.  A task
 * that is queued already stays where it is. */
void loop_defer(struct loop *l, struct loop_task *t);
/* The same from any thread; wakes the loop. */
void loop_post(struct loop *l, struct loop_task *t);
/* Take t back before it runs (for tearing down: it searches); harmless if it is
 * not queued.  Nobody posts t meanwhile. */
void loop_cancel(struct loop *l, struct loop_task *t);

/* Run before every wait, for those who collect work in a turn to hand it to
 * the kernel at once (io_uring). */
struct loop_hook {
	void (*run)(struct loop_hook *h);
	struct list link;
	struct loop *loop; /* NULL while not added */
};
void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_del(struct loop_hook *h); /* harmless if not added */

/* Something that the loop does not know will come by loop_post (a thread, the
 * kernel): until loop_unhold, virtual time stands still.  Real time does not
 * care.  work.h and fileio.h do this by themselves. */
void loop_hold(struct loop *l);
void loop_unhold(struct loop *l);

/* --- signals -------------------------------------------------------------- */
struct loop_signal {
	void (*caught)(struct loop_signal *s, int signo);
	struct loop_fd watch; /* of a signalfd */
};
/* Receive these signals by the loop (they are blocked in this thread, so call
 * it before other threads are started).  signos ends with 0.  They stay blocked
 * after loop_signal_del. */
int loop_signal_add(
    struct loop *l, struct loop_signal *s, const int *signos, struct err *e);
void loop_signal_del(struct loop_signal *s);

#endif
