/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HTTP_FAKE_H
#define TESTS_HTTP_FAKE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A small HTTP server for tests, on 127.0.0.1, that does exactly what a test
 * says: a handler sees each request and writes the raw bytes of the answer, or
 * of half an answer, or none.  One thread per connection; handlers of several
 * connections run at the same time.
 */
struct fake;

struct fake_request {
	char method[16];
	char target[2048];   /* "/bucket/key?query" */
	const char *head;    /* all header lines */
	const char *body;    /* NUL-terminated */
	size_t body_len;
	unsigned number;     /* of all, from 0 */
	unsigned connection; /* from 0 */
	unsigned on_it;	     /* of this connection, from 0 */
};

struct fake_conn;

typedef void fake_handler(
    void *arg, struct fake_conn *c, const struct fake_request *q);

struct fake *fake_start(fake_handler *h, void *arg);
void fake_stop(struct fake *f);
const char *fake_url(const struct fake *f); /* "http://127.0.0.1:PORT" */
unsigned fake_requests(const struct fake *f);
unsigned fake_connections(const struct fake *f); /* ever made */
unsigned fake_open(const struct fake *f);	 /* not closed yet */

/* The value of a header (name in lower case), copied into out; or false. */
bool fake_header(const struct fake_request *q, const char *name, char *out,
    size_t cap);

/* For handlers. */
void fake_send(struct fake_conn *c, const void *p, size_t n);
__attribute__((format(printf, 2, 3))) void fake_printf(
    struct fake_conn *c, const char *fmt, ...);
/* A whole answer with Content-Length; headers are lines with CRLF, or "". */
void fake_answer(struct fake_conn *c, int status, const char *headers,
    const char *body);
void fake_close(struct fake_conn *c); /* after this handler */
void fake_reset(struct fake_conn *c); /* the same, by RST */
void fake_sleep_ms(int ms);

#endif
