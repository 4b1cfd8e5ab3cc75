/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Erasing a volume, and changing its size; see admin.h.
 *
 * Both use the machinery of an open volume: a survey, and ERASE of a range.
 * For erasing, the volume is opened bare: 2^32 blocks, so that those beyond its
 * end go too, no keys, and block 0 like any other.
 *
 * Order of a change of size, so that it can be stopped anywhere:
 *
 *	erase what is beyond the smaller of both ends	old size
 *	write the descriptor				new size
 *	write block 0, for its headers			s3backer knows too
 *
 * and where there is no descriptor, block 0 is what makes the new size.
 * Stopped before the last step the descriptor counts, and block 0 gets the
 * right headers when it is written next.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "layout/admin.h"
#include "layout/lease.h"
#include "layout/s3b_name.h"
#include "layout/s3b_open.h"

#define PROGRESS_NS (100 * NS_PER_MS)

/* --- requests that wait -------------------------------------------------------- */

static void
req_done(struct layout_req *r)
{
	*(bool *)r->arg = true;
}

static int
run(struct layout *l, struct layout_req *r, struct err *e)
{
	bool done = false;

	r->done = req_done;
	r->arg = &done;
	layout_submit(l, r);
	must(loop_run_until(l->loop, &done) == 0);
	if (r->rc < 0)
		err_copy(e, &r->err);
	return r->rc;
}

struct ticker {
	struct loop_timer timer;
	struct layout *l;
	uint64_t total;
	layout_progress *progress;
	void *arg;
};

static void
tick(struct loop_timer *t)
{
	struct ticker *k = container_of(t, struct ticker, timer);
	uint64_t left = k->l->present.nyes;

	k->progress(k->arg, k->total > left ? k->total - left : 0, k->total);
	/* It was armed before, so there is memory for it. */
	(void)loop_timer_set(k->l->loop, t, t->due_ns + PROGRESS_NS);
}

/* Erase a range whose blocks the survey knows, showing how far it is. */
static int
erase_range(struct layout *l, uint64_t from, uint64_t end,
    layout_progress *progress, void *arg, struct err *e)
{
	struct layout_req r = {.op = LAYOUT_ERASE, .prio = STORE_PRIO_WRITE,
	    .block = from, .nblocks = end - from};
	struct ticker k = {.timer.fire = tick, .l = l,
	    .total = l->present.nyes, .progress = progress, .arg = arg};
	int rc;

	if (progress != NULL)
		(void)loop_timer_set(
		    l->loop, &k.timer, loop_now(l->loop) + PROGRESS_NS);
	rc = run(l, &r, e);
	loop_timer_cancel(&k.timer);
	if (progress != NULL && rc == 0)
		progress(arg, k.total, k.total);
	return rc;
}

/* --- a bare volume -------------------------------------------------------------- */

/* Everything that has the name of a block goes. */
static int
erase_blocks(struct store *s, const char *prefix, bool hashed,
    layout_progress *progress, void *arg, struct err *e)
{
	struct layout *l = s3b_bare(s, prefix, hashed);
	int rc;

	if (l == NULL)
		return err_errno(e, -ENOMEM, "erase %s",
		    VOLUME_NAME(s, prefix));
	rc = layout_survey_wait(l, NULL, NULL, e);
	if (rc == 0)
		rc = erase_range(l, 0, l->info.nblocks, progress, arg, e);
	(void)layout_close(l, false, NULL); /* holds nothing */
	return rc;
}

static int
delete_descriptor(struct store *s, const char *prefix, struct err *e)
{
	char key[STORE_KEY_MAX + 1];
	struct store_req r;
	int rc;

	snprintf(key, sizeof(key), "%s%s", prefix, S3B_DESCRIPTOR_NAME);
	store_req_init(&r, STORE_DELETE, key);
	r.prio = STORE_PRIO_WRITE;
	rc = store_run(s, &r, e);
	store_req_fini(&r);
	return rc;
}

int
layout_erase_volume(struct store *s, const char *prefix, bool force,
    layout_progress *progress, void *arg, struct err *e)
{
	struct volume_facts f;
	struct lease_owner me;
	struct lease *lease = NULL;
	int rc = layout_inspect(s, prefix, &f, e), rc2;

	/* A descriptor that nobody understands can still be erased. */
	if (force && (rc == -EBADMSG || rc == -EPROTONOSUPPORT)) {
		memset(&f, 0, sizeof(f));
		rc = 0;
	} else if (rc == 0 && f.kind == VOLUME_NONE && !force)
		rc = err_set(e, -ENOENT, "%s: there is no volume",
		    VOLUME_NAME(s, prefix));
	if (rc == 0)
		rc = lease_owner_self(&me, e);
	if (rc == 0)
		rc = lease_acquire(s, prefix, &me, force, &lease, e);
	if (rc < 0)
		return rc;
	for (int hashed = 0; hashed < 2 && rc == 0; hashed++)
		if (f.kind == VOLUME_NONE || f.hashed == hashed)
			rc = erase_blocks(s, prefix, hashed, progress, arg, e);
	if (rc == 0)
		rc = delete_descriptor(s, prefix, e);
	rc2 = lease_release(lease, rc == 0 ? e : NULL);
	return rc < 0 ? rc : rc2;
}

/* --- another size ---------------------------------------------------------------- */

/* Write block 0 again, with the headers that l has now. */
static int
rewrite_block0(struct layout *l, struct err *e)
{
	uint32_t bs = l->info.block_size;
	struct buf *b = buf_new(bs);
	struct layout_req r = {.op = LAYOUT_READ, .prio = STORE_PRIO_READ,
	    .len = bs, .data = b};
	int rc;

	if (b == NULL)
		return err_errno(e, -ENOMEM, "block 0");
	b->len = bs;
	rc = run(l, &r, e);
	if (rc == 0) {
		r.op = LAYOUT_WRITE;
		rc = run(l, &r, e);
	}
	buf_unref(b);
	return rc;
}

/* Where nothing is to be erased yet everything beyond the old end is listed
 * again, now that it belongs to the map. */
static int
set_geometry(struct layout *l, uint64_t size, struct err *e)
{
	int rc = s3b_set_size(l, size);

	return rc < 0 ? err_errno(e, rc, "resize %s",
			    VOLUME_NAME(l->store, l->prefix))
		      : layout_survey_wait(l, NULL, NULL, e);
}

int
layout_resize(struct layout *l, uint64_t size, layout_progress *progress,
    void *arg, struct err *e)
{
	uint64_t old = l->info.size;
	uint64_t bs = l->info.block_size;
	uint64_t low = (size < old ? size : old) / bs;
	int rc = geometry_check(size, bs, e), rc2;

	must(l->inflight == 0);
	if (rc == 0 && l->info.read_only)
		rc = err_set(e, -EROFS, "it is not open for writing");
	if (rc < 0)
		return err_wrap(e, rc, "resize %s",
		    VOLUME_NAME(l->store, l->prefix));
	if (size == old)
		return 0;
	/* All that was ever larger than both. */
	rc = set_geometry(l, bs * NBLOCKS_MAX, e);
	if (rc == 0)
		rc = erase_range(l, low, NBLOCKS_MAX, progress, arg, e);
	rc2 = s3b_set_size(l, rc == 0 ? size : old);
	if (rc == 0 && rc2 < 0)
		rc = err_errno(e, rc2, "resize %s",
		    VOLUME_NAME(l->store, l->prefix));
	if (rc < 0)
		return rc;
	if (l->has_desc) {
		l->desc.size = size;
		rc = s3b_put_descriptor(
		    l->store, l->prefix, &l->desc, false, e);
	}
	if (rc == 0)
		rc = rewrite_block0(l, e);
	return rc;
}
