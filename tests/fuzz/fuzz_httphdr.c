/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP answers, line by line as libcurl hands them over; then what
 * the answer says is judged as S3's. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "http/answer.h"
#include "s3/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
judge(const struct http_answer *a, const char *body, size_t n)
{
	struct s3_asked q = {"GET s3://b/k", "b", "http://h", "r", "id", "x",
	    1369353600, false, false, true};
	struct s3_verdict v;
	struct err e = ERR_INIT;

	s3_judge(a, body, n, &q, &v, &e);
	must(v.rc < 0 && e.rc == v.rc && e.text[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *p = (const char *)data, *end = p + n, *name, *value;
	struct err e = ERR_INIT;
	struct http_answer a;

	http_answer_init(&a);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *to = nl ? nl + 1 : end;

		if (http_answer_line(&a, p, (size_t)(to - p), &e) < 0)
			break;
		p = to;
		if (a.complete && a.status >= 300)
			break;
	}
	for (unsigned i = 0; http_answer_nth(&a, i, &name, &value); i++)
		must(strlen(value) <= HTTP_VALUE_MAX);
	must(a.range_first == HTTP_UNKNOWN || a.range_first <= a.range_last);
	judge(&a, p, (size_t)(end - p));
	http_answer_fini(&a);
	return 0;
}
