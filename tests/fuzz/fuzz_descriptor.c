/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_descriptor.c: the volume descriptor, as it is, and with the right CRC
 * put behind it, since chance would never find one.  What is accepted must come
 * out the same after being encoded again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/err.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "layout/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try(const void *p, size_t n)
{
	static struct descriptor a, b;
	struct strbuf text = STRBUF_INIT;
	struct err e = ERR_INIT;
	int rc = descriptor_decode(&a, p, n, &e);

	if (rc < 0) {
		must(e.rc == rc && e.text[0] != '\0');
		return;
	}
	/* Names of ciphers and the like may be spelled in several ways. */
	rc = descriptor_encode(&a, &text);
	must(rc == 0 || rc == -7 /* E2BIG */);
	if (rc == 0) {
		must(descriptor_decode(&b, text.s, text.len, &e) == 0);
		must(memcmp(&a, &b, sizeof(a)) == 0);
	}
	strbuf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf s = STRBUF_INIT;

	try(data, size);
	strbuf_add(&s, data, size);
	strbuf_printf(&s, "crc32 %08lx\n",
	    crc32(0, (const Bytef *)s.s, (uInt)s.len));
	try(s.s, s.len);
	strbuf_fini(&s);
	return 0;
}
