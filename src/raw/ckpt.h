/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_CKPT_H
#define RAW_CKPT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Checkpoints: the changed pages of the index, a root that names all pages, and
 * superblocks that name the root; then the log behind is not needed.  ckpt.c.
 */
struct pool;

struct ckpt_wait { /* somebody who waits for the end of one */
	void (*done)(struct ckpt_wait *w, int rc);
	void *arg;
	struct ckpt_wait *next; /* private */
};

/* There is room for the next one: without that no object is put (G7). */
bool ckpt_has_room(struct pool *p);
/* Begin one, unless one is running (w then waits for another one after it).
 * w may be NULL. */
void ckpt_start(struct pool *p, struct ckpt_wait *w);
/* From log.c: no commit is flying any more. */
void ckpt_frozen(struct pool *p);

#endif
