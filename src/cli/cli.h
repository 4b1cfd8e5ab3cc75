/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/exit.h"

/*
 * The program: one verb per file, each a struct verb in the table of main.c.
 *
 * A verb parses its own arguments, prints its answer on standard output and
 * what went wrong, once, on standard error ("pail VERB: SENTENCE"), and
 * returns the exit status.
 */
struct err;

struct verb {
	const char *name;
	const char *summary; /* half a line for pail --help */
	/* argv[0] is the verb's name; argv[argc] is NULL. */
	int (*run)(int argc, char **argv);
};

/* NULL if there is none of that name. */
const struct verb *cli_verb(const char *name);
/* All of them, in the order of the help; ends with a NULL. */
const struct verb *const *cli_verbs(void);

/* Print "pail VERB: SENTENCE" on standard error; returns the status
 * that goes with e->rc (exit.h). */
int cli_fail(const char *verb, const struct err *e);
/* The same with a format and a hint at --help; returns CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(
    const char *verb, const char *fmt, ...);

/* The command line as the program got it, for those who start it again: kept
 * by main, before anybody moves the pointers about.  0 or -ENOMEM. */
int cli_argv_keep(int argc, char **argv);
char *const *cli_argv(void);

/* One per verb, each in a file of its own. */
extern const struct verb verb_check, verb_copy, verb_create, verb_erase,
    verb_info, verb_list, verb_resize, verb_store, verb_unlock, verb_version;
extern const struct verb verb_mount, verb_unmount, verb_sync, verb_stats,
    verb_s3backer, verb_upgrade, verb_journal;

/* The verb mount by another name, which stands before its messages. */
int mount_main(const char *who, int argc, char **argv);
/* mount(8) calls mount.pail URL DIR [-fnsv] [-o OPTIONS]; umount(8) calls
 * umount.fuse.pail DIR [-flnrv]. */
int mount_helper_main(int argc, char **argv);
int unmount_helper_main(int argc, char **argv);

#endif
