/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract tests for the store on raw devices: image files, one alone and
 * six of them as 4+2, also with as many missing as may be lost.  And a tag means
 * one object, though commits were lost and their numbers are used again.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "loop/fileio.h"
#include "loop/work.h"
#include "raw/make.h"
#include "store/open.h"
#include "store/store.h"
#include "unit/store/contract.h"

#define MEMBERS_MAX 6
#define MEMBER_BYTES (64u << 20)

static char top[] = "/tmp/pail-raw-XXXXXX";
static struct work_pool *workers;

struct recipe {
	const char *name;
	unsigned k, m, missing;
	char path[MEMBERS_MAX][64];
};

static void
make(struct recipe *r, unsigned nth)
{
	struct raw_make_params p = {.k = r->k,
	    .m = r->m,
	    .name = "contract",
	    .size = MEMBER_BYTES,
	    .sparse = true};
	char *paths[MEMBERS_MAX];
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct fileio *io =
	    l ? fileio_new(l, workers, FILEIO_AUTO, 16, &e) : NULL;

	for (unsigned i = 0; i < r->k + r->m; i++) {
		snprintf(r->path[i], sizeof(r->path[i]), "%s/%u-%u", top, nth,
		    i);
		paths[i] = r->path[i];
	}
	if (!io || raw_make(l, io, paths, r->k + r->m, &p, &e) < 0) {
		fprintf(stderr, "%s: %s\n", r->name, err_text(&e));
		exit(1);
	}
	fileio_free(io);
	loop_free(l);
	for (unsigned i = 0; i < r->missing; i++)
		must(unlink(r->path[i]) == 0);
}

static void
unmake(struct recipe *r)
{
	for (unsigned i = r->missing; i < r->k + r->m; i++)
		must(unlink(r->path[i]) == 0);
}

static int
open_raw(struct loop *l, void *arg, struct store **out, struct err *e)
{
	struct store_env env = {.loop = l, .pool = workers};
	struct strbuf text = STRBUF_INIT;
	struct recipe *r = arg;
	struct url u;
	int rc;

	strbuf_puts(&text, "raw:");
	for (unsigned i = r->missing; i < r->k + r->m; i++)
		strbuf_printf(&text, "%s%s", i > r->missing ? "," : "",
		    r->path[i]);
	must(!text.failed);
	rc = url_parse(&u, text.s, e);
	must(rc == 0);
	rc = store_open(&env, &u, false, out, e);
	url_fini(&u);
	strbuf_fini(&text);
	return rc;
}

/* --- tags -------------------------------------------------------------------- */

static void
copy(const char *from, const char *to)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_printf(&b, "cp --sparse=always %s %s", from, to);
	must(!b.failed && system(b.s) == 0);
	strbuf_fini(&b);
}

static void
request_done(struct store_req *r)
{
	*(bool *)r->arg = true;
}

/* What the store is asked for with the one key of this test. */
static void
ask(struct recipe *r, enum store_op op, const char *text, char *tag)
{
	struct err e = ERR_INIT;
	struct loop *l = loop_new(&e);
	struct buf *body = buf_new(4096);
	struct store *s;
	bool done = false;
	struct store_req q = {.op = op, .key = "k", .body = body,
	    .prefix = "", .done = request_done, .arg = &done};

	must(l && body && open_raw(l, r, &s, &e) == 0);
	if (op == STORE_PUT) {
		body->len = strlen(text) + 1;
		memcpy(body->data, text, body->len);
	}
	store_submit(s, &q);
	must(loop_run_until(l, &done) == 0 && q.rc == 0);
	must(op != STORE_LIST || q.page.n == 1);
	strcpy(tag, op == STORE_LIST ? q.page.v[0].tag : q.tag);
	store_req_fini(&q);
	store_free(s);
	buf_unref(body);
	loop_free(l);
}

/* The image as it was, as after a power cut that lost what was not synced. */
static bool
tags_differ(void)
{
	struct recipe r = {.name = "tags", .k = 1};
	char saved[sizeof(r.path[0]) + 8], lost[STORE_TAG_MAX],
	    put[STORE_TAG_MAX], tag[STORE_TAG_MAX];
	bool good;

	make(&r, 90);
	snprintf(saved, sizeof(saved), "%s.saved", r.path[0]);
	copy(r.path[0], saved);
	ask(&r, STORE_PUT, "lost", lost);
	copy(saved, r.path[0]);
	ask(&r, STORE_PUT, "kept", put);
	good = strcmp(lost, put) != 0;
	ask(&r, STORE_GET, NULL, tag);
	good &= strcmp(tag, put) == 0;
	ask(&r, STORE_HEAD, NULL, tag);
	good &= strcmp(tag, put) == 0;
	ask(&r, STORE_LIST, NULL, tag);
	good &= strcmp(tag, put) == 0;
	printf("%s - a tag names one object: %s, lost: %s\n",
	    good ? "ok" : "not ok", put, lost);
	must(unlink(saved) == 0);
	unmake(&r);
	return good;
}

int
main(void)
{
	struct recipe recipes[] = {
	    {.name = "raw 1+0", .k = 1},
	    {.name = "raw 4+2", .k = 4, .m = 2},
	    {.name = "raw 4+2, one of them missing",
		.k = 4,
		.m = 2,
		.missing = 1},
	    /* Without a parity left it takes writes only if it has no more. */
	    {.name = "raw 2+1, one of them missing",
		.k = 2,
		.m = 1,
		.missing = 1},
	};
	struct err e = ERR_INIT;
	int failed = 0;

	workers = work_pool_new(2, &e);
	must(workers != NULL && mkdtemp(top) != NULL);
	log_open("raw", LOG_LVL_ERROR, false);
	for (unsigned i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
		struct contract c = {.name = recipes[i].name,
		    .open = open_raw,
		    .arg = &recipes[i],
		    .prefix = "t/",
		    .exclusive = true};

		make(&recipes[i], i);
		failed += contract_run(&c);
		unmake(&recipes[i]);
	}
	failed += !tags_differ();
	must(rmdir(top) == 0);
	work_pool_free(workers);
	return failed > 0;
}
