/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skew: a wrong clock, for one program.  Preloaded, it moves the wall clock
 * by SKEW_SECONDS; other clocks run as they do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *t);

static time_t
skew(void)
{
	const char *s = getenv("SKEW_SECONDS");

	return s != NULL ? atoll(s) : 0;
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
		    "clock_gettime");
	rc = real(clock, t);
	if (rc == 0 && clock == CLOCK_REALTIME)
		t->tv_sec += skew();
	return rc;
}

time_t
time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}
