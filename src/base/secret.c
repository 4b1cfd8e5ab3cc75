/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c: the first line of a file; see secret.h.
 *
 * It is read straight into the caller's buffer, without stdio, whose buffers
 * nobody wipes; what is behind the line is wiped as well.
 */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"

/* Fill out until the end of a line, of the file, or of out.  Bytes, or -errno.
 */
static ssize_t
fill(int fd, char *out, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = read(fd, out + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
		if (memchr(out + n - got, '\n', (size_t)got))
			break;
	}
	return (ssize_t)n;
}

static int
look_at(int fd, const char *path, const char *what, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s %s", what, path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "%s %s is a directory", what, path);
	if (S_ISREG(st.st_mode) && st.st_mode & (S_IRWXG | S_IRWXO))
		log_warn("%s %s is open to others (mode %03o); chmod 600 it",
		    what, path, (unsigned)st.st_mode & 0777);
	return 0;
}

int
secret_read_line(
    const char *path, const char *what, char *out, size_t cap, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0, have;
	ssize_t n;
	int rc;

	must(cap > 1);
	if (fd < 0)
		return err_errno(e, -errno, "%s %s", what, path);
	rc = look_at(fd, path, what, e);
	if (rc < 0)
		goto out;
	n = fill(fd, out, cap);
	if (n < 0) {
		rc = err_errno(e, (int)n, "read %s %s", what, path);
		goto out;
	}
	have = (size_t)n;
	while (len < have && !strchr("\r\n", out[len])) /* a NUL too */
		len++;
	if (len == cap)
		rc = err_set(e, -E2BIG,
		    "%s %s: its first line is longer than %zu bytes", what,
		    path, cap - 1);
	else if (len < have && out[len] == '\0')
		rc = err_set(e, -EINVAL, "%s %s: its first line has a NUL byte",
		    what, path);
	else if (len == 0)
		rc = err_set(
		    e, -EINVAL, "%s %s: its first line is empty", what, path);
	else
		explicit_bzero(out + len, cap - len);
out:
	if (rc < 0)
		explicit_bzero(out, cap);
	close(fd);
	return rc;
}

void
secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}
