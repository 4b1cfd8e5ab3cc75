/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_PROBE_H
#define LAYOUT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/cipher.h"
#include "codec/compress.h"
#include "layout/descriptor.h"

/*
 * What lies under a prefix, as far as four requests tell, which are made at
 * once.  Writes nothing.  Runs the loop.
 */
struct err;
struct meta;
struct store;
struct store_req;

/* What a block's object says about its volume. */
struct probe_block {
	bool found;
	uint64_t object_size;
	/* From block 0's headers; both 0 if they are not there or no good. */
	uint64_t size;
	uint64_t block_size;
	bool encoded;
	enum compress_alg compress;
	char cipher[CIPHER_NAME_MAX]; /* as it stands there; "" none */
};

struct probe {
	bool has_desc;
	struct descriptor desc;
	struct probe_block first[2]; /* block 0; [1]: under its hashed name */
};

/* -EPROTONOSUPPORT, -EBADMSG: the descriptor cannot be used; the sentence names
 * it.  Others: of the store. */
int probe_volume(struct store *s, const char *prefix, struct probe *p,
    struct err *e);

/* Put requests that are filled in (but for done and arg) to the store at once
 * and run the loop until all are answered. */
void probe_run_all(struct store *s, struct store_req *const *v, unsigned n);

/* Fill b from the answer of a HEAD or GET of a block. */
void probe_take_block(struct probe_block *b, const struct store_req *q);

#endif
