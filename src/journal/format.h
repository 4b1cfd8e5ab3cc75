/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JOURNAL_FORMAT_H
#define JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The journal's bytes (docs/journal.md has the tables): the superblock, and
 * records.  Pure functions; any thread.
 */
#define JOURNAL_MAGIC "PAILJRNL" /* of the superblock, 8 bytes */
#define JOURNAL_PAGE 4096u
#define JOURNAL_DATA 65536u /* where segment 0 begins */
#define JOURNAL_SEG_MIN (256u << 10)
#define JOURNAL_SEG_MAX (64u << 20)
#define JOURNAL_NSEG_MIN 8u
#define JOURNAL_EPOCHS 16
#define JOURNAL_LEASES 8
#define JOURNAL_LEASE_LEN 32
#define JOURNAL_URL_MAX 1024
#define JOURNAL_HOST_MAX 128
#define JOURNAL_PAYLOAD_MAX (1u << 20) /* of a record */
#define JOURNAL_PIECE (64u << 10)     /* of a WRITE extent */
#define JOURNAL_EXTENTS 120	       /* of a record */

/* One run of a writer.  Its records have seq >= first_seq, and those of the
 * next epoch begin where that one says. */
struct journal_epoch {
	uint64_t number; /* counts up */
	uint64_t nonce;	 /* random */
	uint64_t first_seq;
	uint64_t first_seg;
};

enum journal_flags {
	JOURNAL_CLEAN = 1,     /* nothing in it is needed */
	JOURNAL_VOID = 2,      /* it failed, and was left: never apply it */
	JOURNAL_ENCRYPTED = 4
};

struct journal_super {
	unsigned copy;	 /* not stored: where the newest one is, 0 or 1 */
	uint64_t serial; /* of two copies the greater counts */
	uint8_t uuid[16];
	uint64_t bytes; /* of the file that are used */
	uint32_t seg_size;
	uint32_t nsegs;
	uint32_t flags;
	uint32_t block_size;
	uint64_t volume_size;
	uint64_t tail_seg; /* the first segment that is needed */
	uint64_t tail_seq; /* of its first record */
	uint64_t next_op;  /* of the first operation behind the tail */
	unsigned nepochs;
	unsigned nleases;
	uint8_t salt[32];
	uint8_t check[16]; /* tells whether a key is right */
	struct journal_epoch epoch[JOURNAL_EPOCHS];
	/* Whoever may have written to the volume since. */
	char lease[JOURNAL_LEASES][JOURNAL_LEASE_LEN + 1];
	char host[JOURNAL_HOST_MAX];
	char url[JOURNAL_URL_MAX];
};

/* page: JOURNAL_PAGE bytes. */
void journal_super_encode(const struct journal_super *s, uint8_t *page);
/* -EBADMSG: not a superblock, or damaged; -EPROTONOSUPPORT: of a version that
 * is not known; -EINVAL: it contradicts itself. */
int journal_super_decode(struct journal_super *s, const uint8_t *page);

enum journal_kind { JOURNAL_WRITE = 1, JOURNAL_ZERO = 2, JOURNAL_SETTLED = 3 };

struct journal_extent {
	uint64_t off; /* bytes of the volume; multiples of 512 */
	uint64_t len;
	uint64_t op;  /* its number; SETTLED: the newest that is meant */
	uint32_t crc; /* WRITE: of its bytes as they are stored */
	uint16_t kind;
	/* Not stored: where its bytes are in the payload. */
	uint32_t at;
};

enum journal_record_kind { JOURNAL_DATA_RECORD = 1, JOURNAL_SEAL = 2 };

struct journal_record {
	uint8_t uuid[16];
	uint64_t epoch, nonce;
	uint64_t seq;
	uint64_t flushed;  /* all records up to this one were flushed */
	uint32_t payload;  /* bytes behind the header, whole pages */
	uint16_t kind;
	uint16_t nextents;
	bool encrypted;
	uint8_t tag[16];
	struct journal_extent x[JOURNAL_EXTENTS];
};

void journal_record_encode(const struct journal_record *r, uint8_t *page);
/* -EBADMSG: no record, or its header is damaged.  A record that is returned is
 * consistent in itself: its extents fit into its payload, and lie below
 * 2^63.  Whether it is the one that is wanted is the caller's question. */
int journal_record_decode(struct journal_record *r, const uint8_t *page);
/* The bytes that an authentication code of r covers: n of them. */
size_t journal_record_aad(const struct journal_record *r, uint8_t *page);
/* Of the payload, without the zeros that fill its last page. */
uint32_t journal_record_bytes(const struct journal_record *r);
/* All bytes of r's payload are as they were written? */
bool journal_payload_ok(const struct journal_record *r, const uint8_t *payload);

#endif
