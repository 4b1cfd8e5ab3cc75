/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_FAULT_H
#define STORE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A filter for tests: requests go wrong as its rules say.
 *
 * A request meets the rules in the order in which they were added; the first
 * one that matches and is due decides.  Everything that is random comes from
 * the seed.
 */
struct err;
struct store;

enum fault_kind {
	FAULT_FAIL,  /* not done below; ends with rc */
	FAULT_LOST,  /* done below, but ends with rc (the reply was lost) */
	FAULT_LATE,  /* PUT, DELETE: ends with rc now, done below late_ns later;
		      * others: as FAULT_FAIL */
	FAULT_HANG   /* waits for fault_release, then is done; a cancel, and its
		      * deadline (with -ETIMEDOUT), end it undone */
};

struct fault_rule {
	/* Which requests match. */
	unsigned ops;	 /* bits 1 << STORE_GET ...; 0: all */
	const char *key; /* fnmatch pattern, copied; NULL: any */
	/* Which of the matching ones are due. */
	unsigned skip;	/* not the first so many */
	unsigned every; /* of the others each k'th; 0 or 1: all */
	unsigned times; /* at most so many; 0: no limit */
	unsigned permille; /* with this probability; 0: surely */
	int64_t from_ns, until_ns; /* between these times of the loop; 0: any */
	/* What happens. */
	enum fault_kind kind;
	int rc; /* 0: -ETIMEDOUT for LOST and LATE, else -EAGAIN */
	int64_t late_ns;
	int64_t retry_after_ns; /* told with rc */
};

/* Takes below, also on failure. */
int fault_store_new(struct store *below, uint64_t seed, struct store **out,
    struct err *e);

int fault_add(struct store *s, const struct fault_rule *rule);
/* Everything works again; what hangs still hangs, what is late comes. */
void fault_clear(struct store *s);
/* All that hang are done, on the next turn. */
void fault_release(struct store *s);

struct fault_state {
	uint64_t seen;	  /* requests that came */
	uint64_t hits;	  /* that met a rule */
	unsigned hanging; /* now */
	unsigned late;	  /* still to be done below */
};
void fault_state(const struct store *s, struct fault_state *st);

#endif
