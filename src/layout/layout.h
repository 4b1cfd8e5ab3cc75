/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_LAYOUT_H
#define LAYOUT_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"
#include "store/store.h"

/*
 * A layout turns numbered blocks into objects and back: names, headers,
 * encoding, which blocks exist, the volume's descriptor, and the lease.
 *
 * layout.h is the seam: the cache above knows blocks only, the store below
 * objects only.  s3backer's layout (layout/s3b*.c) is the first behind it.
 *
 *  Y1. A block reads as what was last written to it, as zeros if it was never
 *      written or was erased, or fails with the block's number in the
 *      sentence; never other bytes.
 *  Y2. A write of zeros leaves no object.
 *  Y3. An absent block costs no request to read or to erase.
 *  Y4. Nothing is written before the password is known to be right and the
 *      lease is held (a volume that does not exist yet is created just before
 *      its lease is taken).
 *  Y5. Of many who create a volume at one place at once exactly one succeeds,
 *      where the store can put only if absent; and a creation happens whole or
 *      not at all.
 *  (Y6 to Y8, the lease: lease.h.)
 *
 * Y2 has one exception: a volume without descriptor keeps its size in the
 * headers of block 0, so there a block 0 of zeros is an object.
 *
 * The caller never has two WRITE or ERASE of one block in flight (store.h W5),
 * nor a READ beside a WRITE of the same block.
 */
struct buf;
struct layout;
struct layout_req;
struct lease_owner;
struct stat_set;
struct work_pool;

enum layout_op {
	LAYOUT_READ,  /* [off, off+len) of one block */
	LAYOUT_WRITE, /* one whole block */
	LAYOUT_ERASE, /* nblocks blocks from block on: they read as zeros */
	LAYOUT_SYNC   /* what has completed before is made durable */
};

struct layout_req {
	/* By the caller; borrowed until done. */
	enum layout_op op;
	enum store_prio prio;
	uint64_t block;
	uint64_t nblocks;  /* ERASE */
	uint32_t off, len; /* READ: multiples of 512 */
	/* READ: destination; len bytes go to data->data + data_off.
	 * WRITE: block_size bytes at data->data, read-only. */
	struct buf *data;
	uint32_t data_off;
	void (*done)(struct layout_req *r); /* once, never inside submit */
	void *arg;

	/* The answer: as store.h, and -EBADMSG for a block that is damaged,
	 * is not encrypted though the volume is, ...; -EROFS. */
	int rc;
	struct err err;
	bool was_zero;		 /* READ: absent, or nothing but zeros */
	char tag[STORE_TAG_MAX]; /* READ, WRITE: of the object; "" if absent */

	/* private */
	struct layout *layout;
	struct loop_task task;
	void *priv;
};

struct layout_info {
	uint64_t size; /* bytes: nblocks * block_size */
	uint64_t nblocks;
	uint32_t block_size;
	bool read_only;
	bool part_reads; /* reading a part of a block moves less bytes */
};

enum present { PRESENT_UNKNOWN, PRESENT_NO, PRESENT_YES };

const struct layout_info *layout_info(const struct layout *l);
void layout_submit(struct layout *l, struct layout_req *r);
void layout_cancel(struct layout_req *r);
enum present layout_present(const struct layout *l, uint64_t block);
/* The first block >= from that is (may be) present, or the first that is
 * certainly absent; nblocks if there is none.  For SEEK_DATA, SEEK_HOLE. */
uint64_t layout_next_present(const struct layout *l, uint64_t from);
uint64_t layout_next_absent(const struct layout *l, uint64_t from);
/* Blocks that have an object, as far as is known. */
uint64_t layout_count_present(const struct layout *l);
bool layout_survey_done(const struct layout *l);

/*
 * Opening.  These run the loop until they are done (they are for start and end
 * of a mount, and for tools).
 */
enum layout_lease {
	LEASE_NONE,    /* look at nothing, write nothing (info, list) */
	LEASE_READER,  /* refuse while somebody writes; write nothing */
	/* From here on: to write. */
	LEASE_WRITER,  /* take it; refuse while another has it */
	LEASE_FORCE,   /* take it from whoever has it */
	LEASE_RESUME   /* the owner's id has it already; lease.h Y9 */
};

/* Who a volume is, for those who keep something beside it. */
#define LAYOUT_SECRET 32
struct layout_identity {
	bool has_uuid; /* a volume without descriptor has none */
	uint8_t uuid[16];
	uint64_t size;
	uint32_t block_size;
	bool encrypted;
	uint8_t secret[LAYOUT_SECRET]; /* encrypted: only who has the password
					* can make it */
	/* The lease that is there, of a mount on this machine that is gone, and
	 * where its journal was; "" if there is none, or it had none. */
	const char *prior_lease, *prior_journal;
};

struct layout_params {
	uint64_t size;	     /* 0: as the volume says */
	uint32_t block_size; /* 0: as the volume says; at creation 128 KiB */
	const char *compress; /* NULL: as the volume says; none deflate zstd */
	int compress_level;   /* INT_MIN: the algorithm's own */
	const char *cipher;   /* NULL: as the volume says; OpenSSL's name */
	const char *password; /* borrowed during open only */
	unsigned key_length;  /* bytes; 0: the cipher's own */
	const char *default_encoding; /* where servers drop the header */
	int hash_prefix; /* -1: find out; 0 no; 1 yes */
	bool create;	 /* make the volume if there is none (needs size) */
	bool must_create; /* refuse if there is one */
	bool force;	 /* size and block size given here win */
	bool plain_s3backer; /* write no descriptor object */
	/* compress wins over what the volume says, in blocks written from now
	 * on; else it must agree with the descriptor. */
	bool recompress;
	bool survey;	 /* list the objects, in the background, from open on */
	enum layout_lease lease;
	const struct lease_owner *owner; /* NULL: this process (tests) */
	/* Called, if set, when it is known which volume it is, before the
	 * lease is asked for; the lease will have the id `lease` (NULL: none is
	 * taken).  May run the loop.  An error ends the opening.  May be called
	 * again, when the volume has changed meanwhile. */
	int (*found)(void *arg, const struct layout_identity *id,
	    const char *lease, struct err *e);
	void *found_arg;
	/* LEASE_JOURNAL_MAX bytes, or NULL: found says there where the journal
	 * is, for the lease. */
	char *journal;
	/* Called, if set, when the lease is held (alone: nobody else changes
	 * the volume), or none will be; before any block is asked for or
	 * listed from then on.  May run the loop. */
	void (*held)(void *arg, bool alone);
	void *held_arg;
};

void layout_params_init(struct layout_params *p);

/*
 * s: the store stack, borrowed: it outlives the layout.  prefix: of every key.
 * salt_bucket: the bucket's name, which goes into s3backer's key derivation.
 */
int layout_open(struct store *s, const char *prefix, const char *salt_bucket,
    const struct layout_params *p, struct work_pool *pool,
    struct stat_set *stats, struct layout **out, struct err *e);

/* Wait for the survey of open (a tool that needs to know every block). */
int layout_survey_wait(struct layout *l,
    void (*progress)(void *arg, uint64_t keys), void *arg, struct err *e);

/* The id of the lease that ours was taken over from: somebody who died, or who
 * was forced, or of ours itself if it went on.  "" if there was none. */
const char *layout_prior_lease(const struct layout *l);

/* Give up the lease (if everything is written: the caller knows) and free.
 * An error of giving it up is reported, and l is freed all the same. */
int layout_close(struct layout *l, bool release_lease, struct err *e);

#endif
