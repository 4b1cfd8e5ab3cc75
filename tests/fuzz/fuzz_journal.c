/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal's pages: superblock and records are decoded from any bytes; what is
 * accepted is encoded again, and must decode to the same.  A record is also
 * looked for where a scan would, with what follows it as its payload.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/must.h"
#include "journal/format.h"
#include "raw/crc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A search would never find a CRC: the page gets the right one. */
static void
set_crc(uint8_t *page, size_t at)
{
	put_le32(page + at, 0);
	put_le32(page + at, crc32c(0, page, JOURNAL_PAGE));
}

static void
try_super(uint8_t *page)
{
	struct journal_super a, b;
	uint8_t again[JOURNAL_PAGE];

	set_crc(page, 12);
	if (journal_super_decode(&a, page) < 0)
		return;
	must(a.nepochs >= 1 && a.nepochs <= JOURNAL_EPOCHS);
	must(a.nsegs >= JOURNAL_NSEG_MIN);
	journal_super_encode(&a, again);
	must(journal_super_decode(&b, again) == 0);
	must(a.tail_seg == b.tail_seg && a.nepochs == b.nepochs);
	must(memcmp(a.epoch, b.epoch, sizeof(a.epoch)) == 0);
	must(strcmp(a.url, b.url) == 0);
}

static void
try_record(uint8_t *page, const uint8_t *rest, size_t n)
{
	struct journal_record a, b;
	uint8_t again[JOURNAL_PAGE];

	set_crc(page, 4);
	if (journal_record_decode(&a, page) < 0)
		return;
	for (unsigned i = 0; i < a.nextents; i++)
		if (a.x[i].kind == JOURNAL_WRITE)
			must(a.x[i].at + a.x[i].len <= a.payload);
	if (a.payload <= n)
		(void)journal_payload_ok(&a, rest);
	journal_record_encode(&a, again);
	must(journal_record_decode(&b, again) == 0);
	must(a.seq == b.seq && a.nextents == b.nextents);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t page[JOURNAL_PAGE];
	size_t n = size < sizeof(page) ? size : sizeof(page);

	memset(page, 0, sizeof(page));
	memcpy(page, data, n);
	try_super(page);
	memset(page, 0, sizeof(page));
	memcpy(page, data, n);
	try_record(page, data + n, size - n);
	return 0;
}
