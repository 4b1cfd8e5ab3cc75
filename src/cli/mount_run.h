/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_MOUNT_RUN_H
#define CLI_MOUNT_RUN_H

#include "cli/settings.h"
#include "front/holder.h"
#include "front/serve.h"

/*
 * Mounting, for the verbs mount and s3backer and for mount.pail, which differ
 * only in how they are told what to do.
 */
struct mount_job {
	struct settings *set; /* applied; lease, create ... are decided */
	const char *who;      /* "pail mount", before messages */
	const char *url;
	const char *dir; /* as given */
	bool foreground;
	const char *log_file; /* absolute, or NULL */
	uint64_t ledger; /* bytes kept for the case of a crash */
	struct takeover *takeover; /* of a mount that is there, or NULL */
	/* file_name, modes, flags ...; dir and source are filled in. */
	struct serve_params serve;
};

/* In the parent returns never (it exits); otherwise, in the holder and in each
 * process that serves, when all has ended: the exit status.  Everything of set that settings_start makes is freed. */
int mount_run(struct mount_job *j);

#endif
