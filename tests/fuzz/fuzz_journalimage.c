/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole journals: one is written once, plain and encrypted; the input changes
 * bytes of its superblocks, record pages and data, and the checksums of pages
 * are made right again (not those of data, nor tags).  It is looked at, opened,
 * opened with salvage, and applied.  No crash, no endless loop; looking and being
 * refused change nothing (J3).  What is applied is what was written once, sector
 * by sector, or cannot be read; and where no page was changed, it is all of a record or nothing, and
 * of no record that comes behind one that is missing (J2).
 *
 * The input: a byte of which bit 0 says encrypted; then changes of a place (1
 * byte), an offset in it (2), a length (1, at most 16) and so many bytes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "journal/journal.h"
#include "lib/jnlwait.h"
#include "lib/simdisk.h"
#include "loop/loop.h"
#include "raw/crc.h"
#include "raw/rdev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BLOCK 16384u
#define NBLOCKS 32u
#define EPOCHS 3u
#define BATCHES 4u /* records of data in each epoch */
#define OPS 5u	   /* in each of them */
#define SUPER_CRC 12
#define RECORD_CRC 4

struct image {
	struct simimage *bytes;
	struct journal_id id;
	struct {
		uint64_t off;
		size_t crc; /* 0: of data, which stays wrong */
	} place[64];
	unsigned nplaces;
};

static struct simworld world;
static struct loop *loop;
static struct simdisk *disk;
static struct image image[2];

struct applied {
	struct journal *j;
	bool pages_changed;
	bool verified; /* all of it, when it was opened */
	uint64_t last;
	unsigned count[EPOCHS * BATCHES];
};

/* --- the journal that is changed -------------------------------------------------- */

static uint64_t
word(uint64_t op, uint64_t sector)
{
	return op << 32 | (sector + 1);
}

static void
write_op(struct journal *j, uint64_t op)
{
	static uint8_t data[BLOCK];
	uint64_t off = op * 7919 % NBLOCKS * BLOCK;
	uint32_t len = 512 * (1 + (uint32_t)op % 9);

	for (uint32_t i = 0; i < len; i += 8)
		put_le64(data + i, word(op, (off + i) / 512));
	must(journal_has_room(j, len));
	journal_append(j, op, off, len, op % 5 == 0 ? NULL : data);
	journal_ref(j, op);
}

static int
ignore(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	(void)arg;
	(void)op;
	(void)off;
	(void)len;
	(void)data;
	(void)e;
	return 0;
}

static void
find_places(struct image *im)
{
	uint8_t page[JOURNAL_PAGE];

	im->place[im->nplaces++].crc = SUPER_CRC;
	im->place[im->nplaces].off = JOURNAL_PAGE;
	im->place[im->nplaces++].crc = SUPER_CRC;
	for (int64_t at = JOURNAL_DATA - 1;
	     (at = simdisk_next_sector(disk, at)) >= 0 && im->nplaces < 64;) {
		simdisk_peek(disk, (uint64_t)at, page, sizeof(page));
		im->place[im->nplaces].off = (uint64_t)at;
		im->place[im->nplaces++].crc =
		    memcmp(page, "JPRC", 4) == 0 ? RECORD_CRC : 0;
	}
}

static void
make(struct image *im, bool encrypted)
{
	struct err e = ERR_INIT;
	struct rdev *d = simdisk_open(disk, loop, "disk");
	struct journal *j;

	im->id = (struct journal_id){.volume_size = NBLOCKS * BLOCK,
	    .block_size = BLOCK, .encrypted = encrypted, .url = "mem:",
	    .host = "here"};
	memset(im->id.uuid, 1, sizeof(im->id.uuid));
	memset(im->id.secret, 2, sizeof(im->id.secret));
	must(journal_format(d, &im->id, &e) == 0);
	rdev_close(d);
	for (unsigned i = 0; i < EPOCHS; i++) {
		d = simdisk_open(disk, loop, "disk");
		must(journal_open(d, &im->id, false, &j, &e) == 0);
		must(journal_announce(j, "lease", &e) == 0);
		must(journal_start(j, "lease", &e) == 0);
		must(journal_apply(j, ignore, NULL, &e) == 0);
		for (unsigned b = 0; b < BATCHES; b++) {
			for (unsigned k = 0; k < OPS; k++)
				write_op(j, journal_next_op(j));
			must(flush_now(j, loop) == 0);
		}
		must(journal_close(j, false, &e) == 0);
	}
	simdisk_settle(disk, SIM_KEEP_ALL);
	find_places(im);
	im->bytes = simdisk_save(disk);
}

/* --- what comes out of it ------------------------------------------------------------ */

static int
apply(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	static uint8_t p[JOURNAL_PIECE];
	struct applied *a = arg;
	int rc = data ? read_now(a->j, loop, op, off, len, p) : 0;

	(void)e;
	must(rc == 0 || rc == -EBADMSG);
	must(rc == 0 || a->pages_changed || !a->verified);
	for (uint64_t i = 0; data && rc == 0 && i < len; i += 512) {
		uint64_t first = get_le64(p + i);

		/* A page may say of it another place, but bytes are those of
		 * one write. */
		must(a->pages_changed || first == word(op, (off + i) / 512));
		for (unsigned k = 8; k < 512; k += 8)
			must(get_le64(p + i + k) == first);
	}
	if (a->pages_changed)
		return 0;
	must(op == a->last + 1 && op <= EPOCHS * BATCHES * OPS);
	a->last = op;
	a->count[(op - 1) / OPS]++;
	return 0;
}

static void
open_and_apply(const struct image *im, bool salvage, bool changed,
    bool pages_changed)
{
	struct applied a = {.pages_changed = pages_changed,
	    .verified = salvage || im->id.encrypted};
	struct err e = ERR_INIT;
	struct rdev *d = simdisk_open(disk, loop, "disk");
	uint64_t before = simdisk_hash(disk);
	struct journal *j;

	if (journal_open(d, &im->id, salvage, &j, &e) < 0) {
		must(err_text(&e)[0]);
		must(simdisk_hash(disk) == before);
		rdev_close(d);
		return;
	}
	a.j = j;
	(void)journal_apply(j, apply, &a, &e);
	must(changed || a.last == EPOCHS * BATCHES * OPS);
	for (unsigned i = 0; i < EPOCHS * BATCHES; i++)
		must(a.count[i] == 0 || a.count[i] == OPS);
	(void)journal_close(j, false, NULL);
}

/* Was a page of the journal changed, or data only? */
static bool
change(const struct image *im, const uint8_t *data, size_t n)
{
	bool pages = false;

	while (n >= 5) {
		unsigned i = data[0] % im->nplaces;
		uint32_t off = get_le16(data + 1) % JOURNAL_PAGE;
		size_t len = data[3] % 16 + 1u;
		uint8_t page[JOURNAL_PAGE];

		data += 4;
		n -= 4;
		len = len < n ? len : n;
		len = len < JOURNAL_PAGE - off ? len : JOURNAL_PAGE - off;
		simdisk_peek(disk, im->place[i].off, page, sizeof(page));
		memcpy(page + off, data, len);
		if (im->place[i].crc) {
			pages = true;
			put_le32(page + im->place[i].crc, 0);
			put_le32(page + im->place[i].crc,
			    crc32c(0, page, sizeof(page)));
		}
		simdisk_poke(disk, im->place[i].off, page, sizeof(page));
		data += len;
		n -= len;
	}
	return pages;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct image *im = &image[n > 0 && data[0] & 1];
	struct journal_found *f = malloc(sizeof(*f));
	struct err e = ERR_INIT;
	struct rdev *d;
	uint64_t before;
	bool pages;

	must(f);
	if (!loop) {
		loop = loop_new_virtual(&e);
		must(loop);
		disk = simdisk_new(&world, journal_min_bytes(BLOCK));
		struct simimage *blank = simdisk_save(disk);
		make(&image[0], false);
		simdisk_load(disk, blank);
		make(&image[1], true);
		simimage_free(blank);
	}
	simdisk_load(disk, im->bytes);
	pages = n > 0 && change(im, data + 1, n - 1);
	before = simdisk_hash(disk);
	d = simdisk_open(disk, loop, "disk");
	(void)journal_look(d, f, &e);
	rdev_close(d);
	must(simdisk_hash(disk) == before);
	free(f);
	open_and_apply(im, false, n > 1, pages);
	open_and_apply(im, true, n > 1, pages);
	return 0;
}
