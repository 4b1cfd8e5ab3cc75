/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What retry and limit promise beyond the contract (R1-R6, L1-L6), in virtual
 * time: mem at the bottom, faults over it, the filter in question on top.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/stat.h"
#include "store/fault.h"
#include "store/late.h"
#include "store/limit.h"
#include "store/mem.h"
#include "store/open.h"
#include "store/retry.h"
#include "store/store.h"

struct ctx {
	struct loop *loop;
	struct mem_data *data;
	struct store *fault; /* over mem */
	struct store *s;     /* the top: it owns the others */
	struct stat_set stats;
};

static int
setup(void **state)
{
	struct ctx *x = calloc(1, sizeof(*x));
	struct store *mem;

	must(x != NULL);
	x->loop = loop_new_virtual(NULL);
	x->data = mem_data_new();
	must(mem_store_open(x->loop, "t", x->data, NULL, &mem, NULL) == 0);
	must(fault_store_new(mem, 1, &x->fault, NULL) == 0);
	x->s = x->fault;
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *x = *state;

	store_free(x->s);
	mem_data_unref(x->data);
	loop_free(x->loop);
	free(x);
	return 0;
}

static void
put_retry(struct ctx *x, struct retry_config c)
{
	c.seed = 5;
	c.stats = &x->stats;
	assert_int_equal(retry_store_new(x->s, &c, &x->s, NULL), 0);
}

static void
put_limit(struct ctx *x, struct limit_config c)
{
	c.stats = &x->stats;
	assert_int_equal(limit_store_new(x->s, &c, &x->s, NULL), 0);
}

static void
rule(struct ctx *x, struct fault_rule r)
{
	assert_int_equal(fault_add(x->fault, &r), 0);
}

static struct buf *
text(const char *s)
{
	struct buf *b = buf_new(64);

	must(b != NULL);
	b->len = strlen(s);
	memcpy(b->data, s, b->len);
	return b;
}

static int
put(struct ctx *x, const char *key, const char *value, bool if_absent,
    struct err *e)
{
	struct store_req r;
	struct buf *b = text(value);
	int rc;

	store_req_init(&r, STORE_PUT, key);
	r.body = b;
	r.if_absent = if_absent;
	rc = store_run(x->s, &r, e);
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static int
get(struct ctx *x, const char *key, struct err *e)
{
	struct store_req r;
	struct buf *b = buf_new(64);
	int rc;

	store_req_init(&r, STORE_GET, key);
	r.body = b;
	rc = store_run(x->s, &r, e);
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static void
assert_has(struct ctx *x, const char *key, const char *value)
{
	size_t len;
	const void *p = mem_data_peek(x->data, key, &len);

	assert_non_null(p);
	assert_int_equal(len, strlen(value));
	assert_memory_equal(p, value, len);
}

struct sleeper {
	struct loop_timer t;
	bool woke;
};

static void
sleeper_fire(struct loop_timer *t)
{
	container_of(t, struct sleeper, t)->woke = true;
}

static void
pass(struct ctx *x, int64_t ns)
{
	struct sleeper s = {.t = {.fire = sleeper_fire}};

	assert_int_equal(
	    loop_timer_set(x->loop, &s.t, loop_now(x->loop) + ns), 0);
	assert_int_equal(loop_run_until(x->loop, &s.woke), 0);
}

static struct retry_state
rstate(struct ctx *x)
{
	struct retry_state st;

	retry_store_state(x->s, &st);
	return st;
}

#define PUTS (1u << STORE_PUT)
#define GETS (1u << STORE_GET)

/* --- retry -------------------------------------------------------------------- */

static void
R1_permanent_errors_end_it(void **state)
{
	static const int permanent[] = {-EACCES, -EINVAL, -EIO, -ENOSPC,
	    -EOPNOTSUPP, -EMSGSIZE, -ERANGE};
	struct ctx *x = *state;
	struct fault_state fs;
	struct err e = ERR_INIT;

	put_retry(x, (struct retry_config){0});
	for (size_t i = 0; i < sizeof(permanent) / sizeof(int); i++) {
		rule(x, (struct fault_rule){.rc = permanent[i]});
		assert_int_equal(get(x, "k", &e), permanent[i]);
		assert_null(strstr(err_text(&e), "gave up"));
		fault_clear(x->fault);
	}
	fault_state(x->fault, &fs);
	assert_int_equal(fs.seen, sizeof(permanent) / sizeof(int));
	assert_int_equal(get(x, "k", &e), -ENOENT);
	assert_int_equal(rstate(x).retries, 0);
}

static void
transient_errors_pass(void **state)
{
	struct ctx *x = *state;

	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.times = 5, .rc = -ECONNREFUSED});
	assert_int_equal(put(x, "k", "v", false, NULL), 0);
	assert_has(x, "k", "v");
	assert_int_equal(rstate(x).retries, 5);
	assert_int_equal(stat_get(&x->stats, STAT_STORE_RETRIES), 5);
	assert_int_equal(stat_get(&x->stats, STAT_STORE_ERR_CONNECT), 5);
	assert_int_equal(rstate(x).waiting, 0);
}

static void
R2_waits_grow_and_differ(void **state)
{
	struct ctx *x = *state;
	int64_t t0 = loop_now(x->loop), sum = 0;

	put_retry(x, (struct retry_config){.deadline_ns = 3600 * NS_PER_S,
	    .first_ns = 100 * NS_PER_MS, .max_ns = 1600 * NS_PER_MS});
	/* Uniform in 0 to 100, 200, ... 1600 ms: half of it on average. */
	for (int i = 0; i < 200; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%d", i);
		fault_clear(x->fault);
		rule(x, (struct fault_rule){.times = 4, .rc = -EAGAIN});
		t0 = loop_now(x->loop);
		assert_int_equal(get(x, key, NULL), -ENOENT);
		assert_true(loop_now(x->loop) - t0 <= 1500 * NS_PER_MS);
		sum += loop_now(x->loop) - t0;
	}
	assert_in_range(sum / 200 / NS_PER_MS, 650, 850);
	/* and no longer than max: 20 tries wait 16 * 0.8 s, not 2^20. */
	fault_clear(x->fault);
	rule(x, (struct fault_rule){.times = 20, .rc = -EAGAIN});
	t0 = loop_now(x->loop);
	assert_int_equal(get(x, "k", NULL), -ENOENT);
	assert_true(loop_now(x->loop) - t0 < 28 * NS_PER_S);
}

static void
R2_retry_after(void **state)
{
	struct ctx *x = *state;
	int64_t t0 = loop_now(x->loop);
	struct err e = ERR_INIT;

	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.times = 1, .rc = -EAGAIN,
	    .retry_after_ns = 7 * NS_PER_S});
	assert_int_equal(get(x, "k", NULL), -ENOENT);
	assert_in_range(loop_now(x->loop) - t0, 7 * NS_PER_S, 8 * NS_PER_S);
	/* Longer than the deadline: no use to wait at all. */
	rule(x, (struct fault_rule){.times = 1, .rc = -EAGAIN,
	    .retry_after_ns = 120 * NS_PER_S});
	t0 = loop_now(x->loop);
	assert_int_equal(get(x, "k", &e), -EAGAIN);
	assert_int_equal(loop_now(x->loop), t0);
	assert_non_null(strstr(err_text(&e), "asked to wait 120 s"));
}

static void
R3_it_gives_up(void **state)
{
	struct ctx *x = *state;
	int64_t t0 = loop_now(x->loop), took;
	struct err e = ERR_INIT;

	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.rc = -EHOSTUNREACH});
	assert_int_equal(get(x, "k", &e), -EHOSTUNREACH);
	took = loop_now(x->loop) - t0;
	assert_in_range(took, 20 * NS_PER_S, 30 * NS_PER_S);
	assert_non_null(strstr(err_text(&e), "gave up after "));
	assert_non_null(strstr(err_text(&e), " tries: mem:t: GET k: "));
	assert_int_equal(rstate(x).gave_up, 1);
	assert_int_equal(rstate(x).failing_ns, t0);
	fault_clear(x->fault);
	assert_int_equal(get(x, "k", &e), -ENOENT);
	assert_int_equal(rstate(x).failing_ns, 0);
}

static void
damaged_answers_are_not_asked_for_ever(void **state)
{
	struct ctx *x = *state;
	struct err e = ERR_INIT;

	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.rc = -EBADMSG});
	assert_int_equal(get(x, "k", &e), -EBADMSG);
	assert_int_equal(rstate(x).retries, 2);
}

static void
R4_unanswered_writes_may_be_done(void **state)
{
	struct ctx *x = *state;
	struct err e = ERR_INIT;

	put_retry(x, (struct retry_config){0});
	/* The first try is not answered; the others say it was not done. */
	rule(x, (struct fault_rule){.times = 1, .kind = FAULT_LOST});
	rule(x, (struct fault_rule){.rc = -ECONNREFUSED});
	assert_int_equal(put(x, "k", "v", false, &e), -ETIMEDOUT);
	assert_non_null(strstr(err_text(&e), "Connection refused"));
	assert_has(x, "k", "v");
	/* Also if the others fail for good. */
	fault_clear(x->fault);
	pass(x, 60 * NS_PER_S);
	rule(x, (struct fault_rule){.times = 1, .kind = FAULT_LOST});
	rule(x, (struct fault_rule){.rc = -EACCES});
	assert_int_equal(put(x, "k", "w", false, &e), -ETIMEDOUT);
	assert_has(x, "k", "w");
	/* A GET has no such doubts. */
	fault_clear(x->fault);
	rule(x, (struct fault_rule){.times = 1, .kind = FAULT_LOST});
	rule(x, (struct fault_rule){.rc = -EACCES});
	assert_int_equal(get(x, "k", &e), -EACCES);
}

static void
R5_its_own_object(void **state)
{
	static const int doubtful[] = {-ETIMEDOUT, -EAGAIN, -EPIPE, -EBADMSG};
	struct ctx *x = *state;
	char key[16];

	put_retry(x, (struct retry_config){0});
	for (size_t i = 0; i < sizeof(doubtful) / sizeof(int); i++) {
		snprintf(key, sizeof(key), "ours%zu", i);
		rule(x, (struct fault_rule){.ops = PUTS, .times = 1,
		    .kind = FAULT_LOST, .rc = doubtful[i]});
		assert_int_equal(put(x, key, "me", true, NULL), 0);
		assert_int_equal(rstate(x).settled, i + 1);
		assert_int_equal(put(x, key, "me", true, NULL), -EEXIST);
		fault_clear(x->fault);
	}
}

static void
R5_somebody_elses_object(void **state)
{
	static const char *const theirs[] = {"he", "", "me and more",
	    "one that is longer than the buffer of a reader that knows me"};
	struct ctx *x = *state;
	char key[16];

	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		snprintf(key, sizeof(key), "his%zu", i);
		assert_int_equal(put(x, key, theirs[i], false, NULL), 0);
	}
	put_retry(x, (struct retry_config){0});
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		snprintf(key, sizeof(key), "his%zu", i);
		rule(x, (struct fault_rule){.ops = PUTS, .times = 1,
		    .rc = -EAGAIN});
		/* and reading it back is not easy */
		rule(x, (struct fault_rule){.ops = GETS, .times = 2,
		    .rc = -EAGAIN});
		assert_int_equal(put(x, key, "me", true, NULL), -EEXIST);
		fault_clear(x->fault);
		assert_has(x, key, theirs[i]);
	}
	assert_int_equal(rstate(x).settled, 0);
}

/* Connections that were never made leave no doubt: no read back. */
static void
R5_no_doubt_no_question(void **state)
{
	struct ctx *x = *state;

	assert_int_equal(put(x, "k", "me", false, NULL), 0);
	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.ops = PUTS, .times = 3,
	    .rc = -ECONNREFUSED});
	rule(x, (struct fault_rule){.ops = GETS, .rc = -EIO});
	assert_int_equal(put(x, "k", "me", true, NULL), -EEXIST);
}

/* The one that everybody forgets: a PUT that timed out arrives late. */
static void
R6_a_late_put_cannot_replace_what_follows(void **state)
{
	struct ctx *x = *state;
	struct fault_state fs;
	int64_t t0;

	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.ops = PUTS, .times = 1,
	    .kind = FAULT_LATE, .late_ns = 20 * NS_PER_S});
	assert_int_equal(put(x, "k", "first", false, NULL), 0);
	assert_has(x, "k", "first"); /* by the second try */
	t0 = loop_now(x->loop);
	/* Others are not held up. */
	assert_int_equal(put(x, "other", "v", false, NULL), 0);
	assert_int_equal(get(x, "k", NULL), 0);
	assert_int_equal(loop_now(x->loop), t0);
	assert_int_equal(put(x, "k", "second", false, NULL), 0);
	assert_true(loop_now(x->loop) - t0 > 20 * NS_PER_S);
	assert_true(loop_now(x->loop) - t0 <= 30 * NS_PER_S);
	assert_int_equal(rstate(x).held, 1);
	pass(x, 60 * NS_PER_S);
	assert_has(x, "k", "second");
	fault_state(x->fault, &fs);
	assert_int_equal(fs.late, 0);
	/* After that all is as before. */
	t0 = loop_now(x->loop);
	assert_int_equal(put(x, "k", "third", false, NULL), 0);
	assert_int_equal(loop_now(x->loop), t0);
}

/* The same without R6: this is what the test above would see. */
static void
without_R6_it_does(void **state)
{
	struct ctx *x = *state;

	put_retry(x, (struct retry_config){.late_ns = -1});
	rule(x, (struct fault_rule){.ops = PUTS, .times = 1,
	    .kind = FAULT_LATE, .late_ns = 20 * NS_PER_S});
	assert_int_equal(put(x, "k", "first", false, NULL), 0);
	assert_int_equal(put(x, "k", "second", false, NULL), 0);
	pass(x, 60 * NS_PER_S);
	assert_has(x, "k", "first");
}

static void
R6_holds_after_giving_up(void **state)
{
	struct ctx *x = *state;
	int64_t t0;

	put_retry(x, (struct retry_config){.deadline_ns = NS_PER_S});
	rule(x, (struct fault_rule){.ops = PUTS, .kind = FAULT_LATE,
	    .late_ns = 15 * NS_PER_S});
	assert_int_equal(put(x, "k", "first", false, NULL), -ETIMEDOUT);
	fault_clear(x->fault);
	t0 = loop_now(x->loop);
	assert_int_equal(put(x, "k", "second", false, NULL), 0);
	assert_true(loop_now(x->loop) - t0 >= 28 * NS_PER_S);
	pass(x, 60 * NS_PER_S);
	assert_has(x, "k", "second");
}

static void
R7_nobody_there(void **state)
{
	const struct retry_config c = {.start_ns = 4 * NS_PER_S};
	struct ctx *x = *state;
	struct err e = ERR_INIT;
	int64_t t0 = loop_now(x->loop);

	put_retry(x, c);
	rule(x, (struct fault_rule){.rc = -ECONNREFUSED});
	assert_int_equal(get(x, "k", &e), -ECONNREFUSED);
	assert_in_range(loop_now(x->loop) - t0, NS_PER_S, 4 * NS_PER_S);
	assert_non_null(strstr(err_text(&e), "gave up"));
	/* Accepts, and never answers. */
	fault_clear(x->fault);
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	t0 = loop_now(x->loop);
	assert_int_equal(get(x, "k", &e), -ETIMEDOUT);
	assert_in_range(loop_now(x->loop) - t0, 3 * NS_PER_S, 4 * NS_PER_S);
}

static void
R7_somebody_was_there(void **state)
{
	const struct retry_config c = {.start_ns = 4 * NS_PER_S};
	struct ctx *x = *state;
	int64_t t0 = loop_now(x->loop);

	put_retry(x, c);
	/* Busy is an answer. */
	rule(x, (struct fault_rule){.times = 1, .rc = -EAGAIN});
	rule(x, (struct fault_rule){.rc = -ECONNREFUSED});
	assert_int_equal(get(x, "k", NULL), -ECONNREFUSED);
	assert_true(loop_now(x->loop) - t0 > 10 * NS_PER_S);
}

static void
count_done(struct store_req *r)
{
	++*(unsigned *)r->arg;
}

static void
cancel_while_waiting(void **state)
{
	struct ctx *x = *state;
	unsigned done = 0;
	struct store_req r;
	struct buf *b = text("v");

	put_retry(x, (struct retry_config){0});
	/* between tries */
	rule(x, (struct fault_rule){.rc = -EAGAIN});
	store_req_init(&r, STORE_GET, "k");
	r.body = b;
	r.done = count_done;
	r.arg = &done;
	store_submit(x->s, &r);
	pass(x, 3 * NS_PER_S);
	assert_int_equal(done, 0);
	assert_int_equal(rstate(x).waiting, 1);
	store_cancel(&r);
	assert_int_equal(done, 0);
	pass(x, 1);
	assert_int_equal(done, 1);
	assert_int_equal(r.rc, -ECANCELED);
	store_req_fini(&r);
	/* while it is held (R6) */
	fault_clear(x->fault);
	rule(x, (struct fault_rule){.times = 1, .rc = -ETIMEDOUT});
	assert_int_equal(put(x, "h", "v", false, NULL), 0);
	store_req_init(&r, STORE_DELETE, "h");
	r.done = count_done;
	r.arg = &done;
	store_submit(x->s, &r);
	pass(x, NS_PER_S);
	assert_int_equal(done, 1);
	store_cancel(&r);
	pass(x, 1);
	assert_int_equal(done, 2);
	assert_int_equal(r.rc, -ECANCELED);
	assert_has(x, "h", "v");
	assert_int_equal(rstate(x).waiting, 0);
	buf_unref(b);
}

static void
an_outage(void **state)
{
	struct ctx *x = *state;
	int64_t now = loop_now(x->loop);

	put_limit(x, (struct limit_config){0});
	put_retry(x, (struct retry_config){0});
	rule(x, (struct fault_rule){.rc = -EHOSTUNREACH,
	    .until_ns = now + 12 * NS_PER_S});
	assert_int_equal(put(x, "k", "v", false, NULL), 0);
	assert_in_range(loop_now(x->loop) - now, 12 * NS_PER_S, 18 * NS_PER_S);
	assert_has(x, "k", "v");
}

/* --- the table of late keys ------------------------------------------------------ */

static void
late_keys(void **state)
{
	struct late *t = calloc(1, sizeof(*t));
	char key[16];

	assert_int_equal(late_until(t, "k", 5), 0);
	late_add(t, "k", 5, 100);
	late_add(t, "k", 6, 90); /* the later one counts */
	assert_int_equal(late_until(t, "k", 7), 100);
	assert_int_equal(late_until(t, "l", 7), 0);
	assert_int_equal(late_until(t, "k", 100), 0);
	/* Many more than there are places: every one is still known. */
	for (int i = 0; i < 5 * LATE_SLOTS; i++) {
		snprintf(key, sizeof(key), "%d", i);
		late_add(t, key, 200, 1000 + i);
	}
	for (int i = 0; i < 5 * LATE_SLOTS; i++) {
		snprintf(key, sizeof(key), "%d", i);
		assert_true(late_until(t, key, 201) >= 1000 + i);
	}
	/* And when all are past, the places are free again. */
	assert_int_equal(late_until(t, "17", 100000), 0);
	late_add(t, "k", 100000, 100100);
	assert_int_equal(late_until(t, "17", 100001), 0);
	assert_int_equal(late_until(t, "k", 100001), 100100);
	free(t);
}

/* --- limit ------------------------------------------------------------------------- */

#define MANY 64

struct swarm {
	struct store_req r[MANY];
	struct buf *b;
	unsigned n;
	unsigned order[MANY]; /* in which they ended */
	unsigned ended;
	bool all;
};

static void
swarm_done(struct store_req *r)
{
	struct swarm *w = r->arg;

	w->order[w->ended++] = (unsigned)(r - w->r);
	w->all = w->ended == w->n;
}

static unsigned
swarm_add(struct ctx *x, struct swarm *w, enum store_prio p)
{
	struct store_req *r = &w->r[w->n];

	if (w->b == NULL)
		w->b = text("x");
	store_req_init(r, STORE_GET, "k");
	r->prio = p;
	r->body = w->b;
	r->done = swarm_done;
	r->arg = w;
	store_submit(x->s, r);
	return w->n++;
}

static void
swarm_end(struct ctx *x, struct swarm *w)
{
	fault_clear(x->fault);
	fault_release(x->fault);
	assert_int_equal(loop_run_until(x->loop, &w->all), 0);
	buf_unref(w->b);
}

static unsigned
hanging(struct ctx *x)
{
	struct fault_state fs;

	fault_state(x->fault, &fs);
	return fs.hanging;
}

static struct limit_state
lstate(struct ctx *x)
{
	struct limit_state st;

	limit_store_state(x->s, &st);
	return st;
}

static void
L1_L2_shares(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};

	put_limit(x, (struct limit_config){.max = 16});
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	for (int i = 0; i < 10; i++)
		swarm_add(x, &w, STORE_PRIO_BACKGROUND);
	assert_int_equal(hanging(x), 4); /* 1/4 */
	for (int i = 0; i < 10; i++)
		swarm_add(x, &w, STORE_PRIO_READAHEAD);
	assert_int_equal(hanging(x), 8); /* 1/2 */
	for (int i = 0; i < 20; i++)
		swarm_add(x, &w, STORE_PRIO_WRITE);
	assert_int_equal(hanging(x), 12); /* 3/4 */
	for (int i = 0; i < 20; i++)
		swarm_add(x, &w, STORE_PRIO_READ);
	assert_int_equal(hanging(x), 16);
	assert_int_equal(lstate(x).queued[STORE_PRIO_READ], 16);
	assert_int_equal(stat_get(&x->stats, STAT_STORE_WAITING), 44);
	assert_int_equal(stat_get(&x->stats, STAT_STORE_SLOTS), 16);
	swarm_end(x, &w);
	assert_int_equal(stat_get(&x->stats, STAT_STORE_WAITING), 0);
	assert_int_equal(lstate(x).inflight, 0);
}

static void
L2_reads_leave_room_for_writes(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};

	put_limit(x, (struct limit_config){.max = 16});
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	for (int i = 0; i < 30; i++)
		swarm_add(x, &w, STORE_PRIO_READ);
	assert_int_equal(hanging(x), 14);
	swarm_add(x, &w, STORE_PRIO_WRITE);
	assert_int_equal(hanging(x), 15);
	swarm_end(x, &w);
}

struct readers { /* each asks again as soon as it has its answer */
	struct store *s;
	struct store_req r[16];
	unsigned left, active;
	bool idle;
};

static void
read_again(struct store_req *r)
{
	struct readers *q = r->arg;
	struct buf *b = r->body;

	store_req_fini(r);
	if (q->left == 0) {
		q->idle = --q->active == 0;
		return;
	}
	q->left--;
	store_req_init(r, STORE_GET, "k");
	r->body = b;
	r->done = read_again;
	r->arg = q;
	store_submit(q->s, r);
}

/* However few the slots are, and however many read without a pause. */
static void
neither_starves(struct ctx *x, unsigned slots)
{
	static struct readers q;
	struct swarm w = {0};

	put_limit(x, (struct limit_config){.max = slots});
	w.b = text("x");
	q = (struct readers){.s = x->s, .left = 1000};
	for (; q.active < 16; q.active++) {
		q.r[q.active].body = w.b;
		q.r[q.active].arg = &q;
		read_again(&q.r[q.active]);
	}
	swarm_add(x, &w, STORE_PRIO_WRITE);
	swarm_add(x, &w, STORE_PRIO_WRITE);
	assert_int_equal(loop_run_until(x->loop, &w.all), 0);
	if (q.left < 900)
		fail_msg("%u slots: %u reads before two writes", slots,
		    1000 - q.left);
	assert_int_equal(loop_run_until(x->loop, &q.idle), 0);
	buf_unref(w.b);
}

static void
L2_neither_starves(void **state)
{
	neither_starves(*state, 8);
	neither_starves(*state, 4);
	neither_starves(*state, 2);
	neither_starves(*state, 1);
}

static void
L6_writes_yield_to_reads(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};

	put_limit(x, (struct limit_config){.max = 16, .yields = true});
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	swarm_add(x, &w, STORE_PRIO_READ);
	for (int i = 0; i < 20; i++)
		swarm_add(x, &w, STORE_PRIO_WRITE);
	for (int i = 0; i < 5; i++)
		swarm_add(x, &w, STORE_PRIO_BACKGROUND);
	assert_int_equal(hanging(x), 2);
	swarm_add(x, &w, STORE_PRIO_READAHEAD);
	assert_int_equal(hanging(x), 3);
	swarm_end(x, &w); /* all of them end */
	assert_int_equal(lstate(x).inflight, 0);
}

/* With nobody who reads it is as if there were none. */
static void
L6_or_have_all(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};

	put_limit(x, (struct limit_config){.max = 16, .yields = true});
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	for (int i = 0; i < 20; i++)
		swarm_add(x, &w, STORE_PRIO_WRITE);
	assert_int_equal(hanging(x), 12);
	swarm_end(x, &w);
}

static void
L3_the_order(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};

	put_limit(x, (struct limit_config){.max = 1});
	rule(x, (struct fault_rule){.kind = FAULT_HANG, .times = 1});
	swarm_add(x, &w, STORE_PRIO_BACKGROUND); /* 0 has the slot */
	swarm_add(x, &w, STORE_PRIO_BACKGROUND); /* 1 */
	swarm_add(x, &w, STORE_PRIO_READAHEAD);	 /* 2 */
	swarm_add(x, &w, STORE_PRIO_WRITE);	 /* 3 */
	swarm_add(x, &w, STORE_PRIO_READ);	 /* 4 */
	swarm_add(x, &w, STORE_PRIO_READ);	 /* 5 */
	swarm_add(x, &w, STORE_PRIO_WRITE);	 /* 6 */
	store_cancel(&w.r[5]);
	swarm_end(x, &w);
	assert_int_equal(w.r[5].rc, -ECANCELED);
	/* 5 ends first: it only left the queue. */
	assert_memory_equal(w.order,
	    ((unsigned[]){5, 0, 4, 3, 6, 2, 1}), 7 * sizeof(unsigned));
}

static void
L4_slow_down(void **state)
{
	struct ctx *x = *state;
	int64_t t0 = loop_now(x->loop);

	put_limit(x, (struct limit_config){.max = 64});
	assert_int_equal(lstate(x).slots, 64);
	rule(x, (struct fault_rule){.times = 10, .rc = -EAGAIN});
	for (int i = 0; i < 10; i++)
		get(x, "k", NULL);
	assert_int_equal(loop_now(x->loop), t0);
	assert_int_equal(lstate(x).slots, 32); /* once in a second */
	assert_int_equal(lstate(x).slowdowns, 1);
	for (int i = 0; i < 12; i++) {
		pass(x, NS_PER_S);
		rule(x, (struct fault_rule){.times = 1, .rc = -EAGAIN});
		get(x, "k", NULL);
	}
	assert_int_equal(lstate(x).slots, 2); /* never fewer */
	for (int i = 0; i < 2 + 3 + 4 + 5; i++)
		get(x, "k", NULL);
	assert_int_equal(lstate(x).slots, 6);
	for (int i = 0; i < 5000; i++)
		get(x, "k", NULL);
	assert_int_equal(lstate(x).slots, 64); /* never more */
	/* Other errors say nothing about load. */
	rule(x, (struct fault_rule){.times = 5, .rc = -ECONNREFUSED});
	for (int i = 0; i < 5; i++)
		get(x, "k", NULL);
	assert_int_equal(lstate(x).slots, 64);
}

static void
L5_time_begins_with_the_slot(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};
	int64_t t0 = loop_now(x->loop);

	put_limit(x, (struct limit_config){.max = 1, .try_ns = 3 * NS_PER_S});
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	for (int i = 0; i < 4; i++)
		swarm_add(x, &w, STORE_PRIO_READ);
	assert_int_equal(loop_run_until(x->loop, &w.all), 0);
	assert_int_equal(loop_now(x->loop) - t0, 12 * NS_PER_S);
	for (int i = 0; i < 4; i++)
		assert_int_equal(w.r[i].rc, -ETIMEDOUT);
	buf_unref(w.b);
}

static void
L5_too_late_in_the_queue(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};
	struct fault_state fs;

	put_limit(x, (struct limit_config){.max = 1, .try_ns = 3 * NS_PER_S});
	rule(x, (struct fault_rule){.kind = FAULT_HANG});
	swarm_add(x, &w, STORE_PRIO_READ);
	store_req_init(&w.r[1], STORE_GET, "k");
	w.r[1].body = w.b;
	w.r[1].done = swarm_done;
	w.r[1].arg = &w;
	w.r[1].deadline_ns = loop_now(x->loop) + NS_PER_S;
	w.n = 2;
	store_submit(x->s, &w.r[1]);
	assert_int_equal(loop_run_until(x->loop, &w.all), 0);
	assert_int_equal(w.r[1].rc, -ETIMEDOUT);
	assert_non_null(strstr(err_text(&w.r[1].err), "slots"));
	fault_state(x->fault, &fs);
	assert_int_equal(fs.seen, 1); /* it was never sent */
	buf_unref(w.b);
}

/* Pauses between tries hold no slot. */
static void
others_go_on_meanwhile(void **state)
{
	struct ctx *x = *state;
	struct swarm w = {0};
	int64_t t0 = loop_now(x->loop);

	assert_int_equal(store_stack(x->s,
	    &(struct store_tuning){.max_inflight = 1}, NULL, &x->s, NULL), 0);
	rule(x, (struct fault_rule){.key = "k", .rc = -EHOSTUNREACH});
	swarm_add(x, &w, STORE_PRIO_READ);
	for (int i = 0; i < 100; i++)
		assert_int_equal(get(x, "other", NULL), -ENOENT);
	assert_int_equal(loop_now(x->loop), t0);
	swarm_end(x, &w);
}

/* --- stat --------------------------------------------------------------------------- */

static void
numbers(void **state)
{
	struct ctx *x = *state;
	struct stat_set *st = &x->stats;

	assert_int_equal(store_stack(x->s, &(struct store_tuning){0}, st,
	    &x->s, NULL), 0);
	assert_int_equal(put(x, "k", "12345", false, NULL), 0);
	assert_int_equal(get(x, "k", NULL), 0);
	assert_int_equal(get(x, "l", NULL), -ENOENT);
	rule(x, (struct fault_rule){.times = 1, .rc = -EAGAIN});
	assert_int_equal(get(x, "k", NULL), 0);
	rule(x, (struct fault_rule){.times = 1, .rc = -EACCES});
	assert_int_equal(get(x, "k", NULL), -EACCES);
	assert_int_equal(stat_get(st, STAT_STORE_GETS), 4);
	assert_int_equal(stat_get(st, STAT_STORE_PUTS), 1);
	assert_int_equal(stat_get(st, STAT_STORE_READ_BYTES), 10);
	assert_int_equal(stat_get(st, STAT_STORE_WRITE_BYTES), 5);
	assert_int_equal(stat_get(st, STAT_STORE_INFLIGHT), 0);
	assert_int_equal(stat_get(st, STAT_STORE_RETRIES), 1);
	assert_int_equal(stat_get(st, STAT_STORE_FAILED), 1);
	assert_int_equal(stat_get(st, STAT_STORE_ERR_BUSY), 1);
	assert_int_equal(stat_get(st, STAT_STORE_ERR_REFUSED), 1);
	assert_int_equal(st->hist[HIST_STORE_GET].count, 3);
	assert_int_equal(st->hist[HIST_STORE_QUEUE].count, 6);
}

/* --- mem loses what was not synced ----------------------------------------------------- */

static void
mem_crashes(void **state)
{
	struct mem_data *d = mem_data_new();
	struct loop *l = loop_new_virtual(NULL);
	struct ctx x = {.loop = l, .data = d};
	unsigned kept = 0, lost = 0;
	struct store_req sync;
	size_t len;

	for (uint64_t seed = 0; seed < 50; seed++) {
		struct mem_config c = {.needs_sync = true};

		assert_int_equal(mem_store_open(l, "c", d, &c, &x.s, NULL), 0);
		assert_int_equal(put(&x, "a", "old", false, NULL), 0);
		store_req_init(&sync, STORE_SYNC, NULL);
		assert_int_equal(store_run(x.s, &sync, NULL), 0);
		assert_int_equal(put(&x, "a", "new", false, NULL), 0);
		assert_int_equal(put(&x, "b", "b", false, NULL), 0);
		store_free(x.s);
		mem_data_crash(d, seed);
		assert_non_null(mem_data_peek(d, "a", &len));
		if (memcmp(mem_data_peek(d, "a", &len), "new", 3) == 0)
			kept++;
		else
			assert_has(&x, "a", "old");
		if (mem_data_peek(d, "b", &len) == NULL)
			lost++;
		/* Begin anew, durably. */
		assert_int_equal(mem_store_open(l, "c", d, NULL, &x.s, NULL),
		    0);
		struct store_req r;

		store_req_init(&r, STORE_DELETE, "b");
		assert_int_equal(store_run(x.s, &r, NULL), 0);
		store_free(x.s);
	}
	assert_in_range(kept, 10, 40);
	assert_in_range(lost, 10, 40);
	mem_data_unref(d);
	loop_free(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(R1_permanent_errors_end_it),
		T(transient_errors_pass),
		T(R2_waits_grow_and_differ),
		T(R2_retry_after),
		T(R3_it_gives_up),
		T(damaged_answers_are_not_asked_for_ever),
		T(R4_unanswered_writes_may_be_done),
		T(R5_its_own_object),
		T(R5_somebody_elses_object),
		T(R5_no_doubt_no_question),
		T(R6_a_late_put_cannot_replace_what_follows),
		T(without_R6_it_does),
		T(R6_holds_after_giving_up),
		T(R7_nobody_there),
		T(R7_somebody_was_there),
		T(cancel_while_waiting),
		T(an_outage),
		cmocka_unit_test(late_keys),
		T(L1_L2_shares),
		T(L2_reads_leave_room_for_writes),
		T(L2_neither_starves),
		T(L6_writes_yield_to_reads),
		T(L6_or_have_all),
		T(L3_the_order),
		T(L4_slow_down),
		T(L5_time_begins_with_the_slot),
		T(L5_too_late_in_the_queue),
		T(others_go_on_meanwhile),
		T(numbers),
		cmocka_unit_test(mem_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
