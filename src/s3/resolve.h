/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_RESOLVE_H
#define S3_RESOLVE_H

/*
 * Fill what the settings leave open from the environment and the AWS files:
 * endpoint, region, profile, CA file.  What stays open gets its default, so
 * that afterwards endpoint, region and profile are never NULL.
 *
 * Variables: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
 * AWS_DEFAULT_REGION, AWS_PROFILE, AWS_CA_BUNDLE, AWS_SHARED_CREDENTIALS_FILE,
 * AWS_CONFIG_FILE, HOME.
 */
struct err;
struct s3_config;

int s3_resolve(struct s3_config *c, struct err *e);

/*
 * A value of the profile: first of the credentials file, then of the config
 * file.  *out is given to the caller, as is *file (where it was found; may be
 * asked for with NULL).  -ENOENT: neither has it; -ENODATA: neither has the
 * profile; or another error of reading them, with a sentence.
 */
int s3_profile_value(const char *profile, const char *name, char **out,
    char **file, struct err *e);

/* getenv, but "" is NULL. */
const char *s3_env(const char *name);

/* A small file whole, NUL-terminated, given to the caller.  -EFBIG above max,
 * -ENOENT ..., with a sentence. */
int s3_read_file(const char *path, unsigned long max, char **out,
    unsigned long *n, struct err *e);

#endif
