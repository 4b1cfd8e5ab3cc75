/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail info: what a volume is.  Nothing is written, and no password is needed:
 * the blocks are counted by their names.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tool.h"
#include "layout/survey.h"
#include "store/store.h"

struct info {
	struct tool tool;
	bool no_count;
};

static const struct conf_opt own[] = {
    {"no-count", 0, CONF_FLAG, CONF_AT(struct info, no_count),
	.group = "Volume",
	.help = "do not count the blocks: faster for a large volume"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "info",
    .operands = "URL",
    .about = "Say what a volume is: size, encoding, how much of it is used,\n"
	     "and who has it mounted.",
    .examples = "  pail info s3://my-bucket/disk\n"
		"  pail info s3://my-bucket/disk --json | jq .blocks_present\n",
    .own = own,
    .groups = SETTINGS_STORE,
    .json = true,
    .nmin = 1,
    .nmax = 1,
};

/* --- counting --------------------------------------------------------------- */

struct count {
	struct describe *d;
	struct progress bar;
	bool done;
	int rc;
	struct err *err;
};

static int
count_found(void *arg, uint32_t block, const struct store_entry *en)
{
	struct count *c = arg;

	c->d->present++;
	c->d->stored += en->size;
	return 0;
}

static void
count_progress(void *arg, uint64_t keys)
{
	progress_set(&((struct count *)arg)->bar, keys, 0);
}

static void
count_done(void *arg, int rc, const struct err *e)
{
	struct count *c = arg;

	c->rc = rc;
	if (rc < 0)
		err_copy(c->err, e);
	c->done = true;
}

static int
count_blocks(struct tool *t, struct tool_place *p, struct describe *d)
{
	static const struct survey_ops ops = {.found = count_found,
	    .progress = count_progress,
	    .done = count_done};
	struct count c = {.d = d, .err = &t->err};
	int rc;

	progress_start(&c.bar, progress_stderr(t->set.quiet), "Counting",
	    "blocks", 0, 0);
	if (survey_start(p->store, p->url.prefix, d->facts.hashed, 0, &ops,
		&c) == NULL)
		return err_set(&t->err, -ENOMEM, "no memory");
	rc = loop_run_until(t->set.loop, &c.done);
	progress_end(&c.bar);
	if (rc < 0)
		return err_errno(&t->err, rc, "count the blocks");
	d->counted = c.rc == 0;
	return c.rc;
}

static int
run(int argc, char **argv)
{
	struct info i = {0};
	struct tool *t = &i.tool;
	struct tool_place p = {0};
	struct describe d;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("nothing was changed");
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &p, argv[1], TOOL_READS, &t->err);
	if (rc == 0)
		rc = describe_look(&d, p.store, &p.url, &t->err);
	if (rc == 0 && !i.no_count)
		rc = count_blocks(t, &p, &d);
	if (rc == 0 && t->json)
		rc = tool_print_json(
		    describe_json(&d, p.url.text), stdout, &t->err);
	else if (rc == 0)
		rc = describe_print(&d, p.url.text, stdout);
	rc = tool_place_close(&p, rc, &t->err);
	return tool_end(t, rc);
}

const struct verb verb_info = {
    .name = "info",
    .summary = "say what a volume is, and who has it mounted",
    .run = run,
};
