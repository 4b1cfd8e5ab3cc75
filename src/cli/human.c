/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers for people: sizes by powers of 1024 and said so (KiB, MiB), counts
 * with separators, durations as a clock shows them.  Where a program reads,
 * the verbs print plain numbers as JSON instead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/human.h"

char *
human_bytes(char *buf, uint64_t n)
{
	static const char *const unit[] = {
	    "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)n;
	unsigned u = 0;

	/* 1023.95 would print as 1024.0: go on to the next unit before. */
	while (v >= 1023.95 && u < 6) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(buf, HUMAN_MAX, "%" PRIu64 " B", n);
	else if (v < 99.95)
		snprintf(buf, HUMAN_MAX, "%.1f %s", v, unit[u]);
	else
		snprintf(buf, HUMAN_MAX, "%.0f %s", v, unit[u]);
	return buf;
}

char *
human_count(char *buf, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *to = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buf;
}

char *
human_seconds(char *buf, uint64_t s)
{
	if (s < 3600)
		snprintf(buf, HUMAN_MAX, "%" PRIu64 ":%02" PRIu64, s / 60,
		    s % 60);
	else if (s < 48 * 3600)
		snprintf(buf, HUMAN_MAX,
		    "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
		    s / 60 % 60, s % 60);
	else
		snprintf(buf, HUMAN_MAX, "%" PRIu64 " d %" PRIu64 " h",
		    s / 86400, s / 3600 % 24);
	return buf;
}

char *
human_time(char *buf, int64_t wall_ns)
{
	time_t t = wall_ns / NS_PER_S;
	struct tm tm;

	if (wall_ns == 0 || gmtime_r(&t, &tm) == NULL ||
	    strftime(buf, HUMAN_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		strcpy(buf, "-");
	return buf;
}
