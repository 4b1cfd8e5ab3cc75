/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_CREDINT_H
#define S3_CREDINT_H

#include "loop/loop.h"
#include "s3/cred.h"

/*
 * Between the provider (cred.c) and its sources (credlocal.c: keys that are
 * read on this machine; credhttp.c: services; credproc.c: programs).
 */
struct s3_cred_kind {
	const char *what; /* what was looked at, for the sentence if none has any */
	/* Is this source configured?  0: yes, and source (and state) are set;
	 * -ENODATA: no; else an error, with a sentence. */
	int (*open)(struct s3_creds *p, struct err *e);
	/* Get keys: end by s3_creds_fetched, now or later. */
	void (*fetch)(struct s3_creds *p);
	void (*close)(struct s3_creds *p); /* ends a fetch too; or NULL */
	bool renews; /* asking again may give other keys */
};

struct s3_creds {
	struct loop *loop;
	struct work_pool *pool;
	const struct s3_config *conf; /* borrowed */
	const struct s3_cred_kind *kind;
	char *source; /* in words */
	bool anonymous;
	void *state; /* the kind's */

	struct s3_cred *now;	/* may have expired; NULL before the first */
	bool fetching;
	int64_t not_before_ns; /* after a failed renewal; loop_now's clock */
	struct list waiting;   /* struct s3_cred_wait */
	/* The answer of a fetch, until the timer has handed it out (a timer
	 * and not a task, because it can be cancelled). */
	struct loop_timer soon;
	struct s3_cred *fetched;
	struct err err;
	struct s3_cred *rejected; /* a reference: do not accept it again */
};

/* k: given, or NULL with the error. */
void s3_creds_fetched(struct s3_creds *p, struct s3_cred *k,
    const struct err *e);
__attribute__((format(printf, 2, 3))) int s3_creds_set_source(
    struct s3_creds *p, const char *fmt, ...);

/* credlocal.c */
extern const struct s3_cred_kind s3_cred_static, s3_cred_access_file,
    s3_cred_env, s3_cred_profile;
/* credproc.c */
extern const struct s3_cred_kind s3_cred_process;
/* credhttp.c */
extern const struct s3_cred_kind s3_cred_web, s3_cred_container,
    s3_cred_imds;

#endif
