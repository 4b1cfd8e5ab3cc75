/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail create: make a volume where there is none.
 *
 * Layout does it in one put-if-absent, so two who create at once do not both
 * succeed, and a creation that fails leaves nothing.  When there is a volume
 * already, its size is looked up for the sentence; nothing is written.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "cli/cli.h"
#include "cli/prompt.h"
#include "cli/tool.h"

struct create {
	struct tool tool;
	bool plain;
};

static const struct conf_opt own[] = {
    {"plain-s3backer", 0, CONF_FLAG, CONF_AT(struct create, plain),
	.group = "Volume",
	.help = "write nothing that s3backer would not write"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "create",
    .operands = "URL --size SIZE",
    .about = "Make a volume in a bucket or directory.  A new volume reads as\n"
	     "zeros and costs nothing but its descriptor.",
    .examples =
	"  pail create s3://my-bucket/disk --size 1T\n"
	"  pail create s3://my-bucket/safe --size 100G --compress zstd \\\n"
	"      --encrypt AES-256-CBC --password-file /etc/pail/safe.password\n"
	"  pail create dir:/srv/volumes/test --size 1G --block-size 64K\n",
    .own = own,
    .groups = SETTINGS_STORE | SETTINGS_OPEN | SETTINGS_CREATE,
    .json = true,
    .nmin = 1,
    .nmax = 1,
};

/* A new password is asked for twice: a mistake would be for ever. */
static int
new_password(struct tool *t)
{
	struct settings *s = &t->set;

	if (s->password_file != NULL || (s->cipher == NULL && !s->ask_password))
		return 0;
	return prompt_password("New password: ", true, "--password-file FILE",
	    s->password, &t->err);
}

static int
print(const struct create *c, const struct tool_place *p)
{
	const struct layout_info *i = layout_info(p->layout);
	char size[FORMAT_MAX], bs[FORMAT_MAX];

	if (c->tool.json)
		return tool_print_json(
		    json_pack("{s:s, s:I, s:I, s:I}", "url", p->url.text,
			"size", (json_int_t)i->size, "block_size",
			(json_int_t)i->block_size, "blocks",
			(json_int_t)i->nblocks),
		    stdout, NULL);
	if (!c->tool.set.quiet)
		printf("%s: a volume of %s in blocks of %s\n", p->url.text,
		    format_size(size, i->size),
		    format_size(bs, i->block_size));
	return 0;
}

static int
run(int argc, char **argv)
{
	struct create c = {0};
	struct tool *t = &c.tool;
	struct tool_place p = {0};
	struct layout_params *lp = &t->set.volume.layout;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	if (t->set.size == 0)
		return tool_usage_error(t, "--size is missing: how large is "
					   "%s to be?", argv[1]);
	rc = new_password(t);
	if (rc == 0)
		rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &p, argv[1], true, &t->err);
	if (rc == 0) {
		lp->create = lp->must_create = true;
		lp->plain_s3backer = c.plain;
		lp->survey = false;
		lp->lease = LEASE_NONE;
		rc = tool_layout(t, &p, lp, NULL, &t->err);
	}
	if (rc == 0)
		rc = print(&c, &p);
	rc = tool_place_close(&p, rc, &t->err);
	return tool_end(t, rc);
}

const struct verb verb_create = {
    .name = "create",
    .summary = "make a volume",
    .run = run,
};
