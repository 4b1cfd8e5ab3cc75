/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index and the allocator against simple models: the same random edits to
 * both, then everything compared; pages written and loaded again; damaged
 * pages refused.  PAIL_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "raw/alloc.h"
#include "raw/geom.h"
#include "raw/index.h"

#define K 4
#define M 2
#define NKEYS 6000

static unsigned seed;

static unsigned
rnd(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static int
seed_setup(void **state)
{
	const char *s = getenv("PAIL_SEED");

	seed = s ? (unsigned)strtoul(s, NULL, 0) : 20;
	print_message("PAIL_SEED=%u\n", seed);
	return 0;
}

/* The model: key i is there with version v[i], or not (0). */
struct model {
	uint64_t v[NKEYS];
	uint64_t count;
};

static void
make_key(unsigned i, char *key)
{
	/* Three families: blocks, hashed blocks, odd ones. */
	if (i % 3 == 0)
		sprintf(key, "vm/%08x", i);
	else if (i % 3 == 1)
		sprintf(key, "%08x-%08x", i * 2654435761u, i);
	else
		sprintf(key, "%c%*s%u", 'a' + i % 26, (int)(i % 90), "", i);
}

/* An object that can be told from all others. */
static void
make_object(unsigned i, uint64_t v, struct raw_object *o, struct raw_extent *x)
{
	memset(o, 0, sizeof(*o));
	o->seq = v;
	o->ext = x;
	o->meta_code = (uint8_t)(v % 3);
	o->meta_len = o->meta_code == RAW_META_TAIL ? (uint16_t)(v % 99 + 1) : 0;
	o->nextents = (uint16_t)(v % 7 == 0 ? 3 : v % 11 == 0 ? 0 : 1);
	if (o->nextents == 0 && o->meta_len > 0)
		o->nextents = 1;
	for (unsigned n = 0; n < o->nextents; n++) {
		struct geom g;

		x[n].addr = (v * 77 + i) * 31 + n;
		x[n].bytes = (uint32_t)(v % 131072 + 100);
		geom_init(&g, K, M, x[n].bytes);
		x[n].ncrc = (uint8_t)g.w;
		for (unsigned c = 0; c < g.w; c++)
			x[n].crc[c] = (uint32_t)(v * 2654435761u + c + n);
		o->size += x[n].bytes;
	}
	if (o->nextents > 0)
		o->size -= o->meta_len;
}

static void
check_object(const struct raw_object *got, unsigned i, uint64_t v)
{
	struct raw_extent x[3];
	struct raw_object want;

	make_object(i, v, &want, x);
	assert_int_equal(got->seq, want.seq);
	assert_int_equal(got->size, want.size);
	assert_int_equal(got->meta_code, want.meta_code);
	assert_int_equal(got->meta_len, want.meta_len);
	assert_int_equal(got->nextents, want.nextents);
	for (unsigned n = 0; n < want.nextents; n++) {
		assert_int_equal(got->ext[n].addr, x[n].addr);
		assert_int_equal(got->ext[n].bytes, x[n].bytes);
		assert_int_equal(got->ext[n].ncrc, x[n].ncrc);
		assert_memory_equal(
		    got->ext[n].crc, x[n].crc, 4 * (size_t)x[n].ncrc);
	}
}

/* index_each gives what a walk gives. */
struct each {
	struct index_walk walk;
	uint64_t n, stop_at;
};

static int
each_object(void *arg, const char *key, const struct raw_object *o)
{
	struct each *g = arg;
	struct raw_extent x[3];
	struct raw_object want;

	if (g->n == g->stop_at)
		return 7;
	assert_int_equal(index_walk_next(&g->walk, &want, x, 3), 1);
	assert_string_equal(key, g->walk.key);
	assert_int_equal(o->seq, want.seq);
	assert_int_equal(o->nextents, want.nextents);
	for (unsigned i = 0; i < want.nextents; i++)
		assert_int_equal(o->ext[i].addr, x[i].addr);
	g->n++;
	return 0;
}

static void
check_each(struct index *ix, uint64_t count)
{
	struct each g = {.stop_at = UINT64_MAX};
	struct raw_extent x[3];

	index_walk_init(&g.walk, ix, NULL);
	assert_int_equal(index_each(ix, x, 3, each_object, &g), 0);
	assert_int_equal(g.n, count);
	if (count == 0)
		return;
	g = (struct each){.stop_at = count / 2};
	index_walk_init(&g.walk, ix, NULL);
	assert_int_equal(index_each(ix, x, 3, each_object, &g), 7);
	assert_int_equal(g.n, count / 2);
}

static void
check_all(struct index *ix, const struct model *mo)
{
	struct raw_extent x[3];
	struct raw_object o;
	struct index_walk w;
	char key[RAW_KEY_MAX], last[RAW_KEY_MAX + 1] = "";
	uint64_t n = 0;

	assert_int_equal(index_count(ix), mo->count);
	for (unsigned i = 0; i < NKEYS; i++) {
		int rc;

		make_key(i, key);
		rc = index_get(ix, key, &o, x, 3);
		assert_int_equal(rc, mo->v[i] ? 0 : -2);
		if (rc == 0)
			check_object(&o, i, mo->v[i]);
	}
	index_walk_init(&w, ix, NULL);
	while (index_walk_next(&w, &o, x, 3) == 1) {
		assert_true(strcmp(last, w.key) < 0);
		strcpy(last, w.key);
		n++;
	}
	assert_int_equal(n, mo->count);
	check_each(ix, n);
}

/* Write all pages and load them into a new index. */
static struct index *
reload(struct index *ix)
{
	struct index *jx = index_new(K, M);

	for (size_t i = 0; i < index_npages(ix); i++) {
		struct index_page *p = index_page(ix, i);
		uint32_t n = index_page_bytes(p);
		uint8_t *bytes = malloc(n);
		struct raw_ref ref = {.seq = i};
		struct err e = ERR_INIT;

		index_page_encode(p, bytes);
		if (index_load_page(jx, bytes, n, &ref, &e) != 0)
			fail_msg("page %zu: %s", i, err_text(&e));
		assert_false(index_page_dirty(index_page(jx, i)));
		/* The same page again does not follow. */
		assert_int_equal(
		    index_load_page(jx, bytes, n, &ref, &e), -74);
		free(bytes);
	}
	return jx;
}

static void
test_model(void **state)
{
	struct model *mo = calloc(1, sizeof(*mo));
	struct index *ix = index_new(K, M);
	char key[RAW_KEY_MAX];

	for (unsigned op = 1; op <= 60000; op++) {
		unsigned i = op < 9000 ? rnd(NKEYS) / 3 * 3 : rnd(NKEYS);
		bool shrink = op / 10000 % 2;

		make_key(i, key);
		if (rnd(3) > (shrink ? 0u : 1u)) {
			int rc = index_delete(ix, key);

			assert_int_equal(rc, mo->v[i] ? 0 : -2);
			mo->count -= mo->v[i] ? 1 : 0;
			mo->v[i] = 0;
		} else {
			struct raw_extent x[3];
			struct raw_object o;

			make_object(i, op, &o, x);
			assert_int_equal(index_put(ix, key, &o), 0);
			mo->count += mo->v[i] ? 0 : 1;
			mo->v[i] = op;
		}
		if (op % 15000 == 0) {
			struct index *jx;

			check_all(ix, mo);
			jx = reload(ix);
			check_all(jx, mo);
			index_free(ix);
			ix = jx;
		}
	}
	for (unsigned i = 0; i < NKEYS; i++) {
		make_key(i, key);
		assert_int_equal(
		    index_delete(ix, key), mo->v[i] ? 0 : -2);
	}
	assert_int_equal(index_count(ix), 0);
	assert_int_equal(index_npages(ix), 0);
	index_free(ix);
	free(mo);
}

/* What an object of a volume costs: docs/raw.md promises 24 bytes and CRCs. */
static void
test_memory(void **state)
{
	struct index *ix = index_new(K, M);
	unsigned n = 200000;

	for (unsigned i = 0; i < n; i++) {
		struct raw_extent x = {.addr = i * 48ull, .bytes = 131072,
		    .ncrc = 6};
		struct raw_object o = {.size = 131072, .seq = i + 1,
		    .meta_code = RAW_META_BLOCK, .nextents = 1, .ext = &x};
		char key[32];

		sprintf(key, "vm1/%08x", i);
		assert_int_equal(index_put(ix, key, &o), 0);
	}
	print_message("%.1f bytes for each object, %.1f of them CRCs\n",
	    (double)index_memory(ix) / n, 24.0);
	assert_true(index_memory(ix) < (size_t)n * (24 + 24));
	index_free(ix);
}

/* Every byte of a page changed: refused, or loaded as a page that is sound. */
static void
test_damage(void **state)
{
	struct index *ix = index_new(K, M);
	uint32_t n;
	uint8_t *bytes;

	for (unsigned i = 1; i < 60; i++) {
		struct raw_extent x[3];
		struct raw_object o;
		char key[RAW_KEY_MAX];

		make_key(i, key);
		make_object(i, i, &o, x);
		assert_int_equal(index_put(ix, key, &o), 0);
	}
	n = index_page_bytes(index_page(ix, 0));
	bytes = malloc(n);
	index_page_encode(index_page(ix, 0), bytes);
	for (uint32_t b = 0; b < n; b++) {
		for (unsigned v = 1; v < 256; v <<= 3) {
			struct index *jx = index_new(K, M);
			struct raw_ref ref = {0};
			struct err e = ERR_INIT;

			bytes[b] ^= (uint8_t)v;
			if (index_load_page(jx, bytes, n, &ref, &e) < 0)
				assert_true(e.text[0] != '\0');
			bytes[b] ^= (uint8_t)v;
			index_free(jx);
		}
	}
	for (uint32_t cut = 0; cut < n; cut++) {
		struct index *jx = index_new(K, M);
		uint8_t *part = malloc(cut + 1);
		struct raw_ref ref = {0};
		struct err e = ERR_INIT;

		memcpy(part, bytes, cut);
		assert_int_equal(
		    index_load_page(jx, part, cut, &ref, &e), -74);
		free(part);
		index_free(jx);
	}
	free(bytes);
	index_free(ix);
}

/* Blocks one after the other: every member has its part of the parity, of each
 * 32 MiB too, and next to nothing is lost. */
static void
test_parity_rotates(void **state)
{
	static const struct {
		unsigned k, m;
	} profile[] = {{1, 1}, {2, 1}, {4, 2}, {8, 2}, {16, 4}};
	const unsigned total = 1 << 18;

	for (unsigned i = 0; i < 5; i++) {
		unsigned k = profile[i].k, m = profile[i].m, n = k + m;
		uint32_t space = geom_space(k, m, 128 << 10);
		struct alloc *a = alloc_new(total, n);
		unsigned begins[RAW_MAX_MEMBERS] = {0}, window = 0, all = 0;
		uint64_t addr;

		assert_non_null(a);
		while (alloc_take(a, space, &addr) == 0) {
			begins[addr % n]++;
			all++;
			if (++window * space < n * 1200)
				continue;
			for (unsigned c = 0; c < n; c++) {
				assert_in_range(begins[c] * n, window / 2,
				    2 * window);
				begins[c] = 0;
			}
			window = 0;
		}
		assert_true(all * space > total * 0.998);
		alloc_free(a);
	}
}

#define TOTAL 40000
static void
test_alloc(void **state)
{
	struct alloc *a = alloc_new(TOTAL, 6);
	uint8_t *used = calloc(1, TOTAL);
	struct {
		uint64_t addr;
		uint32_t n;
	} held[2000];
	unsigned nheld = 0;
	uint64_t nfree = TOTAL;

	for (unsigned op = 0; op < 200000; op++) {
		if (nheld < 2000 && rnd(2)) {
			uint32_t n = rnd(60) + 1;
			uint64_t addr;

			if (alloc_take(a, n, &addr) < 0) {
				uint32_t run = 0, best = 0;

				for (unsigned i = 0; i < TOTAL; i++) {
					run = used[i] ? 0 : run + 1;
					best = run > best ? run : best;
				}
				assert_true(best < n);
				continue;
			}
			assert_true(addr + n <= TOTAL);
			for (uint32_t i = 0; i < n; i++)
				assert_int_equal(used[addr + i]++, 0);
			held[nheld].addr = addr;
			held[nheld++].n = n;
			nfree -= n;
			assert_int_equal(alloc_mark(a, addr + n - 1, 1), -17);
		} else if (nheld > 0) {
			unsigned h = rnd(nheld);

			alloc_release(a, held[h].addr, held[h].n);
			memset(used + held[h].addr, 0, held[h].n);
			nfree += held[h].n;
			held[h] = held[--nheld];
		}
		assert_int_equal(alloc_nfree(a), nfree);
	}
	assert_int_equal(alloc_mark(a, TOTAL, 1), -34);
	assert_int_equal(alloc_mark(a, 1, TOTAL), -34);
	alloc_free(a);
	free(used);
}

/* Neighbours of as many extents as there may be: each page fits into an extent,
 * and can be loaded. */
static void
test_huge_objects(void **state)
{
	struct raw_extent *x = calloc(RAW_MAX_EXTENTS, sizeof(*x));
	struct index *ix = index_new(K, M), *jx = index_new(K, M);
	struct raw_object o = {.seq = 7, .ext = x, .nextents = RAW_MAX_EXTENTS};
	struct raw_ref ref = {0};
	struct err e = ERR_INIT;
	uint8_t *bytes = malloc(RAW_EXTENT_MAX);

	assert_true(x && ix && jx && bytes);
	for (unsigned n = 0; n < RAW_MAX_EXTENTS; n++) {
		struct geom g;

		x[n].addr = 100 + 10 * n;
		x[n].bytes = 16384;
		geom_init(&g, K, M, x[n].bytes);
		x[n].ncrc = (uint8_t)g.w;
		o.size += x[n].bytes;
	}
	for (unsigned i = 0; i < 100; i++) {
		char key[32];

		/* In order, and between others. */
		sprintf(key, "vm/%08x", i < 50 ? i : (i * 37) % 50);
		if (i >= 50)
			strcat(key, "x");
		assert_int_equal(index_put(ix, key, &o), 0);
		for (size_t p = 0; p < index_npages(ix); p++)
			assert_true(index_page_bytes(index_page(ix, p)) <=
			    RAW_EXTENT_MAX);
	}
	for (size_t p = 0; p < index_npages(ix); p++) {
		uint32_t n = index_page_bytes(index_page(ix, p));

		index_page_encode(index_page(ix, p), bytes);
		assert_int_equal(index_load_page(jx, bytes, n, &ref, &e), 0);
	}
	assert_int_equal(index_count(ix), 100);
	assert_int_equal(index_count(jx), 100);
	index_free(ix);
	index_free(jx);
	free(bytes);
	free(x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_huge_objects),
	    cmocka_unit_test_setup(test_model, seed_setup),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test_setup(test_alloc, seed_setup),
	    cmocka_unit_test(test_parity_rotates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
