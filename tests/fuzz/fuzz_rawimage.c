/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole stores: a small one is made once, with the shortest log there can be
 * (RAW_RECORD_MAX in local.mk); the input changes bytes of its
 * superblocks, log, index and data, with checksums of superblocks and records
 * made right again.  It is opened read-only and for writing, and everything is
 * read.  No crash, no endless loop; what is refused has not changed by one byte
 * (G6).
 *
 * The input: changes of a place (1 byte), an offset in it (2), a length
 * (1, at most 16) and so many bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/byteorder.h"
#include "base/must.h"
#include "lib/rawlab.h"
#include "raw/crc.h"
#include "raw/geom.h"
#include "raw/index.h"
#include "raw/pool_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct lab lab;
static bool made;
static struct {
	uint64_t off;
	uint32_t len;
	char what; /* superblock, log, other */
} place[16];
static unsigned nplaces;

static void
add_place(uint64_t off, uint32_t len, char what)
{
	must(nplaces < 16);
	place[nplaces].off = off;
	place[nplaces].len = len;
	place[nplaces++].what = what;
}

static void
add_extent(const struct pool *p, const struct raw_extent *x)
{
	struct geom g;

	geom_init(&g, p->k, p->m, x->bytes);
	add_place((RAW_LOG_START + p->super.log_sectors +
		      geom_member_sector(&g, x->addr, 0)) *
		RAW_SECTOR,
	    geom_column_sectors(&g, 0) * RAW_SECTOR, 'x');
}

static void
make(void)
{
	struct pool *p;

	lab_init(&lab,
	    &(struct lab_params){
		.k = 1, .m = 1, .seed = 1, .disk_bytes = 11u << 20});
	lab_must_open(&lab);
	for (unsigned i = 0; i < 6; i++) {
		struct lab_object o = {i + 1, 3000, (uint8_t)(i % 3)};

		must(lab_put(&lab, i, &o) == 0);
		if (i == 2)
			must(lab_checkpoint(&lab) == 0);
	}
	must(lab_sync(&lab) == 0);
	lab_idle(&lab, 300000000);
	p = lab.pool;
	for (unsigned i = 0; i < RAW_NCOPIES; i++)
		add_place(raw_copy_offset(i, p->super.end), RAW_SECTOR, 's');
	for (uint64_t at = p->tail; at < p->pos; at++)
		add_place((RAW_LOG_START + at) * RAW_SECTOR, RAW_SECTOR, 'l');
	add_extent(p, &p->roots[0].ext);
	add_extent(p, &index_page_ref(index_page(p->index, 0))->ext);
	lab_kill(&lab);
	lab_save(&lab);
	made = true;
}

static void
fix_checksums(struct simdisk *d)
{
	for (unsigned i = 0; i < nplaces; i++) {
		uint8_t b[RAW_SECTOR], was[4];
		unsigned at = place[i].what == 's' ? 12 : 4;

		if (place[i].what == 'x')
			continue;
		simdisk_peek(d, place[i].off, b, RAW_SECTOR);
		memcpy(was, b + at, 4);
		memset(b + at, 0, 4);
		if (place[i].what == 's') {
			uint8_t copy = b[16];

			b[16] = 0;
			put_le32(b + at, crc32c(0, b, RAW_SECTOR));
			b[16] = copy;
		} else {
			put_le32(b + at, crc32c(0, b, RAW_SECTOR));
		}
		if (memcmp(was, b + at, 4) != 0)
			simdisk_poke(d, place[i].off, b, RAW_SECTOR);
	}
}

static void
read_all(void)
{
	char key[RAW_KEY_MAX + 1] = "";
	struct raw_object o;
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++) {
		static const struct lab_object any = {1, 3000, 0};

		(void)lab_compare(&lab, i, &any);
	}
	while (pool_next(lab.pool, key, &o) == 1)
		must(++n < 10000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t before[2];
	struct err e = ERR_INIT;
	bool both = n > 0 && data[0] & 0x80;

	if (!made)
		make();
	lab_restore(&lab);
	while (n >= 5) {
		unsigned at = (data[0] & 0x7f) % nplaces;
		uint32_t off = get_le16(data + 1) % place[at].len;
		size_t len = data[3] % 16 + 1u;

		data += 4;
		n -= 4;
		len = len < n ? len : n;
		len = len < place[at].len - off ? len : place[at].len - off;
		simdisk_poke(lab.disk[0], place[at].off + off, data, len);
		if (both)
			simdisk_poke(
			    lab.disk[1], place[at].off + off, data, len);
		data += len;
		n -= len;
	}
	for (unsigned c = 0; c < 2; c++) {
		fix_checksums(lab.disk[c]);
		before[c] = simdisk_hash(lab.disk[c]);
	}
	if (lab_open(&lab, ~0u, true, &e) == 0) {
		read_all();
		lab_kill(&lab);
	}
	for (unsigned c = 0; c < 2; c++)
		must(simdisk_hash(lab.disk[c]) == before[c]);
	err_clear(&e);
	if (lab_open(&lab, ~0u, false, &e) == 0) {
		read_all();
		lab_kill(&lab);
		return 0;
	}
	must(err_text(&e)[0]);
	for (unsigned c = 0; c < 2; c++)
		must(simdisk_hash(lab.disk[c]) == before[c]);
	return 0;
}
