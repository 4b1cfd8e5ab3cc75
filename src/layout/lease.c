/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acquiring and releasing the lease; see lease.h.
 *
 * The lease is the object PREFIXs3backer-mounted.  Where there is none it is
 * put if absent, and read back: that decides even where the answer to the put
 * was lost.
 *
 * Taking over from the dead is harder, since there is no put "if it is still
 * that": between the look and the put another may have taken it.  So a
 * takeover of the lease X begins by putting, if absent, the object
 * PREFIXpail-takeover-X with the record of who takes it; exactly one can.  Then
 *
 *	look again: is the lease still X?	else somebody did all this
 *						before us: give up ours
 *	overwrite the lease by our own
 *	delete pail-takeover-X
 *
 * Whoever looks at a lease X looks for pail-takeover-X too: if it is there, its
 * owner is who counts.  If that one died on the way, it is taken over in the
 * same manner, and so on: a chain.  Only who holds its end may overwrite the
 * lease.  A late one who looked before and puts pail-takeover-X after it was
 * deleted sees in the second look that the lease is not X any more.
 *
 * A mount that goes on in another process (docs/restart.md) overwrites its
 * lease with a record of the same id that names the new process, before the
 * old ones are all gone.  So whoever finds the processes of a record gone, and
 * the same record there after that, knows that there is no successor; if it has
 * changed he takes his announcement back.  The successor, which may see that
 * announcement, waits until it is gone, or until the lease is.
 *
 * Stores that cannot put if absent: put, wait longer than a request usually
 * takes, and read back; the last one to put has it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "base/strbuf.h"
#include "layout/lease.h"
#include "layout/s3b_name.h"
#include "store/store.h"

#define BODY_MAX 4096
#define CHAIN_MAX 16
#define TRIES_MAX 8
#define RESUME_TRIES_MAX 50
#define RESUME_PAUSE_NS (100 * NS_PER_MS)
#define SETTLE_NS NS_PER_S

struct lease {
	struct store *store;
	struct lease_owner me;
	char prior[LEASE_ID_LEN + 1];
	char *prefix;
};

/* What a look finds: the token, and takeovers of it. */
struct chain {
	unsigned n; /* 0: not held */
	struct lease_owner v[CHAIN_MAX];
};

struct busy_wait {
	struct loop_timer timer;
	bool over;
};

static void
wait_over(struct loop_timer *t)
{
	container_of(t, struct busy_wait, timer)->over = true;
}

/* -ENOMEM */
static int
wait_for(struct loop *l, int64_t ns)
{
	struct busy_wait w = {.timer.fire = wait_over};
	int rc = loop_timer_set(l, &w.timer, loop_now(l) + ns);

	if (rc == 0)
		must(loop_run_until(l, &w.over) == 0);
	return rc;
}

static void
token_key(char *to, const char *prefix)
{
	snprintf(to, STORE_KEY_MAX + 1, "%s%s", prefix, S3B_TOKEN_NAME);
}

/* Where a takeover of o is announced. */
static void
takeover_key(char *to, const char *prefix, const struct lease_owner *o)
{
	if (o->id[0] != '\0')
		snprintf(to, STORE_KEY_MAX + 1, "%s%s%s", prefix,
		    S3B_TAKEOVER_NAME, o->id);
	else /* s3backer's have only the number */
		snprintf(to, STORE_KEY_MAX + 1, "%s%st%08" PRIx32, prefix,
		    S3B_TAKEOVER_NAME, o->token);
}

/* --- the store ------------------------------------------------------------ */

/* -ENOENT (without a sentence) if there is none. */
static int
get_owner(struct store *s, const char *key, struct lease_owner *o,
    struct err *e)
{
	struct buf *b = buf_new(BODY_MAX);
	struct store_req r;
	int rc;

	if (b == NULL)
		return err_errno(e, -ENOMEM, "reading the lease");
	store_req_init(&r, STORE_GET, key);
	r.prio = STORE_PRIO_READ;
	r.body = b;
	rc = store_run(s, &r, e);
	if (rc == -EMSGSIZE) { /* whatever it is, it is there */
		lease_owner_decode(o, NULL, "", 0);
		rc = 0;
	} else if (rc == 0)
		lease_owner_decode(o, r.got_meta, b->data, b->len);
	store_req_fini(&r);
	buf_unref(b);
	return rc;
}

static int
put_owner(struct store *s, const char *key, const struct lease_owner *o,
    bool if_absent, struct err *e)
{
	struct strbuf text = STRBUF_INIT;
	struct meta *m = meta_new();
	struct store_req r;
	struct buf *b = NULL;
	bool settle = false;
	int rc = -ENOMEM;

	if (m != NULL)
		rc = lease_owner_encode(o, &text, m);
	if (rc == 0)
		b = buf_new(text.len);
	if (b != NULL) {
		memcpy(b->data, text.s, text.len);
		b->len = text.len;
		store_req_init(&r, STORE_PUT, key);
		r.prio = STORE_PRIO_WRITE;
		r.body = b;
		r.meta = m;
		r.if_absent = if_absent && s->info.if_absent;
		rc = store_run(s, &r, e);
		if (rc == -EOPNOTSUPP && r.if_absent) { /* found out now */
			r.if_absent = false;
			rc = store_run(s, &r, e);
		}
		settle = if_absent && !r.if_absent;
		store_req_fini(&r);
	} else
		rc = err_errno(e, -ENOMEM, "writing the lease");
	if (rc == 0 && settle)
		rc = wait_for(s->loop, SETTLE_NS);
	strbuf_fini(&text);
	meta_unref(m);
	buf_unref(b);
	return rc;
}

static int
delete_key(struct store *s, const char *key, struct err *e)
{
	struct store_req r;
	int rc;

	store_req_init(&r, STORE_DELETE, key);
	r.prio = STORE_PRIO_WRITE;
	rc = store_run(s, &r, e);
	store_req_fini(&r);
	return rc;
}

/* --- looking -------------------------------------------------------------- */

static int
look(struct store *s, const char *prefix, struct chain *c, struct err *e)
{
	char key[STORE_KEY_MAX + 1];
	int rc;

	c->n = 0;
	token_key(key, prefix);
	for (;;) {
		if (c->n == CHAIN_MAX)
			return err_set(e, -EBUSY,
			    "%s: %d takeovers of the lease have failed one "
			    "after the other; remove it with pail unlock",
			    VOLUME_NAME(s, prefix), CHAIN_MAX);
		rc = get_owner(s, key, &c->v[c->n], e);
		if (rc == -ENOENT)
			return 0;
		if (rc < 0)
			return err_wrap(e, rc, "looking whether %s is mounted",
			    VOLUME_NAME(s, prefix));
		takeover_key(key, prefix, &c->v[c->n++]);
	}
}

/* Who counts. */
static const struct lease_owner *
chain_end(const struct chain *c)
{
	must(c->n > 0);
	return &c->v[c->n - 1];
}

int
lease_look(struct store *s, const char *prefix, struct lease_state *st,
    struct err *e)
{
	struct chain c;
	int rc = look(s, prefix, &c, e);

	memset(st, 0, sizeof(*st));
	if (rc == 0 && c.n > 0) {
		st->held = true;
		st->owner = *chain_end(&c);
	}
	return rc;
}

static int
refuse(struct store *s, const char *prefix, const struct lease_owner *o,
    struct err *e)
{
	char who[400];

	lease_owner_describe(o, who, sizeof(who));
	if (o->token == LEASE_TOKEN_SHARED)
		return err_set(e, -EBUSY,
		    "%s: in use in s3backer's shared disk mode, %s; pail "
		    "cannot share a volume (pail unlock removes a mark that is "
		    "left over)", VOLUME_NAME(s, prefix), who);
	return err_set(e, -EBUSY,
	    "%s: mounted %s; unmount it there, or, if that mount is gone for "
	    "certain, run pail unlock", VOLUME_NAME(s, prefix), who);
}

int
lease_check(struct store *s, const char *prefix, const struct lease_owner *me,
    struct err *e)
{
	struct lease_state st;
	int rc = lease_look(s, prefix, &st, e);

	if (rc < 0 || !st.held)
		return rc;
	if (!lease_owner_gone(&st.owner, me))
		return refuse(s, prefix, &st.owner, e);
	return 0;
}

/* --- acquiring ------------------------------------------------------------- */

static bool
same_record(const struct lease_owner *a, const struct lease_owner *b)
{
	return a->token == b->token && strcmp(a->id, b->id) == 0;
}

/*
 * We hold the end of the chain.  Is the lease still what the chain began with?
 * Then overwrite it and clean up.  -EAGAIN: somebody was there before; look
 * again.
 */
static int
takeover_finish(struct store *s, const char *prefix, const struct chain *old,
    const struct lease_owner *me, struct err *e)
{
	char key[STORE_KEY_MAX + 1], token[STORE_KEY_MAX + 1];
	struct lease_owner now;
	int rc;

	token_key(token, prefix);
	rc = get_owner(s, token, &now, e);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && lease_owner_same(&now, me))
		; /* done before, when the answer was lost */
	else if (rc == -ENOENT || !same_record(&now, &old->v[0])) {
		takeover_key(key, prefix, &old->v[old->n - 2]);
		rc = delete_key(s, key, e);
		return rc < 0 ? rc : -EAGAIN;
	} else {
		rc = put_owner(s, token, me, false, e);
		if (rc < 0)
			return rc;
	}
	for (unsigned i = 0; i + 1 < old->n; i++) {
		takeover_key(key, prefix, &old->v[i]);
		rc = delete_key(s, key, e);
		if (rc < 0)
			return rc;
	}
	return -EAGAIN; /* the next look finds it ours */
}

/* Its place, or -1. */
static int
chain_find(const struct chain *c, const struct lease_owner *o)
{
	for (unsigned i = 0; i < c->n; i++)
		if (lease_owner_same(&c->v[i], o))
			return (int)i;
	return -1;
}

/*
 * The end of the chain is dead, or force.  Announce that we take over, and see
 * whether that was in time: otherwise what we have announced is no part of the
 * chain, and has to go.
 */
static int
takeover_begin(struct store *s, const char *prefix, const struct chain *old,
    const struct lease_owner *me, bool force, struct err *e)
{
	char key[STORE_KEY_MAX + 1], who[400];
	struct chain now;
	int rc;

	lease_owner_describe(chain_end(old), who, sizeof(who));
	log_info("%s: taking over the lease held %s",
	    VOLUME_NAME(s, prefix), who);
	takeover_key(key, prefix, chain_end(old));
	rc = put_owner(s, key, me, true, e);
	if (rc < 0)
		return rc == -EEXIST ? -EAGAIN : rc;
	rc = look(s, prefix, &now, e);
	if (rc < 0)
		return rc;
	int at = chain_find(&now, me);

	if (at < 1 || (!force && !lease_owner_same_process(
	    &now.v[at - 1], chain_end(old))))
		rc = delete_key(s, key, e);
	return rc < 0 ? rc : -EAGAIN;
}

/* How lease_acquire and lease_resume differ. */
enum how { FROM_THE_GONE, BY_FORCE, OURS_ONLY };

/* It is ours by its id; another process of ours may have written it. */
static int
renew(struct store *s, const char *prefix, const struct lease_owner *was,
    const struct lease_owner *me, struct err *e)
{
	char key[STORE_KEY_MAX + 1];

	if (lease_owner_same_process(was, me))
		return 0;
	token_key(key, prefix);
	return put_owner(s, key, me, false, e);
}

static int
lost(struct store *s, const char *prefix, const struct lease_owner *o,
    struct err *e)
{
	char who[400];

	lease_owner_describe(o, who, sizeof(who));
	return err_set(e, -ESTALE,
	    "%s: its lease was taken over while it was mounted here, %s: "
	    "nothing more is written by this mount",
	    VOLUME_NAME(s, prefix), who);
}

/* It is ours, and somebody has announced to take it over: he will find out, or
 * was killed before he could; or does it by force. */
static int
unannounce(struct store *s, const char *prefix, const struct chain *c,
    const struct lease_owner *me, struct err *e)
{
	char key[STORE_KEY_MAX + 1];
	int rc;

	if (lease_owner_gone(chain_end(c), me)) {
		takeover_key(key, prefix, &c->v[c->n - 2]);
		rc = delete_key(s, key, e);
	} else if ((rc = wait_for(s->loop, RESUME_PAUSE_NS)) < 0) {
		err_errno(e, rc, "%s: waiting for its lease",
		    VOLUME_NAME(s, prefix));
	}
	return rc < 0 ? rc : -EAGAIN;
}

/* One round: 0 it is ours, -EAGAIN look again, -EBUSY, or an error.  last: only
 * look what has become of the rounds before. */
static int
acquire_round(struct lease *l, const char *prefix, const struct lease_owner *me,
    enum how how, bool last, struct err *e)
{
	struct store *s = l->store;
	char key[STORE_KEY_MAX + 1];
	const struct lease_owner *o;
	struct chain c;
	int rc = look(s, prefix, &c, e);

	if (rc < 0)
		return rc;
	if (c.n > 0 && lease_owner_same(chain_end(&c), me))
		return c.n > 1 ? takeover_finish(s, prefix, &c, me, e) :
				 renew(s, prefix, chain_end(&c), me, e);
	if (last && how == OURS_ONLY)
		return lost(s, prefix, chain_end(&c), e);
	if (last)
		return err_set(e, -EBUSY,
		    "%s: several hosts are trying to mount it at once; try "
		    "again", VOLUME_NAME(s, prefix));
	if (c.n == 0) {
		token_key(key, prefix);
		rc = put_owner(s, key, me, true, e);
		/* Also 0 has to be looked at: where the answer was lost the
		 * store may have compared bodies, and ours are not unique. */
		return rc == 0 || rc == -EEXIST ? -EAGAIN : rc;
	}
	o = chain_end(&c);
	if (how == OURS_ONLY)
		return lease_owner_same(&c.v[0], me) ?
		    unannounce(s, prefix, &c, me, e) :
		    lost(s, prefix, o, e);
	/* Has somebody taken it over from us, while we were at it? */
	if (chain_find(&c, me) >= 0 ||
	    (how != BY_FORCE && !lease_owner_gone(o, me)))
		return refuse(s, prefix, o, e);
	snprintf(l->prior, sizeof(l->prior), "%s", o->id);
	return takeover_begin(s, prefix, &c, me, how == BY_FORCE, e);
}

const char *
lease_prior(const struct lease *l)
{
	return l->prior;
}

static int
acquire(struct store *s, const char *prefix, const struct lease_owner *me,
    enum how how, struct lease **out, struct err *e)
{
	struct lease *l = calloc(1, sizeof(*l));
	int rc = -EAGAIN, tries =
	    how == OURS_ONLY ? RESUME_TRIES_MAX : TRIES_MAX;

	if (l != NULL)
		l->prefix = strdup(prefix);
	if (l == NULL || l->prefix == NULL) {
		lease_free(l);
		return err_errno(e, -ENOMEM, "the lease");
	}
	l->store = s;
	l->me = *me;
	if (how == OURS_ONLY)
		snprintf(l->prior, sizeof(l->prior), "%s", me->id);
	for (int i = 0; rc == -EAGAIN; i++)
		rc = acquire_round(l, prefix, me, how, i >= tries, e);
	if (rc < 0) {
		lease_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

int
lease_acquire(struct store *s, const char *prefix, const struct lease_owner *me,
    bool force, struct lease **out, struct err *e)
{
	return acquire(s, prefix, me, force ? BY_FORCE : FROM_THE_GONE, out,
	    e);
}

int
lease_resume(struct store *s, const char *prefix, const struct lease_owner *me,
    struct lease **out, struct err *e)
{
	return acquire(s, prefix, me, OURS_ONLY, out, e);
}

/* --- the end ---------------------------------------------------------------- */

int
lease_release(struct lease *l, struct err *e)
{
	char key[STORE_KEY_MAX + 1], who[400];
	struct lease_state st;
	int rc = lease_look(l->store, l->prefix, &st, e);

	if (rc == 0 && !st.held)
		log_warn("%s: its lease was removed while it was mounted",
		    VOLUME_NAME(l->store, l->prefix));
	else if (rc == 0 && !lease_owner_same(&st.owner, &l->me)) {
		lease_owner_describe(&st.owner, who, sizeof(who));
		rc = err_set(e, -ESTALE,
		    "%s: its lease was taken over while it was mounted here, "
		    "%s: if both have written, the volume is damaged",
		    VOLUME_NAME(l->store, l->prefix), who);
	} else if (rc == 0) {
		token_key(key, l->prefix);
		rc = delete_key(l->store, key, e);
		if (rc < 0)
			err_wrap(e, rc, "giving up the lease");
	}
	lease_free(l);
	return rc;
}

void
lease_free(struct lease *l)
{
	if (l == NULL)
		return;
	free(l->prefix);
	free(l);
}

int
lease_break(struct store *s, const char *prefix, struct err *e)
{
	char key[STORE_KEY_MAX + 1], start[STORE_KEY_MAX + 1];
	struct store_req r;
	int rc;

	/* The token last: as long as it is there nobody begins afresh. */
	snprintf(start, sizeof(start), "%s%s", prefix, S3B_TAKEOVER_NAME);
	store_req_init(&r, STORE_LIST, NULL);
	r.prefix = start;
	rc = store_run(s, &r, e);
	for (size_t i = 0; rc == 0 && i < r.page.n; i++)
		rc = delete_key(s, r.page.v[i].key, e);
	store_req_fini(&r);
	if (rc == 0) {
		token_key(key, prefix);
		rc = delete_key(s, key, e);
	}
	return rc < 0 ? err_wrap(e, rc, "unlock %s",
			    VOLUME_NAME(s, prefix))
		      : 0;
}
