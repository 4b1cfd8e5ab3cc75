/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erase.c: the end of a pool; see erase.h.
 *
 * All copies of the superblock on all devices become zeros, in the order in
 * which a pool is found by them backwards, so that what is interrupted can be
 * done again: copy A0 goes last.
 */
#include "raw/erase.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "raw/format.h"
#include "raw/open.h"
#include "raw/rdev.h"

struct erase {
	struct rdev *dev[RAW_PATHS_MAX];
	uint64_t end[RAW_PATHS_MAX]; /* of each, by its superblock */
	unsigned n;
	uint8_t *sector;
};

static void
close_all(struct erase *x)
{
	for (unsigned i = 0; i < x->n; i++)
		rdev_close(x->dev[i]);
	free(x->sector);
}

/* The first copy of a device's superblock that can be read. */
static int
read_super(struct erase *x, unsigned i, struct raw_super *s, struct err *e)
{
	struct rdev *d = x->dev[i];
	uint64_t end = d->bytes & ~((1ull << 20) - 1);
	struct err why = ERR_INIT;

	for (unsigned c = 0; c < RAW_NCOPIES; c++) {
		uint64_t off = raw_copy_offset(c, end);

		if (end < 1u << 20 || off + RAW_SECTOR > d->bytes)
			continue;
		err_clear(&why);
		if (rdev_wait(d, RDEV_READ, off, x->sector, RAW_SECTOR,
			&why) == 0 &&
		    raw_super_decode(s, x->sector, &why) == 0) {
			x->end[i] = s->end <= d->bytes ? s->end : end;
			return 0;
		}
	}
	return err_set(e, -EINVAL,
	    "%s is not a member of a store; nothing was changed", d->path);
}

static int
open_all(struct erase *x, struct loop *l, struct fileio *io, const char *list,
    bool read_only, struct raw_super *s, struct err *e)
{
	unsigned npaths;
	char **paths = raw_paths_split(list, &npaths);
	struct raw_super one;
	int rc = 0;

	x->sector = aligned_alloc(RAW_SECTOR, RAW_SECTOR);
	if (!paths || !x->sector)
		rc = err_errno(e, -ENOMEM, "erase a store");
	for (unsigned i = 0; rc == 0 && i < npaths; i++) {
		rc = rdev_open(l, io, paths[i], read_only, &x->dev[x->n], e);
		if (rc < 0)
			break;
		x->n++;
		rc = read_super(x, i, &one, e);
		if (rc == 0 && i > 0 &&
		    memcmp(one.pool_uuid, s->pool_uuid, 16) != 0)
			rc = err_set(e, -EINVAL,
			    "%s belongs to store \"%s\", %s to another one, "
			    "\"%s\"; name the members of one. Nothing was "
			    "changed",
			    x->dev[0]->path, s->name, paths[i], one.name);
		if (rc == 0 && (i == 0 || one.epoch > s->epoch))
			*s = one;
	}
	raw_paths_free(paths);
	if (rc == 0 && x->n == 0)
		rc = err_set(e, -EINVAL, "no path of a device");
	return rc;
}

int
raw_erase_look(struct loop *l, struct fileio *io, const char *list,
    struct raw_super *s, unsigned *n, struct err *e)
{
	struct erase x = {.n = 0};
	int rc = open_all(&x, l, io, list, true, s, e);

	*n = x.n;
	close_all(&x);
	return rc;
}

static int
write_zeros(struct erase *x, unsigned i, struct err *e)
{
	static const enum raw_copy order[RAW_NCOPIES] = {
	    RAW_COPY_A1, RAW_COPY_B1, RAW_COPY_B0, RAW_COPY_A0};
	int rc = 0;

	memset(x->sector, 0, RAW_SECTOR);
	for (unsigned c = 0; rc == 0 && c < RAW_NCOPIES; c++)
		rc = rdev_wait(x->dev[i], RDEV_WRITE,
		    raw_copy_offset(order[c], x->end[i]), x->sector,
		    RAW_SECTOR, e);
	if (rc == 0)
		rc = rdev_wait(x->dev[i], RDEV_FLUSH, 0, NULL, 0, e);
	return rc;
}

int
raw_erase(struct loop *l, struct fileio *io, const char *list, struct err *e)
{
	struct erase x = {.n = 0};
	struct raw_super s;
	int rc = open_all(&x, l, io, list, false, &s, e);

	for (unsigned i = 0; rc == 0 && i < x.n; i++)
		rc = write_zeros(&x, i, e);
	close_all(&x);
	return rc;
}
