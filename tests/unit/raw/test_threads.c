/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real pool on image files, with sixteen threads that put, get and sync by
 * way of its loop.  Each object has one thread that writes it, in versions 1, 2,
 * ...; all read all of them.  A read returns a version whole, not older than the
 * last one that was answered before it began, not newer than the last one that
 * was begun before it ended, and not older than what this thread has read
 * before: that is, each object behaves as if it were read and written by one
 * after the other.  For ThreadSanitizer, too.
 */
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/must.h"
#include "loop/fileio.h"
#include "loop/work.h"
#include "raw/make.h"
#include "raw/open.h"
#include "raw/pool.h"

#define NTHREADS 16
#define NOPS 120
#define SIZE 20000u

static struct loop *loop;
static struct pool *pool;
static bool all_done;
static struct loop_task end;
static atomic_uint running = NTHREADS;
static atomic_ulong reads, writes, syncs;
static atomic_uint begun[NTHREADS], answered[NTHREADS];

struct client {
	pthread_t thread;
	unsigned number, seen[NTHREADS];
	uint64_t seed;
	struct loop_task task;
	struct pool_req req;
	struct pool_item item;
	uint8_t *data;
	sem_t done;
	const char *wrong;
};

static void
answer(struct pool_req *r)
{
	struct client *c = r->arg;

	sem_post(&c->done);
}

static void
begin(struct loop_task *t)
{
	struct client *c = container_of(t, struct client, task);

	pool_submit(pool, &c->req);
}

static int
ask(struct client *c, enum pool_op op, unsigned key, unsigned nitems)
{
	char name[16];

	snprintf(name, sizeof(name), "object%u", key);
	c->item.key = name;
	c->item.data = c->data;
	c->item.size = SIZE;
	c->req = (struct pool_req){.op = op,
	    .items = &c->item,
	    .nitems = nitems,
	    .dst = c->data,
	    .dst_cap = 2 * SIZE,
	    .done = answer,
	    .arg = c};
	c->task = (struct loop_task){.run = begin};
	loop_post(loop, &c->task);
	while (sem_wait(&c->done) < 0)
		continue;
	return c->req.rc;
}

static void
fill(uint8_t *p, unsigned key, unsigned version)
{
	uint32_t x = key * 1000003u + version;

	memcpy(p, &version, 4);
	for (unsigned i = 4; i < SIZE; i++)
		p[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
}

static bool
write_own(struct client *c)
{
	unsigned v = atomic_load(&begun[c->number]) + 1;

	fill(c->data, c->number, v);
	atomic_store(&begun[c->number], v);
	if (ask(c, POOL_PUT, c->number, 1) < 0)
		return false;
	atomic_store(&answered[c->number], v);
	atomic_fetch_add(&writes, 1);
	return true;
}

static bool
read_any(struct client *c, unsigned key)
{
	unsigned low = atomic_load(&answered[key]), v, high;
	uint8_t *want = malloc(SIZE);
	int rc = ask(c, POOL_GET, key, 1);
	bool good = true;

	must(want);
	high = atomic_load(&begun[key]);
	if (rc == -ENOENT) {
		good = low == 0 && c->seen[key] == 0;
	} else if (rc == 0) {
		memcpy(&v, c->data, 4);
		fill(want, key, v);
		good = c->req.size == SIZE &&
		    memcmp(want, c->data, SIZE) == 0 && v >= low &&
		    v <= high && v >= c->seen[key];
		c->seen[key] = v;
	} else {
		good = false;
	}
	atomic_fetch_add(&reads, 1);
	free(want);
	return good;
}

static void
end_run(struct loop_task *t)
{
	all_done = true;
}

static void *
run(void *arg)
{
	struct client *c = arg;

	for (unsigned i = 0; i < NOPS && !c->wrong; i++) {
		unsigned x = (unsigned)((c->seed = c->seed *
						6364136223846793005ull +
					    1442695040888963407ull) >>
		    33);

		if (x % 10 < 4) {
			if (!write_own(c))
				c->wrong = "a put failed";
		} else if (x % 10 < 9) {
			if (!read_any(c, x / 10 % NTHREADS))
				c->wrong = "a read is not right";
		} else {
			if (ask(c, POOL_SYNC, 0, 0) < 0)
				c->wrong = "a sync failed";
			atomic_fetch_add(&syncs, 1);
		}
	}
	if (atomic_fetch_sub(&running, 1) == 1) {
		end.run = end_run;
		loop_post(loop, &end);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	char dir[] = "/tmp/pail-threads.XXXXXX", path[3][64], *paths[3];
	struct raw_make_params mp = {
	    .k = 2, .m = 1, .name = "threads", .size = 64 << 20, .sparse = true};
	struct pool_open_params op = {.read_only = false};
	struct client *c = calloc(NTHREADS, sizeof(*c));
	struct err e = ERR_INIT;
	struct work_pool *workers;
	struct fileio *io;
	char list[256];

	must(c && mkdtemp(dir));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%u", dir, i);
		paths[i] = path[i];
	}
	snprintf(list, sizeof(list), "%s,%s,%s", path[0], path[1], path[2]);
	loop = loop_new(&e);
	assert_non_null(loop);
	/* With worker threads: what they do is seen by ThreadSanitizer, what
	 * the kernel does is not. */
	workers = work_pool_new(4, &e);
	assert_non_null(workers);
	io = fileio_new(loop, workers, FILEIO_WORKERS, 64, &e);
	assert_non_null(io);
	if (raw_make(loop, io, paths, 3, &mp, &e) < 0 ||
	    raw_open_paths(loop, io, list, &op, &pool, &e) < 0)
		fail_msg("%s", err_text(&e));
	for (unsigned i = 0; i < NTHREADS; i++) {
		c[i].number = i;
		c[i].seed = i + 1;
		c[i].data = aligned_alloc(4096, 40960);
		must(c[i].data && sem_init(&c[i].done, 0, 0) == 0);
	}
	for (unsigned i = 0; i < NTHREADS; i++)
		must(pthread_create(&c[i].thread, NULL, run, &c[i]) == 0);
	assert_int_equal(loop_run_until(loop, &all_done), 0);
	for (unsigned i = 0; i < NTHREADS; i++) {
		pthread_join(c[i].thread, NULL);
		if (c[i].wrong)
			fail_msg("thread %u: %s", i, c[i].wrong);
		sem_destroy(&c[i].done);
		free(c[i].data);
	}
	print_message("%u threads: %lu puts, %lu gets, %lu syncs\n", NTHREADS,
	    writes, reads, syncs);
	if (pool_close(pool, &e) < 0)
		fail_msg("%s", err_text(&e));
	fileio_free(io);
	work_pool_free(workers);
	loop_free(loop);
	for (unsigned i = 0; i < 3; i++)
		unlink(path[i]);
	rmdir(dir);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
