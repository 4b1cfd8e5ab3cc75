/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c: main of a fuzz target that is built without libFuzzer: gives each
 * file named as argument to the target once.  Without arguments (make check)
 * it takes all of tests/fuzz/corpus/NAME in $srcdir, where NAME is its own name
 * without "fuzz_".
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file in memory of exactly its size, so that a read of a byte too many is
 * seen; NULL with a message. */
static uint8_t *
load(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long end = -1;

	if (f && fseek(f, 0, SEEK_END) == 0)
		end = ftell(f);
	if (end >= 0) {
		rewind(f);
		*size = (size_t)end;
		data = malloc(*size);
	}
	if (end > 0 && data && fread(data, 1, *size, f) != *size) {
		free(data);
		data = NULL;
	}
	if (!data)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (f)
		fclose(f);
	return data;
}

static int
replay(const char *path)
{
	size_t size;
	uint8_t *data = load(path, &size);

	if (!data)
		return 1;
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

static int
replay_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir");
	const char *name = strstr(program, "fuzz_");
	unsigned n = 0;
	int rc = 0;
	char path[4096];
	DIR *d;

	for (const char *p = name; p; p = strstr(p + 1, "fuzz_"))
		name = p;
	if (!name)
		return 1;
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
	    srcdir ? srcdir : ".", name + strlen("fuzz_"));
	d = opendir(path);
	if (!d) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	for (struct dirent *e; (e = readdir(d));) {
		char file[8192];

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		rc |= replay(file);
		n++;
	}
	closedir(d);
	printf("%u inputs of %s\n", n, path);
	return rc || n == 0;
}

int
main(int argc, char **argv)
{
	int rc = 0;

	if (argc == 1)
		return replay_corpus(argv[0]);
	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i]);
	return rc;
}
