/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storedoor.c: the socket of a raw-device store; see storedoor.h.
 *
 * A client sends one line and gets lines until its question is answered; then
 * it is closed.  One that goes away takes its question back.  What it does not
 * read is kept for it up to a limit, beyond which news of progress are left out
 * and a client that reads nothing at all is dropped; so nobody can hold up the
 * loop or fill the memory.
 */
#include "config.h"

#include "front/storedoor.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "front/storecmd.h"
#include "loop/loop.h"
#include "raw/pool.h"

#define CLIENTS_MAX 8
#define QUESTION_MAX 8192
#define NEWS_MAX (64u << 10) /* unread: no more progress */
#define UNREAD_MAX (1u << 20)

struct storedoor {
	struct loop *loop;
	struct storedoor_params p;
	struct loop_fd watch;
	char name[STOREDOOR_NAME_MAX];
	struct list clients;
	unsigned n;
	bool empty; /* for closing */
};

struct client {
	struct list link;
	struct storedoor *door;
	struct loop_fd watch;
	char in[QUESTION_MAX];
	size_t nin;
	struct strbuf out;
	size_t sent;
	struct store_cmd cmd;
	bool asked, running;
	bool gone; /* the socket is closed */
};

/* --- one client --------------------------------------------------------------- */

static void
client_free(struct client *c)
{
	struct storedoor *d = c->door;

	list_del(&c->link);
	d->n--;
	d->empty = d->n == 0;
	strbuf_fini(&c->out);
	free(c);
}

/* Its question may still be under way: then that one's end frees it. */
static void
client_drop(struct client *c)
{
	if (!c->gone) {
		int fd = c->watch.fd;

		loop_fd_del(&c->watch);
		close(fd);
		c->gone = true;
	}
	if (c->running)
		store_cmd_cancel(&c->cmd);
	else
		client_free(c);
}

/* Send what there is.  False: the client was dropped. */
static bool
client_send(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->watch.fd, c->out.s + c->sent,
		    c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			loop_fd_set(&c->watch, EPOLLIN | EPOLLOUT);
			return true;
		}
		if (n < 0) {
			client_drop(c);
			return false;
		}
		c->sent += (size_t)n;
	}
	strbuf_clear(&c->out);
	c->sent = 0;
	loop_fd_set(&c->watch, EPOLLIN);
	if (c->asked && !c->running) {
		client_drop(c);
		return false;
	}
	return true;
}

static void
say(struct store_cmd *cmd, const json_t *line)
{
	struct client *c = cmd->arg;
	size_t unread = c->out.len - c->sent;
	char *text;

	if (c->gone ||
	    (unread > NEWS_MAX && json_object_get(line, "progress") != NULL))
		return;
	text = json_dumps(line, JSON_COMPACT);
	if (text != NULL && unread <= UNREAD_MAX) {
		strbuf_puts(&c->out, text);
		strbuf_putc(&c->out, '\n');
	}
	if (text == NULL || c->out.failed || unread > UNREAD_MAX)
		client_drop(c);
	else
		client_send(c);
	free(text);
}

static void
done(struct store_cmd *cmd)
{
	struct client *c = cmd->arg;

	c->running = false;
	if (c->gone)
		client_free(c);
	else
		client_send(c);
}

static void
client_ask(struct client *c)
{
	json_error_t why;
	json_t *question = json_loadb(c->in, c->nin, 0, &why);

	c->asked = c->running = true;
	store_cmd_start(&c->cmd, question);
	json_decref(question);
}

static void
client_read(struct client *c)
{
	while (!c->asked) {
		size_t room = sizeof(c->in) - c->nin;
		ssize_t n = room > 0
		    ? recv(c->watch.fd, c->in + c->nin, room, MSG_DONTWAIT)
		    : 0;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			client_drop(c);
			return;
		}
		c->nin += (size_t)n;
		if (c->in[c->nin - 1] == '\n')
			client_ask(c);
	}
}

/* After its question a client has nothing to say: it has gone away. */
static void
client_ready(struct loop_fd *w, uint32_t events)
{
	struct client *c = container_of(w, struct client, watch);
	char more;

	if ((events & EPOLLOUT) && !client_send(c))
		return;
	if (!c->asked)
		client_read(c);
	else if ((events & (EPOLLHUP | EPOLLERR)) ||
	    ((events & EPOLLIN) &&
		recv(w->fd, &more, 1, MSG_DONTWAIT) <= 0))
		client_drop(c);
}

/* --- the door ------------------------------------------------------------------ */

static bool
may_ask(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	    (who.uid == 0 || who.uid == geteuid());
}

static void
let_in(struct storedoor *d, int fd)
{
	struct client *c =
	    d->n < CLIENTS_MAX && may_ask(fd) ? calloc(1, sizeof(*c)) : NULL;

	if (c != NULL) {
		c->watch.ready = client_ready;
		if (loop_fd_add(d->loop, &c->watch, fd, EPOLLIN) < 0) {
			free(c);
			c = NULL;
		}
	}
	if (c == NULL) {
		close(fd);
		return;
	}
	c->door = d;
	c->cmd = (struct store_cmd){.loop = d->loop,
	    .pool = d->p.pool,
	    .fileio = d->p.fileio,
	    .url = d->p.url,
	    .dir = d->p.dir,
	    .say = say,
	    .done = done,
	    .arg = c};
	list_push_back(&d->clients, &c->link);
	d->n++;
	d->empty = false;
}

static void
incoming(struct loop_fd *w, uint32_t events)
{
	struct storedoor *d = container_of(w, struct storedoor, watch);
	int fd;

	while ((fd = accept4(w->fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		let_in(d, fd);
}

static void
add_uuid(char *name, size_t size, const uint8_t uuid[16])
{
	size_t n = strlen(name);

	for (unsigned i = 0; i < 16 && n + 3 < size; i++, n += 2)
		snprintf(name + n, size - n, "%02x", uuid[i]);
}

static socklen_t
address(struct sockaddr_un *a, const char *name)
{
	size_t n = strlen(name);

	if (n > sizeof(a->sun_path) - 1)
		n = sizeof(a->sun_path) - 1;
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	/* A leading NUL: the abstract name space. */
	memcpy(a->sun_path + 1, name, n);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

int
storedoor_open(struct loop *l, const struct storedoor_params *p,
    struct storedoor **out, struct err *e)
{
	struct storedoor *d = calloc(1, sizeof(*d));
	struct pool_status *s = calloc(1, sizeof(*s));
	struct sockaddr_un a;
	socklen_t len;
	int fd = -1, rc = -ENOMEM;

	if (d == NULL || s == NULL)
		goto fail;
	pool_get_status(p->pool, s);
	snprintf(d->name, sizeof(d->name), "pail-store-");
	add_uuid(d->name, sizeof(d->name), s->uuid);
	len = (socklen_t)strlen(d->name);
	snprintf(d->name + len, sizeof(d->name) - len, "-%d", (int)getpid());
	len = address(&a, d->name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0)
		rc = -errno;
	d->watch.ready = incoming;
	if (rc == 0)
		rc = loop_fd_add(l, &d->watch, fd, EPOLLIN);
	if (rc < 0)
		goto fail;
	free(s);
	d->loop = l;
	d->p = *p;
	d->empty = true;
	list_init(&d->clients);
	*out = d;
	return 0;
fail:
	err_errno(e, rc, "the store's socket");
	if (fd >= 0)
		close(fd);
	free(d);
	free(s);
	return rc;
}

void
storedoor_close(struct storedoor *d)
{
	int fd;

	if (d == NULL)
		return;
	fd = d->watch.fd;
	loop_fd_del(&d->watch);
	close(fd);
	list_for_each_safe(l, &d->clients)
		client_drop(list_entry(l, struct client, link));
	loop_run_until(d->loop, &d->empty);
	free(d);
}

/* --- the other side ---------------------------------------------------------------- */

int
storedoor_find_in(char *table, const uint8_t uuid[16], pid_t pid, char *name)
{
	char want[STOREDOOR_NAME_MAX] = "@pail-store-";
	char *save = NULL;

	if (uuid != NULL)
		add_uuid(want, sizeof(want), uuid);
	for (char *line = strtok_r(table, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(line, want);
		const char *minus = at != NULL ? strrchr(at, '-') : NULL;
		char *end;
		long v;

		if (at == NULL || strlen(at) >= STOREDOOR_NAME_MAX)
			continue;
		v = strtol(minus + 1, &end, 10);
		if (*end != '\0' || v <= 0 || v > INT_MAX ||
		    (uuid == NULL && v != pid))
			continue;
		snprintf(name, STOREDOOR_NAME_MAX, "%s", at + 1);
		return 0;
	}
	return -ENOENT;
}

static int
find(const uint8_t uuid[16], pid_t pid, char *name)
{
	struct strbuf b = STRBUF_INIT;
	FILE *f = fopen("/proc/net/unix", "re");
	char buf[4096];
	size_t n;
	int rc = -ENOENT;

	while (f != NULL && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		strbuf_add(&b, buf, n);
	if (f != NULL)
		fclose(f);
	if (!b.failed && b.s != NULL)
		rc = storedoor_find_in(b.s, uuid, pid, name);
	strbuf_fini(&b);
	return rc;
}

int
storedoor_connect(const uint8_t uuid[16], pid_t pid, int *fd, struct err *e)
{
	char name[STOREDOOR_NAME_MAX];
	struct sockaddr_un a;
	socklen_t len;
	int rc = find(uuid, pid, name);

	if (rc < 0)
		return err_set(e, rc, "no process has the store open");
	len = address(&a, name);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = *fd < 0 || connect(*fd, (struct sockaddr *)&a, len) < 0 ? -errno
								     : 0;
	if (rc < 0 && *fd >= 0)
		close(*fd);
	/* It has just ended. */
	if (rc == -ECONNREFUSED)
		rc = -ENOENT;
	return rc < 0 ? err_errno(e, rc, "connect to @%s", name) : 0;
}
