/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags of s3backer, and what each is in pail.
 *
 * One table, in the order of its manual.  A row with CONF_UNUSED and a help
 * text is accepted and named in the log with that text as the reason; without
 * a text it is accepted silently, since what it asks for is so anyway.
 */
#include "config.h"

#include "base/conf.h"
#include "cli/s3b_int.h"

#define F(field) CONF_AT(struct s3b_flags, field)
#define TEXT(name, field, text) \
	{ name, 0, CONF_STRING, F(field), .help = text }
#define FILE_(name, field, text) \
	{ name, 0, CONF_PATH, F(field), .help = text }
#define FLAG(name, field, text) \
	{ name, 0, CONF_FLAG, F(field), .help = text }
#define NUM(name, field, text) { name, 0, CONF_UINT, F(field), .help = text }
#define SIZE(name, field, text) { name, 0, CONF_SIZE, F(field), .help = text }
/* Accepted: with a value, without one; said, and silently. */
#define NOVALUE(name, why) \
	{ name, 0, CONF_STRING, 0, .help = why, .flags = CONF_UNUSED }
#define NOFLAG(name, why) \
	{ name, 0, CONF_FLAG, 0, .help = why, .flags = CONF_UNUSED }
#define SILENT(name) \
	{ name, 0, CONF_FLAG, 0, .flags = CONF_UNUSED | CONF_HIDDEN }
#define SILENT_VALUE(name) \
	{ name, 0, CONF_STRING, 0, .flags = CONF_UNUSED | CONF_HIDDEN }
#define REFUSED(name, field) \
	{ name, 0, CONF_FLAG, F(field), .flags = CONF_HIDDEN }

static const char *const auth_words[] = { "aws4", "aws2", NULL };

static const char md5_why[] = "S3 is strongly consistent now, and pail "
			      "verifies what it reads";
static const char memory_why[] = "blocks are cached in memory only";
static const char adapts_why[] = "read-ahead adapts itself";

static const struct conf_opt table[] = {
	{ "accessFile", 0, CONF_PATH, F(access_file), .group = "S3",
	    .help = "file of lines ID:KEY (~/.s3backer_passwd)" },
	TEXT("accessId", access_id, "access key id; empty: anonymous"),
	TEXT("accessKey", access_key, "secret key; better use --accessFile"),
	TEXT("accessKeyEnv", access_key_env,
	    "the variable that holds the secret key"),
	TEXT("accessType", access_type, "canned ACL of new objects"),
	TEXT("accessEC2IAM", ec2_role, "role of this EC2 machine"),
	SILENT("accessEC2IAM-IMDSv2"),
	{ "authVersion", 0, CONF_ENUM, F(auth), .words = auth_words,
	    .help = "kind of signature" },
	TEXT("baseURL", base_url, "the server (https, AWS)"),
	TEXT("region", region, "region; implies --vhost"),
	FLAG("vhost", vhost, "the bucket stands in the host's name"),
	FLAG("no-vhost", no_vhost, "the bucket stands in the path"),
	FLAG("ssl", ssl, "use https (the default here)"),
	FILE_("cacert", cacert, "certificates of authorities to trust"),
	FLAG("insecure", insecure, "do not verify certificates"),
	TEXT("sse", sse, "encryption by the server: AES256, aws:kms"),
	TEXT("sse-key-id", sse_key_id, "key for aws:kms"),
	TEXT("storageClass", storage_class, "storage class of new objects"),
	FLAG("rrs", rrs, "the same as --storageClass=REDUCED_REDUNDANCY"),
	SILENT("http11"),
	TEXT("ipTOS", ip_tos, "type of service of connections"),
	FLAG("noCurlCache", no_reuse, "a connection for each request"),
	NUM("timeout", timeout_s, "seconds for one request"),
	NOVALUE("initialRetryPause", "pauses between tries adapt themselves"),
	NUM("maxRetryPause", retry_ms, "ms until a request is given up"),
	SIZE("maxUploadSpeed", upload_bits, "bits per second, in total"),
	SIZE("maxDownloadSpeed", download_bits, "bits per second, in total"),
	TEXT("defaultContentEncoding", default_encoding,
	    "of objects that come without one"),
	FLAG("listBlocks", list_blocks, "list the objects at the start"),
	NOVALUE("listBlocksThreads", "listing runs in parallel anyway"),

	{ "blockSize", 0, CONF_SIZE, F(block_size), .min = 4096,
	    .max = 16 << 20, .pow2 = true, .group = "Volume",
	    .help = "bytes in a block (as the volume says; 4K)" },
	{ "size", 0, CONF_SIZE, F(size), .min = 4096,
	    .help = "size of the file (as the volume says)" },
	TEXT("prefix", prefix, "stands before the name of every object"),
	FLAG("blockHashPrefix", hash_prefix,
	    "a hash stands before the block's number"),
	FLAG("noAutoDetect", no_auto, "write no descriptor of pail's"),
	FLAG("force", force, "go on though another has it mounted, ..."),
	FLAG("readOnly", read_only, "nothing is written"),

	{ "blockCacheSize", 0, CONF_UINT, F(cache_blocks), .group = "Cache",
	    .help = "blocks in memory (256 MiB)" },
	NUM("blockCacheThreads", cache_threads, "uploads at a time (64)"),
	NOVALUE("blockCacheTimeout", NULL),
	NUM("blockCacheWriteDelay", write_delay_ms,
	    "ms that a changed block waits for more"),
	NUM("blockCacheMaxDirty", max_dirty, "limit of unwritten blocks"),
	FLAG("blockCacheSync", cache_sync, "write through"),
	NOVALUE("blockCacheFile", memory_why),
	NOFLAG("blockCacheNoVerify", memory_why),
	NOFLAG("blockCacheRecoverDirtyBlocks", memory_why),
	NOVALUE("blockCacheNumProtected", "the cache resists scans"),
	NOFLAG("blockCacheFileAdvise", memory_why),
	NUM("readAhead", read_ahead, "blocks to read ahead (adapts itself)"),
	NOVALUE("readAheadTrigger", adapts_why),
	NOVALUE("md5CacheSize", md5_why),
	NOVALUE("md5CacheTime", md5_why),
	NOVALUE("minWriteDelay", md5_why),

	{ "compress", 0, CONF_STRING, F(compress), .arg = "ALG|LEVEL",
	    .group = "Encoding", .help = "deflate, zstd, or a level" },
	TEXT("compress-level", compress_level, "level of the compression"),
	TEXT("encrypt", encrypt, "cipher (AES-128-CBC); compresses too"),
	TEXT("password", password, "better use --passwordFile"),
	FILE_("passwordFile", password_file, "file with the password"),
	NUM("keyLength", key_length, "bytes of the key"),

	{ "filename", 0, CONF_STRING, F(filename), .group = "Mount",
	    .help = "name of the disk (file)" },
	TEXT("fileMode", file_mode, "its mode, octal"),
	FLAG("directIO", direct_io, "the kernel caches nothing of it"),
	TEXT("statsFilename", stats_name, "name of the statistics (stats)"),
	NOVALUE("statsFileMirror", "'pail stats --json' has the numbers"),
	NOVALUE("statsFileMirrorInterval",
	    "'pail stats --json' has the numbers"),
	{ "f", 'f', CONF_FLAG, F(foreground), .flags = CONF_HIDDEN },
	{ "d", 'd', CONF_FLAG, F(fuse_debug), .flags = CONF_HIDDEN },
	{ "s", 's', CONF_FLAG, 0, .flags = CONF_HIDDEN | CONF_UNUSED },
	{ "options", 'o', CONF_OPTIONS, 0, .help = "any flag, or of FUSE" },

	{ "erase", 0, CONF_FLAG, F(erase), .group = "Other",
	    .help = "delete all blocks of the volume" },
	FLAG("reset-mounted-flag", reset, "take away the mark of a mount"),
	FLAG("debug", debug, "log more"),
	FLAG("debug-http", debug_http, "show the HTTP traffic"),
	SILENT("quiet"),
	{ "help", 'h', CONF_FLAG, F(help), .help = "print this" },
	FLAG("version", version, "print the version"),

	REFUSED("nbd", nbd),
	{ "nbd-flag", 0, CONF_STRING, 0, .flags = CONF_HIDDEN | CONF_UNUSED },
	{ "nbd-param", 0, CONF_STRING, 0,
	    .flags = CONF_HIDDEN | CONF_UNUSED },
	REFUSED("sharedDiskMode", shared),
	REFUSED("test", test),
	REFUSED("test-errors", test),
	REFUSED("test-delays", test),
	REFUSED("test-discard", test),

	/* Options of FUSE and of mount(8), for -o. */
	{ "uid", 0, CONF_UINT, F(uid), .flags = CONF_HIDDEN },
	{ "gid", 0, CONF_UINT, F(gid), .flags = CONF_HIDDEN },
	{ "allow_other", 0, CONF_FLAG, F(allow_other),
	    .flags = CONF_HIDDEN },
	{ "ro", 0, CONF_FLAG, F(read_only), .flags = CONF_HIDDEN },
	{ "rw", 0, CONF_FLAG, F(read_only),
	    .flags = CONF_HIDDEN | CONF_INVERT },
	{ "noatime", 0, CONF_FLAG, F(noatime), .flags = CONF_HIDDEN },
	{ "noexec", 0, CONF_FLAG, F(noexec), .flags = CONF_HIDDEN },
	{ "direct_io", 0, CONF_FLAG, F(direct_io), .flags = CONF_HIDDEN },
	NOFLAG("nonempty", "pail mounts on empty directories only"),
	NOFLAG("auto_unmount", "'pail unmount' and umount(8) end a mount"),
	NOFLAG("allow_root", "root may always look"),
	SILENT("kernel_cache"), SILENT("auto_cache"),
	SILENT("default_permissions"), SILENT("use_ino"),
	SILENT("readdir_ino"), SILENT("hard_remove"), SILENT("sync_read"),
	SILENT("async_read"), SILENT("big_writes"), SILENT("large_read"),
	SILENT("clone_fd"), SILENT("nosuid"), SILENT("suid"),
	SILENT("nodev"), SILENT("dev"), SILENT("exec"), SILENT("async"),
	SILENT("defaults"), SILENT("auto"), SILENT("noauto"),
	SILENT("nofail"), SILENT("_netdev"), SILENT("user"),
	SILENT("users"), SILENT("nouser"), SILENT("x-*"),
	SILENT_VALUE("max_readahead"), SILENT_VALUE("max_read"),
	SILENT_VALUE("max_write"), SILENT_VALUE("max_background"),
	SILENT_VALUE("congestion_threshold"), SILENT_VALUE("max_threads"),
	SILENT_VALUE("max_idle_threads"), SILENT_VALUE("entry_timeout"),
	SILENT_VALUE("negative_timeout"), SILENT_VALUE("attr_timeout"),
	SILENT_VALUE("ac_attr_timeout"), SILENT_VALUE("fsname"),
	SILENT_VALUE("subtype"), SILENT_VALUE("umask"),
	{ NULL }
};

const struct conf_opt *
s3b_flag_table(void)
{
	return table;
}
