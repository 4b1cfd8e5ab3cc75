/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <stdbool.h>

/*
 * Going to the background, and telling the one in the foreground.
 *
 * The command that a person typed returns when the disk is there, or with the
 * sentence that says why not.  So the process forks first: the child does all
 * the work, its first failure goes through a pipe to the parent, which prints
 * it and exits.
 */
struct err;

struct daemon {
	bool foreground;
	int pipe; /* to the parent; -1: none, or it has been told */
	int std_err; /* what standard error is to be from ready on; -1: as is */
};

/* Returns in the child (or, with foreground, in the same process); the parent
 * never returns.  who stands before a message of the parent's. */
int daemon_fork(
    struct daemon *d, bool foreground, const char *who, struct err *e);

/* Without a fork: this process was started by one that is a daemon, or stays in
 * the foreground.  Takes std_err. */
void daemon_inherit(struct daemon *d, bool foreground, int std_err);

/* Another process tells the parent. */
void daemon_be_quiet(struct daemon *d);

/*
 * The disk is there: the parent exits with 0, and the child leaves terminal
 * and session.  log_file: where its log goes from now on; NULL: syslog (in the
 * foreground: standard error stays).
 */
void daemon_ready(struct daemon *d, const char *log_file);

/* It did not work, or ended badly: the parent prints the sentence, or this
 * process if it is in the foreground; a daemon logs it.  Returns status, with
 * which a parent exits too. */
int daemon_failed(
    struct daemon *d, const char *who, int status, const char *sentence);

#endif
