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
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "front/control.h"
#include "loop/loop.h"

#define CLIENTS_MAX 16

struct door { /* a socket that accepts */
	struct loop_fd watch;
	char name[CONTROL_NAME_MAX];
	struct control *control;
	bool open;
};

struct control {
	struct loop *loop;
	struct door door, end_door;
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

/* All that have come. */
static void
incoming(struct loop_fd *w, uint32_t events)
{
	struct control *c = container_of(w, struct door, watch)->control;
	int fd;

	while ((fd = accept4(w->fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (c->n < CLIENTS_MAX)
			c->client[c->n++] = fd;
		else
			close(fd);
	}
}

static int
door_open(struct control *c, struct door *d, struct err *e)
{
	struct sockaddr_un a;
	socklen_t len = address(&a, d->name);
	int fd = socket(
	    AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0)
		rc = -errno;
	d->control = c;
	d->watch.ready = incoming;
	if (rc == 0)
		rc = loop_fd_add(c->loop, &d->watch, fd, EPOLLIN);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return err_errno(e, rc, "control socket @%s", d->name);
	}
	d->open = true;
	return 0;
}

static void
door_close(struct door *d)
{
	if (!d->open)
		return;
	/* Those that came this very moment. */
	incoming(&d->watch, EPOLLIN);
	int fd = d->watch.fd;

	loop_fd_del(&d->watch);
	close(fd);
	d->open = false;
}

int
control_open(struct loop *l, struct control **out, struct err *e)
{
	struct control *c = calloc(1, sizeof(*c));
	static unsigned nth;

	if (c == NULL)
		return err_errno(e, -ENOMEM, "control socket");
	c->loop = l;
	snprintf(c->door.name, sizeof(c->door.name), "pail-%d-%u",
	    (int)getpid(), nth++);
	int rc = door_open(c, &c->door, e);

	if (rc < 0) {
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

const char *
control_name(const struct control *c)
{
	return c->door.name;
}

/* FNV-1a: a URL as part of a name; no secret, and no harm if two meet. */
static uint64_t
url_hash(const char *url)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *url != '\0'; url++)
		h = (h ^ (unsigned char)*url) * 0x100000001b3u;
	return h;
}

void
control_announce_end(struct control *c, const char *url)
{
	struct err e = ERR_INIT;

	if (c->end_door.open)
		return;
	snprintf(c->end_door.name, sizeof(c->end_door.name),
	    "pail-ending-%016" PRIx64 "-%d", url_hash(url), (int)getpid());
	if (door_open(c, &c->end_door, &e) < 0)
		log_debug("%s", err_text(&e));
}

void
control_close(struct control *c, int rc, const char *sentence)
{
	char line[ERR_TEXT_MAX + 32];

	if (c == NULL)
		return;
	int n = rc == 0 ?
	    snprintf(line, sizeof(line), "0\n") :
	    snprintf(line, sizeof(line), "%d %s\n", -rc, sentence);

	door_close(&c->end_door);
	door_close(&c->door);
	for (unsigned i = 0; i < c->n; i++) {
		/* If it has gone away nobody wants to know. */
		ssize_t sent = send(c->client[i], line, (size_t)n,
		    MSG_NOSIGNAL);

		(void)sent;
		close(c->client[i]);
	}
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

bool
control_find_in(char *table, const char *url, char *name, int *pid)
{
	char want[CONTROL_NAME_MAX];
	char *save = NULL;

	snprintf(want, sizeof(want), "@pail-ending-%016" PRIx64 "-",
	    url_hash(url));
	size_t n = strlen(want);

	for (char *line = strtok_r(table, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(line, want);
		char *end;

		if (at == NULL || strlen(at) >= CONTROL_NAME_MAX)
			continue;
		long v = strtol(at + n, &end, 10);

		if (*end != '\0' || v <= 0 || v > INT_MAX)
			continue;
		snprintf(name, CONTROL_NAME_MAX, "%s", at + 1);
		*pid = (int)v;
		return true;
	}
	return false;
}

bool
control_find_ending(const char *url, char *name, int *pid)
{
	struct strbuf b = STRBUF_INIT;
	char buf[4096];
	FILE *f = fopen("/proc/net/unix", "re");
	size_t n;
	bool found = false;

	if (f == NULL)
		return false;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		strbuf_add(&b, buf, n);
	fclose(f);
	if (!b.failed && b.s != NULL)
		found = control_find_in(b.s, url, name, pid);
	strbuf_fini(&b);
	return found;
}
