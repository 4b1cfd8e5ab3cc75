/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_STATUS_H
#define FRONT_STATUS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * The state of a mount: the text of DIR/stats and DIR/.status.json.
 *
 * The JSON object has the fields below under the same names, and under
 * "counters" what stat_json gives.  Names stay; new ones may come.
 */
struct json_t;
struct stat_set;
struct strbuf;
struct volume;

#define STATUS_NAME ".status.json"

struct status {
	char state[16];	    /* "serving", "ending" */
	char version[32];   /* of pail */
	pid_t pid;
	char control[48];   /* control.h */
	pid_t holder_pid;   /* docs/restart.md; 0: there is none */
	char holder[48];    /* its socket, for pail upgrade; "" */
	bool survives_crash; /* one now would be no error to anybody */
	uint64_t unflushed_bytes; /* kept for that */
	uint32_t crashes, upgrades; /* that the mount has survived */
	char url[2048];
	char dir[PATH_MAX];
	char file[NAME_MAX + 1]; /* the disk's name in dir */
	int64_t since_wall_ns;   /* mounted */
	bool read_only;
	uint64_t size;
	uint32_t block_size;
	uint64_t used;	     /* bytes of the blocks that exist */
	bool survey_done;    /* used is exact */
	uint64_t dirty_bytes;
	uint64_t journal_only_bytes; /* of them: not in memory */
	uint64_t dirty_blocks;
	uint64_t uploading_blocks;
	uint64_t clean_bytes;
	uint64_t memory_bytes;
	int64_t oldest_dirty_ns; /* age; 0: nothing is dirty */
	uint64_t upload_bytes_per_s; /* lately, while there was something */
	int64_t drain_ns; /* until all would be written; 0: not known */
	char journal[PATH_MAX];	    /* "" if there is none */
	char journal_state[16];	    /* "none", "in use", "failed" */
	uint64_t journal_bytes;
	uint64_t journal_used_bytes; /* needed until it is uploaded */
	uint64_t journal_flushes;
	/* The last upload failed, and its data is not safe yet.  0: none. */
	int error;	    /* negative errno */
	char error_text[ERR_TEXT_MAX];
	int64_t error_since_wall_ns;
};

/* What the volume knows; the rest of *s is the caller's. */
void status_collect(struct status *s, struct volume *v);

/* A line per number, for people; appended to out. */
void status_text(const struct status *s, const struct stat_set *counters,
    struct strbuf *out);
void status_json(const struct status *s, const struct stat_set *counters,
    struct strbuf *out);

/*
 * Read the JSON again.  Fields that are not there become 0 or "".  counters,
 * if not NULL, gets a new reference to that object (or NULL).  -EBADMSG: not
 * such a text.
 */
int status_parse(const char *text, size_t len, struct status *s,
    struct json_t **counters, struct err *e);

#endif
