/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail list: the volumes of a bucket or directory.  A descriptor that cannot
 * be read does not hide the other volumes: it is told, and the exit status is
 * that of damage.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/tool.h"

struct list_verb {
	struct tool tool;
	struct tool_place place;
	struct progress bar;
	struct table table;
	json_t *json; /* array; NULL: not asked for */
	unsigned found, broken;
	int rc;
};

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "list",
    .operands = "URL",
    .about = "List the volumes of a bucket or directory, or those under a\n"
	     "prefix of it.",
    .examples = "  pail list s3://my-bucket\n"
		"  pail list dir:/srv/volumes\n"
		"  pail list s3://my-bucket --json | jq -r '.[].url'\n",
    .own = own,
    .groups = SETTINGS_STORE,
    .json = true,
    .nmin = 1,
    .nmax = 1,
};

static void
found(void *arg, const char *prefix, const struct volume_facts *f)
{
	struct list_verb *l = arg;
	struct describe d = {.facts = *f};
	char *url = describe_url(&l->place.url, prefix);
	char a[FORMAT_MAX], encoding[DESCRIBE_ENCODING_MAX];
	char time[TEXT_TIME_MAX];

	l->found++;
	if (url == NULL)
		l->rc = -ENOMEM;
	else if (l->json != NULL) {
		if (json_array_append_new(l->json, describe_json(&d, url)) != 0)
			l->rc = -ENOMEM;
	} else {
		table_cell(&l->table, url);
		table_cell(&l->table, format_size(a, f->size));
		table_cell(&l->table, format_size(a, f->block_size));
		table_cell(&l->table, describe_encoding(encoding, f));
		table_cell(&l->table, text_time(time, f->created_s * NS_PER_S));
		table_cellf(&l->table, "%s%s", f->mounted ? f->mounted_by : "-",
		    f->mounted_gone ? ", which is gone" : "");
	}
	free(url);
}

static void
broken(void *arg, const char *prefix, const struct err *e)
{
	struct list_verb *l = arg;

	progress_erase();
	fprintf(stderr, "pail list: %s\n", err_text(e));
	l->broken++;
}

static void
moved(void *arg, uint64_t done, uint64_t total)
{
	progress_set(&((struct list_verb *)arg)->bar, done, total);
}

static int
print(struct list_verb *l)
{
	struct tool *t = &l->tool;

	if (l->json != NULL)
		return tool_print_json(
		    json_incref(l->json), stdout, &t->err);
	if (l->found == 0) {
		if (!t->set.quiet)
			fprintf(stderr, "%s: there are no volumes\n",
			    l->place.url.text);
		return 0;
	}
	return table_print(&l->table, stdout);
}

static int
list_volumes(struct list_verb *l)
{
	struct tool *t = &l->tool;
	int rc;

	if (t->json && (l->json = json_array()) == NULL)
		return err_set(&t->err, -ENOMEM, "no memory");
	progress_start(&l->bar, progress_stderr(t->set.quiet), "Listing",
	    "objects", 0, 0);
	rc = layout_list_volumes(l->place.store, l->place.url.prefix, found,
	    broken, moved, l, &t->err);
	progress_end(&l->bar);
	if (rc == 0 && l->rc < 0)
		rc = err_set(&t->err, l->rc, "no memory");
	return rc < 0 ? rc : print(l);
}

static int
run(int argc, char **argv)
{
	static const char *const heads[] = {
	    "VOLUME", ">SIZE", ">BLOCK", "ENCODING", "CREATED", "MOUNTED", NULL};
	struct list_verb l = {0};
	struct tool *t = &l.tool;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("nothing was changed");
	table_init(&l.table, heads);
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &l.place, argv[1], TOOL_READS, &t->err);
	if (rc == 0)
		rc = list_volumes(&l);
	if (rc == 0 && l.broken > 0)
		rc = CLI_DAMAGE;
	json_decref(l.json);
	table_fini(&l.table);
	rc = tool_place_close(&l.place, rc, &t->err);
	return tool_end(t, rc);
}

const struct verb verb_list = {
    .name = "list",
    .summary = "list the volumes of a bucket or directory",
    .run = run,
};
