/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MEM_H
#define STORE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The store in memory, with whatever a test wants it to lack.
 *
 * The objects live in a mem_data, apart from the store, so that a test can
 * free a store (a crash), open another over what was left, and look inside.
 */
struct err;
struct loop;
struct store;
struct mem_data;

struct mem_config { /* all zero: the most able store there is */
	bool needs_sync; /* info.durable is false; see mem_data_crash */
	bool no_if_absent;
	bool no_range;
	bool no_meta;	  /* user metadata is dropped */
	bool no_tags;
	bool no_batch;
	bool batch_deletes; /* a BATCH has only DELETEs and is not atomic */
	unsigned max_batch; /* 0: 1000 */
	unsigned max_keys;  /* of a page; 0: 1000 */
	uint64_t max_object; /* 0: 5 GiB */
	unsigned max_inflight; /* what info says; nothing is enforced */
};

struct mem_data *mem_data_new(void);
struct mem_data *mem_data_ref(struct mem_data *d);
void mem_data_unref(struct mem_data *d); /* accepts NULL */

/* Power failure: of each object that has changed since the last SYNC (of a
 * store with needs_sync) either its last state or the one at that SYNC is
 * kept, as the seed has it. */
void mem_data_crash(struct mem_data *d, uint64_t seed);

size_t mem_data_count(const struct mem_data *d);
/* The bytes of an object, or NULL; valid until it changes. */
const void *mem_data_peek(const struct mem_data *d, const char *key,
    size_t *len);
/* The same, to damage it. */
void *mem_data_poke(struct mem_data *d, const char *key, size_t *len);

/* d: NULL for objects of its own; else a reference is taken.  c: NULL for all
 * zero.  name is for messages. */
int mem_store_open(struct loop *l, const char *name, struct mem_data *d,
    const struct mem_config *c, struct store **out, struct err *e);

#endif
