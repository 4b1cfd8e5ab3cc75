/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_FORMAT_H
#define RAW_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raw/geom.h"

/*
 * The bytes on a device: docs/raw.md.  Encoders and decoders, pure functions
 * of buffers.  Decoders take any bytes: they check every length and return
 * -EBADMSG (not what it should be) or -ENOTSUP (a newer format), with a
 * sentence, and never read outside what they are given.
 */
struct err;
struct strbuf;

#define RAW_KEY_MAX 1024
#define RAW_META_MAX 2048
#define RAW_NAME_MAX 63
#define RAW_MAX_EXTENTS 4096
#define RAW_ADDR_MAX (1ull << 40)
#define RAW_SEQ_MAX (1ull << 48)
#ifndef RAW_RECORD_MAX /* it is smaller where whole stores are fuzzed */
#define RAW_RECORD_MAX (4u << 20) /* bytes of a log record */
#endif
#define RAW_PAGE_MAX (64u << 10)  /* bytes of a leaf page of several entries */
#define RAW_LOG_START 256u	  /* sector where the log ring begins */
#define RAW_TAIL_SECTORS 256u	  /* at the end: superblocks B1 and A1 */

/* Objects are given as these: what the index and the log know of them. */
struct raw_extent {
	uint64_t addr;
	uint32_t bytes; /* of payload */
	uint8_t ncrc;	/* columns: follows from bytes and the profile */
	uint32_t crc[RAW_MAX_MEMBERS];
};

enum raw_meta_code { RAW_META_NONE, RAW_META_BLOCK, RAW_META_TAIL };

struct raw_object {
	uint64_t size;
	uint64_t seq;
	uint8_t meta_code;
	uint16_t meta_len; /* bytes at the end of the payload */
	uint16_t nextents;
	uint32_t sum; /* decoded: raw_object_sum */
	struct raw_extent *ext; /* by number; whose it is, the user says */
};

/* An extent that is not an object's: a leaf page, a root. */
struct raw_ref {
	struct raw_extent ext; /* bytes 0: there is none */
	uint64_t seq;
	uint32_t crc; /* of the payload, unseeded */
};

/* --- superblock -------------------------------------------------------- */
enum raw_copy { RAW_COPY_A0, RAW_COPY_B0, RAW_COPY_B1, RAW_COPY_A1 };
#define RAW_NCOPIES 4

enum raw_member_state {
	RAW_MEMBER_ONLINE = 1,
	RAW_MEMBER_MISSING,
	RAW_MEMBER_REBUILDING,
	RAW_MEMBER_FAULTED,
	RAW_MEMBER_OFFLINE
};

struct raw_member {
	uint8_t uuid[16];
	uint8_t state;
	uint64_t bytes;
	uint64_t whole_seq; /* has everything up to this commit */
	uint64_t left_epoch; /* not online: the last epoch that it may know */
};

#define RAW_FLAG_CLEAN 1u

/* compat: places that are not to be used may be listed. */
#define RAW_COMPAT_BAD 1u
#define RAW_BAD_MAX 60u

struct raw_bad { /* consecutive sectors of one member: of addr mod N */
	uint64_t addr; /* the data address of the first */
	uint16_t sectors;
};

struct raw_super {
	uint8_t copy, k, m, column;
	uint32_t flags;
	uint64_t compat, ro_compat, incompat;
	uint8_t pool_uuid[16];
	uint8_t member_uuid[16];
	uint64_t epoch, generation, created;
	uint64_t log_sectors, data_sectors, end;
	uint64_t root_seq, log_pos;
	uint32_t log_crc;
	uint64_t objects;
	struct raw_ref root;
	char name[RAW_NAME_MAX + 1];
	struct raw_member member[RAW_MAX_MEMBERS]; /* by column */
	uint64_t log_epoch; /* no record behind the root is of an older one */
	/* Of the rebuild: objects up to this key are done on all members that
	 * are rebuilt; what was done so far, for its progress. */
	char cursor[RAW_KEY_MAX + 1];
	uint64_t rebuilt_objects, rebuilt_bytes;
	struct raw_bad bad[RAW_BAD_MAX];
	uint8_t nbad;
};

/* Byte offset of a copy on a member whose used bytes are end. */
uint64_t raw_copy_offset(enum raw_copy copy, uint64_t end);
void raw_super_encode(const struct raw_super *s, uint8_t out[RAW_SECTOR]);
int raw_super_decode(
    struct raw_super *s, const uint8_t in[RAW_SECTOR], struct err *e);
/* It begins as a superblock does, whole or not. */
bool raw_super_looks_like(const uint8_t in[RAW_SECTOR]);

/* --- log record ---------------------------------------------------------- */
struct raw_record {
	uint8_t pool_uuid[16];
	uint64_t epoch, seq, pos, durable_seq;
	uint32_t sectors, bytes, prev_crc, nitems, crc;
};

#define RAW_RECORD_HEADER 80

enum raw_item_kind { RAW_ITEM_PUT = 1, RAW_ITEM_DELETE = 2 };

/* Append an item to a record under construction (o is NULL for DELETE). */
void raw_item_encode(
    struct strbuf *b, const char *key, const struct raw_object *o);
/* Bytes that raw_item_encode appends at most. */
size_t raw_item_bound(const char *key, const struct raw_object *o);
/*
 * Finish a record: out has RAW_RECORD_HEADER free bytes, then r->bytes -
 * RAW_RECORD_HEADER bytes of items, then zeros to r->sectors sectors.  Fills in
 * the header and sets r->crc.
 */
void raw_record_seal(struct raw_record *r, uint8_t *out);
/* The header alone, without its CRC being checked: how long is it? */
int raw_record_peek(struct raw_record *r, const uint8_t *in, size_t n);
/* A whole record of r->sectors sectors. */
int raw_record_decode(
    struct raw_record *r, const uint8_t *in, size_t n, struct err *e);

/* Items of a decoded record, one after the other. */
struct raw_item_reader {
	const uint8_t *at, *end;
	uint32_t left;
	unsigned k, m;
};
struct raw_item {
	enum raw_item_kind kind;
	char key[RAW_KEY_MAX + 1];
	struct raw_object object; /* ext: in the reader's caller's array */
};
void raw_item_reader_init(struct raw_item_reader *rd,
    const struct raw_record *r, const uint8_t *in, unsigned k, unsigned m);
/* 1: an item; 0: no more; -EBADMSG.  Extents go to ext (room for maxext). */
int raw_item_next(struct raw_item_reader *rd, struct raw_item *item,
    struct raw_extent *ext, unsigned maxext, struct err *e);

/* --- objects, in log items and leaf pages ------------------------------- */
/* Bytes of room that raw_object_encode needs at most. */
size_t raw_object_bound(const struct raw_object *o);
/* Returns bytes written. */
size_t raw_object_encode(const struct raw_object *o, uint8_t *out);
/* Of all of these bytes: where it lies and its data's CRCs.  A commit that was lost
 * has its seq used again; objects that have both, seq and sum, are the same. */
uint32_t raw_object_sum(const struct raw_object *o);
/* Bytes read, or -EBADMSG; -E2BIG: maxext is less than o->nextents.  With ext
 * NULL the extents are only checked. */
int64_t raw_object_decode(struct raw_object *o, struct raw_extent *ext,
    unsigned maxext, unsigned k, unsigned m, const uint8_t *in, size_t n);
/* The same check, for who only wants to know where the object ends. */
int64_t raw_object_length(
    unsigned k, unsigned m, const uint8_t *in, size_t n);

#define RAW_VARINT_MAX 10
size_t raw_varint_encode(uint64_t v, uint8_t *out);

/* Bytes read, 0 if it is damaged or does not end. */
static inline size_t
raw_varint_decode(uint64_t *v, const uint8_t *in, size_t n)
{
	uint64_t got = 0;

	for (size_t i = 0; i < n && i < 9; i++) {
		got |= (uint64_t)(in[i] & 0x7f) << (7 * i);
		if (!(in[i] & 0x80)) {
			*v = got;
			return i + 1;
		}
	}
	*v = 0;
	return 0;
}

/* --- the 160 bytes of an extent reference -------------------------------- */
#define RAW_REF_BYTES 160
void raw_ref_encode(const struct raw_ref *r, uint8_t out[RAW_REF_BYTES]);
int raw_ref_decode(struct raw_ref *r, const uint8_t in[RAW_REF_BYTES],
    unsigned k, unsigned m);

/* --- a part of the root --------------------------------------------------- */
#define RAW_ROOT_MAGIC 0x544f5250u /* "PROT" */
#define RAW_ROOT_HEADER (8 + RAW_REF_BYTES)

struct raw_root_reader {
	const uint8_t *in;
	size_t n, at;
	uint32_t left;
	unsigned k, m;
};
/* in is borrowed until the last page was read.  *next: the part behind this one
 * (ext.bytes 0: none).  -EBADMSG. */
int raw_root_begin(struct raw_root_reader *rd, const uint8_t *in, size_t n,
    unsigned k, unsigned m, struct raw_ref *next, struct err *e);
/* 1: a page; 0: no more; -EBADMSG. */
int raw_root_next(
    struct raw_root_reader *rd, struct raw_ref *ref, struct err *e);

#endif
