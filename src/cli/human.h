/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Numbers for people.  Each function writes into the caller's buffer, which
 * has HUMAN_MAX bytes, and returns it.
 */
#define HUMAN_MAX 40

/* "17 B", "4.0 KiB", "1.5 TiB": three or four digits, powers of 1024. */
char *human_bytes(char *buf, uint64_t n);
/* "1,234,567" */
char *human_count(char *buf, uint64_t n);
/* "0:07", "3:05", "2:03:05", "3 d 4 h" */
char *human_seconds(char *buf, uint64_t s);
/* Wall clock, "2026-05-04 13:05:00 UTC"; "-" for 0. */
char *human_time(char *buf, int64_t wall_ns);

#endif
