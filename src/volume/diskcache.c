/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diskcache.c: a volume's disk cache: the filter over its stores, and the file,
 * which is opened when it is known which volume it is and whether we are alone
 * with it.
 *
 *	vd_open		the filter, which passes everything on
 *	vd_found	which volume it is, is known
 *	vd_held		the lease is held, or none will be: with the file from now
 *
 * Only blocks are kept: what leases and descriptors say is asked each time.  A
 * file that cannot be used is left with a warning, since nothing is lost with it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "layout/s3b_name.h"
#include "raw/rdev.h"
#include "store/dcfile.h"
#include "store/diskcache.h"
#include "store/store.h"
#include "volume/internal.h"

#define SIZE_DEFAULT (1ull << 30)

static bool
is_block(void *arg, const char *key)
{
	const struct volume *v = arg;
	uint32_t block;

	return s3b_name_parse(key, v->disk_prefix, false, &block) ||
	    s3b_name_parse(key, v->disk_prefix, true, &block);
}

int
vd_open(struct volume_disking *vd, const char *prefix, struct err *e)
{
	const struct volume_disk *p = &vd->p->disk;
	struct volume *v = vd->v;
	struct diskcache_config conf = {
	    .wants = is_block, .arg = v, .stats = &v->stats};
	int rc;

	if (!p->path && !p->dev)
		return 0;
	v->disk_prefix = strdup(prefix);
	if (!v->disk_prefix)
		return err_errno(e, -ENOMEM, "disk cache");
	rc = diskcache_store_new(v->store, &conf, &v->store, e);
	if (rc < 0)
		v->store = NULL;
	vd->filter = v->store;
	return rc;
}

int
vd_found(void *arg, const struct layout_identity *id, const char *lease,
    struct err *e)
{
	struct volume_disking *vd = arg;

	vd->block_size = id->block_size;
	memcpy(vd->uuid, id->uuid, 16);
	if (!id->has_uuid) { /* then by its name */
		put_le64(vd->uuid, dc_hash(vd->v->url));
		put_le64(vd->uuid + 8,
		    vd->v->disk_prefix ? dc_hash(vd->v->disk_prefix) : 0);
	}
	return vj_found(vd->vj, id, lease, e);
}

static int
make_file(const struct volume_disk *p, struct err *e)
{
	uint64_t size = p->size ? p->size : SIZE_DEFAULT;
	int fd = open(p->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return err_errno(e, -errno, "make the disk cache %s", p->path);
	rc = -posix_fallocate(fd, 0, (off_t)size);
	close(fd);
	if (rc == 0)
		return 0;
	unlink(p->path);
	return err_errno(e, rc, "make the disk cache %s: %llu bytes", p->path,
	    (unsigned long long)size);
}

static int
open_file(struct volume_disking *vd, struct dcfile **out, struct err *e)
{
	const struct volume_disk *p = &vd->p->disk;
	struct rdev *d = p->dev;
	int rc = 0;

	if (!d && access(p->path, F_OK) < 0 && errno == ENOENT)
		rc = make_file(p, e);
	if (rc == 0 && !d)
		rc = rdev_open(
		    vd->env->loop, vd->env->fileio, p->path, false, &d, e);
	if (rc < 0)
		return rc;
	rc = dcfile_open(d, vd->uuid, vd->block_size, out, e);
	if (rc < 0)
		rdev_close(d);
	return rc;
}

void
vd_held(void *arg, bool alone)
{
	struct volume_disking *vd = arg;
	struct err e = ERR_INIT;
	struct dcfile *file;

	if (!vd->filter)
		return;
	if (open_file(vd, &file, &e) < 0)
		log_warn("%s: no disk cache: %s", vd->v->url, err_text(&e));
	else
		diskcache_start(vd->filter, file, alone);
	vd->filter = NULL;
}
