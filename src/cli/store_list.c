/* SPDX-License-Identifier: Apache-2.0 */
/* pail store list: the objects of a raw-device store, as they come: there may
 * be millions. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/strbuf.h"
#include "cli/interrupt.h"
#include "cli/store.h"
#include "cli/text.h"
#include "cli/tool.h"
#include "raw/geom.h"
#include "store/store.h"

struct list_objects {
	struct tool tool;
	char *prefix;
	struct store *store;
	uint64_t objects, bytes;
};

static const struct conf_opt own[] = {
    {"prefix", 0, CONF_STRING, CONF_AT(struct list_objects, prefix),
	.arg = "TEXT", .group = "List",
	.help = "only keys that begin so; a URL's volume=NAME is \"NAME/\""},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "store list",
    .operands = "PATH...",
    .about = "List the objects of a store that is not mounted: size and key.",
    .examples = "  pail store list /srv/pail.img\n"
		"  pail store list --prefix disk/ /dev/sdb /dev/sdc\n"
		"  pail store list 'raw:/srv/pail.img?volume=disk' --json\n",
    .own = own,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

static int
print_json(struct list_objects *l, const struct store_entry *e)
{
	json_t *j = json_pack("{s:s, s:I, s:s}", "key", e->key, "size",
	    (json_int_t)e->size, "version", e->tag);
	int rc = j ? 0 : -EBADMSG;

	if (rc == 0)
		fputs(l->objects > 0 ? ",\n  " : "\n  ", stdout);
	if (rc == 0 && json_dumpf(j, stdout, 0) != 0)
		rc = -EIO;
	json_decref(j);
	return rc;
}

static int
print_line(const struct store_entry *e)
{
	struct strbuf key = STRBUF_INIT;
	char size[FORMAT_MAX];

	text_clean(&key, e->key);
	printf("%10s  %s\n", format_size(size, e->size), strbuf_text(&key));
	strbuf_fini(&key);
	return key.failed ? -ENOMEM : 0;
}

static int
print_page(struct list_objects *l, const struct store_page *page)
{
	for (size_t i = 0; i < page->n; i++) {
		const struct store_entry *e = &page->v[i];
		int rc = l->tool.json ? print_json(l, e) : print_line(e);

		if (rc < 0)
			return err_errno(&l->tool.err, rc, "list %s", e->key);
		l->objects++;
		l->bytes += e->size;
	}
	if (ferror(stdout))
		return err_set(&l->tool.err, -EIO, "write the list: %s",
		    strerror(errno));
	return 0;
}

static int
list_objects(struct list_objects *l, const char *prefix)
{
	char after[STORE_KEY_MAX + 1] = "";
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		struct store_req r;

		store_req_init(&r, STORE_LIST, NULL);
		r.prefix = prefix;
		r.start_after = after[0] ? after : NULL;
		rc = store_run(l->store, &r, &l->tool.err);
		if (rc == 0)
			rc = print_page(l, &r.page);
		more = r.page.more && r.page.n > 0;
		if (more)
			snprintf(after, sizeof(after), "%s",
			    r.page.v[r.page.n - 1].key);
		store_req_fini(&r);
	}
	return rc;
}

static int
list_store(struct list_objects *l, char **paths)
{
	struct tool *t = &l->tool;
	char n[FORMAT_MAX], size[FORMAT_MAX];
	char *of_url;
	int rc = store_objects_open(
	    t, t->noperands, paths, true, &l->store, &of_url);

	if (rc < 0)
		return rc;
	if (t->json)
		putchar('[');
	rc = list_objects(l, l->prefix ? l->prefix : of_url);
	if (rc == 0 && t->json)
		puts(l->objects > 0 ? "\n]" : "]");
	fflush(stdout);
	if (rc == 0 && !t->json && !t->set.quiet)
		fprintf(stderr, "%s objects, %s\n",
		    format_count(n, l->objects), format_size(size, l->bytes));
	free(of_url);
	store_free(l->store);
	return rc;
}

int
store_list_run(int argc, char **argv)
{
	struct list_objects l = {0};
	int rc, status = tool_begin(&l.tool, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("nothing was changed");
	rc = tool_start(&l.tool);
	if (rc == 0)
		rc = list_store(&l, argv + 1);
	return tool_end(&l.tool, rc);
}
