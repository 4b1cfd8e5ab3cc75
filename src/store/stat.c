/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat: numbers about requests; see stat.h.
 *
 * Times are those of the loop, which reads the clock once in a turn: a request
 * that takes less than a turn counts as none, which is near enough for
 * anything that leaves the process.  -ENOENT and -EEXIST are answers, not
 * failures; a request that was cancelled is neither.
 */
#include "config.h"

#include "store/stat.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/stat.h"
#include "store/filter.h"

struct stat_store {
	struct filter f;
	struct stat_set *stats;
};

static const struct {
	enum stat_id count;
	enum hist_id time;
} rows[STORE_NOPS] = {
	[STORE_GET] = {STAT_STORE_GETS, HIST_STORE_GET},
	[STORE_PUT] = {STAT_STORE_PUTS, HIST_STORE_PUT},
	[STORE_DELETE] = {STAT_STORE_DELETES, HIST_STORE_DELETE},
	[STORE_HEAD] = {STAT_STORE_HEADS, HIST_STORE_HEAD},
	[STORE_LIST] = {STAT_STORE_LISTS, HIST_STORE_LIST},
	[STORE_BATCH] = {STAT_STORE_BATCHES, HIST_STORE_BATCH},
	[STORE_SYNC] = {STAT_STORE_SYNCS, HIST_STORE_SYNC},
};

void
stat_store_error(struct stat_set *stats, int rc)
{
	switch (rc) {
	case 0:
	case -ENOENT:
	case -EEXIST:
	case -ECANCELED:
		return;
	case -EACCES:
	case -EPERM:
		stat_inc(stats, STAT_STORE_ERR_REFUSED);
		return;
	case -EAGAIN:
	case -EBUSY:
		stat_inc(stats, STAT_STORE_ERR_BUSY);
		return;
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EHOSTUNREACH:
	case -EHOSTDOWN:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -ENETRESET:
	case -EADDRNOTAVAIL:
	case -EPIPE:
	case -ENOTCONN:
		stat_inc(stats, STAT_STORE_ERR_CONNECT);
		return;
	case -ETIMEDOUT:
		stat_inc(stats, STAT_STORE_ERR_TIMEOUT);
		return;
	case -EBADMSG:
		stat_inc(stats, STAT_STORE_ERR_DAMAGED);
		return;
	default:
		stat_inc(stats, STAT_STORE_ERR_OTHER);
		return;
	}
}

static void
stat_count(struct stat_set *st, const struct store_req *r)
{
	stat_inc(st, rows[r->op].count);
	if (r->rc < 0 && r->rc != -ENOENT && r->rc != -EEXIST) {
		if (r->rc != -ECANCELED)
			stat_inc(st, STAT_STORE_FAILED);
		return;
	}
	stat_time(st, rows[r->op].time,
	    loop_now(r->store->loop) - r->start_ns);
	if (r->rc < 0)
		return;
	if (r->op == STORE_GET && !r->unchanged)
		stat_add(st, STAT_STORE_READ_BYTES, r->body->len);
	if (r->op == STORE_PUT)
		stat_add(st, STAT_STORE_WRITE_BYTES, r->body->len);
	for (unsigned i = 0; r->op == STORE_BATCH && i < r->nitems; i++)
		if (r->items[i].op == STORE_PUT)
			stat_add(st, STAT_STORE_WRITE_BYTES,
			    r->items[i].body->len);
}

static struct stat_store *
stat_of(struct store *s)
{
	return container_of(s, struct stat_store, f.store);
}

static void
stat_done(struct store_req *down)
{
	struct filter_req *q = filter_req_of(down);
	struct stat_store *s = stat_of(q->up->store);

	stat_sub(s->stats, STAT_STORE_INFLIGHT, 1);
	stat_count(s->stats, down);
	filter_req_answer(&s->f, q);
}

static void
stat_submit(struct store *s, struct store_req *r)
{
	struct filter_req *q = filter_req_get(filter_of(s), r, stat_done);

	if (q == NULL)
		return;
	stat_add(stat_of(s)->stats, STAT_STORE_INFLIGHT, 1);
	store_submit(s->below, &q->down);
}

static void
stat_cancel(struct store *s, struct store_req *r)
{
	struct filter_req *q = r->priv;

	store_cancel(&q->down);
}

static void
stat_free(struct store *s)
{
	struct stat_store *st = stat_of(s);

	filter_fini(&st->f);
	free(st);
}

static const struct store_ops stat_ops = {
	.name = "stat",
	.submit = stat_submit,
	.cancel = stat_cancel,
	.free = stat_free,
};

int
stat_store_new(struct store *below, struct stat_set *stats,
    struct store **out, struct err *e)
{
	struct stat_store *s = calloc(1, sizeof(*s));

	if (s == NULL || filter_init(&s->f, &stat_ops, below,
	    sizeof(struct filter_req)) < 0) {
		free(s);
		store_free(below);
		return err_errno(e, -ENOMEM, "count requests");
	}
	s->stats = stats;
	*out = &s->f.store;
	return 0;
}
