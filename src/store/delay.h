/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DELAY_H
#define STORE_DELAY_H

#include <stdint.h>

/*
 * A filter for tests and simulations: each request takes a while before it is
 * passed on (its effect comes at the end of the delay): a random time between
 * min_ns and max_ns, and the time its bytes need.
 */
struct err;
struct store;

struct delay_config {
	int64_t min_ns, max_ns;
	uint64_t bytes_per_s; /* 0: no matter how many */
	uint64_t seed;
};

/* Takes below, also on failure. */
int delay_store_new(struct store *below, const struct delay_config *c,
    struct store **out, struct err *e);

#endif
