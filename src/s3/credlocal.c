/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credlocal.c: keys that are found on this machine: in the settings, in an
 * access file, in the environment, in a profile of the AWS files.
 *
 * Files are read when the source is opened, so that a wrong one is known at
 * once, and again whenever keys are fetched: somebody may have renewed them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "s3/config.h"
#include "s3/credfile.h"
#include "s3/credint.h"
#include "s3/resolve.h"

#define ACCESS_FILE_MAX (1024 * 1024)

static void
wipe(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

/* The fetch of all of these: make the keys and hand them over. */
static void
fetched(struct s3_creds *p, const char *id, const char *key,
    const char *token)
{
	struct s3_cred *k = s3_cred_new(id, key, token, 0);
	struct err e = ERR_INIT;

	if (!k)
		err_errno(&e, -ENOMEM, "credentials");
	s3_creds_fetched(p, k, &e);
}

/* --- settings ---------------------------------------------------------------- */

static int
static_open(struct s3_creds *p, struct err *e)
{
	const struct s3_config *c = p->conf;

	if (!c->access_key)
		return -ENODATA;
	if (!c->access_id)
		return err_set(e, -EINVAL,
		    "an access-key is set, but no access-id");
	return s3_creds_set_source(p, "the settings");
}

static void
static_fetch(struct s3_creds *p)
{
	fetched(p, p->conf->access_id, p->conf->access_key,
	    p->conf->session_token);
}

const struct s3_cred_kind s3_cred_static = {
	.what = "the settings",
	.open = static_open,
	.fetch = static_fetch,
};

/* --- access file --------------------------------------------------------------- */

static int
access_file_read(struct s3_creds *p, char **id, char **key, struct err *e)
{
	const char *path = p->conf->access_file;
	unsigned long n;
	char *text;
	int rc;

	rc = s3_read_file(path, ACCESS_FILE_MAX, &text, &n, e);
	if (rc < 0)
		return rc;
	rc = s3_access_file_find(text, n, p->conf->access_id, id, key, e);
	wipe(text);
	return rc < 0 ? err_wrap(e, rc, "access file %s", path) : 0;
}

static int
access_file_open(struct s3_creds *p, struct err *e)
{
	const char *path = p->conf->access_file;
	char *id, *key;
	struct stat st;
	int rc;

	if (!path)
		return -ENODATA;
	rc = access_file_read(p, &id, &key, e);
	if (rc < 0)
		return rc;
	wipe(id);
	wipe(key);
	if (stat(path, &st) == 0 && (st.st_mode & 077))
		log_warn("access file %s can be read by others (mode %03o); "
			 "chmod 600 it", path, (unsigned)st.st_mode & 0777);
	return s3_creds_set_source(p, "access file %s", path);
}

static void
access_file_fetch(struct s3_creds *p)
{
	struct err e = ERR_INIT;
	char *id, *key;

	if (access_file_read(p, &id, &key, &e) < 0) {
		s3_creds_fetched(p, NULL, &e);
		return;
	}
	fetched(p, id, key, NULL);
	wipe(id);
	wipe(key);
}

const struct s3_cred_kind s3_cred_access_file = {
	.what = "an access file",
	.open = access_file_open,
	.fetch = access_file_fetch,
	.renews = true,
};

/* --- environment ---------------------------------------------------------------- */

static int
env_open(struct s3_creds *p, struct err *e)
{
	const char *id = s3_env("AWS_ACCESS_KEY_ID");
	const char *key = s3_env("AWS_SECRET_ACCESS_KEY");

	if (!id && !key)
		return -ENODATA;
	if (!id || !key)
		return err_set(e, -EINVAL,
		    "the environment has %s, but no %s",
		    id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
		    id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	return s3_creds_set_source(p, "the environment");
}

static void
env_fetch(struct s3_creds *p)
{
	const char *id = s3_env("AWS_ACCESS_KEY_ID");
	const char *key = s3_env("AWS_SECRET_ACCESS_KEY");

	fetched(p, id ? id : "", key ? key : "",
	    s3_env("AWS_SESSION_TOKEN"));
}

const struct s3_cred_kind s3_cred_env = {
	.what = "the environment (AWS_ACCESS_KEY_ID)",
	.open = env_open,
	.fetch = env_fetch,
};

/* --- profile ---------------------------------------------------------------------- */

struct profile_keys {
	char *id, *key, *token, *file;
};

static void
profile_keys_fini(struct profile_keys *k)
{
	wipe(k->id);
	wipe(k->key);
	wipe(k->token);
	free(k->file);
}

/* What a profile can ask for and we do not do must not be passed over in
 * silence: the keys next to it would be those of somebody else. */
static int
profile_refuse(const char *profile, struct err *e)
{
	static const char *const names[] = {"role_arn", "sso_session",
	    "sso_start_url", "login_session"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *v;
		int rc = s3_profile_value(profile, names[i], &v, NULL, e);

		if (rc == -ENOENT || rc == -ENODATA)
			continue;
		if (rc < 0)
			return rc;
		free(v);
		return err_set(e, -EOPNOTSUPP,
		    "profile %s has %s, which pail does not do by itself: "
		    "export its keys (aws configure export-credentials) or "
		    "use credential_process", profile, names[i]);
	}
	return 0;
}

static int
profile_read(const char *profile, struct profile_keys *k, struct err *e)
{
	int rc;

	memset(k, 0, sizeof(*k));
	rc = profile_refuse(profile, e);
	if (rc == 0)
		rc = s3_profile_value(
		    profile, "aws_access_key_id", &k->id, &k->file, e);
	if (rc < 0)
		return rc;
	rc = s3_profile_value(
	    profile, "aws_secret_access_key", &k->key, NULL, e);
	if (rc == -ENOENT)
		rc = err_set(e, -EINVAL,
		    "profile %s has an aws_access_key_id, but no "
		    "aws_secret_access_key", profile);
	if (rc == 0) {
		rc = s3_profile_value(
		    profile, "aws_session_token", &k->token, NULL, e);
		if (rc == -ENOENT)
			rc = 0;
	}
	if (rc < 0)
		profile_keys_fini(k);
	return rc;
}

static int
profile_open(struct s3_creds *p, struct err *e)
{
	const char *profile = p->conf->profile;
	struct profile_keys k;
	int rc = profile_read(profile, &k, e);

	if (rc == -ENODATA || rc == -ENOENT)
		return -ENODATA;
	if (rc < 0)
		return rc;
	rc = s3_creds_set_source(p, "profile %s of %s", profile, k.file);
	profile_keys_fini(&k);
	return rc;
}

static void
profile_fetch(struct s3_creds *p)
{
	struct err e = ERR_INIT;
	struct profile_keys k;
	int rc = profile_read(p->conf->profile, &k, &e);

	if (rc < 0) {
		if (!e.rc)
			err_set(&e, -ENOKEY, "profile %s has no keys any more",
			    p->conf->profile);
		s3_creds_fetched(p, NULL, &e);
		return;
	}
	fetched(p, k.id, k.key, k.token);
	profile_keys_fini(&k);
}

const struct s3_cred_kind s3_cred_profile = {
	.what = "the AWS files (aws_access_key_id)",
	.open = profile_open,
	.fetch = profile_fetch,
	.renews = true,
};
