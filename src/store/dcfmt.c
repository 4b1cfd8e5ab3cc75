/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dcfmt.c: superblock, table entries and slot headers of a disk cache to bytes
 * and back; see dcfmt.h.  Each has a CRC32C of its own.
 */
#include "config.h"

#include "store/dcfmt.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "raw/crc.h"
#include "store/store.h"

#define SUPER_MAGIC "PAILDISK"
#define SUPER_VERSION 1
#define HEAD_MAGIC 0x4f434450u /* "PDCO" */
#define TEXT_AT 40

void
dc_super_encode(const struct dc_super *s, uint8_t *p)
{
	memset(p, 0, DC_PAGE);
	memcpy(p, SUPER_MAGIC, 8);
	put_le32(p + 8, SUPER_VERSION);
	memcpy(p + 16, s->uuid, 16);
	put_le32(p + 32, s->slot_size);
	put_le32(p + 36, s->nslots);
	put_le32(p + 12, crc32c_hole(p, DC_PAGE, 12, 4));
}

int
dc_super_decode(struct dc_super *s, const uint8_t *p)
{
	if (p[0] == 0 && memcmp(p, p + 1, DC_PAGE - 1) == 0)
		return -ENOENT;
	if (memcmp(p, SUPER_MAGIC, 8) != 0)
		return -EINVAL;
	if (get_le32(p + 12) != crc32c_hole(p, DC_PAGE, 12, 4) ||
	    get_le32(p + 8) != SUPER_VERSION)
		return -EBADMSG;
	memcpy(s->uuid, p + 16, 16);
	s->slot_size = get_le32(p + 32);
	s->nslots = get_le32(p + 36);
	return 0;
}

void
dc_entry_encode(const struct dc_entry *x, uint8_t *p)
{
	memset(p, 0, DC_ENTRY);
	put_le64(p, x->key);
	put_le64(p + 8, x->tag);
	put_le32(p + 16, x->len);
	put_le32(p + 20, 1);
	put_le32(p + 28, crc32c(0, p, 28));
}

bool
dc_entry_decode(struct dc_entry *x, const uint8_t *p)
{
	if (get_le32(p + 20) != 1 || get_le32(p + 28) != crc32c(0, p, 28))
		return false;
	x->key = get_le64(p);
	x->tag = get_le64(p + 8);
	x->len = get_le32(p + 16);
	return true;
}

/* Append with its NUL; false: no room. */
static bool
put_text(uint8_t *page, size_t *at, const char *text)
{
	size_t n = strlen(text) + 1;

	if (n > DC_PAGE - *at)
		return false;
	memcpy(page + *at, text, n);
	*at += n;
	return true;
}

bool
dc_head_encode(const struct dc_head *h, const struct meta *m, uint8_t *p)
{
	size_t at = TEXT_AT;
	unsigned n = m ? meta_count(m) : 0;

	memset(p, 0, DC_PAGE);
	put_le32(p, HEAD_MAGIC);
	memcpy(p + 8, h->uuid, 16);
	put_le32(p + 24, h->len);
	put_le32(p + 28, h->crc);
	put_le32(p + 32, n);
	if (!put_text(p, &at, h->key) || !put_text(p, &at, h->tag))
		return false;
	for (unsigned i = 0; i < n; i++) {
		const char *name, *value;

		meta_nth(m, i, &name, &value);
		if (!put_text(p, &at, name) || !put_text(p, &at, value))
			return false;
	}
	put_le32(p + 4, crc32c_hole(p, DC_PAGE, 4, 4));
	return true;
}

/* The text at *at; NULL: it does not end in the page. */
static const char *
get_text(const uint8_t *page, size_t *at)
{
	const char *text = (const char *)page + *at;
	size_t n = strnlen(text, DC_PAGE - *at);

	if (n == DC_PAGE - *at)
		return NULL;
	*at += n + 1;
	return text;
}

bool
dc_head_decode(struct dc_head *h, const uint8_t *p)
{
	size_t at = TEXT_AT;

	if (get_le32(p) != HEAD_MAGIC ||
	    get_le32(p + 4) != crc32c_hole(p, DC_PAGE, 4, 4))
		return false;
	memcpy(h->uuid, p + 8, 16);
	h->len = get_le32(p + 24);
	h->crc = get_le32(p + 28);
	h->nmeta = get_le32(p + 32);
	h->key = get_text(p, &at);
	h->tag = h->key ? get_text(p, &at) : NULL;
	if (!h->tag || strlen(h->tag) >= STORE_TAG_MAX)
		return false;
	h->meta = (const char *)p + at;
	for (unsigned i = 0; i < h->nmeta; i++)
		if (!get_text(p, &at) || !get_text(p, &at))
			return false;
	return true;
}

uint64_t
dc_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}
