/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simdisk.c: a simulated disk; see simdisk.h.
 *
 * A disk is two tables of sectors: what a read sees (the disk's cache
 * included), and what is on the platters.  Sectors are counted and never
 * changed while shared, so an image or a crash state costs a table, no bytes.
 * Writes since the last flush are kept in a list, in the order of their
 * submission; a flush applies to the platters what had completed when it was
 * submitted.
 */
#include "lib/simdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/must.h"
#include "raw/rdev.h"

#define SECTOR 4096u
#define NEVER 0xffffffffu

struct sector {
	unsigned refs;
	uint8_t data[SECTOR];
};

struct table { /* NULL: zeros */
	size_t n;
	struct sector **s;
};

struct pending { /* a write that is not flushed */
	struct list link;
	uint64_t off, len;
	bool done; /* completed: a flush from now on covers it */
	bool lost; /* the disk says so only */
	unsigned refs; /* of the list, of flushes under way, of a recording */
	unsigned disk;
	unsigned submitted, covered; /* events of a recording */
	struct sector *s[];
};

struct simdisk {
	struct simworld *w;
	unsigned number;
	uint64_t bytes;
	struct table seen, kept;
	struct list pending;
	struct list hanging; /* of simreq */
	uint64_t discarded;
	struct simdisk_faults faults;
};

struct simimage {
	struct table t;
};

struct simrec {
	struct simworld *w;
	struct simimage *base[SIM_MAXDISKS];
	struct pending **write;
	unsigned nwrites, room, events;
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
	struct loop *loop;
	struct list link; /* it hangs */
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

/* --- sectors ------------------------------------------------------------------ */

static struct sector *
sector_new(const void *data)
{
	struct sector *s = malloc(sizeof(*s));

	must(s);
	s->refs = 1;
	memcpy(s->data, data, SECTOR);
	return s;
}

static struct sector *
sector_ref(struct sector *s)
{
	if (s)
		s->refs++;
	return s;
}

static void
sector_unref(struct sector *s)
{
	if (s && --s->refs == 0)
		free(s);
}

static void
table_init(struct table *t, uint64_t bytes)
{
	t->n = bytes / SECTOR;
	t->s = calloc(t->n, sizeof(*t->s));
	must(t->s);
}

static void
table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		sector_unref(t->s[i]);
	free(t->s);
}

static void
table_copy(struct table *to, const struct table *from)
{
	must(to->n == from->n);
	for (size_t i = 0; i < to->n; i++) {
		struct sector *old = to->s[i];

		if (old == from->s[i])
			continue;
		to->s[i] = sector_ref(from->s[i]);
		sector_unref(old);
	}
}

static void
table_set(struct table *t, uint64_t i, struct sector *s) /* takes a ref */
{
	must(i < t->n);
	sector_unref(t->s[i]);
	t->s[i] = s;
}

/* --- disks -------------------------------------------------------------------- */

struct simdisk *
simdisk_new(struct simworld *w, uint64_t bytes)
{
	struct simdisk *d = calloc(1, sizeof(*d));

	must(d && w->ndisks < SIM_MAXDISKS);
	d->w = w;
	d->number = w->ndisks;
	w->disk[w->ndisks++] = d;
	d->bytes = bytes;
	table_init(&d->seen, bytes);
	table_init(&d->kept, bytes);
	list_init(&d->pending);
	list_init(&d->hanging);
	return d;
}

static void
pending_unref(struct pending *p)
{
	if (--p->refs > 0)
		return;
	for (uint64_t i = 0; i < p->len / SECTOR; i++)
		sector_unref(p->s[i]);
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
	must(list_empty(&d->hanging));
	drop_pending(d);
	table_fini(&d->seen);
	table_fini(&d->kept);
	free(d);
}

uint64_t
simdisk_discarded(const struct simdisk *d)
{
	return d->discarded;
}

struct simdisk_faults *
simdisk_faults(struct simdisk *d)
{
	return &d->faults;
}

uint64_t
simdisk_bytes(const struct simdisk *d)
{
	return d->bytes;
}

void
simdisk_peek(struct simdisk *d, uint64_t off, void *p, size_t n)
{
	uint8_t *out = p;

	while (n > 0) {
		const struct sector *s = d->seen.s[off / SECTOR];
		size_t at = off % SECTOR, m = SECTOR - at < n ? SECTOR - at : n;

		if (s)
			memcpy(out, s->data + at, m);
		else
			memset(out, 0, m);
		off += m;
		out += m;
		n -= m;
	}
}

void
simdisk_poke(struct simdisk *d, uint64_t off, const void *p, size_t n)
{
	const uint8_t *in = p;

	while (n > 0) {
		uint8_t b[SECTOR];
		size_t at = off % SECTOR, m = SECTOR - at < n ? SECTOR - at : n;
		struct sector *s;

		simdisk_peek(d, off - at, b, SECTOR);
		memcpy(b + at, in, m);
		s = sector_new(b);
		table_set(&d->seen, off / SECTOR, s);
		table_set(&d->kept, off / SECTOR, sector_ref(s));
		off += m;
		in += m;
		n -= m;
	}
}

int64_t
simdisk_next_sector(const struct simdisk *d, int64_t after)
{
	size_t i = after < 0 ? 0 : (size_t)after / SECTOR + 1;

	while (i < d->seen.n && !d->seen.s[i])
		i++;
	return i < d->seen.n ? (int64_t)(i * SECTOR) : -1;
}

uint64_t
simdisk_hash(const struct simdisk *d)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (int64_t at = -1; (at = simdisk_next_sector(d, at)) >= 0;) {
		const uint8_t *p = d->seen.s[at / SECTOR]->data;

		h = (h ^ (uint64_t)at) * 0x100000001b3ull;
		for (unsigned i = 0; i < SECTOR; i += 8) {
			uint64_t v;

			memcpy(&v, p + i, 8);
			h = (h ^ v) * 0x100000001b3ull;
			h ^= h >> 29;
		}
	}
	return h;
}

static void
keep(struct simdisk *d, const struct pending *p)
{
	for (uint64_t i = 0; i < p->len / SECTOR && !p->lost; i++)
		table_set(&d->kept, p->off / SECTOR + i, sector_ref(p->s[i]));
}

/* What is at i in t with some of new in it. */
static struct sector *
mixed(const struct table *t, uint64_t i, const struct sector *new,
    const bool take[SECTOR / 512])
{
	uint8_t b[SECTOR] = {0};

	if (t->s[i])
		memcpy(b, t->s[i]->data, SECTOR);
	for (unsigned h = 0; h < SECTOR / 512; h++)
		if (take[h])
			memcpy(b + 512 * h, new->data + 512 * h, 512);
	return sector_new(b);
}

static void
keep_torn(struct simworld *w, struct table *t, const struct pending *p)
{
	for (uint64_t i = 0; i < p->len / SECTOR && !p->lost; i++) {
		uint64_t at = p->off / SECTOR + i;
		bool take[SECTOR / 512];

		for (unsigned h = 0; h < SECTOR / 512; h++)
			take[h] = sim_random(w, 2);
		table_set(t, at, mixed(t, at, p->s[i], take));
	}
}

void
simdisk_settle(struct simdisk *d, enum sim_keep how)
{
	list_for_each(l, &d->pending) {
		struct pending *p = list_entry(l, struct pending, link);

		if (how == SIM_KEEP_ALL ||
		    (how == SIM_KEEP_SOME && sim_random(d->w, 2)))
			keep(d, p);
		else if (how == SIM_KEEP_TORN)
			keep_torn(d->w, &d->kept, p);
	}
	drop_pending(d);
	table_copy(&d->seen, &d->kept);
}

/* --- images ---------------------------------------------------------------------- */

struct simimage *
simdisk_save(struct simdisk *d)
{
	struct simimage *im = calloc(1, sizeof(*im));

	must(im && list_empty(&d->pending));
	table_init(&im->t, d->bytes);
	table_copy(&im->t, &d->seen);
	return im;
}

void
simdisk_load(struct simdisk *d, const struct simimage *im)
{
	drop_pending(d);
	table_copy(&d->seen, &im->t);
	table_copy(&d->kept, &im->t);
}

void
simimage_free(struct simimage *im)
{
	if (!im)
		return;
	table_fini(&im->t);
	free(im);
}

/* --- requests --------------------------------------------------------------------- */

/* Sectors that hold nothing, from i on; at most max. */
static size_t
empty_run(const struct table *t, uint64_t i, size_t max)
{
	size_t n = 0;

	while (n < max && !t->s[i + n])
		n++;
	return n;
}

/* Recovery reads a whole log, which is mostly empty: that is what crash tests
 * spend their time with, so zeros are written many sectors at a time. */
static void
do_read(struct simdisk *d, struct rdev_req *r)
{
	uint64_t i = r->off / SECTOR;

	for (unsigned v = 0; v < r->niov; v++) {
		uint8_t *to = r->iov[v].iov_base;
		size_t left = r->iov[v].iov_len / SECTOR;

		while (left > 0) {
			size_t n = empty_run(&d->seen, i, left);

			if (n > 0)
				memset(to, 0, n * SECTOR);
			else
				memcpy(to, d->seen.s[i]->data, SECTOR);
			n += n == 0;
			i += n;
			to += n * SECTOR;
			left -= n;
		}
	}
}

/* A flush has completed. */
static void
cover(struct simreq *s, int rc)
{
	struct simdisk *d = s->disk;
	struct simrec *rec = d->w->rec;
	unsigned event = NEVER;

	if (rec && s->req->op == RDEV_FLUSH && rc == 0)
		event = ++rec->events;
	for (unsigned i = 0; i < s->ncover; i++) {
		struct pending *p = s->cover[i];

		/* An earlier flush may have had it. */
		if (rc == 0 && list_linked(&p->link)) {
			keep(d, p);
			p->covered = event;
			list_del(&p->link);
			p->refs--; /* the list's; this flush has one too */
		}
		pending_unref(p);
	}
	free(s->cover);
}

/* It alone, not those before it. */
static void
is_durable(struct simdisk *d, struct pending *p)
{
	struct simrec *rec = d->w->rec;

	if (d->faults.lies)
		return;
	keep(d, p);
	p->covered = rec ? ++rec->events : NEVER;
	list_del(&p->link);
	pending_unref(p);
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
	if (rc == 0 && r->durable)
		is_durable(d, s->write);
	cover(s, rc);
	free(s);
	rdev_complete(r, rc);
}

static void
record_write(struct simrec *rec, struct pending *p)
{
	if (rec->nwrites == rec->room) {
		rec->room = rec->room ? 2 * rec->room : 256;
		rec->write =
		    realloc(rec->write, rec->room * sizeof(*rec->write));
		must(rec->write);
	}
	p->submitted = ++rec->events;
	p->refs++;
	rec->write[rec->nwrites++] = p;
}

/* A write is on its way from submit on: a cut may leave any of it. */
static void
begin_write(struct simdisk *d, struct simreq *s)
{
	const struct simdisk_faults *f = &d->faults;
	struct rdev_req *r = s->req;
	size_t n = r->len / SECTOR, at = 0;
	struct pending *p = calloc(1, sizeof(*p) + n * sizeof(p->s[0]));

	must(p);
	p->refs = 1;
	p->disk = d->number;
	p->covered = NEVER;
	p->off = r->off;
	p->len = r->len;
	if (p->off >= f->lose_from && p->off < f->lose_to) {
		p->lost = f->misdirect == 0;
		p->off = (uint64_t)((int64_t)p->off + f->misdirect);
	}
	for (unsigned v = 0; v < r->niov; v++)
		for (size_t b = 0; b < r->iov[v].iov_len; b += SECTOR)
			p->s[at++] =
			    sector_new((uint8_t *)r->iov[v].iov_base + b);
	for (size_t i = 0; i < n && !p->lost; i++)
		table_set(
		    &d->seen, p->off / SECTOR + i, sector_ref(p->s[i]));
	list_push_back(&d->pending, &p->link);
	if (d->w->rec)
		record_write(d->w->rec, p);
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

static bool
hangs(const struct simdisk_faults *f, const struct rdev_req *r)
{
	if (!(f->hang_ops & (1u << r->op)))
		return false;
	return r->op != RDEV_WRITE || f->hang_to == 0 ||
	    (r->off < f->hang_to && r->off + r->len > f->hang_from);
}

static int
fault_of(struct simdisk *d, const struct rdev_req *r)
{
	struct simdisk_faults *f = &d->faults;

	if (f->dead || (f->fail_writes && r->op == RDEV_WRITE) ||
	    (f->fail_reads && r->op == RDEV_READ) ||
	    (f->fail_flush && (r->op == RDEV_FLUSH || r->durable)))
		return -EIO;
	if (r->op == RDEV_WRITE && r->off < f->unwritable_to &&
	    r->off + r->len > f->unwritable_from)
		return -EIO;
	if (f->full_from && r->op == RDEV_WRITE &&
	    r->off + r->len > f->full_from)
		return -ENOSPC;
	if (f->fail_nth > 0 && f->fail_ops >> r->op & 1 && --f->fail_nth == 0)
		return f->fail_error ? f->fail_error : -EIO;
	return 0;
}

static void
begin_discard(struct simdisk *d, const struct rdev_req *r)
{
	uint8_t junk[4096];

	d->discarded += r->len;
	memset(junk, 0xd5, sizeof(junk));
	for (uint64_t at = 0; at < r->len; at += sizeof(junk))
		if (sim_random(d->w, 2))
			simdisk_poke(d, r->off + at, junk, sizeof(junk));
}

static void
answer_soon(struct simreq *s, int64_t slow_ns)
{
	must(loop_timer_set(s->loop, &s->timer,
		 loop_now(s->loop) + 1000 + slow_ns +
		     (int64_t)sim_random(s->disk->w, 100000)) == 0);
}

static void
sim_submit(struct rdev *dev, struct rdev_req *r)
{
	struct simdisk *d = container_of(dev, struct simdev, dev)->disk;
	struct simworld *w = d->w;
	struct simreq *s;

	SIM_PAUSE(true);
	s = calloc(1, sizeof(*s));
	must(s);
	s->disk = d;
	s->req = r;
	s->timer.fire = fire;
	s->rc = fault_of(d, r);
	if (r->op == RDEV_WRITE || r->op == RDEV_FLUSH) {
		if (++w->ops == w->cut_at)
			w->cut = true;
	}
	if (!w->cut && s->rc == 0 && r->op == RDEV_WRITE)
		begin_write(d, s);
	if (!w->cut && s->rc == 0 && r->op == RDEV_FLUSH)
		begin_flush(d, s);
	/* What was there before may be read, or anything else. */
	if (!w->cut && s->rc == 0 && r->op == RDEV_DISCARD)
		begin_discard(d, r);
	s->loop = dev->loop;
	list_init(&s->link);
	if (hangs(&d->faults, r))
		list_push_back(&d->hanging, &s->link);
	else
		answer_soon(s, d->faults.slow_ns);
	SIM_PAUSE(false);
}

unsigned
simdisk_hanging(const struct simdisk *d)
{
	unsigned n = 0;

	list_for_each (l, &d->hanging)
		n++;
	return n;
}

void
simdisk_release(struct simdisk *d)
{
	while (!list_empty(&d->hanging)) {
		struct list *l = list_pop_front(&d->hanging);

		answer_soon(list_entry(l, struct simreq, link), 0);
	}
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
	struct simdev *s;

	SIM_PAUSE(true);
	s = calloc(1, sizeof(*s));
	must(s);
	s->dev.ops = &sim_ops;
	s->dev.loop = l;
	s->dev.path = strdup(name);
	s->dev.bytes = d->bytes;
	s->dev.durable_writes = d->faults.durable_writes;
	s->disk = d;
	must(s->dev.path);
	SIM_PAUSE(false);
	return &s->dev;
}

/* --- recordings ---------------------------------------------------------------------- */

struct simrec *
simrec_start(struct simworld *w)
{
	struct simrec *r = calloc(1, sizeof(*r));

	must(r && !w->rec);
	r->w = w;
	for (unsigned i = 0; i < w->ndisks; i++)
		r->base[i] = simdisk_save(w->disk[i]);
	w->rec = r;
	return r;
}

void
simrec_stop(struct simrec *r)
{
	must(r->w->rec == r);
	r->w->rec = NULL;
}

void
simrec_free(struct simrec *r)
{
	for (unsigned i = 0; i < r->nwrites; i++)
		pending_unref(r->write[i]);
	for (unsigned i = 0; i < SIM_MAXDISKS; i++)
		simimage_free(r->base[i]);
	free(r->write);
	free(r);
}

unsigned
simrec_now(const struct simworld *w)
{
	return w->rec ? w->rec->events : 0;
}

static bool
in_doubt(const struct pending *p, unsigned e)
{
	return p->submitted <= e && p->covered > e;
}

unsigned
simrec_doubt(const struct simrec *r, unsigned e, unsigned *write, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->nwrites && n < max; i++)
		if (in_doubt(r->write[i], e))
			write[n++] = i;
	return n;
}

uint32_t
simrec_write_bytes(const struct simrec *r, unsigned write)
{
	return (uint32_t)r->write[write]->len;
}

unsigned
simrec_write_disk(const struct simrec *r, unsigned write)
{
	return r->write[write]->disk;
}

uint64_t
simrec_write_id(unsigned write)
{
	struct simworld own = {.seed = write};

	return sim_random(&own, UINT64_MAX);
}

uint64_t
simrec_durable(const struct simrec *r, unsigned e)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < r->nwrites; i++)
		if (r->write[i]->submitted <= e && r->write[i]->covered <= e)
			h ^= simrec_write_id(i);
	return h;
}

/* The write ended after upto bytes. */
static void
build_cut(struct simworld *w, struct table *t, const struct pending *p,
    const struct sim_fate *f)
{
	for (uint64_t i = 0; i < p->len / SECTOR; i++) {
		uint64_t at = p->off / SECTOR + i;
		uint8_t b[SECTOR] = {0};

		if (f->rest == SIM_REST_OLD && t->s[at])
			memcpy(b, t->s[at]->data, SECTOR);
		for (unsigned j = 0; f->rest == SIM_REST_GARBAGE && j < SECTOR;
		     j++)
			b[j] = (uint8_t)sim_random(w, 256);
		if (f->upto > i * SECTOR) {
			uint64_t n = f->upto - i * SECTOR;

			memcpy(b, p->s[i]->data, n < SECTOR ? n : SECTOR);
		}
		table_set(t, at, sector_new(b));
	}
}

void
simrec_build(const struct simrec *r, unsigned e, const struct sim_fate *fate,
    unsigned ndoubt)
{
	unsigned d = 0;

	for (unsigned i = 0; i < r->w->ndisks; i++)
		simdisk_load(r->w->disk[i], r->base[i]);
	for (unsigned i = 0; i < r->nwrites; i++) {
		const struct pending *p = r->write[i];
		struct simdisk *disk = r->w->disk[p->disk];
		const struct sim_fate *f = NULL;

		if (p->submitted > e)
			continue;
		if (in_doubt(p, e)) {
			must(d < ndoubt);
			f = &fate[d++];
		}
		if (!f || f->whole) {
			keep(disk, p);
		} else if (!p->lost && f->mask_seed) {
			struct simworld own = {.seed = f->mask_seed};

			keep_torn(&own, &disk->kept, p);
		} else if (!p->lost && (f->upto > 0 || f->rest != SIM_REST_OLD)) {
			build_cut(r->w, &disk->kept, p, f);
		}
	}
	for (unsigned i = 0; i < r->w->ndisks; i++)
		table_copy(&r->w->disk[i]->seen, &r->w->disk[i]->kept);
}
