/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c: superblock and records to bytes and back; see format.h, and
 * docs/journal.md for the tables.
 *
 * Both are one page with a CRC32C over all of it.  A decoder accepts exactly
 * what an encoder makes, but for fields that must be zero and are not looked
 * at, so that a later version may use them.
 */
#include "config.h"

#include "journal/format.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/must.h"
#include "raw/crc.h"

#define SUPER_VERSION 1
#define RECORD_MAGIC 0x4352504au /* "JPRC" */
#define EPOCHS_AT 256
#define EPOCH_BYTES 32
#define LEASES_AT (EPOCHS_AT + JOURNAL_EPOCHS * EPOCH_BYTES)
#define HOST_AT (LEASES_AT + JOURNAL_LEASES * JOURNAL_LEASE_LEN)
#define URL_AT (HOST_AT + JOURNAL_HOST_MAX)
#define EXTENTS_AT 128
#define EXTENT_BYTES 32

/* The CRC of a page whose own field, at `at`, counts as zero. */
static uint32_t
page_crc(const uint8_t *page, size_t at)
{
	return crc32c_hole(page, JOURNAL_PAGE, at, 4);
}

/* --- the superblock -------------------------------------------------------- */

void
journal_super_encode(const struct journal_super *s, uint8_t *p)
{
	memset(p, 0, JOURNAL_PAGE);
	memcpy(p, JOURNAL_MAGIC, 8);
	put_le32(p + 8, SUPER_VERSION);
	memcpy(p + 16, s->uuid, 16);
	put_le64(p + 32, s->serial);
	put_le64(p + 40, s->bytes);
	put_le32(p + 48, s->seg_size);
	put_le32(p + 52, s->nsegs);
	put_le32(p + 56, s->flags);
	put_le32(p + 60, s->block_size);
	put_le64(p + 64, s->volume_size);
	put_le64(p + 72, s->tail_seg);
	put_le64(p + 80, s->tail_seq);
	put_le64(p + 88, s->next_op);
	put_le32(p + 96, s->nepochs);
	put_le32(p + 100, s->nleases);
	memcpy(p + 104, s->salt, 32);
	memcpy(p + 136, s->check, 16);
	for (unsigned i = 0; i < s->nepochs; i++) {
		uint8_t *q = p + EPOCHS_AT + i * EPOCH_BYTES;

		put_le64(q, s->epoch[i].number);
		put_le64(q + 8, s->epoch[i].nonce);
		put_le64(q + 16, s->epoch[i].first_seq);
		put_le64(q + 24, s->epoch[i].first_seg);
	}
	for (unsigned i = 0; i < s->nleases; i++)
		memcpy(p + LEASES_AT + i * JOURNAL_LEASE_LEN, s->lease[i],
		    strnlen(s->lease[i], JOURNAL_LEASE_LEN));
	memcpy(p + HOST_AT, s->host, strnlen(s->host, JOURNAL_HOST_MAX - 1));
	memcpy(p + URL_AT, s->url, strnlen(s->url, JOURNAL_URL_MAX - 1));
	put_le32(p + 12, page_crc(p, 12));
}

static bool
is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static bool
geometry_ok(const struct journal_super *s)
{
	return is_pow2(s->seg_size) && s->seg_size >= JOURNAL_SEG_MIN &&
	    s->seg_size <= JOURNAL_SEG_MAX && s->nsegs >= JOURNAL_NSEG_MIN &&
	    s->nsegs <= 1u << 20 &&
	    s->bytes == JOURNAL_DATA + (uint64_t)s->nsegs * s->seg_size &&
	    is_pow2(s->block_size) && s->block_size >= JOURNAL_PAGE &&
	    s->block_size <= 16u << 20 && s->volume_size <= INT64_MAX;
}

/* Epochs follow each other, and what is needed is at most one round. */
static bool
epochs_ok(const struct journal_super *s)
{
	if (s->nepochs == 0 || s->nepochs > JOURNAL_EPOCHS)
		return false;
	for (unsigned i = 1; i < s->nepochs; i++)
		if (s->epoch[i].number <= s->epoch[i - 1].number ||
		    s->epoch[i].first_seq < s->epoch[i - 1].first_seq ||
		    s->epoch[i].first_seg < s->epoch[i - 1].first_seg)
			return false;
	for (unsigned i = 0; i < s->nepochs; i++)
		if (s->epoch[i].first_seg >= UINT64_MAX / 2 ||
		    s->epoch[i].first_seq >= UINT64_MAX / 2)
			return false;
	return s->tail_seg < UINT64_MAX / 2 && s->tail_seq < UINT64_MAX / 2 &&
	    s->epoch[0].first_seg <= s->tail_seg &&
	    s->epoch[0].first_seq <= s->tail_seq &&
	    s->epoch[s->nepochs - 1].first_seg <= s->tail_seg + s->nsegs;
}

int
journal_super_decode(struct journal_super *s, const uint8_t *p)
{
	if (memcmp(p, JOURNAL_MAGIC, 8) != 0)
		return -EBADMSG;
	if (get_le32(p + 12) != page_crc(p, 12))
		return -EBADMSG;
	if (get_le32(p + 8) != SUPER_VERSION)
		return -EPROTONOSUPPORT;
	memset(s, 0, sizeof(*s));
	memcpy(s->uuid, p + 16, 16);
	s->serial = get_le64(p + 32);
	s->bytes = get_le64(p + 40);
	s->seg_size = get_le32(p + 48);
	s->nsegs = get_le32(p + 52);
	s->flags = get_le32(p + 56);
	s->block_size = get_le32(p + 60);
	s->volume_size = get_le64(p + 64);
	s->tail_seg = get_le64(p + 72);
	s->tail_seq = get_le64(p + 80);
	s->next_op = get_le64(p + 88);
	s->nepochs = get_le32(p + 96);
	s->nleases = get_le32(p + 100);
	memcpy(s->salt, p + 104, 32);
	memcpy(s->check, p + 136, 16);
	if (s->nepochs > JOURNAL_EPOCHS || s->nleases > JOURNAL_LEASES)
		return -EINVAL;
	for (unsigned i = 0; i < s->nepochs; i++) {
		const uint8_t *q = p + EPOCHS_AT + i * EPOCH_BYTES;

		s->epoch[i].number = get_le64(q);
		s->epoch[i].nonce = get_le64(q + 8);
		s->epoch[i].first_seq = get_le64(q + 16);
		s->epoch[i].first_seg = get_le64(q + 24);
	}
	for (unsigned i = 0; i < s->nleases; i++)
		memcpy(s->lease[i], p + LEASES_AT + i * JOURNAL_LEASE_LEN,
		    JOURNAL_LEASE_LEN);
	memcpy(s->host, p + HOST_AT, JOURNAL_HOST_MAX - 1);
	memcpy(s->url, p + URL_AT, JOURNAL_URL_MAX - 1);
	return geometry_ok(s) && epochs_ok(s) ? 0 : -EINVAL;
}

/* --- records ----------------------------------------------------------------- */

static void
encode_fields(const struct journal_record *r, uint8_t *p, bool for_aad)
{
	memset(p, 0, JOURNAL_PAGE);
	put_le32(p, RECORD_MAGIC);
	memcpy(p + 8, r->uuid, 16);
	put_le64(p + 24, r->epoch);
	put_le64(p + 32, r->nonce);
	put_le64(p + 40, r->seq);
	put_le64(p + 48, r->flushed);
	put_le32(p + 56, r->payload);
	put_le16(p + 60, r->kind);
	put_le16(p + 62, r->nextents);
	put_le32(p + 64, r->encrypted);
	if (!for_aad)
		memcpy(p + 80, r->tag, 16);
	for (unsigned i = 0; i < r->nextents; i++) {
		const struct journal_extent *x = &r->x[i];
		uint8_t *q = p + EXTENTS_AT + i * EXTENT_BYTES;

		put_le64(q, x->off);
		put_le64(q + 8, x->len);
		put_le64(q + 16, x->op);
		if (!for_aad)
			put_le32(q + 24, x->crc);
		put_le16(q + 28, x->kind);
	}
}

void
journal_record_encode(const struct journal_record *r, uint8_t *p)
{
	must(r->nextents <= JOURNAL_EXTENTS);
	encode_fields(r, p, false);
	put_le32(p + 4, page_crc(p, 4));
}

size_t
journal_record_aad(const struct journal_record *r, uint8_t *p)
{
	encode_fields(r, p, true);
	return JOURNAL_PAGE;
}

static bool
extent_ok(const struct journal_extent *x)
{
	if (x->off % 512 != 0 || x->len % 512 != 0 || x->off > INT64_MAX ||
	    x->len > INT64_MAX - x->off)
		return false;
	switch (x->kind) {
	case JOURNAL_WRITE:
		return x->len > 0 && x->len <= JOURNAL_PIECE;
	case JOURNAL_ZERO:
		return x->len > 0;
	case JOURNAL_SETTLED:
		return x->len == 0;
	default:
		return false;
	}
}

int
journal_record_decode(struct journal_record *r, const uint8_t *p)
{
	uint32_t at = 0;

	if (get_le32(p) != RECORD_MAGIC || get_le32(p + 4) != page_crc(p, 4))
		return -EBADMSG;
	memcpy(r->uuid, p + 8, 16);
	r->epoch = get_le64(p + 24);
	r->nonce = get_le64(p + 32);
	r->seq = get_le64(p + 40);
	r->flushed = get_le64(p + 48);
	r->payload = get_le32(p + 56);
	r->kind = get_le16(p + 60);
	r->nextents = get_le16(p + 62);
	r->encrypted = (get_le32(p + 64) & 1) != 0;
	memcpy(r->tag, p + 80, 16);
	if (r->kind != JOURNAL_DATA_RECORD && r->kind != JOURNAL_SEAL)
		return -EBADMSG;
	if (r->nextents > JOURNAL_EXTENTS ||
	    r->payload > JOURNAL_PAYLOAD_MAX || r->payload % JOURNAL_PAGE != 0)
		return -EBADMSG;
	for (unsigned i = 0; i < r->nextents; i++) {
		const uint8_t *q = p + EXTENTS_AT + i * EXTENT_BYTES;
		struct journal_extent *x = &r->x[i];

		x->off = get_le64(q);
		x->len = get_le64(q + 8);
		x->op = get_le64(q + 16);
		x->crc = get_le32(q + 24);
		x->kind = get_le16(q + 28);
		x->at = at;
		if (!extent_ok(x))
			return -EBADMSG;
		if (x->kind == JOURNAL_WRITE)
			at += (uint32_t)x->len;
		if (at > r->payload)
			return -EBADMSG;
	}
	return r->payload - at < JOURNAL_PAGE ? 0 : -EBADMSG;
}

uint32_t
journal_record_bytes(const struct journal_record *r)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < r->nextents; i++)
		if (r->x[i].kind == JOURNAL_WRITE)
			n += (uint32_t)r->x[i].len;
	return n;
}

bool
journal_payload_ok(const struct journal_record *r, const uint8_t *payload)
{
	for (unsigned i = 0; i < r->nextents; i++) {
		const struct journal_extent *x = &r->x[i];

		if (x->kind == JOURNAL_WRITE &&
		    crc32c(0, payload + x->at, x->len) != x->crc)
			return false;
	}
	return true;
}
