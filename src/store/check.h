/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include <stdint.h>

/*
 * A filter for tests, on top of a stack: it checks the user of the store, and
 * gives him what the contract allows and few stores do.
 *
 *  - must: never two PUT, DELETE or BATCH in flight for one key (W5);
 *  - must: the bytes of a PUT are the same at the end as at the beginning (W3);
 *  - a GET's buffer is filled with rubbish first, and what is asked for beyond
 *    the answer stays so;
 *  - answers come in an order that the seed shuffles.
 */
struct err;
struct store;

/* Takes below, also on failure. */
int check_store_new(struct store *below, uint64_t seed, struct store **out,
    struct err *e);

#endif
