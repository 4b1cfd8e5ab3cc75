/* SPDX-License-Identifier: Apache-2.0 */
/* pail store scrub: read everything of a store, mend what is damaged. */
#include "config.h"

#include <jansson.h>
#include <stdio.h>

#include "base/parse.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/store.h"
#include "cli/store_ask.h"
#include "cli/tool.h"
#include "raw/geom.h"

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "store scrub",
    .operands = "PATH...|DIR",
    .about = "Read every fragment of a store and its parity, verify it, and\n"
	     "rewrite what is damaged. A store that is mounted is named by\n"
	     "one of its members, or by where it is. Exit status 3: something\n"
	     "is lost, or could not be rewritten.",
    .examples = "  pail store scrub /srv/pail.img\n"
		"  pail store scrub /mnt/disk\n",
    .own = own,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

static uint64_t
number(const json_t *j, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(j, name));
}

static int
scrub(struct tool *t, char **names)
{
	struct store_question q = {.n = t->noperands,
	    .names = names,
	    .title = "Scrubbing",
	    .json = json_pack("{s:s}", "do", "scrub")};
	char n[FORMAT_MAX], size[FORMAT_MAX];
	bool lost;
	uint64_t unmended;
	json_t *r;
	int rc = store_ask(t, &q, &r);

	if (rc < 0)
		return rc;
	lost = number(r, "objects_lost") > 0;
	unmended = number(r, "fragments_unmended");
	if (t->json)
		rc = tool_print_json(json_incref(r), stdout, &t->err);
	else if (!t->set.quiet)
		printf("%s objects, %s read: %llu fragments mended, %llu "
		       "objects lost\n",
		    format_count(n, number(r, "objects")),
		    format_size(size, number(r, "bytes")),
		    (unsigned long long)number(r, "fragments_repaired"),
		    (unsigned long long)number(r, "objects_lost"));
	if (number(r, "objects_moved") > 0 && !t->json && !t->set.quiet)
		printf("%llu objects were moved away from places that cannot "
		       "be written; they are not used again\n",
		    (unsigned long long)number(r, "objects_moved"));
	if (unmended > 0 && !t->json)
		printf("%llu fragments could not be rewritten or moved: pail "
		       "store status says of which member; replace it\n",
		    (unsigned long long)unmended);
	json_decref(r);
	return rc == 0 && (lost || unmended > 0) ? CLI_DAMAGE : rc;
}

int
store_scrub_run(int argc, char **argv)
{
	struct tool t = {0};
	int rc, status = tool_begin(&t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("what was mended stays so");
	rc = tool_start(&t);
	if (rc == 0)
		rc = scrub(&t, argv + 1);
	return tool_end(&t, rc);
}
