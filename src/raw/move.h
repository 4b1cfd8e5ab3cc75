/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_MOVE_H
#define RAW_MOVE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Away from bad sectors: a place that takes no rewrite, or does not keep it, is
 * never given out again, and what lies there is written elsewhere.  All on the
 * pool's loop.
 */
struct pool;

/* So many sectors of one member, from this data address on, are bad. */
void move_bad_place(struct pool *p, uint64_t addr, uint32_t sectors);

/* A part of the object that commit seq has put lies on such a place: it is
 * written anew, soon, unless it is replaced before; pool.moved and .unmoved
 * count how it ends.  False: not now (no memory, too many).  key is copied. */
bool move_object(struct pool *p, const char *key, uint64_t seq);
/* The same of the index: all of it, by a checkpoint. */
bool move_index(struct pool *p);

/* -ENOMEM.  Before it nothing moves. */
int move_init(struct pool *p);
/* Nothing is being moved. */
bool move_idle(const struct pool *p);
/* No object is begun any more; one under way goes to its end. */
void move_stop(struct pool *p);
/* The same, waited for; an error of the loop. */
int move_end(struct pool *p);
void move_fini(struct pool *p); /* stopped, and idle */

/* The device of this column is another one: what was bad is good.  (But the
 * allocator forgets it at the next opening only.) */
void move_forget(struct pool *p, unsigned column);

#endif
