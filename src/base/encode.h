/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes as text: percent-encoding, hexadecimal, base64.  Decoders are strict
 * and take any input.
 */
struct strbuf;

/* RFC 3986 with upper-case digits: everything is encoded but letters, digits,
 * "-", ".", "_", "~", and "/" if keep_slash.  (That is what SigV4 wants.) */
void percent_encode(
    struct strbuf *out, const char *s, size_t n, bool keep_slash);
/* -EINVAL: a "%" without two hexadecimal digits; out is then undefined.  Bytes
 * of any value may come out, NUL too: compare out->len. */
int percent_decode(struct strbuf *out, const char *s, size_t n);

/* Lower case; out has 2 * n + 1 bytes. */
void hex_encode(char *out, const void *p, size_t n);
/* n bytes from exactly 2 * n digits of either case, ended by a NUL. */
int hex_decode(void *out, size_t n, const char *s);

/* Bytes of out for n bytes, with the NUL. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
void base64_encode(char *out, const void *p, size_t n);
/* The bytes decoded; -EINVAL: not base64 with its padding; -ENOSPC: more than
 * cap. */
int64_t base64_decode(void *out, size_t cap, const char *s, size_t n);

#endif
