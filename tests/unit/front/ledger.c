/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what is noted and not flushed comes back, in its order, however
 * the ring lies and whenever the process is killed.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/byteorder.h"
#include "base/err.h"
#include "front/kept.h"
#include "front/ledger.h"

#define DISK 4096 /* of the little disk that is written to */

struct disk {
	uint8_t b[DISK];
	unsigned n;
};

static int
put(void *arg, const struct ledger_rec *r, struct err *e)
{
	struct disk *d = arg;

	assert_true(r->off + r->len <= DISK);
	if (r->kind == LEDGER_DATA)
		memcpy(d->b + r->off, r->data, r->len);
	else
		memset(d->b + r->off, 0, r->len);
	d->n++;
	return 0;
}

static struct ledger *
open_ledger(struct kept *k)
{
	struct ledger *l;

	assert_int_equal(ledger_open(k, &l, NULL), 0);
	assert_non_null(l);
	return l;
}

/* As a successor sees it. */
static void
replay(struct kept *k, struct disk *d)
{
	struct ledger *l = open_ledger(k);

	assert_int_equal(ledger_replay(l, put, d, NULL), 0);
	ledger_free(l);
}

static void
noted_until_flushed(void **state)
{
	struct kept k;
	struct disk d = { { 0 }, 0 };

	assert_int_equal(kept_new(&k, 4096, NULL), 0);
	struct ledger *l = open_ledger(&k);

	assert_false(kept_survives(&k)); /* nor was there a FUSE_INIT */
	ledger_start(&k, l);
	assert_true(ledger_add(l, 10, 5, "hello"));
	assert_true(ledger_add(l, 12, 2, "LL"));
	uint64_t mark = ledger_mark(l);

	assert_true(ledger_add(l, 0, 20, NULL));
	assert_true(ledger_add(l, 20, 5, "world"));
	replay(&k, &d);
	assert_int_equal(d.n, 4);
	assert_memory_equal(d.b + 10, "\0\0\0\0\0\0\0\0\0\0world", 15);
	ledger_flushed(l, mark);
	memset(&d, 0, sizeof(d));
	replay(&k, &d);
	assert_int_equal(d.n, 2);
	/* A flush that began earlier ends later. */
	ledger_flushed(l, mark - 32);
	memset(&d, 0, sizeof(d));
	replay(&k, &d);
	assert_int_equal(d.n, 2);
	ledger_flushed(l, ledger_mark(l));
	assert_int_equal(ledger_used(l), 0);
	memset(&d, 0, sizeof(d));
	replay(&k, &d);
	assert_int_equal(d.n, 0);
	ledger_free(l);
	kept_fini(&k);
}

/* Against a model: random writes and flushes, on a small ring. */
static void
goes_around(void **state)
{
	struct kept k;
	struct disk now = { { 0 }, 0 }, flushed, d;
	uint8_t data[1500];
	unsigned full = 0, seed = 1;

	assert_int_equal(kept_new(&k, 8192, NULL), 0);
	struct ledger *l = open_ledger(&k);

	ledger_start(&k, l);
	flushed = now;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t len = (uint32_t)rand_r(&seed) % sizeof(data);
		uint32_t off = (uint32_t)rand_r(&seed) % (DISK - len);
		bool zero = rand_r(&seed) % 8 == 0;

		memset(data, rand_r(&seed), sizeof(data));
		if (!ledger_add(l, off, len, zero ? NULL : data)) {
			full++;
			assert_true(ledger_wants_flush(l));
			ledger_flushed(l, ledger_mark(l));
			flushed = now;
			assert_true(
			    ledger_add(l, off, len, zero ? NULL : data));
		}
		memset(now.b + off, zero ? 0 : data[0], len);
		if (rand_r(&seed) % 16 == 0) {
			ledger_flushed(l, ledger_mark(l));
			flushed = now;
		}
		d = flushed;
		replay(&k, &d);
		assert_memory_equal(d.b, now.b, DISK);
	}
	assert_true(full > 100);
	ledger_free(l);
	kept_fini(&k);
}

/* Notes that go soon leave most of a large ring untouched. */
static void
stays_at_its_start(void **state)
{
	enum { RING = 64 << 20, PIECE = 4096 };
	static uint8_t data[PIECE];
	static unsigned char there[RING / 4096];
	struct kept k;
	struct disk d = { { 0 }, 0 };
	uint64_t pos[8] = { 0 };
	size_t pages = 0;

	assert_int_equal(kept_new(&k, RING, NULL), 0);
	struct ledger *l = open_ledger(&k);

	ledger_start(&k, l);
	for (unsigned i = 0; i < 50000; i++) {
		memset(data, (int)i, sizeof(data));
		assert_true(ledger_add(l, 0, sizeof(data), data));
		/* All but the last eight. */
		ledger_release(l, pos[i % 8]);
		pos[i % 8] = ledger_head(l);
		assert_true(ledger_used(l) <= 10 * (PIECE + 64));
		assert_false(ledger_wants_flush(l));
	}
	replay(&k, &d);
	assert_in_range(d.n, 7, 9);
	assert_int_equal(d.b[0], (50000 - 1) & 0xff);
	ledger_free(l);

	void *m = mmap(NULL, RING, PROT_READ, MAP_SHARED, k.fd, KEPT_PAGE);

	assert_true(m != MAP_FAILED);
	assert_int_equal(mincore(m, RING, there), 0);
	for (size_t i = 0; i < sizeof(there); i++)
		pages += there[i] & 1;
	munmap(m, RING);
	assert_true(pages * 4096 < 6 << 20);
	kept_fini(&k);
}

/* What was told through a pipe is there, at whatever instruction the process
 * was killed. */
static void
killed(void **state)
{
	for (unsigned round = 0; round < 40; round++) {
		struct kept k;
		struct disk d = { { 0 }, 0 };
		int p[2];
		uint32_t told = 0, last = 0, n;

		assert_int_equal(kept_new(&k, 8192, NULL), 0);
		assert_int_equal(pipe(p), 0);
		struct ledger *l = open_ledger(&k);

		ledger_start(&k, l);
		pid_t pid = fork();

		if (pid == 0) {
			uint32_t v[64];

			for (n = 1;; n++) {
				for (unsigned i = 0; i < 64; i++)
					v[i] = n;
				if (!ledger_add(l, 256 * (n % 8), 256, v)) {
					/* All but the newest are safe. */
					ledger_flushed(l, ledger_mark(l));
					ledger_add(l, 256 * (n % 8), 256, v);
				}
				if (write(p[1], &n, sizeof(n)) != sizeof(n))
					_exit(1);
			}
		}
		close(p[1]);
		do {
			if (read(p[0], &n, sizeof(n)) != sizeof(n))
				break;
			told = n;
			if (told > 20 * round)
				kill(pid, SIGKILL);
		} while (true);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		ledger_free(l);
		replay(&k, &d);
		for (unsigned i = 0; i < 8; i++) {
			uint32_t first = get_le32(d.b + 256 * i);

			for (unsigned j = 0; j < 64; j++) /* none is torn */
				assert_int_equal(
				    get_le32(d.b + 256 * i + 4 * j), first);
			if (first > last)
				last = first;
		}
		/* Killed between a flush and the next: all was flushed. */
		assert_true(d.n == 0 || last == told || last == told + 1);
		close(p[0]);
		kept_fini(&k);
	}
}

static void
the_gap(void **state)
{
	static uint8_t data[3000];
	struct kept k;
	struct ledger_place p;

	assert_int_equal(kept_new(&k, 4096, NULL), 0);
	struct ledger *l = open_ledger(&k);

	ledger_start(&k, l);
	assert_true(ledger_add(l, 0, sizeof(data), data));
	assert_false(ledger_add(l, 0, sizeof(data), data));
	uint64_t old = ledger_mark(l); /* of a flush that is under way */

	ledger_give_up(l);
	assert_true(ledger_has_gap(l));
	assert_int_equal(kept_get_ledger(&k, &p, NULL), 0);
	assert_int_equal(p.state, LEDGER_GAP);
	/* Goes by unnoted. */
	assert_true(ledger_add(l, 0, sizeof(data), data));
	assert_true(ledger_add(l, 0, sizeof(data), data));
	assert_int_equal(ledger_used(l), 0);
	uint64_t mark = ledger_mark(l);

	ledger_flushed(l, old); /* knows nothing of the two */
	assert_true(ledger_has_gap(l));
	assert_true(ledger_add(l, 0, 5, "hello"));
	ledger_flushed(l, mark);
	assert_false(ledger_has_gap(l));
	struct disk d = { { 0 }, 0 };

	replay(&k, &d);
	assert_int_equal(d.n, 1);
	assert_memory_equal(d.b, "hello", 5);
	/* It may overflow again before the gap is closed. */
	ledger_give_up(l);
	mark = ledger_mark(l);
	assert_true(ledger_add(l, 0, sizeof(data), data));
	assert_false(ledger_add(l, 0, sizeof(data), data));
	ledger_give_up(l);
	ledger_flushed(l, mark);
	assert_true(ledger_has_gap(l));
	ledger_flushed(l, ledger_mark(l));
	assert_false(ledger_has_gap(l));
	ledger_free(l);
	kept_fini(&k);
}

/* Any byte of a record's header that is wrong is found, or harmless: nothing is
 * read outside the ring. */
static void
damage(void **state)
{
	struct kept k;
	struct ledger_rec r;

	assert_int_equal(kept_new(&k, 4096, NULL), 0);
	struct ledger *l = open_ledger(&k);

	ledger_start(&k, l);
	assert_true(ledger_add(l, 1, 5, "hello"));
	ledger_free(l);
	uint8_t *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
	    k.fd, 0);
	struct ledger_place p;

	assert_int_equal(kept_get_ledger(&k, &p, NULL), 0);
	assert_int_equal(ledger_decode(m + 4096, &p, p.tail, &r), 1);
	assert_int_equal(r.next, p.head);
	assert_int_equal(ledger_decode(m + 4096, &p, p.head, &r), 0);
	assert_int_equal(ledger_decode(m + 4096, &p, p.head + 32, &r),
	    -EBADMSG);
	for (unsigned i = 0; i < 32; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			m[4096 + i] ^= (uint8_t)(1u << bit);
			int rc = ledger_decode(m + 4096, &p, p.tail, &r);

			if (rc == 1) {
				assert_true(r.next <= p.head);
				/* Kind, offset or a length in the same
				 * rounding. */
				assert_true(i >= 4 && i < 24);
			}
			m[4096 + i] ^= (uint8_t)(1u << bit);
		}
	/* The page's own numbers. */
	put_le64(m + 424, UINT64_MAX - 31);
	assert_int_equal(kept_get_ledger(&k, &p, NULL), -EPROTO);
	put_le64(m + 424, 7);
	assert_int_equal(kept_get_ledger(&k, &p, NULL), -EPROTO);
	munmap(m, 8192);
	kept_fini(&k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(noted_until_flushed),
		cmocka_unit_test(goes_around),
		cmocka_unit_test(stays_at_its_start),
		cmocka_unit_test(killed),
		cmocka_unit_test(the_gap),
		cmocka_unit_test(damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
