/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_STOREDOOR_H
#define FRONT_STOREDOOR_H

#include <stdint.h>
#include <sys/types.h>

/*
 * The socket through which others ask a process about the raw-device store that
 * it has open (storecmd.h has the questions).  It is in the abstract name
 * space, and its name has the store's UUID and the process, so that both can be
 * found.  Only root and the process's own user are answered.
 */
struct err;
struct fileio;
struct loop;
struct pool;
struct storedoor;

struct storedoor_params {
	struct pool *pool;
	struct fileio *fileio;
	const char *url, *dir; /* borrowed; where it is mounted */
};

int storedoor_open(struct loop *l, const struct storedoor_params *p,
    struct storedoor **out, struct err *e);
/* Everything that was asked is ended; runs the loop until then.  Accepts
 * NULL. */
void storedoor_close(struct storedoor *d);

/*
 * The other side: the socket of the process that has the store of this UUID
 * open, or with uuid NULL of the process pid.  -ENOENT: there is none.
 */
int storedoor_connect(
    const uint8_t uuid[16], pid_t pid, int *fd, struct err *e);

/* The same in a text as /proc/net/unix has it (changed while it is read): the
 * name (STOREDOOR_NAME_MAX bytes); 0 or -ENOENT. */
#define STOREDOOR_NAME_MAX 80
int storedoor_find_in(
    char *table, const uint8_t uuid[16], pid_t pid, char *name);

#endif
