/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_CRC_H
#define RAW_CRC_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC32C (Castagnoli) with the conventions of RFC 3720: crc is what an earlier
 * call returned, or 0 to begin; crc32c(0, "123456789", 9) is e3069283.
 * By ISA-L (crc32_iscsi).  Pure.
 */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/* Of all n bytes, those of the hole [at, at + len), at most 8, taken for zeros:
 * for what holds its own CRC. */
uint32_t crc32c_hole(const void *p, size_t n, size_t at, size_t len);

#endif
