/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file or a block device as one end of a copy.
 *
 * Reading and writing block, so they happen on a pool of threads, each chunk
 * by itself; the kernel's page cache does the rest.  Holes of the source are
 * found by SEEK_DATA and SEEK_HOLE.  The destination is made sparse: a new file
 * is extended to its size at the end and never written where it is zero; in
 * one that was there before, and on a device, zeros are punched, and written
 * only where that is not possible.
 *
 * finish() gives a file its exact size, writes everything to the disk, and
 * writes the directory too if the file is new.  A failure of any of these is
 * the failure of the copy.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "cli/copy_end.h"

struct copy_file {
	struct copy_end end;
	struct work_pool *pool;
	int fd;
	bool device;
	bool created;
	bool no_punch; /* the file system cannot; written by workers only
			* from false to true, read without a lock */
};

int
copy_end_init(struct copy_end *x, const struct copy_end_ops *ops,
    struct loop *l, const char *name)
{
	x->ops = ops;
	x->loop = l;
	x->block = 4096;
	x->room = UINT64_MAX;
	x->name = strdup(name);
	return x->name == NULL ? -ENOMEM : 0;
}

void
copy_end_close(struct copy_end *x)
{
	char *name;

	if (x == NULL)
		return;
	name = x->name;
	x->ops->close(x);
	free(name);
}

static struct copy_file *
file_of(struct copy_end *x)
{
	return container_of(x, struct copy_file, end);
}

static struct copy_chunk *
chunk_of(struct work *w)
{
	return container_of(w, struct copy_chunk, work);
}

/* --- on a thread of the pool ------------------------------------------------ */

static void
read_run(struct work *w)
{
	struct copy_chunk *c = chunk_of(w);
	struct copy_file *f = file_of(c->end);
	uint64_t got = 0;

	while (got < c->len) {
		ssize_t n = pread(f->fd, c->data->data + got, c->len - got,
		    (off_t)(c->off + got));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			c->rc = err_errno(&c->err, -errno,
			    "read %s at %" PRIu64, c->end->name, c->off + got);
			return;
		}
		if (n == 0) {
			c->rc = err_set(&c->err, -EIO,
			    "read %s: it ends at %" PRIu64
			    " and had %" PRIu64 " bytes before",
			    c->end->name, c->off + got, c->end->size);
			return;
		}
		got += (uint64_t)n;
	}
	c->data->len = c->len;
	c->zero = mem_is_zero(c->data->data, c->len);
}

static int
write_all(struct copy_file *f, const uint8_t *p, uint64_t len, uint64_t off,
    struct err *e)
{
	while (len > 0) {
		ssize_t n = pwrite(f->fd, p, len, (off_t)off);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_errno(e, -errno, "write %s at %" PRIu64,
			    f->end.name, off);
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static void
write_run(struct work *w)
{
	struct copy_chunk *c = chunk_of(w);

	c->rc = write_all(
	    file_of(c->end), c->data->data, c->len, c->off, &c->err);
}

/* Zeros by writing them, for what cannot punch. */
static int
write_zeros(struct copy_file *f, uint64_t off, uint64_t len, struct err *e)
{
	static const uint8_t zeros[65536];
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && at < len; at += sizeof(zeros))
		rc = write_all(f, zeros,
		    len - at < sizeof(zeros) ? len - at : sizeof(zeros),
		    off + at, e);
	return rc;
}

static void
zero_run(struct work *w)
{
	struct copy_chunk *c = chunk_of(w);
	struct copy_file *f = file_of(c->end);
	uint64_t end = c->off + c->len;
	struct stat st;

	/* Behind the end of a file there is nothing to zero: finish() extends
	 * it. */
	if (!f->device && fstat(f->fd, &st) == 0 &&
	    end > (uint64_t)st.st_size)
		end = c->off < (uint64_t)st.st_size ? (uint64_t)st.st_size
						    : c->off;
	if (end == c->off)
		return;
	if (!f->no_punch &&
	    fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)c->off, (off_t)(end - c->off)) == 0)
		return;
	f->no_punch = true;
	c->rc = write_zeros(f, c->off, end - c->off, &c->err);
}

/* --- on the loop -------------------------------------------------------------- */

static void
work_done(struct work *w)
{
	struct copy_chunk *c = chunk_of(w);

	c->done(c);
}

static void
file_start(struct copy_end *x, struct copy_chunk *c, void (*run)(struct work *))
{
	c->end = x;
	c->rc = 0;
	c->work = (struct work){.run = run, .done = work_done};
	work_submit(file_of(x)->pool, x->loop, &c->work);
}

static void
file_read(struct copy_end *x, struct copy_chunk *c)
{
	file_start(x, c, read_run);
}

static void
file_zero(struct copy_end *x, struct copy_chunk *c)
{
	file_start(x, c, zero_run);
}

static void
file_write(struct copy_end *x, struct copy_chunk *c)
{
	file_start(x, c, c->zero ? zero_run : write_run);
}

static uint64_t
file_seek(struct copy_end *x, uint64_t off, int whence)
{
	off_t at;

	if (off >= x->size)
		return x->size;
	at = lseek(file_of(x)->fd, (off_t)off, whence);
	if (at == -1) /* ENXIO: nothing more; else: it does not know */
		return errno == ENXIO || whence == SEEK_HOLE ? x->size : off;
	return (uint64_t)at < x->size ? (uint64_t)at : x->size;
}

static uint64_t
file_next_data(struct copy_end *x, uint64_t off)
{
	return file_seek(x, off, SEEK_DATA);
}

static uint64_t
file_next_hole(struct copy_end *x, uint64_t off)
{
	return file_seek(x, off, SEEK_HOLE);
}

static int
sync_directory(const char *path, struct err *e)
{
	char *copy = strdup(path);
	int fd, rc = 0;

	if (copy == NULL)
		return err_set(e, -ENOMEM, "no memory");
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) == -1)
		rc = err_errno(e, -errno, "write the directory of %s to disk",
		    path);
	if (fd != -1)
		close(fd);
	free(copy);
	return rc;
}

static int
file_finish(struct copy_end *x, uint64_t size, struct err *e)
{
	struct copy_file *f = file_of(x);
	struct stat st;

	if (!f->device && ftruncate(f->fd, (off_t)size) == -1)
		return err_errno(e, -errno, "give %s its size of %" PRIu64,
		    x->name, size);
	if (fsync(f->fd) == -1)
		return err_errno(e, -errno, "write %s to disk", x->name);
	if (!f->device && (fstat(f->fd, &st) == -1 ||
			      (uint64_t)st.st_size != size))
		return err_set(e, -EIO,
		    "%s should have %" PRIu64 " bytes and has not", x->name,
		    size);
	return f->created ? sync_directory(x->name, e) : 0;
}

static void
file_close(struct copy_end *x)
{
	struct copy_file *f = file_of(x);

	close(f->fd);
	free(f);
}

static const struct copy_end_ops file_ops = {
    .next_data = file_next_data,
    .next_hole = file_next_hole,
    .read = file_read,
    .write = file_write,
    .zero = file_zero,
    .finish = file_finish,
    .close = file_close,
};

/* --- opening -------------------------------------------------------------------- */

static int
device_size(struct copy_file *f, uint64_t *size, struct err *e)
{
	if (ioctl(f->fd, BLKGETSIZE64, size) == -1)
		return err_errno(e, -errno, "size of %s", f->end.name);
	return 0;
}

static int
open_fd(struct copy_file *f, const char *path, enum copy_file_how how,
    struct err *e)
{
	struct stat st;
	bool there = stat(path, &st) == 0;
	int flags = how == COPY_FILE_READ ? O_RDONLY : O_RDWR;

	f->device = there && S_ISBLK(st.st_mode);
	if (there && !f->device && !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL,
		    "%s is neither a file nor a block device", path);
	if (how != COPY_FILE_READ) {
		/* O_EXCL on a device: nobody else has it, nothing of it is
		 * mounted. */
		flags |= f->device ? O_EXCL : O_CREAT;
		if (!there)
			flags |= O_EXCL;
	}
	if (how == COPY_FILE_CREATE && there && (f->device || st.st_size > 0))
		return err_set(e, -EEXIST, "%s %s", path,
		    f->device ? "is a device" : "is there and not empty");
	f->fd = open(path, flags | O_CLOEXEC, 0666);
	if (f->fd == -1)
		return err_errno(e, -errno, "open %s", path);
	f->created = how != COPY_FILE_READ && !there;
	if (how == COPY_FILE_OVERWRITE && !f->device &&
	    ftruncate(f->fd, 0) == -1)
		return err_errno(e, -errno, "empty %s", path);
	return 0;
}

/* Bytes that are no hole. */
static uint64_t
count_data(struct copy_end *x)
{
	uint64_t sum = 0, off = 0;

	while ((off = file_next_data(x, off)) < x->size) {
		uint64_t hole = file_next_hole(x, off);

		sum += hole - off;
		off = hole;
	}
	return sum;
}

static int
measure(struct copy_file *f, enum copy_file_how how, uint64_t size,
    struct err *e)
{
	struct copy_end *x = &f->end;
	struct stat st;
	int rc;

	if (f->device) {
		rc = device_size(f, &x->size, e);
		if (rc < 0)
			return rc;
		x->data = x->room = x->size;
	} else if (fstat(f->fd, &st) == -1)
		return err_errno(e, -errno, "size of %s", x->name);
	else
		x->size = (uint64_t)st.st_size;
	if (how == COPY_FILE_READ) {
		posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		if (!f->device)
			x->data = count_data(x);
		return 0;
	}
	if (f->device && size != COPY_SIZE_UNKNOWN && size > x->size)
		return err_set(e, -ENOSPC,
		    "%s has %" PRIu64 " bytes, which is less than the %" PRIu64
		    " that are to be copied",
		    x->name, x->size, size);
	x->blank = !f->device && x->size == 0;
	return 0;
}

int
copy_file_open(struct loop *l, struct work_pool *pool, const char *path,
    enum copy_file_how how, uint64_t size, struct copy_end **out,
    struct err *e)
{
	struct copy_file *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return err_set(e, -ENOMEM, "no memory");
	f->fd = -1;
	f->pool = pool;
	rc = copy_end_init(&f->end, &file_ops, l, path);
	if (rc < 0)
		err_set(e, rc, "no memory");
	if (rc == 0)
		rc = open_fd(f, path, how, e);
	if (rc == 0)
		rc = measure(f, how, size, e);
	if (rc < 0) {
		if (f->fd != -1)
			close(f->fd);
		free(f->end.name);
		free(f);
		return rc;
	}
	*out = &f->end;
	return 0;
}
