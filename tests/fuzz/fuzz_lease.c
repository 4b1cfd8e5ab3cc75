/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_lease.c: a mount token: its headers, a line each, and after an empty
 * line its body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "layout/lease_owner.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meta *m = meta_new();
	struct lease_owner o, me = {.boot = "b", .pidns = "1", .machine = "m"};
	const uint8_t *nl;
	char who[64];

	must(m != NULL);
	while (size > 0 && (nl = memchr(data, '\n', size)) != NULL) {
		size_t n = (size_t)(nl - data);
		char line[512], *value;

		data += n + 1;
		size -= n + 1;
		if (n == 0)
			break;
		if (n >= sizeof(line))
			continue;
		memcpy(line, data - n - 1, n);
		line[n] = '\0';
		value = strchr(line, ':');
		if (value != NULL) {
			*value++ = '\0';
			(void)meta_add(m, line, value);
		}
	}
	lease_owner_decode(&o, m, data, size);
	must(o.token != 0);
	must(strlen(o.id) == 0 || strlen(o.id) == LEASE_ID_LEN);
	must(lease_owner_same(&o, &o) == (o.id[0] != '\0'));
	(void)lease_owner_gone(&o, &me);
	lease_owner_describe(&o, who, sizeof(who));
	meta_unref(m);
	return 0;
}
