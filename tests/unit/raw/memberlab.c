/* SPDX-License-Identifier: Apache-2.0 */
/* memberlab.c: changes of members on simulated disks; see memberlab.h. */
#include "memberlab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/must.h"
#include "raw/rdev.h"

struct waited {
	struct pool_change change;
	struct pool_rebuild_wait rebuild;
	bool done;
	int rc;
};

static void
changed(struct pool_change *c)
{
	struct waited *w = c->arg;

	w->done = true;
}

static int
wait_change(struct lab *lab, struct waited *w, struct err *e)
{
	lab_check(!w->done);
	lab_until(lab, &w->done, "a change of members");
	if (w->change.rc < 0)
		lab_check(w->change.err.rc < 0 && err_text(&w->change.err)[0]);
	if (e)
		*e = w->change.err;
	return w->change.rc;
}

static void
begin(struct waited *w)
{
	memset(w, 0, sizeof(*w));
	w->change.done = changed;
	w->change.arg = w;
}

struct rdev *
ml_open_disk(struct lab *lab, struct simdisk *d, const char *name)
{
	char text[32];

	if (!name) {
		snprintf(text, sizeof(text), "spare");
		for (unsigned c = 0; c < lab->n; c++)
			if (lab->disk[c] == d)
				snprintf(text, sizeof(text), "disk%u", c);
		name = text;
	}
	return simdisk_open(d, lab->loop, name);
}

int
ml_offline(struct lab *lab, unsigned column, bool force, struct err *e)
{
	struct waited w;

	begin(&w);
	pool_member_offline(lab->pool, &w.change, column, force);
	return wait_change(lab, &w, e);
}

int
ml_online(struct lab *lab, struct simdisk *d, bool force, struct err *e)
{
	struct waited w;

	begin(&w);
	pool_member_online(
	    lab->pool, &w.change, ml_open_disk(lab, d, NULL), force);
	return wait_change(lab, &w, e);
}

int
ml_replace(struct lab *lab, unsigned column, struct simdisk *d, bool force,
    struct err *e)
{
	struct waited w;

	begin(&w);
	pool_member_replace(
	    lab->pool, &w.change, column, ml_open_disk(lab, d, NULL), force);
	return wait_change(lab, &w, e);
}

static void
rebuilt(struct pool_rebuild_wait *r, int rc)
{
	struct waited *w = r->arg;

	w->rc = rc;
	w->done = true;
}

int
ml_rebuilt(struct lab *lab)
{
	struct waited w = {.rebuild.done = rebuilt};

	w.rebuild.arg = &w;
	pool_rebuild_wait(lab->pool, &w.rebuild);
	lab_check(!w.done);
	lab_until(lab, &w.done, "a rebuild");
	return w.rc;
}

int64_t
ml_now(const struct lab *lab)
{
	return loop_now(lab->loop);
}

void
ml_status(struct lab *lab, struct pool_status *st)
{
	pool_get_status(lab->pool, st);
}

enum pool_health
ml_health(struct lab *lab)
{
	struct pool_status st;

	pool_get_status(lab->pool, &st);
	return st.health;
}

enum raw_member_state
ml_state(struct lab *lab, unsigned column)
{
	struct pool_status st;

	pool_get_status(lab->pool, &st);
	return st.member[column].state;
}

int
ml_open(struct lab *lab, uint32_t with, bool force, struct err *e)
{
	struct pool_open_params op = {.force_degraded = force};
	struct rdev *devs[RAW_MAX_MEMBERS];
	unsigned n = 0;
	int rc;

	for (unsigned c = 0; c < lab->n; c++)
		if (with & (1u << c))
			devs[n++] = ml_open_disk(lab, lab->disk[c], NULL);
	rc = pool_open(lab->loop, devs, n, &op, &lab->pool, e);
	for (unsigned i = 0; rc < 0 && i < n; i++)
		rdev_close(devs[i]);
	if (rc < 0)
		lab->pool = NULL;
	return rc;
}

struct lab_object
ml_object(struct lab *lab)
{
	static const uint32_t sizes[] = {
	    0, 1, 4096, 4097, 8192, 16384, 40000, 131072, 131072, 200000};
	static uint64_t version;

	return (struct lab_object){.version = ++version,
	    .size = sizes[sim_random(&lab->w, 10)],
	    .meta = (uint8_t)sim_random(&lab->w, 3)};
}

void
ml_write_all(struct lab *lab, struct lab_object *model)
{
	for (unsigned i = 0; i < LAB_NKEYS; i++) {
		model[i] = ml_object(lab);
		lab_check(lab_put(lab, i, &model[i]) == 0);
	}
	lab_check(lab_sync(lab) == 0);
}

void
ml_write_some(struct lab *lab, struct lab_object *model, unsigned n)
{
	while (n-- > 0) {
		unsigned i = (unsigned)sim_random(&lab->w, LAB_NKEYS);

		if (sim_random(&lab->w, 5) == 0) {
			memset(&model[i], 0, sizeof(model[i]));
			lab_check(lab_delete(lab, i) == 0);
			continue;
		}
		model[i] = ml_object(lab);
		lab_check(lab_put(lab, i, &model[i]) == 0);
	}
}

unsigned
ml_check_redundancy(
    struct lab *lab, const struct lab_object *model, const char *where)
{
	unsigned sets = 0;
	char text[200];

	lab_check(!lab->pool);
	for (uint32_t with = 0; with < 1u << lab->n; with++) {
		struct err e = ERR_INIT;

		if ((unsigned)__builtin_popcount(with) != lab->k)
			continue;
		snprintf(text, sizeof(text), "%s, members %x alone", where,
		    with);
		if (lab_open(lab, with, true, &e) < 0)
			lab_fail("%s: %s", text, err_text(&e));
		lab_compare_all(lab, model, text);
		lab_must_close(lab);
		sets++;
	}
	return sets;
}
