/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_XML_H
#define S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/*
 * The XML that S3 servers answer with.  Pure functions of bytes from outside,
 * with limits on depth, on the length of each text and on the number of
 * entries; document types (and so entities) are refused.
 */
struct err;

#define S3_XML_DEPTH 8
#define S3_XML_TEXT 16384    /* bytes of one element's text */
#define S3_XML_ENTRIES 10000 /* keys in one page, results of one batch */

struct s3_list_entry {
	uint32_t key; /* where it begins in keys.s, NUL-terminated, decoded */
	uint32_t key_len;
	uint64_t size;
	int64_t modified_s; /* 0: not known */
	char etag[80];	    /* without quotation marks */
};

struct s3_listing { /* ListBucketResult, of version 1 or 2 */
	struct s3_list_entry *v;
	size_t n, cap;
	struct strbuf keys;
	bool truncated;
	bool v1; /* it has Marker and no KeyCount: this is version 1 */
};

struct s3_delete_result {
	struct s3_deleted {
		uint32_t key, code, message; /* in text.s; code 0: deleted */
	} *v;
	size_t n, cap;
	struct strbuf text;
};

struct s3_fault { /* Error; texts cut to fit, "" if not there */
	char code[64];
	char message[256];
	char request_id[80];
	char region[64];
	char endpoint[160];
	char server_time[40];
};

/* 0; -EBADMSG with a sentence; -ENOMEM.  The result is to be finished in any
 * case; it need not be initialised. */
int s3_xml_listing(const void *p, size_t n, struct s3_listing *l,
    struct err *e);
void s3_listing_fini(struct s3_listing *l);

int s3_xml_deleted(const void *p, size_t n, struct s3_delete_result *d,
    struct err *e);
void s3_delete_result_fini(struct s3_delete_result *d);

/* False if p is no Error document; f is then empty. */
bool s3_xml_fault(const void *p, size_t n, struct s3_fault *f);

struct s3_sts_keys { /* Credentials of an AssumeRole...Response */
	char id[256], secret[256];
	char token[S3_XML_TEXT + 1];
	int64_t expires_s;
};
int s3_xml_sts(const void *p, size_t n, struct s3_sts_keys *k,
    struct err *e);

/* "2009-10-12T17:50:30.000Z" as seconds since 1970; 0: not understood. */
int64_t s3_parse_time(const char *text);

/* Append text as XML character data. */
void s3_xml_escape(struct strbuf *b, const char *text);

#endif
