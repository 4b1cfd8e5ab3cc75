/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TOOL_H
#define CLI_TOOL_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/err.h"
#include "cli/settings.h"

/*
 * What the verbs that work on a volume without mounting it have in common:
 * options and help, reaching the store, opening the volume, asking for the
 * password, ending with one sentence and an exit status.
 *
 *	struct mine { struct tool tool; bool count; };
 *	static int run(int argc, char **argv)
 *	{
 *		struct mine m = {0};
 *		int status = tool_begin(&m.tool, &usage, argc, argv);
 *
 *		if (status != TOOL_GO)
 *			return status;
 *		rc = tool_store(&m.tool, &m.place, argv[1], TOOL_READS,
 *		    &m.tool.err);
 *		...
 *		return tool_end(&m.tool, rc);
 *	}
 */
struct json_t;
struct layout;
struct layout_params;
struct stat_set;
struct store;

struct tool_usage {
	const char *verb;
	const char *operands; /* "URL SIZE" */
	const char *about;    /* paragraphs, wrapped */
	const char *examples; /* lines, indented by two */
	const struct conf_opt *own;
	unsigned groups; /* of settings.h; SETTINGS_COMMON is added */
	bool json;	 /* there is --json */
	int nmin, nmax;	 /* operands */
};

struct tool {
	struct settings set; /* first: settings.h wants it */
	bool help, json, force;

	const struct tool_usage *usage;
	struct volume_guard guard; /* of tool_layout */
	struct conf conf;
	struct conf_opt opts[CONF_OPTS_MAX];
	struct err err;
	bool misuse; /* err is one of the command line: CLI_USAGE */
	bool new_password; /* it is the first time that it is given */
	int noperands; /* they are at argv[1] ... */
};

#define TOOL_AT(field) CONF_AT(struct tool, field)

/* Parse the command line.  TOOL_GO, or the exit status: help was asked for, or
 * something is wrong and was said. */
#define TOOL_GO (-1)
int tool_begin(struct tool *t, const struct tool_usage *u, int argc,
    char **argv);
/* Options become parameters; loop, threads: everything but the volume. */
int tool_start(struct tool *t);
/* An error of the command line that is found later: tool_end returns
 * CLI_USAGE.  Returns rc. */
int tool_misuse(struct tool *t, int rc);
/* A URL that makes no sense is one of these. */
int tool_url(struct tool *t, struct url *u, const char *text, struct err *e);
/* Print t->err if rc is negative; the exit status.  t is finished. */
int tool_end(struct tool *t, int rc);
/* The same for a wrong command line, after tool_begin. */
__attribute__((format(printf, 2, 3))) int tool_usage_error(
    struct tool *t, const char *fmt, ...);

/* A place where a volume is or may be. */
struct tool_place {
	struct url url;
	struct store *store; /* the stack; NULL: not open */
	struct stat_set *stats;
	struct layout *layout; /* NULL: not open */
};

/* What is to be done there.  Who reads leaves a raw: store untouched: opening
 * one for writing begins an epoch, in which members that are away fall behind. */
enum tool_access {
	TOOL_READS,
	TOOL_WRITES,
	TOOL_CREATES /* and a dir: may be made */
};

/* Reach the store of a URL.  e: t->err, mostly. */
int tool_store(struct tool *t, struct tool_place *p, const char *url,
    enum tool_access access, struct err *e);
/* Open the volume.  If it turns out to be encrypted and params has no password,
 * the one of the options is taken, or asked for.  title: of the bar while its objects are listed, if params say
 * so; NULL: do not wait for that. */
int tool_layout(struct tool *t, struct tool_place *p,
    struct layout_params *params, const char *title, struct err *e);
/* Close the layout, giving up its lease, and the store.  rc: of what was done
 * before; returned unless closing failed and that had not. */
int tool_place_close(struct tool_place *p, int rc, struct err *e);

/* Print j on f and drop it; NULL: no memory.  0 or -ENOMEM, -EIO */
int tool_print_json(struct json_t *j, void *f, struct err *e);

#endif
