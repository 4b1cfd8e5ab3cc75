/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_conf.c: any command line.  Each line of the input is an argument; the
 * first is the text of conf_options.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
	uint64_t size, block_size;
	int64_t timeout_ns;
	bool read_only;
	char *region, *cache;
	int compress;
};

static const char *const words[] = {"none", "deflate", "zstd", NULL};

#define AT(f) CONF_AT(struct settings, f)

static const struct conf_opt opts[] = {
    {"size", 's', CONF_SIZE, AT(size), .alias = "length"},
    {"block-size", 'b', CONF_SIZE, AT(block_size), .def = "128K", .min = 4096,
	.max = 16 << 20, .pow2 = true},
    {"compress", 'c', CONF_ENUM, AT(compress), .words = words},
    {"readOnly", 'r', CONF_FLAG, AT(read_only)},
    {"rw", 0, CONF_FLAG, AT(read_only), .flags = CONF_INVERT | CONF_HIDDEN},
    {"timeout", 't', CONF_DURATION, AT(timeout_ns), .def = "30s"},
    {"region", 'n', CONF_STRING, AT(region), .def = "us-east-1"},
    {"cache", 0, CONF_PATH, AT(cache)},
    {"option", 'o', CONF_OPTIONS},
    {"old", 0, CONF_UINT, .flags = CONF_UNUSED, .help = "it is old"},
    {"x-systemd.*", 0, CONF_STRING, .flags = CONF_UNUSED | CONF_HIDDEN},
    {NULL},
};

#define ARGS_MAX 32

static void
check(int rc, const struct settings *s, const struct err *e)
{
	must(rc >= 0 || (e->rc == rc && e->text[0]));
	must(s->block_size >= 4096 && s->block_size <= 16 << 20);
	must((s->block_size & (s->block_size - 1)) == 0);
	must(s->compress >= 0 && s->compress < 3);
	must(s->region);
	must(!s->cache || s->cache[0] == '/');
	must(s->timeout_ns >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[ARGS_MAX + 2], *text = malloc(size + 1), *save = NULL;
	struct err e = ERR_INIT;
	struct settings s = {0};
	struct conf c;
	int argc = 0, rc;

	if (!text)
		return 0;
	log_open("fuzz_conf", LOG_LVL_ERROR, false);
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *p = strtok_r(text, "\n", &save); p && argc <= ARGS_MAX;
	     p = strtok_r(NULL, "\n", &save))
		argv[argc++] = p;
	argv[argc] = NULL;

	must(conf_init(&c, opts, &s, &e) == 0);
	if (argc > 0) {
		rc = conf_options(&c, argv[0], &e);
		check(rc, &s, &e);
		rc = conf_args(&c, argc, argv, &e);
		check(rc, &s, &e);
		must(rc < argc);
		for (int i = 1; i <= rc; i++)
			must(argv[i]);
	}
	conf_fini(&c);
	must(!s.region && !s.cache);
	free(text);
	return 0;
}
