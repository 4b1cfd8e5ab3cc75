/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COPY_END_H
#define CLI_COPY_END_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"
#include "loop/work.h"

/*
 * The two ends of a copy: a volume, a file or block device, a pipe.
 *
 * The copy (copy_run.h) moves chunks: aligned pieces of one size, a multiple
 * of the block size of every volume that takes part; only the last may be
 * shorter.  An end reads and writes chunks, many at once and in any order, and
 * knows where it has holes.
 *
 *  E1. done runs once for each request, on the loop, never inside the call.
 *  E2. The end borrows the chunk until done.
 *  E3. Chunks are asked for in ascending order.  An end that has only one
 *      order (a pipe) may rely on it, and does them in that order.
 */
struct buf;
struct copy_end;
struct layout;

struct copy_chunk {
	uint64_t off;
	uint64_t len;	  /* read from a pipe: less, even 0, at its end */
	struct buf *data; /* READ: to be filled; WRITE: read-only */
	bool zero;	  /* all zeros: READ may set it and leave data alone;
			   * WRITE need not look at data then, and does not
			   * change it */
	void (*done)(struct copy_chunk *c);

	/* The answer. */
	int rc;
	struct err err;

	/* Private to the end. */
	struct copy_end *end;
	struct work work;
	struct list link;
	void *parts;
	unsigned pending;
	bool writing;
};

struct copy_end_ops {
	/* The next offset >= off that may have data, or is certainly a hole;
	 * the size if there is none.  NULL: data everywhere. */
	uint64_t (*next_data)(struct copy_end *x, uint64_t off);
	uint64_t (*next_hole)(struct copy_end *x, uint64_t off);
	void (*read)(struct copy_end *x, struct copy_chunk *c);
	void (*write)(struct copy_end *x, struct copy_chunk *c);
	/* Make [c->off, c->off + c->len) read as zeros; any length.  NULL: by
	 * writing zeros. */
	void (*zero)(struct copy_end *x, struct copy_chunk *c);
	/* Everything is written: size bytes are the whole.  Make it durable.
	 * Blocks (runs the loop). */
	int (*finish)(struct copy_end *x, uint64_t size, struct err *e);
	void (*close)(struct copy_end *x);
};

struct copy_end {
	const struct copy_end_ops *ops;
	struct loop *loop;
	char *name;	 /* for messages */
	uint64_t size;	 /* bytes; COPY_SIZE_UNKNOWN: a pipe to be read */
	uint64_t room;	 /* bytes that may be written */
	uint64_t data;	 /* bytes that are no hole, as far as is known */
	uint32_t block;	 /* chunks are multiples of this */
	bool blank;	 /* destination: reads as zeros everywhere */
	bool in_order;	 /* a pipe: every byte has to be written */
	bool pad;	 /* behind what is copied it becomes zeros */
};
#define COPY_SIZE_UNKNOWN UINT64_MAX

/* Regular files and block devices by path. */
enum copy_file_how {
	COPY_FILE_READ,
	COPY_FILE_CREATE,   /* -EEXIST if it is there and not empty */
	COPY_FILE_OVERWRITE, /* what is there goes */
	COPY_FILE_UPDATE     /* what is there is compared and kept */
};
/* pool: for the blocking calls.  A device must be opened by OVERWRITE or
 * UPDATE; -EBUSY if it is in use.  size: of the destination (what will be
 * written); checked against a device's. */
int copy_file_open(struct loop *l, struct work_pool *pool, const char *path,
    enum copy_file_how how, uint64_t size, struct copy_end **out,
    struct err *e);

/* fd is borrowed.  A pipe that is written takes chunks in order. */
int copy_pipe_open(struct loop *l, struct work_pool *pool, int fd,
    const char *name, struct copy_end **out, struct err *e);

/* l is borrowed, and stays open. */
int copy_volume_open(struct loop *loop, struct layout *l, const char *name,
    struct copy_end **out, struct err *e);

/* For the ends themselves. */
int copy_end_init(struct copy_end *x, const struct copy_end_ops *ops,
    struct loop *l, const char *name);
void copy_end_close(struct copy_end *x); /* accepts NULL */

#endif
