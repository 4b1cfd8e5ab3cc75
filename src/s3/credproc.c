/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credproc.c: keys from a program, the credential_process of a profile.
 *
 * The command line is run by the shell on a thread of the worker pool, since
 * it may take seconds; what it prints is read through a pipe, up to OUTPUT_MAX
 * bytes and RUN_MS milliseconds, after which it is killed.  Its standard error
 * stays ours, so that its complaints are seen.
 *
 * When the provider is closed while the program runs, the job is left to
 * itself: it owns all that it uses, and its done() finds nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/work.h"
#include "s3/config.h"
#include "s3/credfile.h"
#include "s3/credint.h"
#include "s3/resolve.h"

#define OUTPUT_MAX 65536
#define RUN_MS 30000

extern char **environ;

struct job {
	struct work work;
	struct s3_creds *p; /* NULL: closed; the loop's */
	/* The rest is the worker's, until done. */
	char *command;
	char out[OUTPUT_MAX];
	size_t n;
	struct s3_cred *cred;
	struct err err;
};

/* Everything up to the end of file; a negative errno. */
static int
read_all(struct job *j, int fd)
{
	int64_t end = clock_mono_ns() + RUN_MS * NS_PER_MS;

	for (;;) {
		struct pollfd pf = {fd, POLLIN, 0};
		int64_t left = (end - clock_mono_ns()) / NS_PER_MS;
		ssize_t k;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pf, 1, (int)left) <= 0)
			continue;
		if (j->n == OUTPUT_MAX)
			return -EFBIG;
		k = read(fd, j->out + j->n, OUTPUT_MAX - j->n);
		if (k < 0 && errno != EINTR)
			return -errno;
		if (k == 0)
			return 0;
		if (k > 0)
			j->n += (size_t)k;
	}
}

static int
start(const char *command, pid_t *pid, int *out)
{
	char *const argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c",
	    (char *)(uintptr_t)command, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	int p[2], rc;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&at);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	/* Of its own group, so that all of it can be killed. */
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, "/bin/sh", &fa, &at, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	close(p[1]);
	if (rc != 0) {
		close(p[0]);
		return -rc;
	}
	*out = p[0];
	return 0;
}

static void
run(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	int fd, rc, status = 0;
	pid_t pid;

	rc = start(j->command, &pid, &fd);
	if (rc < 0) {
		err_errno(&j->err, rc, "credential_process \"%s\"",
		    j->command);
		return;
	}
	rc = read_all(j, fd);
	close(fd);
	if (rc < 0)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc < 0)
		err_errno(&j->err, rc, "read from credential_process \"%s\"",
		    j->command);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		err_set(&j->err, -ENOKEY,
		    "credential_process \"%s\" ended with %s %d", j->command,
		    WIFEXITED(status) ? "status" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status)
				      : WTERMSIG(status));
	else if ((rc = s3_cred_json(j->out, j->n, &j->cred, &j->err)) < 0)
		err_wrap(&j->err, rc, "credential_process \"%s\"",
		    j->command);
	explicit_bzero(j->out, j->n);
}

static void
done(struct work *w)
{
	struct job *j = container_of(w, struct job, work);

	if (j->p) {
		j->p->state = NULL;
		s3_creds_fetched(j->p, j->cred, &j->err);
	} else {
		s3_cred_unref(j->cred);
	}
	free(j->command);
	free(j);
}

static int
process_open(struct s3_creds *p, struct err *e)
{
	char *command;
	int rc;

	rc = s3_profile_value(
	    p->conf->profile, "credential_process", &command, NULL, e);
	if (rc == -ENOENT || rc == -ENODATA)
		return -ENODATA;
	if (rc < 0)
		return rc;
	free(command);
	if (!p->pool)
		return err_set(e, -EOPNOTSUPP,
		    "credential_process of profile %s cannot be run here",
		    p->conf->profile);
	return s3_creds_set_source(
	    p, "credential_process of profile %s", p->conf->profile);
}

static void
process_fetch(struct s3_creds *p)
{
	struct job *j = calloc(1, sizeof(*j));
	struct err e = ERR_INIT;
	int rc = -ENOMEM;

	if (j)
		rc = s3_profile_value(p->conf->profile, "credential_process",
		    &j->command, NULL, &e);
	if (rc < 0) {
		if (!e.rc)
			err_errno(&e, rc, "credential_process of profile %s",
			    p->conf->profile);
		free(j);
		s3_creds_fetched(p, NULL, &e);
		return;
	}
	j->p = p;
	p->state = j;
	j->work.run = run;
	j->work.done = done;
	work_submit(p->pool, p->loop, &j->work);
}

static void
process_close(struct s3_creds *p)
{
	struct job *j = p->state;

	if (j)
		j->p = NULL;
}

const struct s3_cred_kind s3_cred_process = {
	.what = "the AWS files (credential_process)",
	.open = process_open,
	.fetch = process_fetch,
	.close = process_close,
	.renews = true,
};
