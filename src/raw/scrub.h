/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_SCRUB_H
#define RAW_SCRUB_H

#include <stdint.h>

#include "base/err.h"

/*
 * Scrub: read every fragment of every object and of the index, parity too, and
 * rewrite what is damaged from the rest.  The pool goes on serving.
 */
struct pool;
struct scrub;

struct scrub_result {
	uint64_t objects, bytes; /* raw */
	uint64_t repaired;	 /* fragments */
	uint64_t moved;		 /* objects, away from bad places */
	uint64_t unmended;	 /* fragments that stay damaged */
	uint64_t lost;		 /* objects */
};

struct scrub_ops {
	/* So many bytes of so many have been read (raw, all members). */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/* An object that cannot be read any more, with the reason. */
	void (*lost)(void *arg, const char *key, const struct err *why);
	/* The end.  s is gone. */
	void (*done)(void *arg, const struct scrub_result *r);
	void *arg;
};

/* ops are copied.  NULL: no memory.  On the pool's loop. */
struct scrub *scrub_start(struct pool *p, const struct scrub_ops *ops);
/* done is called all the same, later. */
void scrub_stop(struct scrub *s);

#endif
