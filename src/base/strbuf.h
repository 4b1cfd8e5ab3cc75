/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A growing string.  Lack of memory is remembered in failed: further additions
 * do nothing, and the user asks once, at the end.  strbuf_fini frees; it may
 * be called on a zeroed struct.
 */
struct strbuf {
	char *s;    /* NUL-terminated once anything was added; else NULL */
	size_t len; /* without the NUL */
	size_t cap;
	bool failed;
};

#define STRBUF_INIT {0}

/* Make room for n bytes more behind s + len, so that the user can fill them
 * in place and raise len. */
void strbuf_reserve(struct strbuf *b, size_t n);
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
__attribute__((format(printf, 2, 3))) void strbuf_printf(
    struct strbuf *b, const char *fmt, ...);
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap);
void strbuf_clear(struct strbuf *b); /* keeps the memory; clears failed */
void strbuf_fini(struct strbuf *b);

/* The text ("" if none); valid until the next change. */
const char *strbuf_text(const struct strbuf *b);

/* Give the string to the caller, who frees it; NULL if memory was short. */
char *strbuf_take(struct strbuf *b);

#endif
