/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Numbers, sizes and durations that people write, and the same for people to
 * read.  The whole text must be one value: no spaces, no sign, nothing after
 * it.  -EINVAL: not understood; -ERANGE: too large.  The sentence in e begins
 * with the text in quotation marks; the caller wraps it with the name.
 */
struct err;

int parse_u64(const char *s, uint64_t *out, struct err *e);

/* 4096, 4K, 4k, 4KiB, 1.5T, 512B: powers of 1024, K M G T P E.  A fraction must
 * give a whole number of bytes.  "KB" is refused: nobody knows which it is. */
int parse_size(const char *s, uint64_t *out, struct err *e);

/* 30s, 250ms, 1.5h, 2m30s, 7d; units ns us ms s m h d; a plain number is
 * seconds. */
int parse_duration(const char *s, int64_t *out_ns, struct err *e);

/* yes no true false on off 1 0, in any case. */
int parse_bool(const char *s, bool *out, struct err *e);

/* For people.  buf has FORMAT_MAX bytes; each returns buf. */
#define FORMAT_MAX 32

/* About: "1.5 GiB", "12 B". */
char *format_size(char *buf, uint64_t bytes);
/* Exactly, as parse_size reads it: "128K", "1T", "1000". */
char *format_size_exact(char *buf, uint64_t bytes);
/* "87.3 MiB/s": as sizes are counted. */
char *format_rate(char *buf, double bytes_per_s);
/* About: "250 ms", "2m 30s", "3h 05m". */
char *format_duration(char *buf, int64_t ns);
/* With separators: "1,234,567". */
char *format_count(char *buf, uint64_t n);

#endif
