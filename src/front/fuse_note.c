/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the ledger: each write is noted between its end and its answer.
 *
 * Noting it at its end, not at its beginning, has two reasons: what failed is
 * not noted, and the order of the notes is that in which writes were
 * acknowledged.  (Of two that overlap and were in flight together either may
 * win, as on a disk.)
 *
 * A note can go when a flush that began after it has succeeded.  Whoever flushes
 * clears the ledger by that.
 *
 * With a journal it can go earlier: when the journal has written the operation,
 * flushed or not, since a process that dies takes nothing from the disk.  So the
 * ledger has only what the journal is still gathering or has in flight, a few MiB
 * that stay in the processor's cache.  Every MARK_EVERY bytes we remember which
 * operation comes next; when all before it are written, the notes up to there
 * go.  If the disk is too slow for that and the ledger is half full, we flush; if
 * it is full, writes wait (their data is taken, only the answer is late) until
 * that is done.  If it fails the ledger gives up, so that a store that refuses
 * holds up nobody who would not have had to wait anyway.
 *
 * A successor may not find all of a journal that has failed, and with the notes
 * that went for its sake something would be missing: so then the ledger gives up
 * at once, until the store has everything.
 *
 * Without one a flush uploads everything, each changed piece of a block as the
 * whole block: to wait for that would make writing as slow as the store, and
 * take from the cache what it is for.  So when the ledger is full it gives up,
 * until somebody flushes or we do, which we try seldom.
 */
#include "config.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/fuse_int.h"
#include "front/ledger.h"

#define MARK_EVERY (128u << 10)
#define GAP_RETRY_NS (5 * NS_PER_S)
#define GAP_RETRY_STORE_NS (60 * NS_PER_S)
#define GAP_SAY_NS (600 * NS_PER_S)
#define TRIM_NS (30 * NS_PER_S)

static void flush_for_room(struct fuse_front *f);

static bool
note(struct fuse_front *f, const struct volume_req *v)
{
	return ledger_add(f->p.ledger, v->off, v->len,
	    v->op == VOLUME_WRITE ? v->src : NULL);
}

/* Those that waited, in their order. */
static void
note_waiting(struct fuse_front *f)
{
	while (!list_empty(&f->unnoted)) {
		struct fuse_io *io =
		    list_entry(f->unnoted.next, struct fuse_io, link);

		if (!note(f, &io->v))
			return;
		list_del(&io->link);
		fuse_io_end(io);
	}
}

/* Every TRIM_NS while there is something; the last one gives memory back. */
static void
arm_trim(struct fuse_front *f)
{
	f->trim_mark = ledger_head(f->p.ledger);
	if (loop_timer_set(f->loop, &f->trim, loop_now(f->loop) + TRIM_NS) < 0)
		log_debug("no memory for a timer: the ledger keeps its own");
}

static void
trim_time(struct loop_timer *t)
{
	struct fuse_front *f = container_of(t, struct fuse_front, trim);

	if (ledger_head(f->p.ledger) != f->trim_mark)
		arm_trim(f); /* more was written */
	else
		ledger_trim(f->p.ledger);
}

/* A flush does not wait for the store. */
static bool
flush_is_cheap(struct fuse_front *f)
{
	uint64_t next, written;

	return volume_logged(f->volume, &next, &written);
}

uint64_t
fuse_note_flush(struct fuse_front *f)
{
	return f->p.ledger != NULL ? ledger_mark(f->p.ledger) : 0;
}

void
fuse_note_flushed(struct fuse_front *f, uint64_t mark, int rc)
{
	struct ledger *l = f->p.ledger;

	if (l == NULL)
		return;
	bool had_gap = ledger_has_gap(l);

	if (!loop_timer_armed(&f->trim) && ledger_used(l) > 0)
		arm_trim(f);

	if (rc == 0 && had_gap) /* before it is whole */
		ledger_set_journal(l, flush_is_cheap(f));
	if (rc == 0)
		ledger_flushed(l, mark);
	if (had_gap && !ledger_has_gap(l) && f->gap_said) {
		f->gap_said = false;
		log_info("everything is flushed: the mount survives a crash "
			 "again");
	}
	note_waiting(f);
	if (!list_empty(&f->unnoted))
		flush_for_room(f);
}

/* Under a heavy load that is so between any two flushes of a file system: it is
 * said now and then only.  `pail stats` always knows. */
static void
give_up(struct fuse_front *f, const char *why)
{
	int64_t now = loop_now(f->loop);

	if (f->gap_said_ns == 0 || now - f->gap_said_ns > GAP_SAY_NS) {
		log_warn("more was written than can be kept for the case of a "
			 "crash, and %s: until it is flushed, a crash is the "
			 "end of this mount", why);
		f->gap_said = true;
		f->gap_said_ns = now;
	}
	ledger_give_up(f->p.ledger);
	f->own_flush_ns = now;
	f->nmarks = 0;
}

static void
journal_failed(void *arg)
{
	struct fuse_front *f = arg;

	give_up(f, "the journal has failed");
	note_waiting(f);
	if (!f->own_flushing)
		flush_for_room(f);
}

/* --- what the journal has --------------------------------------------------------- */

static void
set_mark(struct fuse_front *f, uint64_t op)
{
	uint64_t pos = ledger_head(f->p.ledger);
	unsigned last = (f->first_mark + f->nmarks - 1) % FUSE_NOTE_MARKS;

	if (f->nmarks == FUSE_NOTE_MARKS ||
	    (f->nmarks > 0 && pos - f->marks[last].pos < MARK_EVERY))
		return;
	last = (last + 1) % FUSE_NOTE_MARKS;
	f->marks[last] = (struct fuse_note_mark){ pos, op };
	f->nmarks++;
}

/* Everything that is noted is in the journal's hands: its operations are below
 * `next`. */
static void
release_written(struct fuse_front *f)
{
	uint64_t next, written;

	if (!volume_logged(f->volume, &next, &written))
		return;
	while (f->nmarks > 0 && f->marks[f->first_mark].op <= written) {
		ledger_release(f->p.ledger, f->marks[f->first_mark].pos);
		f->first_mark = (f->first_mark + 1) % FUSE_NOTE_MARKS;
		f->nmarks--;
	}
	set_mark(f, next);
}

static void
own_flush_done(struct volume_req *r)
{
	struct fuse_front *f = r->arg;
	int rc = r->rc;

	if (rc < 0 && !list_empty(&f->unnoted))
		give_up(f, err_text(&r->err));
	/* Before the rest, which may need it for the next flush. */
	volume_req_fini(r);
	f->own_flushing = false;
	fuse_note_flushed(f, f->own_mark, rc);
	fuse_check_idle(f);
}

static void
flush_for_room(struct fuse_front *f)
{
	if (f->own_flushing)
		return;
	f->own_flushing = true;
	f->own_flush_ns = loop_now(f->loop);
	f->own_mark = ledger_mark(f->p.ledger);
	memset(&f->own_flush, 0, sizeof(f->own_flush));
	f->own_flush.op = VOLUME_FLUSH;
	f->own_flush.done = own_flush_done;
	f->own_flush.arg = f;
	volume_submit(f->volume, &f->own_flush);
}

/* In the gap it is tried again now and then. */
static bool
wants_flush(const struct fuse_front *f, bool cheap)
{
	if (ledger_has_gap(f->p.ledger))
		return loop_now(f->loop) - f->own_flush_ns >
		    (cheap ? GAP_RETRY_NS : GAP_RETRY_STORE_NS);
	return cheap && ledger_wants_flush(f->p.ledger);
}

void
fuse_note_write(struct fuse_front *f, struct fuse_io *io)
{
	if (f->p.ledger == NULL) {
		fuse_io_end(io);
		return;
	}
	bool cheap = flush_is_cheap(f);

	release_written(f);
	if (!list_empty(&f->unnoted) || !note(f, &io->v)) {
		if (cheap) {
			list_del(&io->link);
			list_push_back(&f->unnoted, &io->link);
			flush_for_room(f);
			return;
		}
		give_up(f, "nobody has flushed it");
	}
	fuse_io_end(io);
	if (wants_flush(f, cheap))
		flush_for_room(f);
}

void
fuse_note_init(struct fuse_front *f)
{
	list_init(&f->unnoted);
	f->trim.fire = trim_time;
	if (f->p.ledger != NULL)
		volume_watch_journal(f->volume, journal_failed, f);
}

void
fuse_note_fini(struct fuse_front *f)
{
	if (f->p.ledger != NULL)
		volume_watch_journal(f->volume, NULL, NULL);
	loop_timer_cancel(&f->trim);
}
