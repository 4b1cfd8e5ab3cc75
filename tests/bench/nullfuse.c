/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nullfuse: a FUSE file with nothing behind it.  The ceiling for the bench:
 * no program that serves one file by FUSE with one thread can be faster.
 *
 *	nullfuse -s BYTES [-j FILE] DIR	in the foreground, until DIR is unmounted
 *
 * DIR/file has the size given; reads answer zeros, writes are accepted and
 * forgotten, fsync does nothing.
 *
 * With -j it does the least that a cache with a journal must: the data of a
 * write is copied to its place in memory and to a record, and fsync writes the
 * record, a page more than its data, to FILE (at most 64 MiB of it, round and
 * round) by one durable write that blocks.  Records that are full are forgotten.
 *
 * How: libfuse's low-level session without its own loop.  The device is
 * non-blocking; each time epoll says that it is readable, requests are taken
 * from it and answered on the spot until there is none left.  Reads answer
 * from one buffer that is never written.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	FILE_INO = 2,
	MOST = 1 << 20,		/* largest read or write */
	PAGE = 4096,
};

enum { RECORD = MOST, JOURNAL = 64 << 20 };
static const char zeros[MOST];
static int journal = -1;
static char *memory, *record; /* with a journal */
static size_t record_used;
static off_t journal_at;
static long long file_size = 1LL << 30;
static const double forever = 86400.0;

static bool
stat_of(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_nlink = 1;
	if (ino == FUSE_ROOT_ID) {
		st->st_mode = S_IFDIR | 0755;
		return true;
	}
	st->st_mode = S_IFREG | 0600;
	st->st_size = file_size;
	return ino == FILE_INO;
}

static void
null_init(void *arg, struct fuse_conn_info *conn)
{
	conn->max_write = MOST;
	conn->max_read = MOST;
	conn->max_readahead = MOST;
	conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE);
}

static void
null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .ino = FILE_INO,
		.attr_timeout = forever, .entry_timeout = forever };

	if (parent != FUSE_ROOT_ID || strcmp(name, "file") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	stat_of(FILE_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void
null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	if (stat_of(ino, &st))
		fuse_reply_attr(req, &st, forever);
	else
		fuse_reply_err(req, ENOENT);
}

static void
null_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
    struct fuse_file_info *fi)
{
	null_getattr(req, ino, fi);
}

static void
null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_open(req, fi);
}

static void
null_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	if (off >= file_size)
		size = 0;
	else if ((long long)size > file_size - off)
		size = file_size - off;
	fuse_reply_buf(req, zeros, size < MOST ? size : MOST);
}

static void
null_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
    off_t off, struct fuse_file_info *fi)
{
	if (journal >= 0 && off + (off_t)size <= file_size) {
		memcpy(memory + off, buf, size);
		if (record_used + size > RECORD)
			record_used = 0;
		memcpy(record + PAGE + record_used, buf, size);
		record_used += size;
	}
	fuse_reply_write(req, size);
}

static int
commit(void)
{
	size_t n = PAGE + (record_used + PAGE - 1) / PAGE * PAGE;
	struct iovec iov = { record, n };

	if (journal_at + (off_t)n > JOURNAL)
		journal_at = 0;
	if (pwritev2(journal, &iov, 1, journal_at, RWF_DSYNC) != (ssize_t)n)
		return EIO;
	journal_at += (off_t)n;
	record_used = 0;
	return 0;
}

static void
null_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
    struct fuse_file_info *fi)
{
	fuse_reply_err(req, journal >= 0 ? commit() : 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = null_init,
	.lookup = null_lookup,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.open = null_open,
	.read = null_read,
	.write = null_write,
	.fsync = null_fsync,
};

static int
serve(struct fuse_session *se)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct fuse_buf buf = { 0 };
	int fd = fuse_session_fd(se);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int rc = 0;

	if (ep < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) {
		perror("nullfuse: epoll");
		return 1;
	}
	while (!fuse_session_exited(se)) {
		rc = fuse_session_receive_buf(se, &buf);
		if (rc == -EAGAIN || rc == -EINTR) {
			epoll_wait(ep, &e, 1, -1);
			continue;
		}
		if (rc <= 0)
			break;
		fuse_session_process_buf(se, &buf);
	}
	free(buf.mem);
	close(ep);
	return rc < 0;
}

static int
open_journal(const char *path)
{
	void *r;

	journal = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	memory = mmap(NULL, (size_t)file_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (journal < 0 || memory == MAP_FAILED ||
	    posix_memalign(&r, PAGE, PAGE + RECORD) != 0) {
		perror("nullfuse: journal");
		return -1;
	}
	record = r;
	return 0;
}

int
main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se;
	const char *path = NULL;
	int opt, rc = 1;

	while ((opt = getopt(argc, argv, "s:j:")) != -1) {
		if (opt == 's')
			file_size = atoll(optarg);
		else if (opt == 'j')
			path = optarg;
		else
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr, "usage: nullfuse -s BYTES [-j FILE] DIR\n");
		return 2;
	}
	if (path != NULL && open_journal(path) < 0)
		return 1;
	if (fuse_opt_add_arg(&args, argv[0]) < 0 ||
	    fuse_opt_add_arg(&args, "-ofsname=nullfuse,max_read=1048576") < 0)
		return 1;
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (se == NULL)
		return 1;
	if (fuse_set_signal_handlers(se) == 0) {
		if (fuse_session_mount(se, argv[optind]) == 0) {
			rc = serve(se);
			fuse_session_unmount(se);
		}
		fuse_remove_signal_handlers(se);
	}
	fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	return rc;
}
