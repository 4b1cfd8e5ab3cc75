/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail check: read and verify every block.  Damaged ones are printed as they
 * are found, and collected for --json.  Nothing is written and no lease is
 * taken, so a volume in use can be checked as well.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/stat.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tool.h"
#include "layout/admin.h"
#include "layout/layout.h"
#include "layout/s3b_name.h"
#include "store/store.h"

struct check {
	struct tool tool;
	uint64_t jobs;

	struct tool_place place;
	bool hashed;
	struct progress bar;
	json_t *damaged; /* array; NULL: not asked for */
	int rc;
	double seconds;
};

static const struct conf_opt own[] = {
    {"jobs", 'j', CONF_UINT, CONF_AT(struct check, jobs), .min = 1,
	.max = 1024, .group = "Check",
	.help = "read so many blocks at a time (64)"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "check",
    .operands = "URL",
    .about = "Read every block of a volume and verify it.  Nothing is\n"
	     "written.  The exit status is 3 if there is damage.",
    .examples =
	"  pail check s3://my-bucket/disk\n"
	"  pail check s3://my-bucket/disk --json | jq -r '.damaged[].key'\n",
    .own = own,
    .groups = SETTINGS_STORE | SETTINGS_OPEN,
    .json = true,
    .nmin = 1,
    .nmax = 1,
};

static void
damaged(void *arg, uint64_t block, const struct err *e)
{
	struct check *c = arg;
	char key[STORE_KEY_MAX + 1];

	s3b_name_block(key, c->place.url.prefix, c->hashed, (uint32_t)block);
	if (c->damaged != NULL) {
		json_t *one = json_pack("{s:I, s:s, s:s}", "block",
		    (json_int_t)block, "key", key, "reason", err_text(e));

		if (json_array_append_new(c->damaged, one) != 0)
			c->rc = -ENOMEM;
		return;
	}
	progress_erase();
	printf("block %" PRIu64 " (%s): %s\n", block, key, err_text(e));
	fflush(stdout);
}

static void
moved(void *arg, uint64_t done, uint64_t total)
{
	progress_set(&((struct check *)arg)->bar, done, total);
}

static int
print_json(struct check *c, const struct layout_check_result *r)
{
	return tool_print_json(
	    json_pack("{s:s, s:I, s:I, s:I, s:f, s:O}", "url",
		c->place.url.text, "blocks_checked", (json_int_t)r->blocks,
		"objects_beyond_end", (json_int_t)r->beyond, "bytes_read",
		(json_int_t)stat_get(c->place.stats, STAT_STORE_READ_BYTES),
		"seconds", c->seconds, "damaged", c->damaged),
	    stdout, &c->tool.err);
}

static int
tell(struct check *c, const struct layout_check_result *r)
{
	char n[FORMAT_MAX], bad[FORMAT_MAX], time[FORMAT_MAX];

	if (c->damaged != NULL)
		return print_json(c, r);
	if (r->beyond > 0)
		printf("%s objects are behind the end of the volume\n",
		    format_count(n, r->beyond));
	if (!c->tool.set.quiet || r->damaged > 0)
		printf("%s: %s blocks checked in %s, %s damaged\n",
		    c->place.url.text, format_count(n, r->blocks),
		    format_duration(
			time, (int64_t)(c->seconds * (double)NS_PER_S)),
		    r->damaged > 0 ? format_count(bad, r->damaged) : "none");
	return 0;
}

static int
check_volume(struct check *c)
{
	struct tool *t = &c->tool;
	struct layout_params *lp = &t->set.volume.layout;
	struct layout_check_result result = {0};
	struct volume_facts facts;
	int rc = layout_inspect(
	    c->place.store, c->place.url.prefix, &facts, &t->err);

	if (rc < 0)
		return rc;
	c->hashed = facts.hashed;
	lp->survey = true;
	lp->lease = LEASE_NONE;
	rc = tool_layout(t, &c->place, lp, "Listing", &t->err);
	if (rc < 0)
		return rc;
	if (t->json && (c->damaged = json_array()) == NULL)
		return err_set(&t->err, -ENOMEM, "no memory");
	progress_start(&c->bar, progress_stderr(t->set.quiet), "Checking",
	    "blocks", 0, 0);
	rc = layout_check(c->place.layout, (unsigned)c->jobs, damaged, moved,
	    c, &result, &t->err);
	c->seconds = progress_elapsed(&c->bar);
	progress_end(&c->bar);
	if (rc == 0 && c->rc < 0)
		rc = err_set(&t->err, c->rc, "no memory");
	if (rc == 0)
		rc = tell(c, &result);
	return rc == 0 && result.damaged > 0 ? CLI_DAMAGE : rc;
}

static int
run(int argc, char **argv)
{
	struct check c = {0};
	struct tool *t = &c.tool;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("nothing was changed; a check begins anew");
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &c.place, argv[1], TOOL_READS, &t->err);
	if (rc == 0)
		rc = check_volume(&c);
	json_decref(c.damaged);
	rc = tool_place_close(&c.place, rc, &t->err);
	/* A descriptor that is damaged means that nothing was checked. */
	status = tool_end(t, rc);
	return rc < 0 && status == CLI_DAMAGE ? CLI_FAILED : status;
}

const struct verb verb_check = {
    .name = "check",
    .summary = "read and verify every block",
    .run = run,
};
