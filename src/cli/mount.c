/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail mount, and mount.pail for mount(8) and fstab.
 *
 * Both have one table of options: what is --name on the command line is a name
 * in -o.  fstab lines also carry words that are meant for others (noauto,
 * nofail, _netdev, x-systemd...); those are accepted and do nothing.  Words
 * for the kernel (noexec, noatime ...) are passed on.  Any other is refused.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/mount_run.h"
#include "front/status.h"

/* Options of mount(2) that are passed on. */
static const char *const kernel_words[] = { "noexec", "noatime", "nodiratime",
	"sync", "dirsync" };
#define RESTART_MEMORY_MIN (4u << 20) /* a few of the largest requests */
#define NKERNEL (sizeof(kernel_words) / sizeof(kernel_words[0]))

struct mount_opts {
	struct settings set;
	bool read_only, force, foreground, help;
	bool survey, descriptor, allow_other, direct_io, writeback, debug;
	bool recompress;
	char *log_file;
	char *file_name, *stats_name;
	char *file_mode;
	uint64_t uid, gid;
	int64_t drain_timeout_ns;
	uint64_t restart_memory;
	bool kernel[NKERNEL];
};

#define M(field) CONF_AT(struct mount_opts, field)
#define KERNEL(i, name) \
	{ name, 0, CONF_FLAG, M(kernel) + (i) * sizeof(bool), \
		.flags = CONF_HIDDEN }
#define IGNORED(name) \
	{ name, 0, CONF_FLAG, 0, .flags = CONF_HIDDEN | CONF_UNUSED }

static const struct conf_opt own_opts[] = {
	{ "read-only", 'r', CONF_FLAG, M(read_only), .alias = "ro",
	    .group = "Mount", .help = "nothing is written" },
	{ "rw", 0, CONF_FLAG, M(read_only),
	    .flags = CONF_HIDDEN | CONF_INVERT },
	{ "foreground", 'f', CONF_FLAG, M(foreground),
	    .help = "stay in the foreground; log to standard error" },
	{ "force", 0, CONF_FLAG, M(force),
	    .help = "take the volume although it is marked as mounted "
		    "elsewhere" },
	{ "log-file", 0, CONF_PATH, M(log_file),
	    .help = "append the log to this file, not to syslog" },
	{ "drain-timeout", 0, CONF_DURATION, M(drain_timeout_ns),
	    .def = "2m",
	    .help = "at the end, give up when the store has taken nothing "
		    "for so long; 0: never" },
	{ "restart-memory", 0, CONF_SIZE, M(restart_memory), .arg = "SIZE",
	    .help = "for what was written and not flushed, so that another "
		    "process can go on after a crash; 0: the mount ends "
		    "then (a quarter of --cache)" },
	{ "survey", 0, CONF_FLAG, M(survey), .def = "yes",
	    .help = "list the objects, so that absent blocks cost nothing" },
	{ "descriptor", 0, CONF_FLAG, M(descriptor), .def = "yes",
	    .help = "keep the volume's description in an object of pail's; "
		    "s3backer does not mind it" },
	{ "allow-other", 0, CONF_FLAG, M(allow_other),
	    .help = "let other users see the mount (root's mounts do)" },
	{ "uid", 0, CONF_UINT, M(uid), .max = UINT32_MAX,
	    .help = "owner of the disk (you)" },
	{ "gid", 0, CONF_UINT, M(gid), .max = UINT32_MAX,
	    .help = "group of the disk (yours)" },
	{ "file-mode", 0, CONF_STRING, M(file_mode), .arg = "OCTAL",
	    .help = "mode of the disk (0600; read-only: 0400)" },
	{ "file-name", 0, CONF_STRING, M(file_name), .def = "file",
	    .help = "name of the disk in the directory" },
	{ "stats-name", 0, CONF_STRING, M(stats_name), .def = "stats",
	    .help = "name of the text file of counters" },
	{ "direct-io", 0, CONF_FLAG, M(direct_io),
	    .help = "the kernel caches nothing of the disk" },
	{ "kernel-writeback", 0, CONF_FLAG, M(writeback),
	    .help = "the kernel may keep written data for a while" },
	{ "fuse-debug", 0, CONF_FLAG, M(debug),
	    .help = "print every request of the kernel" },
	{ "recompress", 0, CONF_FLAG, M(recompress), .flags = CONF_HIDDEN },
	{ "options", 'o', CONF_OPTIONS, 0,
	    .help = "options as in fstab: name[=value],..." },
	{ "help", 'h', CONF_FLAG, M(help), .help = "print this" },
	IGNORED("defaults"),
	IGNORED("auto"),
	IGNORED("noauto"),
	IGNORED("fail"),
	IGNORED("nofail"),
	IGNORED("_netdev"),
	IGNORED("user"),
	IGNORED("nouser"),
	IGNORED("users"),
	IGNORED("owner"),
	IGNORED("group"),
	IGNORED("comment"),
	IGNORED("suid"),
	IGNORED("nosuid"),
	IGNORED("dev"),
	IGNORED("nodev"),
	IGNORED("exec"),
	IGNORED("async"),
	IGNORED("atime"),
	IGNORED("relatime"),
	IGNORED("x-*"),
	KERNEL(0, "noexec"),
	KERNEL(1, "noatime"),
	KERNEL(2, "nodiratime"),
	KERNEL(3, "sync"),
	KERNEL(4, "dirsync"),
	{ NULL }
};

static void
print_help(const struct conf_opt *opts)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b,
	    "Usage: pail mount [OPTIONS] URL DIR\n"
	    "Show the volume at URL as the file DIR/file, a disk.\n\n"
	    "Returns when the disk is there. With --size a volume is made "
	    "where there is none.\n\n");
	conf_help(opts, &b);
	strbuf_puts(&b,
	    "\nExamples:\n"
	    "  pail mount --size 1T s3://bucket/disk /mnt/disk\n"
	    "  pail mount --read-only 's3://b/disk?endpoint=http://nas:9000' "
	    "/mnt/disk\n"
	    "  /etc/fstab:\n"
	    "  s3://bucket/disk  /mnt/disk  pail  _netdev,cache=1G  0 0\n");
	if (b.failed)
		fprintf(stderr, "pail mount: no memory\n");
	else
		fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
}

static int
parse_mode(const char *text, mode_t *out, struct err *e)
{
	char *end;

	if (text == NULL)
		return 0;
	unsigned long v = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end != '\0' || v == 0 ||
	    v > 0777)
		return err_set(e, -EINVAL,
		    "--file-mode %s: not an octal mode up to 0777", text);
	*out = (mode_t)v;
	return 0;
}

static int
check_name(const char *option, const char *name, bool may_be_empty,
    struct err *e)
{
	if ((*name == '\0' && !may_be_empty) || strchr(name, '/') != NULL ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strcmp(name, STATUS_NAME) == 0 || strlen(name) > NAME_MAX)
		return err_set(e, -EINVAL,
		    "%s \"%s\": cannot be the name of a file", option, name);
	return 0;
}

/* "noexec,noatime"; malloc'ed, NULL if there are none. */
static int
kernel_options(const struct mount_opts *m, char **out)
{
	struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < NKERNEL; i++)
		if (m->kernel[i]) {
			if (b.len > 0)
				strbuf_putc(&b, ',');
			strbuf_puts(&b, kernel_words[i]);
		}
	*out = b.len > 0 || b.failed ? strbuf_take(&b) : NULL;
	return b.len > 0 && *out == NULL ? -ENOMEM : 0;
}

/* What --cache names is all that a mount takes: unless a person gives the ledger
 * memory of its own, a quarter is the ledger's. */
static uint64_t
quarter_of(uint64_t *cache)
{
	uint64_t n = *cache / 4;

	if (n < RESTART_MEMORY_MIN)
		return RESTART_MEMORY_MIN;
	*cache -= n;
	return n;
}

/* One that makes no sense need not be tried in the background. */
static int
check_url(const char *text, struct err *e)
{
	struct url u;
	int rc = url_parse(&u, text, e);

	if (rc < 0)
		return rc;
	rc = url_check(&u, e);
	url_fini(&u);
	return rc == -EOPNOTSUPP ? -EINVAL : rc;
}

/* Options that contradict each other, or can have no effect. */
static int
check_options(const struct mount_opts *m, const struct conf *c,
    const char *url, struct err *e)
{
	char *const urls[] = { (char *)(uintptr_t)url };
	const char *journal = m->set.journal;

	if (strcmp(m->file_name, m->stats_name) == 0)
		return err_set(e, -EINVAL,
		    "--file-name and --stats-name are both \"%s\"",
		    m->file_name);
	if (m->direct_io && m->writeback)
		return err_set(e, -EINVAL,
		    "--direct-io and --kernel-writeback contradict each "
		    "other: the kernel keeps nothing, or it does");
	if (conf_given(c, &m->set.journal_size) &&
	    (journal == NULL ? strncmp(url, "s3:", 3) != 0 :
			       strcmp(journal, "none") == 0))
		return err_set(e, -EINVAL,
		    "--journal-size has no effect without a journal: %s",
		    journal == NULL ?
			"only s3: volumes have one without --journal" :
			"--journal is none");
	if (conf_given(c, &m->set.disk_cache_size) &&
	    m->set.disk_cache == NULL)
		return err_set(e, -EINVAL,
		    "--disk-cache-size has no effect without --disk-cache");
	return settings_check_urls(&m->set, c, urls, 1, e);
}

static int
make_job(struct mount_opts *m, const struct conf *c, struct mount_job *j,
    char **kernel, struct err *e)
{
	struct layout_params *l = &m->set.volume.layout;
	struct fuse_front_params *f = &j->serve.fuse;
	int rc = settings_apply(&m->set, c, e);

	if (rc == 0)
		rc = check_url(j->url, e);
	if (rc == 0)
		rc = parse_mode(m->file_mode, &f->file_mode, e);
	if (rc == 0)
		rc = check_name("--file-name", m->file_name, false, e);
	if (rc == 0)
		rc = check_name("--stats-name", m->stats_name, true, e);
	if (rc == 0)
		rc = check_options(m, c, j->url, e);
	if (rc == 0 && kernel_options(m, kernel) < 0)
		rc = err_errno(e, -ENOMEM, "options");
	if (rc < 0)
		return rc;

	/* A reader who insists looks past the lease; it never takes it. */
	if (m->read_only)
		l->lease = m->force ? LEASE_NONE : LEASE_READER;
	else
		l->lease = m->force ? LEASE_FORCE : LEASE_WRITER;
	l->force = m->force;
	l->create = m->set.size > 0 && !m->read_only;
	l->survey = m->survey;
	l->plain_s3backer = !m->descriptor;
	l->recompress = m->recompress;
	f->file_name = m->file_name;
	f->stats_name = m->stats_name;
	f->fuse_options = *kernel;
	f->uid = conf_given(c, &m->uid) ? (uid_t)m->uid : geteuid();
	f->gid = conf_given(c, &m->gid) ? (gid_t)m->gid : getegid();
	f->read_only = m->read_only;
	f->allow_other = m->allow_other || geteuid() == 0;
	f->direct_io = m->direct_io;
	f->writeback = m->writeback;
	f->debug = m->debug;
	if (m->read_only)
		j->ledger = 0; /* nothing to note */
	else
		j->ledger = conf_given(c, &m->restart_memory) ?
		    m->restart_memory :
		    quarter_of(&m->set.volume.cache.size);
	if (j->ledger > 0 && j->ledger < RESTART_MEMORY_MIN)
		return err_set(e, -EINVAL,
		    "--restart-memory %" PRIu64 ": at least 4M, or 0",
		    j->ledger);
	j->set = &m->set;
	j->foreground = m->foreground || m->debug;
	j->log_file = m->log_file;
	j->serve.drain_timeout_ns = m->drain_timeout_ns;
	return settings_password(&m->set, false, e);
}

/* A command line that makes no sense, or something else (a password file that
 * is not there). */
static int
refused(const char *who, int rc, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", who, err_text(e));
	if (rc != -EINVAL && rc != -ERANGE)
		return (int)cli_status_of(rc);
	fprintf(stderr, "Try 'pail mount --help'.\n");
	return CLI_USAGE;
}

int
mount_main(const char *who, int argc, char **argv)
{
	struct mount_opts m = { 0 };
	struct conf_opt opts[CONF_OPTS_MAX];
	static struct takeover takeover; /* with the password in it */
	struct mount_job job = { .who = who };
	struct conf conf = { 0 };
	struct err e = ERR_INIT;
	char *kernel = NULL;
	int status;

	settings_table(opts,
	    SETTINGS_CREATE | SETTINGS_OPEN | SETTINGS_CACHE |
		SETTINGS_STORE | SETTINGS_COMMON,
	    own_opts);
	int rc = conf_init(&conf, opts, &m, &e);

	if (rc == 0)
		rc = conf_args(&conf, argc, argv, &e);
	if (rc >= 0 && m.help) {
		print_help(opts);
		status = CLI_OK;
		goto out;
	}
	if (rc >= 0 && rc != 2)
		rc = err_set(&e, -EINVAL,
		    "needs a URL and a directory, and nothing else (%d "
		    "given)", rc);
	/* The password may be one that a person had to type. */
	if (rc >= 0)
		rc = takeover_begin(&takeover, &e);
	if (rc == 1) {
		snprintf(m.set.password, sizeof(m.set.password), "%s",
		    takeover.secret);
		explicit_bzero(takeover.secret, sizeof(takeover.secret));
		job.takeover = &takeover;
	}
	if (rc >= 0) {
		job.url = argv[1];
		rc = make_job(&m, &conf, &job, &kernel, &e);
	}
	if (rc < 0) {
		status = refused(who, rc, &e);
		goto out;
	}
	settings_journal(&m.set, job.url);
	job.dir = argv[2];
	status = mount_run(&job);
out:
	free(kernel);
	settings_fini(&m.set);
	conf_fini(&conf);
	return status;
}

static int
run_mount(int argc, char **argv)
{
	return mount_main("pail mount", argc, argv);
}

const struct verb verb_mount = {
	.name = "mount",
	.summary = "show a volume as a disk in a directory",
	.run = run_mount,
};

/* --- mount.pail ------------------------------------------------------------ */

/* What mount(8) wants to hear. */
enum { HELPER_OK = 0, HELPER_USAGE = 1, HELPER_FAILED = 32 };

static int
helper_status(int status)
{
	return status == CLI_OK	   ? HELPER_OK :
	    status == CLI_USAGE ? HELPER_USAGE :
				  HELPER_FAILED;
}

int
mount_helper_main(int argc, char **argv)
{
	/* The verb's name, options, "--", SOURCE, DIR, NULL. */
	char **v = calloc((size_t)argc + 4, sizeof(*v));
	char verb[] = "mount", dashes[] = "--", o[] = "-o", verbose[] = "-v";
	bool fake = false;
	int n = 0, c;

	if (v == NULL || argc < 3) {
		fprintf(stderr, v == NULL ? "mount.pail: no memory\n" :
		    "Usage: mount.pail URL DIR [-fnsv] [-o OPTIONS]\n");
		free(v);
		return HELPER_USAGE;
	}
	v[n++] = verb;
	optind = 3;
	while ((c = getopt(argc, argv, "fno:svN:t:")) != -1) {
		switch (c) {
		case 'f':
			fake = true;
			break;
		case 'o':
			v[n++] = o;
			v[n++] = optarg;
			break;
		case 'v':
			v[n++] = verbose;
			break;
		case 'n': /* there is no mtab any more */
		case 's':
		case 't':
			break;
		default: /* -N: another mount name space */
			fprintf(stderr,
			    "mount.pail: option -%c is not supported\n",
			    c == '?' ? optopt : c);
			free(v);
			return HELPER_USAGE;
		}
	}
	v[n++] = dashes;
	v[n++] = argv[1];
	v[n++] = argv[2];
	int status = fake ? CLI_OK : mount_main("mount.pail", n, v);

	free(v);
	return helper_status(status);
}
