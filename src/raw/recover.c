/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c: opening a pool.
 *
 *	superblocks	of all copies on all devices: the highest generation of
 *			the highest epoch decides who is a member
 *	index		the pages that the root names
 *	log, once	follow the chain to its end; learn the highest seq that
 *			any record knows to be durable
 *	log, again	behind that seq the data of the records is read: they
 *			count up to the last one after which all is whole that
 *			no later one has replaced
 *	log, applied	up to there
 *	space		the bitmap, from what the index now says
 *
 * The end of the chain is a torn end if nothing says that the next record was
 * durable; then what follows is dropped.  If something does say so, acknowledged
 * data is damaged: the pool is not opened for writing and nothing is cut off.
 *
 * Nothing here writes.  The caller makes the verdict durable by a checkpoint in
 * a new epoch before it serves anything (I3).
 */
#include "raw/recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/alloc.h"
#include "raw/crc.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/quorum.h"
#include "raw/xio.h"

/* --- superblocks ---------------------------------------------------------- */

struct found {
	struct raw_super super; /* the best of these */
	struct raw_super copy[RAW_NCOPIES];
	unsigned ncopies;
	bool uneven; /* its copies are not all alike, or not all there */
	bool mixed;  /* they are of different pools */
};

static bool
newer(const struct raw_super *a, const struct raw_super *b)
{
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	return a->generation > b->generation;
}

static bool
of_pool(const struct raw_super *s, const uint8_t uuid[16])
{
	return memcmp(s->pool_uuid, uuid, 16) == 0;
}

static void
add_copy(struct found *f, const struct raw_super *s)
{
	if (f->ncopies > 0) {
		if (newer(s, &f->super) || newer(&f->super, s))
			f->uneven = true;
		if (!of_pool(s, f->super.pool_uuid))
			f->mixed = true;
	}
	if (f->ncopies == 0 || newer(s, &f->super))
		f->super = *s;
	f->copy[f->ncopies++] = *s;
}

/*
 * The best copy on one device.  -EINVAL: there is none, nor what was one;
 * -EBADMSG: they are damaged; -ENOTSUP: it is of a newer format; -EIO or another
 * error of reading, -ENXIO: it is shorter than it was: the device cannot be used
 * now.
 *
 * One copy alone that says it is newer is a damaged one.
 */
static int
read_supers(struct rdev *d, struct found *f, struct err *e)
{
	uint8_t *sector = aligned_alloc(RAW_SECTOR, RAW_SECTOR);
	uint64_t end = d->bytes & ~((1ull << 20) - 1);
	struct err first = ERR_INIT, io = ERR_INIT;
	unsigned newer_format = 0;
	int rc = -EINVAL;

	memset(f, 0, sizeof(*f));
	if (!sector)
		return err_errno(e, -ENOMEM, "read superblocks");
	for (unsigned i = 0; i < RAW_NCOPIES; i++) {
		struct raw_super s;
		uint64_t off;

		if (f->ncopies > 0)
			end = f->super.end;
		if (end < (1u << 20) || end > d->bytes)
			break;
		off = raw_copy_offset(i, end);
		if (rdev_wait(d, RDEV_READ, off, sector, RAW_SECTOR, &io) < 0) {
			f->uneven = true;
			if (io.rc == -ETIMEDOUT)
				break;
			continue;
		}
		if (raw_super_decode(&s, sector, &first) < 0) {
			f->uneven = true;
			if (raw_super_looks_like(sector))
				rc = -EBADMSG;
			newer_format += first.rc == -ENOTSUP;
			continue;
		}
		add_copy(f, &s);
	}
	free(sector);
	if (f->ncopies > 0 && newer_format < 2) {
		if (f->super.end <= d->bytes)
			return 0;
		return err_set(e, -ENXIO,
		    "%s has %llu bytes; as a member of store \"%s\" it had %llu",
		    d->path, (unsigned long long)d->bytes, f->super.name,
		    (unsigned long long)f->super.end);
	}
	if (io.rc < 0 && newer_format == 0 && first.rc == 0)
		return err_set(e, io.rc, "%s", err_text(&io));
	if (newer_format > 0)
		rc = -ENOTSUP;
	return err_set(e, rc,
	    "%s: %s; it is not a member of a store, or of a newer one. pail "
	    "store create makes a store",
	    d->path,
	    first.rc < 0 ? err_text(&first) : "too short for a superblock");
}

/* Its best copy of that pool, if it has one and is large enough. */
static void
take_for(struct rdev *d, struct found *f, const uint8_t uuid[16])
{
	const struct raw_super *best = NULL;

	for (unsigned i = 0; i < f->ncopies; i++) {
		const struct raw_super *s = &f->copy[i];

		if (of_pool(s, uuid) && s->end <= d->bytes &&
		    (!best || newer(s, best)))
			best = s;
	}
	if (!best)
		return;
	if (!of_pool(&f->super, uuid))
		log_warn("%s: was a member of store \"%s\", and was being made "
			 "one of store \"%s\"",
		    d->path, f->super.name, best->name);
	f->super = *best;
	f->mixed = false;
}

/*
 * Power went when a device of one pool was made a member of another: some of
 * its superblocks are of this, some of that.  The others know which one it is;
 * alone it is neither.
 */
static int
settle_mixed(
    struct rdev *const *devs, struct found *f, unsigned n, struct err *e)
{
	const uint8_t *uuid = NULL;

	for (unsigned i = 0; i < n && !uuid; i++)
		if (!f[i].mixed)
			uuid = f[i].super.pool_uuid;
	for (unsigned i = 0; i < n; i++) {
		if (f[i].mixed && uuid)
			take_for(devs[i], &f[i], uuid);
		if (f[i].mixed)
			return err_set(e, -EINVAL,
			    "%s has superblocks of two pools (\"%s\" is one): it "
			    "was being made a member. Name it together with the "
			    "other members of the store, or not at all. Nothing "
			    "was changed",
			    devs[i]->path, f[i].super.name);
	}
	return 0;
}

static int
same_pool(struct rdev *const *devs, const struct found *f, unsigned n,
    struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++) {
			if (memcmp(f[i].super.pool_uuid, f[j].super.pool_uuid,
				16) != 0)
				return err_set(e, -EINVAL,
				    "%s belongs to store \"%s\", %s to another "
				    "store, \"%s\"; name the members of one",
				    devs[j]->path, f[j].super.name,
				    devs[i]->path, f[i].super.name);
			if (memcmp(f[i].super.member_uuid,
				f[j].super.member_uuid, 16) == 0)
				return err_set(e, -EINVAL,
				    "%s and %s are the same member (one is a "
				    "copy of the other); name only one",
				    devs[j]->path, devs[i]->path);
		}
	return 0;
}

/* What only a newer pail may write, this one may read. */
static int
check_features(const struct pool *p, struct err *e)
{
	if (p->super.ro_compat == 0 || p->reading_only)
		return 0;
	return err_set(e, -ENOTSUP,
	    "store \"%s\" has features %llx that this pail cannot write; mount "
	    "it read-only, or take a newer pail",
	    p->super.name, (unsigned long long)p->super.ro_compat);
}

/* What becomes of a device: used, kept to be rebuilt, or left to the caller. */
static void
take_device(struct pool *p, const struct quorum_device *q, struct rdev **dev)
{
	struct raw_member *m = &p->super.member[q->column];
	uint64_t epoch = q->super->epoch;

	if (q->role != QUORUM_REPLACED)
		p->member[q->column].path = strdup(q->path);
	p->top_epoch = epoch > p->top_epoch ? epoch : p->top_epoch;
	switch (q->role) {
	case QUORUM_REPLACED:
		log_warn("%s: was replaced in store %s, and is no member any "
			 "more",
		    q->path, p->super.name);
		return;
	case QUORUM_STALE:
		if (m->state != RAW_MEMBER_MISSING || p->reading_only) {
			log_warn("%s: is out of date since commit %llu and "
				 "stays out (%s)",
			    q->path, (unsigned long long)m->whole_seq,
			    m->state == RAW_MEMBER_OFFLINE
				? "taken offline; pail store online"
				: m->state == RAW_MEMBER_FAULTED
				? "faulted; pail store online or replace"
				: "read-only");
			return;
		}
		p->member[q->column].returning = *dev;
		break;
	case QUORUM_CURRENT:
	case QUORUM_REBUILDING:
		p->member[q->column].dev = *dev;
		break;
	}
	*dev = NULL;
}

/*
 * Superblocks of all devices; of *n in all, those that cannot be used now, or
 * have none (a disk that was put in for another one), are moved behind the
 * others, and *n is how many remain.  Whether they are enough says the quorum.
 */
static int
read_all_supers(
    struct rdev **devs, struct found *f, unsigned *n, struct err *e)
{
	for (unsigned i = 0; i < *n;) {
		struct err one = ERR_INIT;
		struct rdev *d = devs[i];
		int rc = read_supers(d, &f[i], &one);

		if (rc == 0) {
			i++;
			continue;
		}
		if (rc == -ENOTSUP || rc == -ENOMEM || *n == 1)
			return err_set(e, rc, "%s", err_text(&one));
		log_warn("%s; it is left out%s", err_text(&one),
		    rc == -EBADMSG || rc == -EINVAL
			? ", and it is not written to (pail store replace "
			  "makes it a member)"
			: "");
		memmove(&devs[i], &devs[i + 1],
		    (*n - i - 1) * sizeof(devs[0]));
		devs[--*n] = d;
	}
	return 0;
}

int
recover_members(struct pool *p, struct rdev **devs, unsigned n,
    bool force_degraded, struct err *e)
{
	struct found *f = calloc(n, sizeof(*f));
	struct quorum_device *q = calloc(n, sizeof(*q));
	unsigned best;
	int rc = 0;

	if (!f || !q)
		rc = err_errno(e, -ENOMEM, "open store");
	if (rc == 0)
		rc = read_all_supers(devs, f, &n, e);
	if (rc == 0)
		rc = settle_mixed(devs, f, n, e);
	if (rc == 0)
		rc = same_pool(devs, f, n, e);
	for (unsigned i = 0; i < n && rc == 0; i++)
		q[i] = (struct quorum_device){
		    .path = devs[i]->path, .super = &f[i].super};
	if (rc == 0)
		rc = quorum_decide(
		    q, n, p->reading_only, force_degraded, &best, e);
	if (rc == 0) {
		p->super = f[best].super;
		p->k = p->super.k;
		p->m = p->super.m;
		p->n = p->k + p->m;
		rc = check_features(p, e);
		for (unsigned i = 0; i < n && rc == 0; i++) {
			p->uneven = p->uneven || f[i].uneven ||
			    newer(&p->super, &f[i].super);
			take_device(p, &q[i], &devs[i]);
		}
	}
	free(q);
	free(f);
	return rc;
}

/* --- reading extents, waiting for them ------------------------------------ */

static void
wait_done(struct xio *x)
{
	struct recover_wait *w = x->arg;

	w->done = true;
}

struct recover_wait *
recover_wait_new(void)
{
	struct recover_wait *w = calloc(1, sizeof(*w));

	if (w) {
		w->xio.done = wait_done;
		w->xio.arg = w;
	}
	return w;
}

int
recover_wait(struct pool *p, struct recover_wait *w, int rc)
{
	if (rc == 0)
		rc = loop_run_until(p->loop, &w->done);
	return rc < 0 ? rc : w->xio.rc;
}

/* The payload of an internal object under way. */
struct ref_read {
	struct raw_ref ref;
	struct raw_extent ext;
	struct recover_wait *w;
	uint8_t *bytes;
};

static int
ref_begin(struct pool *p, struct ref_read *r, const struct raw_ref *ref,
    struct err *e)
{
	int rc = recover_fits(p, &ref->ext) ? 0 : -EBADMSG;

	if (rc < 0)
		return err_set(e, rc, "an extent of the index lies outside");
	r->ref = *ref;
	r->ext = ref->ext;
	r->w = recover_wait_new();
	r->bytes = malloc(ref->ext.bytes);
	rc = -ENOMEM;
	if (r->w && r->bytes)
		rc = xio_read(
		    &r->w->xio, p, &r->ext, 0, r->ext.bytes, r->bytes);
	if (rc == 0)
		return 0;
	free(r->w);
	free(r->bytes);
	return err_errno(e, rc, "read the index");
}

/* Verified, in r->bytes, which the caller frees; on failure it is gone. */
static int
ref_end(struct pool *p, struct ref_read *r, struct err *e)
{
	int rc = recover_wait(p, r->w, 0);

	if (rc < 0 && r->w->xio.err.rc < 0)
		err_set(e, rc, "%s", err_text(&r->w->xio.err));
	else if (rc < 0)
		err_errno(e, rc, "read an extent");
	if (rc == 0 && crc32c(0, r->bytes, r->ref.ext.bytes) != r->ref.crc)
		rc = err_set(e, -EBADMSG, "a page of the index has a wrong "
					  "checksum");
	if (rc < 0)
		free(r->bytes);
	free(r->w);
	return rc;
}

static int
read_ref(
    struct pool *p, const struct raw_ref *ref, uint8_t **out, struct err *e)
{
	struct ref_read r;
	int rc = ref_begin(p, &r, ref, e);

	if (rc == 0)
		rc = ref_end(p, &r, e);
	*out = rc == 0 ? r.bytes : NULL;
	return rc;
}

/* --- index ------------------------------------------------------------------ */

#define PAGES_AT_ONCE 32u

static int
load_page(struct pool *p, struct ref_read *r, struct err *e)
{
	int rc = ref_end(p, r, e);

	if (rc < 0)
		return rc;
	rc = index_load_page(
	    p->index, r->bytes, r->ref.ext.bytes, &r->ref, e);
	free(r->bytes);
	return rc;
}

/* One part of the root: its pages, some of them under way at a time, taken in
 * in their order.  After a failure those under way are waited for. */
static int
load_root(struct pool *p, const uint8_t *root, size_t n, struct raw_ref *next,
    struct err *e)
{
	struct ref_read r[PAGES_AT_ONCE];
	struct raw_root_reader rd;
	uint32_t begun = 0, ended = 0;
	int rc = raw_root_begin(&rd, root, n, p->k, p->m, next, e);
	bool more = rc == 0;

	while (ended < begun || more) {
		struct err one = ERR_INIT;
		struct raw_ref ref;
		int end;

		while (more && begun - ended < PAGES_AT_ONCE) {
			int got = raw_root_next(&rd, &ref, e);

			if (got == 1)
				rc = ref_begin(
				    p, &r[begun % PAGES_AT_ONCE], &ref, e);
			else
				rc = got;
			more = got == 1 && rc == 0;
			begun += more;
		}
		if (ended == begun)
			break;
		end = load_page(p, &r[ended++ % PAGES_AT_ONCE], &one);
		if (end < 0 && rc == 0) {
			rc = end;
			more = false;
			*e = one;
			err_wrap(e, rc, "page %u", ended);
		}
	}
	return rc;
}

int
recover_index(struct pool *p, struct err *e)
{
	struct raw_ref ref = p->super.root;
	int rc = 0;

	while (ref.ext.bytes > 0 && rc == 0) {
		struct raw_ref *roots = realloc(
		    p->roots, (p->nroots + 1) * sizeof(*roots));
		uint8_t *bytes = NULL;

		if (!roots)
			return err_errno(e, -ENOMEM, "read the index");
		p->roots = roots;
		p->roots[p->nroots++] = ref;
		rc = read_ref(p, &ref, &bytes, e);
		if (rc == 0)
			rc = load_root(p, bytes, ref.ext.bytes, &ref, e);
		free(bytes);
	}
	if (rc < 0)
		return err_wrap(e, rc, "store \"%s\": index", p->super.name);
	return 0;
}

/* --- space ------------------------------------------------------------------ */

bool
recover_fits(const struct pool *p, const struct raw_extent *x)
{
	uint64_t total = p->super.data_sectors * p->n;
	uint32_t n = geom_space(p->k, p->m, x->bytes);

	return x->addr < total && n <= total - x->addr;
}

static int
mark(struct pool *p, const struct raw_extent *x)
{
	return alloc_mark(
	    p->alloc, x->addr, geom_space(p->k, p->m, x->bytes));
}

struct marking {
	struct pool *pool;
	struct err *e;
	/* Of the last extent: most are as long. */
	uint32_t bytes, space;
};

static int
mark_extent(struct marking *g, const struct raw_extent *x)
{
	struct pool *p = g->pool;

	if (x->bytes != g->bytes) {
		g->bytes = x->bytes;
		g->space = geom_space(p->k, p->m, x->bytes);
	}
	return alloc_mark(p->alloc, x->addr, g->space);
}

static int
mark_object(void *arg, const char *key, const struct raw_object *o)
{
	struct marking *g = arg;
	int rc = 0;

	for (unsigned i = 0; i < o->nextents && rc == 0; i++)
		rc = mark_extent(g, &o->ext[i]);
	if (rc < 0)
		err_set(g->e, -EBADMSG,
		    "object %s is where another one is, or outside", key);
	return rc;
}

/* Pages that the log has emptied: the root names them until the next
 * checkpoint, which frees them. */
static int
mark_dropped(struct pool *p)
{
	size_t n;
	struct index_dropped *d = index_take_dropped(p->index, &n);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (d[i].ref.ext.bytes > 0)
			rc = mark(p, &d[i].ref.ext);
	if (rc == 0)
		rc = index_put_dropped(p->index, d, n);
	free(d);
	return rc;
}

int
recover_space(struct pool *p, struct err *e)
{
	struct raw_extent *ext = calloc(RAW_MAX_EXTENTS, sizeof(*ext));
	struct marking g = {.pool = p, .e = e};
	int rc = 0;

	if (!ext)
		return err_errno(e, -ENOMEM, "read the index");
	for (size_t i = 0; i < p->nroots && rc == 0; i++)
		rc = mark(p, &p->roots[i].ext);
	for (size_t i = 0; i < index_npages(p->index) && rc == 0; i++) {
		const struct raw_ref *ref =
		    index_page_ref(index_page(p->index, i));

		if (ref->ext.bytes > 0)
			rc = mark(p, &ref->ext);
	}
	if (rc == 0)
		rc = mark_dropped(p);
	if (rc == -ENOMEM) {
		free(ext);
		return err_errno(e, rc, "read the index");
	}
	if (rc < 0)
		err_set(e, -EBADMSG, "two pages of the index are at one place");
	else
		rc = index_each(
		    p->index, ext, RAW_MAX_EXTENTS, mark_object, &g);
	free(ext);
	if (rc < 0)
		return -EBADMSG;
	/* Last: what has not left them yet is there. */
	for (unsigned i = 0; i < p->super.nbad; i++)
		if (alloc_set_bad(p->alloc, p->super.bad[i].addr,
			p->super.bad[i].sectors) < 0)
			return err_errno(e, -ENOMEM, "read the superblock");
	return 0;
}
