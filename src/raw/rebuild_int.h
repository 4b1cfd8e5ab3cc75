/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAW_REBUILD_INT_H
#define RAW_REBUILD_INT_H

/*
 * What the two files of the rebuild share: rebuild.c (the pass) and
 * rebuild_state.c (its beginning and end, its place, who waits for it).
 */
#include "raw/ckpt.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/read.h"
#include "raw/rebuild.h"
#include "raw/xio.h"

enum phase { WAIT, OBJECTS, PAGES, FINISH };

/* One extent under work, in the order of the pass. */
struct probe {
	struct list link;
	struct xio xio;
	struct rebuild *rb;
	struct raw_extent ext;
	struct pin pin;
	int64_t start_ns;
	bool ended, last; /* of its object */
	char key[RAW_KEY_MAX + 1];
};

/* How far the pass is. */
struct place {
	char key[RAW_KEY_MAX + 1];
	uint64_t objects, bytes;
};

struct rebuild {
	struct pool *pool;
	uint32_t members, blank; /* by column */
	enum phase phase;
	bool halted; /* there is nothing to do, or no way to do it */
	bool paused;
	bool incomplete; /* memory was short: another pass is needed */
	uint64_t wait_seq;
	struct index_walk walk;
	struct raw_extent *ext; /* of the object under work */
	struct raw_object obj;
	unsigned next_ext;
	char page_key[RAW_KEY_MAX + 1];
	bool pages_begun;
	size_t next_root;
	struct list probes;
	unsigned nprobes;
	uint64_t flying; /* their bytes, raw */
	struct place done, marked; /* marked: the flush under way covers it */
	bool all_marked, publishing;
	uint64_t written, lost;
	int64_t not_before_ns, saved_ns;
	/* For the rate. */
	int64_t rate_ns;
	uint64_t rate_bytes, rate;
	struct loop_task step;
	struct loop_timer timer;
	struct ckpt_wait ckpt;
	bool ckpt_running;
};

/* rebuild.c */
void rebuild_again(struct rebuild *rb, int64_t in_ns); /* look again then */
void rebuild_restart(struct rebuild *rb, const char *after);
void rebuild_advance(struct rebuild *rb); /* over probes that have ended */
void rebuild_step(struct loop_task *t);
void rebuild_timer(struct loop_timer *t);
/* rebuild_state.c: whoever waits is told, if there is something to tell. */
void rebuild_tell(struct pool *p);

#endif
