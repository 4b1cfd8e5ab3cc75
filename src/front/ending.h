/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_ENDING_H
#define FRONT_ENDING_H

/*
 * The states of a mount from its first request to the end of the process, as
 * a pure function: serve.c does what the states say.
 *
 *	SERVING     requests come and are answered
 *	UNMOUNTING  we were told to end: the kernel is asked to unmount (it
 *		    writes its dirty pages; requests are still served)
 *	STOPPING    no new requests; waits for those in flight
 *	FLUSHING    everything is written to the store
 *	PAUSING     that failed; it is tried again soon
 *	CLOSING     all is safe: give up the lease, free everything
 *	GIVING_UP   data is lost: say so loudly, keep the lease
 *
 * A process that hands the mount over to a successor (docs/restart.md):
 *
 *	SAVING      writes everything to the store, and goes on serving
 *	DRAINING    no new requests; waits for those in flight
 *	SEALING     writes what has come since
 *	LEAVING     all is safe: keep mount and lease, free everything else
 *
 * Whatever goes wrong there leads back to SERVING.
 *
 * What was acknowledged is lost only by GIVING_UP: after a second signal, or
 * when the store has taken nothing for the time that the settings allow.
 */
enum ending_state {
	SERVING,
	UNMOUNTING,
	STOPPING,
	FLUSHING,
	PAUSING,
	CLOSING,
	GIVING_UP,
	SAVING,
	DRAINING,
	SEALING,
	LEAVING
};

enum ending_event {
	END_SIGNAL,	  /* SIGTERM, SIGINT */
	END_SESSION_OVER, /* somebody unmounted, or /dev/fuse failed */
	END_DETACHED,	  /* our unmount has returned; some may hold on */
	END_IDLE,	  /* no request is in flight */
	END_FLUSHED,
	END_FLUSH_FAILED,
	END_PAUSE_OVER,
	END_NO_PROGRESS, /* for too long */
	END_HAND_OVER,	 /* a successor is there */
	END_TOO_LONG	 /* those who use the mount have waited enough */
};

/* The next state; the same one if the event means nothing there. */
enum ending_state ending_next(enum ending_state s, enum ending_event ev);

const char *ending_name(enum ending_state s);

#endif
