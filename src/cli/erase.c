/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail erase: delete a volume.  Somebody has to type its URL once more, or
 * --force.  A volume with a lease is refused whatever is given: 'pail unlock'
 * is the place to say that its holder is gone.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/tool.h"
#include "layout/admin.h"
#include "store/store.h"

struct erase {
	struct tool tool;
	struct tool_place place;
	struct progress bar;
	uint64_t blocks; /* deleted */
};

static const struct conf_opt own[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Erase",
	.help = "do not ask"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "erase",
    .operands = "URL",
    .about = "Delete a volume: all its blocks, its descriptor, its lease.\n"
	     "There is no way back.  What was stopped can be done again.",
    .examples = "  pail erase s3://my-bucket/old-disk\n"
		"  pail erase s3://my-bucket/old-disk --force --quiet\n",
    .own = own,
    .groups = SETTINGS_STORE,
    .json = true,
    .nmin = 1,
    .nmax = 1,
};

/* 0: go on; CLI_REFUSED, said. */
static int
ask(struct erase *c)
{
	struct tool *t = &c->tool;
	const char *url = c->place.url.text;
	struct volume_facts f;
	char question[PROMPT_MAX], answer[PROMPT_MAX], size[FORMAT_MAX];
	int rc = layout_inspect(
	    c->place.store, c->place.url.prefix, &f, &t->err);

	/* A descriptor that is damaged is no reason to keep it. */
	if (rc < 0 && rc != -EBADMSG && rc != -EPROTONOSUPPORT)
		return rc;
	if (t->force)
		return 0;
	snprintf(question, sizeof(question),
	    "All data of %.300s%s%s will be deleted.\n"
	    "Type the URL once more to do that: ", url,
	    rc == 0 && f.size > 0 ? ", a volume of " : "",
	    rc == 0 && f.size > 0 ? format_size(size, f.size) : "");
	rc = prompt_line(question, "--force", answer, &t->err);
	if (rc == -EINTR)
		return rc;
	if (rc == 0 && strcmp(answer, url) == 0)
		return 0;
	fprintf(stderr, "pail erase: %s; nothing was deleted\n",
	    rc < 0 ? err_text(&t->err) : "that is another URL");
	return CLI_REFUSED;
}

static void
moved(void *arg, uint64_t done, uint64_t total)
{
	struct erase *c = arg;

	c->blocks = done;
	progress_set(&c->bar, done, total);
}

static int
tell(struct erase *c, double seconds)
{
	char n[FORMAT_MAX], time[FORMAT_MAX];

	if (c->tool.json)
		return tool_print_json(
		    json_pack("{s:s, s:I, s:f}", "url", c->place.url.text,
			"blocks_deleted", (json_int_t)c->blocks, "seconds",
			seconds),
		    stdout, &c->tool.err);
	if (!c->tool.set.quiet)
		printf("%s: gone, %s blocks in %s\n", c->place.url.text,
		    format_count(n, c->blocks),
		    format_duration(
			time, (int64_t)(seconds * (double)NS_PER_S)));
	return 0;
}

static int
erase_volume(struct erase *c)
{
	struct tool *t = &c->tool;
	double seconds;
	int rc = ask(c);

	if (rc != 0)
		return rc;
	progress_start(&c->bar, progress_stderr(t->set.quiet), "Erasing",
	    "blocks", 0, 0);
	rc = layout_erase_volume(c->place.store, c->place.url.prefix, false,
	    moved, c, &t->err);
	seconds = progress_elapsed(&c->bar);
	progress_end(&c->bar);
	return rc < 0 ? rc : tell(c, seconds);
}

static int
run(int argc, char **argv)
{
	struct erase c = {0};
	struct tool *t = &c.tool;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("the same command goes on with what is left");
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &c.place, argv[1], TOOL_WRITES, &t->err);
	if (rc == 0)
		rc = erase_volume(&c);
	rc = tool_place_close(&c.place, rc, &t->err);
	return tool_end(t, rc);
}

const struct verb verb_erase = {
    .name = "erase",
    .summary = "delete a volume",
    .run = run,
};
