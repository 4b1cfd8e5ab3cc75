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

#include "base/clock.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/text.h"
#include "cli/tool.h"

struct create {
	struct tool tool;
	bool descriptor;
};

static const struct conf_opt own[] = {
    {"descriptor", 0, CONF_FLAG, CONF_AT(struct create, descriptor),
	.def = "yes", .group = "Volume",
	.help = "keep the volume's description in an object of pail's; "
		"s3backer does not mind it"},
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

/* There is one: say which.  Its own faults are not of interest here. */
static int
say_what_is_there(struct tool *t, struct tool_place *p)
{
	struct describe d;
	struct err ignored = ERR_INIT;
	char size[FORMAT_MAX], bs[FORMAT_MAX], time[TEXT_TIME_MAX];

	if (describe_look(&d, p->store, &p->url, &ignored) < 0)
		return -EEXIST;
	return err_set(&t->err, -EEXIST,
	    "%s: there is a volume already, of %s in blocks of %s, created %s%s"
	    "%s; 'pail erase' deletes it, another prefix is a place for "
	    "another", p->url.text, format_size(size, d.facts.size),
	    format_size(bs, d.facts.block_size),
	    text_time(time, d.facts.created_s * NS_PER_S),
	    d.facts.mounted ? ", mounted " : "", d.facts.mounted_by);
}

static int
print(struct create *c, struct tool_place *p)
{
	struct tool *t = &c->tool;
	struct describe d;
	char size[FORMAT_MAX], bs[FORMAT_MAX];
	char encoding[DESCRIBE_ENCODING_MAX];
	int rc = describe_look(&d, p->store, &p->url, &t->err);

	if (rc < 0)
		return err_wrap(&t->err, rc, "made, but not found again");
	if (t->json)
		return tool_print_json(
		    describe_json(&d, p->url.text), stdout, &t->err);
	if (!t->set.quiet)
		printf("%s: a volume of %s in blocks of %s, encoding %s\n",
		    p->url.text, format_size(size, d.facts.size),
		    format_size(bs, d.facts.block_size),
		    describe_encoding(encoding, &d.facts));
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
	t->new_password = true;
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &p, argv[1], TOOL_CREATES, &t->err);
	if (rc == 0) {
		lp->create = lp->must_create = true;
		lp->plain_s3backer = !c.descriptor;
		lp->survey = false;
		lp->lease = LEASE_NONE;
		rc = tool_layout(t, &p, lp, NULL, &t->err);
	}
	if (rc == -EEXIST)
		rc = say_what_is_there(t, &p);
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
