/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_DISCARD_H
#define RAW_DISCARD_H

#include <stdbool.h>

#include "raw/pool.h"

/* Free space is given back to the devices, in the background (discard.c). */
struct pool;

/* -ENOMEM */
int discard_init(struct pool *p, enum pool_discard how);
/* Begin nothing more; the one under way ends. */
void discard_stop(struct pool *p);
bool discard_idle(const struct pool *p);
void discard_fini(struct pool *p);

#endif
