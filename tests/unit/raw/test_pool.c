/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools on simulated disks: what is put is got, over every profile, with
 * members away, and after power cuts at any write or flush with any part of
 * what was not flushed on the disks.
 *
 * PAIL_SEED repeats a run, PAIL_ROUNDS makes it longer, PAIL_VERBOSE shows the
 * log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/must.h"
#include "lib/simdisk.h"
#include "raw/pool.h"
#include "raw/rdev.h"

#define NKEYS 24
#define MAXSIZE 200000
#define DISK (40u << 20)

static const struct {
	unsigned k, m;
} profiles[] = {{1, 0}, {1, 1}, {2, 1}, {4, 2}};
#define NPROFILES 4

/* --- a machine with disks and a pool ------------------------------------------ */

struct machine {
	struct simworld w;
	struct loop *loop;
	struct simdisk *disk[RAW_MAX_MEMBERS];
	unsigned k, m, n;
	struct pool *pool;
};

static void
machine_init(struct machine *ma, unsigned k, unsigned m, uint64_t seed)
{
	struct pool_create_params cp = {.k = k, .m = m, .name = "test"};
	struct rdev *devs[RAW_MAX_MEMBERS];
	struct err e = ERR_INIT;

	memset(ma, 0, sizeof(*ma));
	ma->w.seed = seed;
	ma->k = k;
	ma->m = m;
	ma->n = k + m;
	ma->loop = loop_new_virtual(&e);
	assert_non_null(ma->loop);
	for (unsigned c = 0; c < ma->n; c++) {
		ma->disk[c] = simdisk_new(&ma->w, DISK);
		devs[c] = simdisk_open(ma->disk[c], ma->loop, "new");
	}
	if (pool_create(devs, ma->n, &cp, &e) < 0)
		fail_msg("create: %s", err_text(&e));
	for (unsigned c = 0; c < ma->n; c++)
		rdev_close(devs[c]);
}

/* Open with the members whose bit is set. */
static int
machine_open(struct machine *ma, uint32_t with, bool read_only, struct err *e)
{
	struct pool_open_params op = {.read_only = read_only};
	struct rdev *devs[RAW_MAX_MEMBERS];
	unsigned n = 0;
	char name[16];
	int rc;

	for (unsigned c = 0; c < ma->n; c++)
		if (with & (1u << c)) {
			snprintf(name, sizeof(name), "disk%u", c);
			devs[n++] = simdisk_open(ma->disk[c], ma->loop, name);
		}
	rc = pool_open(ma->loop, devs, n, &op, &ma->pool, e);
	for (unsigned i = 0; rc < 0 && i < n; i++)
		rdev_close(devs[i]);
	return rc;
}

static void
machine_must_open(struct machine *ma)
{
	struct err e = ERR_INIT;

	if (machine_open(ma, ~0u, false, &e) < 0)
		fail_msg("open: %s", err_text(&e));
}

static void
machine_must_close(struct machine *ma)
{
	struct err e = ERR_INIT;

	if (pool_close(ma->pool, &e) < 0)
		fail_msg("close: %s", err_text(&e));
	ma->pool = NULL;
}

static void
machine_fini(struct machine *ma)
{
	for (unsigned c = 0; c < ma->n; c++)
		simdisk_free(ma->disk[c]);
	loop_free(ma->loop);
}

/* --- requests ------------------------------------------------------------------ */

struct call {
	struct pool_req req;
	struct pool_item item;
	bool done;
	char key[32];
	uint8_t *data;
	/* The model's: key, version. */
	unsigned i;
	uint64_t version;
};

static void
call_done(struct pool_req *r)
{
	((struct call *)r->arg)->done = true;
}

static void
call_begin(struct machine *ma, struct call *c, enum pool_op op)
{
	c->done = false;
	c->item.key = c->key;
	c->req.op = op;
	c->req.items = &c->item;
	c->req.nitems = op == POOL_SYNC ? 0 : 1;
	c->req.done = call_done;
	c->req.arg = c;
	pool_submit(ma->pool, &c->req);
	assert_false(c->done);
}

static int
call_wait(struct machine *ma, struct call *c)
{
	assert_int_equal(loop_run_until(ma->loop, &c->done), 0);
	return c->req.rc;
}

/* Object i in version v: its size, metadata and bytes follow from these. */
static size_t
object_size(unsigned i, uint64_t v)
{
	static const uint32_t sizes[] = {0, 1, 4095, 4096, 4097, 16384, 131072,
	    131072, MAXSIZE};

	return sizes[(v * 7 + i) % 9];
}

static uint16_t
object_meta(unsigned i, uint64_t v, uint8_t *meta)
{
	static const char block[] =
	    "content-type\0application/x-s3backer-block";

	if ((v + i) % 3 == 0)
		return 0;
	if ((v + i) % 3 == 1) {
		memcpy(meta, block, sizeof(block));
		return sizeof(block);
	}
	return (uint16_t)(sprintf((char *)meta, "version%c%llu", 0,
			      (unsigned long long)v) +
	    1);
}

static void
object_fill(unsigned i, uint64_t v, uint8_t *p, size_t n)
{
	uint64_t x = v * 1000003 + i + 1;

	for (size_t b = 0; b < n; b++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		p[b] = (uint8_t)(x >> 56);
	}
}

static void
make_put(struct call *c, unsigned i, uint64_t v, uint8_t *meta)
{
	size_t n = object_size(i, v);

	memset(c, 0, sizeof(*c));
	snprintf(c->key, sizeof(c->key), "vm/%08x", i * 77);
	c->i = i;
	c->version = v;
	c->data = aligned_alloc(4096, MAXSIZE / 4096 * 4096 + 4096);
	must(c->data);
	object_fill(i, v, c->data, n);
	c->item.data = c->data;
	c->item.size = n;
	c->item.meta = meta;
	c->item.meta_len = object_meta(i, v, meta);
}

/* What is there under key i; the caller frees data and the call. */
static struct call *
get_object(struct machine *ma, unsigned i)
{
	struct call *c = calloc(1, sizeof(*c));
	int rc;

	snprintf(c->key, sizeof(c->key), "vm/%08x", i * 77);
	c->i = i;
	c->data = aligned_alloc(4096, 4096 * 50);
	c->req.dst = c->data;
	c->req.dst_cap = 4096 * 50;
	call_begin(ma, c, POOL_GET);
	rc = call_wait(ma, c);
	if (rc < 0 && rc != -ENOENT)
		fail_msg("get %s: %s", c->key, err_text(&c->req.err));
	return c;
}

static void
call_free(struct call *c)
{
	free(c->data);
	free(c);
}

/* Is that version v (0: nothing)? */
static bool
is_version(const struct call *c, uint64_t v)
{
	size_t n = object_size(c->i, v);
	uint8_t *want, meta[RAW_META_MAX];
	bool same;

	if (v == 0 || c->req.rc == -ENOENT)
		return v == 0 && c->req.rc == -ENOENT;
	want = malloc(n + 1);
	object_fill(c->i, v, want, n);
	same = n == c->req.size && memcmp(want, c->data, n) == 0 &&
	    c->req.meta_len == object_meta(c->i, v, meta) &&
	    memcmp(meta, c->req.meta, c->req.meta_len) == 0;
	free(want);
	return same;
}

static void
check_version(struct machine *ma, unsigned i, uint64_t v)
{
	struct call *c = get_object(ma, i);

	assert_true(is_version(c, v));
	call_free(c);
}

/* --- without faults ------------------------------------------------------------ */

static void
put_wait(struct machine *ma, unsigned i, uint64_t v)
{
	struct call c;
	uint8_t meta[RAW_META_MAX];

	make_put(&c, i, v, meta);
	call_begin(ma, &c, POOL_PUT);
	if (call_wait(ma, &c) < 0)
		fail_msg("put: %s", err_text(&c.req.err));
	free(c.data);
}

static void
delete_wait(struct machine *ma, unsigned i)
{
	struct call *c = calloc(1, sizeof(*c));

	snprintf(c->key, sizeof(c->key), "vm/%08x", i * 77);
	c->item.del = true;
	call_begin(ma, c, POOL_DELETE);
	assert_int_equal(call_wait(ma, c), 0);
	free(c);
}

static int
sync_wait(struct machine *ma)
{
	struct call *c = calloc(1, sizeof(*c));
	int rc;

	call_begin(ma, c, POOL_SYNC);
	rc = call_wait(ma, c);
	free(c);
	return rc;
}

static void
test_basic(void **state)
{
	for (unsigned pr = 0; pr < NPROFILES; pr++) {
		uint64_t v[NKEYS] = {0};
		struct machine ma;

		machine_init(&ma, profiles[pr].k, profiles[pr].m, 1);
		for (unsigned round = 1; round < 5; round++) {
			machine_must_open(&ma);
			for (unsigned i = 0; i < NKEYS; i++)
				check_version(&ma, i, v[i]);
			for (unsigned i = 0; i < NKEYS; i++) {
				if ((i + round) % 5 == 0) {
					delete_wait(&ma, i);
					v[i] = 0;
				} else {
					put_wait(&ma, i, round);
					v[i] = round;
				}
				check_version(&ma, i, v[i]);
			}
			assert_int_equal(sync_wait(&ma), 0);
			machine_must_close(&ma);
		}
		machine_fini(&ma);
	}
}

/* Any m members away: everything is still there, and comes back verified. */
static void
test_degraded(void **state)
{
	for (unsigned pr = 1; pr < NPROFILES; pr++) {
		struct machine ma;
		struct err e = ERR_INIT;
		unsigned n;

		machine_init(&ma, profiles[pr].k, profiles[pr].m, 2);
		n = ma.n;
		machine_must_open(&ma);
		for (unsigned i = 0; i < NKEYS; i++)
			put_wait(&ma, i, 3);
		machine_must_close(&ma);
		for (uint32_t with = 0; with < 1u << n; with++) {
			unsigned here = (unsigned)__builtin_popcount(with);

			if (here == 0)
				continue;
			if (here < ma.k) {
				assert_int_equal(
				    machine_open(&ma, with, true, &e), -ENODEV);
				continue;
			}
			if (machine_open(&ma, with, true, &e) < 0)
				fail_msg("open %x: %s", with, err_text(&e));
			for (unsigned i = 0; i < NKEYS; i++)
				check_version(&ma, i, 3);
			machine_must_close(&ma);
		}
		machine_fini(&ma);
	}
}

/* --- power cuts ------------------------------------------------------------------ */

#define FLYING 4

struct model {
	/* For each key, all that was ever put (0: deleted), in order. */
	struct {
		uint64_t version;
		uint64_t seq; /* of the commit; 0: not known to be complete */
	} h[NKEYS][400];
	unsigned n[NKEYS];
	uint64_t version, synced_seq;
};

static void
check_after_cut(struct machine *ma, struct model *mo)
{
	struct pool_status st;
	uint64_t s;

	pool_get_status(ma->pool, &st);
	s = st.durable_seq;
	assert_true(s >= mo->synced_seq); /* G1 */
	for (unsigned i = 0; i < NKEYS; i++) {
		struct call *c = get_object(ma, i);
		unsigned last = 0, at;

		/* The newest that is known to be in: it, or a later one whose
		 * commit is not known. (G3) */
		for (at = 1; at <= mo->n[i]; at++)
			if (mo->h[i][at].seq && mo->h[i][at].seq <= s)
				last = at;
		for (at = last; at <= mo->n[i]; at++)
			if ((at == last || !mo->h[i][at].seq) &&
			    is_version(c, mo->h[i][at].version))
				break;
		if (at > mo->n[i])
			fail_msg("key %u is not version %llu, of commit %llu "
				 "(recovered to %llu)",
			    i, (unsigned long long)mo->h[i][last].version,
			    (unsigned long long)mo->h[i][last].seq,
			    (unsigned long long)s);
		call_free(c);
		/* From here on that is the truth. */
		mo->h[i][0].version = mo->h[i][at].version;
		mo->n[i] = 0;
	}
	mo->synced_seq = 0;
}

/* Random work until the power goes. */
static void
work(struct machine *ma, struct model *mo, unsigned nops)
{
	struct call *c = calloc(FLYING, sizeof(*c)), sync = {0};
	uint8_t meta[FLYING][RAW_META_MAX];
	bool busy[FLYING] = {0}, syncing = false;
	uint64_t sync_covers = 0, max_seq = 0;

	for (unsigned op = 0; op < nops || busy[0] || busy[1] || busy[2] ||
	     busy[3] || syncing;) {
		unsigned f = (unsigned)sim_random(&ma->w, FLYING);
		unsigned i = (unsigned)sim_random(&ma->w, NKEYS / FLYING) *
			FLYING +
		    f;

		if (busy[f]) {
			unsigned n = mo->n[c[f].i];

			call_wait(ma, &c[f]);
			busy[f] = false;
			free(c[f].data);
			if (c[f].req.rc == 0) {
				mo->h[c[f].i][n].seq = c[f].req.seq;
				if (c[f].req.seq > max_seq)
					max_seq = c[f].req.seq;
			} else {
				assert_true(ma->w.cut);
			}
		} else if (op < nops && !ma->w.cut) {
			bool del = sim_random(&ma->w, 5) == 0;
			unsigned n = ++mo->n[i];

			op++;
			must(n < 400);
			make_put(&c[f], i, ++mo->version, meta[f]);
			c[f].item.del = del;
			mo->h[i][n].version = del ? 0 : mo->version;
			mo->h[i][n].seq = 0;
			/* A delete of nothing is no commit. */
			if (del && mo->h[i][n - 1].version == 0 &&
			    mo->h[i][n - 1].seq) {
				mo->n[i]--;
				free(c[f].data);
				continue;
			}
			call_begin(ma, &c[f], del ? POOL_DELETE : POOL_PUT);
			busy[f] = true;
		} else if (ma->w.cut) {
			op = nops;
		}
		if (syncing && sync.done) {
			if (sync.req.rc == 0)
				mo->synced_seq = sync_covers;
			else
				assert_true(ma->w.cut);
			syncing = false;
		} else if (syncing && op >= nops) {
			call_wait(ma, &sync);
		} else if (!syncing && !ma->w.cut && op < nops &&
		    sim_random(&ma->w, 8) == 0) {
			sync_covers = max_seq;
			call_begin(ma, &sync, POOL_SYNC);
			syncing = true;
		}
	}
	free(c);
}

static void
cut_round(unsigned k, unsigned m, uint64_t seed)
{
	struct model *mo = calloc(1, sizeof(*mo));
	struct machine ma;

	machine_init(&ma, k, m, seed);
	for (unsigned boot = 0; boot < 4; boot++) {
		struct err e = ERR_INIT;
		enum sim_keep keep;

		ma.w.cut = false;
		/* Sometimes the power goes while it opens. */
		ma.w.cut_at = ma.w.ops + 1 +
		    sim_random(&ma.w, sim_random(&ma.w, 3) ? 600 : 30);
		if (machine_open(&ma, ~0u, false, &e) < 0) {
			if (!ma.w.cut)
				fail_msg("seed %llu k %u m %u boot %u: open: "
					 "%s",
				    (unsigned long long)seed, k, m, boot,
				    err_text(&e));
		} else {
			if (!ma.w.cut)
				check_after_cut(&ma, mo);
			if (!ma.w.cut)
				work(&ma, mo, 150);
			pool_abandon(ma.pool);
		}
		/* Abandoned is as good as cut: nothing was flushed. */
		keep = (enum sim_keep)sim_random(&ma.w, 4);
		for (unsigned c = 0; c < ma.n; c++)
			simdisk_settle(ma.disk[c], keep);
	}
	ma.w.cut = false;
	ma.w.cut_at = 0;
	machine_must_open(&ma);
	check_after_cut(&ma, mo);
	machine_must_close(&ma);
	machine_fini(&ma);
	free(mo);
}

static void
test_power_cuts(void **state)
{
	const char *s = getenv("PAIL_SEED"), *r = getenv("PAIL_ROUNDS");
	uint64_t seed = s ? strtoull(s, NULL, 0) : 1000;
	unsigned rounds = r ? (unsigned)atoi(r) : 12;

	for (unsigned i = 0; i < rounds; i++, seed++) {
		print_message("PAIL_SEED=%llu\n", (unsigned long long)seed);
		for (unsigned pr = 0; pr < NPROFILES; pr++)
			cut_round(profiles[pr].k, profiles[pr].m, seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_basic),
	    cmocka_unit_test(test_degraded),
	    cmocka_unit_test(test_power_cuts),
	};

	if (!getenv("PAIL_VERBOSE")) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		must(null >= 0 && dup2(null, STDERR_FILENO) >= 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
