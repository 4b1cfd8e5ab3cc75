/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.c: the last commits at opening; see tail.h.
 *
 *	item	--> all columns of all its extents are asked for
 *	...	(at most CHECKS_MAX items, or BYTES_MAX bytes)
 *	settle	the oldest is waited for: what it says is noted
 *
 * An item that comes behind another one of the same key makes it not matter
 * whether that one is lost.  So items are settled in the order in which they
 * came, whatever order the devices answer in.
 */
#include "raw/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raw/index.h"
#include "raw/pool_int.h"
#include "raw/recover.h"
#include "raw/xio.h"

#define CHECKS_MAX 64u
#define BYTES_MAX (16u << 20)

/* An item that is looked at, or (key NULL) the end of a commit. */
struct check {
	struct list link;
	struct pool *p;
	uint64_t seq;
	char *key;
	uint64_t bytes; /* of its extents */
	unsigned nextents, begun, pending;
	bool done;
	int rc; /* it could not be begun */
	struct raw_extent *ext;
	struct xio *xio;
};

/* --- what is noted ----------------------------------------------------------- */

/* What of the tail is not whole, by key; why: what the check said. */
static int
note(struct pool *p, const struct check *k, int why)
{
	struct recover_tail *t = &p->recover_tail;
	struct recover_damaged *d;

	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 16;

		d = realloc(t->d, room * sizeof(*d));
		if (!d)
			return -ENOMEM;
		t->d = d;
		t->room = room;
	}
	d = &t->d[t->n];
	d->key = strdup(k->key);
	if (!d->key)
		return -ENOMEM;
	d->seq = k->seq;
	d->lost = why < 0;
	d->unread = why == -EIO;
	t->n++;
	t->nlost += d->lost;
	return 0;
}

/* An item of this key has come behind it: that it is lost does not matter from
 * then on.  What is only damaged stays noted, as the later item may not count. */
static void
replaced(struct pool *p, const char *key)
{
	struct recover_tail *t = &p->recover_tail;

	for (size_t i = 0; i < t->n && t->nlost > 0; i++)
		if (t->d[i].lost && strcmp(t->d[i].key, key) == 0) {
			t->nlost--;
			free(t->d[i].key);
			t->d[i--] = t->d[--t->n];
		}
}

void
recover_tail_fini(struct pool *p)
{
	struct recover_tail *t = &p->recover_tail;

	while (t->n > 0)
		free(t->d[--t->n].key);
	free(t->d);
	memset(t, 0, sizeof(*t));
}

/* --- what an extent says ------------------------------------------------------ */

/* Every member that is here has its part of an extent. */
static bool
is_whole(const struct xio *x)
{
	for (unsigned c = 0; c < x->geom.w; c++)
		if (pool_dev(x->pool, xio_member(x, c)) &&
		    (x->col[c].state != XIO_GOOD || x->col[c].recovered))
			return false;
	return true;
}

/* An extent could not be read: would it help if the devices that failed to give
 * their part had not failed? */
static bool
may_be_there(const struct xio *x)
{
	unsigned unread = 0, good = 0;

	for (unsigned c = 0; c < x->geom.w; c++) {
		const struct xio_column *col = &x->col[c];

		good += col->state == XIO_GOOD;
		/* A member that is not here is lost: what was synced is on
		 * the others. */
		if (!x->pool->member[xio_member(x, c)].dev)
			continue;
		unread += col->state == XIO_LATE ||
		    (col->state == XIO_BAD && col->req.rc < 0);
	}
	return unread > 0 && good + unread >= x->geom.d;
}

/* Of all its extents.  *whole: from all members that are here, too.  -EBADMSG:
 * it is not there; -EIO: that cannot be said now. */
static int
outcome(const struct check *k, bool *whole)
{
	int rc = 0;

	*whole = true;
	for (unsigned i = 0; i < k->begun && rc == 0; i++) {
		const struct xio *x = xio_nth(k->p, k->xio, i);

		rc = x->rc;
		if (rc == -EIO && !may_be_there(x))
			rc = -EBADMSG;
		*whole = *whole && rc == 0 && is_whole(x);
	}
	return rc < 0 ? rc : k->rc;
}

/* --- checks -------------------------------------------------------------------- */

static void
check_free(struct check *k)
{
	free(k->key);
	free(k->ext);
	free(k->xio);
	free(k);
}

static void
extent_read(struct xio *x)
{
	struct check *k = x->arg;

	k->done = --k->pending == 0;
}

static struct check *
check_new(struct tail *t, const struct raw_item *it, uint64_t seq)
{
	struct check *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->p = t->p;
	k->seq = seq;
	k->key = it ? strdup(it->key) : NULL;
	if (it && it->kind == RAW_ITEM_PUT)
		k->nextents = it->object.nextents;
	k->ext = calloc(k->nextents + 1, sizeof(*k->ext));
	k->xio = xio_array(t->p, k->nextents + 1);
	if ((it && !k->key) || !k->ext || !k->xio) {
		check_free(k);
		return NULL;
	}
	for (unsigned i = 0; i < k->nextents; i++) {
		k->ext[i] = it->object.ext[i];
		k->bytes += k->ext[i].bytes;
	}
	return k;
}

static void
check_begin(struct check *k)
{
	for (unsigned i = 0; i < k->nextents && k->rc == 0; i++) {
		struct xio *x = xio_nth(k->p, k->xio, i);

		x->done = extent_read;
		x->arg = k;
		k->rc = recover_fits(k->p, &k->ext[i]) ? 0 : -EBADMSG;
		if (k->rc == 0)
			k->rc = xio_scrub(x, k->p, &k->ext[i]);
		if (k->rc == 0) {
			k->begun++;
			k->pending++;
		}
	}
	k->done = k->pending == 0;
}

static int
settle_oldest(struct tail *t, bool quiet)
{
	struct list *l = list_pop_front(&t->checks);
	struct check *k = list_entry(l, struct check, link);
	bool whole;
	int rc = k->done ? 0 : loop_run_until(t->p->loop, &k->done);

	t->nchecks--;
	t->bytes -= k->bytes;
	/* A loop that cannot run will not write there any more, either; but
	 * what it has been given must stay. */
	if (rc < 0)
		return rc;
	if (quiet) {
		rc = 0;
	} else if (!k->key) {
		if (t->p->recover_tail.nlost == 0)
			t->good = k->seq;
	} else {
		replaced(t->p, k->key);
		rc = outcome(k, &whole);
		if (rc == -EIO || rc == -EBADMSG || (rc == 0 && !whole))
			rc = note(t->p, k, rc);
	}
	check_free(k);
	return rc;
}

static int
add(struct tail *t, struct check *k)
{
	int rc = 0;

	if (!k)
		return -ENOMEM;
	list_push_back(&t->checks, &k->link);
	t->nchecks++;
	t->bytes += k->bytes;
	check_begin(k);
	while (rc == 0 &&
	    (t->nchecks > CHECKS_MAX ||
		(t->bytes > BYTES_MAX && t->nchecks > 1)))
		rc = settle_oldest(t, false);
	return rc;
}

void
tail_init(struct tail *t, struct pool *p, uint64_t durable)
{
	*t = (struct tail){.p = p, .good = durable};
	list_init(&t->checks);
}

int
tail_item(struct tail *t, const struct raw_item *it, uint64_t seq)
{
	return add(t, check_new(t, it, seq));
}

int
tail_commit(struct tail *t, uint64_t seq)
{
	return add(t, check_new(t, NULL, seq));
}

int
tail_end(struct tail *t, int rc)
{
	while (t->nchecks > 0) {
		int one = settle_oldest(t, rc < 0);

		rc = rc < 0 ? rc : one;
	}
	return rc;
}
