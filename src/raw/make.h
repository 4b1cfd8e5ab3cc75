/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_MAKE_H
#define RAW_MAKE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Making a pool out of paths: profiles by name, image files of a size, and the
 * refusal of devices that hold something.
 */
struct err;
struct fileio;
struct loop;

/*
 * "4+2", or a name: single 1+0, mirror 1+1, kamikaze 8+0, standard 8+2,
 * resilient 12+3, fortress 16+4.  NULL or "default": by the number of devices
 * (1: 1+0, 2: 1+1, 3: 2+1, 4: 2+2, 5: 3+2, 6: 4+2, 10: 8+2).  -EINVAL with a
 * sentence, also if the profile does not have ndevs members.
 */
int raw_profile_parse(const char *text, unsigned ndevs, unsigned *k,
    unsigned *m, struct err *e);

/* Does the device hold anything that is known, or the file anything at all?
 * -EEXIST with what it is.  Blocks: for tools. */
int raw_look(const char *path, struct err *e);

struct raw_make_params {
	unsigned k, m;
	const char *name;
	uint64_t size;	    /* of image files that are made; 0: none is */
	bool sparse;	    /* image files take their space when it is used */
	bool force;	    /* whatever is on the devices is lost */
	uint64_t log_bytes; /* 0: by size */
	/* Asked before each file is made and, with `writing`, once before the
	 * first byte of a device is written, from when on it goes to its end.
	 * True: -ECANCELED, and nothing was changed.  NULL: never. */
	bool (*stop)(bool writing);
};

/*
 * Make the pool.  Everything is checked first: then nothing was changed on
 * failure, but files that were made are removed again.
 */
int raw_make(struct loop *l, struct fileio *io, char *const *paths,
    unsigned npaths, const struct raw_make_params *p, struct err *e);

#endif
