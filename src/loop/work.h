/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_WORK_H
#define LOOP_WORK_H

#include "loop/loop.h"

/*
 * A pool of threads for what would hold up a loop: hashing, compression and
 * encryption of large blocks, and calls that block (getaddrinfo, files where
 * io_uring is forbidden).
 *
 * run() is called on a thread of the pool and owns what the work points to;
 * done() is then called on the loop.  Order among works is not kept.
 */
struct err;
struct work_pool;

struct work {
	void (*run)(struct work *w);
	void (*done)(struct work *w);
	struct loop *loop;     /* private from here */
	struct loop_task task;
	struct work *next;
};

struct work_pool *work_pool_new(unsigned nthreads, struct err *e);
/* All works must be done; joins the threads.  Accepts NULL. */
void work_pool_free(struct work_pool *p);
/* Cannot fail. */
void work_submit(struct work_pool *p, struct loop *l, struct work *w);

#endif
