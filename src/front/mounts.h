/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_MOUNTS_H
#define FRONT_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * What is mounted on this machine, and which loop devices stand on it.
 *
 * Read from /proc and /sys only: nothing here touches a mount point, which
 * might not answer.
 */
struct err;

#define MOUNTS_TYPE "fuse.pail"

struct mount_point {
	char *dir;     /* absolute, unescaped */
	char *type;    /* "fuse.pail", "ext4" */
	char *source;  /* "s3://bucket/disk", "/dev/loop0" */
	char *options; /* of the mount and of the file system, "rw,nosuid" */
	unsigned major, minor; /* st_dev */
};

struct mounts {
	struct mount_point *v; /* in the order they were mounted */
	size_t n;
};

/* Decode a table as /proc/self/mountinfo has it; text is changed.  -EBADMSG
 * for a line that is none. */
int mounts_parse(struct mounts *m, char *text, struct err *e);
int mounts_read(struct mounts *m, struct err *e);
void mounts_fini(struct mounts *m);
/* The topmost mount at this path, or NULL. */
const struct mount_point *mounts_at(const struct mounts *m, const char *dir);

/* The absolute path without links of the parents; the last part is not
 * looked at (it may be a mount point that hangs).  malloc'ed. */
int mounts_realpath(const char *path, char **out, struct err *e);

/* How far the kernel reads ahead on this mount (for root).  0 or -errno. */
int mounts_set_readahead(const struct mount_point *p, unsigned kib);

struct loop_dev {
	char *dev;	  /* "/dev/loop3" */
	char *backing;	  /* "/mnt/disk/file" */
	char *mounted_on; /* where the device is mounted; NULL: nowhere */
};
struct loop_devs {
	struct loop_dev *v;
	size_t n;
};
/* The loop devices whose backing file is below dir. */
int loop_devs_read(struct loop_devs *l, const char *dir,
    const struct mounts *m, struct err *e);
void loop_devs_fini(struct loop_devs *l);

/* Write out the file systems that stand on the loop devices (syncfs).
 * Blocks. */
int loop_devs_sync(const struct loop_devs *l, struct err *e);

/*
 * Unmount dir: by umount2(2), or through fusermount3 for other users than
 * root.  lazy detaches a mount point that is in use.  Blocks while the kernel
 * writes its dirty pages.  -EBUSY: in use.
 */
int mounts_unmount(const char *dir, bool lazy, struct err *e);

/* For whoever serves dir and ends: sync what stands on its loop devices, unmount
 * it, or, if it is in use, say by whom in the log and detach it.  Blocks, and
 * wants to be served meanwhile. */
int mounts_leave(const char *dir, struct err *e);

#endif
