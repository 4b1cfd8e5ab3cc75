/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor: a round trip, and all that is refused. */
#include "config.h"

#include <zlib.h>

#include "base/strbuf.h"
#include "layout/descriptor.h"
#include "unit/layout/util.h"

static struct descriptor
sample(void)
{
	struct descriptor d = {.size = UINT64_C(1) << 40,
	    .block_size = 131072,
	    .hashed = true,
	    .compress = COMPRESS_ZSTD,
	    .compress_level = -3,
	    .cipher = "AES-256-CBC",
	    .key_length = 32,
	    .salt = "bucket/some where/\xc3\xa9/",
	    .created_s = 1700000000,
	    .extra = "colour blue\nnote a b c\n"};

	for (unsigned i = 0; i < 16; i++)
		d.uuid[i] = d.verifier[i] = (uint8_t)(i * 17);
	return d;
}

static void
test_text(void **state)
{
	static const char expect[] =
	    "pail-volume 1\nlayout s3backer\n"
	    "uuid 00112233-4455-6677-8899-aabbccddeeff\n"
	    "created 2023-11-14T22:13:20Z\n"
	    "size 1099511627776\nblock-size 131072\nnames hashed\n"
	    "compress zstd\ncompress-level -3\ncipher AES-256-CBC\n"
	    "key-length 32\nsalt bucket/some where/\xc3\xa9/\n"
	    "verifier 00112233445566778899aabbccddeeff\n"
	    "colour blue\nnote a b c\ncrc32 ";
	struct descriptor d = sample(), back;
	struct strbuf s = STRBUF_INIT;

	assert_int_equal(descriptor_encode(&d, &s), 0);
	assert_int_equal(strncmp(s.s, expect, strlen(expect)), 0);
	assert_int_equal(descriptor_decode(&back, s.s, s.len, NULL), 0);
	assert_memory_equal(&d, &back, sizeof(d));
	strbuf_fini(&s);

	/* The least there can be. */
	memset(&d, 0, sizeof(d));
	d.size = d.block_size = 4096;
	d.compress_level = COMPRESS_LEVEL_DEFAULT;
	assert_int_equal(descriptor_encode(&d, &s), 0);
	assert_int_equal(descriptor_decode(&back, s.s, s.len, NULL), 0);
	assert_memory_equal(&d, &back, sizeof(d));
	strbuf_fini(&s);
}

/* Cut off or changed anywhere: refused. */
static void
test_damage(void **state)
{
	struct descriptor d = sample(), back;
	struct strbuf s = STRBUF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(descriptor_encode(&d, &s), 0);
	for (size_t i = 0; i < s.len; i++) {
		assert_true(descriptor_decode(&back, s.s, i, &e) < 0);
		s.s[i] ^= 4;
		assert_true(descriptor_decode(&back, s.s, s.len, &e) < 0);
		assert_true(e.text[0] != '\0');
		s.s[i] ^= 4;
	}
	strbuf_puts(&s, "x 1\n");
	assert_int_equal(
	    descriptor_decode(&back, s.s, s.len, &e), -EBADMSG);
	strbuf_fini(&s);
}

/* A line of the least descriptor replaced by another, or another added. */
static int
variant(const char *name, const char *line, struct err *e)
{
	static const char *const lines[] = {"pail-volume 1", "layout s3backer",
	    "uuid 00112233-4455-6677-8899-aabbccddeeff",
	    "created 2023-11-14T22:13:20Z", "size 8192", "block-size 4096",
	    "names plain", "compress none"};
	struct strbuf s = STRBUF_INIT;
	struct descriptor d;
	bool used = false;
	int rc;

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		size_t n = strcspn(lines[i], " ");

		if (name != NULL && strlen(name) == n &&
		    strncmp(lines[i], name, n) == 0) {
			used = true;
			if (line != NULL)
				strbuf_printf(&s, "%s\n", line);
		} else
			strbuf_printf(&s, "%s\n", lines[i]);
	}
	if (!used && line != NULL)
		strbuf_printf(&s, "%s\n", line);
	strbuf_printf(&s, "crc32 %08lx\n",
	    crc32(0, (const Bytef *)s.s, (uInt)s.len));
	err_clear(e);
	rc = descriptor_decode(&d, s.s, s.len, e);
	strbuf_fini(&s);
	return rc;
}

static void
test_lines(void **state)
{
	static const struct {
		const char *name, *line;
		int rc;
		const char *word;
	} v[] = {{NULL, NULL, 0, ""}, {NULL, "new thing", 0, ""},
	    {"pail-volume", "pail-volume 2", -EPROTONOSUPPORT, "version 2"},
	    {"pail-volume", "pail-volume x", -EBADMSG, "not a volume"},
	    {"pail-volume", "pail-volume 01", -EBADMSG, "not a volume"},
	    {NULL, "needs snapshots v2", -EPROTONOSUPPORT, "snapshots v2"},
	    {"layout", "layout native", -EBADMSG, "native"},
	    {"layout", NULL, -EBADMSG, "no line layout"},
	    {"size", NULL, -EBADMSG, "no line size"},
	    {"size", "size 8192\nsize 8192", -EBADMSG, "two lines size"},
	    {"size", "size 08192", -EBADMSG, "08192"},
	    {"size", "size -8192", -EBADMSG, "-8192"},
	    {"size", "size 18446744073709551616", -EBADMSG, "1844"},
	    {"size", "size 18446744073709551615", -EBADMSG, "multiple"},
	    {"size", "size 8191", -EBADMSG, "multiple"},
	    {"size", "size 0", -EBADMSG, "multiple"},
	    {"size", "size 17592186048512", -EBADMSG, "at most 17592186044416"},
	    {"block-size", "block-size 2048", -EBADMSG, "power of two"},
	    {"block-size", "block-size 6000", -EBADMSG, "power of two"},
	    {"block-size", "block-size 33554432", -EBADMSG, "power of two"},
	    {"block-size", "block-size 4294967296", -EBADMSG, "no value"},
	    {"uuid", "uuid 00112233445566778899aabbccddeeff", -EBADMSG, "uuid"},
	    {"uuid", "uuid 00112233-4455-6677-8899-aabbccddeefg", -EBADMSG,
		"uuid"},
	    {"names", "names both", -EBADMSG, "both"},
	    {"compress", "compress lz4", -EBADMSG, "lz4"},
	    {"created", "created yesterday", -EBADMSG, "yesterday"},
	    {NULL, "cipher AES-256-CBC", -EBADMSG, "no line key-length"},
	    {NULL, "cipher AES-256-GCM", -EBADMSG, "GCM"},
	    {NULL, "novalue", -EBADMSG, "novalue"},
	    {NULL, "novalue ", -EBADMSG, "novalue"},
	    {NULL, " value", -EBADMSG, "value"}, {NULL, "", -EBADMSG, "line"}};
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < sizeof(v) / sizeof(*v); i++) {
		int rc = variant(v[i].name, v[i].line, &e);

		if (rc != v[i].rc || strstr(e.text, v[i].word) == NULL)
			fail_msg("%s: %d: %s", v[i].line, rc, e.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
