/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "journal/format.h"

/*
 * The journal: a local log that makes writes durable before the store has
 * them.  Its promises (J) and its format are in docs/journal.md.
 *
 * Operations (a write of a part of a block, a zeroing of a range) are numbered
 * by the user, without gaps, from journal_next_op on.  The user says which of
 * them are still needed (journal_ref, journal_unref), and gives the rest back
 * (journal_trim).  Everything runs on the device's loop.
 */
struct journal;
struct loop;
struct rdev;

struct journal_id { /* borrowed during the call */
	uint8_t uuid[16];
	uint64_t volume_size;
	uint32_t block_size;
	bool encrypted;
	uint8_t secret[32]; /* if encrypted */
	const char *url;    /* for people; no password in it */
	const char *host;   /* likewise */
};

/* --- what is in a journal ---------------------------------------------------- */

enum journal_verdict {
	JOURNAL_EMPTY,	 /* nothing is needed */
	JOURNAL_WHOLE,	 /* it ends where writing ended */
	JOURNAL_DAMAGED	 /* records that were flushed are unreadable */
};

struct journal_found {
	struct journal_super super;
	enum journal_verdict verdict;
	uint64_t records, ops;
	uint64_t bytes;	     /* of ops that the store may not have */
	uint64_t bytes_used; /* of the file, between tail and end */
	char what[200];	     /* DAMAGED: where, and how it is known */
};

/* Look, and change nothing.  -ENOENT: no journal there (all zeros); -EBADMSG,
 * -EPROTONOSUPPORT, -EINVAL as journal_super_decode. */
int journal_look(struct rdev *d, struct journal_found *f, struct err *e);
/* Only whose it is: reads two pages. */
int journal_look_super(struct rdev *d, struct journal_super *s, struct err *e);
const char *journal_verdict_name(enum journal_verdict v);

/*
 * Make an empty journal of all of d.  -EEXIST: there is one that is not
 * empty; -ENOSPC: d is too small for this block size.
 */
int journal_format(struct rdev *d, const struct journal_id *id, struct err *e);
/* Bytes that a journal needs at least. */
uint64_t journal_min_bytes(uint32_t block_size);

/* Forget what is in it; force: even where it cannot be read. */
int journal_discard(struct rdev *d, struct err *e);

/* --- opening ------------------------------------------------------------------ */

/*
 * Open: takes d when it succeeds.  Finds everything that is needed and judges
 * it; nothing is written.  What is known to have been flushed is not verified
 * here, but when it is read (journal_read).  -EBADMSG: damaged (salvage: what comes before the
 * damage counts as all there is); -ESTALE: of another volume, or of another
 * size; -EKEYREJECTED: another key.
 */
int journal_open(struct rdev *d, const struct journal_id *id, bool salvage,
    struct journal **out, struct err *e);
/* What was found by open. */
const struct journal_found *journal_found(const struct journal *j);
/* A mount by this lease is about to begin: noted durably, so that it may be
 * the one that is found if it dies before journal_start. */
int journal_announce(struct journal *j, const char *lease, struct err *e);
/* Is the lease that was in the store one of those that were announced? */
bool journal_knows_lease(const struct journal *j, const char *lease);
/* A new epoch: durable when it returns 0.  From now on only `lease` is known.
 * Before the first append. */
int journal_start(struct journal *j, const char *lease, struct err *e);
/* A new epoch has no place: journal_apply, have all of it in the store, then
 * journal_reset; then journal_start. */
bool journal_needs_reset(const struct journal *j);
/* Nothing in it is needed any more.  Not while started. */
int journal_reset(struct journal *j, struct err *e);
/* Call apply for each operation that the store may not have, in order; data:
 * it wrote bytes, which journal_read gives; else zeros.  An error of apply ends
 * it; until it has ended with 0 nothing is given back. */
typedef int journal_apply_fn(void *arg, uint64_t op, uint64_t off,
    uint64_t len, bool data, struct err *e);
int journal_apply(
    struct journal *j, journal_apply_fn *apply, void *arg, struct err *e);

/* Wait for what is in flight, and free.  clean: nothing in it is needed any
 * more, which is written first (its error is returned). */
int journal_close(struct journal *j, bool clean, struct err *e);

/* --- writing --------------------------------------------------------------------- */

struct journal_user {
	/* Room may have come, after journal_has_room said no. */
	void (*room)(void *arg);
	/* It has failed; or whether it could be marked void is known now. */
	void (*failed)(void *arg);
	void *arg;
};
void journal_set_user(struct journal *j, const struct journal_user *u);

uint64_t journal_next_op(const struct journal *j);
/* Operations of so many bytes of data can be appended now.  When it says no,
 * room() is called later. */
bool journal_has_room(struct journal *j, uint64_t bytes);
/* How many operations journal_append makes of it. */
uint64_t journal_count_ops(uint64_t len, bool data);
/* After journal_has_room.  off, len: multiples of 512.  data: copied; NULL:
 * zeros.  op: the first number of journal_count_ops. */
void journal_append(struct journal *j, uint64_t op, uint64_t off, uint64_t len,
    const void *data);
/* Operations below this one have been written.  Without a flush that does not
 * survive a loss of power; but it does survive this process. */
uint64_t journal_written_op(const struct journal *j);
/* The store has all operations on this block up to op: may be lost. */
void journal_settled(struct journal *j, uint64_t off, uint64_t op);

struct journal_wait {
	/* Once, never inside the call: 0, or the journal's failure. */
	void (*done)(struct journal_wait *w, int rc);
	struct list link; /* private */
	uint64_t seq;
};
/* Everything that was appended is made durable. */
void journal_flush(struct journal *j, struct journal_wait *w);

/* --- reading back -------------------------------------------------------------- */

/* All operations up to this one are durable in the journal. */
uint64_t journal_flushed_op(const struct journal *j);

/* A part of what operation op wrote: len bytes at `off` of the volume. */
struct journal_piece {
	uint64_t op, off;
	uint32_t len;
	uint8_t *to;
};
struct journal_read {
	/* By the caller; borrowed until done. */
	struct journal_piece *piece;
	size_t n;
	bool urgent; /* somebody waits: before those that are not */
	void (*done)(struct journal_read *r); /* once, never inside the call */
	/* The answer.  -EBADMSG: what is there is not what was written. */
	int rc;
	struct err err;

	/* private */
	struct journal *j;
	struct list link;
	size_t next; /* piece */
	uint8_t *mem;
	size_t cap;
};
/*
 * Read back operations that are durable and still needed (a reference on them,
 * or on one before them, is held until done).  Works after a failure, too.  Each
 * byte is verified.  Encrypted records are read as a whole.
 */
void journal_read(struct journal *j, struct journal_read *r);

/* --- space ------------------------------------------------------------------------- */

/* Operation op is needed by one more, one less. */
void journal_ref(struct journal *j, uint64_t op);
void journal_unref(struct journal *j, uint64_t op);
/* The segment up to which nothing is needed, if no operation from min_op on is
 * (UINT64_MAX: only those with references); 0: nothing would come free. */
uint64_t journal_trimmable(const struct journal *j, uint64_t min_op);
/* That is durable in the store: give it back. */
void journal_trim(struct journal *j, uint64_t segment);
/* Operations up to this one should leave soon; 0: there is no hurry. */
uint64_t journal_pressing(const struct journal *j);

struct journal_status {
	uint64_t bytes, used; /* of the segments */
	uint64_t records, flushes, written; /* since it was opened; bytes */
	bool failed, is_void;
	const char *path;
};
void journal_get_status(const struct journal *j, struct journal_status *s);
double journal_fill(const struct journal *j); /* 0 to 1 */
bool journal_has_failed(const struct journal *j);
/*
 * One that has failed is marked as not to be applied: when all that was appended
 * is durable elsewhere, and before anything that went around the journal is
 * acknowledged.  May be called again.
 */
void journal_void(struct journal *j);
/* Does a failed one say itself that it must not be applied?  -EINPROGRESS: not
 * known yet; 0 it does; else why it cannot be marked. */
int journal_void_state(const struct journal *j);
const struct err *journal_error(const struct journal *j);

#endif
