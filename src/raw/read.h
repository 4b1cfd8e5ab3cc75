/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_READ_H
#define RAW_READ_H

#include "raw/pool_int.h"

/* GET: see read.c. */
void read_submit(struct pool *p, struct pool_req *r);

/* Space that is freed from now on stays as it is until unpin (I1). */
void pin_init(struct pool *p, struct pin *pin);
void pin_fini(struct pool *p, struct pin *pin);

#endif
