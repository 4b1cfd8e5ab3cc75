/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rdev_file.c: block devices and image files; see rdev.h.
 *
 * By fileio (io_uring where it works), with O_DIRECT: what the pool keeps is
 * larger than memory and is cached above.  A file system that has no O_DIRECT
 * (tmpfs) is used without; fdatasync makes it durable all the same.
 *
 * Transfers wait until the loop has done what it had to do in this turn, or
 * until they are enough for one of MERGE_MAX; then those that go on where
 * another one ends are sent as one.  With erasure coding each object is a small
 * piece on every member, and objects that are written together lie side by side.
 *
 * A durable write is one call: of the disk's, where that has such writes, else
 * the kernel has it flush without coming back to us in between.  Of a file
 * system in a process it is not known whether it looks at the flag.
 *
 * Whoever opens a device for writing has it alone, by flock; of a block device
 * O_EXCL also keeps mounted file systems out.  Readers share the lock.
 */
#include "raw/rdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/fileio.h"
#include "raw/holder.h"

#define MERGE_MAX (256u << 10) /* bytes of one transfer made of several */
#define MERGE_IOV 128u
#define PLUG_MAX 16u /* transfers that wait for others to join them */

struct file_dev {
	struct rdev dev;
	struct fileio *io;
	int fd;
	struct list plug; /* of file_req: transfers of this turn */
	uint64_t plugged; /* bytes of them */
	unsigned nplugged;
	struct loop_task unplug;
};

struct file_req { /* one for each request under way */
	struct list link;
	struct rdev_req *req;
	struct fileio_req io; /* of its own, if it is not part of a merge */
};

struct merge { /* several requests that are one transfer */
	struct fileio_req io;
	struct list parts; /* of file_req */
	struct iovec iov[MERGE_IOV];
};

static struct file_dev *
file_dev_of(struct rdev_req *r)
{
	return container_of(r->dev, struct file_dev, dev);
}

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
send_one(struct file_req *f)
{
	static const enum fileio_op op[] = {FILEIO_READ, FILEIO_WRITE,
	    FILEIO_FDATASYNC, FILEIO_FALLOCATE};
	struct rdev_req *r = f->req;
	struct file_dev *fd = file_dev_of(r);

	f->io = (struct fileio_req){.op = op[r->op],
	    .fd = fd->fd,
	    .off = r->off,
	    .iov = r->iov,
	    .niov = r->niov,
	    .len = r->len,
	    .durable = r->durable,
	    /* Of a block device the kernel makes a discard of it. */
	    .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	    .done = io_done};
	fileio_submit(fd->io, &f->io);
}

/* --- merging -------------------------------------------------------------- */

static uint64_t
merge_bytes(const struct merge *m)
{
	uint64_t n = 0;

	list_for_each(l, &m->parts)
		n += list_entry(l, struct file_req, link)->req->len;
	return n;
}

/* Whole: all have their answer.  Else each is tried for itself, so that what
 * is bad is known, and only that. */
static void
merge_done(struct fileio_req *io)
{
	struct merge *m = container_of(io, struct merge, io);
	bool good = io->result >= 0 && (uint64_t)io->result == merge_bytes(m);

	while (!list_empty(&m->parts)) {
		struct list *l = list_pop_front(&m->parts);
		struct file_req *f = list_entry(l, struct file_req, link);
		struct rdev_req *r = f->req;

		if (!good) {
			send_one(f);
			continue;
		}
		free(f);
		rdev_complete(r, 0);
	}
	free(m);
}

/* The first of the plug that goes on where the merge ends. */
static struct file_req *
find_next(struct file_dev *fd, const struct rdev_req *first, uint64_t end,
    uint64_t room_bytes, unsigned room_iov)
{
	list_for_each(l, &fd->plug) {
		struct file_req *f = list_entry(l, struct file_req, link);

		if (f->req->op == first->op && f->req->off == end &&
		    f->req->len <= room_bytes && f->req->niov <= room_iov)
			return f;
	}
	return NULL;
}

static void
send_merged(struct file_dev *fd, struct merge *m)
{
	struct rdev_req *first =
	    list_entry(m->parts.next, struct file_req, link)->req;
	unsigned n = 0;

	list_for_each(l, &m->parts) {
		struct rdev_req *r = list_entry(l, struct file_req, link)->req;

		memcpy(m->iov + n, r->iov, r->niov * sizeof(*r->iov));
		n += r->niov;
	}
	m->io = (struct fileio_req){
	    .op = first->op == RDEV_READ ? FILEIO_READ : FILEIO_WRITE,
	    .fd = fd->fd,
	    .off = first->off,
	    .iov = m->iov,
	    .niov = n,
	    .done = merge_done};
	fileio_submit(fd->io, &m->io);
}

/* Take f, and what goes on behind it, out of the plug, and send it. */
static void
send_run(struct file_dev *fd, struct file_req *f)
{
	struct rdev_req *first = f->req;
	uint64_t len = first->len;
	unsigned niov = first->niov;
	struct merge *m = NULL;
	struct file_req *next;

	while (niov < MERGE_IOV && len < MERGE_MAX &&
	    (next = find_next(fd, first, first->off + len, MERGE_MAX - len,
		 MERGE_IOV - niov))) {
		if (!m) {
			m = malloc(sizeof(*m));
			if (!m)
				break;
			list_init(&m->parts);
			list_push_back(&m->parts, &f->link);
		}
		len += next->req->len;
		niov += next->req->niov;
		list_del(&next->link);
		list_push_back(&m->parts, &next->link);
	}
	if (m)
		send_merged(fd, m);
	else
		send_one(f);
}

static void
send_plug(struct file_dev *fd)
{
	fd->plugged = 0;
	fd->nplugged = 0;
	while (!list_empty(&fd->plug)) {
		struct list *l = list_pop_front(&fd->plug);

		send_run(fd, list_entry(l, struct file_req, link));
	}
}

static void
unplug(struct loop_task *t)
{
	send_plug(container_of(t, struct file_dev, unplug));
}

/* --- the device ------------------------------------------------------------ */

static void
out_of_memory(struct loop_task *t)
{
	rdev_complete(container_of(t, struct rdev_req, task), -ENOMEM);
}

static void
file_submit(struct rdev *d, struct rdev_req *r)
{
	struct file_dev *fd = container_of(d, struct file_dev, dev);
	struct file_req *f = calloc(1, sizeof(*f));

	if (!f) {
		r->task = (struct loop_task){.run = out_of_memory};
		loop_defer(d->loop, &r->task);
		return;
	}
	f->req = r;
	list_init(&f->link);
	if ((r->op != RDEV_READ && r->op != RDEV_WRITE) || r->durable) {
		send_one(f);
		return;
	}
	list_push_back(&fd->plug, &f->link);
	fd->plugged += r->len;
	if (++fd->nplugged >= PLUG_MAX || fd->plugged >= MERGE_MAX)
		send_plug(fd);
	else
		loop_defer(d->loop, &fd->unplug);
}

static void
file_close(struct rdev *d)
{
	struct file_dev *fd = container_of(d, struct file_dev, dev);

	loop_cancel(d->loop, &fd->unplug);
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
	struct statfs fs;
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
	/* What was allocated in full is to stay so. */
	fd->dev.wants_discard = S_ISBLK(st.st_mode) ||
	    (uint64_t)st.st_blocks * 512 < bytes;
	fd->dev.bytes = bytes & ~(uint64_t)4095;
	fd->dev.durable_writes = fstatfs(h, &fs) == 0 &&
	    fs.f_type != FUSE_SUPER_MAGIC;
	fd->io = io;
	fd->fd = h;
	list_init(&fd->plug);
	fd->unplug.run = unplug;
	*out = &fd->dev;
	return 0;
fail:
	close(h);
	return rc;
}
