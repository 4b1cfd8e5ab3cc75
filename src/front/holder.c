/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder's life.
 *
 * What it has: the kernel's FUSE device, the kept page, and the image of a
 * program that is ready to serve: forking is enough to start another one, with
 * all options and passwords in place.  What it does: wait for its child, and
 * for pail upgrade.
 *
 *	STARTING   a child is opening the volume
 *	OFFERED    it is ready; the old holder has the last word (takeover)
 *	SERVING
 *	PAUSING    before the next try
 *	CALLING    an upgrade: the new program was started and has to say hello
 *	DRAINING   the child writes everything, then ends
 *	TRYING     the new program has the mount, and is opening the volume
 *	RECALLING  it could not: it is killed, and we wait for that
 *	FOLLOWING  it could: we wait for its end, as somebody waits for ours
 *	OVER
 *
 * Only one process ever reads the device: a child is started when the one
 * before it is dead, and the child of a new holder reads nothing before our GO
 * (and dies with its holder until then).
 *
 * A child's messages count before its death: they are read first.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "front/holder_int.h"

/* Has served for so long: all is well.  A request that kills whoever gets it
 * does so at once. */
#define STEADY_NS (250 * NS_PER_MS)
#define PAUSE_NS (100 * NS_PER_MS) /* doubled with each failure */
#define FAILURES_MAX 8

/* --- ending ------------------------------------------------------------------ */

void
holder_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
holder_over(struct holder *h, int status)
{
	holder_shut(&h->device);
	h->status = status;
	h->state = OVER;
}

/* The kernel answers ENOTCONN to all who use the mount: as if the machine's
 * power had failed, for whatever stands on the disk. */
static void
give_up(struct holder *h, const char *why)
{
	log_error("%s on %s: %s: the mount is given up; what was not flushed "
		  "is lost ('pail unmount %s' removes what is left of it)",
	    h->p.what, h->p.dir, why, h->p.dir);
	holder_answer(h, WIRE_SORRY, why);
	holder_over(h, 1);
}

/* --- the child ------------------------------------------------------------------ */

static void
become_child(struct holder *h, int sock)
{
	pid_t parent = h->start.holder_pid;

	/* In a takeover, until it is ours: nobody serves for a dead holder. */
	if (h->next.up >= 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	setsid(); /* signals of a terminal come through the holder */
	prctl(PR_SET_NAME, "pail");
	sigprocmask(SIG_SETMASK, &h->old_mask, NULL);
	holder_shut(&h->signals);
	holder_shut(&h->door);
	holder_shut(&h->client);
	successor_shut(&h->next);
	h->start.sock = sock;
	h->start.device = h->device;
	h->start.resume = h->device >= 0;
	h->device = -1; /* the front's from now on */
	lease_owner_serve(&h->start.owner, parent);
}

static void pause_then_start(struct holder *h);

/* True in the child. */
static bool
start_child(struct holder *h)
{
	int pair[2];
	int rc = wire_pair(pair);

	fflush(NULL);
	pid_t pid = rc < 0 ? -1 : fork();

	if (pid == 0) {
		close(pair[0]);
		become_child(h, pair[1]);
		return true;
	}
	if (pid < 0) {
		log_error("%s: start a process: %s", h->p.what,
		    strerror(rc < 0 ? -rc : errno));
		if (rc == 0)
			close(pair[0]), close(pair[1]);
		pause_then_start(h);
		return false;
	}
	close(pair[1]);
	h->sock = pair[0];
	h->child = pid;
	h->drained = h->ended = false;
	h->served_ns = 0;
	h->why[0] = '\0';
	h->state = STARTING;
	h->due_ns = 0;
	return false;
}

/* Another failure in a row. */
static void
pause_then_start(struct holder *h)
{
	int64_t unit = h->p.pause_ns > 0 ? h->p.pause_ns : PAUSE_NS;
	int64_t pause = h->failures == 0 ? 0 : unit << (h->failures - 1);

	h->failures++;
	if (h->failures > FAILURES_MAX) {
		give_up(h, "no process can go on with it");
		return;
	}
	h->state = PAUSING;
	h->due_ns = clock_mono_ns() + pause;
}

static void
forward(struct holder *h, int signo)
{
	if (h->state == FOLLOWING)
		kill(h->next.pid, signo);
	else if (h->child > 0 && !h->drained)
		kill(h->child, signo);
	h->signo = signo; /* also for whoever serves next */
}

/* The child may read the device. */
void
holder_let_serve(struct holder *h)
{
	wire_say(h->sock, WIRE_GO, "");
	h->state = SERVING;
	h->served_ns = clock_mono_ns();
	if (!h->settled)
		h->p.settled(h->p.arg);
	h->settled = true;
	if (h->signo != 0)
		kill(h->child, h->signo);
}

static void
child_ready(struct holder *h)
{
	char text[64];

	if (h->next.up < 0) {
		holder_let_serve(h);
		return;
	}
	snprintf(text, sizeof(text), "process %d, version %s",
	    (int)h->child, PACKAGE_VERSION);
	wire_say(h->next.up, WIRE_READY, text);
	h->state = OFFERED;
}

static void
heard_child(struct holder *h)
{
	switch (h->msg.type) {
	case WIRE_MOUNTED:
		if (h->device < 0 && h->msg.fds[0] >= 0) {
			h->device = h->msg.fds[0];
			h->msg.fds[0] = -1;
		}
		break;
	case WIRE_READY:
		if (h->state == STARTING)
			child_ready(h);
		break;
	case WIRE_FAILED:
		snprintf(h->why, sizeof(h->why), "%s", (char *)h->msg.body);
		break;
	case WIRE_DRAINED:
		h->drained = true;
		break;
	case WIRE_REFUSED:
		if (h->state != DRAINING)
			break;
		successor_kill(&h->next);
		holder_answer(h, WIRE_SORRY, (char *)h->msg.body);
		h->state = SERVING;
		break;
	case WIRE_DROP:
		holder_shut(&h->device);
		wire_say(h->sock, WIRE_DROPPED, "");
		break;
	case WIRE_ENDED:
		h->ended = true;
		break;
	default:
		break;
	}
	wire_drop_fds(&h->msg);
}

/* All that it has said so far. */
static void
listen_child(struct holder *h)
{
	int rc = 0;

	while (h->sock >= 0 &&
	    (rc = wire_recv(h->sock, &h->msg, MSG_DONTWAIT)) > 0)
		heard_child(h);
	if (rc < 0)
		holder_shut(&h->sock); /* its death will be told */
}

int
holder_exit_status(int wstatus)
{
	return WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 1;
}

void
holder_describe(char *text, size_t size, int wstatus)
{
	if (WIFSIGNALED(wstatus))
		snprintf(text, size, "was killed by signal %d (%s)",
		    WTERMSIG(wstatus), strsignal(WTERMSIG(wstatus)));
	else
		snprintf(text, size, "ended with status %d",
		    WEXITSTATUS(wstatus));
}

/* It never mounted anything: so there is nothing to hold. */
static void
never_began(struct holder *h, int wstatus)
{
	char how[80];

	if (WIFSIGNALED(wstatus)) {
		char text[128];

		holder_describe(how, sizeof(how), wstatus);
		snprintf(text, sizeof(text), "the process %s", how);
		h->p.failed(h->p.arg, text);
	}
	holder_over(h, holder_exit_status(wstatus));
}

static void
child_crashed(struct holder *h, int wstatus)
{
	char how[80], text[256];
	bool began = h->state != STARTING && h->state != OFFERED;

	holder_describe(how, sizeof(how), wstatus);
	snprintf(text, sizeof(text), "process %d %s%s%s", (int)h->child, how,
	    h->why[0] != '\0' ? ": " : "", h->why);
	if (h->state == DRAINING || h->state == CALLING) {
		successor_kill(&h->next);
		holder_answer(h, WIRE_SORRY, text);
	}
	if (h->next.up >= 0) { /* the old holder goes on */
		wire_say(h->next.up, WIRE_FAILED, text);
		holder_over(h, 1);
		return;
	}
	/* It was told to end, and died of that, not as one that serves. */
	if (h->signo != 0 && WIFSIGNALED(wstatus) &&
	    WTERMSIG(wstatus) == h->signo) {
		holder_answer(h, WIRE_SORRY, text);
		holder_over(h, 128 + h->signo);
		return;
	}
	/* One that served may have taken with it what nobody else has. */
	if (began && !kept_survives(&h->kept)) {
		give_up(h, text);
		return;
	}
	if (began || WIFSIGNALED(wstatus))
		kept_add_count(&h->kept, KEPT_CRASHES);
	log_error("%s: %s; starting another", h->p.what, text);
	if (h->served_ns != 0 &&
	    clock_mono_ns() - h->served_ns > STEADY_NS)
		h->failures = 0;
	pause_then_start(h);
}

static void
child_gone(struct holder *h, int wstatus)
{
	bool dropped;

	listen_child(h);
	holder_shut(&h->sock);
	dropped = h->device < 0;
	if (h->ended)
		holder_over(h, holder_exit_status(wstatus));
	else if (h->drained && h->state == DRAINING)
		holder_drained(h);
	else if (dropped && !h->settled)
		never_began(h, wstatus);
	else if (dropped)
		holder_over(h, WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 1);
	else
		child_crashed(h, wstatus);
	h->child = 0;
}

/* --- the turn ----------------------------------------------------------------------- */

static void
reap(struct holder *h)
{
	int wstatus;
	pid_t pid;

	while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
		if (pid == h->child)
			child_gone(h, wstatus);
		else if (pid == h->next.pid)
			holder_next_gone(h, wstatus);
	}
}

static void
signalled(struct holder *h)
{
	struct signalfd_siginfo s;

	while (read(h->signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo == SIGCHLD)
			continue; /* several may be one: reap looks for all */
		if (h->state == PAUSING)
			holder_over(h, 128 + (int)s.ssi_signo);
		else
			forward(h, (int)s.ssi_signo);
	}
	reap(h);
}

static int
time_left(const struct holder *h)
{
	if (h->due_ns == 0)
		return -1;
	int64_t ns = h->due_ns - clock_mono_ns();

	return ns <= 0 ? 0 : (int)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void
turn(struct holder *h)
{
	struct pollfd p[] = {
		{ .fd = h->signals, .events = POLLIN },
		{ .fd = h->sock, .events = POLLIN },
		{ .fd = h->door, .events = POLLIN },
		{ .fd = h->client, .events = POLLIN },
		{ .fd = h->next.sock, .events = POLLIN },
		{ .fd = h->next.up, .events = POLLIN },
	};
	/* An answer is all that one who waits for an upgrade gets to read. */
	if (h->state != SERVING)
		p[3].fd = -1;
	if (poll(p, sizeof(p) / sizeof(p[0]), time_left(h)) < 0)
		return; /* EINTR; ENOMEM: the next one may do */
	if (p[1].revents != 0)
		listen_child(h);
	if (p[0].revents != 0)
		signalled(h);
	if (h->state != OVER && p[4].revents != 0 && h->next.sock >= 0)
		holder_listen_next(h);
	if (h->state != OVER && p[5].revents != 0 && h->next.up >= 0)
		holder_listen_up(h);
	if (h->state != OVER && p[3].revents != 0 && h->client >= 0)
		holder_asked(h);
	if (h->state != OVER && p[2].revents != 0 && h->door >= 0)
		holder_knocked(h);
}

enum holder_role
holder_run(struct holder *h, const struct hold_start **start, int *status)
{
	*start = &h->start;
	if (start_child(h))
		return HOLDER_SERVE;
	while (h->state != OVER) {
		turn(h);
		bool due = h->due_ns != 0 && time_left(h) == 0;

		if ((h->state == PAUSING && due) ||
		    (h->state == RECALLING && h->next.pid == 0)) {
			if (start_child(h))
				return HOLDER_SERVE;
		} else if (due) {
			holder_too_late(h);
		}
	}
	*status = h->status;
	return HOLDER_OVER;
}
