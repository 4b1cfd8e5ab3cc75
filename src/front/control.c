/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket that tells how a mount ended.
 *
 * Clients are accepted and kept, at most CLIENTS_MAX; nothing is read from
 * them and nothing is written before the end, so they cannot hold us up.  The
 * message is short enough for the socket's buffer.  What is told is no secret;
 * anybody on the machine may listen.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "front/control.h"
#include "loop/loop.h"

#define CLIENTS_MAX 16

struct control {
	struct loop_fd watch;
	char name[48];
	int client[CLIENTS_MAX];
	unsigned n;
};

static socklen_t
address(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	/* A leading NUL: the abstract name space. */
	size_t n = strlen(name);

	if (n > sizeof(a->sun_path) - 1)
		n = sizeof(a->sun_path) - 1;
	memcpy(a->sun_path + 1, name, n);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

static void
incoming(struct loop_fd *w, uint32_t events)
{
	struct control *c = container_of(w, struct control, watch);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (c->n == CLIENTS_MAX) {
		close(fd);
		return;
	}
	c->client[c->n++] = fd;
}

int
control_open(struct loop *l, struct control **out, struct err *e)
{
	struct control *c = calloc(1, sizeof(*c));
	struct sockaddr_un a;
	static unsigned nth;
	int rc;

	if (c == NULL)
		return err_errno(e, -ENOMEM, "control socket");
	snprintf(c->name, sizeof(c->name), "pail-%d-%u", (int)getpid(),
	    nth++);
	int fd = socket(
	    AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&a, address(&a, c->name)) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0) {
		rc = err_errno(e, -errno, "control socket @%s", c->name);
		goto fail;
	}
	c->watch.ready = incoming;
	rc = loop_fd_add(l, &c->watch, fd, EPOLLIN);
	if (rc < 0) {
		err_errno(e, rc, "control socket @%s", c->name);
		goto fail;
	}
	*out = c;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	free(c);
	return rc;
}

const char *
control_name(const struct control *c)
{
	return c->name;
}

void
control_close(struct control *c, int rc, const char *sentence)
{
	char line[ERR_TEXT_MAX + 32];

	if (c == NULL)
		return;
	int fd = c->watch.fd;
	int n = rc == 0 ?
	    snprintf(line, sizeof(line), "0\n") :
	    snprintf(line, sizeof(line), "%d %s\n", -rc, sentence);

	/* One that connected this very moment. */
	incoming(&c->watch, EPOLLIN);
	for (unsigned i = 0; i < c->n; i++) {
		/* If it has gone away nobody wants to know. */
		ssize_t sent = send(c->client[i], line, (size_t)n,
		    MSG_NOSIGNAL);

		(void)sent;
		close(c->client[i]);
	}
	loop_fd_del(&c->watch);
	close(fd);
	free(c);
}

int
control_connect(const char *name, int *fd, struct err *e)
{
	struct sockaddr_un a;
	socklen_t len = address(&a, name);

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_errno(e, -errno, "control socket");
	if (connect(*fd, (struct sockaddr *)&a, len) < 0) {
		int rc = err_errno(e, -errno, "connect to @%s", name);

		close(*fd);
		*fd = -1;
		return rc;
	}
	return 0;
}

int
control_wait(int fd, struct err *e)
{
	char line[ERR_TEXT_MAX + 32];
	size_t n = 0;
	int value, skip = 0;

	while (n < sizeof(line) - 1) {
		ssize_t got = read(fd, line + n, sizeof(line) - 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	line[n] = '\0';
	if (sscanf(line, "%d %n", &value, &skip) != 1 || value < 0)
		return err_set(e, -EPIPE,
		    "the process ended without a word: it was killed, or "
		    "crashed");
	if (value == 0)
		return 0;
	line[strcspn(line, "\n")] = '\0';
	return err_set(e, -value, "%s", line + skip);
}
