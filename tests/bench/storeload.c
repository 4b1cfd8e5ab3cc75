/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storeload: what pail's own store gets out of a server, next to loader.
 *
 *	storeload get|put|head|delete URL -p PREFIX -n COUNT [-s SIZE]
 *	          [-c INFLIGHT]
 *
 * URL is any store's ("s3://bucket?endpoint=...", "dir:/x", "mem:").  Objects
 * are PREFIX00000000 ... as loader names them.  One line of JSON on stdout;
 * cpu_us is the processor time of this process for one request, which is what
 * pail itself costs.  Exit status 1 if any request failed; the first is named.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "store/open.h"
#include "store/store.h"

struct slot {
	struct store_req r;
	struct buf *body;
	char key[STORE_KEY_MAX];
};

static struct {
	enum store_op op;
	const char *prefix;
	unsigned count, inflight;
	size_t size;
	struct store *s;
	struct loop *loop;
	struct slot *slots;
	unsigned started, ended, failed;
	bool done;
} load = {.prefix = "", .count = 1000, .inflight = 64, .size = 131072};

static void
begin(struct slot *x)
{
	uint64_t stamp = load.started;

	snprintf(x->key, sizeof(x->key), "%s%08x", load.prefix, load.started);
	load.started++;
	if (load.op == STORE_PUT) {
		memcpy(x->body->data, &stamp, sizeof(stamp));
		x->body->len = load.size;
	}
	x->r.key = x->key;
	store_submit(load.s, &x->r);
}

static void
ended(struct store_req *r)
{
	struct slot *x = container_of(r, struct slot, r);

	if (r->rc < 0 && load.failed++ == 0)
		fprintf(stderr, "storeload: %s: %s\n", x->key,
		    err_text(&r->err));
	if (load.op == STORE_GET && r->rc == 0 &&
	    x->body->len != load.size && load.failed++ == 0)
		fprintf(stderr, "storeload: %s: %zu bytes\n", x->key,
		    x->body->len);
	load.ended++;
	if (load.started < load.count)
		begin(x);
	else if (load.ended == load.count)
		load.done = true;
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 +
	    (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

static int
usage(void)
{
	fprintf(stderr, "usage: storeload get|put|head|delete URL -p PREFIX "
	    "-n COUNT [-s SIZE] [-c INFLIGHT]\n");
	return 2;
}

static int
arguments(int argc, char **argv)
{
	static const char *const ops[] = {"get", "put", "delete", "head"};
	int c;

	if (argc < 3)
		return usage();
	for (c = 0; c < 4 && strcmp(argv[1], ops[c]) != 0; c++)
		;
	if (c == 4)
		return usage();
	load.op = (enum store_op)c;
	optind = 3;
	while ((c = getopt(argc, argv, "p:n:s:c:")) != -1) {
		switch (c) {
		case 'p':
			load.prefix = optarg;
			break;
		case 'n':
			load.count = (unsigned)atoi(optarg);
			break;
		case 's':
			load.size = (size_t)atol(optarg);
			break;
		case 'c':
			load.inflight = (unsigned)atoi(optarg);
			break;
		default:
			return usage();
		}
	}
	if (load.inflight > load.count)
		load.inflight = load.count;
	return load.count > 0 && load.inflight > 0 ? 0 : usage();
}

static int
run(void)
{
	double cpu = cpu_s(), s;
	int64_t t0 = clock_mono_ns();

	load.slots = calloc(load.inflight, sizeof(*load.slots));
	must(load.slots);
	for (unsigned i = 0; i < load.inflight; i++) {
		struct slot *x = &load.slots[i];

		x->body = buf_new(load.size ? load.size : 1);
		must(x->body);
		memset(x->body->data, 0x5a, load.size);
		store_req_init(&x->r, load.op, x->key);
		x->r.body = x->body;
		x->r.done = ended;
		begin(x);
	}
	if (loop_run_until(load.loop, &load.done) != 0)
		return 2;
	s = (double)(clock_mono_ns() - t0) / NS_PER_S;
	cpu = cpu_s() - cpu;
	printf("{\"requests\": %u, \"seconds\": %.3f, \"rate\": %.0f, "
	       "\"mb_s\": %.1f, \"errors\": %u, \"cpu_us\": %.1f}\n",
	    load.count, s, load.count / s,
	    (double)load.size * load.count / s / 1e6, load.failed,
	    cpu / load.count * 1e6);
	for (unsigned i = 0; i < load.inflight; i++) {
		store_req_fini(&load.slots[i].r);
		buf_unref(load.slots[i].body);
	}
	free(load.slots);
	return load.failed ? 1 : 0;
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct store_env env = {0};
	struct url u;
	int rc = arguments(argc, argv);

	if (rc)
		return rc;
	env.loop = load.loop = loop_new(&e);
	env.pool = load.loop ? work_pool_new(2, &e) : NULL;
	if (!env.pool || url_parse(&u, argv[2], &e) < 0)
		goto bad;
	rc = store_open(&env, &u, true, &load.s, &e);
	url_fini(&u);
	if (rc < 0)
		goto bad;
	rc = run();
	store_free(load.s);
	work_pool_free(env.pool);
	loop_free(load.loop);
	return rc;
bad:
	fprintf(stderr, "storeload: %s\n", err_text(&e));
	return 2;
}
