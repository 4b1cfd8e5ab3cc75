/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pail stats: what a mount does, as tables for people, as the JSON that the
 * mount itself shows, or as a line every second.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/mounted.h"
#include "cli/table.h"

struct stats_opts {
	bool json, watch, help;
	int64_t interval_ns;
	uint64_t count;
};

#define T(field) CONF_AT(struct stats_opts, field)
static const struct conf_opt stats_opts[] = {
	{ "json", 'j', CONF_FLAG, T(json),
	    .help = "print all there is as a JSON object" },
	{ "watch", 'w', CONF_FLAG, T(watch),
	    .help = "print a line now and then, until Ctrl-C" },
	{ "interval", 'i', CONF_DURATION, T(interval_ns), .def = "1s",
	    .min = 100 * NS_PER_MS, .help = "how often, with --watch" },
	{ "count", 'n', CONF_UINT, T(count),
	    .help = "with --watch, so many lines (no limit)" },
	{ "help", 'h', CONF_FLAG, T(help), .help = "print this" },
	{ NULL }
};

static void
print_help(void)
{
	struct strbuf b = STRBUF_INIT;

	strbuf_puts(&b,
	    "Usage: pail stats [OPTIONS] DIR\n"
	    "Tell what the volume that is mounted on DIR does.\n\n");
	conf_help(stats_opts, &b);
	strbuf_puts(&b,
	    "\nExamples:\n"
	    "  pail stats /mnt/disk\n"
	    "  pail stats --watch /mnt/disk\n"
	    "  pail stats --json /mnt/disk | jq .dirty_bytes\n");
	fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
}

/* --- numbers of the JSON ---------------------------------------------------- */

static uint64_t
counter(const struct mounted *m, const char *name)
{
	json_int_t n =
	    json_integer_value(json_object_get(m->counters, name));

	return n < 0 ? 0 : (uint64_t)n;
}

static uint64_t
time_of(const struct mounted *m, const char *hist, const char *what)
{
	json_int_t n = json_integer_value(json_object_get(
	    json_object_get(m->counters, hist), what));

	return n < 0 ? 0 : (uint64_t)n;
}

/* --- for people ---------------------------------------------------------------- */

static void
print_state(const struct mounted *m)
{
	const struct status *s = &m->status;
	char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];

	printf("%s on %s%s\n", s->url, m->dir,
	    s->read_only ? ", read-only" : "");
	printf("  process      %d, %s for %s\n", (int)s->pid, s->state,
	    format_duration(a, clock_wall_ns() - s->since_wall_ns));
	printf("  disk         %s in blocks of %s; %s%s used\n",
	    format_size(a, s->size), format_size(b, s->block_size),
	    s->survey_done ? "" : "at least ", format_size(c, s->used));
	if (s->dirty_bytes == 0)
		printf("  not written  nothing\n");
	else
		printf("  not written  %s in %" PRIu64 " blocks, %" PRIu64
		       " of them being written; the oldest for %s\n",
		    format_size(a, s->dirty_bytes), s->dirty_blocks,
		    s->uploading_blocks,
		    format_duration(b, s->oldest_dirty_ns));
	if (s->journal_only_bytes > 0)
		printf("               %s of them in the journal only\n",
		    format_size(a, s->journal_only_bytes));
	if (s->dirty_bytes > 0 && s->drain_ns > 0)
		printf("               %s/s lately: written in about %s\n",
		    format_size(a, s->upload_bytes_per_s),
		    format_duration(b, s->drain_ns));
	if (strcmp(s->journal_state, "none") != 0)
		printf("  journal      %s: %s, %s of %s\n", s->journal,
		    s->journal_state, format_size(a, s->journal_used_bytes),
		    format_size(b, s->journal_bytes));
	if (s->error != 0)
		printf("  ERROR        %s (for %s)\n", s->error_text,
		    format_duration(
			a, clock_wall_ns() - s->error_since_wall_ns));
}

static void
print_cache(const struct mounted *m)
{
	uint64_t hits = counter(m, "cache_hits");
	uint64_t all = hits + counter(m, "cache_misses");
	char a[FORMAT_MAX], b[FORMAT_MAX];

	printf("  cache        %s of clean data, %s in all",
	    format_size(a, m->status.clean_bytes),
	    format_size(b, m->status.memory_bytes));
	if (all > 0)
		printf("; %.1f %% of %s accesses were hits",
		    100.0 * (double)hits / (double)all,
		    format_count(a, all));
	printf("\n");
}

static const struct {
	const char *title, *times, *bytes;
} rows[] = {
	{ "disk read", "front_read_time", "front_read_bytes" },
	{ "disk write", "front_write_time", "front_write_bytes" },
	{ "disk flush", "front_flush_time", NULL },
	{ "store get", "store_get_time", "store_read_bytes" },
	{ "store put", "store_put_time", "store_write_bytes" },
	{ "store delete", "store_delete_time", NULL },
	{ "store list", "store_list_time", NULL },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void
time_cell(struct table *t, const struct mounted *m, const char *hist,
    const char *what)
{
	char a[FORMAT_MAX];
	uint64_t n = time_of(m, hist, "count");

	table_cell(t,
	    n == 0 ? "-" :
		     format_duration(a, (int64_t)time_of(m, hist, what)));
}

static int
print_times(const struct mounted *m, struct err *e)
{
	static const char *const heads[] = { "", ">REQUESTS", ">BYTES",
		">MEAN", ">P50", ">P99", ">LONGEST", NULL };
	struct table t;
	char a[FORMAT_MAX];

	table_init(&t, heads);
	for (size_t i = 0; i < NROWS; i++) {
		const char *h = rows[i].times;

		table_cell(&t, rows[i].title);
		table_cell(&t, format_count(a, time_of(m, h, "count")));
		table_cell(&t,
		    rows[i].bytes == NULL ?
			"-" :
			format_size(a, counter(m, rows[i].bytes)));
		time_cell(&t, m, h, "mean_ns");
		time_cell(&t, m, h, "p50_ns");
		time_cell(&t, m, h, "p99_ns");
		time_cell(&t, m, h, "max_ns");
	}
	printf("\n");
	int rc = table_print(&t, stdout);

	table_fini(&t);
	if (rc < 0)
		return err_errno(e, rc, "print the table");
	uint64_t retries = counter(m, "store_retries");
	uint64_t failed = counter(m, "store_failed");

	if (retries + failed > 0)
		printf("\n%" PRIu64 " requests to the store were sent again, "
		    "%" PRIu64 " failed for good\n", retries, failed);
	return 0;
}

/* --- a line now and then ---------------------------------------------------------- */

static const char *const watched[] = { "front_read_bytes",
	"front_write_bytes", "front_reads", "front_writes", "store_gets",
	"store_puts", "cache_hits", "cache_misses" };
enum { W_RBYTES, W_WBYTES, W_READS, W_WRITES, W_GETS, W_PUTS, W_HITS,
	W_MISSES, NWATCHED };
_Static_assert(sizeof(watched) / sizeof(watched[0]) == NWATCHED, "names");

static void
print_line(const struct mounted *m, const uint64_t *d, double s)
{
	char r[FORMAT_MAX], w[FORMAT_MAX], dirty[FORMAT_MAX];
	uint64_t all = d[W_HITS] + d[W_MISSES];
	char hit[16] = "-";

	if (all > 0)
		snprintf(hit, sizeof(hit), "%.0f %%",
		    100.0 * (double)d[W_HITS] / (double)all);
	printf("%9.0f %12s %9.0f %12s %11s %6s %8.0f %8.0f %s\n",
	    (double)d[W_READS] / s, format_rate(r, (double)d[W_RBYTES] / s),
	    (double)d[W_WRITES] / s, format_rate(w, (double)d[W_WBYTES] / s),
	    format_size(dirty, m->status.dirty_bytes), hit,
	    (double)d[W_GETS] / s, (double)d[W_PUTS] / s,
	    m->status.error != 0 ? m->status.error_text : "");
	fflush(stdout);
}

static int
watch(struct mounted *m, const struct stats_opts *o, struct err *e)
{
	uint64_t before[NWATCHED], delta[NWATCHED];
	struct timespec pause = { .tv_sec = o->interval_ns / NS_PER_S,
		.tv_nsec = o->interval_ns % NS_PER_S };
	int64_t then = clock_mono_ns();

	for (size_t i = 0; i < NWATCHED; i++)
		before[i] = counter(m, watched[i]);
	for (uint64_t n = 0; (o->count == 0 || n < o->count); n++) {
		if (n % 20 == 0)
			printf("%9s %12s %9s %12s %11s %6s %8s %8s\n",
			    "READS/S", "READ", "WRITES/S", "WRITTEN",
			    "UNWRITTEN", "HITS", "GETS/S", "PUTS/S");
		fflush(stdout);
		nanosleep(&pause, NULL);
		if (interrupted())
			return 0;
		int rc = mounted_status(m, e);

		if (rc < 0)
			return rc;
		int64_t now = clock_mono_ns();

		for (size_t i = 0; i < NWATCHED; i++) {
			uint64_t v = counter(m, watched[i]);

			delta[i] = v - before[i];
			before[i] = v;
		}
		print_line(m, delta, (double)(now - then) / NS_PER_S);
		then = now;
	}
	return 0;
}

/* --- the verb ------------------------------------------------------------------------ */

static int
print_json(const struct mounted *m, struct err *e)
{
	char *text;
	size_t len;
	int rc = mounted_read_json(m, &text, &len, e);

	if (rc < 0)
		return rc;
	fwrite(text, 1, len, stdout);
	free(text);
	return 0;
}

static int
stats(struct mounted *m, const struct stats_opts *o, struct err *e)
{
	if (o->json)
		return print_json(m, e);

	int rc = mounted_status(m, e);

	if (rc < 0)
		return rc;
	if (o->watch) {
		interrupt_install(NULL);
		return watch(m, o, e);
	}
	print_state(m);
	print_cache(m);
	return print_times(m, e);
}

static int
run_stats(int argc, char **argv)
{
	struct stats_opts o = { 0 };
	struct conf conf = { 0 };
	struct err e = ERR_INIT;
	struct mounted m;
	int rc = conf_init(&conf, stats_opts, &o, &e);

	if (rc == 0)
		rc = conf_args(&conf, argc, argv, &e);
	conf_fini(&conf);
	if (rc < 0)
		return cli_usage("stats", "%s", err_text(&e));
	if (o.help) {
		print_help();
		return CLI_OK;
	}
	if (rc != 1)
		return cli_usage("stats", "needs one directory");
	rc = mounted_find(&m, argv[1], &e);
	if (rc == 0) {
		rc = stats(&m, &o, &e);
		mounted_fini(&m);
	}
	return rc < 0 ? cli_fail("stats", &e) : CLI_OK;
}

const struct verb verb_stats = {
	.name = "stats",
	.summary = "what a mount does and how fast",
	.run = run_stats,
};
