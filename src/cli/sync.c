/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail sync: have everything in the store, file systems on loop devices over
 * the disk included, without unmounting.
 */
#include "config.h"

#include <stdio.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/mounted.h"

struct sync_opts {
	bool quiet, help;
};

#define Y(field) CONF_AT(struct sync_opts, field)
static const struct conf_opt sync_opts[] = {
	{ "quiet", 'q', CONF_FLAG, Y(quiet), .help = "no progress" },
	{ "help", 'h', CONF_FLAG, Y(help), .help = "print this" },
	{ NULL }
};

static void
print_help(void)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b,
	    "Usage: pail sync [OPTIONS] DIR\n"
	    "Have everything written to the store, and wait for it.\n\n"
	    "File systems on loop devices over the disk are written out "
	    "first.\n\n");
	conf_help(sync_opts, &b);
	strbuf_puts(&b, "\nExample:\n  pail sync /mnt/disk\n");
	fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
}

static int
run_sync(int argc, char **argv)
{
	struct sync_opts o = { 0 };
	struct conf conf = { 0 };
	struct err e = ERR_INIT;
	struct mounted m;
	int rc = conf_init(&conf, sync_opts, &o, &e);

	if (rc == 0)
		rc = conf_args(&conf, argc, argv, &e);
	conf_fini(&conf);
	if (rc < 0)
		return cli_usage("sync", "%s", err_text(&e));
	if (o.help) {
		print_help();
		return CLI_OK;
	}
	if (rc != 1)
		return cli_usage("sync", "needs one directory");
	rc = mounted_find(&m, argv[1], &e);
	if (rc == 0) {
		rc = mounted_status(&m, &e);
		if (rc == 0)
			rc = mounted_sync(&m, true, o.quiet, "Writing", &e);
		mounted_fini(&m);
	}
	return rc < 0 ? cli_fail("sync", &e) : CLI_OK;
}

const struct verb verb_sync = {
	.name = "sync",
	.summary = "have everything written, without unmounting",
	.run = run_sync,
};
