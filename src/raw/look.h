/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_LOOK_H
#define RAW_LOOK_H

#include <stdint.h>

/*
 * What is on a device that is to be a member: the best of its superblocks, read
 * at the places where the members of this pool have them.  end: the bytes that
 * the pool uses of each member, and the device has at least.
 *
 * done: once, on a later turn.  s: NULL if there is none, and when rc is
 * negative; then e has the sentence.  -ETIMEDOUT: it has not answered in 10 s,
 * and may be closed.  Returns -ENOMEM: done will not be called.
 */
struct err;
struct raw_super;
struct rdev;

int look_at(struct rdev *d, uint64_t end,
    void (*done)(void *arg, int rc, const struct raw_super *s,
	const struct err *e),
    void *arg);

#endif
