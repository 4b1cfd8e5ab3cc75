/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/*
 * The head of an HTTP answer, decoded line by line.  A pure function of its
 * lines: bytes from outside pass through here first, and nothing in them can
 * do more than make an error.
 *
 * Only headers that somebody in pail asks for are kept (see kept() in
 * answer.c: ETag, Content-Type, Content-Encoding, x-amz-* ...); what is not
 * kept may be of any length.  What is kept has limits, and a header beyond
 * them is an error that names it.
 */
struct err;

#define HTTP_VALUE_MAX 8192  /* bytes of one kept value */
#define HTTP_KEPT_MAX 96     /* kept headers in one answer */
#define HTTP_KEPT_BYTES 32768 /* their names and values together */

#define HTTP_UNKNOWN UINT64_MAX

struct http_answer {
	int status;	      /* 0 until a status line has come */
	bool complete;	      /* the empty line has come; trailers are ignored */
	bool chunked;	      /* the end of the body is marked */
	uint64_t length;      /* Content-Length, or HTTP_UNKNOWN */
	uint64_t range_first; /* Content-Range; range_first is HTTP_UNKNOWN */
	uint64_t range_last;  /* if there is none */
	uint64_t range_total; /* HTTP_UNKNOWN for "*" */
	int64_t date_s;	      /* Date, seconds since 1970; 0: none */
	int64_t modified_s;   /* Last-Modified */
	int64_t retry_after_s; /* -1: none */

	/* private: "name\0value\0" one after another, and where they begin */
	struct strbuf text;
	struct {
		uint32_t name, value;
	} kept[HTTP_KEPT_MAX];
	unsigned nkept;
};

void http_answer_init(struct http_answer *a);
void http_answer_fini(struct http_answer *a);
/* As after init, but the memory stays. */
void http_answer_clear(struct http_answer *a);

/*
 * Take one line, with or without its CRLF.  A status line begins a new answer
 * (an interim one, or that of a proxy, came before).  0; -EBADMSG with a
 * sentence when the line is damaged or too long; -ENOMEM.
 */
int http_answer_line(
    struct http_answer *a, const char *line, size_t n, struct err *e);

/* The value of a kept header (name in lower case), or NULL. */
const char *http_answer_get(const struct http_answer *a, const char *name);
/* The i-th kept header, in the order of the answer; false: no more. */
bool http_answer_nth(const struct http_answer *a, unsigned i,
    const char **name, const char **value);

#endif
