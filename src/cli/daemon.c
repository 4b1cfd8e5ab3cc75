/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going to the background.
 *
 * What goes through the pipe is one byte, the exit status, and then the
 * sentence, if it is not 0.  The end of the pipe without any byte means that
 * the child died; its own status tells how.
 *
 * Until it is ready the child stays in the terminal's process group, so that
 * Ctrl-C reaches it.  It keeps the directory it was started in, since paths in
 * its settings may be relative.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "cli/daemon.h"
#include "cli/exit.h"

static ssize_t
read_all(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, buf + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

__attribute__((noreturn)) static void
parent(int fd, pid_t child, const char *who)
{
	char msg[ERR_TEXT_MAX + 2];
	ssize_t n = read_all(fd, msg, sizeof(msg) - 1);
	int status;

	if (n >= 1) {
		msg[n] = '\0';
		if (n > 1)
			fprintf(stderr, "%s: %s\n", who, msg + 1);
		_exit((unsigned char)msg[0]);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(CLI_FAILED);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "%s: the process was killed by signal %d "
		    "(%s)\n", who, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
		_exit(CLI_FAILED);
	}
	_exit(WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : CLI_FAILED);
}

int
daemon_fork(struct daemon *d, bool foreground, const char *who, struct err *e)
{
	int fds[2];

	d->foreground = foreground;
	d->pipe = d->std_err = -1;
	if (foreground)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "pipe");
	fflush(NULL);
	pid_t child = fork();

	if (child < 0) {
		int rc = err_errno(e, -errno, "fork");

		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	if (child > 0) {
		close(fds[1]);
		parent(fds[0], child, who);
	}
	close(fds[0]);
	d->pipe = fds[1];
	return 0;
}

void
daemon_inherit(struct daemon *d, bool foreground, int std_err)
{
	d->foreground = foreground;
	d->pipe = -1;
	d->std_err = std_err;
}

void
daemon_be_quiet(struct daemon *d)
{
	if (d->pipe >= 0)
		close(d->pipe);
	d->pipe = -1;
}

/* The parent may have been killed; then nobody needs to be told. */
static void
tell(struct daemon *d, int status, const char *sentence)
{
	char msg[ERR_TEXT_MAX + 2];
	int n = snprintf(msg, sizeof(msg), "%c%s", 'x', sentence);

	if (n >= (int)sizeof(msg))
		n = (int)sizeof(msg) - 1;
	msg[0] = (char)status;
	if (write(d->pipe, msg, (size_t)n) < 0)
		log_debug("nobody waits for us: %s", strerror(errno));
	close(d->pipe);
	d->pipe = -1;
}

void
daemon_ready(struct daemon *d, const char *log_file)
{
	int log = -1;

	if (d->std_err >= 0) {
		dup2(d->std_err, STDERR_FILENO);
		close(d->std_err);
		d->std_err = -1;
	}
	if (log_file != NULL) {
		log = open(log_file,
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
		if (log < 0)
			log_warn("log file %s: %s", log_file,
			    strerror(errno));
	}
	if (d->foreground) {
		if (log >= 0) {
			dup2(log, STDERR_FILENO);
			close(log);
		}
		return;
	}
	if (d->pipe >= 0)
		tell(d, 0, "");
	setsid();

	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(log >= 0 ? log : null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (log >= 0)
		close(log);
	else
		log_open("pail",
		    log_wants(LOG_LVL_DEBUG)	? LOG_LVL_DEBUG :
			log_wants(LOG_LVL_INFO) ? LOG_LVL_INFO :
						  LOG_LVL_WARN,
		    true);
}

int
daemon_failed(
    struct daemon *d, const char *who, int status, const char *sentence)
{
	if (d->pipe >= 0)
		tell(d, status, sentence);
	else if (d->foreground)
		fprintf(stderr, "%s: %s\n", who, sentence);
	else
		log_error("%s", sentence);
	return status;
}
