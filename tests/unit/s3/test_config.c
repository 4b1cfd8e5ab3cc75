/* SPDX-License-Identifier: Apache-2.0 */
/* Settings by name, and the URLs that follow from them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "s3/config.h"
#include "s3/place.h"

static void
set(struct s3_config *c, const char *name, const char *value)
{
	assert_int_equal(s3_config_set(c, name, value, NULL), 0);
}

static void
values(void **state)
{
	struct s3_config c, d;

	s3_config_init(&c);
	set(&c, "endpoint", "http://h:1");
	set(&c, "endpoint", "http://h:2");
	set(&c, "style", "path");
	set(&c, "credentials", "access-file");
	set(&c, "insecure", NULL);
	set(&c, "http2", "yes");
	set(&c, "http2", "off");
	set(&c, "ip-tos", "16");
	set(&c, "max_connections", "500");
	set(&c, "timeout", "1.5");
	set(&c, "connect-timeout", "250ms");
	set(&c, "max-upload-rate", "2M");
	set(&c, "max-download-rate", "1000");
	set(&c, "list", "1");
	set(&c, "if-absent", "no");
	set(&c, "auth", "aws2");
	assert_int_equal(s3_config_copy(&d, &c), 0);
	s3_config_fini(&c);
	assert_string_equal(d.endpoint, "http://h:2");
	assert_int_equal(d.style, S3_STYLE_PATH);
	assert_int_equal(d.credentials, S3_CRED_ACCESS_FILE);
	assert_true(d.insecure);
	assert_false(d.http2);
	assert_int_equal(d.ip_tos, 16);
	assert_int_equal(d.max_connections, 500);
	assert_int_equal(d.request_timeout_ns, 1500 * NS_PER_MS);
	assert_int_equal(d.connect_timeout_ns, 250 * NS_PER_MS);
	assert_int_equal(d.max_upload_rate, 2 << 20);
	assert_int_equal(d.max_download_rate, 1000);
	assert_int_equal(d.listing, S3_LIST_V1);
	assert_int_equal(d.if_absent, S3_NO);
	assert_int_equal(d.auth, S3_AUTH_V2);
	s3_config_fini(&d);
}

static void
what_is_refused(void **state)
{
	static const char *const bad[][3] = {
	    {"style", "sideways", "auto|path|host"},
	    {"insecure", "perhaps", "yes or no"},
	    {"ip-tos", "256", "up to 255"},
	    {"ip-tos", "-1", "up to 255"},
	    {"max-connections", "1.5", "number"},
	    {"timeout", "fast", "seconds"},
	    {"timeout", "3h", "seconds"},
	    {"max-upload-rate", "5X", "bytes"},
	    {"max-upload-rate", "5KB", "bytes"},
	    {"region", NULL, "needs a value"},
	    {"region", "a\nb", "control character"},
	};
	struct s3_config c;

	s3_config_init(&c);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(
		    s3_config_set(&c, bad[i][0], bad[i][1], &e), -EINVAL);
		if (!strstr(e.text, bad[i][2]) || !strstr(e.text, bad[i][0]))
			fail_msg("%s=%s: %s", bad[i][0], bad[i][1], e.text);
	}
	s3_config_fini(&c);
}

static void
unknown_names_get_the_list(void **state)
{
	struct s3_config c;
	struct err e = ERR_INIT;

	s3_config_init(&c);
	assert_int_equal(s3_config_set(&c, "regoin", "x", &e), -EINVAL);
	assert_non_null(strstr(e.text, "regoin"));
	assert_non_null(strstr(e.text, "endpoint, region, style"));
	s3_config_fini(&c);
}

static void
every_name_is_described(void **state)
{
	const char *what, *value;
	unsigned n = 0;

	while (s3_config_name(n, &what, &value)) {
		assert_true(what[0]);
		n++;
	}
	assert_true(n > 20);
}

static void
place(const char *endpoint, const char *style, const char *bucket,
    const char *origin, const char *host, const char *path)
{
	struct s3_config c;
	struct s3_place p;

	s3_config_init(&c);
	set(&c, "endpoint", endpoint);
	set(&c, "style", style);
	assert_int_equal(s3_place_init(&p, &c, bucket, NULL), 0);
	assert_string_equal(p.origin, origin);
	assert_string_equal(p.host, host);
	assert_string_equal(p.path, path);
	assert_int_equal(p.tls, strncmp(origin, "https", 5) == 0);
	s3_place_fini(&p);
	s3_config_fini(&c);
}

static void
places(void **state)
{
	place("http://h:9000", "auto", "b", "http://h:9000", "h:9000", "/b/");
	place("http://h:9000/", "host", "bucket", "http://bucket.h:9000",
	    "bucket.h:9000", "/");
	place("https://s3.eu-west-1.amazonaws.com", "auto", "buck",
	    "https://buck.s3.eu-west-1.amazonaws.com",
	    "buck.s3.eu-west-1.amazonaws.com", "/");
	/* A dot would need a certificate for two labels. */
	place("https://s3.eu-west-1.amazonaws.com", "auto", "bu.ck",
	    "https://s3.eu-west-1.amazonaws.com",
	    "s3.eu-west-1.amazonaws.com", "/bu.ck/");
	place("https://s3.eu-west-1.amazonaws.com", "path", "buck",
	    "https://s3.eu-west-1.amazonaws.com",
	    "s3.eu-west-1.amazonaws.com", "/buck/");
	/* The scheme's own port is not part of Host. */
	place("http://h:80", "path", "b", "http://h", "h", "/b/");
	place("HTTPS://h:443", "path", "b", "https://h", "h", "/b/");
	place("http://h:443", "path", "b", "http://h:443", "h:443", "/b/");
	place("http://[::1]:7480/gw/s3/", "auto", "b", "http://[::1]:7480",
	    "[::1]:7480", "/gw/s3/b/");
}

static void
bad_places(void **state)
{
	static const char *const bad[][2] = {{"h:9000", "b"},
	    {"ftp://h", "b"}, {"http://", "b"}, {"http://h h", "b"},
	    {"http://u@h", "b"}, {"http://h/?x", "b"}, {"http://h", ""},
	    {"http://h", "a/b"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct s3_config c;
		struct s3_place p;

		s3_config_init(&c);
		set(&c, "endpoint", bad[i][0]);
		assert_int_equal(
		    s3_place_init(&p, &c, bad[i][1], &e), -EINVAL);
		assert_true(e.text[0]);
		s3_place_fini(&p);
		s3_config_fini(&c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(unknown_names_get_the_list),
	    cmocka_unit_test(every_name_is_described),
	    cmocka_unit_test(places),
	    cmocka_unit_test(bad_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
