/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_LEDGER_H
#define FRONT_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The ledger: what was acknowledged and is not yet flushed, in memory that
 * outlives the process.
 *
 * A process that is killed takes its cache with it; a file system above that
 * sees no error believes that its disk has what it wrote.  So before a write is
 * acknowledged it is copied here, a ring that the holder keeps, and it stays
 * until a flush that began later has succeeded.  The successor of a process
 * that crashed writes all of it again, in the order in which it was
 * acknowledged, before it serves.
 *
 * Docs/restart.md has the promises and the bytes.  Everything runs on the loop
 * of the front; nothing blocks or allocates but opening.
 */
struct err;
struct kept;
struct ledger;

/* In the kept page: may another process go on after a crash? */
enum ledger_state {
	LEDGER_NONE,  /* no: nothing is kept */
	LEDGER_WHOLE, /* yes: all that is not flushed is in the ledger */
	LEDGER_GAP    /* no: something was acknowledged that is not in it */
};

/* The state, and where the records are; in the kept page. */
struct ledger_place {
	enum ledger_state state;
	uint64_t size;	     /* of the ring: a multiple of LEDGER_ALIGN */
	uint64_t head, tail; /* bytes since the beginning of time */
};
#define LEDGER_ALIGN 32
#define LEDGER_HEADER 32

enum ledger_kind { LEDGER_DATA = 1, LEDGER_ZERO, LEDGER_PAD };
struct ledger_rec {
	enum ledger_kind kind;
	uint64_t off, len;
	const uint8_t *data; /* DATA: in the ring */
	uint64_t next;	     /* where the record after it is */
};

/*
 * Pure: the record at `at`, which is between tail and head.  1, 0: at is head,
 * -EBADMSG: no record.  Never looks beyond the ring of p->size bytes.
 */
int ledger_decode(const uint8_t *ring, const struct ledger_place *p,
    uint64_t at, struct ledger_rec *r);

/* Map the ring that k's memory has behind its page, whatever it contains.  *out
 * is NULL, and 0 the answer, if it has none. */
int ledger_open(struct kept *k, struct ledger **out, struct err *e);
void ledger_free(struct ledger *l); /* the ring stays; accepts NULL */

/* Begin (again) with nothing in it, as what is not flushed.  For a mount that
 * cannot write or has no ring (l is NULL): k says that it is whole. */
void ledger_start(struct kept *k, struct ledger *l);

/* Note a write (data) or zeroing that is about to be acknowledged.  False: there
 * is no room before a flush. */
bool ledger_add(struct ledger *l, uint64_t off, uint64_t len,
    const void *data);
/* Half of it is full: time for a flush. */
bool ledger_wants_flush(const struct ledger *l);
uint64_t ledger_used(const struct ledger *l);
uint64_t ledger_head(const struct ledger *l);

/* A flush begins, and has succeeded: what was noted before it began can go. */
uint64_t ledger_mark(struct ledger *l);
void ledger_flushed(struct ledger *l, uint64_t mark);

/* What was noted up to here outlives the process without the ledger. */
void ledger_release(struct ledger *l, uint64_t pos);

/* Nothing was noted for a while: give memory back.  True: it did. */
bool ledger_trim(struct ledger *l);

/*
 * Do without from now on: a crash will be the end.  Until a flush that begins
 * later succeeds; from its beginning on everything is noted again.
 */
void ledger_give_up(struct ledger *l);
bool ledger_has_gap(const struct ledger *l);
/* Is a journal in use?  If not, all that a flush covered is in the store
 * (kept_set_journal). */
void ledger_set_journal(struct ledger *l, bool used);

/* In the order in which they were noted; an error of fn ends it.  -EBADMSG: the
 * ring is damaged. */
typedef int ledger_fn(void *arg, const struct ledger_rec *r, struct err *e);
int ledger_replay(
    const struct ledger *l, ledger_fn *fn, void *arg, struct err *e);

#endif
