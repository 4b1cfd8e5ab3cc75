/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * A table for people: a line of heads and lines of cells, in columns that are
 * as wide as their widest cell.  Cells are cleaned (text.h).
 *
 * Lack of memory is remembered, and table_print reports it.
 */
struct table {
	const char *const *heads; /* "NAME", or ">SIZE" for flush right */
	size_t ncols;
	char **cells; /* nrows * ncols, by row */
	size_t nrows, cap;
	size_t at; /* column of the next cell */
	bool failed;
};

/* heads ends with NULL and is borrowed.  With all heads "" or ">" none is
 * printed. */
void table_init(struct table *t, const char *const *heads);
void table_fini(struct table *t);

/* The next cell of the row; copied.  A row ends by itself. */
void table_cell(struct table *t, const char *s);
__attribute__((format(printf, 2, 3))) void table_cellf(
    struct table *t, const char *fmt, ...);

/* -ENOMEM, -EIO. */
int table_print(const struct table *t, FILE *f);

#endif
