/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LATE_H
#define STORE_LATE_H

#include <stdint.h>

/*
 * Which keys may be written late: by a try that nobody waits for any more
 * (retry.h R6).  A table of a fixed size.  Keys are remembered by hash, so two
 * may be taken for one, which costs a needless wait; and when it is full it
 * answers for every key as for the latest.  It errs on the safe side only.
 */
#define LATE_SLOTS 1024

struct late {
	struct late_slot {
		uint64_t hash;
		int64_t until_ns;
	} v[LATE_SLOTS];
	int64_t last_ns; /* the greatest until_ns of all */
	int64_t all_ns;	 /* keys that are not here; 0 usually */
};

void late_add(struct late *t, const char *key, int64_t now, int64_t until_ns);
/* When nothing is outstanding for key any more; 0: nothing is. */
int64_t late_until(const struct late *t, const char *key, int64_t now);

#endif
