/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STAT_H
#define STORE_STAT_H

/*
 * A filter: count requests, bytes, times and failures in the rows "store" of a
 * stat_set, which is borrowed.
 */
struct err;
struct stat_set;
struct store;

/* Takes below, also on failure. */
int stat_store_new(struct store *below, struct stat_set *stats,
    struct store **out, struct err *e);

/* Count an error by its kind (the rows store_err_...); others are ignored. */
void stat_store_error(struct stat_set *stats, int rc);

#endif
