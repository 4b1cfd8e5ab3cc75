/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

/*
 * The word that somebody probably meant: the one of words (ended by NULL) that
 * is closest to what was typed, or NULL if none is close.  Capitals, "-" and "_"
 * make no difference: "blockSize" is "block-size".
 */
const char *suggest_nearest(const char *typed, const char *const *words);

#endif
