/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_MOUNTED_H
#define CLI_MOUNTED_H

#include <stdbool.h>

#include "front/mounts.h"
#include "front/status.h"

/*
 * A volume that is mounted on this machine, as the verbs for a DIR see it.
 */
struct err;
struct json_t;

struct mounted {
	char *dir; /* absolute */
	struct mounts mounts;
	const struct mount_point *point;
	struct loop_devs loops; /* that stand on it */
	struct status status;	/* by mounted_status */
	struct json_t *counters;
};

/*
 * Find the mount that path names: its directory, or the disk in it.  Touches
 * /proc and /sys only.  -ENOENT: nothing of pail's is mounted there.
 */
int mounted_find(struct mounted *m, const char *path, struct err *e);
void mounted_fini(struct mounted *m);

/* Ask the process that serves it (again).  -ENOTCONN: it is gone. */
int mounted_status(struct mounted *m, struct err *e);

/* The status file's text; malloc'ed. */
int mounted_read_json(
    const struct mounted *m, char **text, size_t *len, struct err *e);

/*
 * Have everything written to the store: the file systems on the loop devices
 * first if loops, then the disk.  Shows what is left to do as a bar under that
 * title.  *dirty is what was dirty when it began.
 */
int mounted_sync(struct mounted *m, bool loops, bool quiet, const char *title,
    struct err *e);

#endif
