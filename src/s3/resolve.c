/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c: the environment and the AWS files; see resolve.h.
 *
 * The files are small and read when a store is opened (and again when keys
 * from them have expired), by plain blocking calls.  A file that does not
 * exist is an empty one; one that cannot be read or understood is an error,
 * because it may have what is missing.
 */
#include "s3/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "s3/config.h"
#include "s3/credfile.h"

#define AWS_FILE_MAX (1024 * 1024)

const char *
s3_env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int
s3_read_file(const char *path, unsigned long max, char **out,
    unsigned long *n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	size_t have = 0;
	char *p;

	if (fd < 0)
		return err_errno(e, -errno, "open %s", path);
	p = malloc(max + 2);
	if (!p) {
		rc = err_errno(e, -ENOMEM, "read %s", path);
		goto out;
	}
	for (;;) {
		ssize_t k = read(fd, p + have, max + 1 - have);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			rc = err_errno(e, -errno, "read %s", path);
			goto out;
		}
		have += (size_t)k;
		if (k == 0 || have > max)
			break;
	}
	if (have > max) {
		rc = err_set(e, -EFBIG, "%s is larger than %lu bytes", path,
		    max);
		goto out;
	}
	p[have] = '\0';
	*out = p;
	*n = have;
	p = NULL;
	rc = 0;
out:
	free(p);
	close(fd);
	return rc;
}

/* The name of one of the AWS files; "" if there is no HOME. */
static int
aws_file(const char *variable, const char *name, char **out)
{
	struct strbuf b = STRBUF_INIT;
	const char *v = s3_env(variable), *home = s3_env("HOME");

	if (v && v[0] == '~' && v[1] == '/' && home) {
		strbuf_puts(&b, home);
		strbuf_puts(&b, v + 1);
	} else if (v) {
		strbuf_puts(&b, v);
	} else if (home) {
		strbuf_printf(&b, "%s/.aws/%s", home, name);
	} else {
		strbuf_puts(&b, "");
	}
	*out = strbuf_take(&b);
	return *out ? 0 : -ENOMEM;
}

static int
look_in(char *path, const char *section, const char *name, char **out,
    struct err *e)
{
	unsigned long n;
	char *text;
	int rc;

	if (!*path)
		return -ENODATA;
	rc = s3_read_file(path, AWS_FILE_MAX, &text, &n, e);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return -ENODATA;
	if (rc < 0)
		return rc;
	rc = s3_ini_find(text, n, section, name, out, e);
	explicit_bzero(text, n);
	free(text);
	if (rc < 0 && rc != -ENOENT && rc != -ENODATA)
		err_wrap(e, rc, "%s", path);
	return rc;
}

/* In the config file a section is called "profile x", but "default". */
static int
config_section(const char *profile, char **out)
{
	struct strbuf b = STRBUF_INIT;

	if (strcmp(profile, "default") != 0)
		strbuf_puts(&b, "profile ");
	strbuf_puts(&b, profile);
	*out = strbuf_take(&b);
	return *out ? 0 : -ENOMEM;
}

int
s3_profile_value(const char *profile, const char *name, char **out,
    char **file, struct err *e)
{
	char *path = NULL, *section = NULL;
	bool seen = false;
	int rc;

	rc = aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", &path);
	if (rc == 0)
		rc = look_in(path, profile, name, out, e);
	if (rc == 0 || (rc != -ENOENT && rc != -ENODATA))
		goto out;
	seen = rc == -ENOENT;
	free(path);
	path = NULL;
	rc = aws_file("AWS_CONFIG_FILE", "config", &path);
	if (rc == 0)
		rc = config_section(profile, &section);
	if (rc == 0)
		rc = look_in(path, section, name, out, e);
	if (rc == -ENODATA && seen)
		rc = -ENOENT;
out:
	if (rc == -ENOMEM)
		err_errno(e, rc, "read the AWS files");
	if (rc == 0 && file) {
		*file = path;
		path = NULL;
	}
	free(path);
	free(section);
	return rc;
}

/* --- the settings ----------------------------------------------------------- */

static int
fill(char **field, const char *value)
{
	if (*field || !value)
		return 0;
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

static int
fill_from_profile(const struct s3_config *c, char **field, const char *name,
    struct err *e)
{
	char *v = NULL;
	int rc;

	if (*field)
		return 0;
	rc = s3_profile_value(c->profile, name, &v, NULL, e);
	if (rc == -ENOENT || rc == -ENODATA)
		return 0;
	if (rc == 0)
		*field = v;
	return rc;
}

static int
fill_endpoint(struct s3_config *c)
{
	struct strbuf b = STRBUF_INIT;

	if (c->endpoint)
		return 0;
	strbuf_printf(&b, "https://s3.%s.amazonaws.com%s", c->region,
	    strncmp(c->region, "cn-", 3) == 0 ? ".cn" : "");
	c->endpoint = strbuf_take(&b);
	return c->endpoint ? 0 : -ENOMEM;
}

int
s3_resolve(struct s3_config *c, struct err *e)
{
	int rc;

	/* Who names a profile means its keys, not those that happen to be in
	 * the environment. */
	if (c->profile && c->credentials == S3_CRED_AUTO && !c->access_key &&
	    !c->access_id && !c->access_file)
		c->credentials = S3_CRED_PROFILE;
	rc = fill(&c->profile, s3_env("AWS_PROFILE"));
	if (rc == 0)
		rc = fill(&c->profile, "default");
	if (rc == 0)
		rc = fill(&c->region, s3_env("AWS_REGION"));
	if (rc == 0)
		rc = fill(&c->region, s3_env("AWS_DEFAULT_REGION"));
	if (rc == 0)
		rc = fill_from_profile(c, &c->region, "region", e);
	if (rc == 0)
		rc = fill(&c->region, "us-east-1");
	if (rc == 0)
		rc = fill(&c->endpoint, s3_env("AWS_ENDPOINT_URL_S3"));
	if (rc == 0)
		rc = fill(&c->endpoint, s3_env("AWS_ENDPOINT_URL"));
	if (rc == 0)
		rc = fill_from_profile(c, &c->endpoint, "endpoint_url", e);
	if (rc == 0)
		rc = fill_endpoint(c);
	if (rc == 0)
		rc = fill(&c->cacert, s3_env("AWS_CA_BUNDLE"));
	if (rc == -ENOMEM)
		err_errno(e, rc, "the s3 settings");
	return rc;
}
