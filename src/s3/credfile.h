/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_CREDFILE_H
#define S3_CREDFILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Texts in which keys are kept: s3backer's access file, the two AWS files, and
 * the JSON of metadata services and programs.  Pure functions with limits.
 * Secrets never appear in the sentences.
 */
struct err;

/*
 * Lines "ID:KEY"; blank lines and those that begin with '#' are nothing.  The
 * first whose ID is id, or just the first if id is NULL; both are given to the
 * caller.  -ENOENT: no such line; -EINVAL: a line is not of this form;
 * -ENOMEM.
 */
int s3_access_file_find(const char *p, size_t n, const char *id,
    char **out_id, char **out_key, struct err *e);

/*
 * The value of name in [section] of an AWS file; given to the caller.  The
 * last one counts.  -ENOENT: no such value; -ENODATA: no such section;
 * -EINVAL; -ENOMEM.
 */
int s3_ini_find(const char *p, size_t n, const char *section,
    const char *name, char **out, struct err *e);

/*
 * The JSON object of a metadata service or of a credential_process: keys that
 * are copied into out (s3/cred.h).  -EBADMSG: it is none, or says that it
 * failed (with what it says); -ENOMEM.
 */
struct s3_cred;
int s3_cred_json(
    const char *p, size_t n, struct s3_cred **out, struct err *e);

#endif
