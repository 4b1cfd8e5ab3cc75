/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_INDEX_INT_H
#define RAW_INDEX_INT_H

/*
 * What the files of the index share: index.c (look-up, walks), index_edit.c
 * (changes) and index_page.c (pages as a checkpoint writes them and an opening
 * reads them).
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
uint32_t index_run_end(const struct index_page *p, uint32_t r);
/* The run that has this key, if the page has it. */
uint32_t index_find_run(const struct index_page *p, const uint8_t *key, size_t n);
const uint8_t *index_run_scan(const struct index *ix,
    const struct index_page *p, uint32_t r, const uint8_t *key, size_t n,
    bool after, uint8_t *found, uint32_t *found_len, uint32_t *obj_len);
int index_key_compare(const uint8_t *a, size_t an, const uint8_t *b, size_t bn);
size_t index_find_page(const struct index *ix, const uint8_t *key, size_t n);
int index_drop_reserve(struct index *ix);
char *index_dup_key(const uint8_t *key, size_t n);
size_t index_page_memory(const struct index_page *p);
void index_page_free(struct index_page *p);

/* How an entry begins: bytes that its key shares with the one before (of key_len
 * bytes), and how many more there are; they follow.  0: it is damaged. */
static inline size_t
index_key_head(const uint8_t *in, size_t n, uint32_t key_len, uint32_t *shared,
    uint32_t *more)
{
	uint64_t s, v;
	size_t a = raw_varint_decode(&s, in, n), b;

	if (a == 0 || s > key_len)
		return 0;
	b = raw_varint_decode(&v, in + a, n - a);
	if (b == 0 || v > RAW_KEY_MAX || s + v == 0 || s + v > RAW_KEY_MAX ||
	    v > n - a - b)
		return 0;
	*shared = (uint32_t)s;
	*more = (uint32_t)v;
	return a + b;
}

#endif
