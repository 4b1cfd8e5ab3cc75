/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail store: the verbs of raw-device stores, a table as main.c has one.
 */
#include "config.h"

#include "cli/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/suggest.h"
#include "cli/cli.h"
#include "cli/tool.h"
#include "raw/open.h"
#include "raw/pool.h"
#include "store/open.h"
#include "store/raw.h"

static const struct {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} whats[] = {
    {"create", "make a store of devices or image files", store_create_run},
    {"status", "members, space, errors", store_status_run},
    {"scrub", "read everything, mend what is damaged", store_scrub_run},
    {"offline", "take a member out", store_offline_run},
    {"online", "bring a member back", store_online_run},
    {"replace", "put a device in a member's place", store_replace_run},
    {"check", "verify every structure, change nothing", store_check_run},
    {"list", "the objects in a store", store_list_run},
    {"get", "read an object", store_get_run},
    {"put", "write an object", store_put_run},
    {"delete", "delete an object", store_delete_run},
    {"erase", "make devices members of nothing", store_erase_run},
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
	fprintf(f,
	    "\n'pail store WHAT --help' tells more of each, 'man pail-store' "
	    "all of it.\n"
	    "\nExamples:\n"
	    "  pail store create --size 20G /srv/pail.img\n"
	    "  pail mount --size 100G 'raw:/srv/pail.img?volume=disk' /mnt/disk\n"
	    "  pail store status /mnt/disk\n");
	return 0;
}

static int
run(int argc, char **argv)
{
	const char *names[NWHATS + 1] = {NULL}, *near;

	if (argc < 2)
		return cli_usage("store", "say what: create, status, scrub, "
					  "offline, online, replace, check, "
					  "list, get, put, delete or erase");
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

/* A path as an item of a list. */
static void
add_path(struct strbuf *list, const char *s)
{
	if (list->len > 0)
		strbuf_putc(list, ',');
	for (; *s; s++) {
		if (*s == ',')
			strbuf_putc(list, '\\');
		strbuf_putc(list, *s);
	}
}

/* prefix: of the last URL that names a volume; or NULL.  op: what URLs say of
 * opening; or NULL. */
static int
collect(struct tool *t, int n, char **names, struct strbuf *list,
    char **prefix, struct pool_open_params *op)
{
	for (int i = 0; i < n; i++) {
		struct url u;
		int rc = 0;

		if (strncmp(names[i], "raw:", 4) != 0) {
			add_path(list, names[i]);
			continue;
		}
		rc = tool_url(t, &u, names[i], &t->err);
		if (rc < 0)
			return rc;
		if (list->len > 0)
			strbuf_putc(list, ',');
		strbuf_puts(list, u.path); /* is a list already */
		if (op)
			rc = raw_store_params(&u, op, &t->err);
		if (prefix) {
			free(*prefix);
			*prefix = u.prefix;
			u.prefix = NULL;
		}
		url_fini(&u);
		if (rc < 0)
			return rc;
	}
	return list->failed ? err_set(&t->err, -ENOMEM, "no memory") : 0;
}

int
store_list_of(struct tool *t, int n, char **names, struct strbuf *list)
{
	return collect(t, n, names, list, NULL, NULL);
}

int
store_pool_open(struct tool *t, int n, char **names, bool read_only,
    struct pool **out)
{
	struct pool_open_params op = {.read_only = read_only};
	struct strbuf list = STRBUF_INIT;
	int rc = collect(t, n, names, &list, NULL, &op);

	if (rc == 0)
		rc = raw_open_paths(t->set.loop, t->set.fileio,
		    strbuf_text(&list), &op, out, &t->err);
	strbuf_fini(&list);
	return rc;
}

/* What would mean something in a URL is written %XX. */
static void
add_encoded(struct strbuf *b, const char *s)
{
	for (; *s; s++) {
		if (strchr("%?&#", *s))
			strbuf_printf(b, "%%%02X", (unsigned char)*s);
		else
			strbuf_putc(b, *s);
	}
}

int
store_objects_open(struct tool *t, int n, char **names, bool read_only,
    struct store **out, char **prefix)
{
	struct strbuf list = STRBUF_INIT, text = STRBUF_INIT;
	struct pool_open_params op = {.force_degraded = false};
	struct store_env env = t->set.env;
	struct url u;
	int rc;

	*prefix = strdup("");
	rc = collect(t, n, names, &list, prefix, &op);
	strbuf_puts(&text, "raw:");
	add_encoded(&text, strbuf_text(&list));
	if (op.force_degraded)
		strbuf_puts(&text, "?force-degraded=yes");
	if (rc == 0 && (text.failed || !*prefix))
		rc = err_set(&t->err, -ENOMEM, "no memory");
	if (rc == 0)
		rc = url_parse(&u, strbuf_text(&text), &t->err);
	if (rc == 0) {
		env.read_only = read_only;
		rc = store_open(&env, &u, false, out, &t->err);
		url_fini(&u);
	}
	strbuf_fini(&list);
	strbuf_fini(&text);
	if (rc < 0)
		free(*prefix);
	return rc;
}
