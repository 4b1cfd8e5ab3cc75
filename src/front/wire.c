/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets with descriptors, over Unix sockets; see wire.h.
 *
 * A packet socket keeps the bounds of messages and tells its end, so there is
 * no framing and no buffer.  Sending never waits: a message is lost only with
 * its receiver, since few are under way at any time.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/must.h"
#include "front/wire.h"

union ancillary {
	struct cmsghdr h;
	char room[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
};

int
wire_pair(int sock[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0 ?
	    -errno :
	    0;
}

int
wire_send(int sock, enum wire_type type, const void *body, size_t len,
    const int *fds, unsigned nfds)
{
	char letter = (char)type;
	struct iovec v[2] = { { &letter, 1 }, { (void *)(uintptr_t)body, len } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = len > 0 ? 2 : 1 };
	union ancillary a;

	must(len <= WIRE_BODY_MAX && nfds <= WIRE_FDS_MAX);
	if (nfds > 0) {
		memset(&a, 0, sizeof(a));
		h.msg_control = &a;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		a.h.cmsg_level = SOL_SOCKET;
		a.h.cmsg_type = SCM_RIGHTS;
		a.h.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&a.h), fds, sizeof(int) * nfds);
	}
	if (sock < 0)
		return -EPIPE;
	if (sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

int
wire_say(int sock, enum wire_type type, const char *text)
{
	size_t n = strlen(text);

	return wire_send(sock, type, text, n < WIRE_BODY_MAX ? n :
	    WIRE_BODY_MAX, NULL, 0);
}

static void
take_fds(struct wire_msg *m, struct msghdr *h)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL;
	     c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < got; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (n < WIRE_FDS_MAX)
				m->fds[n++] = fd;
			else
				close(fd);
		}
	}
}

int
wire_recv(int sock, struct wire_msg *m, int flags)
{
	struct iovec v[2] = { { &m->type, 1 }, { m->body, WIRE_BODY_MAX } };
	union ancillary a;
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2,
		.msg_control = &a, .msg_controllen = sizeof(a) };
	ssize_t n;

	for (unsigned i = 0; i < WIRE_FDS_MAX; i++)
		m->fds[i] = -1;
	do {
		n = recvmsg(sock, &h, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
	take_fds(m, &h);
	if ((h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		wire_drop_fds(m);
		return -EPROTO;
	}
	m->len = (size_t)n - 1;
	m->body[m->len] = '\0';
	return 1;
}

void
wire_drop_fds(struct wire_msg *m)
{
	for (unsigned i = 0; i < WIRE_FDS_MAX; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
}

ssize_t
wire_put_strings(uint8_t *to, size_t room, const char *a, const char *b)
{
	size_t na = strlen(a) + 1, nb = strlen(b) + 1;

	if (na > room || nb > room - na)
		return -ENOBUFS;
	memcpy(to, a, na);
	memcpy(to + na, b, nb);
	return (ssize_t)(na + nb);
}

int
wire_get_strings(
    const uint8_t *body, size_t len, const char **a, const char **b)
{
	const uint8_t *mid = len > 0 ? memchr(body, '\0', len) : NULL;

	if (mid == NULL)
		return -EPROTO;
	size_t left = len - (size_t)(mid + 1 - body);
	const uint8_t *end = left > 0 ? memchr(mid + 1, '\0', left) : NULL;

	if (end == NULL || end + 1 != body + len)
		return -EPROTO;
	*a = (const char *)body;
	*b = (const char *)mid + 1;
	return 0;
}
