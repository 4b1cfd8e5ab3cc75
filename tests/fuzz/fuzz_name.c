/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_name.c: keys of a bucket as names of blocks: prefix, newline, key.  What
 * is taken for a name must be the name; and a listing that jumps behind a key
 * must not jump over a name.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "layout/s3b_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try(const char *prefix, const char *key, uint32_t probe)
{
	char *again = malloc(strlen(prefix) + S3B_NAME_MAX);
	uint64_t next = s3b_name_next_pos(key, prefix);
	uint32_t block;

	must(again != NULL);
	must(next <= UINT64_C(1) << 32);
	for (int hashed = 0; hashed < 2; hashed++) {
		uint32_t pos = hashed ? s3b_hash(probe) : probe;

		if (s3b_name_parse(key, prefix, hashed, &block)) {
			s3b_name_block(again, prefix, hashed, block);
			must(strcmp(again, key) == 0);
		}
		/* Names behind the key have no position before next. */
		s3b_name_block(again, prefix, hashed, probe);
		if (strcmp(again, key) > 0)
			must(pos >= next);
	}
	if (next < UINT64_C(1) << 32) {
		char *name = malloc(strlen(prefix) + S3B_NAME_MAX);

		must(name != NULL);
		s3b_name_before(again, prefix, (uint32_t)next);
		s3b_name_block(name, prefix, false, (uint32_t)next);
		must(strcmp(again, name) < 0);
		free(name);
	}
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *key;
	uint32_t probe = 0;

	if (size < 4)
		return 0;
	memcpy(&probe, data, 4);
	text = malloc(size - 3);
	must(text != NULL);
	memcpy(text, data + 4, size - 4);
	text[size - 4] = '\0';
	key = strchr(text, '\n');
	if (key != NULL) {
		*key++ = '\0';
		try(text, key, probe);
	}
	try("", text, probe);
	free(text);
	return 0;
}
