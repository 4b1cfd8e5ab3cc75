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

/* The CRC of a fragment's identity, to begin its checksum with (docs/raw.md,
 * "Fragment checksums"): data of another pool, commit, extent or column does
 * not verify (G5). */
uint32_t crc_fragment_seed(const uint8_t pool_uuid[16], uint64_t seq,
    uint32_t extent, unsigned column);

#endif
