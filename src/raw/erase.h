/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_ERASE_H
#define RAW_ERASE_H

/*
 * The end of a pool: its superblocks are overwritten, so that no device is a
 * member of anything any more.  What was on it stays where it is, but nothing
 * says any more what it was.
 */
struct err;
struct fileio;
struct loop;
struct raw_super;

/*
 * What the devices of a list (raw/open.h) belong to: one pool, all of them.
 * -EINVAL with a sentence if they do not.  *n: how many there are.
 */
int raw_erase_look(struct loop *l, struct fileio *io, const char *list,
    struct raw_super *s, unsigned *n, struct err *e);

/* Do it.  Everything is looked at again first: when that fails nothing was
 * changed.  Devices that somebody has open are refused (-EBUSY). */
int raw_erase(
    struct loop *l, struct fileio *io, const char *list, struct err *e);

#endif
