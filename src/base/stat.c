/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat.c: the tables of stat.h as text, JSON and Prometheus; see stat.h.
 *
 * Quantiles are taken from the buckets: the bucket in which the wanted one
 * lies, and within it the place that it would have if all were spread evenly.
 */
#include "base/stat.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/strbuf.h"

static const struct {
	const char *name;
	enum stat_kind kind;
	enum stat_unit unit;
	const char *help;
} stats[] = {
#define ROW(id, name, kind, unit, help) {name, STAT_##kind, UNIT_##unit, help},
    STAT_TABLE(ROW)
#undef ROW
};

static const struct {
	const char *name, *help;
} hists[] = {
#define ROW(id, name, help) {name, help},
    HIST_TABLE(ROW)
#undef ROW
};

const char *
stat_name(enum stat_id id)
{
	return stats[id].name;
}

enum stat_kind
stat_kind(enum stat_id id)
{
	return stats[id].kind;
}

enum stat_unit
stat_unit(enum stat_id id)
{
	return stats[id].unit;
}

const char *
stat_help(enum stat_id id)
{
	return stats[id].help;
}

const char *
hist_name(enum hist_id id)
{
	return hists[id].name;
}

const char *
hist_help(enum hist_id id)
{
	return hists[id].help;
}

/* Where bucket i begins. */
static uint64_t
bucket_start(unsigned i)
{
	unsigned octave;

	if (i == 0)
		return 0;
	octave = (i - 1) / 4;
	return (uint64_t)(4 + (i - 1) % 4) << (octave + HIST_SHIFT - 2);
}

uint64_t
stat_quantile(const struct stat_hist *h, double q)
{
	double rank = q * (double)h->count;
	double below = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		double n = (double)h->bucket[i];
		uint64_t start = bucket_start(i), end, ns;

		if (n == 0 || below + n < rank) {
			below += n;
			continue;
		}
		end = i + 1 < HIST_BUCKETS ? bucket_start(i + 1) : h->max_ns;
		if (end > h->max_ns)
			end = h->max_ns;
		if (end < start)
			end = start;
		ns = start + (uint64_t)((double)(end - start) *
					(rank > below ? rank - below : 0) / n);
		return ns < h->max_ns ? ns : h->max_ns;
	}
	return h->max_ns;
}

static uint64_t
mean_ns(const struct stat_hist *h)
{
	return h->count ? h->sum_ns / h->count : 0;
}

/* --- text ------------------------------------------------------------------
 */

/* Names of one group have the same word before the first "_". */
static bool
same_group(const char *a, const char *b)
{
	size_t n = strcspn(a, "_");

	return n == strcspn(b, "_") && memcmp(a, b, n) == 0;
}

void
stat_text(const struct stat_set *s, struct strbuf *out)
{
	char buf[4][FORMAT_MAX];

	for (unsigned i = 0; i < STAT_N; i++) {
		if (i > 0 && !same_group(stats[i - 1].name, stats[i].name))
			strbuf_putc(out, '\n');
		strbuf_printf(out, "%-24s %16s", stats[i].name,
		    format_count(buf[0], s->v[i]));
		if (stats[i].unit == UNIT_BYTES)
			strbuf_printf(
			    out, "  %-12s", format_size(buf[0], s->v[i]));
		else if (stats[i].unit == UNIT_NS)
			strbuf_printf(out, "  %-12s",
			    format_duration(buf[0], (int64_t)s->v[i]));
		else
			strbuf_printf(out, "  %-12s", "");
		strbuf_printf(out, "  %s\n", stats[i].help);
	}
	strbuf_printf(out, "\n%-24s %16s  %10s %10s %10s %10s\n", "times",
	    "count", "mean", "median", "99 %", "longest");
	for (unsigned i = 0; i < HIST_N; i++) {
		const struct stat_hist *h = &s->hist[i];

		strbuf_printf(out, "%-24s %16s", hists[i].name,
		    format_count(buf[0], h->count));
		if (h->count)
			strbuf_printf(out, "  %10s %10s %10s %10s",
			    format_duration(buf[0], (int64_t)mean_ns(h)),
			    format_duration(
				buf[1], (int64_t)stat_quantile(h, 0.5)),
			    format_duration(
				buf[2], (int64_t)stat_quantile(h, 0.99)),
			    format_duration(buf[3], (int64_t)h->max_ns));
		strbuf_putc(out, '\n');
	}
}

/* --- Prometheus ------------------------------------------------------------
 */

static void
prom_head(struct strbuf *out, const char *name, const char *suffix,
    const char *type, const char *help)
{
	strbuf_printf(out, "# HELP pail_%s%s %s\n# TYPE pail_%s%s %s\n", name,
	    suffix, help, name, suffix, type);
}

/* Buckets of whole powers of two are enough there. */
static void
prom_hist(const struct stat_hist *h, const char *name, const char *labels,
    struct strbuf *out)
{
	const char *comma = *labels ? "," : "";
	const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
	uint64_t sum = h->bucket[0];

	for (unsigned o = 0; o <= HIST_OCTAVES; o++) {
		strbuf_printf(out,
		    "pail_%s_seconds_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n",
		    name, labels, comma,
		    (double)bucket_start(1 + o * 4) / NS_PER_S, sum);
		for (unsigned i = 0; i < 4 && o < HIST_OCTAVES; i++)
			sum += h->bucket[1 + o * 4 + i];
	}
	strbuf_printf(out,
	    "pail_%s_seconds_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n"
	    "pail_%s_seconds_sum%s%s%s %.9f\n"
	    "pail_%s_seconds_count%s%s%s %" PRIu64 "\n",
	    name, labels, comma, h->count, name, open, labels, close,
	    (double)h->sum_ns / NS_PER_S, name, open, labels, close, h->count);
}

void
stat_prometheus(
    const struct stat_set *s, const char *labels, struct strbuf *out)
{
	if (!labels)
		labels = "";
	for (unsigned i = 0; i < STAT_N; i++) {
		bool counter = stats[i].kind == STAT_COUNTER;
		const char *suffix = counter ? "_total" : "";
		const char *open = *labels ? "{" : "";
		const char *close = *labels ? "}" : "";

		prom_head(out, stats[i].name, suffix,
		    counter ? "counter" : "gauge", stats[i].help);
		strbuf_printf(out, "pail_%s%s%s%s%s %" PRIu64 "\n",
		    stats[i].name, suffix, open, labels, close, s->v[i]);
	}
	for (unsigned i = 0; i < HIST_N; i++) {
		prom_head(
		    out, hists[i].name, "_seconds", "histogram", hists[i].help);
		prom_hist(&s->hist[i], hists[i].name, labels, out);
	}
}

/* --- JSON ------------------------------------------------------------------
 */

static json_t *
hist_json(const struct stat_hist *h)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "count",
	    (json_int_t)h->count, "mean_ns", (json_int_t)mean_ns(h), "p50_ns",
	    (json_int_t)stat_quantile(h, 0.5), "p90_ns",
	    (json_int_t)stat_quantile(h, 0.9), "p99_ns",
	    (json_int_t)stat_quantile(h, 0.99), "max_ns",
	    (json_int_t)h->max_ns);
}

json_t *
stat_json(const struct stat_set *s)
{
	json_t *root = json_object();
	int rc = root ? 0 : -1;

	for (unsigned i = 0; i < STAT_N && rc == 0; i++)
		rc = json_object_set_new(
		    root, stats[i].name, json_integer((json_int_t)s->v[i]));
	for (unsigned i = 0; i < HIST_N && rc == 0; i++)
		rc = json_object_set_new(
		    root, hists[i].name, hist_json(&s->hist[i]));
	if (rc < 0) {
		json_decref(root);
		return NULL;
	}
	return root;
}
