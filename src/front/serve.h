/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_SERVE_H
#define FRONT_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "front/fuse.h"

/*
 * The life of a mount: from an open volume to the end of the process.
 */
struct err;
struct hold_start;
struct volume;
struct loop;
struct serve;
struct work_pool;

struct serve_params {
	struct fuse_front_params fuse; /* text, ready, ended, arg: unused */
	struct work_pool *pool;
	/* At the end: give up when the store has taken nothing for so long;
	 * 0: never. */
	int64_t drain_timeout_ns;
	/* By whom this process was started, and what it is to go on with;
	 * NULL: nobody holds the mount. */
	const struct hold_start *hold;
	/* The disk is there.  Once; not if serve_run fails before. */
	void (*ready)(void *arg);
	void *arg;
};

/*
 * Before other threads are started, so that signals come to the loop.  Until
 * serve_run a SIGTERM, SIGINT or SIGHUP ends the process (_exit).
 */
int serve_new(struct loop *l, struct serve **out, struct err *e);

/*
 * Mount v and serve it until it is unmounted or a signal comes; then write
 * everything to the store and close v, which is gone in any case.  Or until a
 * successor is to go on: then everything is written, and mount and lease stay.
 *
 * Returns 0 if all is safe.  Otherwise *gave_up says that data was lost: s, v
 * and what hangs on them must then not be touched, and the caller leaves by
 * _exit.
 */
int serve_run(struct serve *s, struct volume *v, const struct serve_params *p,
    bool *gave_up, struct err *e);

void serve_free(struct serve *s); /* accepts NULL */

#endif
