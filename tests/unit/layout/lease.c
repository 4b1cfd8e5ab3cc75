/* SPDX-License-Identifier: Apache-2.0 */
/* The lease: one writer, whoever comes and however it ends. */
#include "config.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "layout/admin.h"
#include "layout/lease.h"
#include "unit/layout/util.h"

#define TOKEN "v/s3backer-mounted"

static struct lease_owner
self(void)
{
	struct lease_owner o = {0}; /* compared as bytes, below */

	assert_int_equal(lease_owner_self(&o, NULL), 0);
	return o;
}

/* Put a token as somebody else would. */
static void
put_token(struct env *v, const char *key, const struct lease_owner *o)
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
put_raw(struct env *v, const char *key, const char *body, const char *token)
{
	struct meta *m = meta_new();
	struct buf *b = buf_new(strlen(body) + 1);
	struct store_req r;

	memcpy(b->data, body, strlen(body));
	b->len = strlen(body);
	if (token != NULL)
		meta_add(m, "s3backer-mount-token", token);
	store_req_init(&r, STORE_PUT, key);
	r.body = b;
	r.meta = m;
	assert_int_equal(store_run(v->store, &r, NULL), 0);
	store_req_fini(&r);
	meta_unref(m);
	buf_unref(b);
}

static int
acquire(struct env *v, const struct lease_owner *o, bool force,
    struct lease **l, struct err *e)
{
	err_clear(e);
	return lease_acquire(v->store, "v/", o, force, l, e);
}

static struct lease_owner
holder(struct env *v)
{
	struct lease_state st;

	assert_int_equal(lease_look(v->store, "v/", &st, NULL), 0);
	if (!st.held)
		st.owner.token = 0;
	return st.owner;
}

static void
test_self(void **state)
{
	struct lease_owner a = self(), b = self(), c = {0};
	struct strbuf text = STRBUF_INIT;
	struct meta *m = meta_new();

	assert_int_equal(strlen(a.id), LEASE_ID_LEN);
	assert_string_not_equal(a.id, b.id);
	assert_int_equal(strlen(a.when), 16);
	assert_int_not_equal(a.pid_start, 0);
	assert_int_equal(lease_owner_encode(&a, &text, m), 0);
	lease_owner_decode(&c, m, text.s, text.len);
	assert_memory_equal(&a, &c, sizeof(a));
	/* Alive, and other than this are not known to be dead. */
	assert_false(lease_owner_gone(&a, &b));
	strbuf_fini(&text);
	meta_unref(m);
}

/* What anybody may have put there. */
static void
test_decode(void **state)
{
	static const struct {
		const char *body, *token, *host, *when;
		uint32_t is;
	} v[] = {{"h\n20240102T030405Z\n", "12345678", "h",
		     "20240102T030405Z", 0x12345678},
	    {"h\n20240102T030405Z\n", NULL, "h", "20240102T030405Z", 1},
	    {"h\n20240102T030405Z", "7fffffff", "h", "20240102T030405Z",
		LEASE_TOKEN_SHARED},
	    {"", "00000000", "", "", 1}, {"\n\n", "xyz", "", "", 1},
	    {"no newline", "123", "", "", 1}, {"a b\x01\n", "", "a?b?", "", 1},
	    {"h\n20240102T030405Zandmoreandmore\n", "ABCDEF01", "h",
		"20240102T030405Zand", 1}};

	for (unsigned i = 0; i < sizeof(v) / sizeof(*v); i++) {
		struct meta *m = meta_new();
		struct lease_owner o;

		if (v[i].token != NULL)
			meta_add(m, "s3backer-mount-token", v[i].token);
		lease_owner_decode(&o, m, v[i].body, strlen(v[i].body));
		assert_int_equal(o.token, v[i].is);
		assert_string_equal(o.host, v[i].host);
		assert_string_equal(o.when, v[i].when);
		assert_string_equal(o.id, "");
		meta_unref(m);
	}
}

/* A process that is certainly dead, and was a while ago. */
static struct lease_owner
dead_owner(void)
{
	struct lease_owner o = self();
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	o.pid = pid;
	return o;
}

static void
test_gone(void **state)
{
	struct lease_owner me = self(), o = dead_owner();
	int up[2], down[2];
	pid_t pid;

	assert_true(lease_owner_gone(&o, &me));
	/* Numbers of another namespace say nothing. */
	strcpy(o.pidns, "1");
	assert_false(lease_owner_gone(&o, &me));
	o.pidns[0] = '\0';
	assert_false(lease_owner_gone(&o, &me));

	/* The number is used by another process now. */
	o = self();
	o.pid_start++;
	assert_true(lease_owner_gone(&o, &me));
	o.pid_start = 0;
	assert_false(lease_owner_gone(&o, &me));

	/* Alive, then a zombie, which will not write any more. */
	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(down), 0);
	pid = fork();
	if (pid == 0) {
		o = self();
		close(down[1]);
		if (write(up[1], &o, sizeof(o)) != sizeof(o) ||
		    read(down[0], &o, 1) != 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(up[0], &o, sizeof(o)), sizeof(o));
	assert_int_equal(o.pid, pid);
	assert_false(lease_owner_gone(&o, &me));
	close(down[1]);
	while (!lease_owner_gone(&o, &me))
		usleep(1000);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(up[0]), close(up[1]), close(down[0]);

	/* The machine was booted since. */
	o = self();
	strcpy(o.machine, "0123456789abcdef0123456789abcdef");
	strcpy(me.machine, o.machine);
	strcpy(o.boot, "11111111-2222-3333-4444-555555555555");
	assert_true(lease_owner_gone(&o, &me));
	strcpy(o.host, "other");
	assert_false(lease_owner_gone(&o, &me));
	strcpy(o.host, me.host);
	o.machine[0] = '9';
	assert_false(lease_owner_gone(&o, &me));
	o.machine[0] = me.machine[0] = '\0';
	assert_false(lease_owner_gone(&o, &me));

	/* s3backer says too little. */
	o = dead_owner();
	me = self();
	o.id[0] = '\0';
	assert_false(lease_owner_gone(&o, &me));
}

static const struct mem_config stores[] = {{0}, {.no_if_absent = true}};

/* Two processes of one mount: both have to be gone. */
static void
test_gone_with_holder(void **state)
{
	struct lease_owner me = self(), o = dead_owner(), back = {0};
	struct strbuf text = STRBUF_INIT;
	struct meta *m = meta_new();

	assert_true(lease_owner_gone(&o, &me));
	o.holder = o.pid;
	o.holder_start = o.pid_start;
	assert_true(lease_owner_gone(&o, &me));
	o.holder = getpid();
	o.holder_start = me.pid_start;
	assert_false(lease_owner_gone(&o, &me));
	assert_int_equal(lease_owner_encode(&o, &text, m), 0);
	lease_owner_decode(&back, m, text.s, text.len);
	assert_true(lease_owner_same_process(&o, &back));
	assert_false(lease_owner_gone(&back, &me));
	/* Something is said of a holder, and not understood: no proof. */
	meta_add(m, "pail-holder", "what");
	lease_owner_decode(&back, m, text.s, text.len);
	assert_false(lease_owner_gone(&back, &me));
	/* The holder is dead, the first process is not. */
	lease_owner_serve(&o, dead_owner().pid);
	assert_int_equal(o.pid, getpid());
	assert_false(lease_owner_gone(&o, &me));
	strbuf_fini(&text);
	meta_unref(m);
}

/* Any path, and whatever a header says instead. */
static void
test_journal_of_a_lease(void **state)
{
	static const char *const path[] = {"/var/lib/pail/x.journal",
	    "/a b/\xc3\xa4%41\n", "%", ""};
	static const char *const odd[] = {"%", "%4", "%zz", "%00", "a%"};

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		struct lease_owner o = self(), back;
		struct strbuf text = STRBUF_INIT;
		struct meta *m = meta_new();

		strcpy(o.journal, path[i]);
		assert_int_equal(lease_owner_encode(&o, &text, m), 0);
		lease_owner_decode(&back, m, text.s, text.len);
		assert_string_equal(back.journal, path[i]);
		strbuf_fini(&text);
		meta_unref(m);
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct meta *m = meta_new();
		struct lease_owner back;

		meta_add(m, "pail-journal", odd[i]);
		lease_owner_decode(&back, m, "", 0);
		assert_string_equal(back.journal, odd[i]);
		meta_unref(m);
	}
}

/* Y9: a mount goes on in another process. */
static void
test_resume(void **state)
{
	struct env v;
	struct lease_owner was = dead_owner(), me = was, other = self();
	struct lease *a = NULL, *b = NULL;
	struct err e = ERR_INIT;

	was.holder = getpid(); /* which keeps the lease meanwhile */
	was.holder_start = other.pid_start;
	env_init(&v, &stores[0]);
	put_token(&v, TOKEN, &was);
	assert_int_equal(acquire(&v, &other, false, &b, &e), -EBUSY);
	lease_owner_serve(&me, getpid());
	assert_int_equal(lease_resume(v.store, "v/", &me, &a, &e), 0);
	struct lease_owner now = holder(&v);

	assert_true(lease_owner_same(&now, &was));
	assert_true(lease_owner_same_process(&now, &me));
	lease_free(a);
	/* Somebody has announced to take it over, and died. */
	char key[100];

	snprintf(key, sizeof(key), "v/pail-takeover-%s", me.id);
	now = dead_owner();
	put_token(&v, key, &now);
	lease_owner_serve(&me, 1);
	assert_int_equal(lease_resume(v.store, "v/", &me, &a, &e), 0);
	assert_int_equal(mem_data_count(v.data), 1);
	lease_free(a);
	/* Or is alive, and does not go away. */
	put_token(&v, key, &other);
	assert_int_equal(lease_resume(v.store, "v/", &me, &a, &e), -ESTALE);
	assert_int_equal(lease_break(v.store, "v/", &e), 0);
	/* Somebody has taken it: he keeps it, though he is dead by now. */
	now = dead_owner();
	put_token(&v, TOKEN, &now);
	err_clear(&e);
	assert_int_equal(lease_resume(v.store, "v/", &me, &a, &e), -ESTALE);
	now = holder(&v);
	assert_false(lease_owner_same(&now, &me));
	env_fini(&v);
}

static void
test_one_writer(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct lease_owner a = self(), b = self();
		struct lease *la, *lb;
		struct err e = ERR_INIT;
		struct env v;
		char pid[32];

		env_init(&v, &stores[i]);
		assert_int_equal(acquire(&v, &a, false, &la, &e), 0);
		assert_string_equal(holder(&v).id, a.id);
		assert_int_equal(acquire(&v, &b, false, &lb, &e), -EBUSY);
		snprintf(pid, sizeof(pid), "process %d", (int)getpid());
		assert_non_null(strstr(e.text, pid));
		assert_non_null(strstr(e.text, a.host));
		assert_non_null(strstr(e.text, "pail unlock"));
		assert_int_equal(lease_check(v.store, "v/", &b, &e), -EBUSY);
		assert_int_equal(lease_release(la, &e), 0);
		assert_int_equal(mem_data_count(v.data), 0);
		assert_int_equal(acquire(&v, &b, false, &lb, &e), 0);
		assert_int_equal(lease_release(lb, &e), 0);
		env_fini(&v);
	}
}

/* After a crash the next one on this machine goes on by itself. */
static void
test_recover(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct lease_owner dead = dead_owner(), me = self();
		struct lease *l;
		struct err e = ERR_INIT;
		struct env v;

		env_init(&v, &stores[i]);
		put_token(&v, TOKEN, &dead);
		assert_int_equal(lease_check(v.store, "v/", &me, &e), 0);
		assert_int_equal(mem_data_count(v.data), 1);
		assert_int_equal(acquire(&v, &me, false, &l, &e), 0);
		assert_string_equal(holder(&v).id, me.id);
		assert_int_equal(mem_data_count(v.data), 1);
		assert_int_equal(lease_release(l, &e), 0);
		assert_int_equal(mem_data_count(v.data), 0);
		env_fini(&v);
	}
}

/* Who died while taking over is taken over as well. */
static void
test_recover_chain(void **state)
{
	struct lease_owner x = dead_owner(), y = dead_owner(), me = self();
	char key[100];
	struct lease *l;
	struct err e = ERR_INIT;
	struct env v;

	env_init(&v, NULL);
	put_token(&v, TOKEN, &x);
	snprintf(key, sizeof(key), "v/pail-takeover-%s", x.id);
	put_token(&v, key, &y);
	assert_string_equal(holder(&v).id, y.id);
	assert_int_equal(acquire(&v, &me, false, &l, &e), 0);
	assert_int_equal(mem_data_count(v.data), 1);
	assert_int_equal(lease_release(l, &e), 0);

	/* But not one who lives. */
	y = self();
	put_token(&v, TOKEN, &x);
	put_token(&v, key, &y);
	assert_int_equal(acquire(&v, &me, false, &l, &e), -EBUSY);
	assert_int_equal(mem_data_count(v.data), 2);

	/* What a late one left behind does not count. */
	put_token(&v, TOKEN, &y);
	assert_string_equal(holder(&v).id, y.id);
	env_fini(&v);
}

/* s3backer's own tokens. */
static void
test_s3backer(void **state)
{
	struct lease_owner me = self();
	struct lease *l;
	struct err e = ERR_INIT;
	struct env v;

	env_init(&v, NULL);
	put_raw(&v, TOKEN, "far\n20240102T030405Z\n", "1234abcd");
	assert_int_equal(acquire(&v, &me, false, &l, &e), -EBUSY);
	assert_non_null(strstr(e.text, "s3backer on host far"));
	assert_non_null(strstr(e.text, "2024-01-02 03:04:05 UTC"));
	put_raw(&v, TOKEN, "far\n20240102T030405Z\n", NULL);
	assert_int_equal(acquire(&v, &me, false, &l, &e), -EBUSY);
	put_raw(&v, TOKEN, "far\n20240102T030405Z\n", "7fffffff");
	assert_int_equal(acquire(&v, &me, false, &l, &e), -EBUSY);
	assert_non_null(strstr(e.text, "shared disk mode"));

	assert_int_equal(acquire(&v, &me, true, &l, &e), 0);
	assert_string_equal(holder(&v).id, me.id);
	assert_int_equal(mem_data_count(v.data), 1);
	assert_int_equal(lease_release(l, &e), 0);
	assert_int_equal(mem_data_count(v.data), 0);
	env_fini(&v);
}

/* Y8 */
static void
test_release_foreign(void **state)
{
	struct lease_owner a = self(), b = self();
	struct lease *la, *lb;
	struct err e = ERR_INIT;
	struct env v;

	env_init(&v, NULL);
	assert_int_equal(acquire(&v, &a, false, &la, &e), 0);
	assert_int_equal(acquire(&v, &b, true, &lb, &e), 0);
	assert_int_equal(lease_release(la, &e), -ESTALE);
	assert_string_equal(holder(&v).id, b.id);
	assert_int_equal(lease_break(v.store, "v/", &e), 0);
	assert_int_equal(lease_release(lb, &e), 0);
	assert_int_equal(mem_data_count(v.data), 0);
	env_fini(&v);
}

/* Volumes respect it. */
static void
test_volumes(void **state)
{
	struct layout_params p = params_new(10), q = params_open();
	struct lease_owner dead = dead_owner();
	struct layout *a, *b;
	struct err e = ERR_INIT;
	struct env v;

	env_init(&v, NULL);
	a = env_open(&v, &p, 0);
	env_open(&v, &q, -EBUSY);
	q.lease = LEASE_READER;
	env_open(&v, &q, -EBUSY);
	q.lease = LEASE_NONE;
	b = env_open(&v, &q, 0);
	assert_int_equal(write_fill(&v, b, 0, 1), -EROFS);
	assert_int_equal(erase(&v, b, 0, 1), -EROFS);
	env_close(b);
	env_close(a);

	q.lease = LEASE_READER;
	a = env_open(&v, &q, 0);
	b = env_open(&v, &q, 0);
	assert_int_equal(mem_data_count(v.data), 1);
	assert_int_equal(write_fill(&v, b, 0, 1), -EROFS);
	env_close(a);
	env_close(b);

	/* Creating does not happen under somebody's feet either. */
	assert_int_equal(layout_erase_volume(
			     v.store, "v/", false, NULL, NULL, &e), 0);
	put_raw(&v, TOKEN, "far\n20240102T030405Z\n", "1234abcd");
	env_open(&v, &p, -EBUSY);
	assert_int_equal(mem_data_count(v.data), 1);
	put_token(&v, TOKEN, &dead);
	a = env_open(&v, &p, 0);
	/* Closed without giving it up: the next is told. */
	assert_int_equal(layout_close(a, false, &e), 0);
	assert_int_equal(mem_data_count(v.data), 2);
	env_open(&v, &p, -EBUSY);
	env_fini(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_self),
	    cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_gone),
	    cmocka_unit_test(test_gone_with_holder),
	    cmocka_unit_test(test_journal_of_a_lease),
	    cmocka_unit_test(test_resume),
	    cmocka_unit_test(test_one_writer),
	    cmocka_unit_test(test_recover),
	    cmocka_unit_test(test_recover_chain),
	    cmocka_unit_test(test_s3backer),
	    cmocka_unit_test(test_release_foreign),
	    cmocka_unit_test(test_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
