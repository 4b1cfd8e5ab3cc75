/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the raw store reads from a device: the first byte says what it is, a
 * superblock, a log record, a page of the index or a part of the root.
 * Checksums are made right first, or nothing would get behind them.  What is
 * accepted, encoded again, says the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "raw/crc.h"
#include "raw/format.h"
#include "raw/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}, {4, 2}};

static void
superblock(const uint8_t *data, size_t n)
{
	uint8_t in[RAW_SECTOR] = {0}, again[RAW_SECTOR];
	struct raw_super s, t;
	struct err e = ERR_INIT;
	uint8_t copy;

	memcpy(in, data, n < RAW_SECTOR ? n : RAW_SECTOR);
	copy = in[16];
	memset(in + 12, 0, 5);
	put_le32(in + 12, crc32c(0, in, RAW_SECTOR));
	in[16] = copy;
	if (raw_super_decode(&s, in, &e) < 0) {
		must(e.rc < 0 && err_text(&e)[0]);
		return;
	}
	for (unsigned c = 0; c < RAW_NCOPIES; c++)
		must(raw_copy_offset(c, s.end) < s.end);
	raw_super_encode(&s, again);
	must(raw_super_decode(&t, again, &e) == 0);
	must(memcmp(&s, &t, sizeof(s)) == 0);
}

static void
record(const uint8_t *data, size_t n, unsigned k, unsigned m)
{
	static struct raw_extent ext[RAW_MAX_EXTENTS];
	size_t room = (n + RAW_SECTOR - 1) / RAW_SECTOR * RAW_SECTOR;
	uint8_t *in = calloc(1, room + 1), zero[4] = {0};
	struct raw_item_reader rd;
	struct raw_record r;
	struct raw_item it;

	must(in);
	memcpy(in, data, n);
	if (raw_record_peek(&r, in, room) == 0 &&
	    (size_t)r.sectors * RAW_SECTOR <= room) {
		uint32_t crc = crc32c(0, in, 4);

		crc = crc32c(crc, zero, 4);
		crc = crc32c(crc, in + 8,
		    (size_t)r.sectors * RAW_SECTOR - 8);
		put_le32(in + 4, crc);
	}
	if (raw_record_decode(&r, in, room, NULL) == 0) {
		struct strbuf b = STRBUF_INIT;

		raw_item_reader_init(&rd, &r, in, k, m);
		while (raw_item_next(&rd, &it, ext, RAW_MAX_EXTENTS, NULL) ==
		    1) {
			strbuf_clear(&b);
			if (it.kind == RAW_ITEM_DELETE)
				raw_item_encode(&b, it.key, NULL);
			else if (it.object.seq < RAW_SEQ_MAX)
				raw_item_encode(&b, it.key, &it.object);
			must(!b.failed);
		}
		strbuf_fini(&b);
	}
	free(in);
}

static void
page(const uint8_t *data, size_t n, unsigned k, unsigned m)
{
	struct index *ix = index_new(k, m);
	struct raw_ref ref = {.seq = 1};
	struct index_walk w;
	struct raw_object o;
	uint64_t count = 0;

	must(ix);
	if (index_load_page(ix, data, n, &ref, NULL) == 0) {
		/* It can be walked and edited. */
		index_walk_init(&w, ix, NULL);
		while (index_walk_next(&w, &o, NULL, 0) == 1) {
			must(index_get(ix, w.key, &o, NULL, 0) == 0);
			count++;
		}
		must(count == index_count(ix));
		index_walk_init(&w, ix, NULL);
		while (index_walk_next(&w, &o, NULL, 0) == 1)
			must(index_delete(ix, w.key) == 0);
		must(index_count(ix) == 0);
	}
	index_free(ix);
}

static void
root(const uint8_t *data, size_t n, unsigned k, unsigned m)
{
	struct raw_root_reader rd;
	struct raw_ref ref;

	if (raw_root_begin(&rd, data, n, k, m, &ref, NULL) < 0)
		return;
	while (raw_root_next(&rd, &ref, NULL) == 1)
		must(ref.ext.bytes > 0 && ref.ext.bytes <= RAW_EXTENT_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned k, m;
	uint8_t *exact;

	if (n < 1)
		return 0;
	k = profiles[data[0] >> 4 & 3].k;
	m = profiles[data[0] >> 4 & 3].m;
	/* Memory of exactly that size: a byte too many is seen. */
	exact = malloc(n > 1 ? n - 1 : 1);
	must(exact);
	memcpy(exact, data + 1, n - 1);
	switch (data[0] & 3) {
	case 0:
		superblock(exact, n - 1);
		break;
	case 1:
		record(exact, n - 1, k, m);
		break;
	case 2:
		page(exact, n - 1, k, m);
		break;
	case 3:
		root(exact, n - 1, k, m);
		break;
	}
	free(exact);
	return 0;
}
