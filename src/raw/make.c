/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.c: making a pool; see make.h.
 *
 * What is on a device is asked of libblkid, which knows some hundred kinds of
 * file systems, partition tables, volume managers and RAID members; and of our
 * own superblock, which it does not know.  A regular file must be empty besides,
 * that is, hold zeros where it begins to hold something: few people name a file
 * of theirs on purpose.  All devices are looked at before the first is written.
 */
#include "config.h"

#include "raw/make.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "raw/format.h"
#include "raw/pool.h"
#include "raw/rdev.h"

/* --- profiles ---------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned k, m;
} named[] = {{"single", 1, 0}, {"mirror", 1, 1}, {"kamikaze", 8, 0},
    {"standard", 8, 2}, {"resilient", 12, 3}, {"fortress", 16, 4}};
#define LOOK_BYTES ((size_t)1 << 20)
#define NNAMED (sizeof(named) / sizeof(named[0]))

static int
by_count(unsigned n, unsigned *k, unsigned *m, struct err *e)
{
	static const struct {
		unsigned n, k, m;
	} t[] = {{1, 1, 0}, {2, 1, 1}, {3, 2, 1}, {4, 2, 2}, {5, 3, 2},
	    {6, 4, 2}, {10, 8, 2}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (t[i].n == n) {
			*k = t[i].k;
			*m = t[i].m;
			return 0;
		}
	return err_set(e, -EINVAL,
	    "%u devices have no profile by default; say how many may be lost, "
	    "as --profile %u+%u", n, n > 2 ? n - 2 : 1, n > 2 ? 2 : 0);
}

int
raw_profile_parse(const char *text, unsigned ndevs, unsigned *k, unsigned *m,
    struct err *e)
{
	char end;

	if (!text || strcmp(text, "default") == 0)
		return by_count(ndevs, k, m, e);
	*k = 0;
	for (size_t i = 0; i < NNAMED; i++)
		if (strcmp(named[i].name, text) == 0) {
			*k = named[i].k;
			*m = named[i].m;
		}
	if (*k == 0 && (text[0] < '0' || text[0] > '9' ||
			   sscanf(text, "%2u+%2u%c", k, m, &end) != 2))
		return err_set(e, -EINVAL,
		    "--profile %s: no profile; write DATA+PARITY (4+2), or "
		    "single, mirror, kamikaze, standard, resilient, fortress",
		    text);
	if (*k < 1 || *m > RAW_MAX_PARITY || *k + *m > RAW_MAX_MEMBERS)
		return err_set(e, -EINVAL,
		    "--profile %s: at least 1 data, at most %u parity and %u "
		    "members in all are possible",
		    text, RAW_MAX_PARITY, RAW_MAX_MEMBERS);
	if (*k + *m != ndevs)
		return err_set(e, -EINVAL,
		    "--profile %s has %u members, but %u were named",
		    text, *k + *m, ndevs);
	return 0;
}

/* --- looking ------------------------------------------------------------------ */

/* -EEXIST: there is something; what, in e. */
static int
probe(const char *path, struct err *e)
{
	blkid_probe pr = blkid_new_probe_from_filename(path);
	const char *type = NULL;
	int rc;

	if (!pr)
		return err_errno(e, errno ? -errno : -EIO, "look at %s", path);
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_enable_partitions(pr, 1);
	rc = blkid_do_safeprobe(pr);
	if (rc == 0 || rc == -2) {
		if (blkid_probe_lookup_value(pr, "TYPE", &type, NULL) < 0 &&
		    blkid_probe_lookup_value(pr, "PTTYPE", &type, NULL) < 0)
			type = rc == -2 ? "several things at once" : "something";
		err_set(e, -EEXIST,
		    "%s holds %s. Nothing was changed. If that may be lost: "
		    "--force",
		    path, type);
	} else if (rc < 0) {
		err_set(e, -EIO, "%s cannot be read to see what it holds",
		    path);
	}
	blkid_free_probe(pr);
	return rc == 1 ? 0 : e->rc;
}

/* -EEXIST: the first data of the file, or all of a short one, is not zero. */
static int
look_for_data(int fd, const char *path, struct err *e)
{
	uint8_t *data;
	struct stat st;
	off_t at;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "look at %s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	at = lseek(fd, 0, SEEK_DATA);
	if (at < 0 && errno == ENXIO)
		return 0;
	data = malloc(LOOK_BYTES);
	if (!data)
		return err_errno(e, -ENOMEM, "look at %s", path);
	n = pread(fd, data, LOOK_BYTES, at < 0 ? 0 : at);
	if (n < 0)
		err_errno(e, -errno, "read %s", path);
	else if (!mem_is_zero(data, (size_t)n))
		err_set(e, -EEXIST,
		    "%s is a file with data of no known kind. Nothing was "
		    "changed. If that may be lost: --force",
		    path);
	else
		n = 0;
	free(data);
	return n == 0 ? 0 : e->rc;
}

int
raw_look(const char *path, struct err *e)
{
	uint8_t sector[RAW_SECTOR];
	int rc = probe(path, e), fd;
	ssize_t n;

	if (rc < 0)
		return rc;
	/* Our own superblock, which libblkid does not know. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "open %s", path);
	n = pread(fd, sector, sizeof(sector), 0);
	if (n < 0)
		rc = err_errno(e, -errno, "read %s", path);
	if (n == (ssize_t)sizeof(sector) && raw_super_looks_like(sector))
		rc = err_set(e, -EEXIST,
		    "%s is a member of a store already. Nothing was changed. If "
		    "that store may be lost: --force",
		    path);
	if (rc == 0)
		rc = look_for_data(fd, path, e);
	close(fd);
	return rc;
}

/* --- image files ---------------------------------------------------------------- */

static int
make_file(const char *path, const struct raw_make_params *p, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd < 0)
		return err_errno(e, -errno, "make %s", path);
	if (p->sparse && ftruncate(fd, (off_t)p->size) < 0)
		rc = -errno;
	else if (!p->sparse)
		rc = -posix_fallocate(fd, 0, (off_t)p->size);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc < 0) {
		char size[FORMAT_MAX];

		unlink(path);
		err_errno(e, rc, "make %s with %s", path,
		    format_size(size, p->size));
	}
	close(fd);
	return rc;
}

/* --- making --------------------------------------------------------------------- */

static int
asked_to_stop(const struct raw_make_params *p, bool writing, struct err *e)
{
	if (p->stop && p->stop(writing))
		return err_set(e, -ECANCELED, "stopped; nothing was changed");
	return 0;
}

/* What is there already can be a member, and is none of those before it. */
static int
look_at_kind(
    char *const *paths, unsigned i, const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return err_set(e, -ENOTBLK,
		    "%s: neither a block device nor a regular file", paths[i]);
	for (unsigned j = 0; j < i; j++) {
		struct stat o;

		if (stat(paths[j], &o) == 0 && o.st_dev == st->st_dev &&
		    o.st_ino == st->st_ino)
			return err_set(e, -EINVAL, "%s was named twice%s%s",
			    paths[i], strcmp(paths[i], paths[j]) ? ": it is "
								 : "",
			    strcmp(paths[i], paths[j]) ? paths[j] : "");
	}
	return 0;
}

/* Bit i of *made: paths[i] was made here. */
static int
make_files(char *const *paths, unsigned n, const struct raw_make_params *p,
    uint64_t *made, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		struct stat st;
		int rc;

		if (stat(paths[i], &st) == 0) {
			rc = look_at_kind(paths, i, &st, e);
			if (rc < 0)
				return rc;
			if (p->size && S_ISREG(st.st_mode) &&
			    (uint64_t)st.st_size != p->size && !p->force)
				return err_set(e, -EEXIST,
				    "%s is there and has another size than "
				    "--size; leave --size out to use it as it "
				    "is",
				    paths[i]);
			continue;
		}
		if (errno != ENOENT)
			return err_errno(e, -errno, "%s", paths[i]);
		if (!p->size)
			return err_set(e, -ENOENT,
			    "%s does not exist; --size S makes an image file of "
			    "that size",
			    paths[i]);
		rc = asked_to_stop(p, false, e);
		if (rc == 0)
			rc = make_file(paths[i], p, e);
		if (rc < 0)
			return rc;
		*made |= 1ull << i;
	}
	return 0;
}

int
raw_make(struct loop *l, struct fileio *io, char *const *paths,
    unsigned npaths, const struct raw_make_params *p, struct err *e)
{
	struct pool_create_params cp = {
	    .k = p->k, .m = p->m, .name = p->name, .log_bytes = p->log_bytes};
	struct rdev *devs[RAW_MAX_MEMBERS] = {0};
	uint64_t made = 0;
	int rc = make_files(paths, npaths, p, &made, e);

	for (unsigned i = 0; i < npaths && rc == 0; i++) {
		if (!p->force && !(made & (1ull << i)))
			rc = raw_look(paths[i], e);
		if (rc == 0)
			rc = rdev_open(l, io, paths[i], false, &devs[i], e);
	}
	if (rc == 0)
		rc = asked_to_stop(p, true, e);
	if (rc == 0)
		rc = pool_create(devs, npaths, &cp, e);
	for (unsigned i = 0; i < npaths; i++) {
		rdev_close(devs[i]);
		if (rc < 0 && made & (1ull << i))
			unlink(paths[i]);
	}
	return rc;
}
