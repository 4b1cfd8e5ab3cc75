/* SPDX-License-Identifier: Apache-2.0 */
/* The serving process's words to its holder, and what it hears; see hold.h. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "front/hold.h"
#include "front/wire.h"
#include "loop/loop.h"

#define DROP_MS 1000

struct hold {
	struct hold_events ev;
	struct loop_fd watch;
	int sock; /* -1: the holder is gone */
	struct wire_msg msg;
};

static void
lose(struct hold *h)
{
	loop_fd_del(&h->watch);
	close(h->sock);
	h->sock = -1;
}

static void
heard(struct loop_fd *w, uint32_t events)
{
	struct hold *h = container_of(w, struct hold, watch);
	int rc = wire_recv(h->sock, &h->msg, MSG_DONTWAIT);

	if (rc == 0)
		return;
	if (rc < 0) {
		lose(h);
		h->ev.alone(h->ev.arg);
		return;
	}
	wire_drop_fds(&h->msg);
	if (h->msg.type == WIRE_GO) {
		/* From here on the mount does without a holder, if it must. */
		prctl(PR_SET_PDEATHSIG, 0);
		h->ev.go(h->ev.arg);
	}
	if (h->msg.type == WIRE_DRAIN)
		h->ev.hand_over(h->ev.arg);
}

int
hold_open(struct loop *l, int sock, const struct hold_events *ev,
    struct hold **out, struct err *e)
{
	struct hold *h = calloc(1, sizeof(*h));
	int rc = -ENOMEM;

	if (h != NULL) {
		h->ev = *ev;
		h->sock = sock;
		h->watch.ready = heard;
		rc = loop_fd_add(l, &h->watch, sock, EPOLLIN);
	}
	if (rc < 0) {
		free(h);
		close(sock);
		return err_errno(e, rc, "the connection to the holder");
	}
	*out = h;
	return 0;
}

void
hold_close(struct hold *h)
{
	if (h == NULL)
		return;
	if (h->sock >= 0)
		lose(h);
	free(h);
}

/* If it cannot be said, the holder's end is closed, or about to be; which is
 * heard. */
static void
say(struct hold *h, enum wire_type type, const char *text)
{
	int rc = h != NULL ? wire_say(h->sock, type, text) : 0;

	if (rc < 0)
		log_debug("message %c to the holder: %s", (char)type,
		    strerror(-rc));
}

void
hold_mounted(struct hold *h, int device)
{
	int rc = h != NULL ?
	    wire_send(h->sock, WIRE_MOUNTED, NULL, 0, &device, 1) :
	    0;

	if (rc < 0)
		log_debug("the device to the holder: %s", strerror(-rc));
}

void
hold_ready(struct hold *h)
{
	say(h, WIRE_READY, "");
}

void
hold_refuse(struct hold *h, const char *why)
{
	say(h, WIRE_REFUSED, why);
}

void
hold_drained(struct hold *h)
{
	say(h, WIRE_DRAINED, "");
}

void
hold_ended(struct hold *h)
{
	say(h, WIRE_ENDED, "");
}

/* On its way there may be a GO or a DRAIN, which mean nothing any more. */
void
hold_drop(struct hold *h)
{
	struct pollfd p = { .events = POLLIN };

	if (h == NULL || h->sock < 0)
		return;
	say(h, WIRE_DROP, "");
	p.fd = h->sock;
	while (poll(&p, 1, DROP_MS) == 1) {
		int rc = wire_recv(h->sock, &h->msg, MSG_DONTWAIT);

		if (rc > 0)
			wire_drop_fds(&h->msg);
		if (rc < 0 || (rc > 0 && h->msg.type == WIRE_DROPPED))
			return;
	}
	log_warn("the holder does not answer: who still has the disk open "
		 "may hang until it does");
}

void
hold_say_failed(int sock, const char *why)
{
	int rc = wire_say(sock, WIRE_FAILED, why);

	if (rc < 0)
		log_debug("failure to the holder: %s", strerror(-rc));
}
