/* SPDX-License-Identifier: Apache-2.0 */
/* What the store in a directory finds there: trailers of files, and names.  The
 * checksum is made right first, or nothing would get behind it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "store/dirfmt.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
trailer(const uint8_t *data, size_t n)
{
	uint8_t raw[DIR_TRAILER] = {0}, again[DIR_TRAILER];
	struct dir_trailer t;
	struct meta *m = NULL;
	uint64_t size;

	memcpy(raw, data, n < sizeof(raw) ? n : sizeof(raw));
	memcpy(raw, "PAILDIR1", 8);
	put_le32(raw + DIR_TRAILER - 4,
	    (uint32_t)crc32(0, raw, DIR_TRAILER - 4));
	size = get_le64(raw + 8) + DIR_TRAILER;
	if (dir_trailer_decode(raw, size, &t, &m, NULL) < 0)
		return;
	must(dir_trailer_encode(again, &t, m) == 0);
	must(memcmp(raw, again, 24 + DIR_TAG) == 0 || meta_count(m) == 0 ||
	    meta_count(m) < get_le16(raw + 20));
	meta_unref(m);
}

static void
name(const uint8_t *data, size_t n)
{
	char text[300], chunk[DIR_CHUNK_MAX + 1], back[DIR_NAME_MAX];
	size_t len;
	bool is_dir;

	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, data, n);
	text[n] = '\0';
	if (dir_name_decode(text, chunk, &len, &is_dir) < 0)
		return;
	must(len > 0 && len <= DIR_CHUNK_MAX && chunk[len] == '\0');
	dir_name_encode(back, chunk, len, is_dir);
	must(strcmp(back, text) == 0); /* one name for one chunk */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	trailer(data, n);
	name(data, n);
	return 0;
}
