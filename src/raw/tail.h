/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_TAIL_H
#define RAW_TAIL_H

#include <stdint.h>

#include "base/list.h"

/*
 * The end of the log at opening: commits of which no record says that they are
 * durable.  Is all that they have put there?  Several objects are read at a
 * time; what is found is noted in p->recover_tail, in the order of commits.
 */
struct pool;
struct raw_item;

struct tail {
	struct pool *p;
	uint64_t good; /* all is whole after this commit */
	/* private */
	struct list checks; /* those under way, in order */
	unsigned nchecks;
	uint64_t bytes; /* being read for them */
};

void tail_init(struct tail *t, struct pool *p, uint64_t durable);
/* The next item of commit seq.  -ENOMEM; it is borrowed only for the call. */
int tail_item(struct tail *t, const struct raw_item *it, uint64_t seq);
/* Its last item was that. */
int tail_commit(struct tail *t, uint64_t seq);
/* Wait for what is under way, then t->good is right; call it after a failure,
 * too.  rc, or a failure of its own. */
int tail_end(struct tail *t, int rc);

#endif
