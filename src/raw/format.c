/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c: the bytes on a device; see format.h and docs/raw.md.  What stands
 * for an object is in object.c.
 *
 * A reader is a pointer and what is left behind it; take() is the only place
 * that moves it, so that nothing is read past the end.
 */
#include "raw/format.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "raw/crc.h"

static const uint8_t super_magic[8] = {'P', 'A', 'I', 'L', 'R', 'A', 'W', '\n'};
#define RECORD_MAGIC 0x474f4c50u /* "PLOG" */
#define FORMAT_VERSION 1u

struct reader {
	const uint8_t *at;
	size_t left;
};

/* n bytes, or NULL if there are not so many. */
static const uint8_t *
take(struct reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (n > r->left)
		return NULL;
	r->at += n;
	r->left -= n;
	return p;
}

static bool
take_varint(struct reader *r, uint64_t *v)
{
	size_t n = raw_varint_decode(v, r->at, r->left);

	return n > 0 && take(r, n) != NULL;
}

/* --- extent references --------------------------------------------------- */

void
raw_ref_encode(const struct raw_ref *r, uint8_t out[RAW_REF_BYTES])
{
	memset(out, 0, RAW_REF_BYTES);
	if (r->ext.bytes == 0)
		return;
	put_le64(out, r->ext.addr);
	put_le32(out + 8, r->ext.bytes);
	put_le32(out + 12, r->crc);
	put_le64(out + 16, r->seq);
	for (unsigned i = 0; i < r->ext.ncrc; i++)
		put_le32(out + 32 + 4 * i, r->ext.crc[i]);
}

int
raw_ref_decode(struct raw_ref *r, const uint8_t in[RAW_REF_BYTES], unsigned k,
    unsigned m)
{
	struct geom g;

	memset(r, 0, sizeof(*r));
	r->ext.bytes = get_le32(in + 8);
	if (r->ext.bytes == 0)
		return 0;
	if (r->ext.bytes > RAW_EXTENT_MAX)
		return -EBADMSG;
	geom_init(&g, k, m, r->ext.bytes);
	r->ext.addr = get_le64(in);
	r->crc = get_le32(in + 12);
	r->seq = get_le64(in + 16);
	r->ext.ncrc = (uint8_t)g.w;
	for (unsigned i = 0; i < g.w; i++)
		r->ext.crc[i] = get_le32(in + 32 + 4 * i);
	return 0;
}

/* --- superblock ------------------------------------------------------------ */

uint64_t
raw_copy_offset(enum raw_copy copy, uint64_t end)
{
	switch (copy) {
	case RAW_COPY_A0:
		return 0;
	case RAW_COPY_B0:
		return 64u << 10;
	case RAW_COPY_B1:
		return end - (128u << 10);
	case RAW_COPY_A1:
		return end - RAW_SECTOR;
	}
	must(!"a copy of the superblock");
	return 0;
}

/* The CRC leaves out itself and the copy number: copies compare equal. */
static uint32_t
super_crc(const uint8_t in[RAW_SECTOR])
{
	return crc32c_hole(in, RAW_SECTOR, 12, 5);
}

void
raw_super_encode(const struct raw_super *s, uint8_t out[RAW_SECTOR])
{
	size_t name = strlen(s->name), cursor = strlen(s->cursor);

	must(name <= RAW_NAME_MAX && cursor <= RAW_KEY_MAX &&
	    s->k + s->m <= (int)RAW_MAX_MEMBERS);
	memset(out, 0, RAW_SECTOR);
	memcpy(out, super_magic, 8);
	put_le32(out + 8, FORMAT_VERSION);
	out[16] = s->copy;
	out[17] = s->k;
	out[18] = s->m;
	out[19] = s->column;
	put_le32(out + 20, s->flags);
	put_le64(out + 24, s->compat);
	put_le64(out + 32, s->ro_compat);
	put_le64(out + 40, s->incompat);
	memcpy(out + 48, s->pool_uuid, 16);
	memcpy(out + 64, s->member_uuid, 16);
	put_le64(out + 80, s->epoch);
	put_le64(out + 88, s->generation);
	put_le64(out + 96, s->created);
	put_le64(out + 104, s->log_sectors);
	put_le64(out + 112, s->data_sectors);
	put_le64(out + 120, s->end);
	put_le64(out + 128, s->root_seq);
	put_le64(out + 136, s->log_pos);
	put_le32(out + 144, s->log_crc);
	put_le32(out + 148, (uint32_t)name);
	put_le64(out + 152, s->objects);
	raw_ref_encode(&s->root, out + 160);
	memcpy(out + 320, s->name, name);
	for (unsigned i = 0; i < RAW_MAX_MEMBERS; i++) {
		const struct raw_member *m = &s->member[i];
		uint8_t *p = out + 512 + 64 * i;

		memcpy(p, m->uuid, 16);
		p[16] = m->state;
		put_le64(p + 24, m->bytes);
		put_le64(p + 32, m->whole_seq);
		put_le64(p + 40, m->left_epoch);
	}
	put_le64(out + 2560, s->log_epoch);
	put_le64(out + 2568, s->rebuilt_objects);
	put_le64(out + 2576, s->rebuilt_bytes);
	put_le16(out + 2584, (uint16_t)cursor);
	memcpy(out + 2586, s->cursor, cursor);
	put_le16(out + 3610, s->nbad);
	for (unsigned i = 0; i < s->nbad; i++) {
		put_le64(out + 3612 + 8 * i,
		    s->bad[i].addr | (uint64_t)s->bad[i].sectors << 40);
	}
	put_le32(out + 12, super_crc(out));
}

bool
raw_super_looks_like(const uint8_t in[RAW_SECTOR])
{
	return memcmp(in, super_magic, 8) == 0;
}

/* What is true of every superblock that we write. */
static int
super_check(const struct raw_super *s, struct err *e)
{
	unsigned n = (unsigned)s->k + s->m;
	uint64_t end_sectors = s->end / RAW_SECTOR;

	if (s->k < 1 || s->m > RAW_MAX_PARITY || n > RAW_MAX_MEMBERS)
		return err_set(e, -EBADMSG,
		    "superblock: profile %u+%u is not possible", s->k, s->m);
	if (s->column >= n)
		return err_set(e, -EBADMSG,
		    "superblock: column %u of %u members", s->column, n);
	if (s->end % RAW_SECTOR || s->end > (1ull << 60) ||
	    s->log_sectors > end_sectors || s->data_sectors > end_sectors ||
	    s->log_sectors < 4 * (RAW_RECORD_MAX / RAW_SECTOR) ||
	    s->data_sectors == 0 ||
	    RAW_LOG_START + s->log_sectors + s->data_sectors +
		    RAW_TAIL_SECTORS > end_sectors)
		return err_set(e, -EBADMSG,
		    "superblock: log of %llu and data of %llu sectors do not "
		    "fit into %llu bytes",
		    (unsigned long long)s->log_sectors,
		    (unsigned long long)s->data_sectors,
		    (unsigned long long)s->end);
	for (unsigned i = 0; i < n; i++)
		if (s->member[i].state < RAW_MEMBER_ONLINE ||
		    s->member[i].state > RAW_MEMBER_OFFLINE)
			return err_set(e, -EBADMSG,
			    "superblock: member %u has the unknown state %u",
			    i, s->member[i].state);
	if (memcmp(s->member[s->column].uuid, s->member_uuid, 16) != 0 &&
	    s->member[s->column].state == RAW_MEMBER_ONLINE)
		return err_set(e, -EBADMSG,
		    "superblock: column %u is another member", s->column);
	return 0;
}

int
raw_super_decode(
    struct raw_super *s, const uint8_t in[RAW_SECTOR], struct err *e)
{
	uint32_t version = get_le32(in + 8), name = get_le32(in + 148);
	uint32_t cursor;

	memset(s, 0, sizeof(*s));
	if (!raw_super_looks_like(in))
		return err_set(e, -EBADMSG, "no superblock of pail");
	/* The version first: a newer one may have its CRC elsewhere. */
	if (version != FORMAT_VERSION)
		return err_set(e, -ENOTSUP,
		    "superblock: format %u; this pail knows format %u", version,
		    FORMAT_VERSION);
	if (get_le32(in + 12) != super_crc(in))
		return err_set(e, -EBADMSG,
		    "superblock: checksum %08x, should be %08x",
		    get_le32(in + 12), super_crc(in));
	s->copy = in[16];
	s->k = in[17];
	s->m = in[18];
	s->column = in[19];
	s->flags = get_le32(in + 20);
	s->compat = get_le64(in + 24);
	s->ro_compat = get_le64(in + 32);
	s->incompat = get_le64(in + 40);
	if (s->incompat != 0)
		return err_set(e, -ENOTSUP,
		    "superblock: needs features %llx that this pail does not "
		    "have",
		    (unsigned long long)s->incompat);
	memcpy(s->pool_uuid, in + 48, 16);
	memcpy(s->member_uuid, in + 64, 16);
	s->epoch = get_le64(in + 80);
	s->generation = get_le64(in + 88);
	s->created = get_le64(in + 96);
	s->log_sectors = get_le64(in + 104);
	s->data_sectors = get_le64(in + 112);
	s->end = get_le64(in + 120);
	s->root_seq = get_le64(in + 128);
	s->log_pos = get_le64(in + 136);
	s->log_crc = get_le32(in + 144);
	s->objects = get_le64(in + 152);
	if (name > RAW_NAME_MAX)
		return err_set(e, -EBADMSG,
		    "superblock: a name of %u bytes, at most %u are possible",
		    name, RAW_NAME_MAX);
	if (memchr(in + 320, '\0', name))
		return err_set(
		    e, -EBADMSG, "superblock: there is a NUL in the name");
	memcpy(s->name, in + 320, name);
	for (unsigned i = 0; i < RAW_MAX_MEMBERS; i++) {
		struct raw_member *m = &s->member[i];
		const uint8_t *p = in + 512 + 64 * i;

		memcpy(m->uuid, p, 16);
		m->state = p[16];
		m->bytes = get_le64(p + 24);
		m->whole_seq = get_le64(p + 32);
		m->left_epoch = get_le64(p + 40);
	}
	s->log_epoch = get_le64(in + 2560);
	s->rebuilt_objects = get_le64(in + 2568);
	s->rebuilt_bytes = get_le64(in + 2576);
	cursor = get_le16(in + 2584);
	if (cursor > RAW_KEY_MAX || memchr(in + 2586, '\0', cursor))
		return err_set(e, -EBADMSG,
		    "superblock: the place of the rebuild is damaged");
	memcpy(s->cursor, in + 2586, cursor);
	if (get_le16(in + 3610) > RAW_BAD_MAX)
		return err_set(e, -EBADMSG,
		    "superblock: %u bad places, at most %u are possible",
		    get_le16(in + 3610), RAW_BAD_MAX);
	s->nbad = (uint8_t)get_le16(in + 3610);
	for (unsigned i = 0; i < s->nbad; i++) {
		uint64_t v = get_le64(in + 3612 + 8 * i);

		s->bad[i].addr = v & (RAW_ADDR_MAX - 1);
		s->bad[i].sectors = (uint16_t)(v >> 40);
	}
	if (super_check(s, e) < 0)
		return -EBADMSG;
	if (raw_ref_decode(&s->root, in + 160, s->k, s->m) < 0)
		return err_set(e, -EBADMSG, "superblock: the root is damaged");
	return 0;
}

/* --- log records ----------------------------------------------------------- */

size_t
raw_item_bound(const char *key, const struct raw_object *o)
{
	return 1 + RAW_VARINT_MAX + strlen(key) + (o ? raw_object_bound(o) : 0);
}

void
raw_item_encode(struct strbuf *b, const char *key, const struct raw_object *o)
{
	size_t n = strlen(key), at = b->len;

	must(n > 0 && n <= RAW_KEY_MAX);
	/* Room first, then in place. */
	strbuf_reserve(b, raw_item_bound(key, o));
	if (b->failed)
		return;
	b->s[at++] = o ? RAW_ITEM_PUT : RAW_ITEM_DELETE;
	at += raw_varint_encode(n, (uint8_t *)b->s + at);
	memcpy(b->s + at, key, n);
	at += n;
	if (o)
		at += raw_object_encode(o, (uint8_t *)b->s + at);
	b->len = at;
}

void
raw_record_seal(struct raw_record *r, uint8_t *out)
{
	must(r->bytes >= RAW_RECORD_HEADER &&
	    r->bytes <= (uint64_t)r->sectors * RAW_SECTOR);
	memset(out, 0, RAW_RECORD_HEADER);
	put_le32(out, RECORD_MAGIC);
	put_le32(out + 8, r->sectors);
	put_le32(out + 12, r->bytes);
	memcpy(out + 16, r->pool_uuid, 16);
	put_le64(out + 32, r->epoch);
	put_le64(out + 40, r->seq);
	put_le64(out + 48, r->pos);
	put_le64(out + 56, r->durable_seq);
	put_le32(out + 64, r->prev_crc);
	put_le32(out + 68, r->nitems);
	r->crc = crc32c_hole(out, (size_t)r->sectors * RAW_SECTOR, 4, 4);
	put_le32(out + 4, r->crc);
}

int
raw_record_peek(struct raw_record *r, const uint8_t *in, size_t n)
{
	memset(r, 0, sizeof(*r));
	if (n < RAW_RECORD_HEADER || get_le32(in) != RECORD_MAGIC)
		return -EBADMSG;
	r->crc = get_le32(in + 4);
	r->sectors = get_le32(in + 8);
	r->bytes = get_le32(in + 12);
	memcpy(r->pool_uuid, in + 16, 16);
	r->epoch = get_le64(in + 32);
	r->seq = get_le64(in + 40);
	r->pos = get_le64(in + 48);
	r->durable_seq = get_le64(in + 56);
	r->prev_crc = get_le32(in + 64);
	r->nitems = get_le32(in + 68);
	if (r->bytes < RAW_RECORD_HEADER ||
	    r->sectors == 0 || r->sectors > RAW_RECORD_MAX / RAW_SECTOR ||
	    r->bytes > (uint64_t)r->sectors * RAW_SECTOR)
		return -EBADMSG;
	return 0;
}

int
raw_record_decode(
    struct raw_record *r, const uint8_t *in, size_t n, struct err *e)
{
	uint32_t crc;

	if (raw_record_peek(r, in, n) < 0)
		return err_set(e, -EBADMSG, "no log record");
	if (n < (size_t)r->sectors * RAW_SECTOR)
		return err_set(e, -EBADMSG, "a log record that is cut off");
	crc = crc32c_hole(in, (size_t)r->sectors * RAW_SECTOR, 4, 4);
	if (crc != r->crc)
		return err_set(e, -EBADMSG,
		    "log record %llu: checksum %08x, should be %08x",
		    (unsigned long long)r->seq, r->crc, crc);
	return 0;
}

void
raw_item_reader_init(struct raw_item_reader *rd, const struct raw_record *r,
    const uint8_t *in, unsigned k, unsigned m)
{
	rd->at = in + RAW_RECORD_HEADER;
	rd->end = in + r->bytes;
	rd->left = r->nitems;
	rd->k = k;
	rd->m = m;
}

int
raw_item_next(struct raw_item_reader *rd, struct raw_item *item,
    struct raw_extent *ext, unsigned maxext, struct err *e)
{
	struct reader r = {rd->at, (size_t)(rd->end - rd->at)};
	const uint8_t *kind, *key;
	uint64_t n = 0;

	if (rd->left == 0)
		return 0;
	kind = take(&r, 1);
	key = kind && take_varint(&r, &n) ? take(&r, n) : NULL;
	if (!key || n == 0 || n > RAW_KEY_MAX || memchr(key, '\0', n))
		return err_set(e, -EBADMSG, "log item: bad key");
	memcpy(item->key, key, n);
	item->key[n] = '\0';
	memset(&item->object, 0, sizeof(item->object));
	if (*kind == RAW_ITEM_PUT) {
		int64_t used = raw_object_decode(&item->object, ext, maxext,
		    rd->k, rd->m, r.at, r.left);

		if (used < 0)
			return err_set(e, -EBADMSG,
			    "log item: object %s is damaged", item->key);
		take(&r, (size_t)used);
	} else if (*kind != RAW_ITEM_DELETE) {
		return err_set(
		    e, -EBADMSG, "log item: unknown kind %u", *kind);
	}
	item->kind = *kind;
	rd->at = r.at;
	rd->left--;
	return 1;
}
