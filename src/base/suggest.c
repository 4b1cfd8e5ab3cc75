/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.c: typing mistakes are few characters: the distance counts
 * insertions, deletions, replacements and swaps of neighbours (optimal string
 * alignment), and a word is suggested when at most a third of it is wrong, or
 * when it begins with what was typed.
 */
#include "base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 32

/* s as it is compared; false if it is too long to guess about. */
static bool
squeeze(char *out, const char *s)
{
	size_t n = 0;

	for (; *s; s++) {
		if (*s == '-' || *s == '_')
			continue;
		if (n == WORD_MAX)
			return false;
		out[n++] = (char)tolower((unsigned char)*s);
	}
	out[n] = '\0';
	return true;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Three rows of the table are enough: a swap looks two rows back. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned na = (unsigned)strlen(a), nb = (unsigned)strlen(b);

	for (unsigned j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned *now = rows[i % 3], *up = rows[(i + 2) % 3];
		unsigned *up2 = rows[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			now[j] = least(up[j - 1] + (a[i - 1] != b[j - 1]),
			    least(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = least(now[j], up2[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

const char *
suggest_nearest(const char *typed, const char *const *words)
{
	char a[WORD_MAX + 1], b[WORD_MAX + 1];
	const char *best = NULL;
	unsigned best_d = 2 * WORD_MAX;

	if (!squeeze(a, typed) || !a[0])
		return NULL;
	for (; *words != NULL; words++) {
		unsigned d;

		if (!squeeze(b, *words))
			continue;
		d = distance(a, b);
		if (d > 0 && strncmp(a, b, strlen(a)) == 0)
			d = 1;
		/* Of two that are as close, the one with the same beginning:
		 * "umount" is unmount, not mount. */
		d = 2 * d + (b[0] != a[0]);
		if (d < best_d && d / 2 <= ((unsigned)strlen(b) + 2) / 3) {
			best = *words;
			best_d = d;
		}
	}
	return best;
}
