/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COPY_RUN_H
#define CLI_COPY_RUN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The copy itself: chunks from one end to the other, many at once.
 *
 *  R1. 0 is returned only when the destination has every byte of the source,
 *      zeros where the source has holes, and all of it is durable.
 *  R2. Holes of the source are not read; zeros are not written to a blank
 *      destination.
 *  R3. With compare, what the destination has already is not written again:
 *      so a copy that was stopped goes on, whatever has changed meanwhile.
 *  R4. The first error ends the copy; requests in flight are waited for.
 */
struct copy_end;
struct err;
struct progress;

struct copy_params {
	struct copy_end *src, *dst; /* borrowed */
	unsigned jobs;		    /* chunks in flight; 0: as memory allows */
	bool compare;
	struct progress *progress;  /* started by the caller */
	bool (*stop)(void);	    /* asked now and then; or NULL */
};

struct copy_result {
	uint64_t size;	  /* of the source */
	uint64_t written; /* bytes */
	uint64_t same;	  /* bytes that were there already */
	uint64_t holes;	  /* bytes of zeros that were not moved */
};

/* Runs the loop of the ends.  -ECANCELED if it was stopped. */
int copy_run(const struct copy_params *p, struct copy_result *r,
    struct err *e);

#endif
