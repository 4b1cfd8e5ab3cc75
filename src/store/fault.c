/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault: requests go wrong by rule; see fault.h.
 *
 *	submit -> no rule -> below -> answer
 *	          FAIL    -> answer with rc
 *	          LOST    -> below -> answer with rc
 *	          LATE    -> answer with rc; a copy of the request waits for its
 *	                     time, then goes below, and nobody hears of it
 *	          HANG    -> list of those that hang -> below -> answer
 *
 * A late copy owns its key, bytes and metadata.  Those that have not been sent
 * when the store is freed are dropped, as when the network loses them; none
 * may be in flight below then (run the loop until fault_state says so).
 */
#include "config.h"

#include "store/fault.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "store/filter.h"
#include "store/rnd.h"

struct rule {
	struct fault_rule r;
	char *key;
	unsigned seen, done; /* that matched; that were due */
	struct list link;
};

struct fault {
	struct filter f;
	uint64_t rnd;
	struct list rules;
	struct list hanging; /* of filter_req.link */
	struct list late;    /* of late_req.link */
	struct loop_task release;
	struct fault_state st;
};

struct fault_req {
	struct filter_req q;
	struct loop_timer timer; /* HANG: of the deadline */
	bool hanging;
	int lost; /* LOST: the rc to answer with; else 0 */
};

struct late_req {
	struct store_req r;
	struct fault *f;
	struct loop_timer timer;
	struct list link;
	struct buf *body;
	struct meta *meta;
	char key[STORE_KEY_MAX + 1];
};

static struct fault *
fault_of(struct store *s)
{
	return container_of(s, struct fault, f.store);
}

/* --- rules -------------------------------------------------------------------- */

static bool
rule_matches(const struct rule *u, const struct store_req *r, int64_t now)
{
	if (u->r.ops != 0 && (u->r.ops & 1u << r->op) == 0)
		return false;
	if (u->r.from_ns != 0 && now < u->r.from_ns)
		return false;
	if (u->r.until_ns != 0 && now >= u->r.until_ns)
		return false;
	return u->key == NULL ||
	    (r->key != NULL && fnmatch(u->key, r->key, 0) == 0);
}

static bool
rule_due(struct fault *f, struct rule *u)
{
	unsigned n = u->seen++;

	if (n < u->r.skip || (u->r.times != 0 && u->done >= u->r.times))
		return false;
	if (u->r.every > 1 && (n - u->r.skip) % u->r.every != 0)
		return false;
	if (u->r.permille != 0 && rnd_below(&f->rnd, 1000) >= u->r.permille)
		return false;
	u->done++;
	return true;
}

static struct rule *
rule_for(struct fault *f, const struct store_req *r)
{
	int64_t now = loop_now(f->f.store.loop);

	f->st.seen++;
	list_for_each(e, &f->rules) {
		struct rule *u = list_entry(e, struct rule, link);

		if (rule_matches(u, r, now) && rule_due(f, u)) {
			f->st.hits++;
			return u;
		}
	}
	return NULL;
}

static void
rules_free(struct fault *f)
{
	struct list *e;

	while ((e = list_pop_front(&f->rules)) != NULL) {
		struct rule *u = list_entry(e, struct rule, link);

		free(u->key);
		free(u);
	}
}

/* --- late ones ------------------------------------------------------------------ */

static void
late_free(struct late_req *l)
{
	list_del(&l->link);
	l->f->st.late--;
	buf_unref(l->body);
	meta_unref(l->meta);
	store_req_fini(&l->r);
	free(l);
}

static void
late_done(struct store_req *r)
{
	late_free(container_of(r, struct late_req, r));
}

static void
late_fire(struct loop_timer *t)
{
	struct late_req *l = container_of(t, struct late_req, timer);

	store_submit(l->f->f.store.below, &l->r);
}

static int
late_new(struct fault *f, const struct store_req *r, int64_t late_ns)
{
	struct late_req *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	l->f = f;
	list_init(&l->link);
	list_push_back(&f->late, &l->link);
	f->st.late++;
	memcpy(l->key, r->key, strlen(r->key) + 1);
	store_req_init(&l->r, r->op, l->key);
	l->r.prio = r->prio;
	l->r.if_absent = r->if_absent;
	l->r.done = late_done;
	rc = -ENOMEM;
	if (r->op == STORE_PUT) {
		l->body = buf_new(r->body->len > 0 ? r->body->len : 1);
		if (l->body == NULL)
			goto fail;
		memcpy(l->body->data, r->body->data, r->body->len);
		l->body->len = r->body->len;
		l->r.body = l->body;
		if (r->meta != NULL)
			l->r.meta = l->meta = meta_ref(r->meta);
	}
	l->timer.fire = late_fire;
	rc = loop_timer_set(f->f.store.loop, &l->timer,
	    loop_now(f->f.store.loop) + late_ns);
	if (rc == 0)
		return 0;
fail:
	late_free(l);
	return rc;
}

/* --- what hangs ------------------------------------------------------------------ */

static void
hang_end(struct fault *f, struct fault_req *fr)
{
	fr->hanging = false;
	f->st.hanging--;
	loop_timer_cancel(&fr->timer);
	list_del(&fr->q.link);
}

static void
hang_expired(struct loop_timer *t)
{
	struct fault_req *fr = container_of(t, struct fault_req, timer);
	struct fault *f = fault_of(fr->q.up->store);

	hang_end(f, fr);
	filter_req_end(&f->f, &fr->q, -ETIMEDOUT);
}

static void
hang(struct fault *f, struct fault_req *fr)
{
	int64_t due = fr->q.up->deadline_ns;

	fr->hanging = true;
	f->st.hanging++;
	list_push_back(&f->hanging, &fr->q.link);
	fr->timer.fire = hang_expired;
	if (due != 0 && loop_timer_set(f->f.store.loop, &fr->timer, due) < 0) {
		hang_end(f, fr);
		filter_req_end_later(&f->f, &fr->q, -ENOMEM);
	}
}

static void
hang_release(struct loop_task *t)
{
	struct fault *f = container_of(t, struct fault, release);
	struct list *e;

	while ((e = f->hanging.next) != &f->hanging) {
		struct fault_req *fr = list_entry(e, struct fault_req, q.link);

		hang_end(f, fr);
		store_submit(f->f.store.below, &fr->q.down);
	}
}

/* --- the store ---------------------------------------------------------------------- */

static void
fault_done(struct store_req *down)
{
	struct fault_req *fr = container_of(down, struct fault_req, q.down);
	struct fault *f = fault_of(fr->q.up->store);

	if (fr->lost != 0 && down->rc != -ECANCELED)
		filter_req_end(&f->f, &fr->q, fr->lost);
	else
		filter_req_answer(&f->f, &fr->q);
}

static void
fault_submit(struct store *s, struct store_req *r)
{
	struct fault *f = fault_of(s);
	struct rule *u = rule_for(f, r);
	struct filter_req *q;
	struct fault_req *fr;
	int rc;

	q = filter_req_get(&f->f, r, fault_done);
	if (q == NULL)
		return;
	fr = container_of(q, struct fault_req, q);
	fr->hanging = false;
	fr->timer.loop = NULL;
	fr->lost = 0;
	if (u == NULL) {
		store_submit(s->below, &q->down);
		return;
	}
	rc = u->r.rc;
	if (rc == 0)
		rc = u->r.kind == FAULT_LOST || u->r.kind == FAULT_LATE
		    ? -ETIMEDOUT : -EAGAIN;
	switch (u->r.kind) {
	case FAULT_HANG:
		hang(f, fr);
		return;
	case FAULT_LOST:
		fr->lost = rc;
		store_submit(s->below, &q->down);
		return;
	case FAULT_LATE:
		if (r->op == STORE_PUT || r->op == STORE_DELETE) {
			int e = late_new(f, r, u->r.late_ns);

			if (e < 0)
				rc = e;
		}
		break;
	case FAULT_FAIL:
		break;
	}
	r->retry_after_ns = u->r.retry_after_ns;
	filter_req_end_later(&f->f, q, rc);
}

static void
fault_cancel(struct store *s, struct store_req *r)
{
	struct fault_req *fr = container_of(r->priv, struct fault_req, q);

	if (!fr->hanging) {
		store_cancel(&fr->q.down);
		return;
	}
	hang_end(fault_of(s), fr);
	filter_req_end_later(filter_of(s), &fr->q, -ECANCELED);
}

static void
fault_free(struct store *s)
{
	struct fault *f = fault_of(s);

	must(!f->release.queued);
	list_for_each_safe(e, &f->late) {
		struct late_req *l = list_entry(e, struct late_req, link);

		must(loop_timer_armed(&l->timer));
		loop_timer_cancel(&l->timer);
		late_free(l);
	}
	rules_free(f);
	filter_fini(&f->f);
	free(f);
}

static const struct store_ops fault_ops = {
	.name = "fault",
	.submit = fault_submit,
	.cancel = fault_cancel,
	.free = fault_free,
};

int
fault_store_new(struct store *below, uint64_t seed, struct store **out,
    struct err *e)
{
	struct fault *f = calloc(1, sizeof(*f));

	if (f == NULL || filter_init(&f->f, &fault_ops, below,
	    sizeof(struct fault_req)) < 0) {
		free(f);
		store_free(below);
		return err_errno(e, -ENOMEM, "faults");
	}
	f->rnd = seed;
	list_init(&f->rules);
	list_init(&f->hanging);
	list_init(&f->late);
	f->release.run = hang_release;
	*out = &f->f.store;
	return 0;
}

/* --- the tests' side ------------------------------------------------------------------ */

static struct fault *
fault_checked(const struct store *s)
{
	must(s->ops == &fault_ops);
	return fault_of((struct store *)s);
}

int
fault_add(struct store *s, const struct fault_rule *rule)
{
	struct fault *f = fault_checked(s);
	struct rule *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return -ENOMEM;
	u->r = *rule;
	if (rule->key != NULL && (u->key = strdup(rule->key)) == NULL) {
		free(u);
		return -ENOMEM;
	}
	list_push_back(&f->rules, &u->link);
	return 0;
}

void
fault_clear(struct store *s)
{
	rules_free(fault_checked(s));
}

void
fault_release(struct store *s)
{
	struct fault *f = fault_checked(s);

	if (!list_empty(&f->hanging))
		loop_defer(s->loop, &f->release);
}

void
fault_state(const struct store *s, struct fault_state *st)
{
	*st = fault_checked(s)->st;
}
