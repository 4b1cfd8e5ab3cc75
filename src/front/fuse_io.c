/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the disk: FUSE READ, WRITE, FSYNC and FALLOCATE as volume
 * requests.
 *
 * A struct fuse_io is one of them, from a free list (no malloc per request),
 * on f->busy from submit until the volume is done with it.  The answer to a
 * READ goes out by one writev from the memory of the cache; the data of a
 * WRITE is taken by the volume from the buffer it was received in.
 *
 * Interrupts.  A disk does not answer EINTR, and programs do not expect it.
 * But a store may be out of reach for long, and a program that waits for it
 * must be killable.  So an interrupt is answered with EINTR at once if the
 * requester is dying (SIGKILL is pending; the kernel adds it for every fatal
 * signal), and otherwise only when the request has waited for INTERRUPT_NS.
 * The volume request runs on without anybody to answer; its io stays busy, so
 * that the end still waits for it.
 *
 * Errors.  The kernel passes on no more than an errno, so the sentence goes
 * to the log, at most one line per second.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "front/fuse_int.h"

#define IO_FREE_MAX 256
#define INTERRUPT_NS (5 * NS_PER_S)
#define LOG_EVERY_NS NS_PER_S

int
fuse_errno(int rc)
{
	switch (-rc) {
	case 0:
	case EIO:
	case EINTR:
	case ENOMEM:
	case ENOSPC:
	case EDQUOT:
	case EROFS:
	case EINVAL:
	case EOPNOTSUPP:
	case ENXIO:
		return -rc;
	default:
		return EIO;
	}
}

/* --- requests ------------------------------------------------------------ */

static struct fuse_io *
io_get(struct fuse_front *f)
{
	struct list *l = list_pop_front(&f->io_free);

	if (l != NULL) {
		f->nfree--;
		return list_entry(l, struct fuse_io, link);
	}
	struct fuse_io *io = calloc(1, sizeof(*io));

	if (io != NULL) {
		io->f = f;
		list_init(&io->link);
	}
	return io;
}

static void
io_put(struct fuse_io *io)
{
	struct fuse_front *f = io->f;

	list_del(&io->link);
	if (io->rx != NULL)
		fuse_rx_put(f, io->rx);
	io->rx = NULL;
	io->req = NULL;
	if (f->nfree >= IO_FREE_MAX) {
		free(io);
		return;
	}
	list_push_front(&f->io_free, &io->link);
	f->nfree++;
}

static const char *
op_name(enum volume_op op)
{
	switch (op) {
	case VOLUME_READ:
		return "read";
	case VOLUME_WRITE:
		return "write";
	case VOLUME_ZERO:
		return "discard";
	case VOLUME_FLUSH:
	case VOLUME_DRAIN:
		return "flush";
	}
	return "?";
}

static void
log_failure(struct fuse_front *f, const struct volume_req *v)
{
	int64_t now = loop_now(f->loop);

	if (f->log_ns != 0 && now - f->log_ns < LOG_EVERY_NS) {
		f->log_held_back++;
		return;
	}
	if (f->log_held_back > 0)
		log_error("%u more requests failed", f->log_held_back);
	f->log_held_back = 0;
	f->log_ns = now;
	if (v->op == VOLUME_FLUSH || v->op == VOLUME_DRAIN)
		log_error("flush: %s", err_text(&v->err));
	else
		log_error("%s of %" PRIu64 " bytes at %" PRIu64 ": %s",
		    op_name(v->op), v->len, v->off, err_text(&v->err));
}

static void
count_done(struct stat_set *s, const struct volume_req *v, int64_t ns)
{
	switch (v->op) {
	case VOLUME_READ:
		stat_inc(s, STAT_FRONT_READS);
		stat_add(s, STAT_FRONT_READ_BYTES, v->len);
		stat_time(s, HIST_FRONT_READ, ns);
		break;
	case VOLUME_WRITE:
		stat_inc(s, STAT_FRONT_WRITES);
		stat_add(s, STAT_FRONT_WRITE_BYTES, v->len);
		stat_time(s, HIST_FRONT_WRITE, ns);
		break;
	case VOLUME_ZERO:
		stat_inc(s, STAT_FRONT_DISCARDS);
		break;
	case VOLUME_FLUSH:
	case VOLUME_DRAIN:
		stat_inc(s, STAT_FRONT_FLUSHES);
		stat_time(s, HIST_FRONT_FLUSH, ns);
		break;
	}
}

/* The answer.  If it cannot be sent the kernel has no use for it any more. */
static void
answer(struct fuse_io *io)
{
	const struct volume_req *v = &io->v;
	fuse_req_t req = io->req;

	if (v->rc < 0)
		fuse_reply_err(req, fuse_errno(v->rc));
	else if (v->op == VOLUME_READ)
		fuse_reply_iov(req, v->iov, (int)v->niov);
	else if (v->op == VOLUME_WRITE)
		fuse_reply_write(req, v->len);
	else
		fuse_reply_err(req, 0);
}

void
fuse_io_end(struct fuse_io *io)
{
	struct fuse_front *f = io->f;
	struct volume_req *v = &io->v;

	/* Not loop_now: a hit takes less than a turn of the loop. */
	count_done(f->stats, v, clock_mono_ns() - io->start_ns);
	if (v->rc < 0) {
		stat_inc(f->stats, STAT_FRONT_ERRORS);
		log_failure(f, v);
	}
	if (io->req != NULL)
		answer(io);
	volume_req_fini(v);
	stat_sub(f->stats, STAT_FRONT_INFLIGHT, 1);
	io_put(io);
	fuse_check_idle(f);
}

static void
io_done(struct volume_req *v)
{
	struct fuse_io *io = v->arg;
	struct fuse_front *f = io->f;

	if (v->op == VOLUME_FLUSH || v->op == VOLUME_DRAIN)
		fuse_note_flushed(f, io->mark, v->rc);
	if (v->rc == 0 && (v->op == VOLUME_WRITE || v->op == VOLUME_ZERO))
		fuse_note_write(f, io);
	else
		fuse_io_end(io);
}

static void on_interrupt(fuse_req_t req, void *data);

static void
io_submit(struct fuse_io *io, fuse_req_t req)
{
	struct fuse_front *f = io->f;

	io->req = req;
	io->interrupted = false;
	io->start_ns = loop_now(f->loop);
	io->v.done = io_done;
	io->v.arg = io;
	io->v.rc = 0;
	err_clear(&io->v.err);
	io->v.iov = NULL;
	io->v.niov = 0;
	list_push_back(&f->busy, &io->link);
	stat_add(f->stats, STAT_FRONT_INFLIGHT, 1);
	fuse_req_interrupt_func(req, on_interrupt, io);
	if (io->req == NULL) {
		/* The interrupt was here before the request. */
		stat_sub(f->stats, STAT_FRONT_INFLIGHT, 1);
		io_put(io);
		return;
	}
	volume_submit(f->volume, &io->v);
}

/* --- interrupts ------------------------------------------------------------- */

/* SIGKILL pending, in the thread or in its process. */
static bool
is_dying(pid_t tid)
{
	char name[40], line[256];
	bool dying = false;

	if (tid <= 0)
		return false;
	snprintf(name, sizeof(name), "/proc/%d/status", (int)tid);
	FILE *p = fopen(name, "re");

	if (p == NULL)
		return true; /* gone */
	while (fgets(line, sizeof(line), p) != NULL) {
		unsigned long long set;

		if ((sscanf(line, "SigPnd: %llx", &set) == 1 ||
			sscanf(line, "ShdPnd: %llx", &set) == 1) &&
		    (set & (1ULL << 8)) != 0)
			dying = true;
	}
	fclose(p);
	return dying;
}

static void
answer_interrupted(struct fuse_io *io)
{
	fuse_req_t req = io->req;

	io->req = NULL;
	fuse_reply_err(req, EINTR);
}

static void
interrupt_time(struct loop_timer *t)
{
	struct fuse_front *f =
	    container_of(t, struct fuse_front, interrupt_timer);
	int64_t now = loop_now(f->loop), next = 0;

	list_for_each(l, &f->busy) {
		struct fuse_io *io = list_entry(l, struct fuse_io, link);
		int64_t due = io->start_ns + INTERRUPT_NS;

		if (!io->interrupted || io->req == NULL)
			continue;
		if (due <= now)
			answer_interrupted(io);
		else if (next == 0 || due < next)
			next = due;
	}
	if (next != 0 && loop_timer_set(f->loop, t, next) < 0)
		log_warn("no memory for a timer: a request that waits "
			 "cannot be interrupted");
}

static void
on_interrupt(fuse_req_t req, void *data)
{
	struct fuse_io *io = data;

	if (io->req == NULL)
		return;
	io->interrupted = true;
	if (is_dying(fuse_req_ctx(req)->pid))
		answer_interrupted(io);
	else
		interrupt_time(&io->f->interrupt_timer);
}

/* --- the operations ----------------------------------------------------------- */

void
fuse_io_read(struct fuse_front *f, fuse_req_t req, size_t len, off_t off,
    uint64_t stream)
{
	if (off < 0 || (uint64_t)off >= f->size || len == 0) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	struct fuse_io *io = io_get(f);

	if (io == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	io->v.op = VOLUME_READ;
	io->v.off = (uint64_t)off;
	io->v.len = len < f->size - (uint64_t)off ? len :
						    f->size - (uint64_t)off;
	io->v.stream = stream;
	io_submit(io, req);
}

void
fuse_io_write(struct fuse_front *f, fuse_req_t req, const char *data,
    size_t len, off_t off, bool fua)
{
	if (off < 0 || (uint64_t)off > f->size ||
	    len > f->size - (uint64_t)off) {
		/* A disk does not grow. */
		fuse_reply_err(req, ENOSPC);
		return;
	}
	struct fuse_io *io = io_get(f);

	if (io == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	io->v.op = VOLUME_WRITE;
	io->v.off = (uint64_t)off;
	io->v.len = len;
	io->v.src = data;
	io->v.fua = fua;
	io->rx = fuse_rx_keep(f);
	f->mtime_ns = f->ctime_ns = clock_wall_ns();
	io_submit(io, req);
}

void
fuse_io_zero(struct fuse_front *f, fuse_req_t req, off_t off, off_t len)
{
	if (off < 0 || len <= 0 || (uint64_t)off >= f->size) {
		fuse_reply_err(req, off < 0 || len <= 0 ? EINVAL : 0);
		return;
	}
	struct fuse_io *io = io_get(f);

	if (io == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	uint64_t room = f->size - (uint64_t)off;

	io->v.op = VOLUME_ZERO;
	io->v.off = (uint64_t)off;
	io->v.len = (uint64_t)len < room ? (uint64_t)len : room;
	io->v.fua = false;
	f->mtime_ns = f->ctime_ns = clock_wall_ns();
	io_submit(io, req);
}

void
fuse_io_flush(struct fuse_front *f, fuse_req_t req, enum volume_op op)
{
	struct fuse_io *io = io_get(f);

	if (io == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	io->mark = fuse_note_flush(f);
	io->v.op = op;
	io->v.off = io->v.len = 0;
	io_submit(io, req);
}

/* --- life ------------------------------------------------------------------------ */

void
fuse_io_init(struct fuse_front *f)
{
	list_init(&f->busy);
	fuse_note_init(f);
	list_init(&f->io_free);
	f->interrupt_timer.fire = interrupt_time;
}

void
fuse_io_abort(struct fuse_front *f)
{
	list_splice_back(&f->busy, &f->unnoted);
	list_for_each(l, &f->busy) {
		struct fuse_io *io = list_entry(l, struct fuse_io, link);
		fuse_req_t req = io->req;

		io->req = NULL;
		if (req != NULL)
			fuse_reply_err(req, EIO);
	}
}

void
fuse_io_fini(struct fuse_front *f)
{
	struct list *l;

	must(!fuse_is_busy(f));
	loop_timer_cancel(&f->interrupt_timer);
	fuse_note_fini(f);
	while ((l = list_pop_front(&f->io_free)) != NULL)
		free(list_entry(l, struct fuse_io, link));
}
