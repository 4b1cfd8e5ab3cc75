/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy between two ends that are memory.  Requests take random times on a
 * virtual clock, so they end in any order; each of them can be made to fail.
 * R1 to R4 are the promises of cli/copy_run.h, E3 of cli/copy_end.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cli/copy_end.h"
#include "cli/copy_run.h"
#include "cli/progress.h"

#define KIB 1024ULL
#define CHUNK (128 * KIB)

struct mem_end {
	struct copy_end end;
	uint8_t *bytes;
	uint64_t len; /* of bytes */
	bool *data;   /* by chunk: no hole */
	bool is_pipe;
	uint64_t next; /* the pipe's */
	unsigned ops, fail_at; /* the n'th request fails; 0: none */
	unsigned reads, writes, zeros;
	bool finished;
	uint64_t finished_size;
	struct list waiting; /* pipe: in their order */
	bool busy;
};

struct op {
	struct loop_timer timer;
	struct copy_chunk *c;
	struct mem_end *m;
	enum { READ, WRITE, ZERO } what;
	struct list link;
};

static struct mem_end *
mem_of(struct copy_end *x)
{
	return container_of(x, struct mem_end, end);
}

static void
apply(struct op *o)
{
	struct mem_end *m = o->m;
	struct copy_chunk *c = o->c;
	uint64_t off = m->is_pipe ? m->next : c->off, len = c->len;

	if (o->what == READ && off + len > m->len)
		len = off < m->len ? m->len - off : 0;
	if (o->what == READ) {
		assert_true(len == c->len || m->is_pipe);
		memcpy(c->data->data, m->bytes + off, len);
		c->len = len;
		c->zero = mem_is_zero(c->data->data, len);
		/* who said that it is zero need not have filled it */
		if (c->zero)
			memset(c->data->data, 0xee, len);
	} else {
		assert_int_equal(off, c->off);
		assert_true(off + len <= m->len);
		if (c->zero)
			memset(m->bytes + off, 0, len);
		else
			memcpy(m->bytes + off, c->data->data, len);
	}
	m->next += len;
}

static void op_start(struct op *o);

static void
op_fire(struct loop_timer *t)
{
	struct op *o = container_of(t, struct op, timer);
	struct mem_end *m = o->m;
	struct copy_chunk *c = o->c;

	c->rc = 0;
	if (++m->ops == m->fail_at)
		c->rc = err_set(&c->err, -EIO, "%s: made to fail", m->end.name);
	else
		apply(o);
	free(o);
	if (m->is_pipe) {
		m->busy = false;
		list_for_each (e, &m->waiting) {
			struct op *next = list_entry(e, struct op, link);

			if (next->what == READ || next->c->off == m->next) {
				list_del(e);
				op_start(next);
				break;
			}
		}
	}
	c->done(c);
}

static void
op_start(struct op *o)
{
	struct loop *l = o->m->end.loop;

	o->m->busy = true;
	o->timer.fire = op_fire;
	assert_int_equal(loop_timer_set(l, &o->timer,
			     loop_now(l) + (rand() % 100 + 1) * NS_PER_MS),
	    0);
}

static void
op_new(struct copy_end *x, struct copy_chunk *c, int what)
{
	struct mem_end *m = mem_of(x);
	struct op *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->c = c;
	o->m = m;
	o->what = what;
	m->reads += what == READ;
	m->writes += what == WRITE;
	m->zeros += what == ZERO;
	if (m->is_pipe && (m->busy || (what != READ && c->off != m->next)))
		list_push_back(&m->waiting, &o->link);
	else
		op_start(o);
}

static void
mem_read(struct copy_end *x, struct copy_chunk *c)
{
	op_new(x, c, READ);
}

static void
mem_write(struct copy_end *x, struct copy_chunk *c)
{
	op_new(x, c, WRITE);
}

static void
mem_zero(struct copy_end *x, struct copy_chunk *c)
{
	op_new(x, c, ZERO);
}

static uint64_t
seek(struct mem_end *m, uint64_t off, bool data)
{
	while (off < m->end.size && m->data[off / CHUNK] != data)
		off = (off / CHUNK + 1) * CHUNK;
	return off < m->end.size ? off : m->end.size;
}

static uint64_t
mem_next_data(struct copy_end *x, uint64_t off)
{
	return seek(mem_of(x), off, true);
}

static uint64_t
mem_next_hole(struct copy_end *x, uint64_t off)
{
	return seek(mem_of(x), off, false);
}

static int
mem_finish(struct copy_end *x, uint64_t size, struct err *e)
{
	mem_of(x)->finished = true;
	mem_of(x)->finished_size = size;
	return 0;
}

static const struct copy_end_ops mem_ops = {.next_data = mem_next_data,
    .next_hole = mem_next_hole,
    .read = mem_read,
    .write = mem_write,
    .zero = mem_zero,
    .finish = mem_finish};

static const struct copy_end_ops pipe_ops = {
    .read = mem_read, .write = mem_write, .finish = mem_finish};

static void
mem_init(struct mem_end *m, struct loop *l, const char *name, uint64_t size,
    bool is_pipe)
{
	*m = (struct mem_end){.bytes = calloc(1, size + 1),
	    .len = size,
	    .is_pipe = is_pipe,
	    .data = calloc(size / CHUNK + 1, sizeof(bool))};
	m->end = (struct copy_end){.ops = is_pipe ? &pipe_ops : &mem_ops,
	    .loop = l,
	    .name = (char *)(uintptr_t)name,
	    .size = is_pipe ? COPY_SIZE_UNKNOWN : size,
	    .room = size,
	    .block = 4096,
	    .in_order = is_pipe};
	list_init(&m->waiting);
}

static void
mem_fini(struct mem_end *m)
{
	assert_true(list_empty(&m->waiting));
	free(m->bytes);
	free(m->data);
}

/* Two chunks of three are data; a fifth of these is zeros all the same. */
static void
fill(struct mem_end *m)
{
	for (uint64_t off = 0; off < m->len; off += CHUNK) {
		uint64_t n = m->len - off < CHUNK ? m->len - off : CHUNK;

		if (rand() % 3 == 0)
			continue;
		m->data[off / CHUNK] = true;
		m->end.data += n;
		if (rand() % 5 != 0)
			memset(m->bytes + off, rand() % 255 + 1, n);
	}
}

struct world {
	struct loop *loop;
	struct mem_end src, dst;
	struct progress progress;
	struct progress_term term;
	struct copy_result result;
	struct err err;
};

static int64_t
no_clock(struct progress_term *t)
{
	return NS_PER_S;
}

static void
world_init(struct world *w, uint64_t src, bool src_pipe, uint64_t dst,
    bool dst_pipe)
{
	*w = (struct world){.term = {.quiet = true, .now_ns = no_clock}};
	w->loop = loop_new_virtual(&w->err);
	assert_non_null(w->loop);
	mem_init(&w->src, w->loop, "SRC", src, src_pipe);
	mem_init(&w->dst, w->loop, "DST", dst, dst_pipe);
	fill(&w->src);
	progress_start(&w->progress, &w->term, "Copying", NULL, 0, 0);
}

static int
world_copy(struct world *w, bool compare, bool (*stop)(void))
{
	struct copy_params p = {.src = &w->src.end,
	    .dst = &w->dst.end,
	    .jobs = (unsigned)(rand() % 16) + 1,
	    .compare = compare,
	    .stop = stop,
	    .progress = &w->progress};

	return copy_run(&p, &w->result, &w->err);
}

static void
world_fini(struct world *w)
{
	mem_fini(&w->src);
	mem_fini(&w->dst);
	loop_free(w->loop);
}

static void
assert_copied(struct world *w)
{
	assert_memory_equal(w->src.bytes, w->dst.bytes, w->src.len);
	for (uint64_t i = w->src.len; i < w->dst.len && w->dst.end.pad; i++)
		assert_int_equal(w->dst.bytes[i], 0);
	assert_true(w->dst.finished);
	assert_int_equal(w->dst.finished_size, w->src.len);
	assert_int_equal(w->result.size, w->src.len);
}

/* Sizes around chunk and block boundaries. */
static const uint64_t sizes[] = {0, 1, 4095, 4096, CHUNK - 1, CHUNK,
    CHUNK + 1, 40 * CHUNK, 40 * CHUNK + 5000};
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static void
copies_everything_to_anything(void **state)
{
	for (unsigned seed = 0; seed < 10; seed++)
		for (unsigned i = 0; i < NSIZES * 4; i++) {
			uint64_t size = sizes[i % NSIZES];
			bool from_pipe = i / NSIZES & 1;
			bool to_pipe = i / NSIZES & 2;
			struct world w;

			srand(seed);
			world_init(&w, size, from_pipe, size, to_pipe);
			if (seed % 2 == 0)
				memset(w.dst.bytes, 0x55, size); /* R1 */
			else
				w.dst.end.blank = !to_pipe;
			assert_int_equal(world_copy(&w, false, NULL), 0);
			assert_copied(&w);
			world_fini(&w);
		}
}

static void
holes_are_neither_read_nor_written(void **state)
{
	struct world w;
	unsigned ndata = 0, nfull = 0;

	srand(1);
	world_init(&w, 100 * CHUNK, false, 100 * CHUNK, false);
	w.dst.end.blank = true;
	for (unsigned i = 0; i < 100; i++) {
		ndata += w.src.data[i];
		nfull += !mem_is_zero(w.src.bytes + i * CHUNK, CHUNK);
	}
	assert_int_equal(world_copy(&w, false, NULL), 0);
	assert_copied(&w);
	assert_int_equal(w.src.reads, ndata);
	assert_int_equal(w.dst.writes, nfull);
	assert_int_equal(w.dst.zeros, 0);
	assert_int_equal(w.result.written, nfull * CHUNK);
	assert_int_equal(w.result.holes, (100 - nfull) * CHUNK);
	world_fini(&w);
}

static void
a_large_hole_is_one_request(void **state)
{
	struct world w;

	srand(1);
	world_init(&w, 64 * CHUNK, false, 64 * CHUNK, false);
	memset(w.src.data, 0, 64);
	memset(w.src.bytes, 0, 64 * CHUNK);
	memset(w.dst.bytes, 1, 64 * CHUNK);
	assert_int_equal(world_copy(&w, false, NULL), 0);
	assert_copied(&w);
	assert_int_equal(w.src.reads, 0);
	assert_int_equal(w.dst.zeros, 1);
	world_fini(&w);
}

static void
what_is_there_is_not_written_again(void **state)
{
	struct world w;
	unsigned wrong = 0;

	srand(3);
	world_init(&w, 60 * CHUNK, false, 60 * CHUNK, false);
	memcpy(w.dst.bytes, w.src.bytes, 60 * CHUNK);
	for (unsigned i = 0; i < 60; i += 7) {
		if (!w.src.data[i])
			continue;
		w.dst.bytes[i * CHUNK + 77] ^= 1;
		wrong++;
	}
	assert_int_equal(world_copy(&w, true, NULL), 0);
	assert_copied(&w);
	assert_int_equal(w.dst.writes, wrong);
	world_fini(&w);
}

static void
behind_a_shorter_source_are_zeros(void **state)
{
	for (unsigned i = 0; i < NSIZES; i++) {
		struct world w;

		srand(i);
		world_init(&w, sizes[i] / 4096 * 4096, i % 2, 50 * CHUNK,
		    false);
		memset(w.dst.bytes, 0x77, w.dst.len);
		w.dst.end.pad = true;
		assert_int_equal(world_copy(&w, i % 3 == 0, NULL), 0);
		assert_copied(&w);
		world_fini(&w);
	}
}

static void
too_little_room_is_refused(void **state)
{
	for (int from_pipe = 0; from_pipe < 2; from_pipe++) {
		struct world w;

		srand(5);
		world_init(&w, 20 * CHUNK + 1, from_pipe, 20 * CHUNK, false);
		assert_int_equal(world_copy(&w, false, NULL), -ENOSPC);
		assert_non_null(strstr(err_text(&w.err), "SRC"));
		assert_non_null(strstr(err_text(&w.err), "DST"));
		assert_false(w.dst.finished);
		world_fini(&w);
	}
}

/* Fail the n'th request of either end until a copy gets through. */
static void
every_failure_ends_the_copy(void **state)
{
	for (unsigned variant = 0; variant < 8; variant++) {
		unsigned n = 0;
		bool through;

		do {
			struct world w;
			bool at_src = variant & 1;
			bool pipe = variant & 2, compare = variant & 4;
			struct mem_end *m;
			int rc;

			srand(variant);
			world_init(
			    &w, 12 * CHUNK, pipe, 12 * CHUNK, false);
			m = at_src ? &w.src : &w.dst;
			m->fail_at = ++n;
			rc = world_copy(&w, compare, NULL);
			through = m->ops < n;
			if (through || (compare && !at_src && rc == 0))
				assert_copied(&w); /* could not be compared */
			else {
				assert_int_equal(rc, -EIO);
				assert_false(w.dst.finished);
				assert_non_null(
				    strstr(err_text(&w.err), "made to fail"));
			}
			world_fini(&w);
		} while (!through);
		assert_true(n > 4);
	}
}

static bool
stop_soon(void)
{
	static unsigned asked;

	return ++asked > 3;
}

static void
stops_when_asked(void **state)
{
	struct world w;

	srand(9);
	world_init(&w, 400 * CHUNK, false, 400 * CHUNK, false);
	assert_int_equal(world_copy(&w, false, stop_soon), -ECANCELED);
	assert_false(w.dst.finished);
	assert_true(w.dst.writes > 0);
	/* and goes on */
	assert_int_equal(world_copy(&w, true, NULL), 0);
	assert_copied(&w);
	assert_true(w.result.same > 0);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(copies_everything_to_anything),
	    cmocka_unit_test(holes_are_neither_read_nor_written),
	    cmocka_unit_test(a_large_hole_is_one_request),
	    cmocka_unit_test(what_is_there_is_not_written_again),
	    cmocka_unit_test(behind_a_shorter_source_are_zeros),
	    cmocka_unit_test(too_little_room_is_refused),
	    cmocka_unit_test(every_failure_ends_the_copy),
	    cmocka_unit_test(stops_when_asked),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
