/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3backer's command lines and what they are in pail.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cli/s3b_flags.h"

#define MAX 40

/* Words of a line, for argv. */
static int
split(char *line, char **argv)
{
	int n = 0;
	char *save = NULL;

	for (char *w = strtok_r(line, " ", &save); w != NULL;
	     w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	argv[n] = NULL;
	return n;
}

static int
translate(struct s3b_command *c, const char *flags, struct err *e)
{
	char *argv[MAX], line[1024];

	snprintf(line, sizeof(line), "s3backer %s", flags);
	return s3b_translate(c, split(line, argv), argv, e);
}

/* The command that flags mean begins with want[0] and has the other words of
 * want, in any order. */
static void
means(const char *flags, const char *want)
{
	struct s3b_command c;
	struct err e = ERR_INIT;
	char *word[MAX], line[1024];

	if (translate(&c, flags, &e) < 0)
		fail_msg("%s: %s", flags, err_text(&e));
	snprintf(line, sizeof(line), "%s", want);
	int n = split(line, word);

	assert_string_equal(c.args.v[0], word[0]);
	for (int i = 1; i < n; i++) {
		bool found = false;

		for (int k = 1; k < c.args.n; k++)
			found |= strcmp(c.args.v[k], word[i]) == 0;
		if (!found)
			fail_msg("%s: there is no %s", flags, word[i]);
	}
	s3b_command_fini(&c);
}

static void
lacks(const char *flags, const char *option)
{
	struct s3b_command c;
	struct err e = ERR_INIT;

	assert_int_equal(translate(&c, flags, &e), 0);
	for (int k = 1; k < c.args.n; k++)
		if (strncmp(c.args.v[k], option, strlen(option)) == 0)
			fail_msg("%s: there is %s", flags, c.args.v[k]);
	s3b_command_fini(&c);
}

static void
refused(const char *flags, const char *says)
{
	struct s3b_command c;
	struct err e = ERR_INIT;

	if (translate(&c, flags, &e) == 0)
		fail_msg("%s is accepted", flags);
	if (strstr(err_text(&e), says) == NULL)
		fail_msg("%s: \"%s\" lacks \"%s\"", flags, err_text(&e),
		    says);
}

static void
the_manuals_examples(void **state)
{
	means("--accessFile=/F --blockSize=128k --size=1t --listBlocks "
	      "mybucket s3-b",
	    "mount --access-file=/F --credentials=access-file "
	    "--block-size=131072 --size=1099511627776 --survey=yes "
	    "s3://mybucket s3-b");
	means("--readOnly demo-bucket s3-b",
	    "mount --read-only --credentials=anonymous --survey=no "
	    "s3://demo-bucket s3-b");
	lacks("--readOnly demo-bucket s3-b", "--style");
	lacks("--readOnly demo-bucket s3-b", "--endpoint");
	means("--erase --force b/sub/dir", "erase --force s3://b/sub/dir");
	means("--reset-mounted-flag b", "unlock --force s3://b");
	lacks("--erase b", "--force");
}

static void
names_of_objects(void **state)
{
	means("--prefix=disk- b d", "mount s3://b?prefix=disk- d");
	means("--prefix=a/b& b/sub/ d", "mount s3://b/sub?prefix=a/b%26 d");
	means("--blockHashPrefix b d", "mount --block-hash-prefix=yes");
	refused("/b d", "/b");
}

static void
servers(void **state)
{
	means("--baseURL=http://h:1/ b d",
	    "mount --endpoint=http://h:1 --style=path");
	means("--baseURL=http://h:1/ --vhost b d", "mount --style=host");
	means("--region=x b d", "mount --region=x --style=host");
	means("--region=x --no-vhost b d", "mount --style=path");
	refused("--vhost --no-vhost b d", "--no-vhost");
	means("--authVersion=aws2 --rrs --ipTOS=lowdelay --noCurlCache b d",
	    "mount --auth=aws2 --storage-class=REDUCED_REDUNDANCY "
	    "--ip-tos=16 --no-reuse");
	means("--timeout=20 --maxRetryPause=5000 b d",
	    "mount --timeout=20 --retry-deadline=5000ms");
	/* Bits of s3backer, bytes of pail. */
	means("--maxUploadSpeed=8k --maxDownloadSpeed=9 b d",
	    "mount --max-upload-rate=1024 --max-download-rate=2");
	means("--accessEC2IAM=role b d",
	    "mount --credentials=imds --iam-role=role");
	means("--accessId= b d", "mount --credentials=anonymous");
}

static void
encodings(void **state)
{
	means("--compress b d", "mount --compress=deflate");
	means("--compress=9 b d",
	    "mount --compress=deflate --compress-level=9");
	means("--compress=zstd --compress-level=-3 b d",
	    "mount --compress=zstd --compress-level=-3");
	means("--encrypt --passwordFile=/p b d",
	    "mount --encrypt=AES-128-CBC --password-file=/p");
	means("--encrypt=AES-256-CBC -o compress,allow_other b d",
	    "mount --encrypt=AES-256-CBC --compress=deflate --allow-other");
}

static void
caches(void **state)
{
	means("--blockSize=64k --blockCacheSize=100 --readAhead=8 "
	      "--blockCacheMaxDirty=50 --blockCacheThreads=8 "
	      "--blockCacheWriteDelay=0 b d",
	    "mount --cache=6553600 --read-ahead=524288 --dirty=3276800 "
	    "--uploads=8 --write-delay=0ms");
	/* Without the block size a count of blocks says nothing. */
	lacks("--blockCacheSize=100 b d", "--cache");
	means("--readAhead=0 b d", "mount --read-ahead=0");
	means("--blockCacheSync b d", "mount -osync");
}

static void
mounts(void **state)
{
	means("-f --filename=disk --fileMode=0640 --statsFilename= --directIO "
	      "--debug b d",
	    "mount --foreground --file-name=disk --file-mode=0640 "
	    "--stats-name= --direct-io --verbose");
	means("-d -s -o uid=7,gid=8,ro,kernel_cache,max_readahead=0 b d",
	    "mount --fuse-debug --uid=7 --gid=8 --read-only");
	means("--noAutoDetect --size=1m b d", "mount --descriptor=no");
	refused("--noAutoDetect b d", "--size");
}

static void
without_meaning(void **state)
{
	means("--md5CacheSize=1 --md5CacheTime=2 --minWriteDelay=0 "
	      "--blockCacheTimeout=0 --blockCacheFile=/x --quiet "
	      "--blockCacheNoVerify --readAheadTrigger=3 "
	      "--initialRetryPause=9 --listBlocksThreads=4 --http11 "
	      "--statsFileMirror=/y b d",
	    "mount s3://b d");
}

static void
secrets(void **state)
{
	struct s3b_command c;
	struct err e = ERR_INIT;

	assert_int_equal(translate(&c, "--accessId=me --accessKey=secret "
				       "--password=pass --encrypt b d", &e),
	    0);
	for (int i = 0; i < c.args.n; i++) {
		assert_null(strstr(c.args.v[i], "secret"));
		assert_null(strstr(c.args.v[i], "=pass"));
	}
	assert_string_equal(c.access_id, "me");
	assert_string_equal(c.access_key, "secret");
	assert_string_equal(c.password, "pass");
	s3b_command_fini(&c);
	refused("--accessKey=secret b d", "--accessId");
	refused("--accessKeyEnv=NO_SUCH_VARIABLE b d", "NO_SUCH_VARIABLE");
}

static void
refusals(void **state)
{
	refused("--blockSize=1000 --size=8m b d", "1000");
	refused("--noSuchFlag b d", "noSuchFlag");
	refused("--size=12x b d", "12x");
	refused("--nbd b d", "NBD");
	refused("--test dir d", "dir:PATH");
	refused("--sharedDiskMode b d", "sharedDiskMode");
	refused("b", "directory");
	refused("b d e", "3");
	refused("--erase b d", "nothing else");
}

static void
other_modes(void **state)
{
	struct s3b_command c;
	struct err e = ERR_INIT;

	assert_int_equal(translate(&c, "--help", &e), 0);
	assert_int_equal(c.mode, S3B_HELP);
	s3b_command_fini(&c);
	assert_int_equal(translate(&c, "--version", &e), 0);
	assert_int_equal(c.mode, S3B_VERSION);
	s3b_command_fini(&c);
}

/* --- files of arguments ---------------------------------------------------- */

static void
put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
config_files(void **state)
{
	char dir[] = "/tmp/pail-s3b-XXXXXX", a[64], b[64], text[256];
	char name[] = "s3backer", x[] = "-x", f[] = "-F", last[] = "last";
	char *argv[] = { name, x, f, a, last, NULL };
	struct argvec out = { 0 };
	struct err e = ERR_INIT;
	static const char *const want[] = { "s3backer", "-x", "--one",
		"--two=a b", "three", "last" };

	assert_non_null(mkdtemp(dir));
	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(b, sizeof(b), "%s/b", dir);
	snprintf(text, sizeof(text),
	    "# comment\n\n  --one  \n--configFile=%s\nthree", b);
	put_file(a, text);
	put_file(b, "--two=a b\r\n");
	assert_int_equal(s3b_expand(&out, 5, argv, &e), 0);
	assert_int_equal(out.n, 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(out.v[i], want[i]);
	argvec_fini(&out);

	/* A file that names itself. */
	snprintf(text, sizeof(text), "-F%s\n", a);
	put_file(b, text);
	assert_int_equal(s3b_expand(&out, 5, argv, &e), -ELOOP);
	assert_int_equal(unlink(a), 0);
	assert_int_equal(s3b_expand(&out, 5, argv, &e), -ENOENT);
	assert_non_null(strstr(err_text(&e), a));
	assert_int_equal(unlink(b), 0);
	assert_int_equal(rmdir(dir), 0);
}

static int
no_keys(void **state)
{
	static const char *const names[] = { "AWS_ACCESS_KEY_ID",
		"AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_SHARED_CREDENTIALS_FILE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("HOME", "/nonexistent", 1);
	log_open("test", LOG_LVL_ERROR, false);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manuals_examples),
		cmocka_unit_test(names_of_objects),
		cmocka_unit_test(servers),
		cmocka_unit_test(encodings),
		cmocka_unit_test(caches),
		cmocka_unit_test(mounts),
		cmocka_unit_test(without_meaning),
		cmocka_unit_test(secrets),
		cmocka_unit_test(refusals),
		cmocka_unit_test(other_modes),
		cmocka_unit_test(config_files),
	};

	return cmocka_run_group_tests(tests, no_keys, NULL);
}
