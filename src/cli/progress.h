/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Progress of something long: a bar on a terminal, now and then a line
 * elsewhere, nothing with --quiet.
 *
 *   Copying  [====>     ]  45 %  4.5 GiB of 10 GiB  87.0 MiB/s  1:03 left
 *
 *  P1. The terminal is written at most ten times a second, however often
 *      progress_set is called.
 *  P2. A drawn line is never wider than the terminal is at that moment.
 *  P3. After progress_end the line is empty and the cursor at its beginning.
 *
 * One bar at a time.  Everything on one thread; progress_erase alone may also
 * be called from a signal handler, and on any thread; the log does.
 */

/* Where it is drawn; tests have their own. */
struct progress_term {
	bool bar;   /* a terminal that knows how to erase a line */
	bool quiet; /* draw nothing at all */
	int64_t (*now_ns)(struct progress_term *t);
	unsigned (*columns)(struct progress_term *t);
	void (*put)(struct progress_term *t, const char *s, size_t n);
};

/* Standard error.  A bar if it is a terminal (and not TERM=dumb). */
struct progress_term *progress_stderr(bool quiet);

struct progress {
	struct progress_term *term;
	const char *what; /* "Copying" */
	const char *noun; /* what is counted; NULL: bytes */
	uint64_t total;	  /* 0: not known */

	uint64_t done;
	int64_t start_ns;
	int64_t drawn_ns; /* the last line */
	unsigned lines;	  /* printed where there is no terminal */

	double rate;	  /* per second, smoothed; 0: not known yet */
	int64_t seen_ns;  /* rate was computed then, ... */
	uint64_t seen;	  /* ... when so much was done */
};

/* what and noun are borrowed.  done is what was there before (a resumed
 * copy): it counts for the bar, not for the rate. */
void progress_start(struct progress *p, struct progress_term *term,
    const char *what, const char *noun, uint64_t done, uint64_t total);
/* So much is done of so much (total may grow, or become known). */
void progress_set(struct progress *p, uint64_t done, uint64_t total);
/* Take the bar away.  Harmless if there is none, or twice. */
void progress_end(struct progress *p);

/* Seconds since progress_start. */
double progress_elapsed(const struct progress *p);

/*
 * Something else is about to write to the terminal: take the bar of this
 * process away for the moment; the next progress_set draws it again.
 */
void progress_erase(void);

/* The line as it would be drawn in so many columns (tests). */
void progress_format(const struct progress *p, unsigned columns, char *line,
    size_t size);

#endif
