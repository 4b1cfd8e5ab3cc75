/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamps: writes to a file and keeps account, outside of it, of what must be
 * there.
 *
 *	stamps write FILE STATE [SEED [SECONDS]]
 *	stamps check FILE STATE written|flushed
 *
 * `write` has four threads, each with a part of FILE of its own, which exists
 * and keeps its size: O_DIRECT writes of up to 64 KiB and holes at random
 * places, and fdatasync after a few of them.  Each sector of 4 KiB is filled
 * with the number of its write, and its own.  It ends after SECONDS (status 1
 * if there was an error before) or, without them, at the first error, which
 * somebody has made.
 *
 * STATE is a mapped file: for each sector the newest write that was begun, that
 * was acknowledged, that was covered by a successful fdatasync, and the newest
 * hole.  It is written before and after each of these, so it survives the death
 * of this program, not that of the machine.
 *
 * `check` reads all of FILE.  Each sector must be whole, and hold the newest
 * write that was acknowledged (`written`) or flushed (`flushed`), or a later one
 * that was begun.  What was found is what must be there from then on: a write
 * that was lost once must not come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 4096u
#define WRITE_MAX 16u /* sectors */
#define READ_MAX 256u
#define THREADS 4u

struct sector {
	uint32_t begun, written, flushed;
	uint32_t hole; /* the newest that was begun */
};

static struct {
	const char *path;
	int fd;
	uint32_t n; /* sectors */
	_Atomic uint32_t *last; /* of STATE: the last number that was given */
	struct sector *s;
	double until; /* 0: until an error */
	_Atomic int error;
	_Atomic uint64_t nwrites, nflushes;
} d;

struct part {
	pthread_t thread;
	uint32_t from, n;
	uint64_t seed;
	uint64_t *buf;
};

static void
die(const char *what)
{
	fprintf(stderr, "stamps: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
chance(uint64_t *seed, uint64_t n)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % n;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t
word(uint32_t stamp, uint32_t sector)
{
	return (uint64_t)stamp << 32 | sector;
}

/* --- writing -------------------------------------------------------------------- */

static int
change(struct part *p)
{
	uint32_t len = 1 + (uint32_t)chance(&p->seed, WRITE_MAX);
	uint32_t at = p->from + (uint32_t)chance(&p->seed, p->n - len);
	uint32_t stamp = atomic_fetch_add(d.last, 1) + 1;
	bool hole = chance(&p->seed, 8) == 0;
	off_t off = (off_t)at * SECTOR;
	size_t bytes = (size_t)len * SECTOR;

	for (uint32_t i = at; i < at + len; i++) {
		for (uint32_t w = 0; w < SECTOR / 8; w++)
			p->buf[(i - at) * (SECTOR / 8) + w] = word(stamp, i);
		d.s[i].begun = stamp;
		if (hole)
			d.s[i].hole = stamp;
	}
	if (hole) {
		if (fallocate(d.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			off, (off_t)bytes) < 0)
			return -errno;
	} else {
		ssize_t n = pwrite(d.fd, p->buf, bytes, off);

		if (n != (ssize_t)bytes)
			return n < 0 ? -errno : -EIO;
	}
	for (uint32_t i = at; i < at + len; i++)
		d.s[i].written = stamp;
	atomic_fetch_add(&d.nwrites, 1);
	return 0;
}

static int
flush(struct part *p)
{
	if (fdatasync(d.fd) < 0)
		return -errno;
	/* Nobody else writes here. */
	for (uint32_t i = p->from; i < p->from + p->n; i++)
		d.s[i].flushed = d.s[i].written;
	atomic_fetch_add(&d.nflushes, 1);
	return 0;
}

static void *
work(void *arg)
{
	struct part *p = arg;

	while (!d.error && (d.until == 0 || now() < d.until)) {
		int rc = chance(&p->seed, 8) ? change(p) : flush(p);

		if (rc < 0)
			d.error = -rc;
	}
	return NULL;
}

static int
write_all(uint64_t seed, double seconds)
{
	struct part part[THREADS];

	d.until = seconds > 0 ? now() + seconds : 0;
	for (unsigned i = 0; i < THREADS; i++) {
		struct part *p = &part[i];
		void *buf;

		*p = (struct part){.from = d.n / THREADS * i,
		    .n = d.n / THREADS, .seed = seed * THREADS + i};
		if (posix_memalign(&buf, SECTOR, WRITE_MAX * SECTOR) != 0)
			die("memory");
		p->buf = buf;
		errno = pthread_create(&p->thread, NULL, work, p);
		if (errno)
			die("thread");
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(part[i].thread, NULL);
		free(part[i].buf);
	}
	printf("%" PRIu64 " writes, %" PRIu64 " flushes; %s\n", d.nwrites,
	    d.nflushes, d.error ? strerror(d.error) : "no error");
	return seconds > 0 && d.error ? 1 : 0;
}

/* --- checking ------------------------------------------------------------------- */

/* Is it what it may be?  Says so if it is not. */
static bool
check_sector(uint32_t i, const uint64_t *p, bool all)
{
	struct sector *s = &d.s[i];
	uint32_t least = all ? s->written : s->flushed;
	uint32_t stamp = (uint32_t)(p[0] >> 32);
	bool whole = true;

	for (uint32_t w = 0; w < SECTOR / 8; w++)
		whole &= p[w] == p[0];
	if (!whole || (p[0] != 0 && p[0] != word(stamp, i))) {
		printf("sector %" PRIu32 " is not whole: %" PRIx64 ", then "
		    "%" PRIx64 "\n", i, p[0], p[SECTOR / 8 - 1]);
		return false;
	}
	if (p[0] == 0 ? least > s->hole
		      : stamp < least || stamp > s->begun) {
		printf("sector %" PRIu32 " holds %" PRIu32 "; begun %" PRIu32
		    ", written %" PRIu32 ", flushed %" PRIu32 ", hole %" PRIu32
		    "\n", i, stamp, s->begun, s->written, s->flushed,
		    s->hole);
		return false;
	}
	if (stamp == 0)
		stamp = s->hole;
	s->begun = s->written = s->flushed = stamp;
	return true;
}

static int
check_all(bool all)
{
	uint32_t bad = 0;
	void *buf;

	if (posix_memalign(&buf, SECTOR, READ_MAX * SECTOR) != 0)
		die("memory");
	for (uint32_t i = 0; i < d.n; i += READ_MAX) {
		uint32_t n = d.n - i < READ_MAX ? d.n - i : READ_MAX;
		ssize_t got = pread(d.fd, buf, (size_t)n * SECTOR,
		    (off_t)i * SECTOR);

		if (got != (ssize_t)n * SECTOR)
			die("read");
		for (uint32_t k = 0; k < n; k++)
			bad += !check_sector(i + k,
			    (uint64_t *)buf + k * (SECTOR / 8), all);
	}
	free(buf);
	printf("%" PRIu32 " sectors, %" PRIu32 " wrong\n", d.n, bad);
	return bad > 0;
}

/* ---------------------------------------------------------------------------------- */

static void
map_state(const char *path)
{
	size_t bytes = SECTOR + d.n * sizeof(struct sector);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *p;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		die(path);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	close(fd);
	d.last = (void *)p;
	d.s = (void *)(p + SECTOR);
}

int
main(int argc, char **argv)
{
	bool check = argc == 5 && strcmp(argv[1], "check") == 0;
	struct stat st;

	if (!check && (argc < 4 || argc > 6 || strcmp(argv[1], "write") != 0)) {
		fprintf(stderr, "usage: stamps write FILE STATE [SEED "
		    "[SECONDS]]\n       stamps check FILE STATE "
		    "written|flushed\n");
		return 2;
	}
	d.path = argv[2];
	d.fd = open(d.path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (d.fd < 0 || fstat(d.fd, &st) < 0)
		die(d.path);
	d.n = (uint32_t)(st.st_size / SECTOR);
	map_state(argv[3]);
	if (check)
		return check_all(strcmp(argv[4], "written") == 0);
	if (d.n / THREADS <= WRITE_MAX) {
		fprintf(stderr, "stamps: %s is too small\n", d.path);
		return 2;
	}
	return write_all(argc > 4 ? strtoull(argv[4], NULL, 0) : 1,
	    argc > 5 ? strtod(argv[5], NULL) : 0);
}
