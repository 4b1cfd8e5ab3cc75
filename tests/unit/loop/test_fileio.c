/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fileio.c: the same tests for io_uring and for the workers, on a real
 * file; and the continuation of short transfers by itself.
 */
#include "loop/fileio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/fileio_impl.h"

struct fix {
	struct loop *l;
	struct work_pool *pool;
	struct fileio *io;
	int fd;
	char path[64];
	unsigned left; /* requests that are not done */
	bool done;
	bool submitting;
};

struct req {
	struct fileio_req r;
	struct fix *f;
	struct iovec iov;
};

static int
setup(void **state, enum fileio_kind kind)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;

	assert_non_null(f);
	f->l = loop_new(&e);
	f->pool = work_pool_new(3, &e);
	assert_true(f->l && f->pool);
	f->io = fileio_new(f->l, f->pool, kind, 4, &e);
	if (!f->io && kind == FILEIO_URING) {
		/* Then pail does without, and so do the tests. */
		print_message("io_uring: %s\n", err_text(&e));
		f->io = fileio_new(f->l, f->pool, FILEIO_WORKERS, 4, &e);
	} else {
		assert_int_equal(fileio_which(f->io), kind);
	}
	assert_non_null(f->io);
	strcpy(f->path, "test_fileio.XXXXXX");
	f->fd = mkstemp(f->path);
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

static int
setup_uring(void **state)
{
	return setup(state, FILEIO_URING);
}

static int
setup_workers(void **state)
{
	return setup(state, FILEIO_WORKERS);
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	close(f->fd);
	unlink(f->path);
	fileio_free(f->io);
	work_pool_free(f->pool);
	loop_free(f->l);
	free(f);
	return 0;
}

static void
req_done(struct fileio_req *r)
{
	struct req *q = container_of(r, struct req, r);

	assert_false(q->f->submitting);
	assert_true(q->f->left > 0);
	if (--q->f->left == 0)
		q->f->done = true;
}

static void
prepare(struct fix *f, struct req *q, enum fileio_op op, uint64_t off,
    void *p, size_t n)
{
	q->f = f;
	q->iov = (struct iovec){p, n};
	q->r = (struct fileio_req){.op = op,
	    .fd = f->fd,
	    .off = off,
	    .iov = &q->iov,
	    .niov = n > 0,
	    .done = req_done,
	    .result = -77};
}

static void
send(struct fix *f, struct req *q)
{
	f->left++;
	f->submitting = true;
	fileio_submit(f->io, &q->r);
	f->submitting = false;
}

static void
submit(struct fix *f, struct req *q, enum fileio_op op, uint64_t off,
    void *p, size_t n)
{
	prepare(f, q, op, off, p, n);
	send(f, q);
}

static void
wait_all(struct fix *f)
{
	f->done = false;
	assert_int_equal(loop_run_until(f->l, &f->done), 0);
	assert_int_equal(f->left, 0);
}

/* One request, and its result. */
static int64_t
one(struct fix *f, enum fileio_op op, uint64_t off, void *p, size_t n)
{
	struct req q;

	submit(f, &q, op, off, p, n);
	wait_all(f);
	return q.r.result;
}

static void
writes_are_read_back(void **state)
{
	struct fix *f = *state;
	char a[] = "hello world", b[32] = "";

	assert_int_equal(one(f, FILEIO_WRITE, 5, a, 11), 11);
	assert_int_equal(one(f, FILEIO_FDATASYNC, 0, NULL, 0), 0);
	assert_int_equal(one(f, FILEIO_FSYNC, 0, NULL, 0), 0);
	assert_int_equal(one(f, FILEIO_READ, 11, b, 5), 5);
	assert_memory_equal(b, "world", 5);
	/* The end of the file cuts a read short, and nothing else does. */
	assert_int_equal(one(f, FILEIO_READ, 0, b, 32), 16);
	assert_memory_equal(b, "\0\0\0\0\0hello world", 16);
	assert_int_equal(one(f, FILEIO_READ, 16, b, 32), 0);
	assert_int_equal(one(f, FILEIO_READ, 1 << 20, b, 32), 0);
	assert_int_equal(one(f, FILEIO_READ, 0, NULL, 0), 0);
}

#define NMANY 300
#define PIECE 4096

/* Far more than the ring has room for, in one turn. */
static void
many_at_once(void **state)
{
	struct fix *f = *state;
	struct req *q = calloc(NMANY, sizeof(*q));
	uint32_t *data = malloc(NMANY * PIECE), *back = malloc(NMANY * PIECE);

	assert_true(q && data && back);
	for (unsigned i = 0; i < NMANY * PIECE / 4; i++)
		data[i] = i * 2654435761u;
	for (unsigned i = 0; i < NMANY; i++)
		submit(f, &q[i], FILEIO_WRITE, i * PIECE,
		    (char *)data + i * PIECE, PIECE);
	wait_all(f);
	for (unsigned i = 0; i < NMANY; i++)
		assert_int_equal(q[i].r.result, PIECE);
	for (unsigned i = 0; i < NMANY; i++)
		submit(f, &q[i], FILEIO_READ, i * PIECE,
		    (char *)back + i * PIECE, PIECE);
	wait_all(f);
	for (unsigned i = 0; i < NMANY; i++)
		assert_int_equal(q[i].r.result, PIECE);
	assert_memory_equal(data, back, NMANY * PIECE);
	free(q);
	free(data);
	free(back);
}

/* More pieces than one system call takes: continued until it is whole. */
static void
more_pieces_than_a_call_takes(void **state)
{
	struct fix *f = *state;
	unsigned n = IOV_MAX * 2 + 10;
	struct iovec *iov = calloc(n, sizeof(*iov));
	char *data = malloc(n * 3), *back = malloc(n * 3);
	struct req q;

	assert_true(iov && data && back);
	for (unsigned i = 0; i < n * 3; i++)
		data[i] = (char)(i * 7 + i / 251);
	for (unsigned i = 0; i < n; i++)
		iov[i] = (struct iovec){data + i * 3, 3};
	prepare(f, &q, FILEIO_WRITE, 1, NULL, 0);
	q.r.iov = iov;
	q.r.niov = n;
	send(f, &q);
	wait_all(f);
	assert_int_equal(q.r.result, n * 3);
	assert_int_equal(one(f, FILEIO_READ, 1, back, n * 3), n * 3);
	assert_memory_equal(data, back, n * 3);
	free(iov);
	free(data);
	free(back);
}

static void
errors_come_through_done(void **state)
{
	struct fix *f = *state;
	int fd = f->fd;
	char c[16];

	f->fd = open(f->path, O_RDONLY);
	assert_true(f->fd >= 0);
	assert_int_equal(one(f, FILEIO_WRITE, 0, c, 16), -EBADF);
	close(f->fd);
	f->fd = -1;
	assert_int_equal(one(f, FILEIO_READ, 0, c, 16), -EBADF);
	assert_int_equal(one(f, FILEIO_FSYNC, 0, NULL, 0), -EBADF);
	f->fd = open("/dev/full", O_WRONLY);
	assert_int_equal(one(f, FILEIO_WRITE, 0, c, 16), -ENOSPC);
	close(f->fd);
	f->fd = open("/", O_RDONLY | O_DIRECTORY);
	assert_int_equal(one(f, FILEIO_READ, 0, c, 16), -EISDIR);
	close(f->fd);
	f->fd = fd;
}

static void
fallocate_and_holes(void **state)
{
	struct fix *f = *state;
	struct req q = {.f = f};
	struct stat st;

	q.r = (struct fileio_req){.op = FILEIO_FALLOCATE,
	    .fd = f->fd,
	    .len = 1 << 20,
	    .done = req_done};
	f->left++;
	fileio_submit(f->io, &q.r);
	wait_all(f);
	if (q.r.result == -EOPNOTSUPP)
		skip(); /* the file system cannot */
	assert_int_equal(q.r.result, 0);
	assert_int_equal(fstat(f->fd, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
}

/* Reading by O_DIRECT what does not end at a sector. */
static void
direct_read_to_an_odd_end(void **state)
{
	struct fix *f = *state;
	int fd = f->fd;
	char *p = aligned_alloc(4096, 16384);

	assert_non_null(p);
	memset(p, 'x', 16384);
	assert_int_equal(one(f, FILEIO_WRITE, 0, p, 5000), 5000);
	f->fd = open(f->path, O_RDONLY | O_DIRECT);
	if (f->fd >= 0) {
		memset(p, 0, 16384);
		assert_int_equal(one(f, FILEIO_READ, 0, p, 16384), 5000);
		assert_true(p[4999] == 'x' && p[5000] == 0);
		close(f->fd);
	}
	f->fd = fd;
	free(p);
}

struct chain {
	struct req q;
	unsigned left;
	char byte;
};

static void
chain_done(struct fileio_req *r)
{
	struct chain *c = container_of(r, struct chain, q.r);

	assert_false(c->q.f->submitting);
	assert_int_equal(r->result, 1);
	if (c->left-- == 0) {
		req_done(r);
		return;
	}
	c->q.iov = (struct iovec){&c->byte, 1};
	r->iov = &c->q.iov;
	r->niov = 1;
	r->off++;
	c->q.f->submitting = true;
	fileio_submit(c->q.f->io, r);
	c->q.f->submitting = false;
}

/* done submits the same request again, many times. */
static void
done_may_submit(void **state)
{
	struct fix *f = *state;
	static struct chain v[8];

	for (unsigned i = 0; i < 8; i++) {
		v[i].left = 200;
		prepare(f, &v[i].q, FILEIO_WRITE, i, &v[i].byte, 1);
		v[i].q.r.done = chain_done;
		send(f, &v[i].q);
	}
	wait_all(f);
}

static void
auto_takes_what_there_is(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	struct fileio *io =
	    fileio_new(f->l, f->pool, FILEIO_AUTO, 1000000, &e);

	assert_non_null(io);
	assert_int_equal(fileio_which(io), fileio_which(f->io));
	fileio_free(io);
}

struct timer_flag {
	struct loop_timer timer;
	bool fired;
};

static void
flag_fire(struct loop_timer *t)
{
	container_of(t, struct timer_flag, timer)->fired = true;
}

static void
virtual_time_waits_for_files(void **state)
{
	struct fix *f = *state;
	struct err e = ERR_INIT;
	struct loop *real = f->l;
	struct fileio *io = f->io;
	struct timer_flag t = {{flag_fire}};
	char c = 'c';

	f->l = loop_new_virtual(&e);
	assert_non_null(f->l);
	f->io = fileio_new(f->l, f->pool, fileio_which(io), 4, &e);
	assert_non_null(f->io);
	loop_timer_set(f->l, &t.timer, loop_now(f->l) + 1);
	assert_int_equal(one(f, FILEIO_WRITE, 0, &c, 1), 1);
	assert_int_equal(one(f, FILEIO_FSYNC, 0, NULL, 0), 0);
	assert_false(t.fired);
	assert_int_equal(loop_run_until(f->l, &t.fired), 0);
	fileio_free(f->io);
	loop_free(f->l);
	f->l = real;
	f->io = io;
}

/* --- short transfers --------------------------------------------------------- */

static void
short_transfers_are_continued(void **state)
{
	char a[10], b[10];
	struct iovec iov[] = {{a, 10}, {a, 0}, {b, 10}};
	struct fileio_req r = {
	    .op = FILEIO_READ, .off = 100, .iov = iov, .niov = 3};

	assert_false(fileio_step(&r, 4));
	assert_ptr_equal(r.iov->iov_base, a + 4);
	assert_int_equal(r.iov->iov_len, 6);
	assert_false(fileio_step(&r, -EINTR));
	assert_false(fileio_step(&r, 6));
	assert_ptr_equal(r.iov->iov_base, b);
	assert_int_equal(r.niov, 1);
	assert_int_equal(r.moved, 10);
	assert_true(fileio_step(&r, 10));
	assert_int_equal(r.result, 20);
	assert_int_equal(r.off, 100);
}

static void
ends_of_short_transfers(void **state)
{
	char a[10000];
	struct iovec iov = {a, 10000};
	struct fileio_req r = {.op = FILEIO_READ, .iov = &iov, .niov = 1};

	/* the end of the file */
	assert_false(fileio_step(&r, 5000));
	assert_true(fileio_step(&r, 0));
	assert_int_equal(r.result, 5000);
	/* the same by O_DIRECT */
	iov = (struct iovec){a, 10000};
	r = (struct fileio_req){.op = FILEIO_READ, .iov = &iov, .niov = 1};
	assert_false(fileio_step(&r, 5000));
	assert_true(fileio_step(&r, -EINVAL));
	assert_int_equal(r.result, 5000);
	/* but not at a sector's end, nor at once */
	iov = (struct iovec){a, 10000};
	r = (struct fileio_req){.op = FILEIO_READ, .iov = &iov, .niov = 1};
	assert_false(fileio_step(&r, 4096));
	assert_true(fileio_step(&r, -EINVAL));
	assert_int_equal(r.result, -EINVAL);
	iov = (struct iovec){a, 10000};
	r = (struct fileio_req){.op = FILEIO_READ, .iov = &iov, .niov = 1};
	assert_true(fileio_step(&r, -EINVAL));
	assert_int_equal(r.result, -EINVAL);
	/* an error after a part, and a write that writes nothing */
	iov = (struct iovec){a, 10000};
	r = (struct fileio_req){.op = FILEIO_WRITE, .iov = &iov, .niov = 1};
	assert_false(fileio_step(&r, 5000));
	assert_true(fileio_step(&r, -ENOSPC));
	assert_int_equal(r.result, -ENOSPC);
	iov = (struct iovec){a, 10000};
	r = (struct fileio_req){.op = FILEIO_WRITE, .iov = &iov, .niov = 1};
	assert_true(fileio_step(&r, 0));
	assert_int_equal(r.result, -EIO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define BOTH(f) \
	{#f " (io_uring)", f, setup_uring, teardown, NULL}, \
	{ \
		#f " (workers)", f, setup_workers, teardown, NULL \
	}
	    BOTH(writes_are_read_back),
	    BOTH(many_at_once),
	    BOTH(more_pieces_than_a_call_takes),
	    BOTH(errors_come_through_done),
	    BOTH(fallocate_and_holes),
	    BOTH(direct_read_to_an_odd_end),
	    BOTH(done_may_submit),
	    cmocka_unit_test_setup_teardown(
		auto_takes_what_there_is, setup_uring, teardown),
	    BOTH(virtual_time_waits_for_files),
	    cmocka_unit_test(short_transfers_are_continued),
	    cmocka_unit_test(ends_of_short_transfers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
