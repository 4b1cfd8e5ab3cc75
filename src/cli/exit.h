/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

/*
 * The exit statuses of pail, all of them.  pail(1) lists the same numbers;
 * scripts rely on them, so none changes its meaning.
 */
enum cli_status {
	CLI_OK = 0,
	CLI_FAILED = 1,	  /* could not do it; the reason is on stderr */
	CLI_USAGE = 2,	  /* the command line makes no sense */
	CLI_DAMAGE = 3,	  /* the volume has damaged blocks */
	CLI_REFUSED = 4,  /* somebody answered no, or --force is needed */
	CLI_BUSY = 5,	  /* another host or process has the volume mounted */
	CLI_STOPPED = 130 /* Ctrl-C or SIGTERM; what is done stays done */
};

/* The status for an error of a library function (0 or a negative errno). */
enum cli_status cli_status_of(int rc);

#endif
