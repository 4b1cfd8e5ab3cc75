/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that other stores have had, each by name: they must not come back
 * here.  And how the format is kept: a store of the first version is opened by
 * this one, one that needs what this one does not know is not.
 */
#include <setjmp.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/byteorder.h"
#include "base/must.h"
#include "lib/rawlab.h"
#include "raw/crc.h"
#include "raw/pool_int.h"
#include "raw/scrub.h"

struct world {
	struct lab lab;
	struct lab_object model[LAB_NKEYS];
};

static struct world *
world_new(unsigned k, unsigned m, uint64_t seed, const char *test)
{
	struct world *w = calloc(1, sizeof(*w));

	must(w);
	lab_reproduce("tests/unit/raw/test_regress (%s)", test);
	lab_init(&w->lab,
	    &(struct lab_params){
		.k = k, .m = m, .seed = seed, .disk_bytes = 27u << 20});
	lab_must_open(&w->lab);
	return w;
}

static void
put(struct world *w, unsigned key, uint64_t version, uint32_t size)
{
	w->model[key] = (struct lab_object){version, size, 1};
	lab_check(lab_put(&w->lab, key, &w->model[key]) == 0);
}

/* The process is killed; the disks keep what they were given. */
static void
kill_all(struct world *w)
{
	lab_kill(&w->lab);
	for (unsigned c = 0; c < w->lab.n; c++)
		simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
}

static void
world_free(struct world *w)
{
	if (w->lab.pool)
		lab_kill(&w->lab);
	lab_fini(&w->lab);
	free(w);
}

static void
poke(struct world *w, unsigned c, uint64_t off, uint8_t byte)
{
	simdisk_poke(w->lab.disk[c], off, &byte, 1);
}

static uint64_t
log_off(const struct world *w, uint64_t record)
{
	return (RAW_LOG_START + record) * RAW_SECTOR;
}

/* A header that is damaged: the opening fails, again and again, and nothing is
 * made new, not even an empty store. */
static void
test_open_never_resets(void **state)
{
	struct world *w = world_new(1, 0, 1, "open never resets");
	struct err e = ERR_INIT;
	uint64_t hash;

	put(w, 1, 1, 5000);
	lab_must_close(&w->lab);
	for (unsigned i = 0; i < RAW_NCOPIES; i++)
		poke(w, 0, raw_copy_offset(i, 27u << 20) + 100, 0xff);
	hash = simdisk_hash(w->lab.disk[0]);
	for (unsigned i = 0; i < 3; i++) {
		lab_check(lab_open(&w->lab, ~0u, false, &e) == -EBADMSG);
		lab_check(strstr(err_text(&e), "disk0"));
		lab_check(simdisk_hash(w->lab.disk[0]) == hash);
	}
	world_free(w);
}

/* One good copy of the superblock is enough, whichever it is; a plausible value
 * with a wrong checksum is not believed. */
static void
test_header_has_checksum_and_copies(void **state)
{
	for (unsigned good = 0; good < RAW_NCOPIES; good++) {
		struct world *w = world_new(1, 0, 2, "copies");

		put(w, 1, 1, 5000);
		put(w, 2, 2, 9000);
		lab_must_close(&w->lab);
		for (unsigned i = 0; i < RAW_NCOPIES; i++)
			if (i != good) /* the place in the log: 0 is allowed */
				poke(w, 0,
				    raw_copy_offset(i, 27u << 20) + 136, 0);
		for (unsigned i = 0; i < RAW_NCOPIES; i++)
			if (i != good)
				poke(w, 0,
				    raw_copy_offset(i, 27u << 20) + 137, 7);
		lab_must_open(&w->lab);
		lab_compare_all(&w->lab, w->model, "one good copy");
		world_free(w);
	}
}

/* A store is made anew on a device: what the log of the one before holds, at
 * the very place where this one goes on, is not taken for its own. */
static void
test_stale_records_are_not_replayed(void **state)
{
	struct world *w = world_new(1, 0, 3, "stale records");
	uint8_t sectors[8][RAW_SECTOR];

	for (unsigned i = 0; i < 8; i++)
		put(w, i, i + 1, 4096);
	lab_check(lab_sync(&w->lab) == 0);
	simdisk_peek(w->lab.disk[0], log_off(w, 0), sectors, sizeof(sectors));
	lab_kill(&w->lab);
	lab_fini(&w->lab);
	/* The same places, the same numbers of commits, another pool. */
	memset(w->model, 0, sizeof(w->model));
	lab_init(&w->lab,
	    &(struct lab_params){
		.k = 1, .seed = 4, .disk_bytes = 27u << 20});
	simdisk_poke(w->lab.disk[0], log_off(w, 0), sectors, sizeof(sectors));
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "a new store");
	world_free(w);
}

/* ... nor what an earlier life of the same store has written there and
 * recovery has dropped. */
static void
test_dropped_records_do_not_come_back(void **state)
{
	struct world *w = world_new(1, 0, 5, "dropped records");
	uint8_t sector[RAW_SECTOR];

	put(w, 0, 1, 4096);
	lab_check(lab_sync(&w->lab) == 0);
	for (unsigned i = 1; i < 5; i++)
		put(w, i, i + 1, 4096);
	/* Of commit 2 the record is lost: 2 to 5 are dropped. */
	kill_all(w);
	simdisk_peek(w->lab.disk[0], log_off(w, 1), sector, RAW_SECTOR);
	poke(w, 0, log_off(w, 1) + 300, 0x55);
	poke(w, 0, log_off(w, 1) + 40, 0x55);
	for (unsigned i = 1; i < 5; i++)
		w->model[i].version = 0;
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "dropped");
	kill_all(w);
	/* And now it is there again, as a late write of a bad disk. */
	simdisk_poke(w->lab.disk[0], log_off(w, 1), sector, RAW_SECTOR);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "come back");
	world_free(w);
}

/* A bit flips in an early record: what follows was synced, so that is damage,
 * not the end of the log.  Nothing is cut off, and the record is restored when
 * another member has it. */
static void
test_early_damage_is_not_the_end(void **state)
{
	struct world *w = world_new(1, 1, 6, "early damage");
	struct err e = ERR_INIT;
	uint64_t hash[2];

	for (unsigned i = 0; i < 6; i++) {
		put(w, i, i + 1, 4096);
		lab_check(lab_sync(&w->lab) == 0);
	}
	lab_idle(&w->lab, 300000000);
	kill_all(w);
	poke(w, 0, log_off(w, 1) + 90, 0xee);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "on one member");
	for (unsigned i = 0; i < 6; i++) {
		put(w, i, i + 11, 4096);
		lab_check(lab_sync(&w->lab) == 0);
	}
	lab_idle(&w->lab, 300000000);
	{
		uint64_t at = w->lab.pool->tail + 1;

		kill_all(w);
		poke(w, 0, log_off(w, at) + 90, 0xee);
		poke(w, 1, log_off(w, at) + 90, 0xee);
	}
	for (unsigned c = 0; c < 2; c++)
		hash[c] = simdisk_hash(w->lab.disk[c]);
	lab_check(lab_open(&w->lab, ~0u, false, &e) == -EBADMSG);
	lab_check(strstr(err_text(&e), "Nothing was changed"));
	for (unsigned c = 0; c < 2; c++)
		lab_check(simdisk_hash(w->lab.disk[c]) == hash[c]);
	/* Read-only it shows the state before. */
	lab_check(lab_open(&w->lab, ~0u, true, &e) == 0);
	lab_check(lab_compare(&w->lab, 0, &w->model[0]) == 0);
	world_free(w);
}

/* The log goes around for ever. */
static void
test_log_is_reclaimed(void **state)
{
	struct world *w = world_new(1, 0, 7, "log is reclaimed");
	uint64_t ring = w->lab.pool->super.log_sectors, n = 0;

	while (w->lab.pool->pos < 3 * ring) {
		unsigned key[CHAR_BIT], i;
		struct lab_object obj[CHAR_BIT];

		for (i = 0; i < CHAR_BIT; i++) {
			key[i] = (unsigned)((n + i) % 32);
			obj[i] = (struct lab_object){++n, 64, 0};
			w->model[key[i]] = obj[i];
		}
		lab_check(lab_batch(&w->lab, key, obj, CHAR_BIT) == 0);
	}
	kill_all(w);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "around three times");
	world_free(w);
}

/* Devices say who they are: their order does not matter, and a device of
 * another store is refused, with both names. */
static void
test_identity(void **state)
{
	struct world *w = world_new(2, 1, 8, "identity");
	struct simdisk *d;
	struct simimage *a, *b;
	struct world *other;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < 9; i++)
		put(w, i, i + 1, 30000);
	lab_must_close(&w->lab);
	d = w->lab.disk[0];
	w->lab.disk[0] = w->lab.disk[2];
	w->lab.disk[2] = d;
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "cables swapped");
	lab_must_close(&w->lab);
	/* One is a copy of another. */
	a = simdisk_save(w->lab.disk[0]);
	b = simdisk_save(w->lab.disk[1]);
	simdisk_load(w->lab.disk[1], a);
	lab_check(lab_open(&w->lab, ~0u, false, &e) == -EINVAL);
	lab_check(strstr(err_text(&e), "same member"));
	/* One is of another store. */
	other = world_new(2, 1, 9, "identity");
	lab_must_close(&other->lab);
	simimage_free(a);
	a = simdisk_save(other->lab.disk[1]);
	simdisk_load(w->lab.disk[1], a);
	lab_check(lab_open(&w->lab, ~0u, false, &e) == -EINVAL);
	lab_check(strstr(err_text(&e), "another store"));
	simdisk_load(w->lab.disk[1], b);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "put right");
	simimage_free(a);
	simimage_free(b);
	world_free(other);
	world_free(w);
}

/* A wrong fragment is not just an error: the object is put together from the
 * others, given, and the fragment written again. */
static void
test_damage_is_mended_when_read(void **state)
{
	struct world *w = world_new(2, 1, 10, "mended when read");
	struct pool_status st;
	uint64_t n = 0;

	put(w, 1, 1, 64u << 10);
	lab_must_close(&w->lab);
	for (uint64_t off = (RAW_LOG_START + 4096) * RAW_SECTOR;
	     off < (26u << 20); off += RAW_SECTOR)
		poke(w, 1, off + 5, 0x3c);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "damaged");
	pool_get_status(w->lab.pool, &st);
	for (unsigned c = 0; c < 3; c++)
		if (st.member[c].repaired > 0)
			n++;
	lab_check(n == 1);
	/* It stands alone now. */
	lab_must_close(&w->lab);
	lab_check(lab_open(&w->lab, ~4u, true, NULL) == 0);
	lab_compare_all(&w->lab, w->model, "mended");
	world_free(w);
}

/* After a flush that failed, nothing more is acknowledged by that device. */
static void
test_flush_error_is_the_end(void **state)
{
	struct world *w = world_new(1, 0, 11, "flush error");
	struct lab_object o = {5, 100, 0};

	put(w, 1, 1, 4096);
	simdisk_faults(w->lab.disk[0])->fail_nth = 1;
	simdisk_faults(w->lab.disk[0])->fail_ops = 4; /* a flush, once */
	lab_check(lab_sync(&w->lab) < 0);
	lab_check(lab_sync(&w->lab) < 0);
	lab_check(lab_put(&w->lab, 2, &o) == -EROFS);
	world_free(w);
}

/* A PUT whose write failed is an error, and the old object is still there. */
static void
test_put_error_is_not_swallowed(void **state)
{
	struct world *w = world_new(1, 0, 12, "put error");
	struct lab_object o = {5, 100000, 0};

	put(w, 1, 1, 4096);
	lab_check(lab_sync(&w->lab) == 0);
	simdisk_faults(w->lab.disk[0])->fail_writes = true;
	lab_check(lab_put(&w->lab, 1, &o) < 0);
	simdisk_faults(w->lab.disk[0])->fail_writes = false;
	kill_all(w);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "the old one");
	world_free(w);
}

/* --- the format -------------------------------------------------------------------- */

/* Features that this version does not know. */
static void
set_feature(struct world *w, unsigned off, uint8_t bits)
{
	for (unsigned i = 0; i < RAW_NCOPIES; i++) {
		uint64_t at = raw_copy_offset(i, 27u << 20);
		uint8_t b[RAW_SECTOR], copy;

		simdisk_peek(w->lab.disk[0], at, b, RAW_SECTOR);
		copy = b[16];
		b[off] = bits;
		memset(b + 12, 0, 5);
		put_le32(b + 12, crc32c(0, b, RAW_SECTOR));
		b[16] = copy;
		simdisk_poke(w->lab.disk[0], at, b, RAW_SECTOR);
	}
}

static void
test_unknown_features(void **state)
{
	struct world *w = world_new(1, 0, 13, "features");
	struct err e = ERR_INIT;
	put(w, 1, 1, 4096);
	lab_must_close(&w->lab);
	/* Incompatible: not even read. */
	set_feature(w, 40, 1);
	lab_check(lab_open(&w->lab, ~0u, false, &e) == -ENOTSUP);
	lab_check(lab_open(&w->lab, ~0u, true, &e) == -ENOTSUP);
	lab_check(strstr(err_text(&e), "features"));
	set_feature(w, 40, 0);
	/* To be read, not written. */
	set_feature(w, 32, 1);
	lab_check(lab_open(&w->lab, ~0u, false, &e) == -ENOTSUP);
	lab_check(strstr(err_text(&e), "read-only"));
	lab_check(lab_open(&w->lab, ~0u, true, &e) == 0);
	lab_compare_all(&w->lab, w->model, "read-only");
	lab_kill(&w->lab);
	set_feature(w, 32, 0);
	/* Others do not matter. */
	set_feature(w, 24, 1);
	lab_must_open(&w->lab);
	lab_compare_all(&w->lab, w->model, "compatible");
	world_free(w);
}

/*
 * Stores as the first version wrote them: tests/golden/raw-1-K+M.txt, each line
 * a member, an offset and 32 bytes in hex; the rest is zero.  PAIL_GOLDEN=make writes them anew, for a new version of the format:
 * old ones are never changed.
 */
static void
golden_model(struct world *w)
{
	for (unsigned i = 0; i < 12; i++)
		w->model[i] = (struct lab_object){i + 1,
		    (uint32_t[]){0, 1, 100, 60, 300, 700}[i % 6],
		    (uint8_t)(i % 3)};
	w->model[7].size = 5000; /* of two sectors */
	w->model[3].version = 0;
	w->model[3].size = 0;
}

static FILE *
golden_file(unsigned k, unsigned m, const char *mode)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];

	snprintf(path, sizeof(path), "%s/tests/golden/raw-1-%u+%u.txt",
	    srcdir ? srcdir : "..", k, m);
	return fopen(path, mode);
}

/* What is not zero, 32 bytes a line. */
static void
golden_write(struct world *w)
{
	FILE *f = golden_file(w->lab.k, w->lab.m, "w");

	must(f);
	for (unsigned c = 0; c < w->lab.n; c++)
		for (int64_t at = -1;
		     (at = simdisk_next_sector(w->lab.disk[c], at)) >= 0;)
			for (unsigned o = 0; o < RAW_SECTOR; o += 32) {
				uint8_t b[32], any = 0;

				simdisk_peek(w->lab.disk[c],
				    (uint64_t)at + o, b, 32);
				for (unsigned i = 0; i < 32; i++)
					any |= b[i];
				if (!any)
					continue;
				fprintf(f, "%u %llx ", c,
				    (unsigned long long)at + o);
				for (unsigned i = 0; i < 32; i++)
					fprintf(f, "%02x", b[i]);
				fprintf(f, "\n");
			}
	fclose(f);
}

static void
golden_read(struct world *w)
{
	FILE *f = golden_file(w->lab.k, w->lab.m, "r");
	unsigned long long off;
	char hex[65];
	unsigned c, n = 0;

	if (!f)
		lab_fail("tests/golden/raw-1-%u+%u.txt: %s", w->lab.k,
		    w->lab.m, strerror(errno));
	while (fscanf(f, "%u %llx %64s", &c, &off, hex) == 3) {
		uint8_t b[32];

		for (unsigned i = 0; i < 32; i++) {
			unsigned v;

			must(sscanf(hex + 2 * i, "%2x", &v) == 1);
			b[i] = (uint8_t)v;
		}
		must(c < w->lab.n);
		simdisk_poke(w->lab.disk[c], off, b, 32);
		n++;
	}
	fclose(f);
	lab_check(n > 100);
}

static void
golden_make(struct world *w)
{
	lab_must_open(&w->lab);
	for (unsigned i = 0; i < 12; i++) {
		struct lab_object o = w->model[i];

		if (i == 3)
			o = (struct lab_object){99, 4096, 0};
		lab_check(lab_put(&w->lab, i, &o) == 0);
		if (i == 5)
			lab_check(lab_checkpoint(&w->lab) == 0);
	}
	lab_check(lab_delete(&w->lab, 3) == 0);
	lab_check(lab_sync(&w->lab) == 0);
	lab_idle(&w->lab, 300000000);
	kill_all(w);
	golden_write(w);
}

static void
test_golden(void **state)
{
	static const struct {
		unsigned k, m;
	} profiles[] = {{1, 0}, {2, 1}};

	for (unsigned pr = 0; pr < 2; pr++) {
		struct world *w =
		    world_new(profiles[pr].k, profiles[pr].m, 14, "golden");
		struct simimage *empty;

		lab_kill(&w->lab);
		golden_model(w);
		for (unsigned c = 0; c < w->lab.n; c++)
			simdisk_settle(w->lab.disk[c], SIM_KEEP_ALL);
		if (getenv("PAIL_GOLDEN"))
			golden_make(w);
		/* Nothing of the disks that were made here. */
		for (unsigned c = 0; c < w->lab.n; c++) {
			struct simworld own = {.seed = 1};
			struct simdisk *d = simdisk_new(&own, 27u << 20);

			empty = simdisk_save(d);
			simdisk_load(w->lab.disk[c], empty);
			simimage_free(empty);
			simdisk_free(d);
		}
		golden_read(w);
		lab_check(lab_open(&w->lab, ~0u, true, NULL) == 0);
		lab_compare_all(&w->lab, w->model, "golden, read-only");
		lab_kill(&w->lab);
		lab_must_open(&w->lab);
		lab_compare_all(&w->lab, w->model, "golden");
		lab_check_space(&w->lab, w->model);
		world_free(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open_never_resets),
	    cmocka_unit_test(test_header_has_checksum_and_copies),
	    cmocka_unit_test(test_stale_records_are_not_replayed),
	    cmocka_unit_test(test_dropped_records_do_not_come_back),
	    cmocka_unit_test(test_early_damage_is_not_the_end),
	    cmocka_unit_test(test_log_is_reclaimed),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_damage_is_mended_when_read),
	    cmocka_unit_test(test_flush_error_is_the_end),
	    cmocka_unit_test(test_put_error_is_not_swallowed),
	    cmocka_unit_test(test_unknown_features),
	    cmocka_unit_test(test_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
