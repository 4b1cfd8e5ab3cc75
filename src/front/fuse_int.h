/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_FUSE_INT_H
#define FRONT_FUSE_INT_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "base/stat.h"
#include "front/fuse.h"
#include "front/kept.h"
#include "loop/loop.h"
#include "volume/volume.h"

/* What fuse.c (session), fuse_rx.c (receiving), fuse_ops.c (names and
 * attributes), fuse_io.c (bytes of the disk) and fuse_note.c (the ledger) share. */

enum { INO_ROOT = FUSE_ROOT_ID, INO_FILE, INO_STATS, INO_JSON };

#define MAX_IO (1u << 20) /* max_write; 256 pages is the kernel's maximum */

/*
 * A receive buffer.  The message begins so that the data of a WRITE, which
 * stands behind two headers of together 80 bytes, is aligned to a page.
 */
#define RX_HEADERS 80
#define RX_SIZE (MAX_IO + 4096) /* what read(2) may fill */
struct rx {
	struct rx *next;
	uint8_t *base; /* malloc'ed */
	uint8_t *msg;
	bool warm; /* one of the first, that have all their pages */
	size_t touched; /* of others: at most so many bytes have pages */
};

/* One request for the disk that is on its way through the volume. */
struct fuse_io {
	struct volume_req v;
	struct fuse_front *f;
	fuse_req_t req; /* NULL: answered before its end (interrupted) */
	struct rx *rx;	/* WRITE: holds v.src */
	int64_t start_ns;
	bool interrupted;
	uint64_t mark;	  /* FLUSH: of the ledger, when it began */
	struct list link; /* in fuse_front.busy, .unnoted or .io_free */
};

/*
 * An open text, as it was when opened.  The kernel knows an open file by a
 * number, never by an address: the file may be open for longer than this
 * process lives.  Of the disk's open files nothing has to be remembered.
 */
struct fuse_open_text {
	uint64_t fh;
	char *text;
	size_t len;
	struct list link; /* in fuse_front.texts */
};

#define FUSE_NOTE_MARKS 16

struct fuse_front {
	/* Configuration. */
	struct fuse_front_params p;
	struct volume *volume;
	struct loop *loop;
	uint64_t size;
	uint32_t block_size;

	/* The session. */
	struct fuse_session *se;
	struct loop_fd watch;
	bool adopted; /* somebody else has mounted it */
	bool ready;   /* INIT was answered */
	bool over;    /* ended was called, or stop */
	unsigned batch; /* requests to read in one go, adapted */
	struct rx *rx;	/* to receive the next request into */
	struct rx *rx_free;
	unsigned rx_nfree, rx_made;

	/* The disk's attributes that live as long as the mount. */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	int64_t atime_ns, mtime_ns, ctime_ns; /* wall clock */
	int64_t mount_ns;
	uint64_t last_fh;
	uint8_t init[KEPT_INIT_MAX]; /* the kernel's FUSE_INIT */
	uint32_t init_len;
	struct list texts;

	/* Requests. */
	struct list busy;
	struct list unnoted; /* done; the ledger has no room to note them */
	struct volume_req own_flush; /* for the sake of the ledger */
	bool own_flushing;
	uint64_t own_mark;
	/* How far the journal must have written for the ledger's notes to be
	 * superfluous; a ring, oldest first. */
	struct fuse_note_mark {
		uint64_t pos, op;
	} marks[FUSE_NOTE_MARKS];
	unsigned first_mark, nmarks;
	struct loop_timer trim;
	uint64_t trim_mark;
	int64_t own_flush_ns; /* when the last one began */
	bool gap_said;	      /* that a crash would be the end */
	int64_t gap_said_ns;
	struct list io_free;
	unsigned nfree;
	struct loop_timer interrupt_timer;
	void (*idle)(void *arg);
	void *idle_arg;
	struct loop_task idle_task;
	struct stat_set *stats;

	/* Errors for the log: at most one line per second. */
	int64_t log_ns;
	unsigned log_held_back;
};

static inline bool
fuse_is_busy(const struct fuse_front *f)
{
	return !list_empty(&f->busy) || !list_empty(&f->unnoted) ||
	    f->own_flushing;
}

/* fuse_rx.c */
void fuse_rx_ready(struct loop_fd *w, uint32_t events); /* of watch */
/* Keep the buffer of the request that is being processed; give it back. */
struct rx *fuse_rx_keep(struct fuse_front *f);
void fuse_rx_put(struct fuse_front *f, struct rx *rx);
void fuse_rx_fini(struct fuse_front *f);

/* fuse.c */
void fuse_check_idle(struct fuse_front *f);
/* The handshake; an entry of fuse_ops. */
void fuse_ops_init(void *userdata, struct fuse_conn_info *conn);

/* Something of fuse_front_session has changed. */
void fuse_keep(struct fuse_front *f);

/* fuse_ops.c */
void fuse_texts_free(struct fuse_front *f);
extern const struct fuse_lowlevel_ops fuse_ops;

/* fuse_io.c */
void fuse_io_init(struct fuse_front *f);
void fuse_io_fini(struct fuse_front *f);
void fuse_io_read(struct fuse_front *f, fuse_req_t req, size_t len, off_t off,
    uint64_t stream);
void fuse_io_write(struct fuse_front *f, fuse_req_t req, const char *data,
    size_t len, off_t off, bool fua);
void fuse_io_zero(struct fuse_front *f, fuse_req_t req, off_t off, off_t len);
/* op: FLUSH, or DRAIN. */
void fuse_io_flush(
    struct fuse_front *f, fuse_req_t req, enum volume_op op);
void fuse_io_abort(struct fuse_front *f);

/* fuse_note.c: what the ledger wants. */
void fuse_note_init(struct fuse_front *f);
void fuse_note_fini(struct fuse_front *f);
/* A flush begins; it has ended. */
uint64_t fuse_note_flush(struct fuse_front *f);
void fuse_note_flushed(struct fuse_front *f, uint64_t mark, int rc);
/* io is done, and off f->busy: fuse_io_end now, or when it has been noted. */
void fuse_note_write(struct fuse_front *f, struct fuse_io *io);
void fuse_io_end(struct fuse_io *io);

#endif
