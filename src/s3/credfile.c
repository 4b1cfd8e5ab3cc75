/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credfile.c: the texts that keys are kept in; see credfile.h.
 *
 * Both formats are read line by line from memory; a zero byte or a line above
 * LINE_MAX_LEN is refused, since then it is another kind of file.  Fuzzed by
 * tests/fuzz/fuzz_credfile.c.
 */
#include "s3/credfile.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "s3/cred.h"
#include "s3/xml.h"

#define LINE_MAX_LEN 8192

struct line {
	const char *p, *end; /* without blanks around it */
	unsigned number;
	bool indented;
};

struct lines {
	const char *p, *end;
	unsigned number;
};

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(const char **p, const char **end)
{
	while (*p < *end && blank(**p))
		(*p)++;
	while (*end > *p && blank((*end)[-1]))
		(*end)--;
}

/* 1: a line; 0: the end; -EINVAL. */
static int
next_line(struct lines *ls, struct line *l, struct err *e)
{
	const char *nl;

	if (ls->p == ls->end)
		return 0;
	nl = memchr(ls->p, '\n', (size_t)(ls->end - ls->p));
	l->p = ls->p;
	l->end = nl ? nl : ls->end;
	l->number = ++ls->number;
	ls->p = nl ? nl + 1 : ls->end;
	if (l->end - l->p > LINE_MAX_LEN)
		return err_set(e, -EINVAL, "line %u is longer than %d bytes",
		    l->number, LINE_MAX_LEN);
	if (memchr(l->p, '\0', (size_t)(l->end - l->p)))
		return err_set(e, -EINVAL, "line %u has a zero byte in it",
		    l->number);
	l->indented = l->p < l->end && blank(*l->p);
	trim(&l->p, &l->end);
	return 1;
}

static bool
same(const char *p, const char *end, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(end - p) == n && memcmp(p, text, n) == 0;
}

static int
copy(const char *p, const char *end, char **out, struct err *e)
{
	*out = strndup(p, (size_t)(end - p));
	return *out ? 0 : err_errno(e, -ENOMEM, "read keys");
}

/* --- the access file ------------------------------------------------------- */

int
s3_access_file_find(const char *p, size_t n, const char *id, char **out_id,
    char **out_key, struct err *e)
{
	struct lines ls = {p, p + n, 0};
	struct line l;
	int rc;

	while ((rc = next_line(&ls, &l, e)) == 1) {
		const char *colon, *id_end, *key;

		if (l.p == l.end || *l.p == '#')
			continue;
		colon = memchr(l.p, ':', (size_t)(l.end - l.p));
		if (!colon || colon == l.p || colon + 1 == l.end)
			return err_set(e, -EINVAL,
			    "line %u is not of the form ID:KEY", l.number);
		id_end = colon;
		key = colon + 1;
		trim(&l.p, &id_end);
		trim(&key, &l.end);
		if (id && !same(l.p, id_end, id))
			continue;
		rc = copy(l.p, id_end, out_id, e);
		if (rc < 0)
			return rc;
		rc = copy(key, l.end, out_key, e);
		if (rc < 0) {
			free(*out_id);
			*out_id = NULL;
		}
		return rc;
	}
	if (rc < 0)
		return rc;
	if (id)
		return err_set(e, -ENOENT, "it has no line for access id %s",
		    id);
	return err_set(e, -ENOENT, "it has no line ID:KEY");
}

/* --- the AWS files ---------------------------------------------------------- */

/* " # ..." and " ; ..." after a value are comments. */
static const char *
value_end(const char *p, const char *end)
{
	for (const char *q = p; q + 1 < end; q++)
		if (blank(q[0]) && (q[1] == '#' || q[1] == ';'))
			return q;
	return end;
}

static bool
section_is(const struct line *l, const char *section)
{
	const char *p = l->p + 1;
	const char *end = memchr(p, ']', (size_t)(l->end - p));

	if (!end)
		return false;
	trim(&p, &end);
	return same(p, end, section);
}

int
s3_ini_find(const char *p, size_t n, const char *section, const char *name,
    char **out, struct err *e)
{
	struct lines ls = {p, p + n, 0};
	const char *value = NULL, *end = NULL;
	bool inside = false, seen = false;
	struct line l;
	int rc;

	while ((rc = next_line(&ls, &l, e)) == 1) {
		const char *eq, *name_end;

		/* Indented lines belong to the setting above them. */
		if (l.p == l.end || *l.p == '#' || *l.p == ';' || l.indented)
			continue;
		if (*l.p == '[') {
			inside = section_is(&l, section);
			seen |= inside;
			continue;
		}
		if (!inside)
			continue;
		eq = memchr(l.p, '=', (size_t)(l.end - l.p));
		if (!eq)
			return err_set(e, -EINVAL,
			    "line %u is not of the form NAME = VALUE",
			    l.number);
		name_end = eq;
		trim(&l.p, &name_end);
		if (!same(l.p, name_end, name))
			continue;
		value = eq + 1;
		end = value_end(value, l.end);
		trim(&value, &end);
	}
	if (rc < 0)
		return rc;
	if (!seen)
		return err_set(e, -ENODATA, "it has no section [%s]", section);
	if (!value)
		return err_set(e, -ENOENT, "section [%s] has no %s", section,
		    name);
	return copy(value, end, out, e);
}

/* --- JSON -------------------------------------------------------------------- */

static const char *
text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static int
json_keys(const json_t *o, struct s3_cred **out, struct err *e)
{
	const char *id = text_of(o, "AccessKeyId");
	const char *secret = text_of(o, "SecretAccessKey");
	const char *token = text_of(o, "Token");
	const char *expires = text_of(o, "Expiration");
	const char *code = text_of(o, "Code");
	const char *message = text_of(o, "Message");
	int64_t until = 0;

	if (code && strcmp(code, "Success") != 0)
		return err_set(e, -EBADMSG, "it says %.80s: %.200s", code,
		    message ? message : "");
	if (!id || !secret || !*id || !*secret)
		return err_set(e, -EBADMSG,
		    "its JSON has no AccessKeyId and SecretAccessKey");
	if (!token)
		token = text_of(o, "SessionToken");
	if (expires) {
		until = s3_parse_time(expires);
		if (!until)
			return err_set(e, -EBADMSG,
			    "its Expiration \"%.40s\" is not understood",
			    expires);
	}
	*out = s3_cred_new(id, secret, token, until);
	return *out ? 0 : err_errno(e, -ENOMEM, "credentials");
}

int
s3_cred_json(const char *p, size_t n, struct s3_cred **out, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(p, n, 0, &why);
	int rc;

	if (!o) /* not why.text: it may quote a secret */
		return err_set(e, -EBADMSG,
		    "what it sent is not JSON (line %d)", why.line);
	rc = json_keys(o, out, e);
	json_decref(o);
	return rc;
}
