/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail journal: what a journal holds, and what to do with one that no mount
 * takes.
 *
 *	status	looks, and changes nothing
 *	replay	opens the volume with it, as a mount would, has everything
 *		written to the store, and closes the volume
 *	discard	marks it void
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/suggest.h"
#include "cli/cli.h"
#include "cli/tool.h"
#include "journal/journal.h"
#include "layout/descriptor.h"
#include "raw/rdev.h"
#include "volume/volume.h"

/* --- status ---------------------------------------------------------------- */

static const struct conf_opt status_own[] = {{NULL}};

static const struct tool_usage status_usage = {
    .verb = "journal status",
    .operands = "PATH",
    .about = "Say whose journal it is, and what it holds that the store may\n"
	     "not have. Exit status 3: it is damaged.",
    .examples = "  pail journal status /var/lib/pail/UUID.journal\n",
    .own = status_own,
    .json = true,
    .nmin = 1,
    .nmax = 1,
};

static const char *
condition(const struct journal_found *f)
{
	if (f->super.flags & JOURNAL_VOID)
		return "void";
	if (f->super.flags & JOURNAL_CLEAN)
		return "clean";
	return f->verdict == JOURNAL_DAMAGED ? "damaged"
	    : f->verdict == JOURNAL_EMPTY    ? "empty"
					     : "unsent";
}

static int
print_status_json(const struct journal_found *f, const char *path,
    const char *uuid, struct err *e)
{
	return tool_print_json(
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:I, "
		      "s:s}",
		"path", path, "uuid", uuid, "url", f->super.url, "host",
		f->super.host, "state", condition(f), "operations",
		(json_int_t)f->ops, "bytes", (json_int_t)f->bytes, "size",
		(json_int_t)f->super.bytes, "encrypted",
		(f->super.flags & JOURNAL_ENCRYPTED) != 0, "volume_size",
		(json_int_t)f->super.volume_size, "damage", f->what),
	    stdout, e);
}

static void
print_status(const struct journal_found *f, const char *path,
    const char *uuid)
{
	char a[FORMAT_MAX], b[FORMAT_MAX];

	printf("%s: a journal of %s\n", path, f->super.url);
	printf("  volume   %s, %s\n", uuid,
	    format_size(a, f->super.volume_size));
	printf("  written  on %s%s\n", f->super.host,
	    f->super.flags & JOURNAL_ENCRYPTED ? ", encrypted" : "");
	printf("  size     %s\n", format_size(a, f->super.bytes));
	printf("  state    %s\n", condition(f));
	if (f->ops > 0)
		printf("  unsent   %s changes, %s of data, that the store "
		       "may not have\n",
		    format_count(a, f->ops), format_size(b, f->bytes));
	if (f->verdict == JOURNAL_DAMAGED)
		printf("  DAMAGE   %s\n", f->what);
}

static int
look(struct tool *t, const char *path, struct journal_found *f)
{
	struct rdev *d;
	int rc = rdev_open(
	    t->set.loop, t->set.fileio, path, true, &d, &t->err);

	if (rc == -EBUSY)
		return err_set(&t->err, rc,
		    "%s: in use by a mount; 'pail stats DIR' tells how full it "
		    "is", path);
	if (rc < 0)
		return rc;
	rc = journal_look(d, f, &t->err);
	rdev_close(d);
	return rc;
}

static int
run_status(int argc, char **argv)
{
	char uuid[UUID_TEXT_LEN + 1];
	struct journal_found f;
	struct tool t = {0};
	int status = tool_begin(&t, &status_usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	int rc = tool_start(&t);

	if (rc == 0)
		rc = look(&t, argv[1], &f);
	if (rc == 0) {
		uuid_format(f.super.uuid, uuid);
		if (t.json)
			rc = print_status_json(&f, argv[1], uuid, &t.err);
		else
			print_status(&f, argv[1], uuid);
	}
	if (rc == 0 && f.verdict == JOURNAL_DAMAGED)
		rc = CLI_DAMAGE;
	return tool_end(&t, rc);
}

/* --- replay ------------------------------------------------------------------ */

struct replay {
	struct tool tool;
	bool salvage;
	char *url;
};

static const struct conf_opt replay_own[] = {
    {"url", 0, CONF_STRING, CONF_AT(struct replay, url), .arg = "URL",
	.help = "where the volume is (as the journal says)"},
    {"force", 0, CONF_FLAG, TOOL_AT(force),
	.help = "though the volume's lease is not the one that the journal "
		"knows: nobody else has written since"},
    {"salvage", 0, CONF_FLAG, CONF_AT(struct replay, salvage),
	.help = "of a damaged one what comes before the damage; the rest is "
		"lost"},
    {NULL}};

static const struct tool_usage replay_usage = {
    .verb = "journal replay",
    .operands = "PATH",
    .about = "Write what a journal holds to its volume, which must not be\n"
	     "mounted. A mount with the journal does the same by itself.",
    .examples = "  pail journal replay /var/lib/pail/UUID.journal\n",
    .own = replay_own,
    .groups = SETTINGS_STORE | SETTINGS_OPEN,
    .nmin = 1,
    .nmax = 1,
};

static int
replay(struct replay *r, const char *path)
{
	struct volume_params *p = &r->tool.set.volume;
	char a[FORMAT_MAX], b[FORMAT_MAX];
	struct journal_found f;
	struct volume *v;
	int rc = look(&r->tool, path, &f);

	if (rc < 0)
		return rc;
	if (f.super.flags & JOURNAL_VOID)
		return err_set(&r->tool.err, -EINVAL,
		    "%s: marked void, since it failed or was discarded: what "
		    "it holds is older than what the store has", path);
	p->layout.lease = LEASE_WRITER;
	p->journal.mode = VOLUME_JOURNAL_PATH;
	p->journal.path = path;
	p->journal.force = r->tool.force;
	p->journal.salvage = r->salvage;
	rc = volume_open(&r->tool.set.env, r->url ? r->url : f.super.url, p,
	    &v, &r->tool.err);
	if (rc < 0)
		return rc;
	rc = volume_close(v, false, &r->tool.err);
	if (rc < 0)
		volume_close(v, true, NULL);
	else if (!r->tool.set.quiet)
		printf("%s changes, %s of data: the store has them\n",
		    format_count(a, f.ops), format_size(b, f.bytes));
	return rc;
}

static int
run_replay(int argc, char **argv)
{
	struct replay r = {0};
	int status = tool_begin(&r.tool, &replay_usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	int rc = tool_start(&r.tool);

	if (rc == 0)
		rc = replay(&r, argv[1]);
	return tool_end(&r.tool, rc);
}

/* --- discard ----------------------------------------------------------------- */

static const struct conf_opt discard_own[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force),
	.help = "though it holds what the store may not have, or cannot be "
		"read"},
    {NULL}};

static const struct tool_usage discard_usage = {
    .verb = "journal discard",
    .operands = "PATH",
    .about = "Give up what a journal holds. What was fsynced and had not been\n"
	     "uploaded is lost.",
    .examples = "  pail journal discard --force "
		"/var/lib/pail/UUID.journal\n",
    .own = discard_own,
    .nmin = 1,
    .nmax = 1,
};

/* One that cannot be read becomes a blank file. */
static int
blank(struct rdev *d, struct err *e)
{
	static uint8_t zeros[2 * JOURNAL_PAGE]
	    __attribute__((aligned(JOURNAL_PAGE)));
	int rc = rdev_wait(d, RDEV_WRITE, 0, zeros, sizeof(zeros), e);

	return rc == 0 ? rdev_wait(d, RDEV_FLUSH, 0, NULL, 0, e) : rc;
}

static int
discard(struct tool *t, const char *path)
{
	struct journal_found f;
	struct rdev *d;
	int rc = look(t, path, &f);
	bool readable = rc == 0;

	if (rc < 0 && rc != -EBADMSG && rc != -EINVAL)
		return rc;
	if (!t->force && !(readable && f.verdict == JOURNAL_EMPTY)) {
		if (readable)
			fprintf(stderr,
			    "pail journal discard: %s holds %" PRIu64
			    " changes of %s that the store may not have; "
			    "--force gives them up\n",
			    path, f.ops, f.super.url);
		else
			fprintf(stderr,
			    "pail journal discard: %s; --force clears it\n",
			    err_text(&t->err));
		return CLI_REFUSED;
	}
	rc = rdev_open(t->set.loop, t->set.fileio, path, false, &d, &t->err);
	if (rc < 0)
		return rc;
	rc = readable ? journal_discard(d, &t->err) : blank(d, &t->err);
	rdev_close(d);
	return rc;
}

static int
run_discard(int argc, char **argv)
{
	struct tool t = {0};
	int status = tool_begin(&t, &discard_usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	int rc = tool_start(&t);

	if (rc == 0)
		rc = discard(&t, argv[1]);
	return tool_end(&t, rc);
}

/* --- all of them --------------------------------------------------------------- */

static const struct {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} whats[] = {
    {"status", "whose it is, and what it holds", run_status},
    {"replay", "write what it holds to its volume", run_replay},
    {"discard", "give up what it holds", run_discard},
};
#define NWHATS (sizeof(whats) / sizeof(whats[0]))

static int
help(void)
{
	printf("Usage: pail journal WHAT [OPTIONS] PATH\n"
	       "The journal of a volume that is not mounted.\n\n");
	for (size_t i = 0; i < NWHATS; i++)
		printf("  %-8s %s\n", whats[i].name, whats[i].summary);
	printf("\n'pail journal WHAT --help' tells more of each, 'man "
	       "pail-journal' all of it.\n");
	return CLI_OK;
}

static int
run(int argc, char **argv)
{
	const char *names[NWHATS + 1] = {NULL}, *near;

	if (argc < 2)
		return cli_usage(
		    "journal", "say what: status, replay or discard");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	for (size_t i = 0; i < NWHATS; i++) {
		names[i] = whats[i].name;
		if (strcmp(argv[1], names[i]) == 0)
			return whats[i].run(argc - 1, argv + 1);
	}
	near = suggest_nearest(argv[1], names);
	return cli_usage("journal", "'%s' is nothing that it does%s%s%s",
	    argv[1], near ? "; did you mean '" : "", near ? near : "",
	    near ? "'?" : "");
}

const struct verb verb_journal = {
    .name = "journal",
    .summary = "look at, write out or give up a journal",
    .run = run,
};
