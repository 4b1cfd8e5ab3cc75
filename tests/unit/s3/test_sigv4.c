/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures: AWS's published test suite, and the examples of the S3
 * documentation ("Signature Calculations for the Authorization Header"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "s3/encode.h"
#include "s3/sigv4.h"

#define SUITE_ID "AKIDEXAMPLE"
#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DOC_ID "AKIAIOSFODNN7EXAMPLE"
#define DOC_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

struct vector {
	const char *name;
	const char *method, *path, *query;
	struct s3_header headers[8]; /* ends with a NULL name */
	const char *payload;
	const char *signed_names, *signature;
};

static void
check(struct s3_signer *g, const struct vector *v, bool doc)
{
	struct s3_header h[8];
	struct s3_to_sign q = {
		.method = v->method,
		.path = v->path,
		.query = v->query,
		.headers = h,
		.payload = v->payload ? v->payload : S3_HASH_EMPTY,
		.date = doc ? "20130524T000000Z" : "20150830T123600Z",
		.region = "us-east-1",
		.service = doc ? "s3" : "service",
		.id = doc ? DOC_ID : SUITE_ID,
		.secret = doc ? DOC_SECRET : SUITE_SECRET,
	};
	struct strbuf out = STRBUF_INIT, want = STRBUF_INIT;

	while (v->headers[q.nheaders].name) {
		h[q.nheaders] = v->headers[q.nheaders];
		q.nheaders++;
	}
	assert_int_equal(s3_sign_v4(g, &q, &out), 0);
	strbuf_printf(&want,
	    "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request, "
	    "SignedHeaders=%s, Signature=%s", q.id, q.date, q.service,
	    v->signed_names, v->signature);
	if (strcmp(out.s, want.s) != 0)
		fail_msg("%s:\n%s\nbut should be\n%s", v->name, out.s, want.s);
	strbuf_fini(&out);
	strbuf_fini(&want);
}

#define HOST_DATE \
	{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}
#define HD "host;x-amz-date"

static const struct vector suite[] = {
	{"get-vanilla", "GET", "/", "", {HOST_DATE}, NULL, HD,
	    "5fa00fa31553b73ebf1942676e86291e"
	    "8372ff2a2260956d9b8aae1d763fbf31"},
	{"post-vanilla", "POST", "/", "", {HOST_DATE}, NULL, HD,
	    "5da7c1a2acd57cee7505fc6676e4e544"
	    "621c30862966e37dddb68e92efbe5d6b"},
	{"get-unreserved", "GET",
	    "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz", "", {HOST_DATE}, NULL, HD,
	    "07ef7494c76fa4850883e2b006601f94"
	    "0f8a34d404d0cfa977f52a65bbf5f24f"},
	{"get-utf8", "GET", "/%E1%88%B4", "", {HOST_DATE}, NULL, HD,
	    "8318018e0b0f223aa2bbf98705b62bb7"
	    "87dc9c0e678f255a891fd03141be5d85"},
	{"get-vanilla-query-order-key-case", "GET", "/",
	    "Param1=value1&Param2=value2", {HOST_DATE}, NULL, HD,
	    "b97d918cfa904a5beff61c982a1b6f45"
	    "8b799221646efd99d3219ec94cdf2500"},
	{"get-header-key-duplicate", "GET", "/", "",
	    {{"host", "example.amazonaws.com"}, {"my-header1", "value2"},
		{"my-header1", "value2"}, {"my-header1", "value1"},
		{"x-amz-date", "20150830T123600Z"}}, NULL,
	    "host;my-header1;x-amz-date",
	    "c9d5ea9f3f72853aea855b47ea873832"
	    "890dbdd183b4468f858259531a5138ea"},
	{"get-header-value-trim", "GET", "/", "",
	    {{"x-amz-date", "20150830T123600Z"},
		{"my-header2", " \"a   b   c\""}, {"my-header1", " value1"},
		{"host", "example.amazonaws.com"}}, NULL,
	    "host;my-header1;my-header2;x-amz-date",
	    "acc3ed3afb60bb290fc8d2dd0098b991"
	    "1fcaa05412b367055dee359757a9c736"},
};

#define DOC_COMMON \
	{"host", "examplebucket.s3.amazonaws.com"}, \
	{"x-amz-date", "20130524T000000Z"}

static const struct vector documented[] = {
	{"GET object with a range", "GET", "/test.txt", "",
	    {DOC_COMMON, {"range", "bytes=0-9"},
		{"x-amz-content-sha256", S3_HASH_EMPTY}}, NULL,
	    "host;range;x-amz-content-sha256;x-amz-date",
	    "f0e8bdb87c964420e857bd35b5d6ed31"
	    "0bd44f0170aba48dd91039c6036bdb41"},
	{"PUT object", "PUT", "/test%24file.text", "",
	    {DOC_COMMON, {"date", "Fri, 24 May 2013 00:00:00 GMT"},
		{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
		{"x-amz-content-sha256",
		    "44ce7dd67c959e0d3524ffac1771dfbb"
		    "a87d2b6b4b4e99e42034a8b803f8b072"}},
	    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	    "98ad721746da40c64f1a55b78f14c238"
	    "d841ea1380cd77a1b5971af0ece108bd"},
	{"GET bucket lifecycle", "GET", "/", "lifecycle=",
	    {DOC_COMMON, {"x-amz-content-sha256", S3_HASH_EMPTY}}, NULL,
	    "host;x-amz-content-sha256;x-amz-date",
	    "fea454ca298b7da1c68078a5d1bdbfbb"
	    "e0d65c699e0f91ac7a200a0136783543"},
	{"GET bucket (list)", "GET", "/", "max-keys=2&prefix=J",
	    {DOC_COMMON, {"x-amz-content-sha256", S3_HASH_EMPTY}}, NULL,
	    "host;x-amz-content-sha256;x-amz-date",
	    "34b48302e7b5fa45bde8084f4b7868a8"
	    "6f0a534bc59db6670ed5711ef69dc6f7"},
};

static void
vectors(void **state)
{
	struct s3_signer *g;

	assert_int_equal(s3_signer_new(&g, NULL), 0);
	/* In turns, so that the cached key changes each time. */
	for (size_t i = 0; i < sizeof(suite) / sizeof(suite[0]); i++) {
		check(g, &suite[i], false);
		check(g, &documented[i % 4], true);
	}
	/* And from the cache. */
	for (size_t i = 0; i < 4; i++)
		check(g, &documented[i], true);
	s3_signer_free(g);
}

static void
body_hash(void **state)
{
	char out[S3_HASH_HEX];
	struct s3_signer *g;

	assert_int_equal(s3_signer_new(&g, NULL), 0);
	assert_int_equal(
	    s3_sha256_hex(g, "Welcome to Amazon S3.", 21, out), 0);
	assert_string_equal(out, documented[1].payload);
	assert_int_equal(s3_sha256_hex(NULL, "", 0, out), 0);
	assert_string_equal(out, S3_HASH_EMPTY);
	s3_signer_free(g);
}

static void
dates(void **state)
{
	char d[S3_DATE_LEN];

	s3_date(1369353600, d);
	assert_string_equal(d, "20130524T000000Z");
	s3_date(951782400, d);
	assert_string_equal(d, "20000229T000000Z");
}

static void
keys_are_encoded(void **state)
{
	static const struct {
		const char *key, *want;
	} t[] = {
	    {"a/b-c_d.e~f", "a/b-c_d.e~f"},
	    {"test$file.text", "test%24file.text"},
	    {"a b+c", "a%20b%2Bc"},
	    {"../x//y", "../x//y"},
	    {"%41", "%2541"},
	    {"\xe1\x88\xb4?&=#", "%E1%88%B4%3F%26%3D%23"},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct strbuf b = STRBUF_INIT;

		s3_encode_key(&b, t[i].key);
		assert_string_equal(b.s, t[i].want);
		assert_int_equal(s3_decode(b.s), strlen(t[i].key));
		assert_string_equal(b.s, t[i].key);
		strbuf_fini(&b);
	}
}

static void
decoding_leaves_what_it_does_not_know(void **state)
{
	char a[] = "a+b%2", b[] = "%zz%00%4a%4A";

	s3_decode(a);
	assert_string_equal(a, "a b%2");
	s3_decode(b);
	assert_string_equal(b, "%zz%00JJ");
}

static void
queries_are_sorted(void **state)
{
	struct s3_query q = {.n = 0};
	struct strbuf out = STRBUF_INIT;

	s3_query_add(&q, "prefix", "a/b c");
	s3_query_add(&q, "a-b", "1");
	s3_query_add(&q, "delete", NULL);
	s3_query_add(&q, "a", "2");
	s3_query_add(&q, "a", "1");
	s3_query_finish(&q, &out);
	/* By name first: "a" before "a-b", although "-" is less than "=". */
	assert_string_equal(out.s, "a=1&a=2&a-b=1&delete=&prefix=a%2Fb%20c");
	strbuf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors),
	    cmocka_unit_test(body_hash),
	    cmocka_unit_test(dates),
	    cmocka_unit_test(keys_are_encoded),
	    cmocka_unit_test(decoding_leaves_what_it_does_not_know),
	    cmocka_unit_test(queries_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
