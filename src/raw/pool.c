/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c: create, and the dispatch of requests; see pool.h and docs/raw.md.
 * pool_int.h says what the other files do.
 *
 * A pool that cannot keep its promises any more (too few members, no memory to
 * apply a commit) takes no more writes: pool_stop_writes.  It goes on reading,
 * and says why to everyone who asks.
 */
#include "raw/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "raw/index.h"
#include "raw/log.h"
#include "raw/pool_int.h"
#include "raw/read.h"
#include "raw/write.h"

/* --- shared by the other files ---------------------------------------------- */

struct rdev *
pool_dev(const struct pool *p, unsigned column)
{
	const struct member *m = &p->member[column];

	return m->failed ? NULL : m->dev;
}

bool
pool_readable(const struct pool *p, unsigned column)
{
	return pool_dev(p, column) &&
	    p->super.member[column].state == RAW_MEMBER_ONLINE;
}

bool
pool_at_risk(const struct pool *p)
{
	unsigned n = 0;

	if (p->m < 2 || p->write_at_risk)
		return false;
	/* What is written now is on those as well that are being rebuilt. */
	for (unsigned c = 0; c < p->n; c++)
		n += pool_readable(p, c) ||
		    (pool_dev(p, c) &&
			p->super.member[c].state == RAW_MEMBER_REBUILDING);
	return n <= p->k;
}

unsigned
pool_online(const struct pool *p)
{
	unsigned n = 0;

	for (unsigned c = 0; c < p->n; c++)
		n += pool_dev(p, c) != NULL;
	return n;
}

void
pool_finish(struct pool *p, struct pool_req *r, int rc)
{
	/* It has stopped for lack of space below it: that is what one hears. */
	r->rc = rc == -EROFS && p->stopped ? p->why.rc : rc;
	if (p->gate) {
		list_push_back(&p->gated, &r->link);
		return;
	}
	must(p->requests > 0);
	p->requests--;
	r->done(r);
}

static void
answer_later(struct loop_task *t)
{
	struct pool_req *r = container_of(t, struct pool_req, task);

	pool_finish(r->pool, r, r->rc);
}

void
pool_fail_later(struct pool *p, struct pool_req *r, int rc)
{
	if (rc == -EROFS && p->read_only)
		r->err = p->why;
	else if (rc == -EROFS && pool_at_risk(p))
		err_set(&r->err, rc,
		    "store \"%s\" has no redundancy left and takes no writes "
		    "until a member is back or replaced",
		    p->super.name);
	else if (rc == -ENOSPC && r->err.rc == 0)
		err_set(&r->err, rc, "the store \"%s\" is full", p->super.name);
	else if (rc < 0 && r->err.rc == 0)
		err_errno(&r->err, rc, "store \"%s\"", p->super.name);
	r->rc = rc;
	r->task.run = answer_later;
	loop_defer(p->loop, &r->task);
}

void
pool_stop_writes(struct pool *p, const struct err *why)
{
	if (p->read_only)
		return;
	p->read_only = p->stopped = true;
	p->why = *why;
	p->why.rc = why->rc == -ENOSPC ? -ENOSPC : -EROFS;
	log_error("store %s takes no more writes: %s", p->super.name,
	    err_text(why));
	log_kick(p);
	write_retry(p);
}

/* --- requests ---------------------------------------------------------------- */

void
pool_submit(struct pool *p, struct pool_req *r)
{
	must(loop_is_mine(p->loop));
	p->asked_ns = loop_now(p->loop);
	r->pool = p;
	r->rc = 0;
	err_clear(&r->err);
	p->requests++;
	switch (r->op) {
	case POOL_GET:
		read_submit(p, r);
		return;
	case POOL_SYNC:
		if (p->read_only && p->why.rc < 0)
			pool_fail_later(p, r, -EROFS);
		else
			log_sync(p, r);
		return;
	case POOL_PUT:
	case POOL_DELETE:
	case POOL_BATCH:
		if (p->read_only || pool_at_risk(p))
			pool_fail_later(p, r, -EROFS);
		else
			write_submit(p, r);
		return;
	}
	must(!"an operation of a pool");
}

bool
pool_find(struct pool *p, const char *key, struct raw_object *o)
{
	return index_get(p->index, key, o, NULL, 0) != -ENOENT;
}

int
pool_next(struct pool *p, char key[RAW_KEY_MAX + 1], struct raw_object *o)
{
	struct index_walk w;
	int rc;

	index_walk_init(&w, p->index, key[0] ? key : NULL);
	rc = index_walk_next(&w, o, NULL, 0);
	if (rc == 0)
		return 0;
	memcpy(key, w.key, sizeof(w.key));
	return 1;
}

/* --- create ------------------------------------------------------------------ */

static uint64_t
log_sectors_for(uint64_t end, uint64_t asked)
{
	uint64_t bytes = asked ? asked : end / 64;
	uint64_t least = 4 * (uint64_t)RAW_RECORD_MAX;

	if (!asked && bytes > (1ull << 30))
		bytes = 1ull << 30;
	if (bytes < least)
		bytes = least;
	return bytes / RAW_SECTOR;
}

int
pool_create(struct rdev *const *devs, unsigned n,
    const struct pool_create_params *cp, struct err *e)
{
	struct raw_super s = {.k = (uint8_t)cp->k, .m = (uint8_t)cp->m,
	    .epoch = 1, .generation = 1, .flags = RAW_FLAG_CLEAN};
	const char *smallest = "";
	uint64_t end = UINT64_MAX, fixed;
	uint8_t *sector;
	int rc = 0;

	must(n == cp->k + cp->m && n <= RAW_MAX_MEMBERS);
	for (unsigned c = 0; c < n; c++)
		if (devs[c]->bytes < end) {
			end = devs[c]->bytes;
			smallest = devs[c]->path;
		}
	end &= ~((1ull << 20) - 1);
	s.end = end;
	s.log_sectors = log_sectors_for(end, cp->log_bytes);
	fixed = RAW_LOG_START + s.log_sectors + RAW_TAIL_SECTORS;
	if (end / RAW_SECTOR < fixed + 2048)
		return err_set(e, -ENOSPC,
		    "%s has %llu MiB; a store needs at least %llu MiB of each "
		    "member", smallest,
		    (unsigned long long)(end >> 20),
		    (unsigned long long)((fixed + 2048) * RAW_SECTOR >> 20));
	s.data_sectors = end / RAW_SECTOR - fixed;
	s.created = (uint64_t)(clock_wall_ns() / NS_PER_S);
	snprintf(s.name, sizeof(s.name), "%s", cp->name);
	if (getrandom(s.pool_uuid, 16, 0) != 16 ||
	    getrandom(&s.log_crc, 4, 0) != 4)
		return err_errno(e, -errno, "random numbers");
	for (unsigned c = 0; c < n; c++) {
		if (getrandom(s.member[c].uuid, 16, 0) != 16)
			return err_errno(e, -errno, "random numbers");
		s.member[c].state = RAW_MEMBER_ONLINE;
		s.member[c].bytes = devs[c]->bytes;
	}
	sector = aligned_alloc(RAW_SECTOR, RAW_SECTOR);
	if (!sector)
		return err_errno(e, -ENOMEM, "create store");
	for (unsigned c = 0; c < n && rc == 0; c++) {
		s.column = (uint8_t)c;
		memcpy(s.member_uuid, s.member[c].uuid, 16);
		for (unsigned i = 0; i < RAW_NCOPIES && rc == 0; i++) {
			s.copy = (uint8_t)i;
			raw_super_encode(&s, sector);
			rc = rdev_wait(devs[c], RDEV_WRITE,
			    raw_copy_offset(i, end), sector, RAW_SECTOR, e);
		}
		if (rc == 0)
			rc = rdev_wait(devs[c], RDEV_FLUSH, 0, NULL, 0, e);
	}
	free(sector);
	return rc;
}
