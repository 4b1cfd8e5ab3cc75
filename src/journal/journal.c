/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.c: opening, epochs, applying, closing; see journal.h.
 *
 *	journal_open	 superblock, scan, verdict; nothing is written
 *	journal_announce the lease that is about to be taken, durably
 *	(the lease is taken; was the one before known here?)
 *	journal_start	 a new epoch, durably: now the end of what is old is
 *			 known, and cannot be mistaken any more
 *	journal_apply	 what is old to the user, in order
 *	...
 *	journal_close	 clean: nothing is needed any more
 *
 * A crash anywhere in between leaves a journal that is opened in the same way
 * again; what was applied is applied once more, or has been settled.
 */
#include "config.h"

#include "journal/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/must.h"
#include "journal/internal.h"

/* --- scanning --------------------------------------------------------------- */

struct counting {
	struct journal *j; /* NULL: only counting */
	struct journal_found *f;
	uint64_t next_op;
	struct settled_set *settled;
	struct noted_set *noted;
};

static int
note(struct noted_set *s, const struct journal_extent *x)
{
	size_t cap = s->cap ? 2 * s->cap : 1024;

	if (s->n == s->cap) {
		struct noted *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = (struct noted){.off = x->off, .len = x->len,
	    .op = x->op, .data = x->kind == JOURNAL_WRITE};
	return 0;
}

static int
count_record(struct scan *sc, const struct journal_record *r,
    const struct scan_place *at, struct err *e)
{
	struct counting *c = sc->arg;

	if (c->j)
		reread_note(c->j, at->seg, at->byte, c->next_op);
	for (unsigned i = 0; i < r->nextents; i++) {
		const struct journal_extent *x = &r->x[i];

		int rc = x->kind == JOURNAL_SETTLED
		    ? settled_add(c->settled,
			  x->off / sc->super->block_size, x->op)
		    : note(c->noted, x);

		if (rc < 0)
			return err_errno(e, rc, "journal %s", sc->dev->path);
		if (x->op >= c->next_op)
			c->next_op = x->op + 1;
	}
	return 0;
}

static void
count_segment(struct scan *sc, const struct scan_place *at)
{
	struct counting *c = sc->arg;
	struct seg *s;

	if (!c->j)
		return;
	s = space_seg(c->j, at->seg);
	s->first_op = c->next_op;
	s->first_seq = at->seq;
	s->refs = 0;
	s->nplaces = 0;
}

/* Cut out of x what is settled. */
static int
unsettled(const struct settled_set *s, uint32_t bs, const struct noted *x,
    journal_apply_fn *fn, void *arg, struct err *e)
{
	uint64_t off = x->off, end = x->off + x->len;
	int rc = 0;

	for (size_t i = settled_from(s, off / bs);
	     i < s->n && s->v[i].block * bs < end && rc == 0; i++) {
		uint64_t from = s->v[i].block * bs, to = from + bs;

		if (s->v[i].op < x->op)
			continue;
		if (from > off)
			rc = fn(arg, x->op, off, from - off, x->data, e);
		off = to < end ? to : end;
	}
	if (rc == 0 && off < end)
		rc = fn(arg, x->op, off, end - off, x->data, e);
	return rc;
}

static int
each_unsettled(const struct noted_set *noted, const struct settled_set *settled,
    uint32_t bs, journal_apply_fn *fn, void *arg, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < noted->n && rc == 0; i++)
		rc = unsettled(settled, bs, &noted->v[i], fn, arg, e);
	return rc;
}

static int
sum_up(void *arg, uint64_t op, uint64_t off, uint64_t len, bool data,
    struct err *e)
{
	struct journal_found *f = arg;

	(void)op;
	(void)off;
	(void)e;
	f->ops++;
	f->bytes += data ? len : 0;
	return 0;
}

static int
judge(struct counting *c, struct scan *sc, struct err *e)
{
	struct journal_found *f = c->f;
	int rc;

	c->next_op = f->super.next_op;
	sc->super = &f->super;
	sc->record = count_record;
	sc->segment = count_segment;
	sc->arg = c;
	rc = scan_run(sc, e);
	if (rc < 0)
		return rc;
	settled_sort(c->settled);
	f->records = sc->records;
	f->verdict = sc->damaged ? JOURNAL_DAMAGED : JOURNAL_WHOLE;
	memcpy(f->what, sc->what, sizeof(f->what));
	f->bytes_used = (sc->end.seg - f->super.tail_seg) *
		f->super.seg_size + sc->end.byte;
	/* What is settled is known only when all has been read. */
	(void)each_unsettled(c->noted, c->settled, f->super.block_size, sum_up,
	    f, NULL);
	if (f->verdict == JOURNAL_WHOLE && f->ops == 0)
		f->verdict = JOURNAL_EMPTY;
	return 0;
}

static void
noted_fini(struct noted_set *s)
{
	free(s->v);
	*s = (struct noted_set){NULL};
}

static bool
is_done_with(const struct journal_super *s)
{
	return (s->flags & (JOURNAL_CLEAN | JOURNAL_VOID)) != 0;
}

int
journal_look(struct rdev *d, struct journal_found *f, struct err *e)
{
	struct settled_set settled = {NULL};
	struct noted_set noted = {NULL};
	struct counting c = {.f = f, .settled = &settled, .noted = &noted};
	struct scan sc = {.dev = d, .whole = true};
	int rc;

	memset(f, 0, sizeof(*f));
	rc = super_read(d, &f->super, e);
	if (rc == 0 && !is_done_with(&f->super))
		rc = judge(&c, &sc, e);
	settled_fini(&settled);
	noted_fini(&noted);
	return rc;
}

/* --- opening -------------------------------------------------------------------- */

static int
check_id(struct rdev *d, const struct journal_super *s,
    const struct journal_id *id, struct err *e)
{
	uint8_t check[16];

	if (memcmp(s->uuid, id->uuid, 16) != 0)
		return err_set(e, -ESTALE,
		    "%s: the journal of another volume (%s, written on %s); "
		    "nothing of it is applied here", d->path, s->url, s->host);
	if (s->volume_size != id->volume_size ||
	    s->block_size != id->block_size)
		return err_set(e, -ESTALE,
		    "%s: written when the volume had %llu bytes in blocks of "
		    "%u; now it has %llu in blocks of %u", d->path,
		    (unsigned long long)s->volume_size, s->block_size,
		    (unsigned long long)id->volume_size, id->block_size);
	if (((s->flags & JOURNAL_ENCRYPTED) != 0) != id->encrypted)
		return err_set(e, -ESTALE, "%s: the journal is%s encrypted, and "
		    "the volume is%s", d->path,
		    id->encrypted ? " not" : "", id->encrypted ? "" : " not");
	if (!id->encrypted)
		return 0;
	if (seal_check(id->secret, s->salt, check) < 0)
		return err_errno(e, -EIO, "%s: its key", d->path);
	if (memcmp(check, s->check, 16) != 0)
		return err_set(e, -EKEYREJECTED,
		    "%s: was encrypted by another key", d->path);
	return 0;
}

/* Whatever was in it is not needed, and it does not fit (any more). */
static bool
begins_afresh(struct rdev *d, const struct journal_super *s,
    const struct journal_id *id)
{
	if (s->flags & JOURNAL_VOID)
		return true;
	return (s->flags & JOURNAL_CLEAN) &&
	    memcmp(s->uuid, id->uuid, 16) == 0 &&
	    check_id(d, s, id, NULL) < 0;
}

static void
failed_run(struct loop_task *t)
{
	struct journal *j = container_of(t, struct journal, failed_task);

	if (j->user.failed)
		j->user.failed(j->user.arg);
}

static void
journal_free(struct journal *j)
{
	if (!j)
		return;
	if (j->seg)
		append_fini(j);
	reread_fini(j);
	seal_free(j->seal);
	settled_fini(&j->settled);
	noted_fini(&j->noted);
	free(j->super_page);
	free(j->seg);
	explicit_bzero(j->secret, sizeof(j->secret));
	free(j);
}

/* Where the next epoch begins, from where the scan ended. */
static void
stand_behind(struct journal *j, const struct scan *sc)
{
	j->head = sc->end.byte == 0 ? sc->end.seg - 1 : sc->end.seg;
	j->head_at = sc->end.byte;
	j->next_seq = sc->end.seq;
	j->written_seq = j->flushed_seq = sc->end.seq - 1;
	j->durable_tail = j->want_tail = j->super.tail_seg;
}

static int
open_found(struct journal *j, bool salvage, struct err *e)
{
	struct journal_found *f = &j->found;
	struct counting c = {.j = j, .f = f, .next_op = f->super.next_op,
	    .settled = &j->settled, .noted = &j->noted};
	/* What no code authenticates but with all of its bytes is read. */
	struct scan sc = {.dev = j->dev, .whole = salvage || j->encrypted,
	    .secret = j->encrypted ? j->secret : NULL,
	    .end = {f->super.tail_seg, f->super.tail_seq, 0}};
	int rc = 0;

	if (!is_done_with(&f->super))
		rc = judge(&c, &sc, e);
	if (rc < 0)
		return rc;
	j->next_op = c.next_op;
	if (f->verdict == JOURNAL_DAMAGED && !salvage)
		return err_set(e, -EBADMSG,
		    "%s: damaged: %s. What it holds was acknowledged and the "
		    "store may not have it. 'pail journal replay --salvage "
		    "%s' writes what comes before the damage, 'pail journal "
		    "discard %s' gives all of it up", j->dev->path, f->what,
		    j->dev->path, j->dev->path);
	stand_behind(j, &sc);
	return 0;
}

int
journal_open(struct rdev *d, const struct journal_id *id, bool salvage,
    struct journal **out, struct err *e)
{
	struct journal *j = calloc(1, sizeof(*j));
	void *page;
	int rc;

	if (!j)
		return err_errno(e, -ENOMEM, "journal %s", d->path);
	j->dev = d;
	j->loop = d->loop;
	j->failed_task.run = failed_run;
	j->void_timer.fire = space_void_fire;
	rc = super_read(d, &j->found.super, e);
	if (rc == 0 && !begins_afresh(d, &j->found.super, id))
		rc = check_id(d, &j->found.super, id, e);
	else if (rc == 0) {
		rc = journal_format(d, id, e);
		if (rc == 0)
			rc = super_read(d, &j->found.super, e);
	}
	if (rc < 0)
		goto fail;
	j->super = j->found.super;
	j->encrypted = id->encrypted;
	memcpy(j->secret, id->secret, sizeof(j->secret));
	rc = -ENOMEM;
	j->seg = calloc(j->super.nsegs, sizeof(j->seg[0]));
	if (!j->seg || posix_memalign(&page, JOURNAL_PAGE, JOURNAL_PAGE) != 0) {
		free(j->seg);
		j->seg = NULL;
		err_errno(e, rc, "journal %s", d->path);
		goto fail;
	}
	j->super_page = page;
	snprintf(j->super.url, sizeof(j->super.url), "%s", id->url);
	snprintf(j->super.host, sizeof(j->super.host), "%s", id->host);
	rc = append_open(j, e);
	if (rc == 0)
		rc = reread_open(j, e);
	if (rc == 0)
		rc = open_found(j, salvage, e);
	if (rc < 0)
		goto fail;
	j->applying = j->found.ops > 0;
	*out = j;
	return 0;
fail:
	journal_free(j);
	return rc;
}

const struct journal_found *
journal_found(const struct journal *j)
{
	return &j->found;
}

/* --- leases ------------------------------------------------------------------------ */

bool
journal_knows_lease(const struct journal *j, const char *lease)
{
	for (unsigned i = 0; i < j->super.nleases; i++)
		if (strncmp(j->super.lease[i], lease, JOURNAL_LEASE_LEN) == 0)
			return true;
	return false;
}

static void
add_lease(struct journal_super *s, const char *lease)
{
	if (s->nleases == JOURNAL_LEASES) {
		/* The first is the one that wrote last: it stays. */
		memmove(s->lease[1], s->lease[2],
		    (JOURNAL_LEASES - 2) * sizeof(s->lease[0]));
		s->nleases--;
	}
	memset(s->lease[s->nleases], 0, sizeof(s->lease[0]));
	memcpy(s->lease[s->nleases], lease,
	    strnlen(lease, JOURNAL_LEASE_LEN));
	s->nleases++;
}

int
journal_announce(struct journal *j, const char *lease, struct err *e)
{
	must(!j->started);
	add_lease(&j->super, lease);
	return super_write_wait(j->dev, &j->super, e);
}

/* --- a new epoch -------------------------------------------------------------------- */

bool
journal_needs_reset(const struct journal *j)
{
	return j->super.nepochs == JOURNAL_EPOCHS;
}

/* After a salvage it may have begun behind the end. */
static void
cut_epoch(struct journal_epoch *ep, const struct journal_super *s)
{
	if (ep->first_seq > s->tail_seq)
		ep->first_seq = s->tail_seq;
	if (ep->first_seg > s->tail_seg)
		ep->first_seg = s->tail_seg;
}

int
journal_reset(struct journal *j, struct err *e)
{
	struct journal_super *s = &j->super;
	struct journal_epoch *last = &s->epoch[s->nepochs - 1];

	must(!j->started && j->nreq == 0);
	j->head_at = 0;
	s->tail_seg = j->head + 1;
	s->tail_seq = j->next_seq;
	s->next_op = j->next_op;
	s->flags |= JOURNAL_CLEAN;
	s->epoch[0] = *last;
	cut_epoch(&s->epoch[0], s);
	s->nepochs = 1;
	j->durable_tail = j->want_tail = s->tail_seg;
	j->applying = false;
	return super_write_wait(j->dev, s, e);
}

/* What may stand where the old epoch ended is not to be read ever again. */
static int
wipe_end(struct journal *j, struct err *e)
{
	void *page;
	int rc;

	if (j->head_at == 0 || j->head_at + JOURNAL_PAGE > j->super.seg_size)
		return 0;
	if (posix_memalign(&page, JOURNAL_PAGE, JOURNAL_PAGE) != 0)
		return err_errno(e, -ENOMEM, "journal %s", j->dev->path);
	memset(page, 0, JOURNAL_PAGE);
	rc = rdev_wait(j->dev, RDEV_WRITE,
	    seg_at(&j->super, j->head) + j->head_at, page, JOURNAL_PAGE, e);
	free(page);
	return rc;
}

int
journal_start(struct journal *j, const char *lease, struct err *e)
{
	struct journal_super *s = &j->super;
	struct journal_epoch *ep;
	uint64_t number = s->epoch[s->nepochs - 1].number + 1;
	int rc;

	must(!j->started && s->nepochs < JOURNAL_EPOCHS);
	rc = wipe_end(j, e);
	if (rc < 0)
		return rc;
	/* Those behind what was salvaged are forgotten. */
	while (s->nepochs > 1 &&
	    s->epoch[s->nepochs - 1].first_seq > j->next_seq)
		s->nepochs--;
	/* Those before it without a record are not needed. */
	ep = &s->epoch[s->nepochs];
	*ep = ep[-1];
	ep->number = number;
	ep->first_seq = j->next_seq;
	ep->first_seg = j->head + 1;
	if (getrandom(&ep->nonce, sizeof(ep->nonce), 0) != sizeof(ep->nonce))
		return err_errno(e, -EIO, "random numbers");
	if (ep[-1].first_seq == j->next_seq)
		ep[-1] = *ep;
	else
		s->nepochs++;
	ep = &s->epoch[s->nepochs - 1];
	s->flags &= ~(uint32_t)JOURNAL_CLEAN;
	s->nleases = 0;
	add_lease(s, lease);
	if (j->found.ops == 0 && j->want_tail != j->head + 1) {
		/* Nothing old is needed. */
		s->tail_seg = j->head + 1;
		s->tail_seq = j->next_seq;
		s->epoch[0] = *ep;
		s->nepochs = 1;
		s->next_op = j->next_op;
	}
	j->durable_tail = j->want_tail = s->tail_seg;
	if (j->encrypted) {
		rc = seal_new(j->secret, s->salt, ep->number, ep->nonce,
		    &j->seal);
		if (rc < 0)
			return err_errno(e, rc, "the journal's key");
	}
	rc = super_write_wait(j->dev, s, e);
	if (rc < 0)
		return rc;
	j->started = true;
	j->open_seg = false;
	j->written_op = j->next_op;
	return 0;
}

/* --- applying ------------------------------------------------------------------------- */

int
journal_apply(
    struct journal *j, journal_apply_fn *apply, void *arg, struct err *e)
{
	int rc = each_unsettled(&j->noted, &j->settled, j->super.block_size,
	    apply, arg, e);

	if (rc < 0)
		return rc;
	j->applying = false;
	settled_fini(&j->settled);
	noted_fini(&j->noted);
	return 0;
}

/* --- the rest -------------------------------------------------------------------------- */

void
journal_set_user(struct journal *j, const struct journal_user *u)
{
	if (u)
		j->user = *u;
	else
		memset(&j->user, 0, sizeof(j->user));
}

uint64_t
journal_next_op(const struct journal *j)
{
	return j->next_op;
}

void
journal_get_status(const struct journal *j, struct journal_status *s)
{
	*s = (struct journal_status){
	    .bytes = (uint64_t)j->super.nsegs * j->super.seg_size,
	    .used = (j->head + 1 - j->durable_tail) * j->super.seg_size,
	    .records = j->nrecords,
	    .flushes = j->nflushes,
	    .written = j->nbytes,
	    .failed = j->failed,
	    .is_void = j->failed && j->void_rc == 0,
	    .path = j->dev->path};
}

struct closing {
	struct loop_timer poll;
	struct journal *j;
	bool idle;
};

static bool
is_idle(const struct journal *j)
{
	return j->nreq == 0 && list_empty(&j->waits) && list_empty(&j->woken) &&
	    !j->voiding && !j->wake.queued && !j->failed_task.queued;
}

static void
poll_idle(struct loop_timer *t)
{
	struct closing *c = container_of(t, struct closing, poll);

	c->idle = is_idle(c->j);
	if (!c->idle && loop_timer_set(c->j->loop, t,
		loop_now(c->j->loop) + 1000000) < 0)
		c->idle = true;
}

int
journal_close(struct journal *j, bool clean, struct err *e)
{
	struct closing c = {.poll.fire = poll_idle, .j = j};
	int rc = 0;

	if (j->started)
		append_submit(j);
	if (clean && j->failed)
		journal_void(j);
	poll_idle(&c.poll);
	if (!c.idle)
		rc = loop_run_until(j->loop, &c.idle);
	if (rc == 0 && clean && j->failed) {
		if (j->void_rc < 0)
			rc = err_set(e, -EIO, "%s", err_text(&j->err));
	} else if (rc == 0 && clean) {
		j->started = false;
		rc = journal_reset(j, e);
	}
	loop_timer_cancel(&j->void_timer);
	rdev_close(j->dev);
	journal_free(j);
	return rc;
}
