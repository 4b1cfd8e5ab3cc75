/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAYOUT_S3B_H
#define LAYOUT_S3B_H

#include "base/stat.h"
#include "codec/codec.h"
#include "layout/descriptor.h"
#include "layout/layout.h"
#include "layout/present.h"
#include "layout/s3b_name.h"

/*
 * What the files of s3backer's layout share; nobody else includes this.
 *
 *	s3b_open.c	finds or creates the volume, and makes the struct
 *	layout.c	takes requests, answers those that need no store
 *	s3b_io.c	READ and WRITE of one block
 *	s3b_erase.c	ERASE of many
 *	s3b_survey.c	the listing behind the present map
 */
struct lease;
struct survey;

/* Blocks up to here are encoded and decoded on the loop, larger ones by the
 * worker pool. */
#define INLINE_CODEC_MAX (16u << 10)

struct layout {
	struct layout_info info;
	struct store *store; /* borrowed, as are pool and stats */
	struct loop *loop;
	struct work_pool *pool;
	struct stat_set *stats;
	char *prefix;
	bool hashed;
	bool has_desc;	  /* else block 0's headers say what the volume is */
	bool exclusive;	  /* we hold the lease: nobody else changes blocks */
	struct descriptor desc; /* if has_desc */
	struct codec codec;
	char *default_encoding; /* for codec */
	char encoding[CODEC_ENCODING_MAX];
	struct meta *meta; /* of a block other than 0, unless encrypted */
	struct lease *lease; /* NULL: none held */

	struct present_map present;
	struct survey *survey; /* while one runs */
	bool survey_done;
	int survey_rc; /* of the last that ended */
	struct err survey_err;
	uint64_t survey_keys;
	uint64_t survey_beyond; /* blocks found behind the end */
	struct list survey_waiters; /* struct survey_waiter */

	unsigned inflight; /* requests */
};

/* Is this block's object the only place that knows the volume's size? */
static inline bool
s3b_keeps(const struct layout *l, uint64_t block)
{
	return block == 0 && !l->has_desc;
}

/* Called by layout_submit.  They end requests by layout_end, later. */
void s3b_read(struct layout *l, struct layout_req *r);
void s3b_write(struct layout *l, struct layout_req *r);
void s3b_erase(struct layout *l, struct layout_req *r);
void s3b_sync(struct layout *l, struct layout_req *r);

/* End a request: now (never from inside submit), or soon. */
void layout_end(struct layout_req *r, int rc);
void layout_end_later(struct layout_req *r, int rc);

/* What a request does in the store, for layout_cancel; the first field of
 * what layout_req.priv points to. */
struct s3b_op {
	void (*cancel)(struct s3b_op *op);
};

/* The metadata of a block's object: a reference for the caller, or NULL. */
struct meta *s3b_meta(const struct layout *l, uint64_t block,
    const char *hmac);

/* Begin a survey unless one is running.  -ENOMEM. */
int s3b_survey_start(struct layout *l);
struct survey_waiter {
	void (*ended)(struct survey_waiter *w); /* done or failed */
	struct list link;
};
void s3b_survey_wait(struct layout *l, struct survey_waiter *w);
/* Stop it, and run the loop until it has ended. */
void s3b_survey_end(struct layout *l);

/* Count something, where there are counters. */
static inline void
s3b_count(struct layout *l, enum stat_id id, uint64_t n)
{
	if (l->stats != NULL)
		stat_add(l->stats, id, n);
}

#endif
