/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail unmount: write everything, unmount, wait until the process is gone.
 *
 * In this order: whoever still has a loop device on the disk is named first,
 * since no unmount can succeed then.  The writing happens while the mount is
 * still there, so that a failure (or Ctrl-C) leaves everything as it was.  What
 * is left for the process after the unmount is short, and how it ends is told
 * through its socket (front/control.h).
 *
 * As umount.fuse.pail this is what umount(8) calls, so that it returns when
 * the data is safe, as with any disk.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/mounted.h"
#include "front/control.h"

#define GONE_MS 10000

struct unmount_opts {
	bool lazy, force, quiet, help;
};

#define U(field) CONF_AT(struct unmount_opts, field)
static const struct conf_opt unmount_opts[] = {
	{ "lazy", 'l', CONF_FLAG, U(lazy),
	    .help = "detach it although it is in use; it goes on until "
		    "nobody uses it" },
	{ "force", 'f', CONF_FLAG, U(force),
	    .help = "unmount although not everything could be written: the "
		    "process goes on trying" },
	{ "quiet", 'q', CONF_FLAG, U(quiet), .help = "no progress" },
	{ "help", 'h', CONF_FLAG, U(help), .help = "print this" },
	{ NULL }
};

static void
print_help(void)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b,
	    "Usage: pail unmount [OPTIONS] DIR\n"
	    "Write everything to the store, then end the mount.\n\n"
	    "Returns when all is safe and the process has ended.\n\n");
	conf_help(unmount_opts, &b);
	strbuf_puts(&b, "\nExample:\n  pail unmount /mnt/disk\n");
	fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
}

/* -EBUSY with all who stand on it. */
static int
check_loops(const struct mounted *m, struct err *e)
{
	struct strbuf b = STRBUF_INIT;

	if (m->loops.n == 0)
		return 0;
	for (size_t i = 0; i < m->loops.n; i++) {
		const struct loop_dev *l = &m->loops.v[i];

		if (l->mounted_on != NULL)
			strbuf_printf(&b,
			    "; %s, mounted on %s ('umount %s' first)",
			    l->dev, l->mounted_on, l->mounted_on);
		else
			strbuf_printf(
			    &b, "; %s ('losetup -d %s' first)", l->dev,
			    l->dev);
	}
	err_set(e, -EBUSY, "%s is in use by a loop device: %s", m->dir,
	    b.len > 2 ? strbuf_text(&b) + 2 : "");
	strbuf_fini(&b);
	return -EBUSY;
}

/* The process is gone: nothing to write, nobody to ask. */
static int
unmount_dead(const struct mounted *m, struct err *e)
{
	int rc = mounts_unmount(m->dir, true, e);

	if (rc < 0)
		return rc;
	return err_set(e, -ENOTCONN,
	    "%s: the process behind it was gone already; it is unmounted "
	    "now. What it had not written is lost", m->dir);
}

/* The last steps of a process after it has told how it ended. */
static void
wait_until_gone(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return;
	poll(&p, 1, GONE_MS);
	close(pidfd);
}

static int
unmount(struct mounted *m, const struct unmount_opts *o, struct err *e)
{
	int control = -1;
	int rc = mounted_status(m, e);

	if (rc == -ENOTCONN || rc == -ECONNABORTED)
		return unmount_dead(m, e);
	if (rc == 0 && !o->lazy)
		rc = check_loops(m, e);
	if (rc < 0)
		return rc;
	rc = mounted_sync(m, false, o->quiet, "Writing", e);
	if (rc < 0 && !o->force)
		return err_set(e, rc, "%s; %s is still mounted and nothing "
		    "is lost yet", err_text(e), m->dir);
	if (rc < 0)
		fprintf(stderr, "pail unmount: %s\n", err_text(e));

	err_clear(e);
	if (control_connect(m->status.control, &control, e) < 0)
		fprintf(stderr, "pail unmount: cannot watch process %d: %s\n",
		    (int)m->status.pid, err_text(e));
	/* The last one to go. */
	pid_t last = m->status.holder_pid > 0 ? m->status.holder_pid :
						m->status.pid;
	int pidfd = (int)syscall(SYS_pidfd_open, last, 0);

	rc = mounts_unmount(m->dir, false, e);
	bool detached = rc == -EBUSY && o->lazy;

	if (detached)
		rc = mounts_unmount(m->dir, true, e);
	if (rc < 0 || detached) { /* it may last */
		if (control >= 0)
			close(control);
		if (pidfd >= 0)
			close(pidfd);
		return rc == -EBUSY ?
		    err_set(e, rc, "%s is in use ('fuser -vm %s' tells by "
			"whom)", m->dir, m->dir) :
		    rc;
	}
	rc = control >= 0 ? control_wait(control, e) : 0;
	wait_until_gone(pidfd);
	return rc < 0 ? err_wrap(e, rc, "%s", m->status.url) : 0;
}

static int
find_and_unmount(const char *path, const struct unmount_opts *o, struct err *e)
{
	struct mounted m;
	int rc = mounted_find(&m, path, e);

	if (rc < 0)
		return rc;
	rc = unmount(&m, o, e);
	mounted_fini(&m);
	return rc;
}

static int
run_unmount(int argc, char **argv)
{
	struct unmount_opts o = { 0 };
	struct conf conf = { 0 };
	struct err e = ERR_INIT;
	int rc = conf_init(&conf, unmount_opts, &o, &e);

	if (rc == 0)
		rc = conf_args(&conf, argc, argv, &e);
	conf_fini(&conf);
	if (rc < 0)
		return cli_usage("unmount", "%s", err_text(&e));
	if (o.help) {
		print_help();
		return CLI_OK;
	}
	if (rc != 1)
		return cli_usage("unmount", "needs one directory");
	rc = find_and_unmount(argv[1], &o, &e);
	return rc < 0 ? cli_fail("unmount", &e) : CLI_OK;
}

const struct verb verb_unmount = {
	.name = "unmount",
	.summary = "write everything and end a mount",
	.run = run_unmount,
};

/* What umount(8) wants to hear. */
enum { HELPER_OK = 0, HELPER_USAGE = 1, HELPER_FAILED = 32 };

int
unmount_helper_main(int argc, char **argv)
{
	struct unmount_opts o = { .quiet = true };
	struct err e = ERR_INIT;
	int c;

	if (argc < 2) {
		fprintf(stderr, "Usage: umount.fuse.pail DIR [-flnrv]\n");
		return HELPER_USAGE;
	}
	optind = 2;
	while ((c = getopt(argc, argv, "flnrvN:t:")) != -1) {
		if (c == 'l')
			o.lazy = true;
		else if (c == '?' || c == 'N')
			return HELPER_USAGE;
	}
	int rc = find_and_unmount(argv[1], &o, &e);

	if (rc < 0)
		fprintf(stderr, "umount: %s\n", err_text(&e));
	/* -ENOTCONN: it is unmounted, though nobody was there to write. */
	return rc == 0 || rc == -ENOTCONN ? HELPER_OK : HELPER_FAILED;
}
