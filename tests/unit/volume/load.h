/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_VOLUME_LOAD_H
#define TESTS_UNIT_VOLUME_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "volume/volume.h"

/*
 * A load on a volume of which is known what must be there after a power
 * failure: writes, zeroings and flushes at random, several at a time, none over
 * another that is under way.
 *
 * Each write stamps its sectors with a number that only grows, and a zeroing is
 * remembered with the number it had.  Afterwards each sector holds what it held
 * when the last FLUSH that succeeded was submitted, or something newer.
 */
#define LOAD_SECTOR 512u
#define LOAD_SECTORS 4096u /* at most */
#define LOAD_DEPTH 16	   /* at most */
#define LOAD_WRITE 65536u

struct load;

struct load_flight {
	struct volume_req r;
	struct load *l;
	bool busy;
	uint32_t stamp;
	uint32_t at_submit[LOAD_SECTORS]; /* FLUSH: what was acknowledged */
	uint8_t buf[LOAD_WRITE];
};

struct load {
	/* By the caller. */
	struct loop *loop;
	struct volume *v;
	uint64_t seed; /* for messages */
	uint64_t *rnd; /* of the test; shared, so that all follows from it */
	uint32_t nsectors, block_size;
	unsigned depth, flush_percent, zero_percent;
	const bool *cut; /* requests may fail once it is true; NULL: never */

	uint32_t stamp;
	uint32_t acked[LOAD_SECTORS];  /* the newest acknowledged */
	uint32_t zeroed[LOAD_SECTORS]; /* the newest zeroing submitted */
	uint32_t safe[LOAD_SECTORS];   /* what flushes have promised */
	unsigned busy, flushes;
	bool idle; /* something has come home */
	struct load_flight f[LOAD_DEPTH];
};

/* Submit a request, or none if it would meet another one; fewer than depth are
 * under way. */
void load_start(struct load *l);
/* Until at most so many are under way. */
void load_wait(struct load *l, unsigned busy);
/* got: all of the volume, as it was found after a power failure. */
void load_check(const struct load *l, const uint8_t *got);
/* What was acknowledged and is lost counts no more; what was found is safe. */
void load_begin_with(struct load *l, const uint8_t *got);

#endif
