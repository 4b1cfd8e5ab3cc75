/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of stores against a real S3 server: the one that
 * tests/servers/radosgw prints (PAIL_TEST_ENDPOINT, PAIL_TEST_BUCKET, keys in
 * the environment).  Skipped without it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "store/open.h"
#include "store/store.h"
#include "unit/store/contract.h"

static int
open_s3(struct loop *l, void *arg, struct store **out, struct err *e)
{
	struct store_env env = {.loop = l};
	struct url u;
	int rc = url_parse(&u, arg, e);

	if (rc < 0)
		return rc;
	rc = store_open(&env, &u, false, out, e);
	url_fini(&u);
	return rc;
}

int
main(void)
{
	const char *endpoint = getenv("PAIL_TEST_ENDPOINT");
	const char *bucket = getenv("PAIL_TEST_BUCKET");
	struct contract c = {.name = "s3", .open = open_s3, .slow = true};
	struct strbuf url = STRBUF_INIT, prefix = STRBUF_INIT;
	int failed;

	if (!endpoint || !bucket) {
		printf("skipped: no PAIL_TEST_ENDPOINT and _BUCKET\n");
		return 77;
	}
	strbuf_printf(&url, "s3://%s?endpoint=%s", bucket, endpoint);
	strbuf_printf(&prefix, "contract-%d/", (int)getpid());
	c.arg = url.s;
	c.prefix = prefix.s;
	failed = contract_run(&c);
	strbuf_fini(&url);
	strbuf_fini(&prefix);
	return failed ? 1 : 0;
}
