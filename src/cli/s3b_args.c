/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3backer's arguments before its table of flags sees them: files of arguments
 * are read, and flags that take a value or none, which the table cannot say,
 * get the value that they mean.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "cli/s3b_flags.h"

#define NESTED_MAX 100
#define ARGS_MAX 10000

/* --- lists of arguments -------------------------------------------------- */

void
argvec_add(struct argvec *a, const char *arg)
{
	if (a->failed)
		return;
	if (a->n + 1 >= a->cap) {
		int cap = a->cap == 0 ? 32 : 2 * a->cap;
		char **v = realloc(a->v, (size_t)cap * sizeof(*v));

		if (v == NULL) {
			a->failed = true;
			return;
		}
		a->v = v;
		a->cap = cap;
	}
	a->v[a->n] = strdup(arg);
	a->failed = a->v[a->n] == NULL;
	if (!a->failed)
		a->v[++a->n] = NULL;
}

void
argvec_addf(struct argvec *a, const char *fmt, ...)
{
	struct strbuf b = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (b.failed)
		a->failed = true;
	else
		argvec_add(a, strbuf_text(&b));
	strbuf_fini(&b);
}

void
argvec_fini(struct argvec *a)
{
	for (int i = 0; i < a->n; i++) {
		explicit_bzero(a->v[i], strlen(a->v[i]));
		free(a->v[i]);
	}
	free(a->v);
	memset(a, 0, sizeof(*a));
}

/* --- before the table --------------------------------------------------------- */

/* "--compress" and "--encrypt" alone, as a flag or within -o. */
static const char *
with_default(const char *arg)
{
	if (strcmp(arg, "compress") == 0)
		return "compress=deflate";
	if (strcmp(arg, "encrypt") == 0)
		return "encrypt=AES-128-CBC";
	return arg;
}

static void
add_options(struct argvec *a, const char *letter, const char *text)
{
	struct strbuf b = STRBUF_INIT;
	char *copy = strdup(text);
	char *save = NULL;

	strbuf_puts(&b, letter);
	for (char *o = copy != NULL ? strtok_r(copy, ",", &save) : NULL;
	     o != NULL; o = strtok_r(NULL, ",", &save)) {
		if (b.len > strlen(letter))
			strbuf_putc(&b, ',');
		strbuf_puts(&b, with_default(o));
	}
	if (copy == NULL || b.failed)
		a->failed = true;
	else
		argvec_add(a, strbuf_text(&b));
	strbuf_fini(&b);
	free(copy);
}

void
s3b_give_defaults(struct argvec *a, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "-o") == 0 && i + 1 < argc) {
			argvec_add(a, arg);
			add_options(a, "", argv[++i]);
		} else if (strncmp(arg, "-o", 2) == 0 && arg[2] != '\0') {
			add_options(a, "-o", arg + 2);
		} else if (strncmp(arg, "--", 2) == 0) {
			argvec_addf(a, "--%s", with_default(arg + 2));
		} else {
			argvec_add(a, arg);
		}
	}
}

/* --- files of arguments ----------------------------------------------------- */

static int expand(struct argvec *out, int argc, char **argv, unsigned depth,
    struct err *e);

/* The file that an argument names, if it is --configFile; used tells how many
 * arguments it took. */
static const char *
config_file(int argc, char **argv, int *used)
{
	static const char *const names[] = { "--configFile", "-F" };
	const char *arg = argv[0];

	for (unsigned i = 0; i < 2; i++) {
		size_t n = strlen(names[i]);

		if (strncmp(arg, names[i], n) != 0)
			continue;
		*used = 1;
		if (arg[n] == '=')
			return arg + n + 1;
		if (arg[n] != '\0')
			return i == 1 ? arg + n : NULL;
		*used = 2;
		return argc > 1 ? argv[1] : "";
	}
	return NULL;
}

/* One argument a line; empty lines and those that begin with # are skipped. */
static int
read_file(struct argvec *args, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	if (f == NULL)
		return err_errno(e, -errno, "--configFile=%s", path);
	while (rc == 0 && (n = getline(&line, &cap, f)) >= 0) {
		char *s = line + strspn(line, " \t");

		while (n > 0 && strchr(" \t\r\n", line[n - 1]) != NULL)
			line[--n] = '\0';
		if (*s == '\0' || *s == '#')
			continue;
		argvec_add(args, s);
		if (args->n > ARGS_MAX)
			rc = err_set(e, -E2BIG,
			    "--configFile=%s: more than %d arguments", path,
			    ARGS_MAX);
	}
	if (rc == 0 && ferror(f))
		rc = err_errno(e, -errno, "--configFile=%s", path);
	if (rc == 0 && args->failed)
		rc = err_errno(e, -ENOMEM, "--configFile=%s", path);
	free(line);
	fclose(f);
	return rc;
}

static int
include(struct argvec *out, const char *path, unsigned depth, struct err *e)
{
	struct argvec args = { 0 };

	if (depth == NESTED_MAX)
		return err_set(e, -ELOOP,
		    "--configFile=%s: such files name one another, more than "
		    "%d deep", path, NESTED_MAX);
	int rc = read_file(&args, path, e);

	if (rc == 0)
		rc = expand(out, args.n, args.v, depth + 1, e);
	argvec_fini(&args);
	return rc;
}

static int
expand(struct argvec *out, int argc, char **argv, unsigned depth,
    struct err *e)
{
	int rc = 0;

	for (int i = 0; i < argc && rc == 0;) {
		int used = 1;
		const char *path = config_file(argc - i, argv + i, &used);

		if (path != NULL)
			rc = include(out, path, depth, e);
		else
			argvec_add(out, argv[i]);
		if (rc == 0 && out->n > ARGS_MAX)
			rc = err_set(e, -E2BIG, "more than %d arguments",
			    ARGS_MAX);
		i += used;
	}
	if (rc == 0 && out->failed)
		rc = err_errno(e, -ENOMEM, "arguments");
	return rc;
}

int
s3b_expand(struct argvec *out, int argc, char **argv, struct err *e)
{
	int rc = expand(out, argc, argv, 0, e);

	if (rc < 0)
		argvec_fini(out);
	return rc;
}
