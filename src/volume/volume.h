/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "cache/cache.h"
#include "layout/layout.h"
#include "loop/loop.h"
#include "store/open.h"

/*
 * A volume: the disk.  Byte ranges in, blocks out.  Here the stack is put
 * together: store, its filters, layout, cache.
 *
 * Requests may be of any alignment and size (a READ: up to a quarter of the
 * cache, else -EINVAL) and run at once; overlapping ones
 * that are in flight together may take effect in any order, as on a disk.
 * Everything runs on one loop.
 */
struct journal;
struct rdev;
struct store;
struct volume;

enum volume_op {
	VOLUME_READ,
	VOLUME_WRITE,
	VOLUME_ZERO,	/* reads as zeros afterwards; objects go */
	VOLUME_FLUSH,	/* a barrier; cache.h C4 */
	VOLUME_DRAIN	/* all that was acknowledged is in the store */
};

struct volume_req {
	/* By the caller; borrowed until done. */
	enum volume_op op;
	uint64_t off, len; /* within the volume, else -EINVAL */
	const void *src;   /* WRITE: len bytes, borrowed until done */
	bool fua;	   /* WRITE, ZERO: done means durable */
	uint64_t stream;   /* READ: who reads, for read-ahead */
	void (*done)(struct volume_req *r); /* once, never inside submit */
	void *arg;

	/* The answer. */
	int rc;
	struct err err;
	/* READ: the bytes, in order, until volume_req_fini. */
	struct iovec *iov;
	unsigned niov;

	/* private */
	struct volume *volume;
	void *priv;
	unsigned pending;
	struct list link;
};

void volume_submit(struct volume *v, struct volume_req *r);
void volume_req_fini(struct volume_req *r);

/*
 * Where the journal is.  It is opened before the lease is taken, and what it
 * holds is applied before the volume is.
 */
enum volume_journal_mode {
	VOLUME_JOURNAL_NONE,
	VOLUME_JOURNAL_AUTO, /* a file of the volume's own in dir, made here
			      * and removed by a clean close; without one if
			      * it cannot be made */
	VOLUME_JOURNAL_PATH  /* a file, made if there is none, or a partition */
};
/* Who goes on with a mount after a crash (LEASE_RESUME) knows which it is. */
enum volume_journal_resume {
	VOLUME_JOURNAL_FIRST,  /* nobody was before */
	VOLUME_JOURNAL_NEEDED, /* -ESTALE if it is not there, or another one */
	VOLUME_JOURNAL_SPARE   /* without it, rather than not at all */
};

struct volume_journal {
	enum volume_journal_mode mode;
	const char *path;
	/* The state directory; NULL: none.  Whatever the mode, a journal in it
	 * that holds unsent data of this volume is not passed over. */
	const char *dir;
	struct rdev *dev; /* PATH: instead of it, taken (tests) */
	uint64_t size; /* of a file that is made; 0: 256 MiB */
	bool salvage;  /* apply what comes before damage */
	bool force;	  /* apply it though the lease is not known to it */
	enum volume_journal_resume resume;
};

/*
 * For who opens a layout without a volume, to change it: layout_params.found,
 * which refuses (-EBUSY) while the state directory has unsent data of the
 * volume.  arg: a struct volume_guard that lives as long as the opening.
 */
struct volume_guard {
	const struct store_env *env;
	const char *dir; /* as in struct volume_journal */
};
int volume_guard_found(void *arg, const struct layout_identity *id,
    const char *lease, struct err *e);

/* A local file of objects (docs/diskcache.md).  One that cannot be used is left,
 * with a warning. */
struct volume_disk {
	const char *path;  /* NULL: none */
	uint64_t size;	   /* of a file that is made; 0: 1 GiB */
	struct rdev *dev;  /* instead of a path, taken (tests) */
};

struct volume_params {
	struct volume_disk disk;
	struct layout_params layout;
	struct cache_params cache; /* journal: unused */
	struct volume_journal journal;
	struct store_tuning store;
};
void volume_params_init(struct volume_params *p);

/*
 * Open (or create, layout.create) the volume that a URL names.  Runs the loop
 * until it is there; fails within seconds, with a sentence, for what will not
 * change by waiting.  url is borrowed during the call.
 */
int volume_open(const struct store_env *env, const char *url,
    const struct volume_params *p, struct volume **out, struct err *e);

/* Over a store that is open already (tests): takes s. */
int volume_open_store(const struct store_env *env, struct store *s,
    const char *prefix, const char *salt_bucket,
    const struct volume_params *p, struct volume **out, struct err *e);

/*
 * Close: flush, give up the lease, free.  With give_up, what cannot be written
 * is lost, and the lease stays so that the next one who mounts is told.
 * Returns the error of the flush or of the lease; v is gone in any case
 * except when the flush failed and give_up is false: then v is as before.
 */
int volume_close(struct volume *v, bool give_up, struct err *e);

/* Free v and keep the lease, for another process of the same mount.  What is
 * dirty is lost: flush first. */
int volume_leave(struct volume *v, struct err *e);

/* What is below, for status and for tools. */
struct layout *volume_layout(struct volume *v);
struct cache *volume_cache(struct volume *v);
struct store *volume_store(struct volume *v);
struct stat_set *volume_stats(struct volume *v);
struct loop *volume_loop(struct volume *v);
const char *volume_url(const struct volume *v);
uint64_t volume_size(const struct volume *v);
uint32_t volume_block_size(const struct volume *v);

/* NULL: there is none. */
struct journal *volume_journal(struct volume *v);
/* As cache_logged and cache_watch_journal. */
bool volume_logged(const struct volume *v, uint64_t *next, uint64_t *written);
void volume_watch_journal(
    struct volume *v, void (*failed)(void *arg), void *arg);

/* SEEK_DATA, SEEK_HOLE: the next offset >= off of that kind; -ENXIO as
 * lseek(2).  Dirty data not yet in the store counts as data. */
int64_t volume_seek(struct volume *v, uint64_t off, bool data);
/* Bytes that take up space (whole blocks), for st_blocks. */
uint64_t volume_used(struct volume *v);

/* The synchronous facade for tools and tests: dst/src of len bytes. */
int volume_read_wait(
    struct volume *v, uint64_t off, void *dst, uint64_t len, struct err *e);
int volume_write_wait(struct volume *v, uint64_t off, const void *src,
    uint64_t len, struct err *e);
int volume_zero_wait(
    struct volume *v, uint64_t off, uint64_t len, struct err *e);
int volume_flush_wait(struct volume *v, struct err *e);
int volume_drain_wait(struct volume *v, struct err *e);

#endif
