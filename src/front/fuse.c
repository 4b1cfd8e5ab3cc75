/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE session: mounting, going on with another's, ending.
 *
 * Requests are received by fuse_rx.c.  Metadata is answered there and then; what
 * touches the disk becomes a volume request and is answered when that is done,
 * by one writev from the cache's memory.
 *
 * A session may be carried on by another process (docs/restart.md).  That one
 * cannot negotiate with the kernel again: FUSE_INIT comes once.  So the message
 * is kept, and the successor gives it to its libfuse as if it had just come;
 * the kernel answers the reply, which it did not ask for, with ENOENT, which
 * libfuse takes for an interrupted request.
 *
 * The end: the kernel says ENODEV after umount(8), or we stop by ourselves
 * (fuse_front_stop).  In both cases requests in flight run on until they are
 * done; only then may the front be freed.  Closing the device makes the kernel
 * answer ENOTCONN to whoever still has the file open.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "front/fuse_int.h"
#include "front/mounts.h"

/* --- the handshake ---------------------------------------------------------- */

/*
 * What we ask of the kernel.  No splice: a reply of 1 MiB by splice(2) took 5
 * to 10 times as long as writev(2).  No automatic invalidation: nobody else
 * changes the disk, so cached pages stay right.
 */
void
fuse_ops_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fuse_front *f = userdata;

	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ |
	    FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
	    FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC |
	    FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	conn->want |= conn->capable &
	    (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
		FUSE_CAP_PARALLEL_DIROPS);
	if (f->p.writeback)
		conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
	conn->max_write = MAX_IO;
	conn->max_readahead = MAX_IO; /* serve.c raises the kernel's limit */
	conn->max_background = 256;
	conn->congestion_threshold = 192;
}

static void
fuse_says(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[512];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	if (n <= 0)
		return;
	size_t len = strcspn(line, "\n");

	line[len] = '\0';
	if (len == 0)
		return;
	if (level <= FUSE_LOG_ERR)
		log_error("%s", line);
	else if (level <= FUSE_LOG_WARNING)
		log_warn("%s", line);
	else
		log_info("%s", line);
}

/* --- opening ------------------------------------------------------------------ */

/* Options of mount(2) and of fusermount3, as libfuse takes them. */
static int
build_args(const struct fuse_front_params *p, struct fuse_args *args)
{
	char *opts = NULL;
	int rc = fuse_opt_add_opt(&opts, "subtype=pail,default_permissions,"
					 "nodev,nosuid");

	if (rc == 0) {
		struct strbuf name = STRBUF_INIT;

		strbuf_printf(&name, "fsname=%s", p->source);
		rc = name.failed ? -1 :
		    fuse_opt_add_opt_escaped(&opts, strbuf_text(&name));
		strbuf_fini(&name);
	}
	if (rc == 0)
		rc = fuse_opt_add_opt(&opts, p->read_only ? "ro" : "rw");
	if (rc == 0 && p->allow_other)
		rc = fuse_opt_add_opt(&opts, "allow_other");
	if (rc == 0 && p->fuse_options != NULL && *p->fuse_options != '\0')
		rc = fuse_opt_add_opt(&opts, p->fuse_options);
	if (rc == 0)
		rc = fuse_opt_add_arg(args, "pail");
	if (rc == 0 && p->debug)
		rc = fuse_opt_add_arg(args, "-d");
	if (rc == 0)
		rc = fuse_opt_add_arg(args, "-o");
	if (rc == 0)
		rc = fuse_opt_add_arg(args, opts);
	free(opts);
	return rc == 0 ? 0 : -ENOMEM;
}

static int
new_session(struct fuse_front *f, struct err *e)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int rc = build_args(&f->p, &args);

	if (rc < 0) {
		fuse_opt_free_args(&args);
		return err_errno(e, rc, "mount on %s", f->p.dir);
	}
	fuse_set_log_func(fuse_says);
	f->se = fuse_session_new(&args, &fuse_ops, sizeof(fuse_ops), f);
	fuse_opt_free_args(&args);
	if (f->se == NULL)
		return err_set(e, -EINVAL,
		    "mount on %s: libfuse refuses the options '%s'", f->p.dir,
		    f->p.fuse_options != NULL ? f->p.fuse_options : "");
	return 0;
}

static int
mount_session(struct fuse_front *f, struct err *e)
{
	errno = 0;
	if (fuse_session_mount(f->se, f->p.dir) == 0)
		return 0;
	return err_errno(e, errno != 0 ? -errno : -EIO,
	    "mount on %s (is /dev/fuse there, and may this user mount?)",
	    f->p.dir);
}

/* libfuse takes a device for its own that is called so. */
static int
adopt_session(struct fuse_front *f, struct err *e)
{
	struct fuse_buf buf = { .mem = f->init, .size = f->init_len };
	char name[32];

	snprintf(name, sizeof(name), "/dev/fd/%d", f->p.device);
	if (fuse_session_mount(f->se, name) != 0) {
		close(f->p.device);
		return err_set(e, -EINVAL,
		    "mount on %s: libfuse does not take the device", f->p.dir);
	}
	fuse_session_process_buf(f->se, &buf);
	f->ready = true;
	return 0;
}

static int
unblock_device(struct fuse_front *f, struct err *e)
{
	int fd = fuse_session_fd(f->se);
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "make /dev/fuse non-blocking");
	return 0;
}

static int
watch_device(struct fuse_front *f, struct err *e)
{
	int rc = loop_fd_add(
	    f->loop, &f->watch, fuse_session_fd(f->se), EPOLLIN);

	return rc == 0 ? 0 : err_errno(e, rc, "watch /dev/fuse");
}

static void
init_attributes(struct fuse_front *f)
{
	const struct fuse_front_params *p = &f->p;
	const struct kept_session *s = p->resume;

	f->last_fh = (uint64_t)clock_wall_ns(); /* not a predecessor's */
	if (s != NULL) {
		f->uid = s->uid;
		f->gid = s->gid;
		f->mode = s->mode;
		f->mount_ns = s->mount_ns;
		f->atime_ns = s->atime_ns;
		f->mtime_ns = s->mtime_ns;
		f->ctime_ns = s->ctime_ns;
		memcpy(f->init, s->init, s->init_len);
		f->init_len = s->init_len;
		return;
	}
	f->uid = p->uid;
	f->gid = p->gid;
	f->mode = p->file_mode != 0 ? p->file_mode :
	    p->read_only	    ? 0400 :
				      0600;
	f->mount_ns = clock_wall_ns();
	f->atime_ns = f->mtime_ns = f->ctime_ns = f->mount_ns;
}

int
fuse_front_open(struct volume *v, const struct fuse_front_params *p,
    struct fuse_front **out, struct err *e)
{
	struct fuse_front *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL) {
		if (p->resume != NULL)
			close(p->device);
		return err_errno(e, -ENOMEM, "mount on %s", p->dir);
	}
	f->p = *p;
	if (f->p.file_name == NULL)
		f->p.file_name = "file";
	if (f->p.stats_name == NULL)
		f->p.stats_name = "stats";
	f->volume = v;
	f->loop = volume_loop(v);
	f->stats = volume_stats(v);
	f->size = volume_size(v);
	f->block_size = volume_block_size(v);
	f->watch.ready = fuse_rx_ready;
	f->watch.fd = -1;
	f->batch = 1;
	f->adopted = p->resume != NULL;
	list_init(&f->texts);
	init_attributes(f);
	fuse_io_init(f);

	rc = new_session(f, e);
	if (rc < 0 && f->adopted)
		close(p->device);
	if (rc == 0)
		rc = f->adopted ? adopt_session(f, e) : mount_session(f, e);
	if (rc < 0)
		goto fail;
	rc = unblock_device(f, e);
	if (rc == 0 && !f->adopted)
		rc = watch_device(f, e);
	if (rc < 0)
		goto fail_mounted;
	*out = f;
	return 0;

fail_mounted:
	if (!f->adopted)
		fuse_session_unmount(f->se);
fail:
	if (f->se != NULL)
		fuse_session_destroy(f->se);
	fuse_io_fini(f);
	free(f);
	return rc;
}

/* --- successors ----------------------------------------------------------- */

int
fuse_front_device(const struct fuse_front *f)
{
	return fuse_session_fd(f->se);
}

void
fuse_front_session(const struct fuse_front *f, struct kept_session *s)
{
	memset(s, 0, sizeof(*s));
	s->mode = f->mode;
	s->uid = f->uid;
	s->gid = f->gid;
	s->mount_ns = f->mount_ns;
	s->atime_ns = f->atime_ns;
	s->mtime_ns = f->mtime_ns;
	s->ctime_ns = f->ctime_ns;
	memcpy(s->init, f->init, f->init_len);
	s->init_len = f->init_len;
}

void
fuse_keep(struct fuse_front *f)
{
	struct kept_session s;

	if (f->p.keep == NULL)
		return;
	fuse_front_session(f, &s);
	f->p.keep(f->p.arg, &s);
}

/* A notification is a reply to nobody, with its code for an error.  6.9 and
 * later know this one; our headers may not. */
#define NOTIFY_RESEND 7

static int
ask_resend(struct fuse_front *f, struct err *e)
{
	struct fuse_out_header h = { .len = sizeof(h),
		.error = NOTIFY_RESEND };
	ssize_t n = write(fuse_session_fd(f->se), &h, sizeof(h));

	return n == (ssize_t)sizeof(h) ?
	    0 :
	    err_errno(e, n < 0 ? -errno : -EIO,
		"have the kernel send again what was not answered");
}

int
fuse_front_go(struct fuse_front *f, bool resend, struct err *e)
{
	f->idle = NULL;
	if (f->over || f->watch.loop != NULL)
		return 0;
	int rc = resend ? ask_resend(f, e) : 0;

	/* ENODEV, ENOTCONN: unmounted meanwhile, as reading will tell. */
	if (rc < 0 && rc != -ENODEV && rc != -ENOTCONN)
		return rc;
	return watch_device(f, e);
}

/* --- ending -------------------------------------------------------------------- */

static void
tell_idle(struct loop_task *t)
{
	struct fuse_front *f = container_of(t, struct fuse_front, idle_task);
	void (*idle)(void *arg) = f->idle;

	if (idle == NULL || fuse_is_busy(f))
		return;
	f->idle = NULL;
	idle(f->idle_arg);
}

void
fuse_check_idle(struct fuse_front *f)
{
	if (f->idle != NULL && !fuse_is_busy(f))
		loop_defer(f->loop, &f->idle_task);
}

void
fuse_front_stop(struct fuse_front *f, void (*idle)(void *arg), void *arg)
{
	if (!f->over) {
		f->over = true;
		loop_fd_del(&f->watch);
		fuse_session_exit(f->se);
	}
	f->idle = idle;
	f->idle_arg = arg;
	f->idle_task.run = tell_idle;
	fuse_check_idle(f);
}

void
fuse_front_pause(struct fuse_front *f, void (*idle)(void *arg), void *arg)
{
	must(!f->over);
	loop_fd_del(&f->watch);
	f->idle = idle;
	f->idle_arg = arg;
	f->idle_task.run = tell_idle;
	fuse_check_idle(f);
}

/* Does the kernel still know the connection? */
static bool
is_connected(struct fuse_front *f)
{
	struct pollfd p = { .fd = fuse_session_fd(f->se) };

	return poll(&p, 1, 0) == 0;
}

/* Closes the device first, so that nothing waits for us; what is mounted at
 * the same place by somebody else is left alone. */
static void
unmount(struct fuse_front *f)
{
	struct err e = ERR_INIT;
	bool connected = is_connected(f);

	if (!f->adopted) {
		fuse_session_unmount(f->se);
		fuse_session_destroy(f->se);
		return;
	}
	fuse_session_destroy(f->se);
	if (connected && mounts_unmount(f->p.dir, true, &e) < 0)
		log_warn("%s", err_text(&e));
}

void
fuse_front_abandon(struct fuse_front *f)
{
	fuse_io_abort(f);
	unmount(f);
}

static void
release_memory(struct fuse_front *f)
{
	must(!fuse_is_busy(f));
	must(!f->idle_task.queued);
	fuse_io_fini(f);
	fuse_texts_free(f);
	fuse_rx_fini(f);
	free(f);
}

/* libfuse frees a session that it has mounted, whole, only by unmounting it. */
static struct fuse_session *volatile left;

void
fuse_front_leave(struct fuse_front *f)
{
	must(!f->over && f->watch.loop == NULL);
	fuse_keep(f);
	if (f->adopted)
		fuse_session_destroy(f->se);
	else
		left = f->se;
	release_memory(f);
}

void
fuse_front_free(struct fuse_front *f)
{
	if (f == NULL)
		return;
	must(f->over);
	unmount(f);
	release_memory(f);
}
