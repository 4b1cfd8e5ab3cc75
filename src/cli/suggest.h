/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

/*
 * The word that somebody probably meant: the one of words (ended by NULL) that
 * is closest to what was typed, or NULL if none is close.
 */
const char *suggest_nearest(const char *typed, const char *const *words);

#endif
