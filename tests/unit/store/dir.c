/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in a directory: the contract, then what is its own: its files, its
 * errors, what it does with what others left there.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/byteorder.h"
#include "base/err.h"
#include "base/must.h"
#include "store/dir.h"
#include "store/dirfmt.h"
#include "store/open.h"
#include "store/rnd.h"
#include "store/store.h"
#include "unit/store/contract.h"

static char top[] = "/tmp/pail-dir-XXXXXX"; /* all tests work below it */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	return remove(path);
}

static void
remove_tree(const char *path)
{
	nftw(path, remove_one, 20, FTW_DEPTH | FTW_PHYS);
}

/* --- names and trailers: pure functions --------------------------------------- */

static void
names(void **state)
{
	static const struct {
		const char *key, *path;
	} t[] = {
		{"a", "a"},
		{"abc", "abc"},
		{"abcd", "abc+/d"},
		{"vol/00012345", "vol+/^+/000+/123+/45"},
		{"a/b", "a^+/b"},
		{"ab/", "ab^"},
		{"abc/d", "abc+/^+/d"},
		{".", "%2E"},
		{"..x", "%2E.x"},
		{"a b", "a%20b"},
		{"%+^", "%25%2B%5E"},
		{"\xc3\xa4", "%C3%A4"},
		{"0123456789abcdef", "012+/345+/678+/9abcdef"},
	};
	char path[DIR_PATH_MAX];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(dir_path(path, sizeof(path), t[i].key), 0);
		assert_string_equal(path, t[i].path);
	}
}

/* Every chunk of a path decodes to itself, and may stand where it does. */
static void
names_come_back(void **state)
{
	uint64_t rnd = 3;

	for (int i = 0; i < 20000; i++) {
		char key[300], path[DIR_PATH_MAX], back[300] = "", *save, *s;
		struct dir_cut cut = {0};
		size_t n = 1 + rnd_below(&rnd, 290);

		for (size_t k = 0; k < n; k++) {
			key[k] = (char)rnd_below(&rnd, 256);
			if ((unsigned char)key[k] < 0x20 || key[k] == 0x7f)
				key[k] = '/';
		}
		key[n] = '\0';
		assert_int_equal(dir_path(path, sizeof(path), key), 0);
		for (s = strtok_r(path, "/", &save); s != NULL;
		     s = strtok_r(NULL, "/", &save)) {
			char chunk[DIR_CHUNK_MAX + 1];
			size_t len;
			bool is_dir;

			assert_int_equal(
			    dir_name_decode(s, chunk, &len, &is_dir), 0);
			assert_true(dir_cut_pass(&cut, chunk, len, is_dir));
			assert_int_equal(is_dir, *save != '\0');
			strcat(back, chunk);
		}
		assert_string_equal(back, key);
	}
}

static void
names_of_others(void **state)
{
	static const char *const foreign[] = {".", "..", ".nfs0", "a+b", "%",
	    "%4", "%41", "%2f", "%2F", "%0A", "%00", "+", "a b", "~", "a%zz",
	    "x:y", "\xc3\xa4",
	    "0123456789012345678901234567890123456789012345678901234567890"};
	char chunk[DIR_CHUNK_MAX + 1];
	size_t len;
	bool is_dir;

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_int_equal(
		    dir_name_decode(foreign[i], chunk, &len, &is_dir),
		    -EINVAL);
}

static void
trailers(void **state)
{
	uint8_t raw[DIR_TRAILER], bad[DIR_TRAILER];
	struct dir_trailer t = {.size = 4096, .crc = 0x1234}, u;
	struct meta *m = meta_new(), *back = NULL;
	struct err e = ERR_INIT;

	memcpy(t.tag, "0123456789abcdef", DIR_TAG);
	assert_int_equal(meta_add(m, "content-encoding", "deflate"), 0);
	assert_int_equal(meta_add(m, "empty", ""), 0);
	assert_int_equal(dir_trailer_encode(raw, &t, m), 0);
	/* The format's checksum is zlib's, whoever computes it. */
	assert_int_equal(get_le32(raw + 1020), crc32(0, raw, 1020));
	assert_int_equal(
	    dir_trailer_decode(raw, 4096 + DIR_TRAILER, &u, &back, &e), 0);
	assert_int_equal(u.size, t.size);
	assert_int_equal(u.crc, t.crc);
	assert_memory_equal(u.tag, t.tag, DIR_TAG);
	assert_int_equal(meta_count(back), 2);
	assert_string_equal(meta_get(back, "content-encoding"), "deflate");
	assert_string_equal(meta_get(back, "empty"), "");
	meta_unref(back);
	/* Any change of a byte is seen. */
	for (unsigned i = 0; i < DIR_TRAILER; i++) {
		memcpy(bad, raw, sizeof(bad));
		bad[i] ^= 1;
		assert_int_equal(dir_trailer_decode(bad, 4096 + DIR_TRAILER,
		    &u, &back, &e), -EBADMSG);
	}
	/* So is a file that is longer or shorter. */
	assert_int_equal(dir_trailer_decode(raw, 4097 + DIR_TRAILER, &u, &back,
	    &e), -EBADMSG);
	assert_int_equal(dir_trailer_decode(raw, DIR_TRAILER - 1, &u, &back,
	    &e), -EBADMSG);
	meta_unref(m);

	m = meta_new();
	for (int i = 0; i < 49; i++) {
		char name[16];

		snprintf(name, sizeof(name), "name%05d", i);
		assert_int_equal(meta_add(m, name, "123456789"), 0);
		assert_int_equal(dir_trailer_encode(raw, &t, m), 0);
	}
	assert_int_equal(meta_add(m, "n", ""), 0);
	assert_int_equal(dir_trailer_encode(raw, &t, m), -E2BIG);
	meta_unref(m);
}

/* --- one store in one directory ------------------------------------------------ */

struct ctx {
	struct loop *loop;
	struct store *s;
	char path[64];
};

static int
setup(void **state)
{
	static int n;
	struct ctx *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;

	must(x != NULL);
	x->loop = loop_new(NULL);
	snprintf(x->path, sizeof(x->path), "%s/own%d", top, n++);
	if (dir_store_open(x->loop, x->path, true, &x->s, &e) < 0) {
		fprintf(stderr, "%s\n", err_text(&e));
		return -1;
	}
	*state = x;
	return 0;
}

static int
teardown(void **state)
{
	struct ctx *x = *state;

	store_free(x->s);
	loop_free(x->loop);
	free(x);
	return 0;
}

static int
ask(struct ctx *x, enum store_op op, const char *key, struct err *e)
{
	struct store_req r;
	struct buf *b = buf_new(1000);
	int rc;

	memset(b->data, 'x', 1000);
	b->len = 1000;
	store_req_init(&r, op, key);
	r.body = b;
	rc = store_run(x->s, &r, e);
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static const char *
at(struct ctx *x, const char *name)
{
	static char s[300];

	snprintf(s, sizeof(s), "%s/%s", x->path, name);
	return s;
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
files(void **state)
{
	struct ctx *x = *state;
	struct stat st;

	assert_int_equal(ask(x, STORE_PUT, "v/00012345", NULL), 0);
	assert_int_equal(stat(at(x, "objects/v^+/000+/123+/45"), &st), 0);
	assert_int_equal(st.st_size, 1000 + DIR_TRAILER);
	assert_int_equal(rmdir(at(x, "tmp")), 0); /* nothing is left there */
	assert_int_equal(mkdir(at(x, "tmp"), 0700), 0);
	assert_int_equal(ask(x, STORE_DELETE, "v/00012345", NULL), 0);
	assert_false(exists(at(x, "objects/v^+")));
	assert_true(exists(at(x, "objects")));
}

static void
damage(void **state)
{
	struct ctx *x = *state;
	struct err e = ERR_INIT;
	int fd;

	/* A byte of the object: a whole GET sees it. */
	assert_int_equal(ask(x, STORE_PUT, "k", NULL), 0);
	fd = open(at(x, "objects/k"), O_WRONLY);
	assert_int_equal(pwrite(fd, "y", 1, 500), 1);
	assert_int_equal(ask(x, STORE_GET, "k", &e), -EBADMSG);
	assert_non_null(strstr(err_text(&e), "objects/k is damaged"));
	/* Its trailer, its length. */
	assert_int_equal(pwrite(fd, "y", 1, 1030), 1);
	assert_int_equal(ask(x, STORE_HEAD, "k", &e), -EBADMSG);
	assert_int_equal(ftruncate(fd, 1900), 0);
	assert_int_equal(ask(x, STORE_GET, "k", &e), -EBADMSG);
	assert_int_equal(ftruncate(fd, 3), 0);
	assert_int_equal(ask(x, STORE_GET, "k", &e), -EBADMSG);
	assert_non_null(strstr(err_text(&e), "no object"));
	close(fd);
	/* It can be replaced. */
	assert_int_equal(ask(x, STORE_PUT, "k", NULL), 0);
	assert_int_equal(ask(x, STORE_GET, "k", &e), 0);
}

static void
strangers_are_not_listed(void **state)
{
	struct ctx *x = *state;
	struct store_req r;

	assert_int_equal(ask(x, STORE_PUT, "abcd", NULL), 0);
	write_file(at(x, "objects/.hidden"), "x");
	write_file(at(x, "objects/a b"), "x");
	write_file(at(x, "objects/zz"), "short");
	assert_int_equal(mkdir(at(x, "objects/ab+"), 0700), 0);
	assert_int_equal(mkdir(at(x, "objects/xyz+"), 0700), 0);
	assert_int_equal(mkdir(at(x, "objects/dir"), 0700), 0);
	store_req_init(&r, STORE_LIST, NULL);
	assert_int_equal(store_run(x->s, &r, NULL), 0);
	assert_int_equal(r.page.n, 1);
	assert_string_equal(r.page.v[0].key, "abcd");
	assert_true(r.page.v[0].mtime_ns > 0);
	store_req_fini(&r);
}

static void
leftovers(void **state)
{
	struct ctx *x = *state;
	struct store *other;
	int fd;

	write_file(at(x, "tmp/1-a-1"), "dead");
	write_file(at(x, "tmp/1-a-2"), "alive");
	fd = open(at(x, "tmp/1-a-2"), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(
	    dir_store_open(x->loop, x->path, false, &other, NULL), 0);
	assert_false(exists(at(x, "tmp/1-a-1")));
	assert_true(exists(at(x, "tmp/1-a-2")));
	store_free(other);
	close(fd);
}

static void
opening(void **state)
{
	struct ctx *x = *state;
	struct err e = ERR_INIT;
	struct store *s;

	assert_int_equal(dir_store_open(x->loop, at(x, "none"), false, &s, &e),
	    -ENOENT);
	assert_non_null(strstr(err_text(&e), "/none: No such file"));
	assert_int_equal(dir_store_open(x->loop, at(x, "no/ne"), true, &s, &e),
	    -ENOENT);
	assert_int_equal(mkdir(at(x, "empty"), 0700), 0);
	assert_int_equal(dir_store_open(x->loop, at(x, "empty"), false, &s,
	    &e), -ENOENT);
	assert_non_null(strstr(err_text(&e), "pail create"));
	assert_int_equal(dir_store_open(x->loop, at(x, "empty"), true, &s, &e),
	    0);
	store_free(s);
	assert_int_equal(dir_store_open(x->loop, at(x, "empty"), false, &s,
	    &e), 0);
	store_free(s);
	/* What else may be there. */
	assert_int_equal(mkdir(at(x, "full"), 0700), 0);
	write_file(at(x, "full/letter"), "dear");
	assert_int_equal(dir_store_open(x->loop, at(x, "full"), true, &s, &e),
	    -EINVAL);
	assert_non_null(strstr(err_text(&e), "letter"));
	write_file(at(x, "file"), "dear");
	assert_int_equal(dir_store_open(x->loop, at(x, "file"), true, &s, &e),
	    -ENOTDIR);
	write_file(at(x, "empty/pail-store"), "pail directory store 2\n");
	assert_int_equal(dir_store_open(x->loop, at(x, "empty"), true, &s, &e),
	    -EINVAL);
	assert_non_null(strstr(err_text(&e), "\"pail directory store 2\""));
}

static void
too_much_metadata(void **state)
{
	struct ctx *x = *state;
	struct meta *m = meta_new();
	struct buf *b = buf_new(1);
	struct err e = ERR_INIT;
	struct store_req r;
	char big[1000];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(meta_add(m, "big", big), 0);
	store_req_init(&r, STORE_PUT, "k");
	r.body = b;
	r.meta = m;
	assert_int_equal(store_run(x->s, &r, &e), -E2BIG);
	assert_non_null(strstr(err_text(&e), "980 bytes of metadata"));
	buf_unref(b);
	meta_unref(m);
}

/* Errors of the file system have the path in them. */
static void
refusals(void **state)
{
	struct ctx *x = *state;
	struct err e = ERR_INIT;

	if (geteuid() == 0) {
		/* Nobody refuses root; a missing tmp/ is as good. */
		assert_int_equal(rmdir(at(x, "tmp")), 0);
		assert_int_equal(ask(x, STORE_PUT, "k", &e), -EIO);
	} else {
		assert_int_equal(chmod(at(x, "tmp"), 0500), 0);
		assert_int_equal(ask(x, STORE_PUT, "k", &e), -EACCES);
		assert_int_equal(chmod(at(x, "tmp"), 0700), 0);
	}
	assert_non_null(strstr(err_text(&e), at(x, "tmp/")));
}

static void
a_removed_store_is_not_empty(void **state)
{
	struct ctx *x = *state;
	struct err e = ERR_INIT;
	struct store_req r;

	remove_tree(x->path);
	store_req_init(&r, STORE_LIST, NULL);
	assert_int_equal(store_run(x->s, &r, &e), -ESTALE);
	assert_non_null(strstr(err_text(&e), x->path));
	assert_int_equal(ask(x, STORE_PUT, "k", &e), -EIO);
}

/* --- a writer that is killed ------------------------------------------------------ */

#define CRASH_KEYS 3
#define CRASH_LEN 50000

static const char *const crash_keys[CRASH_KEYS] = {"c/one", "c/two", "three"};

/* In a process of its own, until it is killed: objects of one byte each. */
static void
write_for_ever(const char *path)
{
	struct loop *l = loop_new(NULL);
	struct buf *b = buf_new(CRASH_LEN);
	struct store_req r;
	struct store *s;

	if (l == NULL || b == NULL ||
	    dir_store_open(l, path, false, &s, NULL) < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		memset(b->data, 'a' + i % 26, CRASH_LEN);
		b->len = CRASH_LEN - i % 7;
		store_req_init(&r, STORE_PUT, crash_keys[i % CRASH_KEYS]);
		if (i % 5 == 4)
			r.op = STORE_DELETE;
		r.body = b;
		if (store_run(s, &r, NULL) < 0)
			_exit(1);
		store_req_fini(&r);
	}
}

static void
assert_whole(struct store *s, const char *key)
{
	struct buf *b = buf_new(CRASH_LEN);
	struct store_req r;
	struct err e = ERR_INIT;
	int rc;

	store_req_init(&r, STORE_GET, key);
	r.body = b;
	rc = store_run(s, &r, &e);
	if (rc == 0) {
		assert_true(b->len > CRASH_LEN - 7);
		for (size_t i = 1; i < b->len; i++)
			assert_int_equal(b->data[i], b->data[0]);
	} else if (rc != -ENOENT) {
		fail_msg("%s", err_text(&e));
	}
	store_req_fini(&r);
	buf_unref(b);
}

static void
killed_writers(void **state)
{
	char path[64], tmp[80];
	struct loop *l = loop_new(NULL);
	struct store *s;
	uint64_t rnd = 9;

	snprintf(path, sizeof(path), "%s/crash", top);
	snprintf(tmp, sizeof(tmp), "%s/tmp", path);
	assert_int_equal(dir_store_open(l, path, true, &s, NULL), 0);
	store_free(s);
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			write_for_ever(path);
		usleep((useconds_t)(10000 + rnd_below(&rnd, 60000)));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status)); /* it did not fail before */
		assert_int_equal(dir_store_open(l, path, false, &s, NULL), 0);
		assert_int_equal(rmdir(tmp), 0); /* open has cleaned it */
		assert_int_equal(mkdir(tmp, 0700), 0);
		for (unsigned k = 0; k < CRASH_KEYS; k++)
			assert_whole(s, crash_keys[k]);
		store_free(s);
	}
	loop_free(l);
}

/* --- the contract ----------------------------------------------------------------- */

static int
open_url(struct loop *l, void *arg, struct store **out, struct err *e)
{
	struct store_env env = {.loop = l};
	struct url u;
	int rc = url_parse(&u, arg, e);

	if (rc < 0)
		return rc;
	rc = store_open(&env, &u, true, out, e);
	url_fini(&u);
	return rc;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(names_come_back),
		cmocka_unit_test(names_of_others),
		cmocka_unit_test(trailers),
		T(files),
		T(damage),
		T(strangers_are_not_listed),
		T(leftovers),
		T(opening),
		T(too_much_metadata),
		T(refusals),
		T(a_removed_store_is_not_empty),
		cmocka_unit_test(killed_writers),
	};
	char url[100];
	struct contract c = {.name = "dir", .open = open_url, .arg = url,
	    .prefix = "t/"};
	int failed;

	if (mkdtemp(top) == NULL) {
		perror(top);
		return 1;
	}
	snprintf(url, sizeof(url), "dir:%s/contract", top);
	failed = contract_run(&c);
	c.prefix = "";
	c.name = "dir without prefix";
	c.slow = true;
	failed += contract_run(&c);
	failed += cmocka_run_group_tests_name("dir", tests, NULL, NULL);
	remove_tree(top);
	return failed > 0;
}
