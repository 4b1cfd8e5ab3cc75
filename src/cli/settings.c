/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared options.
 *
 * The rows for S3 are made from s3/config's own list, so that an option, a
 * URL parameter and the manual cannot disagree; keys that are secret are left
 * out, since anybody can read a command line.
 *
 * An option that was not given leaves the defaults of the layer below alone;
 * conf_given tells.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "cli/prompt.h"
#include "cli/settings.h"
#include "codec/cipher.h"
#include "codec/compress.h"
#include "loop/fileio.h"
#include "loop/loop.h"
#include "loop/work.h"

#define S CONF_AT
typedef struct settings T;

static const char *const auto_no_yes[] = { "auto", "no", "yes", NULL };

static const struct conf_opt store_opts[] = {
	{ "max-requests", 0, CONF_UINT, S(T, max_requests), .min = 1,
	    .max = 65536, .group = "Store",
	    .help = "requests in flight at a time (256)" },
	{ "retry-deadline", 0, CONF_DURATION, S(T, retry_deadline_ns),
	    .min = NS_PER_S,
	    .help = "give up a request after trying for so long (30s)" },
	{ NULL }
};

static const struct conf_opt create_opts[] = {
	{ "size", 's', CONF_SIZE, S(T, size), .min = 4096,
	    .max = (uint64_t)1 << 56, .group = "Volume",
	    .help = "size of the disk" },
	{ "block-size", 'b', CONF_SIZE, S(T, block_size), .min = 4096,
	    .max = 16 << 20, .pow2 = true,
	    .help = "bytes in a block, which is one object (128K)" },
	{ "compress", 0, CONF_STRING, S(T, compress),
	    .arg = "zstd|deflate|none[:N]",
	    .help = "how blocks are compressed (none), and its level" },
	{ "compress-level", 0, CONF_STRING, S(T, compress_level), .arg = "N",
	    .help = "level of the compression (its own default)" },
	{ NULL }
};

static const struct conf_opt open_opts[] = {
	{ "block-hash-prefix", 0, CONF_ENUM, S(T, hash_prefix),
	    .words = auto_no_yes, .group = "Volume",
	    .help = "a hash stands before the numbers in the objects' "
		    "names" },
	{ NULL }
};

static const struct conf_opt create_crypt_opts[] = {
	{ "encrypt", 0, CONF_STRING, S(T, cipher), .arg = "CIPHER",
	    .group = "Encryption",
	    .help = "encrypt the blocks, by AES-256-CBC for instance; "
		    "compresses too" },
	{ NULL }
};

static const struct conf_opt open_crypt_opts[] = {
	{ "password-file", 0, CONF_PATH, S(T, password_file),
	    .group = "Encryption",
	    .help = "the password is the first line of this file" },
	{ "ask-password", 0, CONF_FLAG, S(T, ask_password),
	    .help = "ask for the password on the terminal" },
	{ "key-length", 0, CONF_UINT, S(T, key_length), .min = 1, .max = 64,
	    .help = "bytes of the key (the cipher's own)" },
	{ NULL }
};

static const struct conf_opt cache_opts[] = {
	{ "cache", 0, CONF_SIZE, S(T, cache), .min = 4 << 20,
	    .group = "Cache", .help = "memory for blocks (256M)" },
	{ "dirty", 0, CONF_SIZE, S(T, dirty), .min = 1 << 20,
	    .help = "of it, at most so much that is not written yet (three "
		    "quarters); more of that may be in the journal" },
	{ "write-delay", 0, CONF_DURATION, S(T, write_delay_ns),
	    .help = "a changed block waits at most so long for more changes, "
		    "while there is room (60s with a journal, else 5s)" },
	{ "uploads", 0, CONF_UINT, S(T, uploads), .min = 1, .max = 65536,
	    .help = "blocks written at a time (64)" },
	{ "read-ahead", 0, CONF_SIZE, S(T, readahead),
	    .help = "read at most so far ahead of each reader; 0: not at "
		    "all (adapts itself)" },
	{ "journal", 0, CONF_STRING, S(T, journal), .arg = "PATH|none",
	    .help = "a flush is safe here, and uploaded later (with s3: a "
		    "file in the state directory; else none)" },
	{ "journal-size", 0, CONF_SIZE, S(T, journal_size), .min = 16 << 20,
	    .help = "bytes of a journal that is made (256M)" },
	{ "disk-cache", 0, CONF_STRING, S(T, disk_cache), .arg = "PATH",
	    .help = "keep objects that were read or written in this file, for "
		    "when memory has no room for them, and the next mount" },
	{ "disk-cache-size", 0, CONF_SIZE, S(T, disk_cache_size),
	    .min = 16 << 20, .help = "bytes of it when it is made (1G)" },
	{ "error-deadline", 0, CONF_DURATION, S(T, error_deadline_ns),
	    .help = "when the store has refused data for so long, writes "
		    "that have to wait fail" },
	{ NULL }
};

static const struct conf_opt common_opts[] = {
	{ "verbose", 'v', CONF_FLAG, S(T, verbose), .group = "General",
	    .help = "say more" },
	{ "quiet", 'q', CONF_FLAG, S(T, quiet),
	    .help = "no progress, only errors" },
	{ NULL }
};

/* --- the table ----------------------------------------------------------- */

/* Rows are added until CONF_OPTS_MAX - 1; the last one is the end. */
static unsigned
add_rows(struct conf_opt *out, unsigned n, const struct conf_opt *rows)
{
	for (; rows->name != NULL; rows++) {
		must(n < CONF_OPTS_MAX - 1);
		out[n++] = *rows;
	}
	out[n] = (struct conf_opt){ NULL };
	return n;
}

static bool
is_secret(const char *name)
{
	return strcmp(name, "access-key") == 0 ||
	    strcmp(name, "session-token") == 0;
}

static unsigned
add_s3(struct conf_opt *out, unsigned n)
{
	const char *name, *what, *value;
	bool first = true;

	for (unsigned i = 0;
	     (name = s3_config_name(i, &what, &value)) != NULL; i++) {
		struct conf_opt row = { .name = name, .help = what,
			.arg = value };

		must(i < SETTINGS_S3_MAX);
		if (is_secret(name))
			continue;
		if (first)
			row.group = "S3";
		first = false;
		if (value == NULL) {
			row.type = CONF_FLAG;
			row.offset = S(T, s3_flag) + i * sizeof(bool);
		} else {
			row.type = strcmp(value, "FILE") == 0 ? CONF_PATH :
								CONF_STRING;
			row.offset = S(T, s3_text) + i * sizeof(char *);
		}
		n = add_rows(
		    out, n, (struct conf_opt[]){ row, { NULL } });
	}
	return n;
}

void
settings_table(
    struct conf_opt *out, unsigned groups, const struct conf_opt *own)
{
	unsigned n = add_rows(out, 0, own);

	if ((groups & SETTINGS_CREATE) != 0)
		n = add_rows(out, n, create_opts);
	if ((groups & SETTINGS_OPEN) != 0)
		n = add_rows(out, n, open_opts);
	if ((groups & SETTINGS_CREATE) != 0)
		n = add_rows(out, n, create_crypt_opts);
	if ((groups & SETTINGS_OPEN) != 0)
		n = add_rows(out, n, open_crypt_opts);
	if ((groups & SETTINGS_CACHE) != 0)
		n = add_rows(out, n, cache_opts);
	if ((groups & SETTINGS_STORE) != 0) {
		n = add_rows(out, n, store_opts);
		n = add_s3(out, n);
	}
	if ((groups & SETTINGS_COMMON) != 0)
		add_rows(out, n, common_opts);
}

/* --- applying ---------------------------------------------------------------- */

static int
apply_s3(struct settings *s, const struct conf *c, struct err *e)
{
	const char *name, *what, *value;
	int rc = 0;

	for (unsigned i = 0; rc == 0 &&
	     (name = s3_config_name(i, &what, &value)) != NULL; i++) {
		if (s->s3_text[i] != NULL)
			rc = s3_config_set(&s->s3, name, s->s3_text[i], e);
		else if (conf_given(c, &s->s3_flag[i]))
			rc = s3_config_set(&s->s3, name,
			    s->s3_flag[i] ? "yes" : "no", e);
	}
	return rc;
}

int
settings_check_urls(const struct settings *s, const struct conf *c,
    char *const *urls, int n, struct err *e)
{
	const char *name, *what, *value;

	for (int i = 0; i < n; i++)
		if (strncmp(urls[i], "s3:", 3) == 0)
			return 0;
	for (unsigned i = 0;
	     (name = s3_config_name(i, &what, &value)) != NULL; i++)
		if (s->s3_text[i] != NULL || conf_given(c, &s->s3_flag[i]))
			return err_set(e, -EINVAL,
			    "--%s is for s3: volumes, and has no effect on %s",
			    name, n > 0 ? urls[n - 1] : "this");
	return 0;
}

/* Names that nobody knows are a matter of the command line. */
static int
apply_cipher(struct settings *s, struct err *e)
{
	char name[CIPHER_NAME_MAX];

	if (s->cipher == NULL)
		return 0;
	int rc = cipher_canonical(s->cipher, name, sizeof(name), e);

	if (rc < 0)
		return err_wrap(e, rc, "--encrypt %s", s->cipher);
	s->volume.layout.cipher = s->cipher;
	return 0;
}

/* "zstd:3" is zstd with level 3. */
static int
apply_compress(struct settings *s, struct err *e)
{
	char *colon = s->compress != NULL ? strchr(s->compress, ':') : NULL;
	const char *level = s->compress_level;
	char *end;

	if (colon != NULL && level != NULL)
		return err_set(e, -EINVAL,
		    "--compress %s: there is a level in it, and "
		    "--compress-level %s too", s->compress, level);
	if (colon != NULL) {
		*colon = '\0';
		level = colon + 1;
	}
	enum compress_alg alg = COMPRESS_NONE;
	int rc = s->compress != NULL ? compress_parse(s->compress, &alg, e) : 0;

	if (rc < 0)
		return err_wrap(e, rc, "--compress %s", s->compress);
	s->volume.layout.compress = s->compress;
	if (level == NULL)
		return 0;
	errno = 0;
	long n = strtol(level, &end, 10);

	if (end == level || *end != '\0' || errno != 0 || n < INT_MIN ||
	    n > INT_MAX || n == COMPRESS_LEVEL_DEFAULT)
		return err_set(e, -EINVAL,
		    "compression level \"%s\": not a number", level);
	s->volume.layout.compress_level = (int)n;
	return s->compress != NULL ? compress_check_level(alg, (int)n, e) : 0;
}

static void
apply_cache(struct settings *s, const struct conf *c)
{
	struct cache_params *p = &s->volume.cache;

	if (s->cache > 0)
		p->size = s->cache;
	if (s->dirty > 0)
		p->dirty_max = s->dirty;
	if (conf_given(c, &s->write_delay_ns))
		p->write_delay_ns = s->write_delay_ns;
	if (s->uploads > 0)
		p->uploads = (unsigned)s->uploads;
	if (conf_given(c, &s->readahead))
		p->readahead = s->readahead == 0 ? 1 :
		    s->readahead > UINT_MAX	 ? UINT_MAX :
						   (unsigned)s->readahead;
	if (conf_given(c, &s->error_deadline_ns))
		p->error_deadline_ns = s->error_deadline_ns;
}

/*
 * $PAIL_STATE_DIR; for root /var/lib/pail; for others as the XDG base directory
 * specification has it.  NULL: there is none.
 */
static int
find_state_dir(struct settings *s, struct err *e)
{
	const char *set = getenv("PAIL_STATE_DIR"), *home = getenv("HOME");
	const char *xdg = getenv("XDG_STATE_HOME");
	struct strbuf b = STRBUF_INIT;

	if (set != NULL && set[0] != '\0')
		strbuf_puts(&b, set);
	else if (geteuid() == 0)
		strbuf_puts(&b, LOCALSTATEDIR "/lib/pail");
	else if (xdg != NULL && xdg[0] == '/')
		strbuf_printf(&b, "%s/pail", xdg);
	else if (home != NULL && home[0] == '/')
		strbuf_printf(&b, "%s/.local/state/pail", home);
	else
		return 0;
	s->state_dir = strbuf_take(&b);
	if (s->state_dir == NULL)
		return err_errno(e, -ENOMEM, "state directory");
	s->volume.journal.dir = s->state_dir;
	return 0;
}

void
settings_journal(struct settings *s, const char *url)
{
	struct volume_journal *j = &s->volume.journal;

	j->size = s->journal_size;
	if (s->journal == NULL) {
		j->mode = strncmp(url, "s3:", 3) == 0 ? VOLUME_JOURNAL_AUTO :
							VOLUME_JOURNAL_NONE;
	} else if (strcmp(s->journal, "none") != 0) {
		j->mode = VOLUME_JOURNAL_PATH;
		j->path = s->journal;
	}
	s->volume.disk.path = s->disk_cache;
	s->volume.disk.size = s->disk_cache_size;
}

int
settings_apply(struct settings *s, const struct conf *c, struct err *e)
{
	struct layout_params *l = &s->volume.layout;

	log_open("pail",
	    s->verbose	 ? LOG_LVL_DEBUG :
		s->quiet ? LOG_LVL_ERROR :
			   LOG_LVL_INFO,
	    false);
	volume_params_init(&s->volume);
	s3_config_init(&s->s3);
	int rc = apply_s3(s, c, e);

	if (rc < 0)
		return rc;
	l->size = s->size;
	l->block_size = (uint32_t)s->block_size;
	if (s->key_length > 0)
		l->key_length = (unsigned)s->key_length;
	if (conf_given(c, &s->hash_prefix))
		l->hash_prefix = s->hash_prefix - 1;
	if (s->s3.default_content_encoding != NULL)
		l->default_encoding = s->s3.default_content_encoding;
	rc = apply_cipher(s, e);
	if (rc == 0)
		rc = apply_compress(s, e);
	if (rc < 0)
		return rc;
	apply_cache(s, c);
	rc = find_state_dir(s, e);
	if (rc < 0)
		return rc;
	if (s->max_requests > 0)
		s->volume.store.max_inflight = (unsigned)s->max_requests;
	if (s->retry_deadline_ns > 0)
		s->volume.store.retry_deadline_ns = s->retry_deadline_ns;
	return 0;
}

int
settings_password(struct settings *s, bool new, struct err *e)
{
	int rc = 0;

	_Static_assert(sizeof(s->password) >= PROMPT_MAX, "prompt's answer");
	if (s->password[0] != '\0')
		; /* the verb has put one there */
	else if (s->password_file != NULL)
		rc = secret_read_line(s->password_file, "password file",
		    s->password, sizeof(s->password), e);
	else if (s->ask_password || s->cipher != NULL)
		rc = prompt_password(new ? "New password: " : "Password: ",
		    new, "--password-file FILE", s->password, e);
	if (rc == 0 && s->password[0] != '\0')
		s->volume.layout.password = s->password;
	return rc;
}

/* --- the process's own ------------------------------------------------------------ */

static unsigned
pool_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	/* Some block in file I/O rather than compute. */
	return n < 2 ? 4 : n > 16 ? 16 : (unsigned)n + 2;
}

int
settings_start(struct settings *s, struct err *e)
{
	if (s->loop == NULL && (s->loop = loop_new(e)) == NULL)
		return e->rc;
	s->pool = work_pool_new(pool_threads(), e);
	if (s->pool == NULL)
		goto fail;
	s->fileio = fileio_new(s->loop, s->pool, FILEIO_AUTO, 128, e);
	if (s->fileio == NULL)
		goto fail;
	list_init(&s->pools);
	s->env = (struct store_env){ .loop = s->loop, .pool = s->pool,
		.fileio = s->fileio, .s3 = &s->s3, .pools = &s->pools };
	return 0;
fail:;
	int rc = e->rc < 0 ? e->rc : -ENOMEM;

	settings_stop(s);
	return rc;
}

void
settings_stop(struct settings *s)
{
	fileio_free(s->fileio);
	work_pool_free(s->pool);
	loop_free(s->loop);
	s->fileio = NULL;
	s->pool = NULL;
	s->loop = NULL;
}

void
settings_fini(struct settings *s)
{
	explicit_bzero(s->password, sizeof(s->password));
	free(s->state_dir);
	s->state_dir = NULL;
	s3_config_fini(&s->s3);
}
