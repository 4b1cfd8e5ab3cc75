/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storeload: what pail's own store gets out of a server, next to loader.
 *
 *	storeload get|put|commit|head|delete URL -p PREFIX -n COUNT [-s SIZE]
 *	          [-c INFLIGHT] [-l LENGTH] [-r] [-y BYTES] [-t SECONDS] [-k]
 *
 * commit is put and then sync.  -l reads so many bytes at a random place of
 * each object, -r takes the objects in random order, -y syncs after so many
 * bytes of puts, -t ends after a time, -k kills the process instead of closing
 * the store (a crash).  URL is any store's ("s3://bucket?endpoint=...", "dir:/x", "mem:").  Objects
 * are PREFIX00000000 ... as loader names them.  One line of JSON on stdout;
 * cpu_us is the processor time of this process for one request, which is what
 * pail itself costs, open_s what opening took.  Exit status 1 if any request failed; the first is named.
 */
#include <signal.h>
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
#include "store/rnd.h"
#include "store/store.h"

struct slot {
	struct store_req r;
	struct store_req sync; /* of a commit */
	struct buf *body;
	char key[STORE_KEY_MAX];
};

static struct {
	enum store_op op;
	const char *prefix;
	unsigned count, inflight;
	size_t size, length;
	bool commit, kill;
	uint64_t sync_every, unsynced;
	int64_t end_ns;
	uint32_t *order; /* NULL: one after the other */
	uint64_t rnd;
	struct store_req sync; /* the one of -y */
	bool syncing;
	struct store *s;
	struct loop *loop;
	struct slot *slots;
	unsigned started, ended, failed;
	double open_s;
	bool done;
} load = {.prefix = "", .count = 1000, .inflight = 64, .size = 131072};

static void
begin(struct slot *x)
{
	uint64_t stamp = load.started;

	snprintf(x->key, sizeof(x->key), "%s%08x", load.prefix,
	    load.order ? load.order[load.started] : load.started);
	load.started++;
	if (load.op == STORE_PUT) {
		memcpy(x->body->data, &stamp, sizeof(stamp));
		x->body->len = load.size;
	}
	if (load.length > 0 && load.length < load.size) {
		x->r.range_len = load.length;
		x->r.range_off = load.length *
		    rnd_below(&load.rnd, load.size / load.length);
	}
	x->r.key = x->key;
	store_submit(load.s, &x->r);
}

static void
check_end(void)
{
	if (load.ended == load.started && !load.syncing)
		load.done = true;
}

static void
go_on(struct slot *x)
{
	load.ended++;
	if (load.started < load.count &&
	    (load.end_ns == 0 || clock_mono_ns() < load.end_ns))
		begin(x);
	else
		check_end();
}

static void
sync_done(struct store_req *r)
{
	load.failed += r->rc < 0;
	load.syncing = false;
	check_end();
}

static void
commit_done(struct store_req *r)
{
	load.failed += r->rc < 0;
	go_on(container_of(r, struct slot, sync));
}

static void
sync_now(struct store_req *r, void (*done)(struct store_req *))
{
	store_req_init(r, STORE_SYNC, NULL);
	r->done = done;
	store_submit(load.s, r);
}

static void
ended(struct store_req *r)
{
	struct slot *x = container_of(r, struct slot, r);
	size_t want = load.length ? load.length : load.size;

	if (r->rc < 0 && load.failed++ == 0)
		fprintf(stderr, "storeload: %s: %s\n", x->key,
		    err_text(&r->err));
	if (load.op == STORE_GET && r->rc == 0 &&
	    x->body->len != want && load.failed++ == 0)
		fprintf(stderr, "storeload: %s: %zu bytes\n", x->key,
		    x->body->len);
	if (load.commit) {
		sync_now(&x->sync, commit_done);
		return;
	}
	load.unsynced += load.size;
	if (load.sync_every && load.unsynced >= load.sync_every &&
	    !load.syncing) {
		load.unsynced = 0;
		load.syncing = true;
		sync_now(&load.sync, sync_done);
	}
	go_on(x);
}

/* Every object once, in an order of chance. */
static void
shuffle(void)
{
	load.order = malloc(load.count * sizeof(*load.order));
	must(load.order);
	for (unsigned i = 0; i < load.count; i++) {
		unsigned k = (unsigned)rnd_below(&load.rnd, i + 1);

		load.order[i] = load.order[k];
		load.order[k] = i;
	}
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
	fprintf(stderr, "usage: storeload get|put|commit|head|delete URL "
	    "-p PREFIX -n COUNT [-s SIZE] [-c INFLIGHT] [-l LENGTH] [-r] "
	    "[-y BYTES] [-t SECONDS] [-k]\n");
	return 2;
}

static int
arguments(int argc, char **argv)
{
	static const char *const ops[] = {"get", "put", "delete", "head"};
	int c;

	if (argc < 3)
		return usage();
	load.commit = strcmp(argv[1], "commit") == 0;
	for (c = load.commit ? STORE_PUT : 0; c < 4 && strcmp(argv[1], ops[c]) != 0 &&
	     !load.commit; c++)
		;
	if (c == 4)
		return usage();
	load.op = (enum store_op)c;
	optind = 3;
	while ((c = getopt(argc, argv, "p:n:s:c:l:ry:t:k")) != -1) {
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
		case 'l':
			load.length = (size_t)atol(optarg);
			break;
		case 'r':
			load.rnd = 7;
			break;
		case 'y':
			load.sync_every = (uint64_t)atoll(optarg);
			break;
		case 't':
			load.end_ns = atoi(optarg) * NS_PER_S;
			break;
		case 'k':
			load.kill = true;
			break;
		default:
			return usage();
		}
	}
	if (load.rnd)
		shuffle();
	if (load.inflight > load.count)
		load.inflight = load.count;
	return load.count > 0 && load.inflight > 0 ? 0 : usage();
}

static int
run(void)
{
	double cpu = cpu_s(), s;
	int64_t t0 = clock_mono_ns();

	if (load.end_ns)
		load.end_ns += t0;
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
	       "\"mb_s\": %.1f, \"errors\": %u, \"cpu_us\": %.1f, "
	       "\"open_s\": %.3f}\n",
	    load.ended, s, load.ended / s,
	    (double)(load.length ? load.length : load.size) * load.ended / s /
		1e6,
	    load.failed, cpu / load.ended * 1e6, load.open_s);
	if (load.kill) {
		fflush(stdout);
		kill(getpid(), SIGKILL);
	}
	for (unsigned i = 0; i < load.inflight; i++) {
		store_req_fini(&load.slots[i].r);
		buf_unref(load.slots[i].body);
	}
	free(load.slots);
	free(load.order);
	return load.failed ? 1 : 0;
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct store_env env = {0};
	struct url u;
	int rc = arguments(argc, argv);
	int64_t t0 = clock_mono_ns();

	if (rc)
		return rc;
	env.read_only = load.op == STORE_GET || load.op == STORE_HEAD;
	env.loop = load.loop = loop_new(&e);
	env.pool = load.loop ? work_pool_new(2, &e) : NULL;
	if (!env.pool || url_parse(&u, argv[2], &e) < 0)
		goto bad;
	rc = store_open(&env, &u, true, &load.s, &e);
	url_fini(&u);
	if (rc < 0)
		goto bad;
	load.open_s = (double)(clock_mono_ns() - t0) / NS_PER_S;
	rc = run();
	store_free(load.s);
	work_pool_free(env.pool);
	loop_free(load.loop);
	return rc;
bad:
	fprintf(stderr, "storeload: %s\n", err_text(&e));
	return 2;
}
