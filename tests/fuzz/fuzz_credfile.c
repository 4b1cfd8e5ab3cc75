/* SPDX-License-Identifier: Apache-2.0 */
/* Files and JSON that keys are kept in. */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/must.h"
#include "s3/cred.h"
#include "s3/credfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *p = (const char *)data;
	struct err e = ERR_INIT;
	struct s3_cred *k;
	char *a, *b;

	if (s3_access_file_find(p, n, NULL, &a, &b, &e) == 0) {
		must(a[0]);
		free(a);
		free(b);
	} else {
		must(e.text[0]);
	}
	if (s3_access_file_find(p, n, "AKIA", &a, &b, &e) == 0) {
		free(a);
		free(b);
	}
	if (s3_ini_find(p, n, "default", "region", &a, &e) == 0)
		free(a);
	if (s3_cred_json(p, n, &k, &e) == 0) {
		must(k->id[0] && k->secret[0]);
		s3_cred_unref(k);
	}
	return 0;
}
