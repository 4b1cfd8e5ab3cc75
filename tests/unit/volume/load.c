/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: requests at random, and what they promise; see load.h.
 */
#include "tests/unit/volume/load.h"

#include "base/byteorder.h"
#include "tests/unit/volume/util.h"

static void
done(struct volume_req *r)
{
	struct load_flight *f = r->arg;
	struct load *l = f->l;

	if (r->rc < 0 && !(l->cut && *l->cut))
		fail_msg("seed %#llx: %s", (unsigned long long)l->seed,
		    err_text(&r->err));
	if (r->op == VOLUME_FLUSH && r->rc == 0) {
		for (uint32_t i = 0; i < l->nsectors; i++)
			if (l->safe[i] < f->at_submit[i])
				l->safe[i] = f->at_submit[i];
		l->flushes++;
	} else if (r->rc == 0) {
		for (uint64_t i = 0; i < r->len / LOAD_SECTOR; i++)
			l->acked[r->off / LOAD_SECTOR + i] = f->stamp;
	}
	volume_req_fini(r);
	f->busy = false;
	l->busy--;
	l->idle = true;
}

static bool
clashes(const struct load *l, const struct volume_req *r)
{
	for (unsigned i = 0; i < l->depth; i++) {
		const struct volume_req *o = &l->f[i].r;

		if (l->f[i].busy && o->op != VOLUME_FLUSH &&
		    o->off < r->off + r->len && r->off < o->off + o->len)
			return true;
	}
	return false;
}

/* A number for the request, in its sectors. */
static void
stamp(struct load *l, struct load_flight *f, uint64_t n)
{
	f->stamp = ++l->stamp;
	for (uint64_t i = 0; i < n; i++) {
		memset(f->buf + i * LOAD_SECTOR, (int)f->stamp, LOAD_SECTOR);
		put_le32(f->buf + i * LOAD_SECTOR, f->stamp);
		if (f->r.op == VOLUME_ZERO)
			l->zeroed[f->r.off / LOAD_SECTOR + i] = f->stamp;
	}
}

void
load_start(struct load *l)
{
	uint64_t kind = rnd_below(l->rnd, 100), n;
	struct load_flight *f = l->f;

	while (f->busy)
		f++;
	memset(&f->r, 0, sizeof(f->r));
	f->l = l;
	f->r.arg = f;
	f->r.done = done;
	f->r.op = kind < l->flush_percent		? VOLUME_FLUSH :
	    kind < l->flush_percent + l->zero_percent	? VOLUME_ZERO :
							  VOLUME_WRITE;
	if (f->r.op == VOLUME_FLUSH) {
		memcpy(f->at_submit, l->acked, sizeof(l->acked));
	} else {
		n = 1 + rnd_below(l->rnd, LOAD_WRITE / LOAD_SECTOR);
		f->r.off = rnd_below(l->rnd, l->nsectors - n) * LOAD_SECTOR;
		f->r.len = n * LOAD_SECTOR;
		f->r.src = f->r.op == VOLUME_WRITE ? f->buf : NULL;
		if (clashes(l, &f->r))
			return;
		stamp(l, f, n);
	}
	f->busy = true;
	l->busy++;
	volume_submit(l->v, &f->r);
}

void
load_wait(struct load *l, unsigned busy)
{
	while (l->busy > busy) {
		l->idle = false;
		loop_run_until(l->loop, &l->idle);
	}
}

void
load_check(const struct load *l, const uint8_t *got)
{
	for (uint32_t i = 0; i < l->nsectors; i++) {
		uint32_t there = get_le32(got + i * LOAD_SECTOR);

		if (there >= l->safe[i] && there > 0)
			continue;
		/* Zeros: never written, or zeroed since. */
		if (there == 0 &&
		    (l->safe[i] == 0 || l->zeroed[i] >= l->safe[i]))
			continue;
		fail_msg("seed %#llx: sector %u (block %u) holds %u; a flush "
			 "promised %u", (unsigned long long)l->seed, i,
		    i * LOAD_SECTOR / l->block_size, there, l->safe[i]);
	}
}

void
load_begin_with(struct load *l, const uint8_t *got)
{
	for (uint32_t i = 0; i < l->nsectors; i++)
		l->acked[i] = l->safe[i] = get_le32(got + i * LOAD_SECTOR);
}
