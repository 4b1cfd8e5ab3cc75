/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loopbench.c: what the parts of loop/ and base/ that every request goes
 * through cost, in ns, beside the cheapest thing that does the same.
 *
 *	tests/bench/loopbench [NAME...]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "base/must.h"
#include "loop/fileio.h"
#include "loop/loop.h"
#include "loop/work.h"

static struct loop *l;

/* Time for n times of what. */
static void
show(const char *what, uint64_t n, int64_t ns)
{
	double each = (double)ns / (double)n;

	printf("%-52s %10.1f ns %12.0f /s\n", what, each, 1e9 / each);
	fflush(stdout);
}

/* What goes round: each is sent out again until left is 0. */
struct round {
	uint64_t left;
	unsigned out;
	bool done;
};

/* One came back; true: send it out again. */
static bool
round_back(struct round *r)
{
	if (r->left > 0) {
		r->left--;
		return true;
	}
	if (--r->out == 0)
		r->done = true;
	return false;
}

/* --- tasks ------------------------------------------------------------------
 */

#define NDEFERS 20000000

struct chain {
	struct loop_task task;
	struct round *round;
};

static void
chain_run(struct loop_task *t)
{
	struct chain *c = container_of(t, struct chain, task);

	if (round_back(c->round))
		loop_defer(l, t);
}

static void
bench_defer(unsigned width)
{
	struct round round = {.left = NDEFERS, .out = width};
	struct chain v[64];
	char what[64];
	int64_t t0;

	for (unsigned i = 0; i < width; i++) {
		v[i] = (struct chain){{chain_run}, &round};
		loop_defer(l, &v[i].task);
	}
	t0 = clock_mono_ns();
	must(loop_run_until(l, &round.done) == 0);
	snprintf(what, sizeof(what), "defer: a task that defers itself, of %u",
	    width);
	show(what, NDEFERS, clock_mono_ns() - t0);
}

static void
defer(void)
{
	bench_defer(1);
	bench_defer(32);
}

/* --- descriptors -------------------------------------------------------------
 */

#define NREADY 2000000

struct counter {
	struct loop_fd watch;
	uint64_t left;
	bool done;
};

static void
counter_ready(struct loop_fd *w, uint32_t events)
{
	struct counter *c = container_of(w, struct counter, watch);

	if (--c->left == 0)
		c->done = true;
}

/* An eventfd that is always readable: the price of a turn. */
static void
fds(void)
{
	struct counter c = {{counter_ready}, NREADY};
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int64_t t0;

	must(fd >= 0 && ep >= 0);
	must(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
	t0 = clock_mono_ns();
	for (unsigned i = 0; i < NREADY; i++)
		must(epoll_wait(ep, &ev, 1, -1) == 1);
	show("fd: bare epoll_wait", NREADY, clock_mono_ns() - t0);

	must(loop_fd_add(l, &c.watch, fd, EPOLLIN) == 0);
	t0 = clock_mono_ns();
	must(loop_run_until(l, &c.done) == 0);
	show("fd: a turn with one ready descriptor", NREADY,
	    clock_mono_ns() - t0);
	loop_fd_del(&c.watch);
	close(fd);
	close(ep);
}

/* --- other threads -----------------------------------------------------------
 */

#define NPOSTS 2000000

struct poster {
	uint64_t left;
	bool done;
};

struct posted {
	struct loop_task task;
	struct poster *p;
};

static void
posted_run(struct loop_task *t)
{
	struct posted *x = container_of(t, struct posted, task);

	if (--x->p->left == 0)
		x->p->done = true;
}

static struct posted *posts;

static void *
post_all(void *arg)
{
	for (unsigned i = 0; i < NPOSTS; i++)
		loop_post(l, &posts[i].task);
	return NULL;
}

static void
post(void)
{
	struct poster p = {.left = NPOSTS};
	pthread_t thread;
	int64_t t0;

	posts = calloc(NPOSTS, sizeof(*posts));
	must(posts);
	for (unsigned i = 0; i < NPOSTS; i++)
		posts[i] = (struct posted){{posted_run}, &p};
	t0 = clock_mono_ns();
	must(pthread_create(&thread, NULL, post_all, NULL) == 0);
	must(loop_run_until(l, &p.done) == 0);
	show("post: tasks from another thread", NPOSTS, clock_mono_ns() - t0);
	pthread_join(thread, NULL);
	free(posts);
}

#define NWORKS 200000

struct bounce {
	struct work work;
	struct work_pool *pool;
	struct round *round;
};

static void
bounce_run(struct work *w)
{
}

static void
bounce_done(struct work *w)
{
	struct bounce *b = container_of(w, struct bounce, work);

	if (round_back(b->round))
		work_submit(b->pool, l, w);
}

static void
bench_work(struct work_pool *pool, unsigned width)
{
	struct round round = {.left = NWORKS, .out = width};
	struct bounce v[32];
	char what[64];
	int64_t t0 = clock_mono_ns();

	for (unsigned i = 0; i < width; i++) {
		v[i] = (struct bounce){.pool = pool, .round = &round};
		v[i].work.run = bounce_run;
		v[i].work.done = bounce_done;
		work_submit(pool, l, &v[i].work);
	}
	must(loop_run_until(l, &round.done) == 0);
	snprintf(what, sizeof(what), "work: to a thread and back, %u at a time",
	    width);
	show(what, NWORKS, clock_mono_ns() - t0);
}

static void
work(void)
{
	struct err e = ERR_INIT;
	struct work_pool *pool = work_pool_new(2, &e);

	must(pool);
	bench_work(pool, 1);
	bench_work(pool, 32);
	work_pool_free(pool);
}

/* --- timers ------------------------------------------------------------------
 */

#define NTIMERS 1000
#define NSETS 10000000

static void
never(struct loop_timer *t)
{
}

static void
timers(void)
{
	static struct loop_timer v[NTIMERS];
	int64_t t0 = clock_mono_ns();
	uint32_t r = 1;

	for (unsigned i = 0; i < NSETS; i++) {
		struct loop_timer *t = &v[i % NTIMERS];

		r = r * 1664525 + 1013904223;
		t->fire = never;
		must(loop_timer_set(l, t,
			 loop_now(l) + NS_PER_S + (int64_t)(r >> 8)) == 0);
	}
	show("timer: move one of 1000", NSETS, clock_mono_ns() - t0);
	for (unsigned i = 0; i < NTIMERS; i++)
		loop_timer_cancel(&v[i]);
}

/* --- memory ------------------------------------------------------------------
 */

#define NKEYS 1000000
#define NFINDS 20000000

static void
map(void)
{
	struct map m = MAP_INIT;
	uint64_t r = 88172645463325252u, found = 0;
	int64_t t0;

	must(map_reserve(&m, NKEYS) == 0);
	t0 = clock_mono_ns();
	for (uint64_t i = 0; i < NKEYS; i++)
		must(map_insert(&m, i * 3, &m) == 0);
	show("map: insert (of 1,000,000)", NKEYS, clock_mono_ns() - t0);
	t0 = clock_mono_ns();
	for (unsigned i = 0; i < NFINDS; i++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		found += map_find(&m, r % (3 * NKEYS)) != NULL;
	}
	show("map: find, anywhere, one of three is there", NFINDS,
	    clock_mono_ns() - t0);
	must(found > 0);
	t0 = clock_mono_ns();
	found = 0;
	for (unsigned i = 0; i < NFINDS; i++)
		found += map_find(&m, i % 4096 * 3) != NULL;
	show("map: find, among 4096", NFINDS, clock_mono_ns() - t0);
	must(found == NFINDS);
	t0 = clock_mono_ns();
	for (uint64_t i = 0; i < NKEYS; i++)
		must(map_remove(&m, i * 3) == &m);
	show("map: remove", NKEYS, clock_mono_ns() - t0);
	map_fini(&m);
}

#define NBUFS 200000

static void
bench_buf(size_t size, unsigned width, bool touch)
{
	struct buf *v[64] = {0};
	char what[64];
	int64_t t0 = clock_mono_ns();

	for (unsigned i = 0; i < NBUFS; i++) {
		struct buf **b = &v[i % width];

		buf_unref(*b);
		*b = buf_new(size);
		must(*b);
		if (touch)
			for (size_t at = 0; at < size; at += 4096)
				(*b)->data[at] = 1;
	}
	snprintf(what, sizeof(what), "buf: new and unref, %zu K, %u alive%s",
	    size / 1024, width, touch ? ", touched" : "");
	show(what, NBUFS, clock_mono_ns() - t0);
	for (unsigned i = 0; i < width; i++)
		buf_unref(v[i]);
}

static void
bufs(void)
{
	bench_buf(4096, 1, true);
	bench_buf(4096, 64, true);
	bench_buf(131072, 1, true);
	bench_buf(131072, 64, true);
	bench_buf(1 << 20, 8, true);
}

/* --- files -------------------------------------------------------------------
 */

#define NREADS 500000
#define FILE_BYTES (16 << 20)

struct reader {
	struct fileio_req req;
	struct iovec iov;
	struct fileio *io;
	struct round *round;
	char *data;
};

static void
read_next(struct reader *r)
{
	r->iov = (struct iovec){r->data, 4096};
	r->req.iov = &r->iov;
	r->req.niov = 1;
	r->req.off = (r->req.off + 40960) % FILE_BYTES;
	fileio_submit(r->io, &r->req);
}

static void
read_done(struct fileio_req *req)
{
	struct reader *r = container_of(req, struct reader, req);

	must(req->result == 4096);
	if (round_back(r->round))
		read_next(r);
}

static void
bench_file(int fd, enum fileio_kind kind, unsigned width)
{
	struct round round = {.left = NREADS, .out = width};
	struct err e = ERR_INIT;
	struct work_pool *pool = work_pool_new(2, &e);
	struct fileio *io = fileio_new(l, pool, kind, 64, &e);
	static struct reader v[64];
	char what[64];
	int64_t t0;

	if (!io) {
		printf("file: %s\n", err_text(&e));
		work_pool_free(pool);
		return;
	}
	t0 = clock_mono_ns();
	for (unsigned i = 0; i < width; i++) {
		v[i].req.op = FILEIO_READ;
		v[i].req.fd = fd;
		v[i].req.done = read_done;
		v[i].io = io;
		v[i].round = &round;
		v[i].data = aligned_alloc(4096, 4096);
		must(v[i].data);
		read_next(&v[i]);
	}
	must(loop_run_until(l, &round.done) == 0);
	snprintf(what, sizeof(what), "file: cached 4 K read, %s, %u at a time",
	    kind == FILEIO_URING ? "io_uring" : "workers", width);
	show(what, NREADS, clock_mono_ns() - t0);
	for (unsigned i = 0; i < width; i++)
		free(v[i].data);
	fileio_free(io);
	work_pool_free(pool);
}

static void
files(void)
{
	char path[] = "/tmp/loopbench.XXXXXX";
	int fd = mkstemp(path);
	char *block = calloc(1, 1 << 20);
	int64_t t0;

	must(fd >= 0 && block);
	unlink(path);
	for (unsigned i = 0; i < FILE_BYTES; i += 1 << 20)
		must(pwrite(fd, block, 1 << 20, i) == 1 << 20);
	t0 = clock_mono_ns();
	for (unsigned i = 0; i < NREADS; i++)
		must(pread(fd, block, 4096, i * 40960ull % FILE_BYTES) == 4096);
	show("file: cached 4 K read, bare pread", NREADS, clock_mono_ns() - t0);
	bench_file(fd, FILEIO_URING, 1);
	bench_file(fd, FILEIO_URING, 32);
	bench_file(fd, FILEIO_WORKERS, 1);
	bench_file(fd, FILEIO_WORKERS, 32);
	free(block);
	close(fd);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} all[] = {{"defer", defer}, {"fd", fds}, {"post", post},
	    {"work", work}, {"timer", timers}, {"map", map}, {"buf", bufs},
	    {"file", files}};
	struct err e = ERR_INIT;

	l = loop_new(&e);
	must(l);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool wanted = argc == 1;

		for (int a = 1; a < argc; a++)
			wanted |= strcmp(argv[a], all[i].name) == 0;
		if (wanted)
			all[i].run();
	}
	loop_free(l);
	return 0;
}
