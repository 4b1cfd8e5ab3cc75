/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rawbench: what storeload cannot show of a store on raw devices.
 *
 *	rawbench flush FLUSH_US INFLIGHT SECONDS PLAIN PATH...
 *		put of 128 KiB and sync, with a modelled flush: it takes so long
 *		and no longer, whatever the device does.  Next to it, in turns,
 *		plain writes of 128 KiB to a file PLAIN of 64 MiB.
 *	rawbench fill OBJECTS BEHIND PATH
 *		so many objects of 128 KiB on a sparse image, closed and opened
 *		again; then so many of them written once more, which are behind
 *		the checkpoint when it ends as a crash does.  Zeros are not
 *		written: a file that was never written reads as zeros.  Only the
 *		last 1000 have data.
 *	rawbench open PATH...
 *		opens, and says how long it took and what memory it takes.
 *
 * One line of JSON on stdout.  The stores are made by "pail store create".
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "loop/fileio.h"
#include "loop/work.h"
#include "raw/pool.h"
#include "raw/rdev.h"
#include "store/rnd.h"

#define BLOCK (128u << 10)
#define REAL_DATA 1000
#define INFLIGHT_MAX 256

static struct loop *loop;
static struct fileio *io;
static uint8_t *zeros;	 /* BLOCK of them */
static int64_t flush_ns; /* 0: as the device does it */

/* --- a device in front of another ---------------------------------------------- */

struct model {
	struct rdev dev;
	struct rdev *real;
};

struct forward { /* one for each request that goes through */
	struct rdev_req req;
	struct rdev_req *up;
};

struct flush {
	struct loop_task spin;
	struct loop_timer timer;
	struct rdev_req *up;
	int64_t end_ns;
};

static void
forwarded(struct rdev_req *r)
{
	struct forward *f = container_of(r, struct forward, req);
	struct rdev_req *up = f->up;
	int rc = r->rc;

	free(f);
	rdev_complete(up, rc);
}

static void
flushed(struct flush *f)
{
	struct rdev_req *up = f->up;

	free(f);
	rdev_complete(up, 0);
}

/* A timer, and waking up from it, may take longer than the shortest of the
 * flushes: so the last part of each is not slept through. */
#define SPIN_NS (500 * NS_PER_US)

static void
spin(struct loop_task *t)
{
	struct flush *f = container_of(t, struct flush, spin);

	if (clock_mono_ns() < f->end_ns)
		loop_defer(loop, t);
	else
		flushed(f);
}

static void
timer_fired(struct loop_timer *t)
{
	spin(&container_of(t, struct flush, timer)->spin);
}

static void
model_flush(struct rdev_req *r)
{
	struct flush *f = calloc(1, sizeof(*f));

	must(f);
	f->up = r;
	f->end_ns = clock_mono_ns() + flush_ns;
	f->spin.run = spin;
	f->timer.fire = timer_fired;
	if (flush_ns < SPIN_NS)
		loop_defer(loop, &f->spin);
	else
		must(loop_timer_set(loop, &f->timer, f->end_ns - SPIN_NS) == 0);
}

static void
written_nothing(struct loop_task *t)
{
	rdev_complete(container_of(t, struct rdev_req, task), 0);
}

static void
model_submit(struct rdev *d, struct rdev_req *r)
{
	struct model *m = container_of(d, struct model, dev);
	struct forward *f;

	if (r->op == RDEV_FLUSH && flush_ns > 0) {
		model_flush(r);
		return;
	}
	if (r->op == RDEV_WRITE && r->niov == 1 && zeros &&
	    r->iov[0].iov_base == zeros) {
		r->task = (struct loop_task){.run = written_nothing};
		loop_defer(loop, &r->task);
		return;
	}
	f = calloc(1, sizeof(*f));
	must(f);
	f->up = r;
	f->req = (struct rdev_req){.op = r->op,
	    .off = r->off,
	    .len = r->len,
	    .iov = r->iov,
	    .niov = r->niov,
	    .done = forwarded};
	rdev_submit(m->real, &f->req);
}

static void
model_close(struct rdev *d)
{
	struct model *m = container_of(d, struct model, dev);

	rdev_close(m->real);
	free(d->path);
	free(m);
}

static struct pool *
open_pool(int n, char **paths)
{
	static const struct rdev_ops ops = {model_submit, model_close};
	struct pool_open_params op = {.read_only = false};
	struct rdev *devs[RAW_MAX_MEMBERS];
	struct err e = ERR_INIT;
	struct pool *p;

	for (int i = 0; i < n; i++) {
		struct model *m = calloc(1, sizeof(*m));

		must(m);
		if (rdev_open(loop, io, paths[i], false, &m->real, &e) < 0)
			goto fail;
		m->dev = *m->real;
		m->dev.ops = &ops;
		m->dev.path = strdup(paths[i]);
		m->dev.inflight = 0;
		devs[i] = &m->dev;
	}
	if (pool_open(loop, devs, (unsigned)n, &op, &p, &e) == 0)
		return p;
fail:
	fprintf(stderr, "rawbench: %s\n", err_text(&e));
	exit(2);
}

/* --- puts ------------------------------------------------------------------------ */

static struct {
	struct pool *pool;
	unsigned next, total, flying, slots;
	bool commit, done;
	int64_t end_ns;
	uint64_t ended;
} run;

/* What took how long, in microseconds; the latest of many. */
#define TIMES_MAX 100000
struct times {
	double us[TIMES_MAX];
	unsigned n;
};
static struct times commits, writes;

static void
note(struct times *t, int64_t ns)
{
	t->us[t->n++ % TIMES_MAX] = (double)ns / 1e3;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Half of them took no longer. */
static double
median(struct times *t)
{
	unsigned n = t->n < TIMES_MAX ? t->n : TIMES_MAX;

	qsort(t->us, n, sizeof(*t->us), by_size);
	return n ? t->us[n / 2] : 0;
}

struct slot {
	struct pool_req req;
	struct pool_item item;
	char key[32];
	uint8_t *data;
	int64_t begin_ns;
};

static void put(struct slot *x);

static void
failed(const struct pool_req *r)
{
	fprintf(stderr, "rawbench: %s\n", err_text(&r->err));
	exit(2);
}

static void
slot_done(struct slot *x)
{
	run.ended++;
	note(&commits, clock_mono_ns() - x->begin_ns);
	if (run.next < run.total &&
	    (run.end_ns == 0 || clock_mono_ns() < run.end_ns))
		put(x);
	else
		run.done = --run.flying == 0;
}

static void
synced(struct pool_req *r)
{
	if (r->rc < 0)
		failed(r);
	slot_done(container_of(r, struct slot, req));
}

static void
put_done(struct pool_req *r)
{
	struct slot *x = container_of(r, struct slot, req);

	if (r->rc < 0)
		failed(r);
	if (!run.commit) {
		slot_done(x);
		return;
	}
	x->req = (struct pool_req){.op = POOL_SYNC, .done = synced};
	pool_submit(run.pool, &x->req);
}

static void
put(struct slot *x)
{
	unsigned n = run.next++;

	/* A commit overwrites the same few, so that no store is filled. */
	snprintf(x->key, sizeof(x->key), "v/%08x",
	    run.commit ? n % 4000 : n);
	x->item = (struct pool_item){
	    .key = x->key, .data = x->data, .size = BLOCK};
	if (zeros && run.total - n > REAL_DATA)
		x->item.data = zeros;
	x->req = (struct pool_req){.op = POOL_PUT,
	    .items = &x->item,
	    .nitems = 1,
	    .done = put_done};
	x->begin_ns = clock_mono_ns();
	pool_submit(run.pool, &x->req);
}

static void
run_puts(unsigned inflight)
{
	static struct slot slots[INFLIGHT_MAX];
	uint64_t seed = 1;

	run.done = false;
	run.flying = inflight;
	for (unsigned i = 0; i < inflight; i++) {
		if (!slots[i].data) {
			slots[i].data = aligned_alloc(4096, BLOCK);
			must(slots[i].data);
			for (unsigned k = 0; k < BLOCK; k++)
				slots[i].data[k] = (uint8_t)rnd_next(&seed);
		}
		put(&slots[i]);
	}
	must(loop_run_until(loop, &run.done) == 0);
}

/* --- the three ---------------------------------------------------------------------- */

static void
plain_writes(struct rdev *d, int n)
{
	static uint8_t *mem;

	if (!mem)
		mem = aligned_alloc(4096, BLOCK);
	must(mem);
	memset(mem, 0x5a, BLOCK);
	for (int i = 0; i < n; i++) {
		uint64_t off = (uint64_t)i * BLOCK % d->bytes;

		int64_t begin = clock_mono_ns();

		must(rdev_wait(d, RDEV_WRITE, off, mem, BLOCK, NULL) == 0);
		note(&writes, clock_mono_ns() - begin);
	}
}

static int
flush(int argc, char **argv)
{
	double f = atof(argv[0]), write_us, us;
	unsigned inflight = (unsigned)atoi(argv[1]);
	int seconds = atoi(argv[2]), rounds = 5;
	int64_t begin, ns = 0;
	struct rdev *plain;
	struct err e = ERR_INIT;

	must(inflight <= INFLIGHT_MAX);
	if (rdev_open(loop, io, argv[3], false, &plain, &e) < 0) {
		fprintf(stderr, "rawbench: %s\n", err_text(&e));
		return 2;
	}
	run.pool = open_pool(argc - 4, argv + 4);
	flush_ns = (int64_t)(f * 1e3);
	run.commit = true;
	run.total = UINT32_MAX;
	for (int i = 0; i < rounds; i++) {
		plain_writes(plain, 200);
		begin = clock_mono_ns();
		run.end_ns = begin + seconds * NS_PER_S / rounds;
		run_puts(inflight);
		ns += clock_mono_ns() - begin;
	}
	flush_ns = 0;
	rdev_close(plain);
	us = median(&commits);
	write_us = median(&writes);
	printf("{\"flush_us\": %.0f, \"inflight\": %u, \"write_us\": %.1f, "
	       "\"commit_us\": %.1f, \"per_s\": %.0f, "
	       "\"of_write_and_flush\": %.3f, \"of_rate\": %.3f}\n",
	    f, inflight, write_us, us, (double)run.ended * 1e9 / (double)ns,
	    us / (write_us + f),
	    (double)run.ended * 1e9 / (double)ns /
		(inflight * 1e6 / (write_us + f)));
	return pool_close(run.pool, NULL) < 0;
}

static int
fill(int argc, char **argv)
{
	int64_t begin;

	zeros = aligned_alloc(4096, BLOCK);
	must(zeros);
	memset(zeros, 0, BLOCK);
	run.pool = open_pool(1, argv + 2);
	run.total = (unsigned)atoi(argv[0]);
	begin = clock_mono_ns();
	run_puts(64);
	if (pool_close(run.pool, NULL) < 0)
		return 2;
	run.pool = open_pool(1, argv + 2);
	run.total = (unsigned)atoi(argv[1]);
	run.next = 0;
	run_puts(64);
	printf("{\"objects\": %s, \"seconds\": %.1f}\n", argv[0],
	    (double)(clock_mono_ns() - begin) / NS_PER_S);
	fflush(stdout);
	kill(getpid(), SIGKILL);
	return 2;
}

static long
resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[200];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static int
open_it(int argc, char **argv)
{
	static struct pool_status s;
	long before = resident_kib();
	int64_t begin = clock_mono_ns();
	struct pool *p = open_pool(argc, argv);
	double took = (double)(clock_mono_ns() - begin) / NS_PER_S;
	double tib;

	pool_get_status(p, &s);
	tib = (double)s.objects * BLOCK / (double)(1ull << 40);
	printf("{\"open_s\": %.3f, \"objects\": %llu, \"s_per_tib\": %.3f, "
	       "\"index_bytes_per_object\": %.2f, "
	       "\"resident_bytes_per_object\": %.2f}\n",
	    took, (unsigned long long)s.objects, tib > 0 ? took / tib : 0,
	    s.objects ? (double)s.index_bytes / (double)s.objects : 0,
	    s.objects ? (double)(resident_kib() - before) * 1024 /
		    (double)s.objects
		      : 0);
	return pool_close(p, NULL) < 0;
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: rawbench flush FLUSH_US INFLIGHT SECONDS PLAIN PATH...\n"
	    "       rawbench fill OBJECTS BEHIND PATH\n"
	    "       rawbench open PATH...\n");
	return 2;
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct work_pool *workers = work_pool_new(2, &e);
	int rc;

	loop = loop_new(&e);
	io = loop && workers ? fileio_new(loop, workers, FILEIO_AUTO, 256, &e)
			     : NULL;
	if (!io) {
		fprintf(stderr, "rawbench: %s\n", err_text(&e));
		return 2;
	}
	if (argc >= 7 && strcmp(argv[1], "flush") == 0)
		rc = flush(argc - 2, argv + 2);
	else if (argc == 5 && strcmp(argv[1], "fill") == 0)
		rc = fill(argc - 2, argv + 2);
	else if (argc >= 3 && strcmp(argv[1], "open") == 0)
		rc = open_it(argc - 2, argv + 2);
	else
		rc = usage();
	fileio_free(io);
	loop_free(loop);
	work_pool_free(workers);
	return rc;
}
