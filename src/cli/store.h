/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include <stdbool.h>

/*
 * "pail store WHAT": raw-device stores.  One file for each WHAT; what they
 * share is here.
 */
struct pool;
struct tool;

int store_create_run(int argc, char **argv);
int store_status_run(int argc, char **argv);
int store_scrub_run(int argc, char **argv);

/*
 * Open the pool on the devices named by the operands (paths, or one raw: URL),
 * after tool_start.  The error is in t->err.
 */
int store_pool_open(struct tool *t, int n, char **names, bool read_only,
    struct pool **out);

#endif
