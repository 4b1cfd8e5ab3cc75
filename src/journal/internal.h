/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JOURNAL_INTERNAL_H
#define JOURNAL_INTERNAL_H

#include "base/err.h"
#include "journal/journal.h"
#include "journal/seal.h"
#include "loop/loop.h"
#include "raw/rdev.h"

/*
 * What the files of src/journal share.
 *
 *	journal.c  opening, epochs, closing
 *	look.c	   superblocks, formatting, discarding
 *	segread.c  segments on their way to memory
 *	scan.c	   reading records in order, and the verdict
 *	append.c   records, group commit
 *	reread.c   reading back while it is in use
 *	space.c	   segments, references, the superblock's way to the disk,
 *		   failure
 */
#define JOURNAL_WINDOW (16u << 20)  /* unflushed bytes that start a flush */
#define JOURNAL_EVIDENCE (256u << 20) /* how far damage is looked for */
#define JOURNAL_LINGER_NS (50 * 1000000ll)
#define JOURNAL_AGE_NS (5000 * 1000000ll) /* unflushed for so long: the same */

struct seg {
	uint64_t first_op; /* or what came next when it was begun */
	uint64_t first_seq;
	uint64_t refs;
	uint32_t nplaces; /* records in it, in order */
};

/* Where a record of a segment is, and its first operation. */
struct place {
	uint32_t op;   /* counted from the segment's first_op */
	uint32_t page; /* of the segment */
};

struct rec { /* a record on its way */
	struct rdev_req req;
	struct iovec iov;
	struct journal *j;
	struct list link; /* of j->inflight or j->free */
	struct journal_record r;
	uint64_t at;  /* in the file */
	uint32_t cap; /* payload at most */
	uint32_t len; /* payload so far, without the padding */
	uint64_t end_op; /* behind its last operation; 0: there is none */
	bool written;
	bool durable; /* its write is a flush, too */
	uint8_t *mem; /* a page, and JOURNAL_PAYLOAD_MAX */
};

enum super_step { SUPER_IDLE, SUPER_FIRST, SUPER_FLUSH, SUPER_SECOND,
	SUPER_FLUSH_SECOND };

/* For each block that has a SETTLED: the newest operation that it means. */
struct settled {
	uint64_t block, op;
};
struct settled_set {
	struct settled *v;
	size_t n, cap;
};

struct noted { /* an extent that is no SETTLED */
	uint64_t off, len, op;
	bool data;
};
struct noted_set {
	struct noted *v;
	size_t n, cap;
};

struct journal {
	struct rdev *dev;
	struct loop *loop;
	struct journal_user user;
	bool encrypted;
	uint8_t secret[SEAL_SECRET];
	struct journal_found found;
	/* What is to be applied, until journal_apply is over. */
	struct settled_set settled;
	struct noted_set noted;
	bool started;
	bool applying; /* what is old is not counted yet */

	/* The superblock as it is on the disk, or soon will be. */
	struct journal_super super;
	enum super_step super_step;
	uint64_t durable_tail; /* segments before it may be overwritten */
	uint64_t want_tail;
	struct rdev_req super_req;
	struct iovec super_iov;
	uint8_t *super_page;

	/* Segments: numbers tail to head; seg[] by number % nsegs. */
	struct seg *seg;
	bool open_seg; /* head is being written */
	uint64_t head;
	uint32_t head_at; /* bytes of it that are used */
	uint64_t next_op, next_seq;

	/* Records. */
	struct seal *seal;
	struct rec *open; /* being filled; NULL: none */
	struct list inflight; /* in order of seq */
	struct list free;
	unsigned nfree, nall, max;
	unsigned nflying; /* writes in flight */
	bool direct; /* one of them is durable when it is done */
	uint64_t written_seq; /* all up to it are written */
	uint64_t written_op;  /* and all operations below this one */
	struct loop_timer linger;
	bool starved; /* has_room said no */

	/* Reading back.  The i'th record of segment n is described by
	 * places[n % nsegs * places_max + i]. */
	struct place *places;
	uint32_t places_max; /* of a segment */
	struct list rereads; /* that wait */
	unsigned nrereading;
	struct loop_task reread_task;

	/* Flushes. */
	struct list waits;
	struct rdev_req flush_req;
	bool flushing;
	uint64_t flushing_seq, flushed_seq;
	uint64_t unflushed; /* bytes written since the last flush began */
	struct loop_timer age; /* of what is written and not flushed */
	bool aged;
	struct loop_task wake;
	struct list woken; /* waits that are over */

	/* Failure. */
	bool failed;
	bool voiding; /* being marked */
	int void_rc;
	unsigned void_tries;
	struct loop_timer void_timer;
	struct err err;
	unsigned nreq; /* requests in flight */
	struct loop_task failed_task;

	uint64_t nrecords, nflushes, nbytes;
};

/* look.c */
int super_read(struct rdev *d, struct journal_super *s, struct err *e);
int super_write_wait(struct rdev *d, struct journal_super *s, struct err *e);
static inline uint64_t
seg_at(const struct journal_super *s, uint64_t number)
{
	return JOURNAL_DATA + number % s->nsegs * s->seg_size;
}

/* scan.c */
struct scan_place { /* of a record */
	uint64_t seg, seq;
	uint32_t byte; /* of the segment */
};
struct scan {
	struct rdev *dev;
	const struct journal_super *super;
	const uint8_t *secret; /* NULL: what is encrypted is not opened */
	bool whole; /* verify all bytes, not only those that may be torn */
	/* Called for each record that counts, in order. */
	int (*record)(struct scan *sc, const struct journal_record *r,
	    const struct scan_place *at, struct err *e);
	/* Called before the first record of each segment. */
	void (*segment)(struct scan *sc, const struct scan_place *at);
	void *arg;
	/* Results: where it ended. */
	struct scan_place end;
	uint64_t records;
	bool damaged;
	char what[200];
};
int scan_run(struct scan *sc, struct err *e);

/* settled.c */
int settled_add(struct settled_set *s, uint64_t block, uint64_t op);
void settled_sort(struct settled_set *s);
void settled_fini(struct settled_set *s);
/* Index of the first entry with a block >= block. */
size_t settled_from(const struct settled_set *s, uint64_t block);

/* append.c */
int append_open(struct journal *j, struct err *e);
void append_fini(struct journal *j);
void append_submit(struct journal *j); /* the open record goes out */
void flush_kick(struct journal *j);
void flush_fail_all(struct journal *j);

/* reread.c */
int reread_open(struct journal *j, struct err *e);
void reread_fini(struct journal *j);
/* A record begins at this byte of segment `number`; op: the first that may be
 * in it. */
void reread_note(struct journal *j, uint64_t number, uint32_t at, uint64_t op);

/* space.c */
bool space_next(struct journal *j); /* begin the next segment; false: none */
uint64_t space_left(const struct journal *j);
void space_room(struct journal *j);
void super_kick(struct journal *j);
void space_void_fire(struct loop_timer *t);
struct seg *space_seg(const struct journal *j, uint64_t number);
/* The number of the segment that has op. */
uint64_t space_find(const struct journal *j, uint64_t op);
void journal_fail(struct journal *j, int rc, const char *what);

#endif
