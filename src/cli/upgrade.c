/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail upgrade: another program goes on with a mount, while it is used.
 *
 * The program that is run as "pail upgrade" is the one that takes over: after
 * an installation that is the new one.  Its file is opened here and given to
 * the mount's holder (front/holder.h), which does the rest and tells how it
 * went.  Our standard error goes along, for what the new program has to say.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/mounted.h"
#include "front/wire.h"

struct upgrade_opts {
	char *program;
	bool help;
};

#define G(field) CONF_AT(struct upgrade_opts, field)
static const struct conf_opt upgrade_opts[] = {
	{ "program", 'p', CONF_PATH, G(program), .arg = "FILE",
	    .help = "the program that takes over (the one that you run)" },
	{ "help", 'h', CONF_FLAG, G(help), .help = "print this" },
	{ NULL }
};

static void
print_help(void)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b,
	    "Usage: pail upgrade [OPTIONS] DIR\n"
	    "Have this program go on with the mount DIR, in place of the one "
	    "that serves it.\n\n"
	    "Those who use the mount wait for a moment and see no error. If "
	    "this program\ncannot go on, the old one does.\n\n");
	conf_help(upgrade_opts, &b);
	strbuf_puts(&b, "\nExample:\n  pail upgrade /mnt/disk\n");
	fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
}

static int
connect_holder(const char *name, int *sock, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", name);
	*sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (*sock < 0 ||
	    connect(*sock, (struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
		    strlen(name))) < 0)
		return err_errno(e, -errno, "the holder's socket @%s", name);
	return 0;
}

/* Ask, and wait for the end. */
static int
ask(int sock, int program, struct err *e)
{
	static struct wire_msg m;
	int fds[2] = { program, STDERR_FILENO };
	int rc = wire_send(sock, WIRE_DRAIN, NULL, 0, fds, 2);

	if (rc == 0)
		rc = wire_recv(sock, &m, 0);
	if (rc < 0)
		return err_errno(e, rc, "the holder gives no answer");
	wire_drop_fds(&m);
	if (m.type != WIRE_DONE)
		return err_set(e, -EAGAIN, "%s", (char *)m.body);
	printf("%s serves it now\n", (char *)m.body);
	return 0;
}

static int
upgrade(const char *path, const struct upgrade_opts *o, struct err *e)
{
	const char *file =
	    o->program != NULL ? o->program : "/proc/self/exe";
	int program = -1, sock = -1;
	struct mounted m;
	int rc = mounted_find(&m, path, e);

	if (rc < 0)
		return rc;
	rc = mounted_status(&m, e);
	if (rc == 0 && m.status.holder[0] == '\0')
		rc = err_set(e, -EOPNOTSUPP,
		    "%s: nobody holds this mount while programs change: "
		    "unmount it, and mount it again", m.dir);
	if (rc == 0 && (program = open(file, O_RDONLY | O_CLOEXEC)) < 0)
		rc = err_errno(e, -errno, "open %s", file);
	if (rc == 0 && faccessat(program, "", X_OK,
	    AT_EACCESS | AT_EMPTY_PATH) < 0)
		rc = err_errno(e, -errno, "%s", file);
	if (rc == 0)
		rc = connect_holder(m.status.holder, &sock, e);
	if (rc == 0) {
		rc = ask(sock, program, e);
		if (rc < 0)
			err_wrap(e, rc, "%s", m.dir);
	}
	if (sock >= 0)
		close(sock);
	if (program >= 0)
		close(program);
	mounted_fini(&m);
	return rc;
}

static int
run_upgrade(int argc, char **argv)
{
	struct upgrade_opts o = { 0 };
	struct conf conf = { 0 };
	struct err e = ERR_INIT;
	int status = CLI_OK;
	int rc = conf_init(&conf, upgrade_opts, &o, &e);

	if (rc == 0)
		rc = conf_args(&conf, argc, argv, &e);
	if (rc < 0)
		status = cli_usage("upgrade", "%s", err_text(&e));
	else if (o.help)
		print_help();
	else if (rc != 1)
		status = cli_usage("upgrade", "needs one directory");
	else if (upgrade(argv[1], &o, &e) < 0)
		status = cli_fail("upgrade", &e);
	conf_fini(&conf);
	return status;
}

const struct verb verb_upgrade = {
	.name = "upgrade",
	.summary = "have another program go on with a mount",
	.run = run_upgrade,
};
