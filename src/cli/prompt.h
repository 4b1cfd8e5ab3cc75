/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/*
 * Questions to the person at the terminal (/dev/tty, whatever standard input
 * is).  Without one they fail with -ENOTTY and a sentence that says which
 * option answers instead (instead: "--password-file FILE", "--force").
 * -EINTR: Ctrl-C; the terminal is as before.
 */
#define PROMPT_MAX 1024 /* bytes of an answer, with the NUL */

/* A line, without its newline, into answer[PROMPT_MAX]. */
int prompt_line(const char *question, const char *instead, char *answer,
    struct err *e);

/* The same without echo; twice asks again and compares (-EINVAL if they
 * differ three times). */
int prompt_password(const char *question, bool twice, const char *instead,
    char *answer, struct err *e);

/* True in *yes for "y" or "yes"; anything else is no. */
int prompt_yes(const char *question, const char *instead, bool *yes,
    struct err *e);

#endif
