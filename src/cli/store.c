/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail store: the verbs of raw-device stores, a table as main.c has one.
 */
#include "config.h"

#include "cli/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/suggest.h"
#include "cli/cli.h"
#include "cli/tool.h"
#include "raw/open.h"
#include "raw/pool.h"

static const struct {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} whats[] = {
    {"create", "make a store of devices or image files", store_create_run},
    {"status", "members, space, errors", store_status_run},
    {"scrub", "read everything, mend what is damaged", store_scrub_run},
};
#define NWHATS (sizeof(whats) / sizeof(whats[0]))

static int
help(FILE *f)
{
	fprintf(f,
	    "Usage: pail store WHAT [OPTIONS] PATH...\n"
	    "Stores straight on block devices or image files, for volumes at\n"
	    "raw:PATH,PATH...?volume=NAME\n\n");
	for (size_t i = 0; i < NWHATS; i++)
		fprintf(f, "  %-8s %s\n", whats[i].name, whats[i].summary);
	for (size_t i = 0; i < NWHATS; i++) {
		char name[16], ask[] = "--help", *args[] = {name, ask, NULL};
		int status;

		snprintf(name, sizeof(name), "%s", whats[i].name);
		fputc('\n', f);
		status = whats[i].run(2, args);
		if (status != CLI_OK)
			return status;
	}
	return 0;
}

static int
run(int argc, char **argv)
{
	const char *names[NWHATS + 1] = {NULL}, *near;

	if (argc < 2)
		return cli_usage("store", "say what: create, status, scrub");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help(stdout);
	for (size_t i = 0; i < NWHATS; i++) {
		names[i] = whats[i].name;
		if (strcmp(argv[1], names[i]) == 0)
			return whats[i].run(argc - 1, argv + 1);
	}
	near = suggest_nearest(argv[1], names);
	if (near)
		return cli_usage("store", "'%s' is nothing that it does; did "
					  "you mean '%s'?",
		    argv[1], near);
	return cli_usage("store", "'%s' is nothing that it does", argv[1]);
}

const struct verb verb_store = {
    .name = "store",
    .summary = "make and tend stores on raw devices",
    .run = run,
};

int
store_pool_open(struct tool *t, int n, char **names, bool read_only,
    struct pool **out)
{
	struct pool_open_params op = {.read_only = read_only};
	struct strbuf list = STRBUF_INIT;
	int rc;

	for (int i = 0; i < n; i++) {
		const char *s = names[i];

		if (strncmp(s, "raw:", 4) == 0) {
			/* A URL's paths are a list already. */
			s += 4;
			strbuf_add(&list, s, strcspn(s, "?"));
		} else {
			for (; *s; s++) {
				if (*s == ',')
					strbuf_putc(&list, '\\');
				strbuf_putc(&list, *s);
			}
		}
		if (i + 1 < n)
			strbuf_putc(&list, ',');
	}
	if (list.failed)
		rc = err_set(&t->err, -ENOMEM, "no memory");
	else
		rc = raw_open_paths(t->set.loop, t->set.fileio,
		    strbuf_text(&list), &op, out, &t->err);
	strbuf_fini(&list);
	return rc;
}
