/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_OPEN_H
#define RAW_OPEN_H

/*
 * Pools by paths: "PATH,PATH,..." as in a URL (a comma in a path is written
 * "\,").
 */
struct err;
struct fileio;
struct loop;
struct pool;
struct pool_open_params;

#define RAW_PATHS_MAX 40

/* The paths of a list, each to be freed, as is the array; NULL: no memory. */
char **raw_paths_split(const char *list, unsigned *n);
void raw_paths_free(char **paths);

/*
 * Open the devices and the pool on them.  A device that cannot be opened is a
 * missing member, with a line in the log; why the pool then cannot be opened is
 * in e.
 */
int raw_open_paths(struct loop *l, struct fileio *io, const char *list,
    const struct pool_open_params *op, struct pool **out, struct err *e);

#endif
