/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIMDISK_H
#define TESTS_SIMDISK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A simulated disk behind raw/rdev.h: it completes requests in any order, and
 * at a power cut it keeps any part of what was written since the last flush,
 * torn at 512 bytes.  Everything is drawn from one seed, so that a run can be
 * repeated.
 */
struct loop;
struct rdev;
struct simdisk;

/* What the disks of one machine share. */
struct simworld {
	uint64_t seed;	    /* state of the generator */
	uint64_t ops;	    /* writes and flushes so far, on all disks */
	uint64_t cut_at;    /* power goes at this one; 0: never */
	bool cut;	    /* it has: nothing changes the disks any more */
};

uint64_t sim_random(struct simworld *w, uint64_t n); /* 0 to n-1 */

struct simdisk *simdisk_new(struct simworld *w, uint64_t bytes);
void simdisk_free(struct simdisk *d);
/* A device over it; rdev_close leaves the disk.  After a power cut its requests
 * fail. */
struct rdev *simdisk_open(struct simdisk *d, struct loop *l, const char *name);

/* What of the unflushed writes is on the disk after the cut? */
enum sim_keep {
	SIM_KEEP_NONE,
	SIM_KEEP_ALL,
	SIM_KEEP_SOME, /* each with even chance, whole */
	SIM_KEEP_TORN  /* each 512 bytes with even chance */
};
void simdisk_settle(struct simdisk *d, enum sim_keep keep);

/* The disk's bytes as a read sees them now. */
uint8_t *simdisk_image(struct simdisk *d);

/* Faults.  Each holds until it is changed. */
struct simdisk_faults {
	bool dead;	  /* every request fails with EIO */
	bool fail_writes, fail_reads, fail_flush;
	bool lies;	  /* a flush does nothing, and says it did */
};
struct simdisk_faults *simdisk_faults(struct simdisk *d);

#endif
