/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail store offline, online, replace: members leave, come back, are replaced;
 * mounted or not.
 *
 * The last operands are the member and the device; those before them name the
 * store, and are not needed where the member's own superblock tells which store
 * it is and a process has that open.  A member that can be read is known to the
 * store by its UUID, so the path by which it is named here does not matter.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/store.h"
#include "cli/store_ask.h"
#include "cli/tool.h"
#include "raw/format.h"
#include "raw/make.h"

struct member_verb {
	struct tool tool;
	bool no_wait;
	char *names[RAW_MAX_MEMBERS + 1];
	int n;
};

#define V(field) CONF_AT(struct member_verb, field)

static const struct conf_opt offline_opts[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Members",
	.help = "also if the store then takes no more writes"},
    {NULL}};
static const struct conf_opt online_opts[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Members",
	.help = "also if it has been used without the others meanwhile: what "
		"it got then is lost"},
    {"no-wait", 0, CONF_FLAG, V(no_wait),
	.help = "do not wait until it has everything"},
    {NULL}};
static const struct conf_opt replace_opts[] = {
    {"force", 0, CONF_FLAG, TOOL_AT(force), .group = "Members",
	.help = "what is on NEW may be lost"},
    {"no-wait", 0, CONF_FLAG, V(no_wait),
	.help = "do not wait until it has everything"},
    {NULL}};

static const struct tool_usage offline_usage = {
    .verb = "store offline",
    .operands = "[PATH...|DIR] MEMBER",
    .about = "Take a member out of a store: it stays out until it is brought\n"
	     "back by 'pail store online'. MEMBER is its path, or its column.",
    .examples = "  pail store offline /dev/sdc\n"
		"  pail store offline /mnt/disk 2\n",
    .own = offline_opts,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS + 1,
};

static const struct tool_usage online_usage = {
    .verb = "store online",
    .operands = "[PATH...|DIR] MEMBER",
    .about = "Bring back a member, which was away, was taken out, or had failed,\n"
	     "by the path of its device, or by its column or UUID if it is where\n"
	     "it was. It takes part at once; what it has missed is written to it.",
    .examples = "  pail store online /dev/sdc\n"
		"  pail store online /dev/sdb /dev/sdd /dev/sdc\n",
    .own = online_opts,
    .json = true,
    .nmin = 1,
    .nmax = RAW_MAX_MEMBERS + 1,
};

static const struct tool_usage replace_usage = {
    .verb = "store replace",
    .operands = "[PATH...|DIR] OLD NEW",
    .about = "Put the device NEW in the place of the member OLD, which may be\n"
	     "there still or gone, and write to it what it must have. What was\n"
	     "stopped goes on when the store is opened again.",
    .examples = "  pail store replace /dev/sdc /dev/sdh\n"
		"  pail store replace /mnt/disk 2 /dev/sdh\n",
    .own = replace_opts,
    .json = true,
    .nmin = 2,
    .nmax = RAW_MAX_MEMBERS + 2,
};

/* --- what is meant ---------------------------------------------------------------- */

/* A path that may be gone: that of its directory, and its name. */
static void
gone_path(const char *given, char out[PATH_MAX])
{
	const char *slash = strrchr(given, '/');
	char dir[PATH_MAX], full[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.*s",
	    slash ? (int)(slash - given + 1) : 1, slash ? given : ".");
	if (!realpath(dir, full) ||
	    snprintf(out, PATH_MAX, "%s/%s", full,
		slash ? slash + 1 : given) >= PATH_MAX)
		snprintf(out, PATH_MAX, "%s", given);
}

/* A column or a UUID. */
static bool
is_name(const char *s)
{
	return s[strspn(s, "0123456789")] == '\0' ||
	    (strlen(s) == 32 &&
		s[strspn(s, "0123456789abcdefABCDEF")] == '\0');
}

/* The UUID if the device can be read; a column or UUID as it was given; else
 * the path, from the root on. */
static const char *
member_name(const char *given, char name[PATH_MAX])
{
	uint8_t sector[RAW_SECTOR];
	struct err e = ERR_INIT;
	struct raw_super s;
	int fd = open(given, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool good = fd >= 0 &&
	    pread(fd, sector, sizeof(sector), 0) == (ssize_t)sizeof(sector) &&
	    raw_super_decode(&s, sector, &e) == 0;

	if (fd >= 0)
		close(fd);
	for (unsigned i = 0; good && i < 16; i++)
		snprintf(name + 2 * (size_t)i, 3, "%02x", s.member_uuid[i]);
	if (good)
		return name;
	if (is_name(given))
		return given;
	gone_path(given, name);
	return name;
}

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return strcmp(a, b) == 0 ||
	    (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
		x.st_ino == y.st_ino);
}

/* The operands that name the store.  except: one that does not belong there;
 * also: one that does, if it is there and is not among them yet. */
static void
collect_names(struct member_verb *v, char **operands, int n,
    const char *except, char *also)
{
	struct stat st;

	for (int i = 0; i < n; i++)
		if (!except || !same_file(operands[i], except))
			v->names[v->n++] = operands[i];
	for (int i = 0; i < v->n && also; i++)
		if (same_file(v->names[i], also))
			also = NULL;
	if (also && stat(also, &st) == 0)
		v->names[v->n++] = also;
}

/* --- asking --------------------------------------------------------------------- */

static int
ask(struct member_verb *v, const char *also, const char *title,
    json_t *question, const char *done)
{
	struct tool *t = &v->tool;
	struct store_question q = {.n = v->n,
	    .names = v->names,
	    .also = also,
	    .title = title,
	    .json = question};
	long long lost;
	json_t *r;
	int rc = store_ask(t, &q, &r);

	if (rc == -EPERM) {
		fprintf(stderr, "pail %s: %s\n", t->usage->verb,
		    err_text(&t->err));
		return CLI_REFUSED;
	}
	if (rc < 0)
		return rc;
	lost = (long long)json_integer_value(
	    json_object_get(r, "objects_lost"));
	if (t->json)
		rc = tool_print_json(json_incref(r), stdout, &t->err);
	else if (!t->set.quiet)
		printf("member %lld %s; the store is %s\n",
		    (long long)json_integer_value(
			json_object_get(r, "column")),
		    done,
		    json_string_value(json_object_get(r, "health")));
	json_decref(r);
	if (lost > 0)
		fprintf(stderr,
		    "pail %s: %lld objects could not be rebuilt; 'pail store "
		    "scrub' names them\n",
		    t->usage->verb, lost);
	return rc == 0 && lost > 0 ? CLI_DAMAGE : rc;
}

/* The device is given to the process that has the store, which is elsewhere. */
static int
absolute(struct tool *t, const char *path, char out[PATH_MAX])
{
	if (realpath(path, out))
		return 0;
	if (errno == ENOENT)
		return err_set(&t->err, -ENOENT,
		    "%s does not exist; name a device, or make an image file "
		    "('truncate -s SIZE %s')",
		    path, path);
	return err_errno(&t->err, -errno, "%s", path);
}

static int
offline(struct member_verb *v, char **argv)
{
	int n = v->tool.noperands;
	char name[PATH_MAX];

	collect_names(v, argv, n - 1, NULL, argv[n - 1]);
	return ask(v, argv[n - 1], NULL,
	    json_pack("{s:s, s:s, s:b}", "do", "offline", "member",
		member_name(argv[n - 1], name), "force", (int)v->tool.force),
	    "is out");
}

static int
online(struct member_verb *v, char **argv)
{
	int n = v->tool.noperands;
	char *device = argv[n - 1], path[PATH_MAX];
	bool named = is_name(device) && access(device, F_OK) < 0;
	int rc = named ? 0 : absolute(&v->tool, device, path);

	if (rc < 0)
		return rc;
	collect_names(v, argv, n - 1, device, NULL);
	return ask(v, named ? NULL : device, "Rebuilding",
	    json_pack("{s:s, s:s, s:b, s:b}", "do", "online",
		named ? "member" : "path", named ? device : path, "force",
		(int)v->tool.force, "wait", (int)!v->no_wait),
	    "is back");
}

static int
replace(struct member_verb *v, char **argv)
{
	int n = v->tool.noperands;
	char *old = argv[n - 2], path[PATH_MAX], name[PATH_MAX];
	int rc = absolute(&v->tool, argv[n - 1], path);

	if (rc < 0)
		return rc;
	if (same_file(old, path))
		return err_set(&v->tool.err, -EINVAL,
		    "%s cannot be replaced by itself; 'pail store online' "
		    "brings a member back",
		    old);
	if (!v->tool.force)
		rc = raw_look(path, &v->tool.err);
	if (rc < 0)
		return rc;
	collect_names(v, argv, n - 2, path, old);
	return ask(v, old, "Rebuilding",
	    json_pack("{s:s, s:s, s:s, s:b, s:b}", "do", "replace", "member",
		member_name(old, name), "path", path, "force",
		(int)v->tool.force, "wait", (int)!v->no_wait),
	    "was replaced");
}

static int
run(int argc, char **argv, const struct tool_usage *usage, const char *advice,
    int (*what)(struct member_verb *v, char **argv))
{
	struct member_verb v = {0};
	int rc, status = tool_begin(&v.tool, usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	interrupt_install(advice);
	rc = tool_start(&v.tool);
	if (rc == 0)
		rc = what(&v, argv + 1);
	return tool_end(&v.tool, rc);
}

#define GOES_ON \
	"a mounted store goes on rebuilding, another one when it is opened " \
	"again; 'pail store status' tells how far it is"

int
store_offline_run(int argc, char **argv)
{
	return run(argc, argv, &offline_usage, "'pail store status' tells",
	    offline);
}

int
store_online_run(int argc, char **argv)
{
	return run(argc, argv, &online_usage, GOES_ON, online);
}

int
store_replace_run(int argc, char **argv)
{
	return run(argc, argv, &replace_usage, GOES_ON, replace);
}
