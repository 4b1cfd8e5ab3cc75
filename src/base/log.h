/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/*
 * The log: one line per event, to standard error, or to syslog once the
 * program has become a daemon.  Thread safe.  Secrets are never logged.
 */
enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

/* name stands before each line on standard error.  Borrowed for ever. */
void log_open(const char *name, enum log_level level, bool to_syslog);
/* fn is called before each line on standard error, on whichever thread: to take
 * away what stands in its place on a terminal. */
void log_before_line(void (*fn)(void));
bool log_wants(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_msg(
    enum log_level level, const char *fmt, ...);

#define log_error(...) log_msg(LOG_LVL_ERROR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_LVL_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) \
	do { \
		if (log_wants(LOG_LVL_DEBUG)) \
			log_msg(LOG_LVL_DEBUG, __VA_ARGS__); \
	} while (0)

#endif
