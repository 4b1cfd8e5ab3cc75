/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount table and the loop devices on it.
 *
 * A line of mountinfo is: id, parent, major:minor, root, mount point, options,
 * optional fields, "-", type, source, options of the file system.  Blanks and
 * backslashes in paths are written as octal escapes.
 *
 * /sys/block/loopN/loop/backing_file names the file below a loop device; the
 * kernel adds " (deleted)" to the name when it is gone from its directory,
 * and after a lazy unmount the path has lost its mount point.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "front/mounts.h"

#define TABLE "/proc/self/mountinfo"

/* --- the mount table ------------------------------------------------------- */

/* \040 and the like, in place. */
static void
unescape(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
		    s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 |
			    (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

static int
parse_line(char *line, struct mount_point *p)
{
	char *save = NULL;
	char *field[6];

	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < 6; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (field[i] == NULL)
			return -EBADMSG;
	}
	if (sscanf(field[2], "%u:%u", &p->major, &p->minor) != 2)
		return -EBADMSG;

	char *opt;

	do {
		opt = strtok_r(NULL, " ", &save);
		if (opt == NULL)
			return -EBADMSG;
	} while (strcmp(opt, "-") != 0);
	char *type = strtok_r(NULL, " ", &save);
	char *source = strtok_r(NULL, " ", &save);
	char *super = strtok_r(NULL, " ", &save);

	if (type == NULL || source == NULL)
		return -EBADMSG;
	if (super == NULL) { /* an empty source leaves two blanks */
		super = source;
		source = type + strlen(type);
	}
	unescape(field[4]);
	unescape(source);
	p->dir = strdup(field[4]);
	p->type = strdup(type);
	p->source = strdup(source);
	if (asprintf(&p->options, "%s,%s", field[5], super) < 0)
		p->options = NULL;
	return p->dir != NULL && p->type != NULL && p->source != NULL &&
		p->options != NULL ?
	    0 :
	    -ENOMEM;
}

static void
point_fini(struct mount_point *p)
{
	free(p->dir);
	free(p->type);
	free(p->source);
	free(p->options);
}

int
mounts_parse(struct mounts *m, char *text, struct err *e)
{
	char *save = NULL;
	int rc = 0;

	memset(m, 0, sizeof(*m));
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount_point p;
		struct mount_point *v;

		rc = parse_line(line, &p);
		v = rc == 0 ? realloc(m->v, (m->n + 1) * sizeof(*v)) : NULL;
		if (rc == 0 && v == NULL)
			rc = -ENOMEM;
		if (v != NULL)
			m->v = v;
		if (rc < 0) {
			point_fini(&p);
			mounts_fini(m);
			return rc == -ENOMEM ?
			    err_errno(e, rc, "read " TABLE) :
			    err_set(e, rc, TABLE ": a line is not understood");
		}
		m->v[m->n++] = p;
	}
	return 0;
}

static int
read_all(const char *path, struct strbuf *b, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return err_errno(e, -errno, "open %s", path);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		strbuf_add(b, buf, (size_t)n);
	int rc = n < 0 ? err_errno(e, -errno, "read %s", path) : 0;

	close(fd);
	if (rc == 0 && b->failed)
		rc = err_errno(e, -ENOMEM, "read %s", path);
	return rc;
}

int
mounts_read(struct mounts *m, struct err *e)
{
	struct strbuf b = STRBUF_INIT;
	int rc = read_all(TABLE, &b, e);

	memset(m, 0, sizeof(*m));
	if (rc == 0 && b.s != NULL)
		rc = mounts_parse(m, b.s, e);
	strbuf_fini(&b);
	return rc;
}

void
mounts_fini(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		point_fini(&m->v[i]);
	free(m->v);
	memset(m, 0, sizeof(*m));
}

const struct mount_point *
mounts_at(const struct mounts *m, const char *dir)
{
	for (size_t i = m->n; i-- > 0;)
		if (strcmp(m->v[i].dir, dir) == 0)
			return &m->v[i];
	return NULL;
}

int
mounts_realpath(const char *path, char **out, struct err *e)
{
	char *copy = strdup(path);
	int rc = 0;

	*out = NULL;
	if (copy == NULL)
		return err_errno(e, -ENOMEM, "%s", path);
	size_t len = strlen(copy);

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	char *slash = strrchr(copy, '/');
	const char *last = slash != NULL ? slash + 1 : copy;

	if (strcmp(last, "") == 0 || strcmp(last, ".") == 0 ||
	    strcmp(last, "..") == 0) {
		*out = realpath(copy, NULL);
	} else {
		char *dir;

		if (slash == NULL)
			dir = realpath(".", NULL);
		else if (slash == copy)
			dir = strdup("");
		else {
			*slash = '\0';
			dir = realpath(copy, NULL);
		}
		if (dir != NULL &&
		    asprintf(out, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir,
			last) < 0)
			*out = NULL;
		free(dir);
	}
	if (*out == NULL)
		rc = err_errno(e, errno != 0 ? -errno : -ENOMEM, "%s", path);
	free(copy);
	return rc;
}

int
mounts_set_readahead(const struct mount_point *p, unsigned kib)
{
	char path[80], text[16];
	int n = snprintf(text, sizeof(text), "%u", kib);

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
	    p->major, p->minor);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = write(fd, text, (size_t)n) == n ? 0 : -errno;

	close(fd);
	return rc;
}

/* --- loop devices -------------------------------------------------------------- */

static bool
is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* 1: added; 0: not of ours; or a negative errno. */
static int
add_loop(struct loop_devs *l, const char *name, const char *dir,
    const struct mounts *m, struct err *e)
{
	char path[NAME_MAX + 64];
	struct strbuf b = STRBUF_INIT;
	struct loop_dev d = { 0 };

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", name);
	if (access(path, R_OK) != 0)
		return 0; /* free */
	int rc = read_all(path, &b, NULL);

	if (rc < 0 || b.s == NULL) {
		strbuf_fini(&b);
		return rc == -ENOMEM ? rc : 0; /* it went free meanwhile */
	}
	b.s[strcspn(b.s, "\n")] = '\0';
	if (!is_below(b.s, dir)) {
		strbuf_fini(&b);
		return 0;
	}
	d.backing = strbuf_take(&b);
	if (asprintf(&d.dev, "/dev/%s", name) < 0)
		d.dev = NULL;
	struct loop_dev *v = realloc(l->v, (l->n + 1) * sizeof(*v));

	if (v != NULL)
		l->v = v;
	if (d.backing == NULL || d.dev == NULL || v == NULL) {
		free(d.backing);
		free(d.dev);
		return err_errno(e, -ENOMEM, "read %s", path);
	}
	for (size_t i = 0; i < m->n; i++)
		if (d.mounted_on == NULL &&
		    strcmp(m->v[i].source, d.dev) == 0)
			d.mounted_on = strdup(m->v[i].dir);
	l->v[l->n++] = d;
	return 1;
}

int
loop_devs_read(struct loop_devs *l, const char *dir, const struct mounts *m,
    struct err *e)
{
	DIR *d = opendir("/sys/block");
	struct dirent *ent;
	int rc = 0;

	memset(l, 0, sizeof(*l));
	if (d == NULL)
		return errno == ENOENT ? 0 :
					 err_errno(e, -errno, "/sys/block");
	while (rc >= 0 && (ent = readdir(d)) != NULL)
		if (strncmp(ent->d_name, "loop", 4) == 0)
			rc = add_loop(l, ent->d_name, dir, m, e);
	closedir(d);
	if (rc < 0)
		loop_devs_fini(l);
	return rc < 0 ? rc : 0;
}

void
loop_devs_fini(struct loop_devs *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].dev);
		free(l->v[i].backing);
		free(l->v[i].mounted_on);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

int
loop_devs_sync(const struct loop_devs *l, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].mounted_on == NULL)
			continue;
		int fd = open(l->v[i].mounted_on,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || syncfs(fd) < 0)
			rc = err_errno(e, -errno, "sync %s (on %s)",
			    l->v[i].mounted_on, l->v[i].dev);
		if (fd >= 0)
			close(fd);
	}
	return rc;
}

/* --- unmounting ------------------------------------------------------------------ */

extern char **environ;

/* What fusermount3 says goes to our standard error. */
static int
by_fusermount(const char *dir, bool lazy, struct err *e)
{
	char prog[] = "fusermount3", u[] = "-u", z[] = "-z", sep[] = "--";
	char *name = strdup(dir);
	char *argv[6] = { prog, u, sep, name, NULL, NULL };
	pid_t pid;
	int status;

	if (name == NULL)
		return err_errno(e, -ENOMEM, "unmount %s", dir);
	if (lazy) {
		argv[2] = z;
		argv[3] = sep;
		argv[4] = name;
	}
	int rc = posix_spawnp(&pid, prog, NULL, NULL, argv, environ);

	free(name);
	if (rc != 0)
		return err_errno(e, -rc, "unmount %s: run fusermount3", dir);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(
			    e, -errno, "unmount %s: fusermount3", dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(e, -EBUSY, "unmount %s: fusermount3 refused", dir);
}

int
mounts_unmount(const char *dir, bool lazy, struct err *e)
{
	if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EPERM && geteuid() != 0)
		return by_fusermount(dir, lazy, e);
	return err_errno(e, -errno, "unmount %s", dir);
}

int
mounts_leave(const char *dir, struct err *e)
{
	struct mounts m = { 0 };
	struct loop_devs l = { 0 };
	struct err why = ERR_INIT;

	if (mounts_read(&m, &why) == 0 &&
	    loop_devs_read(&l, dir, &m, &why) == 0)
		loop_devs_sync(&l, &why);
	if (why.rc < 0)
		log_warn("%s", err_text(&why));
	for (size_t i = 0; i < l.n; i++)
		log_warn("%s still stands on %s%s%s; what it writes from now "
		    "on is lost",
		    l.v[i].dev, l.v[i].backing,
		    l.v[i].mounted_on != NULL ? ", mounted on " : "",
		    l.v[i].mounted_on != NULL ? l.v[i].mounted_on : "");
	loop_devs_fini(&l);
	mounts_fini(&m);

	return mounts_unmount(dir, false, NULL) < 0 ?
	    mounts_unmount(dir, true, e) :
	    0;
}
