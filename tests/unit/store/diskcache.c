/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk cache (K1-K6 in docs/diskcache.md) over mem, on a simulated disk: the
 * contract, though two share one file; what is read is always what the store has,
 * whatever becomes of the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "base/stat.h"
#include "lib/fault.h"
#include "lib/simdisk.h"
#include "store/dcfile.h"
#include "store/diskcache.h"
#include "store/filter.h"
#include "store/mem.h"
#include "store/store.h"
#include "unit/store/contract.h"

#define BLOCK 8192u
#define DISK (40u * (BLOCK + 8192u))
#define NKEYS 60u

struct rig {
	struct simworld w;
	struct loop *loop;
	struct simdisk *disk;
	struct mem_data *data;
	struct store *s, *mem;
	struct stat_set stats;
	uint8_t uuid[16];
	bool alone;
	uint32_t version[NKEYS]; /* 0: absent */
	uint32_t last;
};

static bool
any_key(void *arg, const char *key)
{
	(void)arg;
	return strncmp(key, "other", 5) != 0;
}

static int
open_over(struct store *mem, struct simdisk *disk, const uint8_t uuid[16],
    bool alone, struct stat_set *stats, struct store **out, struct err *e)
{
	const struct diskcache_config conf = {.wants = any_key, .stats = stats};
	struct rdev *d = simdisk_open(disk, mem->loop, "disk");
	struct dcfile *f;
	int rc = diskcache_store_new(mem, &conf, out, e);

	if (rc < 0)
		return rc;
	rc = dcfile_open(d, uuid, BLOCK, &f, e);
	if (rc < 0) {
		rdev_close(d);
		return rc;
	}
	diskcache_start(*out, f, alone);
	return 0;
}

static void
rig_open(struct rig *g)
{
	struct err e = ERR_INIT;

	must(mem_store_open(g->loop, "t", g->data, NULL, &g->mem, &e) == 0);
	if (open_over(g->mem, g->disk, g->uuid, g->alone, &g->stats, &g->s,
		&e) < 0)
		fail_msg("open: %s", err_text(&e));
}

static void
rig_close(struct rig *g)
{
	store_free(g->s);
	g->s = NULL;
}

static struct rig *
rig_new(bool alone)
{
	struct rig *g = calloc(1, sizeof(*g));

	must(g);
	g->w.seed = 5;
	g->alone = alone;
	g->loop = loop_new_virtual(NULL);
	g->disk = simdisk_new(&g->w, DISK);
	g->data = mem_data_new();
	must(g->loop && g->data);
	rig_open(g);
	return g;
}

static void
rig_free(struct rig *g)
{
	rig_close(g);
	mem_data_unref(g->data);
	simdisk_free(g->disk);
	loop_free(g->loop);
	free(g);
}

static uint64_t
stat_of(struct rig *g, enum stat_id id)
{
	return stat_get(&g->stats, id);
}

/* --- objects: their bytes follow from key and version -------------------------- */

static const char *
key_of(unsigned k)
{
	static char key[32];

	snprintf(key, sizeof(key), "v/%08x", k);
	return key;
}

static size_t
size_of(unsigned k, uint32_t version)
{
	return (k * 977 + version * 131) % (BLOCK + 1);
}

static uint8_t
byte_of(unsigned k, uint32_t version, size_t i)
{
	return (uint8_t)(k * 31 + version * 7 + i + (i >> 8));
}

static void
put_to(struct store *s, unsigned k, uint32_t version)
{
	struct buf *b = buf_new(BLOCK + 1);
	struct store_req r;
	struct err e;
	char text[16];

	must(b);
	b->len = size_of(k, version);
	for (size_t i = 0; i < b->len; i++)
		b->data[i] = byte_of(k, version, i);
	snprintf(text, sizeof(text), "%u", version);
	store_req_init(&r, STORE_PUT, key_of(k));
	r.body = b;
	r.meta = meta_new();
	must(r.meta && meta_add(r.meta, "version", text) == 0);
	assert_int_equal(store_run(s, &r, &e), 0);
	meta_unref(r.meta);
	store_req_fini(&r);
	buf_unref(b);
}

static void
put(struct rig *g, unsigned k)
{
	g->version[k] = ++g->last;
	put_to(g->s, k, g->last);
}

static void
del(struct rig *g, unsigned k)
{
	struct store_req r;
	struct err e;

	g->version[k] = 0;
	store_req_init(&r, STORE_DELETE, key_of(k));
	assert_int_equal(store_run(g->s, &r, &e), 0);
	store_req_fini(&r);
}

static void
check_part(struct rig *g, unsigned k, size_t off, size_t len)
{
	uint32_t version = g->version[k];
	struct buf *b = buf_new(BLOCK + 1);
	struct store_req r;
	struct err e;
	char text[16];
	int rc;

	must(b);
	store_req_init(&r, STORE_GET, key_of(k));
	r.body = b;
	r.range_off = off;
	r.range_len = len;
	rc = store_run(g->s, &r, &e);
	if (version == 0) {
		assert_int_equal(rc, -ENOENT);
	} else {
		assert_int_equal(rc, 0);
		assert_int_equal(b->len, len ? len : size_of(k, version));
		assert_int_equal(r.size, size_of(k, version));
		for (size_t i = 0; i < b->len; i++)
			if (b->data[i] != byte_of(k, version, off + i))
				fail_msg("object %u, byte %zu", k, off + i);
		snprintf(text, sizeof(text), "%u", version);
		assert_string_equal(meta_get(r.got_meta, "version"), text);
	}
	store_req_fini(&r);
	buf_unref(b);
}

static void
check(struct rig *g, unsigned k)
{
	check_part(g, k, 0, 0);
}

static void
check_all(struct rig *g)
{
	for (unsigned k = 0; k < NKEYS; k++)
		check(g, k);
}

static void
list(struct rig *g)
{
	struct store_req r;
	struct err e;

	store_req_init(&r, STORE_LIST, NULL);
	r.prefix = "v/";
	assert_int_equal(store_run(g->s, &r, &e), 0);
	assert_false(r.page.more);
	store_req_fini(&r);
}

struct pause {
	struct loop_timer t;
	bool over;
};

static void
pause_over(struct loop_timer *t)
{
	container_of(t, struct pause, t)->over = true;
}

/* What is on its way into the file arrives. */
static void
settle(struct rig *g)
{
	struct pause p = {.t.fire = pause_over};

	must(loop_timer_set(g->loop, &p.t,
		 loop_now(g->loop) + 10000000000ll) == 0);
	must(loop_run_until(g->loop, &p.over) == 0);
}

/* Some of it fits. */
static void
fill(struct rig *g, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		put(g, k);
	settle(g);
}

/* --- tests ------------------------------------------------------------------- */

static void
test_survives(void **state)
{
	struct rig *g = rig_new(true);

	(void)state;
	fill(g, 20);
	for (unsigned k = 0; k < 20; k++)
		check(g, k);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_HITS), 20);
	rig_close(g);
	rig_open(g);
	for (unsigned k = 0; k < 10; k++)
		check(g, k); /* each is asked for once */
	assert_int_equal(stat_of(g, STAT_DISKCACHE_CHECKED), 10);
	for (unsigned k = 0; k < 10; k++)
		check(g, k);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_CHECKED), 10);
	list(g); /* and the others not even that */
	for (unsigned k = 0; k < 20; k++)
		check(g, k);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_CHECKED), 10);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_HITS), 50);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_MISSES), 0);
	rig_free(g);
}

/* What was read is kept as well; a part of an object is taken from all of it. */
static void
test_reads_are_kept(void **state)
{
	struct rig *g = rig_new(true);

	(void)state;
	for (unsigned k = 0; k < 10; k++)
		put_to(g->mem, k, g->version[k] = ++g->last);
	for (unsigned k = 0; k < 10; k++)
		check(g, k);
	settle(g);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_MISSES), 10);
	for (unsigned k = 1; k < 10; k++)
		check_part(g, k, 10, 20);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_MISSES), 10);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_HITS), 9);
	rig_free(g);
}

/* Somebody else has written meanwhile. */
static void
test_stale(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		struct rig *g = rig_new(true);

		fill(g, 20);
		rig_close(g);
		must(mem_store_open(
			 g->loop, "t", g->data, NULL, &g->mem, NULL) == 0);
		for (unsigned k = 0; k < 20; k += 2)
			put_to(g->mem, k, g->version[k] = ++g->last);
		store_free(g->mem);
		rig_open(g);
		if (how)
			list(g);
		for (unsigned k = 0; k < 20; k++)
			check(g, k);
		settle(g);
		for (unsigned k = 0; k < 20; k++)
			check(g, k);
		rig_free(g);
	}
}

/* Who is not alone asks each time. */
static void
test_not_alone(void **state)
{
	struct rig *g = rig_new(false);

	(void)state;
	fill(g, 10);
	list(g);
	for (unsigned k = 0; k < 10; k++) {
		check(g, k);
		put_to(g->mem, k, g->version[k] = ++g->last);
		check(g, k);
	}
	assert_int_equal(stat_of(g, STAT_DISKCACHE_HITS), 0);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_CHECKED), 10);
	rig_free(g);
}

/* Any 512 bytes of the file are damaged: a miss, or what is right. */
static void
test_damage(void **state)
{
	struct rig *g = rig_new(true);
	uint8_t p[512], was[512];

	(void)state;
	fill(g, 12);
	for (uint64_t at = 0; at < DISK; at += 512) {
		simdisk_peek(g->disk, at, was, 512);
		if (mem_is_zero(was, 512))
			continue;
		rig_close(g);
		simdisk_peek(g->disk, at, p, 512);
		p[sim_random(&g->w, 512)] ^= 1u << sim_random(&g->w, 8);
		/* The name of the format is what tells that it is ours. */
		if (at == 0)
			memcpy(p, "PAILDISK", 8);
		simdisk_poke(g->disk, at, p, 512);
		rig_open(g);
		list(g);
		for (unsigned k = 0; k < 12; k++)
			check(g, k);
		settle(g);
	}
	assert_true(stat_of(g, STAT_DISKCACHE_BAD) > 20);
	rig_free(g);
}

static void
test_errors(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct rig *g = rig_new(true);

		fill(g, 20);
		switch (how) {
		case 0:
			simdisk_faults(g->disk)->fail_reads = true;
			break;
		case 1:
			simdisk_faults(g->disk)->fail_writes = true;
			break;
		case 2:
			simdisk_faults(g->disk)->dead = true;
			break;
		default:
			simdisk_faults(g->disk)->fail_ops = 1u << RDEV_WRITE;
			simdisk_faults(g->disk)->fail_nth = 1;
			simdisk_faults(g->disk)->fail_error = ENOSPC;
		}
		for (unsigned i = 0; i < 200; i++) {
			unsigned k = (unsigned)sim_random(&g->w, NKEYS);

			if (sim_random(&g->w, 3))
				check(g, k);
			else
				put(g, k);
		}
		check_all(g);
		rig_free(g);
	}
}

static void
test_of_others(void **state)
{
	struct rig *g = rig_new(true);
	struct err e = ERR_INIT;
	struct dcfile *f;
	struct rdev *d;

	(void)state;
	fill(g, 20);
	rig_close(g);
	g->uuid[0] = 1;
	rig_open(g);
	for (unsigned k = 0; k < 20; k++)
		check(g, k);
	assert_int_equal(stat_of(g, STAT_DISKCACHE_MISSES), 20);
	rig_close(g);
	simdisk_poke(g->disk, 0, "something else", 14);
	d = simdisk_open(g->disk, g->loop, "disk");
	assert_int_equal(dcfile_open(d, g->uuid, BLOCK, &f, &e), -EINVAL);
	assert_non_null(strstr(err_text(&e), "something else"));
	assert_int_equal(dcfile_open(d, g->uuid, 16 << 20, &f, &e), -ENOSPC);
	rdev_close(d);
	simdisk_poke(g->disk, 0, "PAILDISK\1\0\0\0\0\0\0", 15);
	rig_open(g);
	rig_free(g);
}

/* The power fails, and the file keeps any part of what was written to it; others
 * write to the store between; much more than fits is written and read. */
static void
test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct rig *g = rig_new(seed % 3 != 0);

		g->w.seed = seed;
		for (int life = 0; life < 5; life++) {
			for (int i = 0; i < 150; i++) {
				unsigned k =
				    (unsigned)sim_random(&g->w, NKEYS);

				switch (sim_random(&g->w, 12)) {
				case 0:
				case 1:
				case 2:
					put(g, k);
					break;
				case 3:
					del(g, k);
					break;
				case 4:
					list(g);
					break;
				case 5:
					settle(g);
					break;
				default:
					check(g, k);
				}
			}
			g->w.cut = life % 2;
			rig_close(g);
			simdisk_settle(g->disk, SIM_KEEP_TORN);
			g->w.cut = false;
			must(mem_store_open(g->loop, "t", g->data, NULL,
				 &g->mem, NULL) == 0);
			for (unsigned k = 0; k < NKEYS; k++)
				if (sim_random(&g->w, 10) == 0)
					put_to(g->mem, k,
					    g->version[k] = ++g->last);
			store_free(g->mem);
			rig_open(g);
		}
		check_all(g);
		rig_free(g);
	}
}

/* The bytes of object k, as a store has them; -errno. */
static int
bytes_in(struct store *s, unsigned k, struct buf *b)
{
	struct store_req r;
	int rc;

	b->len = 0;
	store_req_init(&r, STORE_GET, key_of(k));
	r.body = b;
	rc = store_run(s, &r, NULL);
	store_req_fini(&r);
	return rc;
}

/* --- a read beside a delete -------------------------------------------------------- */

/* Between: a DELETE is sent on, and what a GET was answered is told, only when
 * the test says so. */
struct hold {
	struct filter f;
	struct filter_req *del, *get;
};

static void
hold_done(struct store_req *down)
{
	struct filter_req *q = filter_req_of(down);
	struct hold *h = container_of(q->up->store, struct hold, f.store);

	if (q->up->op == STORE_GET && h->del)
		h->get = q;
	else
		filter_req_answer(&h->f, q);
}

static void
hold_submit(struct store *s, struct store_req *r)
{
	struct hold *h = container_of(s, struct hold, f.store);
	struct filter_req *q = filter_req_get(&h->f, r, hold_done);

	must(q);
	if (r->op == STORE_DELETE)
		h->del = q;
	else
		store_submit(s->below, &q->down);
}

static void
hold_cancel(struct store *s, struct store_req *r)
{
	(void)s;
	(void)r;
}

static void
hold_free(struct store *s)
{
	struct hold *h = container_of(s, struct hold, f.store);

	filter_fini(&h->f);
	free(h);
}

static const struct store_ops hold_ops = {.name = "hold",
    .submit = hold_submit, .cancel = hold_cancel, .free = hold_free};

static void
ended(struct store_req *r)
{
	*(bool *)r->arg = true;
}

/* The GET begins after the DELETE, sees the object still, and ends after it. */
static void
test_read_beside_delete(void **state)
{
	struct rig *g = rig_new(true);
	struct hold *h = calloc(1, sizeof(*h));
	struct buf *b = buf_new(BLOCK + 1);
	struct store_req del_req, get_req;
	bool deleted = false, got = false;

	(void)state;
	must(h && b);
	put_to(g->mem, 3, 1);
	rig_close(g);
	must(mem_store_open(g->loop, "t", g->data, NULL, &g->mem, NULL) == 0);
	must(filter_init(&h->f, &hold_ops, g->mem,
		 sizeof(struct filter_req)) == 0);
	must(open_over(&h->f.store, g->disk, g->uuid, true, &g->stats, &g->s,
		 NULL) == 0);
	store_req_init(&del_req, STORE_DELETE, key_of(3));
	del_req.done = ended;
	del_req.arg = &deleted;
	store_submit(g->s, &del_req);
	must(h->del);
	store_req_init(&get_req, STORE_GET, key_of(3));
	get_req.body = b;
	get_req.done = ended;
	get_req.arg = &got;
	store_submit(g->s, &get_req);
	settle(g);
	must(h->get && !got);
	store_submit(g->mem, &h->del->down);
	must(loop_run_until(g->loop, &deleted) == 0);
	h->del = NULL;
	filter_req_answer(&h->f, h->get);
	must(loop_run_until(g->loop, &got) == 0);
	assert_int_equal(get_req.rc, 0);
	settle(g);
	assert_int_equal(bytes_in(g->s, 3, b), -ENOENT);
	store_req_fini(&del_req);
	store_req_fini(&get_req);
	buf_unref(b);
	rig_free(g);
}

/* --- without memory ------------------------------------------------------------ */

static void
same_in_both(struct rig *g, unsigned k)
{
	struct buf *a = buf_new(BLOCK + 1), *b = buf_new(BLOCK + 1);

	must(a && b);
	assert_int_equal(bytes_in(g->s, k, a), bytes_in(g->mem, k, b));
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
	buf_unref(a);
	buf_unref(b);
}

/* What there is to do, with one allocation that fails somewhere; any of it may
 * fail for that. */
static void
use_it(struct rig *g, struct buf *b)
{
	struct store_req r;
	int rc;

	for (unsigned k = 0; k < 4; k++) {
		rc = bytes_in(g->s, k, b);
		must(rc == 0 || rc == -ENOMEM);
	}
	b->len = BLOCK;
	memset(b->data, 0x5a, b->len);
	store_req_init(&r, STORE_PUT, key_of(2));
	r.body = b;
	rc = store_run(g->s, &r, NULL);
	must(rc == 0 || rc == -ENOMEM);
	store_req_fini(&r);
	store_req_init(&r, STORE_DELETE, key_of(3));
	rc = store_run(g->s, &r, NULL);
	must(rc == 0 || rc == -ENOMEM);
	store_req_fini(&r);
	store_req_init(&r, STORE_LIST, NULL);
	r.prefix = "v/";
	rc = store_run(g->s, &r, NULL);
	must(rc == 0 || rc == -ENOMEM);
	store_req_fini(&r);
}

static void
test_no_memory(void **state)
{
	unsigned n = 0;
	bool hit;

	(void)state;
	do {
		struct rig *g = rig_new(true);
		struct buf *b = buf_new(BLOCK + 1);

		must(b);
		for (unsigned k = 0; k < 6; k++)
			put_to(g->mem, k, ++g->last);
		same_in_both(g, 0); /* this one is in the file already */
		settle(g);
		fault_malloc_arm(++n);
		use_it(g, b);
		hit = fault_hit();
		fault_malloc_arm(0);
		settle(g);
		for (unsigned k = 0; k < 6; k++)
			same_in_both(g, k);
		settle(g);
		for (unsigned k = 0; k < 6; k++)
			same_in_both(g, k);
		buf_unref(b);
		rig_free(g);
	} while (hit);
	print_message("%u allocations\n", n - 1);
	assert_true(n > 10);
}

static int
contract_open(struct loop *l, void *arg, struct store **out, struct err *e)
{
	static const uint8_t uuid[16];
	struct rig *g = arg;
	struct store *mem;
	int rc = mem_store_open(l, "t", g->data, NULL, &mem, e);

	return rc < 0 ? rc
		      : open_over(mem, g->disk, uuid, false, NULL, out, e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_survives),
	    cmocka_unit_test(test_reads_are_kept),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_not_alone),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_of_others),
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_read_beside_delete),
	    cmocka_unit_test(test_no_memory),
	};
	struct rig g = {.w.seed = 1};
	struct contract c = {.name = "disk cache over mem",
	    .open = contract_open, .arg = &g, .prefix = "t/",
	    .virtual_time = true};
	int failed;

	log_open("test", LOG_LVL_ERROR, false);
	g.disk = simdisk_new(&g.w, DISK);
	g.data = mem_data_new();
	must(g.data);
	failed = contract_run(&c);
	mem_data_unref(g.data);
	simdisk_free(g.disk);
	failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed > 0;
}
