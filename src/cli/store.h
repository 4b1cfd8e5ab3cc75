/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include <stdbool.h>

/*
 * "pail store WHAT": raw-device stores.  One file for each WHAT, or for a few
 * that are alike; what they share is here.
 */
struct pool;
struct store;
struct strbuf;
struct tool;
struct url;

int store_create_run(int argc, char **argv);
int store_status_run(int argc, char **argv);
int store_scrub_run(int argc, char **argv);
int store_list_run(int argc, char **argv);
int store_get_run(int argc, char **argv);
int store_put_run(int argc, char **argv);
int store_delete_run(int argc, char **argv);
int store_offline_run(int argc, char **argv);
int store_online_run(int argc, char **argv);
int store_replace_run(int argc, char **argv);
int store_check_run(int argc, char **argv);
int store_erase_run(int argc, char **argv);

/*
 * Operands that name a store: paths, or raw: URLs, as one list of paths as
 * raw/open.h has it.  0, or the error in t->err.
 */
int store_list_of(struct tool *t, int n, char **names, struct strbuf *list);

/*
 * Open the pool on the devices named by the operands, after tool_start.  The
 * error is in t->err.
 */
int store_pool_open(struct tool *t, int n, char **names, bool read_only,
    struct pool **out);

/* The same, for its objects; *prefix is that of the volume that a URL names, or
 * "" (malloc'ed). */
int store_objects_open(struct tool *t, int n, char **names, bool read_only,
    struct store **out, char **prefix);

#endif
