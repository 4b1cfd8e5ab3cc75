/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.c: sentences in a fixed buffer; see err.h.
 *
 * Parts of a sentence come from outside (a server's message, an operand), and
 * it ends on a terminal or in a log: control characters become "?".
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"

/*
 * The sentence, and what follows it after ": ", if anything.  Both may be parts
 * of e->text itself, so a new text is made first.
 */
__attribute__((format(printf, 4, 0))) static int
put(struct err *e, int rc, const char *after, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];
	size_t n;

	must(rc < 0);
	if (!e)
		return rc;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (after)
		snprintf(text + n, sizeof(text) - n, ": %s", after);
	for (char *s = text; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '\x7f')
			*s = '?';
	e->rc = rc;
	memcpy(e->text, text, strlen(text) + 1);
	return rc;
}

int
err_set(struct err *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(e, rc, NULL, fmt, ap);
	va_end(ap);
	return rc;
}

int
err_errno(struct err *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(e, rc, strerror(-rc), fmt, ap);
	va_end(ap);
	return rc;
}

int
err_wrap(struct err *e, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(e, rc, e && e->text[0] ? e->text : strerror(-rc), fmt, ap);
	va_end(ap);
	return rc;
}

const char *
err_text(const struct err *e)
{
	if (!e)
		return "unknown error";
	if (e->text[0])
		return e->text;
	return strerror(-e->rc);
}

void
err_clear(struct err *e)
{
	if (!e)
		return;
	e->rc = 0;
	e->text[0] = '\0';
}

void
err_copy(struct err *to, const struct err *from)
{
	if (to && from)
		*to = *from;
}
