/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 text to a terminal.  The C library knows the width of a character only
 * in a UTF-8 locale, so its own C.UTF-8 is used for that, whatever the user's
 * locale is; where it is missing, every character above 127 is escaped, which
 * is ugly but aligned.
 *
 * The locale is made once and kept; pail's tools have one thread that prints.
 */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "cli/text.h"

/* One character of s: its bytes and columns.  bytes is 1 and the return value
 * -1 for what has to be escaped. */
static int
next_char(const char *s, size_t *bytes)
{
	mbstate_t st = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, s, strlen(s), &st);
	int width;

	*bytes = 1;
	if (n == (size_t)-1 || n == (size_t)-2 || n == 0)
		return -1;
	width = wcwidth(c);
	if (width < 0)
		return -1;
	*bytes = n;
	return width;
}

static locale_t
use_utf8(void)
{
	static locale_t utf8;

	if (utf8 == (locale_t)0)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return utf8 == (locale_t)0 ? utf8 : uselocale(utf8);
}

static void
back_from_utf8(locale_t old)
{
	if (old != (locale_t)0)
		uselocale(old);
}

#define ESCAPED 4 /* columns and bytes of \xNN */

size_t
text_width(const char *s)
{
	locale_t old = use_utf8();
	size_t width = 0, bytes;

	for (; *s != '\0'; s += bytes) {
		int w = next_char(s, &bytes);

		width += w < 0 ? ESCAPED : (size_t)w;
	}
	back_from_utf8(old);
	return width;
}

/* Append what fits into width columns; returns where it stopped. */
static const char *
add_columns(struct strbuf *b, const char *s, size_t width)
{
	locale_t old = use_utf8();
	size_t used = 0, bytes;

	for (; *s != '\0'; s += bytes) {
		int w = next_char(s, &bytes);
		size_t columns = w < 0 ? ESCAPED : (size_t)w;

		if (used + columns > width)
			break;
		used += columns;
		if (w < 0)
			strbuf_printf(b, "\\x%02x", (unsigned char)*s);
		else
			strbuf_add(b, s, bytes);
	}
	back_from_utf8(old);
	return s;
}

void
text_clean(struct strbuf *b, const char *s)
{
	add_columns(b, s, (size_t)-1);
}

void
text_fit(struct strbuf *b, const char *s, size_t width)
{
	if (text_width(s) <= width) {
		text_clean(b, s);
		return;
	}
	if (width > 3)
		add_columns(b, s, width - 3);
	strbuf_add(b, "...", width < 3 ? width : 3);
}

char *
text_time(char *buf, int64_t wall_ns)
{
	time_t t = wall_ns / NS_PER_S;
	struct tm tm;

	if (wall_ns == 0 || gmtime_r(&t, &tm) == NULL ||
	    strftime(buf, TEXT_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		strcpy(buf, "-");
	return buf;
}
