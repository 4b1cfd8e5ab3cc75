/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_help.c: what --help says of a table of options; see conf.h.
 */
#include "base/conf.h"

#include <string.h>

#include "base/strbuf.h"

#define HELP_WIDTH 80
#define HELP_COLUMN 30

void
conf_put_arg(const struct conf_opt *o, struct strbuf *out)
{
	static const char *const by_type[] = {[CONF_UINT] = "N",
	    [CONF_SIZE] = "SIZE",
	    [CONF_DURATION] = "TIME",
	    [CONF_STRING] = "TEXT",
	    [CONF_PATH] = "PATH",
	    [CONF_OPTIONS] = "NAME[=VALUE],..."};

	if (o->arg) {
		strbuf_puts(out, o->arg);
	} else if (o->type == CONF_ENUM) {
		for (int i = 0; o->words[i]; i++)
			strbuf_printf(out, "%s%s", i ? "|" : "", o->words[i]);
	} else {
		strbuf_puts(out, by_type[o->type]);
	}
}

/* Words of text from column at on, wrapped; later lines begin at HELP_COLUMN.
 */
static void
put_wrapped(struct strbuf *out, size_t at, const char *text)
{
	bool first = true;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (!first && at + 1 + n > HELP_WIDTH - 1) {
			strbuf_printf(out, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (!first) {
			strbuf_putc(out, ' ');
			at++;
		}
		strbuf_add(out, text, n);
		at += n;
		first = false;
		text += n;
		text += strspn(text, " ");
	}
}

static void
help_row(const struct conf_opt *o, struct strbuf *out)
{
	struct strbuf text = STRBUF_INIT;
	size_t begin = out->len, width;

	if (o->letter)
		strbuf_printf(out, "  -%c, --%s", o->letter, o->name);
	else
		strbuf_printf(out, "      --%s", o->name);
	if (o->type != CONF_FLAG) {
		strbuf_putc(out, ' ');
		conf_put_arg(o, out);
	}
	width = out->len - begin;
	if (width + 2 > HELP_COLUMN) {
		strbuf_putc(out, '\n');
		width = 0;
	}
	strbuf_printf(out, "%*s", (int)(HELP_COLUMN - width), "");
	strbuf_puts(&text, o->help ? o->help : "");
	if (o->def && o->type != CONF_FLAG)
		strbuf_printf(&text, " (default %s)", o->def);
	put_wrapped(out, HELP_COLUMN, strbuf_text(&text));
	strbuf_putc(out, '\n');
	out->failed |= text.failed;
	strbuf_fini(&text);
}

void
conf_help(const struct conf_opt *opts, struct strbuf *out)
{
	const char *group = NULL, *shown = NULL;

	for (const struct conf_opt *o = opts; o->name; o++) {
		if (o->group)
			group = o->group;
		if (o->flags & (CONF_HIDDEN | CONF_UNUSED))
			continue;
		if (group != shown) {
			strbuf_printf(out, "%s%s:\n", shown ? "\n" : "", group);
			shown = group;
		}
		help_row(o, out);
	}
}
