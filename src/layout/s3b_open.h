/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_S3B_OPEN_H
#define LAYOUT_S3B_OPEN_H

#include "layout/probe.h"
#include "layout/s3b.h"

/*
 * The steps of opening a volume, for s3b_open.c, which has them in order.
 */
struct lease_owner;

/* What is known of the volume while it is being opened. */
struct opening {
	struct store *s;
	const char *prefix;
	const char *bucket;
	const struct layout_params *p;
	struct probe probe;

	/* Some block of a volume without descriptor. */
	struct probe_block sample;
	uint32_t sample_block;
	char sample_key[STORE_KEY_MAX + 1];

	bool create; /* there is nothing: make it */
	bool changed; /* while we looked: begin again */
	bool has_desc;
	bool hashed;
	struct descriptor d; /* what the volume is, with or without one */
};

/* s3b_decide.c: what the volume is; what was asked for must agree with it.
 * Fills in o->d and the flags from o->probe. */
int s3b_decide(struct opening *o, struct err *e);
/* s3b_keys.c: how it is encrypted; derive the keys and see that the password
 * is right.  *out: NULL if it is not encrypted. */
int s3b_keys(struct opening *o, struct cipher **out, struct err *e);
/* s3b_create.c: put the object that makes the volume.  -EEXIST. */
int s3b_create(struct opening *o, const struct layout *l, struct err *e);

/* The same for a volume that changes its size. */
int s3b_put_descriptor(struct store *s, const char *prefix,
    const struct descriptor *d, bool if_absent, struct err *e);

/* A volume of which only the names are known: 2^32 blocks, to be erased.
 * NULL: no memory. */
struct layout *s3b_bare(struct store *s, const char *prefix, bool hashed);
/* Another size, in memory: the present map is forgotten.  No request in
 * flight.  -ENOMEM, with nothing changed. */
int s3b_set_size(struct layout *l, uint64_t size);

#endif
