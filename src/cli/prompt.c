/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions at the terminal.
 *
 * While a password is typed the terminal does not echo.  Every signal that
 * would end or stop the process then is caught, the terminal put back, and the
 * signal raised again with its old meaning: so no way out leaves a terminal
 * that shows nothing.  After a stop (Ctrl-Z) and continue the question is
 * asked anew.
 *
 * Answers are secrets: buffers of this file are wiped; the caller wipes its
 * own.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/progress.h"
#include "cli/prompt.h"

static volatile sig_atomic_t signal_seen;

static void
remember(int signo)
{
	signal_seen = signo;
}

static const int watched[] = {
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
#define NWATCHED (sizeof(watched) / sizeof(watched[0]))

static int
open_tty(const char *instead, struct err *e)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd == -1)
		return err_set(e, -ENOTTY,
		    "there is no terminal to ask at: use %s", instead);
	return fd;
}

static int
put_all(int fd, const char *s)
{
	size_t n = strlen(s);

	while (n > 0) {
		ssize_t w = write(fd, s, n);

		if (w == -1 && errno != EINTR)
			return -errno;
		if (w > 0) {
			s += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

/* Byte by byte, so that nothing beyond the line is taken from the terminal.
 * A line that is too long is read to its end and refused.  The watched signals
 * are blocked but while it waits here: one that comes just before is seen. */
static int
read_line(int fd, const sigset_t *open_mask, char *answer)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	for (;;) {
		char c;
		ssize_t n = ppoll(&p, 1, NULL, open_mask);

		if (signal_seen != 0)
			return -EINTR;
		if (n == 1)
			n = read(fd, &c, 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0 && len == 0)
			return -EPIPE;
		if (n == 0 || c == '\n')
			break;
		if (len < PROMPT_MAX)
			answer[len++] = c;
	}
	if (len >= PROMPT_MAX)
		return -E2BIG;
	answer[len] = '\0';
	return 0;
}

/* Ask once; leaves signal_seen for the caller, with everything restored. */
static int
ask_once(int fd, const char *question, bool echo, char *answer)
{
	struct sigaction sa = {.sa_handler = remember}, old[NWATCHED];
	struct termios before, quiet;
	sigset_t mask, old_mask, open_mask;
	int rc;

	signal_seen = 0;
	sigemptyset(&sa.sa_mask);
	sigemptyset(&mask);
	for (unsigned i = 0; i < NWATCHED; i++)
		sigaddset(&mask, watched[i]);
	sigprocmask(SIG_BLOCK, &mask, &old_mask);
	open_mask = old_mask;
	for (unsigned i = 0; i < NWATCHED; i++) {
		sigaction(watched[i], &sa, &old[i]);
		sigdelset(&open_mask, watched[i]);
	}
	if (!echo && tcgetattr(fd, &before) == 0) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		tcsetattr(fd, TCSAFLUSH, &quiet);
	} else
		echo = true;
	rc = put_all(fd, question);
	if (rc == 0)
		rc = read_line(fd, &open_mask, answer);
	if (!echo) {
		tcsetattr(fd, TCSAFLUSH, &before);
		put_all(fd, "\n");
	}
	for (unsigned i = 0; i < NWATCHED; i++)
		sigaction(watched[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	return rc;
}

static bool
is_stop(int signo)
{
	return signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

static int
ask(int fd, const char *question, bool echo, char *answer, struct err *e)
{
	int rc;

	progress_erase();
	do {
		rc = ask_once(fd, question, echo, answer);
		if (signal_seen != 0)
			raise(signal_seen);
	} while (rc == -EINTR && is_stop(signal_seen));
	if (rc == -EINTR)
		return err_set(e, rc, "interrupted");
	if (rc == -E2BIG)
		return err_set(e, rc, "the answer is longer than %d bytes",
		    PROMPT_MAX - 1);
	if (rc == -EPIPE)
		return err_set(e, rc, "no answer");
	if (rc < 0)
		return err_errno(e, rc, "ask at the terminal");
	return 0;
}

int
prompt_line(const char *question, const char *instead, char *answer,
    struct err *e)
{
	int fd = open_tty(instead, e), rc;

	if (fd < 0)
		return fd;
	rc = ask(fd, question, true, answer, e);
	close(fd);
	return rc;
}

static int
ask_twice(int fd, const char *question, char *answer, struct err *e)
{
	char again[PROMPT_MAX];
	int rc = -EINVAL;

	for (int i = 0; i < 3; i++) {
		bool same;

		rc = ask(fd, question, false, answer, e);
		if (rc < 0)
			break;
		rc = ask(fd, "The same again: ", false, again, e);
		if (rc < 0)
			break;
		same = strcmp(answer, again) == 0;
		if (same && *answer != '\0')
			break;
		put_all(fd, same ? "The password is empty.\n"
				 : "They differ.\n");
		rc = err_set(e, -EINVAL, "no password: asked three times");
	}
	explicit_bzero(again, sizeof(again));
	return rc;
}

int
prompt_password(const char *question, bool twice, const char *instead,
    char *answer, struct err *e)
{
	int fd = open_tty(instead, e), rc;

	if (fd < 0)
		return fd;
	rc = twice ? ask_twice(fd, question, answer, e)
		   : ask(fd, question, false, answer, e);
	if (rc < 0)
		explicit_bzero(answer, PROMPT_MAX);
	close(fd);
	return rc;
}

int
prompt_yes(const char *question, const char *instead, bool *yes,
    struct err *e)
{
	char answer[PROMPT_MAX];
	int rc = prompt_line(question, instead, answer, e);

	*yes = rc == 0 &&
	    (strcmp(answer, "y") == 0 || strcmp(answer, "yes") == 0);
	return rc;
}
