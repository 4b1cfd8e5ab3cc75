/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c: what a pool says about itself and its members; see pool.h, repair.h.
 *
 * Redundancy counts members that have everything.  One that is being rebuilt
 * takes writes, but nobody is told that the pool is whole before it has ended.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "raw/alloc.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/rebuild.h"
#include "raw/repair.h"

unsigned
pool_whole_members(const struct pool *p)
{
	unsigned n = 0;

	for (unsigned c = 0; c < p->n; c++)
		n += pool_readable(p, c);
	return n;
}

static enum pool_health
health(const struct pool *p, unsigned online, unsigned rebuilding)
{
	if (online < p->k)
		return POOL_FAILED;
	if (online == p->n)
		return POOL_WHOLE;
	if (rebuilding > 0)
		return POOL_REBUILDING;
	return online == p->k ? POOL_AT_RISK : POOL_DEGRADED;
}

const char *
pool_health_word(enum pool_health h)
{
	static const char *const words[] = {
	    "whole", "rebuilding", "degraded", "at risk", "failed"};

	return words[h];
}

static void
member_status(const struct pool *p, unsigned c, struct pool_member_status *s)
{
	const struct member *m = &p->member[c];
	const struct rdev *d = pool_dev(p, c);

	snprintf(s->path, sizeof(s->path), "%s", m->path ? m->path : "");
	s->here = d != NULL;
	memcpy(s->uuid, p->super.member[c].uuid, 16);
	/* It may have failed so that nobody could be told. */
	s->state = m->failed && p->super.member[c].state == RAW_MEMBER_ONLINE
	    ? RAW_MEMBER_FAULTED
	    : rebuild_has(p, c)
	    ? RAW_MEMBER_REBUILDING
	    : p->super.member[c].state;
	s->bytes = p->super.member[c].bytes;
	s->read_errors = m->read_errors;
	s->write_errors = m->write_errors;
	s->checksum_errors = m->checksum_errors;
	s->repaired = m->repaired;
	s->inflight = m->dev ? m->dev->inflight : 0;
	s->silent = m->silence.waits;
	s->suspect = m->flights.suspect || m->erring;
	s->slow = m->flights.slow;
	s->timeouts = m->flights.timeouts;
	s->hedged = m->flights.hedged;
	s->discarded_bytes = m->discarded;
	s->read_p99_ns = m->flights.p99_ns;
}

void
pool_get_status(const struct pool *p, struct pool_status *s)
{
	memset(s, 0, sizeof(*s));
	s->k = p->k;
	s->m = p->m;
	memcpy(s->uuid, p->super.pool_uuid, 16);
	snprintf(s->name, sizeof(s->name), "%s", p->super.name);
	s->epoch = p->super.epoch;
	s->seq = p->written_seq;
	s->durable_seq = p->durable_seq;
	s->objects = index_count(p->index);
	s->data_bytes = alloc_total(p->alloc) * RAW_SECTOR;
	s->free_bytes = alloc_nfree(p->alloc) * RAW_SECTOR;
	s->usable_bytes = s->data_bytes / p->n * p->k;
	s->index_bytes = index_memory(p->index);
	s->read_only = p->read_only || pool_at_risk(p);
	if (p->read_only)
		snprintf(s->why, sizeof(s->why), "%s", err_text(&p->why));
	else if (s->read_only)
		snprintf(s->why, sizeof(s->why), "no redundancy is left");
	for (unsigned c = 0; c < p->n; c++) {
		struct pool_member_status *ms = &s->member[c];

		member_status(p, c, ms);
		s->online += ms->here && ms->state == RAW_MEMBER_ONLINE;
		s->rebuilding += ms->here && ms->state == RAW_MEMBER_REBUILDING;
	}
	s->health = health(p, s->online, s->rebuilding);
	rebuild_get_status(p, s);
}

/* --- names, and what has happened -------------------------------------------- */

static void
uuid_text(const uint8_t uuid[16], char out[33])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(out + 2 * i, 3, "%02x", uuid[i]);
}

int
pool_member_find(const struct pool *p, const char *name, unsigned *column,
    struct err *e)
{
	unsigned away = 0, which = 0, number;
	char text[33], end;

	for (unsigned c = 0; c < p->n; c++) {
		uuid_text(p->super.member[c].uuid, text);
		if ((p->member[c].path &&
			strcmp(p->member[c].path, name) == 0) ||
		    strcasecmp(text, name) == 0) {
			*column = c;
			return 0;
		}
		if (!pool_dev(p, c)) {
			away++;
			which = c;
		}
	}
	if (sscanf(name, "%2u%c", &number, &end) == 1 && number < p->n) {
		*column = number;
		return 0;
	}
	if (away == 1 && strchr(name, '/')) {
		*column = which;
		return 0;
	}
	return err_set(e, -ENOENT,
	    "%s is no member of store \"%s\"; name one by its path, its column "
	    "(0 to %u) or its UUID",
	    name, p->super.name, p->n - 1);
}

unsigned
pool_get_events(const struct pool *p, struct pool_event *out, unsigned max)
{
	uint64_t have = p->nevents < POOL_EVENTS ? p->nevents : POOL_EVENTS;
	uint64_t from = p->nevents - (have < max ? have : max);

	for (uint64_t i = from; i < p->nevents; i++)
		out[i - from] = p->event[i % POOL_EVENTS];
	return (unsigned)(p->nevents - from);
}
