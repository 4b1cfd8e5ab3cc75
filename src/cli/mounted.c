/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a mounted volume, and having it written out.
 *
 * fsync(2) waits without telling how far it is.  So a thread of its own calls
 * it, while this one reads the status file and draws the bar.  If the user
 * stops us the mount goes on as before.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "cli/mounted.h"
#include "cli/progress.h"

#define LOOK_EVERY_MS 200

/* --- finding ------------------------------------------------------------- */

static int
not_there(const char *dir, struct err *e)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return err_errno(e, -errno, "%s", dir);
	return err_set(e, -ENOENT, "%s: no volume is mounted there", dir);
}

/* The mount at dir if it is ours; else NULL. */
static const struct mount_point *
ours_at(const struct mounts *m, const char *dir)
{
	const struct mount_point *p = mounts_at(m, dir);

	return p != NULL && strcmp(p->type, MOUNTS_TYPE) == 0 ? p : NULL;
}

int
mounted_find(struct mounted *m, const char *path, struct err *e)
{
	memset(m, 0, sizeof(*m));
	int rc = mounts_realpath(path, &m->dir, e);

	if (rc == 0)
		rc = mounts_read(&m->mounts, e);
	if (rc < 0)
		goto fail;

	m->point = ours_at(&m->mounts, m->dir);
	if (m->point == NULL) {
		const struct mount_point *p =
		    mounts_at(&m->mounts, m->dir);
		char *slash = strrchr(m->dir, '/');

		if (p != NULL) {
			rc = err_set(e, -ENOENT,
			    "%s: what is mounted there is no volume of pail "
			    "but %s on %s", m->dir, p->type, p->source);
			goto fail;
		}
		if (slash != m->dir) {
			*slash = '\0';
			m->point = ours_at(&m->mounts, m->dir);
			*slash = '/';
		}
		if (m->point == NULL) {
			rc = not_there(m->dir, e);
			goto fail;
		}
		*slash = '\0';
	}
	rc = loop_devs_read(&m->loops, m->dir, &m->mounts, e);
	if (rc < 0)
		goto fail;
	return 0;
fail:
	mounted_fini(m);
	return rc;
}

void
mounted_fini(struct mounted *m)
{
	loop_devs_fini(&m->loops);
	mounts_fini(&m->mounts);
	free(m->dir);
	json_decref(m->counters);
	memset(m, 0, sizeof(*m));
}

/* --- the status file -------------------------------------------------------- */

int
mounted_read_json(
    const struct mounted *m, char **text, size_t *len, struct err *e)
{
	struct strbuf path = STRBUF_INIT, b = STRBUF_INIT;
	char buf[8192];
	ssize_t n;
	int rc = 0;

	strbuf_printf(&path, "%s/" STATUS_NAME, m->dir);
	int fd = path.failed ? -1 :
			       open(strbuf_text(&path), O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		rc = path.failed ? -ENOMEM : -errno;
		if (rc == -ENOTCONN || rc == -ECONNABORTED)
			err_set(e, -ENOTCONN,
			    "%s: the process behind it is gone; 'pail unmount "
			    "%s' removes what is left of the mount", m->dir,
			    m->dir);
		else
			err_errno(e, rc, "open %s", strbuf_text(&path));
		strbuf_fini(&path);
		return rc;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		strbuf_add(&b, buf, (size_t)n);
	if (n < 0)
		rc = err_errno(e, -errno, "read %s", strbuf_text(&path));
	else if (b.failed)
		rc = err_errno(e, -ENOMEM, "read %s", strbuf_text(&path));
	close(fd);
	strbuf_fini(&path);
	if (rc < 0) {
		strbuf_fini(&b);
		return rc;
	}
	*len = b.len;
	*text = strbuf_take(&b);
	return *text != NULL ? 0 : err_errno(e, -ENOMEM, "read the status");
}

int
mounted_status(struct mounted *m, struct err *e)
{
	char *text = NULL;
	size_t len = 0;
	int rc = mounted_read_json(m, &text, &len, e);

	if (rc < 0)
		return rc;
	json_decref(m->counters);
	m->counters = NULL;
	rc = status_parse(text, len, &m->status, &m->counters, e);
	free(text);
	return rc;
}

/* --- writing everything ------------------------------------------------------- */

struct sync_job {
	const struct mounted *m;
	bool loops;
	pthread_mutex_t lock; /* protects finished: main sleeps on it */
	pthread_cond_t cond;
	bool finished;
	int rc;
	struct err err;
};

/*
 * The directory, not the disk, is what fsync is called on: its owner may
 * always open it, and any file's fsync here means the whole disk.  syncfs
 * before it hands over what the kernel has not written yet.
 */
static void *
sync_thread(void *arg)
{
	struct sync_job *j = arg;
	int rc = 0;

	if (j->loops)
		rc = loop_devs_sync(&j->m->loops, &j->err);
	int fd = rc < 0 ? -1 :
			  open(j->m->dir,
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (rc == 0 && (fd < 0 || syncfs(fd) < 0 || fsync(fd) < 0))
		rc = err_errno(&j->err, -errno, "sync %s", j->m->dir);
	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&j->lock);
	j->rc = rc;
	j->finished = true;
	pthread_cond_signal(&j->cond);
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* True when the job has ended; waits a little for it. */
static bool
wait_a_little(struct sync_job *j)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	int64_t ns = until.tv_nsec + LOOK_EVERY_MS * NS_PER_MS;

	until.tv_sec += ns / NS_PER_S;
	until.tv_nsec = ns % NS_PER_S;
	pthread_mutex_lock(&j->lock);
	if (!j->finished)
		pthread_cond_timedwait(&j->cond, &j->lock, &until);
	bool finished = j->finished;

	pthread_mutex_unlock(&j->lock);
	return finished;
}

int
mounted_sync(struct mounted *m, bool loops, bool quiet, const char *title,
    struct err *e)
{
	struct sync_job j = { .m = m,
		.loops = loops,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER };
	struct progress bar;
	pthread_t thread;
	uint64_t total = m->status.dirty_bytes;
	int rc = pthread_create(&thread, NULL, sync_thread, &j);

	if (rc != 0)
		return err_errno(e, -rc, "sync %s: start a thread", m->dir);
	progress_start(
	    &bar, progress_stderr(quiet), title, NULL, 0, total);
	while (!wait_a_little(&j)) {
		if (mounted_status(m, NULL) < 0)
			continue;
		uint64_t left = m->status.dirty_bytes;

		/* The kernel, or somebody, goes on writing. */
		if (left > total)
			total = left;
		progress_set(&bar, total - left, total);
	}
	progress_end(&bar);
	pthread_join(thread, NULL);
	if (j.rc < 0) {
		err_copy(e, &j.err);
		/* The errno says little; the mount knows the sentence. */
		if (mounted_status(m, NULL) == 0 && m->status.error != 0)
			err_set(e, j.rc, "%s: %s", j.err.text,
			    m->status.error_text);
	}
	return j.rc;
}
