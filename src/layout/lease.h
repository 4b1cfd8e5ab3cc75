/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_LEASE_H
#define LAYOUT_LEASE_H

#include <stdbool.h>

#include "layout/lease_owner.h"

/*
 * The lease: who may write to a volume.  s3backer's mount token is the lease,
 * so that the two programs respect each other.
 *
 *  Y6. Of many who acquire a lease at once at most one gets it, on a store that
 *      can put only if absent; where the store cannot, two get it only if a
 *      request of one of them is on its way for longer than a second.
 *  Y7. A lease is taken over only from one who is provably gone, or by force.
 *  Y8. A release removes the lease only while it is ours.
 *  Y9. A mount that goes on in another process keeps its lease: the record's
 *      id stays, the processes in it change.  Nobody else can take it in
 *      between, and where somebody has (by force), the mount does not fight.
 *
 * Functions run the store's loop until they are done.
 */
struct err;
struct lease;
struct store;

struct lease_state {
	bool held;
	struct lease_owner owner; /* if held */
};

/* Who holds it?  Writes nothing. */
int lease_look(struct store *s, const char *prefix, struct lease_state *st,
    struct err *e);

/* -EBUSY with who, since when, and what to do, if it is held by somebody who
 * is not provably gone (me asks).  Writes nothing. */
int lease_check(struct store *s, const char *prefix,
    const struct lease_owner *me, struct err *e);

/*
 * Take it for me (copied).  force: whoever has it.  -EBUSY as above.  After
 * another error it is not known whether we have it; the next who asks on this
 * machine finds out that we are gone.
 */
int lease_acquire(struct store *s, const char *prefix,
    const struct lease_owner *me, bool force, struct lease **out,
    struct err *e);

/* The same for a process that carries on a mount: me has the id of the lease
 * that the mount holds.  -ESTALE: somebody else has it now. */
int lease_resume(struct store *s, const char *prefix,
    const struct lease_owner *me, struct lease **out, struct err *e);

/* The id of the one that it was taken over from; "" if it was free, or that one
 * has none. */
const char *lease_prior(const struct lease *l);

/* Give it up and free l.  -ESTALE: somebody has taken it from us. */
int lease_release(struct lease *l, struct err *e);
void lease_free(struct lease *l); /* keeps it in the store; accepts NULL */

/* Delete it, and all traces of takeovers, whoever has it. */
int lease_break(struct store *s, const char *prefix, struct err *e);

#endif
