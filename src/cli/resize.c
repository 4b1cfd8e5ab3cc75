/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail resize: grow a volume, or shrink it.  The blocks behind a smaller end
 * are deleted, which wants --force if there are any; what a file system
 * thinks of it is said afterwards.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tool.h"
#include "layout/admin.h"
#include "layout/layout.h"
#include "store/store.h"

struct resize {
	struct tool tool;
	struct tool_place place;
	uint64_t size, old_size;
	struct progress bar;
};

static const struct conf_opt own[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Resize",
	.help = "delete the blocks behind the new end"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "resize",
    .operands = "URL SIZE",
    .about = "Give a volume another size.  It must not be mounted.  A file\n"
	     "system on it is not changed: shrink it before, grow it after.",
    .examples = "  pail resize s3://my-bucket/disk 2T\n"
		"  pail resize s3://my-bucket/disk 100G --force\n",
    .own = own,
    .groups = SETTINGS_STORE | SETTINGS_OPEN,
    .nmin = 2,
    .nmax = 2,
};

static void
moved(void *arg, uint64_t done, uint64_t total)
{
	progress_set(&((struct resize *)arg)->bar, done, total);
}

/* 0; CLI_REFUSED, said. */
static int
may_shrink(struct resize *r)
{
	const struct layout_info *i = layout_info(r->place.layout);
	uint64_t first = r->size / i->block_size, n = 0;
	char size[FORMAT_MAX], count[FORMAT_MAX];

	if (r->size >= i->size || r->tool.force)
		return 0;
	for (uint64_t b = first;
	     (b = layout_next_present(r->place.layout, b)) < i->nblocks; b++)
		n++;
	if (n == 0)
		return 0;
	fprintf(stderr,
	    "pail resize: %s blocks of %s lie behind %s and would be deleted; "
	    "shrink the file system first, then give --force\n",
	    format_count(count, n), r->place.url.text,
	    format_size(size, r->size));
	return CLI_REFUSED;
}

static void
tell(const struct resize *r)
{
	char from[FORMAT_MAX], to[FORMAT_MAX];

	if (r->tool.set.quiet)
		return;
	printf("%s: %s, was %s\n", r->place.url.text,
	    format_size(to, r->size), format_size(from, r->old_size));
	if (r->size > r->old_size)
		printf("A file system on it may grow now: resize2fs, "
		       "xfs_growfs, btrfs filesystem resize.\n");
}

static int
resize_volume(struct resize *r)
{
	struct tool *t = &r->tool;
	struct layout_params *lp = &t->set.volume.layout;
	int rc;

	lp->survey = true;
	lp->lease = LEASE_WRITER;
	rc = tool_layout(t, &r->place, lp, "Listing", &t->err);
	if (rc < 0)
		return rc;
	r->old_size = layout_info(r->place.layout)->size;
	rc = geometry_check(
	    r->size, layout_info(r->place.layout)->block_size, &t->err);
	if (rc < 0)
		return err_wrap(&t->err, rc, "%s", r->place.url.text);
	rc = may_shrink(r);
	if (rc != 0)
		return rc;
	progress_start(&r->bar, progress_stderr(t->set.quiet), "Erasing",
	    "blocks", 0, 0);
	rc = layout_resize(r->place.layout, r->size, moved, r, &t->err);
	progress_end(&r->bar);
	if (rc == 0)
		tell(r);
	return rc;
}

static int
run(int argc, char **argv)
{
	struct resize r = {0};
	struct tool *t = &r.tool;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	if (parse_size(argv[2], &r.size, &t->err) < 0)
		return tool_usage_error(t, "SIZE: %s", err_text(&t->err));
	if (r.size == 0)
		return tool_usage_error(
		    t, "SIZE: \"%s\": to delete a volume there is pail erase",
		    argv[2]);
	interrupt_install("the same command goes on");
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &r.place, argv[1], TOOL_WRITES, &t->err);
	if (rc == 0)
		rc = resize_volume(&r);
	rc = tool_place_close(&r.place, rc, &t->err);
	return tool_end(t, rc);
}

const struct verb verb_resize = {
    .name = "resize",
    .summary = "give a volume another size",
    .run = run,
};
