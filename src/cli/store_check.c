/* SPDX-License-Identifier: Apache-2.0 */
/* pail store check: verify every structure of a pool, change nothing. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/parse.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/store.h"
#include "cli/table.h"
#include "cli/tool.h"
#include "raw/check.h"
#include "raw/format.h"
#include "raw/pool.h"

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "store check",
    .operands = "PATH...",
    .about =
	"Verify every structure of a store that is not mounted: each copy of\n"
	"the superblocks, the log, the index, that no two objects share a\n"
	"place, and every fragment of every object. Changes nothing. Exit\n"
	"status 3: something is damaged, lost or missing.",
    .examples = "  pail store check /srv/pail.img\n"
		"  pail store check /dev/sdb /dev/sdc /dev/sdd --json\n",
    .own = own,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

struct checking {
	struct tool tool;
	struct progress bar;
	struct pool_status status;
	struct check_result result;
	bool clean;
};

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	progress_set(&((struct checking *)arg)->bar, done, total);
}

static void
lost(void *arg, const char *key, const struct err *why)
{
	progress_erase();
	fprintf(stderr, "pail store check: %s: %s\n", key, err_text(why));
}

/* --- telling ------------------------------------------------------------------ */

static int
tell_json(struct checking *k)
{
	const struct check_result *r = &k->result;
	json_t *members = json_array();

	for (unsigned c = 0; c < k->status.k + k->status.m; c++) {
		const struct check_member *m = &r->member[c];

		json_array_append_new(members,
		    json_pack("{s:i, s:s, s:i, s:i, s:I, s:I}", "column",
			(int)c, "path", k->status.member[c].path,
			"superblocks_damaged", (int)m->copies_damaged,
			"superblocks_old", (int)m->copies_old,
			"fragments_damaged", (json_int_t)m->fragments_damaged,
			"fragments_unreadable",
			(json_int_t)m->fragments_unreadable));
	}
	return tool_print_json(
	    json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o}",
		"name", k->status.name, "clean", (int)k->clean, "objects",
		(json_int_t)r->objects, "bytes", (json_int_t)r->bytes,
		"index_pages", (json_int_t)r->pages, "commits_replayed",
		(json_int_t)r->replayed, "commits_torn",
		(json_int_t)r->dropped, "objects_lost", (json_int_t)r->lost,
		"members_missing", (int)r->missing, "members", members),
	    stdout, &k->tool.err);
}

static void
tell_member(struct table *t, unsigned c, const struct check_member *m,
    const char *path)
{
	if (path[0] == '\0') {
		table_cellf(t, "%u", c);
		for (int i = 0; i < 3; i++)
			table_cell(t, "-");
		table_cell(t, "missing");
		return;
	}
	table_cellf(t, "%u", c);
	table_cellf(t, "%u of %u%s", RAW_NCOPIES - m->copies_damaged,
	    RAW_NCOPIES, m->copies_old ? ", some old" : "");
	table_cellf(t, "%llu", (unsigned long long)m->fragments_damaged);
	table_cellf(t, "%llu", (unsigned long long)m->fragments_unreadable);
	table_cell(t, path);
}

static int
tell_table(struct checking *k)
{
	static const char *const heads[] = {">COLUMN", "SUPERBLOCKS",
	    ">DAMAGED", ">UNREADABLE", "DEVICE", NULL};
	const struct check_result *r = &k->result;
	char n[FORMAT_MAX], size[FORMAT_MAX], pages[FORMAT_MAX];
	struct table t;
	int rc;

	table_init(&t, heads);
	for (unsigned c = 0; c < k->status.k + k->status.m; c++)
		tell_member(&t, c, &r->member[c], k->status.member[c].path);
	rc = table_print(&t, stdout);
	table_fini(&t);
	if (rc < 0)
		return err_errno(&k->tool.err, rc, "print the table");
	printf("\n%s objects and %s pages of the index, %s read; %llu commits "
	       "behind the checkpoint\n",
	    format_count(n, r->objects), format_count(pages, r->pages),
	    format_size(size, r->bytes), (unsigned long long)r->replayed);
	if (r->dropped > 0)
		printf("%llu commits were torn by a crash; nobody was told "
		       "that they are durable\n",
		    (unsigned long long)r->dropped);
	if (k->clean)
		printf("clean\n");
	else if (r->lost > 0)
		printf("%llu objects are lost\n",
		    (unsigned long long)r->lost);
	else
		printf("all objects can be read; %s\n",
		    r->missing ? "members are missing"
			       : "'pail store scrub' mends what is damaged");
	return 0;
}

/* --- checking ----------------------------------------------------------------- */

static int
check(struct checking *k, char **paths)
{
	struct scrub_ops ops = {.progress = progress, .lost = lost, .arg = k};
	struct tool *t = &k->tool;
	struct pool *pool;
	struct err e = ERR_INIT;
	int rc = store_pool_open(t, t->noperands, paths, true, &pool);

	if (rc == -EIO)
		err_set(&t->err, rc = -EBADMSG, "%s", err_text(&t->err));
	if (rc < 0)
		return rc;
	progress_start(&k->bar, progress_stderr(t->set.quiet), "Checking",
	    NULL, 0, 0);
	rc = pool_check(pool, &ops, &k->result, &t->err);
	progress_end(&k->bar);
	pool_get_status(pool, &k->status);
	k->clean = check_is_clean(pool, &k->result);
	if (pool_close(pool, &e) < 0 && rc == 0) {
		rc = e.rc;
		t->err = e;
	}
	if (rc == 0)
		rc = t->json ? tell_json(k) : t->set.quiet ? 0 : tell_table(k);
	if (rc == 0 && !k->clean)
		rc = CLI_DAMAGE;
	return rc;
}

int
store_check_run(int argc, char **argv)
{
	struct checking k = {0};
	int rc, status = tool_begin(&k.tool, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("nothing was changed");
	rc = tool_start(&k.tool);
	if (rc == 0)
		rc = check(&k, argv + 1);
	return tool_end(&k.tool, rc);
}
