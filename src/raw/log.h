/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_LOG_H
#define RAW_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The log of a pool: commits in order, durability, and when freed space is
 * free.  See log.c for how a commit goes.
 */
struct pool;
struct pool_req;
struct pool_write;

/* I2: no more than this is written between two flushes. */
#define LOG_UNFLUSHED_MAX (128u << 20)

/* The open batch has room for w; if not, write_retry is called when it has. */
bool log_has_room(const struct pool *p, const struct pool_write *w);
/* An empty record has: else w can never be written. */
bool log_could_fit(const struct pool *p, const struct pool_write *w);
/* Put the items of w, whose CRCs are known, into the open batch.  -ENOMEM;
 * -ENOSPC: free space is in so small pieces that no record could hold it. */
int log_add(struct pool *p, struct pool_write *w);
/* The data of one of its writes is written. */
void log_data_done(struct pool *p, struct pool_write *w);
/* Answer r when all that has completed is durable. */
void log_sync(struct pool *p, struct pool_req *r);
/* Make durable what has completed, for the sake of freed space. */
void log_flush(struct pool *p);
/* See whether a record can go out, on a later turn. */
void log_kick(struct pool *p);
/* Nothing is sealed, written or flushed right now. */
bool log_quiet(const struct pool *p);

/* Extent [addr, addr+n) is not used any more from this commit on (I1). */
int log_freed(struct pool *p, uint64_t addr, uint32_t n, uint64_t seq);
/* Space may have become free: durability or a pin has moved. */
void log_release(struct pool *p);

#endif
