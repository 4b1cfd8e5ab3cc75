/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delayproxy: distance and trouble between a client and a TCP server.
 *
 *	delayproxy -l PORT -t PORT [-d MS] [-b MBIT] [-c FIFO]
 *
 * It listens on 127.0.0.1:PORT (0: any; the line "listening PORT" says
 * which), connects each client on to 127.0.0.1:TARGET, and delivers every
 * byte MS milliseconds after it came, in both directions, at no more than
 * MBIT megabits a second each way, all connections together.
 *
 * Commands, one a line, written to FIFO, change it while it runs:
 *
 *	pass         forward (the state at the start)
 *	refuse       reset all connections and stop listening
 *	reset        reset all connections, and each new one when it comes
 *	drop         reset all connections once; new ones are forwarded
 *	blackhole    swallow: connections stand, nothing moves, until `pass`
 *	cut BYTES    reset a connection after so many bytes from the server,
 *	             counted from now; `cut off` ends that
 *	delay MS, rate MBIT
 *	stats FILE   write counters to FILE as JSON (appears complete)
 *
 * How: a direction is a line.  What is read from a socket becomes a segment
 * and enters the line with the time at which it is due.  Delay and rate are
 * the line's, so segments fall due in the order in which they entered, and
 * one first-in-first-out queue per line is all the timer there is.  A due
 * segment moves to its connection's outbox, and is written from there.
 *
 * A connection's first bytes wait for two more crossings, as the handshake
 * would have: they, and what follows while they are under way, take a line
 * of three times the length.  The kernel does not see the distance, so there
 * is no slow start: what is in flight is bounded by WINDOW for each flow.
 *
 * One thread.  A failure at start ends the program with a message; out of
 * memory ends it as well; an error of one connection resets its other end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	SEGMENT = 65536,	/* most bytes in one segment */
	WINDOW = 8 << 20,	/* most bytes held for one direction */
	EVENTS = 64,
};

/* Lines: to the server, to the client, and to the server for a connection
 * that has just been made. */
enum { UP, DOWN, HELLO, LINES };

struct flow;

struct segment {
	struct segment *next;
	struct flow *flow;
	int64_t due_ns;
	uint32_t len, off;	/* len 0: the sender has closed */
	char bytes[SEGMENT];
};

struct queue {
	struct segment *head, **tail;
};

/* One direction of the distance. */
struct line {
	int64_t delay_ns;
	double ns_per_byte;	/* 0: no limit */
	int64_t free_ns;	/* when the last byte has been sent */
	int64_t last_due_ns;
	struct queue transit;
	uint64_t bytes;
};

/* One direction of a connection: from socket `end` to the other one. */
struct flow {
	struct conn *conn;
	int end;
	struct queue outbox;	/* due, not yet written */
	size_t held;		/* bytes in transit and in the outbox */
	unsigned greeting;	/* segments in the HELLO line */
	bool started, finished, closed;
};

struct conn {
	struct conn *prev, *next;
	int fd[2];		/* 0: the client, 1: the server */
	uint32_t armed[2];	/* what epoll waits for */
	struct flow flow[2];
	unsigned in_transit;	/* segments that still point here */
	int64_t down_bytes;	/* for `cut` */
	bool dead;
};

static struct {
	int epoll, listener, control;
	int port, target;
	struct line line[LINES];
	struct conn conns;	/* list head */
	struct segment *spare;
	enum { PASS, RESET, BLACKHOLE } mode;
	int64_t cut;		/* -1: off */
	uint64_t accepted, open, requests;
	char command[512];
	size_t command_len;
} proxy;

static void
die(const char *what)
{
	fprintf(stderr, "delayproxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ------------------------------------------------------------- segments */

static void
queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void
queue_push(struct queue *q, struct segment *s)
{
	s->next = NULL;
	*q->tail = s;
	q->tail = &s->next;
}

static struct segment *
queue_pop(struct queue *q)
{
	struct segment *s = q->head;

	q->head = s->next;
	if (q->head == NULL)
		q->tail = &q->head;
	return s;
}

static struct segment *
segment_new(void)
{
	struct segment *s = proxy.spare;

	if (s != NULL) {
		proxy.spare = s->next;
		return s;
	}
	s = malloc(sizeof(*s));
	if (s == NULL)
		die("memory for a segment");
	return s;
}

static void
segment_free(struct segment *s)
{
	s->next = proxy.spare;
	proxy.spare = s;
}

/* ---------------------------------------------------------- connections */

/* Wait for what each socket of `c` can do next, and nothing else. */
static void
conn_arm(struct conn *c)
{
	for (int i = 0; i < 2; i++) {
		struct epoll_event e = { .data.ptr = &c->flow[i] };

		if (!c->flow[i].finished && c->flow[i].held < WINDOW)
			e.events |= EPOLLIN;
		if (c->flow[!i].outbox.head != NULL)
			e.events |= EPOLLOUT;
		if (e.events == c->armed[i])
			continue;
		if (epoll_ctl(proxy.epoll, EPOLL_CTL_MOD, c->fd[i], &e) < 0)
			die("epoll_ctl");
		c->armed[i] = e.events;
	}
}

/* The dead: an event of the same batch may name them again, and segments in
 * transit point to them, so they are freed when both can no longer be. */
static struct conn *graveyard;

/* Close both ends: in order if both flows have ended, else with a reset. */
static void
conn_bury(struct conn *c)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	bool orderly = c->flow[0].closed && c->flow[1].closed;

	if (c->dead)
		return;
	c->dead = true;
	for (int i = 0; i < 2; i++) {
		if (!orderly)
			setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &rst,
			    sizeof(rst));
		close(c->fd[i]);
		while (c->flow[i].outbox.head != NULL)
			segment_free(queue_pop(&c->flow[i].outbox));
	}
	c->prev->next = c->next;
	c->next->prev = c->prev;
	c->next = graveyard;
	graveyard = c;
	proxy.open--;
}

static void
graveyard_clear(void)
{
	struct conn **p = &graveyard, *c;

	while ((c = *p) != NULL) {
		if (c->in_transit > 0) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		free(c);
	}
}

static void
bury_all(void)
{
	while (proxy.conns.next != &proxy.conns)
		conn_bury(proxy.conns.next);
}

static void
conn_add(int client, int server)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (c == NULL)
		die("memory for a connection");
	c->fd[0] = client;
	c->fd[1] = server;
	for (int i = 0; i < 2; i++) {
		struct epoll_event e = { .data.ptr = &c->flow[i] };

		c->flow[i].conn = c;
		c->flow[i].end = i;
		queue_init(&c->flow[i].outbox);
		setsockopt(c->fd[i], IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
		if (epoll_ctl(proxy.epoll, EPOLL_CTL_ADD, c->fd[i], &e) < 0)
			die("epoll_ctl");
	}
	c->next = &proxy.conns;
	c->prev = proxy.conns.prev;
	c->prev->next = c;
	proxy.conns.prev = c;
	proxy.open++;
	conn_arm(c);
}

static void
accept_client(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(proxy.target),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };
	int client = accept4(proxy.listener, NULL, NULL,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);
	int server;

	if (client < 0)
		return;
	proxy.accepted++;
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0)
		die("socket");
	/* On loopback this does not block for longer than a call takes. */
	if (proxy.mode == RESET ||
	    connect(server, (struct sockaddr *)&to, sizeof(to)) < 0) {
		setsockopt(client, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		close(client);
		close(server);
		return;
	}
	fcntl(server, F_SETFL, O_NONBLOCK);
	conn_add(client, server);
}

/* ------------------------------------------------------------- the data */

/* Does an HTTP request begin here?  Clients send the head of a request in a
 * segment of its own, so this counts requests well enough for a test. */
static bool
begins_request(const struct segment *s)
{
	static const char *const methods[] = { "GET /", "PUT /", "HEAD /",
		"POST /", "DELETE /" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		size_t len = strlen(methods[i]);

		if (s->len >= len && memcmp(s->bytes, methods[i], len) == 0)
			return true;
	}
	return false;
}

/* When has `s`, which came now, left the sender at the line's rate? */
static int64_t
line_sent(struct line *line, const struct segment *s, int64_t now)
{
	line->bytes += s->len;
	if (line->ns_per_byte <= 0)
		return now;
	if (line->free_ns < now)
		line->free_ns = now;
	line->free_ns += (int64_t)(s->len * line->ns_per_byte);
	return line->free_ns;
}

static void
segment_send(struct segment *s, int64_t now)
{
	struct flow *f = s->flow;
	int64_t sent = line_sent(&proxy.line[f->end], s, now);
	struct line *line = &proxy.line[f->end];

	if (f->end == UP && (!f->started || f->greeting > 0)) {
		line = &proxy.line[HELLO];
		f->greeting++;
	}
	f->started = true;
	s->due_ns = sent + line->delay_ns;
	if (s->due_ns < line->last_due_ns)	/* the delay was shortened */
		s->due_ns = line->last_due_ns;
	line->last_due_ns = s->due_ns;
	f->held += s->len;
	f->conn->in_transit++;
	queue_push(&line->transit, s);
}

static void
flow_read(struct flow *f, int64_t now)
{
	struct conn *c = f->conn;

	while (!f->finished && f->held < WINDOW) {
		struct segment *s = segment_new();
		ssize_t n = recv(c->fd[f->end], s->bytes, SEGMENT, 0);

		if (n < 0) {
			segment_free(s);
			if (errno != EAGAIN && errno != EINTR)
				conn_bury(c);
			return;
		}
		s->flow = f;
		s->len = n;
		s->off = 0;
		f->finished = n == 0;
		if (f->end == UP && begins_request(s))
			proxy.requests++;
		if (f->end == DOWN) {
			c->down_bytes += n;
			if (proxy.cut >= 0 && c->down_bytes > proxy.cut) {
				segment_free(s);
				conn_bury(c);
				return;
			}
		}
		segment_send(s, now);
		if (n < SEGMENT)
			return;
	}
}

static void
flow_write(struct flow *f)
{
	struct conn *c = f->conn;
	struct segment *s;

	while ((s = f->outbox.head) != NULL) {
		ssize_t n = 0;

		if (s->len == 0) {
			shutdown(c->fd[!f->end], SHUT_WR);
			f->closed = true;
		} else {
			n = send(c->fd[!f->end], s->bytes + s->off,
			    s->len - s->off, MSG_NOSIGNAL);
		}
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				conn_bury(c);
			return;
		}
		f->held -= n;
		s->off += n;
		if (s->off < s->len)
			return;
		segment_free(queue_pop(&f->outbox));
	}
	if (c->flow[0].closed && c->flow[1].closed)
		conn_bury(c);
}

/* Hand over what is due on `line`; returns when the next one is. */
static int64_t
line_deliver(struct line *line, int64_t now)
{
	while (line->transit.head != NULL) {
		struct segment *s = line->transit.head;
		struct flow *f = s->flow;
		bool idle;

		if (s->due_ns > now)
			return s->due_ns;
		queue_pop(&line->transit);
		f->conn->in_transit--;
		if (line == &proxy.line[HELLO])
			f->greeting--;
		if (f->conn->dead) {
			segment_free(s);
			continue;
		}
		idle = f->outbox.head == NULL;
		queue_push(&f->outbox, s);
		if (idle)
			flow_write(f);
		if (!f->conn->dead)
			conn_arm(f->conn);
	}
	return INT64_MAX;
}

/* ------------------------------------------------------------- control */

static void
listen_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(proxy.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	struct epoll_event e = { .events = EPOLLIN,
		.data.ptr = &proxy.listener };
	int one = 1;

	if (proxy.listener >= 0)
		return;
	proxy.listener = socket(AF_INET,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (proxy.listener < 0)
		die("socket");
	setsockopt(proxy.listener, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one));
	if (bind(proxy.listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(proxy.listener, SOMAXCONN) < 0)
		die("listen");
	getsockname(proxy.listener, (struct sockaddr *)&at, &len);
	proxy.port = ntohs(at.sin_port);
	if (epoll_ctl(proxy.epoll, EPOLL_CTL_ADD, proxy.listener, &e) < 0)
		die("epoll_ctl");
}

static void
listen_stop(void)
{
	if (proxy.listener >= 0)
		close(proxy.listener);
	proxy.listener = -1;
}

static void
write_stats(const char *path)
{
	char tmp[PATH_MAX];
	FILE *f;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return;
	f = fopen(tmp, "we");
	if (f == NULL) {
		perror(tmp);
		return;
	}
	fprintf(f, "{\"accepted\": %" PRIu64 ", \"open\": %" PRIu64
	    ", \"requests\": %" PRIu64 ", \"up_bytes\": %" PRIu64
	    ", \"down_bytes\": %" PRIu64 "}\n", proxy.accepted, proxy.open,
	    proxy.requests, proxy.line[UP].bytes, proxy.line[DOWN].bytes);
	if (fclose(f) != 0 || rename(tmp, path) != 0)
		perror(path);
}

static void
set_delay(double ms)
{
	proxy.line[UP].delay_ns = proxy.line[DOWN].delay_ns = ms * 1e6;
	proxy.line[HELLO].delay_ns = 3 * proxy.line[UP].delay_ns;
}

static void
set_rate(double mbit)
{
	double ns_per_byte = mbit > 0 ? 8000.0 / mbit : 0;

	proxy.line[UP].ns_per_byte = proxy.line[DOWN].ns_per_byte =
	    ns_per_byte;
}

static void
set_cut(const char *arg)
{
	proxy.cut = strcmp(arg, "off") == 0 ? -1 : atoll(arg);
	for (struct conn *c = proxy.conns.next; c != &proxy.conns; c = c->next)
		c->down_bytes = 0;
}

static void
obey(const char *line)
{
	char verb[16] = "", arg[400] = "";

	sscanf(line, "%15s %399s", verb, arg);
	if (strcmp(verb, "pass") == 0) {
		proxy.mode = PASS;
		listen_start();
	} else if (strcmp(verb, "refuse") == 0) {
		proxy.mode = PASS;
		listen_stop();
		bury_all();
	} else if (strcmp(verb, "reset") == 0) {
		proxy.mode = RESET;
		listen_start();
		bury_all();
	} else if (strcmp(verb, "drop") == 0) {
		bury_all();
	} else if (strcmp(verb, "blackhole") == 0) {
		proxy.mode = BLACKHOLE;
	} else if (strcmp(verb, "cut") == 0) {
		set_cut(arg);
	} else if (strcmp(verb, "delay") == 0) {
		set_delay(atof(arg));
	} else if (strcmp(verb, "rate") == 0) {
		set_rate(atof(arg));
	} else if (strcmp(verb, "stats") == 0) {
		write_stats(arg);
	} else if (verb[0] != '\0') {
		fprintf(stderr, "delayproxy: unknown command '%s'\n", line);
	}
}

static void
control_read(void)
{
	ssize_t n = read(proxy.control, proxy.command + proxy.command_len,
	    sizeof(proxy.command) - 1 - proxy.command_len);
	char *end;

	if (n <= 0)
		return;
	proxy.command_len += n;
	proxy.command[proxy.command_len] = '\0';
	while ((end = strchr(proxy.command, '\n')) != NULL) {
		*end++ = '\0';
		obey(proxy.command);
		proxy.command_len -= end - proxy.command;
		memmove(proxy.command, end, proxy.command_len + 1);
	}
	if (proxy.command_len == sizeof(proxy.command) - 1)
		proxy.command_len = 0;	/* no command is that long */
}

static void
control_open(const char *path)
{
	struct epoll_event e = { .events = EPOLLIN,
		.data.ptr = &proxy.control };

	/* For reading and writing: it never reports end of file. */
	proxy.control = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (proxy.control < 0)
		die(path);
	if (epoll_ctl(proxy.epoll, EPOLL_CTL_ADD, proxy.control, &e) < 0)
		die("epoll_ctl");
}

/* In a black hole only the control file is looked at. */
static void
wait_for_command(void)
{
	while (proxy.mode == BLACKHOLE) {
		struct timespec nap = { .tv_nsec = 10000000 };

		control_read();
		if (proxy.mode == BLACKHOLE)
			nanosleep(&nap, NULL);
	}
}

/* ---------------------------------------------------------------- main */

static void
handle(const struct epoll_event *e, int64_t now)
{
	struct flow *f = e->data.ptr;
	struct conn *c;

	if (e->data.ptr == &proxy.listener) {
		accept_client();
		return;
	}
	if (e->data.ptr == &proxy.control) {
		control_read();
		return;
	}
	c = f->conn;
	if (!c->dead && (e->events & EPOLLOUT))
		flow_write(&c->flow[!f->end]);
	if (!c->dead && (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		flow_read(f, now);
	if (!c->dead && (e->events & EPOLLERR))
		conn_bury(c);
	if (!c->dead)
		conn_arm(c);
}

static void
run(void)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int64_t now = now_ns();
		int64_t next = INT64_MAX;
		struct timespec wait, *limit = NULL;
		int n;

		for (int i = 0; i < LINES; i++) {
			int64_t due = line_deliver(&proxy.line[i], now);

			if (due < next)
				next = due;
		}
		graveyard_clear();
		if (next != INT64_MAX) {
			int64_t left = next - now_ns();

			if (left < 0)
				left = 0;
			wait.tv_sec = left / 1000000000;
			wait.tv_nsec = left % 1000000000;
			limit = &wait;
		}
		n = epoll_pwait2(proxy.epoll, events, EVENTS, limit, NULL);
		if (n < 0 && errno != EINTR)
			die("epoll_pwait2");
		now = now_ns();
		for (int i = 0; i < n; i++)
			handle(&events[i], now);
		wait_for_command();
	}
}

int
main(int argc, char **argv)
{
	const char *fifo = NULL;
	int opt;

	proxy.listener = proxy.control = -1;
	proxy.cut = -1;
	proxy.conns.prev = proxy.conns.next = &proxy.conns;
	for (int i = 0; i < LINES; i++)
		queue_init(&proxy.line[i].transit);
	while ((opt = getopt(argc, argv, "l:t:d:b:c:")) != -1) {
		switch (opt) {
		case 'l': proxy.port = atoi(optarg); break;
		case 't': proxy.target = atoi(optarg); break;
		case 'd': set_delay(atof(optarg)); break;
		case 'b': set_rate(atof(optarg)); break;
		case 'c': fifo = optarg; break;
		default: return 2;
		}
	}
	if (proxy.target == 0 || optind != argc) {
		fprintf(stderr, "usage: delayproxy -l PORT -t PORT"
		    " [-d MS] [-b MBIT] [-c FIFO]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	proxy.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (proxy.epoll < 0)
		die("epoll_create1");
	if (fifo != NULL)
		control_open(fifo);
	listen_start();
	printf("listening %d\n", proxy.port);
	fflush(stdout);
	run();
}
