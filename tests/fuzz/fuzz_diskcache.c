/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_diskcache.c: the header of a slot, an entry of the table and the superblock
 * of a disk cache's file.  The input becomes a page; its checksum is made right,
 * so that what is behind it is reached.  What decodes can be encoded again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/must.h"
#include "raw/crc.h"
#include "store/dcfmt.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_head(const uint8_t *page)
{
	struct dc_head h;
	const char *p;

	if (!dc_head_decode(&h, page))
		return;
	must(strlen(h.tag) < STORE_TAG_MAX);
	p = h.meta;
	for (unsigned i = 0; i < 2 * h.nmeta; i++)
		p += strlen(p) + 1;
	must(p <= (const char *)page + DC_PAGE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *page = calloc(1, DC_PAGE), again[DC_ENTRY];
	struct dc_super s;
	struct dc_entry x;

	must(page != NULL);
	memcpy(page, data, size < DC_PAGE ? size : DC_PAGE);
	try_head(page);
	(void)dc_super_decode(&s, page);
	if (dc_entry_decode(&x, page)) {
		dc_entry_encode(&x, again);
		must(memcmp(page, again, 24) == 0);
	}
	put_le32(page + 28, crc32c(0, page, 28));
	(void)dc_entry_decode(&x, page);
	put_le32(page, 0x4f434450u);
	put_le32(page + 4, crc32c_hole(page, DC_PAGE, 4, 4));
	try_head(page);
	free(page);
	return 0;
}
