/* SPDX-License-Identifier: Apache-2.0 */
/* rawlab.c: a pool on simulated disks, and a model of it; see rawlab.h. */
#include "lib/rawlab.h"

#include <setjmp.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "base/must.h"
#include "raw/alloc.h"
#include "raw/ckpt.h"
#include "raw/geom.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/rdev.h"

/* --- failing ------------------------------------------------------------------ */

static char reproduce[1000];

void
lab_reproduce(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reproduce, sizeof(reproduce), fmt, ap);
	va_end(ap);
}

void
lab_fail(const char *fmt, ...)
{
	char text[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_msg("%s\n\trepeat it with: %s", text, reproduce);
	abort();
}

uint64_t
lab_env(const char *name, uint64_t def)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : def;
}

/* --- what is wrapped ------------------------------------------------------------ */

static struct simworld chance; /* of getrandom */

ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);
ssize_t
__wrap_getrandom(void *p, size_t n, unsigned flags)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)sim_random(&chance, 256);
	return (ssize_t)n;
}

#define LINES 64
static char lines[LINES][500];
static unsigned nlines;

void __wrap_log_msg(int level, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void
__wrap_log_msg(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(lines[nlines++ % LINES], sizeof(lines[0]), fmt, ap);
	va_end(ap);
	if (getenv("PAIL_VERBOSE"))
		print_message("# %s\n", lines[(nlines - 1) % LINES]);
}

unsigned
lab_log_lines(void)
{
	unsigned n = nlines;

	nlines = 0;
	return n;
}

const char *
lab_log_find(const char *text)
{
	for (unsigned i = nlines; i > 0 && i + LINES > nlines; i--)
		if (strstr(lines[(i - 1) % LINES], text))
			return lines[(i - 1) % LINES];
	return NULL;
}

/* --- the machine ------------------------------------------------------------------ */

void
lab_init(struct lab *lab, const struct lab_params *lp)
{
	struct pool_create_params cp = {.k = lp->k, .m = lp->m, .name = "lab"};
	struct rdev *devs[RAW_MAX_MEMBERS];
	struct err e = ERR_INIT;

	memset(lab, 0, sizeof(*lab));
	/* Recovery takes and gives back large buffers. */
	mallopt(M_MMAP_THRESHOLD, 256 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	chance.seed = lp->seed * 77 + 1;
	lab->w.seed = lp->seed;
	lab->k = lp->k;
	lab->m = lp->m;
	lab->n = lp->k + lp->m;
	lab->loop = loop_new_virtual(&e);
	must(lab->loop);
	for (unsigned c = 0; c < lab->n; c++) {
		lab->disk[c] = simdisk_new(
		    &lab->w, lp->disk_bytes ? lp->disk_bytes : LAB_DISK);
		devs[c] = simdisk_open(lab->disk[c], lab->loop, "new");
	}
	if (pool_create(devs, lab->n, &cp, &e) < 0)
		lab_fail("create: %s", err_text(&e));
	for (unsigned c = 0; c < lab->n; c++)
		rdev_close(devs[c]);
}

void
lab_fini(struct lab *lab)
{
	must(!lab->pool);
	for (unsigned c = 0; c < lab->n; c++) {
		simimage_free(lab->image[c]);
		simdisk_free(lab->disk[c]);
	}
	loop_free(lab->loop);
}

int
lab_open(struct lab *lab, uint32_t with, bool read_only, struct err *e)
{
	struct pool_open_params op = {.read_only = read_only};
	struct rdev *devs[RAW_MAX_MEMBERS];
	unsigned n = 0;
	char name[16];
	int rc;

	for (unsigned c = 0; c < lab->n; c++)
		if (with & (1u << c)) {
			snprintf(name, sizeof(name), "disk%u", c);
			devs[n++] = simdisk_open(lab->disk[c], lab->loop, name);
			if (c == 0)
				devs[0]->bytes -= lab->short_by;
		}
	rc = pool_open(lab->loop, devs, n, &op, &lab->pool, e);
	for (unsigned i = 0; rc < 0 && i < n; i++)
		rdev_close(devs[i]);
	if (rc < 0)
		lab->pool = NULL;
	return rc;
}

void
lab_must_open(struct lab *lab)
{
	struct err e = ERR_INIT;

	if (lab_open(lab, ~0u, false, &e) < 0)
		lab_fail("open: %s", err_text(&e));
}

void
lab_must_close(struct lab *lab)
{
	struct err e = ERR_INIT;

	if (pool_close(lab->pool, &e) < 0)
		lab_fail("close: %s", err_text(&e));
	lab->pool = NULL;
}

void
lab_kill(struct lab *lab)
{
	pool_abandon(lab->pool);
	lab->pool = NULL;
}

void
lab_save(struct lab *lab)
{
	must(!lab->pool);
	for (unsigned c = 0; c < lab->n; c++) {
		simimage_free(lab->image[c]);
		simdisk_settle(lab->disk[c], SIM_KEEP_ALL);
		lab->image[c] = simdisk_save(lab->disk[c]);
	}
}

void
lab_restore(struct lab *lab)
{
	must(!lab->pool);
	for (unsigned c = 0; c < lab->n; c++)
		simdisk_load(lab->disk[c], lab->image[c]);
}

void
lab_until(struct lab *lab, const bool *done, const char *what)
{
	if (loop_run_until(lab->loop, done) < 0)
		lab_fail("%s never ends", what);
}

/* --- keys and bytes ------------------------------------------------------------------ */

static char keys[LAB_NKEYS][RAW_KEY_MAX + 1];
static unsigned sorted[LAB_NKEYS];

static int
by_key(const void *a, const void *b)
{
	return strcmp(keys[*(const unsigned *)a], keys[*(const unsigned *)b]);
}

static void
make_keys(void)
{
	for (unsigned i = 0; i < LAB_NKEYS; i++) {
		size_t n = (size_t)snprintf(
		    keys[i], sizeof(keys[i]), "vm/%08x", i * 2654435761u);

		sorted[i] = i;
		if (i % 16 == 7) /* long, of any bytes but NUL */
			for (; n < 40u * (i + 1) && n < RAW_KEY_MAX; n++)
				keys[i][n] = (char)(1 + (n * 31 + i) % 255);
		else if (i % 16 == 9)
			snprintf(keys[i], sizeof(keys[i]), "%c\xff%u",
			    (int)(1 + i), i);
	}
	qsort(sorted, LAB_NKEYS, sizeof(sorted[0]), by_key);
}

const char *
lab_key(unsigned i)
{
	static char many[LAB_MANY][12];

	if (!keys[0][0])
		make_keys();
	if (i >= LAB_NKEYS) {
		must(i - LAB_NKEYS < LAB_MANY);
		snprintf(many[i - LAB_NKEYS], 12, "f/%08x", i);
		return many[i - LAB_NKEYS];
	}
	return keys[i];
}

static uint64_t
word_at(uint64_t x, uint64_t i)
{
	x = (x + i) * 0x9e3779b97f4a7c15ull;
	return x ^ (x >> 31);
}

void
lab_fill(const struct lab_object *o, uint8_t *p, size_t off, size_t n)
{
	uint64_t x = o->version * 1000003ull;

	while (n > 0) {
		uint64_t v = word_at(x, off / 8);
		size_t at = off % 8, m = 8 - at < n ? 8 - at : n;

		memcpy(p, (uint8_t *)&v + at, m);
		p += m;
		off += m;
		n -= m;
	}
}

uint16_t
lab_meta(const struct lab_object *o, uint8_t *meta)
{
	static const char block[] =
	    "content-type\0application/x-s3backer-block";

	if (o->meta == 0)
		return 0;
	if (o->meta == 1) {
		memcpy(meta, block, sizeof(block));
		return sizeof(block);
	}
	memcpy(meta, "version", 8);
	return (uint16_t)(8 +
	    snprintf((char *)meta + 8, 40, "%llu",
		(unsigned long long)o->version) +
	    1);
}

/* --- requests ---------------------------------------------------------------------------- */

static void
op_done(struct pool_req *r)
{
	struct lab_op *op = r->arg;

	op->done = true;
	op->event = simrec_now(&op->lab->w);
}

/* Aligned memory of n bytes and the rest of the sector. */
static uint8_t *
sectors(size_t n)
{
	size_t room = (n + RAW_SECTOR) & ~(size_t)(RAW_SECTOR - 1);
	uint8_t *p = aligned_alloc(RAW_SECTOR, room);

	must(p);
	memset(p + room - RAW_SECTOR, 0, RAW_SECTOR);
	return p;
}

static void
make_item(struct lab_op *op, unsigned i, unsigned key,
    const struct lab_object *o)
{
	struct pool_item *it = &op->items[i];
	uint8_t *data;

	it->key = lab_key(key);
	it->del = o->version == 0;
	if (it->del)
		return;
	data = sectors(o->size);
	lab_fill(o, data, 0, o->size);
	it->data = data;
	it->size = o->size;
	it->meta = op->meta[i];
	it->meta_len = lab_meta(o, op->meta[i]);
}

struct lab_op *
lab_begin(struct lab *lab, enum pool_op kind, const unsigned *key,
    const struct lab_object *obj, unsigned n)
{
	struct lab_op *op;

	SIM_PAUSE(true);
	op = calloc(1, sizeof(*op));
	must(op);
	op->lab = lab;
	op->nitems = n;
	op->items = calloc(n + 1, sizeof(*op->items));
	op->meta = calloc(n + 1, sizeof(*op->meta));
	must(op->items && op->meta);
	for (unsigned i = 0; i < n; i++)
		make_item(op, i, key[i], &obj[i]);
	SIM_PAUSE(false);
	op->req.op = kind;
	op->req.items = op->items;
	op->req.nitems = n;
	op->req.done = op_done;
	op->req.arg = op;
	pool_submit(lab->pool, &op->req);
	lab_check(!op->done);
	return op;
}

int
lab_wait(struct lab_op *op)
{
	lab_until(op->lab, &op->done, "a request");
	return op->req.rc;
}

void
lab_op_free(struct lab_op *op)
{
	for (unsigned i = 0; i < op->nitems; i++)
		free((void *)(uintptr_t)op->items[i].data);
	free(op->items);
	free(op->meta);
	free(op);
}

static int
finish(struct lab_op *op)
{
	int rc = lab_wait(op);

	if (rc < 0)
		lab_check(op->req.err.rc < 0 && err_text(&op->req.err)[0]);
	lab_op_free(op);
	return rc;
}

int
lab_put(struct lab *lab, unsigned key, const struct lab_object *o)
{
	return finish(lab_begin(lab, POOL_PUT, &key, o, 1));
}

int
lab_delete(struct lab *lab, unsigned key)
{
	static const struct lab_object none;

	return finish(lab_begin(lab, POOL_DELETE, &key, &none, 1));
}

int
lab_batch(struct lab *lab, const unsigned *key, const struct lab_object *obj,
    unsigned n)
{
	return finish(lab_begin(lab, POOL_BATCH, key, obj, n));
}

int
lab_sync(struct lab *lab)
{
	return finish(lab_begin(lab, POOL_SYNC, NULL, NULL, 0));
}

struct ckpt_waiter {
	struct ckpt_wait wait;
	bool done;
	int rc;
};

static void
ckpt_waited(struct ckpt_wait *w, int rc)
{
	struct ckpt_waiter *cw = w->arg;

	cw->rc = rc;
	cw->done = true;
}

int
lab_checkpoint(struct lab *lab)
{
	struct ckpt_waiter w = {.wait.done = ckpt_waited};

	w.wait.arg = &w;
	ckpt_start(lab->pool, &w.wait);
	lab_until(lab, &w.done, "a checkpoint");
	return w.rc;
}

static void
scrub_progress(void *arg, uint64_t done, uint64_t total)
{
	struct lab_scrub *s = arg;

	if (s->read)
		s->read(s->arg);
}

static void
scrub_lost(void *arg, const char *key, const struct err *why)
{
	lab_check(err_text(why)[0]);
}

static void
scrub_done(void *arg, const struct scrub_result *r)
{
	struct lab_scrub *s = arg;

	s->result = *r;
	s->done = true;
}

struct scrub *
lab_scrub_begin(
    struct lab *lab, struct lab_scrub *s, void (*read)(void *arg), void *arg)
{
	struct scrub_ops ops = {scrub_progress, scrub_lost, scrub_done, s};
	struct scrub *begun;

	*s = (struct lab_scrub){.read = read, .arg = arg};
	begun = scrub_start(lab->pool, &ops);
	must(begun);
	return begun;
}

struct scrub_result
lab_scrub(struct lab *lab)
{
	struct lab_scrub s;

	lab_scrub_begin(lab, &s, NULL, NULL);
	lab_until(lab, &s.done, "a scrub");
	return s.result;
}

struct idle {
	struct loop_timer timer;
	bool done;
};

static void
idle_over(struct loop_timer *t)
{
	container_of(t, struct idle, timer)->done = true;
}

void
lab_idle(struct lab *lab, int64_t ns)
{
	struct idle i = {.timer.fire = idle_over};

	SIM_PAUSE(true);
	must(loop_timer_set(lab->loop, &i.timer, loop_now(lab->loop) + ns) == 0);
	SIM_PAUSE(false);
	lab_until(lab, &i.done, "an idle time");
}

/* --- comparing --------------------------------------------------------------------------- */

static int
get(struct lab *lab, unsigned key, const struct lab_object *o, uint64_t off,
    uint64_t len, bool all)
{
	struct pool_item item = {.key = lab_key(key)};
	struct lab_op op = {.lab = lab};
	struct pool_req *r = &op.req;
	size_t cap = o->size + RAW_SECTOR;
	uint8_t *want, meta[RAW_META_MAX];
	int rc;

	SIM_PAUSE(true);
	r->op = POOL_GET;
	r->items = &item;
	r->nitems = 1;
	r->done = op_done;
	r->arg = &op;
	r->off = off;
	r->len = all ? 0 : len;
	r->head = lab->quick_from > 0 && key >= lab->quick_from;
	if (r->head)
		len = 0;
	r->dst = sectors(cap);
	r->dst_cap = cap;
	SIM_PAUSE(false);
	pool_submit(lab->pool, r);
	rc = lab_wait(&op);
	SIM_PAUSE(true);
	if (rc < 0 && rc != -ENOENT && rc != -EMSGSIZE && rc != -ERANGE &&
	    rc != -ENOMEM && rc != -EROFS &&
	    key % 16 != 7 && key % 16 != 9 && !strstr(err_text(&r->err), item.key))
		lab_fail("an error that does not name the object: %s (%s)",
		    err_text(&r->err), strerror(-rc)); /* G8 */
	if (rc == -ENOENT || o->version == 0) {
		rc = rc == -ENOENT || rc == 0
		    ? o->version != 0 || rc != -ENOENT
		    : rc;
	} else if (rc == -EMSGSIZE || rc == -ERANGE) {
		rc = 1; /* another size */
	} else if (rc == 0) {
		want = malloc(len + 1);
		lab_fill(o, want, off, len);
		rc = r->size != o->size || memcmp(want, r->dst, len) != 0 ||
		    r->meta_len != lab_meta(o, meta) ||
		    memcmp(meta, r->meta, r->meta_len) != 0;
		free(want);
	}
	free(r->dst);
	SIM_PAUSE(false);
	return rc;
}

int
lab_compare(struct lab *lab, unsigned key, const struct lab_object *o)
{
	return get(lab, key, o, 0, o->size, true);
}

int
lab_compare_range(struct lab *lab, unsigned key, const struct lab_object *o,
    uint64_t off, uint64_t len)
{
	return get(lab, key, o, off, len, false);
}

void
lab_compare_all(
    struct lab *lab, const struct lab_object *model, const char *where)
{
	char key[RAW_KEY_MAX + 1] = "";
	struct pool_status st;
	struct raw_object o;
	unsigned i = 0;
	uint64_t n = 0;

	for (unsigned key_no = 0; key_no < LAB_NKEYS; key_no++) {
		int rc = lab_compare(lab, key_no, &model[key_no]);

		if (rc != 0)
			lab_fail("%s: key %u is not version %llu (%s)", where,
			    key_no, (unsigned long long)model[key_no].version,
			    rc < 0 ? strerror(-rc) : "other bytes");
	}
	while (pool_next(lab->pool, key, &o) == 1) {
		while (i < LAB_NKEYS && model[sorted[i]].version == 0)
			i++;
		if (i == LAB_NKEYS || strcmp(keys[sorted[i]], key) != 0)
			lab_fail("%s: the listing has %s", where, key);
		if (o.size != model[sorted[i]].size)
			lab_fail("%s: %s is listed with %llu bytes", where, key,
			    (unsigned long long)o.size);
		i++;
		n++;
	}
	while (i < LAB_NKEYS && model[sorted[i]].version == 0)
		i++;
	if (i < LAB_NKEYS)
		lab_fail("%s: the listing lacks %s", where, keys[sorted[i]]);
	pool_get_status(lab->pool, &st);
	if (st.objects != n)
		lab_fail("%s: %llu objects are counted, %llu listed", where,
		    (unsigned long long)st.objects, (unsigned long long)n);
}

static uint64_t
space(const struct lab *lab, uint64_t bytes)
{
	uint64_t n = 0;

	for (; bytes > 0; bytes -= bytes < RAW_EXTENT_MAX ? bytes
							   : RAW_EXTENT_MAX)
		n += geom_space(lab->k, lab->m,
		    (uint32_t)(bytes < RAW_EXTENT_MAX ? bytes
						      : RAW_EXTENT_MAX));
	return n;
}

void
lab_check_space(struct lab *lab, const struct lab_object *model)
{
	struct pool *p = lab->pool;
	uint8_t meta[RAW_META_MAX];
	uint64_t used = 0;

	for (unsigned i = 0; i < LAB_NKEYS; i++)
		if (model[i].version)
			used += space(lab, model[i].size +
				(model[i].meta == 2
					? lab_meta(&model[i], meta)
					: 0u));
	for (size_t i = 0; i < p->nroots; i++)
		used += space(lab, p->roots[i].ext.bytes);
	for (size_t i = 0; i < index_npages(p->index); i++)
		used += space(lab,
		    index_page_ref(index_page(p->index, i))->ext.bytes);
	used += p->freed_sectors + alloc_nbad(p->alloc);
	if (used + alloc_nfree(p->alloc) != alloc_total(p->alloc))
		lab_fail("%llu sectors are in use by count, %llu are taken",
		    (unsigned long long)used,
		    (unsigned long long)(alloc_total(p->alloc) -
			alloc_nfree(p->alloc)));
}
