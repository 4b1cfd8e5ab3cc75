/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_JNLWAIT_H
#define TESTS_LIB_JNLWAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "loop/loop.h"

/*
 * Waiting for a journal in a test: each runs the loop until the answer is there.
 * A loop that has nothing to wait for any more ends the program.
 */

/* Time passes, and what happens in it. */
void wait_ns(struct loop *l, int64_t ns);

struct flushing {
	struct journal_wait w;
	bool done;
	int rc;
};
/* journal_flush; its answer does not come before it returns. */
void flush_begin(struct flushing *x, struct journal *j);
/* The same, and its answer. */
int flush_now(struct journal *j, struct loop *l);

/* What operation op wrote there; journal_read's answer. */
int read_now(struct journal *j, struct loop *l, uint64_t op, uint64_t off,
    uint64_t len, uint8_t *to);

#endif
