/* SPDX-License-Identifier: Apache-2.0 */
/* XML of S3 servers, as several of them write it, and as none should. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "s3/xml.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static int
listing(const char *text, struct s3_listing *l, struct err *e)
{
	return s3_xml_listing(text, strlen(text), l, e);
}

static const char *
key(const struct s3_listing *l, size_t i)
{
	return l->keys.s + l->v[i].key;
}

static void
a_page(void **state)
{
	struct s3_listing l;

	assert_int_equal(listing(HEAD "<ListBucketResult" NS ">"
	    "<Name>b</Name><Prefix>x/</Prefix><MaxKeys>1000</MaxKeys>"
	    "<KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>\n"
	    "  <Contents>\n    <Key>x/1</Key>\n"
	    "    <LastModified>2009-10-12T17:50:30.000Z</LastModified>"
	    "<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag>"
	    "<Size>434234</Size><StorageClass>STANDARD</StorageClass>"
	    "<Owner><ID>75aa</ID><DisplayName>me</DisplayName></Owner>"
	    "</Contents><Contents><Key>x/a&amp;b</Key><Size>0</Size>"
	    "</Contents></ListBucketResult>", &l, NULL), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(key(&l, 0), "x/1");
	assert_int_equal(l.v[0].key_len, 3);
	assert_int_equal(l.v[0].size, 434234);
	assert_int_equal(l.v[0].modified_s, 1255369830);
	assert_string_equal(l.v[0].etag, "fba9dede5f27731c9771645a39863328");
	assert_string_equal(key(&l, 1), "x/a&b");
	assert_string_equal(l.v[1].etag, "");
	assert_true(l.truncated);
	assert_false(l.v1);
	s3_listing_fini(&l);
}

static void
encoded_keys_whenever_that_is_said(void **state)
{
	struct s3_listing l;

	assert_int_equal(listing("<ListBucketResult><KeyCount>1</KeyCount>"
	    "<Contents><Key>a%2Fb+c%25</Key></Contents>"
	    "<EncodingType>url</EncodingType></ListBucketResult>", &l, NULL),
	    0);
	assert_string_equal(key(&l, 0), "a/b c%");
	assert_int_equal(l.v[0].key_len, 6);
	s3_listing_fini(&l);
	/* Without it the key is as it stands there. */
	assert_int_equal(listing("<ListBucketResult><KeyCount>1</KeyCount>"
	    "<Contents><Key>a%2Fb+c</Key></Contents></ListBucketResult>", &l,
	    NULL), 0);
	assert_string_equal(key(&l, 0), "a%2Fb+c");
	s3_listing_fini(&l);
}

static void
version_one_is_known_by_its_marker(void **state)
{
	struct s3_listing l;

	assert_int_equal(listing("<ListBucketResult><Marker></Marker>"
	    "<IsTruncated>false</IsTruncated></ListBucketResult>", &l, NULL),
	    0);
	assert_true(l.v1);
	assert_int_equal(l.n, 0);
	s3_listing_fini(&l);
}

static void
what_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "<ListBucketResult>",
	    "<ListBucketResult><Contents><Size>1</Size></Contents>"
	    "</ListBucketResult>",
	    "<ListBucketResult><Contents><Key></Key></Contents>"
	    "</ListBucketResult>",
	    "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size>"
	    "</Contents></ListBucketResult>",
	    "<ListBucketResult><Contents><Key>a</Key>"
	    "<Size>99999999999999999999999</Size></Contents>"
	    "</ListBucketResult>",
	    "<Error><Code>x</Code></Error>",
	    "<html><body>hello</body></html>",
	    "{\"not\": \"xml\"}",
	    "<ListBucketResult>\xff\xfe</ListBucketResult>",
	    "<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>",
	    "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><ListBucketResult>"
	    "<Contents><Key>&a;</Key></Contents></ListBucketResult>",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct s3_listing l;

		assert_int_equal(listing(bad[i], &l, &e), -EBADMSG);
		assert_true(e.text[0]);
		s3_listing_fini(&l);
	}
}

static void
limits_hold(void **state)
{
	struct strbuf b = STRBUF_INIT;
	struct s3_listing l;

	strbuf_puts(&b, "<ListBucketResult>");
	for (int i = 0; i <= S3_XML_ENTRIES; i++)
		strbuf_printf(
		    &b, "<Contents><Key>%d</Key></Contents>", i);
	strbuf_puts(&b, "</ListBucketResult>");
	assert_int_equal(s3_xml_listing(b.s, b.len, &l, NULL), -EBADMSG);
	s3_listing_fini(&l);
	strbuf_clear(&b);
	strbuf_puts(&b, "<ListBucketResult><Contents><Key>");
	for (int i = 0; i <= S3_XML_TEXT; i++)
		strbuf_putc(&b, 'k');
	strbuf_puts(&b, "</Key></Contents></ListBucketResult>");
	assert_int_equal(s3_xml_listing(b.s, b.len, &l, NULL), -EBADMSG);
	s3_listing_fini(&l);
	strbuf_fini(&b);
}

static void
results_of_a_batch(void **state)
{
	static const char text[] = HEAD "<DeleteResult" NS ">"
	    "<Deleted><Key>a</Key><VersionId>7</VersionId></Deleted>"
	    "<Error><Key>b&lt;</Key><Code>AccessDenied</Code>"
	    "<Message>No</Message></Error></DeleteResult>";
	static const char vague[] = "<DeleteResult><Error><Key>a</Key>"
	    "</Error></DeleteResult>";
	struct s3_delete_result d;

	assert_int_equal(
	    s3_xml_deleted(text, sizeof(text) - 1, &d, NULL), 0);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.text.s + d.v[0].key, "a");
	assert_int_equal(d.v[0].code, 0);
	assert_string_equal(d.text.s + d.v[1].key, "b<");
	assert_string_equal(d.text.s + d.v[1].code, "AccessDenied");
	assert_string_equal(d.text.s + d.v[1].message, "No");
	s3_delete_result_fini(&d);
	/* An error that does not say which is no success. */
	assert_int_equal(s3_xml_deleted(vague, strlen(vague), &d, NULL),
	    -EBADMSG);
	s3_delete_result_fini(&d);
}

static void
faults(void **state)
{
	static const char aws[] = HEAD "<Error><Code>"
	    "AuthorizationHeaderMalformed</Code><Message>the region "
	    "'us-east-1' is wrong;\nexpecting 'eu-west-1'</Message>"
	    "<Region>eu-west-1</Region><RequestId>4F1E</RequestId></Error>";
	static const char sts[] = "<ErrorResponse><Error><Type>Sender</Type>"
	    "<Code>ExpiredTokenException</Code><Message>old</Message>"
	    "</Error><RequestId>77</RequestId></ErrorResponse>";
	static const char cut[] = "<Error><Code>NoSuchKey</Code><Mess";
	struct s3_fault f;

	assert_true(s3_xml_fault(aws, sizeof(aws) - 1, &f));
	assert_string_equal(f.code, "AuthorizationHeaderMalformed");
	assert_string_equal(f.region, "eu-west-1");
	assert_string_equal(f.request_id, "4F1E");
	assert_null(strchr(f.message, '\n'));
	assert_true(s3_xml_fault(sts, sizeof(sts) - 1, &f));
	assert_string_equal(f.code, "ExpiredTokenException");
	assert_string_equal(f.request_id, "77");
	assert_true(s3_xml_fault(cut, sizeof(cut) - 1, &f));
	assert_string_equal(f.code, "NoSuchKey");
	assert_false(s3_xml_fault("<html><Code>x</Code></html>", 27, &f));
	assert_string_equal(f.code, "");
	assert_false(s3_xml_fault("", 0, &f));
}

static void
times(void **state)
{
	assert_int_equal(s3_parse_time("1970-01-01T00:00:01Z"), 1);
	assert_int_equal(
	    s3_parse_time("2024-02-29T12:00:00.123Z"), 1709208000);
	assert_int_equal(s3_parse_time("yesterday"), 0);
	assert_int_equal(s3_parse_time("2024-02-29T12:00:00+01:00"), 0);
	assert_int_equal(s3_parse_time(""), 0);
}

static void
escaping(void **state)
{
	struct strbuf b = STRBUF_INIT;

	s3_xml_escape(&b, "a<b>&\"c'");
	assert_string_equal(b.s, "a&lt;b&gt;&amp;&quot;c&apos;");
	strbuf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_page),
	    cmocka_unit_test(encoded_keys_whenever_that_is_said),
	    cmocka_unit_test(version_one_is_known_by_its_marker),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(limits_hold),
	    cmocka_unit_test(results_of_a_batch),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(times),
	    cmocka_unit_test(escaping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
