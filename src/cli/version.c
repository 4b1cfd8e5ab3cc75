/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail version: of the program, and of the libraries that it runs with (not
 * those that it was built with): what a report of a fault has to say.
 */
#include "config.h"

#include <curl/curl.h>
#include <expat.h>
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/tool.h"

struct version {
	struct tool tool;
};

static const struct conf_opt own[] = {{NULL}};

static const struct tool_usage usage = {
    .verb = "version",
    .operands = "",
    .about = "Say the version of pail and of the libraries that it uses.",
    .examples = "  pail version\n"
		"  pail version --json | jq -r .pail\n",
    .own = own,
    .json = true,
};

struct library {
	const char *name;
	const char *version;
};
#define NLIBRARIES 7

static void
ask(struct library *v)
{
	v[0] = (struct library){"fuse", fuse_pkgversion()};
	v[1] = (struct library){
	    "curl", curl_version_info(CURLVERSION_NOW)->version};
	v[2] = (struct library){
	    "openssl", OpenSSL_version(OPENSSL_VERSION_STRING)};
	/* "expat_2.5.0" */
	v[3] = (struct library){
	    "expat", XML_ExpatVersion() + strcspn(XML_ExpatVersion(), "0123456789")};
	v[4] = (struct library){"zlib", zlibVersion()};
	v[5] = (struct library){"zstd", ZSTD_versionString()};
	v[6] = (struct library){"jansson", jansson_version_str()};
}

static int
print(struct tool *t, const struct library *v)
{
	json_t *j;

	if (!t->json) {
		printf("pail %s\n", PACKAGE_VERSION);
		for (unsigned i = 0; i < NLIBRARIES; i++)
			printf("%-8s %s\n", v[i].name, v[i].version);
		return 0;
	}
	j = json_pack("{s:s}", "pail", PACKAGE_VERSION);
	for (unsigned i = 0; j != NULL && i < NLIBRARIES; i++)
		if (json_object_set_new(
			j, v[i].name, json_string(v[i].version)) != 0) {
			json_decref(j);
			j = NULL;
		}
	return tool_print_json(j, stdout, &t->err);
}

static int
run(int argc, char **argv)
{
	struct version version = {0};
	struct library v[NLIBRARIES];
	int status = tool_begin(&version.tool, &usage, argc, argv);

	if (status != TOOL_GO)
		return status;
	ask(v);
	return tool_end(&version.tool, print(&version.tool, v));
}

const struct verb verb_version = {
    .name = "version",
    .summary = "say the versions of pail and of its libraries",
    .run = run,
};
