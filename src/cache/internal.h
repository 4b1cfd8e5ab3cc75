/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include "base/stat.h"
#include "cache/arena.h"
#include "cache/bits.h"
#include "cache/cache.h"
#include "cache/ranges.h"
#include "layout/layout.h"

/*
 * What the files of src/cache share.  The states, their transitions and the
 * invariants (M, E, F) are in docs/cache.md; each file exports its prefix:
 *
 *   entry_    entries by block number, and their life
 *   evict_    room for new data: replacement
 *   fetch_    reads of the layout, and their merging
 *   read_     READ
 *   write_    WRITE and ZERO, and the queue of writers that wait
 *   pace_     how fast writers may go
 *   wb_       write-back: the states of dirty entries, uploads
 *   due_      which of them is uploaded when
 *   erase_    zeroed blocks on their way to the store
 *   barrier_  DRAIN, and FLUSH without a journal
 *   jnl_      the journal
 *   spill_    dirty data that is in the journal only
 *   ahead_    streams and read-ahead
 */
enum wb_state {
	WB_CLEAN,
	WB_DIRTY,
	WB_BLOCKED,
	WB_FILLING,
	WB_SENDING,
	WB_FAILED
};

enum queue {
	Q_NONE,
	Q_SMALL, /* new */
	Q_MAIN,	 /* used again */
	Q_AHEAD, /* read ahead, not used yet */
	NQUEUE
};

struct upload;

struct run { /* sectors that an operation of the journal wrote */
	uint64_t op;
	uint32_t from;
	uint32_t n : 31, zero : 1;
};

struct entry {
	uint64_t block;
	struct slot *slot; /* NULL: what is valid is zeros */
	uint32_t hnext;	   /* next of the hash chain, or of the free list */
	uint8_t state;	   /* enum wb_state */
	uint8_t home;	   /* enum queue: where it is, or will return to */
	uint8_t freq;	   /* uses since it was last looked at, at most 3 */
	uint8_t nmiss;	   /* misses inside this block, saturating */
	bool live;
	bool full;	   /* every sector is valid */
	uint8_t hold;	   /* being worked on, so often: not idle */
	bool failing;	   /* the last try of its upload failed */
	bool fresh;	   /* dirty, and absent from the store */
	uint32_t last_end; /* where the last read of it ended */
	uint32_t qpages;   /* what the queue counts for it */
	/* spill.c: dirty data that may leave memory. */
	bool blank;	   /* what is not dirty is zeros, though the store may
			    * have something else */
	bool stuck;	   /* not all of its runs are known */
	bool filled;	   /* read back for its upload, which is next */
	bool lost;	   /* it could not be read back */
	uint32_t nruns, runs_cap;
	uint32_t nspilled; /* pages with dirty sectors, none of them here */
	struct run *runs;  /* oldest first */
	uint64_t last_op;  /* the newest that wrote to it */
	struct list slink; /* on c->written or c->reread */

	uint32_t ndirty;   /* pages with dirty sectors */
	uint32_t nfetch;   /* in flight */
	unsigned ntries;   /* failed uploads in a row */
	uint64_t seq;	   /* lowest number of a write that is dirty */
	int64_t since_ns;  /* when it became dirty */
	int64_t sent_ns;   /* when its last upload began; 0: none */
	int64_t retry_ns;  /* FAILED: when to try again */
	int64_t failing_ns; /* failing: since when */
	struct list qlink; /* on a replacement queue while idle */
	struct list wlink; /* on the list of its state */
	struct list fetches;
	struct list waiters; /* cache_req.link */
	struct upload *up;   /* SENDING */
	uint64_t bits[];     /* valid, then dirty: c->nwords each */
};

struct fetch {
	struct layout_req lr;
	struct cache *c;
	struct entry *e;
	struct slot *slot;
	struct list link; /* of e->fetches */
	struct list all;  /* of c->fetches */
	uint32_t from, to; /* sectors */
	bool fill;	  /* for an upload */
	bool ahead;	  /* nobody waited when it began */
	bool canceled;
	int64_t start_ns;
	unsigned ntries;
	struct loop_timer retry;
	/* What of it is in the journal only; piece: owned. */
	bool mixed;	   /* some is */
	bool store;	   /* some has to come from the store */
	bool asking_store; /* lr is in flight */
	struct journal_read back;
	struct loop_task task;
	struct fetch *next_free;
};

struct upload {
	struct layout_req lr;
	struct cache *c;
	struct entry *e;
	struct slot *slot; /* the snapshot; NULL: zeros, an erase */
	uint64_t seq;
	uint64_t upto; /* it has all operations up to this one */
	int64_t since_ns;
	uint32_t npages; /* that were dirty */
	struct upload *next_free;
	uint64_t *sent; /* the dirty bits that it carries */
};

#define ERASES_MAX 8
#define ERASE_BLOCKS 4096
struct erase {
	struct layout_req lr;
	struct cache *c;
	bool busy;	 /* r is being erased */
	bool sent;	 /* a request is in flight; else it waits to be retried */
	unsigned ntries;
	int64_t failing_ns;
	int64_t retry_ns;
	struct range r;
};

#define NSTREAM 16
struct stream {
	uint64_t id;	/* of the reader */
	uint64_t next;	/* the block it will read if it goes on */
	uint64_t upto;	/* read-ahead was sent for all before this */
	uint64_t window; /* blocks; 0: not in order (yet) */
	uint64_t grow_at; /* the window may grow again from this block on */
	uint32_t span;	/* blocks of the reader's last request */
	uint64_t used;	/* for replacement; 0: free */
};

#define JNL_SETTLED_MAX 1024
struct jnl_settled {
	uint64_t block, op;
};

struct ghost {
	uint64_t block;
	uint64_t when; /* count of evictions */
};

struct cache {
	/* configuration */
	struct layout *layout;
	struct layout_info info;
	struct cache_params params;
	struct loop *loop;
	struct stat_set *stats; /* borrowed */
	uint32_t nsectors, nwords, npages; /* of a block */
	uint64_t room_pages;		   /* params.size in pages */
	/* Pages: from high on everything dirty is due, from slow on writers
	 * are slowed down, more than max is not admitted. */
	uint64_t dirty_high, dirty_slow, dirty_max;

	/* entry.c */
	struct arena arena;
	uint8_t *entries;
	uint32_t entry_stride, entries_max, entries_ever, entries_live;
	uint32_t entries_spare; /* only for urgent ones */
	uint32_t entry_free; /* index + 1 */
	uint32_t *heads;     /* index + 1 */
	uint32_t heads_mask;

	/* evict.c */
	struct list q[NQUEUE];
	uint64_t qpages[NQUEUE];
	struct ghost *ghosts;
	uint32_t ghosts_mask;
	uint64_t nevicted;

	/* fetch.c */
	struct list fetches;
	unsigned nfetches;
	struct fetch *fetch_free;
	const struct fetch *fetch_failed; /* while its waiters are woken */

	/* writeback.c */
	struct list dirty, ready, blocked, busy, failed; /* entry.wlink */
	struct entry *left;   /* all dirty; written to last */
	uint64_t seq;	      /* the newest write number */
	uint64_t ndirty;      /* entries that have dirty sectors */
	uint64_t nfresh;      /* entries that are fresh */
	uint64_t dirty_pages; /* in entries and in uploads */
	unsigned nsending, nfilling, nfailing;
	unsigned window;      /* uploads at once, now */
	unsigned nfail_row;   /* failures without a success between */
	int64_t pause_ns;     /* nothing is sent before */
	int64_t failing_ns;   /* first failure since the last success; 0: none */
	int fail_rc;	      /* of the last that failed */
	struct err fail_err;
	struct upload *uploads, *upload_free;
	uint64_t *upload_bits;
	struct loop_timer wb_timer;
	struct loop_task pump;

	/* erase.c */
	struct ranges erases;
	struct erase erase[ERASES_MAX];
	unsigned nerasing; /* busy */
	unsigned nerase_sent, nerase_failing;

	/* barrier.c */
	struct list flushes; /* that wait, oldest first */
	struct list synced;  /* that the SYNC in flight covers */
	struct list unmarked; /* in the store, wait for the journal's mark */
	uint64_t flush_seq;  /* the newest FLUSH that waits */
	bool unsynced;	     /* something ended since the last SYNC began */
	bool syncing;
	struct layout_req sync;
	struct loop_task barrier;

	/* jnl.c */
	struct journal *journal; /* NULL: none */
	/* Blocks that were uploaded: told to the journal when that is durable. */
	struct jnl_settled *settled;
	size_t nsettled, nsettled_syncing;
	bool replaying;	  /* until cache_replayed */
	uint64_t trim_to; /* when the SYNC in flight has ended; 0: nothing */
	bool jnl_said;	  /* that it has failed */
	void (*jnl_failed)(void *arg);
	void *jnl_failed_arg;
	struct loop_task jnl_check;
	struct loop_timer jnl_timer;

	/* spill.c */
	struct list written;	/* entry.slink, least recently written first */
	struct list reread;	/* entry.slink: came back from the journal */
	uint64_t spilled_pages; /* dirty, and not in memory */
	uint64_t spill_high, spill_low; /* dirty pages in memory: above high
					 * some leave, down to low */
	uint64_t runs_bytes;
	uint64_t *spill_bits; /* for a moment; nwords */
	uint64_t nlost;
	struct err lost_err;
	bool spill_flushing;
	struct journal_wait spill_wait;
	struct loop_task spill;

	/* write.c, pace.c */
	struct list writers; /* that wait for room, in order */
	int64_t admit_ns;    /* the next writer may go on */
	int64_t rate_since_ns;
	uint64_t rate_pages; /* uploaded since */
	double rate;	     /* pages per second */
	struct loop_timer pace_timer;
	struct loop_task admit;

	/* ahead.c */
	struct stream streams[NSTREAM];
	uint64_t stream_clock;
	unsigned nahead; /* fetches in flight that nobody waited for */
	struct loop_task ahead;

	bool closing;
	bool drained; /* closing, and nothing is in flight */
	struct loop_task bye;
};

/* Pages of memory that dirty data takes. */
static inline uint64_t
dirty_resident(const struct cache *c)
{
	return c->dirty_pages - c->spilled_pages;
}

static inline uint64_t *
entry_valid(struct entry *e)
{
	return e->bits;
}

static inline uint64_t *
entry_dirty(struct cache *c, struct entry *e)
{
	return e->bits + c->nwords;
}

/* entry.c */
int entry_open(struct cache *c, struct err *e);
void entry_fini(struct cache *c);
struct entry *entry_find(struct cache *c, uint64_t block);
/* A new entry, nothing of it valid, on no queue; evicts others if need be.
 * NULL: there are too many, all busy. */
struct entry *entry_new(struct cache *c, uint64_t block, bool urgent);
/* Not dirty, no fetch, no waiter. */
void entry_free(struct cache *c, struct entry *e);
/* Nothing more is being done to e: put it where it belongs (a queue), or free
 * it if it says nothing. */
void entry_idle(struct cache *c, struct entry *e);
/* Take it off its queue, to work on it. */
void entry_take(struct cache *c, struct entry *e);
bool entry_busy(const struct entry *e);
struct entry *entry_nth(const struct cache *c, uint32_t i);
void entry_set_valid(
    struct cache *c, struct entry *e, unsigned from, unsigned to);
/* The block reads as zeros though it has no entry. */
bool entry_block_is_zero(struct cache *c, uint64_t block);
/* Bytes of memory, all told. */
uint64_t entry_memory(const struct cache *c);

/* evict.c */
int evict_open(struct cache *c, struct err *e);
void evict_fini(struct cache *c);
void evict_enqueue(struct cache *c, struct entry *e);
void evict_dequeue(struct cache *c, struct entry *e);
bool evict_one(struct cache *c); /* a clean entry */
bool evict_memory(struct cache *c); /* or the data of a dirty one */
/* Drop clean entries, and spill dirty ones, until n more pages fit; false: they do not. */
bool evict_room(struct cache *c, uint64_t npages);
/* Which queue a new entry belongs on. */
enum queue evict_home(struct cache *c, uint64_t block);

/* fetch.c */
/*
 * Read the sectors [from, to) of e that are not valid and not on their way
 * (widened to pages).  0, or -ENOMEM.  e->waiters are run when something has
 * arrived.
 */
enum fetch_why { FETCH_READ, FETCH_AHEAD, FETCH_FILL };
int fetch_need(struct cache *c, struct entry *e, unsigned from, unsigned to,
    enum fetch_why why);
/* A waiter of e is woken since a fetch has failed, and that was needed for
 * [from, to). */
bool fetch_has_failed(
    struct cache *c, struct entry *e, unsigned from, unsigned to);
void fetch_cancel_all(struct cache *c);
void fetch_fini(struct cache *c);

/* read.c */
void read_step(struct cache *c, struct cache_req *r);

/* write.c */
void write_begin(struct cache *c, struct cache_req *r);
void write_resume(struct cache *c, struct cache_req *r); /* was a waiter */
void write_admit(struct cache *c); /* room may have come: soon try them */
void write_admit_run(struct loop_task *t);

/* pace.c */
bool pace_admit(struct cache *c, uint64_t bytes); /* may go on now */
void pace_uploaded(struct cache *c, uint64_t npages);
void pace_arm(struct cache *c); /* writers wait: wake them in time */
void pace_begin(struct cache *c); /* uploads begin after a rest */
/* Uploads have been failing for so long that writers must not wait. */
bool pace_hopeless(const struct cache *c);
void pace_fire(struct loop_timer *t);

/* due.c */
/* How long a dirty block, or a zeroed range, waits for more. */
int64_t due_delay(const struct cache *c);
/* When e is due, of those that wait the one that became dirty first. */
int64_t due_at(const struct cache *c, const struct entry *e);
/* e was written to; filled: that made the last of its sectors dirty. */
void due_wrote(struct cache *c, struct entry *e, bool filled);

/* writeback.c */
/* To another state, and the list of it (or none). */
void wb_move(struct cache *c, struct entry *e, enum wb_state to,
    struct list *on);
int wb_open(struct cache *c, struct err *e);
void wb_fini(struct cache *c);
void wb_cancel_all(struct cache *c);
/* The sectors [from, to) of e, valid already, are newer than the store.
 * seq: the number of that write, or an older one that it stands for too (F1). */
void wb_mark(struct cache *c, struct entry *e, unsigned from, unsigned to,
    uint64_t seq);
/* e, dirty and not busy, is superseded; what is dirty is forgotten.  Returns
 * its number, for the one that replaces it to inherit. */
uint64_t wb_forget(struct cache *c, struct entry *e);
void wb_filled(struct cache *c, struct entry *e, int rc,
    const struct err *err); /* its fetch has ended */
void wb_unblock(struct cache *c, struct entry *e);
void wb_unblock_range(struct cache *c, uint64_t first, uint64_t end);
void wb_flush(struct cache *c); /* everything dirty is due now */
void wb_kick(struct cache *c);	/* soon see what is due */
void wb_note_failure(struct cache *c, int rc, const struct err *e);
void wb_note_success(struct cache *c);
int64_t wb_backoff(unsigned ntries, int64_t first_ns, int64_t max_ns);

/* erase.c */
void erase_init(struct cache *c);
/* The block is in an erase in flight. */
bool erase_in_flight(const struct cache *c, uint64_t block);
/* Send what is due; the time of the next, or INT64_MAX. */
int64_t erase_pump(struct cache *c);
void erase_flush(struct cache *c); /* try again at once what has failed */
void erase_cancel_all(struct cache *c);
/* The lowest number of a range that waits or is in flight. */
uint64_t erase_min_seq(const struct cache *c);

/* barrier.c */
void barrier_begin(struct cache *c, struct cache_req *r);
void barrier_run(struct loop_task *t);
void barrier_thing_new(struct cache *c, uint64_t seq);
void barrier_thing_gone(struct cache *c, uint64_t seq);
/* An upload or erase of number seq has failed, and did since since_ns. */
void barrier_failed(struct cache *c, uint64_t seq, int64_t since_ns, int rc,
    const struct err *e);
void barrier_check(struct cache *c); /* soon */
/* What has ended is made durable in the store.  None is in flight. */
void barrier_sync(struct cache *c);

/* jnl.c */
int jnl_open(struct cache *c, struct err *e);
void jnl_fini(struct cache *c);
/* New operations go to the journal, and flushes end there. */
bool jnl_active(const struct cache *c);
/* A write of so many bytes finds room in it (true if there is none). */
bool jnl_room(struct cache *c, const struct cache_req *r, uint64_t bytes);
/* Number an operation on [off, off + len) of the volume, and append it.  data:
 * its bytes, or NULL for zeros.  Returns its first number. */
uint64_t jnl_op(struct cache *c, const struct cache_req *r, uint64_t off,
    uint64_t len, const void *data);
void jnl_flush(struct cache *c, struct cache_req *r);
void jnl_ref(struct cache *c, uint64_t seq);
void jnl_unref(struct cache *c, uint64_t seq);
/* The store has this block, with all operations up to op. */
void jnl_uploaded(struct cache *c, uint64_t block, uint64_t op);
/* Something has left: soon see whether the journal can give space back. */
void jnl_left(struct cache *c);
void jnl_sync_begins(struct cache *c);
void jnl_sync_ended(struct cache *c, bool durable);
/* Dirty things below this number should leave soon; 0: no hurry. */
uint64_t jnl_pressing(const struct cache *c);
/* How full it is as writers should feel it: from 3/4 on they are slowed. */
double jnl_fill(const struct cache *c);
/* Of a FLUSH that is durable in the store: true if a journal that has failed is
 * to be marked first; then r is taken, and ends when that is known. */
bool jnl_waits_for_mark(struct cache *c, struct cache_req *r);

/* spill.c */
int spill_open(struct cache *c, struct err *e);
void spill_fini(struct cache *c);
/* How many entries, where n would do without a journal. */
uint32_t spill_count_entries(const struct cache *c, uint32_t n);
/* The sectors [from, to) of e, dirty already, were written by the operations
 * from op on: data in pieces; data in one that the journal alone has; or zeros. */
enum spill_what { SPILL_WRITE, SPILL_LOGGED, SPILL_ZERO };
void spill_wrote(struct cache *c, struct entry *e, unsigned from, unsigned to,
    uint64_t op, enum spill_what what);
/* There is memory for one more. */
bool spill_reserve(struct cache *c, struct entry *e);
/* e, which is idle, has nothing in memory of its dirty data, nor of [from, to),
 * which is about to become dirty. */
void spill_leave(struct cache *c, struct entry *e, unsigned from, unsigned to);
/* Something was merged into e. */
void spill_arrived(struct cache *c, struct entry *e);
/* The store has e with all operations up to this one. */
void spill_uploaded(struct cache *c, struct entry *e, uint64_t upto);
/* e is not dirty any more. */
void spill_forget(struct cache *c, struct entry *e);
/* Some of [from, to) is in the journal only. */
bool spill_has(struct cache *c, struct entry *e, unsigned from, unsigned to);
/* Some of it is in neither memory nor journal. */
bool spill_needs_store(
    struct cache *c, struct entry *e, unsigned from, unsigned to);
/* To all around it that does not need the store. */
void spill_widen(struct cache *c, struct entry *e, unsigned *from, unsigned *to);
/* Find what of f's range is in the journal: f->back; zeros among it are made at
 * once.  0, or -ENOMEM. */
int spill_find(struct cache *c, struct fetch *f);
/* Zero that part of f's slot. */
void spill_clear(struct cache *c, struct fetch *f);
void spill_lost(struct cache *c, struct entry *e, const struct err *err);
/* May a FLUSH end well?  0, or -EIO. */
int spill_may_pass(const struct cache *c, struct err *e);
/* Let a dirty entry's data leave memory; false: none can now (those that wait
 * for memory are tried again when one may). */
bool spill_one(struct cache *c);
/* There is room for knowing where more dirty data is; half of it is used. */
bool spill_has_room(const struct cache *c);
bool spill_is_half(const struct cache *c);

/* ahead.c */
/* A read that begins a block; true: its reader reads in order. */
bool ahead_read(struct cache *c, const struct cache_req *r);
void ahead_run(struct loop_task *t);

/* cache.c */
void cache_finish(struct cache_req *r, int rc); /* done runs soon */
void cache_finish_err(struct cache_req *r, int rc, const struct err *e);
void cache_check_drained(struct cache *c);

#endif
