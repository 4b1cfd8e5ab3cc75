/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIMDISK_H
#define TESTS_SIMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A simulated disk behind raw/rdev.h: it completes requests in any order, and
 * at a power cut it keeps any part of what was written since the last flush,
 * torn at 512 bytes.  Everything is drawn from one seed, so that a run can be
 * repeated.
 *
 * There are two ways to lose power.  simworld.cut_at lets it happen in the run
 * itself, once; simdisk_settle then decides what is left.  A recording
 * (simrec_*) lets the run go on to its end and builds afterwards what the disks
 * could have held at each moment of it.
 */
struct loop;
struct rdev;
struct simdisk;
struct simrec;

#define SIM_MAXDISKS 32

/* Of fault.h, if the test has it: what the simulation allocates does not
 * fail. */
void fault_pause(bool pause) __attribute__((weak));
#define SIM_PAUSE(on) (fault_pause ? fault_pause(on) : (void)0)

/* What the disks of one machine share. */
struct simworld {
	uint64_t seed;	    /* state of the generator */
	uint64_t ops;	    /* writes and flushes so far, on all disks */
	uint64_t cut_at;    /* power goes at this one; 0: never */
	bool cut;	    /* it has: nothing changes the disks any more */
	struct simdisk *disk[SIM_MAXDISKS]; /* in order of simdisk_new */
	unsigned ndisks;
	struct simrec *rec; /* under way, or NULL */
};

uint64_t sim_random(struct simworld *w, uint64_t n); /* 0 to n-1 */

/* Memory is taken for sectors that are written only. */
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

/* Look at its bytes, and change them behind everybody's back; any offset. */
void simdisk_peek(struct simdisk *d, uint64_t off, void *p, size_t n);
void simdisk_poke(struct simdisk *d, uint64_t off, const void *p, size_t n);
uint64_t simdisk_bytes(const struct simdisk *d);
/* Bytes that were discarded, ever; they hold anything since. */
uint64_t simdisk_discarded(const struct simdisk *d);
/* A number that follows from all its bytes. */
uint64_t simdisk_hash(const struct simdisk *d);
/* Offsets of the sectors (4096 bytes) that were ever written, ascending; -1
 * behind the last one. */
int64_t simdisk_next_sector(const struct simdisk *d, int64_t after);

/* Faults.  Each holds until it is changed. */
struct simdisk_faults {
	bool dead;	  /* every request fails with EIO */
	bool fail_writes, fail_reads, fail_flush;
	bool lies;	  /* a flush does nothing, and says it did */
	/* Writes into [lose_from, lose_to) are acknowledged and lost; or, with
	 * misdirect, go that many bytes further on instead. */
	uint64_t lose_from, lose_to;
	int64_t misdirect;
	/* The n'th request of this kind (bit 1 << rdev_op) from now on fails,
	 * once, with this error (0: EIO). */
	uint64_t fail_nth;
	unsigned fail_ops;
	int fail_error;
	/* Writes that touch [unwritable_from, unwritable_to) fail: EIO. */
	uint64_t unwritable_from, unwritable_to;
	uint64_t full_from; /* not 0: writes at and behind it are ENOSPC */
	/* Requests of these kinds (bit 1 << rdev_op) are not answered before
	 * simdisk_release; what they write may be there at once. */
	unsigned hang_ops;
	/* Of the writes only those that touch these bytes (0, 0: all). */
	uint64_t hang_from, hang_to;
	int64_t slow_ns; /* every request takes so much longer */
	bool durable_writes; /* no fault: it has them; when it is opened */
};
struct simdisk_faults *simdisk_faults(struct simdisk *d);
/* How many requests hang. */
unsigned simdisk_hanging(const struct simdisk *d);
/* Answer what hangs. */
void simdisk_release(struct simdisk *d);

/* --- images ----------------------------------------------------------------- */

/* What a disk holds at one time; cheap, its sectors are shared. */
struct simimage;
struct simimage *simdisk_save(struct simdisk *d);
void simdisk_load(struct simdisk *d, const struct simimage *im);
void simimage_free(struct simimage *im); /* accepts NULL */

/* --- recordings --------------------------------------------------------------- */

/*
 * From simrec_start to simrec_stop every write and every flush of all disks of
 * the world is an event, 1, 2, ...: a write when it is submitted, a flush when
 * it has completed.  At moment e the events up to e have happened.  A write is
 * then absent, in doubt (not covered by a completed flush), or durable.
 */
struct simrec *simrec_start(struct simworld *w); /* nothing in flight */
void simrec_stop(struct simrec *r);
void simrec_free(struct simrec *r);
unsigned simrec_now(const struct simworld *w); /* events so far */

/* How a write in doubt ended. */
enum sim_rest { SIM_REST_OLD, SIM_REST_ZERO, SIM_REST_GARBAGE };
struct sim_fate {
	bool whole;
	uint32_t upto;	    /* not whole: so many bytes are written, */
	enum sim_rest rest; /* and this is in the others */
	uint64_t mask_seed; /* not 0: any 512 bytes are written or old */
};
/* The writes in doubt at e, oldest first (their numbers, for which below is
 * asked); at most max of them. */
unsigned simrec_doubt(
    const struct simrec *r, unsigned e, unsigned *write, unsigned max);
uint32_t simrec_write_bytes(const struct simrec *r, unsigned write);
unsigned simrec_write_disk(const struct simrec *r, unsigned write);
/* A number for the set of writes that are durable at e: the xor of their ids. */
uint64_t simrec_write_id(unsigned write);
uint64_t simrec_durable(const struct simrec *r, unsigned e);
/* Put all disks into the state of moment e; fate[i] is that of the i'th write
 * in doubt, of ndoubt. */
void simrec_build(const struct simrec *r, unsigned e,
    const struct sim_fate *fate, unsigned ndoubt);

#endif
