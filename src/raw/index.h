/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_INDEX_H
#define RAW_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raw/format.h"

/*
 * The index in memory: objects by key, in the leaf pages that a checkpoint
 * writes (docs/raw.md, "Index").
 *
 *      pages, sorted by first key      [ "vm/0000" ][ "vm/0f31" ][ ... ]
 *                                           |
 *      a page: runs of 16 to 32 entries  |run|run|run|
 *
 * Keys in a run share prefixes with the one before; so an object with a key
 * like "vm/0000f31c" costs about 18 bytes, and 4 for each of its fragments'
 * CRCs.  An edit rewrites one run.
 *
 * Not thread safe.  Returned objects are copies in the caller's memory.
 */
struct err;
struct index;
struct index_page;

struct index *index_new(unsigned k, unsigned m);
void index_free(struct index *ix); /* accepts NULL */

/*
 * Find an object.  o->ext is set to ext, which has room for maxext.  -ENOENT;
 * -E2BIG: it has more extents (o->nextents says how many).
 */
int index_get(struct index *ix, const char *key, struct raw_object *o,
    struct raw_extent *ext, unsigned maxext);
/* The object that commit seq has put is still there. */
bool index_has(struct index *ix, const char *key, uint64_t seq);
/* Insert or replace.  -ENOMEM: nothing has changed. */
int index_put(struct index *ix, const char *key, const struct raw_object *o);
/* -ENOENT, -ENOMEM: nothing has changed. */
int index_delete(struct index *ix, const char *key);

/* A walk in order of keys.  Edits between two steps are allowed: a walk
 * continues behind the last key that it gave. */
struct index_walk {
	struct index *ix;
	char key[RAW_KEY_MAX + 1]; /* the last one given */
};
/* after: only greater keys; or NULL. */
void index_walk_init(
    struct index_walk *w, struct index *ix, const char *after);
/* 1: an object, its key in w->key; 0: the end; -E2BIG as index_get. */
int index_walk_next(struct index_walk *w, struct raw_object *o,
    struct raw_extent *ext, unsigned maxext);

/*
 * All objects at once, in order, each entry decoded once; no edits meanwhile.
 * Ends when visit returns another value than 0, and returns that; -E2BIG as
 * index_get.
 */
int index_each(struct index *ix, struct raw_extent *ext, unsigned maxext,
    int (*visit)(void *arg, const char *key, const struct raw_object *o),
    void *arg);

uint64_t index_count(const struct index *ix);
size_t index_memory(const struct index *ix); /* bytes */

/* --- pages, for checkpoint and opening ----------------------------------- */
size_t index_npages(const struct index *ix);
struct index_page *index_page(struct index *ix, size_t i);
/* The first page behind the one that has, or had, this first key: for a walk
 * while pages come and go. */
size_t index_page_behind(const struct index *ix, const char *first_key);
bool index_page_dirty(const struct index_page *p);
const char *index_page_first_key(const struct index_page *p);
/* Its encoding begins so. */
#define INDEX_PAGE_HEADER 16
/* Bytes of its encoding, and the encoding. */
uint32_t index_page_bytes(const struct index_page *p);
void index_page_encode(const struct index_page *p, uint8_t *out);
/* Make room for a ref, so that index_written cannot fail.  -ENOMEM. */
int index_page_reserve_ref(struct index *ix, struct index_page *p);
/* Where it is on the devices; ext.bytes is 0 if it never was written. */
const struct raw_ref *index_page_ref(const struct index_page *p);
uint64_t index_page_id(const struct index_page *p);
/* A checkpoint has its bytes: from now on an edit makes it dirty anew. */
void index_page_clean(struct index_page *p);
/* That checkpoint failed. */
void index_dirty_all(struct index *ix);
/* The page that had this id at the snapshot (and this first key then) is on
 * the devices at *ref now; it may have changed since, or be gone. */
void index_written(struct index *ix, uint64_t id, const char *first_key,
    const struct raw_ref *ref);

/* Pages that are gone from the index and where they were (ext.bytes 0: nowhere
 * yet): the next checkpoint frees those places. */
struct index_dropped {
	uint64_t id;
	struct raw_ref ref;
};
/* Gives them to the caller, who frees the array; NULL if there are none. */
struct index_dropped *index_take_dropped(struct index *ix, size_t *n);
/* Back, if the checkpoint failed. */
int index_put_dropped(
    struct index *ix, const struct index_dropped *d, size_t n);
/* Append a page as read from a device; its keys follow all others'.  -EBADMSG
 * with a sentence, -ENOMEM. */
int index_load_page(struct index *ix, const uint8_t *in, size_t n,
    const struct raw_ref *ref, struct err *e);

#endif
