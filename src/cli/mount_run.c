/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting: look at the mount point, go to the background, open the volume,
 * serve it.
 *
 * Between the fork to the background and the process that serves stands the
 * holder (front/holder.h), which starts that one, and its successors.  Such a
 * successor runs the same code; it finds the mount already there.
 *
 * The order matters.  The mount point is looked at before anything else, since
 * that costs nothing and is what is wrong most often.  The fork comes before
 * any thread.  The signals are taken by the loop before any thread is started,
 * so that none of them can get one.  The volume is opened, with all that can
 * be wrong there, before the mount exists: whoever sees the mount can use it.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/exit.h"
#include "cli/mount_run.h"
#include "front/control.h"
#include "front/kept.h"
#include "front/mounts.h"

/* --- the mount point ------------------------------------------------------- */

/* A mount of ours that nobody serves any more says so at once; the kernel has
 * no answer of its own to this question. */
static bool
is_dead(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTCONN || errno == ECONNABORTED;
	close(fd);
	return false;
}

static int
is_free(const char *dir, struct err *e)
{
	struct mounts m;
	int rc = mounts_read(&m, e);

	if (rc < 0)
		return rc;
	const struct mount_point *p = mounts_at(&m, dir);

	if (p != NULL && strcmp(p->type, MOUNTS_TYPE) == 0 && is_dead(dir))
		rc = err_set(e, -EBUSY,
		    "%s: %s was mounted there, and the process behind it is "
		    "gone: 'pail unmount %s', then mount again", dir,
		    p->source, dir);
	else if (p != NULL && strcmp(p->type, MOUNTS_TYPE) == 0)
		rc = err_set(e, -EBUSY,
		    "%s: %s is mounted there already ('pail unmount %s' ends "
		    "that)", dir, p->source, dir);
	mounts_fini(&m);
	return rc;
}

static int
is_empty_dir(const char *dir, struct err *e)
{
	struct stat st;
	struct dirent *ent;
	int rc = 0;

	if (stat(dir, &st) < 0)
		return err_errno(e, -errno, "mount point %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(
		    e, -ENOTDIR, "mount point %s is no directory", dir);
	DIR *d = opendir(dir);

	if (d == NULL)
		return err_errno(e, -errno, "mount point %s", dir);
	while (rc == 0 && (ent = readdir(d)) != NULL)
		if (strcmp(ent->d_name, ".") != 0 &&
		    strcmp(ent->d_name, "..") != 0)
			rc = err_set(e, -ENOTEMPTY,
			    "mount point %s is not empty ('%s' is in it); "
			    "a mount would hide that", dir, ent->d_name);
	closedir(d);
	return rc;
}

/* The absolute path of a mount point that may be used; malloc'ed. */
static int
check_dir(const char *given, char **out, struct err *e)
{
	char *dir;
	int rc = mounts_realpath(given, &dir, e);

	if (rc < 0)
		return rc;
	rc = is_free(dir, e);
	if (rc == 0)
		rc = is_empty_dir(dir, e);
	if (rc == 0) {
		*out = realpath(dir, NULL); /* it may be a link */
		if (*out == NULL)
			rc = err_errno(e, -errno, "mount point %s", dir);
		else if (strcmp(*out, dir) != 0)
			rc = is_free(*out, e);
		if (rc < 0) {
			free(*out);
			*out = NULL;
		}
	}
	free(dir);
	return rc;
}

/* Better now, while somebody reads what is wrong. */
static int
check_log_file(const char *path, struct err *e)
{
	if (path == NULL)
		return 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	if (fd < 0)
		return err_errno(e, -errno, "--log-file %s", path);
	close(fd);
	return 0;
}

/* --- the process that serves --------------------------------------------------- */

struct child {
	struct mount_job *job;
	struct daemon daemon;
	const struct hold_start *start;
};

static void
mounted(void *arg)
{
	struct child *c = arg;

	daemon_ready(&c->daemon, c->job->log_file);
	log_info("%s %s %s", c->job->url,
	    c->start->resume ? "is served by a new process at" :
			       "is mounted on",
	    c->job->serve.fuse.dir);
}

/* How a volume is opened that this mount has open already. */
static void
resume_params(struct settings *set, const struct hold_start *start)
{
	struct layout_params *l = &set->volume.layout;

	l->owner = &start->owner;
	if (!start->resume)
		return;
	l->lease = l->lease >= LEASE_WRITER ? LEASE_RESUME : LEASE_NONE;
	l->create = false;
	set->volume.journal.resume = kept_needs_journal(start->kept)
	    ? VOLUME_JOURNAL_NEEDED : VOLUME_JOURNAL_SPARE;
}

static int
open_and_serve(struct child *c, bool *gave_up, struct err *e)
{
	struct mount_job *j = c->job;
	struct settings *set = j->set;
	struct serve *serve = NULL;
	struct volume *v;

	resume_params(set, c->start);
	set->loop = loop_new(e);
	if (set->loop == NULL)
		return e->rc < 0 ? e->rc : -ENOMEM;
	int rc = serve_new(set->loop, &serve, e);

	if (rc < 0) {
		loop_free(set->loop);
		set->loop = NULL;
		return rc;
	}
	rc = settings_start(set, e);
	if (rc < 0) {
		serve_free(serve);
		return rc;
	}
	rc = volume_open(&set->env, j->url, &set->volume, &v, e);
	if (rc == 0) {
		j->serve.pool = set->pool;
		j->serve.ready = mounted;
		j->serve.arg = c;
		j->serve.hold = c->start;
		rc = serve_run(serve, v, &j->serve, gave_up, e);
	}
	if (*gave_up)
		return rc;
	serve_free(serve);
	settings_stop(set);
	return rc;
}

/*
 * The same volume was unmounted here a moment ago and its process still writes:
 * wait for it, rather than be refused by its lease.  How it ended is for the
 * layer below to judge.
 */
static void
wait_for_predecessor(const struct mount_job *j)
{
	char name[CONTROL_NAME_MAX];
	int pid, fd;

	while (control_find_ending(j->url, name, &pid)) {
		if (control_connect(name, &fd, NULL) < 0)
			return; /* it has just ended */
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 1000) == 0)
			fprintf(stderr,
			    "%s: waiting for process %d, which still writes "
			    "what was changed before the last unmount\n",
			    j->who, pid);
		control_wait(fd, NULL);
	}
}

/* --- the holder ------------------------------------------------------------------ */

static void
settled(void *arg)
{
	struct child *c = arg;

	daemon_be_quiet(&c->daemon);
	daemon_ready(&c->daemon, c->job->log_file);
}

static void
failed(void *arg, const char *sentence)
{
	struct child *c = arg;

	daemon_failed(&c->daemon, c->job->who, CLI_FAILED, sentence);
}

/* To the background; or there already. */
static int
begin(struct child *c, char **dir, struct err *e)
{
	struct mount_job *j = c->job;
	int rc;

	if (j->takeover != NULL) {
		daemon_inherit(&c->daemon, j->foreground,
		    j->takeover->std_err);
		*dir = strdup(j->takeover->dir);
		return *dir != NULL ? 0 : err_errno(e, -ENOMEM, "mount");
	}
	rc = check_dir(j->dir, dir, e);
	if (rc == 0)
		rc = check_log_file(j->log_file, e);
	if (rc < 0)
		return rc;
	j->serve.fuse.dir = *dir;
	wait_for_predecessor(j);
	return daemon_fork(&c->daemon, j->foreground, j->who, e);
}

static int
serve_here(struct child *c, struct err *e)
{
	struct mount_job *j = c->job;
	bool gave_up = false;
	int rc = open_and_serve(c, &gave_up, e);
	int status = rc == 0 ? CLI_OK : (int)cli_status_of(rc);

	if (rc < 0 && c->start->resume)
		log_error("%s: %s", j->url, err_text(e));
	else if (rc < 0)
		daemon_failed(&c->daemon, j->who, status, err_text(e));
	if (gave_up)
		_exit(status); /* requests still point into our memory */
	return status;
}

int
mount_run(struct mount_job *j)
{
	struct err e = ERR_INIT;
	struct child c = { .job = j, .daemon = { .pipe = -1, .std_err = -1 } };
	struct holder *h = NULL;
	char *dir = NULL;
	int status;
	int rc = begin(&c, &dir, &e);

	j->serve.fuse.dir = dir;
	j->serve.fuse.source = j->url;
	if (rc == 0) {
		const struct holder_params p = { .what = j->url,
			.dir = dir,
			.secret = j->set->password,
			.argv = cli_argv(),
			.ledger = j->ledger,
			.foreground = j->foreground,
			.takeover = j->takeover,
			.settled = settled,
			.failed = failed,
			.arg = &c };

		rc = holder_new(&p, &h, &e);
		if (rc < 0)
			daemon_failed(&c.daemon, j->who,
			    (int)cli_status_of(rc), err_text(&e));
	} else {
		fprintf(stderr, "%s: %s\n", j->who, err_text(&e));
	}
	if (rc < 0)
		status = (int)cli_status_of(rc);
	else if (holder_run(h, &c.start, &status) == HOLDER_SERVE)
		status = serve_here(&c, &e);
	holder_free(h);
	free(dir);
	return status;
}
