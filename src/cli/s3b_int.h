/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_S3B_INT_H
#define CLI_S3B_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/s3b_flags.h"

/* What the table of flags (s3b_flags.c) fills in, and their translation
 * (s3b_translate.c) reads.  Not given: NULL, 0, false. */
struct s3b_flags {
	char *access_file, *access_id, *access_key, *access_key_env;
	char *access_type, *ec2_role, *base_url, *region, *sse, *sse_key_id;
	char *storage_class, *ip_tos, *default_encoding, *cacert;
	int auth;
	bool vhost, no_vhost, ssl, insecure, rrs, no_reuse, list_blocks;
	uint64_t timeout_s, retry_ms, upload_bits, download_bits;

	uint64_t block_size, size;
	char *prefix;
	bool hash_prefix, no_auto, force, read_only;

	uint64_t cache_blocks, cache_threads, write_delay_ms, max_dirty;
	uint64_t read_ahead;
	bool cache_sync;

	char *compress, *encrypt, *password, *password_file;
	char *compress_level;
	uint64_t key_length;

	char *filename, *file_mode, *stats_name;
	bool direct_io;

	bool foreground, fuse_debug, debug, debug_http, help, version;
	bool erase, reset;
	bool nbd, shared, test;

	uint64_t uid, gid;
	bool allow_other, noatime, noexec;
};

#endif
