/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE session: mounting, receiving requests, ending.
 *
 * The device descriptor is non-blocking and watched by the volume's loop.
 * When it is readable we read a bounded number of requests and hand each to
 * libfuse, which decodes it and calls fuse_ops.c or fuse_io.c.  Metadata is
 * answered there and then; what touches the disk becomes a volume request and
 * is answered when that is done, by one writev from the cache's memory.
 *
 * We read(2) the device ourselves, since a receive buffer belongs to whoever
 * needs it longest: the data of a WRITE stays where the kernel put it until
 * the volume has taken it (fuse_rx_keep), while the next request goes into
 * another buffer.  Nothing is copied on our side.
 *
 * How many requests to read before answers get their turn is learnt: as many
 * as were there the last time.  With one client thread that saves the read(2)
 * that would only say EAGAIN; with many it keeps turns of the loop few.
 *
 * The end: the kernel says ENODEV after umount(8), or we stop by ourselves
 * (fuse_front_stop).  In both cases requests in flight run on until they are
 * done; only then may the front be freed.  Closing the device makes the kernel
 * answer ENOTCONN to whoever still has the file open.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
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

#define BATCH_MAX 64
#define RX_FREE_MAX 16

/* --- receive buffers --------------------------------------------------- */

static struct rx *
rx_get(struct fuse_front *f)
{
	struct rx *rx = f->rx_free;

	if (rx != NULL) {
		f->rx_free = rx->next;
		f->rx_nfree--;
		return rx;
	}
	rx = malloc(sizeof(*rx));
	if (rx == NULL)
		return NULL;
	rx->base = aligned_alloc(4096, 4096 + RX_SIZE);
	if (rx->base == NULL) {
		free(rx);
		return NULL;
	}
	rx->msg = rx->base + 4096 - RX_HEADERS;
	return rx;
}

static void
rx_free(struct rx *rx)
{
	if (rx == NULL)
		return;
	free(rx->base);
	free(rx);
}

void
fuse_rx_put(struct fuse_front *f, struct rx *rx)
{
	if (f->rx_nfree >= RX_FREE_MAX) {
		rx_free(rx);
		return;
	}
	rx->next = f->rx_free;
	f->rx_free = rx;
	f->rx_nfree++;
}

struct rx *
fuse_rx_keep(struct fuse_front *f)
{
	struct rx *rx = f->rx;

	must(rx != NULL);
	f->rx = NULL;
	return rx;
}

/* --- receiving ------------------------------------------------------------ */

static void
session_over(struct fuse_front *f, int rc)
{
	if (f->over)
		return;
	f->over = true;
	loop_fd_del(&f->watch);
	fuse_session_exit(f->se);
	f->p.ended(f->p.arg, rc);
}

/* One request: 1 there was one, 0 there is none now, or a negative errno. */
static int
receive(struct fuse_front *f)
{
	if (f->rx == NULL && (f->rx = rx_get(f)) == NULL)
		return -ENOMEM;

	ssize_t n = read(f->watch.fd, f->rx->msg, RX_SIZE);

	if (n < 0) {
		/* ENOENT: the request was interrupted before we got it. */
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		return errno == ENOENT ? 1 : -errno;
	}
	struct fuse_buf buf = { .mem = f->rx->msg, .size = (size_t)n };

	fuse_session_process_buf(f->se, &buf);
	return 1;
}

static void
device_ready(struct loop_fd *w, uint32_t events)
{
	struct fuse_front *f = container_of(w, struct fuse_front, watch);
	unsigned n = 0;
	int rc = 1;

	while (n < f->batch && !f->over && (rc = receive(f)) == 1)
		n++;
	if (rc == 0)
		f->batch = n > 0 ? n : 1;
	else if (rc == 1 && f->batch < BATCH_MAX)
		f->batch++;

	if (rc == -ENODEV || (rc >= 0 && !f->over &&
	    fuse_session_exited(f->se)))
		session_over(f, 0);
	else if (rc == -ENOMEM) {
		/* The request waits in the kernel; so we are called again. */
		if (loop_now(f->loop) - f->log_ns >= NS_PER_S)
			log_warn("no memory to receive a request");
		f->log_ns = loop_now(f->loop);
	} else if (rc < 0) {
		log_error("reading /dev/fuse: %s", strerror(-rc));
		session_over(f, rc);
	} else if ((events & EPOLLERR) != 0 && n == 0) {
		/* The connection is gone and there is nothing to read. */
		session_over(f, 0);
	}
}

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
	f->ready = true;
	if (f->p.ready != NULL)
		f->p.ready(f->p.arg);
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
mount_session(struct fuse_front *f, struct err *e)
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

	errno = 0;
	if (fuse_session_mount(f->se, f->p.dir) != 0) {
		rc = errno != 0 ? -errno : -EIO;
		fuse_session_destroy(f->se);
		f->se = NULL;
		return err_errno(e, rc,
		    "mount on %s (is /dev/fuse there, and may this user "
		    "mount?)", f->p.dir);
	}
	f->mounted = true;
	return 0;
}

static int
watch_device(struct fuse_front *f, struct err *e)
{
	int fd = fuse_session_fd(f->se);
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_errno(e, -errno, "make /dev/fuse non-blocking");
	int rc = loop_fd_add(f->loop, &f->watch, fd, EPOLLIN);

	return rc == 0 ? 0 : err_errno(e, rc, "watch /dev/fuse");
}

int
fuse_front_open(struct volume *v, const struct fuse_front_params *p,
    struct fuse_front **out, struct err *e)
{
	struct fuse_front *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return err_errno(e, -ENOMEM, "mount on %s", p->dir);
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
	f->watch.ready = device_ready;
	f->watch.fd = -1;
	f->batch = 1;
	f->uid = p->uid;
	f->gid = p->gid;
	f->mode = p->file_mode != 0 ? p->file_mode :
	    p->read_only	    ? 0400 :
				      0600;
	f->mount_ns = clock_wall_ns();
	f->atime_ns = f->mtime_ns = f->ctime_ns = f->mount_ns;
	fuse_io_init(f);

	rc = mount_session(f, e);
	if (rc < 0)
		goto fail;
	rc = watch_device(f, e);
	if (rc < 0)
		goto fail_mounted;
	*out = f;
	return 0;

fail_mounted:
	fuse_session_unmount(f->se);
	fuse_session_destroy(f->se);
fail:
	fuse_io_fini(f);
	free(f);
	return rc;
}

/* --- ending -------------------------------------------------------------------- */

static void
tell_idle(struct loop_task *t)
{
	struct fuse_front *f = container_of(t, struct fuse_front, idle_task);
	void (*idle)(void *arg) = f->idle;

	if (idle == NULL || !list_empty(&f->busy))
		return;
	f->idle = NULL;
	idle(f->idle_arg);
}

void
fuse_check_idle(struct fuse_front *f)
{
	if (f->idle != NULL && list_empty(&f->busy))
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
fuse_front_abandon(struct fuse_front *f)
{
	fuse_io_abort(f);
	fuse_session_unmount(f->se);
}

void
fuse_front_free(struct fuse_front *f)
{
	if (f == NULL)
		return;
	must(f->over && list_empty(&f->busy));
	must(!f->idle_task.queued);
	/* Closes the device first, so that nothing waits for us. */
	fuse_session_unmount(f->se);
	fuse_session_destroy(f->se);
	fuse_io_fini(f);
	rx_free(f->rx);
	while (f->rx_free != NULL) {
		struct rx *rx = f->rx_free;

		f->rx_free = rx->next;
		rx_free(rx);
	}
	free(f);
}
