/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STAT_H
#define BASE_STAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/must.h"

/*
 * Counters, gauges and latency histograms: what a volume knows about itself.
 *
 * The tables below are the only place where one is declared; the text, JSON
 * and Prometheus forms and the manual are made from them.  Add a row where it
 * belongs; names are for ever.
 *
 * A stat_set is plain memory, all zero at first, that belongs to one thread
 * (its volume's loop): counting is an addition.
 */

/* How a number is shown. */
enum stat_unit { UNIT_COUNT, UNIT_BYTES, UNIT_NS };
enum stat_kind {
	STAT_COUNTER, /* only grows */
	STAT_GAUGE    /* what is now */
};

/* X(ID, name, kind, unit, help) */
#define STAT_TABLE(X) \
	/* front: what the kernel or a client asks for */ \
	X(FRONT_READS, "front_reads", COUNTER, COUNT, "read requests") \
	X(FRONT_WRITES, "front_writes", COUNTER, COUNT, "write requests") \
	X(FRONT_DISCARDS, "front_discards", COUNTER, COUNT, \
	    "discard and zero requests") \
	X(FRONT_FLUSHES, "front_flushes", COUNTER, COUNT, \
	    "flush requests (fsync)") \
	X(FRONT_ERRORS, "front_errors", COUNTER, COUNT, \
	    "requests answered with an error") \
	X(FRONT_READ_BYTES, "front_read_bytes", COUNTER, BYTES, \
	    "bytes read from the disk") \
	X(FRONT_WRITE_BYTES, "front_write_bytes", COUNTER, BYTES, \
	    "bytes written to the disk") \
	X(FRONT_INFLIGHT, "front_inflight", GAUGE, COUNT, \
	    "requests being served") \
	/* cache */ \
	X(CACHE_HITS, "cache_hits", COUNTER, COUNT, \
	    "block accesses that found their data in memory") \
	X(CACHE_MISSES, "cache_misses", COUNTER, COUNT, \
	    "block accesses that had to wait for the store") \
	X(CACHE_ABSENT, "cache_absent", COUNTER, COUNT, \
	    "reads of blocks that do not exist (zeros)") \
	X(CACHE_EVICTIONS, "cache_evictions", COUNTER, COUNT, \
	    "blocks dropped for others") \
	X(CACHE_READAHEAD, "cache_readahead", COUNTER, COUNT, \
	    "blocks fetched before they were asked for") \
	X(CACHE_READAHEAD_USEFUL, "cache_readahead_useful", COUNTER, COUNT, \
	    "of those, read later") \
	X(CACHE_READAHEAD_WASTED, "cache_readahead_wasted", COUNTER, COUNT, \
	    "of those, dropped unread") \
	X(CACHE_WRITEBACKS, "cache_writebacks", COUNTER, COUNT, \
	    "uploads of dirty blocks begun") \
	X(CACHE_COALESCED, "cache_coalesced", COUNTER, COUNT, \
	    "writes into a block that was dirty already") \
	X(CACHE_MERGES, "cache_merges", COUNTER, COUNT, \
	    "uploads that had to fetch the rest of the block") \
	X(CACHE_SPILLS, "cache_spills", COUNTER, COUNT, \
	    "dirty blocks dropped from memory, being in the journal") \
	X(CACHE_REREADS, "cache_rereads", COUNTER, COUNT, \
	    "reads of such blocks from the journal") \
	X(CACHE_FLUSHES, "cache_flushes", COUNTER, COUNT, \
	    "flush barriers completed") \
	X(CACHE_THROTTLED_NS, "cache_throttled_ns", COUNTER, NS, \
	    "time that writers were slowed down") \
	/* volume: blocks to and from the store */ \
	X(BLOCKS_READ, "blocks_read", COUNTER, COUNT, \
	    "blocks fetched from the store") \
	X(BLOCKS_WRITTEN, "blocks_written", COUNTER, COUNT, \
	    "blocks written to the store") \
	X(BLOCKS_ZERO, "blocks_zero", COUNTER, COUNT, \
	    "blocks of zeros that were not written") \
	X(BLOCKS_DELETED, "blocks_deleted", COUNTER, COUNT, \
	    "blocks deleted from the store") \
	X(BLOCKS_DAMAGED, "blocks_damaged", COUNTER, COUNT, \
	    "blocks that failed verification") \
	X(CODEC_IN_BYTES, "codec_in_bytes", COUNTER, BYTES, \
	    "block data before compression and encryption") \
	X(CODEC_OUT_BYTES, "codec_out_bytes", COUNTER, BYTES, \
	    "the same after it, as stored") \
	/* diskcache: objects kept in a local file */ \
	X(DISKCACHE_HITS, "diskcache_hits", COUNTER, COUNT, \
	    "objects read from the disk cache without asking the store") \
	X(DISKCACHE_CHECKED, "diskcache_checked", COUNTER, COUNT, \
	    "of which the store said that they have not changed") \
	X(DISKCACHE_MISSES, "diskcache_misses", COUNTER, COUNT, \
	    "objects that it did not have") \
	X(DISKCACHE_BAD, "diskcache_bad", COUNTER, COUNT, \
	    "objects that it had and that were damaged") \
	/* store: the volume's own store, retries included in one request */ \
	X(STORE_GETS, "store_gets", COUNTER, COUNT, "objects read") \
	X(STORE_PUTS, "store_puts", COUNTER, COUNT, "objects written") \
	X(STORE_DELETES, "store_deletes", COUNTER, COUNT, "objects deleted") \
	X(STORE_HEADS, "store_heads", COUNTER, COUNT, "objects looked up") \
	X(STORE_LISTS, "store_lists", COUNTER, COUNT, "pages listed") \
	X(STORE_BATCHES, "store_batches", COUNTER, COUNT, "batches") \
	X(STORE_SYNCS, "store_syncs", COUNTER, COUNT, "syncs") \
	X(STORE_READ_BYTES, "store_read_bytes", COUNTER, BYTES, \
	    "object data read") \
	X(STORE_WRITE_BYTES, "store_write_bytes", COUNTER, BYTES, \
	    "object data written") \
	X(STORE_INFLIGHT, "store_inflight", GAUGE, COUNT, \
	    "requests in flight") \
	X(STORE_WAITING, "store_waiting", GAUGE, COUNT, \
	    "requests that wait for a free slot") \
	X(STORE_SLOTS, "store_slots", GAUGE, COUNT, \
	    "requests that may be in flight (fewer after SlowDown)") \
	X(STORE_RETRIES, "store_retries", COUNTER, COUNT, \
	    "requests sent again") \
	X(STORE_FAILED, "store_failed", COUNTER, COUNT, \
	    "requests that failed for good") \
	X(STORE_HELD, "store_held", COUNTER, COUNT, \
	    "writes that waited for an unanswered one of the same object") \
	X(STORE_ERR_REFUSED, "store_err_refused", COUNTER, COUNT, \
	    "errors: access refused") \
	X(STORE_ERR_BUSY, "store_err_busy", COUNTER, COUNT, \
	    "errors: the store is busy or broken (SlowDown, 5xx)") \
	X(STORE_ERR_CONNECT, "store_err_connect", COUNTER, COUNT, \
	    "errors: no connection") \
	X(STORE_ERR_TIMEOUT, "store_err_timeout", COUNTER, COUNT, \
	    "errors: no answer in time") \
	X(STORE_ERR_DAMAGED, "store_err_damaged", COUNTER, COUNT, \
	    "errors: an answer that is damaged or not understood") \
	X(STORE_ERR_OTHER, "store_err_other", COUNTER, COUNT, \
	    "errors: any other") \
	/* http: what the store's numbers do not say */ \
	X(HTTP_REQUESTS, "http_requests", COUNTER, COUNT, \
	    "HTTP requests sent, of all kinds") \
	X(HTTP_CONNECTS, "http_connects", COUNTER, COUNT, \
	    "connections opened") \
	X(HTTP_REDONE, "http_redone", COUNTER, COUNT, \
	    "sent again, as their kept connection had been closed")

/* X(ID, name, help): times, in ns. */
#define HIST_TABLE(X) \
	X(FRONT_READ, "front_read_time", "answering a read request") \
	X(FRONT_WRITE, "front_write_time", "answering a write request") \
	X(FRONT_FLUSH, "front_flush_time", "answering a flush request") \
	X(STORE_GET, "store_get_time", "reading an object") \
	X(STORE_PUT, "store_put_time", "writing an object") \
	X(STORE_DELETE, "store_delete_time", "deleting an object") \
	X(STORE_HEAD, "store_head_time", "looking up an object") \
	X(STORE_LIST, "store_list_time", "listing a page") \
	X(STORE_BATCH, "store_batch_time", "a batch") \
	X(STORE_SYNC, "store_sync_time", "a sync") \
	X(STORE_QUEUE, "store_queue_time", "waiting for a free slot") \
	X(HTTP_FIRST_BYTE, "http_first_byte_time", \
	    "from an HTTP request's start to the answer's first byte")

#define STAT_ENUM(id, ...) STAT_##id,
#define HIST_ENUM(id, ...) HIST_##id,
enum stat_id { STAT_TABLE(STAT_ENUM) STAT_N };
enum hist_id { HIST_TABLE(HIST_ENUM) HIST_N };

/*
 * Buckets: four to each power of two, from 1 us to 2 minutes; shorter ones are
 * in the first, longer ones in the last.  A quantile is right to about 10 %.
 */
#define HIST_SHIFT 10 /* 2^10 ns */
#define HIST_OCTAVES 27
#define HIST_BUCKETS (1 + HIST_OCTAVES * 4 + 1)

struct stat_hist {
	uint64_t count, sum_ns, max_ns;
	uint64_t bucket[HIST_BUCKETS];
};

struct stat_set {
	uint64_t v[STAT_N];
	struct stat_hist hist[HIST_N];
};

static inline void
stat_add(struct stat_set *s, enum stat_id id, uint64_t n)
{
	s->v[id] += n;
}

static inline void
stat_inc(struct stat_set *s, enum stat_id id)
{
	s->v[id]++;
}

/* For gauges. */
static inline void
stat_sub(struct stat_set *s, enum stat_id id, uint64_t n)
{
	must(s->v[id] >= n);
	s->v[id] -= n;
}

static inline void
stat_put(struct stat_set *s, enum stat_id id, uint64_t value)
{
	s->v[id] = value;
}

static inline uint64_t
stat_get(const struct stat_set *s, enum stat_id id)
{
	return s->v[id];
}

/* Negative times count as 0. */
static inline unsigned
stat_bucket(int64_t ns)
{
	unsigned octave;

	if (ns < (int64_t)1 << HIST_SHIFT)
		return 0;
	octave = 63 - (unsigned)__builtin_clzll((uint64_t)ns) - HIST_SHIFT;
	if (octave >= HIST_OCTAVES)
		return HIST_BUCKETS - 1;
	return 1 + octave * 4 +
	    (unsigned)(ns >> (octave + HIST_SHIFT - 2) & 3);
}

static inline void
stat_time(struct stat_set *s, enum hist_id id, int64_t ns)
{
	struct stat_hist *h = &s->hist[id];

	if (ns < 0)
		ns = 0;
	h->count++;
	h->sum_ns += (uint64_t)ns;
	if (h->max_ns < (uint64_t)ns)
		h->max_ns = (uint64_t)ns;
	h->bucket[stat_bucket(ns)]++;
}

/* The time that q (0 ... 1) of all were not longer than; 0 if there are none. */
uint64_t stat_quantile(const struct stat_hist *h, double q);

const char *stat_name(enum stat_id id);
enum stat_kind stat_kind(enum stat_id id);
enum stat_unit stat_unit(enum stat_id id);
const char *stat_help(enum stat_id id);
const char *hist_name(enum hist_id id);
const char *hist_help(enum hist_id id);

struct strbuf;
/* A table for people: a line for each, in groups. */
void stat_text(const struct stat_set *s, struct strbuf *out);
/* Prometheus text format; every name begins with "pail_".  labels: NULL, or
 * like `volume="x"`. */
void stat_prometheus(
    const struct stat_set *s, const char *labels, struct strbuf *out);

struct json_t;
/* {"front_reads": 12, ..., "store_get_time": {"count": 3, "mean_ns": ...,
 * "p50_ns", "p90_ns", "p99_ns", "max_ns"}}; a new reference, NULL: no memory.
 */
struct json_t *stat_json(const struct stat_set *s);

#endif
