/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong bytes on a device, however they came there: flipped bits in metadata
 * and in data, writes that were lost, went elsewhere, or left what was there
 * before.  What is read is right or an error; what a member had wrong is
 * repaired, and the counters name it (G4, G5, G8).
 *
 * Every single bit of a superblock, of a log record, of a page and of the root
 * is flipped before the decoders.  Whole stores with a flipped bit are opened
 * for some of them: PAIL_LONG=1 takes 40 times as many.
 */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "lib/rawlab.h"
#include "raw/ckpt.h"
#include "raw/crc.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}, {4, 2}};
#define NPROFILES 4
#define NOBJECTS 20

struct world {
	struct lab lab;
	struct lab_object model[LAB_NKEYS];
	/* Places on the members, with bytes that matter. */
	struct place {
		unsigned column;
		uint64_t off;
		uint32_t len;
		const char *what;
	} place[2000];
	unsigned nplaces;
};

static void
place(struct world *w, unsigned column, uint64_t off, uint32_t len,
    const char *what)
{
	must(w->nplaces < 2000);
	w->place[w->nplaces++] = (struct place){column, off, len, what};
}

static void
place_extent(
    struct world *w, const struct raw_extent *x, const char *what)
{
	const struct pool *p = w->lab.pool;
	struct geom g;

	geom_init(&g, p->k, p->m, x->bytes);
	for (unsigned c = 0; c < g.w; c++)
		place(w, geom_member(&g, x->addr, c),
		    (RAW_LOG_START + p->super.log_sectors +
			geom_member_sector(&g, x->addr, c)) *
			RAW_SECTOR,
		    geom_column_sectors(&g, c) * RAW_SECTOR, what);
}

/* Where everything is. */
static void
find_places(struct world *w)
{
	struct pool *p = w->lab.pool;
	struct raw_extent ext[8];
	struct raw_object o;
	struct index_walk walk;

	for (unsigned c = 0; c < p->n; c++) {
		for (unsigned i = 0; i < RAW_NCOPIES; i++)
			place(w, c, raw_copy_offset(i, p->super.end),
			    RAW_SECTOR, "superblock");
		place(w, c, (RAW_LOG_START + p->tail) * RAW_SECTOR,
		    (uint32_t)(p->pos - p->tail) * RAW_SECTOR, "log");
	}
	for (size_t i = 0; i < p->nroots; i++)
		place_extent(w, &p->roots[i].ext, "root");
	for (size_t i = 0; i < index_npages(p->index); i++)
		if (index_page_ref(index_page(p->index, i))->ext.bytes > 0)
			place_extent(w,
			    &index_page_ref(index_page(p->index, i))->ext,
			    "page");
	index_walk_init(&walk, p->index, NULL);
	while (index_walk_next(&walk, &o, ext, 8) == 1)
		for (unsigned i = 0; i < o.nextents; i++)
			place_extent(w, &ext[i], "data");
}

/* A store with objects in its index and some more in its log, all synced, that
 * was not closed. */
static void
world_init(struct world *w, unsigned pr, uint64_t seed, const char *test)
{
	static const uint32_t sizes[] = {4096, 100, 20000, 70000};

	memset(w, 0, sizeof(*w));
	lab_reproduce("tests/unit/raw/test_damage (%s, %u+%u, seed %llu)",
	    test, profiles[pr].k, profiles[pr].m, (unsigned long long)seed);
	lab_init(&w->lab,
	    &(struct lab_params){.k = profiles[pr].k,
		.m = profiles[pr].m,
		.seed = seed,
		.disk_bytes = 27u << 20});
	lab_must_open(&w->lab);
	for (unsigned i = 0; i < NOBJECTS; i++) {
		w->model[i] = (struct lab_object){
		    i + 1, sizes[i % 4], (uint8_t)(i % 3)};
		lab_check(lab_put(&w->lab, i, &w->model[i]) == 0);
		if (i == NOBJECTS / 2)
			lab_check(lab_checkpoint(&w->lab) == 0);
		if (i % 4 == 3)
			lab_check(lab_sync(&w->lab) == 0);
	}
	/* After a while without work the last record says that all before it is
	 * durable: else damage could not be told from a torn end. */
	lab_idle(&w->lab, 300000000);
	lab_check(w->lab.pool->marked_seq >= NOBJECTS);
	find_places(w);
	lab_kill(&w->lab);
	lab_save(&w->lab);
}

static void
world_fini(struct world *w)
{
	lab_fini(&w->lab);
	free(w);
}

static void
flip(struct world *w, unsigned column, uint64_t off, unsigned bit)
{
	uint8_t b;

	simdisk_peek(w->lab.disk[column], off, &b, 1);
	b ^= (uint8_t)(1u << bit);
	simdisk_poke(w->lab.disk[column], off, &b, 1);
}

static uint64_t
errors_of(const struct world *w, unsigned column)
{
	struct pool_status st;

	pool_get_status(w->lab.pool, &st);
	return st.member[column].checksum_errors +
	    st.member[column].read_errors;
}

/* --- every bit, before the decoders ---------------------------------------------- */

static uint64_t
flip_super(const uint8_t *good)
{
	struct raw_super a, b;
	uint8_t in[RAW_SECTOR];
	uint64_t n = 0;

	lab_check(raw_super_decode(&a, good, NULL) == 0);
	for (unsigned i = 0; i < RAW_SECTOR * 8; i++, n++) {
		memcpy(in, good, RAW_SECTOR);
		in[i / 8] ^= (uint8_t)(1u << (i % 8));
		/* The number of the copy is the only one that may. */
		if (raw_super_decode(&b, in, NULL) == 0 && i / 8 != 16)
			lab_fail("superblock: bit %u makes no difference", i);
	}
	return n;
}

static uint64_t
flip_record(const uint8_t *good, size_t size)
{
	struct raw_record r;
	uint8_t *in = malloc(size);
	uint64_t n = 0;

	lab_check(raw_record_decode(&r, good, size, NULL) == 0);
	memcpy(in, good, size);
	for (size_t i = 0; i < (size_t)r.sectors * RAW_SECTOR * 8; i++, n++) {
		struct raw_record f;

		in[i / 8] ^= (uint8_t)(1u << (i % 8));
		if (raw_record_decode(&f, in, size, NULL) == 0)
			lab_fail("log record: bit %zu makes no difference", i);
		in[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	free(in);
	return n;
}

static uint64_t
flip_fragment(uint8_t *bytes, size_t size)
{
	uint32_t good = crc32c(0, bytes, size);
	uint64_t n = 0;

	for (size_t i = 0; i < size * 8; i++, n++) {
		bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
		lab_check(crc32c(0, bytes, size) != good);
		bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	return n;
}

static void
test_every_bit(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t bits = 0;

	must(w);
	world_init(w, 2, 1, "every bit");
	for (unsigned i = 0; i < w->nplaces; i++) {
		const struct place *pl = &w->place[i];
		uint8_t *bytes;

		if (pl->column != 0 || strcmp(pl->what, "data") == 0)
			continue;
		bytes = malloc(pl->len);
		must(bytes);
		simdisk_peek(w->lab.disk[0], pl->off, bytes, pl->len);
		if (strcmp(pl->what, "superblock") == 0)
			bits += flip_super(bytes);
		else if (strcmp(pl->what, "log") == 0)
			bits += flip_record(bytes, pl->len);
		else
			bits += flip_fragment(bytes, pl->len);
		free(bytes);
	}
	print_message("%llu bits of metadata, each noticed\n",
	    (unsigned long long)bits);
	world_fini(w);
}

/* --- whole stores with a flipped bit ------------------------------------------------ */

/* One member has a wrong bit: everything is there all the same, and repaired. */
static void
flipped_open(struct world *w, const struct place *pl)
{
	struct err e = ERR_INIT;
	uint64_t before;

	lab_restore(&w->lab);
	flip(w, pl->column, pl->off + sim_random(&w->lab.w, pl->len),
	    (unsigned)sim_random(&w->lab.w, 8));
	before = simdisk_hash(w->lab.disk[pl->column]);
	if (lab_open(&w->lab, ~0u, true, &e) < 0) {
		if (w->lab.m > 0)
			lab_fail("a flipped bit in a %s: %s", pl->what,
			    err_text(&e));
	} else {
		for (unsigned i = 0; i < LAB_NKEYS; i++) {
			int rc = lab_compare(&w->lab, i, &w->model[i]);
			bool early = rc == 1 && w->lab.m == 0 &&
			    strcmp(pl->what, "log") == 0;

			/* Without parity a lost record ends the log. */
			if (rc != 0 && !early &&
			    (rc != -EBADMSG || w->lab.m > 0))
				lab_fail("a flipped bit in a %s: key %u: %d",
				    pl->what, i, rc);
		}
		lab_kill(&w->lab);
	}
	/* Reading only has changed nothing (G6). */
	lab_check(simdisk_hash(w->lab.disk[pl->column]) == before);
	if (w->lab.m == 0)
		return;
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, pl->what);
	lab_scrub(&w->lab);
	if (strcmp(pl->what, "data") == 0)
		lab_check(errors_of(w, pl->column) > 0);
	for (unsigned c = 0; c < w->lab.n; c++)
		if (c != pl->column)
			lab_check(errors_of(w, c) == 0);
	/* Whole again: another scrub finds nothing. */
	lab_check(lab_scrub(&w->lab).repaired == 0);
	lab_must_close(&w->lab);
}

static void
test_flipped(void **state)
{
	uint64_t times = lab_env("PAIL_LONG", 0) ? 40 : 1, n = 0;

	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w));

		must(w);
		world_init(w, pr, 2, "flipped");
		for (uint64_t t = 0; t < times; t++)
			for (unsigned i = (unsigned)t % w->lab.n;
			     i < w->nplaces; i += w->lab.n, n++)
				flipped_open(w, &w->place[i]);
		world_fini(w);
	}
	print_message("%llu stores with a flipped bit\n",
	    (unsigned long long)n);
}

/* More members than m have the same fragments wrong: that object is said to be
 * lost, by name; all others are there. */
static void
test_too_many(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		struct world *w = calloc(1, sizeof(*w));
		struct scrub_result r;
		struct raw_extent ext;
		struct raw_object o;
		struct geom g;
		uint32_t columns = 0;

		must(w);
		world_init(w, pr, 3, "too many");
		lab_must_open(&w->lab);
		lab_check(index_get(w->lab.pool->index, lab_key(3), &o, &ext,
			      1) == 0);
		geom_init(&g, w->lab.k, w->lab.m, ext.bytes);
		for (unsigned c = 0; c <= w->lab.m; c++) {
			uint64_t off = (RAW_LOG_START +
					   w->lab.pool->super.log_sectors +
					   geom_member_sector(
					       &g, ext.addr, c)) *
			    RAW_SECTOR;

			flip(w, geom_member(&g, ext.addr, c), off + 77, 3);
			columns |= 1u << geom_member(&g, ext.addr, c);
		}
		for (unsigned i = 0; i < LAB_NKEYS; i++) {
			int rc = lab_compare(&w->lab, i, &w->model[i]);

			/* One data column may be enough for ... none here:
			 * all of it is asked for. */
			if (rc != (i == 3 ? -EBADMSG : 0) &&
			    !(i == 3 && rc == 0 && w->lab.m > 0))
				lab_fail("key %u: %d", i, rc);
		}
		r = lab_scrub(&w->lab);
		lab_check(r.lost == 1);
		for (unsigned c = 0; c < w->lab.n; c++)
			lab_check((errors_of(w, c) > 0) ==
			    (columns >> c & 1));
		lab_kill(&w->lab);
		world_fini(w);
	}
}

/* --- lost, misdirected, stale ----------------------------------------------------------- */

enum how { LOST, MISDIRECTED, SWAPPED, HOWS };

/* Member `bad` does that to all data that is written for a while. */
static void
mistreat(struct world *w, enum how how, unsigned bad)
{
	struct pool *p = w->lab.pool;
	uint64_t data = (RAW_LOG_START + p->super.log_sectors) * RAW_SECTOR;
	struct simdisk_faults *f = simdisk_faults(w->lab.disk[bad]);

	if (how == SWAPPED)
		return;
	f->lose_from = data;
	f->lose_to = p->super.end - (1u << 20) - (1u << 18);
	f->misdirect = how == MISDIRECTED ? 65536 : 0;
}

/* Two fragments of the same length change places. */
static void
swap_fragments(struct world *w, unsigned bad)
{
	for (unsigned i = 0; i < w->nplaces; i++)
		for (unsigned j = 0; j < i; j++) {
			struct place *a = &w->place[i], *b = &w->place[j];
			uint8_t *x, *y;

			if (a->column != bad || b->column != bad ||
			    a->len != b->len || strcmp(a->what, "data") ||
			    strcmp(b->what, "data"))
				continue;
			x = malloc(a->len);
			y = malloc(a->len);
			simdisk_peek(w->lab.disk[bad], a->off, x, a->len);
			simdisk_peek(w->lab.disk[bad], b->off, y, a->len);
			simdisk_poke(w->lab.disk[bad], a->off, y, a->len);
			simdisk_poke(w->lab.disk[bad], b->off, x, a->len);
			free(x);
			free(y);
			a->what = b->what = "swapped";
		}
}

static void
mistreated(unsigned pr, enum how how, unsigned bad)
{
	static const char *const names[] = {"lost", "misdirected", "swapped"};
	struct world *w = calloc(1, sizeof(*w));
	uint32_t without;

	must(w);
	world_init(w, pr, 4 + how, names[how]);
	lab_must_open(&w->lab);
	mistreat(w, how, bad);
	for (unsigned i = 0; i < NOBJECTS / 2; i++) {
		w->model[i].version += 1000; /* the same size */
		lab_check(lab_put(&w->lab, i, &w->model[i]) == 0);
	}
	lab_check(lab_sync(&w->lab) == 0);
	memset(simdisk_faults(w->lab.disk[bad]), 0,
	    sizeof(struct simdisk_faults));
	if (how == SWAPPED) {
		w->nplaces = 0;
		find_places(w);
		swap_fragments(w, bad);
	}
	lab_compare_all(&w->lab, w->model, names[how]);
	lab_scrub(&w->lab);
	lab_check(errors_of(w, bad) > 0);
	for (unsigned c = 0; c < w->lab.n; c++)
		if (c != bad)
			lab_check(errors_of(w, c) == 0);
	lab_check(lab_scrub(&w->lab).repaired == 0);
	lab_must_close(&w->lab);
	/* What was repaired stands by itself: any other may go. */
	without = 1u << ((bad + 1) % w->lab.n);
	lab_check(lab_open(&w->lab, ~without, true, NULL) == 0);
	lab_compare_all(&w->lab, w->model, "another member gone");
	lab_kill(&w->lab);
	world_fini(w);
}

static void
test_lost_misdirected_swapped(void **state)
{
	for (unsigned pr = 1; pr < NPROFILES; pr++)
		for (unsigned how = 0; how < HOWS; how++)
			mistreated(pr, how, how % (profiles[pr].k + 1));
}

/* --- superblocks --------------------------------------------------------------- */

/* A flipped bit makes one copy look like a newer format: there are three more.
 * If all of them say so, it is one. */
static void
test_newer_format(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e = ERR_INIT;

	must(w);
	world_init(w, 1, 6, "newer format");
	for (unsigned copy = 0; copy < RAW_NCOPIES; copy++) {
		lab_restore(&w->lab);
		flip(w, 0, raw_copy_offset(copy, 27u << 20) + 8, 1);
		lab_must_open(&w->lab);
		lab_compare_all(&w->lab, w->model, "one copy looks newer");
		lab_must_close(&w->lab);
	}
	lab_restore(&w->lab);
	for (unsigned copy = 0; copy < RAW_NCOPIES; copy++)
		for (unsigned c = 0; c < 2; c++)
			flip(w, c, raw_copy_offset(copy, 27u << 20) + 8, 1);
	lab_check(lab_open(&w->lab, ~0u, false, &e) == -ENOTSUP);
	lab_check(strstr(err_text(&e), "format"));
	world_fini(w);
}

/* A member that cannot be read at all, or has become shorter, is a member that
 * is missing. */
static void
test_unusable_member(void **state)
{
	for (unsigned how = 0; how < 2; how++)
		for (unsigned pr = 0; pr < NPROFILES; pr++) {
			struct world *w = calloc(1, sizeof(*w));
			struct err e = ERR_INIT;
			int rc;

			must(w);
			world_init(w, pr, 7, "unusable member");
			if (how == 0)
				simdisk_faults(w->lab.disk[0])->dead = true;
			w->lab.short_by = how == 1 ? 1u << 20 : 0;
			rc = lab_open(&w->lab, ~0u, false, &e);
			if (w->lab.n <= 2 * w->lab.m) {
				/* Half of them is no majority. */
				lab_check(rc == -ENODEV);
				rc = lab_open(&w->lab, ~0u, true, &e);
			}
			if (w->lab.m == 0) {
				lab_check(rc < 0 && err_text(&e)[0]);
			} else {
				if (rc < 0)
					lab_fail("%s", err_text(&e));
				lab_compare_all(
				    &w->lab, w->model, "one is unusable");
				lab_must_close(&w->lab);
			}
			world_fini(w);
		}
}

/* What was repaired is there after a SYNC and a power cut. */
static void
test_repair_is_synced(void **state)
{
	struct lab_params lp = {.k = 2, .m = 1, .seed = 12};
	struct lab_object o = {1, 60000, 0};
	static uint8_t garbage[RAW_SECTOR];
	struct pool_status st;
	uint64_t repaired = 0, before = 0, after = 0;
	struct lab lab;

	lab_reproduce("tests/unit/raw/test_damage (repair is synced)");
	lab_init(&lab, &lp);
	lab_must_open(&lab);
	lab_check(lab_put(&lab, 1, &o) == 0);
	lab_check(lab_checkpoint(&lab) == 0);
	memset(garbage, 0x5a, sizeof(garbage));
	for (uint64_t s = RAW_LOG_START + lab.pool->super.log_sectors;
	     s < LAB_DISK / RAW_SECTOR - RAW_TAIL_SECTORS; s++)
		simdisk_poke(
		    lab.disk[1], s * RAW_SECTOR, garbage, RAW_SECTOR);
	lab_check(lab_compare(&lab, 1, &o) == 0);
	pool_get_status(lab.pool, &st);
	for (unsigned c = 0; c < lab.n; c++)
		repaired += st.member[c].repaired;
	lab_check(repaired > 0);
	lab_check(lab_sync(&lab) == 0);
	lab_kill(&lab);
	for (unsigned c = 0; c < lab.n; c++)
		simdisk_settle(lab.disk[c], SIM_KEEP_NONE);
	lab_must_open(&lab);
	pool_get_status(lab.pool, &st);
	for (unsigned c = 0; c < lab.n; c++)
		before += st.member[c].checksum_errors;
	lab_check(lab_compare(&lab, 1, &o) == 0);
	pool_get_status(lab.pool, &st);
	for (unsigned c = 0; c < lab.n; c++)
		after += st.member[c].checksum_errors;
	lab_check(after == before);
	lab_must_close(&lab);
	lab_fini(&lab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_repair_is_synced),
	    cmocka_unit_test(test_every_bit),
	    cmocka_unit_test(test_flipped),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_lost_misdirected_swapped),
	    cmocka_unit_test(test_newer_format),
	    cmocka_unit_test(test_unusable_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
