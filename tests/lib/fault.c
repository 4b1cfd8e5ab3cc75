/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c: the n'th allocation or system call fails; see fault.h.
 *
 * The linker turns malloc(n) into __wrap_malloc(n), which counts, and the real
 * one into __real_malloc.  One counter counts down for allocations and one for
 * system calls; the one that brings it to zero fails.
 */
#include "lib/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned mallocs_left, calls_left; /* atomic; 0: not armed */
static int call_error;
static bool hit; /* atomic */

static _Thread_local unsigned paused;

void
fault_pause(bool pause)
{
	if (pause)
		paused++;
	else
		paused--;
}

/* Count one down; true if it is the one. */
static bool
strike(unsigned *left)
{
	unsigned n = __atomic_load_n(left, __ATOMIC_RELAXED);

	if (paused > 0)
		return false;
	while (n > 0)
		if (__atomic_compare_exchange_n(left, &n, n - 1, false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
	if (n != 1)
		return false;
	__atomic_store_n(&hit, true, __ATOMIC_RELAXED);
	return true;
}

void
fault_malloc_arm(unsigned n)
{
	__atomic_store_n(&hit, false, __ATOMIC_RELAXED);
	__atomic_store_n(&mallocs_left, n, __ATOMIC_RELAXED);
}

void
fault_call_arm(unsigned n, int error)
{
	__atomic_store_n(&hit, false, __ATOMIC_RELAXED);
	call_error = error;
	__atomic_store_n(&calls_left, n, __ATOMIC_RELAXED);
}

bool
fault_hit(void)
{
	return __atomic_load_n(&hit, __ATOMIC_RELAXED);
}

/* --- what is wrapped ---------------------------------------------------------
 */

/* WRAP_...(name, parameters, arguments) */
#define WRAP_MALLOC(name, params, args)      \
	void *__real_##name params;          \
	void *__wrap_##name params;          \
	void *__wrap_##name params           \
	{                                    \
		if (strike(&mallocs_left)) { \
			errno = ENOMEM;      \
			return NULL;         \
		}                            \
		return __real_##name args;   \
	}

WRAP_MALLOC(malloc, (size_t n), (n))
WRAP_MALLOC(calloc, (size_t n, size_t size), (n, size))
WRAP_MALLOC(realloc, (void *p, size_t n), (p, n))
WRAP_MALLOC(reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP_MALLOC(aligned_alloc, (size_t align, size_t n), (align, n))
WRAP_MALLOC(strdup, (const char *s), (s))
WRAP_MALLOC(strndup, (const char *s, size_t n), (s, n))

int __real_posix_memalign(void **p, size_t align, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
int
__wrap_posix_memalign(void **p, size_t align, size_t n)
{
	return strike(&mallocs_left) ? ENOMEM
				     : __real_posix_memalign(p, align, n);
}

int __real_vasprintf(char **s, const char *fmt, va_list ap);
int __wrap_vasprintf(char **s, const char *fmt, va_list ap);
int
__wrap_vasprintf(char **s, const char *fmt, va_list ap)
{
	return strike(&mallocs_left) ? -1 : __real_vasprintf(s, fmt, ap);
}

__attribute__((format(printf, 2, 3))) int __wrap_asprintf(
    char **s, const char *fmt, ...);
int
__wrap_asprintf(char **s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(s, fmt, ap);
	va_end(ap);
	return n;
}

/* A call that sets errno and returns -1. */
#define WRAP_CALL(type, name, params, args) \
	type __real_##name params;          \
	type __wrap_##name params;          \
	type __wrap_##name params           \
	{                                   \
		if (strike(&calls_left)) {  \
			errno = call_error; \
			return -1;          \
		}                           \
		return __real_##name args;  \
	}

WRAP_CALL(int, epoll_create1, (int flags), (flags))
WRAP_CALL(int, eventfd, (unsigned n, int flags), (n, flags))
WRAP_CALL(
    int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
WRAP_CALL(int, fstat, (int fd, struct stat *st), (fd, st))
WRAP_CALL(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))

/* Taking a watch away is not expected to fail. */
int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int
__wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	if (op != EPOLL_CTL_DEL && strike(&calls_left)) {
		errno = call_error;
		return -1;
	}
	return __real_epoll_ctl(epfd, op, fd, ev);
}

/* These return the error: as errno, or as -errno. */
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr,
    void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
    void *(*start)(void *), void *arg);
int
__wrap_pthread_create(
    pthread_t *t, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	return strike(&calls_left) ? call_error
				   : __real_pthread_create(t, attr, start, arg);
}

int __real_io_uring_queue_init_params(
    unsigned n, struct io_uring *ring, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(
    unsigned n, struct io_uring *ring, struct io_uring_params *p);
int
__wrap_io_uring_queue_init_params(
    unsigned n, struct io_uring *ring, struct io_uring_params *p)
{
	return strike(&calls_left)
		   ? -call_error
		   : __real_io_uring_queue_init_params(n, ring, p);
}

int __real_io_uring_register_eventfd(struct io_uring *ring, int fd);
int __wrap_io_uring_register_eventfd(struct io_uring *ring, int fd);
int
__wrap_io_uring_register_eventfd(struct io_uring *ring, int fd)
{
	return strike(&calls_left) ? -call_error
				   : __real_io_uring_register_eventfd(ring, fd);
}

/* --- runs --------------------------------------------------------------------
 */

/* More than any scenario has: one that never gets clean is a fault of its own.
 */
#define RUNS_MAX 100000

static unsigned
each(fault_scenario *f, void *arg, bool calls, int error, bool tolerant)
{
	for (unsigned n = 1; n < RUNS_MAX; n++) {
		bool failed;
		int rc;

		if (calls)
			fault_call_arm(n, error);
		else
			fault_malloc_arm(n);
		rc = f(arg);
		failed = fault_hit();
		fault_malloc_arm(0);
		fault_call_arm(0, 0);
		if (failed && (rc == -error || (rc == 0 && tolerant)))
			continue;
		if (failed || rc != 0)
			fail_msg("%s %u %s: the scenario returned %d (%s)",
			    calls ? "call" : "allocation", n,
			    failed ? "failed" : "and all before it succeeded",
			    rc, strerror(-rc));
		return n;
	}
	fail_msg("after %d runs there is still something to fail", RUNS_MAX);
	return 0;
}

unsigned
fault_each_malloc(fault_scenario *f, void *arg)
{
	return each(f, arg, false, ENOMEM, false);
}

unsigned
fault_each_malloc_tolerant(fault_scenario *f, void *arg)
{
	return each(f, arg, false, ENOMEM, true);
}

unsigned
fault_each_call(fault_scenario *f, void *arg, int error)
{
	return each(f, arg, true, error, false);
}
