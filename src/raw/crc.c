/* SPDX-License-Identifier: Apache-2.0 */
/* crc.c: CRC32C by ISA-L; see crc.h. */
#include "raw/crc.h"

#include <isa-l/crc.h>
#include <limits.h>

#include "base/must.h"

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
crc32c_hole(const void *p, size_t n, size_t at, size_t len)
{
	static const uint8_t zero[8];
	const uint8_t *in = p;
	uint32_t crc;

	must(len <= sizeof(zero) && at + len <= n);
	crc = crc32c(0, in, at);
	crc = crc32c(crc, zero, len);
	return crc32c(crc, in + at + len, n - at - len);
}
