/* SPDX-License-Identifier: Apache-2.0 */
/* rawcrash.c: power cuts at every moment of a recorded run; see rawcrash.h. */
#include "lib/rawcrash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

/* --- the run ------------------------------------------------------------------- */

void
crash_begin(
    struct crash *c, struct lab *lab, const struct lab_object *base)
{
	c->lab = lab;
	c->nops = 0;
	c->done_seq = 0;
	memcpy(c->base, base, sizeof(c->base));
	c->rec = simrec_start(&lab->w);
}

static struct crash_op *
add(struct crash *c)
{
	struct crash_op *o = &c->op[c->nops++];

	must(c->nops <= CRASH_MAXOPS);
	memset(o, 0, sizeof(*o));
	return o;
}

struct crash_op *
crash_write(struct crash *c, enum pool_op kind, const unsigned *key,
    const struct lab_object *obj, unsigned n, bool wait)
{
	struct crash_op *o = add(c);

	must(n <= CRASH_MAXITEMS);
	o->n = n;
	memcpy(o->key, key, n * sizeof(*key));
	memcpy(o->obj, obj, n * sizeof(*obj));
	o->op = lab_begin(c->lab, kind, key, obj, n);
	if (wait)
		crash_wait(c, o);
	return o;
}

struct crash_op *
crash_sync(struct crash *c, bool wait)
{
	struct crash_op *o = add(c);

	o->sync = true;
	for (unsigned i = 0; i < c->nops; i++) {
		const struct crash_op *b = &c->op[i];
		uint64_t seq = b->op && b->op->done ? b->op->req.seq : b->seq;

		if (!b->sync && seq > c->done_seq)
			c->done_seq = seq;
	}
	o->covers = c->done_seq;
	o->op = lab_begin(c->lab, POOL_SYNC, NULL, NULL, 0);
	if (wait)
		crash_wait(c, o);
	return o;
}

void
crash_wait(struct crash *c, struct crash_op *o)
{
	int rc;

	if (!o->op)
		return;
	rc = lab_wait(o->op);
	if (rc < 0)
		lab_fail("%s: a request failed: %s", c->where,
		    err_text(&o->op->req.err));
	o->seq = o->sync ? 0 : o->op->req.seq;
	o->done = o->op->event;
	lab_op_free(o->op);
	o->op = NULL;
}

void
crash_end(struct crash *c)
{
	for (unsigned i = 0; i < c->nops; i++)
		crash_wait(c, &c->op[i]);
	c->events = simrec_now(&c->lab->w);
	simrec_stop(c->rec);
	lab_kill(c->lab);
}

void
crash_free(struct crash *c)
{
	simrec_free(c->rec);
	free(c->seen);
	c->rec = NULL;
	c->seen = NULL;
	c->nseen = c->room = 0;
}

void
crash_state(
    const struct crash *c, uint64_t s, struct lab_object model[LAB_NKEYS])
{
	uint64_t at[LAB_NKEYS] = {0};

	memcpy(model, c->base, sizeof(c->base));
	/* Requests are begun one after the other: of two in one commit the
	 * later one counts. */
	for (unsigned i = 0; i < c->nops; i++) {
		const struct crash_op *o = &c->op[i];

		if (o->sync || o->seq == 0 || o->seq > s)
			continue;
		for (unsigned k = 0; k < o->n; k++)
			if (o->seq >= at[o->key[k]]) {
				model[o->key[k]] = o->obj[k];
				at[o->key[k]] = o->seq;
			}
	}
}

uint64_t
crash_synced(const struct crash *c, unsigned e)
{
	uint64_t s = 0;

	for (unsigned i = 0; i < c->nops; i++)
		if (c->op[i].sync && c->op[i].done <= e && c->op[i].covers > s)
			s = c->op[i].covers;
	return s;
}

/* --- one state ----------------------------------------------------------------- */

/* The pool is open: it holds the commits up to what it says, and not less than
 * was synced. */
static uint64_t
check_open(struct crash *c, unsigned e, const char *when)
{
	struct lab_object model[LAB_NKEYS];
	struct pool_status st;
	char where[300];

	pool_get_status(c->lab->pool, &st);
	snprintf(where, sizeof(where), "%s, moment %u of %u, %s", c->where, e,
	    c->events, when);
	if (!c->lying && st.durable_seq < crash_synced(c, e))
		lab_fail("%s: recovered to commit %llu, %llu was synced",
		    where, (unsigned long long)st.durable_seq,
		    (unsigned long long)crash_synced(c, e));
	crash_state(c, st.durable_seq, model);
	for (unsigned i = 0; i < LAB_NKEYS && c->lying; i++) {
		int rc = lab_compare(c->lab, i, &model[i]);

		/* Said to be lost, but never something else. */
		if (rc != 0 && rc != -EIO && rc != -EBADMSG)
			lab_fail("%s: key %u (commit %llu): not what it was (%d)",
			    where, i, (unsigned long long)st.durable_seq, rc);
	}
	if (!c->lying)
		lab_compare_all(c->lab, model, where);
	return st.durable_seq;
}

/* 0: open. */
static int
open_some(struct crash *c, unsigned e, uint32_t with, bool read_only,
    const char *when)
{
	struct err err = ERR_INIT;
	int rc = lab_open(c->lab, with & ~c->gone, read_only, &err);

	c->opened++;
	if (rc == 0)
		return 0;
	if (!c->lying)
		lab_fail("%s, moment %u of %u, %s: open: %s", c->where, e,
		    c->events, when, err_text(&err));
	return rc;
}

static void
random_fates(struct crash *c, struct sim_fate *fate, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		fate[i] = (struct sim_fate){
		    .whole = sim_random(&c->lab->w, 2)};
		if (!fate[i].whole && sim_random(&c->lab->w, 2))
			fate[i].mask_seed = 1 + sim_random(&c->lab->w, 1u << 30);
	}
}

/* Without some members, as many as the profile bears. */
static void
check_degraded(struct crash *c, unsigned e, uint64_t s)
{
	unsigned lose = c->lab->m - c->spoilt;
	uint32_t with = (1u << c->lab->n) - 1;
	uint64_t now;

	for (unsigned i = 0; i < lose; i++)
		with &= ~(1u << sim_random(&c->lab->w, c->lab->n));
	if (open_some(c, e, with, true, "members gone") < 0)
		return;
	c->degraded++;
	now = check_open(c, e, "members gone");
	if (now != s)
		lab_fail("%s, moment %u: %llu was recovered, but %llu with "
			 "members %x only",
		    c->where, e, (unsigned long long)s,
		    (unsigned long long)now, with);
	lab_kill(c->lab);
}

/* The power goes again, while it opens or behind that. */
static void
check_recrash(struct crash *c, unsigned e, struct simrec *rec,
    unsigned events, uint64_t s)
{
	unsigned at = sim_random(&c->lab->w, 2)
	    ? events
	    : (unsigned)sim_random(&c->lab->w, events + 1);
	struct sim_fate fate[CRASH_MAXDOUBT];
	unsigned write[CRASH_MAXDOUBT];
	unsigned n = simrec_doubt(rec, at, write, CRASH_MAXDOUBT);
	uint64_t again;

	random_fates(c, fate, n);
	simrec_build(rec, at, fate, n);
	if (open_some(c, e, ~0u, false, "cut again") < 0)
		return;
	again = check_open(c, e, "cut again");
	lab_kill(c->lab);
	if (at == events && again != s)
		lab_fail("%s, moment %u: what was recovered was %llu, and "
			 "after another cut it is %llu",
		    c->where, e, (unsigned long long)s,
		    (unsigned long long)again);
}

void
crash_check(struct crash *c, unsigned e, const struct sim_fate *fate,
    unsigned ndoubt, uint64_t *s)
{
	struct simrec *rec;
	unsigned events;

	simrec_build(c->rec, e, fate, ndoubt);
	c->states++;
	rec = simrec_start(&c->lab->w);
	if (open_some(c, e, ~0u, false, "opened") < 0) {
		simrec_stop(rec);
		simrec_free(rec);
		c->refused++;
		return;
	}
	events = simrec_now(&c->lab->w);
	simrec_stop(rec);
	*s = check_open(c, e, "opened");
	lab_kill(c->lab);
	for (unsigned i = 0; i < c->lab->n; i++)
		simdisk_settle(c->lab->disk[i], SIM_KEEP_NONE);
	if (c->lab->m > c->spoilt && !c->lying)
		check_degraded(c, e, *s);
	if (c->recrash)
		check_recrash(c, e, rec, events, *s);
	simrec_free(rec);
}

/* --- all states ------------------------------------------------------------------- */

static bool
skipped(struct crash *c)
{
	return c->skip > 0 && sim_random(&c->lab->w, c->skip + 1) > 0;
}

/* The same bytes at a later moment were checked already (moments are gone
 * through from the last to the first, and the demands only shrink). */
static bool
seen_before(struct crash *c, unsigned e, const struct sim_fate *fate,
    const unsigned *doubt, unsigned n)
{
	uint64_t h = simrec_durable(c->rec, e);

	for (unsigned i = 0; i < n; i++)
		if (fate[i].whole)
			h ^= simrec_write_id(doubt[i]);
	for (unsigned i = 0; i < c->nseen; i++)
		if (c->seen[i] == h)
			return true;
	if (c->nseen == c->room) {
		c->room = c->room ? 2 * c->room : 256;
		c->seen = realloc(c->seen, c->room * sizeof(*c->seen));
		must(c->seen);
	}
	c->seen[c->nseen++] = h;
	return false;
}

static void
try_whole(struct crash *c, unsigned e, const struct sim_fate *fate,
    const unsigned *doubt, unsigned n)
{
	uint64_t s;

	if (!skipped(c) && !seen_before(c, e, fate, doubt, n))
		crash_check(c, e, fate, n, &s);
}

static void
set_all(struct sim_fate *fate, unsigned n, bool whole)
{
	for (unsigned i = 0; i < n; i++)
		fate[i] = (struct sim_fate){.whole = whole};
}

/* None, all, each alone, all but each, and some by chance; or all subsets
 * where these are no more. */
static void
check_subsets(struct crash *c, unsigned e, const unsigned *doubt, unsigned n)
{
	struct sim_fate fate[CRASH_MAXDOUBT];

	if (n <= 4) {
		for (unsigned bits = 0; bits < 1u << n; bits++) {
			for (unsigned i = 0; i < n; i++)
				fate[i] = (struct sim_fate){
				    .whole = bits >> i & 1};
			try_whole(c, e, fate, doubt, n);
		}
		return;
	}
	for (unsigned one = 0; one <= n; one++)
		for (unsigned whole = 0; whole < 2; whole++) {
			set_all(fate, n, whole);
			if (one < n)
				fate[one].whole = !whole;
			try_whole(c, e, fate, doubt, n);
		}
	for (unsigned i = 0; i < c->subsets; i++) {
		for (unsigned j = 0; j < n; j++)
			fate[j] = (struct sim_fate){
			    .whole = sim_random(&c->lab->w, 2)};
		try_whole(c, e, fate, doubt, n);
	}
}

static void
tear(struct crash *c, unsigned e, unsigned n, unsigned which, uint32_t upto,
    enum sim_rest rest)
{
	struct sim_fate fate[CRASH_MAXDOUBT];
	uint64_t s;

	if (skipped(c))
		return;
	/* The others: all there, or any. */
	set_all(fate, n, true);
	if (sim_random(&c->lab->w, 2))
		for (unsigned i = 0; i < n; i++)
			fate[i].whole = sim_random(&c->lab->w, 2);
	fate[which] = (struct sim_fate){.upto = upto, .rest = rest};
	c->torn++;
	crash_check(c, e, fate, n, &s);
}

static void
check_torn(struct crash *c, unsigned e, const unsigned *doubt, unsigned n)
{
	struct sim_fate fate[CRASH_MAXDOUBT];
	uint64_t s;

	for (unsigned i = 0; i < n && c->tear_all; i++)
		for (uint32_t at = 0; at < simrec_write_bytes(c->rec, doubt[i]);
		     at += at % 4096 == 512 && at > 8192 ? 3584 : 512)
			for (unsigned rest = 0; rest < 3; rest++)
				tear(c, e, n, i, at, rest);
	/* Everything that is under way is garbage from its second 512 bytes on:
	 * so are all copies of a superblock that are not flushed in between. */
	if (n > 0 && (c->lab->n == 1 || !skipped(c))) {
		for (unsigned i = 0; i < n; i++)
			fate[i] = (struct sim_fate){
			    .upto = 512, .rest = SIM_REST_GARBAGE};
		c->torn++;
		crash_check(c, e, fate, n, &s);
	}
	for (unsigned t = 0; t < c->tears && n > 0; t++) {
		unsigned i = (unsigned)sim_random(&c->lab->w, n);
		uint32_t cuts = simrec_write_bytes(c->rec, doubt[i]) / 512;

		tear(c, e, n, i, 512 * (uint32_t)sim_random(&c->lab->w, cuts),
		    (enum sim_rest)sim_random(&c->lab->w, 3));
		/* ... and all of them in pieces. */
		random_fates(c, fate, n);
		if (skipped(c))
			continue;
		c->torn++;
		crash_check(c, e, fate, n, &s);
	}
}

void
crash_check_all(struct crash *c, unsigned from, unsigned to)
{
	unsigned doubt[CRASH_MAXDOUBT];

	for (unsigned e = to + 1; e-- > from;) {
		unsigned n = simrec_doubt(c->rec, e, doubt, CRASH_MAXDOUBT);

		must(n < CRASH_MAXDOUBT);
		check_subsets(c, e, doubt, n);
		/* A write that begins is what may be torn at this moment. */
		check_torn(c, e, doubt, n);
	}
}
