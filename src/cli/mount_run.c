/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting: look at the mount point, go to the background, open the volume,
 * serve it.
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
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "cli/daemon.h"
#include "cli/exit.h"
#include "cli/mount_run.h"
#include "front/control.h"
#include "front/mounts.h"

/* --- the mount point ------------------------------------------------------- */

static int
is_free(const char *dir, struct err *e)
{
	struct mounts m;
	int rc = mounts_read(&m, e);

	if (rc < 0)
		return rc;
	const struct mount_point *p = mounts_at(&m, dir);

	if (p != NULL && strcmp(p->type, MOUNTS_TYPE) == 0)
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

/* --- the process that serves --------------------------------------------------- */

struct child {
	struct mount_job *job;
	struct daemon daemon;
};

static void
mounted(void *arg)
{
	struct child *c = arg;

	daemon_ready(&c->daemon, c->job->log_file);
	log_info("%s is mounted on %s", c->job->url, c->job->serve.fuse.dir);
}

static int
open_and_serve(struct child *c, bool *gave_up, struct err *e)
{
	struct mount_job *j = c->job;
	struct settings *set = j->set;
	struct serve *serve = NULL;
	struct volume *v;

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

int
mount_run(struct mount_job *j)
{
	struct err e = ERR_INIT;
	struct child c = { .job = j };
	bool gave_up = false;
	char *dir = NULL;
	int rc = check_dir(j->dir, &dir, &e);

	if (rc == 0) {
		j->serve.fuse.dir = dir;
		j->serve.fuse.source = j->url;
		wait_for_predecessor(j);
		rc = daemon_fork(&c.daemon, j->foreground, j->who, &e);
	}
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", j->who, err_text(&e));
		free(dir);
		return cli_status_of(rc);
	}
	rc = open_and_serve(&c, &gave_up, &e);
	int status = rc == 0 ? CLI_OK : (int)cli_status_of(rc);

	if (rc < 0)
		daemon_failed(&c.daemon, j->who, status, err_text(&e));
	if (gave_up)
		_exit(status); /* requests still point into our memory */
	free(dir);
	return status;
}
