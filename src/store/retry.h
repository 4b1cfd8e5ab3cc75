/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RETRY_H
#define STORE_RETRY_H

#include <stdint.h>

/*
 * A filter: ask again when an error is transient (store_rc_transient).
 *
 *  R1. A permanent error ends the request at once, as it is.
 *  R2. Before the n'th repetition it waits a random time up to
 *      first_ns * 2^(n-1), at most max_ns, and not less than what the server
 *      asked for (retry_after_ns).
 *  R3. No try begins later than deadline_ns after the first one began (its
 *      time in a queue below does not count): then, or as soon as R2 asks to
 *      wait longer than that, the last error is the answer, with how long and
 *      how often it was tried.
 *  R4. PUT, DELETE and BATCH: if a try has ended without an answer, so that it
 *      may be done later, what is reported is success or -ETIMEDOUT.
 *  R5. A PUT if_absent that finds an object after such a try reads it, and
 *      succeeds if the bytes are its own.
 *  R6. A try that ended without an answer may reach the object late.  Until
 *      late_ns after it, no other PUT, DELETE or BATCH of its key is sent: it
 *      waits here.  So the late one cannot replace what came after it.  This
 *      holds as well if the request of that try has given up.
 *
 *  R7. Until the store has answered anything at all, the deadline of R3 is
 *      start_ns, and no try lasts longer: who starts something with a wrong
 *      address learns it soon.  An answer is whatever shows that somebody is
 *      there, -EAGAIN too.
 *
 * R6 rests on late_ns being longer than a server (and what stands before it)
 * holds a request whose client has gone.
 */
struct err;
struct stat_set;
struct store;

struct retry_config { /* 0 takes the default */
	int64_t deadline_ns; /* 30 s */
	int64_t start_ns;    /* R7; 0: as deadline_ns */
	int64_t first_ns;    /* 100 ms */
	int64_t max_ns;	     /* 5 s */
	int64_t late_ns;     /* 30 s; negative: no R6 */
	uint64_t seed;	     /* of the jitter; 0: from the clock */
	struct stat_set *stats; /* borrowed; or NULL */
};

struct retry_state { /* for stats and tests */
	uint64_t retries;  /* tries that were not the first */
	uint64_t gave_up;  /* requests that ended by R3 */
	uint64_t settled;  /* R5: found their own object */
	uint64_t held;	   /* R6: had to wait */
	unsigned waiting;  /* now, by R2 or R6 */
	int64_t failing_ns; /* since when nothing has succeeded; 0: it has */
};

/* Takes below, also on failure. */
int retry_store_new(struct store *below, const struct retry_config *c,
    struct store **out, struct err *e);
void retry_store_state(const struct store *s, struct retry_state *st);

#endif
