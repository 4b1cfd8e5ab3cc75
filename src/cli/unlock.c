/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail unlock: remove a lease whose holder is gone.  Only a person can know
 * that of another machine, so one is asked.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/prompt.h"
#include "cli/tool.h"
#include "layout/admin.h"
#include "store/store.h"

struct unlock {
	struct tool tool;
	struct tool_place place;
};

static const struct conf_opt own[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Unlock",
	.help = "do not ask"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "unlock",
    .operands = "URL",
    .about = "Remove the lease of a mount that is gone for good.  Be sure\n"
	     "that it is: two that write destroy the file system.",
    .examples = "  pail unlock s3://my-bucket/disk\n"
		"  pail unlock s3://my-bucket/disk --force\n",
    .own = own,
    .groups = SETTINGS_STORE,
    .nmin = 1,
    .nmax = 1,
};

/* 0: remove it; CLI_REFUSED, said. */
static int
ask(struct unlock *u, const struct volume_facts *f)
{
	struct tool *t = &u->tool;
	char question[PROMPT_MAX];
	bool yes;
	int rc;

	if (t->force)
		return 0;
	fprintf(stderr, "%s is mounted %s%s.\n", u->place.url.text,
	    f->mounted_by, f->mounted_gone ? ", which is gone" : "");
	snprintf(question, sizeof(question), "%s [y/N] ",
	    f->mounted_gone
		? "Remove its lease?"
		: "Is that mount gone for good, and its lease to be removed?");
	rc = prompt_yes(question, "--force", &yes, &t->err);
	if (rc == -EINTR)
		return rc;
	if (rc == 0 && yes)
		return 0;
	fprintf(stderr, "pail unlock: %s; the lease stays\n",
	    rc < 0 ? err_text(&t->err) : "not confirmed");
	return CLI_REFUSED;
}

static int
unlock_volume(struct unlock *u)
{
	struct tool *t = &u->tool;
	struct tool_place *p = &u->place;
	struct volume_facts f;
	int rc = layout_inspect(p->store, p->url.prefix, &f, &t->err);

	if (rc < 0)
		return rc;
	if (!f.mounted) {
		if (f.kind == VOLUME_NONE)
			return err_set(&t->err, -ENOENT,
			    "%s: there is no volume", p->url.text);
		if (!t->set.quiet)
			printf("%s: there is no lease\n", p->url.text);
		return 0;
	}
	rc = ask(u, &f);
	if (rc == 0)
		rc = layout_unlock(p->store, p->url.prefix, &t->err);
	if (rc == 0 && !t->set.quiet)
		printf("%s: the lease is removed; it was mounted %s\n",
		    p->url.text, f.mounted_by);
	return rc;
}

static int
run(int argc, char **argv)
{
	struct unlock u = {0};
	struct tool *t = &u.tool;
	int rc, status = tool_begin(t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	rc = tool_start(t);
	if (rc == 0)
		rc = tool_store(t, &u.place, argv[1], TOOL_WRITES, &t->err);
	if (rc == 0)
		rc = unlock_volume(&u);
	rc = tool_place_close(&u.place, rc, &t->err);
	return tool_end(t, rc);
}

const struct verb verb_unlock = {
    .name = "unlock",
    .summary = "remove the lease of a mount that is gone",
    .run = run,
};
