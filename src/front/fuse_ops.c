/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and attributes: the directory and its few files.
 *
 * All of this is answered at once, from memory.  What touches the bytes of
 * the disk goes to fuse_io.c.
 *
 * The directory cannot be changed: EPERM.  Owner, mode and times of the disk
 * can, and are forgotten with the mount; the kernel checks permissions
 * (default_permissions).  The size cannot: a truncate to another size is
 * refused, as is O_TRUNC (dd wants conv=notrunc).
 *
 * There is no flush: close(2) of a disk has nothing to do, and an error of the
 * store is for fsync to tell, until the data is safe.
 *
 * The texts are made when they are opened, so that one reader sees one
 * moment.  They show size 0 and are read past the page cache, as files of
 * /proc are.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "front/fuse_int.h"
#include "front/status.h"

#define NAMES_TIMEOUT_S 86400.0 /* they never change */
#define ATTR_TIMEOUT_S 1.0	/* st_blocks does */

static struct fuse_front *
front_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct timespec
ts(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NS_PER_S,
		.tv_nsec = ns % NS_PER_S };
}

/* --- attributes --------------------------------------------------------- */

static uint32_t
clamp_blksize(uint32_t block_size)
{
	return block_size < 4096 ? 4096 :
	    block_size > MAX_IO	 ? MAX_IO :
				   block_size;
}

static bool
fill_attr(struct fuse_front *f, fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_uid = f->uid;
	st->st_gid = f->gid;
	st->st_nlink = 1;
	st->st_blksize = 4096;
	st->st_atim = st->st_mtim = st->st_ctim = ts(f->mount_ns);
	switch (ino) {
	case INO_ROOT:
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return true;
	case INO_FILE:
		st->st_mode = S_IFREG | f->mode;
		st->st_size = (off_t)f->size;
		st->st_blocks = (blkcnt_t)(volume_used(f->volume) / 512);
		st->st_blksize = (blksize_t)clamp_blksize(f->block_size);
		st->st_atim = ts(f->atime_ns);
		st->st_mtim = ts(f->mtime_ns);
		st->st_ctim = ts(f->ctime_ns);
		return true;
	case INO_STATS:
	case INO_JSON:
		st->st_mode = S_IFREG | 0444;
		st->st_atim = st->st_mtim = st->st_ctim = ts(clock_wall_ns());
		return true;
	default:
		return false;
	}
}

static fuse_ino_t
ino_of(const struct fuse_front *f, const char *name)
{
	if (strcmp(name, f->p.file_name) == 0)
		return INO_FILE;
	if (strcmp(name, f->p.stats_name) == 0)
		return INO_STATS;
	if (strcmp(name, STATUS_NAME) == 0)
		return INO_JSON;
	return 0;
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_front *f = front_of(req);
	struct fuse_entry_param entry = { 0 };

	entry.entry_timeout = NAMES_TIMEOUT_S;
	entry.attr_timeout = ATTR_TIMEOUT_S;
	if (parent == INO_ROOT)
		entry.ino = ino_of(f, name);
	if (entry.ino != 0)
		fill_attr(f, entry.ino, &entry.attr);
	/* An entry with ino 0 tells the kernel that the name is free. */
	fuse_reply_entry(req, &entry);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	if (fill_attr(front_of(req), ino, &st))
		fuse_reply_attr(req, &st, ATTR_TIMEOUT_S);
	else
		fuse_reply_err(req, ENOENT);
}

static int64_t
time_to_set(const struct timespec *t, bool now)
{
	return now ? clock_wall_ns() :
		     (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

static void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
    struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	struct stat st;

	if (ino != INO_FILE) {
		fuse_reply_err(req, EPERM);
		return;
	}
	if ((to_set & FUSE_SET_ATTR_SIZE) != 0 &&
	    (uint64_t)attr->st_size != f->size) {
		fuse_reply_err(req, EPERM);
		return;
	}
	if ((to_set & FUSE_SET_ATTR_MODE) != 0)
		f->mode = attr->st_mode & 07777;
	if ((to_set & FUSE_SET_ATTR_UID) != 0)
		f->uid = attr->st_uid;
	if ((to_set & FUSE_SET_ATTR_GID) != 0)
		f->gid = attr->st_gid;
	if ((to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW)) != 0)
		f->atime_ns = time_to_set(&attr->st_atim,
		    (to_set & FUSE_SET_ATTR_ATIME_NOW) != 0);
	if ((to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) != 0)
		f->mtime_ns = time_to_set(&attr->st_mtim,
		    (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0);
	f->ctime_ns = clock_wall_ns();
	fuse_keep(f);
	fill_attr(f, ino, &st);
	fuse_reply_attr(req, &st, ATTR_TIMEOUT_S);
}

static void
op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fuse_front *f = front_of(req);
	uint64_t used = volume_used(f->volume);
	uint64_t bs = clamp_blksize(f->block_size);
	struct statvfs s = {
		.f_bsize = bs,
		.f_frsize = bs,
		.f_blocks = f->size / bs,
		.f_files = 3,
		.f_namemax = 255,
	};

	s.f_bfree = used < f->size ? (f->size - used) / bs : 0;
	s.f_bavail = s.f_bfree;
	fuse_reply_statfs(req, &s);
}

/* --- open files ------------------------------------------------------------ */

static struct fuse_open_text *
text_new(struct fuse_front *f, fuse_ino_t ino, uint64_t fh)
{
	struct fuse_open_text *t = calloc(1, sizeof(*t));
	struct strbuf b = STRBUF_INIT;

	if (t == NULL)
		return NULL;
	f->p.text(f->p.arg,
	    ino == INO_STATS ? FUSE_TEXT_STATS : FUSE_TEXT_JSON, &b);
	if (b.failed) {
		strbuf_fini(&b);
		free(t);
		return NULL;
	}
	t->fh = fh;
	t->len = b.len;
	t->text = strbuf_take(&b);
	list_push_back(&f->texts, &t->link);
	return t;
}

static void
text_free(struct fuse_open_text *t)
{
	if (t == NULL)
		return;
	list_del(&t->link);
	free(t->text);
	free(t);
}

void
fuse_texts_free(struct fuse_front *f)
{
	while (!list_empty(&f->texts))
		text_free(list_entry(
		    f->texts.next, struct fuse_open_text, link));
}

/* NULL: opened in a process before this one. */
static struct fuse_open_text *
text_find(struct fuse_front *f, uint64_t fh)
{
	list_for_each(l, &f->texts) {
		struct fuse_open_text *t =
		    list_entry(l, struct fuse_open_text, link);

		if (t->fh == fh)
			return t;
	}
	return NULL;
}

/*
 * O_DIRECT on the disk makes the open file one without page cache, whose
 * writes may run side by side; libfuse 3.14 does not know that flag, so the
 * answer is put together here.
 */
static void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	bool writes = (fi->flags & O_ACCMODE) != O_RDONLY;

	if (ino != INO_FILE && ino != INO_STATS && ino != INO_JSON) {
		fuse_reply_err(req, ino == INO_ROOT ? EISDIR : ENOENT);
		return;
	}
	if (writes && (ino != INO_FILE || f->p.read_only)) {
		fuse_reply_err(req, ino == INO_FILE ? EROFS : EACCES);
		return;
	}
	struct fuse_open_text *t = NULL;
	struct fuse_open_out out = { .fh = ++f->last_fh };

	if (ino != INO_FILE && (t = text_new(f, ino, out.fh)) == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (ino != INO_FILE)
		out.open_flags = FOPEN_DIRECT_IO;
	else if (f->p.direct_io || (fi->flags & O_DIRECT) != 0)
		out.open_flags =
		    FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
	else
		out.open_flags = FOPEN_KEEP_CACHE;
	if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) != 0)
		text_free(t); /* the open was interrupted */
}

static void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (ino != INO_FILE)
		text_free(text_find(front_of(req), fi->fh));
	fuse_reply_err(req, 0);
}

static void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);

	if (ino == INO_FILE) {
		fuse_io_read(f, req, size, off, fi->fh);
		return;
	}
	struct fuse_open_text *t = text_find(f, fi->fh);

	if (t == NULL)
		t = text_new(f, ino, fi->fh);
	if (t == NULL)
		fuse_reply_err(req, ENOMEM);
	else if (off < 0 || (size_t)off >= t->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, t->text + off,
		    size < t->len - (size_t)off ? size :
						  t->len - (size_t)off);
}

static void
op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
    off_t off, struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);

	if (ino != INO_FILE)
		fuse_reply_err(req, EACCES);
	else if (f->p.read_only)
		fuse_reply_err(req, EROFS);
	else
		/* Dirty pages of the kernel come without the file's flags;
		 * for those it sends FSYNC. */
		fuse_io_write(f, req, data, size, off,
		    !fi->writepage && (fi->flags & O_DSYNC) != 0);
}

/* For any file here, and for the directory: the disk is made durable. */
static void
op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
    struct fuse_file_info *fi)
{
	fuse_io_flush(front_of(req), req, VOLUME_FLUSH);
}

static void
op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
    struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	int what = mode & ~FALLOC_FL_KEEP_SIZE;

	if (ino != INO_FILE)
		fuse_reply_err(req, EPERM);
	else if (f->p.read_only)
		fuse_reply_err(req, EROFS);
	else if (what == FALLOC_FL_PUNCH_HOLE)
		fuse_io_zero(f, req, off, len);
	else if (what != FALLOC_FL_ZERO_RANGE)
		fuse_reply_err(req, EOPNOTSUPP);
	else if (off < 0 || len <= 0 || (uint64_t)off > f->size ||
	    (uint64_t)len > f->size - (uint64_t)off)
		/* Would have to grow, or to promise zeros behind the end. */
		fuse_reply_err(req, mode == what ? EFBIG : EINVAL);
	else
		fuse_io_zero(f, req, off, len);
}

static void
op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
    struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	int64_t pos;

	if (ino != INO_FILE || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	pos = off < 0 ? -ENXIO :
			volume_seek(f->volume, (uint64_t)off,
			    whence == SEEK_DATA);
	if (pos < 0)
		fuse_reply_err(req, fuse_errno((int)pos));
	else
		fuse_reply_lseek(req, pos);
}

/* --- the directory ------------------------------------------------------------ */

static void
op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (ino != INO_ROOT) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void
op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	struct fuse_front *f = front_of(req);
	const struct {
		const char *name;
		fuse_ino_t ino;
	} v[] = {
		{ ".", INO_ROOT },
		{ "..", INO_ROOT },
		{ f->p.file_name, INO_FILE },
		{ STATUS_NAME, INO_JSON },
		{ f->p.stats_name, INO_STATS },
	};
	size_t n = sizeof(v) / sizeof(v[0]) - (*f->p.stats_name == '\0');
	char buf[2048];
	size_t used = 0;

	if (size > sizeof(buf))
		size = sizeof(buf);
	for (size_t i = off < 0 ? n : (size_t)off; i < n; i++) {
		struct stat st;

		fill_attr(f, v[i].ino, &st);
		size_t len = fuse_add_direntry(req, buf + used, size - used,
		    v[i].name, &st, (off_t)(i + 1));

		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, buf, used);
}

static void
op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
    struct fuse_file_info *fi)
{
	/* What pail sync calls: no journal will do. */
	fuse_io_flush(front_of(req), req, VOLUME_DRAIN);
}

/* Nothing can be made, removed or renamed here. */
static void
op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    dev_t rdev)
{
	fuse_reply_err(req, EPERM);
}

static void
op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	fuse_reply_err(req, EPERM);
}

static void
op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void
op_symlink(fuse_req_t req, const char *to, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void
op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
    fuse_ino_t newparent, const char *newname, unsigned flags)
{
	fuse_reply_err(req, EPERM);
}

static void
op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

const struct fuse_lowlevel_ops fuse_ops = {
	.init = fuse_ops_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.statfs = op_statfs,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.opendir = op_opendir,
	.releasedir = op_releasedir,
	.readdir = op_readdir,
	.fsyncdir = op_fsyncdir,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
};
