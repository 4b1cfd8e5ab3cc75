/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/list.h"
#include "s3/config.h"
#include "store/open.h"
#include "volume/volume.h"

/*
 * The options that mount and the tools share, and what they are turned into.
 *
 * A verb has a struct of its own whose first member is a struct settings, and
 * a table of its own options; the shared ones are added in groups:
 *
 *	struct mine { struct settings set; bool json; };
 *	static const struct conf_opt own[] = {{"json", ...}, {NULL}};
 *	struct conf_opt opts[CONF_OPTS_MAX];
 *	settings_table(opts, SETTINGS_STORE | SETTINGS_OPEN, own);
 *	conf_init(&conf, opts, &mine, &e);
 *	n = conf_args(&conf, argc, argv, &e);
 *	settings_apply(&mine.set, &conf, &e);
 *	settings_password(&mine.set, false, &e);
 *	settings_start(&mine.set, &e);
 *	volume_open(&mine.set.env, url, &mine.set.volume, &v, &e);
 *	...
 *	settings_stop(&mine.set);
 *	settings_fini(&mine.set);
 *	conf_fini(&conf);
 */
enum settings_groups {
	SETTINGS_STORE = 1,  /* how to reach the store */
	SETTINGS_OPEN = 2,   /* password, block names */
	SETTINGS_CREATE = 4, /* size, block size, compression, encryption */
	SETTINGS_CACHE = 8,
	SETTINGS_COMMON = 16 /* --verbose, --quiet */
};

#define SETTINGS_S3_MAX 48

struct settings {
	/* What the options say; by conf. */
	char *s3_text[SETTINGS_S3_MAX]; /* in the order of s3_config_name */
	bool s3_flag[SETTINGS_S3_MAX];
	uint64_t max_requests;
	int64_t retry_deadline_ns;
	char *password_file;
	bool ask_password;
	int hash_prefix; /* index: auto no yes */
	uint64_t size, block_size;
	char *compress;
	char *compress_level;
	char *cipher;
	uint64_t key_length;
	uint64_t cache, dirty, uploads, readahead;
	char *journal;
	uint64_t journal_size;
	char *disk_cache;
	uint64_t disk_cache_size;
	int64_t write_delay_ns, error_deadline_ns;
	bool verbose, quiet;

	/* Made of it by settings_apply. */
	struct volume_params volume;
	struct s3_config s3;
	char *state_dir;     /* volume.journal.dir points here */
	char password[1024]; /* volume.layout.password points here, or NULL */

	/* By settings_start. */
	struct loop *loop;
	struct work_pool *pool;
	struct fileio *fileio;
	struct store_env env;
	struct list pools; /* env.pools */
};

/* out has CONF_OPTS_MAX rows; own ends with a name of NULL and comes first. */
void settings_table(struct conf_opt *out, unsigned groups,
    const struct conf_opt *own);

/* Turn options into parameters.  -EINVAL, -ERANGE: they make no sense.  The log level is
 * set.  volume.layout.lease, create and survey are the verb's. */
int settings_apply(struct settings *s, const struct conf *c, struct err *e);

/*
 * Options that say how to reach an S3 server, for urls of which none is there
 * (the first n; a name that is no URL counts as none): -EINVAL, with the
 * option's name.  Before settings_apply, too.
 */
int settings_check_urls(const struct settings *s, const struct conf *c,
    char *const *urls, int n, struct err *e);

/* Then the password, if the options say that there is one: from its file, or
 * asked for; twice if it is a new one, since a mistake would be for ever. */
int settings_password(struct settings *s, bool new, struct err *e);

/* Where the journal of the volume at url is to be, for who mounts it. */
void settings_journal(struct settings *s, const char *url);

/* Loop, worker threads, file I/O: env is ready.  loop may be set already. */
int settings_start(struct settings *s, struct err *e);
/* Nothing of the volume is left. */
void settings_stop(struct settings *s);

/* Wipe secrets, free what settings_apply made.  Zeroed memory is fine. */
void settings_fini(struct settings *s);

#endif
