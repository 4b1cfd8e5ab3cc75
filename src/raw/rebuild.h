/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_REBUILD_H
#define RAW_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What members miss that came back, or are new: one pass over the index for all
 * of them (rebuild.c).  A pool has one or none.
 */
struct pool;
struct pool_status;

/*
 * Members in state REBUILDING are in use from now on; blank: those that have
 * nothing.  Begins a pass; one that is under way begins again.  resume: from
 * where the superblock says.  After rebuild_reserve has succeeded.
 */
int rebuild_reserve(struct pool *p); /* -ENOMEM */
void rebuild_start(struct pool *p, uint32_t blank, bool resume);
/* A member is out: it is not rebuilt any more. */
void rebuild_member_left(struct pool *p, unsigned column);
/* The pool is being closed: nothing is begun any more, but a checkpoint still
 * says how far it is. */
void rebuild_pause(struct pool *p);
/* The pool takes no more writes. */
void rebuild_halt(struct pool *p);
bool rebuild_idle(const struct pool *p); /* nothing of it is under way */
void rebuild_free(struct pool *p);

/* From a checkpoint: its flush begins; its superblock is about to be written
 * (what that flush covered goes into it); it has ended. */
void rebuild_mark(struct pool *p);
void rebuild_save(struct pool *p);
void rebuild_saved(struct pool *p, int rc);

/* The member is not whole yet, or not everyone knows that it is. */
bool rebuild_has(const struct pool *p, unsigned column);
void rebuild_get_status(const struct pool *p, struct pool_status *s);

#endif
