/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DISKCACHE_H
#define STORE_DISKCACHE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A filter that keeps objects, as they are in the store, in a local file
 * (docs/diskcache.md).  What it answers without the store, or with a "not
 * changed" of it, is the object that the store has (K1-K6 there).
 */
struct dcfile;
struct err;
struct stat_set;
struct store;

struct diskcache_config {
	/* Only objects with such a key are kept. */
	bool (*wants)(void *arg, const char *key);
	void *arg;
	struct stat_set *stats; /* borrowed, outlives the store; or NULL */
};

/* Takes below.  Everything is passed on until diskcache_start. */
int diskcache_store_new(struct store *below,
    const struct diskcache_config *conf, struct store **out, struct err *e);

/* From now on with this file, which is taken.  alone: nobody else changes the
 * objects as long as we are here; else every one is asked for. */
void diskcache_start(struct store *s, struct dcfile *file, bool alone);

#endif
