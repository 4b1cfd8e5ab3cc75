/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_STORE_ASK_H
#define CLI_STORE_ASK_H

#include <stdbool.h>

/*
 * Ask a raw-device store something (front/storecmd.h), whoever has it: the
 * process that has it mounted, through its socket, or we ourselves, after
 * opening it.  Progress is a bar, objects that are lost are named on standard
 * error.
 */
struct json_t;
struct tool;

struct store_question {
	/* The store: paths of its members, raw: URLs, or the directory where
	 * a volume of it is mounted. */
	int n;
	char **names;
	/* A further path that may be a member; NULL: none. */
	const char *also;
	bool read_only;	   /* open it so, if it is we who open it */
	const char *title; /* of the bar */
	struct json_t *json; /* taken; NULL: no memory */
};

/* 0, with the result, which the caller drops; or the error, in t->err. */
int store_ask(struct tool *t, const struct store_question *q,
    struct json_t **result);

#endif
