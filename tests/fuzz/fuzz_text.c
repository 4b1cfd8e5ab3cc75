/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_text.c: numbers with units, and the decoders of base/encode.h, which
 * must give back what they were given once it is encoded again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/err.h"
#include "base/must.h"
#include "base/parse.h"
#include "base/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
numbers(const char *s)
{
	char buf[FORMAT_MAX];
	struct err e = ERR_INIT;
	uint64_t v, again;
	int64_t ns;
	bool b;
	int rc = parse_size(s, &v, &e);

	must((rc == 0) == (e.text[0] == '\0'));
	if (rc == 0) {
		format_size(buf, v);
		rc = parse_size(format_size_exact(buf, v), &again, &e);
		must(rc == 0 && again == v);
	}
	if (parse_duration(s, &ns, &e) == 0) {
		must(ns >= 0);
		format_duration(buf, ns);
	}
	if (parse_u64(s, &v, &e) == 0)
		format_count(buf, v);
	parse_bool(s, &b, &e);
}

static void
encodings(const char *s, size_t n)
{
	struct strbuf plain = STRBUF_INIT, again = STRBUF_INIT;
	char *out = malloc(n + 1), *text = malloc(BASE64_SIZE(n) + 2 * n);
	int64_t got;

	must(out && text);
	if (percent_decode(&plain, s, n) == 0) {
		percent_encode(&again, strbuf_text(&plain), plain.len, false);
		strbuf_clear(&plain);
		must(percent_decode(&plain, strbuf_text(&again), again.len) ==
		     0);
	}
	got = base64_decode(out, n, s, n);
	must(got <= (int64_t)n);
	if (got >= 0) {
		base64_encode(text, out, (size_t)got);
		/* The spare bits of the last digit may differ. */
		must(strlen(text) == n);
	}
	if (hex_decode(out, n / 2, s) == 0) {
		hex_encode(text, out, n / 2);
		must(strlen(text) == n / 2 * 2);
	}
	strbuf_fini(&plain);
	strbuf_fini(&again);
	free(out);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	if (!s)
		return 0;
	memcpy(s, data, size);
	s[size] = '\0';
	numbers(s);
	encodings(s, size);
	free(s);
	return 0;
}
