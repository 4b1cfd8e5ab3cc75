/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_ADMIN_H
#define LAYOUT_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/cipher.h"
#include "codec/compress.h"
#include "layout/descriptor.h"

/*
 * What tools do with volumes, apart from reading and writing them.
 *
 * Functions run the store's loop until they are done.  Progress is called on
 * that loop, a few times a second and at the end; it may be NULL, as may be
 * its arg.
 */
struct err;
struct layout;
struct store;

/* total: 0 while it is not known. */
typedef void layout_progress(void *arg, uint64_t done, uint64_t total);

/* --- looking, without password and lease ----------------------------------- */
enum volume_kind {
	VOLUME_NONE,	  /* nothing says that there is one */
	VOLUME_DESCRIBED, /* has pail's descriptor */
	VOLUME_S3BACKER	  /* only block 0's headers */
};

struct volume_facts {
	enum volume_kind kind;
	uint64_t size;
	uint32_t block_size;
	bool hashed; /* names of blocks begin with a hash */
	enum compress_alg compress; /* S3BACKER: as block 0 is */
	char cipher[CIPHER_NAME_MAX]; /* "": not encrypted */
	unsigned key_length;	 /* 0: not known */
	char uuid[UUID_TEXT_LEN + 1]; /* "": has none */
	int64_t created_s;	 /* wall clock; 0: not known */
	/* The lease. */
	bool mounted;		 /* somebody has it */
	bool mounted_gone;	 /* who is provably gone */
	char mounted_by[400];	 /* "by pail on host ..." */
};

/* kind VOLUME_NONE is not an error. */
int layout_inspect(struct store *s, const char *prefix,
    struct volume_facts *f, struct err *e);

/*
 * All volumes whose prefix begins with under.  found is called for each, in
 * order of their prefixes.  A descriptor that cannot be read is told by broken
 * (or skipped, if that is NULL).  progress counts keys.
 *
 * The names of a volume's blocks are jumped over where they are numbers, so a
 * prefix of eight digits or more inside of those numbers is not seen.
 */
int layout_list_volumes(struct store *s, const char *under,
    void (*found)(void *arg, const char *prefix,
	const struct volume_facts *f),
    void (*broken)(void *arg, const char *prefix, const struct err *e),
    layout_progress *progress, void *arg, struct err *e);

/* --- the lease -------------------------------------------------------------- */
/* Remove it, whoever has it: only for one that is left over. */
int layout_unlock(struct store *s, const char *prefix, struct err *e);

/* --- erasing ----------------------------------------------------------------- */
/*
 * Delete a volume: all its blocks (also those beyond its end), its descriptor,
 * its lease, in this order; what is not ours stays.  Stopped half way it can
 * be done again.  -EBUSY if it is mounted, unless force; -ENOENT if there is
 * nothing.  progress counts blocks.
 */
int layout_erase_volume(struct store *s, const char *prefix, bool force,
    layout_progress *progress, void *arg, struct err *e);

/* --- of an open volume --------------------------------------------------------- */
/*
 * Change the size, a multiple of the block size.  l was opened for writing and
 * has no request in flight.  Shrinking erases what is beyond the new end
 * first; growing erases what an earlier larger volume has left there, so what
 * is new is zeros.  Stopped before the end the volume has its old size.
 * progress counts blocks that are erased.
 */
int layout_resize(struct layout *l, uint64_t size, layout_progress *progress,
    void *arg, struct err *e);

/*
 * Read and verify every block.  damaged is called for each that cannot be
 * read as it was written; the check goes on.  An error of the store (not of a
 * block) ends it.  inflight: reads at once, 0: 64.
 */
struct layout_check_result {
	uint64_t blocks;  /* that were read */
	uint64_t damaged;
	uint64_t beyond;  /* objects behind the end */
};
int layout_check(struct layout *l, unsigned inflight,
    void (*damaged)(void *arg, uint64_t block, const struct err *e),
    layout_progress *progress, void *arg, struct layout_check_result *result,
    struct err *e);

#endif
