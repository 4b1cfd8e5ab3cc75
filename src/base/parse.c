/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c: numbers with units; see parse.h.
 *
 * A value is digits, perhaps with a fraction, times a unit.  The fraction is
 * kept as an integer over a power of ten, and everything is computed in 128
 * bits, so that no floating point rounds a disk's size.
 */
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/err.h"

typedef unsigned __int128 u128;

/* Of a text that may be anything, this much is shown. */
#define SHOW "\"%.60s\""

struct unit {
	const char *name;
	uint64_t factor;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Digits at *s, and a fraction if there may be one, as num / den (den a power
 * of ten up to 10^9); *s moves behind them.  -EINVAL without a digit, or with
 * more than 9 after the point; -ERANGE above 2^64.
 */
static int
take_number(const char **s, bool fraction, u128 *num, uint64_t *den)
{
	const char *p = *s;

	*num = 0;
	*den = 1;
	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++) {
		*num = *num * 10 + (unsigned)(*p - '0');
		if (*num > UINT64_MAX)
			return -ERANGE;
	}
	if (fraction && *p == '.') {
		if (!is_digit(*++p))
			return -EINVAL;
		for (; is_digit(*p); p++) {
			if (*den == 1000000000)
				return -EINVAL;
			*num = *num * 10 + (unsigned)(*p - '0');
			*den *= 10;
		}
	}
	*s = p;
	return 0;
}

static int
too_large(struct err *e, const char *s)
{
	return err_set(e, -ERANGE, SHOW " is too large", s);
}

int
parse_u64(const char *s, uint64_t *out, struct err *e)
{
	const char *p = s;
	uint64_t den;
	u128 num;
	int rc = take_number(&p, false, &num, &den);

	if (rc == -ERANGE)
		return too_large(e, s);
	if (rc < 0 || *p)
		return err_set(e, -EINVAL, SHOW " is not a whole number", s);
	*out = (uint64_t)num;
	return 0;
}

/* The factor of a size's suffix; 0 if there is none such. */
static uint64_t
size_factor(const char *suffix)
{
	static const char letters[] = "KMGTPE";
	const char *at;

	if (!*suffix || strcasecmp(suffix, "B") == 0)
		return 1;
	at = memchr(letters, *suffix & ~0x20, sizeof(letters) - 1);
	if (!at || (suffix[1] && strcasecmp(suffix + 1, "iB") != 0))
		return 0;
	return (uint64_t)1 << 10 * (at - letters + 1);
}

int
parse_size(const char *s, uint64_t *out, struct err *e)
{
	const char *p = s;
	uint64_t den, factor;
	u128 num;
	int rc = take_number(&p, true, &num, &den);

	if (rc == -ERANGE)
		return too_large(e, s);
	if (rc < 0)
		goto inval;
	factor = size_factor(p);
	if (factor == 0) {
		if (p[0] && strchr("kmgtpeKMGTPE", p[0]) &&
		    strcasecmp(p + 1, "B") == 0)
			return err_set(e, -EINVAL,
			    SHOW " may be a multiple of 1000 or of 1024: "
				 "write %.*s%c or %.*s%ciB (1024)",
			    s, (int)(p - s), s, *p & ~0x20, (int)(p - s), s,
			    *p & ~0x20);
		goto inval;
	}
	/* After this the product is below 2^65 * den: no overflow. */
	if (num / den > UINT64_MAX / factor)
		return too_large(e, s);
	num *= factor;
	if (num % den != 0)
		return err_set(
		    e, -EINVAL, SHOW " is not a whole number of bytes", s);
	if (num / den > UINT64_MAX)
		return too_large(e, s);
	*out = (uint64_t)(num / den);
	return 0;
inval:
	return err_set(e, -EINVAL,
	    SHOW " is not a size (write bytes, or 128K, 1.5G, 1T)", s);
}

/* The longest unit that p begins with; NULL if there is none. */
static const struct unit *
time_unit(const char *p)
{
	static const struct unit units[] = {
	    {"ns", 1},
	    {"us", NS_PER_US},
	    {"ms", NS_PER_MS},
	    {"s", NS_PER_S},
	    {"m", 60 * NS_PER_S},
	    {"h", 3600 * NS_PER_S},
	    {"d", 86400 * NS_PER_S},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strncmp(p, units[i].name, strlen(units[i].name)) == 0)
			return &units[i];
	return NULL;
}

int
parse_duration(const char *s, int64_t *out_ns, struct err *e)
{
	static const struct unit seconds = {"", NS_PER_S};
	uint64_t last = UINT64_MAX; /* units must become smaller */
	const char *p = s;
	u128 sum = 0;

	do {
		const struct unit *u;
		uint64_t den;
		u128 num;
		int rc = take_number(&p, true, &num, &den);

		if (rc == -ERANGE)
			return too_large(e, s);
		if (rc < 0)
			goto inval;
		u = time_unit(p);
		if (!u && !*p && last == UINT64_MAX)
			u = &seconds;
		if (!u || u->factor >= last)
			goto inval;
		/* As above. */
		if (num / den > INT64_MAX / u->factor)
			return too_large(e, s);
		sum += num * u->factor / den;
		if (sum > INT64_MAX)
			return too_large(e, s);
		last = u->factor;
		p += strlen(u->name);
	} while (*p);
	*out_ns = (int64_t)sum;
	return 0;
inval:
	return err_set(e, -EINVAL,
	    SHOW " is not a duration (write 30s, 250ms, 5m, 1h30m)", s);
}

int
parse_bool(const char *s, bool *out, struct err *e)
{
	static const char *const words[2][4] = {
	    {"no", "false", "off", "0"}, {"yes", "true", "on", "1"}};

	for (unsigned v = 0; v < 2; v++)
		for (unsigned i = 0; i < 4; i++)
			if (strcasecmp(s, words[v][i]) == 0) {
				*out = v;
				return 0;
			}
	return err_set(e, -EINVAL, SHOW " is neither yes nor no", s);
}

/* --- for people ------------------------------------------------------------
 */

/* Three digits that matter, and the unit: "1.50 GiB", "12.3 MiB/s", "999 B". */
static char *
scaled(char *buf, double v, double step, const char *const *units, unsigned n)
{
	unsigned i = 0;
	int digits;

	while (v >= step * 0.9995 && i + 1 < n) {
		v /= step;
		i++;
	}
	if (i == 0)
		digits = 0;
	else
		digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
	snprintf(buf, FORMAT_MAX, "%.*f %s", digits, v, units[i]);
	return buf;
}

char *
format_size(char *buf, uint64_t bytes)
{
	static const char *const units[] = {
	    "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned shift = 0;

	while (shift < 60 && bytes >> shift >= 1024)
		shift += 10;
	/* A whole number of units is shown as one. */
	if (bytes >> shift << shift == bytes) {
		snprintf(buf, FORMAT_MAX, "%" PRIu64 " %s", bytes >> shift,
		    units[shift / 10]);
		return buf;
	}
	return scaled(buf, (double)bytes, 1024, units, 7);
}

char *
format_size_exact(char *buf, uint64_t bytes)
{
	unsigned i = 0;

	while (i < 6 && bytes != 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	snprintf(
	    buf, FORMAT_MAX, "%" PRIu64 "%.*s", bytes, i != 0, &"-KMGTPE"[i]);
	return buf;
}

char *
format_rate(char *buf, double bytes_per_s)
{
	static const char *const units[] = {
	    "B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"};

	return scaled(buf, bytes_per_s, 1024, units, 5);
}

char *
format_duration(char *buf, int64_t ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	uint64_t s = ((uint64_t)ns + NS_PER_S / 2) / NS_PER_S;

	if (ns < 0)
		return memcpy(buf, "0 ns", 5);
	if (ns < 100 * NS_PER_S)
		return scaled(buf, (double)ns, 1000, units, 4);
	if (s < 3600)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "m %02" PRIu64 "s", s / 60,
		    s % 60);
	else if (s < 86400)
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "h %02" PRIu64 "m",
		    s / 3600, s / 60 % 60);
	else
		snprintf(buf, FORMAT_MAX, "%" PRIu64 "d %02" PRIu64 "h",
		    s / 86400, s / 3600 % 24);
	return buf;
}

char *
format_count(char *buf, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *p = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return buf;
}
