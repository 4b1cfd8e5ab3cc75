/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MEMBERLAB_H
#define TESTS_MEMBERLAB_H

/*
 * What the tests of membership add to the laboratory (lib/rawlab.h): changes of
 * members that are waited for, time that passes, and the question whether the
 * redundancy that a pool says it has is there.
 */
#include "lib/rawlab.h"
#include "raw/repair.h"

struct rdev;

#define ALL ~0u
#define READS (1u << RDEV_READ)
#define WRITES (1u << RDEV_WRITE)
#define FLUSHES (1u << RDEV_FLUSH)
#define EVERYTHING (READS | WRITES | FLUSHES)

/* Columns of a lab's disks are its numbers; spares are opened by the tests. */
struct rdev *ml_open_disk(struct lab *lab, struct simdisk *d, const char *name);

/* rc of the change; *e may be NULL. */
int ml_offline(struct lab *lab, unsigned column, bool force, struct err *e);
int ml_online(struct lab *lab, struct simdisk *d, bool force, struct err *e);
int ml_replace(struct lab *lab, unsigned column, struct simdisk *d, bool force,
    struct err *e);
/* Wait until nothing is rebuilt. */
int ml_rebuilt(struct lab *lab);
int64_t ml_now(const struct lab *lab);

void ml_status(struct lab *lab, struct pool_status *st);
enum pool_health ml_health(struct lab *lab);
enum raw_member_state ml_state(struct lab *lab, unsigned column);

/* Open with force. */
int ml_open(struct lab *lab, uint32_t with, bool force, struct err *e);

/* Write all keys anew, with other sizes; and some, and delete some. */
void ml_write_all(struct lab *lab, struct lab_object *model);
void ml_write_some(struct lab *lab, struct lab_object *model, unsigned n);
struct lab_object ml_object(struct lab *lab);

/*
 * The pool is closed, and was whole: with any k of its members, and no others,
 * everything can be read.  How many sets were tried.
 */
unsigned ml_check_redundancy(
    struct lab *lab, const struct lab_object *model, const char *where);

#endif
