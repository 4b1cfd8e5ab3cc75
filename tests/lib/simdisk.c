/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simdisk.c: a simulated disk; see simdisk.h.
 *
 * Two images: what a read sees (the disk's cache included), and what is on the
 * platters.  Writes since the last flush are kept in a list, in the order of
 * their completion; a flush applies to the platters what had completed when it
 * was submitted.
 */
#include "lib/simdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/must.h"
#include "raw/rdev.h"

struct pending { /* a write that is not flushed */
	struct list link;
	uint64_t off, len;
	bool done; /* completed: a flush from now on covers it */
	unsigned refs; /* of the list, and of flushes under way */
	uint8_t data[];
};

struct simdisk {
	struct simworld *w;
	uint64_t bytes;
	uint8_t *seen, *kept;
	struct list pending;
	struct simdisk_faults faults;
};

struct simdev {
	struct rdev dev;
	struct simdisk *disk;
};

struct simreq {
	struct loop_timer timer;
	struct simdisk *disk;
	struct rdev_req *req;
	struct pending *write;	/* WRITE */
	struct pending **cover; /* FLUSH: what it makes durable */
	unsigned ncover;
	int rc;
};

uint64_t
sim_random(struct simworld *w, uint64_t n)
{
	/* splitmix64 */
	uint64_t z = (w->seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % n;
}

struct simdisk *
simdisk_new(struct simworld *w, uint64_t bytes)
{
	struct simdisk *d = calloc(1, sizeof(*d));

	must(d);
	d->w = w;
	d->bytes = bytes;
	d->seen = calloc(1, bytes);
	d->kept = calloc(1, bytes);
	must(d->seen && d->kept);
	list_init(&d->pending);
	return d;
}

static void
pending_unref(struct pending *p)
{
	if (--p->refs == 0)
		free(p);
}

static void
drop_pending(struct simdisk *d)
{
	while (!list_empty(&d->pending)) {
		struct list *l = list_pop_front(&d->pending);

		pending_unref(list_entry(l, struct pending, link));
	}
}

void
simdisk_free(struct simdisk *d)
{
	drop_pending(d);
	free(d->seen);
	free(d->kept);
	free(d);
}

uint8_t *
simdisk_image(struct simdisk *d)
{
	return d->seen;
}

struct simdisk_faults *
simdisk_faults(struct simdisk *d)
{
	return &d->faults;
}

static void
keep(struct simdisk *d, const struct pending *p)
{
	memcpy(d->kept + p->off, p->data, p->len);
}

void
simdisk_settle(struct simdisk *d, enum sim_keep how)
{
	list_for_each(l, &d->pending) {
		struct pending *p = list_entry(l, struct pending, link);

		if (how == SIM_KEEP_ALL ||
		    (how == SIM_KEEP_SOME && sim_random(d->w, 2)))
			keep(d, p);
		for (uint64_t at = 0; how == SIM_KEEP_TORN && at < p->len;
		     at += 512)
			if (sim_random(d->w, 2))
				memcpy(d->kept + p->off + at, p->data + at,
				    512);
	}
	drop_pending(d);
	memcpy(d->seen, d->kept, d->bytes);
}

static void
do_read(struct simdisk *d, struct rdev_req *r)
{
	uint64_t off = r->off;

	for (unsigned i = 0; i < r->niov; i++) {
		memcpy(r->iov[i].iov_base, d->seen + off, r->iov[i].iov_len);
		off += r->iov[i].iov_len;
	}
}

static void
fire(struct loop_timer *t)
{
	struct simreq *s = container_of(t, struct simreq, timer);
	struct simdisk *d = s->disk;
	struct rdev_req *r = s->req;
	int rc = s->rc;

	if (d->w->cut)
		rc = -ENODEV;
	else if (r->op == RDEV_READ && rc == 0)
		do_read(d, r);
	else if (r->op == RDEV_WRITE && rc == 0)
		s->write->done = true;
	for (unsigned i = 0; i < s->ncover; i++) {
		struct pending *p = s->cover[i];

		/* An earlier flush may have had it. */
		if (rc == 0 && list_linked(&p->link)) {
			keep(d, p);
			list_del(&p->link);
			p->refs--; /* the list's; this flush has one too */
		}
		pending_unref(p);
	}
	free(s->cover);
	free(s);
	rdev_complete(r, rc);
}

/* A write is on its way from submit on: a cut may leave any of it. */
static void
begin_write(struct simdisk *d, struct simreq *s)
{
	struct rdev_req *r = s->req;
	struct pending *p = calloc(1, sizeof(*p) + r->len);
	uint64_t at = 0;

	must(p);
	p->refs = 1;
	p->off = r->off;
	p->len = r->len;
	for (unsigned i = 0; i < r->niov; i++) {
		memcpy(p->data + at, r->iov[i].iov_base, r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
	memcpy(d->seen + p->off, p->data, p->len);
	list_push_back(&d->pending, &p->link);
	s->write = p;
}

static void
begin_flush(struct simdisk *d, struct simreq *s)
{
	unsigned n = 0;

	list_for_each(l, &d->pending) n++;
	s->cover = calloc(n + 1, sizeof(*s->cover));
	must(s->cover);
	if (d->faults.lies)
		return;
	list_for_each(l, &d->pending) {
		struct pending *p = list_entry(l, struct pending, link);

		if (p->done)
			(s->cover[s->ncover++] = p)->refs++;
	}
}

static void
sim_submit(struct rdev *dev, struct rdev_req *r)
{
	struct simdisk *d = container_of(dev, struct simdev, dev)->disk;
	const struct simdisk_faults *f = &d->faults;
	struct simworld *w = d->w;
	struct simreq *s = calloc(1, sizeof(*s));

	must(s);
	s->disk = d;
	s->req = r;
	s->timer.fire = fire;
	if (f->dead || (f->fail_writes && r->op == RDEV_WRITE) ||
	    (f->fail_reads && r->op == RDEV_READ) ||
	    (f->fail_flush && r->op == RDEV_FLUSH))
		s->rc = -EIO;
	if (r->op == RDEV_WRITE || r->op == RDEV_FLUSH) {
		if (++w->ops == w->cut_at)
			w->cut = true;
	}
	if (!w->cut && s->rc == 0 && r->op == RDEV_WRITE)
		begin_write(d, s);
	if (!w->cut && s->rc == 0 && r->op == RDEV_FLUSH)
		begin_flush(d, s);
	must(loop_timer_set(dev->loop, &s->timer,
		 loop_now(dev->loop) + 1000 +
		     (int64_t)sim_random(w, 100000)) == 0);
}

static void
sim_close(struct rdev *dev)
{
	free(dev->path);
	free(container_of(dev, struct simdev, dev));
}

static const struct rdev_ops sim_ops = {sim_submit, sim_close};

struct rdev *
simdisk_open(struct simdisk *d, struct loop *l, const char *name)
{
	struct simdev *s = calloc(1, sizeof(*s));

	must(s);
	s->dev.ops = &sim_ops;
	s->dev.loop = l;
	s->dev.path = strdup(name);
	s->dev.bytes = d->bytes;
	s->disk = d;
	must(s->dev.path);
	return &s->dev;
}
