/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DCFILE_H
#define STORE_DCFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "raw/rdev.h"
#include "store/dcfmt.h"

/*
 * The file of a disk cache: slots of one object each, and which is where.
 * Everything on the device's loop.  After the first error of the device nothing
 * is read or written any more (dcfile_broken), which is said once.
 */
struct dcfile;
struct err;
struct meta;

/* Takes d when it succeeds.  One of another volume or block size, or a damaged
 * one, begins afresh.  -EINVAL: d holds something else; -ENOSPC: too small. */
int dcfile_open(struct rdev *d, const uint8_t uuid[16], uint32_t block_size,
    struct dcfile **out, struct err *e);
/* Waits for what is in flight, and writes down what is where. */
void dcfile_close(struct dcfile *f);
bool dcfile_broken(const struct dcfile *f);

#define DC_NONE UINT32_MAX
/* The slot that has this key, most probably. */
uint32_t dcfile_find(const struct dcfile *f, uint64_t key);
void dcfile_forget(struct dcfile *f, uint32_t slot);
/* It is the object that the store has: known by its tag. */
bool dcfile_trusted(const struct dcfile *f, uint32_t slot);
void dcfile_trust(struct dcfile *f, uint32_t slot);
uint64_t dcfile_tag(const struct dcfile *f, uint32_t slot);

struct dcio {
	struct rdev_req req;
	struct iovec iov;
	struct dcfile *f;
	uint32_t slot, gen;
	uint8_t *mem; /* header and bytes */
	struct dc_head head;
	uint64_t key; /* hash */
	void (*done)(struct dcio *io); /* once, never inside the call */
	void *arg;
	bool good; /* read: whole, and of this volume and key */
};
/* Read a slot; NULL: not now.  The slot stays until dcio_free. */
struct dcio *dcfile_read(struct dcfile *f, uint32_t slot,
    void (*done)(struct dcio *io), void *arg);
/* Is what was read still what the slot has? */
bool dcio_current(const struct dcio *io);
void dcio_free(struct dcio *io);

/* Keep an object, if there is room to do so now; key and bytes are copied.  It is
 * found when it has been written. */
void dcfile_keep(struct dcfile *f, const char *key, const char *tag,
    const struct meta *m, const void *bytes, uint32_t len, bool trusted);
/* Forget what it has of this key, and what is on its way. */
void dcfile_drop(struct dcfile *f, uint64_t key);

#endif
