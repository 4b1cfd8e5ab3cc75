/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of filters that a volume uses:
 *
 *	retry	a request is asked again, after a pause
 *	limit	so many tries at once, the urgent ones first
 *	stat	counts tries and their times
 *	leaf	s3, dir ...
 *
 * The order has reasons.  Limit must see every try, since it learns from
 * SlowDown, and a pause between tries must not hold one of its slots: so retry
 * is above it.  Stat is to show what the store does, not how long our own
 * queue is: so it is below limit, next to the leaf.
 */
#include "config.h"

#include "base/err.h"
#include "store/limit.h"
#include "store/open.h"
#include "store/retry.h"
#include "store/store.h"

#define TRY_NS (15 * 1000000000LL)

int
store_stack(struct store *s, const struct store_tuning *t,
    struct stat_set *stats, struct store **out, struct err *e)
{
	const struct limit_config limit = {
		.max = t->max_inflight,
		.try_ns = t->request_timeout_ns != 0 ? t->request_timeout_ns
						     : TRY_NS,
	};
	const struct retry_config retry = {
		.deadline_ns = t->retry_deadline_ns,
	};
	int rc;

	rc = limit_store_new(s, &limit, &s, e);
	if (rc < 0)
		return rc;
	return retry_store_new(s, &retry, out, e);
}
