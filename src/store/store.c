/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatch between the users of stores and the stores.
 *
 * Every request passes through here twice for each store on its way: down by
 * store_submit, back by store_complete.  Here the contract of store.h is
 * asserted, so that no store has to check its callers and no caller its
 * stores:
 *
 *	idle --submit--> in flight --complete--------------------> idle
 *	                    \--complete_later--> ending --task--> /
 *
 * W1 by loop_is_mine; W2 by the states, and by store.calls: while a store is
 * inside submit or cancel nothing of it may be completed; W3 by nobody
 * submitting a request that is not idle.
 *
 * What a store cannot do (store_info) is answered here with -EOPNOTSUPP, once,
 * at the top of a stack; what filters pass on is not looked at again.
 *
 * All on the loop of the store.  Nothing is allocated.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "store/store.h"

enum req_state { REQ_IDLE, REQ_INFLIGHT, REQ_ENDING };

const char *
store_op_name(enum store_op op)
{
	static const char *const names[STORE_NOPS] = {"GET", "PUT", "DELETE",
	    "HEAD", "LIST", "BATCH", "SYNC"};

	must(op < STORE_NOPS);
	return names[op];
}

/* What a message names a request by, after its operation. */
static const char *
req_subject(const struct store_req *r)
{
	if (r->op == STORE_LIST)
		return r->prefix;
	return r->key != NULL ? r->key : "";
}

void
store_req_init(struct store_req *r, enum store_op op, const char *key)
{
	memset(r, 0, sizeof(*r));
	list_init(&r->link);
	r->op = op;
	r->key = key;
	r->prefix = "";
}

static void
req_drop_answer(struct store_req *r)
{
	if (r->got_meta != NULL) {
		meta_unref(r->got_meta);
		r->got_meta = NULL;
	}
	if (r->page.mem != NULL || r->page.v != NULL)
		store_page_fini(&r->page);
	r->page.more = false;
}

void
store_req_fini(struct store_req *r)
{
	must(r->state == REQ_IDLE);
	req_drop_answer(r);
}

static void
req_reset_answer(struct store_req *r)
{
	req_drop_answer(r);
	r->rc = 0;
	err_clear(&r->err);
	r->unchanged = false;
	r->size = 0;
	r->tag[0] = '\0';
	r->retry_after_ns = 0;
}

static int
key_check(struct store_req *r, const char *key)
{
	size_t n = 0;

	for (; key[n] != '\0'; n++)
		if ((unsigned char)key[n] < 0x20 || key[n] == 0x7f)
			return err_set(&r->err, -EINVAL,
			    "%s: %s: a key has the control character 0x%02x at "
			    "byte %zu", r->store->url, store_op_name(r->op),
			    (unsigned char)key[n], n);
	if (n == 0 || n > STORE_KEY_MAX)
		return err_set(&r->err, -EINVAL,
		    "%s: %s: a key of %zu bytes: keys have 1 to %d",
		    r->store->url, store_op_name(r->op), n, STORE_KEY_MAX);
	return 0;
}

static int
put_check(struct store_req *r, const char *key, uint64_t len)
{
	const struct store_info *info = &r->store->info;

	if (info->max_object != 0 && len > info->max_object)
		return err_set(&r->err, -EINVAL,
		    "%s: PUT %s: %llu bytes; this store takes at most %llu",
		    r->store->url, key, (unsigned long long)len,
		    (unsigned long long)info->max_object);
	return 0;
}

static int
batch_check(struct store_req *r)
{
	const struct store_info *info = &r->store->info;
	int rc;

	if (r->nitems > info->max_batch)
		return err_set(&r->err, -EOPNOTSUPP,
		    "%s: a BATCH of %u; this store takes at most %u",
		    r->store->url, r->nitems, info->max_batch);
	for (unsigned i = 0; i < r->nitems; i++) {
		struct store_item *it = &r->items[i];

		must(it->op == STORE_PUT || it->op == STORE_DELETE);
		if (it->op == STORE_PUT && !info->batch_put)
			return err_set(&r->err, -EOPNOTSUPP,
			    "%s: this store takes no PUT in a BATCH",
			    r->store->url);
		must(it->op == STORE_DELETE || it->body != NULL);
		rc = key_check(r, it->key);
		if (rc == 0 && it->op == STORE_PUT)
			rc = put_check(r, it->key, it->body->len);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* May this store be asked that?  Input from people ends up in keys, so these
 * are errors; what only our own code can get wrong is a must(). */
static int
req_check(struct store_req *r)
{
	const struct store_info *info = &r->store->info;
	int rc;

	switch (r->op) {
	case STORE_GET:
		must(r->body != NULL && r->body->cap >= r->range_len);
		must(r->range_len != 0 || r->range_off == 0);
		if (r->range_len != 0 && !info->range_get)
			return err_set(&r->err, -EOPNOTSUPP,
			    "%s: GET %s: this store reads no ranges",
			    r->store->url, r->key);
		return key_check(r, r->key);
	case STORE_PUT:
		must(r->body != NULL);
		if (r->if_absent && !info->if_absent)
			return err_set(&r->err, -EOPNOTSUPP,
			    "%s: PUT %s: this store cannot put only what is "
			    "absent", r->store->url, r->key);
		rc = key_check(r, r->key);
		return rc < 0 ? rc : put_check(r, r->key, r->body->len);
	case STORE_DELETE:
	case STORE_HEAD:
		return key_check(r, r->key);
	case STORE_LIST:
		must(r->prefix != NULL);
		return 0;
	case STORE_BATCH:
		return batch_check(r);
	case STORE_SYNC:
		return 0;
	}
	must(!"an operation");
	return -EINVAL;
}

void
store_submit(struct store *s, struct store_req *r)
{
	int rc;

	must(r->state == REQ_IDLE);	/* W3 */
	must(loop_is_mine(s->loop));	/* W1 */
	must(r->done != NULL);
	must(r->prio < STORE_NPRIO);
	r->store = s;
	r->state = REQ_INFLIGHT;
	r->start_ns = loop_now(s->loop);
	req_reset_answer(r);
	s->inflight++;
	s->calls++;
	if (!r->checked && (rc = req_check(r)) < 0)
		store_complete_later(r, rc);
	else
		s->ops->submit(s, r);
	s->calls--;
}

void
store_cancel(struct store_req *r)
{
	struct store *s = r->store;

	must(r->state != REQ_IDLE);
	must(loop_is_mine(s->loop));
	if (r->state == REQ_ENDING)
		return;
	s->calls++;
	s->ops->cancel(s, r);
	s->calls--;
}

static void
req_end(struct store_req *r, int rc)
{
	struct store *s = r->store;

	must(rc <= 0);
	must(s->inflight > 0);
	s->inflight--;
	r->state = REQ_IDLE;
	r->checked = false;
	r->rc = rc;
	if (rc == 0 || rc == -ENOENT || rc == -EEXIST)
		err_clear(&r->err);
	else if (r->err.rc == 0)
		err_errno(&r->err, rc, "%s: %s %s", s->url,
		    store_op_name(r->op), req_subject(r));
	r->done(r);
}

void
store_complete(struct store_req *r, int rc)
{
	must(r->state == REQ_INFLIGHT); /* W2: once */
	must(r->store->calls == 0);	/* W2: not from inside */
	must(loop_is_mine(r->store->loop));
	req_end(r, rc);
}

static void
req_end_task(struct loop_task *t)
{
	struct store_req *r = container_of(t, struct store_req, task);

	must(r->state == REQ_ENDING);
	req_end(r, r->rc);
}

void
store_complete_later(struct store_req *r, int rc)
{
	must(r->state == REQ_INFLIGHT);
	must(!r->task.queued);
	r->state = REQ_ENDING;
	r->rc = rc;
	r->task.run = req_end_task;
	loop_defer(r->store->loop, &r->task);
}

int
store_head_init(struct store *s, const struct store_ops *ops, struct loop *l,
    const char *url)
{
	memset(s, 0, sizeof(*s));
	s->url = strdup(url);
	if (s->url == NULL)
		return -ENOMEM;
	s->ops = ops;
	s->loop = l;
	return 0;
}

void
store_head_fini(struct store *s)
{
	free(s->url);
	s->url = NULL;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	must(s->inflight == 0 && s->calls == 0);
	s->ops->free(s);
}

void
store_req_copy_question(struct store_req *down, const struct store_req *up)
{
	must(down->state == REQ_IDLE);
	down->checked = true;
	down->op = up->op;
	down->prio = up->prio;
	down->key = up->key;
	down->body = up->body;
	down->range_off = up->range_off;
	down->range_len = up->range_len;
	down->unless_tag = up->unless_tag;
	down->if_absent = up->if_absent;
	down->meta = up->meta;
	down->prefix = up->prefix;
	down->start_after = up->start_after;
	down->end_before = up->end_before;
	down->max_keys = up->max_keys;
	down->items = up->items;
	down->nitems = up->nitems;
	down->deadline_ns = up->deadline_ns;
}

void
store_req_move_answer(struct store_req *up, struct store_req *down)
{
	must(down->state == REQ_IDLE);
	req_drop_answer(up);
	up->rc = down->rc;
	if (down->err.rc != 0)
		err_copy(&up->err, &down->err);
	else
		err_clear(&up->err);
	up->unchanged = down->unchanged;
	up->size = down->size;
	memcpy(up->tag, down->tag, sizeof(up->tag));
	up->retry_after_ns = down->retry_after_ns;
	up->got_meta = down->got_meta;
	down->got_meta = NULL;
	up->page = down->page;
	memset(&down->page, 0, sizeof(down->page));
}

static void
run_done(struct store_req *r)
{
	*(bool *)r->arg = true;
}

int
store_run(struct store *s, struct store_req *r, struct err *e)
{
	bool done = false;

	r->done = run_done;
	r->arg = &done;
	store_submit(s, r);
	/* epoll fails only if the loop is broken; r cannot be given back then
	 * (W3), so there is nothing else to do. */
	must(loop_run_until(s->loop, &done) == 0);
	if (r->rc < 0) {
		if (r->err.rc != 0)
			err_copy(e, &r->err);
		else
			err_errno(e, r->rc, "%s: %s %s", s->url,
			    store_op_name(r->op), req_subject(r));
	}
	return r->rc;
}

bool
store_rc_transient(int rc)
{
	switch (rc) {
	case -EAGAIN:
	case -ETIMEDOUT:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENETDOWN:
	case -ENETRESET:
	case -EPIPE:
	case -ENOTCONN:
	case -EADDRNOTAVAIL: /* out of local ports */
	case -EINTR:
	case -EBUSY:
	case -ENOBUFS:
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
	case -EBADMSG: /* damaged on the way, most likely */
		return true;
	default:
		return false;
	}
}
