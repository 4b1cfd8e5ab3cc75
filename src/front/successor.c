/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the other program of an upgrade, and being started as one.
 *
 * The old holder executes the program by its open file, so it is the very file
 * that pail upgrade has looked at, with the arguments that the mount was made
 * with.  One variable in the environment says that there is a mount to take
 * over, and by which descriptors:
 *
 *	PAIL_TAKEOVER=SOCKET,STDERR,PROGRAM
 *
 * the socket to the old holder, what standard error was (it is that of pail
 * upgrade until all is well, so that a person sees what is said there), and the
 * program's file, which is closed.
 *
 * The old one sends the settings at once: the directory, and the password,
 * which it may have asked a person for.  The new one says hello when it has
 * understood them and its arguments; until then the old one goes on as if
 * nothing were.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "front/holder.h"
#include "front/successor.h"
#include "front/wire.h"

#define VARIABLE "PAIL_TAKEOVER"

extern char **environ;

void
successor_init(struct successor *s)
{
	*s = (struct successor){ .sock = -1, .up = -1 };
}

static void
shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int
keep_open(int fd)
{
	return fcntl(fd, F_SETFD, 0);
}

/* In the new process.  Its environment may be changed: nobody else has it. */
__attribute__((noreturn)) static void
execute(int sock, int program, int std_err, char *const *argv,
    const sigset_t *mask)
{
	char text[64];
	int was = dup(STDERR_FILENO);

	setsid();
	snprintf(text, sizeof(text), "%d,%d,%d", sock, was, program);
	if (was < 0 || keep_open(sock) < 0 || keep_open(program) < 0 ||
	    dup2(std_err, STDERR_FILENO) < 0 || setenv(VARIABLE, text, 1) < 0)
		_exit(126);
	sigprocmask(SIG_SETMASK, mask, NULL);
	syscall(SYS_execveat, program, "", argv, environ, 0x1000
	    /* AT_EMPTY_PATH */);
	dprintf(STDERR_FILENO, "pail upgrade: execute the new program: %s\n",
	    strerror(errno));
	_exit(126);
}

int
successor_start(struct successor *s, int program, int std_err,
    char *const *argv, const sigset_t *mask, const char *dir,
    const char *secret)
{
	uint8_t body[WIRE_BODY_MAX];
	ssize_t len = wire_put_strings(body, sizeof(body), dir, secret);
	int pair[2];

	must(s->pid == 0);
	int rc = len < 0 ? (int)len : wire_pair(pair);

	if (rc < 0)
		return rc;
	rc = wire_send(pair[0], WIRE_SETTINGS, body, (size_t)len, NULL, 0);
	explicit_bzero(body, sizeof(body));
	pid_t pid = rc < 0 ? -1 : fork();

	if (pid == 0)
		execute(pair[1], program, std_err, argv, mask);
	if (pid < 0 && rc == 0)
		rc = -errno;
	close(pair[1]);
	if (rc < 0) {
		close(pair[0]);
		return rc;
	}
	s->pid = pid;
	s->sock = pair[0];
	s->killed = false;
	return 0;
}

void
successor_kill(struct successor *s)
{
	if (s->pid > 0)
		kill(s->pid, SIGKILL);
	s->killed = true;
	shut(&s->sock);
}

void
successor_gone(struct successor *s)
{
	s->pid = 0;
	shut(&s->sock);
}

void
successor_shut(struct successor *s)
{
	shut(&s->sock);
	shut(&s->up);
}

/* --- the other side -------------------------------------------------------------- */

static int
hear_settings(struct takeover *t, struct err *e)
{
	static struct wire_msg m; /* 8 KiB with a password in it */
	const char *dir, *secret;
	int rc = wire_recv(t->sock, &m, 0);

	if (rc == 1 && m.type != WIRE_SETTINGS)
		rc = -EPROTO;
	if (rc == 1)
		rc = wire_get_strings(m.body, m.len, &dir, &secret);
	if (rc == 0 && (strlen(dir) >= sizeof(t->dir) ||
	    strlen(secret) >= sizeof(t->secret)))
		rc = -EPROTO;
	if (rc == 0) {
		strcpy(t->dir, dir);
		strcpy(t->secret, secret);
	}
	wire_drop_fds(&m);
	explicit_bzero(&m, sizeof(m));
	return rc < 0 ? err_errno(e, rc, "take over a mount") : 0;
}

int
takeover_begin(struct takeover *t, struct err *e)
{
	const char *text = getenv(VARIABLE);
	int program;

	memset(t, 0, sizeof(*t));
	t->sock = t->std_err = -1;
	if (text == NULL)
		return 0;
	if (sscanf(text, "%d,%d,%d", &t->sock, &t->std_err, &program) != 3 ||
	    t->sock <= STDERR_FILENO || program <= STDERR_FILENO ||
	    fcntl(t->sock, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(t->std_err, F_SETFD, FD_CLOEXEC) < 0) {
		t->sock = -1;
		return err_set(e, -EPROTO,
		    "%s=%s in the environment: only pail itself sets that",
		    VARIABLE, text);
	}
	close(program);
	unsetenv(VARIABLE);
	int rc = hear_settings(t, e);

	return rc < 0 ? rc : 1;
}

void
takeover_failed(struct takeover *t, const char *why)
{
	if (t->sock < 0)
		return;
	wire_say(t->sock, WIRE_FAILED, why);
	shut(&t->sock);
}
