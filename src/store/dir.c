/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir: objects are files of a directory.
 *
 *	pail-store   says what this is, and in which version
 *	objects/     a file for each object (dirfmt.c)
 *	tmp/         files that are being written (dirops.c)
 *
 * Every request is one work for a thread: all that it does may block.  The
 * threads are the store's own, so that a slow disk does not hold up those who
 * compute; their number is what a disk's queue can use.  The thread owns the
 * request until the work comes back to the loop, which ends it.
 *
 * A request that is cancelled before a thread has taken it is not done.
 */
#include "config.h"

#include "store/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/work.h"
#include "store/store.h"

#define DIR_THREADS 16
#define MARKER "pail-store"
#define MARKER_TEXT "pail directory store 1\n"

struct dir_store {
	struct store store;
	struct work_pool *pool;
	struct dir_root root;
};

struct dir_req {
	struct work work;
	struct dir_root *root;
	struct store_req *r;
	int rc;
	bool cancelled; /* atomic */
};

/* --- requests ---------------------------------------------------------------- */

static struct dir_store *
dir_of(struct store *s)
{
	return container_of(s, struct dir_store, store);
}

static void
dir_work(struct work *w)
{
	struct dir_req *q = container_of(w, struct dir_req, work);

	if (__atomic_load_n(&q->cancelled, __ATOMIC_RELAXED))
		q->rc = -ECANCELED;
	else
		q->rc = dir_do(q->root, q->r);
}

static void
dir_worked(struct work *w)
{
	struct dir_req *q = container_of(w, struct dir_req, work);
	struct store_req *r = q->r;
	int rc = q->rc;

	free(q);
	store_complete(r, rc);
}

static void
dir_submit(struct store *s, struct store_req *r)
{
	struct dir_store *d = dir_of(s);
	struct dir_req *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		store_complete_later(r, -ENOMEM);
		return;
	}
	q->root = &d->root;
	q->r = r;
	q->work.run = dir_work;
	q->work.done = dir_worked;
	r->priv = q;
	work_submit(d->pool, s->loop, &q->work);
}

static void
dir_cancel(struct store *s, struct store_req *r)
{
	struct dir_req *q = r->priv;

	__atomic_store_n(&q->cancelled, true, __ATOMIC_RELAXED);
}

/* --- opening ----------------------------------------------------------------- */

static void
root_close(struct dir_root *d)
{
	if (d->tmp >= 0)
		close(d->tmp);
	if (d->objects >= 0)
		close(d->objects);
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->url);
}

static void
dir_free(struct store *s)
{
	struct dir_store *d = dir_of(s);

	work_pool_free(d->pool);
	root_close(&d->root);
	store_head_fini(s);
	free(d);
}

static const struct store_ops dir_ops = {
	.name = "dir",
	.submit = dir_submit,
	.cancel = dir_cancel,
	.free = dir_free,
};

/* 1: there is our marker, 0: there is none. */
static int
marker_read(struct dir_root *d, struct err *e)
{
	char text[80];
	int fd = openat(d->fd, MARKER, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, -errno,
		    "open %s/" MARKER, d->path);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0) {
		int rc = err_errno(e, -errno, "read %s/" MARKER, d->path);

		close(fd);
		return rc;
	}
	close(fd);
	text[n] = '\0';
	if (strcmp(text, MARKER_TEXT) == 0)
		return 1;
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, -EINVAL,
	    "%s/" MARKER " says \"%s\"; this program knows \"%.*s\"", d->path,
	    text, (int)sizeof(MARKER_TEXT) - 2, MARKER_TEXT);
}

static int
check_empty(struct dir_root *d, struct err *e)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *ent;

	if (dir == NULL) {
		rc = err_errno(e, -errno, "read %s", d->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (ent = readdir(dir)) != NULL)
		if (strcmp(ent->d_name, ".") != 0 &&
		    strcmp(ent->d_name, "..") != 0 &&
		    strcmp(ent->d_name, "lost+found") != 0 &&
		    strcmp(ent->d_name, MARKER ".new") != 0)
			rc = err_set(e, -EINVAL,
			    "%s has no " MARKER " but other files (%s): it is "
			    "no store; name an empty directory", d->path,
			    ent->d_name);
	closedir(dir);
	return rc;
}

static int
marker_write(struct dir_root *d, struct err *e)
{
	const size_t len = sizeof(MARKER_TEXT) - 1;
	int fd, rc = 0;

	fd = openat(d->fd, MARKER ".new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, -errno, "create %s/" MARKER, d->path);
	errno = EIO; /* a short write */
	if (write(fd, MARKER_TEXT, len) != (ssize_t)len || fsync(fd) < 0 ||
	    renameat(d->fd, MARKER ".new", d->fd, MARKER) < 0 ||
	    fsync(d->fd) < 0)
		rc = err_errno(e, -errno, "write %s/" MARKER, d->path);
	close(fd);
	return rc;
}

static int
open_below(struct dir_root *d, const char *name, int *fd, struct err *e)
{
	if (mkdirat(d->fd, name, 0700) < 0 && errno != EEXIST)
		return err_errno(e, -errno, "create %s/%s", d->path, name);
	*fd = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, -errno, "open %s/%s", d->path, name);
	return 0;
}

static int
root_open(struct dir_root *d, bool create, struct err *e)
{
	int rc;

	if (create && mkdir(d->path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, -errno, "create the directory %s", d->path);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return err_errno(e, -errno, "open the directory %s", d->path);
	rc = marker_read(d, e);
	if (rc == 0)
		rc = check_empty(d, e);
	else if (rc > 0)
		goto ours;
	if (rc < 0)
		return rc;
	if (!create)
		return err_set(e, -ENOENT,
		    "the directory %s holds no store; \"pail create\" makes "
		    "one", d->path);
	rc = marker_write(d, e);
	if (rc < 0)
		return rc;
ours:
	if ((rc = open_below(d, "objects", &d->objects, e)) < 0 ||
	    (rc = open_below(d, "tmp", &d->tmp, e)) < 0)
		return rc;
	dir_clean_tmp(d);
	return 0;
}

static void
dir_info(struct store_info *info)
{
	info->durable = false;
	info->if_absent = true;
	info->range_get = true;
	info->keeps_meta = true;
	info->max_keys = 1000;
	info->max_object = 1ULL << 40;
	info->max_inflight = 4 * DIR_THREADS;
}

int
dir_store_open(struct loop *l, const char *path, bool create,
    struct store **out, struct err *e)
{
	struct dir_store *d = calloc(1, sizeof(*d));
	struct dir_root *root;
	int rc = -ENOMEM;

	if (d == NULL)
		return err_errno(e, rc, "open dir:%s", path);
	root = &d->root;
	root->fd = root->objects = root->tmp = -1;
	root->path = strdup(path);
	if (root->path == NULL || asprintf(&root->url, "dir:%s", path) < 0) {
		root->url = NULL;
		err_errno(e, rc, "open dir:%s", path);
		goto fail;
	}
	rc = root_open(root, create, e);
	if (rc < 0) {
		err_wrap(e, rc, "%s", root->url);
		goto fail;
	}
	if (getrandom(&root->nonce, sizeof(root->nonce), 0) !=
	    sizeof(root->nonce)) {
		rc = err_errno(e, -errno, "random number");
		goto fail;
	}
	d->pool = work_pool_new(DIR_THREADS, e);
	if (d->pool == NULL) {
		rc = e != NULL && e->rc < 0 ? e->rc : -ENOMEM;
		goto fail;
	}
	if (store_head_init(&d->store, &dir_ops, l, root->url) < 0) {
		rc = err_errno(e, -ENOMEM, "open %s", root->url);
		goto fail;
	}
	dir_info(&d->store.info);
	*out = &d->store;
	return 0;
fail:
	work_pool_free(d->pool);
	root_close(root);
	free(d);
	return rc;
}
