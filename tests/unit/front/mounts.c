/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount table as text, and paths of mount points.
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
#include "front/mounts.h"

static void
a_table(void **state)
{
	char text[] =
	    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
	    "40 22 0:37 / /mnt/my\\040disk rw,nosuid,nodev - fuse.pail "
	    "s3://b/a\\134b rw,user_id=0\n"
	    "41 22 7:3 / /fs rw shared:2 master:1 - xfs /dev/loop3 rw,attr2\n"
	    "42 22 0:40 / /mnt/my\\040disk ro - fuse.pail dir:/x ro\n"
	    "43 22 0:41 / /empty rw - tmpfs  rw\n";
	struct mounts m;
	struct err e = ERR_INIT;

	assert_int_equal(mounts_parse(&m, text, &e), 0);
	assert_int_equal(m.n, 5);
	assert_string_equal(m.v[1].dir, "/mnt/my disk");
	assert_string_equal(m.v[1].type, MOUNTS_TYPE);
	assert_string_equal(m.v[1].source, "s3://b/a\\b");
	assert_string_equal(m.v[1].options, "rw,nosuid,nodev,rw,user_id=0");
	assert_int_equal(m.v[2].major, 7);
	assert_int_equal(m.v[2].minor, 3);
	assert_string_equal(m.v[4].source, "");
	/* The one on top counts. */
	assert_string_equal(
	    mounts_at(&m, "/mnt/my disk")->source, "dir:/x");
	assert_null(mounts_at(&m, "/mnt/my"));
	mounts_fini(&m);
}

static void
lines_that_are_none(void **state)
{
	static const char *const bad[] = { "22 1 254:0 / /",
		"22 1 x:0 / / rw - ext4 /dev/vda rw",
		"22 1 254:0 / / rw shared:1 ext4 /dev/vda rw",
		"22 1 254:0 / / rw - ext4" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mounts m;
		struct err e = ERR_INIT;
		char *text = strdup(bad[i]);

		assert_int_equal(mounts_parse(&m, text, &e), -EBADMSG);
		assert_int_equal(m.n, 0);
		free(text);
	}
}

static void
this_machine(void **state)
{
	struct mounts m;
	struct loop_devs l;
	struct err e = ERR_INIT;

	assert_int_equal(mounts_read(&m, &e), 0);
	/* Not "/": in a chroot that is none. */
	assert_non_null(mounts_at(&m, "/proc"));
	assert_int_equal(loop_devs_read(&l, "/no/such/dir", &m, &e), 0);
	assert_int_equal(l.n, 0);
	loop_devs_fini(&l);
	mounts_fini(&m);
}

static void
paths(void **state)
{
	char dir[] = "/tmp/pail-mounts-XXXXXX", link[64], want[64], *got;
	struct err e = ERR_INIT;

	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("/nowhere/at/all", link), 0);
	/* The last part is not looked at. */
	assert_int_equal(mounts_realpath(link, &got, &e), 0);
	assert_string_equal(got, link);
	free(got);
	snprintf(want, sizeof(want), "%s//", dir);
	assert_int_equal(mounts_realpath(want, &got, &e), 0);
	assert_string_equal(got, dir);
	free(got);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mounts_realpath("x", &got, &e), 0);
	snprintf(want, sizeof(want), "%s/x", dir);
	assert_string_equal(got, want);
	free(got);
	assert_int_equal(mounts_realpath(".", &got, &e), 0);
	assert_string_equal(got, dir);
	free(got);
	assert_int_equal(mounts_realpath("/", &got, &e), 0);
	assert_string_equal(got, "/");
	free(got);
	assert_int_equal(mounts_realpath("/tmp", &got, &e), 0);
	assert_string_equal(got, "/tmp");
	free(got);
	assert_int_equal(
	    mounts_realpath("/no/such/place", &got, &e), -ENOENT);
	assert_non_null(strstr(err_text(&e), "/no/such/place"));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table),
		cmocka_unit_test(lines_that_are_none),
		cmocka_unit_test(this_machine),
		cmocka_unit_test(paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
