/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_S3B_FLAGS_H
#define CLI_S3B_FLAGS_H

#include <stdbool.h>

/*
 * s3backer's command line turned into pail's.
 *
 * Nothing is done here: the result is the verb and the arguments that mean
 * the same, so that "s3backer FLAGS bucket dir" is "pail mount OPTIONS
 * s3://bucket dir".  Flags that have no meaning any more are named in the log.
 */
struct conf_opt;
struct err;

/* A growing list of arguments, ended by NULL.  Lack of memory is remembered. */
struct argvec {
	char **v;
	int n, cap;
	bool failed;
};
void argvec_add(struct argvec *a, const char *arg); /* copied */
__attribute__((format(printf, 2, 3))) void argvec_addf(
    struct argvec *a, const char *fmt, ...);
void argvec_fini(struct argvec *a); /* wipes: there may be secrets */

enum s3b_mode { S3B_MOUNT, S3B_ERASE, S3B_RESET, S3B_HELP, S3B_VERSION };

struct s3b_command {
	enum s3b_mode mode;
	struct argvec args; /* args.v[0] is the verb's name */
	/* Secrets, which go into no argument; NULL: none given.  Owned. */
	char *access_id, *access_key, *password;
};

/* -EINVAL with a sentence about the flag as it was written. */
int s3b_translate(
    struct s3b_command *c, int argc, char **argv, struct err *e);
void s3b_command_fini(struct s3b_command *c);

/* Replace each --configFile=F (-F F) by the arguments in F, one a line.  out is
 * empty when this fails. */
int s3b_expand(struct argvec *out, int argc, char **argv, struct err *e);

/* "--compress" and "--encrypt" alone get the values that they stand for. */
void s3b_give_defaults(struct argvec *a, int argc, char **argv);

/* All flags, into a struct s3b_flags (s3b_int.h); also for --help. */
const struct conf_opt *s3b_flag_table(void);

#endif
