/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of stores: any text is taken or refused with a sentence. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "store/open.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	struct err e = ERR_INIT;
	struct url u;

	if (text == NULL)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	if (url_parse(&u, text, &e) < 0) {
		must(e.rc < 0 && e.text[0] != '\0');
	} else {
		size_t p = strlen(u.prefix);

		must(strcmp(u.text, text) == 0);
		/* prefix=TEXT need not end so. */
		must(p == 0 || u.prefix[p - 1] == '/' || strchr(text, '?'));
		must(p <= STORE_KEY_MAX / 2);
		must(u.path != NULL);
		must(url_param(&u, "volume") == NULL ||
		    strcmp(u.scheme, "s3") == 0);
		url_fini(&u);
	}
	free(text);
	return 0;
}
