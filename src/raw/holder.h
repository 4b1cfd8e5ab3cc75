/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_HOLDER_H
#define RAW_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Who has a device locked: for the sentence of a refusal.
 */

/* "process 4711 (pail mount raw:... /mnt)", or "another process" where it
 * cannot be seen.  out is filled in any case, and returned. */
#define RAW_HOLDER_MAX 256
char *raw_holder(int fd, char out[RAW_HOLDER_MAX]);

/* A line of /proc/locks: does it say that somebody has a lock of this file (by
 * flock)? */
bool raw_holder_parse(
    const char *line, dev_t dev, ino_t ino, pid_t *pid);

#endif
