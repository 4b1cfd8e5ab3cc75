/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty data that leaves memory for the journal and is read back: a model
 * against a cache of a few blocks over a large journal (on a simulated disk), with
 * a store that goes away and comes back; power cuts; a damaged journal; one that
 * fails.
 *
 * PAIL_SEED repeats one case; PAIL_CASES says how many.
 */
#include "lib/fault.h"
#include "lib/simdisk.h"
#include "raw/rdev.h"
#include "tests/unit/cache/fake.h"

const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

#define BLOCK 16384u
#define NBLOCKS 600u /* 9.4 MiB; the cache has 1 MiB */
#define PER_BLOCK (BLOCK / 512)
#define NSECTORS (NBLOCKS * PER_BLOCK)
#define LARGE (96ull << 20)
#define SMALL (4ull << 20) /* its segments are used again and again */

struct lab {
	struct rig g;
	struct simworld w;
	struct simdisk *disk;
	struct journal *j;
	struct journal_id id;
	/* One number per sector: every byte of it says it.  0: zeros. */
	uint32_t now[NSECTORS], flushed[NSECTORS];
	bool changed[NSECTORS]; /* since it was flushed */
	uint32_t stamp;
	bool small;
};

static bool store_away, reads_fail;

static int
script(struct layout *l, const struct layout_req *r)
{
	(void)l;
	if (r->op == LAYOUT_READ)
		return reads_fail ? -ECONNREFUSED : 0;
	return store_away ? -ECONNREFUSED : 0;
}

/* --- the lab ------------------------------------------------------------------------ */

static int
replay(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	struct lab *b = arg;
	struct ask a;

	(void)e;
	memset(&a, 0, sizeof(a));
	a.loop = b->g.loop;
	a.r = (struct cache_req){.op = data ? CACHE_LOGGED : CACHE_ZERO,
	    .block = off / BLOCK, .off = (uint32_t)(off % BLOCK), .len = len,
	    .replay = op, .done = ask_done, .arg = &a};
	cache_submit(b->g.c, &a.r);
	return ask_wait(&b->g, &a);
}

static void
lab_open(struct lab *b)
{
	struct rdev *d = simdisk_open(b->disk, b->g.loop, "jdisk");
	struct err e = ERR_INIT;

	if (journal_open(d, &b->id, false, &b->j, &e) < 0 ||
	    journal_announce(b->j, "me", &e) < 0)
		fail_msg("journal: %s", err_text(&e));
	b->g.p.journal = b->j;
	rig_open(&b->g);
	if (journal_start(b->j, "me", &e) < 0 ||
	    journal_apply(b->j, replay, b, &e) < 0)
		fail_msg("journal: %s", err_text(&e));
	cache_replayed(b->g.c);
}

static void
lab_close(struct lab *b)
{
	struct err e = ERR_INIT;

	cache_free(b->g.c);
	b->g.c = NULL;
	journal_close(b->j, false, &e);
}

static struct lab *
lab_sized(uint64_t seed, bool encrypted, uint64_t journal)
{
	struct lab *b = calloc(1, sizeof(*b));
	struct err e = ERR_INIT;
	struct rdev *d;

	assert_non_null(b);
	store_away = reads_fail = false;
	rig_init(&b->g, NBLOCKS, BLOCK);
	b->g.p.size = 1 << 20;
	b->g.p.uploads = 4;
	b->g.l->script = script;
	b->g.l->read_ns = b->g.l->write_ns = MS;
	b->w.seed = seed;
	b->small = journal == SMALL;
	b->disk = simdisk_new(&b->w, journal);
	b->id = (struct journal_id){.volume_size = (uint64_t)NBLOCKS * BLOCK,
	    .block_size = BLOCK, .encrypted = encrypted, .url = "u",
	    .host = "h"};
	memset(b->id.secret, 0x33, sizeof(b->id.secret));
	d = simdisk_open(b->disk, b->g.loop, "jdisk");
	if (journal_format(d, &b->id, &e) < 0)
		fail_msg("journal: %s", err_text(&e));
	rdev_close(d);
	lab_open(b);
	return b;
}

static struct lab *
lab_new(uint64_t seed, bool encrypted)
{
	return lab_sized(seed, encrypted, LARGE);
}

static void
lab_free(struct lab *b)
{
	lab_close(b);
	fake_free(b->g.l);
	simdisk_free(b->disk);
	loop_free(b->g.loop);
	free(b);
}

static uint64_t
pick(struct lab *b, uint64_t n)
{
	return sim_random(&b->w, n);
}

/* --- what is written, and what must be there ------------------------------------------- */

static void
fill_sector(uint8_t *p, uint32_t stamp)
{
	for (int i = 0; i < 512; i += 4)
		memcpy(p + i, &stamp, 4);
}

/* Sectors of one block. */
static void
write_sectors(struct lab *b, uint32_t first, uint32_t n)
{
	static uint8_t data[BLOCK];

	for (uint32_t i = 0; i < n; i++) {
		b->now[first + i] = ++b->stamp;
		b->changed[first + i] = true;
		fill_sector(data + (size_t)i * 512, b->stamp);
	}
	must_write(&b->g, first / PER_BLOCK, first % PER_BLOCK * 512,
	    (uint64_t)n * 512, data);
}

static void
zero_sectors(struct lab *b, uint32_t first, uint32_t n)
{
	must_zero(&b->g, first / PER_BLOCK, first % PER_BLOCK * 512,
	    (uint64_t)n * 512);
	for (uint32_t i = first; i < first + n; i++) {
		b->now[i] = 0;
		b->changed[i] = true;
	}
}

static void
flush(struct lab *b)
{
	must_flush(&b->g);
	memcpy(b->flushed, b->now, sizeof(b->now));
	memset(b->changed, 0, sizeof(b->changed));
}

static void
check_sectors(struct lab *b, uint32_t first, uint32_t n)
{
	static uint8_t want[BLOCK];

	for (uint32_t i = 0; i < n; i++)
		fill_sector(want + (size_t)i * 512, b->now[first + i]);
	must_read(&b->g, first / PER_BLOCK, first % PER_BLOCK * 512,
	    (uint64_t)n * 512, want);
}

static void
check_all(struct lab *b)
{
	for (uint32_t k = 0; k < NBLOCKS; k++)
		check_sectors(b, k * PER_BLOCK, PER_BLOCK);
}

/* The store has all of it. */
static void
check_store(struct lab *b)
{
	uint8_t want[512];

	for (uint32_t i = 0; i < NSECTORS; i++) {
		const uint8_t *p = b->g.l->blocks[i / PER_BLOCK].data;

		fill_sector(want, b->now[i]);
		if (p ? memcmp(p + i % PER_BLOCK * 512, want, 512) != 0
		      : b->now[i] != 0)
			fail_msg("the store has another sector %u", i);
	}
}

static uint64_t
spills(struct lab *b)
{
	return stat_get(&b->g.stats, STAT_CACHE_SPILLS);
}

static uint64_t
rereads(struct lab *b)
{
	return stat_get(&b->g.stats, STAT_CACHE_REREADS);
}

static void
some_part(struct lab *b, uint32_t *first, uint32_t *n)
{
	uint32_t block = (uint32_t)pick(b, NBLOCKS), at = 0;

	*n = PER_BLOCK;
	if (pick(b, 4) > 0) {
		at = (uint32_t)pick(b, PER_BLOCK);
		*n = 1 + (uint32_t)pick(b, PER_BLOCK - at);
		if (*n > 8 && pick(b, 2))
			*n = 8;
	}
	*first = block * PER_BLOCK + at;
}

/* Bytes that are not sectors: the rest is kept. */
static void
write_bytes(struct lab *b, uint32_t first)
{
	uint8_t data[512];

	fill_sector(data, b->now[first]);
	must_write(&b->g, first / PER_BLOCK, first % PER_BLOCK * 512 + 100, 8,
	    data + 100);
	b->changed[first] = true;
}

static void
one_thing(struct lab *b)
{
	uint32_t first, n, max;

	some_part(b, &first, &n);
	switch (pick(b, 20)) {
	case 0:
		max = NSECTORS - first;
		zero_sectors(b, first, 1 + (uint32_t)pick(b,
					       max < 400 ? max : 400));
		break;
	case 1:
		zero_sectors(b, first, n);
		break;
	case 2:
		flush(b);
		break;
	case 3:
		write_bytes(b, first);
		break;
	case 4:
		pass(&b->g, (int64_t)pick(b, 1000) * MS);
		break;
	case 5:
		/* A small journal would be full: there it is only slow. */
		store_away = !b->small && pick(b, 3) > 0;
		b->g.l->write_ns = (int64_t)(1 + pick(b, 100)) * MS;
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		check_sectors(b, first, n);
		break;
	default:
		write_sectors(b, first, n);
	}
}

static void
check_bound(struct lab *b)
{
	struct cache_status s;

	cache_get_status(b->g.c, &s);
	/* Those that somebody waits for may exceed it for a moment. */
	assert_true(s.memory_bytes <= b->g.p.size + 4 * BLOCK);
	assert_true(s.spilled_bytes <= s.dirty_bytes);
}

/* --- tests ------------------------------------------------------------------------------- */

/* The store is away, reads included; ten times the cache is written and read. */
static void
holds_more_than_memory(void **state)
{
	struct lab *b = lab_new(1, false);
	struct cache_status s;

	(void)state;
	store_away = reads_fail = true;
	for (uint32_t k = 0; k < NBLOCKS; k++) {
		write_sectors(b, k * PER_BLOCK, PER_BLOCK);
		check_bound(b);
	}
	for (uint32_t k = 0; k < NBLOCKS; k++)
		write_sectors(b, k * PER_BLOCK + 8, 8);
	cache_get_status(b->g.c, &s);
	assert_int_equal(s.dirty_bytes, (uint64_t)NBLOCKS * BLOCK);
	assert_true(s.spilled_bytes > s.dirty_bytes / 10 * 8);
	check_all(b);
	check_bound(b);
	flush(b);
	check_all(b);
	assert_true(spills(b) > NBLOCKS);
	assert_true(rereads(b) > NBLOCKS);
	store_away = reads_fail = false;
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	cache_get_status(b->g.c, &s);
	assert_int_equal(s.dirty_bytes, 0);
	assert_int_equal(s.spilled_bytes, 0);
	check_store(b);
	check_all(b);
	lab_free(b);
}

/* A part that is in the journal is read though the rest of its block, which is in
 * the store, cannot be. */
static void
reads_do_without_the_store(void **state)
{
	struct lab *b = lab_new(2, false);
	uint8_t want[4096];

	(void)state;
	for (uint32_t k = 0; k < NBLOCKS; k++)
		fake_fill(b->g.l, k);
	store_away = reads_fail = true;
	for (uint32_t k = 0; k < NBLOCKS; k++)
		write_sectors(b, k * PER_BLOCK + 8, 8);
	assert_true(spills(b) > NBLOCKS / 4);
	for (uint32_t k = 0; k < NBLOCKS; k++) {
		check_sectors(b, k * PER_BLOCK + 8, 4);
		check_sectors(b, k * PER_BLOCK + 12, 4);
	}
	assert_int_equal(do_ask(&b->g, CACHE_WRITE, 5, 4096 + 10, 4, "abcd"),
	    0);
	reads_fail = false;
	for (int i = 0; i < 4096; i++)
		want[i] = fake_byte(7, (uint64_t)i);
	must_read(&b->g, 7, 0, 4096, want);
	check_sectors(b, 7 * PER_BLOCK + 8, 8);
	lab_free(b);
}

/* What was erased, written in part and spilled does not come back from the
 * store. */
static void
erased_stays_erased(void **state)
{
	struct lab *b = lab_new(3, false);

	(void)state;
	for (uint32_t k = 0; k < NBLOCKS; k++)
		fake_fill(b->g.l, k);
	store_away = true;
	must_zero(&b->g, 0, 0, (uint64_t)NBLOCKS * BLOCK);
	for (uint32_t k = 0; k < NBLOCKS; k++)
		write_sectors(b, k * PER_BLOCK + 3, 2);
	for (uint32_t k = 0; k < NBLOCKS; k++)
		write_sectors(b, k * PER_BLOCK + 20, 2);
	assert_true(spills(b) > NBLOCKS / 4);
	check_all(b);
	store_away = false;
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	check_store(b);
	lab_free(b);
}

static int
cases(void)
{
	const char *s = getenv("PAIL_CASES");

#ifdef __SANITIZE_ADDRESS__
	return s ? atoi(s) : 6;
#else
	return s ? atoi(s) : 20;
#endif
}

static uint64_t
seed_of(int i)
{
	const char *s = getenv("PAIL_SEED");

	return s ? strtoull(s, NULL, 10) : 1000 + (uint64_t)i;
}

static void
random_case(uint64_t seed)
{
	struct lab *b = lab_sized(
	    seed, seed % 3 == 0, seed % 2 ? LARGE : SMALL);

	for (int i = 0; i < 3000; i++) {
		one_thing(b);
		check_bound(b);
	}
	check_all(b);
	assert_true(spills(b) > 50 && rereads(b) > 50);
	store_away = false;
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	check_store(b);
	check_all(b);
	lab_free(b);
}

static void
model(void **state)
{
	int n = getenv("PAIL_SEED") ? 1 : cases();

	(void)state;
	for (int i = 0; i < n; i++) {
		print_message("seed %lu\n", (unsigned long)seed_of(i));
		random_case(seed_of(i));
	}
}

/* The power goes: everything flushed is there, of what was not flushed anything
 * may be. */
static void
check_after_cut(struct lab *b)
{
	uint8_t want[512];

	for (uint32_t i = 0; i < NSECTORS; i++) {
		struct ask a;

		if (i % PER_BLOCK == 0)
			check_bound(b);
		ask(&b->g, &a, CACHE_READ, i / PER_BLOCK, i % PER_BLOCK * 512,
		    512, NULL);
		assert_int_equal(ask_wait(&b->g, &a), 0);
		fill_sector(want, b->flushed[i]);
		if (!b->changed[i])
			assert_memory_equal(a.r.data, want, 512);
		memcpy(&b->now[i], a.r.data, 4);
		cache_req_fini(&a.r);
	}
	memcpy(b->flushed, b->now, sizeof(b->now));
	memset(b->changed, 0, sizeof(b->changed));
}

static void
power_cuts(void **state)
{
	int n = getenv("PAIL_SEED") ? 1 : cases() / 2;

	(void)state;
	for (int i = 0; i < n; i++) {
		struct lab *b = lab_sized(seed_of(i) + 7, i % 3 == 0,
		    i % 2 ? LARGE : SMALL);

		print_message("seed %lu\n", (unsigned long)seed_of(i));
		for (int cut = 0; cut < 4; cut++) {
			for (int k = 0; k < 1000; k++)
				one_thing(b);
			lab_close(b);
			simdisk_settle(b->disk, SIM_KEEP_TORN);
			lab_open(b);
			check_after_cut(b);
		}
		store_away = false;
		assert_int_equal(
		    do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
		check_store(b);
		lab_free(b);
	}
}

/* Every payload of the journal is damaged. */
static void
damage_journal(struct lab *b)
{
	uint8_t p[4096];

	for (uint64_t at = JOURNAL_DATA; at < LARGE; at += 4096) {
		simdisk_peek(b->disk, at, p, 4096);
		if (memcmp(p, "JPRC", 4) == 0 || mem_is_zero(p, 4096))
			continue;
		p[pick(b, 4096)] ^= 4;
		p[pick(b, 4096)] ^= 8;
		simdisk_poke(b->disk, at, p, 4096);
	}
}

/* Flushed, and most of it in the journal only. */
static void
fill_journal(struct lab *b)
{
	store_away = true;
	for (uint32_t k = 0; k < 200; k++)
		write_sectors(b, k * PER_BLOCK, PER_BLOCK);
	flush(b);
}

/* One write of the journal's disk fails: this one, which fits into what memory
 * has left. */
static void
fail_once(struct lab *b)
{
	simdisk_faults(b->disk)->fail_ops = 1u << RDEV_WRITE;
	simdisk_faults(b->disk)->fail_nth = 1;
	write_sectors(b, 300 * PER_BLOCK, 2);
}

static void
a_damaged_journal_is_an_error(void **state)
{
	struct lab *b = lab_new(5, false);
	unsigned nbad = 0;
	struct ask a;

	(void)state;
	fill_journal(b);
	assert_true(spills(b) > 100);
	damage_journal(b);
	for (uint32_t k = 0; k < 200; k++) {
		ask(&b->g, &a, CACHE_READ, k, 0, BLOCK, NULL);
		if (ask_wait(&b->g, &a) < 0) {
			assert_int_equal(a.r.rc, -EIO);
			nbad++;
		}
		cache_req_fini(&a.r);
	}
	assert_true(nbad > 100);
	assert_int_equal(do_ask(&b->g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	assert_int_equal(do_ask(&b->g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	store_away = false;
	assert_true(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL) < 0);
	/* Overwritten, nothing is missing any more. */
	for (uint32_t k = 0; k < 200; k++)
		write_sectors(b, k * PER_BLOCK, PER_BLOCK);
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	flush(b);
	check_all(b);
	check_store(b);
	lab_free(b);
}

/* The same after a crash: opening does not read the data, so the damage is found
 * when somebody wants it; it is never uploaded, and never passed over. */
static void
damage_is_found_late(void **state)
{
	struct lab *b = lab_new(9, false);
	struct ask a;

	(void)state;
	fill_journal(b);
	for (int i = 0; i < 2; i++) { /* the second knows all was flushed */
		lab_close(b);
		simdisk_settle(b->disk, SIM_KEEP_NONE);
		if (i == 1)
			damage_journal(b);
		lab_open(b);
	}
	for (uint32_t k = 0; k < 200; k += 7) {
		ask(&b->g, &a, CACHE_READ, k, 0, BLOCK, NULL);
		assert_int_equal(ask_wait(&b->g, &a), -EIO);
		cache_req_fini(&a.r);
	}
	assert_int_equal(do_ask(&b->g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	store_away = false;
	assert_true(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL) < 0);
	for (uint32_t k = 0; k < 200; k++)
		assert_null(b->g.l->blocks[k].data);
	for (uint32_t k = 0; k < 200; k++)
		write_sectors(b, k * PER_BLOCK, PER_BLOCK);
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	flush(b);
	check_all(b);
	check_store(b);
	lab_free(b);
}

/* Its disk fails for writing: what is in it is read, and flushes wait for the
 * store. */
static void
a_failed_journal_is_read(void **state)
{
	struct lab *b = lab_new(6, false);

	(void)state;
	fill_journal(b);
	simdisk_faults(b->disk)->fail_writes = true;
	/* Fits into what memory has left. */
	write_sectors(b, 300 * PER_BLOCK, 2);
	store_away = false;
	/* It cannot be marked void: so said, and all is in the store. */
	assert_int_equal(do_ask(&b->g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	assert_true(journal_has_failed(b->j));
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	check_store(b);
	check_all(b);
	lab_free(b);

	/* The same for a moment: then it is marked, and flushes end well. */
	b = lab_new(7, true);
	fill_journal(b);
	fail_once(b);
	store_away = false;
	flush(b);
	assert_true(journal_has_failed(b->j));
	check_store(b);
	check_all(b);
	lab_free(b);
}

/* It cannot be read either: what only it had is lost, and flushes say so. */
static void
a_dead_journal_is_said(void **state)
{
	struct lab *b = lab_new(8, false);

	(void)state;
	fill_journal(b);
	simdisk_faults(b->disk)->dead = true;
	write_sectors(b, 300 * PER_BLOCK, 2);
	store_away = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    do_ask(&b->g, CACHE_FLUSH, 0, 0, 0, NULL), -EIO);
	assert_true(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL) < 0);
	/* What was in memory is not held up. */
	pass(&b->g, 5000 * MS);
	assert_non_null(b->g.l->blocks[300].data);
	/* It can be read again: so is the rest. */
	simdisk_faults(b->disk)->dead = false;
	simdisk_faults(b->disk)->fail_writes = true;
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	check_store(b);
	lab_free(b);
}

/* Writers of one hot block do not make its runs grow. */
static void
hot_block(void **state)
{
	struct lab *b = lab_new(9, false);
	struct cache_status before, after;

	(void)state;
	store_away = true;
	write_sectors(b, 0, PER_BLOCK);
	cache_get_status(b->g.c, &before);
	for (int i = 0; i < 5000; i++)
		write_sectors(b, (uint32_t)pick(b, PER_BLOCK), 1);
	cache_get_status(b->g.c, &after);
	assert_true(after.memory_bytes <
	    before.memory_bytes + 2 * BLOCK + 4 * PER_BLOCK * 16);
	for (uint32_t k = 1; k < 200; k++)
		write_sectors(b, k * PER_BLOCK, PER_BLOCK);
	check_sectors(b, 0, PER_BLOCK);
	lab_free(b);
}

static void
lose_power(struct lab *b)
{
	lab_close(b);
	simdisk_settle(b->disk, SIM_KEEP_NONE);
	memset(simdisk_faults(b->disk), 0, sizeof(struct simdisk_faults));
	lab_open(b);
	check_after_cut(b);
}

/* What was flushed to it is safe until the store has it; and then it is not
 * applied over what has come since. */
static void
a_failed_journal_counts_until_it_is_marked(void **state)
{
	struct lab *b = lab_new(8, false);

	(void)state;
	fill_journal(b);
	fail_once(b);
	pass(&b->g, 2 * NS_PER_S);
	assert_true(journal_has_failed(b->j));
	assert_int_equal(journal_void_state(b->j), -EINPROGRESS);
	lose_power(b);

	fail_once(b);
	pass(&b->g, 2 * NS_PER_S);
	assert_true(journal_has_failed(b->j));
	store_away = false;
	for (uint32_t k = 0; k < 200; k += 3)
		write_sectors(b, k * PER_BLOCK + 1, 5);
	flush(b);
	assert_int_equal(journal_void_state(b->j), 0);
	lose_power(b);
	check_store(b);
	lab_free(b);
}

/* --- an allocation fails ------------------------------------------------------- */

/* What does not work for want of memory works when it is asked for again; and
 * nothing is said that is not so. */
static unsigned nfaults;

static void
try_with_fault(struct lab *b, unsigned nth, enum cache_op op, uint32_t first,
    uint32_t n, const uint8_t *data)
{
	struct ask a;
	int rc = -ENOMEM;

	for (int tries = 0; tries < 4 && rc < 0; tries++) {
		if (tries == 0)
			fault_malloc_arm(nth);
		ask(&b->g, &a, op, first / PER_BLOCK, first % PER_BLOCK * 512,
		    (uint64_t)n * 512, op == CACHE_WRITE ? data : NULL);
		rc = ask_wait(&b->g, &a);
		nfaults += tries == 0 && fault_hit();
		if (tries == 0)
			fault_malloc_arm(0);
		if (rc == 0 && op == CACHE_READ &&
		    memcmp(a.r.data, data, (size_t)n * 512) != 0)
			fail_msg("sectors %u + %u: wrong bytes", first, n);
		if (rc < 0 && tries == 3)
			fail_msg("allocation %u, operation %d: %s", nth, op,
			    err_text(&a.r.err));
		cache_req_fini(&a.r);
	}
}

static void
memory_fails(void **state)
{
	static uint8_t data[BLOCK];
	struct lab *b = lab_new(11, false);

	(void)state;
	for (uint32_t k = 0; k < NBLOCKS / 2; k++)
		write_sectors(b, k * PER_BLOCK, PER_BLOCK / 2);
	for (unsigned i = 0; i < 4000; i++) {
		uint32_t first, n, what = (uint32_t)pick(b, 8);

		some_part(b, &first, &n);
		for (uint32_t k = 0; k < n; k++) {
			if (what > 3)
				b->now[first + k] = ++b->stamp;
			fill_sector(data + (size_t)k * 512, b->now[first + k]);
		}
		try_with_fault(b, 1 + (unsigned)pick(b, 6),
		    what == 0	    ? CACHE_FLUSH
			: what <= 3 ? CACHE_READ
				    : CACHE_WRITE,
		    what ? first : 0, what ? n : 0, data);
		store_away = i % 400 > 200;
	}
	store_away = false;
	if (nfaults < 200)
		fail_msg("only %u allocations failed", nfaults);
	assert_true(spills(b) > 100 && rereads(b) > 100);
	check_all(b);
	must_flush(&b->g);
	assert_int_equal(do_ask(&b->g, CACHE_DRAIN, 0, 0, 0, NULL), 0);
	check_store(b);
	lab_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(holds_more_than_memory),
	    cmocka_unit_test(reads_do_without_the_store),
	    cmocka_unit_test(erased_stays_erased),
	    cmocka_unit_test(model),
	    cmocka_unit_test(power_cuts),
	    cmocka_unit_test(a_damaged_journal_is_an_error),
	    cmocka_unit_test(damage_is_found_late),
	    cmocka_unit_test(a_failed_journal_is_read),
	    cmocka_unit_test(a_failed_journal_counts_until_it_is_marked),
	    cmocka_unit_test(a_dead_journal_is_said),
	    cmocka_unit_test(hot_block),
	    cmocka_unit_test(memory_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
