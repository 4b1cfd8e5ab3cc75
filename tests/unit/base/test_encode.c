/* SPDX-License-Identifier: Apache-2.0 */
/* test_encode.c: encodings there and back, and what decoders refuse. */
#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/strbuf.h"

static void
percent_there_and_back(void **state)
{
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	char all[256];

	for (unsigned i = 0; i < 256; i++)
		all[i] = (char)i;
	percent_encode(&a, all, sizeof(all), false);
	assert_int_equal(a.len, 66 + 3 * (256 - 66));
	assert_int_equal(percent_decode(&b, a.s, a.len), 0);
	assert_int_equal(b.len, 256);
	assert_memory_equal(b.s, all, 256);
	strbuf_clear(&a);
	percent_encode(&a, "a/b c~\xff", 7, true);
	assert_string_equal(a.s, "a/b%20c~%FF");
	strbuf_fini(&a);
	strbuf_fini(&b);
}

static void
percent_refuses_half_escapes(void **state)
{
	static const char *const bad[] = {"%", "a%2", "%zz", "%2g", "%%20"};
	struct strbuf b = STRBUF_INIT;

	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(
		    percent_decode(&b, bad[i], strlen(bad[i])), -EINVAL);
	strbuf_fini(&b);
}

static void
hexadecimal(void **state)
{
	unsigned char in[] = {0, 0x7f, 0xab, 0xff}, out[4];
	char text[9];

	hex_encode(text, in, 4);
	assert_string_equal(text, "007fabff");
	assert_int_equal(hex_decode(out, 4, "007fABff"), 0);
	assert_memory_equal(in, out, 4);
	assert_int_equal(hex_decode(out, 4, "007fabf"), -EINVAL);
	assert_int_equal(hex_decode(out, 4, "007fabff0"), -EINVAL);
	assert_int_equal(hex_decode(out, 4, "007fabfg"), -EINVAL);
	assert_int_equal(hex_decode(out, 4, ""), -EINVAL);
}

static void
base64_there_and_back(void **state)
{
	static const struct {
		const char *bytes, *text;
	} v[] = {/* RFC 4648, 10 */
	    {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
	    {"foobar", "Zm9vYmFy"}};

	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		size_t n = strlen(v[i].bytes);
		char text[BASE64_SIZE(6)], out[6];

		base64_encode(text, v[i].bytes, n);
		assert_string_equal(text, v[i].text);
		assert_int_equal(base64_decode(out, n, text, strlen(text)), n);
		assert_memory_equal(out, v[i].bytes, n);
		if (n > 0)
			assert_int_equal(
			    base64_decode(out, n - 1, text, strlen(text)),
			    -ENOSPC);
	}
}

static void
base64_refuses(void **state)
{
	static const char *const bad[] = {"Z", "Zg",
	    "Zg=", "Zg= =", "Z===", "====", "Zm9v\n", "Zm9v Zm9v",
	    "Zg==Zg==", "Zm9-", "Zm8=Zm9v", "=m9v"};
	char out[16];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (base64_decode(out, 16, bad[i], strlen(bad[i])) != -EINVAL)
			fail_msg("%s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(percent_there_and_back),
	    cmocka_unit_test(percent_refuses_half_escapes),
	    cmocka_unit_test(hexadecimal),
	    cmocka_unit_test(base64_there_and_back),
	    cmocka_unit_test(base64_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
