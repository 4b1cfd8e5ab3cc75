/* SPDX-License-Identifier: Apache-2.0 */
/* pail store create: make a pool; see raw/make.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "base/parse.h"
#include "base/strbuf.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/store.h"
#include "cli/tool.h"
#include "raw/make.h"
#include "raw/open.h"
#include "raw/pool.h"

struct create {
	struct tool tool;
	char *profile, *name;
	uint64_t size, log_bytes;
	bool sparse;
};

static const struct conf_opt own[] = {
    {"profile", 0, CONF_STRING, CONF_AT(struct create, profile),
	.arg = "K+M", .group = "Store",
	.help = "data and parity, as 4+2: any M members may be lost; or "
		"single, mirror, kamikaze (8+0), standard (8+2), resilient "
		"(12+3), fortress (16+4); by default as the number of devices "
		"suggests"},
    {"size", 0, CONF_SIZE, CONF_AT(struct create, size), .min = 32 << 20,
	.help = "make image files of this size"},
    {"sparse", 0, CONF_FLAG, CONF_AT(struct create, sparse),
	.help = "image files take space when it is used (and writes fail when "
		"there is none then)"},
    {"name", 0, CONF_STRING, CONF_AT(struct create, name), .def = "store",
	.help = "a name for people"},
    {"log-size", 0, CONF_SIZE, CONF_AT(struct create, log_bytes),
	.min = 16 << 20, .max = 4ull << 30,
	.help = "bytes of the log on each member"},
    {"force", 0, CONF_FLAG, TOOL_AT(force),
	.help = "what is on the devices may be lost"},
    {NULL}};

static const struct tool_usage usage = {
    .verb = "store create",
    .operands = "PATH...",
    .about = "Make a store of block devices, or of image files. A device that\n"
	     "holds anything known is refused without --force.",
    .examples = "  pail store create --size 20G /srv/pail.img\n"
		"  pail store create --profile mirror /dev/sdb /dev/sdc\n"
		"  pail store create --profile 4+2 --size 10G /srv/d[1-6]/pail\n",
    .own = own,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS,
};

/* Files that were made are removed again; but what has begun to be a store
 * becomes one. */
static bool
stop(bool writing)
{
	if (interrupted())
		return true;
	if (writing)
		interrupt_block(true);
	return false;
}

static int
make_pool(struct create *c, const struct raw_make_params *p, char **paths,
    unsigned npaths)
{
	struct tool *t = &c->tool;
	int rc;

	interrupt_defer(true);
	rc = raw_make(t->set.loop, t->set.fileio, paths, npaths, p, &t->err);
	if (rc == -EINTR && interrupted())
		rc = err_set(&t->err, -ECANCELED, "%s", err_text(&t->err));
	interrupt_defer(false);
	if (rc == 0)
		interrupt_install("the store is made");
	interrupt_block(false);
	return rc;
}

static int
make(struct create *c, char **paths, unsigned npaths)
{
	struct tool *t = &c->tool;
	struct raw_make_params p = {.name = c->name,
	    .size = c->size & ~(uint64_t)((1 << 20) - 1),
	    .sparse = c->sparse,
	    .force = t->force,
	    .log_bytes = c->log_bytes,
	    .stop = stop};
	struct pool_status st;
	struct pool *pool;
	char size[FORMAT_MAX];
	int rc = raw_profile_parse(
	    c->profile, npaths, &p.k, &p.m, &t->err);

	if (rc < 0)
		return tool_misuse(t, rc);
	rc = make_pool(c, &p, paths, npaths);
	if (rc == 0)
		rc = store_pool_open(t, (int)npaths, paths, true, &pool);
	if (rc < 0)
		return rc;
	pool_get_status(pool, &st);
	rc = pool_close(pool, &t->err);
	if (rc == 0 && !t->set.quiet)
		printf("store \"%s\": %u+%u, room for %s\n", st.name, st.k,
		    st.m, format_size(size, st.usable_bytes));
	return rc;
}

/* A raw: URL is the paths that it names. */
static int
make_of_operands(struct create *c, char **operands)
{
	struct tool *t = &c->tool;
	struct strbuf list = STRBUF_INIT;
	char **paths = NULL;
	unsigned n = 0;
	int rc = store_list_of(t, t->noperands, operands, &list);

	if (rc == 0 && !(paths = raw_paths_split(strbuf_text(&list), &n)))
		rc = err_set(&t->err, -ENOMEM, "no memory");
	if (rc == 0)
		rc = make(c, paths, n);
	raw_paths_free(paths);
	strbuf_fini(&list);
	return rc;
}

int
store_create_run(int argc, char **argv)
{
	struct create c = {0};
	int rc, status = tool_begin(&c.tool, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install("there is no store");
	rc = tool_start(&c.tool);
	if (rc == 0)
		rc = make_of_operands(&c, argv + 1);
	if (rc == -ECANCELED && interrupted())
		rc = CLI_STOPPED; /* which was said */
	return tool_end(&c.tool, rc);
}
