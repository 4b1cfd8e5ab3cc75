/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail s3backer, or pail by the name of s3backer: that program's command line.
 *
 * The flags are turned into a command line of pail (s3b_flags.h), which is then
 * run.  Secrets take other ways than arguments: keys the environment of this
 * process, a password a file that has no name.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/s3b_flags.h"

static void
print_help(void)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b,
	    "Usage: pail s3backer [FLAGS] BUCKET[/SUBDIR] DIR\n"
	    "       pail s3backer --erase [FLAGS] BUCKET[/SUBDIR]\n"
	    "       pail s3backer --reset-mounted-flag [FLAGS] "
	    "BUCKET[/SUBDIR]\n"
	    "The command line of s3backer, for volumes and scripts of "
	    "that program.\n\n"
	    "Sizes are 4096, 128k, 1t. Flags not listed here are accepted "
	    "and have no effect;\nthe log says so.\n\n");
	conf_help(s3b_flag_table(), &b);
	strbuf_puts(&b,
	    "\nExamples:\n"
	    "  pail s3backer --blockSize=128k --size=1t --listBlocks "
	    "mybucket /mnt/disk\n"
	    "  pail s3backer --readOnly demo-bucket /mnt/disk\n");
	fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
}

/* As the last --password-file of the command. */
static int
pass_password(struct s3b_command *c, int *fd, struct err *e)
{
	size_t n = strlen(c->password);

	*fd = memfd_create("password", 0);
	if (*fd < 0 || write(*fd, c->password, n) != (ssize_t)n ||
	    lseek(*fd, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "--password");

	/* Before "--" and the operands; any place after the verb will do. */
	struct argvec with = { 0 };

	argvec_add(&with, c->args.v[0]);
	argvec_addf(&with, "--password-file=/dev/fd/%d", *fd);
	for (int i = 1; i < c->args.n; i++)
		argvec_add(&with, c->args.v[i]);
	if (with.failed) {
		argvec_fini(&with);
		return err_errno(e, -ENOMEM, "--password");
	}
	argvec_fini(&c->args);
	c->args = with;
	return 0;
}

static int
pass_secrets(struct s3b_command *c, int *fd, struct err *e)
{
	*fd = -1;
	if (c->access_key != NULL &&
	    (setenv("AWS_ACCESS_KEY_ID", c->access_id, 1) < 0 ||
		setenv("AWS_SECRET_ACCESS_KEY", c->access_key, 1) < 0 ||
		unsetenv("AWS_SESSION_TOKEN") < 0))
		return err_errno(e, -errno, "--accessKey");
	return c->password != NULL ? pass_password(c, fd, e) : 0;
}

/* What goes on below, for --debug. */
static void
log_command(const struct argvec *a)
{
	struct strbuf b = STRBUF_INIT;

	for (int i = 0; i < a->n; i++) {
		if (strcmp(a->v[i], "--verbose") == 0)
			log_open("pail", LOG_LVL_DEBUG, false);
		strbuf_puts(&b, " ");
		strbuf_puts(&b, a->v[i]);
	}
	log_debug("the same as: pail%s", strbuf_text(&b));
	strbuf_fini(&b);
}

/* Verbs move the pointers of their arguments about: they get a copy. */
static int
run_verb(const struct s3b_command *c, struct err *e)
{
	size_t size = ((size_t)c->args.n + 1) * sizeof(char *);
	char **v = malloc(size);
	int status;

	if (v == NULL) {
		err_errno(e, -ENOMEM, "arguments");
		return cli_fail("s3backer", e);
	}
	memcpy(v, c->args.v, size);
	if (c->mode == S3B_MOUNT)
		status = mount_main("s3backer", c->args.n, v);
	else
		status = cli_verb(v[0])->run(c->args.n, v);
	free(v);
	return status;
}

static int
run_command(struct s3b_command *c, struct err *e)
{
	int fd, status;
	int rc = pass_secrets(c, &fd, e);

	if (rc < 0) {
		status = cli_fail("s3backer", e);
	} else {
		log_command(&c->args);
		status = run_verb(c, e);
	}
	if (fd >= 0)
		close(fd);
	return status;
}

static int
run_s3backer(int argc, char **argv)
{
	struct s3b_command c = { 0 };
	struct argvec args = { 0 };
	struct err e = ERR_INIT;
	int status = CLI_OK;
	int rc = s3b_expand(&args, argc, argv, &e);

	if (rc == 0)
		rc = s3b_translate(&c, args.n, args.v, &e);
	argvec_fini(&args);
	if (rc < 0)
		return cli_usage("s3backer", "%s", err_text(&e));
	switch (c.mode) {
	case S3B_HELP:
		print_help();
		break;
	case S3B_VERSION:
		printf("pail %s, by the command line of s3backer 2.1\n",
		    PACKAGE_VERSION);
		break;
	case S3B_MOUNT:
	case S3B_ERASE:
	case S3B_RESET:
		status = run_command(&c, &e);
		break;
	}
	s3b_command_fini(&c);
	return status;
}

const struct verb verb_s3backer = {
	.name = "s3backer",
	.summary = "mount with the command line of s3backer",
	.run = run_s3backer,
};
