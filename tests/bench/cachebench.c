/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cachebench: how fast a volume is by itself, without FUSE and network, over a
 * store in memory that takes a while for each request.
 *
 *	cachebench [DELAY_MS]
 *
 * hit		4 KiB reads of cached blocks, 32 in flight
 * hit 1M	1 MiB reads of cached blocks, 4 in flight
 * write	4 KiB random writes while there is room (no GET is waited for)
 * rewrite	4 KiB random writes to blocks that are dirty
 * cold seq	1 MiB reads in order of blocks that are not cached, 1 in flight
 * cold rand	4 KiB random reads, 32 in flight; the best possible is 32/delay
 * seq write	1 MiB writes in order, and a flush; all 64 in flight is 100 %
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "store/delay.h"
#include "store/mem.h"
#include "store/store.h"
#include "volume/volume.h"

#define BS 131072u
#define MB (1ull << 20)
#define VOLUME (1024 * MB)
#define CACHED (128 * MB) /* what the hit tests read */

struct bench {
	struct loop *loop;
	struct volume *v;
	enum volume_op op;
	uint64_t len, range, left, next, seed;
	bool random;
	unsigned busy;
	bool done;
};

struct slot {
	struct volume_req r;
	struct bench *b;
};

static uint8_t data[1 << 20];
static struct mem_data *objects;
static int64_t delay_ns;

static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "cachebench: %s: %s\n", what, err_text(e));
	exit(1);
}

static void bench_next(struct slot *s);

static void
bench_done(struct volume_req *r)
{
	struct slot *s = r->arg;

	if (r->rc < 0)
		die("request", &r->err);
	volume_req_fini(r);
	s->b->busy--;
	bench_next(s);
}

static void
bench_next(struct slot *s)
{
	struct bench *b = s->b;
	uint64_t n;

	if (b->left == 0) {
		b->done = b->busy == 0;
		return;
	}
	b->left--;
	b->busy++;
	n = b->next++;
	if (b->random) {
		b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
		n = b->seed >> 24;
	}
	s->r.op = b->op;
	s->r.off = n % (b->range / b->len) * b->len;
	s->r.len = b->len;
	s->r.src = data;
	s->r.done = bench_done;
	s->r.arg = s;
	volume_submit(b->v, &s->r);
}

/* Seconds that n requests take. */
static double
run(struct bench *b, unsigned depth, uint64_t n)
{
	struct slot *s = calloc(depth, sizeof(*s));
	int64_t t0 = clock_mono_ns();

	b->left = n;
	b->busy = 0;
	b->next = 0;
	b->done = false;
	for (unsigned i = 0; i < depth; i++) {
		s[i].b = b;
		bench_next(&s[i]);
	}
	loop_run_until(b->loop, &b->done);
	free(s);
	return (double)(clock_mono_ns() - t0) / 1e9;
}

static void
open_volume(struct bench *b)
{
	const struct delay_config d = {
	    .min_ns = delay_ns, .max_ns = delay_ns, .seed = 1};
	struct store_env env = {.loop = b->loop};
	struct volume_params p;
	struct err e = ERR_INIT;
	struct store *s;

	volume_params_init(&p);
	p.layout.size = VOLUME;
	p.layout.block_size = BS;
	p.layout.create = true;
	p.cache.size = 512 * MB;
	if (mem_store_open(b->loop, "b", objects, NULL, &s, &e) < 0 ||
	    (delay_ns && delay_store_new(s, &d, &s, &e) < 0) ||
	    volume_open_store(&env, s, "v/", "", &p, &b->v, &e) < 0)
		die("open", &e);
}

static void
close_volume(struct bench *b)
{
	struct err e = ERR_INIT;

	if (volume_close(b->v, false, &e) < 0)
		die("close", &e);
}

static void
flush(struct bench *b)
{
	struct err e = ERR_INIT;

	if (volume_flush_wait(b->v, &e) < 0)
		die("flush", &e);
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct bench b = {.seed = 1};
	double t, best;

	delay_ns = (int64_t)((argc > 1 ? atof(argv[1]) : 20) * 1e6);
	b.loop = loop_new(&e);
	objects = mem_data_new();
	if (!b.loop || !objects)
		die("begin", &e);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 4096 + 1);

	/* Sequential write: a gigabyte, until it is in the store. */
	open_volume(&b);
	b.op = VOLUME_WRITE;
	b.range = VOLUME;
	b.len = MB;
	t = run(&b, 4, VOLUME / MB);
	{
		int64_t t0 = clock_mono_ns();

		flush(&b);
		t += (double)(clock_mono_ns() - t0) / 1e9;
	}
	best = delay_ns ? 64.0 * BS / (double)delay_ns * 1e9 / 1e6 : 0;
	printf("seq write   %9.0f MB/s   (64 in flight: %.0f)\n",
	    (double)VOLUME / 1e6 / t, best);
	close_volume(&b);

	open_volume(&b);
	b.op = VOLUME_READ;
	t = run(&b, 1, VOLUME / 4 / MB);
	printf("cold seq    %9.0f MB/s   (64 in flight: %.0f)\n",
	    (double)VOLUME / 4e6 / t, best);
	close_volume(&b);

	open_volume(&b);
	b.random = true;
	b.len = 4096;
	t = run(&b, 32, delay_ns ? 6000 : 200000);
	printf("cold rand   %9.0f /s     (32/delay: %.0f)\n",
	    (delay_ns ? 6000 : 200000) / t,
	    delay_ns ? 32e9 / (double)delay_ns : 0);
	close_volume(&b);

	open_volume(&b);
	b.random = false;
	b.len = MB;
	b.range = CACHED;
	run(&b, 4, CACHED / MB);
	run(&b, 4, CACHED / MB);
	t = run(&b, 4, 100 * CACHED / MB);
	printf("hit 1M      %9.0f MB/s\n", 100 * (double)CACHED / 1e6 / t);
	b.random = true;
	b.len = 4096;
	run(&b, 32, 100000);
	t = run(&b, 32, 5000000);
	printf("hit         %9.0f /s\n", 5000000 / t);

	b.op = VOLUME_WRITE;
	b.range = VOLUME;
	t = run(&b, 32, 20000);
	printf("write       %9.0f /s\n", 20000 / t);
	b.range = 16 * MB;
	run(&b, 32, 20000);
	t = run(&b, 32, 500000);
	printf("rewrite     %9.0f /s\n", 500000 / t);
	t = run(&b, 1, 200000);
	printf("rewrite qd1 %9.0f /s\n", 200000 / t);
	close_volume(&b);
	mem_data_unref(objects);
	loop_free(b.loop);
	return 0;
}
