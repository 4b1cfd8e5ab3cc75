/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_ALLOC_H
#define RAW_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The allocator: one bit for each data address, next-fit.
 *
 * It is not on the devices: opening a pool builds it from the index, which at
 * the same time finds an address that is used twice.
 *
 * One bit per 4 KiB is 32 MiB of memory for a TiB of raw space.
 */
struct alloc;

/* All of total addresses, of so many members, are free.  NULL: no memory. */
struct alloc *alloc_new(uint64_t total, unsigned members);
void alloc_free(struct alloc *a); /* accepts NULL */

/* n consecutive free addresses, near the last ones taken so that writes follow
 * each other, but so that their first member changes now and then.  -ENOSPC:
 * there is no such run (there may be shorter ones). */
int alloc_take(struct alloc *a, uint32_t n, uint64_t *addr);

/*
 * The last n addresses are for the index: alloc_take leaves them alone, so that
 * free space there does not come in pieces as small as the smallest object.
 * What is in use there already stays.  alloc_take_index looks there first.
 */
void alloc_set_zone(struct alloc *a, uint64_t n);
int alloc_take_index(struct alloc *a, uint32_t n, uint64_t *addr);
uint64_t alloc_zone_free(const struct alloc *a);

/* Mark what the index says is used.  -EEXIST: some of it is marked already;
 * -ERANGE: it is not inside. Nothing is changed then. */
int alloc_mark(struct alloc *a, uint64_t addr, uint32_t n);
/* All of it must be in use. */
void alloc_release(struct alloc *a, uint64_t addr, uint32_t n);

/*
 * So many addresses, from addr on and each the number of members behind the one
 * before (that is a run of sectors on one member), are never free again.  What
 * is in use stays so until it is released.  What lies outside is ignored.
 * -ENOMEM.
 */
int alloc_set_bad(struct alloc *a, uint64_t addr, uint32_t n);
bool alloc_is_bad(const struct alloc *a, uint64_t addr);
/* Bad ones that nobody uses; alloc_nfree does not count them. */
uint64_t alloc_nbad(const struct alloc *a);

/*
 * Space for discard: a run of at least n free addresses, where something was
 * released since it was last asked for; it is taken.  False: there is none now.
 * alloc_return gives it back.
 */
bool alloc_take_stale(
    struct alloc *a, uint32_t n, uint64_t *addr, uint32_t *run);
void alloc_return(struct alloc *a, uint64_t addr, uint32_t run);

uint64_t alloc_total(const struct alloc *a);
uint64_t alloc_nfree(const struct alloc *a);

#endif
