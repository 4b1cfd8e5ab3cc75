/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_conf.c: an option table like that of pail's verbs, and one like that of
 * s3backer; every way in, and the sentence of every error.
 */
#include "base/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"

enum compress { NONE, DEFLATE, ZSTD };

struct settings {
	uint64_t size, block_size, threads;
	int64_t timeout_ns;
	bool read_only, foreground;
	char *region, *cache;
	int compress;
};

static const char *const words[] = {"none", "deflate", "zstd", NULL};

#define AT(f) CONF_AT(struct settings, f)

static const struct conf_opt opts[] = {
    {"size", 's', CONF_SIZE, AT(size), .group = "Volume",
	.help = "size of the disk"},
    {"block-size", 'b', CONF_SIZE, AT(block_size), .def = "128K", .min = 4096,
	.max = 16 << 20, .pow2 = true, .alias = "blksz",
	.help = "bytes in a block, which is fixed when the volume is created "
		"and cannot be changed later"},
    {"compress", 0, CONF_ENUM, AT(compress), .words = words,
	.help = "how to compress"},
    {"read-only", 'r', CONF_FLAG, AT(read_only), .alias = "ro",
	.help = "write nothing", .group = "Mount"},
    {"rw", 0, CONF_FLAG, AT(read_only), .flags = CONF_INVERT | CONF_HIDDEN},
    {"foreground", 'f', CONF_FLAG, AT(foreground), .help = "stay"},
    {"timeout", 0, CONF_DURATION, AT(timeout_ns), .def = "30s",
	.max = 3600 * NS_PER_S, .help = "give up after"},
    {"threads", 0, CONF_UINT, AT(threads), .def = "2", .min = 1,
	.help = "for work"},
    {"region", 0, CONF_STRING, AT(region), .def = "us-east-1", .arg = "NAME",
	.help = "of the bucket"},
    {"cache", 0, CONF_PATH, AT(cache), .help = "where to keep data"},
    {"option", 'o', CONF_OPTIONS, .help = "as in fstab"},
    {"_netdev", 0, CONF_FLAG, .flags = CONF_UNUSED | CONF_HIDDEN},
    {"x-systemd.*", 0, CONF_STRING, .flags = CONF_UNUSED | CONF_HIDDEN},
    {NULL},
};

struct fix {
	struct conf c;
	struct settings s;
	struct err e;
};

static int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(conf_init(&f->c, opts, &f->s, &f->e), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	conf_fini(&f->c);
	assert_null(f->s.region);
	conf_fini(&f->c);
	free(f);
	return 0;
}

static int
args(struct fix *f, const char *first, ...)
{
	static char *argv[16];
	int argc = 0;
	va_list ap;

	argv[argc++] = (char *)"verb";
	va_start(ap, first);
	for (const char *s = first; s; s = va_arg(ap, const char *))
		argv[argc++] = (char *)s;
	va_end(ap);
	argv[argc] = NULL;
	argc = conf_args(&f->c, argc, argv, &f->e);
	if (argc == 2) {
		assert_string_equal(argv[1], "A");
		assert_string_equal(argv[2], "B");
	}
	return argc;
}

static void
defaults(void **state)
{
	struct fix *f = *state;

	assert_int_equal(f->s.size, 0);
	assert_int_equal(f->s.block_size, 131072);
	assert_int_equal(f->s.timeout_ns, 30 * NS_PER_S);
	assert_int_equal(f->s.compress, NONE);
	assert_int_equal(f->s.threads, 2);
	assert_false(f->s.read_only);
	assert_string_equal(f->s.region, "us-east-1");
	assert_null(f->s.cache);
	assert_false(conf_given(&f->c, &f->s.block_size));
}

static void
every_way_to_write_an_option(void **state)
{
	struct fix *f = *state;

	assert_int_equal(args(f, "--block-size", "64K", NULL), 0);
	assert_int_equal(f->s.block_size, 65536);
	assert_int_equal(args(f, "--block-size=32K", NULL), 0);
	assert_int_equal(f->s.block_size, 32768);
	assert_int_equal(args(f, "--block_size=16K", NULL), 0);
	assert_int_equal(f->s.block_size, 16384);
	assert_int_equal(args(f, "--blksz=8K", NULL), 0);
	assert_int_equal(f->s.block_size, 8192);
	assert_int_equal(args(f, "-b4K", NULL), 0);
	assert_int_equal(f->s.block_size, 4096);
	assert_int_equal(args(f, "-b", "16M", NULL), 0);
	assert_int_equal(f->s.block_size, 16 << 20);
	assert_int_equal(args(f, "-rfs1T", NULL), 0);
	assert_true(f->s.read_only && f->s.foreground);
	assert_true(f->s.size == 1ull << 40);
	assert_int_equal(args(f, "--read-only=no", NULL), 0);
	assert_false(f->s.read_only);
	assert_int_equal(args(f, "--timeout", "250ms", NULL), 0);
	assert_int_equal(f->s.timeout_ns, 250 * NS_PER_MS);
	assert_int_equal(args(f, "--compress=zstd", "--threads=7", NULL), 0);
	assert_int_equal(f->s.compress, ZSTD);
	assert_int_equal(f->s.threads, 7);
	assert_int_equal(args(f, "--region=", NULL), 0);
	assert_string_equal(f->s.region, "");
	assert_int_equal(conf_set(&f->c, "threads", "9", &f->e), 0);
	assert_int_equal(f->s.threads, 9);
	assert_true(conf_given(&f->c, &f->s.block_size));
	assert_false(conf_given(&f->c, &f->s.cache));
}

static void
operands_are_moved_together(void **state)
{
	struct fix *f = *state;

	assert_int_equal(args(f, "A", "-r", "B", NULL), 2);
	assert_int_equal(args(f, "A", "--size", "1T", "B", NULL), 2);
	assert_int_equal(args(f, "--", "A", "B", NULL), 2);
	assert_int_equal(args(f, "-", "--", "--size", "-x", NULL), 3);
	assert_int_equal(args(f, NULL), 0);
}

static void
operands_keep_their_order(void **state)
{
	struct fix *f = *state;
	char *argv[] = {(char *)"verb", (char *)"-r", (char *)"one",
	    (char *)"--size=1", (char *)"two", (char *)"--", (char *)"-f",
	    NULL};

	assert_int_equal(conf_args(&f->c, 7, argv, &f->e), 3);
	assert_string_equal(argv[1], "one");
	assert_string_equal(argv[2], "two");
	assert_string_equal(argv[3], "-f");
	assert_false(f->s.foreground);
}

static void
fstab_options(void **state)
{
	struct fix *f = *state;

	assert_int_equal(
	    conf_options(&f->c,
		"ro,_netdev,,block_size=64K,x-systemd.requires=a.service,"
		"region=a\\,b\\\\c\\d,x-systemd.automount",
		&f->e),
	    0);
	assert_true(f->s.read_only);
	assert_int_equal(f->s.block_size, 65536);
	assert_string_equal(f->s.region, "a,b\\c\\d");
	assert_int_equal(args(f, "-o", "rw,foreground", "-osize=1G", NULL), 0);
	assert_false(f->s.read_only);
	assert_true(f->s.foreground);
	assert_int_equal(f->s.size, 1 << 30);
	assert_true(conf_given(&f->c, &f->s.read_only));
	assert_int_equal(conf_options(&f->c, "", &f->e), 0);
}

static void
paths_become_absolute(void **state)
{
	struct fix *f = *state;
	char cwd[PATH_MAX], want[PATH_MAX + 8];

	assert_int_equal(args(f, "--cache=/a/b", NULL), 0);
	assert_string_equal(f->s.cache, "/a/b");
	assert_int_equal(args(f, "--cache", "x/y", NULL), 0);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/x/y", cwd);
	assert_string_equal(f->s.cache, want);
}

struct bad {
	const char *arg1, *arg2, *text;
};

static void
errors_name_option_value_and_reason(void **state)
{
	static const struct bad bads[] = {
	    {"--blok-size", "1",
		"unknown option --blok-size; did you mean --block-size?"},
	    {"--blockSize=4K", NULL,
		"unknown option --blockSize; did you mean --block-size?"},
	    {"--block", "1",
		"unknown option --block; did you mean --block-size?"},
	    {"--raed-only", NULL,
		"unknown option --raed-only; did you mean --read-only?"},
	    {"--frobnicate", NULL,
		"unknown option --frobnicate (--help lists all)"},
	    {"-x", NULL, "unknown option -x (--help lists all)"},
	    {"-timeout=3", NULL,
		"unknown option -timeout; did you mean --timeout?"},
	    {"-o", "ro,sise=1T",
		"unknown option -o sise; did you mean -o size?"},
	    {"-o", "option=ro", "-o option cannot stand within -o"},
	    {"--block-size", NULL, "--block-size needs a value: SIZE"},
	    {"-b", NULL, "-b needs a value: SIZE"},
	    {"-o", "compress", "-o compress needs a value: none|deflate|zstd"},
	    {"--region", NULL, "--region needs a value: NAME"},
	    {"--block-size", "3K",
		"--block-size: \"3K\" is too small (accepted: 4K to 16M, a "
		"power of two)"},
	    {"--block-size", "5K",
		"--block-size: \"5K\" is not a power of two (accepted: 4K to "
		"16M, a power of two)"},
	    {"-b", "1G",
		"-b: \"1G\" is too large (accepted: 4K to 16M, a power of "
		"two)"},
	    {"-o", "block-size=x",
		"-o block-size: \"x\" is not a size (write bytes, or 128K, "
		"1.5G, 1T)"},
	    {"--threads", "0",
		"--threads: \"0\" is too small (accepted: 1 or more)"},
	    {"--timeout", "2h",
		"--timeout: \"2h\" is too large (accepted: 0 to 1h 00m)"},
	    {"--compress=lz4", NULL,
		"--compress: \"lz4\" is not one of: none, deflate, zstd"},
	    {"--read-only=maybe", NULL,
		"--read-only: \"maybe\" is neither yes nor no"},
	    {"--cache=", NULL, "--cache: \"\" is not a path"},
	    {"--=", NULL, "unknown option -- (--help lists all)"},
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		err_clear(&f->e);
		assert_int_equal(
		    args(f, bads[i].arg1, bads[i].arg2, NULL), -EINVAL);
		assert_string_equal(f->e.text, bads[i].text);
	}
	/* Nothing of all that was taken. */
	assert_int_equal(f->s.block_size, 131072);
	assert_int_equal(f->s.compress, NONE);
	assert_null(f->s.cache);
}

static void
help_is_grouped_and_wrapped(void **state)
{
	struct strbuf b = STRBUF_INIT;

	conf_help(opts, &b);
	assert_string_equal(strbuf_text(&b),
	    "Volume:\n"
	    "  -s, --size SIZE             size of the disk\n"
	    "  -b, --block-size SIZE       bytes in a block, which is fixed "
	    "when the volume\n"
	    "                              is created and cannot be changed "
	    "later (default\n"
	    "                              128K)\n"
	    "      --compress none|deflate|zstd\n"
	    "                              how to compress\n"
	    "\n"
	    "Mount:\n"
	    "  -r, --read-only             write nothing\n"
	    "  -f, --foreground            stay\n"
	    "      --timeout TIME          give up after (default 30s)\n"
	    "      --threads N             for work (default 2)\n"
	    "      --region NAME           of the bucket (default us-east-1)\n"
	    "      --cache PATH            where to keep data\n"
	    "  -o, --option NAME[=VALUE],...\n"
	    "                              as in fstab\n");
	strbuf_fini(&b);
}

static void
words_of_values(void **state)
{
	assert_string_equal(conf_word(opts, "compress", ZSTD), "zstd");
	assert_string_equal(conf_word(opts, "compress", 9), "?");
}

/* --- a command line in the style of s3backer ---------------------------------
 */

static const struct conf_opt old_opts[] = {
    {"blockSize", 0, CONF_SIZE, AT(block_size), .group = "Options",
	.def = "4k"},
    {"size", 0, CONF_SIZE, AT(size)},
    {"readOnly", 0, CONF_FLAG, AT(read_only)},
    {"blockCacheFile", 0, CONF_PATH, AT(cache)},
    {"blockCacheThreads", 0, CONF_UINT, .flags = CONF_UNUSED,
	.help = "there are no threads to count"},
    {"foreground", 'f', CONF_FLAG, AT(foreground)},
    {"debug", 'd', CONF_FLAG, .flags = CONF_UNUSED},
    {"single", 's', CONF_FLAG, .flags = CONF_UNUSED},
    {"options", 'o', CONF_OPTIONS},
    {NULL},
};

static void
camel_case_table(void **state)
{
	struct settings s = {0};
	struct err e = ERR_INIT;
	struct conf c;
	char *argv[] = {(char *)"s3backer", (char *)"--blockSize=128k",
	    (char *)"--size=1t", (char *)"-f", (char *)"-s",
	    (char *)"-oreadOnly", (char *)"--blockCacheThreads=20",
	    (char *)"bucket", (char *)"-o", (char *)"blockCacheFile=/c,debug",
	    (char *)"dir", NULL};
	char *bad[] = {(char *)"s3backer", (char *)"--block-size=1", NULL};

	assert_int_equal(conf_init(&c, old_opts, &s, &e), 0);
	assert_int_equal(conf_args(&c, 11, argv, &e), 2);
	assert_string_equal(argv[1], "bucket");
	assert_string_equal(argv[2], "dir");
	assert_int_equal(s.block_size, 131072);
	assert_true(s.size == 1ull << 40);
	assert_true(s.read_only && s.foreground);
	assert_string_equal(s.cache, "/c");
	assert_int_equal(conf_args(&c, 2, bad, &e), -EINVAL);
	assert_string_equal(
	    e.text, "unknown option --block-size; did you mean --blockSize?");
	conf_fini(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(defaults),
	    T(every_way_to_write_an_option),
	    T(operands_are_moved_together),
	    T(operands_keep_their_order),
	    T(fstab_options),
	    T(paths_become_absolute),
	    T(errors_name_option_value_and_reason),
	    T(help_is_grouped_and_wrapped),
	    cmocka_unit_test(words_of_values),
	    cmocka_unit_test(camel_case_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
