/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DCFMT_H
#define STORE_DCFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of a disk cache's file (docs/diskcache.md has the tables).  Pure
 * functions; any thread.
 */
#define DC_PAGE 4096u
#define DC_ENTRY 32u /* of the table */

struct meta;

struct dc_super {
	uint8_t uuid[16]; /* of the volume */
	uint32_t slot_size;
	uint32_t nslots;
};
/* page: DC_PAGE bytes. */
void dc_super_encode(const struct dc_super *s, uint8_t *page);
/* -ENOENT: all zeros; -EBADMSG: damaged, or of another version; -EINVAL:
 * something else. */
int dc_super_decode(struct dc_super *s, const uint8_t *page);

struct dc_entry {
	uint64_t key, tag; /* hashes */
	uint32_t len;
};
void dc_entry_encode(const struct dc_entry *x, uint8_t *p);
bool dc_entry_decode(struct dc_entry *x, const uint8_t *p);

struct dc_head { /* of a slot */
	uint8_t uuid[16];
	uint32_t len, crc; /* of the object's bytes */
	const char *key, *tag; /* decode: in the page */
	unsigned nmeta;
	const char *meta; /* decode: names and values, each with its NUL */
};
/* False: it does not fit. */
bool dc_head_encode(const struct dc_head *h, const struct meta *m,
    uint8_t *page);
bool dc_head_decode(struct dc_head *h, const uint8_t *page);

uint64_t dc_hash(const char *text);

#endif
