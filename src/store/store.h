/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"

/*
 * store.h: the narrow waist.  A store keeps objects (bytes and a little
 * metadata) under keys.  Leaves keep them somewhere (s3, dir, mem, raw ...);
 * filters stand on another store and add something (retry, limit, stat ...).
 *
 * The contract, for every store; store_submit and store_complete assert what
 * can be asserted (W1-W3), the contract tests check the rest:
 *
 *  W1. A store belongs to one loop.  Requests are submitted there, and
 *      complete there.
 *  W2. done runs exactly once for each submitted request, never from inside
 *      store_submit or store_cancel.
 *  W3. From submit until done the store borrows the request and all that it
 *      points to.
 *  W4. After a completed PUT or DELETE every later GET, HEAD and LIST sees it.
 *      It is durable after a SYNC that was submitted later has completed, or
 *      at once where info.durable says so.
 *  W5. A failed PUT leaves the old object or the new one, whole; after a
 *      time-out (-ETIMEDOUT) it may turn the one into the other later.  So
 *      there are never two PUTs or DELETEs of one key in flight, and nobody
 *      gives up on one and uses the key for other data without having settled
 *      the first.
 *  W6. A body is whole or the request fails: a GET that ends early, or whose
 *      object changed meanwhile, is an error, never short data.
 */
struct buf;
struct loop;
struct stat_set;
struct store;
struct store_req;

enum store_op {
	STORE_GET,    /* body and metadata of an object, or a range of it */
	STORE_PUT,    /* write an object whole */
	STORE_DELETE, /* -ENOENT is not reported: deleting nothing succeeds */
	STORE_HEAD,   /* size, tag and metadata */
	STORE_LIST,   /* one page of keys in order */
	STORE_BATCH,  /* several PUT and DELETE; see store_info */
	STORE_SYNC    /* what has completed before is made durable */
};

/* Most urgent first. */
enum store_prio {
	STORE_PRIO_READ,      /* somebody waits */
	STORE_PRIO_WRITE,     /* write-back; also lease and descriptor */
	STORE_PRIO_READAHEAD, /* nobody waits yet */
	STORE_PRIO_BACKGROUND /* listing, checking, copying */
};
#define STORE_NPRIO 4

/*
 * Metadata: pairs of name and value, both ASCII without control characters,
 * names in lower case.  "content-type" and "content-encoding" are HTTP's own;
 * any other name is user metadata (x-amz-meta-NAME in S3).  Built once, then
 * shared and read-only.
 */
struct meta;
struct meta *meta_new(void);
struct meta *meta_ref(struct meta *m);
void meta_unref(struct meta *m); /* accepts NULL */
/* Both are copied; a name that is there gets the new value.  Only by the one
 * holder of m.  -EINVAL: not such a name or value; -E2BIG: META_MAX; -ENOMEM. */
#define META_MAX 8192 /* bytes of all names and values, with their NULs */
int meta_add(struct meta *m, const char *name, const char *value);
/* NULL if there is none; valid as long as m.  m may be NULL. */
const char *meta_get(const struct meta *m, const char *name);
unsigned meta_count(const struct meta *m);
void meta_nth(const struct meta *m, unsigned i, const char **name,
    const char **value);

/* Tags: a store's opaque version of an object, as text (an ETag without its
 * quotation marks).  Empty: not known. */
#define STORE_TAG_MAX 80
#define STORE_KEY_MAX 1024 /* bytes, without the NUL */

struct store_entry {
	const char *key;
	uint64_t size;
	char tag[STORE_TAG_MAX];
	int64_t mtime_ns; /* wall clock; 0: not known */
};

/* One page of a listing; store_page_fini frees it. */
struct store_page {
	struct store_entry *v;
	size_t n;
	bool more;  /* there are keys after the last one */
	void *mem;  /* private: where the keys are */
};
void store_page_fini(struct store_page *p);

struct store_item { /* of a BATCH */
	enum store_op op; /* STORE_PUT or STORE_DELETE */
	const char *key;
	struct buf *body;
	struct meta *meta;
	int rc; /* the answer of this one */
};

struct store_req {
	/* What is asked: filled in by the caller, constant until done. */
	enum store_op op;
	enum store_prio prio;
	const char *key; /* GET PUT DELETE HEAD; printable, without NUL */
	/* GET: destination, at least range_len (or the object's size) of cap;
	 * the store sets len.  PUT: what to write, all of len, read-only. */
	struct buf *body;
	uint64_t range_off; /* GET: range_len 0 asks for the whole object */
	uint64_t range_len;
	const char *unless_tag; /* GET: no body if this is its tag; or NULL */
	bool if_absent;		/* PUT: -EEXIST if there is an object */
	struct meta *meta;	/* PUT: borrowed; or NULL */
	const char *prefix;	/* LIST: only keys that begin so; never NULL */
	const char *start_after; /* LIST: only keys greater; or NULL */
	const char *end_before;  /* LIST: only keys less; or NULL */
	unsigned max_keys;	 /* LIST: of this page; 0: as the store likes */
	struct store_item *items; /* BATCH */
	unsigned nitems;
	int64_t deadline_ns; /* loop_now's clock; give up then; 0: the store's */
	void (*done)(struct store_req *r);
	void *arg; /* for done */

	/*
	 * The answer.  rc: 0 or
	 *  -ENOENT     GET, HEAD: no such object; LIST: no such bucket
	 *  -EEXIST     PUT if_absent: there is one
	 *  -EMSGSIZE   GET: the object is larger than body->cap; BATCH: it is
	 *              more than the store can write as one
	 *  -ERANGE     GET: the range lies (partly) behind the object's end
	 *  -EACCES     the store refuses us (permanent)
	 *  -EINVAL     the store calls the request wrong (permanent)
	 *  -EBADMSG    the answer is damaged or not understood
	 *  -EAGAIN     the store is busy (SlowDown, 5xx): transient
	 *  -ECONNREFUSED, -EHOSTUNREACH, -EPIPE, -ENOTCONN ...: transient
	 *  -ETIMEDOUT  not known whether it was done (W5)
	 *  -ECANCELED  store_cancel came first
	 *  -EOPNOTSUPP this store cannot do that
	 *  -ENOSPC -ENOMEM -EIO ...
	 * err has the sentence when rc is neither 0 nor -ENOENT nor -EEXIST.
	 */
	int rc;
	struct err err;
	bool unchanged;	       /* GET unless_tag: it is its tag */
	uint64_t size;	       /* GET, HEAD: of the whole object */
	char tag[STORE_TAG_MAX]; /* GET, HEAD, PUT where known, else "" */
	struct meta *got_meta; /* GET, HEAD; store_req_fini drops it */
	struct store_page page; /* LIST; store_req_fini frees it */
	int64_t retry_after_ns; /* -EAGAIN: what the server asked for, or 0 */

	/* Private to the dispatch and to the store that has the request. */
	struct store *store;
	int state;
	bool checked; /* a filter asks what was found right above */
	struct loop_task task;
	struct list link;
	void *priv;
	int64_t start_ns;
};

/* Zero the request and set op, key and priority. */
void store_req_init(struct store_req *r, enum store_op op, const char *key);
/* Drop the answer (got_meta, page).  Not while in flight. */
void store_req_fini(struct store_req *r);

/* What a store can do; constant once it is open. */
struct store_info {
	bool durable;	   /* done means durable; SYNC costs nothing */
	bool if_absent;	   /* PUT if_absent is atomic */
	bool range_get;
	bool batch_atomic; /* a BATCH happens whole or not at all */
	bool batch_put;	   /* a BATCH may have PUTs, else only DELETEs */
	bool keeps_meta;   /* user metadata travels with an object */
	bool remote;	   /* requests queue where we do not see it */
	unsigned max_batch; /* items; 0: no BATCH */
	unsigned max_keys;  /* LIST: of one page */
	uint64_t max_object; /* bytes */
	unsigned max_inflight; /* more is of no use; 0: no opinion */
};

struct store_ops {
	const char *name; /* "s3", "mem", "retry" ... */
	/* Take the request; end it later by store_complete. */
	void (*submit)(struct store *s, struct store_req *r);
	/* Try to end it soon (with -ECANCELED, or as it would have ended);
	 * may do nothing. */
	void (*cancel)(struct store *s, struct store_req *r);
	/* Nothing is in flight.  Frees s, and below if it has one. */
	void (*free)(struct store *s);
	/* A leaf that has numbers of its own counts them in st from now on,
	 * which outlives it; or NULL. */
	void (*use_stats)(struct store *s, struct stat_set *st);
};

struct store { /* the head of every store's own struct */
	const struct store_ops *ops;
	struct loop *loop;
	struct store_info info;
	char *url;	     /* for messages: "s3://bucket/prefix" */
	struct store *below; /* a filter's */
	unsigned inflight;   /* kept by the dispatch */
	unsigned calls;	     /* the same: submits and cancels under way (W2) */
};

/* For the users of stores. */
void store_submit(struct store *s, struct store_req *r);
void store_cancel(struct store_req *r);
void store_free(struct store *s); /* accepts NULL */

/* For the stores: finish a request.  Not from inside submit or cancel (W2);
 * store_complete_later is for there. */
void store_complete(struct store_req *r, int rc);
void store_complete_later(struct store_req *r, int rc);
/* Initialise and tear down the head.  url is copied. */
int store_head_init(struct store *s, const struct store_ops *ops,
    struct loop *l, const char *url);
void store_head_fini(struct store *s);
/* For LIST: append a key (copied) to a page, and return its entry, zeroed but
 * for the key and valid until the next addition; NULL: no memory. */
struct store_entry *store_page_add(struct store_page *p, const char *key,
    size_t len);
/* Copy what a filter's own request asks (up) into one for below, and the
 * answer back (moving got_meta and page). */
void store_req_copy_question(struct store_req *down,
    const struct store_req *up);
void store_req_move_answer(struct store_req *up, struct store_req *down);

/*
 * The synchronous facade for tools and tests: run the loop until r is done;
 * its rc, with the sentence in e.
 */
int store_run(struct store *s, struct store_req *r, struct err *e);

/* "GET", "PUT" ... */
const char *store_op_name(enum store_op op);
#define STORE_NOPS (STORE_SYNC + 1)

/* rc may turn into success if the same is asked again. */
bool store_rc_transient(int rc);

#endif
