/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation, and each system call of the store in a directory, fails once
 * in a scenario that does everything.  The request says so, nothing leaks, and
 * what is there afterwards is the old object or the new one.
 */
#include "lib/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "base/stat.h"
#include "store/check.h"
#include "store/delay.h"
#include "store/dir.h"
#include "store/fault.h"
#include "store/mem.h"
#include "store/open.h"
#include "store/store.h"

/* --- everything that one asks of a store ---------------------------------------- */

static int
put(struct store *s, const char *key, const char *text, struct meta *m,
    bool if_absent)
{
	struct store_req r;
	struct buf *b = buf_new(64);
	int rc;

	if (b == NULL)
		return -ENOMEM;
	b->len = strlen(text);
	memcpy(b->data, text, b->len);
	store_req_init(&r, STORE_PUT, key);
	r.body = b;
	r.meta = m;
	r.if_absent = if_absent;
	rc = store_run(s, &r, NULL);
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static int
get(struct store *s, const char *key, char *text)
{
	struct store_req r;
	struct buf *b = buf_new(64);
	int rc;

	if (b == NULL)
		return -ENOMEM;
	store_req_init(&r, STORE_GET, key);
	r.body = b;
	rc = store_run(s, &r, NULL);
	if (rc == 0) {
		memcpy(text, b->data, b->len);
		text[b->len] = '\0';
	}
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static int
simple(struct store *s, enum store_op op, const char *key, size_t *n)
{
	struct store_req r;
	int rc;

	store_req_init(&r, op, key);
	rc = store_run(s, &r, NULL);
	if (n != NULL)
		*n = r.page.n;
	store_req_fini(&r);
	return rc;
}

static int
put_with_meta(struct store *s, const char *key, const char *text)
{
	struct meta *m = meta_new();
	char big[400];
	int rc = -ENOMEM;

	memset(big, 'b', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	if (m != NULL && meta_add(m, "a", "1") == 0 &&
	    meta_add(m, "big", big) == 0)
		rc = put(s, key, text, m, false);
	meta_unref(m);
	return rc;
}

static int
batch(struct store *s)
{
	struct store_item it[2] = {0};
	struct store_req r;
	int rc;

	if (s->info.max_batch < 2)
		return 0;
	it[0].op = it[1].op = STORE_DELETE;
	it[0].key = "k2";
	it[1].key = "none";
	if (s->info.batch_put) {
		it[1].op = STORE_PUT;
		it[1].key = "batched";
		it[1].body = buf_new(5);
		if (it[1].body == NULL)
			return -ENOMEM;
	}
	store_req_init(&r, STORE_BATCH, NULL);
	r.items = it;
	r.nitems = 2;
	rc = store_run(s, &r, NULL);
	store_req_fini(&r);
	buf_unref(it[1].body);
	return rc;
}

/* key has "old"; afterwards it has "old" or "new". */
static int
everything(struct store *s)
{
	char text[64];
	size_t n;
	int rc;

	if ((rc = put_with_meta(s, "key", "new")) < 0 ||
	    (rc = put(s, "k2", "two", NULL, false)) < 0 ||
	    (rc = get(s, "key", text)) < 0)
		return rc;
	assert_string_equal(text, "new");
	if ((rc = simple(s, STORE_DELETE, "lock", NULL)) < 0 ||
	    (rc = put(s, "lock", "me", NULL, true)) < 0)
		return rc;
	if ((rc = put(s, "lock", "you", NULL, true)) != -EEXIST)
		return rc;
	if ((rc = simple(s, STORE_HEAD, "key", NULL)) < 0 ||
	    (rc = simple(s, STORE_LIST, NULL, &n)) < 0)
		return rc;
	assert_true(n >= 3);
	if ((rc = batch(s)) < 0 ||
	    (rc = simple(s, STORE_DELETE, "k2", NULL)) < 0)
		return rc;
	return simple(s, STORE_SYNC, NULL, NULL);
}

/* --- mem, and the stack ------------------------------------------------------------ */

struct memory {
	struct mem_data *data;
	bool stack;
};

static int
mem_open(struct loop *l, struct memory *m, struct stat_set *st,
    struct store **out)
{
	struct store *s;
	int rc = mem_store_open(l, "x", m->data, NULL, &s, NULL);

	if (rc == 0 && m->stack) {
		rc = fault_store_new(s, 1, &s, NULL);
		if (rc == 0)
			rc = delay_store_new(s, &(struct delay_config){
			    .min_ns = 5}, &s, NULL);
		if (rc == 0)
			rc = store_stack(s, &(struct store_tuning){0}, st, &s,
			    NULL);
		if (rc == 0)
			rc = check_store_new(s, 1, &s, NULL);
	}
	*out = s;
	return rc;
}

static int
mem_scenario(void *arg)
{
	struct memory *m = arg;
	struct stat_set *st = calloc(1, sizeof(*st));
	struct loop *l = loop_new_virtual(NULL);
	struct store *s;
	size_t len;
	const char *p;
	int rc = -ENOMEM;

	if (st != NULL && l != NULL)
		rc = mem_open(l, m, st, &s);
	if (rc == 0) {
		rc = everything(s);
		store_free(s);
	}
	loop_free(l);
	free(st);
	p = mem_data_peek(m->data, "key", &len);
	assert_non_null(p);
	assert_int_equal(len, 3);
	assert_true(memcmp(p, "old", 3) == 0 || memcmp(p, "new", 3) == 0);
	return rc;
}

static void
mem_begin(struct memory *m)
{
	struct loop *l = loop_new_virtual(NULL);
	struct store *s;

	m->data = mem_data_new();
	must(mem_store_open(l, "x", m->data, NULL, &s, NULL) == 0);
	must(put(s, "key", "old", NULL, false) == 0);
	store_free(s);
	loop_free(l);
}

static void
mem_without_memory(void **state)
{
	struct memory m = {0};

	mem_begin(&m);
	assert_true(fault_each_malloc(mem_scenario, &m) > 20);
	mem_data_unref(m.data);
}

/* Retry may get over it: lack of memory can pass. */
static void
stack_without_memory(void **state)
{
	struct memory m = {.stack = true};

	mem_begin(&m);
	assert_true(fault_each_malloc_tolerant(mem_scenario, &m) > 30);
	mem_data_unref(m.data);
}

/* A doubt about a PUT if_absent, and no memory to read back. */
static int
settle_scenario(void *arg)
{
	struct loop *l = loop_new_virtual(NULL);
	struct fault_rule lost = {.ops = 1u << STORE_PUT, .times = 1,
	    .kind = FAULT_LOST};
	struct store *s, *f = NULL;
	int rc = -ENOMEM;

	if (l != NULL)
		rc = mem_store_open(l, "x", NULL, NULL, &s, NULL);
	if (rc == 0)
		rc = fault_store_new(s, 1, &s, NULL);
	if (rc == 0) {
		f = s;
		rc = store_stack(s, &(struct store_tuning){0}, NULL, &s, NULL);
	}
	if (rc == 0) {
		rc = fault_add(f, &lost);
		if (rc == 0)
			rc = put(s, "lock", "me", NULL, true);
		store_free(s);
	}
	loop_free(l);
	/* R4: nobody knows whether the lost one was done. */
	return rc == -ETIMEDOUT ? -ENOMEM : rc;
}

static void
settling_without_memory(void **state)
{
	assert_true(fault_each_malloc_tolerant(settle_scenario, NULL) > 10);
}

static int
url_scenario(void *arg)
{
	struct url u;
	int rc = url_parse(&u, arg, NULL);

	if (rc == 0)
		url_fini(&u);
	return rc;
}

static void
urls_without_memory(void **state)
{
	fault_each_malloc(url_scenario, (void *)(uintptr_t) "s3://b/x?a=b&c=d");
	fault_each_malloc(url_scenario, (void *)(uintptr_t) "dir:x?volume=v");
}

/* --- dir, and the calls that it makes ------------------------------------------------ */

static unsigned calls_left; /* the one that makes it 0 fails; atomic */
static int call_error;
static bool call_failed; /* atomic */

static bool
strike(void)
{
	if (__atomic_load_n(&calls_left, __ATOMIC_RELAXED) == 0 ||
	    __atomic_sub_fetch(&calls_left, 1, __ATOMIC_RELAXED) != 0)
		return false;
	__atomic_store_n(&call_failed, true, __ATOMIC_RELAXED);
	errno = call_error;
	return true;
}

#define WRAP(type, name, params, args) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		return strike() ? -1 : __real_##name args; \
	}

WRAP(ssize_t, pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(ssize_t, pread64, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))

/* The loop writes too, to its eventfd. */
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && strike())
		return -1;
	return __real_write(fd, p, n);
}

WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, syncfs, (int fd), (fd))
WRAP(int, mkdirat, (int fd, const char *p, mode_t m), (fd, p, m))
WRAP(int, unlinkat, (int fd, const char *p, int f), (fd, p, f))
WRAP(int, renameat, (int a, const char *p, int b, const char *q),
    (a, p, b, q))
WRAP(int, renameat2, (int a, const char *p, int b, const char *q, unsigned f),
    (a, p, b, q, f))
WRAP(int, fstatat, (int fd, const char *p, struct stat *st, int f),
    (fd, p, st, f))
WRAP(int, fstatat64, (int fd, const char *p, void *st, int f), (fd, p, st, f))
WRAP(ssize_t, getrandom, (void *p, size_t n, unsigned f), (p, n, f))
WRAP(int, flock, (int fd, int op), (fd, op))

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...);
int
__wrap_openat(int fd, const char *path, int flags, ...)
{
	return strike() ? -1 : __real_openat(fd, path, flags, 0600);
}

int __real_openat64(int fd, const char *path, int flags, ...);
int __wrap_openat64(int fd, const char *path, int flags, ...);
int
__wrap_openat64(int fd, const char *path, int flags, ...)
{
	return strike() ? -1 : __real_openat64(fd, path, flags, 0600);
}

static char top[] = "/tmp/pail-nomem-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	return remove(path);
}

static int
dir_scenario(void *arg)
{
	struct loop *l = loop_new(NULL);
	struct store *s;
	int rc = -ENOMEM;

	if (l != NULL)
		rc = dir_store_open(l, arg, true, &s, NULL);
	if (rc == 0) {
		rc = everything(s);
		store_free(s);
	}
	loop_free(l);
	return rc;
}

/* With a fresh loop and store, nothing failing. */
static void
assert_old_or_new(const char *path)
{
	struct loop *l = loop_new(NULL);
	char text[64];
	struct store *s;

	must(dir_store_open(l, path, false, &s, NULL) == 0);
	assert_int_equal(get(s, "key", text), 0);
	assert_true(strcmp(text, "old") == 0 || strcmp(text, "new") == 0);
	assert_int_equal(put(s, "key", "old", NULL, false), 0);
	store_free(s);
	loop_free(l);
}

static void
dir_begin(char *path)
{
	struct loop *l = loop_new(NULL);
	struct store *s;

	must(dir_store_open(l, path, true, &s, NULL) == 0);
	must(put(s, "key", "old", NULL, false) == 0);
	store_free(s);
	loop_free(l);
}

static unsigned
files_in(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	must(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
dir_without_memory(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/mem", top);
	dir_begin(path);
	assert_true(fault_each_malloc(dir_scenario, path) > 20);
	assert_old_or_new(path);
}

static void
dir_calls(char *path, int error)
{
	char tmp[80];

	snprintf(tmp, sizeof(tmp), "%s/tmp", path);
	dir_begin(path);
	for (unsigned n = 1;; n++) {
		int rc;

		assert_true(n < 1000);
		call_error = error;
		__atomic_store_n(&call_failed, false, __ATOMIC_RELAXED);
		__atomic_store_n(&calls_left, n, __ATOMIC_RELAXED);
		rc = dir_scenario(path);
		__atomic_store_n(&calls_left, 0, __ATOMIC_RELAXED);
		/* What a clean-up or a first look could not do is no error. */
		if (rc != 0 && rc != -error)
			fail_msg("call %u: %s, but the scenario returned %s",
			    n, strerror(error), strerror(-rc));
		assert_old_or_new(path); /* which cleans tmp/ */
		assert_int_equal(files_in(tmp), 0);
		if (!__atomic_load_n(&call_failed, __ATOMIC_RELAXED)) {
			assert_int_equal(rc, 0);
			assert_true(n > 30);
			return;
		}
	}
}

static void
dir_with_failing_calls(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EACCES};
	char path[64];

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		snprintf(path, sizeof(path), "%s/%d", top, errors[i]);
		dir_calls(path, errors[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem_without_memory),
		cmocka_unit_test(stack_without_memory),
		cmocka_unit_test(settling_without_memory),
		cmocka_unit_test(urls_without_memory),
		cmocka_unit_test(dir_without_memory),
		cmocka_unit_test(dir_with_failing_calls),
	};
	int failed;

	buf_keep_max(0); /* every buffer is an allocation */
	if (mkdtemp(top) == NULL) {
		perror(top);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	nftw(top, remove_one, 20, FTW_DEPTH | FTW_PHYS);
	return failed;
}
