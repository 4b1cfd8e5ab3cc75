/* SPDX-License-Identifier: Apache-2.0 */
/* err.c: sentences in a fixed buffer; see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"

int
err_set(struct err *e, int rc, const char *fmt, ...)
{
	va_list ap;

	must(rc < 0);
	if (!e)
		return rc;
	e->rc = rc;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

int
err_errno(struct err *e, int rc, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	must(rc < 0);
	if (!e)
		return rc;
	e->rc = rc;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(-rc));
	return rc;
}

int
err_wrap(struct err *e, int rc, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t n;

	must(rc < 0);
	if (!e)
		return rc;
	snprintf(old, sizeof(old), "%s", e->text[0] ? e->text : strerror(-rc));
	e->rc = rc;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
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
