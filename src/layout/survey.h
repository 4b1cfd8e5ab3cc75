/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_SURVEY_H
#define LAYOUT_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A survey lists all blocks of a volume, by many listings at once.
 *
 * Everything runs on the store's loop.
 */
struct err;
struct store;
struct store_entry;
struct survey;

struct survey_ops {
	/* Once for each name of a block that the listing has.  An error ends
	 * the survey with it. */
	int (*found)(void *arg, uint32_t block, const struct store_entry *en);
	/* After each page; keys: names of blocks so far.  May be NULL. */
	void (*progress)(void *arg, uint64_t keys);
	/* Once, at the end, never from inside survey_start or survey_stop; the
	 * survey is freed behind it.  rc 0: every block was found. */
	void (*done)(void *arg, int rc, const struct err *e);
};

/* nlists: listings at once; 0: 16.  prefix is copied.  NULL: no memory. */
struct survey *survey_start(struct store *s, const char *prefix, bool hashed,
    unsigned nlists, const struct survey_ops *ops, void *arg);
/* End it soon: done comes with -ECANCELED, or as it would have come. */
void survey_stop(struct survey *s);

#endif
