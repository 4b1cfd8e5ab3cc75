/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n'th request goes wrong, for every n, in every way: it fails, its answer
 * is lost, or it is done later.  Whatever happens, there is a sentence, nothing
 * leaks, what was acknowledged is there, and the next one who comes (to this
 * machine, where it can be seen that the first is dead) can go on.
 */
#include "config.h"

#include <sys/wait.h>
#include <unistd.h>

#include "layout/admin.h"
#include "layout/lease_owner.h"
#include "store/fault.h"
#include "store/retry.h"
#include "unit/layout/util.h"

#define NB 64u

/* One run of a scenario. */
struct scene {
	struct env v; /* v.store has the fault in it */
	struct store *clean; /* over the same objects */
	struct lease_owner dead; /* who runs it */
	struct layout_params base; /* how it is opened */
	uint8_t expect[NB]; /* what each block was last acknowledged to be */
	bool unsure[NB];    /* or also what a failed write would have made */
	uint8_t other[NB];
	uint64_t nblocks, other_nblocks;
};

static struct lease_owner
dead_owner(void)
{
	static pid_t pid;
	struct lease_owner o;

	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_int_equal(lease_owner_self(&o, NULL), 0);
	o.pid = pid;
	return o;
}

static int
open_scene(struct scene *s, struct layout **l)
{
	struct layout_params p = s->base;
	struct err e = ERR_INIT;
	int rc;

	p.owner = &s->dead;
	rc = layout_open(s->v.store, "v/", "bucket", &p, NULL, NULL, l, &e);
	assert_true(rc == 0 || e.text[0] != '\0');
	return rc;
}

static void
put(struct scene *s, struct layout *l, uint32_t block, uint8_t fill)
{
	if (write_fill(&s->v, l, block, fill) == 0) {
		s->expect[block] = fill;
		s->unsure[block] = false;
	} else {
		s->unsure[block] = true;
		s->other[block] = fill;
	}
}

static void
wipe(struct scene *s, struct layout *l, uint32_t from, uint32_t n)
{
	int rc = erase(&s->v, l, from, n);

	for (uint32_t b = from; b < from + n; b++) {
		s->unsure[b] = rc < 0;
		if (rc == 0)
			s->expect[b] = 0;
		else
			s->other[b] = 0;
	}
}

/* --- the scenarios -------------------------------------------------------- */

static void
scene_create(struct scene *s)
{
	struct layout *l;

	if (open_scene(s, &l) < 0)
		return;
	for (uint32_t b = 0; b < 8; b++)
		put(s, l, b * 3, (uint8_t)(b + 1));
	put(s, l, 3, 0);
	(void)layout_survey_wait(l, NULL, NULL, NULL);
	wipe(s, l, 5, 5);
	for (uint32_t b = 0; b < 8; b++)
		(void)read_part(&s->v, l, b * 3, 0, BS, NULL,
		    &(struct err)ERR_INIT);
	(void)layout_close(l, true, NULL);
}

static void
scene_resize(struct scene *s)
{
	static const uint64_t sizes[] = {20, 40};
	struct layout *l;

	if (open_scene(s, &l) < 0)
		return;
	for (uint32_t b = 0; b < NB; b += 7)
		put(s, l, b, 'r');
	for (int i = 0; i < 2; i++) {
		struct err e = ERR_INIT;
		int rc =
		    layout_resize(l, sizes[i] * BS, NULL, NULL, &e);

		if (rc < 0) {
			assert_true(e.text[0] != '\0');
			s->other_nblocks = sizes[i];
		} else
			s->nblocks = s->other_nblocks = sizes[i];
		/* Shrinking may have erased, and what is beyond is gone. */
		for (uint64_t b = i == 0 ? sizes[0] : s->nblocks; b < NB; b++) {
			s->unsure[b] = true;
			s->other[b] = 0;
		}
		if (rc < 0)
			break;
	}
	(void)layout_close(l, true, NULL);
}

static void
scene_erase(struct scene *s)
{
	struct layout *l;
	struct err e = ERR_INIT;
	int rc;

	if (open_scene(s, &l) < 0)
		return;
	for (uint32_t b = 0; b < NB; b += 5)
		put(s, l, b, 'r');
	if (layout_close(l, true, NULL) < 0)
		return;
	rc = layout_erase_volume(s->v.store, "v/", false, NULL, NULL, &e);
	assert_true(rc == 0 || e.text[0] != '\0');
	for (uint32_t b = 0; b < NB; b++) {
		s->unsure[b] = true;
		s->other[b] = 0;
	}
	if (rc == 0)
		memset(s->expect, 0, NB);
	/* The tool was this process, which is still there. */
	(void)layout_unlock(s->clean, "v/", NULL);
}

/* --- around them ----------------------------------------------------------- */

static void
verify(struct scene *s, unsigned n, const struct fault_rule *f)
{
	struct layout_params p = s->base;
	struct env v = s->v;
	struct layout *l;
	struct err e = ERR_INIT;
	uint64_t nb;
	int rc;

	v.store = s->clean;
	p.size = p.block_size = 0;
	rc = layout_open(v.store, "v/", "bucket", &p, NULL, NULL, &l, &e);
	if (rc == -ENOENT)
		rc = layout_open(v.store, "v/", "bucket", &s->base, NULL, NULL,
		    &l, &e);
	if (rc < 0)
		fail_msg("request %u kind %d: opened no more: %s", n, f->kind,
		    err_text(&e));
	nb = layout_info(l)->nblocks;
	if (nb != s->nblocks && nb != s->other_nblocks)
		fail_msg("request %u kind %d: %d blocks", n, f->kind, (int)nb);
	survey(l);
	for (uint32_t b = 0; b < nb && b < NB; b++) {
		int got = read_fill(&v, l, b);

		if (got != s->expect[b] &&
		    !(s->unsure[b] && got == s->other[b]))
			fail_msg("request %u kind %d: block %u is %d, not %d",
			    n, f->kind, b, got, s->expect[b]);
	}
	/* And it can be written. */
	assert_int_equal(write_fill(&v, l, 1, 'n'), 0);
	assert_int_equal(read_fill(&v, l, 1), 'n');
	env_close(l);
	assert_int_equal(
	    layout_erase_volume(v.store, "v/", false, NULL, NULL, &e), 0);
	/* Nothing of ours is left (a late takeover may be). */
	assert_int_equal(layout_unlock(v.store, "v/", &e), 0);
	assert_int_equal(mem_data_count(v.data), 0);
}

struct nap {
	struct loop_timer timer;
	bool over;
};

static void
nap_over(struct loop_timer *t)
{
	container_of(t, struct nap, timer)->over = true;
}

static void
sleep_ns(struct env *v, int64_t ns)
{
	struct nap n = {.timer.fire = nap_over};

	loop_timer_set(v->loop, &n.timer, loop_now(v->loop) + ns);
	loop_run_until(v->loop, &n.over);
}

/* False: the scenario has fewer requests than n. */
static bool
run_one(void (*scene)(struct scene *), const struct layout_params *base,
    const struct mem_config *conf, unsigned n, struct fault_rule f)
{
	struct scene s = {.dead = dead_owner(), .base = *base, .nblocks = NB,
	    .other_nblocks = NB};
	struct fault_state st;
	struct store *faulty;
	bool hit;

	env_init(&s.v, conf);
	s.clean = s.v.store;
	env_store(&s.v, conf);
	assert_int_equal(fault_store_new(s.v.store, 1, &faulty, NULL), 0);
	s.v.store = faulty;
	f.skip = n;
	f.times = 1;
	assert_int_equal(fault_add(faulty, &f), 0);
	if (f.kind == FAULT_LATE) /* what layouts rely on: R6 */
		assert_int_equal(retry_store_new(faulty,
				     &(struct retry_config){.deadline_ns = 1,
					 .first_ns = 1,
					 .max_ns = 1,
					 .late_ns = 100000,
					 .seed = 1},
				     &s.v.store, NULL), 0);
	scene(&s);
	fault_state(faulty, &st);
	hit = st.hits > 0;
	/* What is late comes now, before the next one opens. */
	sleep_ns(&s.v, 1000000);
	fault_state(faulty, &st);
	assert_int_equal(st.late, 0);
	verify(&s, n, &f);
	store_free(s.v.store);
	s.v.store = s.clean;
	env_fini(&s.v);
	return hit;
}

static void
all_requests(void (*scene)(struct scene *), const struct layout_params *base,
    const struct mem_config *conf)
{
	static const struct fault_rule kinds[] = {
	    {.kind = FAULT_FAIL, .rc = -EIO},
	    {.kind = FAULT_FAIL, .rc = -EACCES},
	    {.kind = FAULT_LOST, .rc = -ETIMEDOUT},
	    {.kind = FAULT_LATE, .rc = -ETIMEDOUT, .late_ns = 1000}};

	for (unsigned k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		unsigned n = 0;

		while (run_one(scene, base, conf, n, kinds[k]))
			n++;
		assert_true(n > 5);
	}
}

static struct layout_params
base(void)
{
	return params_new(NB);
}

static void
test_create(void **state)
{
	struct layout_params p = base();

	all_requests(scene_create, &p, NULL);
	p.plain_s3backer = true;
	all_requests(scene_create, &p, NULL);
	p.hash_prefix = 1;
	p.password = "pw";
	all_requests(
	    scene_create, &p, &(struct mem_config){.no_batch = true});
}

static void
test_no_if_absent(void **state)
{
	struct layout_params p = base();

	all_requests(
	    scene_create, &p, &(struct mem_config){.no_if_absent = true});
}

static void
test_resize(void **state)
{
	struct layout_params p = base();

	p.size = NB * BS;
	all_requests(scene_resize, &p, NULL);
}

static void
test_erase(void **state)
{
	struct layout_params p = base();

	all_requests(scene_erase, &p, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_no_if_absent),
	    cmocka_unit_test(test_resize),
	    cmocka_unit_test(test_erase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
