/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faultdisk: a disk in a FUSE mount that fails to order, and remembers.
 *
 *	faultdisk --size BYTES --state DIR [--record] MOUNTPOINT
 *	faultdisk --replay DIR --upto N [--keep MODE] [--seed S] IMAGE
 *
 * MOUNTPOINT has two files.  `disk` is the disk: it takes O_DIRECT, has a cache
 * of its own as disks do, and only what fsync or fdatasync covered survives a
 * power cut.  `control` takes an order per line, and tells the counts when it
 * is read:
 *
 *	error read|write|flush ERRNO [N]   the next N fail (default: all)
 *	delay MS                           every request takes so long more
 *	hang [read|write|flush]            they wait until `resume`
 *	resume
 *	lose [N]                           the next N writes are acknowledged,
 *	                                   and lost
 *	tear [N]                           ... of them half is written, and the
 *	                                   write fails with EIO
 *	lie                                flushes do nothing, and say they did
 *	bad FROM TO                        reads and writes of these bytes fail
 *	                                   with EIO
 *	dead                               everything fails with EIO, for ever
 *	full                               writes fail with ENOSPC
 *	clear                              no fault any more, but `dead`
 *	cut MODE [SEED]                    the power goes: of the writes that
 *	                                   were not flushed `none`, `all`, `some`
 *	                                   or `torn` pieces reach the disk; from
 *	                                   then on everything fails with ENODEV
 *
 * DIR has the bytes: `seen`, as a read sees them, and `kept`, what is on the
 * platters.  Killing faultdisk is a power cut with `none`; after a cut or a kill
 * it can be started again with the same DIR and continues with `kept`.  With
 * --record DIR/log has every write and every flush in their order: an event
 * each, 1, 2, ...  --replay makes the image that a power cut behind event N
 * could have left.
 *
 * Requests come in threads of libfuse; one mutex protects all state.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum kind { READ, WRITE, FLUSH, NKINDS };
enum keep { KEEP_NONE, KEEP_ALL, KEEP_SOME, KEEP_TORN };

static const char *const kind_names[] = {"read", "write", "flush"};
static const char *const keep_names[] = {"none", "all", "some", "torn"};

struct pending { /* written, not flushed */
	struct pending *next;
	uint64_t off;
	size_t len;
	char data[];
};

static struct {
	struct options {
		unsigned long long size, upto, seed;
		char *state, *replay, *keep;
		int record;
	} opt;
	pthread_mutex_t mutex;
	pthread_cond_t resumed;
	int seen, kept, log;
	struct pending *first, **last;
	uint64_t done[NKINDS], events, npending;
	/* Faults. */
	int error[NKINDS];
	uint64_t errors_left[NKINDS], lose, tear;
	uint64_t bad_from, bad_to;
	unsigned delay_ms;
	bool hang[NKINDS], lie, dead, full, cut;
} d = {.mutex = PTHREAD_MUTEX_INITIALIZER,
    .resumed = PTHREAD_COND_INITIALIZER,
    .log = -1};

static uint64_t
chance(uint64_t *seed, uint64_t n)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % n;
}

static void
die(const char *what)
{
	fprintf(stderr, "faultdisk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
write_all(int fd, const char *p, size_t n, uint64_t off)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, p, n, (off_t)off);

		if (w < 0)
			return -errno;
		p += w;
		off += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

/* --- what a power cut leaves ---------------------------------------------------- */

static void
settle_one(int fd, const struct pending *p, enum keep how, uint64_t *seed)
{
	if (how == KEEP_ALL || (how == KEEP_SOME && chance(seed, 2)))
		if (write_all(fd, p->data, p->len, p->off) < 0)
			die("kept");
	for (size_t at = 0; how == KEEP_TORN && at < p->len; at += 512) {
		size_t n = p->len - at < 512 ? p->len - at : 512;

		if (chance(seed, 2) &&
		    write_all(fd, p->data + at, n, p->off + at) < 0)
			die("kept");
	}
}

static void
settle(int fd, struct pending **first, enum keep how, uint64_t seed)
{
	while (*first) {
		struct pending *p = *first;

		*first = p->next;
		settle_one(fd, p, how, &seed);
		free(p);
	}
}

static struct pending *
pending_new(const char *data, size_t len, uint64_t off)
{
	struct pending *p = malloc(sizeof(*p) + len);

	if (!p)
		die("memory");
	p->next = NULL;
	p->off = off;
	p->len = len;
	if (data)
		memcpy(p->data, data, len);
	return p;
}

static int
parse_keep(const char *name)
{
	for (int i = 0; i < 4; i++)
		if (name && strcmp(name, keep_names[i]) == 0)
			return i;
	return -1;
}

/* --- recording ------------------------------------------------------------------- */

struct event { /* in the log; of a write, its bytes follow */
	char kind; /* 'W' or 'F' */
	char zero[7];
	uint64_t off, len;
};

static void
record(char kind, const char *data, size_t len, uint64_t off)
{
	struct event ev = {.kind = kind, .off = off, .len = len};

	d.events++;
	if (d.log < 0)
		return;
	if (write(d.log, &ev, sizeof(ev)) != sizeof(ev) ||
	    (len > 0 && write(d.log, data, len) != (ssize_t)len))
		die("log");
}

static int
replay(const char *image)
{
	char path[4096];
	struct pending *first = NULL, **last = &first;
	uint64_t n = 0;
	int keep = parse_keep(d.opt.keep ? d.opt.keep : "none"), fd;
	struct event ev;
	FILE *log;

	snprintf(path, sizeof(path), "%s/log", d.opt.replay);
	log = fopen(path, "r");
	fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (!log || fd < 0 || keep < 0)
		die(!log ? path : fd < 0 ? image : "--keep");
	while (n < d.opt.upto && fread(&ev, sizeof(ev), 1, log) == 1) {
		n++;
		if (ev.kind == 'S') { /* the size, first of all */
			n--;
			if (ftruncate(fd, (off_t)ev.off) < 0)
				die(image);
		} else if (ev.kind == 'W') {
			*last = pending_new(NULL, ev.len, ev.off);
			if (fread((*last)->data, ev.len, 1, log) != 1)
				break; /* the end of a log that was killed */
			last = &(*last)->next;
		} else {
			settle(fd, &first, KEEP_ALL, 0);
			last = &first;
		}
	}
	settle(fd, &first, (enum keep)keep, d.opt.seed);
	fclose(log);
	if (close(fd) < 0)
		die(image);
	printf("%llu\n", (unsigned long long)n);
	return 0;
}

/* --- requests ----------------------------------------------------------------------- */

/* Before a request, with the mutex held: what goes wrong with it? */
static int
fault(enum kind k, uint64_t off, size_t n)
{
	unsigned delay = d.delay_ms;

	if (delay > 0) {
		struct timespec ts = {delay / 1000, delay % 1000 * 1000000l};

		pthread_mutex_unlock(&d.mutex);
		nanosleep(&ts, NULL);
		pthread_mutex_lock(&d.mutex);
	}
	while (d.hang[k] && !d.dead && !d.cut)
		pthread_cond_wait(&d.resumed, &d.mutex);
	if (d.cut)
		return -ENODEV;
	if (d.dead)
		return -EIO;
	if (d.error[k] && d.errors_left[k] > 0) {
		d.errors_left[k]--;
		return -d.error[k];
	}
	if (n > 0 && off < d.bad_to && off + n > d.bad_from)
		return -EIO;
	return k == WRITE && d.full ? -ENOSPC : 0;
}

static bool
is_disk(const char *path)
{
	return strcmp(path, "/disk") == 0;
}

static int
do_read(const char *path, char *buf, size_t n, off_t off,
    struct fuse_file_info *fi)
{
	char text[500];
	int rc, len;

	pthread_mutex_lock(&d.mutex);
	if (is_disk(path)) {
		rc = fault(READ, (uint64_t)off, n);
		if (rc == 0) {
			ssize_t got = pread(d.seen, buf, n, off);

			rc = got < 0 ? -errno : (int)got;
		}
		d.done[READ]++;
		pthread_mutex_unlock(&d.mutex);
		return rc;
	}
	len = snprintf(text, sizeof(text),
	    "reads %llu\nwrites %llu\nflushes %llu\nevents %llu\npending %llu\n",
	    (unsigned long long)d.done[READ], (unsigned long long)d.done[WRITE],
	    (unsigned long long)d.done[FLUSH], (unsigned long long)d.events,
	    (unsigned long long)d.npending);
	pthread_mutex_unlock(&d.mutex);
	if (off >= len)
		return 0;
	n = n < (size_t)(len - off) ? n : (size_t)(len - off);
	memcpy(buf, text + off, n);
	return (int)n;
}

static int
disk_write(const char *buf, size_t n, uint64_t off)
{
	int rc = fault(WRITE, off, n);

	d.done[WRITE]++;
	if (rc < 0)
		return rc;
	if (off >= d.opt.size || n > d.opt.size - off)
		return -ENOSPC;
	if (d.lose > 0) {
		d.lose--;
		return (int)n;
	}
	if (d.tear > 0) {
		d.tear--;
		n = n / 2 & ~(size_t)511;
		rc = -EIO;
	}
	if (n > 0) {
		struct pending *p = pending_new(buf, n, off);

		*d.last = p;
		d.last = &p->next;
		d.npending++;
		record('W', buf, n, off);
		if (write_all(d.seen, buf, n, off) < 0)
			return -EIO;
	}
	return rc < 0 ? rc : (int)n;
}

static int
do_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	int rc = 0;

	if (!is_disk(path))
		return 0;
	pthread_mutex_lock(&d.mutex);
	rc = fault(FLUSH, 0, 0);
	d.done[FLUSH]++;
	if (rc == 0 && !d.lie) {
		settle(d.kept, &d.first, KEEP_ALL, 0);
		d.last = &d.first;
		d.npending = 0;
		record('F', NULL, 0, 0);
	}
	pthread_mutex_unlock(&d.mutex);
	return rc;
}

/* --- orders --------------------------------------------------------------------------- */

static int
order_cut(const char *mode, const char *seed)
{
	int keep = parse_keep(mode);

	if (keep < 0)
		return -EINVAL;
	settle(d.kept, &d.first, (enum keep)keep,
	    seed ? strtoull(seed, NULL, 0) : 1);
	d.last = &d.first;
	d.npending = 0;
	d.cut = true;
	return 0;
}

static int
order_kind(const char *name)
{
	for (int k = 0; k < NKINDS; k++)
		if (name && strcmp(name, kind_names[k]) == 0)
			return k;
	return -1;
}

static uint64_t
number(const char *s, uint64_t def)
{
	return s ? strtoull(s, NULL, 0) : def;
}

static int
order(char *line)
{
	char *save = NULL, *word = strtok_r(line, " \n", &save);
	char *a = strtok_r(NULL, " \n", &save);
	char *b = strtok_r(NULL, " \n", &save);
	char *c = strtok_r(NULL, " \n", &save);
	int k = order_kind(a), rc = 0;

	if (!word)
		return 0;
	if (strcmp(word, "error") == 0 && k >= 0 && b) {
		d.error[k] = (int)number(b, EIO);
		d.errors_left[k] = number(c, UINT64_MAX);
	} else if (strcmp(word, "delay") == 0 && a) {
		d.delay_ms = (unsigned)number(a, 0);
	} else if (strcmp(word, "hang") == 0 && (!a || k >= 0)) {
		for (int i = 0; i < NKINDS; i++)
			d.hang[i] |= !a || i == k;
	} else if (strcmp(word, "resume") == 0) {
		memset(d.hang, 0, sizeof(d.hang));
	} else if (strcmp(word, "lose") == 0) {
		d.lose = number(a, 1);
	} else if (strcmp(word, "tear") == 0) {
		d.tear = number(a, 1);
	} else if (strcmp(word, "lie") == 0) {
		d.lie = true;
	} else if (strcmp(word, "dead") == 0) {
		d.dead = true;
	} else if (strcmp(word, "bad") == 0 && b) {
		d.bad_from = number(a, 0);
		d.bad_to = number(b, 0);
	} else if (strcmp(word, "full") == 0) {
		d.full = true;
	} else if (strcmp(word, "clear") == 0) {
		memset(d.error, 0, sizeof(d.error));
		memset(d.hang, 0, sizeof(d.hang));
		d.lose = d.tear = d.bad_to = 0;
		d.delay_ms = 0;
		d.lie = d.full = false;
	} else if (strcmp(word, "cut") == 0) {
		rc = order_cut(a, b);
	} else {
		rc = -EINVAL;
	}
	pthread_cond_broadcast(&d.resumed);
	return rc;
}

static int
do_write(const char *path, const char *buf, size_t n, off_t off,
    struct fuse_file_info *fi)
{
	int rc = 0;

	pthread_mutex_lock(&d.mutex);
	if (is_disk(path)) {
		rc = disk_write(buf, n, (uint64_t)off);
	} else {
		char *text = strndup(buf, n), *save = NULL;

		for (char *l = text ? strtok_r(text, "\n", &save) : NULL;
		     l && rc == 0; l = strtok_r(NULL, "\n", &save))
			rc = order(l);
		free(text);
		rc = rc < 0 ? rc : (int)n;
	}
	pthread_mutex_unlock(&d.mutex);
	return rc;
}

/* --- the directory ---------------------------------------------------------------------- */

static int
do_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	memset(st, 0, sizeof(*st));
	st->st_uid = getuid();
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return 0;
	}
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_blksize = 4096;
	if (is_disk(path))
		st->st_size = (off_t)d.opt.size;
	else if (strcmp(path, "/control") != 0)
		return -ENOENT;
	st->st_blocks = st->st_size / 512;
	return 0;
}

static int
do_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	static const char *const names[] = {".", "..", "disk", "control"};

	for (int i = 0; i < 4; i++)
		fill(buf, names[i], NULL, 0, 0);
	return 0;
}

static int
do_open(const char *path, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	return 0;
}

/* Of the control file only, by the shell's >. */
static int
do_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	return is_disk(path) && (unsigned long long)size != d.opt.size ? -EPERM
								       : 0;
}

/* The space is there; what is punched stays as it is. */
static int
do_fallocate(const char *path, int mode, off_t off, off_t len,
    struct fuse_file_info *fi)
{
	return is_disk(path) && off + len <= (off_t)d.opt.size ? 0
							       : -EOPNOTSUPP;
}

static void *
do_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
	conn->max_write = 1 << 20;
	/* The kernel keeps whoever asks for more waiting, in the submission. */
	conn->max_background = 1000;
	cfg->direct_io = 1;
	cfg->kernel_cache = 0;
	return NULL;
}

static const struct fuse_operations ops = {.init = do_init,
    .getattr = do_getattr,
    .readdir = do_readdir,
    .open = do_open,
    .read = do_read,
    .write = do_write,
    .fsync = do_fsync,
    .truncate = do_truncate,
    .fallocate = do_fallocate};

/* --- main --------------------------------------------------------------------------------- */

static int
open_in(const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d.opt.state, name);
	fd = open(path, flags | O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		die(path);
	return fd;
}

/* Begin with what is on the platters. */
static void
power_on(void)
{
	static char buf[1 << 20];
	off_t at = 0, end;

	d.kept = open_in("kept", 0);
	d.seen = open_in("seen", O_TRUNC);
	if (ftruncate(d.kept, (off_t)d.opt.size) < 0 ||
	    ftruncate(d.seen, (off_t)d.opt.size) < 0)
		die(d.opt.state);
	while ((at = lseek(d.kept, at, SEEK_DATA)) >= 0) {
		end = lseek(d.kept, at, SEEK_HOLE);
		while (at < end) {
			size_t n = (size_t)(end - at) < sizeof(buf)
			    ? (size_t)(end - at)
			    : sizeof(buf);

			if (pread(d.kept, buf, n, at) != (ssize_t)n ||
			    write_all(d.seen, buf, n, (uint64_t)at) < 0)
				die(d.opt.state);
			at += (off_t)n;
		}
	}
	d.last = &d.first;
	if (d.opt.record) {
		struct event size = {.kind = 'S', .off = d.opt.size};

		d.log = open_in("log", O_TRUNC | O_APPEND);
		if (write(d.log, &size, sizeof(size)) != sizeof(size))
			die("log");
	}
}

#define OPT(text, field, value) {text, offsetof(struct options, field), value}

int
main(int argc, char **argv)
{
	static const struct fuse_opt opts[] = {OPT("--size %llu", size, 0),
	    OPT("--state %s", state, 0), OPT("--replay %s", replay, 0),
	    OPT("--upto %llu", upto, 0), OPT("--keep %s", keep, 0),
	    OPT("--seed %llu", seed, 0), OPT("--record", record, 1),
	    FUSE_OPT_END};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);

	d.opt.seed = 1;
	if (fuse_opt_parse(&args, &d.opt, opts, NULL) < 0)
		return 2;
	if (d.opt.replay)
		return replay(args.argv[args.argc - 1]);
	if (!d.opt.state || d.opt.size == 0) {
		fprintf(stderr,
		    "usage: faultdisk --size BYTES --state DIR [--record] "
		    "MOUNTPOINT\n"
		    "       faultdisk --replay DIR --upto N [--keep "
		    "none|all|some|torn] [--seed S] IMAGE\n");
		return 2;
	}
	power_on();
	fuse_opt_add_arg(&args, "-ofsname=faultdisk");
	/* One for each request that hangs, and one for orders. */
	fuse_opt_add_arg(&args, "-omax_threads=600");
	return fuse_main(args.argc, args.argv, &ops, NULL);
}
