/* SPDX-License-Identifier: Apache-2.0 */
/* How a holder begins: with a new mount, or with one from another holder. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "front/holder_int.h"

static int
open_door(struct holder *h, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char *name = h->start.name;

	snprintf(name, sizeof(h->start.name), "pail-holder-%d",
	    (int)getpid());
	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", name);
	h->door = socket(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->door < 0 ||
	    bind(h->door, (struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
		    strlen(name))) < 0 ||
	    listen(h->door, 4) < 0)
		return err_errno(e, -errno, "the holder's socket @%s", name);
	return 0;
}

static int
take_signals(struct holder *h, struct err *e)
{
	static const int signos[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signos) / sizeof(signos[0]); i++)
		sigaddset(&set, signos[i]);
	if (sigprocmask(SIG_BLOCK, &set, &h->old_mask) < 0)
		return err_errno(e, -errno, "the holder's signals");
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ?
	    err_errno(e, -errno, "the holder's signals") :
	    0;
}

/* From the old holder, who waits for that: the device, and the kept page. */
static int
take_over(struct holder *h, struct err *e)
{
	struct takeover *t = h->p.takeover;
	int rc = wire_say(t->sock, WIRE_HELLO, PACKAGE_VERSION);

	if (rc == 0)
		rc = wire_recv(t->sock, &h->msg, 0);
	if (rc == 1 && (h->msg.type != WIRE_GIVE || h->msg.fds[1] < 0)) {
		wire_drop_fds(&h->msg);
		rc = -EPROTO;
	}
	if (rc < 0)
		return err_errno(e, rc, "the old process gives nothing away");
	h->device = h->msg.fds[0];
	h->next.up = t->sock;
	t->sock = -1;
	rc = kept_adopt(&h->kept, h->msg.fds[1], e);
	if (rc == 0)
		kept_get_lease(&h->kept, &h->start.owner);
	return rc;
}

void
holder_free(struct holder *h)
{
	if (h == NULL)
		return;
	kept_fini(&h->kept);
	holder_shut(&h->device);
	holder_shut(&h->door);
	holder_shut(&h->signals);
	holder_shut(&h->client);
	holder_shut(&h->sock);
	successor_shut(&h->next);
	free(h);
}

int
holder_new(const struct holder_params *p, struct holder **out, struct err *e)
{
	struct holder *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return err_errno(e, -ENOMEM, "the holder");
	h->p = *p;
	h->device = h->sock = h->client = h->signals = h->door = -1;
	h->kept.fd = -1;
	successor_init(&h->next);
	h->start.kept = &h->kept;
	h->start.holder_pid = getpid();
	int rc = lease_owner_self(&h->start.owner, e);

	if (rc == 0)
		rc = take_signals(h, e);
	if (rc == 0)
		rc = open_door(h, e);
	if (rc == 0 && p->takeover != NULL)
		rc = take_over(h, e);
	else if (rc == 0) {
		rc = kept_new(&h->kept, p->ledger, e);
		if (rc == 0)
			kept_put_lease(&h->kept, &h->start.owner);
	}
	if (rc < 0) {
		if (h->next.up >= 0)
			wire_say(h->next.up, WIRE_FAILED, err_text(e));
		holder_free(h);
		return rc;
	}
	prctl(PR_SET_NAME, "pail-holder");
	*out = h;
	return 0;
}
