/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned columns.  The widths are known only when every row is there, so the
 * cells are kept until table_print; a listing of a bucket has as many rows as
 * it has volumes, which is few.
 *
 * The last column is not padded, so that no line has blanks at its end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "cli/table.h"
#include "cli/text.h"

void
table_init(struct table *t, const char *const *heads)
{
	*t = (struct table){.heads = heads};
	while (heads[t->ncols] != NULL)
		t->ncols++;
}

void
table_fini(struct table *t)
{
	for (size_t i = 0; i < t->nrows * t->ncols; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){0};
}

static bool
table_grow(struct table *t)
{
	size_t cap = t->cap == 0 ? 16 : t->cap * 2;
	char **p = reallocarray(t->cells, cap * t->ncols, sizeof(*p));

	if (p == NULL)
		return false;
	memset(p + t->cap * t->ncols, 0,
	    (cap - t->cap) * t->ncols * sizeof(*p));
	t->cells = p;
	t->cap = cap;
	return true;
}

void
table_cell(struct table *t, const char *s)
{
	struct strbuf b = STRBUF_INIT;
	char *copy;

	if (t->failed)
		return;
	text_clean(&b, s);
	strbuf_puts(&b, "");
	copy = strbuf_take(&b);
	if (copy == NULL && *s == '\0')
		copy = strdup("");
	if (t->at == 0) {
		if (t->nrows == t->cap && !table_grow(t)) {
			free(copy);
			t->failed = true;
			return;
		}
		t->nrows++;
	}
	t->cells[(t->nrows - 1) * t->ncols + t->at] = copy;
	t->failed = copy == NULL;
	t->at = (t->at + 1) % t->ncols;
}

void
table_cellf(struct table *t, const char *fmt, ...)
{
	struct strbuf b = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (b.failed)
		t->failed = true;
	else
		table_cell(t, strbuf_text(&b));
	strbuf_fini(&b);
}

static void
print_cell(FILE *f, const char *s, bool right, size_t width, bool last)
{
	size_t pad = width - text_width(s);

	if (right)
		fprintf(f, "%*s", (int)pad, "");
	fputs(s, f);
	if (!right && !last)
		fprintf(f, "%*s", (int)pad, "");
	if (last)
		fputc('\n', f);
	else
		fputs("  ", f);
}

static bool
is_right(const char *head)
{
	return head[0] == '>';
}

static size_t
column_width(const struct table *t, size_t col)
{
	size_t width = strlen(t->heads[col]) - is_right(t->heads[col]);

	for (size_t r = 0; r < t->nrows; r++) {
		const char *s = t->cells[r * t->ncols + col];
		size_t w = s == NULL ? 0 : text_width(s);

		if (w > width)
			width = w;
	}
	return width;
}

int
table_print(const struct table *t, FILE *f)
{
	bool heads = false;
	size_t *width;

	if (t->failed)
		return -ENOMEM;
	width = calloc(t->ncols, sizeof(*width));
	if (width == NULL)
		return -ENOMEM;
	for (size_t c = 0; c < t->ncols; c++) {
		width[c] = column_width(t, c);
		heads |= t->heads[c][is_right(t->heads[c])] != '\0';
	}
	for (size_t c = 0; heads && c < t->ncols; c++)
		print_cell(f, t->heads[c] + is_right(t->heads[c]),
		    is_right(t->heads[c]), width[c], c + 1 == t->ncols);
	for (size_t r = 0; r < t->nrows; r++)
		for (size_t c = 0; c < t->ncols; c++) {
			const char *s = t->cells[r * t->ncols + c];

			print_cell(f, s == NULL ? "" : s,
			    is_right(t->heads[c]), width[c],
			    c + 1 == t->ncols);
		}
	free(width);
	return ferror(f) ? -EIO : 0;
}
