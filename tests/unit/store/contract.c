/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract tests.  Each gets a fresh loop and store in struct ctx; the
 * do_*() functions ask one thing and wait.
 */
#include "unit/store/contract.h"

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
#include "base/must.h"
#include "store/rnd.h"
#include "store/store.h"

struct ctx {
	const struct contract *c;
	struct loop *loop;
	struct store *s;
	char text[8][STORE_KEY_MAX + 64];
	unsigned ntext;
};

static const struct contract *current; /* what contract_run runs */

/* --- asking and waiting ------------------------------------------------------ */

/* A key under the prefix; good for the next few calls. */
static const char *
key(struct ctx *x, const char *name)
{
	char *s = x->text[x->ntext++ % 8];

	snprintf(s, sizeof(x->text[0]), "%s%s", x->c->prefix, name);
	return s;
}

static struct buf *
bytes(size_t n, uint64_t seed)
{
	struct buf *b = buf_new(n > 0 ? n : 1);

	must(b != NULL);
	for (size_t i = 0; i < n; i++)
		b->data[i] = (uint8_t)rnd_next(&seed);
	b->len = n;
	return b;
}

static int
do_put_to(struct store *s, const char *k, size_t n, uint64_t seed,
    struct meta *m, bool if_absent, char *tag)
{
	struct store_req r;
	struct buf *b = bytes(n, seed);
	int rc;

	store_req_init(&r, STORE_PUT, k);
	r.prio = STORE_PRIO_WRITE;
	r.body = b;
	r.meta = m;
	r.if_absent = if_absent;
	rc = store_run(s, &r, NULL);
	if (tag != NULL)
		memcpy(tag, r.tag, STORE_TAG_MAX);
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static int
do_put(struct ctx *x, const char *k, size_t n, uint64_t seed)
{
	return do_put_to(x->s, k, n, seed, NULL, false, NULL);
}

static int
do_simple(struct store *s, enum store_op op, const char *k)
{
	struct store_req r;
	int rc;

	store_req_init(&r, op, k);
	rc = store_run(s, &r, NULL);
	store_req_fini(&r);
	return rc;
}

static void
assert_bytes(const struct buf *b, size_t n, uint64_t seed, size_t off,
    size_t len)
{
	struct buf *want = bytes(n, seed);

	assert_int_equal(b->len, len);
	assert_memory_equal(b->data, want->data + off, len);
	buf_unref(want);
}

/* The object under k is n bytes of seed. */
static void
assert_object(struct store *s, const char *k, size_t n, uint64_t seed)
{
	struct store_req r;
	struct buf *b = buf_new(n > 0 ? n : 1);

	store_req_init(&r, STORE_GET, k);
	r.body = b;
	assert_int_equal(store_run(s, &r, NULL), 0);
	assert_int_equal(r.size, n);
	assert_bytes(b, n, seed, 0, n);
	store_req_fini(&r);
	buf_unref(b);
}

static void
assert_absent(struct store *s, const char *k)
{
	struct store_req r;
	struct buf *b = buf_new(16);

	store_req_init(&r, STORE_GET, k);
	r.body = b;
	assert_int_equal(store_run(s, &r, NULL), -ENOENT);
	assert_int_equal(r.err.rc, 0); /* no sentence about the usual */
	store_req_fini(&r);
	buf_unref(b);
}

static int
do_list(struct store *s, struct store_req *r, const char *prefix,
    const char *after, const char *before, unsigned max)
{
	store_req_init(r, STORE_LIST, NULL);
	r->prefix = prefix;
	r->start_after = after;
	r->end_before = before;
	r->max_keys = max;
	return store_run(s, r, NULL);
}

/* All pages of a listing as one. */
static void
list_all(struct store *s, const char *prefix, struct store_page *all)
{
	char after[STORE_KEY_MAX + 1] = "";
	struct store_req r;

	memset(all, 0, sizeof(*all));
	do {
		assert_int_equal(do_list(s, &r, prefix,
		    after[0] != '\0' ? after : NULL, NULL, 0), 0);
		for (size_t i = 0; i < r.page.n; i++) {
			const struct store_entry *e = &r.page.v[i];
			struct store_entry *to;

			to = store_page_add(all, e->key, strlen(e->key));
			assert_non_null(to);
			to->size = e->size;
			snprintf(after, sizeof(after), "%s", e->key);
		}
		all->more = r.page.more;
		assert_true(r.page.n > 0 || !r.page.more);
		store_req_fini(&r);
	} while (all->more);
}

static void
remove_all(struct ctx *x)
{
	struct store_req r;
	bool more = true;

	while (more) {
		assert_int_equal(
		    do_list(x->s, &r, x->c->prefix, NULL, NULL, 0), 0);
		more = r.page.more;
		for (size_t i = 0; i < r.page.n; i++)
			assert_int_equal(do_simple(x->s, STORE_DELETE,
			    r.page.v[i].key), 0);
		store_req_fini(&r);
	}
}

static int
setup(void **state)
{
	struct ctx *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;

	must(x != NULL);
	x->c = current;
	x->loop = x->c->virtual_time ? loop_new_virtual(&e) : loop_new(&e);
	if (x->loop == NULL || x->c->open(x->loop, x->c->arg, &x->s, &e) < 0) {
		fprintf(stderr, "%s: %s\n", x->c->name, err_text(&e));
		return -1;
	}
	remove_all(x);
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *x = *state;

	store_free(x->s);
	loop_free(x->loop);
	free(x);
	return 0;
}

/* --- one object --------------------------------------------------------------- */

static void
what_is_absent(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "nothing");

	assert_absent(x->s, k);
	assert_int_equal(do_simple(x->s, STORE_HEAD, k), -ENOENT);
	assert_int_equal(do_simple(x->s, STORE_DELETE, k), 0);
}

static void
sizes(void **state)
{
	static const size_t size[] = {0, 1, 511, 4096, 4097, 131072, 1 << 20};
	struct ctx *x = *state;
	struct store_req r;

	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		const char *k = key(x, "sizes");

		assert_int_equal(do_put(x, k, size[i], i), 0);
		assert_object(x->s, k, size[i], i);
		store_req_init(&r, STORE_HEAD, k);
		assert_int_equal(store_run(x->s, &r, NULL), 0);
		assert_int_equal(r.size, size[i]);
		store_req_fini(&r);
	}
}

static void
put_replaces(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "replaced");

	assert_int_equal(do_put(x, k, 5000, 1), 0);
	assert_int_equal(do_put(x, k, 10, 2), 0);
	assert_object(x->s, k, 10, 2);
	assert_int_equal(do_put(x, k, 9000, 3), 0);
	assert_object(x->s, k, 9000, 3);
}

static void
delete_and_again(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "deleted");

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(do_put(x, k, 100, i), 0);
		assert_object(x->s, k, 100, i);
		assert_int_equal(do_simple(x->s, STORE_DELETE, k), 0);
		assert_absent(x->s, k);
		assert_int_equal(do_simple(x->s, STORE_DELETE, k), 0);
	}
}

static void
metadata(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "meta");
	struct meta *m = meta_new();
	struct store_req r;
	struct buf *b = buf_new(100);

	if (!x->s->info.keeps_meta) {
		meta_unref(m);
		buf_unref(b);
		skip();
	}
	assert_int_equal(meta_add(m, "blocksize", "00000200"), 0);
	assert_int_equal(meta_add(m, "content-encoding", "deflate"), 0);
	assert_int_equal(meta_add(m, "content-type", "x/pail"), 0);
	assert_int_equal(meta_add(m, "odd", "a = \"b\" %41; c"), 0);
	assert_int_equal(do_put_to(x->s, k, 100, 1, m, false, NULL), 0);
	for (int head = 0; head < 2; head++) {
		store_req_init(&r, head ? STORE_HEAD : STORE_GET, k);
		r.body = b;
		assert_int_equal(store_run(x->s, &r, NULL), 0);
		assert_string_equal(meta_get(r.got_meta, "blocksize"),
		    "00000200");
		assert_string_equal(meta_get(r.got_meta, "content-encoding"),
		    "deflate");
		assert_string_equal(meta_get(r.got_meta, "content-type"),
		    "x/pail");
		assert_string_equal(meta_get(r.got_meta, "odd"),
		    "a = \"b\" %41; c");
		store_req_fini(&r);
	}
	/* Metadata goes with the object that it came with. */
	assert_int_equal(do_put(x, k, 100, 1), 0);
	store_req_init(&r, STORE_HEAD, k);
	assert_int_equal(store_run(x->s, &r, NULL), 0);
	assert_null(meta_get(r.got_meta, "blocksize"));
	store_req_fini(&r);
	meta_unref(m);
	buf_unref(b);
}

static void
ranges(void **state)
{
	static const struct {
		uint64_t off, len;
		int rc;
	} t[] = {
		{0, 1, 0}, {0, 10000, 0}, {9999, 1, 0}, {4096, 4096, 0},
		{1, 3, 0}, {10000, 1, -ERANGE}, {9999, 2, -ERANGE},
		{0, 10001, -ERANGE}, {1ULL << 40, 5, -ERANGE},
	};
	struct ctx *x = *state;
	const char *k = key(x, "range");
	struct buf *b = buf_new(20000);
	struct store_req r;

	assert_int_equal(do_put(x, k, 10000, 7), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		store_req_init(&r, STORE_GET, k);
		r.body = b;
		r.range_off = t[i].off;
		r.range_len = t[i].len;
		if (!x->s->info.range_get) {
			assert_int_equal(store_run(x->s, &r, NULL),
			    -EOPNOTSUPP);
			store_req_fini(&r);
			continue;
		}
		assert_int_equal(store_run(x->s, &r, NULL), t[i].rc);
		if (t[i].rc == 0) {
			assert_int_equal(r.size, 10000);
			assert_bytes(b, 10000, 7, t[i].off, t[i].len);
		} else {
			assert_int_equal(r.err.rc, t[i].rc);
		}
		store_req_fini(&r);
	}
	/* Of nothing there is no range, but still an answer. */
	store_req_init(&r, STORE_GET, key(x, "no-such"));
	r.body = b;
	r.range_len = x->s->info.range_get ? 5 : 0;
	assert_int_equal(store_run(x->s, &r, NULL), -ENOENT);
	store_req_fini(&r);
	buf_unref(b);
}

static void
too_large_for_the_buffer(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "large");
	struct buf *b = buf_new(999);
	struct store_req r;

	assert_int_equal(do_put(x, k, 1000, 7), 0);
	store_req_init(&r, STORE_GET, k);
	r.body = b;
	assert_int_equal(store_run(x->s, &r, NULL), -EMSGSIZE);
	assert_non_null(strstr(err_text(&r.err), "large"));
	store_req_fini(&r);
	buf_unref(b);
}

static void
tags(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "tag");
	char first[STORE_TAG_MAX], second[STORE_TAG_MAX];
	struct buf *b = buf_new(100);
	struct store_req r;

	assert_int_equal(do_put_to(x->s, k, 100, 1, NULL, false, first), 0);
	store_req_init(&r, STORE_HEAD, k);
	assert_int_equal(store_run(x->s, &r, NULL), 0);
	if (first[0] != '\0')
		assert_string_equal(r.tag, first);
	memcpy(first, r.tag, sizeof(first));
	store_req_fini(&r);
	if (first[0] == '\0') {
		buf_unref(b);
		skip();
	}
	/* The same tag: no body.  Another one: the object. */
	b->len = 0;
	store_req_init(&r, STORE_GET, k);
	r.body = b;
	r.unless_tag = first;
	assert_int_equal(store_run(x->s, &r, NULL), 0);
	assert_true(r.unchanged);
	store_req_fini(&r);

	assert_int_equal(do_put_to(x->s, k, 100, 2, NULL, false, second), 0);
	store_req_init(&r, STORE_GET, k);
	r.body = b;
	r.unless_tag = first;
	assert_int_equal(store_run(x->s, &r, NULL), 0);
	assert_false(r.unchanged);
	assert_string_not_equal(r.tag, first);
	if (second[0] != '\0')
		assert_string_equal(r.tag, second);
	assert_bytes(b, 100, 2, 0, 100);
	store_req_fini(&r);
	buf_unref(b);
}

/* --- put if absent --------------------------------------------------------------- */

static void
if_absent(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "first");

	if (!x->s->info.if_absent) {
		assert_int_equal(do_put_to(x->s, k, 10, 1, NULL, true, NULL),
		    -EOPNOTSUPP);
		assert_absent(x->s, k);
		return;
	}
	assert_int_equal(do_put_to(x->s, k, 10, 1, NULL, true, NULL), 0);
	assert_int_equal(do_put_to(x->s, k, 10, 2, NULL, true, NULL), -EEXIST);
	assert_object(x->s, k, 10, 1);
	assert_int_equal(do_simple(x->s, STORE_DELETE, k), 0);
	assert_int_equal(do_put_to(x->s, k, 10, 3, NULL, true, NULL), 0);
	assert_object(x->s, k, 10, 3);
}

#define RACERS 8

struct racers {
	unsigned left;
	bool all;
};

static void
racer_done(struct store_req *r)
{
	struct racers *a = r->arg;

	a->all = --a->left == 0;
}

/* Several clients, each with a store of its own (or with the one that there can
 * be): one wins. */
static void
if_absent_race(void **state)
{
	struct ctx *x = *state;
	struct store *s[RACERS];
	struct store_req r[RACERS];
	struct buf *b[RACERS];
	int won = -1;

	if (!x->s->info.if_absent)
		skip();
	for (unsigned i = 0; i < RACERS; i++) {
		s[i] = x->s;
		if (!x->c->exclusive)
			assert_int_equal(
			    x->c->open(x->loop, x->c->arg, &s[i], NULL), 0);
	}
	for (unsigned round = 0; round < (x->c->slow ? 3 : 20); round++) {
		struct racers a = {RACERS, false};
		const char *k = key(x, "race");

		for (unsigned i = 0; i < RACERS; i++) {
			store_req_init(&r[i], STORE_PUT, k);
			r[i].body = b[i] = bytes(1000, i);
			r[i].if_absent = true;
			r[i].done = racer_done;
			r[i].arg = &a;
			store_submit(s[i], &r[i]);
		}
		assert_int_equal(loop_run_until(x->loop, &a.all), 0);
		won = -1;
		for (unsigned i = 0; i < RACERS; i++) {
			if (r[i].rc == 0) {
				assert_int_equal(won, -1);
				won = (int)i;
			} else {
				assert_int_equal(r[i].rc, -EEXIST);
			}
			store_req_fini(&r[i]);
			buf_unref(b[i]);
		}
		assert_int_not_equal(won, -1);
		assert_object(x->s, k, 1000, (uint64_t)won);
		assert_int_equal(do_simple(x->s, STORE_DELETE, k), 0);
	}
	for (unsigned i = 0; i < RACERS && !x->c->exclusive; i++)
		store_free(s[i]);
}

/* --- keys ------------------------------------------------------------------------- */

static const char *const odd_keys[] = {
	"!", "#x", "%", "%2F", "%41", "+", "...", ".hidden", ":colon",
	"A", "a", "a b", "a&b=c", "a.b", "a/b", "a/b/c", "a0", "b?x", "e\\f",
	"q\"q", "semi;colon,", "t~", "under_score", "x/", "z\xc3\xa4",
};
#define NODD (sizeof(odd_keys) / sizeof(odd_keys[0]))

static void
any_key(void **state)
{
	struct ctx *x = *state;
	struct store_page all;
	size_t plen = strlen(x->c->prefix);
	char lengthy[STORE_KEY_MAX + 1];

	for (size_t i = 0; i < NODD; i++)
		assert_int_equal(do_put(x, key(x, odd_keys[i]), 10 + i, i), 0);
	for (size_t i = 0; i < NODD; i++)
		assert_object(x->s, key(x, odd_keys[i]), 10 + i, i);
	list_all(x->s, x->c->prefix, &all);
	assert_int_equal(all.n, NODD);
	for (size_t i = 0; i < NODD; i++) {
		assert_string_equal(all.v[i].key + plen, odd_keys[i]);
		assert_int_equal(all.v[i].size, 10 + i);
	}
	store_page_fini(&all);

	memset(lengthy, 'k', sizeof(lengthy));
	memcpy(lengthy, x->c->prefix, plen);
	for (size_t n = 200; n <= STORE_KEY_MAX; n += 103) {
		lengthy[n] = '\0';
		assert_int_equal(do_put(x, lengthy, n, n), 0);
		assert_object(x->s, lengthy, n, n);
		lengthy[n] = 'k';
	}
}

static void
wrong_keys(void **state)
{
	struct ctx *x = *state;
	char lengthy[STORE_KEY_MAX + 2];
	const char *bad[] = {"", "a\nb", "\x01", "x\x7f", lengthy};

	memset(lengthy, 'k', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(do_put(x, bad[i], 1, 1), -EINVAL);
		assert_int_equal(do_simple(x->s, STORE_HEAD, bad[i]), -EINVAL);
		assert_int_equal(do_simple(x->s, STORE_DELETE, bad[i]),
		    -EINVAL);
	}
}

/* --- listing ---------------------------------------------------------------------- */

static void
list_pages(void **state)
{
	struct ctx *x = *state;
	unsigned n = x->c->slow ? 30 : 300, seen, step;
	struct store_req r;
	char name[32], last[64], after[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "p/%05u", i * 7919 % n);
		assert_int_equal(do_put(x, key(x, name), 1, i), 0);
	}
	assert_int_equal(do_put(x, key(x, "o"), 1, 1), 0);
	assert_int_equal(do_put(x, key(x, "p"), 1, 1), 0);
	assert_int_equal(do_put(x, key(x, "q"), 1, 1), 0);
	for (step = 1; step < 2 * n; step = step * 3 + 2) {
		bool more = true;

		seen = 0;
		snprintf(after, sizeof(after), "%s", "");
		while (more) {
			assert_int_equal(do_list(x->s, &r, key(x, "p/"),
			    after[0] != '\0' ? after : NULL, NULL, step), 0);
			assert_true(r.page.n <= step);
			assert_true(r.page.n > 0 || !r.page.more);
			for (size_t i = 0; i < r.page.n; i++) {
				snprintf(last, sizeof(last), "%sp/%05u",
				    x->c->prefix, seen++);
				assert_string_equal(r.page.v[i].key, last);
			}
			more = r.page.more;
			snprintf(after, sizeof(after), "%s", last);
			store_req_fini(&r);
		}
		assert_int_equal(seen, n);
	}
}

static void
list_bounds(void **state)
{
	static const struct {
		const char *prefix, *after, *before, *want;
	} t[] = {
		{"", NULL, NULL, "a a/ a/1 a/2 b c/1 "},
		{"a", NULL, NULL, "a a/ a/1 a/2 "},
		{"a/", NULL, NULL, "a/ a/1 a/2 "},
		{"a/", "a/", NULL, "a/1 a/2 "},
		{"a/", "a/1", NULL, "a/2 "},
		{"a/", "a/10", NULL, "a/2 "},
		{"a/", "a", NULL, "a/ a/1 a/2 "},
		{"a/", "b", NULL, ""},
		{"", "a/2", "c/1", "b "},
		{"", "a/2", "c/10", "b c/1 "},
		{"", NULL, "a/1", "a a/ "},
		{"", "b", "a", ""},
		{"zz", NULL, NULL, ""},
		{"c/1", NULL, NULL, "c/1 "},
	};
	static const char *const keys[] = {"c/1", "b", "a/2", "a/1", "a/", "a"};
	struct ctx *x = *state;
	struct store_req r;
	char got[200];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_int_equal(do_put(x, key(x, keys[i]), 3, i), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n = 0;

		assert_int_equal(do_list(x->s, &r, key(x, t[i].prefix),
		    t[i].after != NULL ? key(x, t[i].after) : NULL,
		    t[i].before != NULL ? key(x, t[i].before) : NULL, 0), 0);
		got[0] = '\0';
		for (size_t k = 0; k < r.page.n; k++)
			n += (size_t)snprintf(got + n, sizeof(got) - n, "%s ",
			    r.page.v[k].key + strlen(x->c->prefix));
		assert_string_equal(got, t[i].want);
		assert_false(r.page.more);
		store_req_fini(&r);
	}
}

static void
list_tells_tags(void **state)
{
	struct ctx *x = *state;
	struct store_req r, h;
	const char *k = key(x, "told");

	assert_int_equal(do_put(x, k, 77, 1), 0);
	store_req_init(&h, STORE_HEAD, k);
	assert_int_equal(store_run(x->s, &h, NULL), 0);
	assert_int_equal(do_list(x->s, &r, x->c->prefix, NULL, NULL, 0), 0);
	assert_int_equal(r.page.n, 1);
	assert_int_equal(r.page.v[0].size, 77);
	if (r.page.v[0].tag[0] != '\0')
		assert_string_equal(r.page.v[0].tag, h.tag);
	store_req_fini(&r);
	store_req_fini(&h);
	/* A deleted one is not listed. */
	assert_int_equal(do_simple(x->s, STORE_DELETE, k), 0);
	assert_int_equal(do_list(x->s, &r, x->c->prefix, NULL, NULL, 0), 0);
	assert_int_equal(r.page.n, 0);
	assert_false(r.page.more);
	store_req_fini(&r);
}

/* --- many at once ------------------------------------------------------------------- */

struct many {
	struct ctx *x;
	unsigned left, ended;
	bool inside; /* of a submit or cancel (W2) */
	bool all;
	struct one {
		struct store_req r;
		char key[64];
		struct buf *b;
		unsigned i, step, dones;
		struct many *m;
	} *v;
};

static void many_next(struct one *o);

static void
many_done(struct store_req *r)
{
	struct one *o = container_of(r, struct one, r);
	struct many *m = o->m;

	assert_false(m->inside);
	assert_int_equal(o->dones++, 0);
	if (o->step == 3)
		assert_int_equal(r->rc, -ENOENT);
	else
		assert_int_equal(r->rc, 0);
	if (o->step == 1)
		assert_bytes(o->b, 2000 + o->i, o->i, 0, 2000 + o->i);
	store_req_fini(r);
	o->step++;
	many_next(o); /* from inside done */
}

/* Each: PUT, GET, DELETE, HEAD. */
static void
many_next(struct one *o)
{
	static const enum store_op ops[] = {STORE_PUT, STORE_GET, STORE_DELETE,
	    STORE_HEAD};
	struct many *m = o->m;

	if (o->step == 4) {
		m->all = --m->left == 0;
		return;
	}
	store_req_init(&o->r, ops[o->step], o->key);
	o->r.prio = (enum store_prio)(o->i % STORE_NPRIO);
	o->r.done = many_done;
	o->dones = 0;
	if (o->step == 1)
		memset(o->b->data, 0xee, o->b->cap);
	o->r.body = o->b;
	m->inside = true;
	store_submit(m->x->s, &o->r);
	m->inside = false;
}

static void
many_in_flight(void **state)
{
	struct ctx *x = *state;
	unsigned n = x->c->slow ? 50 : 500;
	struct many m = {.x = x, .left = n};

	m.v = calloc(n, sizeof(*m.v));
	assert_non_null(m.v);
	for (unsigned i = 0; i < n; i++) {
		struct one *o = &m.v[i];

		o->i = i;
		o->m = &m;
		o->b = bytes(2000 + i, i);
		snprintf(o->key, sizeof(o->key), "%smany/%u", x->c->prefix, i);
		many_next(o);
	}
	assert_int_equal(loop_run_until(x->loop, &m.all), 0);
	assert_int_equal(x->s->inflight, 0);
	for (unsigned i = 0; i < n; i++)
		buf_unref(m.v[i].b);
	free(m.v);
}

/* A cancelled request ends once, and has been done whole or not at all. */
static void
cancel_done(struct store_req *r)
{
	struct one *o = container_of(r, struct one, r);

	assert_false(o->m->inside);
	assert_int_equal(o->dones++, 0);
	o->m->all = ++o->m->ended == o->m->left;
}

static void
cancel(void **state)
{
	struct ctx *x = *state;
	unsigned n = x->c->slow ? 10 : 60;
	struct many m = {.x = x, .left = n};
	struct store_req r;

	m.v = calloc(n, sizeof(*m.v));
	for (unsigned i = 0; i < n; i++) {
		struct one *o = &m.v[i];

		snprintf(o->key, sizeof(o->key), "%scan/%u", x->c->prefix, i);
		assert_int_equal(do_put(x, o->key, 1000, 1000 + i), 0);
	}
	m.inside = true;
	for (unsigned i = 0; i < n; i++) {
		struct one *o = &m.v[i];

		o->i = i;
		o->m = &m;
		o->b = bytes(1000, i);
		store_req_init(&o->r, i % 2 ? STORE_PUT : STORE_GET, o->key);
		o->r.prio = STORE_PRIO_BACKGROUND;
		o->r.body = o->b;
		o->r.done = cancel_done;
		store_submit(x->s, &o->r);
	}
	for (unsigned i = 0; i < n; i++) {
		store_cancel(&m.v[i].r);
		store_cancel(&m.v[i].r); /* may be said twice */
	}
	m.inside = false;
	assert_int_equal(loop_run_until(x->loop, &m.all), 0);
	for (unsigned i = 0; i < n; i++) {
		struct one *o = &m.v[i];
		struct buf *b = buf_new(1000), *was = bytes(1000, 1000 + i);
		struct buf *is = bytes(1000, i);

		if (o->r.rc != 0)
			assert_int_equal(o->r.rc, -ECANCELED);
		store_req_init(&r, STORE_GET, o->key);
		r.body = b;
		assert_int_equal(store_run(x->s, &r, NULL), 0);
		assert_int_equal(b->len, 1000);
		if (i % 2 && o->r.rc == 0)
			assert_memory_equal(b->data, is->data, 1000);
		else if (i % 2 == 0 ||
		    memcmp(b->data, is->data, 1000) != 0)
			assert_memory_equal(b->data, was->data, 1000);
		store_req_fini(&r);
		store_req_fini(&o->r);
		buf_unref(b);
		buf_unref(was);
		buf_unref(is);
		buf_unref(o->b);
	}
	free(m.v);
}

/* --- batches, and what is durable --------------------------------------------------- */

static void
batch(void **state)
{
	struct ctx *x = *state;
	const struct store_info *info = &x->s->info;
	struct store_item it[4] = {0};
	struct buf *b = bytes(100, 9);
	char k[4][64];
	struct store_req r;
	int rc;

	for (unsigned i = 0; i < 4; i++) {
		snprintf(k[i], sizeof(k[i]), "%sbatch/%u", x->c->prefix, i);
		assert_int_equal(do_put(x, k[i], 10, i), 0);
		it[i].op = STORE_DELETE;
		it[i].key = k[i];
		it[i].rc = 1;
	}
	it[2].key = key(x, "batch/absent");
	store_req_init(&r, STORE_BATCH, NULL);
	r.items = it;
	r.nitems = 3;
	rc = store_run(x->s, &r, NULL);
	store_req_fini(&r);
	if (info->max_batch < 3) {
		assert_int_equal(rc, -EOPNOTSUPP);
		assert_object(x->s, k[0], 10, 0);
		buf_unref(b);
		return;
	}
	assert_int_equal(rc, 0);
	assert_absent(x->s, k[0]);
	assert_absent(x->s, k[1]);
	assert_object(x->s, k[3], 10, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(it[i].rc, 0);

	it[0].op = STORE_PUT;
	it[0].body = b;
	it[1] = it[3]; /* DELETE */
	store_req_init(&r, STORE_BATCH, NULL);
	r.items = it;
	r.nitems = 2;
	rc = store_run(x->s, &r, NULL);
	store_req_fini(&r);
	if (info->batch_put) {
		assert_int_equal(rc, 0);
		assert_object(x->s, k[0], 100, 9);
		assert_absent(x->s, k[3]);
	} else {
		assert_int_equal(rc, -EOPNOTSUPP);
		assert_absent(x->s, k[0]);
		assert_object(x->s, k[3], 10, 3);
	}
	store_req_init(&r, STORE_BATCH, NULL);
	r.items = it;
	r.nitems = info->max_batch + 1;
	assert_int_equal(store_run(x->s, &r, NULL), -EOPNOTSUPP);
	store_req_fini(&r);
	buf_unref(b);
}

static void
another_store_sees_it(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "durable");
	struct store *other;

	if (x->c->exclusive)
		skip();
	assert_int_equal(do_put(x, k, 5000, 5), 0);
	assert_int_equal(do_simple(x->s, STORE_SYNC, NULL), 0);
	assert_int_equal(x->c->open(x->loop, x->c->arg, &other, NULL), 0);
	assert_object(other, k, 5000, 5);
	assert_int_equal(do_put_to(other, k, 10, 6, NULL, false, NULL), 0);
	assert_object(x->s, k, 10, 6);
	assert_int_equal(do_simple(other, STORE_DELETE, k), 0);
	assert_absent(x->s, k);
	store_free(other);
}

/* A store with one owner: a second one is refused by name, and disturbs
 * nothing; whoever opens it after the first finds what was there. */
static void
one_owner(void **state)
{
	struct ctx *x = *state;
	const char *k = key(x, "owned"), *gone = key(x, "gone");
	struct err e = ERR_INIT;
	struct store *other;

	if (!x->c->exclusive)
		skip();
	assert_int_equal(do_put(x, k, 5000, 5), 0);
	assert_int_equal(do_put(x, gone, 5, 5), 0);
	assert_int_equal(
	    x->c->open(x->loop, x->c->arg, &other, &e), -EBUSY);
	assert_int_equal(e.rc, -EBUSY);
	assert_true(err_text(&e)[0] != '\0');
	assert_object(x->s, k, 5000, 5);
	assert_int_equal(do_simple(x->s, STORE_DELETE, gone), 0);
	assert_int_equal(do_simple(x->s, STORE_SYNC, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		store_free(x->s);
		x->s = NULL;
		err_clear(&e);
		assert_int_equal(
		    x->c->open(x->loop, x->c->arg, &x->s, &e), 0);
		assert_object(x->s, k, 5000 + i, 5 + i);
		assert_absent(x->s, gone);
		/* Not synced: closing makes it durable. */
		assert_int_equal(do_put(x, k, 5001 + i, 6 + i), 0);
	}
}

/* --- a long story, against a model ----------------------------------------------------- */

#define MODEL_KEYS 12

struct model {
	bool there;
	size_t n;
	uint64_t seed;
};

static void
assert_listed(struct ctx *x, const struct model *model)
{
	size_t plen = strlen(x->c->prefix), want = 0;
	struct store_page all;

	list_all(x->s, key(x, "m/"), &all);
	for (unsigned k = 0; k < MODEL_KEYS; k++) {
		if (!model[k].there)
			continue;
		assert_true(want < all.n);
		assert_int_equal(all.v[want].key[plen + 2], 'a' + k);
		assert_int_equal(all.v[want].size, model[k].n);
		want++;
	}
	assert_int_equal(want, all.n);
	store_page_fini(&all);
}

static void
as_the_model_says(void **state)
{
	struct ctx *x = *state;
	struct model model[MODEL_KEYS] = {0};
	uint64_t rnd = 42;
	char name[16];

	for (unsigned i = 0; i < (x->c->slow ? 100 : 1000); i++) {
		unsigned k = (unsigned)rnd_below(&rnd, MODEL_KEYS);
		const char *ks;

		snprintf(name, sizeof(name), "m/%c", 'a' + k);
		ks = key(x, name);
		switch (rnd_below(&rnd, 5)) {
		case 0:
		case 1:
			model[k].there = true;
			model[k].n = rnd_below(&rnd, 9000);
			model[k].seed = i;
			assert_int_equal(do_put(x, ks, model[k].n, i), 0);
			break;
		case 2:
			model[k].there = false;
			assert_int_equal(do_simple(x->s, STORE_DELETE, ks), 0);
			break;
		case 3:
			if (model[k].there)
				assert_object(x->s, ks, model[k].n,
				    model[k].seed);
			else
				assert_absent(x->s, ks);
			break;
		case 4:
			assert_listed(x, model);
			break;
		}
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
contract_run(const struct contract *c)
{
	const struct CMUnitTest tests[] = {
		T(what_is_absent),
		T(sizes),
		T(put_replaces),
		T(delete_and_again),
		T(metadata),
		T(ranges),
		T(too_large_for_the_buffer),
		T(tags),
		T(if_absent),
		T(if_absent_race),
		T(any_key),
		T(wrong_keys),
		T(list_pages),
		T(list_bounds),
		T(list_tells_tags),
		T(many_in_flight),
		T(cancel),
		T(batch),
		T(another_store_sees_it),
		T(one_owner),
		T(as_the_model_says),
	};

	current = c;
	return cmocka_run_group_tests_name(c->name, tests, NULL, NULL);
}
