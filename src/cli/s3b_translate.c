/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the flags of s3backer, as they were given, to a command line of pail.
 *
 * Counts of blocks become bytes, for which the block size must be known here,
 * from --blockSize.  Where it is not, pail's own default stays.  A volume that
 * is made without --blockSize gets pail's 128 KiB, not 4 KiB: both programs read
 * it, and 4 KiB objects serve nobody.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cli/s3b_int.h"

/* --- the URL ------------------------------------------------------------------- */

/* bucket[/sub/dir] and --prefix, as a URL.  The server is an option. */
static int
add_url(struct argvec *a, const struct s3b_flags *f, const char *bucket,
    struct err *e)
{
	struct strbuf b = STRBUF_INIT;
	size_t n = strlen(bucket);

	while (n > 0 && bucket[n - 1] == '/')
		n--;
	if (n == 0 || bucket[0] == '/')
		return err_set(
		    e, -EINVAL, "\"%s\" is no name of a bucket", bucket);
	strbuf_puts(&b, "s3://");
	percent_encode(&b, bucket, n, true);
	if (f->prefix != NULL && *f->prefix != '\0') {
		strbuf_puts(&b, "?prefix=");
		percent_encode(&b, f->prefix, strlen(f->prefix), true);
	}
	if (b.failed)
		a->failed = true;
	else
		argvec_add(a, strbuf_text(&b));
	strbuf_fini(&b);
	return 0;
}

/* --- groups of flags -------------------------------------------------------------- */

static void
add_text(struct argvec *a, const char *option, const char *value)
{
	if (value != NULL)
		argvec_addf(a, "--%s=%s", option, value);
}

static void
add_flag(struct argvec *a, const char *option, bool on)
{
	if (on)
		argvec_addf(a, "--%s", option);
}

static void
add_tos(struct argvec *a, const char *tos)
{
	static const struct {
		const char *name;
		int value;
	} names[] = { { "lowdelay", 16 }, { "throughput", 8 },
		{ "reliability", 4 }, { "lowcost", 2 }, { "mincost", 2 } };

	if (tos == NULL)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(tos, names[i].name) == 0) {
			argvec_addf(a, "--ip-tos=%d", names[i].value);
			return;
		}
	add_text(a, "ip-tos", tos);
}

/* Does the environment, or this machine, have keys for us? */
static bool
has_other_keys(void)
{
	static const char *const names[] = { "AWS_ACCESS_KEY_ID",
		"AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_SHARED_CREDENTIALS_FILE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (getenv(names[i]) != NULL)
			return true;
	return false;
}

/*
 * Who we are: the flags, else ~/.s3backer_passwd, else what pail finds in the
 * environment; without any of it requests are not signed, as with s3backer.
 */
static int
add_credentials(struct s3b_command *c, struct s3b_flags *f, struct err *e)
{
	struct argvec *a = &c->args;
	const char *home = getenv("HOME");

	if (f->access_key_env != NULL) {
		const char *key = getenv(f->access_key_env);

		if (f->access_key != NULL)
			return err_set(e, -EINVAL, "--accessKey and "
			    "--accessKeyEnv are both given");
		if (key == NULL)
			return err_set(e, -EINVAL, "--accessKeyEnv=%s: there "
			    "is no such variable", f->access_key_env);
		f->access_key = strdup(key);
		if (f->access_key == NULL)
			return err_errno(e, -ENOMEM, "--accessKeyEnv");
	}
	if (f->ec2_role != NULL) {
		argvec_add(a, "--credentials=imds");
		add_text(a, "iam-role", f->ec2_role);
		return 0;
	}
	if (f->access_id != NULL && *f->access_id == '\0') {
		argvec_add(a, "--credentials=anonymous");
		return 0;
	}
	if (f->access_key != NULL) {
		if (f->access_id == NULL)
			return err_set(e, -EINVAL,
			    "--accessKey needs --accessId");
		c->access_id = f->access_id;
		c->access_key = f->access_key;
		f->access_id = f->access_key = NULL;
		argvec_add(a, "--credentials=env");
		return 0;
	}
	if (f->access_file == NULL && home != NULL) {
		struct strbuf b = STRBUF_INIT;

		strbuf_printf(&b, "%s/.s3backer_passwd", home);
		if (!b.failed && access(strbuf_text(&b), R_OK) == 0)
			f->access_file = strbuf_take(&b);
		strbuf_fini(&b);
	}
	add_text(a, "access-id", f->access_id);
	if (f->access_file != NULL) {
		argvec_add(a, "--credentials=access-file");
		add_text(a, "access-file", f->access_file);
	} else if (!has_other_keys()) {
		log_info("no keys are given: requests are not signed");
		argvec_add(a, "--credentials=anonymous");
	}
	return 0;
}

static int
add_server(struct argvec *a, const struct s3b_flags *f, struct err *e)
{
	if (f->base_url != NULL) {
		size_t n = strlen(f->base_url);

		while (n > 0 && f->base_url[n - 1] == '/')
			n--;
		argvec_addf(a, "--endpoint=%.*s", (int)n, f->base_url);
	}
	add_text(a, "region", f->region);
	if (f->vhost && f->no_vhost)
		return err_set(
		    e, -EINVAL, "--vhost and --no-vhost are both given");
	if (f->vhost || (f->region != NULL && !f->no_vhost))
		argvec_add(a, "--style=host");
	else if (f->no_vhost || f->base_url != NULL)
		argvec_add(a, "--style=path");
	if (f->auth == 1)
		argvec_add(a, "--auth=aws2");
	add_text(a, "cacert", f->cacert);
	add_flag(a, "insecure", f->insecure);
	add_text(a, "acl", f->access_type);
	add_text(a, "sse", f->sse);
	add_text(a, "sse-key-id", f->sse_key_id);
	add_text(a, "storage-class",
	    f->storage_class != NULL ? f->storage_class :
		f->rrs		     ? "REDUCED_REDUNDANCY" :
				       NULL);
	add_flag(a, "no-reuse", f->no_reuse);
	add_flag(a, "debug-http", f->debug_http);
	add_text(a, "default-content-encoding", f->default_encoding);
	if (f->timeout_s > 0)
		argvec_addf(a, "--timeout=%" PRIu64, f->timeout_s);
	if (f->retry_ms > 0)
		argvec_addf(a, "--retry-deadline=%" PRIu64 "ms",
		    f->retry_ms < 1000 ? 1000 : f->retry_ms);
	if (f->upload_bits > 0)
		argvec_addf(a, "--max-upload-rate=%" PRIu64,
		    (f->upload_bits + 7) / 8);
	if (f->download_bits > 0)
		argvec_addf(a, "--max-download-rate=%" PRIu64,
		    (f->download_bits + 7) / 8);
	add_tos(a, f->ip_tos);
	return 0;
}

static void
add_compress(struct argvec *a, const struct s3b_flags *f)
{
	const char *c = f->compress;

	if (c != NULL && (isdigit((unsigned char)*c) || *c == '-')) {
		argvec_add(a, "--compress=deflate");
		add_text(a, "compress-level", c);
	} else {
		add_text(a, "compress", c);
	}
	add_text(a, "compress-level", f->compress_level);
}

static void
add_encoding(struct s3b_command *c, struct s3b_flags *f)
{
	struct argvec *a = &c->args;

	add_compress(a, f);
	argvec_add(a, "--recompress"); /* each mount of s3backer decides */
	add_text(a, "encrypt", f->encrypt);
	add_text(a, "password-file", f->password_file);
	if (f->key_length > 0)
		argvec_addf(a, "--key-length=%" PRIu64, f->key_length);
	if (f->password_file == NULL) {
		c->password = f->password;
		f->password = NULL;
	}
}

/* n blocks in bytes, at least min; 0 if it cannot be told. */
static uint64_t
blocks(const struct s3b_flags *f, uint64_t n, uint64_t min, const char *flag)
{
	if (n == 0)
		return 0;
	if (f->block_size == 0) {
		log_warn("--%s counts blocks: without --blockSize it has no "
		    "effect", flag);
		return 0;
	}
	uint64_t bytes = n > ((uint64_t)1 << 60) / f->block_size ?
	    (uint64_t)1 << 60 :
	    n * f->block_size;

	return bytes < min ? min : bytes;
}

static void
add_cache(struct argvec *a, const struct s3b_flags *f, const struct conf *conf)
{
	uint64_t n = blocks(f, f->cache_blocks, 4 << 20, "blockCacheSize");

	if (conf_given(conf, &f->cache_blocks) && f->cache_blocks == 0)
		log_warn("--blockCacheSize=0: pail needs a cache and takes "
		    "its least");
	if (n > 0 ||
	    (conf_given(conf, &f->cache_blocks) && f->cache_blocks == 0))
		argvec_addf(a, "--cache=%" PRIu64,
		    n > 0 ? n : (uint64_t)4 << 20);
	n = blocks(f, f->max_dirty, 1 << 20, "blockCacheMaxDirty");
	if (n > 0)
		argvec_addf(a, "--dirty=%" PRIu64, n);
	if (f->cache_threads > 0)
		argvec_addf(a, "--uploads=%" PRIu64, f->cache_threads);
	if (conf_given(conf, &f->write_delay_ms))
		argvec_addf(
		    a, "--write-delay=%" PRIu64 "ms", f->write_delay_ms);
	n = blocks(f, f->read_ahead, 0, "readAhead");
	if (n > 0 ||
	    (conf_given(conf, &f->read_ahead) && f->read_ahead == 0))
		argvec_addf(a, "--read-ahead=%" PRIu64, n);
}

static void
add_volume(struct argvec *a, const struct s3b_flags *f)
{
	if (f->size > 0)
		argvec_addf(a, "--size=%" PRIu64, f->size);
	if (f->block_size > 0)
		argvec_addf(a, "--block-size=%" PRIu64, f->block_size);
	if (f->hash_prefix)
		argvec_add(a, "--block-hash-prefix=yes");
}

static void
add_mount(struct argvec *a, const struct s3b_flags *f, const struct conf *conf)
{
	argvec_addf(a, "--survey=%s", f->list_blocks ? "yes" : "no");
	add_flag(a, "read-only", f->read_only);
	add_flag(a, "force", f->force);
	if (f->no_auto)
		argvec_add(a, "--descriptor=no");
	add_text(a, "file-name", f->filename);
	add_text(a, "stats-name", f->stats_name);
	add_text(a, "file-mode", f->file_mode);
	add_flag(a, "direct-io", f->direct_io);
	add_flag(a, "foreground", f->foreground);
	add_flag(a, "fuse-debug", f->fuse_debug);
	add_flag(a, "verbose", f->debug || f->fuse_debug);
	add_flag(a, "allow-other", f->allow_other);
	if (conf_given(conf, &f->uid))
		argvec_addf(a, "--uid=%" PRIu64, f->uid);
	if (conf_given(conf, &f->gid))
		argvec_addf(a, "--gid=%" PRIu64, f->gid);
	if (f->noatime)
		argvec_add(a, "-onoatime");
	if (f->noexec)
		argvec_add(a, "-onoexec");
	if (f->cache_sync)
		argvec_add(a, "-osync");
}

/* --- all of it -------------------------------------------------------------------------- */

static int
refuse(const struct s3b_flags *f, struct err *e)
{
	if (f->nbd)
		return err_set(e, -EINVAL,
		    "--nbd: pail has no NBD server here; without that flag "
		    "the disk is a file, for losetup or mount -o loop");
	if (f->shared)
		return err_set(e, -EINVAL,
		    "--sharedDiskMode: pail allows one writer at a time");
	if (f->test)
		return err_set(e, -EINVAL,
		    "--test: pail keeps volumes in directories in another "
		    "format: pail mount --size SIZE dir:PATH DIR");
	return 0;
}

static int
translate(struct s3b_command *c, struct s3b_flags *f, const struct conf *conf,
    int n, char **operand, struct err *e)
{
	static const char *const verbs[] = { "mount", "erase", "unlock" };
	int want = c->mode == S3B_MOUNT ? 2 : 1;

	if (n != want)
		return err_set(e, -EINVAL, want == 2 ?
			"needs a bucket and a directory (%d arguments are "
			"given)" : "needs a bucket, and nothing else (%d "
			"arguments are given)", n);
	if (c->mode == S3B_MOUNT && f->no_auto && f->size == 0)
		return err_set(e, -EINVAL, "--noAutoDetect needs --size");

	argvec_add(&c->args, verbs[c->mode]);
	int rc = add_credentials(c, f, e);

	if (rc == 0)
		rc = add_server(&c->args, f, e);
	if (rc < 0)
		return rc;
	if (c->mode == S3B_MOUNT) {
		add_encoding(c, f);
		add_volume(&c->args, f);
		add_cache(&c->args, f, conf);
		add_mount(&c->args, f, conf);
	} else {
		add_flag(&c->args, "force", f->force || c->mode == S3B_RESET);
	}
	argvec_add(&c->args, "--");
	rc = add_url(&c->args, f, operand[0], e);
	if (rc == 0 && c->mode == S3B_MOUNT)
		argvec_add(&c->args, operand[1]);
	return rc;
}

int
s3b_translate(struct s3b_command *c, int argc, char **argv, struct err *e)
{
	struct argvec given = { 0 };
	struct s3b_flags f = { 0 };
	struct conf conf = { 0 };

	memset(c, 0, sizeof(*c));
	s3b_give_defaults(&given, argc, argv);
	/* conf_args moves the pointers about; given still owns the words. */
	char **view = given.failed ?
	    NULL :
	    calloc((size_t)given.n + 1, sizeof(*view));
	int rc = view == NULL ? err_errno(e, -ENOMEM, "arguments") :
				conf_init(&conf, s3b_flag_table(), &f, e);

	if (rc == 0) {
		memcpy(view, given.v, (size_t)given.n * sizeof(*view));
		rc = conf_args(&conf, given.n, view, e);
	}
	int n = rc;

	if (rc >= 0)
		rc = refuse(&f, e);
	if (rc >= 0) {
		c->mode = f.help ? S3B_HELP :
		    f.version	 ? S3B_VERSION :
		    f.erase	 ? S3B_ERASE :
		    f.reset	 ? S3B_RESET :
				   S3B_MOUNT;
		if (c->mode < S3B_HELP)
			rc = translate(c, &f, &conf, n, view + 1, e);
	}
	if (rc == 0 && c->args.failed)
		rc = err_errno(e, -ENOMEM, "arguments");
	conf_fini(&conf);
	free(view);
	argvec_fini(&given);
	if (rc < 0)
		s3b_command_fini(c);
	return rc;
}

static void
wipe(char **s)
{
	if (*s != NULL)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void
s3b_command_fini(struct s3b_command *c)
{
	argvec_fini(&c->args);
	wipe(&c->access_id);
	wipe(&c->access_key);
	wipe(&c->password);
}
