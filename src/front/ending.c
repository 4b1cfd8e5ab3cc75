/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of states behind ending.h.
 *
 * Events that arrive late (a session that ends while we stop anyway) change
 * nothing.  Every state from UNMOUNTING to PAUSING is left for GIVING_UP by a
 * signal: the first has brought us there, so it is a second one, or the user
 * who unmounted does not want to wait.  While a successor waits, a signal is
 * the first one, and ends the mount as it would have before.
 */
#include "config.h"

#include "front/ending.h"

enum ending_state
ending_next(enum ending_state s, enum ending_event ev)
{
	switch (s) {
	case SERVING:
		if (ev == END_SIGNAL)
			return UNMOUNTING;
		if (ev == END_SESSION_OVER)
			return STOPPING;
		if (ev == END_HAND_OVER)
			return SAVING;
		return s;
	case SAVING:
		if (ev == END_SIGNAL)
			return UNMOUNTING;
		if (ev == END_SESSION_OVER)
			return STOPPING;
		if (ev == END_FLUSHED)
			return DRAINING;
		if (ev == END_FLUSH_FAILED)
			return SERVING;
		return s;
	case DRAINING:
	case SEALING:
		if (ev == END_SIGNAL)
			return UNMOUNTING;
		if (ev == END_IDLE)
			return SEALING;
		if (ev == END_FLUSHED && s == SEALING)
			return LEAVING;
		if (ev == END_FLUSH_FAILED || ev == END_TOO_LONG)
			return SERVING;
		return s;
	case LEAVING:
		return s;
	case UNMOUNTING:
		if (ev == END_SESSION_OVER || ev == END_DETACHED)
			return STOPPING;
		break;
	case STOPPING:
		if (ev == END_IDLE)
			return FLUSHING;
		break;
	case FLUSHING:
		if (ev == END_FLUSHED)
			return CLOSING;
		if (ev == END_FLUSH_FAILED)
			return PAUSING;
		break;
	case PAUSING:
		if (ev == END_PAUSE_OVER)
			return FLUSHING;
		break;
	case CLOSING:
	case GIVING_UP:
		return s;
	}
	if (ev == END_SIGNAL || ev == END_NO_PROGRESS)
		return GIVING_UP;
	return s;
}

const char *
ending_name(enum ending_state s)
{
	static const char *const names[] = {
		[SERVING] = "serving",
		[UNMOUNTING] = "unmounting",
		[STOPPING] = "stopping",
		[FLUSHING] = "flushing",
		[PAUSING] = "retrying",
		[CLOSING] = "closing",
		[GIVING_UP] = "giving up",
		[SAVING] = "saving",
		[DRAINING] = "draining",
		[SEALING] = "sealing",
		[LEAVING] = "leaving",
	};

	return names[s];
}
