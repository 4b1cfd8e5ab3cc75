/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DIR_H
#define STORE_DIR_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The store in a directory of files, and the blocking functions that it is
 * made of (dirops.c, dirlist.c), which run on its own threads.
 */
struct err;
struct loop;
struct store;
struct store_req;

/* -ENOENT: there is no directory, or an empty one, and create is false. */
int dir_store_open(struct loop *l, const char *path, bool create,
    struct store **out, struct err *e);

/* --- inside the store ------------------------------------------------------- */

struct dir_root {
	char *path;    /* of the store's directory */
	char *url;     /* for messages */
	int fd;	       /* of the directory */
	int objects;   /* where objects are */
	int tmp;       /* where they are while they are written */
	uint64_t nonce; /* of this process, in the names there */
	uint64_t seq;	/* atomic */
};

/* Carry out r on this thread, and fill in its answer; returns its rc. */
int dir_do(struct dir_root *d, struct store_req *r);
int dir_list(struct dir_root *d, struct store_req *r);

/* Set r->err: "URL: OP KEY: WHAT PATH/NAME: REASON". */
int dir_fail(struct dir_root *d, struct store_req *r, int rc,
    const char *what, const char *name);

/* Remove what a process that is no more has left in tmp. */
void dir_clean_tmp(struct dir_root *d);

#endif
