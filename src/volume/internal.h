/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VOLUME_INTERNAL_H
#define VOLUME_INTERNAL_H

#include "base/stat.h"
#include "layout/lease_owner.h"
#include "volume/volume.h"

/*
 * What the files of src/volume share: open.c puts the stack together, io.c
 * carries requests, wait.c is the synchronous facade.
 */
struct op;

/* Parts of a request come in sizes of 1, 2, 4 ... 2^(OP_CLASSES - 1); memory
 * for larger ones is not kept. */
#define OP_CLASSES 7
#define OP_KEEP 64 /* free ones of a class */

struct volume {
	struct loop *loop;
	char *url;
	struct store *store;
	struct layout *layout;
	struct cache *cache;
	struct journal *journal; /* NULL: none */
	char *disk_prefix; /* of the keys; NULL: no disk cache */
	char *journal_path;
	bool journal_own; /* AUTO: removed when it is clean, and the lease gone */
	struct layout_info info;
	struct stat_set stats;

	/* io.c */
	struct op *free_ops[OP_CLASSES];
	unsigned nfree[OP_CLASSES];
	struct list early; /* volume_req.link: ended in submit */
	struct loop_task early_task;
	unsigned inflight;
	struct list reads; /* op.link: wait for memory, in order */
	uint64_t nreading, max_reading; /* blocks in READs */
};

/* journal.c */
struct volume_journaling { /* while the volume is being opened */
	struct volume *v;
	const struct store_env *env;
	const struct volume_params *p;
	char lease[64];
	char where[LEASE_JOURNAL_MAX]; /* layout_params.journal */
	bool had; /* it is the one that the mount before had: it is there */
};
/* layout_params.found */
int vj_found(void *arg, const struct layout_identity *id, const char *lease,
    struct err *e);
/* The lease is ours: may what is in the journal be applied? */
int vj_check_lease(struct volume_journaling *vj, struct err *e);
/* The cache is there: apply it, and start. */
int vj_recover(struct volume_journaling *vj, struct err *e);
/* clean: all is in the store. */
void vj_close(struct volume *v, bool clean);
/* And the lease has been given up: without a file that is of no use. */
void vj_remove(struct volume *v);

/* unsent.c: -EBUSY, with what to do, for what may hold data that the store does not
 * have. */
/* Where the journal of this volume is by default; *out is NULL if nowhere. */
int vu_default_path(const char *dir, const struct layout_identity *id,
    char **out, struct err *e);
/* A journal that will not be used: has it anything of this volume? */
int vu_check(const struct store_env *env, const char *path,
    const struct layout_identity *id, struct err *e);
/* The one that the mount before had, which has died: is it there? */
int vu_check_there(const struct store_env *env,
    const struct layout_identity *id, struct err *e);
/* If there was one: is it, and has it nothing? */
int vu_check_prior(const struct store_env *env,
    const struct layout_identity *id, struct err *e);

/* diskcache.c */
struct volume_disking { /* while the volume is being opened */
	struct volume *v;
	const struct store_env *env;
	const struct volume_params *p;
	struct volume_journaling *vj;
	struct store *filter; /* that waits for its file */
	uint8_t uuid[16];
	uint32_t block_size;
};
int vd_open(struct volume_disking *vd, const char *prefix, struct err *e);
/* layout_params.found, and .held */
int vd_found(void *arg, const struct layout_identity *id, const char *lease,
    struct err *e);
void vd_held(void *arg, bool alone);

void volume_io_init(struct volume *v);
void volume_io_fini(struct volume *v);

#endif
