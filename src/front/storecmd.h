/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_STORECMD_H
#define FRONT_STORECMD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"
#include "raw/repair.h"
#include "raw/scrub.h"

/*
 * What can be asked of a raw-device store that is open: by the process that has
 * it mounted, on behalf of one that comes through its socket (storedoor.h), or
 * by a tool that has opened it itself.  So both say the same.
 *
 * A question is one JSON object:
 *
 *	{"do": "status"}
 *	{"do": "scrub"}
 *	{"do": "offline", "member": NAME, "force": BOOL}
 *	{"do": "online", "path": PATH, "force": BOOL, "wait": BOOL}
 *	{"do": "replace", "member": NAME, "path": PATH, "force": BOOL,
 *	 "wait": BOOL}
 *
 * NAME is as for pool_member_find; wait: until nothing is rebuilt any more.
 * Who asks for a replacement has looked at what is on PATH: that may take long.
 *
 * The answer is lines, one JSON object each: any number of
 *
 *	{"progress": [DONE, TOTAL]}		bytes
 *	{"lost": KEY, "why": SENTENCE}		an object that cannot be read
 *
 * and then the end, {"rc": 0, "result": {...}} or {"rc": -ERRNO, "error":
 * SENTENCE}.
 */
struct fileio;
struct json_t;
struct pool;
struct store_cmd;

struct store_cmd {
	/* By the caller; borrowed until done. */
	struct loop *loop;
	struct pool *pool;
	struct fileio *fileio;
	const char *url, *dir; /* where it is mounted, or NULL */
	/* A line; borrowed for the call. */
	void (*say)(struct store_cmd *c, const struct json_t *line);
	/* Once, never inside start or cancel, after the last line. */
	void (*done)(struct store_cmd *c);
	void *arg;

	/* private */
	struct json_t *result;
	struct err err;
	struct loop_task task;
	struct scrub *scrub;
	struct pool_change change;
	struct pool_rebuild_wait rebuild;
	struct loop_timer look; /* how far the rebuild is */
	bool wait, waiting;
	int64_t said_ns;
	bool cancelled;
};

/* question is borrowed for the call; done comes in any case. */
void store_cmd_start(struct store_cmd *c, const struct json_t *question);
/* Nobody listens any more: end soon. */
void store_cmd_cancel(struct store_cmd *c);

#endif
