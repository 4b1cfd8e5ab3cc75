/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;

/*
 * Text from outside (keys, host names, paths) on a terminal: it takes as many
 * columns as it takes, and cannot move the cursor or change colours.
 */

/* Columns that s takes up after text_clean; wide characters count two. */
size_t text_width(const char *s);

/* Append s; control characters and bytes that are not UTF-8 become \xNN. */
void text_clean(struct strbuf *b, const char *s);

/* The same, at most width columns: "..." stands for a tail that is cut. */
void text_fit(struct strbuf *b, const char *s, size_t width);

/* Wall clock: "2026-05-04 13:05:00 UTC"; "-" for 0, which is not known.  buf
 * has TEXT_TIME_MAX bytes and is returned. */
#define TEXT_TIME_MAX 40
char *text_time(char *buf, int64_t wall_ns);

#endif
