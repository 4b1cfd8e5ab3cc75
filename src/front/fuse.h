/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_FUSE_H
#define FRONT_FUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The FUSE front end: a volume as one file in a directory.
 *
 *	DIR/file          the disk
 *	DIR/stats         what it does, as text for people
 *	DIR/.status.json  the same for programs
 *
 * docs/fuse.md has the promises (F1 ...).  Everything runs on the volume's
 * loop; the loop must run for the mount point to answer, so nobody on this
 * thread may touch it.
 */
struct err;
struct fuse_front;
struct kept_session;
struct ledger;
struct strbuf;
struct volume;

enum fuse_text { FUSE_TEXT_STATS, FUSE_TEXT_JSON };

struct fuse_front_params {
	const char *dir;	 /* the mount point; made absolute */
	const char *source;	 /* first field of the mount table */
	const char *file_name;	 /* NULL: "file" */
	const char *stats_name;	 /* NULL: "stats"; "": no such file */
	const char *fuse_options; /* more for the kernel: "noatime,..." */
	mode_t file_mode;	 /* 0: 0600, or 0400 if read-only */
	uid_t uid;		 /* who owns the files */
	gid_t gid;
	bool read_only;
	bool allow_other; /* other users may look, as the modes allow */
	bool writeback;	  /* the kernel keeps dirty pages (docs/fuse.md) */
	bool direct_io;	  /* no page cache for the disk at all */
	bool debug;	  /* libfuse prints each request */

	/* To go on with a session that another process began: its device
	 * (taken, also by a failure) and what it left; nothing is mounted, and
	 * nothing is read before fuse_front_go.  NULL: mount. */
	const struct kept_session *resume;
	int device;

	/* Where writes are noted before they are acknowledged, and flushes
	 * after they have succeeded; borrowed; NULL: nowhere. */
	struct ledger *ledger;

	/* The text of a file, when it is opened.  On the loop. */
	void (*text)(void *arg, enum fuse_text which, struct strbuf *out);
	/* The kernel has agreed: the disk is there.  Once. */
	void (*ready)(void *arg);
	/* The session is over: unmounted (rc 0), or reading requests failed.
	 * Once, unless fuse_front_stop came first; requests may still be in
	 * flight. */
	void (*ended)(void *arg, int rc);
	/* What a successor needs has changed; or NULL. */
	void (*keep)(void *arg, const struct kept_session *s);
	void *arg;
};

/* All strings are borrowed until fuse_front_free.  v likewise. */
int fuse_front_open(struct volume *v, const struct fuse_front_params *p,
    struct fuse_front **out, struct err *e);

/*
 * Take no more requests: those who use the mount wait from now on, and get
 * ENOTCONN when the front is freed.  idle(arg) is called once, later, when no
 * request is in flight any more.
 */
void fuse_front_stop(
    struct fuse_front *f, void (*idle)(void *arg), void *arg);

/*
 * Read no more requests for now; the kernel keeps them.  idle as above, unless
 * fuse_front_go comes first.
 */
void fuse_front_pause(
    struct fuse_front *f, void (*idle)(void *arg), void *arg);

/* Read requests (again).  resend: first have the kernel send those again that
 * were read and not answered, by whichever process.  A paused front, or one
 * with p->resume. */
int fuse_front_go(struct fuse_front *f, bool resend, struct err *e);

/* The kernel's device; borrowed. */
int fuse_front_device(const struct fuse_front *f);
/* For keep. */
void fuse_front_session(const struct fuse_front *f, struct kept_session *s);

/* Paused and idle: free it, and leave mount and session to a successor.  The
 * device stays open until the process ends. */
void fuse_front_leave(struct fuse_front *f);

/* For a process that is about to exit with work undone: answer all that is in
 * flight with EIO and unmount.  Nothing else may be done with f after that. */
void fuse_front_abandon(struct fuse_front *f);

/* Stopped and idle.  Unmounts (detaches) if that has not happened.  Accepts
 * NULL. */
void fuse_front_free(struct fuse_front *f);

/* The errno that a read or write of a disk may have for this rc. */
int fuse_errno(int rc);

#endif
