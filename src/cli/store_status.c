/* SPDX-License-Identifier: Apache-2.0 */
/* pail store status: members, space and errors of a pool, for people or as
 * JSON.  Reads only. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/parse.h"
#include "cli/store.h"
#include "cli/table.h"
#include "cli/tool.h"
#include "raw/pool.h"

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "store status",
    .operands = "PATH...",
    .about = "Say what a store is made of, how full it is, and what is wrong\n"
	     "with it. It must not be mounted.",
    .examples = "  pail store status /srv/pail.img\n"
		"  pail store status raw:/dev/sdb,/dev/sdc --json\n",
    .own = own,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

static const char *
state_word(const struct pool_status *s, unsigned c)
{
	static const char *const words[] = {
	    "?", "online", "missing", "rebuilding", "faulted"};

	if (s->member[c].path[0] == '\0')
		return s->member[c].state == RAW_MEMBER_FAULTED ? "faulted"
								: "missing";
	return words[s->member[c].state <= RAW_MEMBER_FAULTED
		? s->member[c].state
		: 0];
}

static int
print_json(const struct pool_status *s, struct err *e)
{
	json_t *members = json_array();

	for (unsigned c = 0; c < s->k + s->m; c++)
		json_array_append_new(members,
		    json_pack("{s:i, s:s, s:s, s:I}", "column", (int)c, "path",
			s->member[c].path, "state", state_word(s, c), "bytes",
			(json_int_t)s->member[c].bytes));
	return tool_print_json(
	    json_pack("{s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
		"name", s->name, "data", (int)s->k, "parity", (int)s->m,
		"epoch", (json_int_t)s->epoch, "commit", (json_int_t)s->seq,
		"objects", (json_int_t)s->objects, "raw_bytes",
		(json_int_t)s->data_bytes, "raw_free_bytes",
		(json_int_t)s->free_bytes, "usable_bytes",
		(json_int_t)s->usable_bytes, "index_memory_bytes",
		(json_int_t)s->index_bytes, "members", members),
	    stdout, e);
}

static int
print_table(const struct pool_status *s)
{
	static const char *const heads[] = {
	    ">COLUMN", "STATE", ">SIZE", "DEVICE", NULL};
	char a[FORMAT_MAX], b[FORMAT_MAX], n[FORMAT_MAX];
	uint64_t used = s->data_bytes - s->free_bytes;
	struct table t;
	int rc;

	printf("store    %s, %u+%u: any %u of %u members may be lost\n",
	    s->name, s->k, s->m, s->m, s->k + s->m);
	printf("state    %s, %u of %u members here\n",
	    s->online == s->k + s->m ? "whole"
		: s->online >= s->k  ? "degraded"
				     : "failed",
	    s->online, s->k + s->m);
	printf("space    %s of %s used (raw)\n", format_size(a, used),
	    format_size(b, s->data_bytes));
	printf("objects  %s, index takes %s of memory\n\n",
	    format_count(n, s->objects), format_size(a, s->index_bytes));
	table_init(&t, heads);
	for (unsigned c = 0; c < s->k + s->m; c++) {
		table_cellf(&t, "%u", c);
		table_cell(&t, state_word(s, c));
		table_cell(&t, format_size(a, s->member[c].bytes));
		table_cell(&t, s->member[c].path[0] ? s->member[c].path : "-");
	}
	rc = table_print(&t, stdout);
	table_fini(&t);
	return rc;
}

int
store_status_run(int argc, char **argv)
{
	struct tool t = {0};
	struct pool_status s;
	struct pool *pool;
	int rc, status = tool_begin(&t, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	rc = tool_start(&t);
	if (rc == 0)
		rc = store_pool_open(&t, t.noperands, argv + 1, true, &pool);
	if (rc == 0) {
		pool_get_status(pool, &s);
		rc = pool_close(pool, &t.err);
	}
	if (rc == 0)
		rc = t.json ? print_json(&s, &t.err) : print_table(&s);
	return tool_end(&t, rc);
}
