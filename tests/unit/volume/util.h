/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_VOLUME_UTIL_H
#define TESTS_UNIT_VOLUME_UTIL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stat.h"
#include "store/check.h"
#include "store/delay.h"
#include "store/fault.h"
#include "store/mem.h"
#include "store/open.h"
#include "store/store.h"
#include "volume/volume.h"

/*
 * What the tests of volumes share: a loop with virtual time, objects in memory
 * that outlive the volume, and opening a volume over them.
 */
struct env {
	struct loop *loop;
	struct mem_data *data;
	struct store_env senv;
	struct mem_config mem;
	struct stat_set stats;
	struct delay_config delay; /* max_ns 0: none */
	uint64_t seed;		   /* of faults and of the order of answers */
	const struct fault_rule *faults; /* of which nfaults; may be NULL */
	unsigned nfaults;
	struct store *fault; /* of the store that was opened last */
};

static inline void
env_init(struct env *v)
{
	struct err e = ERR_INIT;

	memset(v, 0, sizeof(*v));
	v->loop = loop_new_virtual(&e);
	assert_non_null(v->loop);
	v->data = mem_data_new();
	assert_non_null(v->data);
	v->senv.loop = v->loop;
}

static inline void
env_fini(struct env *v)
{
	mem_data_unref(v->data);
	loop_free(v->loop);
}

/* Objects in memory, slow, faulty, under the filters that a volume uses, and
 * checked: answers come in any order, and what a read need not write to is
 * filled with rubbish. */
static inline struct store *
env_store(struct env *v)
{
	const struct store_tuning tuning = {.seed = v->seed};
	struct err e = ERR_INIT;
	struct store *s;
	int rc = mem_store_open(v->loop, "t", v->data, &v->mem, &s, &e);

	if (rc == 0 && v->delay.max_ns)
		rc = delay_store_new(s, &v->delay, &s, &e);
	if (rc == 0)
		rc = fault_store_new(s, v->seed, &s, &e);
	v->fault = s;
	for (unsigned i = 0; rc == 0 && i < v->nfaults; i++)
		rc = fault_add(s, &v->faults[i]);
	if (rc == 0)
		rc = store_stack(s, &tuning, &v->stats, &s, &e);
	if (rc == 0)
		rc = check_store_new(s, v->seed, &s, &e);
	if (rc < 0)
		fail_msg("%s", err_text(&e));
	return s;
}

static inline struct volume *
env_open(struct env *v, const struct volume_params *p)
{
	struct err e = ERR_INIT;
	struct volume *vol;

	if (volume_open_store(
		&v->senv, env_store(v), "v/", "bucket", p, &vol, &e) < 0)
		fail_msg("open: %s", err_text(&e));
	return vol;
}

static inline void
env_close(struct volume *vol)
{
	struct err e = ERR_INIT;

	if (volume_close(vol, false, &e) < 0)
		fail_msg("close: %s", err_text(&e));
}

/* Somebody who has just come reads the whole volume from the store. */
static inline uint8_t *
env_look(struct env *v, const struct volume_params *p, uint64_t size)
{
	struct volume_params q = *p;
	struct err e = ERR_INIT;
	struct volume *vol;
	uint8_t *got = malloc(size);

	assert_non_null(got);
	q.layout.create = false;
	q.layout.lease = LEASE_NONE;
	vol = env_open(v, &q);
	if (volume_read_wait(vol, 0, got, size, &e) < 0)
		fail_msg("read: %s", err_text(&e));
	if (volume_close(vol, true, &e) < 0)
		fail_msg("close: %s", err_text(&e));
	return got;
}

static inline uint64_t
rnd(uint64_t *s)
{
	/* xorshift64* */
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1du;
}

static inline uint64_t
rnd_below(uint64_t *s, uint64_t n)
{
	return (rnd(s) >> 16) % n;
}

static inline uint64_t
first_seed(uint64_t dflt)
{
	const char *s = getenv("PAIL_SEED");

	return s ? strtoull(s, NULL, 0) : dflt;
}

#endif
