/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail store erase: the end of a store.  Somebody has to type its name once
 * more, or --force.  A store that a process has open is refused whatever is
 * given.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/strbuf.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/prompt.h"
#include "cli/store.h"
#include "cli/tool.h"
#include "raw/erase.h"
#include "raw/format.h"

static const struct conf_opt own[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Erase",
	.help = "do not ask"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "store erase",
    .operands = "PATH...",
    .about = "Make the devices of a store members of nothing: every volume on\n"
	     "it is gone, and there is no way back. Image files stay as files.",
    .examples = "  pail store erase /srv/pail.img\n"
		"  pail store erase --force /dev/sdb /dev/sdc\n",
    .own = own,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

/* 0: go on; CLI_REFUSED, said. */
static int
ask(struct tool *t, const struct raw_super *s, unsigned n)
{
	char question[PROMPT_MAX], answer[PROMPT_MAX], count[FORMAT_MAX];
	int rc;

	if (t->force)
		return 0;
	snprintf(question, sizeof(question),
	    "All data of the store \"%s\" (%u+%u, %s objects, %u of %u members "
	    "named) will be lost.\nType its name once more to do that: ",
	    s->name, s->k, s->m, format_count(count, s->objects), n,
	    s->k + s->m);
	rc = prompt_line(question, "--force", answer, &t->err);
	if (rc == -EINTR)
		return rc;
	if (rc == 0 && strcmp(answer, s->name) == 0)
		return 0;
	fprintf(stderr, "pail store erase: %s; nothing was changed\n",
	    rc < 0 ? err_text(&t->err) : "that is another name");
	return CLI_REFUSED;
}

static int
erase(struct tool *t, const char *list)
{
	struct raw_super s;
	unsigned n;
	int rc = raw_erase_look(
	    t->set.loop, t->set.fileio, list, &s, &n, &t->err);

	if (rc == 0)
		rc = ask(t, &s, n);
	if (rc == 0)
		rc = raw_erase(t->set.loop, t->set.fileio, list, &t->err);
	if (rc != 0)
		return rc;
	if (t->json)
		return tool_print_json(
		    json_pack("{s:s, s:i}", "name", s.name, "members_erased",
			(int)n),
		    stdout, &t->err);
	if (!t->set.quiet)
		printf("store \"%s\": gone from %u of its %u members\n",
		    s.name, n, s.k + s.m);
	return 0;
}

int
store_erase_run(int argc, char **argv)
{
	struct tool t = {0};
	struct strbuf list = STRBUF_INIT;
	int rc, status = tool_begin(&t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("the same command goes on");
	rc = tool_start(&t);
	if (rc == 0)
		rc = store_list_of(&t, t.noperands, argv + 1, &list);
	if (rc == 0)
		rc = erase(&t, strbuf_text(&list));
	strbuf_fini(&list);
	return tool_end(&t, rc);
}
