/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.c: options from one table; see conf.h.
 *
 * The command line is read by our own code rather than getopt_long, which
 * cannot say what was wrong, keeps its place in global variables, and accepts
 * abbreviations that turn into errors when an option is added.
 *
 * Whatever way an option comes, it ends in set_row, which knows what the user
 * wrote ("--block-size", "-o size") for the sentence of an error.
 */
#include "base/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/suggest.h"

/* How an option was written: for messages. */
struct written {
	const char *before; /* "--", "-", "-o " */
	const char *name;
	int len;
};

#define WRITTEN "%s%.*s"
#define WRITTEN_ARGS(w) (w)->before, (w)->len > 60 ? 60 : (w)->len, (w)->name

static void *
field(const struct conf *c, const struct conf_opt *o)
{
	return (char *)c->settings + o->offset;
}

static bool
is_string(const struct conf_opt *o)
{
	return (o->type == CONF_STRING || o->type == CONF_PATH) &&
	       !(o->flags & CONF_UNUSED);
}

static bool
needs_value(const struct conf_opt *o)
{
	return o->type != CONF_FLAG;
}

/* --- names ------------------------------------------------------------------
 */

static char
plain(char c)
{
	return c == '_' ? '-' : c;
}

/* name[0..n) is known, or begins as known says that ends with "*". */
static bool
same_name(const char *known, const char *name, size_t n)
{
	size_t i = 0;

	if (!known)
		return false;
	while (i < n && known[i] && plain(known[i]) == plain(name[i]))
		i++;
	return (i == n && !known[i]) ||
	       (i > 0 && known[i] == '*' && !known[i + 1]);
}

static const struct conf_opt *
find_name(const struct conf_opt *opts, const char *name, size_t n)
{
	for (const struct conf_opt *o = opts; o->name; o++)
		if (same_name(o->name, name, n) || same_name(o->alias, name, n))
			return o;
	return NULL;
}

static const struct conf_opt *
find_letter(const struct conf_opt *opts, char letter)
{
	for (const struct conf_opt *o = opts; o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

/* The name nearest to what was written; NULL if none is near. */
static const char *
guess(const struct conf_opt *opts, const struct written *w)
{
	const char *names[CONF_OPTS_MAX + 1];
	char typed[64];
	unsigned n = 0;

	if (w->len < 2 || w->len >= (int)sizeof(typed))
		return NULL;
	memcpy(typed, w->name, (size_t)w->len);
	typed[w->len] = '\0';
	for (const struct conf_opt *o = opts; o->name; o++)
		if (!(o->flags & CONF_HIDDEN))
			names[n++] = o->name;
	names[n] = NULL;
	return suggest_nearest(typed, names);
}

static int
unknown(const struct conf *c, const struct written *w, struct err *e)
{
	const char *near = guess(c->opts, w);

	if (near)
		return err_set(e, -EINVAL,
		    "unknown option " WRITTEN "; did you mean %s%s?",
		    WRITTEN_ARGS(w), strcmp(w->before, "-") ? w->before : "--",
		    near);
	return err_set(e, -EINVAL,
	    "unknown option " WRITTEN " (--help lists all)", WRITTEN_ARGS(w));
}

/* --- values -----------------------------------------------------------------
 */

static char *
show(char *buf, const struct conf_opt *o, uint64_t v)
{
	if (o->type == CONF_SIZE)
		return format_size_exact(buf, v);
	if (o->type == CONF_DURATION && v != 0)
		return format_duration(buf, (int64_t)v);
	snprintf(buf, FORMAT_MAX, "%" PRIu64, v);
	return buf;
}

static int
check_limits(
    const struct conf_opt *o, const char *text, uint64_t v, struct err *e)
{
	char min[FORMAT_MAX], max[FORMAT_MAX];
	const char *reason, *pow2 = o->pow2 ? ", a power of two" : "";

	if (v < o->min)
		reason = "too small";
	else if (o->max && v > o->max)
		reason = "too large";
	else if (o->pow2 && (v == 0 || (v & (v - 1)) != 0))
		reason = "not a power of two";
	else
		return 0;
	show(min, o, o->min);
	if (!o->max)
		return err_set(e, -EINVAL,
		    "\"%.60s\" is %s (accepted: %s or more%s)", text, reason,
		    min, pow2);
	return err_set(e, -EINVAL, "\"%.60s\" is %s (accepted: %s to %s%s)",
	    text, reason, min, show(max, o, o->max), pow2);
}

static int
set_number(const struct conf *c, const struct conf_opt *o, const char *text,
    struct err *e)
{
	uint64_t v = 0;
	int64_t ns = 0;
	int rc;

	if (o->type == CONF_SIZE) {
		rc = parse_size(text, &v, e);
	} else if (o->type == CONF_UINT) {
		rc = parse_u64(text, &v, e);
	} else {
		rc = parse_duration(text, &ns, e);
		v = (uint64_t)ns;
	}
	if (rc == 0)
		rc = check_limits(o, text, v, e);
	if (rc < 0)
		return rc;
	if (o->type == CONF_DURATION)
		*(int64_t *)field(c, o) = ns;
	else
		*(uint64_t *)field(c, o) = v;
	return 0;
}

static int
set_flag(const struct conf *c, const struct conf_opt *o, const char *text,
    struct err *e)
{
	bool v = true;
	int rc = text ? parse_bool(text, &v, e) : 0;

	if (rc < 0)
		return rc;
	*(bool *)field(c, o) = v != !!(o->flags & CONF_INVERT);
	return 0;
}

static int
set_enum(const struct conf *c, const struct conf_opt *o, const char *text,
    struct err *e)
{
	char all[200] = "";
	size_t n = 0;

	for (int i = 0; o->words[i]; i++) {
		if (strcmp(o->words[i], text) == 0) {
			*(int *)field(c, o) = i;
			return 0;
		}
		if (n < sizeof(all))
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
			    i ? ", " : "", o->words[i]);
	}
	return err_set(e, -EINVAL, "\"%.60s\" is not one of: %s", text, all);
}

/* text as an absolute path; NULL with the reason in *rc. */
static char *
absolute(const char *text, int *rc)
{
	struct strbuf path = STRBUF_INIT;
	char cwd[PATH_MAX];
	char *s;

	if (text[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd))) {
			*rc = -errno;
			return NULL;
		}
		strbuf_printf(&path, "%s/", strcmp(cwd, "/") ? cwd : "");
	}
	strbuf_puts(&path, text);
	s = strbuf_take(&path);
	*rc = s ? 0 : -ENOMEM;
	return s;
}

static int
set_string(const struct conf *c, const struct conf_opt *o, const char *text,
    struct err *e)
{
	char **at = field(c, o);
	int rc = -ENOMEM;
	char *s;

	if (o->type == CONF_STRING) {
		s = strdup(text);
	} else if (!*text) {
		return err_set(e, -EINVAL, "\"\" is not a path");
	} else {
		s = absolute(text, &rc);
	}
	if (!s)
		return err_errno(e, rc, "\"%.60s\"", text);
	free(*at);
	*at = s;
	return 0;
}

static int
set_value(
    struct conf *c, const struct conf_opt *o, const char *text, struct err *e)
{
	switch (o->type) {
	case CONF_FLAG:
		return set_flag(c, o, text, e);
	case CONF_UINT:
	case CONF_SIZE:
	case CONF_DURATION:
		return set_number(c, o, text, e);
	case CONF_STRING:
	case CONF_PATH:
		return set_string(c, o, text, e);
	case CONF_ENUM:
		return set_enum(c, o, text, e);
	case CONF_OPTIONS:
		return conf_options(c, text, e);
	}
	must(!"conf type");
	return -EINVAL;
}

/* value NULL: none was given. */
static int
set_row(struct conf *c, const struct conf_opt *o, const struct written *w,
    const char *value, struct err *e)
{
	size_t i = (size_t)(o - c->opts);
	int rc;

	if (needs_value(o) && !value && !(o->flags & CONF_UNUSED)) {
		struct strbuf arg = STRBUF_INIT;

		conf_put_arg(o, &arg);
		rc = err_set(e, -EINVAL, WRITTEN " needs a value: %s",
		    WRITTEN_ARGS(w), strbuf_text(&arg));
		strbuf_fini(&arg);
		return rc;
	}
	must(i < CONF_OPTS_MAX);
	if (o->flags & CONF_UNUSED) {
		if (o->help)
			log_warn(WRITTEN " has no effect: %s", WRITTEN_ARGS(w),
			    o->help);
	} else {
		rc = set_value(c, o, value, e);
		/* Sentences about "-o a,b" name the option in it already. */
		if (rc < 0 && o->type == CONF_OPTIONS)
			return rc;
		if (rc < 0)
			return err_wrap(e, rc, WRITTEN, WRITTEN_ARGS(w));
	}
	c->given[i / 64] |= (uint64_t)1 << i % 64;
	return 0;
}

/* --- life -------------------------------------------------------------------
 */

int
conf_init(
    struct conf *c, const struct conf_opt *opts, void *settings, struct err *e)
{
	*c = (struct conf){.opts = opts, .settings = settings};
	for (const struct conf_opt *o = opts; o->name; o++) {
		int rc;

		must(o - opts < CONF_OPTS_MAX);
		if (!o->def || o->flags & CONF_UNUSED)
			continue;
		rc = set_value(c, o, o->def, e);
		must(rc == 0 || rc == -ENOMEM); /* the table is ours */
		if (rc < 0)
			return err_wrap(e, rc, "default of --%s", o->name);
	}
	return 0;
}

void
conf_fini(struct conf *c)
{
	for (const struct conf_opt *o = c->opts; o && o->name; o++) {
		char **at = field(c, o);

		if (!is_string(o))
			continue;
		free(*at);
		*at = NULL;
	}
}

/* --- ways in ----------------------------------------------------------------
 */

int
conf_set(struct conf *c, const char *name, const char *value, struct err *e)
{
	struct written w = {"", name, (int)strnlen(name, INT_MAX)};
	const struct conf_opt *o = find_name(c->opts, name, strlen(name));

	if (!o)
		return unknown(c, &w, e);
	return set_row(c, o, &w, value, e);
}

/* One piece of -o: "name" or "name=value"; changed while it is looked at. */
static int
set_piece(struct conf *c, char *piece, struct err *e)
{
	char *eq = strchr(piece, '=');
	size_t n = eq ? (size_t)(eq - piece) : strlen(piece);
	struct written w = {"-o ", piece, (int)n};
	const struct conf_opt *o = find_name(c->opts, piece, n);

	if (!o)
		return unknown(c, &w, e);
	if (o->type == CONF_OPTIONS) /* it might not end */
		return err_set(e, -EINVAL, WRITTEN " cannot stand within -o",
		    WRITTEN_ARGS(&w));
	return set_row(c, o, &w, eq ? eq + 1 : NULL, e);
}

int
conf_options(struct conf *c, const char *text, struct err *e)
{
	char *copy, *to;
	int rc = 0;

	if (strlen(text) >= INT_MAX)
		return err_set(e, -EINVAL, "-o: too long");
	copy = strdup(text);
	if (!copy)
		return err_set(e, -ENOMEM, "-o: no memory");
	to = copy;
	for (const char *p = text;; p++) {
		if (*p == '\\' && (p[1] == ',' || p[1] == '\\')) {
			*to++ = *++p;
			continue;
		}
		if (*p && *p != ',') {
			*to++ = *p;
			continue;
		}
		*to = '\0';
		if (to > copy)
			rc = set_piece(c, copy, e);
		if (rc < 0 || !*p)
			break;
		to = copy;
	}
	free(copy);
	return rc;
}

/* Where conf_args is. */
struct args {
	int argc, next, noperands;
	char **argv;
};

static const char *
take_arg(struct args *a)
{
	return a->next < a->argc ? a->argv[a->next++] : NULL;
}

static int
long_option(struct conf *c, struct args *a, const char *text, struct err *e)
{
	const char *name = text + 2, *value = NULL;
	size_t n = strcspn(name, "=");
	struct written w = {"--", name, n < INT_MAX ? (int)n : INT_MAX};
	const struct conf_opt *o = find_name(c->opts, name, n);

	if (!o)
		return unknown(c, &w, e);
	if (name[n] == '=')
		value = name + n + 1;
	else if (needs_value(o))
		value = take_arg(a);
	return set_row(c, o, &w, value, e);
}

/* -f, -fd, -s1T, -s 1T */
static int
letters(struct conf *c, struct args *a, const char *text, struct err *e)
{
	for (const char *p = text + 1; *p; p++) {
		struct written w = {"-", p, 1};
		const struct conf_opt *o = find_letter(c->opts, *p);
		const char *value = NULL;
		int rc;

		if (!o) {
			/* "-block-size" is a long one with a dash missing. */
			if (p == text + 1)
				w.len = (int)strcspn(p, "=");
			return unknown(c, &w, e);
		}
		if (needs_value(o))
			value = p[1] ? p + 1 : take_arg(a);
		rc = set_row(c, o, &w, value, e);
		if (rc < 0 || needs_value(o))
			return rc;
	}
	return 0;
}

int
conf_args(struct conf *c, int argc, char **argv, struct err *e)
{
	struct args a = {.argc = argc, .next = 1, .argv = argv};
	bool options = true;
	int rc = 0;

	while (rc == 0 && a.next < argc) {
		char *text = argv[a.next++];

		if (!options || text[0] != '-' || !text[1])
			argv[1 + a.noperands++] = text;
		else if (strcmp(text, "--") == 0)
			options = false;
		else if (text[1] == '-')
			rc = long_option(c, &a, text, e);
		else
			rc = letters(c, &a, text, e);
	}
	return rc < 0 ? rc : a.noperands;
}

bool
conf_given(const struct conf *c, const void *at)
{
	for (size_t i = 0; c->opts[i].name; i++)
		if (field(c, &c->opts[i]) == at &&
		    !(c->opts[i].flags & CONF_UNUSED) &&
		    c->opts[i].type != CONF_OPTIONS &&
		    c->given[i / 64] >> i % 64 & 1)
			return true;
	return false;
}

const char *
conf_word(const struct conf_opt *opts, const char *name, int value)
{
	const struct conf_opt *o = find_name(opts, name, strlen(name));

	must(o && o->type == CONF_ENUM);
	for (int i = 0; o->words[i]; i++)
		if (i == value)
			return o->words[i];
	return "?";
}
