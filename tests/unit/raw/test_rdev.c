/* SPDX-License-Identifier: Apache-2.0 */
/* Image files as devices: transfers that are merged are those that were asked
 * for, in any order, and one that is bad does not make the others bad. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/must.h"
#include "lib/fault.h"
#include "loop/fileio.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "raw/rdev.h"
#include "store/rnd.h"

#define PIECES 200
#define PIECE_MAX (64u << 10)
#define FILE_BYTES (8u << 20)

struct ctx {
	char path[64];
	struct work_pool *workers;
	struct loop *loop;
	struct fileio *io;
	struct rdev *dev;
	unsigned left;
	bool done;
};

struct piece {
	struct rdev_req req;
	struct iovec iov[2];
	uint64_t off, len;
	unsigned seed;
	uint8_t *mem;
	struct ctx *x;
};

static int
setup(void **state)
{
	struct ctx *x = calloc(1, sizeof(*x));
	int fd;

	must(x != NULL);
	strcpy(x->path, "/tmp/pail-rdev-XXXXXX");
	fd = mkstemp(x->path);
	must(fd >= 0 && ftruncate(fd, FILE_BYTES) == 0 && close(fd) == 0);
	x->workers = work_pool_new(1, NULL);
	x->loop = loop_new(NULL);
	x->io = fileio_new(x->loop, x->workers, FILEIO_AUTO, 64, NULL);
	must(rdev_open(x->loop, x->io, x->path, false, &x->dev, NULL) == 0);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *x = *state;

	rdev_close(x->dev);
	fileio_free(x->io);
	loop_free(x->loop);
	work_pool_free(x->workers);
	unlink(x->path);
	free(x);
	return 0;
}

static void
piece_done(struct rdev_req *r)
{
	struct piece *p = r->arg;

	p->x->done = --p->x->left == 0;
}

static void
submit(struct ctx *x, enum rdev_op op, struct piece *p)
{
	/* Two buffers where it can be, the first of one sector. */
	p->x = x;
	p->iov[0] = (struct iovec){p->mem, p->len > 4096 ? 4096 : p->len};
	p->iov[1] = (struct iovec){p->mem + 4096, p->len - 4096};
	p->req = (struct rdev_req){.op = op,
	    .off = p->off,
	    .iov = p->iov,
	    .niov = p->len > 4096 ? 2 : 1,
	    .done = piece_done,
	    .arg = p};
	x->left++;
	rdev_submit(x->dev, &p->req);
}

static void
run(struct ctx *x)
{
	x->done = false;
	assert_int_equal(loop_run_until(x->loop, &x->done), 0);
}

static void
fill(struct piece *p, uint8_t *mem)
{
	uint64_t rnd = p->seed;

	for (uint64_t i = 0; i < p->len; i++)
		mem[i] = (uint8_t)rnd_next(&rnd);
}

static void
in_any_order(void **state)
{
	static struct piece piece[PIECES];
	static uint8_t want[PIECE_MAX];
	struct ctx *x = *state;
	uint64_t rnd = 5, off = 0;
	unsigned order[PIECES];

	for (unsigned i = 0; i < PIECES; i++) {
		struct piece *p = &piece[i];
		unsigned k = (unsigned)rnd_below(&rnd, i + 1);

		p->len = 4096 * (1 + rnd_below(&rnd, 9));
		/* Now and then a gap, so that not all can be one. */
		off += rnd_below(&rnd, 8) == 0 ? 4096 : 0;
		p->off = off;
		off += p->len;
		p->seed = i + 1;
		p->mem = aligned_alloc(4096, PIECE_MAX);
		must(p->mem != NULL);
		fill(p, p->mem);
		/* Nearly in order, as they come from a store. */
		order[i] = i;
		if (i > 0 && k % 3 == 0) {
			order[i] = order[i - 1];
			order[i - 1] = i;
		}
	}
	must(off <= FILE_BYTES);
	for (unsigned i = 0; i < PIECES; i++)
		submit(x, RDEV_WRITE, &piece[order[i]]);
	run(x);
	for (unsigned i = 0; i < PIECES; i++) {
		assert_int_equal(piece[i].req.rc, 0);
		memset(piece[i].mem, 0, PIECE_MAX);
	}
	for (unsigned i = 0; i < PIECES; i++)
		submit(x, RDEV_READ, &piece[order[i]]);
	run(x);
	for (unsigned i = 0; i < PIECES; i++) {
		assert_int_equal(piece[i].req.rc, 0);
		fill(&piece[i], want);
		assert_memory_equal(piece[i].mem, want, piece[i].len);
		free(piece[i].mem);
	}
}

/* The file ends in the middle of what is read as one. */
static void
one_is_bad(void **state)
{
	static struct piece piece[8];
	struct ctx *x = *state;

	assert_int_equal(truncate(x->path, 5 * 16384), 0);
	for (unsigned i = 0; i < 8; i++) {
		piece[i].off = i * 16384;
		piece[i].len = 16384;
		piece[i].mem = aligned_alloc(4096, PIECE_MAX);
		must(piece[i].mem != NULL);
		submit(x, RDEV_READ, &piece[i]);
	}
	run(x);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(piece[i].req.rc, i < 5 ? 0 : -EIO);
		free(piece[i].mem);
	}
}

/* A request for which there is no memory ends, later, and with that error. */
static void
without_memory(void **state)
{
	struct piece piece = {.off = 0, .len = 4096};
	struct ctx *x = *state;

	piece.mem = aligned_alloc(4096, PIECE_MAX);
	must(piece.mem != NULL);
	fault_malloc_arm(1);
	submit(x, RDEV_WRITE, &piece);
	assert_true(fault_hit());
	fault_malloc_arm(0);
	assert_int_equal(x->left, 1);
	run(x);
	assert_int_equal(piece.req.rc, -ENOMEM);
	submit(x, RDEV_WRITE, &piece);
	run(x);
	assert_int_equal(piece.req.rc, 0);
	free(piece.mem);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
	    T(in_any_order), T(one_is_bad), T(without_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
