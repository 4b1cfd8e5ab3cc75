/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several who want the lease, or to create the volume, at the same time, in
 * every order that a seed can think of (Y5 to Y8).
 *
 * Each has a thread, a loop and a store of its own over the same objects, but
 * only one runs at a time: at every turn of its loop it hands over to whom the
 * seed says.  So this is deterministic, and a seed that failed can be kept.
 */
#include "config.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "base/strbuf.h"
#include "layout/lease.h"
#include "store/delay.h"
#include "unit/layout/util.h"

#define NACTORS 4

struct stage;

struct actor {
	struct stage *st;
	pthread_t thread;
	pthread_cond_t go;
	bool running, ended;
	struct env v;
	struct loop_hook hook;
	struct lease_owner me;
	struct lease *lease;
	int rc;
	unsigned wins;
};

struct stage {
	pthread_mutex_t lock; /* held by whoever runs: only one does */
	pthread_cond_t over;
	unsigned nended;
	uint64_t rnd;
	unsigned sticky; /* eighths */
	unsigned holders; /* who believe that they have the lease */
	struct mem_data *data;
	struct actor a[NACTORS];
	void (*play)(struct actor *a);
};

static uint32_t
rnd(struct stage *st, uint32_t below)
{
	st->rnd = st->rnd * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((st->rnd >> 33) % below);
}

/* Let somebody go on who has not ended; NULL: all have. */
static struct actor *
pick(struct stage *st)
{
	unsigned from = rnd(st, NACTORS);

	for (unsigned i = 0; i < NACTORS; i++) {
		struct actor *a = &st->a[(from + i) % NACTORS];

		if (!a->ended)
			return a;
	}
	return NULL;
}

static void
wait_turn(struct actor *a)
{
	while (!a->running)
		pthread_cond_wait(&a->go, &a->st->lock);
}

static void
hand_over(struct actor *a)
{
	struct stage *st = a->st;
	struct actor *next;

	/* Some seeds change at every turn, others let each do a lot at once. */
	if (!a->ended && rnd(st, 8) < st->sticky)
		return;
	next = pick(st);
	if (next == a)
		return;
	a->running = false;
	if (next != NULL) {
		next->running = true;
		pthread_cond_signal(&next->go);
	}
	if (!a->ended)
		wait_turn(a);
}

static void
turn(struct loop_hook *h)
{
	hand_over(container_of(h, struct actor, hook));
}

static void *
actor_main(void *arg)
{
	struct actor *a = arg;
	struct stage *st = a->st;

	pthread_mutex_lock(&st->lock);
	wait_turn(a);
	a->v.loop = loop_new_virtual(NULL);
	a->v.data = mem_data_ref(st->data);
	env_store(&a->v, NULL);
	/* So that the loop waits for each, which is where others go on. */
	if (delay_store_new(a->v.store,
		&(struct delay_config){.min_ns = 1, .max_ns = 1},
		&a->v.store, NULL) < 0)
		must(!"memory");
	a->hook.run = turn;
	loop_hook_add(a->v.loop, &a->hook);
	st->play(a);
	loop_hook_del(&a->hook);
	env_fini(&a->v);
	a->ended = true;
	st->nended++;
	hand_over(a);
	pthread_cond_signal(&st->over);
	pthread_mutex_unlock(&st->lock);
	return NULL;
}

static void
perform(struct stage *st, uint64_t seed, void (*play)(struct actor *),
    void (*before)(struct env *v))
{
	struct env v;

	memset(st, 0, sizeof(*st));
	env_init(&v, NULL);
	if (before != NULL)
		before(&v);
	store_free(v.store);
	loop_free(v.loop);
	st->rnd = seed;
	st->sticky = (unsigned)(seed % 8);
	st->data = v.data;
	st->play = play;
	pthread_mutex_init(&st->lock, NULL);
	pthread_cond_init(&st->over, NULL);
	pthread_mutex_lock(&st->lock);
	for (unsigned i = 0; i < NACTORS; i++) {
		struct actor *a = &st->a[i];

		a->st = st;
		pthread_cond_init(&a->go, NULL);
		assert_int_equal(lease_owner_self(&a->me, NULL), 0);
		assert_int_equal(
		    pthread_create(&a->thread, NULL, actor_main, a), 0);
	}
	st->a[0].running = true;
	pthread_cond_signal(&st->a[0].go);
	while (st->nended < NACTORS)
		pthread_cond_wait(&st->over, &st->lock);
	pthread_mutex_unlock(&st->lock);
	for (unsigned i = 0; i < NACTORS; i++) {
		pthread_join(st->a[i].thread, NULL);
		pthread_cond_destroy(&st->a[i].go);
	}
	pthread_cond_destroy(&st->over);
	pthread_mutex_destroy(&st->lock);
}

/* The stage's objects, when it is over. */
static void
stage_end(struct stage *st, size_t objects, uint64_t seed)
{
	struct store_req r;
	struct env v;

	if (mem_data_count(st->data) == objects)
		return;
	v.loop = loop_new_virtual(NULL);
	v.data = st->data;
	env_store(&v, NULL);
	store_req_init(&r, STORE_LIST, NULL);
	r.prefix = "";
	assert_int_equal(store_run(v.store, &r, NULL), 0);
	for (size_t i = 0; i < r.page.n; i++)
		print_error("left: %s\n", r.page.v[i].key);
	fail_msg("seed %d: %zu objects are left, not %zu", (int)seed,
	    mem_data_count(st->data), objects);
}

struct nap {
	struct loop_timer t;
	bool over;
};

static void
nap_over(struct loop_timer *t)
{
	container_of(t, struct nap, t)->over = true;
}

/* A few turns of the loop, so that the others see us hold it. */
static void
hold(struct actor *a)
{
	struct nap n = {.t.fire = nap_over};

	for (int i = 0; i < 5; i++) {
		n.over = false;
		loop_timer_set(a->v.loop, &n.t, loop_now(a->v.loop) + 1000);
		loop_run_until(a->v.loop, &n.over);
	}
}

/* --- the lease ------------------------------------------------------------- */

static void
play_lease(struct actor *a)
{
	struct stage *st = a->st;
	struct err e = ERR_INIT;

	a->rc = lease_acquire(a->v.store, "v/", &a->me, false, &a->lease, &e);
	if (a->rc < 0) {
		must(a->rc == -EBUSY);
		return;
	}
	must(st->holders == 0);
	st->holders++;
	a->wins++;
	hold(a);
	must(st->holders == 1);
	st->holders--;
	must(lease_release(a->lease, &e) == 0);
}

static void
expect_winners(struct stage *st, uint64_t seed)
{
	unsigned wins = 0;

	for (unsigned i = 0; i < NACTORS; i++)
		wins += st->a[i].wins;
	if (wins == 0)
		fail_msg("seed %d: nobody has won", (int)seed);
	stage_end(st, 0, seed);
}

#define SEEDS 300

static void
test_nobody(void **state)
{
	static struct stage st;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		perform(&st, seed, play_lease, NULL);
		expect_winners(&st, seed);
		mem_data_unref(st.data);
	}
}

static struct lease_owner dead[3];

static void
put_owner(struct env *v, const char *key, const struct lease_owner *o)
{
	struct strbuf text = STRBUF_INIT;
	struct meta *m = meta_new();
	struct store_req r;
	struct buf *b;

	assert_int_equal(lease_owner_encode(o, &text, m), 0);
	b = buf_new(text.len);
	memcpy(b->data, text.s, text.len);
	b->len = text.len;
	store_req_init(&r, STORE_PUT, key);
	r.body = b;
	r.meta = m;
	assert_int_equal(store_run(v->store, &r, NULL), 0);
	store_req_fini(&r);
	strbuf_fini(&text);
	meta_unref(m);
	buf_unref(b);
}

static void
make_dead(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lease_owner_self(&dead[i], NULL), 0);
		dead[i].pid = pid;
	}
}

static void
put_dead(struct env *v)
{
	put_owner(v, "v/s3backer-mounted", &dead[0]);
}

/* Two died, the second while it took over from the first. */
static void
put_dead_chain(struct env *v)
{
	char key[100];

	put_owner(v, "v/s3backer-mounted", &dead[0]);
	snprintf(key, sizeof(key), "v/pail-takeover-%s", dead[0].id);
	put_owner(v, key, &dead[1]);
}

static void
test_dead(void **state)
{
	static struct stage st;

	make_dead();
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		perform(&st, seed, play_lease, put_dead);
		expect_winners(&st, seed);
		mem_data_unref(st.data);
		perform(&st, seed, play_lease, put_dead_chain);
		expect_winners(&st, seed);
		mem_data_unref(st.data);
	}
}

/* --- creating ----------------------------------------------------------------- */

static bool plain;

static void
play_create(struct actor *a)
{
	struct layout_params p = params_new(100 + a->me.token % 100);
	struct layout *l;
	struct err e = ERR_INIT;

	p.must_create = true;
	p.lease = LEASE_NONE;
	p.plain_s3backer = plain;
	a->rc = layout_open(a->v.store, "v/", "b", &p, NULL, NULL, &l, &e);
	if (a->rc < 0) {
		must(a->rc == -EEXIST);
		return;
	}
	a->wins++;
	must(layout_close(l, true, &e) == 0);
}

static void
test_create(void **state)
{
	static struct stage st;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		unsigned wins = 0;

		plain = seed % 2;
		perform(&st, seed, play_create, NULL);
		for (unsigned i = 0; i < NACTORS; i++)
			wins += st.a[i].wins;
		if (wins != 1)
			fail_msg("seed %d: %u have won", (int)seed, wins);
		stage_end(&st, 1, seed);
		mem_data_unref(st.data);
	}
}

/* As mounts do it: create if there is none, take the lease, write. */
static void
play_mount(struct actor *a)
{
	struct stage *st = a->st;
	struct layout_params p = params_new(100);
	struct layout *l;
	struct err e = ERR_INIT;

	a->rc = layout_open(a->v.store, "v/", "b", &p, NULL, NULL, &l, &e);
	if (a->rc < 0) {
		must(a->rc == -EBUSY);
		return;
	}
	must(st->holders == 0);
	st->holders++;
	a->wins++;
	must(write_fill(&a->v, l, 3, 'a') == 0);
	hold(a);
	must(read_fill(&a->v, l, 3) == 'a');
	must(erase(&a->v, l, 0, 100) == 0);
	must(st->holders == 1);
	st->holders--;
	must(layout_close(l, true, &e) == 0);
}

static void
test_mount(void **state)
{
	static struct stage st;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		unsigned wins = 0;

		perform(&st, seed, play_mount, NULL);
		for (unsigned i = 0; i < NACTORS; i++)
			wins += st.a[i].wins;
		if (wins == 0)
			fail_msg("seed %d: nobody has won", (int)seed);
		stage_end(&st, 1, seed);
		mem_data_unref(st.data);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_dead),
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_mount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
