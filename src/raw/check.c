/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: verify a pool without changing it; see check.h.
 *
 * The reading is that of a scrub: on a pool that is read-only it mends nothing,
 * and what is damaged is counted by the members that have it.
 */
#include "raw/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raw/index.h"
#include "raw/pool_int.h"

/* --- superblocks ---------------------------------------------------------- */

static void
check_copy(struct pool *p, unsigned column, const uint8_t *sector,
    struct check_member *m)
{
	struct err ignored = ERR_INIT;
	struct raw_super s;

	if (raw_super_decode(&s, sector, &ignored) < 0 ||
	    memcmp(s.pool_uuid, p->super.pool_uuid, 16) != 0 ||
	    memcmp(s.member_uuid, p->super.member[column].uuid, 16) != 0)
		m->copies_damaged++;
	else if (s.generation < p->super.generation)
		m->copies_old++;
}

static void
check_supers(struct pool *p, unsigned column, uint8_t *sector,
    struct check_result *r)
{
	struct rdev *d = pool_dev(p, column);

	if (!d) {
		r->missing++;
		return;
	}
	for (unsigned i = 0; i < RAW_NCOPIES; i++) {
		struct err e = ERR_INIT;

		if (rdev_wait(d, RDEV_READ, raw_copy_offset(i, p->super.end),
			sector, RAW_SECTOR, &e) < 0)
			r->member[column].copies_damaged++;
		else
			check_copy(p, column, sector, &r->member[column]);
	}
}

/* --- everything else -------------------------------------------------------- */

struct reading {
	struct scrub_ops user;
	struct scrub_result result;
	bool done;
};

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	struct reading *g = arg;

	g->user.progress(g->user.arg, done, total);
}

static void
lost(void *arg, const char *key, const struct err *why)
{
	struct reading *g = arg;

	g->user.lost(g->user.arg, key, why);
}

static void
done(void *arg, const struct scrub_result *r)
{
	struct reading *g = arg;

	g->result = *r;
	g->done = true;
}

static int
read_all(struct pool *p, const struct scrub_ops *ops, struct check_result *r,
    struct err *e)
{
	struct reading g = {.user = *ops};
	struct scrub_ops mine = {
	    .progress = progress, .lost = lost, .done = done, .arg = &g};
	int rc = -ENOMEM;

	if (scrub_start(p, &mine))
		rc = loop_run_until(p->loop, &g.done);
	if (rc < 0)
		return err_errno(e, rc, "check store \"%s\"", p->super.name);
	r->objects = g.result.objects;
	r->bytes = g.result.bytes;
	r->lost = g.result.lost;
	return 0;
}

int
pool_check(struct pool *p, const struct scrub_ops *ops, struct check_result *r,
    struct err *e)
{
	uint8_t *sector = aligned_alloc(RAW_SECTOR, RAW_SECTOR);
	int rc;

	must(p->read_only);
	memset(r, 0, sizeof(*r));
	if (!sector)
		return err_errno(e, -ENOMEM, "check store");
	for (unsigned c = 0; c < p->n; c++)
		check_supers(p, c, sector, r);
	free(sector);
	r->pages = index_npages(p->index);
	r->replayed = p->replayed;
	r->dropped = p->dropped;
	rc = read_all(p, ops, r, e);
	for (unsigned c = 0; c < p->n; c++) {
		r->member[c].fragments_damaged = p->member[c].checksum_errors;
		r->member[c].fragments_unreadable = p->member[c].read_errors;
	}
	return rc;
}

bool
check_is_clean(const struct pool *p, const struct check_result *r)
{
	for (unsigned c = 0; c < p->n; c++)
		if (r->member[c].copies_damaged ||
		    r->member[c].fragments_damaged ||
		    r->member[c].fragments_unreadable)
			return false;
	return r->missing == 0 && r->lost == 0;
}
