/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * Errors with a sentence.
 *
 * Functions return 0 or a negative errno.  Where a person will read the
 * reason they also take a struct err, which the one who detects the error
 * fills ("read block 7: HTTP 403 AccessDenied") and those above wrap with what
 * they were doing.  It is logged or printed once, where the passing on stops.
 *
 * A struct err is plain memory: no allocation, so that it works when there is
 * none left; a sentence that is too long is cut, and control characters in it
 * (of a server's message, say) become "?".  Every function here accepts
 * a NULL err.
 */

#define ERR_TEXT_MAX 480

struct err {
	int rc; /* 0, or the negative errno */
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT {0}

/* Say what is wrong.  rc is negative.  Returns rc. */
__attribute__((format(printf, 3, 4))) int err_set(
    struct err *e, int rc, const char *fmt, ...);

/* As err_set, followed by ": " and the text of the errno. */
__attribute__((format(printf, 3, 4))) int err_errno(
    struct err *e, int rc, const char *fmt, ...);

/* Put "WHAT: " before the sentence (if there is none yet, the text of rc). */
__attribute__((format(printf, 3, 4))) int err_wrap(
    struct err *e, int rc, const char *fmt, ...);

/* The sentence, or the text of the errno; never NULL. */
const char *err_text(const struct err *e);

void err_clear(struct err *e);
void err_copy(struct err *to, const struct err *from);

#endif
