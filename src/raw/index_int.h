/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_INDEX_INT_H
#define RAW_INDEX_INT_H

/*
 * What the two files of the index share: index.c (look-up, edits, walks) and
 * index_page.c (pages as a checkpoint writes them and an opening reads them).
 */
#include "raw/index.h"

#define LEAF_MAGIC 0x46454c50u /* "PLEF" */
#define PAGE_HEADER INDEX_PAGE_HEADER
#define RUN_MIN 16u
#define RUN_MAX 32u
#define PAGE_SPLIT (16u << 10)
/* A run that is longer has fewer entries: pages are split between runs only, and
 * a page must fit into an extent. */
#define RUN_BYTES (1u << 20)

struct run {
	uint32_t off; /* in bytes[] */
	uint16_t count;
};

struct index_page {
	uint8_t *bytes; /* the entries */
	uint32_t len, cap;
	struct run *runs;
	uint32_t nruns, runs_cap;
	uint32_t count;
	bool dirty;
	uint64_t id; /* of all pages that ever were */
	char *first_key;
	struct raw_ref *ref; /* NULL: never written */
};

/* One entry of a run under edit: borrowed bytes. */
struct entry {
	const uint8_t *key;
	uint32_t key_len;
	const uint8_t *obj;
	uint32_t obj_len;
};

struct index {
	unsigned k, m;
	struct index_page **pages;
	size_t npages, cap;
	uint64_t count;
	size_t memory;
	struct index_dropped *dropped;
	size_t ndropped, dropped_cap;
	uint64_t next_id;
	/* Scratch for edits: the keys of a run in full, the run encoded. */
	struct entry entries[RUN_MAX + 1];
	uint8_t keys[(RUN_MAX + 1) * RAW_KEY_MAX];
	uint8_t *out;
	size_t out_cap;
};

int index_page_reserve(
    struct index *ix, struct index_page *p, size_t len, uint32_t nruns);
int index_pages_insert(struct index *ix, size_t at, struct index_page *p);
const uint8_t *index_run_key(
    const struct index_page *p, uint32_t r, uint32_t *len);
unsigned index_run_decode(
    struct index *ix, const struct index_page *p, uint32_t r);
size_t index_entry_decode(const struct index *ix, const uint8_t *in, size_t n,
    uint8_t *key, uint32_t *key_len, const uint8_t **obj, uint32_t *obj_len);
int index_key_compare(const uint8_t *a, size_t an, const uint8_t *b, size_t bn);
size_t index_find_page(const struct index *ix, const uint8_t *key, size_t n);
int index_drop_reserve(struct index *ix);
char *index_dup_key(const uint8_t *key, size_t n);
void index_page_free(struct index_page *p);

#endif
