/* SPDX-License-Identifier: Apache-2.0 */
/* Typing mistakes, and exit statuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/suggest.h"
#include "cli/exit.h"

static const char *const words[] = {"create", "mount", "unmount", "sync",
    "info", "list", "stats", "check", "erase", "unlock", "resize", "copy",
    "s3backer", "version", NULL};

static void
typing_mistakes_find_their_word(void **state)
{
	static const char *const pairs[][2] = {{"creat", "create"},
	    {"umount", "unmount"}, {"mout", "mount"}, {"chekc", "check"},
	    {"cpoy", "copy"}, {"lsit", "list"}, {"ls3backer", "s3backer"},
	    {"res", "resize"}, {"unlok", "unlock"}, {"stat", "stats"}};

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(
		    suggest_nearest(pairs[i][0], words), pairs[i][1]);
}

static void
nonsense_finds_nothing(void **state)
{
	char lengthy[200];

	memset(lengthy, 'a', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	assert_null(suggest_nearest("", words));
	assert_null(suggest_nearest("xyzzy", words));
	assert_null(suggest_nearest("frobnicate", words));
	assert_null(suggest_nearest(lengthy, words));
}

static void
errors_have_their_status(void **state)
{
	assert_int_equal(cli_status_of(0), 0);
	assert_int_equal(cli_status_of(-EIO), 1);
	assert_int_equal(cli_status_of(-ENOENT), 1);
	assert_int_equal(cli_status_of(-EBADMSG), 3);
	assert_int_equal(cli_status_of(-EBUSY), 5);
	assert_int_equal(cli_status_of(-ECANCELED), 130);
	assert_int_equal(cli_status_of(-EINTR), 130);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(typing_mistakes_find_their_word),
	    cmocka_unit_test(nonsense_finds_nothing),
	    cmocka_unit_test(errors_have_their_status),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
