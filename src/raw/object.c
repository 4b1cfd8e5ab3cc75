/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.c: what the index and the log know of an object, as bytes; see
 * format.h and docs/raw.md.
 *
 * An opening decodes every object of a store, and a look-up those of a run: so
 * what comes before the extents is decoded once, by object_head, and who only
 * wants the length of an object with one extent has it from there.
 *
 * Pure functions of buffers.  Nothing is read past the end: each part is
 * measured before it is read.
 */
#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/must.h"
#include "raw/crc.h"
#include "raw/format.h"

#define FLAG_META 3u
#define FLAG_SINGLE 4u
#define SEQ_BYTES 6
#define ADDR_BYTES 5
#define LEN_BYTES 3
#define HEAD_MAX (1 + SEQ_BYTES + 3 * RAW_VARINT_MAX)
#define EXTENT_MAX (ADDR_BYTES + LEN_BYTES + 4 * RAW_MAX_MEMBERS)
#define MAX(a, b) ((a) > (b) ? (a) : (b))

size_t
raw_varint_encode(uint64_t v, uint8_t *out)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

static void
put_bytes(uint8_t *out, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++, v >>= 8)
		out[i] = (uint8_t)v;
}

size_t
raw_object_bound(const struct raw_object *o)
{
	size_t n = HEAD_MAX;

	for (unsigned i = 0; i < o->nextents; i++)
		n += ADDR_BYTES + LEN_BYTES + 4 * (size_t)o->ext[i].ncrc;
	return n;
}

/* What stands before the extents. */
static size_t
encode_head(const struct raw_object *o, uint8_t *out)
{
	bool single = o->nextents == 1;
	size_t n = 0;

	must(o->seq < RAW_SEQ_MAX);
	out[n++] = (uint8_t)(o->meta_code | (single ? FLAG_SINGLE : 0));
	put_bytes(out + n, o->seq, SEQ_BYTES);
	n += SEQ_BYTES;
	if (o->meta_code == RAW_META_TAIL)
		n += raw_varint_encode(o->meta_len, out + n);
	n += raw_varint_encode(o->size, out + n);
	if (!single)
		n += raw_varint_encode(o->nextents, out + n);
	return n;
}

static size_t
encode_extent(const struct raw_extent *x, bool single, uint8_t *out)
{
	size_t n = 0;

	must(x->addr < RAW_ADDR_MAX);
	put_bytes(out + n, x->addr, ADDR_BYTES);
	n += ADDR_BYTES;
	if (!single) {
		put_bytes(out + n, x->bytes, LEN_BYTES);
		n += LEN_BYTES;
	}
	for (unsigned c = 0; c < x->ncrc; c++, n += 4)
		put_le32(out + n, x->crc[c]);
	return n;
}

size_t
raw_object_encode(const struct raw_object *o, uint8_t *out)
{
	size_t n = encode_head(o, out);

	for (unsigned i = 0; i < o->nextents; i++)
		n += encode_extent(&o->ext[i], o->nextents == 1, out + n);
	return n;
}

uint32_t
raw_object_sum(const struct raw_object *o)
{
	uint8_t part[MAX(HEAD_MAX, EXTENT_MAX)];
	uint32_t sum = crc32c(0, part, encode_head(o, part));

	for (unsigned i = 0; i < o->nextents; i++)
		sum = crc32c(sum, part,
		    encode_extent(&o->ext[i], o->nextents == 1, part));
	return sum;
}

/* An address or a seq: 5 or 6 bytes. */
static uint64_t
get_addr(const uint8_t *in)
{
	return get_le32(in) | (uint64_t)in[4] << 32;
}

static uint64_t
get_seq(const uint8_t *in)
{
	return get_le32(in) | (uint64_t)get_le16(in + 4) << 32;
}

struct object_head { /* decoded */
	uint64_t size, payload; /* with metadata at its end */
	uint32_t meta_len, nextents;
	size_t bytes; /* of the head itself */
};

/* False: it is damaged. */
static inline bool
object_head(struct object_head *h, const uint8_t *in, size_t n)
{
	uint64_t meta = 0, count = 1;
	size_t at = 1 + SEQ_BYTES, used;

	if (n < at || in[0] & ~(FLAG_META | FLAG_SINGLE) ||
	    (in[0] & FLAG_META) > RAW_META_TAIL)
		return false;
	if ((in[0] & FLAG_META) == RAW_META_TAIL) {
		used = raw_varint_decode(&meta, in + at, n - at);
		if (used == 0 || meta == 0 || meta > RAW_META_MAX)
			return false;
		at += used;
	}
	used = raw_varint_decode(&h->size, in + at, n - at);
	if (used == 0 || h->size > (uint64_t)RAW_MAX_EXTENTS * RAW_EXTENT_MAX)
		return false;
	at += used;
	h->payload = h->size + meta;
	if (!(in[0] & FLAG_SINGLE)) {
		used = raw_varint_decode(&count, in + at, n - at);
		if (used == 0 || count > RAW_MAX_EXTENTS)
			return false;
		at += used;
	} else if (h->payload == 0 || h->payload > RAW_EXTENT_MAX) {
		return false;
	}
	h->meta_len = (uint32_t)meta;
	h->nextents = (uint32_t)count;
	h->bytes = at;
	return true;
}

static void
get_extent(struct raw_extent *x, uint64_t addr, uint32_t bytes, unsigned w,
    const uint8_t *crc)
{
	x->addr = addr;
	x->bytes = bytes;
	x->ncrc = (uint8_t)w;
	for (unsigned c = 0; c < w; c++)
		x->crc[c] = get_le32(crc + 4 * (size_t)c);
}

/*
 * The extents that follow a head: their bytes, or -EBADMSG.  ext has room for
 * them, or is NULL: then they are only checked.
 */
static int64_t
single_extent(const struct object_head *h, struct raw_extent *ext, unsigned k,
    unsigned m, const uint8_t *in, size_t n)
{
	uint32_t bytes = (uint32_t)h->payload;
	unsigned w = geom_width(k, m, bytes);

	if (n < ADDR_BYTES + 4 * (size_t)w)
		return -EBADMSG;
	if (ext)
		get_extent(ext, get_addr(in), bytes, w, in + ADDR_BYTES);
	return ADDR_BYTES + 4 * (int64_t)w;
}

static int64_t
many_extents(const struct object_head *h, struct raw_extent *ext, unsigned k,
    unsigned m, const uint8_t *in, size_t n)
{
	size_t fixed = ADDR_BYTES + LEN_BYTES, at = 0;
	uint64_t payload = 0;

	for (unsigned i = 0; i < h->nextents; i++) {
		const uint8_t *p = in + at;
		uint32_t bytes;
		unsigned w;

		if (n - at < fixed)
			return -EBADMSG;
		bytes = get_le16(p + ADDR_BYTES) | (uint32_t)p[ADDR_BYTES + 2]
						       << 16;
		if (bytes == 0 || bytes > RAW_EXTENT_MAX)
			return -EBADMSG;
		w = geom_width(k, m, bytes);
		if (n - at < fixed + 4 * (size_t)w)
			return -EBADMSG;
		if (ext)
			get_extent(&ext[i], get_addr(p), bytes, w, p + fixed);
		payload += bytes;
		at += fixed + 4 * (size_t)w;
	}
	return payload == h->payload ? (int64_t)at : -EBADMSG;
}

int64_t
raw_object_decode(struct raw_object *o, struct raw_extent *ext, unsigned maxext,
    unsigned k, unsigned m, const uint8_t *in, size_t n)
{
	struct object_head h;
	int64_t len;

	if (!object_head(&h, in, n))
		return -EBADMSG;
	*o = (struct raw_object){.size = h.size,
	    .seq = get_seq(in + 1),
	    .meta_code = in[0] & FLAG_META,
	    .meta_len = (uint16_t)h.meta_len,
	    .nextents = (uint16_t)h.nextents,
	    .ext = ext};
	if (ext && h.nextents > maxext)
		return -E2BIG;
	len = in[0] & FLAG_SINGLE
		  ? single_extent(&h, ext, k, m, in + h.bytes, n - h.bytes)
		  : many_extents(&h, ext, k, m, in + h.bytes, n - h.bytes);
	if (len < 0)
		return len;
	o->sum = crc32c(0, in, h.bytes + (size_t)len);
	return (int64_t)h.bytes + len;
}

int64_t
raw_object_length(unsigned k, unsigned m, const uint8_t *in, size_t n)
{
	struct object_head h;
	int64_t len;

	if (!object_head(&h, in, n))
		return -EBADMSG;
	len = in[0] & FLAG_SINGLE
		  ? single_extent(&h, NULL, k, m, in + h.bytes, n - h.bytes)
		  : many_extents(&h, NULL, k, m, in + h.bytes, n - h.bytes);
	return len < 0 ? len : (int64_t)h.bytes + len;
}
