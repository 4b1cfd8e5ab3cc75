/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRONT_SERVE_INT_H
#define FRONT_SERVE_INT_H

#include "front/ending.h"
#include "front/fuse.h"
#include "front/hold.h"
#include "front/kept.h"
#include "front/ledger.h"
#include "front/serve.h"
#include "front/status.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "volume/volume.h"

/* What serve.c (the life of a mount) and serve_hold.c (another process goes on
 * with it) share. */

struct serve {
	/* Configuration. */
	struct serve_params p;
	struct volume *volume;
	struct loop *loop;

	/* State. */
	enum ending_state state;
	struct fuse_front *front;
	struct control *control;
	struct storedoor *door; /* NULL: not over raw devices, or failed */
	struct loop_signal signals;
	struct volume_req flush;
	bool flushing, flush_again;
	struct loop_timer pause;
	struct loop_timer watch; /* progress, while ending */
	uint64_t seen_dirty;	 /* at the last progress */
	int64_t progress_ns, said_ns;
	bool told; /* by a signal */
	bool ending; /* the watch runs */

	/* The holder. */
	struct hold *hold;
	struct ledger *ledger;
	struct loop_timer patience;
	bool gone_on; /* a predecessor's session: we read it */
	int rc;	   /* of the last flush at the end */
	struct err err;

	/* The unmount on a worker. */
	struct work unmount;
	bool unmount_idle;
	struct err unmount_err;

	struct status status; /* collected for each text */
};

/* serve.c */
void serve_event(struct serve *s, enum ending_event ev);
void serve_front_ended(void *arg, int rc);
void serve_front_idle(void *arg);

/* serve_hold.c */
static inline bool
serve_hands_over(enum ending_state state)
{
	return state == SAVING || state == DRAINING || state == SEALING;
}

/* On entering DRAINING, and on leaving these states for any but LEAVING. */
void serve_enter_draining(struct serve *s);
void serve_go_on(struct serve *s, enum ending_state was);
/* The connection to the holder, if there is one; what a predecessor had not
 * flushed is written again; the front is opened, or taken over. */
int serve_begin_hold(struct serve *s, struct err *e);
int serve_begin_ledger(struct serve *s, struct err *e);
int serve_open_front(
    struct serve *s, struct fuse_front_params *fp, struct err *e);
/* Instead of an end: everything but mount and lease is freed. */
int serve_leave(struct serve *s, struct err *e);
void serve_end_hold(struct serve *s);

#endif
