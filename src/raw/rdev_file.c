/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rdev_file.c: block devices and image files; see rdev.h.
 *
 * By fileio (io_uring where it works), with O_DIRECT: what the pool keeps is
 * larger than memory and is cached above.  A file system that has no O_DIRECT
 * (tmpfs) is used without; fdatasync makes it durable all the same.
 *
 * Whoever opens a device for writing has it alone, by flock; of a block device
 * O_EXCL also keeps mounted file systems out.  Readers share the lock.
 */
#include "raw/rdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/fileio.h"
#include "raw/holder.h"

struct file_dev {
	struct rdev dev;
	struct fileio *io;
	int fd;
};

struct file_req { /* one for each request under way */
	struct fileio_req io;
	struct rdev_req *req;
};

static void
io_done(struct fileio_req *io)
{
	struct file_req *f = container_of(io, struct file_req, io);
	struct rdev_req *r = f->req;
	int64_t got = io->result;
	int rc = got < 0 ? (int)got : 0;

	/* A file that was cut short under us is a device that fails. */
	if (got >= 0 && r->niov > 0 && (uint64_t)got != r->len)
		rc = -EIO;
	free(f);
	rdev_complete(r, rc);
}

static void
out_of_memory(struct loop_task *t)
{
	rdev_complete(container_of(t, struct rdev_req, task), -ENOMEM);
}

static void
file_submit(struct rdev *d, struct rdev_req *r)
{
	static const enum fileio_op op[] = {FILEIO_READ, FILEIO_WRITE,
	    FILEIO_FDATASYNC, FILEIO_FALLOCATE};
	struct file_dev *fd = container_of(d, struct file_dev, dev);
	struct file_req *f = calloc(1, sizeof(*f));

	if (!f) {
		r->task = (struct loop_task){.run = out_of_memory};
		loop_defer(d->loop, &r->task);
		return;
	}
	f->req = r;
	f->io.op = op[r->op];
	f->io.fd = fd->fd;
	f->io.off = r->off;
	f->io.iov = r->iov;
	f->io.niov = r->niov;
	f->io.len = r->len;
	/* Of a block device the kernel makes a discard of it. */
	f->io.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	f->io.done = io_done;
	fileio_submit(fd->io, &f->io);
}

static void
file_close(struct rdev *d)
{
	struct file_dev *fd = container_of(d, struct file_dev, dev);

	close(fd->fd);
	free(d->path);
	free(fd);
}

static const struct rdev_ops file_ops = {file_submit, file_close};

static int
open_fd(const char *path, bool read_only, bool block, struct err *e)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int fd;

	if (block && !read_only)
		flags |= O_EXCL;
	fd = open(path, flags | O_DIRECT);
	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags);
	if (fd < 0 && errno == EBUSY)
		return err_set(e, -EBUSY,
		    "%s: in use (mounted, or opened by another program)", path);
	if (fd < 0)
		return err_errno(e, -errno, "open %s", path);
	if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
		int rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		char who[RAW_HOLDER_MAX];

		if (rc == -EBUSY)
			err_set(e, rc, "%s: %s has it open", path,
			    raw_holder(fd, who));
		else
			err_errno(e, rc, "lock %s", path);
		close(fd);
		return rc;
	}
	return fd;
}

int
rdev_open(struct loop *l, struct fileio *io, const char *path, bool read_only,
    struct rdev **out, struct err *e)
{
	struct file_dev *fd;
	struct stat st;
	uint64_t bytes;
	int h, rc;

	if (stat(path, &st) < 0)
		return err_errno(e, -errno, "%s", path);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, -ENOTBLK,
		    "%s: neither a block device nor a regular file", path);
	h = open_fd(path, read_only, S_ISBLK(st.st_mode), e);
	if (h < 0)
		return h;
	rc = fstat(h, &st) < 0 ? -errno : 0;
	bytes = (uint64_t)st.st_size;
	if (rc == 0 && S_ISBLK(st.st_mode) && ioctl(h, BLKGETSIZE64, &bytes) < 0)
		rc = -errno;
	if (rc < 0) {
		err_errno(e, rc, "size of %s", path);
		goto fail;
	}
	rc = -ENOMEM;
	fd = calloc(1, sizeof(*fd));
	if (!fd || !(fd->dev.path = strdup(path))) {
		free(fd);
		err_errno(e, rc, "open %s", path);
		goto fail;
	}
	fd->dev.ops = &file_ops;
	fd->dev.loop = l;
	fd->dev.bytes = bytes & ~(uint64_t)4095;
	fd->io = io;
	fd->fd = h;
	*out = &fd->dev;
	return 0;
fail:
	close(h);
	return rc;
}
