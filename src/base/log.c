/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: one line per event; see log.h.
 *
 * A line is built in a local buffer and leaves by one write(2), so that lines
 * of several threads and processes do not mix.  Control characters, which may come
 * from outside, become "?": one event stays one line.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static const char *log_name = "pail";
static enum log_level log_max = LOG_LVL_INFO;
static bool log_syslog;
static void (*log_before)(void);

void
log_open(const char *name, enum log_level level, bool to_syslog)
{
	log_name = name;
	log_max = level;
	log_syslog = to_syslog;
	if (to_syslog)
		openlog(name, LOG_PID, LOG_DAEMON);
}

void
log_before_line(void (*fn)(void))
{
	log_before = fn;
}

bool
log_wants(enum log_level level)
{
	return level <= log_max;
}

void
log_msg(enum log_level level, const char *fmt, ...)
{
	static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
	static const int prio[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	char line[1024];
	va_list ap;
	size_t n;

	if (!log_wants(level))
		return;
	n = (size_t)snprintf(line, sizeof(line) - 1, "%s: %s",
	    log_syslog ? "" : log_name, word[level]);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
	va_end(ap);
	for (n = 0; line[n]; n++)
		if ((unsigned char)line[n] < ' ' || line[n] == '\x7f')
			line[n] = '?';
	if (log_syslog) {
		syslog(prio[level], "%s", line + 2);
		return;
	}
	line[n++] = '\n';
	if (log_before != NULL)
		log_before();
	/* Nothing can be done about a log that cannot be written. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
