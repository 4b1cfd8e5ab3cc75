/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upgrade, seen by the two holders.
 *
 *	pail upgrade   old holder        new holder        new child
 *	   U  -------->  CALLING
 *	                 starts it, S -->
 *	                 DRAINING <----- H
 *	       the old child writes all, ends
 *	                 TRYING  G ----->  starts it ------> opens the volume
 *	                         <---- R   OFFERED  <----- R
 *	   <-- 0         gone    C ----->  SERVING  -----> C  reads the device
 *
 * Until it has sent C the old one can go on by itself: it kills the new one,
 * waits for its death, and starts a child of its own.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/holder_int.h"

void
holder_answer(struct holder *h, enum wire_type type, const char *text)
{
	wire_say(h->client, type, text);
	holder_shut(&h->client);
}

/* The new program is dead, or not to be trusted: our own goes on. */
static void
recall(struct holder *h, const char *why)
{
	char text[640];

	snprintf(text, sizeof(text),
	    "%s; the old program goes on", why);
	log_error("%s: upgrade: %s", h->p.what, text);
	holder_answer(h, WIRE_SORRY, text);
	successor_kill(&h->next);
	if (h->state == TRYING)
		h->state = RECALLING; /* until it is dead */
	else if (h->state == CALLING)
		h->state = SERVING;
	/* DRAINING: the child is on its way out; see try_next. */
	h->due_ns = 0;
}

/* The child is gone, and all is written. */
void
holder_drained(struct holder *h)
{
	int fds[2] = { h->device, h->kept.fd };

	h->failures = 0;
	if (h->next.pid == 0 || h->next.killed) {
		h->state = RECALLING;
		return;
	}
	h->state = TRYING;
	h->due_ns = clock_mono_ns() + TRY_NS;
	if (wire_send(h->next.sock, WIRE_GIVE, NULL, 0, fds, 2) < 0)
		recall(h, "the new program is gone");
}

static void
hand_over(struct holder *h)
{
	kept_add_count(&h->kept, KEPT_UPGRADES);
	if (wire_say(h->next.sock, WIRE_GO, "") < 0) {
		recall(h, "the new program is gone");
		return;
	}
	if (h->signo != 0)
		kill(h->next.pid, h->signo); /* meant for who serves */
	holder_answer(h, WIRE_DONE, (char *)h->msg.body);
	holder_shut(&h->device);
	holder_shut(&h->door);
	h->due_ns = 0;
	if (h->p.foreground)
		h->state = FOLLOWING;
	else
		holder_over(h, 0);
}

void
holder_listen_next(struct holder *h)
{
	int rc = wire_recv(h->next.sock, &h->msg, MSG_DONTWAIT);
	char text[512];

	if (rc == 0)
		return;
	if (rc < 0) { /* its death will be told */
		holder_shut(&h->next.sock);
		return;
	}
	if (h->msg.type == WIRE_HELLO && h->state == CALLING) {
		h->due_ns = 0;
		h->state = DRAINING;
		wire_say(h->sock, WIRE_DRAIN, "");
	} else if (h->msg.type == WIRE_READY && h->state == TRYING) {
		hand_over(h);
	} else if (h->msg.type == WIRE_FAILED &&
	    (h->state == CALLING || h->state == TRYING)) {
		snprintf(text, sizeof(text), "the new program: %s",
		    (char *)h->msg.body);
		recall(h, text);
	}
	wire_drop_fds(&h->msg);
}

void
holder_next_gone(struct holder *h, int wstatus)
{
	char how[80], text[128];

	while (h->next.sock >= 0 && h->state != FOLLOWING) {
		struct pollfd p = { .fd = h->next.sock, .events = POLLIN };

		if (poll(&p, 1, 0) <= 0)
			break;
		holder_listen_next(h);
	}
	successor_gone(&h->next);
	if (h->state == FOLLOWING) {
		holder_over(h, holder_exit_status(wstatus));
		return;
	}
	if (h->next.killed ||
	    (h->state != CALLING && h->state != DRAINING &&
		h->state != TRYING))
		return;
	holder_describe(how, sizeof(how), wstatus);
	snprintf(text, sizeof(text), "the new program %s%s", how,
	    h->state == CALLING ? " before it could say hello" : "");
	recall(h, text);
}

/* pail upgrade: the program's file and somebody's standard error. */
void
holder_asked(struct holder *h)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	int rc;

	if (getsockopt(h->client, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    (who.uid != 0 && who.uid != geteuid())) {
		holder_answer(h, WIRE_SORRY, "only root and who mounted it may do "
		    "that");
		return;
	}
	rc = wire_recv(h->client, &h->msg, MSG_DONTWAIT);
	if (rc == 0)
		return;
	if (rc < 0 || h->msg.type != WIRE_DRAIN || h->msg.fds[1] < 0) {
		holder_answer(h, WIRE_SORRY, "that is not understood");
	} else if (h->state != SERVING || h->next.pid != 0) {
		holder_answer(h, WIRE_SORRY, "the mount is just being restarted or "
		    "upgraded");
	} else {
		rc = successor_start(&h->next, h->msg.fds[0], h->msg.fds[1],
		    h->p.argv, &h->old_mask, h->p.dir, h->p.secret);
		if (rc < 0) {
			holder_answer(h, WIRE_SORRY, strerror(-rc));
		} else {
			h->state = CALLING;
			h->due_ns = clock_mono_ns() + HELLO_NS;
		}
	}
	wire_drop_fds(&h->msg);
}

void
holder_knocked(struct holder *h)
{
	int fd = accept4(h->door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (h->client >= 0) {
		wire_say(fd, WIRE_SORRY, "another upgrade is under way");
		close(fd);
		return;
	}
	h->client = fd;
}

/* Our old holder: it lets us serve.  If it is dead nobody else does. */
void
holder_listen_up(struct holder *h)
{
	int rc = wire_recv(h->next.up, &h->msg, MSG_DONTWAIT);

	if (rc == 0)
		return;
	if (rc > 0)
		wire_drop_fds(&h->msg);
	holder_shut(&h->next.up);
	if (h->state == OFFERED)
		holder_let_serve(h);
}

void
holder_too_late(struct holder *h)
{
	h->due_ns = 0;
	recall(h, h->state == CALLING ?
		"the new program does not say hello" :
		"the new program cannot open the volume in time");
}
