/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving requests from the kernel; on the loop, as all of the front.
 *
 * The device descriptor is non-blocking and watched by the volume's loop.
 * When it is readable we read a bounded number of requests and hand each to
 * libfuse, which decodes it and calls fuse_ops.c or fuse_io.c.
 *
 * We read(2) the device ourselves, since a receive buffer belongs to whoever
 * needs it longest: the data of a WRITE stays where the kernel put it until
 * the volume has taken it (fuse_rx_keep), while the next request goes into
 * another buffer.  Nothing is copied on our side.
 *
 * How many requests to read before answers get their turn is learnt: as many
 * as were there the last time.  With one client thread that saves the read(2)
 * that would only say EAGAIN; with many it keeps turns of the loop few.
 */
#include "config.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "front/fuse_int.h"

#define BATCH_MAX 64
#define RX_WARM 16  /* buffers of which all pages are there; always kept */
#define RX_COLD 128 /* kept beside them: that small requests have used */
#define RX_SMALL (32u << 10)

/* --- receive buffers --------------------------------------------------- */

static struct rx *
rx_get(struct fuse_front *f)
{
	struct rx *rx = f->rx_free;

	if (rx != NULL) {
		f->rx_free = rx->next;
		f->rx_nfree--;
		return rx;
	}
	rx = malloc(sizeof(*rx));
	if (rx == NULL)
		return NULL;
	rx->base = aligned_alloc(4096, 4096 + RX_SIZE);
	if (rx->base == NULL) {
		free(rx);
		return NULL;
	}
	rx->msg = rx->base + 4096 - RX_HEADERS;
	rx->touched = 0;
	rx->warm = false;
	/* The kernel fills no page for a process that is being killed: whose
	 * request it was would get EIO (docs/restart.md). */
	if (f->rx_made++ < RX_WARM) {
		memset(rx->base, 0, 4096 + RX_SIZE);
		rx->warm = true;
	}
	return rx;
}

static void
rx_free(struct rx *rx)
{
	if (rx == NULL)
		return;
	free(rx->base);
	free(rx);
}

/* A batch of small requests takes as many buffers; to get and give back a
 * mapping for each would take longer than the request. */
void
fuse_rx_put(struct fuse_front *f, struct rx *rx)
{
	if (!rx->warm && (rx->touched > RX_SMALL || f->rx_nfree >= RX_COLD)) {
		rx_free(rx);
		return;
	}
	rx->next = f->rx_free;
	f->rx_free = rx;
	f->rx_nfree++;
}

struct rx *
fuse_rx_keep(struct fuse_front *f)
{
	struct rx *rx = f->rx;

	must(rx != NULL);
	f->rx = NULL;
	return rx;
}

/* --- receiving ------------------------------------------------------------ */

static void
session_over(struct fuse_front *f, int rc)
{
	if (f->over)
		return;
	f->over = true;
	loop_fd_del(&f->watch);
	fuse_session_exit(f->se);
	f->p.ended(f->p.arg, rc);
}

static void
keep_init(struct fuse_front *f, size_t n)
{
	struct fuse_in_header h;

	if (n < sizeof(h) || n > sizeof(f->init))
		return;
	memcpy(&h, f->rx->msg, sizeof(h));
	if (h.opcode != FUSE_INIT)
		return;
	memcpy(f->init, f->rx->msg, n);
	f->init_len = (uint32_t)n;
}

/* One request: 1 there was one, 0 there is none now, or a negative errno. */
static int
receive(struct fuse_front *f)
{
	if (f->rx == NULL && (f->rx = rx_get(f)) == NULL)
		return -ENOMEM;

	ssize_t n = read(f->watch.fd, f->rx->msg, RX_SIZE);

	if (n < 0) {
		/* ENOENT: the request was interrupted before we got it. */
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		return errno == ENOENT ? 1 : -errno;
	}
	struct fuse_buf buf = { .mem = f->rx->msg, .size = (size_t)n };

	if (f->rx->touched < (size_t)n)
		f->rx->touched = (size_t)n;
	if (!f->ready)
		keep_init(f, (size_t)n);
	fuse_session_process_buf(f->se, &buf);
	if (f->init_len > 0 && !f->ready) {
		/* Now the kernel has the answer. */
		f->ready = true;
		fuse_keep(f);
		if (f->p.ready != NULL)
			f->p.ready(f->p.arg);
	}
	return 1;
}

void
fuse_rx_ready(struct loop_fd *w, uint32_t events)
{
	struct fuse_front *f = container_of(w, struct fuse_front, watch);
	unsigned n = 0;
	int rc = 1;

	while (n < f->batch && !f->over && (rc = receive(f)) == 1)
		n++;
	if (rc == 0)
		f->batch = n > 0 ? n : 1;
	else if (rc == 1 && f->batch < BATCH_MAX)
		f->batch++;

	if (rc == -ENODEV || (rc >= 0 && !f->over &&
	    fuse_session_exited(f->se)))
		session_over(f, 0);
	else if (rc == -ENOMEM) {
		/* The request waits in the kernel; so we are called again. */
		if (loop_now(f->loop) - f->log_ns >= NS_PER_S)
			log_warn("no memory to receive a request");
		f->log_ns = loop_now(f->loop);
	} else if (rc < 0) {
		log_error("reading /dev/fuse: %s", strerror(-rc));
		session_over(f, rc);
	} else if ((events & EPOLLERR) != 0 && n == 0) {
		/* The connection is gone and there is nothing to read. */
		session_over(f, 0);
	}
}

void
fuse_rx_fini(struct fuse_front *f)
{
	rx_free(f->rx);
	while (f->rx_free != NULL) {
		struct rx *rx = f->rx_free;

		f->rx_free = rx->next;
		rx_free(rx);
	}
}
