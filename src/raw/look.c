/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.c: the superblocks of a device; see look.h.
 *
 * All four are read at once.  One that cannot be read is an error: a device
 * like that is none to give data to.  The memory is the look's own, and goes
 * with the last answer, whenever that comes.
 */
#include "raw/look.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "raw/format.h"
#include "raw/rdev.h"

#define LOOK_NS (10 * NS_PER_S)

struct look {
	struct rdev *dev;
	void (*done)(void *arg, int rc, const struct raw_super *s,
	    const struct err *e);
	void *arg;
	bool late; /* done was called */
	struct rdev_req req[RAW_NCOPIES];
	struct iovec iov[RAW_NCOPIES];
	uint8_t *bytes;
	unsigned pending;
	struct loop_timer timer;
};

static void
look_free(struct look *l)
{
	loop_timer_cancel(&l->timer);
	free(l->bytes);
	free(l);
}

static void
look_end(struct look *l)
{
	struct err e = ERR_INIT;
	struct raw_super best, s;
	bool any = false;
	int rc = 0;

	for (unsigned i = 0; i < RAW_NCOPIES; i++) {
		if (l->req[i].rc < 0)
			rc = l->req[i].rc;
		else if (raw_super_decode(
			     &s, l->bytes + i * RAW_SECTOR, NULL) == 0 &&
		    (!any || s.epoch > best.epoch)) {
			best = s;
			any = true;
		}
	}
	if (rc < 0)
		err_errno(&e, rc, "%s: read the superblocks", l->dev->path);
	l->done(l->arg, rc, any && rc == 0 ? &best : NULL, &e);
	look_free(l);
}

static void
looked(struct rdev_req *r)
{
	struct look *l = r->arg;

	if (--l->pending > 0)
		return;
	if (l->late)
		look_free(l);
	else
		look_end(l);
}

static void
look_late(struct loop_timer *t)
{
	struct look *l = container_of(t, struct look, timer);
	struct err e = ERR_INIT;

	l->late = true;
	err_set(&e, -ETIMEDOUT, "%s does not answer", l->dev->path);
	l->done(l->arg, -ETIMEDOUT, NULL, &e);
}

int
look_at(struct rdev *d, uint64_t end,
    void (*done)(void *arg, int rc, const struct raw_super *s,
	const struct err *e),
    void *arg)
{
	struct look *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->bytes = aligned_alloc(RAW_SECTOR, RAW_NCOPIES * RAW_SECTOR);
	l->timer.fire = look_late;
	if (!l->bytes ||
	    loop_timer_set(d->loop, &l->timer, loop_now(d->loop) + LOOK_NS) <
		0) {
		look_free(l);
		return -ENOMEM;
	}
	l->dev = d;
	l->done = done;
	l->arg = arg;
	l->pending = RAW_NCOPIES;
	for (unsigned i = 0; i < RAW_NCOPIES; i++) {
		l->iov[i] =
		    (struct iovec){l->bytes + i * RAW_SECTOR, RAW_SECTOR};
		l->req[i] = (struct rdev_req){.op = RDEV_READ,
		    .off = raw_copy_offset(i, end),
		    .iov = &l->iov[i],
		    .niov = 1,
		    .done = looked,
		    .arg = l};
		rdev_submit(d, &l->req[i]);
	}
	return 0;
}
