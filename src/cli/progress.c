/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress bars.
 *
 * A line is made of parts in the order of their worth: what, percentage,
 * amount, time left, rate, bar.  In a narrow terminal those of least worth are
 * left out; the bar takes what remains.  The width is asked for at each draw,
 * so a changed window needs no signal.
 *
 * The rate is a moving average that forgets in about five seconds; it is first
 * shown after one second, and so is the time left.  Where standard error is no
 * terminal, a sentence is printed after 10, 20 and 30 s and then every 30 s,
 * so that a log shows that the program lives and how long it will take.
 *
 * The first bar is drawn after a tenth of a second: what is done at once shows
 * none.  Nothing here can fail: a terminal that does not take the bytes loses them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/progress.h"

#define DRAW_EVERY_NS (NS_PER_S / 10)
#define RATE_EVERY_NS (NS_PER_S / 2)
#define RATE_FIRST_NS NS_PER_S
#define RATE_MEMORY_S 5.0
#define LINE_EVERY_NS (10 * NS_PER_S)
#define LINE_SELDOM_NS (30 * NS_PER_S)
#define LINE_MAX_COLUMNS 200
#define PART_MAX (2 * FORMAT_MAX)

#define ERASE_LINE "\r\033[K"

/* The terminal that a bar is on now, or NULL.  Taken by signal handlers and by
 * whoever logs, on any thread: so it is not the bar itself, which may end. */
static struct progress_term *drawn_on;

static int64_t
stderr_now(struct progress_term *t)
{
	return clock_mono_ns();
}

static unsigned
stderr_columns(struct progress_term *t)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == -1 || w.ws_col == 0)
		return 80;
	return w.ws_col;
}

static void
stderr_put(struct progress_term *t, const char *s, size_t n)
{
	/* A terminal that is gone must not end a copy. */
	if (write(STDERR_FILENO, s, n) == -1)
		return;
}

struct progress_term *
progress_stderr(bool quiet)
{
	static struct progress_term t = {.now_ns = stderr_now,
	    .columns = stderr_columns,
	    .put = stderr_put};
	const char *name = getenv("TERM");

	log_before_line(progress_erase);
	t.quiet = quiet;
	t.bar = isatty(STDERR_FILENO) && name != NULL && *name != '\0' &&
	    strcmp(name, "dumb") != 0;
	return &t;
}

void
progress_start(struct progress *p, struct progress_term *term,
    const char *what, const char *noun, uint64_t done, uint64_t total)
{
	int64_t now = term->now_ns(term);

	*p = (struct progress){.term = term,
	    .what = what,
	    .noun = noun,
	    .total = total,
	    .done = done,
	    .start_ns = now,
	    .drawn_ns = now,
	    .seen_ns = now,
	    .seen = done};
}

double
progress_elapsed(const struct progress *p)
{
	return (double)(p->term->now_ns(p->term) - p->start_ns) / NS_PER_S;
}

static void
update_rate(struct progress *p, int64_t now)
{
	int64_t dt_ns = now - p->seen_ns;
	double dt = (double)dt_ns / NS_PER_S, rate, weight;

	if (dt_ns < (p->rate == 0 ? RATE_FIRST_NS : RATE_EVERY_NS))
		return;
	rate = p->done > p->seen ? (double)(p->done - p->seen) / dt : 0;
	weight = p->rate == 0 ? 1 : dt / (dt + RATE_MEMORY_S);
	p->rate += weight * (rate - p->rate);
	p->seen_ns = now;
	p->seen = p->done;
}

/* --- the parts of a line --------------------------------------------------- */

static void
amount_text(const struct progress *p, char *out, size_t size)
{
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (p->noun == NULL)
		format_size(a, p->done), format_size(b, p->total);
	else
		format_count(a, p->done), format_count(b, p->total);
	if (p->total == 0)
		snprintf(out, size, "%s%s%s", a, p->noun ? " " : "",
		    p->noun ? p->noun : "");
	else
		snprintf(out, size, "%s of %s%s%s", a, b, p->noun ? " " : "",
		    p->noun ? p->noun : "");
}

static void
rate_text(const struct progress *p, char *out, size_t size)
{
	char a[FORMAT_MAX];

	*out = '\0';
	if (p->rate == 0)
		return;
	if (p->noun == NULL)
		snprintf(out, size, "%s", format_rate(a, p->rate));
	else
		snprintf(out, size, "%s/s",
		    format_count(a, (uint64_t)(p->rate + 0.5)));
}

static void
left_text(const struct progress *p, char *out, size_t size)
{
	double left;
	unsigned s;

	*out = '\0';
	if (p->rate <= 0 || p->total <= p->done)
		return;
	left = (double)(p->total - p->done) / p->rate + 0.5;
	if (left >= 365.0 * 86400)
		return;
	s = (unsigned)left;
	if (s < 3600)
		snprintf(out, size, "%u:%02u left", s / 60, s % 60);
	else if (s < 48 * 3600)
		snprintf(out, size, "%u:%02u:%02u left", s / 3600,
		    s / 60 % 60, s % 60);
	else
		snprintf(out, size, "%u d %u h left", s / 86400,
		    s / 3600 % 24);
}

static unsigned
percent(const struct progress *p)
{
	if (p->done >= p->total)
		return 100;
	/* Never 100 before the end. */
	return (unsigned)((double)p->done / (double)p->total * 100);
}

static void
add_part(char *line, size_t size, unsigned columns, const char *part)
{
	size_t len = strlen(line), more = strlen(part) + (len > 0 ? 2 : 0);

	if (*part == '\0' || len + more > columns || len + more >= size)
		return;
	snprintf(line + len, size - len, "%s%s", len > 0 ? "  " : "", part);
}

#define BAR_MIN 8
#define BAR_MAX 40

static void
bar_text(const struct progress *p, size_t room, char *out)
{
	size_t inner, full;

	*out = '\0';
	if (p->total == 0 || room < BAR_MIN + 2)
		return;
	inner = (room > BAR_MAX ? BAR_MAX : room) - 2;
	full = p->done >= p->total
	    ? inner
	    : (size_t)((double)p->done / (double)p->total * (double)inner);
	*out++ = '[';
	for (size_t i = 0; i < inner; i++)
		*out++ = i < full ? '=' : i == full ? '>' : ' ';
	strcpy(out, "]");
}

void
progress_format(const struct progress *p, unsigned columns, char *line,
    size_t size)
{
	char head[PART_MAX], tail[4 * PART_MAX] = "", part[PART_MAX];
	char bar[BAR_MAX + 1];
	size_t used;

	snprintf(head, sizeof(head), "%.*s",
	    (int)(columns < 40 ? columns : 40), p->what);
	if (columns > strlen(head) + 2)
		columns -= strlen(head) + 2;
	else
		columns = 0;
	if (p->total > 0) {
		snprintf(part, sizeof(part), "%3u %%", percent(p));
		add_part(tail, sizeof(tail), columns, part);
	}
	amount_text(p, part, sizeof(part));
	add_part(tail, sizeof(tail), columns, part);
	rate_text(p, part, sizeof(part));
	add_part(tail, sizeof(tail), columns, part);
	left_text(p, part, sizeof(part));
	add_part(tail, sizeof(tail), columns, part);
	used = strlen(tail) + 2;
	bar_text(p, columns > used ? columns - used : 0, bar);
	snprintf(line, size, "%s%s%s%s%s", head, *bar ? "  " : "", bar,
	    *tail ? "  " : "", tail);
}

/* --- drawing ---------------------------------------------------------------- */

static void
draw_bar(struct progress *p, int64_t now)
{
	struct progress_term *t = p->term;
	char line[LINE_MAX_COLUMNS + 1], out[LINE_MAX_COLUMNS + 16];
	unsigned columns = t->columns(t);
	int n;

	if (now - p->drawn_ns < DRAW_EVERY_NS)
		return;
	/* The last column is left free: a full line would wrap. */
	columns = columns > 0 ? columns - 1 : 0;
	if (columns > LINE_MAX_COLUMNS)
		columns = LINE_MAX_COLUMNS;
	progress_format(p, columns, line, sizeof(line));
	n = snprintf(out, sizeof(out), "\r%s\033[K", line);
	__atomic_store_n(&drawn_on, t, __ATOMIC_RELEASE);
	t->put(t, out, (size_t)n);
	p->drawn_ns = now;
}

static void
print_line(struct progress *p, int64_t now)
{
	char amount[PART_MAX], rate[PART_MAX], left[PART_MAX];
	char out[5 * PART_MAX], share[16] = "";
	int n;

	if (now - p->drawn_ns <
	    (p->lines < 3 ? LINE_EVERY_NS : LINE_SELDOM_NS))
		return;
	amount_text(p, amount, sizeof(amount));
	rate_text(p, rate, sizeof(rate));
	left_text(p, left, sizeof(left));
	if (p->total > 0)
		snprintf(share, sizeof(share), "%u %%, ", percent(p));
	n = snprintf(out, sizeof(out), "%s: %s%s%s%s%s%s\n", p->what, share,
	    amount, *rate ? ", " : "", rate, *left ? ", " : "", left);
	p->term->put(p->term, out, (size_t)n);
	p->lines++;
	p->drawn_ns = now;
}

void
progress_set(struct progress *p, uint64_t done, uint64_t total)
{
	struct progress_term *t = p->term;
	int64_t now;

	p->done = done;
	p->total = total;
	if (t->quiet)
		return;
	now = t->now_ns(t);
	update_rate(p, now);
	if (t->bar)
		draw_bar(p, now);
	else
		print_line(p, now);
}

void
progress_erase(void)
{
	struct progress_term *t =
	    __atomic_exchange_n(&drawn_on, NULL, __ATOMIC_ACQ_REL);

	if (t != NULL)
		t->put(t, ERASE_LINE, strlen(ERASE_LINE));
}

void
progress_end(struct progress *p)
{
	if (__atomic_load_n(&drawn_on, __ATOMIC_ACQUIRE) == p->term)
		progress_erase();
}
