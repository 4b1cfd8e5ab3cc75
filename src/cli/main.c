/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's beginning: which verb is meant, and the help that lists them.
 *
 * The name by which we are called counts first: "mount.pail" and
 * "umount.fuse.pail" are what mount(8) and umount(8) run, "s3backer" is the
 * command line of that program; each may be a link to this one.  Any other
 * name takes a verb as its first argument.
 *
 * Standard output and error are checked at the end: an answer that could not
 * be written (a full disk below a pipe) is a failure.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/suggest.h"
#include "cli/cli.h"

static const struct verb *const verbs[] = {
	&verb_create, &verb_mount, &verb_unmount, &verb_sync,
	&verb_upgrade, &verb_info, &verb_list, &verb_stats, &verb_check,
	&verb_copy, &verb_resize, &verb_unlock, &verb_erase, &verb_store,
	&verb_journal, &verb_s3backer, &verb_version, NULL,
};

const struct verb *
cli_verb(const char *name)
{
	for (const struct verb *const *v = verbs; *v != NULL; v++)
		if (strcmp((*v)->name, name) == 0)
			return *v;
	if (strcmp(name, "umount") == 0)
		return &verb_unmount;
	return NULL;
}

const struct verb *const *
cli_verbs(void)
{
	return verbs;
}

int
cli_fail(const char *verb, const struct err *e)
{
	fprintf(stderr, "pail %s: %s\n", verb, err_text(e));
	return e->rc < 0 ? cli_status_of(e->rc) : CLI_FAILED;
}

int
cli_usage(const char *verb, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "pail %s: ", verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'pail %s --help'.\n", verb);
	return CLI_USAGE;
}

static void
print_help(FILE *f)
{
	fprintf(f,
	    "Usage: pail VERB [OPTIONS] ARGUMENTS\n"
	    "A disk in a bucket.\n\n"
	    "Verbs:\n");
	for (const struct verb *const *v = verbs; *v != NULL; v++)
		fprintf(f, "  %-9s %s\n", (*v)->name, (*v)->summary);
	fprintf(f,
	    "\n'pail VERB --help' tells more of each, 'man pail' all of it.\n"
	    "\nExamples:\n"
	    "  pail mount --size 1T s3://bucket/disk /mnt/disk\n"
	    "  mkfs.ext4 /mnt/disk/file && mount -o loop /mnt/disk/file /mnt/fs\n"
	    "  umount /mnt/fs && pail unmount /mnt/disk\n");
}

static int
unknown_verb(const char *name)
{
	const char *words[sizeof(verbs) / sizeof(verbs[0])];
	const char *near;
	unsigned n = 0;

	for (const struct verb *const *v = verbs; *v != NULL; v++)
		words[n++] = (*v)->name;
	words[n] = NULL;
	near = suggest_nearest(name, words);
	fprintf(stderr, "pail: there is no verb '%s'%s%s%s; "
	    "'pail --help' lists them\n",
	    name, near != NULL ? "; did you mean '" : "",
	    near != NULL ? near : "", near != NULL ? "'" : "");
	return CLI_USAGE;
}

/* what: of a verb that has some of its own ("store"), or NULL. */
static int
help(const char *name, char *what)
{
	const struct verb *v;
	char option[] = "--help";

	if (name == NULL) {
		print_help(stdout);
		return CLI_OK;
	}
	v = cli_verb(name);
	if (v == NULL)
		return unknown_verb(name);
	char *verb = (char *)(uintptr_t)v->name;

	return what == NULL ?
	    v->run(2, (char *[]){ verb, option, NULL }) :
	    v->run(3, (char *[]){ verb, what, option, NULL });
}

static int
run_by_verb(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	const char *name = argv[1];

	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return verb_version.run(argc - 1, argv + 1);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
	    strcmp(name, "help") == 0)
		return help(argc > 2 ? argv[2] : NULL,
		    argc > 3 ? argv[3] : NULL);
	const struct verb *v = cli_verb(name);

	if (v == NULL)
		return unknown_verb(name);
	return v->run(argc - 1, argv + 1);
}

int
main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *me = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "";
	int status;

	if (cli_argv_keep(argc, argv) < 0) {
		fprintf(stderr, "pail: no memory\n");
		return CLI_FAILED;
	}
	if (strcmp(me, "mount.pail") == 0)
		status = mount_helper_main(argc, argv);
	else if (strcmp(me, "umount.fuse.pail") == 0)
		status = unmount_helper_main(argc, argv);
	else if (strcmp(me, "s3backer") == 0)
		status = verb_s3backer.run(argc, argv);
	else
		status = run_by_verb(argc, argv);

	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "pail: writing the answer: %s\n",
		    strerror(errno));
		if (status == CLI_OK)
			status = CLI_FAILED;
	}
	return status;
}
