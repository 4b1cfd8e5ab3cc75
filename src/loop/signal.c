/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.c: signals received by the loop, through a signalfd; see loop.h.
 *
 * They are blocked and stay so: whoever stops listening does not want them to
 * take their default effect at that moment.
 */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"

static void
signal_ready(struct loop_fd *w, uint32_t events)
{
	struct loop_signal *s = container_of(w, struct loop_signal, watch);
	struct signalfd_siginfo info;

	/* One a turn: caught may take the watch away. */
	if (read(w->fd, &info, sizeof(info)) == sizeof(info))
		s->caught(s, (int)info.ssi_signo);
}

int
loop_signal_add(
    struct loop *l, struct loop_signal *s, const int *signos, struct err *e)
{
	sigset_t set;
	int fd, rc;

	sigemptyset(&set);
	for (; *signos; signos++)
		sigaddset(&set, *signos);
	rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc > 0)
		return err_errno(e, -rc, "block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		rc = -errno;
		return err_errno(e, rc, "receive signals: signalfd");
	}
	s->watch = (struct loop_fd){.ready = signal_ready};
	rc = loop_fd_add(l, &s->watch, fd, EPOLLIN);
	if (rc < 0) {
		close(fd);
		return err_errno(e, rc, "receive signals: watch signalfd");
	}
	return 0;
}

void
loop_signal_del(struct loop_signal *s)
{
	int fd = s->watch.fd;

	if (!s->watch.loop)
		return;
	loop_fd_del(&s->watch);
	close(fd);
}
