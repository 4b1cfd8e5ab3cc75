/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the files of a directory store, each from begin to end on one
 * thread of its pool.
 *
 * PUT writes bytes and trailer to a file in tmp/, makes that durable by
 * fdatasync, and renames it over the old one: so at any moment, also after a
 * power failure, there is the old object or the new one, whole.  It is the
 * fdatasync that protects the *old* one: without it the rename could reach the
 * disk before the bytes.  What SYNC adds is that the rename itself is durable:
 * one syncfs for all that happened before it.
 *
 * An object's file is never changed in place: a reader that has opened it
 * reads that version to its end (W6), whatever is renamed over it meanwhile.
 * A whole GET verifies the checksum of the bytes; a range cannot.
 *
 * Other processes may use the same directory.  A file in tmp/ is locked while
 * its writer lives; what is not locked is garbage, and is removed when a store
 * is opened.  In the instant between creation and lock it may be taken for
 * garbage: the writer sees that it has no name any more, and starts again.
 * Directories are removed when they become empty and made when they are
 * missing, so a rename may find its directory gone: it makes it again.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/dir.h"
#include "store/dirfmt.h"
#include "store/store.h"

#define ROUNDS 32 /* of a race with those who remove; one is rare */

int
dir_fail(struct dir_root *d, struct store_req *r, int rc, const char *what,
    const char *name)
{
	const char *reason = strerror(-rc);

	if (rc == -EDQUOT)
		rc = -ENOSPC;
	if (rc == -ENOENT || rc == -EEXIST) /* those say something else above */
		rc = -EIO;
	return err_set(&r->err, rc, "%s: %s %s: %s %s/%s: %s", d->url,
	    store_op_name(r->op), r->key != NULL ? r->key : "", what, d->path,
	    name, reason);
}

static int
fail_at(struct dir_root *d, struct store_req *r, int rc, const char *what,
    const char *path)
{
	char name[DIR_PATH_MAX + 16];

	snprintf(name, sizeof(name), "objects/%s", path);
	return dir_fail(d, r, rc, what, name);
}

/* --- reading ---------------------------------------------------------------- */

static int
read_whole(int fd, void *p, size_t n, uint64_t off)
{
	uint8_t *to = p;

	while (n > 0) {
		ssize_t k = pread(fd, to, n, (off_t)off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			return -EBADMSG; /* it cannot have become shorter */
		to += k;
		off += (size_t)k;
		n -= (size_t)k;
	}
	return 0;
}

static void
tag_text(const uint8_t tag[DIR_TAG], char *out)
{
	for (unsigned i = 0; i < DIR_TAG; i++)
		snprintf(out + 2 * i, 3, "%02x", tag[i]);
}

static int
read_trailer(struct dir_root *d, struct store_req *r, int fd,
    const char *path, struct dir_trailer *t)
{
	uint8_t raw[DIR_TRAILER];
	struct err e = ERR_INIT;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return fail_at(d, r, -errno, "stat", path);
	if (!S_ISREG(st.st_mode) || st.st_size < DIR_TRAILER)
		return err_set(&r->err, -EBADMSG,
		    "%s: %s %s: %s/objects/%s is no object of a pail store",
		    d->url, store_op_name(r->op), r->key, d->path, path);
	rc = read_whole(fd, raw, sizeof(raw),
	    (uint64_t)st.st_size - DIR_TRAILER);
	if (rc < 0)
		return fail_at(d, r, rc, "read", path);
	rc = dir_trailer_decode(raw, (uint64_t)st.st_size, t, &r->got_meta,
	    &e);
	if (rc < 0)
		return err_set(&r->err, rc, "%s: %s %s: %s/objects/%s: %s",
		    d->url, store_op_name(r->op), r->key, d->path, path,
		    err_text(&e));
	r->size = t->size;
	tag_text(t->tag, r->tag);
	return 0;
}

static int
read_body(struct dir_root *d, struct store_req *r, int fd, const char *path,
    const struct dir_trailer *t)
{
	uint64_t off = r->range_off, len = r->range_len;
	int rc;

	if (len == 0)
		len = t->size;
	else if (off > t->size || len > t->size - off)
		return err_set(&r->err, -ERANGE,
		    "%s: GET %s: bytes %llu to %llu of an object of %llu",
		    d->url, r->key, (unsigned long long)off,
		    (unsigned long long)(off + len),
		    (unsigned long long)t->size);
	if (len > r->body->cap)
		return err_set(&r->err, -EMSGSIZE,
		    "%s: GET %s: the object has %llu bytes, expected at most "
		    "%zu", d->url, r->key, (unsigned long long)t->size,
		    r->body->cap);
	rc = read_whole(fd, r->body->data, len, off);
	if (rc < 0)
		return fail_at(d, r, rc, "read", path);
	if (len == t->size && crc32_gzip_refl(0, r->body->data, len) != t->crc)
		return err_set(&r->err, -EBADMSG,
		    "%s: GET %s: %s/objects/%s is damaged: its checksum is "
		    "wrong", d->url, r->key, d->path, path);
	r->body->len = len;
	return 0;
}

static int
dir_get(struct dir_root *d, struct store_req *r, const char *path)
{
	struct dir_trailer t;
	int rc, fd;

	fd = openat(d->objects, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
		    ? -ENOENT : fail_at(d, r, -errno, "open", path);
	rc = read_trailer(d, r, fd, path, &t);
	if (rc == 0 && r->op == STORE_GET) {
		if (r->unless_tag != NULL && strcmp(r->unless_tag, r->tag) == 0)
			r->unchanged = true;
		else
			rc = read_body(d, r, fd, path, &t);
	}
	close(fd);
	return rc;
}

/* --- writing ---------------------------------------------------------------- */

static int
write_whole(int fd, const void *p, size_t n)
{
	const uint8_t *from = p;

	while (n > 0) {
		ssize_t k = write(fd, from, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		from += k;
		n -= (size_t)k;
	}
	return 0;
}

/* All directories above path. */
static int
make_parents(struct dir_root *d, char *path)
{
	for (char *s = strchr(path, '/'); s != NULL; s = strchr(s + 1, '/')) {
		int rc;

		*s = '\0';
		rc = mkdirat(d->objects, path, 0700) < 0 ? -errno : 0;
		*s = '/';
		if (rc == -ENOENT)
			return 0; /* removed again: the caller's next round */
		if (rc < 0 && rc != -EEXIST)
			return rc;
	}
	return 0;
}

static void
drop_parents(struct dir_root *d, char *path)
{
	char *s;

	while ((s = strrchr(path, '/')) != NULL) {
		*s = '\0';
		if (unlinkat(d->objects, path, AT_REMOVEDIR) < 0)
			return;
	}
}

static int
rename_once(struct dir_root *d, const char *tmp, const char *path,
    bool if_absent)
{
	if (!if_absent)
		return renameat(d->tmp, tmp, d->objects, path) < 0 ? -errno : 0;
	if (renameat2(d->tmp, tmp, d->objects, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* This file system has links, at least. */
	if (linkat(d->tmp, tmp, d->objects, path, 0) < 0)
		return -errno;
	unlinkat(d->tmp, tmp, 0);
	return 0;
}

/* -ESTALE: the file in tmp has been taken for garbage. */
static int
rename_into_place(struct dir_root *d, int fd, const char *tmp, char *path,
    bool if_absent)
{
	struct stat st;
	int rc;

	for (unsigned i = 0; i < ROUNDS; i++) {
		rc = rename_once(d, tmp, path, if_absent);
		if (rc != -ENOENT)
			return rc;
		if (fstat(fd, &st) == 0 && st.st_nlink == 0)
			return -ESTALE;
		rc = make_parents(d, path);
		if (rc < 0)
			return rc;
	}
	return -EAGAIN;
}

static int
put_once(struct dir_root *d, struct store_req *r, char *path,
    const uint8_t trailer[DIR_TRAILER])
{
	char tmp[64], shown[80];
	int fd, rc;

	snprintf(tmp, sizeof(tmp), "%d-%016llx-%llu", (int)getpid(),
	    (unsigned long long)d->nonce,
	    (unsigned long long)__atomic_add_fetch(&d->seq, 1,
	    __ATOMIC_RELAXED));
	snprintf(shown, sizeof(shown), "tmp/%s", tmp);
	fd = openat(d->tmp, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return dir_fail(d, r, -errno, "create", shown);
	/* Where locks do not work nothing is ever taken for garbage. */
	(void)flock(fd, LOCK_EX | LOCK_NB);
	rc = write_whole(fd, r->body->data, r->body->len);
	if (rc == 0)
		rc = write_whole(fd, trailer, DIR_TRAILER);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = -errno;
	if (rc < 0) {
		rc = dir_fail(d, r, rc, "write", shown);
	} else {
		rc = rename_into_place(d, fd, tmp, path, r->if_absent);
		if (rc < 0 && rc != -EEXIST && rc != -ESTALE)
			rc = fail_at(d, r, rc, "rename to", path);
	}
	if (rc < 0)
		unlinkat(d->tmp, tmp, 0);
	close(fd);
	return rc;
}

static int
dir_put(struct dir_root *d, struct store_req *r, char *path)
{
	struct dir_trailer t = {.size = r->body->len};
	uint8_t trailer[DIR_TRAILER];
	int rc;

	/* A look first spares the writing; the rename decides. */
	if (r->if_absent && faccessat(d->objects, path, F_OK, 0) == 0)
		return -EEXIST;
	t.crc = crc32_gzip_refl(0, r->body->data, r->body->len);
	if (getrandom(t.tag, sizeof(t.tag), 0) != sizeof(t.tag))
		return fail_at(d, r, -errno, "get a tag for", path);
	rc = dir_trailer_encode(trailer, &t, r->meta);
	if (rc < 0)
		return err_set(&r->err, rc,
		    "%s: PUT %s: this store keeps at most %d bytes of metadata "
		    "with an object", d->url, r->key, DIR_META_MAX);
	for (unsigned i = 0; i < ROUNDS; i++) {
		rc = put_once(d, r, path, trailer);
		if (rc != -ESTALE)
			break;
		rc = -EAGAIN;
	}
	if (rc == 0)
		tag_text(t.tag, r->tag);
	return rc;
}

static int
dir_delete(struct dir_root *d, struct store_req *r, char *path)
{
	if (unlinkat(d->objects, path, 0) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return fail_at(d, r, -errno, "delete", path);
	}
	drop_parents(d, path);
	return 0;
}

static int
dir_sync(struct dir_root *d, struct store_req *r)
{
	if (syncfs(d->objects) < 0)
		return dir_fail(d, r, -errno, "sync", "objects");
	return 0;
}

/* --- all of them -------------------------------------------------------------- */

int
dir_do(struct dir_root *d, struct store_req *r)
{
	char path[DIR_PATH_MAX];

	if (r->op == STORE_SYNC)
		return dir_sync(d, r);
	if (r->op == STORE_LIST)
		return dir_list(d, r);
	if (dir_path(path, sizeof(path), r->key) < 0)
		return err_set(&r->err, -EINVAL,
		    "%s: %s %s: the path for this key is too long", d->url,
		    store_op_name(r->op), r->key);
	switch (r->op) {
	case STORE_GET:
	case STORE_HEAD:
		return dir_get(d, r, path);
	case STORE_PUT:
		return dir_put(d, r, path);
	case STORE_DELETE:
		return dir_delete(d, r, path);
	default:
		return -EOPNOTSUPP;
	}
}

void
dir_clean_tmp(struct dir_root *d)
{
	int fd = openat(d->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *ent;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((ent = readdir(dir)) != NULL) {
		int f;

		if (ent->d_name[0] == '.')
			continue;
		f = openat(d->tmp, ent->d_name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (f < 0)
			continue;
		if (flock(f, LOCK_EX | LOCK_NB) == 0)
			unlinkat(d->tmp, ent->d_name, 0);
		close(f);
	}
	closedir(dir);
}
