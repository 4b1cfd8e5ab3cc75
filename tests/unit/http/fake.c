/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.c: a server for tests; see fake.h.
 *
 * A thread accepts, a thread per connection reads requests (head, then as many
 * bytes as Content-Length says) and calls the handler.  Everything waits in
 * poll with the stop descriptor, so fake_stop ends all of it at once.
 */
#include "unit/http/fake.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

#define CONNS_MAX 512
#define HEAD_MAX 65536

struct fake_conn {
	struct fake *f;
	int fd;
	unsigned number;
	bool closing, broken;
	pthread_t thread;
};

struct fake {
	fake_handler *handler;
	void *arg;
	int fd, stop;
	char url[64];
	pthread_t thread;
	unsigned requests; /* atomic */
	unsigned nconns;   /* atomic; written by the accepting thread */
	unsigned nclosed;  /* atomic */
	struct fake_conn conns[CONNS_MAX];
};

/* Wait for what; false: it is time to stop. */
static bool
wait_for(struct fake *f, int fd, short what)
{
	struct pollfd p[2] = {{fd, what, 0}, {f->stop, POLLIN, 0}};

	while (poll(p, 2, -1) < 0)
		;
	return !p[1].revents;
}

/* More bytes behind the n in buf; the new n, or 0 at the end. */
static size_t
more(struct fake_conn *c, char *buf, size_t n, size_t cap)
{
	ssize_t k;

	if (n == cap || !wait_for(c->f, c->fd, POLLIN))
		return 0;
	k = recv(c->fd, buf + n, cap - n, 0);
	return k <= 0 ? 0 : n + (size_t)k;
}

bool
fake_header(const struct fake_request *q, const char *name, char *out,
    size_t cap)
{
	size_t n = strlen(name);

	for (const char *p = q->head; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncasecmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " ");
		snprintf(out, cap, "%.*s", (int)strcspn(p, "\r\n"), p);
		return true;
	}
	return false;
}

/* One request and its answer; false: the connection is over. */
static bool
serve_one(struct fake_conn *c, unsigned on_it)
{
	static const char end[] = "\r\n\r\n";
	struct fake_request q = {.connection = c->number, .on_it = on_it};
	char *head = malloc(HEAD_MAX + 1), *stop = NULL, *body = NULL;
	char text[32];
	size_t n = 0, have, want = 0;
	bool good = false;

	must(head);
	while (!stop) {
		n = more(c, head, n, HEAD_MAX);
		if (n == 0)
			goto out;
		head[n] = '\0';
		stop = strstr(head, end);
	}
	stop[2] = '\0';
	have = n - (size_t)(stop + 4 - head);
	q.head = head;
	must(sscanf(head, "%15s %2047s", q.method, q.target) == 2);
	if (fake_header(&q, "content-length", text, sizeof(text)))
		want = (size_t)atol(text);
	body = malloc(want + 1);
	must(body && have <= want);
	memcpy(body, stop + 4, have);
	q.number = __atomic_fetch_add(&c->f->requests, 1, __ATOMIC_SEQ_CST);
	while (have < want) {
		have = more(c, body, have, want);
		if (have == 0)
			goto out;
	}
	body[want] = '\0';
	q.body = body;
	q.body_len = want;
	c->f->handler(c->f->arg, c, &q);
	good = !c->closing;
out:
	free(head);
	free(body);
	return good;
}

static void *
serve(void *arg)
{
	struct fake_conn *c = arg;
	unsigned n = 0;

	while (serve_one(c, n))
		n++;
	close(c->fd);
	__atomic_fetch_add(&c->f->nclosed, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct fake *f = arg;

	while (wait_for(f, f->fd, POLLIN)) {
		struct fake_conn *c = &f->conns[f->nconns];
		int fd = accept(f->fd, NULL, NULL);

		if (fd < 0)
			continue;
		must(f->nconns < CONNS_MAX);
		c->f = f;
		c->fd = fd;
		c->number = f->nconns;
		/* First: whoever has an answer by it may ask how many. */
		__atomic_fetch_add(&f->nconns, 1, __ATOMIC_SEQ_CST);
		must(pthread_create(&c->thread, NULL, serve, c) == 0);
	}
	return NULL;
}

struct fake *
fake_start(fake_handler *h, void *arg)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof(a);

	must(f);
	f->handler = h;
	f->arg = arg;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->fd = socket(AF_INET, SOCK_STREAM, 0);
	f->stop = eventfd(0, 0);
	must(f->fd >= 0 && f->stop >= 0);
	must(bind(f->fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	must(listen(f->fd, 512) == 0);
	must(getsockname(f->fd, (struct sockaddr *)&a, &n) == 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u",
	    ntohs(a.sin_port));
	must(pthread_create(&f->thread, NULL, accept_all, f) == 0);
	return f;
}

void
fake_stop(struct fake *f)
{
	uint64_t one = 1;

	must(write(f->stop, &one, sizeof(one)) == sizeof(one));
	pthread_join(f->thread, NULL);
	for (unsigned i = 0; i < f->nconns; i++)
		pthread_join(f->conns[i].thread, NULL);
	close(f->fd);
	close(f->stop);
	free(f);
}

const char *
fake_url(const struct fake *f)
{
	return f->url;
}

unsigned
fake_requests(const struct fake *f)
{
	return __atomic_load_n(&f->requests, __ATOMIC_SEQ_CST);
}

unsigned
fake_connections(const struct fake *f)
{
	return __atomic_load_n(&f->nconns, __ATOMIC_SEQ_CST);
}

unsigned
fake_open(const struct fake *f)
{
	return fake_connections(f) -
	    __atomic_load_n(&f->nclosed, __ATOMIC_SEQ_CST);
}

void
fake_send(struct fake_conn *c, const void *p, size_t n)
{
	while (n > 0 && !c->broken) {
		ssize_t k;

		if (!wait_for(c->f, c->fd, POLLOUT))
			return;
		k = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k <= 0) {
			c->broken = true;
			return;
		}
		p = (const char *)p + k;
		n -= (size_t)k;
	}
}

void
fake_printf(struct fake_conn *c, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	must(n >= 0);
	fake_send(c, s, (size_t)n);
	free(s);
}

void
fake_answer(struct fake_conn *c, int status, const char *headers,
    const char *body)
{
	fake_printf(c, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s",
	    status, headers, strlen(body), body);
}

void
fake_close(struct fake_conn *c)
{
	c->closing = true;
}

void
fake_reset(struct fake_conn *c)
{
	struct linger l = {1, 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	c->closing = true;
}

void
fake_sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}
