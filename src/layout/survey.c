/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing a volume by many listings at once; see survey.h.
 *
 * The names of blocks are ordered by their first eight digits, their position.
 * A lister has a range of positions and reads it page after page:
 *
 *	lister 0	lo....>       hi
 *	lister 1			 lo..>	     hi
 *
 * The first begins with all of them.  Whenever a lister is idle, the largest
 * range that is known to be longer than a page is cut in half, and the idle
 * one takes the upper part.  So wherever the names are dense, soon all work
 * there, without knowing it before: with blocks only at the beginning, the
 * halvings that find nothing are made all at once, while the second page is
 * under way.
 *
 * A range may be cut while a page of it is in flight; what that page has beyond
 * the new end is left to the other lister, so each name is found once.
 *
 * Keys between the names that belong to somebody else are jumped over, not
 * read (s3b_name_next_pos).
 *
 * The first error ends it: no further page is asked for, and done is called
 * when those in flight are back.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "layout/s3b_name.h"
#include "layout/survey.h"
#include "store/store.h"

#define DEFAULT_LISTS 16
#define LAST_POS UINT32_MAX

struct lister {
	struct survey *s;
	bool busy;    /* req is in flight */
	bool dense;   /* the last page was full: worth cutting */
	uint64_t lo;  /* the next page's first possible position */
	uint64_t hi;  /* last position of the range */
	uint64_t span; /* positions that the last page took */
	struct store_req req;
	char after[STORE_KEY_MAX + 1];
	char before[STORE_KEY_MAX + 1];
};

struct survey {
	struct store *store;
	char *prefix;
	bool hashed;
	const struct survey_ops *ops;
	void *arg;

	unsigned nlisters, nbusy;
	uint64_t nkeys;
	int rc; /* the first error */
	struct err err;
	struct loop_task end_task;
	struct lister lister[];
};

static void page_done(struct store_req *r);

static void
lister_next_page(struct lister *li)
{
	struct survey *s = li->s;

	must(!li->busy && li->lo <= li->hi);
	s3b_name_behind(li->before, s->prefix, (uint32_t)li->hi);
	store_req_init(&li->req, STORE_LIST, NULL);
	li->req.prio = STORE_PRIO_BACKGROUND;
	li->req.prefix = s->prefix;
	li->req.start_after = li->after;
	li->req.end_before = li->before;
	li->req.done = page_done;
	li->req.arg = li;
	li->busy = true;
	s->nbusy++;
	store_submit(s->store, &li->req);
}

static void
lister_begin(struct lister *li, uint64_t lo, uint64_t hi)
{
	li->lo = lo;
	li->hi = hi;
	li->dense = false;
	li->span = 0;
	s3b_name_before(li->after, li->s->prefix, (uint32_t)lo);
	lister_next_page(li);
}

/* The lister whose range is best shared; NULL if none is worth it. */
static struct lister *
largest(struct survey *s)
{
	struct lister *best = NULL;

	for (unsigned i = 0; i < s->nlisters; i++) {
		struct lister *li = &s->lister[i];

		if (!li->busy || !li->dense || li->hi - li->lo <= 2 * li->span)
			continue;
		if (best == NULL || li->hi - li->lo > best->hi - best->lo)
			best = li;
	}
	return best;
}

static void
share_work(struct survey *s)
{
	for (unsigned i = 0; i < s->nlisters; i++) {
		struct lister *from;
		uint64_t mid, hi;

		if (s->lister[i].busy)
			continue;
		from = largest(s);
		if (from == NULL)
			return;
		hi = from->hi;
		mid = from->lo + (hi - from->lo) / 2;
		from->hi = mid;
		lister_begin(&s->lister[i], mid + 1, hi);
	}
}

static void
survey_free(struct survey *s)
{
	free(s->prefix);
	free(s);
}

static void
end(struct loop_task *t)
{
	struct survey *s = container_of(t, struct survey, end_task);

	s->ops->done(s->arg, s->rc, &s->err);
	survey_free(s);
}

static void
fail(struct survey *s, int rc, const struct err *e)
{
	if (s->rc != 0)
		return;
	s->rc = rc;
	if (e != NULL && e->rc != 0)
		err_copy(&s->err, e);
	else
		err_errno(&s->err, rc, "listing %s", VOLUME_NAME(s->store, s->prefix));
}

/* Take the names of a page.  True: the range is done. */
static bool
take_page(struct lister *li, const struct store_page *page)
{
	struct survey *s = li->s;
	uint64_t first = li->lo, next;
	const char *last = NULL;
	uint32_t block;

	for (size_t i = 0; i < page->n && s->rc == 0; i++) {
		int rc;

		last = page->v[i].key;
		if (!s3b_name_parse(last, s->prefix, s->hashed, &block))
			continue;
		if ((s->hashed ? s3b_hash(block) : block) > li->hi)
			return true;
		s->nkeys++;
		rc = s->ops->found(s->arg, block, &page->v[i]);
		if (rc < 0)
			fail(s, rc, NULL);
	}
	if (!page->more || s->rc != 0)
		return true;
	if (last == NULL) {
		struct err e = ERR_INIT;

		err_set(&e, -EBADMSG, "listing %s: a page without keys says "
		    "that there are more", s->store->url);
		fail(s, -EBADMSG, &e);
		return true;
	}
	next = s3b_name_next_pos(last, s->prefix);
	if (next > li->hi || (next == li->hi && !s->hashed &&
	    s3b_name_parse(last, s->prefix, false, &block)))
		return true;
	s3b_name_before(li->after, s->prefix, (uint32_t)next);
	if (strcmp(li->after, last) < 0)
		snprintf(li->after, sizeof(li->after), "%s", last);
	li->lo = next > li->lo ? next : li->lo;
	li->span = li->lo - first > 0 ? li->lo - first : 1;
	li->dense = true;
	return false;
}

static void
page_done(struct store_req *r)
{
	struct lister *li = r->arg;
	struct survey *s = li->s;
	bool range_done = true;

	li->busy = false;
	s->nbusy--;
	if (r->rc < 0)
		fail(s, r->rc, &r->err);
	else if (s->rc == 0)
		range_done = take_page(li, &r->page);
	store_req_fini(r);
	if (s->ops->progress != NULL)
		s->ops->progress(s->arg, s->nkeys);
	if (s->rc == 0) {
		if (!range_done)
			lister_next_page(li);
		share_work(s);
	}
	if (s->nbusy == 0)
		loop_defer(s->store->loop, &s->end_task);
}

struct survey *
survey_start(struct store *store, const char *prefix, bool hashed,
    unsigned nlists, const struct survey_ops *ops, void *arg)
{
	unsigned n = nlists ? nlists : DEFAULT_LISTS;
	struct survey *s = calloc(1, sizeof(*s) + n * sizeof(s->lister[0]));

	if (s == NULL)
		return NULL;
	s->prefix = strdup(prefix);
	if (s->prefix == NULL) {
		free(s);
		return NULL;
	}
	must(strlen(prefix) + S3B_NAME_MAX <= STORE_KEY_MAX);
	s->store = store;
	s->hashed = hashed;
	s->ops = ops;
	s->arg = arg;
	s->nlisters = n;
	s->end_task.run = end;
	for (unsigned i = 0; i < n; i++)
		s->lister[i].s = s;
	lister_begin(&s->lister[0], 0, LAST_POS);
	return s;
}

void
survey_stop(struct survey *s)
{
	struct err e = ERR_INIT;

	err_set(&e, -ECANCELED, "the listing was stopped");
	fail(s, -ECANCELED, &e);
	for (unsigned i = 0; i < s->nlisters; i++)
		if (s->lister[i].busy)
			store_cancel(&s->lister[i].req);
}
