/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_FLIGHT_H
#define RAW_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/stat.h"
#include "loop/loop.h"

/*
 * Requests to members, with an end in time whatever the device does.
 *
 * A read that is late is given back with FLIGHT_LATE, and the extent is read
 * from the others; when the device answers at last, nobody listens.  So the
 * memory of a read belongs to a buf, of which the flight keeps a reference
 * until then.  A write waits, as long as silent.h has it; then the member is out,
 * and everything under way to it ends with -EIO.
 */
struct buf;
struct pool;
struct rdev_req;

/* rc of a read that is not waited for any longer: no error of the device. */
#define FLIGHT_LATE (-EINPROGRESS)

#define FLIGHT_SUSPECT_NS (2 * NS_PER_S) /* then reads go around it */
#define FLIGHT_HEDGE_LEAST_NS (10 * NS_PER_MS)
#define FLIGHT_HEDGE_UNKNOWN_NS (100 * NS_PER_MS)
#define FLIGHT_ROOM_NS (60 * NS_PER_S) /* a write waits for room on the host */
#define FLIGHT_ROOM_EACH_NS NS_PER_S   /* and is tried again */
#define FLIGHT_WINDOW_NS (10 * NS_PER_S) /* of latencies */
#define FLIGHT_SLOW_WINDOWS 6

/* What is known of the answers of one member; inside struct member. */
struct flights {
	struct list unsent; /* of struct rdev_req: there was no memory */
	struct list up;	   /* of struct flight, oldest first: somebody waits */
	struct list given_up; /* nobody waits; the device has not answered */
	bool suspect;	   /* something is older than FLIGHT_SUSPECT_NS */
	bool slow;
	unsigned slow_windows; /* so many in a row it was much slower */
	uint64_t timeouts, hedged, late;
	int late_rc; /* the last error of a write or flush, late or not */
	int64_t heard_ns; /* when the newest began that was answered */
	/* Read latencies: of this window, and p99 of the one before. */
	struct stat_hist reads;
	uint64_t p99_ns; /* 0: too few */
};

void flights_init(struct flights *f);

/*
 * Send r, which is as rdev.h says, to the member of that column, which is in
 * use.  r->done is called on a later turn.  mem: the buf that r's memory is in
 * (may be NULL of a write).  patient: a read that nothing else can replace.
 */
void flight_submit(struct pool *p, unsigned column, struct rdev_req *r,
    struct buf *mem, bool patient);

/* End all that is under way to a member that is out (on a later turn). */
void flight_give_up(struct pool *p, unsigned column);
/* Something that somebody waits for is under way to any member. */
bool flight_any(const struct pool *p);
/* Nothing at all is under way to this one. */
bool flight_none(const struct pool *p, unsigned column);
/* As of the last look, how long it has left unanswered: anything, waited for or
 * not; the oldest write or flush that somebody waits for.  0: nothing. */
int64_t flight_longest(const struct pool *p, unsigned column);
int64_t flight_unwritten(const struct pool *p, unsigned column);
/* The device goes: what it answers from now on is nobody's. */
void flight_orphan(struct pool *p, unsigned column);

/* Look at the time; runs by itself while something is under way. */
void flight_init(struct pool *p);
void flight_fini(struct pool *p);

#endif
