/* SPDX-License-Identifier: Apache-2.0 */
/* crc.c: CRC32C by ISA-L; see crc.h. */
#include "raw/crc.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <string.h>

#include "base/byteorder.h"

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
	/* ISA-L reads only, though its prototype lacks the const; it takes an
	 * int, and neither inverts at the beginning nor at the end. */
	unsigned char *c = (unsigned char *)(uintptr_t)p;

	crc = ~crc;
	while (n > 0) {
		int part = n > INT_MAX / 2 ? INT_MAX / 2 : (int)n;

		crc = crc32_iscsi(c, part, crc);
		c += part;
		n -= (size_t)part;
	}
	return ~crc;
}

uint32_t
crc_fragment_seed(const uint8_t pool_uuid[16], uint64_t seq, uint32_t extent,
    unsigned column)
{
	uint8_t id[29];

	memcpy(id, pool_uuid, 16);
	put_le64(id + 16, seq);
	put_le32(id + 24, extent);
	id[28] = (uint8_t)column;
	return crc32c(0, id, sizeof(id));
}
