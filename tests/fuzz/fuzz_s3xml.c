/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of S3 servers: each input is read as every kind of document. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err e = ERR_INIT;
	struct s3_delete_result d;
	struct s3_sts_keys *k;
	struct s3_listing l;
	struct s3_fault f;

	if (s3_xml_listing(p, n, &l, &e) == 0) {
		must(l.n <= S3_XML_ENTRIES);
		for (size_t i = 0; i < l.n; i++)
			must(strlen(l.keys.s + l.v[i].key) ==
			    l.v[i].key_len);
	} else {
		must(e.rc < 0 && e.text[0]);
	}
	s3_listing_fini(&l);
	if (s3_xml_deleted(p, n, &d, &e) == 0)
		for (size_t i = 0; i < d.n; i++)
			must(d.v[i].key < d.text.len &&
			    d.v[i].code < d.text.len);
	s3_delete_result_fini(&d);
	if (s3_xml_fault(p, n, &f))
		must(f.code[0]);
	k = malloc(sizeof(*k));
	if (k)
		s3_xml_sts(p, n, k, &e);
	free(k);
	return 0;
}
