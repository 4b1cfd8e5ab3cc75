/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_ALLOC_H
#define RAW_ALLOC_H

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

/* All of total addresses are free.  NULL: no memory. */
struct alloc *alloc_new(uint64_t total);
void alloc_free(struct alloc *a); /* accepts NULL */

/* n consecutive free addresses, near the last ones taken so that writes follow
 * each other.  -ENOSPC: there is no such run (there may be shorter ones). */
int alloc_take(struct alloc *a, uint32_t n, uint64_t *addr);
/* Mark what the index says is used.  -EEXIST: some of it is marked already;
 * -ERANGE: it is not inside. Nothing is changed then. */
int alloc_mark(struct alloc *a, uint64_t addr, uint32_t n);
/* All of it must be in use. */
void alloc_release(struct alloc *a, uint64_t addr, uint32_t n);

uint64_t alloc_total(const struct alloc *a);
uint64_t alloc_nfree(const struct alloc *a);

#endif
