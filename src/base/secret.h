/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>

/*
 * Passwords and keys in files.  What was read is wiped from memory where it is
 * no longer wanted; it is never part of a message.
 */
struct err;

/*
 * The first line of a file, without its end, as a string in out (cap bytes with
 * the NUL).  what names it in messages ("password file").  A pipe will do as
 * well ("/dev/fd/3").  A file that others may read is used, with a warning.
 * -ENOENT, -EACCES ... of open; -EISDIR; -EINVAL: the line is empty or has a
 * NUL; -E2BIG: it is too long.  After an error out is wiped.
 */
int secret_read_line(
    const char *path, const char *what, char *out, size_t cap, struct err *e);

/* Wipe and free a string; accepts NULL. */
void secret_free(char *s);

#endif
