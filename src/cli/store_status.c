/* SPDX-License-Identifier: Apache-2.0 */
/* pail store status: members, space and errors of a store, mounted or not, for
 * people or as JSON.  Changes nothing. */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/interrupt.h"
#include "cli/store.h"
#include "cli/store_ask.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/tool.h"
#include "raw/geom.h"

#define EVENTS_SHOWN 10 /* JSON has more */

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "store status",
    .operands = "PATH...|DIR",
    .about = "Say what a store is made of, how full it is, and what is wrong\n"
	     "with it. A store that is mounted is named by one of its members,\n"
	     "or by where it is.",
    .examples = "  pail store status /srv/pail.img\n"
		"  pail store status /mnt/disk\n"
		"  pail store status raw:/dev/sdb,/dev/sdc --json\n",
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

static const char *
text(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s != NULL ? s : "";
}

static void
print_space(const json_t *s)
{
	char used[FORMAT_MAX], all[FORMAT_MAX], usable[FORMAT_MAX];
	uint64_t total = number(s, "raw_bytes");
	uint64_t taken = total - number(s, "raw_free_bytes");

	printf("space    %s of %s used (%" PRIu64 " %%), room for about %s of "
	       "objects in all\n",
	    format_size(used, taken), format_size(all, total),
	    total > 0 ? taken * 100 / total : 0,
	    format_size(usable, number(s, "usable_bytes")));
}

static void
print_rebuild(const json_t *r)
{
	char done[FORMAT_MAX], all[FORMAT_MAX], rate[FORMAT_MAX];
	char left[FORMAT_MAX] = "";
	uint64_t n = number(r, "bytes_done"), total = number(r, "bytes_total");
	uint64_t per_s = number(r, "bytes_per_s");

	if (per_s > 0 && total > n)
		format_duration(
		    left, (int64_t)((total - n) / per_s) * NS_PER_S);
	printf("rebuild  %" PRIu64 " %%, %s of %s, %s/s%s%s\n",
	    total > 0 ? n * 100 / total : 0, format_size(done, n),
	    format_size(all, total), format_size(rate, per_s),
	    left[0] ? ", left: " : "", left);
	if (number(r, "objects_lost") > 0)
		printf("         %" PRIu64 " objects could not be rebuilt\n",
		    number(r, "objects_lost"));
}

static void
print_head(const json_t *s)
{
	const json_t *m = json_object_get(s, "mounted");
	const json_t *rebuild = json_object_get(s, "rebuild");
	unsigned k = (unsigned)number(s, "data");
	unsigned parity = (unsigned)number(s, "parity");
	char n[FORMAT_MAX], mem[FORMAT_MAX];

	printf("store    %s, %u+%u: ", text(s, "name"), k, parity);
	if (parity > 0)
		printf("any %u of %u members may be lost\n", parity,
		    k + parity);
	else
		printf("no member may be lost\n");
	if (m != NULL)
		printf("mounted  %s, by process %d\n", text(m, "dir"),
		    (int)number(m, "pid"));
	printf("state    %s, %d of %u members have everything\n",
	    text(s, "health"), (int)number(s, "members_online"), k + parity);
	if (m != NULL && json_is_true(json_object_get(s, "read_only")))
		printf("         takes no writes: %s\n", text(s, "why"));
	if (rebuild != NULL)
		print_rebuild(rebuild);
	print_space(s);
	printf("objects  %s, their index takes %s of memory\n\n",
	    format_count(n, number(s, "objects")),
	    format_size(mem, number(s, "index_memory_bytes")));
}

static void
add_member(struct table *t, const json_t *m)
{
	static const char *const counts[] = {"read_errors", "write_errors",
	    "checksum_errors", "repaired"};
	char size[FORMAT_MAX];
	const char *path = text(m, "path");

	table_cellf(t, "%d", (int)number(m, "column"));
	table_cellf(t, "%s%s", text(m, "state"),
	    json_is_true(json_object_get(m, "suspect")) ? ", suspect"
		: json_is_true(json_object_get(m, "slow")) ? ", slow"
							   : "");
	table_cell(t, format_size(size, number(m, "bytes")));
	for (unsigned i = 0; i < 4; i++)
		table_cellf(t, "%" PRIu64, number(m, counts[i]));
	table_cell(t, path[0] != '\0' ? path : "-");
}

static void
add_event(struct table *t, const json_t *ev)
{
	const json_t *column = json_object_get(ev, "column");
	const char *path = text(ev, "path");
	char when[TEXT_TIME_MAX];

	table_cell(t, text_time(when, (int64_t)number(ev, "time") * NS_PER_S));
	if (column == NULL)
		table_cell(t, "all");
	else if (path[0] != '\0')
		table_cell(t, path);
	else
		table_cellf(t, "column %d", (int)json_integer_value(column));
	table_cell(t, text(ev, "text"));
}

/* The last of what has happened to the members, the newest at the end. */
static int
print_events(const json_t *s)
{
	static const char *const heads[] = {"TIME", "MEMBER", "EVENT", NULL};
	const json_t *events = json_object_get(s, "events");
	size_t n = json_array_size(events), i;
	struct table t;
	int rc;

	if (n == 0)
		return 0;
	printf("\n");
	table_init(&t, heads);
	for (i = n > EVENTS_SHOWN ? n - EVENTS_SHOWN : 0; i < n; i++)
		add_event(&t, json_array_get(events, i));
	rc = table_print(&t, stdout);
	table_fini(&t);
	return rc;
}

static int
print_table(const json_t *s)
{
	static const char *const heads[] = {">COLUMN", "STATE", ">SIZE",
	    ">READ ERR", ">WRITE ERR", ">DAMAGED", ">MENDED", "DEVICE", NULL};
	struct table t;
	json_t *m;
	size_t i;
	int rc;

	print_head(s);
	table_init(&t, heads);
	json_array_foreach(json_object_get(s, "members"), i, m)
		add_member(&t, m);
	rc = table_print(&t, stdout);
	table_fini(&t);
	return rc < 0 ? rc : print_events(s);
}

static int
status_of(struct tool *t, char **names)
{
	struct store_question q = {.n = t->noperands,
	    .names = names,
	    .read_only = true,
	    .json = json_pack("{s:s}", "do", "status")};
	json_t *s;
	int rc = store_ask(t, &q, &s);

	if (rc < 0)
		return rc;
	if (t->json) {
		rc = tool_print_json(json_incref(s), stdout, &t->err);
	} else {
		rc = print_table(s);
		if (rc < 0)
			err_errno(&t->err, rc, "print the table");
	}
	json_decref(s);
	return rc;
}

int
store_status_run(int argc, char **argv)
{
	struct tool t = {0};
	int rc, status = tool_begin(&t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("nothing was changed");
	rc = tool_start(&t);
	if (rc == 0)
		rc = status_of(&t, argv + 1);
	return tool_end(&t, rc);
}
