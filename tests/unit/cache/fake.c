/* SPDX-License-Identifier: Apache-2.0 */
/* fake.c: a layout over an array; see fake.h. */
#include "tests/unit/cache/fake.h"

#include "base/buf.h"
#include "base/must.h"
#include "lib/simdisk.h"

struct op {
	struct layout_req *r;
	struct loop_timer timer;
	struct loop_task task;
	uint8_t *copy; /* WRITE: what was to be written at submit */
	int rc;
};

struct layout *
fake_new(struct loop *loop, uint64_t nblocks, uint32_t block_size)
{
	struct layout *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->loop = loop;
	l->info.nblocks = nblocks;
	l->info.block_size = block_size;
	l->info.size = nblocks * block_size;
	l->info.part_reads = true;
	l->read_ns = l->write_ns = 20 * NS_PER_MS;
	l->blocks = calloc(nblocks, sizeof(l->blocks[0]));
	assert_non_null(l->blocks);
	return l;
}

void
fake_free(struct layout *l)
{
	assert_int_equal(l->inflight, 0);
	for (uint64_t b = 0; b < l->info.nblocks; b++)
		free(l->blocks[b].data);
	free(l->blocks);
	free(l);
}

uint8_t
fake_byte(uint64_t block, uint64_t off)
{
	return (uint8_t)(block * 31 + off * 7 + (off >> 9) + 1);
}

void
fake_fill(struct layout *l, uint64_t block)
{
	free(l->blocks[block].data);
	l->blocks[block].data = NULL;
	l->blocks[block].filled = true;
}

static bool
is_there(const struct layout *l, uint64_t block)
{
	return l->blocks[block].data || l->blocks[block].filled;
}

void
fake_zero_counts(struct layout *l)
{
	l->nread = l->nwrite = l->nerase = l->nsync = l->ncancel = 0;
	l->read_bytes = l->erased_blocks = 0;
	l->max_inflight = l->inflight;
	memset(l->nprio, 0, sizeof(l->nprio));
}

const struct layout_info *
layout_info(const struct layout *l)
{
	return &l->info;
}

enum present
layout_present(const struct layout *l, uint64_t block)
{
	if (l->unknown)
		return PRESENT_UNKNOWN;
	return is_there(l, block) ? PRESENT_YES : PRESENT_NO;
}

uint64_t
layout_next_present(const struct layout *l, uint64_t b)
{
	while (b < l->info.nblocks && layout_present(l, b) == PRESENT_NO)
		b++;
	return b;
}

uint64_t
layout_next_absent(const struct layout *l, uint64_t b)
{
	while (b < l->info.nblocks && layout_present(l, b) != PRESENT_NO)
		b++;
	return b;
}

uint64_t
layout_count_present(const struct layout *l)
{
	uint64_t n = 0;

	for (uint64_t b = 0; b < l->info.nblocks; b++)
		n += is_there(l, b);
	return n;
}

bool
layout_survey_done(const struct layout *l)
{
	return !l->unknown;
}

/* --- doing it ------------------------------------------------------------------- */

static int
do_read(struct layout *l, struct layout_req *r)
{
	const uint8_t *data = l->blocks[r->block].data;
	uint8_t *to = r->data->data + r->data_off;

	r->was_zero = !is_there(l, r->block);
	if (data)
		memcpy(to, data + r->off, r->len);
	else if (l->blocks[r->block].filled)
		for (uint32_t i = 0; i < r->len; i++)
			to[i] = fake_byte(r->block, r->off + i);
	else
		memset(to, 0xa5, r->len); /* the answer is was_zero */
	return 0;
}

static int
do_write(struct layout *l, struct op *op)
{
	struct layout_req *r = op->r;
	struct fake_block *b = &l->blocks[r->block];

	/* W3: what is in flight does not change. */
	assert_memory_equal(op->copy, r->data->data, l->info.block_size);
	free(b->data);
	if (mem_is_zero(op->copy, l->info.block_size)) {
		free(op->copy);
		b->data = NULL;
	} else {
		b->data = op->copy;
	}
	op->copy = NULL;
	b->filled = false;
	l->unsynced++;
	return 0;
}

static int
do_erase(struct layout *l, struct layout_req *r)
{
	for (uint64_t b = r->block; b < r->block + r->nblocks; b++) {
		l->erased_blocks += is_there(l, b);
		free(l->blocks[b].data);
		l->blocks[b].data = NULL;
		l->blocks[b].filled = false;
	}
	l->unsynced++;
	return 0;
}

/* Count the request in (by = 1) or out (-1) of the blocks it touches. */
static void
touch(struct layout *l, const struct layout_req *r, int by)
{
	uint64_t n = r->op == LAYOUT_ERASE ? r->nblocks : 1;

	if (r->op == LAYOUT_SYNC)
		return;
	for (uint64_t b = r->block; b < r->block + n; b++) {
		struct fake_block *k = &l->blocks[b];

		if (by > 0) {
			assert_int_equal(k->writes, 0);
			if (r->op != LAYOUT_READ)
				assert_int_equal(k->reads, 0);
		}
		if (r->op == LAYOUT_READ)
			k->reads += (unsigned)by;
		else
			k->writes += (unsigned)by;
	}
}

static void
op_finish(struct op *op)
{
	struct layout_req *r = op->r;
	struct layout *l = r->layout;

	touch(l, r, -1);
	if (op->rc < 0) {
		r->rc = op->rc;
		err_set(&r->err, op->rc, "block %lu: the script says %d",
		    (unsigned long)r->block, op->rc);
		if (r->op == LAYOUT_READ)
			memset(r->data->data + r->data_off, 0x5a, r->len);
	} else if (r->op == LAYOUT_READ) {
		r->rc = do_read(l, r);
	} else if (r->op == LAYOUT_WRITE) {
		r->rc = do_write(l, op);
	} else if (r->op == LAYOUT_ERASE) {
		r->rc = do_erase(l, r);
	} else {
		l->unsynced = 0;
		r->rc = 0;
	}
	l->inflight--;
	r->priv = NULL;
	free(op->copy);
	free(op);
	r->done(r);
}

static void
op_fire(struct loop_timer *t)
{
	op_finish(container_of(t, struct op, timer));
}

static void
op_canceled(struct loop_task *t)
{
	op_finish(container_of(t, struct op, task));
}

static void
count(struct layout *l, const struct layout_req *r)
{
	l->nprio[r->prio]++;
	if (++l->inflight > l->max_inflight)
		l->max_inflight = l->inflight;
	switch (r->op) {
	case LAYOUT_READ:
		assert_int_equal(r->off % 512, 0);
		assert_int_equal(r->len % 512, 0);
		assert_true(r->len > 0);
		assert_true(r->off + r->len <= l->info.block_size);
		l->nread++;
		l->read_bytes += r->len;
		l->last_read = r->block;
		break;
	case LAYOUT_WRITE:
		assert_int_equal(r->data->len, l->info.block_size);
		l->nwrite++;
		break;
	case LAYOUT_ERASE:
		assert_true(r->block + r->nblocks <= l->info.nblocks);
		l->nerase++;
		break;
	case LAYOUT_SYNC:
		l->nsync++;
		break;
	}
}

void
layout_submit(struct layout *l, struct layout_req *r)
{
	struct op *op;
	int64_t ns = r->op == LAYOUT_READ ? l->read_ns : l->write_ns;

	SIM_PAUSE(true);
	op = calloc(1, sizeof(*op));
	assert_non_null(op);
	r->layout = l;
	r->was_zero = false;
	r->rc = 0;
	err_clear(&r->err);
	op->r = r;
	r->priv = op;
	touch(l, r, 1);
	count(l, r);
	if (l->script)
		op->rc = l->script(l, r);
	if (r->op == LAYOUT_WRITE) {
		op->copy = malloc(l->info.block_size);
		assert_non_null(op->copy);
		memcpy(op->copy, r->data->data, l->info.block_size);
	}
	op->timer.fire = op_fire;
	op->task.run = op_canceled;
	assert_int_equal(
	    loop_timer_set(l->loop, &op->timer, loop_now(l->loop) + ns), 0);
	SIM_PAUSE(false);
}

void
layout_cancel(struct layout_req *r)
{
	struct op *op = r->priv;

	if (!op || op->rc == -ECANCELED)
		return;
	r->layout->ncancel++;
	op->rc = -ECANCELED;
	loop_timer_cancel(&op->timer);
	loop_defer(r->layout->loop, &op->task);
}
